/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/link/link_private.h"
#include "relay/link/recovery_private.h"

#define OUT_BUSY_BYTES (8u << 20) /* a peer that FETCHes faster than it reads */

/* --- commits --- */

struct recovery_op *recovery_op_create(struct recovery *r, const struct recovery_target *target,
				       void (*then)(struct recovery *r, struct recovery_op *op,
						    const struct err *err))
{
	struct recovery_op *op = xcalloc(1, sizeof(*op));

	op->recovery = r;
	op->target = *target;
	op->then = then;
	LIST_INSERT_HEAD(&r->ops, op, entry);
	return op;
}

void recovery_op_done(void *arg, const struct err *err)
{
	struct recovery_op *op = arg;

	if (op->recovery) {
		LIST_REMOVE(op, entry);
		op->then(op->recovery, op, err);
	}
	free(op);
}

/* --- lanes --- */

void recovery_lane_names(const struct recovery *r, const struct lane_id *lane,
			 struct checkpoint_lane *ret)
{
	const struct checkpoint_origin origin = {
		.network = r->self->network,
		.gateway = r->is_gateway ? r->self->id : r->peer,
		.supplier = r->is_gateway ? r->peer : r->self->id,
		.lane = *lane,
	};

	checkpoint_lane_init(ret, &origin);
}

void recovery_failed(struct recovery *r, const struct lane_id *lane, const struct err *err)
{
	char hex[2 * sizeof(lane->b) + 1];

	r->stats.failed++;
	log_warn("recovery.later", "lane=%s error=\"%s\"",
		 hex_encode(lane->b, sizeof(lane->b), hex), err->msg);
}

struct ledger_lane *recovery_own(const struct recovery *r, const struct lane_id *lane,
				 struct ledger_unclosed *ret)
{
	struct ledger_unclosed *list;
	struct ledger_lane *found = NULL;
	size_t n;

	ledger_unclosed(r->p.ledger, &r->peer, SIZE_MAX, &list, &n);
	for (size_t i = 0; i < n && !found; i++) {
		if (ID_EQ(&list[i].id, lane)) {
			found = list[i].lane;
			*ret = list[i];
		}
	}
	free(list);
	return found;
}

/* --- our listing and our answers --- */

bool recovery_own_fault(const struct recovery *r, struct ledger_lane *lane,
			const struct lane_id *id, const struct ledger_head *head)
{
	const struct checkpoint signed_head = {
		.size = head->size, .root = head->root, .supplier_sig = head->signature};
	struct checkpoint_lane names;
	struct err why;

	recovery_lane_names(r, id, &names);
	if (head->size == 0 || checkpoint_check(&names, &signed_head, &why))
		return false;
	ledger_lane_give_up(lane, why.msg);
	return true;
}

/* The same of the newest cosigned head. */
static bool own_cosigned_fault(const struct recovery *r, const struct ledger_unclosed *own)
{
	const struct checkpoint cosigned = {.size = own->cosigned.size,
					    .root = own->cosigned.root,
					    .cosigned = true,
					    .cosign_time = own->cosigned.time,
					    .gateway_sig = own->cosigned.signature};
	struct checkpoint_lane names;
	struct err why;

	recovery_lane_names(r, &own->id, &names);
	if (own->cosigned.size == 0 || checkpoint_check_cosigned(&names, &cosigned, &why))
		return false;
	ledger_lane_give_up(own->lane, why.msg);
	return true;
}

/* Our unclosed lanes, without those that the disk has changed since they were written. */
static void list_sound(const struct recovery *r, struct ledger_unclosed **ret, size_t *ret_n)
{
	struct ledger_unclosed *list;
	size_t n, kept = 0;

	ledger_unclosed(r->p.ledger, &r->peer, RECOVERY_LANES_MAX, &list, &n);
	for (size_t i = 0; i < n; i++)
		if (!recovery_own_fault(r, list[i].lane, &list[i].id, &list[i].head) &&
		    !own_cosigned_fault(r, &list[i]))
			list[kept++] = list[i];
	*ret = list;
	*ret_n = kept;
}

static void entry_of(const struct ledger_unclosed *lane, struct frame_lane *ret)
{
	*ret = (struct frame_lane){.lane = lane->id};
	if (lane->head.size > 0) {
		ret->size = lane->head.size;
		ret->root = lane->head.root;
		ret->signature = lane->head.signature;
	}
	if (lane->cosigned.size > 0) {
		ret->cosigned_size = lane->cosigned.size;
		ret->cosigned_root = lane->cosigned.root;
		ret->cosigned_time_s = lane->cosigned.time;
		ret->cosignature = lane->cosigned.signature;
	}
}

static void send_listing(struct recovery *r)
{
	size_t room = (link_peer(r->p.link)->frame_max - FRAME_HEADER_BYTES) / FRAME_LANE_BYTES;
	size_t per_frame = MIN(room, (size_t)FRAME_LANES_MAX), n, at = 0;
	struct ledger_unclosed *list;
	struct frame_lane *entries;

	list_sound(r, &list, &n);
	entries = xcalloc(per_frame, sizeof(*entries));
	do {
		size_t count = MIN(per_frame, n - at);

		for (size_t i = 0; i < count; i++)
			entry_of(&list[at + i], &entries[i]);
		at += count;
		frame_put_lanes(link_out(r->p.link), at == n ? FRAME_LANES_LAST : 0, entries,
				(uint32_t)count);
		link_sent(r->p.link);
	} while (at < n);
	free(entries);
	free(list);
}

void recovery_answer(struct recovery *r, const struct frame_lane *lane)
{
	frame_put_lanes(link_out(r->p.link), FRAME_LANES_LAST | FRAME_LANES_ANSWER, lane, 1);
	link_sent(r->p.link);
}

/* --- the peer's --- */

/* Every signature of an entry is right, or the peer is not what it says. */
static bool entry_check(const struct recovery *r, const struct frame_lane *e, struct err *err)
{
	struct checkpoint head = {.size = e->size, .root = e->root, .supplier_sig = e->signature};
	struct checkpoint cosigned = {.size = e->cosigned_size,
				      .root = e->cosigned_root,
				      .cosigned = true,
				      .cosign_time = e->cosigned_time_s,
				      .gateway_sig = e->cosignature};
	struct checkpoint_lane names;
	struct err why;

	recovery_lane_names(r, &e->lane, &names);
	if ((e->size == 0 || checkpoint_check(&names, &head, &why)) &&
	    (e->cosigned_size == 0 || checkpoint_check_cosigned(&names, &cosigned, &why)))
		return true;
	return err_set(err, ERR_PROTOCOL, "lanes: %s", why.msg);
}

static bool on_listing(struct recovery *r, const struct frame_lanes *lanes, struct err *err)
{
	if (r->listed) {
		r->listed = false; /* it lists again */
		r->theirs_n = r->told = 0;
	}
	r->told += lanes->count;
	if (r->told > RECOVERY_LANES_MAX)
		return err_set(err, ERR_PROTOCOL, "lanes: more than %d", RECOVERY_LANES_MAX);
	if (r->theirs_n + lanes->count > r->theirs_cap) {
		r->theirs_cap = MAX(2 * r->theirs_cap, r->theirs_n + lanes->count);
		r->theirs = xrealloc(r->theirs, r->theirs_cap * sizeof(*r->theirs));
	}
	for (uint32_t i = 0; i < lanes->count; i++) {
		struct frame_lane *e = &r->theirs[r->theirs_n];

		frame_lanes_at(lanes, i, e);
		if (e->state != 0)
			return err_set(err, ERR_PROTOCOL, "lanes: a closed lane in a listing");
		if (!entry_check(r, e, err))
			return false;
		r->theirs_n += r->is_gateway; /* a node waits for COSIGN and answers */
	}
	if (!lanes->last)
		return true;
	r->listed = true;
	return !r->is_gateway || recovery_gateway_decide(r, err);
}

static bool on_lanes(struct recovery *r, const struct frame *f, struct err *err)
{
	struct frame_lanes lanes;
	struct frame_lane e;

	if (!frame_read_lanes(f, &lanes, err))
		return false;
	if (!lanes.answer)
		return on_listing(r, &lanes, err);
	for (uint32_t i = 0; i < lanes.count; i++) {
		frame_lanes_at(&lanes, i, &e);
		if (e.state != 1)
			return err_set(err, ERR_PROTOCOL, "lanes: an answer that closes nothing");
		if (!entry_check(r, &e, err))
			return false;
		if (!(r->is_gateway ? recovery_gateway_on_answer(r, &e, err)
				    : recovery_node_on_answer(r, &e, err)))
			return false;
	}
	return true;
}

/* The leaves asked for, when they are there and fit into a frame of the peer's. */
static void put_leaves(struct recovery *r, const struct frame_fetch *fetch, uint32_t number)
{
	uint32_t want = (uint32_t)(fetch->to - fetch->from);
	uint8_t *leaves = xmalloc((size_t)want * FRAME_LEAF_BYTES);
	uint8_t *salts = xmalloc((size_t)want * sizeof(struct salt));
	struct ledger_head head = {0};
	struct salt salt;
	struct err err;
	size_t n = 0, begun;

	if (36 + (size_t)want * FRAME_LEAVES_ENTRY_BYTES + 64 > link_peer(r->p.link)->frame_max ||
	    !ledger_leaves_read(r->p.reader, &fetch->lane, fetch->from, want, leaves, salts, &n,
				&err) ||
	    n != want)
		n = 0;
	begun = frame_leaves_begin(link_out(r->p.link), number, &fetch->lane, fetch->from,
				   (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		memcpy(salt.b, salts + i * sizeof(salt.b), sizeof(salt.b));
		frame_leaves_add(link_out(r->p.link), leaves + i * FRAME_LEAF_BYTES, &salt);
	}
	if (n > 0 && ledger_head_read(r->p.reader, &fetch->lane, fetch->to, &head, &err))
		frame_leaves_end(link_out(r->p.link), begun, &head.signature);
	else
		frame_leaves_end(link_out(r->p.link), begun, NULL);
	link_sent(r->p.link);
	free(leaves);
	free(salts);
}

static bool on_fetch(struct recovery *r, const struct frame *f, struct err *err)
{
	struct ledger_lane_info info;
	struct frame_fetch fetch;
	struct err absent;
	size_t begun;

	if (!frame_read_fetch(f, &fetch, err))
		return false;
	if (link_out_bytes(r->p.link) > OUT_BUSY_BYTES)
		return err_set(err, ERR_LIMIT, "fetch: more asked for than read");
	/* only lanes of these two keys: salts are nobody else's business */
	if (ledger_lane_read(r->p.reader, &fetch.lane, &info, &absent) &&
	    ID_EQ(r->is_gateway ? &info.supplier : &info.gateway, &r->peer)) {
		put_leaves(r, &fetch, f->stream);
		return true;
	}
	begun = frame_leaves_begin(link_out(r->p.link), f->stream, &fetch.lane, fetch.from, 0);
	frame_leaves_end(link_out(r->p.link), begun, NULL);
	link_sent(r->p.link);
	return true;
}

bool recovery_on_frame(struct recovery *r, const struct frame *f, struct err *err)
{
	struct frame_cosign cosign;

	if (f->type == FRAME_LANES)
		return on_lanes(r, f, err);
	if (f->type == FRAME_FETCH)
		return on_fetch(r, f, err);
	if (f->type == FRAME_LEAVES)
		return recovery_on_leaves(r, f, err);
	assert(f->type == FRAME_COSIGN);
	if (r->is_gateway)
		return err_set(err, ERR_PROTOCOL, "cosign: from a node");
	return frame_read_cosign(f, &cosign, err) && recovery_node_on_cosign(r, &cosign, err);
}

/* --- looking again --- */

/* A number that changes when the unclosed lanes or their heads do; 0: there are none. */
static uint64_t fingerprint(const struct recovery *r)
{
	struct ledger_unclosed *list;
	uint64_t seen = 0;
	size_t n;

	ledger_unclosed(r->p.ledger, &r->peer, SIZE_MAX, &list, &n);
	for (size_t i = 0; i < n; i++)
		seen += (get_be64(list[i].id.b) | 1) * (2 * list[i].head.size + 1) +
			list[i].cosigned.size;
	free(list);
	return n > 0 && seen == 0 ? 1 : seen;
}

static void arm_refresh(struct recovery *r)
{
	const struct timeval tv = {r->refresh_us / 1000000, r->refresh_us % 1000000};

	if (r->p.refresh_us > 0)
		event_add(&r->ev_refresh, &tv);
}

static void on_refresh(evutil_socket_t fd, short what, void *arg)
{
	struct recovery *r = arg;
	uint64_t seen = fingerprint(r);
	struct err err;

	clock_tick();
	if (seen != 0 && TAILQ_EMPTY(&r->jobs) && link_is_up(r->p.link)) {
		if (!r->is_gateway)
			send_listing(r);
		else if (r->listed && !recovery_gateway_decide(r, &err))
			link_close(r->p.link, &err);
	}
	r->refresh_us = seen != 0 && seen == r->seen
				? MIN(2 * r->refresh_us, (usec_t)RECOVERY_REFRESH_MAX_US)
				: r->p.refresh_us;
	r->seen = seen;
	arm_refresh(r);
}

/* --- life --- */

struct recovery *recovery_create(const struct recovery_params *params)
{
	struct recovery *r = xcalloc(1, sizeof(*r));

	assert(link_is_up(params->link) && params->ledger && params->port && params->reader);
	r->p = *params;
	r->self = params->link->self;
	r->is_gateway = r->self->role == FRAME_ROLE_GATEWAY;
	r->peer = link_peer(params->link)->key;
	r->refresh_us = params->refresh_us;
	TAILQ_INIT(&r->jobs);
	LIST_INIT(&r->ops);
	event_assign(&r->ev_step, link_base(params->link), -1, 0, recovery_step, r);
	event_assign(&r->ev_refresh, link_base(params->link), -1, 0, on_refresh, r);
	arm_refresh(r);
	send_listing(r);
	return r;
}

void recovery_destroy(struct recovery *r)
{
	struct recovery_op *op;

	if (!r)
		return;
	while (!TAILQ_EMPTY(&r->jobs))
		recovery_job_drop(r, TAILQ_FIRST(&r->jobs));
	event_del(&r->ev_step); /* after the jobs, which ask for it */
	event_del(&r->ev_refresh);
	LIST_FOREACH (op, &r->ops, entry)
		op->recovery = NULL;
	free(r->theirs);
	free(r);
}

bool recovery_is_done(const struct recovery *r)
{
	return r->listed && TAILQ_EMPTY(&r->jobs) && LIST_EMPTY(&r->ops) && fingerprint(r) == 0;
}

const struct recovery_stats *recovery_stats(const struct recovery *r)
{
	return &r->stats;
}
