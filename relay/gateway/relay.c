/* SPDX-License-Identifier: Apache-2.0
 * Relays on a link: their numbers, their places, and the one kept after nobody waits any more. */
#include <assert.h>

#include "relay/base/rng.h"
#include "relay/gateway/internal.h"

#define SLOTS_FIRST 64
#define FREE_RELAYS_MAX 1024
#define KEPT_BYTES_MAX 8192 /* larger buffers are not kept for the next relay */

static struct relay *relay_create(struct ask *ask, struct member *member)
{
	struct worker *w = ask->worker;
	struct relay *r = w->free_relays;

	if (r) {
		struct buf body = r->body;

		w->free_relays = r->next_free;
		w->free_relay_count--;
		*r = (struct relay){.body = body};
		r->body.n = 0;
	} else {
		r = xcalloc(1, sizeof(*r));
	}
	r->worker = w;
	r->ask = ask;
	ask_ref(ask);
	r->session = session_ref(ask->session);
	r->member = member;
	return r;
}

static void relay_destroy(struct relay *r)
{
	struct worker *w = r->worker;

	assert(!r->peer && r->commits == 0);
	if (r->reserved > 0)
		ledger_tab_release(r->member->tab, r->reserved);
	session_unref(w, r->session);
	ask_unref(r->ask);
	if (w->free_relay_count == FREE_RELAYS_MAX) {
		buf_finish(&r->body);
		free(r);
		return;
	}
	if (r->body.cap > KEPT_BYTES_MAX)
		buf_finish(&r->body);
	r->next_free = w->free_relays;
	w->free_relays = r;
	w->free_relay_count++;
}

/* --- places ---
 *
 * Numbers only grow, and one whose place is taken is left out, so a relay is found by one index and
 * nothing is ever moved but when the table doubles. */

static void slots_double(struct peer *peer)
{
	uint32_t size = peer->slots ? (peer->mask + 1) * 2 : SLOTS_FIRST;
	struct relay **slots = xcalloc(size, sizeof(struct relay *));

	for (uint32_t i = 0; peer->slots && i <= peer->mask; i++) {
		if (peer->slots[i])
			slots[peer->slots[i]->in.number & (size - 1)] = peer->slots[i];
	}
	free(peer->slots);
	peer->slots = slots;
	peer->mask = size - 1;
}

void peer_add(struct peer *peer, struct relay *relay)
{
	if (!peer->slots || peer->count * 2 > peer->mask)
		slots_double(peer);
	do {
		peer->next_number++;
	} while (peer->slots[peer->next_number & peer->mask]);
	relay->in.number = peer->next_number;
	relay->peer = peer;
	peer->slots[peer->next_number & peer->mask] = relay;
	peer->count++;
}

struct relay *peer_relay(struct peer *peer, uint32_t number)
{
	struct relay *r = peer->slots ? peer->slots[number & peer->mask] : NULL;

	return r && r->in.number == number ? r : NULL;
}

void peer_remove(struct peer *peer, struct relay *relay)
{
	assert(peer && relay->peer == peer);
	peer->slots[relay->in.number & peer->mask] = NULL;
	peer->count--;
	relay->peer = NULL;
	if (relay->state == RELAY_LATE)
		TAILQ_REMOVE(&relay->worker->orphans, relay, orphans);
}

/* --- sending --- */

static uint32_t ms_until(usec_t until)
{
	usec_t left = until - clock_mono_us();

	return left < 1000 ? 1 : (uint32_t)(left / 1000);
}

bool relay_send(struct ask *ask, struct member *member, usec_t until_us, struct err *err)
{
	struct peer *peer = member->peer;
	const struct chain_method *method = ask->method;
	struct frame_relay frame;
	enum ledger_room room;
	struct relay *r;

	assert(member_is_ready(member));
	if (ask->encoding.n + FRAME_HEADER_BYTES + 64 > link_peer(peer->link)->frame_max)
		return err_set(err, ERR_FRAME_TOO_LARGE, "the call is larger than the node takes");
	room = ledger_tab_reserve(member->tab, method->cu, peer->own_bound, member->served_max);
	if (room != LEDGER_ROOM) {
		enum err_code why = room == LEDGER_ROOM_UNPAID ? ERR_UNPAID : ERR_ALLOWANCE;

		record_no_room(member, why);
		return err_set(err, why, "%s", err_info(why)->text);
	}
	r = relay_create(ask, member);
	r->reserved = method->cu;
	r->until_us = until_us;
	r->in = (struct inbound_relay){
		.session = ask->session->info->id,
		.request = buf_view(&ask->encoding),
		.notification = ask->notification,
		.chain = ask->session->chain,
		.method = method->id,
		.cu = method->cu,
		.part_cu = method->part_cu,
		.pinned = ask->terms.pinned,
		.pinned_by_hash = ask->terms.by_hash,
		.pin_block = ask->terms.pin.number,
		.pin_hash = ask->terms.pin.hash,
		.credit = FRAME_CREDIT_FIRST,
	};
	rng_bytes(r->in.salt.b, sizeof(r->in.salt.b));
	r->sent_us = clock_mono_us();
	quality_on_sent(r);
	r->link = peer->ordinal;
	peer_add(peer, r);
	record_sent(r);
	LIST_INSERT_HEAD(&ask->attempts, r, of_ask);
	frame = (struct frame_relay){
		.session = member->handle,
		.deadline_ms = ms_until(ask->deadline_us),
		.salt = r->in.salt,
		.pinned = ask->terms.pinned,
		.pin_block = ask->terms.pin.number,
		.pin_hash = ask->terms.pin.hash,
		.request = r->in.request,
	};
	frame_put_relay(link_out(peer->link), r->in.number, &frame);
	link_sent(peer->link);
	metric_add_at(METRIC_GATEWAY_PICKS, member->supplier->label, 0, 1);
	return true;
}

void relay_credit(struct relay *r, size_t bytes)
{
	struct frame_credit credit;
	size_t paid = MIN(bytes, r->prepaid);

	r->prepaid -= paid;
	if (paid > 0 && paid == bytes)
		return;
	credit.bytes = (uint32_t)MIN(bytes - paid, (size_t)UINT32_MAX);
	if (!r->peer || !link_is_up(r->peer->link))
		return; /* its last part is here, or none will come */
	r->in.credit += credit.bytes;
	frame_put_credit(link_out(r->peer->link), r->in.number, &credit);
	link_sent(r->peer->link);
}

/* --- and afterwards --- */

void relay_keep(struct relay *r)
{
	assert(r->state == RELAY_COMMITTING || r->state == RELAY_FLOWING);
	LIST_REMOVE(r, of_ask);
	quality_on_answer(r);
	r->state = RELAY_KEPT;
}

void relay_give_up(struct relay *r)
{
	assert(r->state != RELAY_LATE);
	if (r->state != RELAY_KEPT)
		LIST_REMOVE(r, of_ask);
	quality_on_given_up(r);
	if (r->lost)
		LIST_REMOVE(r, of_lost);
	hold_drop(r);
	r->state = RELAY_LATE;
	if (!r->peer) {
		relay_settle(r);
		return;
	}
	r->orphaned_us = clock_mono_us();
	TAILQ_INSERT_TAIL(&r->worker->orphans, r, orphans);
	if (r->ask->traits->send == CHAIN_SEND_SPREAD)
		return; /* a transaction is to reach whom it was sent to */
	frame_put_cancel(link_out(r->peer->link), r->in.number);
	link_sent(r->peer->link);
}

void relay_settle(struct relay *r)
{
	if (!r->peer && r->state == RELAY_LATE && r->commits == 0)
		relay_destroy(r);
}

void relays_expire(struct worker *w, usec_t now)
{
	struct relay *r;

	while ((r = TAILQ_FIRST(&w->orphans)) && r->orphaned_us + ORPHAN_US < now) {
		peer_remove(r->peer, r);
		ANALYZER_FACT(r != TAILQ_FIRST(&w->orphans)); /* peer_remove() took it off */
		relay_settle(r);
	}
}
