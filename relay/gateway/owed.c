/* SPDX-License-Identifier: Apache-2.0
 * Suppliers that no session needs, but with whom a lane is still to be closed: a link that was cut,
 * or a crash, left them a receipt without its cosignature.  They are owed a link until recovery has
 * settled it, also long after the session ([L7], [L8]). */
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

size_t owed_refresh(struct worker *w, struct pool_target ret[GATEWAY_OWED_MAX])
{
	struct supplier *before[GATEWAY_OWED_MAX];
	struct key_id keys[GATEWAY_OWED_MAX];
	size_t before_n = w->owed_n, count, n = 0;

	if (w->id != 0)
		return 0; /* one worker does it for all: the ledger is the process's */
	memcpy(before, w->owed, sizeof(before));
	w->owed_n = 0;
	count = ledger_unclosed_peers(w->gateway->ledger, keys, GATEWAY_OWED_MAX);
	record_owed(w, keys, count);
	for (size_t i = 0; i < count; i++) {
		const struct supplier_entry *e =
			history_supplier(view_history(w->view), &keys[i], w->height);

		if (!e || !e->endpoint || strlen(e->endpoint) > POOL_ENDPOINT_MAX)
			continue; /* nobody knows where it is */
		w->owed[w->owed_n++] = supplier_ref(w, &keys[i]);
		ret[n].key = keys[i];
		memcpy(ret[n++].endpoint, e->endpoint, strlen(e->endpoint) + 1);
	}
	for (size_t i = 0; i < before_n; i++)
		supplier_unref(w, before[i]);
	return n;
}
