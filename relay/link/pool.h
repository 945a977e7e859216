/* SPDX-License-Identifier: Apache-2.0
 * A gateway worker's links: one to each supplier that is wanted, kept up, dialled again with
 * exponential backoff and jitter.  It does not choose suppliers and knows no sessions: the owner
 * gives the set that the current and the next sessions need, so links are warm in time.
 *
 * A supplier no longer wanted keeps its link for the grace time, so that calls in flight end. */
#ifndef RELAY_LINK_POOL_H
#define RELAY_LINK_POOL_H

#include "relay/link/link.h"

#define POOL_ENDPOINT_MAX 255

struct pool_target {
	struct key_id key;
	char endpoint[POOL_ENDPOINT_MAX + 1];
};

struct pool_params {
	usec_t backoff_min_us; /* first retry; 100 ms */
	usec_t backoff_max_us; /* 30 s */
	usec_t grace_us;       /* how long a link is kept that is not wanted; 60 s */
	struct link_params link;
};
void pool_params_default(struct pool_params *ret);

struct pool;

/* cbs (copied) and arg are those of every link.  The pool destroys its links itself, after on_down;
 * the owner must not, and closes one with link_close().  It dials again as long as the target is
 * wanted.  Host names are looked up anew at each dial, without blocking. */
struct pool *pool_create(struct event_base *base, struct tls *tls, const struct link_self *self,
			 const struct pool_params *params, const struct link_callbacks *cbs,
			 void *arg);
/* Closes all links without a word and without on_down. */
void pool_destroy(struct pool *pool);

/* Replaces the wanted set: new ones are dialled at once, gone ones dropped after grace, a changed
 * endpoint dials the new one and keeps the old link until grace ends.  Targets are copied. */
void pool_set_wanted(struct pool *pool, const struct pool_target *targets, size_t count);

/* The link to a supplier that is up and not draining, NULL when there is none.  O(1). */
struct link *pool_get(const struct pool *pool, const struct key_id *key);
/* Why there is none, for status and errors; false when the key is not known to the pool. */
bool pool_last_error(const struct pool *pool, const struct key_id *key, struct err *ret);
size_t pool_up_count(const struct pool *pool);
size_t pool_wanted_count(const struct pool *pool);

#endif
