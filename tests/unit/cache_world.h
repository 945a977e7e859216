/* SPDX-License-Identifier: Apache-2.0
 * A cache with blocks, heads and answers whose first byte says what they are; for its tests. */
#ifndef TESTS_UNIT_CACHE_WORLD_H
#define TESTS_UNIT_CACHE_WORLD_H

#include "relay/base/mem.h"
#include "relay/cache/cache.h"
#include "relay/crypto/digest.h"
#include "tests/support/gen.h"

#define FRESH_US 2000
#define REALTIME_US 1000

static const struct cache_secret secret = {.b = {7}};
static const struct service_name eth = {.s = "eth"}, other = {.s = "other"};

static inline struct cache *make_cache(void)
{
	struct cache_options options = {.bytes_max = CACHE_BYTES_MIN,
					.chains_max = 2,
					.fresh_us = FRESH_US,
					.realtime_us = REALTIME_US};

	return cache_create(&options);
}

/* Block `number` of a fork, whose block `base` is that of fork 0. */
static inline struct block_claim block_on(uint64_t number, uint8_t fork, uint64_t base)
{
	struct block_claim claim = {.number = number, .has_parent = true, .sure = true};

	put_be64(claim.hash.b, number);
	claim.hash.b[31] = number > base ? fork : 0;
	put_be64(claim.parent.b, number - 1);
	claim.parent.b[31] = number - 1 > base ? fork : 0;
	return claim;
}

static inline struct block_claim block(uint64_t number)
{
	return block_on(number, 0, 0);
}

static inline void set_head(struct cache_chain *chain, uint64_t number, usec_t now)
{
	struct block_claim claim = block(number);

	assert_true(cache_head(chain, &claim, now));
}

static inline struct cache_key key_of(uint64_t call)
{
	struct view part = VIEW(&call, sizeof(call));
	struct cache_key key;

	cache_key_make(&secret, &eth, NULL, &part, 1, &key);
	return key;
}

static inline struct cache_answer answer_at(const struct block_claim *at, const char *text)
{
	return (struct cache_answer){.life = CACHE_BLOCK,
				     .content = CACHE_VALUE,
				     .has_number = true,
				     .has_hash = true,
				     .vouched = true,
				     .named = true,
				     .block = *at,
				     .body = VIEW_STR(text),
				     .id_at = 3,
				     .lane = {{1, 2, 3}},
				     .seq = 42,
				     .supplier = {{9}},
				     .flags = 4};
}

static inline enum cache_verdict fill(struct cache *c, uint64_t call,
				      const struct cache_answer *answer)
{
	struct cache_key key = key_of(call);

	return cache_fill(cache_chain(c, &eth), &key, answer);
}

static inline bool finds(struct cache *c, uint64_t call, usec_t now)
{
	struct cache_key key = key_of(call);
	struct cache_body *body = cache_find(cache_chain(c, &eth), &key, now);

	cache_unref(body);
	return body != NULL;
}

#endif
