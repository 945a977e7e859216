/* SPDX-License-Identifier: Apache-2.0
 * The batch: all relays of a link that are ready at the end of a turn get their leaves together,
 * under one signed head, in one transaction.  While that is on its way the next ones gather. */
#include <assert.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/base/rng.h"
#include "relay/node/internal.h"
#include "relay/rpc/encoding.h"

#define ENTRY_BYTES (4 + LEAF_SIZE + 4) /* of an answer in a BATCH, its encoding apart [F7] */
#define PART_ENCODING_MAX (RESPONSE_JSON_HEAD + NODE_PART_BYTES)

void worker_tick(struct worker *w)
{
	if (w->turn_open)
		return;
	w->turn_open = true;
	clock_tick();
	w->height = view_height(w->view, clock_wall_ms());
	w->self.height = w->height;
	event_active(&w->on_turn, EV_TIMEOUT, 0);
}

void node_link_mark(struct node_link *nl)
{
	worker_tick(nl->worker);
	if (nl->is_dirty)
		return;
	nl->is_dirty = true;
	TAILQ_INSERT_TAIL(&nl->worker->dirty, nl, dirty);
}

/* --- what a turn takes --- */

/* The encoding that the relay's next leaf is of; its head is not yet written. */
static struct view relay_next(const struct relay *relay)
{
	return relay->flow ? flow_next(relay) : buf_view(&relay->response);
}

/* Relays whose deadline has passed cost nothing, and their answer is of no use [R9]. */
static void refuse_late(struct node_link *nl)
{
	usec_t now = clock_mono_us();
	struct relay *relay, *next;

	for (relay = TAILQ_FIRST(&nl->ready); relay; relay = next) {
		next = TAILQ_NEXT(relay, entry);
		if (relay->deadline_us > now || relay->refusal != ERR_NONE ||
		    relay_refuse_unsigned(relay, ERR_DEADLINE))
			continue;
		relay_set_refusal(relay, ERR_DEADLINE);
		nl->refusals++;
	}
	for (relay = TAILQ_FIRST(&nl->flowing); relay; relay = next) {
		next = TAILQ_NEXT(relay, entry);
		if (relay->deadline_us <= now && relay->part == 0)
			flow_break(relay, ERR_DEADLINE);
	}
}

/* Streams that have no last part are told behind the batch that had their last leaf [F13]. */
static void tell_broken(struct node_link *nl)
{
	struct relay *relay, *next;
	enum err_code code;
	struct err why;

	for (relay = TAILQ_FIRST(&nl->flowing); relay; relay = next) {
		next = TAILQ_NEXT(relay, entry);
		code = flow_broken(relay);
		if (code == ERR_NONE)
			continue;
		if (err_info(code)->wire == 0)
			code = ERR_INTERNAL;
		err_set(&why, code, "%s", err_info(code)->text);
		node_link_error(nl, relay->number, FRAME_RELAY, &why);
		flow_finish(relay, code);
		relay_drop(relay);
	}
}

/* How many leaves the next batch has. */
struct turn_plan {
	uint32_t small; /* answers that are whole, and refusals: the first of `ready` */
	uint32_t parts; /* of streams, in rotation: the first of `flowing` */
};

/* The part'th parts of all streams that have so many; false: none had, or the turn is full. */
static bool plan_round(const struct node_link *nl, uint32_t part, struct turn_plan *plan,
		       size_t *bytes)
{
	const size_t size = ENTRY_BYTES + PART_ENCODING_MAX;
	const uint32_t most = plan->small > 0 ? NODE_TURN_PARTS_BESIDE : NODE_TURN_PARTS_MAX;
	const struct relay *relay;
	bool any = false;

	TAILQ_FOREACH (relay, &nl->flowing, entry) {
		if (flow_parts(relay) <= part)
			continue;
		if (plan->parts == most || plan->small + plan->parts == FRAME_BATCH_LEAVES_MAX ||
		    (plan->small + plan->parts > 0 && *bytes + size > nl->batch_max))
			return false;
		plan->parts++;
		*bytes += size;
		any = true;
	}
	return any;
}

/* What is small goes first, but always leaves room for a part if one is there: so neither waits for
 * more than a turn because of the other.  Streams take from the rest in rotation. */
static struct turn_plan turn_make_plan(const struct node_link *nl, bool streams)
{
	const size_t for_part = ENTRY_BYTES + PART_ENCODING_MAX;
	struct turn_plan plan = {0};
	const struct relay *relay;
	size_t bytes = 0, room = nl->batch_max;
	uint32_t most = FRAME_BATCH_LEAVES_MAX;

	streams = streams && !TAILQ_EMPTY(&nl->flowing);
	if (streams) {
		room -= MIN(room, for_part);
		most--;
	}
	TAILQ_FOREACH (relay, &nl->ready, entry) {
		size_t size = ENTRY_BYTES + relay->response.n;

		if (plan.small > 0 && (bytes + size > room || plan.small == most))
			break;
		bytes += size;
		plan.small++;
	}
	for (uint32_t part = 0; streams && plan_round(nl, part, &plan, &bytes); part++)
		;
	return plan;
}

/* --- leaves --- */

/* CU of this part: part 0 has the relay's, later ones the table's part_cu if there is room. */
static uint32_t part_cu(struct node_link *nl, struct relay *relay)
{
	struct node_session *s = relay->session;
	uint32_t cu = relay->cu;

	if (relay->part > 0) {
		cu = relay->cu > 0 ? relay->method->part_cu : 0;
		if (cu > 0 && ledger_tab_reserve(s->tab, cu, settle_unpaid_max(nl, s),
						 s->served_max) != LEDGER_ROOM)
			cu = 0;
		return cu;
	}
	assert(cu <= relay->reserved || cu == 0);
	if (relay->reserved > cu)
		ledger_tab_release(s->tab, relay->reserved - cu);
	relay->reserved = 0;
	return cu;
}

static void leaf_fill(const struct node_link *nl, const struct relay *relay, uint32_t cu,
		      struct view response, struct leaf *leaf)
{
	const struct lane_id *lane = &nl->lane->id.origin.lane;
	struct view request = buf_view(&relay->request);

	*leaf = (struct leaf){
		.kind = relay->kind,
		.status = relay->refusal == ERR_NONE ? 200 : err_info(relay->refusal)->wire,
		.seq = nl->lane->tree.size,
		.session = relay->session->id,
		.cu_before = relay->session->lane_cu,
		.cu = cu,
		.method = relay->method ? relay->method->id : 0,
		.time_ms = (uint64_t)clock_wall_ms(),
		.latency_us = relay->latency_us,
		.block = LEAF_BLOCK_UNKNOWN,
	};
	if (relay->refusal == ERR_NONE) {
		leaf->flags = relay->pinned ? LEAF_PINNED : 0;
		leaf->flags |= relay->recomputed ? LEAF_RECOMPUTED : 0;
		leaf->block = relay->block;
		leaf->block_hash = relay->block_hash;
	}
	if (relay->flow) {
		leaf->kind = LEAF_PART;
		leaf->flags |= flow_part_is_last(relay) ? LEAF_LAST : 0;
		leaf->stream = relay->number;
		leaf->part = relay->part;
	}
	leaf_request_hash(lane, &relay->salt, &request, 1, &leaf->request_hash);
	leaf_response_hash(lane, &relay->salt, leaf->part, &response, 1, &leaf->response_hash);
}

/* Appends the relay's next leaf. */
static void turn_add(struct node_link *nl, struct relay *relay, struct ledger_batch *batch)
{
	struct node_session *s = relay->session;
	struct node_lane *lane = nl->lane;
	struct view response = relay_next(relay), request = {0};
	uint8_t bytes[LEAF_SIZE];
	struct leaf leaf;
	struct hash hash;

	if (s->lane_serial != lane->serial) {
		s->lane_serial = lane->serial;
		s->lane_cu = 0;
	}
	if (relay->refusal == ERR_NONE)
		response_encoding_json_head((uint8_t *)response.p, response.n - RESPONSE_JSON_HEAD);
	leaf_fill(nl, relay, part_cu(nl, relay), response, &leaf);
	leaf_encode(&leaf, bytes);
	leaf_hash(bytes, &hash);
	tree_append(&lane->tree, &hash);
	if (relay->part == 0)
		request = buf_view(&relay->request);
	ledger_batch_add(batch, s->tab, bytes, &hash, &relay->salt, request, response);
	frame_batch_add(&lane->frame, relay->number, bytes, response);
	if (relay->part == 0)
		lane->begun_us[lane->begun_n++] = relay->begun_us;
	metric_add_at(METRIC_NODE_RELAYS, s->service->label, leaf.kind, 1);
	metric_add_at(METRIC_NODE_CU, s->service->label, 0, leaf.cu);
	s->lane_cu += leaf.cu;
	relay->part++;
}

/* --- lanes --- */

void node_lane_destroy(struct node_lane *lane)
{
	if (!lane)
		return;
	buf_finish(&lane->frame);
	free(lane->heads);
	free(lane);
}

static bool lane_open(struct node_link *nl, struct err *err)
{
	struct worker *w = nl->worker;
	struct node_lane *lane = xcalloc(1, sizeof(*lane));
	struct checkpoint_origin origin = {
		.network = w->self.network,
		.gateway = nl->gateway,
		.supplier = w->self.id,
	};

	rng_bytes(origin.lane.b, sizeof(origin.lane.b));
	lane->day = clock_day(clock_wall_ms());
	if (!ledger_lane_open(w->port, &origin.lane, &nl->gateway, lane->day, NULL, NULL,
			      &lane->ledger, err)) {
		free(lane);
		return false;
	}
	lane->serial = ++w->lanes;
	checkpoint_lane_init(&lane->id, &origin);
	tree_init(&lane->tree);
	nl->lane = lane;
	return true;
}

/* Sees to it that nl->lane takes n more leaves [T2].  A lane that is left stays ours until the
 * gateway has cosigned it to its end: a COSIGN that is under way must not be taken for its last. */
static bool lane_ensure(struct node_link *nl, uint32_t n, struct err *err)
{
	struct node_lane *lane = nl->lane;

	if (lane && lane->tree.size + n <= nl->worker->node->p.lane_leaves &&
	    lane->day == clock_day(clock_wall_ms()))
		return true;
	if (lane) {
		if (nl->retired_n >= nl->worker->node->p.lanes_max)
			return err_set(err, ERR_LIMIT, "%zu lanes wait for their last cosignature",
				       nl->retired_n);
		LIST_INSERT_HEAD(&nl->retired, lane, entry);
		nl->retired_n++;
		nl->lane = NULL;
	}
	return lane_open(nl, err);
}

/* --- the batch --- */

static void turn_sign(struct worker *w, struct node_lane *lane, struct ledger_head *head)
{
	uint8_t text[CHECKPOINT_TEXT_MAX];
	size_t n;

	head->size = lane->tree.size;
	tree_root(&lane->tree, &head->root);
	n = checkpoint_text(&lane->id, head->size, &head->root, text);
	sign_bytes(w->node->key, text, n, &head->signature);
	lane->next = (struct node_head){.size = head->size, .root = head->root};
}

/* The ledger has the batch, or has failed [L1] [L3]. */
static void on_commit(void *arg, const struct err *err)
{
	struct node_link *nl = arg;
	struct node_lane *lane = nl->lane;

	worker_tick(nl->worker);
	nl->commits--;
	if (!nl->link) {
		node_link_maybe_free(nl);
		return;
	}
	lane->busy = false;
	if (err) {
		log_error("node.commit", "gateway=%s why=\"%s\"", link_address(nl->link), err->msg);
		link_close(nl->link, err); /* a new link gets a new lane */
		return;
	}
	node_lane_push_head(lane, &lane->next);
	link_put(nl->link, &lane->frame);
	link_sent(nl->link);
	for (uint32_t i = 0; i < lane->begun_n; i++)
		metric_observe(METRIC_NODE_RELAY_TIME,
			       (uint64_t)(clock_mono_us() - lane->begun_us[i]));
	if (lane->heads_n >= nl->worker->node->p.heads_max) {
		struct err unpaid;

		err_set(&unpaid, ERR_UNPAID, "%zu heads and no cosignature for any", lane->heads_n);
		log_warn("node.never_cosigned", "gateway=%s", link_address(nl->link));
		link_close(nl->link, &unpaid);
		return;
	}
	if (!TAILQ_EMPTY(&nl->ready) || !TAILQ_EMPTY(&nl->flowing))
		node_link_mark(nl);
}

/* The gateway does not read as fast as it asks, or the disk does not keep up: relays wait, and
 * later their deadlines pass. */
static void node_link_stall(struct node_link *nl)
{
	static const struct timeval tv = {0, NODE_STALL_US};

	nl->is_stalled = true;
	evtimer_add(&nl->worker->on_stall, &tv);
}

void worker_on_stall(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct node_link *nl;

	worker_tick(w);
	LIST_FOREACH (nl, &w->links, entry) {
		if (nl->is_stalled && nl->link)
			node_link_mark(nl);
		nl->is_stalled = false;
	}
}

/* Beside small answers a part is sent now and then only: to hash, keep and encrypt one takes as
 * long as dozens of them, on both sides. */
static bool is_too_soon(const struct node_link *nl)
{
	usec_t now = clock_mono_us();

	return now - nl->small_us < NODE_SMALL_RECENT_US && now - nl->part_us < NODE_PART_PACE_US;
}

/* Whether parts of streams may join the turn: not while the link holds enough of them already. */
static bool may_flow(struct node_link *nl)
{
	if (TAILQ_EMPTY(&nl->flowing))
		return false;
	if (is_too_soon(nl)) {
		node_link_stall(nl);
		return false;
	}
	if (link_out_bytes(nl->link) > NODE_OUT_STREAMS)
		link_flush(nl->link);
	if (link_out_bytes(nl->link) > NODE_OUT_STREAMS)
		node_link_stall(nl);
	return link_is_up(nl->link) && link_out_bytes(nl->link) <= NODE_OUT_STREAMS;
}

static void turn_append(struct node_link *nl, const struct turn_plan *plan,
			struct ledger_batch *batch)
{
	usec_t now = clock_mono_us();
	struct relay *relay;

	if (plan->small > 0)
		nl->small_us = now;
	if (plan->parts > 0)
		nl->part_us = now;
	for (uint32_t i = 0; i < plan->small; i++) {
		relay = TAILQ_FIRST(&nl->ready);
		turn_add(nl, relay, batch);
		relay_done(relay);
	}
	for (uint32_t i = 0; i < plan->parts; i++) {
		bool last;

		relay = TAILQ_FIRST(&nl->flowing);
		last = flow_part_is_last(relay);
		turn_add(nl, relay, batch);
		if (last)
			relay_done(relay);
		else
			flow_part_done(relay);
	}
}

static void turn_run(struct node_link *nl)
{
	struct worker *w = nl->worker;
	struct ledger_batch *batch;
	struct ledger_head head;
	struct node_lane *lane;
	struct turn_plan plan;
	struct err err;
	size_t begun;
	uint32_t n;

	if (!nl->link || !link_is_up(nl->link) || (nl->lane && nl->lane->busy))
		return;
	tell_broken(nl);
	if (link_out_bytes(nl->link) >
	    MIN((size_t)NODE_OUT_HIGH, w->node->p.listener.link.out_max / 4)) {
		node_link_stall(nl);
		return;
	}
	if (ledger_is_busy(w->node->ledger)) { /* relays wait here, not in a queue without end */
		metric_add(METRIC_LEDGER_WAITS, 1);
		node_link_stall(nl);
		return;
	}
	refuse_late(nl);
	plan = turn_make_plan(nl, may_flow(nl));
	n = plan.small + plan.parts;
	if (n == 0 || !link_is_up(nl->link)) /* the last refusal may have been one too many */
		return;
	if (!lane_ensure(nl, n, &err)) {
		link_close(nl->link, &err);
		return;
	}
	lane = nl->lane;
	batch = ledger_batch_create(w->port);
	lane->frame.n = 0;
	lane->begun_n = 0;
	metric_observe(METRIC_NODE_TURN_RELAYS, n);
	metric_add_at(METRIC_NODE_WORKER_RELAYS, w->label, 0, n);
	begun = frame_batch_begin(&lane->frame, &lane->id.origin.lane, lane->tree.size, n);
	turn_append(nl, &plan, batch);
	turn_sign(w, lane, &head);
	frame_batch_end(&lane->frame, begun, &head.root, &head.signature);
	lane->busy = true;
	nl->commits++;
	ledger_append(w->port, lane->ledger, batch, &head, on_commit, nl);
}

void worker_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct node_link *nl;

	upstream_flush(w->upstream);
	while ((nl = TAILQ_FIRST(&w->dirty))) {
		TAILQ_REMOVE(&w->dirty, nl, dirty);
		nl->is_dirty = false;
		turn_run(nl);
	}
	worker_publish(w);
	w->turn_open = false;
}
