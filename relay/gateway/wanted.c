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

static void put_target(struct pool_target *target, const struct supplier *s)
{
	target->key = s->key;
	memcpy(target->endpoint, s->endpoint, sizeof(s->endpoint));
}

void wanted_tell(struct worker *w)
{
	size_t cap = HASH_COUNT(w->suppliers), count = 0;
	struct pool_target *targets = xmalloc(cap * sizeof(*targets));
	struct supplier *s, *tmp;

	HASH_ITER (hh, w->suppliers, s, tmp) {
		if (s->members == 0)
			continue;
		put_target(&targets[count++], s);
	}
	atomic_store_explicit(&w->state.suppliers, (unsigned)count, memory_order_relaxed);
	/* Those who are only owed a cosignature come after those who serve. */
	for (size_t i = 0; i < w->owed_n; i++)
		if (w->owed[i]->members == 0)
			put_target(&targets[count++], w->owed[i]);
	pool_set_wanted(w->pool, targets, count);
	free(targets);
	w->wanted_changed = false;
}
