/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/hold.h"

#include <assert.h>

#include "relay/gateway/internal.h"

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

bool hold_take(struct relay *relay, const struct buf *part)
{
	struct worker *w = relay->worker;

	if (relay->body.n + part->n > MIN(w->cfg->gateway.check_max, w->cfg->gateway.answer_max)) {
		metric_add_at(METRIC_GATEWAY_UNCHECKED, UNCHECKED_SIZE, 0, 1);
		return false;
	}
	if (atomic_load(&w->gateway->held_bytes) + part->n > w->cfg->gateway.check_bytes_max) {
		metric_add_at(METRIC_GATEWAY_UNCHECKED, UNCHECKED_ROOM, 0, 1);
		return false;
	}
	buf_put(&relay->body, part->p, part->n);
	count(relay, relay->body.n);
	relay_credit(relay, part->n);
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
