/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/cache/cache.h"

#include <assert.h>

#include "relay/base/mem.h"
#include "relay/cache/internal.h"
#include "relay/crypto/digest.h"

TAILQ_HEAD(entry_queue, entry);

/* Answers that were never found stand in NEWCOMERS, others in PROVEN, each in the order of use, the
 * latest first.  Room is made among newcomers first, so one long scan by one client throws out
 * nobody's hot answers; PROVEN is kept to its share, and those that fall out of it are newcomers
 * again. */
enum queue { NEWCOMERS, PROVEN, QUEUES };
#define PROVEN_SHARE(bytes) ((bytes) / 4 * 3)

struct entry {
	struct cache_key key;
	struct cache_chain *chain;
	struct lineage_block *block; /* NULL: it is final */
	enum cache_life life;
	bool lasting;	      /* else it is found only while this does not change: */
	uint64_t head_serial; /* of the chain, when it was asked for */
	enum queue queue;
	struct cache_body *body;
	struct entry *next; /* in its bucket */
	TAILQ_ENTRY(entry) used;
	LIST_ENTRY(entry) at_block;
};

struct cache_chain {
	struct cache *cache;
	struct service_name service;
	struct lineage *lineage;
	uint64_t breaks;      /* of the lineage, that have been seen to */
	uint64_t head_serial; /* how often there was another head */
	usec_t head_since_us;
	usec_t head_told_us;
	unsigned unsure; /* calls since it was fresh that were not found */
};

struct cache {
	struct cache_options options;
	size_t mask;
	struct entry **buckets;
	struct entry_queue queues[QUEUES];
	uint64_t proven_bytes;
	size_t chain_count;
	struct cache_chain chains[CACHE_CHAINS_MAX];
	struct cache_counts counts;
};

/* --- making it --- */

static size_t buckets_for(uint64_t bytes_max)
{
	size_t n = 256;

	while (n < bytes_max / 1024 && n < (size_t)1 << 24)
		n *= 2;
	return n;
}

/* An eighth of the budget is for blocks. */
static size_t blocks_for(const struct cache_options *options)
{
	size_t share = options->bytes_max / 8 / options->chains_max;
	size_t blocks = CACHE_BLOCKS_MAX;

	while (blocks > 16 && lineage_bytes(blocks) > share)
		blocks /= 2;
	return blocks;
}

struct cache *cache_create(const struct cache_options *options)
{
	struct cache *c = xcalloc(1, sizeof(*c));
	size_t buckets = buckets_for(options->bytes_max);

	assert(options->bytes_max >= CACHE_BYTES_MIN);
	assert(options->chains_max >= 1 && options->chains_max <= CACHE_CHAINS_MAX);
	c->options = *options;
	c->mask = buckets - 1;
	c->buckets = xcalloc(buckets, sizeof(struct entry *));
	for (size_t i = 0; i < QUEUES; i++)
		TAILQ_INIT(&c->queues[i]);
	c->counts.bytes = sizeof(*c) + ALLOCATION_OVERHEAD + buckets * sizeof(struct entry *) +
			  ALLOCATION_OVERHEAD;
	return c;
}

void cache_key_make(const struct cache_secret *secret, const struct service_name *service,
		    const struct hash *pinned, const struct view *parts, size_t count,
		    struct cache_key *ret)
{
	struct view all[4 + CACHE_KEY_PARTS_MAX] = {
		VIEW(secret->b, sizeof(secret->b)),
		VIEW(service->s, strlen(service->s) + 1), /* its NUL ends it */
		VIEW(pinned ? "p" : "-", 1),
		VIEW(pinned ? pinned->b : NULL, pinned ? sizeof(pinned->b) : 0),
	};
	struct hash hash;

	assert(count >= 1 && count <= CACHE_KEY_PARTS_MAX);
	memcpy(&all[4], parts, count * sizeof(parts[0]));
	sha256_parts(all, 4 + count, &hash);
	memcpy(ret->b, hash.b, sizeof(ret->b));
}

const struct cache_counts *cache_counts(const struct cache *c)
{
	return &c->counts;
}

/* --- bodies --- */

static struct cache_body *body_create(const struct cache_answer *answer)
{
	struct cache_body *body = xmalloc(sizeof(*body) + answer->body.n);

	atomic_init(&body->refs, 1);
	body->id_at = answer->id_at;
	body->lane = answer->lane;
	body->seq = answer->seq;
	body->supplier = answer->supplier;
	body->owner = answer->owner;
	body->flags = answer->flags;
	body->n = answer->body.n;
	memcpy(body->bytes, answer->body.p, answer->body.n);
	return body;
}

void cache_ref(struct cache_body *body)
{
	atomic_fetch_add(&body->refs, 1);
}

void cache_unref(struct cache_body *body)
{
	if (body && atomic_fetch_sub(&body->refs, 1) == 1)
		free(body);
}

size_t cache_entry_bytes(size_t n)
{
	return sizeof(struct entry) + ALLOCATION_OVERHEAD + sizeof(struct cache_body) + n +
	       ALLOCATION_OVERHEAD;
}

/* --- entries --- */

static struct entry **bucket_of(struct cache *c, const struct cache_key *key)
{
	/* The key is a keyed hash itself. */
	return &c->buckets[get_be64(key->b) & c->mask];
}

static struct entry *find(struct cache *c, const struct cache_key *key)
{
	struct entry *e = *bucket_of(c, key);

	while (e && !ID_EQ(&e->key, key))
		e = e->next;
	return e;
}

static void dequeue(struct cache *c, struct entry *e)
{
	TAILQ_REMOVE(&c->queues[e->queue], e, used);
	if (e->queue == PROVEN)
		c->proven_bytes -= cache_entry_bytes(e->body->n);
}

static void enqueue(struct cache *c, struct entry *e, enum queue queue)
{
	e->queue = queue;
	TAILQ_INSERT_HEAD(&c->queues[queue], e, used);
	if (queue == PROVEN)
		c->proven_bytes += cache_entry_bytes(e->body->n);
}

static void hang(struct entry *e, struct lineage_block *block)
{
	e->block = block;
	if (!block)
		return;
	if (e->life == CACHE_REALTIME || e->life == CACHE_HEAD)
		LIST_INSERT_HEAD(&block->realtime, e, at_block);
	else
		LIST_INSERT_HEAD(&block->entries, e, at_block);
}

static void evict(struct entry *e, enum cache_eviction why)
{
	struct cache *c = e->chain->cache;
	struct entry **at = bucket_of(c, &e->key);

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	dequeue(c, e);
	if (e->block)
		LIST_REMOVE(e, at_block);
	c->counts.evictions[why]++;
	c->counts.entries--;
	c->counts.bytes -= cache_entry_bytes(e->body->n);
	cache_unref(e->body);
	free(e);
}

static void make_room(struct cache *c, size_t bytes)
{
	struct entry *e;

	while (c->counts.bytes + bytes > c->options.bytes_max) {
		e = TAILQ_LAST(&c->queues[NEWCOMERS], entry_queue);
		if (!e)
			e = TAILQ_LAST(&c->queues[PROVEN], entry_queue);
		assert(e); /* what is not answers is far below the budget */
		evict(e, CACHE_EVICTED_ROOM);
		ANALYZER_FACT(e != TAILQ_LAST(&c->queues[NEWCOMERS], entry_queue) &&
			      e != TAILQ_LAST(&c->queues[PROVEN], entry_queue));
	}
}

static void note_use(struct cache *c, struct entry *e)
{
	struct entry *last;

	dequeue(c, e);
	enqueue(c, e, PROVEN);
	while (c->proven_bytes > PROVEN_SHARE(c->options.bytes_max)) {
		last = TAILQ_LAST(&c->queues[PROVEN], entry_queue);
		dequeue(c, last);
		enqueue(c, last, NEWCOMERS);
	}
}

/* --- blocks --- */

static void evict_list(struct entry_list *list, enum cache_eviction why)
{
	struct entry *e;

	while ((e = LIST_FIRST(list)))
		evict(e, why);
}

/* When a final block was not, all that depends on blocks goes, the final answers too. */
static void see_to_breaks(struct cache_chain *chain)
{
	struct cache *c = chain->cache;
	struct entry *e, *next;

	if (chain->breaks == lineage_breaks(chain->lineage))
		return;
	chain->breaks = lineage_breaks(chain->lineage);
	for (size_t i = 0; i < QUEUES; i++)
		for (e = TAILQ_FIRST(&c->queues[i]); e; e = next) {
			next = TAILQ_NEXT(e, used);
			if (e->chain == chain && e->life != CACHE_FOREVER)
				evict(e, CACHE_EVICTED_BROKEN);
		}
}

static void make_final(struct lineage_block *block)
{
	struct entry *e;

	while ((e = LIST_FIRST(&block->entries))) {
		LIST_REMOVE(e, at_block);
		e->block = NULL;
	}
}

static void on_leave(struct lineage_block *block, enum lineage_leave why, void *arg)
{
	static const enum cache_eviction evictions[] = {
		[LINEAGE_DEAD] = CACHE_EVICTED_REORG,
		[LINEAGE_FINAL] = CACHE_EVICTED_PASSED, /* of its realtime answers */
		[LINEAGE_UNLINKED] = CACHE_EVICTED_UNLINKED,
		[LINEAGE_OLD] = CACHE_EVICTED_OLD,
		[LINEAGE_BROKEN] = CACHE_EVICTED_BROKEN,
	};

	if (why == LINEAGE_FINAL)
		make_final(block);
	evict_list(&block->entries, evictions[why]);
	evict_list(&block->realtime, evictions[why]);
}

struct cache_chain *cache_chain(struct cache *c, const struct service_name *service)
{
	struct cache_chain *chain;
	size_t blocks;

	for (size_t i = 0; i < c->chain_count; i++)
		if (strcmp(c->chains[i].service.s, service->s) == 0)
			return &c->chains[i];
	assert(c->chain_count < c->options.chains_max);
	blocks = blocks_for(&c->options);
	chain = &c->chains[c->chain_count++];
	chain->cache = c;
	chain->service = *service;
	chain->lineage = lineage_create(blocks, on_leave, NULL);
	make_room(c, lineage_bytes(blocks));
	c->counts.bytes += lineage_bytes(blocks);
	return chain;
}

bool cache_learn(struct cache_chain *chain, const struct block_claim *block)
{
	bool known = lineage_add(chain->lineage, block) != NULL;

	see_to_breaks(chain);
	return known;
}

bool cache_head(struct cache_chain *chain, const struct block_claim *head, usec_t now)
{
	const struct lineage_block *old = lineage_head(chain->lineage);
	struct lineage_block *passed;
	struct hash before = {0};
	bool same = old && ID_EQ(&old->is.hash, &head->hash);

	if (old)
		before = old->is.hash;
	if (!lineage_set_head(chain->lineage, head))
		return false;
	see_to_breaks(chain);
	chain->head_told_us = now;
	chain->unsure = 0;
	if (same)
		return true;
	chain->head_since_us = now;
	chain->head_serial++;
	passed = lineage_find(chain->lineage, &before);
	if (passed)
		evict_list(&passed->realtime, CACHE_EVICTED_PASSED);
	return true;
}

uint64_t cache_head_serial(const struct cache_chain *chain)
{
	return chain->head_serial;
}

void cache_final(struct cache_chain *chain, uint64_t number)
{
	lineage_set_final(chain->lineage, number);
}

/* --- answers --- */

static bool is_head(const struct lineage_block *head, const struct cache_answer *answer)
{
	if (!head || !(answer->has_hash || answer->has_number))
		return false;
	if (answer->has_hash && !ID_EQ(&head->is.hash, &answer->block.hash))
		return false;
	return !answer->has_number || head->is.number == answer->block.number;
}

/* Whether the head is all that an answer hangs at. */
static bool is_of_head(const struct cache_chain *chain, const struct cache_answer *answer)
{
	const struct lineage_block *head = lineage_head(chain->lineage);

	if (answer->life == CACHE_HEAD ||
	    (answer->life == CACHE_REALTIME && !answer->has_hash && !answer->has_number))
		return head && answer->head_serial == chain->head_serial;
	/* By its number alone the head is the only block that can be meant: of that moment. */
	return is_head(head, answer) && (answer->has_hash || answer->life == CACHE_REALTIME);
}

/* The block that an answer says it is of, if that is enough to know it by. */
static struct lineage_block *find_block(struct cache_chain *chain,
					const struct cache_answer *answer)
{
	struct lineage_block *block;

	if (is_of_head(chain, answer))
		return lineage_find(chain->lineage, &lineage_head(chain->lineage)->is.hash);
	if (answer->life == CACHE_HEAD || !answer->has_hash)
		return NULL;
	if (!answer->has_number)
		return lineage_find(chain->lineage, &answer->block.hash);
	block = lineage_add(chain->lineage, &answer->block);
	see_to_breaks(chain);
	return block;
}

/* Where an answer hangs: *ret, NULL for one that is final. */
static enum cache_verdict place(struct cache_chain *chain, const struct cache_answer *answer,
				struct lineage_block **ret)
{
	const struct lineage_block *head = lineage_head(chain->lineage);
	bool empty = answer->content == CACHE_EMPTY;

	*ret = NULL;
	if (answer->life == CACHE_FOREVER)
		return empty ? CACHE_BEYOND : CACHE_STORED;
	if (answer->has_number && head && answer->life == CACHE_REALTIME &&
	    answer->block.number < head->is.number)
		return CACHE_BEHIND;
	if (answer->has_number && answer->life == CACHE_BLOCK &&
	    lineage_is_final(chain->lineage, answer->block.number))
		return CACHE_STORED;
	if (!(*ret = find_block(chain, answer)))
		return empty ? CACHE_BEYOND : CACHE_UNBOUND;
	assert(head); /* there are no blocks before it */
	return empty && (*ret)->is.number > head->is.number ? CACHE_BEYOND : CACHE_STORED;
}

/* A second owner, or one more, says the same: who has two suppliers has one word. */
static bool is_confirmed_by(const struct entry *e, const struct cache_answer *answer)
{
	return view_eq(VIEW(e->body->bytes, e->body->n), answer->body) &&
	       (e->lasting || !ID_EQ(&e->body->owner, &answer->owner));
}

static void store(struct cache_chain *chain, const struct cache_key *key,
		  const struct cache_answer *answer, struct lineage_block *block)
{
	struct cache *c = chain->cache;
	struct entry **bucket = bucket_of(c, key);
	struct entry *e = find(c, key);
	bool sure = answer->vouched && (block || answer->named);
	bool lasting = sure || (e && is_confirmed_by(e, answer));

	if (e)
		evict(e, CACHE_EVICTED_REPLACED);
	make_room(c, cache_entry_bytes(answer->body.n));
	e = xcalloc(1, sizeof(*e));
	e->key = *key;
	e->chain = chain;
	e->life = answer->life;
	e->lasting = lasting;
	e->head_serial = answer->head_serial;
	e->body = body_create(answer);
	e->next = *bucket;
	*bucket = e;
	enqueue(c, e, NEWCOMERS);
	hang(e, block);
	c->counts.entries++;
	c->counts.bytes += cache_entry_bytes(answer->body.n);
}

static enum cache_verdict judge(struct cache_chain *chain, const struct cache_answer *answer,
				struct lineage_block **ret)
{
	const struct cache *c = chain->cache;

	if (answer->content == CACHE_NULL || answer->content == CACHE_ERROR)
		return CACHE_NO_VALUE;
	if (cache_entry_bytes(answer->body.n) > c->options.bytes_max / CACHE_ANSWER_SHARE)
		return CACHE_TOO_LARGE;
	return place(chain, answer, ret);
}

enum cache_verdict cache_fill(struct cache_chain *chain, const struct cache_key *key,
			      const struct cache_answer *answer)
{
	struct lineage_block *block = NULL;
	enum cache_verdict verdict = judge(chain, answer, &block);

	if (verdict == CACHE_STORED)
		store(chain, key, answer, block);
	chain->cache->counts.fills[verdict]++;
	return verdict;
}

static bool is_fresh(const struct cache_chain *chain, usec_t now)
{
	return now - chain->head_told_us <= chain->cache->options.fresh_us;
}

/* CACHE_MISSES: it holds. */
static enum cache_miss why_not(const struct entry *e, usec_t now)
{
	const struct cache_chain *chain = e->chain;
	const struct cache_options *options = &chain->cache->options;
	bool fresh = is_fresh(chain, now);

	if (!e->lasting && (!lineage_head(chain->lineage) || e->head_serial != chain->head_serial))
		return CACHE_STALE;
	if (!e->block) /* one supplier's word goes by the clock too: no new head may be told of */
		return e->lasting || fresh ? CACHE_MISSES : CACHE_STALE;
	if (!e->block->served ||
	    (e->life != CACHE_BLOCK && e->block != lineage_head(chain->lineage)))
		return CACHE_OFF_BRANCH;
	if (!fresh ||
	    (e->life == CACHE_REALTIME && now - chain->head_since_us > options->realtime_us))
		return CACHE_STALE;
	return CACHE_MISSES;
}

/* CACHE_MISSES: *ret is the answer, a ref. */
static enum cache_miss look_up(struct cache_chain *chain, const struct cache_key *key, usec_t now,
			       struct cache_body **ret)
{
	struct cache *c = chain->cache;
	struct entry *e = find(c, key);
	enum cache_miss miss = e ? why_not(e, now) : CACHE_ABSENT;

	if (miss != CACHE_MISSES)
		return miss;
	c->counts.hits++;
	note_use(c, e);
	cache_ref(e->body);
	*ret = e->body;
	return miss;
}

struct cache_body *cache_find(struct cache_chain *chain, const struct cache_key *key, usec_t now)
{
	struct cache_body *body = NULL;
	enum cache_miss miss = look_up(chain, key, now, &body);

	if (miss != CACHE_MISSES) {
		chain->cache->counts.misses[miss]++;
		chain->unsure += !is_fresh(chain, now);
	}
	return body;
}

struct cache_body *cache_peek(struct cache_chain *chain, const struct cache_key *key, usec_t now)
{
	struct cache_body *body = NULL;

	(void)look_up(chain, key, now, &body);
	return body;
}

bool cache_wants_head(struct cache_chain *chain)
{
	if (chain->unsure < CACHE_UNSURE_MAX)
		return false;
	chain->unsure = 0;
	return true;
}

void cache_destroy(struct cache *c)
{
	struct entry *e;

	if (!c)
		return;
	for (size_t i = 0; i < QUEUES; i++)
		while ((e = TAILQ_FIRST(&c->queues[i])))
			evict(e, CACHE_EVICTED_ROOM);
	for (size_t i = 0; i < c->chain_count; i++)
		lineage_destroy(c->chains[i].lineage);
	free(c->buckets);
	free(c);
}
