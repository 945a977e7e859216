/* SPDX-License-Identifier: Apache-2.0
 * Answers that need not be asked for again.  Each hangs at the block that it is of, by that block's
 * hash, and is found only while this block is on the branch that is served (lineage.h): so a reorg
 * takes away what was of its branch, and nothing else, and what cannot be placed is not found.
 * Under the final block answers hold for ever; realtime ones hold for one head and a short time.
 * The memory has a budget; what was found more than once outlives what was not.  Not a judge of
 * answers: whoever fills it says what an answer is, and has checked it.  No clock, no locks. */
#ifndef RELAY_CACHE_CACHE_H
#define RELAY_CACHE_CACHE_H

#include <stdatomic.h>

#include "relay/cache/lineage.h"

#define CACHE_BYTES_MIN (1u << 20)
#define CACHE_CHAINS_MAX 64
#define CACHE_BLOCKS_MAX 2048 /* of a service that are remembered */
#define CACHE_UNSURE_MAX 32   /* see cache_wants_head() */
#define CACHE_ANSWER_SHARE 16 /* no answer takes more than 1 / so many of the budget */

struct cache;
struct cache_chain; /* the blocks and answers of one service */

struct cache_options {
	uint64_t bytes_max; /* >= CACHE_BYTES_MIN; everything that the cache allocates */
	size_t chains_max;  /* 1..CACHE_CHAINS_MAX */
	usec_t fresh_us;    /* what a reorg could change is found so long after the head was told */
	usec_t realtime_us; /* what only holds for the head is found so long after it became it */
};

/* How long an answer holds. */
enum cache_life {
	/* Whatever happens to blocks: a chain's id.  Since no block vouches for it, it holds for
	 * one head only until a supplier of a second owner has said the same. */
	CACHE_FOREVER,
	CACHE_BLOCK,	/* as long as its block is on the branch that is served */
	CACHE_HEAD,	/* as long as the head is what it was when it was asked for */
	CACHE_REALTIME, /* as long as its block is the head, and the head is young */
};

/* What an answer says; the last two are never kept. */
enum cache_content {
	CACHE_VALUE,
	CACHE_EMPTY, /* nothing there: an empty list, no code */
	CACHE_NULL,  /* not there, or not yet */
	CACHE_ERROR,
};

/* What came of an answer that was given to the cache. */
enum cache_verdict {
	CACHE_STORED,
	CACHE_NO_VALUE,	 /* an error or null */
	CACHE_UNBOUND,	 /* of no block that is known or could be */
	CACHE_BEYOND,	 /* empty, of a block beyond the head, or of none that is known */
	CACHE_BEHIND,	 /* realtime, of a block behind the head */
	CACHE_TOO_LARGE, /* over its share of the budget */
	CACHE_VERDICTS,
};

/* Why an answer was not found. */
enum cache_miss {
	CACHE_ABSENT,
	CACHE_OFF_BRANCH, /* its block is not on the branch that is served */
	CACHE_STALE,	  /* the head was told too long ago, or has been it for too long, or is
			   * not the one that it was kept for */
	CACHE_MISSES,
};

/* Why an answer was given up. */
enum cache_eviction {
	CACHE_EVICTED_ROOM,	/* for the budget */
	CACHE_EVICTED_REORG,	/* its block was served, and another branch is now */
	CACHE_EVICTED_UNLINKED, /* finality passed its block by */
	CACHE_EVICTED_OLD,	/* its block was given up: there were too many */
	CACHE_EVICTED_BROKEN,	/* a final block of the service was not */
	CACHE_EVICTED_PASSED,	/* realtime, and there is a new head */
	CACHE_EVICTED_REPLACED, /* by a newer answer to the same call */
	CACHE_EVICTIONS,
};

/* Since the cache was made. */
struct cache_counts {
	uint64_t hits;
	uint64_t misses[CACHE_MISSES];
	uint64_t fills[CACHE_VERDICTS];
	uint64_t evictions[CACHE_EVICTIONS];
	uint64_t entries; /* now */
	uint64_t bytes;	  /* now */
};

/* An answer as it was given; immutable, shared by all that found it. */
struct cache_body {
	_Atomic unsigned refs;
	uint32_t id_at;	     /* where the token `1` of its id stands */
	struct lane_id lane; /* its receipt, without the salt */
	uint64_t seq;
	struct key_id supplier; /* who gave it */
	struct owner_id owner;	/* and whose that is */
	uint8_t flags;		/* of its leaf: how it was verified */
	size_t n;
	uint8_t bytes[];
};

/* An answer on its way in. */
struct cache_answer {
	enum cache_life life;
	enum cache_content content;
	bool has_number; /* block.number; without it the hash must be of a block that is known */
	bool has_hash;	 /* block.hash; without it the number must be final, or the head's */
	struct block_claim block;
	uint64_t head_serial; /* cache_head_serial() when it was asked for */
	/* It was recomputed from its block's hash, and the call named that hash.  Both: no supplier
	 * could have said anything else.  The first alone is as good while the block is one of
	 * those that are remembered, for those have their place on the branch or are not found.
	 * Anything else is found for one head only, and while that is fresh, until a supplier of
	 * another owner has said the same. */
	bool vouched, named;
	struct view body; /* with the id 1 */
	uint32_t id_at;
	struct lane_id lane;
	uint64_t seq;
	struct key_id supplier;
	struct owner_id owner;
	uint8_t flags;
};

struct cache_key {
	uint8_t b[32];
};

struct cache *cache_create(const struct cache_options *options);
void cache_destroy(struct cache *cache);
DEFINE_CLEANUP(struct cache *, cache_destroy)

struct cache_secret {
	uint8_t b[32]; /* random */
};

/* The key of a call: SHA-256 over a secret, the service, the block that the call was pinned to
 * (NULL: none) and the call's canonical text in parts, so that nobody outside can make two calls
 * meet.  parts: 1..CACHE_KEY_PARTS_MAX. */
#define CACHE_KEY_PARTS_MAX 4
void cache_key_make(const struct cache_secret *secret, const struct service_name *service,
		    const struct hash *pinned, const struct view *parts, size_t count,
		    struct cache_key *ret);

/* The service's blocks, made when new; as long as the cache.  At most chains_max are asked for. */
struct cache_chain *cache_chain(struct cache *cache, const struct service_name *service);

/* A block that was seen in a checked answer.  False: it could not be remembered (lineage_add()). */
bool cache_learn(struct cache_chain *chain, const struct block_claim *block);
/* The head that is served, each time that it is told, also the same again.  False: it contradicts
 * what is known, and nothing has changed. */
bool cache_head(struct cache_chain *chain, const struct block_claim *head, usec_t now);
/* How often the head has changed: an answer that was asked for and came while it did not is the
 * head's, as far as can be told. */
uint64_t cache_head_serial(const struct cache_chain *chain);
/* Blocks up to this number will not change. */
void cache_final(struct cache_chain *chain, uint64_t number);

/* Keeps an answer, or tells why not.  It is found once its block is on the branch. */
enum cache_verdict cache_fill(struct cache_chain *chain, const struct cache_key *key,
			      const struct cache_answer *answer);
/* The answer to a call; a ref, to be given back with cache_unref().  NULL: there is none. */
struct cache_body *cache_find(struct cache_chain *chain, const struct cache_key *key, usec_t now);
/* The same, by somebody who will look once more: what is not found is not counted yet. */
struct cache_body *cache_peek(struct cache_chain *chain, const struct cache_key *key, usec_t now);
/* So many calls were not found while it was not known what the head is that it is worth to ask:
 * nobody else may.  True once for as many more. */
bool cache_wants_head(struct cache_chain *chain);
/* Any thread. */
void cache_ref(struct cache_body *body);
void cache_unref(struct cache_body *body);

/* Bytes that an answer of n bytes takes. */
size_t cache_entry_bytes(size_t n);
const struct cache_counts *cache_counts(const struct cache *cache);

#endif
