/* SPDX-License-Identifier: Apache-2.0
 * Whom the pool should keep a link to: the members of sessions, and who is owed a last cosignature.
 * It is told once a tick, however many sessions began in it. */
#include "relay/gateway/internal.h"

struct supplier *wanted_ref(struct worker *w, const struct session_member *member, height_t start)
{
	struct supplier *s = supplier_ref(w, &member->key);

	if (s->members++ == 0)
		w->wanted_changed = true;
	/* The newest session's endpoint is the one that counts. */
	if (start >= s->endpoint_start && strcmp(s->endpoint, member->endpoint) != 0) {
		memcpy(s->endpoint, member->endpoint, sizeof(member->endpoint));
		s->endpoint_start = start;
		w->wanted_changed = true;
	}
	return s;
}

void wanted_unref(struct worker *w, struct supplier *s)
{
	if (--s->members == 0)
		w->wanted_changed = true;
	supplier_unref(w, s);
}

/* Those who are only owed a cosignature come after those who serve. */
static size_t add_owed(struct worker *w, struct pool_target *targets, size_t count)
{
	struct pool_target owed[GATEWAY_OWED_MAX];
	size_t n = owed_refresh(w, owed);

	for (size_t i = 0; i < n; i++) {
		const struct supplier *s = supplier_find(w, &owed[i].key);

		if (!s || s->members == 0)
			targets[count++] = owed[i];
	}
	return count;
}

void wanted_tell(struct worker *w)
{
	size_t cap = HASH_COUNT(w->suppliers) + GATEWAY_OWED_MAX, count = 0;
	struct pool_target *targets = xmalloc(cap * sizeof(*targets));
	struct supplier *s, *tmp;

	HASH_ITER (hh, w->suppliers, s, tmp) {
		if (s->members == 0)
			continue;
		targets[count].key = s->key;
		memcpy(targets[count++].endpoint, s->endpoint, sizeof(s->endpoint));
	}
	atomic_store_explicit(&w->state.suppliers, (unsigned)count, memory_order_relaxed);
	count = add_owed(w, targets, count);
	pool_set_wanted(w->pool, targets, count);
	free(targets);
	w->wanted_changed = false;
}
