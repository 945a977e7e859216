/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/hold.h"

#include <assert.h>

#include "relay/gateway/internal.h"

#define GROW_MAX (768 << 10) /* bytes of room made at once, unless doubling makes more */

/* Why a long answer that could have been looked at was not; metrics.def's UNCHECKED. */
enum unchecked {
	UNCHECKED_SIZE,
	UNCHECKED_ROOM,
};

static void count(struct relay *relay, size_t now)
{
	_Atomic size_t *all = &relay->worker->gateway->held_bytes;

	if (now > relay->held)
		atomic_fetch_add(all, now - relay->held);
	else
		atomic_fetch_sub(all, relay->held - now);
	metric_move(METRIC_GATEWAY_HELD, (int64_t)now - (int64_t)relay->held);
	relay->held = now;
}

bool hold_wants(const struct relay *relay)
{
	return relay->kind == LEAF_PART && !relay->ask->notification &&
	       verify_look(relay->ask) == CHAIN_LOOK_BOTH;
}

/* The first part is the body's beginning as it is.  Room is made for more than the next: each time
 * there is none, all of it is copied. */
static void put(struct buf *body, struct buf *part)
{
	if (body->n == 0) {
		buf_finish(body);
		*body = *part;
		*part = (struct buf){0};
		return;
	}
	if (body->cap - body->n < part->n)
		buf_reserve(body, MAX(part->n, MIN(3 * body->n, (size_t)GROW_MAX)));
	buf_put(body, part->p, part->n);
}

bool hold_take(struct relay *relay, struct buf *part)
{
	struct worker *w = relay->worker;
	size_t n = part->n;

	if (relay->body.n + n > MIN(w->cfg->gateway.check_max, w->cfg->gateway.answer_max)) {
		metric_add_at(METRIC_GATEWAY_UNCHECKED, UNCHECKED_SIZE, 0, 1);
		return false;
	}
	if (atomic_load(&w->gateway->held_bytes) + n > w->cfg->gateway.check_bytes_max) {
		metric_add_at(METRIC_GATEWAY_UNCHECKED, UNCHECKED_ROOM, 0, 1);
		return false;
	}
	put(&relay->body, part);
	count(relay, relay->body.n);
	relay_credit(relay, n);
	return true;
}

struct buf hold_end(struct relay *relay)
{
	struct buf body = relay->body;

	relay->body = (struct buf){0};
	relay->prepaid = body.n;
	count(relay, 0);
	return body;
}

void hold_drop(struct relay *relay)
{
	if (relay->held == 0)
		return;
	buf_finish(&relay->body);
	count(relay, 0);
}
