/* SPDX-License-Identifier: Apache-2.0
 * A link to a supplier as the gateway's worker sees it: what comes in on it, and its end. */
#include <assert.h>
#include <inttypes.h>

#include "relay/base/log.h"
#include "relay/gateway/internal.h"
#include "session/budget.h"

static struct peer *peer_of(struct worker *w, struct link *link)
{
	struct peer *peer;

	HASH_FIND_PTR(w->peers, &link, peer);
	return peer;
}

void peer_update_bound(struct peer *peer)
{
	struct ledger *ledger = peer->worker->gateway->ledger;
	cu_t largest = method_table_cu_max(chain_table(chain_find("evm"))), max;

	max = budget_unpaid_max(link_peer(peer->link)->max_unpaid_cu, largest,
				ledger_cosignatures(ledger, &peer->supplier->key));
	peer->half_bound = max / 2;
	/* What it cosigns counts here a moment before it counts there. */
	peer->own_bound = MAX(max - max / 8, largest);
}

static bool on_up(struct link *link, void *arg, struct err *err)
{
	struct worker *w = arg;
	const struct frame_hello *hello = link_peer(link);
	struct supplier *supplier = supplier_find(w, &hello->key);
	struct peer *peer;

	clock_tick();
	if (!supplier)
		return err_set(err, ERR_NOT_MEMBER, "no session needs this supplier any more");
	peer = xcalloc(1, sizeof(*peer));
	peer->worker = w;
	peer->link = link;
	peer->supplier = supplier;
	supplier->refs++;
	peer->ordinal = ++w->links_made;
	record_up(peer);
	HASH_ADD_PTR(w->peers, link, peer);
	supplier->peer = peer;
	supplier->moved_us = clock_mono_us();
	peer_update_bound(peer);
	log_info("gateway.link_up", "supplier=%s address=%s", supplier->hex, link_address(link));
	peer->recovery = recovery_create(&(struct recovery_params){
		.link = link,
		.ledger = w->gateway->ledger,
		.port = w->port,
		.reader = w->reader,
		.refresh_us = RECOVERY_REFRESH_US,
	});
	sessions_on_peer(peer);
	return true;
}

static struct member *member_of_handle(struct peer *peer, uint32_t handle)
{
	struct member *m;

	HASH_FIND(hh, peer->members, &handle, sizeof(handle), m);
	return m;
}

static bool on_session_ok(struct peer *peer, const struct frame *frame, struct err *err)
{
	struct member *m = member_of_handle(peer, frame->stream);
	height_t height;

	if (!frame_read_session_ok(frame, &height, err))
		return false;
	if (m && m->state == MEMBER_NAMED) {
		m->state = MEMBER_READY;
		asks_kick(peer->worker);
	}
	return true; /* a session that is gone here meanwhile is no fault of the node */
}

static void on_session_error(struct peer *peer, uint32_t handle, const struct err *why)
{
	struct member *m = member_of_handle(peer, handle);

	if (!m || m->state != MEMBER_NAMED)
		return;
	m->state = MEMBER_REFUSED;
	m->again_us = clock_mono_us();
	if (why->code == ERR_REGISTRY_STALE)
		return; /* it reads the registry a moment later than we did */
	m->again_us += REFUSED_AGAIN_US;
	log_warn("gateway.session_refused",
		 "supplier=%s service=%s start=%" PRIu64 " why=%s \"%s\"", peer->supplier->hex,
		 m->session->info->service.s, m->session->info->start, err_info(why->code)->name,
		 why->msg);
}

static void on_relay_error(struct peer *peer, uint32_t number, const struct err *why)
{
	struct relay *r = peer_relay(peer, number);

	if (!r)
		return;
	peer_remove(peer, r);
	if (r->state == RELAY_LATE)
		relay_settle(r);
	else
		ask_on_loss(r, why);
}

static bool on_error(struct peer *peer, const struct frame *frame, struct err *err)
{
	struct frame_error e;
	struct err why;

	if (!frame_read_error(frame, &e, err))
		return false;
	err_set(&why, err_from_wire(e.code), "%.*s", (int)e.text.n, (const char *)e.text.p);
	if (e.type == FRAME_SESSION)
		on_session_error(peer, frame->stream, &why);
	else if (e.type == FRAME_RELAY)
		on_relay_error(peer, frame->stream, &why);
	else
		log_warn("gateway.node_error", "supplier=%s of=%s why=%s \"%s\"",
			 peer->supplier->hex, frame_type_name(e.type), err_info(why.code)->name,
			 why.msg);
	return true;
}

bool peer_is_leaving(const struct peer *peer)
{
	return peer->draining && peer->count == 0;
}

static bool on_goaway(struct peer *peer, const struct frame *frame, struct err *err)
{
	struct frame_goaway goaway;

	if (!frame_read_goaway(frame, &goaway, err))
		return false;
	log_info("gateway.node_leaves", "supplier=%s why=%s drain_ms=%" PRIu32, peer->supplier->hex,
		 err_info(err_from_wire(goaway.code))->name, goaway.drain_ms);
	peer->draining = true;
	if (peer->lane && peer_is_leaving(peer))
		lane_cosign(peer->lane);
	return true;
}

static bool on_frame(struct link *link, const struct frame *frame, void *arg, struct err *err)
{
	struct peer *peer = peer_of(arg, link);
	struct frame_credit credit;

	assert(peer);
	clock_tick();
	record_frame(peer, frame);
	switch (frame->type) {
	case FRAME_BATCH:
		return lane_on_batch(peer, frame, err);
	case FRAME_SESSION_OK:
		return on_session_ok(peer, frame, err);
	case FRAME_ERROR:
		return on_error(peer, frame, err);
	case FRAME_GOAWAY:
		return on_goaway(peer, frame, err);
	case FRAME_CREDIT: /* for later; in_flight_max of its HELLO is what is kept to */
		return frame_read_credit(frame, &credit, err);
	case FRAME_LANES:
	case FRAME_FETCH:
	case FRAME_LEAVES:
		return recovery_on_frame(peer->recovery, frame, err);
	default:
		return err_set(err, ERR_PROTOCOL, "a %s frame from a node",
			       frame_type_name(frame->type));
	}
}

/* Takes all relays off the link, and tells their asks once none is on it any more: what is told of
 * one may be the end of others. */
static void lose_relays(struct peer *peer, const struct err *why)
{
	LIST_HEAD(, relay) lost = LIST_HEAD_INITIALIZER(lost);
	struct relay *r;

	for (uint32_t i = peer->slots ? peer->mask + 1 : 0; i-- > 0;) {
		r = peer->slots[i];
		if (!r)
			continue;
		peer_remove(peer, r);
		if (r->state == RELAY_LATE) {
			relay_settle(r);
			continue;
		}
		r->lost = true;
		LIST_INSERT_HEAD(&lost, r, of_lost);
	}
	while ((r = LIST_FIRST(&lost))) {
		LIST_REMOVE(r, of_lost);
		r->lost = false;
		ask_on_loss(r, why);
	}
}

void peer_hold(struct peer *peer)
{
	if (peer->held || !ledger_is_busy(peer->worker->gateway->ledger))
		return;
	metric_add(METRIC_LEDGER_WAITS, 1);
	link_hold(peer->link, true);
	peer->held = true;
	peer->worker->held++;
}

void peers_resume(struct worker *w)
{
	struct peer *peer, *tmp;

	if (w->held == 0 || ledger_is_busy(w->gateway->ledger))
		return;
	HASH_ITER (hh, w->peers, peer, tmp) {
		if (peer->held)
			link_hold(peer->link, false);
		peer->held = false;
	}
	w->held = 0;
}

static void peer_destroy(struct peer *peer, const struct err *why)
{
	struct worker *w = peer->worker;
	struct member *m, *tmp;

	HASH_DEL(w->peers, peer);
	w->held -= peer->held;
	if (peer->supplier->peer == peer) {
		peer->supplier->peer = NULL;
		peer->supplier->moved_us = clock_mono_us();
	}
	HASH_ITER (hh, peer->members, m, tmp)
		member_forget(m);
	recovery_destroy(peer->recovery);
	lanes_release(peer);
	lose_relays(peer, why);
	free(peer->slots);
	supplier_unref(w, peer->supplier);
	free(peer);
}

static void on_down(struct link *link, enum link_reason reason, const struct err *err, void *arg)
{
	struct peer *peer = peer_of(arg, link);
	struct err why;

	clock_tick();
	if (!peer)
		return; /* it never came up: the pool dials again and tells on_last_error */
	if (reason == LINK_REASON_LOCAL && err)
		why = *err; /* our ledger's failure, not the node's */
	else
		err_set(&why, ERR_LINK, "the link to the node went down: %s",
			link_reason_name(reason));
	record_down(peer, reason, err);
	log_warn("gateway.link_down", "supplier=%s reason=%s in_flight=%" PRIu32 " \"%s\"",
		 peer->supplier->hex, link_reason_name(reason), peer->count, err ? err->msg : "");
	peer_destroy(peer, &why);
}

void peers_finish(struct worker *w)
{
	struct peer *peer, *tmp;
	struct err why;

	err_set(&why, ERR_SHUTDOWN, "%s", err_info(ERR_SHUTDOWN)->text);
	HASH_ITER (hh, w->peers, peer, tmp)
		peer_destroy(peer, &why);
}

const struct link_callbacks peer_callbacks = {
	.on_up = on_up,
	.on_frame = on_frame,
	.on_down = on_down,
};
