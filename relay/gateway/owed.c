/* SPDX-License-Identifier: Apache-2.0
 * Suppliers with whom a lane is still to be closed: a link that was cut, or a crash, left them a
 * receipt without its last cosignature.  They are owed a link until recovery has settled it, also
 * long after any session needs them, and wherever the registry says that they are by now ([L7],
 * [L8]).  Looked for now and then: such a lane may be left behind at any time. */
#include <assert.h>

#include "relay/gateway/internal.h"

static void owed_clear(struct worker *w)
{
	for (size_t i = 0; i < w->owed_n; i++)
		supplier_unref(w, w->owed[i]);
	w->owed_n = 0;
}

void owed_finish(struct worker *w)
{
	owed_clear(w);
}

/* Where it is by now; the sessions that it is a member of know better ([S3]).  Returns whether that
 * is news. */
static bool owed_move(struct supplier *s, const char *endpoint)
{
	if (s->members > 0 || strcmp(s->endpoint, endpoint) == 0)
		return false;
	memcpy(s->endpoint, endpoint, strlen(endpoint) + 1);
	return true;
}

void owed_look(struct worker *w)
{
	struct supplier *before[GATEWAY_OWED_MAX];
	struct key_id keys[GATEWAY_OWED_MAX];
	size_t before_n = w->owed_n, count;
	bool changed = false;

	if (w->id != 0 || clock_mono_us() < w->owed_at_us)
		return; /* one worker does it for all: the ledger is the process's */
	w->owed_at_us = clock_mono_us() + OWED_LOOK_US;
	memcpy(before, w->owed, before_n * sizeof(before[0]));
	w->owed_n = 0;
	count = ledger_unclosed_peers(w->gateway->ledger, keys, GATEWAY_OWED_MAX);
	record_owed(w, keys, count);
	for (size_t i = 0; i < count; i++) {
		const struct supplier_entry *e =
			history_supplier(view_history(w->view), &keys[i], w->height);
		struct supplier *s;

		if (!e || !e->endpoint || strlen(e->endpoint) > POOL_ENDPOINT_MAX)
			continue; /* nobody knows where it is */
		s = supplier_ref(w, &keys[i]);
		changed |= owed_move(s, e->endpoint);
		changed |= w->owed_n >= before_n || before[w->owed_n] != s;
		w->owed[w->owed_n++] = s;
	}
	w->wanted_changed |= changed || w->owed_n != before_n;
	for (size_t i = 0; i < before_n; i++)
		supplier_unref(w, before[i]);
}
