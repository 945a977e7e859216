/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/cache/lineage.h"

#include <assert.h>

#include "relay/base/mem.h"
#include "relay/cache/internal.h"
#include "relay/crypto/digest.h"

TAILQ_HEAD(block_list, lineage_block);

/* The served blocks are one run of parents, from the head down to `bottom`. */
struct lineage {
	size_t blocks_max;
	lineage_on_leave *on_leave;
	void *arg;
	size_t mask;
	struct lineage_block **buckets;
	struct block_list all;
	size_t count;
	size_t was_served; /* blocks of which it is not known whether they are dead */
	struct lineage_block *head;
	struct lineage_block *bottom;
	uint64_t final; /* valid if has_final */
	bool has_final;
	uint64_t breaks;
};

static size_t buckets_for(size_t blocks_max)
{
	size_t n = 16;

	while (n < blocks_max)
		n *= 2;
	return n;
}

struct lineage *lineage_create(size_t blocks_max, lineage_on_leave *on_leave, void *arg)
{
	struct lineage *b = xcalloc(1, sizeof(*b));

	assert(blocks_max >= 4);
	b->blocks_max = blocks_max;
	b->on_leave = on_leave;
	b->arg = arg;
	b->mask = buckets_for(blocks_max) - 1;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): the elements are pointers */
	b->buckets = xcalloc(b->mask + 1, sizeof(*b->buckets));
	TAILQ_INIT(&b->all);
	return b;
}

void lineage_destroy(struct lineage *b)
{
	struct lineage_block *block;

	if (!b)
		return;
	while ((block = TAILQ_FIRST(&b->all))) {
		TAILQ_REMOVE(&b->all, block, all);
		free(block);
	}
	free(b->buckets);
	free(b);
}

size_t lineage_bytes(size_t blocks_max)
{
	return sizeof(struct lineage) + ALLOCATION_OVERHEAD +
	       buckets_for(blocks_max) * sizeof(struct lineage_block *) + ALLOCATION_OVERHEAD +
	       blocks_max * (sizeof(struct lineage_block) + ALLOCATION_OVERHEAD);
}

const struct lineage_block *lineage_head(const struct lineage *b)
{
	return b->head;
}

bool lineage_is_final(const struct lineage *b, uint64_t number)
{
	return b->has_final && number <= b->final;
}

uint64_t lineage_breaks(const struct lineage *b)
{
	return b->breaks;
}

size_t lineage_count(const struct lineage *b)
{
	return b->count;
}

/* --- the table --- */

static struct lineage_block **bucket_of(const struct lineage *b, const struct hash *hash)
{
	return &b->buckets[keyed_hash(hash->b, sizeof(hash->b)) & b->mask];
}

struct lineage_block *lineage_find(const struct lineage *b, const struct hash *hash)
{
	struct lineage_block *block = *bucket_of(b, hash);

	while (block && !ID_EQ(&block->is.hash, hash))
		block = block->next;
	return block;
}

/* The parent, when it is known and is one. */
static struct lineage_block *parent_of(const struct lineage *b, const struct lineage_block *block)
{
	struct lineage_block *parent =
		block->is.has_parent ? lineage_find(b, &block->is.parent) : NULL;

	return parent && parent->is.number + 1 == block->is.number ? parent : NULL;
}

static void set_was_served(struct lineage *b, struct lineage_block *block, bool to)
{
	if (block->was_served != to)
		b->was_served += to ? 1 : (size_t)-1;
	block->was_served = to;
}

static void leave(struct lineage *b, struct lineage_block *block, enum lineage_leave why)
{
	b->on_leave(block, why, b->arg);
	assert(LIST_EMPTY(&block->entries) && LIST_EMPTY(&block->realtime));
}

static void forget(struct lineage *b, struct lineage_block *block)
{
	struct lineage_block **at = bucket_of(b, &block->is.hash);

	while (*at != block)
		at = &(*at)->next;
	*at = block->next;
	set_was_served(b, block, false);
	TAILQ_REMOVE(&b->all, block, all);
	b->count--;
	free(block);
}

static struct lineage_block *insert(struct lineage *b, const struct block_claim *claim)
{
	struct lineage_block *block = xcalloc(1, sizeof(*block));
	struct lineage_block **at = bucket_of(b, &claim->hash);

	assert(b->count < b->blocks_max);
	block->is = *claim;
	LIST_INIT(&block->entries);
	LIST_INIT(&block->realtime);
	block->next = *at;
	*at = block;
	TAILQ_INSERT_TAIL(&b->all, block, all);
	b->count++;
	return block;
}

/* --- which are served --- */

/* Goes down from the bottom as far as the links are known. */
static void extend_down(struct lineage *b)
{
	struct lineage_block *parent;

	while ((parent = parent_of(b, b->bottom))) {
		parent->served = true;
		set_was_served(b, parent, false);
		b->bottom = parent;
	}
}

/* A block beyond the head of another branch than the head's. */
static bool forks_below(const struct lineage *b, const struct lineage_block *block)
{
	while (block && block->is.number > b->head->is.number)
		block = parent_of(b, block);
	return block && block != b->head;
}

static bool is_dead(const struct lineage *b, const struct lineage_block *block)
{
	if (block->is.number > b->head->is.number)
		return forks_below(b, block);
	return block->is.number >= b->bottom->is.number; /* another one is served there */
}

/* What was served and now is seen to be of another branch dies. */
static void bury(struct lineage *b)
{
	struct lineage_block *block;

	if (b->was_served == 0)
		return;
	TAILQ_FOREACH (block, &b->all, all) {
		if (!block->was_served || !is_dead(b, block))
			continue;
		set_was_served(b, block, false);
		leave(b, block, LINEAGE_DEAD);
	}
}

static void unserve_all(struct lineage *b)
{
	struct lineage_block *block;

	TAILQ_FOREACH (block, &b->all, all) {
		if (block->served)
			set_was_served(b, block, true);
		block->served = false;
	}
}

static void trace(struct lineage *b, struct lineage_block *head)
{
	unserve_all(b);
	b->head = b->bottom = head;
	head->served = true;
	set_was_served(b, head, false);
	extend_down(b);
}

/* Does the run of served blocks end beside the final one? */
static bool contradicts_final(const struct lineage *b)
{
	const struct lineage_block *bottom = b->bottom, *block;

	if (!b->has_final)
		return false;
	if (bottom->is.number != b->final + 1 || !bottom->is.has_parent)
		return false;
	TAILQ_FOREACH (block, &b->all, all)
		if (block->is.number == b->final)
			return true; /* else it would be the bottom */
	return false;
}

static void give_up(struct lineage *b, const struct lineage_block *keep)
{
	struct lineage_block *block, *next;

	b->has_final = false;
	b->breaks++;
	for (block = TAILQ_FIRST(&b->all); block; block = next) {
		next = TAILQ_NEXT(block, all);
		leave(b, block, LINEAGE_BROKEN);
		if (block != keep)
			forget(b, block);
	}
}

static void restart(struct lineage *b, struct lineage_block *head)
{
	give_up(b, head);
	b->head = b->bottom = head;
	head->served = true;
	set_was_served(b, head, false);
}

/* --- room --- */

/* Who goes first: what is not served, then what is oldest. */
static bool goes_before(const struct lineage_block *a, const struct lineage_block *than)
{
	if (a->served != than->served)
		return than->served;
	return a->is.number < than->is.number;
}

static struct lineage_block *served_at(const struct lineage *b, uint64_t number)
{
	struct lineage_block *block;

	TAILQ_FOREACH (block, &b->all, all)
		if (block->served && block->is.number == number)
			return block;
	return NULL;
}

/* False: the new one, which is not the head, is older than all that could go. */
static bool make_room(struct lineage *b, uint64_t number, bool is_head)
{
	struct lineage_block *block, *least = NULL;

	if (b->count < b->blocks_max)
		return true;
	TAILQ_FOREACH (block, &b->all, all)
		if (block != b->head && (!least || goes_before(block, least)))
			least = block;
	assert(least); /* there are more than the head */
	if (!is_head && least->served && number < least->is.number)
		return false;
	if (least == b->bottom)
		b->bottom = served_at(b, least->is.number + 1);
	leave(b, least, LINEAGE_OLD);
	forget(b, least);
	return true;
}

/* --- what is told --- */

/* False: it contradicts what is known of the block. */
static bool learn(struct lineage_block *block, const struct block_claim *claim)
{
	if (block->is.number != claim->number)
		return false;
	block->is.sure = block->is.sure || claim->sure;
	if (!claim->has_parent)
		return true;
	if (block->is.has_parent)
		return ID_EQ(&block->is.parent, &claim->parent);
	block->is.parent = claim->parent;
	block->is.has_parent = true;
	return true;
}

/* Somebody gave the block another number, and no link that is sure agrees with that. */
static bool gives_way(const struct lineage_block *block, const struct block_claim *claim)
{
	return claim->sure && !block->is.sure && !block->served &&
	       block->is.number != claim->number;
}

static struct lineage_block *take(struct lineage *b, const struct block_claim *claim, bool is_head)
{
	struct lineage_block *block = lineage_find(b, &claim->hash);
	struct block_claim believed = *claim;

	believed.has_parent = claim->has_parent && claim->sure;
	if (block && gives_way(block, claim)) {
		leave(b, block, LINEAGE_UNLINKED);
		forget(b, block);
		block = NULL;
	}
	if (block)
		return learn(block, &believed) ? block : NULL;
	return make_room(b, claim->number, is_head) ? insert(b, &believed) : NULL;
}

/* A link that was missing may be there now. */
static void link_up(struct lineage *b)
{
	extend_down(b);
	if (contradicts_final(b))
		restart(b, b->head);
	bury(b);
}

struct lineage_block *lineage_add(struct lineage *b, const struct block_claim *claim)
{
	if (!b->head || lineage_is_final(b, claim->number))
		return NULL;
	if (claim->number > b->head->is.number &&
	    claim->number - b->head->is.number > LINEAGE_AHEAD_MAX)
		return NULL;
	if (!take(b, claim, false))
		return NULL;
	link_up(b);
	return lineage_find(b, &claim->hash); /* it may be gone: what was final was not */
}

static bool is_anchor(const struct lineage *b, const struct block_claim *head)
{
	const struct lineage_block *known = lineage_find(b, &head->hash);

	return known && head->number == b->final;
}

bool lineage_set_head(struct lineage *b, const struct block_claim *claim)
{
	struct lineage_block *head;

	assert(claim->sure);
	if (lineage_is_final(b, claim->number) && !is_anchor(b, claim)) {
		give_up(b, NULL);
		b->head = b->bottom = NULL;
	}
	if (!b->head) {
		assert(b->count == 0);
		trace(b, insert(b, claim));
		return true;
	}
	if (!(head = take(b, claim, true)))
		return false;
	if (head != b->head && head->is.has_parent && ID_EQ(&head->is.parent, &b->head->is.hash) &&
	    parent_of(b, head) == b->head) {
		b->head = head;
		head->served = true;
		set_was_served(b, head, false);
	} else if (head != b->head) {
		trace(b, head);
	}
	link_up(b);
	return true;
}

void lineage_set_final(struct lineage *b, uint64_t number)
{
	struct lineage_block *block, *next;
	uint64_t top = b->head ? b->head->is.number : 0;

	number = MIN(number, top);
	if (!b->head || lineage_is_final(b, number))
		return;
	b->final = number;
	b->has_final = true;
	for (block = TAILQ_FIRST(&b->all); block; block = next) {
		next = TAILQ_NEXT(block, all);
		if (block->is.number > number)
			continue;
		leave(b, block, block->served ? LINEAGE_FINAL : LINEAGE_UNLINKED);
		if (block->served && block->is.number == number)
			b->bottom = block; /* the anchor */
		else
			forget(b, block);
	}
}
