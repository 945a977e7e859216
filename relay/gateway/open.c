/* SPDX-License-Identifier: Apache-2.0
 * Asks that others may join, since they ask the same ([G6]). */
#include "relay/gateway/internal.h"

static struct ask_bucket *bucket_of(struct worker *w, const struct cache_key *key)
{
	return &w->open[get_be64(key->b) & (OPEN_BUCKETS - 1)]; /* the key is a keyed hash */
}

struct ask *open_find(struct worker *w, const struct ask_params *params)
{
	struct ask *ask;

	if (!params->key)
		return NULL;
	LIST_FOREACH (ask, bucket_of(w, params->key), same_bucket)
		if (ID_EQ(&ask->key, params->key) && ask->last_us <= params->deadline_us &&
		    ID_EQ(&ask->terms.seen, &params->terms.seen))
			return ask;
	return NULL;
}

struct ask *open_add(struct ask *ask, const struct cache_key *key)
{
	if (!key)
		return ask;
	ask->key = *key;
	ask->open = true;
	LIST_INSERT_HEAD(bucket_of(ask->worker, key), ask, same_bucket);
	return ask;
}

void open_remove(struct ask *ask)
{
	if (ask->open)
		LIST_REMOVE(ask, same_bucket);
	ask->open = false;
}
