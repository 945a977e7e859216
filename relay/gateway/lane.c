/* SPDX-License-Identifier: Apache-2.0
 * A lane of a link: batches are checked, committed, and only then answered; heads are cosigned. */
#include <assert.h>
#include <inttypes.h>

#include "relay/base/log.h"
#include "relay/gateway/internal.h"
#include "relay/ledger/fault.h"

struct lane {
	unsigned refs; /* the peer's, and one for each operation in the ledger */
	struct worker *worker;
	struct peer *peer; /* NULL once the link is gone, or the lane is closed on it */
	struct inbound_lane *in;
	struct ledger_lane *ledger; /* NULL once released */
	struct checkpoint head;	    /* newest that has committed; size 0: none */
	uint64_t cosigned_size;	    /* of the newest that was given to the ledger */
	unsigned committing;	    /* operations on their way into the ledger */
	bool cosigning;		    /* a cosignature is on its way into the ledger */
	bool bad;		    /* a batch was not good: never cosigned again */
	bool retired;		    /* the link has another lane: released when all is committed */
	LIST_ENTRY(lane) of_peer;
};

/* One batch on its way into the ledger. */
struct commit {
	struct lane *lane;
	struct checkpoint head;
	bool is_due; /* so much is owed that a cosignature is due */
	size_t count;
	struct leaf_taken leaves[];
};

static void lane_unref(struct lane *lane)
{
	if (--lane->refs > 0)
		return;
	assert(!lane->ledger);
	inbound_lane_destroy(lane->in);
#ifndef __clang_analyzer__ /* it does not count references */
	free(lane);
#endif
}

static void lane_release(struct lane *lane)
{
	assert(lane->peer); /* it stands in its list */
	if (lane->peer->lane == lane)
		lane->peer->lane = NULL;
	lane->peer = NULL;
	LIST_REMOVE(lane, of_peer);
	ledger_lane_release(lane->worker->port, lane->ledger);
	lane->ledger = NULL;
	lane_unref(lane);
}

void lanes_release(struct peer *peer)
{
	while (!LIST_EMPTY(&peer->lanes))
		lane_release(LIST_FIRST(&peer->lanes));
}

static bool lane_open(struct peer *peer, const struct lane_id *id, struct err *err)
{
	struct worker *w = peer->worker;
	struct checkpoint_origin origin = {
		.network = w->self.network,
		.gateway = w->self.id,
		.supplier = peer->supplier->key,
		.lane = *id,
	};
	struct ledger_lane *ledger;
	struct lane *lane;

	if (!ledger_lane_open(w->port, id, &peer->supplier->key, clock_day(clock_wall_ms()), NULL,
			      NULL, &ledger, err))
		return false;
	lane = xcalloc(1, sizeof(*lane));
	lane->refs = 1;
	lane->worker = w;
	lane->peer = peer;
	lane->in = inbound_lane_create(&origin);
	lane->ledger = ledger;
	peer->lane = lane;
	LIST_INSERT_HEAD(&peer->lanes, lane, of_peer);
	return true;
}

/* A lane that the link left behind goes when its last head has been cosigned. */
static void lane_end_if_retired(struct lane *lane)
{
	if (!lane->retired || !lane->peer || lane->committing > 0)
		return;
	lane_cosign(lane);
	if (lane->committing == 0)
		lane_release(lane);
}

/* --- cosigning --- */

struct cosigning {
	struct lane *lane;
	struct frame_cosign frame;
};

static void on_cosigned(void *arg, const struct err *err)
{
	struct cosigning *c = arg;
	struct peer *peer = c->lane->peer;

	if (err) {
		log_error("gateway.cosign_failed", "\"%s\"", err->msg);
	} else if (peer && link_is_up(peer->link)) {
		frame_put_cosign(link_out(peer->link), &c->frame);
		link_sent(peer->link);
		metric_add(METRIC_LINK_COSIGNATURES, 1);
		peer_update_bound(peer);
	}
	c->lane->committing--;
	c->lane->cosigning = false;
	record_kick(c->lane->worker);
	asks_kick(c->lane->worker); /* some may have waited for it */
	lane_end_if_retired(c->lane);
	lane_unref(c->lane);
	free(c);
}

void lane_cosign(struct lane *lane)
{
	const struct checkpoint_lane *names = inbound_lane_names(lane->in);
	struct checkpoint head = lane->head;
	struct ledger_cosigned cosigned;
	struct cosigning *c;

	if (lane->bad || !lane->ledger || head.size <= lane->cosigned_size ||
	    ledger_lane_is_dead(lane->ledger))
		return;
	checkpoint_cosign(names, lane->worker->gateway->key, (uint64_t)(clock_wall_ms() / 1000),
			  &head);
	cosigned = (struct ledger_cosigned){
		.size = head.size,
		.root = head.root,
		.time = head.cosign_time,
		.signature = head.gateway_sig,
	};
	c = xcalloc(1, sizeof(*c));
	c->lane = lane;
	c->frame = (struct frame_cosign){
		.lane = names->origin.lane,
		.size = head.size,
		.root = head.root,
		.time_s = head.cosign_time,
		.signature = head.gateway_sig,
	};
	lane->refs++;
	lane->committing++;
	lane->cosigning = true;
	lane->cosigned_size = head.size;
	ledger_cosign(lane->worker->port, lane->ledger, &cosigned, on_cosigned, c);
}

/* --- committing --- */

static void on_committed(void *arg, const struct err *err)
{
	struct commit *c = arg;
	struct lane *lane = c->lane;

	lane->committing--;
	if (!err)
		lane->head = c->head;
	for (size_t i = 0; i < c->count; i++)
		leaf_committed(&c->leaves[i], err);
	if (err && lane->peer)
		link_close(lane->peer->link, err); /* the lane is dead ([L3]) */
	else if (lane->peer && ((c->is_due && !lane->cosigning) || peer_is_leaving(lane->peer)))
		lane_cosign(lane);
	lane_end_if_retired(lane);
	lane_unref(lane);
	free(c);
}

/* Gives back what was reserved above the leaf's cu, and reserves what a later part costs. */
static void settle_reserved(struct relay *r, uint32_t cu)
{
	if (r->reserved > cu) {
		ledger_tab_release(r->member->tab, r->reserved - cu);
	} else if (r->reserved < cu) {
		/* The node's price of a part stands in the table: there is no bound to keep here.
		 */
		enum ledger_room room = ledger_tab_reserve(r->member->tab, cu - r->reserved,
							   UINT64_MAX, UINT64_MAX);

		assert(room == LEDGER_ROOM);
	}
	r->reserved = 0;
}

static void commit_batch(struct peer *peer, const struct frame_batch *batch,
			 struct inbound_batch *good)
{
	struct worker *w = peer->worker;
	struct lane *lane = peer->lane;
	struct ledger_batch *out = ledger_batch_create(w->port);
	struct commit *c = xmalloc(sizeof(*c) + good->count * sizeof(c->leaves[0]));
	struct ledger_head head = {
		.size = good->head.size,
		.root = good->head.root,
		.signature = good->head.supplier_sig,
	};

	*c = (struct commit){.lane = lane, .head = good->head};
	for (size_t i = 0; i < good->count; i++) {
		struct inbound_answer *a = &good->answers[i];
		struct relay *r = CONTAINER_OF(a->relay, struct relay, in);
		bool later_part = a->leaf.kind == LEAF_PART && a->leaf.part > 0;
		const struct leaf_news news = {
			.lane = batch->lane,
			.seq = a->leaf.seq,
			.kind = a->leaf.kind,
			.status = a->leaf.status,
			.body = a->response.body,
			.last = a->last,
		};

		settle_reserved(r, a->leaf.cu);
		ledger_batch_add(out, r->member->tab, batch->answers[i].leaf, &a->leaf_hash,
				 &r->in.salt, later_part ? VIEW(NULL, 0) : r->in.request,
				 batch->answers[i].response);
		/* what all workers owe together, in all sessions */
		c->is_due |= ledger_tab_unpaid(r->member->tab) > peer->half_bound;
		leaf_take(&c->leaves[c->count++], r, &news);
	}
	lane->refs++;
	lane->committing++;
	ledger_append(w->port, lane->ledger, out, &head, on_committed, c);
}

/* --- batches --- */

static struct inbound_relay *find_relay(void *arg, uint32_t number)
{
	struct relay *r = peer_relay(arg, number);

	return r ? &r->in : NULL;
}

/* Keeps a batch that the supplier signed, for an auditor. */
static bool keep_fault(struct peer *peer, const struct frame_batch *batch)
{
	struct worker *w = peer->worker;
	CLEANUP(xfree) struct ledger_fault *fault = xcalloc(1, sizeof(*fault));
	struct err err;

	if (!peer->lane || !inbound_is_signed(peer->lane->in, batch))
		return false;
	fault->supplier = peer->supplier->key;
	fault->lane = batch->lane;
	fault->first = batch->first;
	fault->count = batch->count;
	for (uint32_t i = 0; i < batch->count; i++)
		memcpy(fault->leaves[i], batch->answers[i].leaf, LEDGER_LEAF_BYTES);
	fault->head.root = batch->root;
	fault->head.signature = batch->signature;
	if (!ledger_fault_keep(w->gateway->ledger, fault, w->cfg->evidence.faults_max, &err)) {
		if (err.code != ERR_LIMIT)
			log_error("gateway.fault_not_kept", "\"%s\"", err.msg);
		return false;
	}
	metric_add(METRIC_GATEWAY_FAULTS_KEPT, 1);
	return true;
}

/* A batch that is not good: kept when it is signed, never answered with, never cosigned. */
static bool on_fault(struct peer *peer, const struct frame_batch *batch,
		     enum inbound_verdict verdict, struct err *err)
{
	char lane[33], root[65], signature[129];

	hex_encode(batch->lane.b, sizeof(batch->lane.b), lane);
	hex_encode(batch->root.b, sizeof(batch->root.b), root);
	hex_encode(batch->signature.b, sizeof(batch->signature.b), signature);
	log_error("gateway.fault",
		  "kind=%s supplier=%s lane=%s first=%" PRIu64 " count=%" PRIu32
		  " root=%s signature=%s kept=%d why=\"%s\"",
		  verdict == INBOUND_PROVABLE ? "provable" : "local", peer->supplier->hex, lane,
		  batch->first, batch->count, root, signature, keep_fault(peer, batch), err->msg);
	metric_add_at(METRIC_GATEWAY_FAULTS, err->code, 0, 1);
	if (peer->lane)
		peer->lane->bad = true;
	record_fault(peer);
	supplier_drop(peer->worker, peer->supplier);
	return false;
}

/* The node moved on to another lane ([T2]): the old one gets its last cosignature. */
static bool lane_change(struct peer *peer, const struct lane_id *id, struct err *err)
{
	struct lane *old = peer->lane, *lane;
	struct ledger_lane *known;
	size_t n = 0;

	if (ledger_lane_find(peer->worker->gateway->ledger, id, &peer->supplier->key, &known) !=
	    LEDGER_LANE_UNKNOWN)
		return err_set(err, ERR_PROTOCOL, "a batch on a lane that was used before [L4]");
	LIST_FOREACH (lane, &peer->lanes, of_peer)
		n++;
	if (n >= peer->worker->cfg->gateway.lanes_max)
		return err_set(err, ERR_LIMIT, "%zu lanes wait for their last cosignature", n);
	if (old) {
		peer->lane = NULL;
		old->retired = true;
		lane_end_if_retired(old);
	}
	return lane_open(peer, id, err);
}

bool lane_on_batch(struct peer *peer, const struct frame *frame, struct err *err)
{
	struct worker *w = peer->worker;
	enum inbound_verdict verdict;

	if (!frame_read_batch(frame, &w->batch, err))
		return false;
	if ((!peer->lane ||
	     !ID_EQ(&w->batch.lane, &inbound_lane_names(peer->lane->in)->origin.lane)) &&
	    !lane_change(peer, &w->batch.lane, err))
		return err->code == ERR_PROTOCOL ? on_fault(peer, &w->batch, INBOUND_LOCAL, err)
						 : false;
	verdict = inbound_check(peer->lane->in, &w->batch, find_relay, peer, &w->good, err);
	if (verdict != INBOUND_GOOD)
		return on_fault(peer, &w->batch, verdict, err);
	if (ledger_lane_is_dead(peer->lane->ledger))
		return err_set(err, ERR_LEDGER, "the lane is dead");
	commit_batch(peer, &w->batch, &w->good);
	peer_hold(peer);
	return true;
}
