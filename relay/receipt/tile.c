/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/receipt/tile.h"

#include <assert.h>
#include <stdio.h>

/* Subtree hashes are asked for by height: (height, n) is the complete subtree of 2^height leaves
 * number n.  It is made from a run of 2^(height mod 8) hashes of one tile. */
#define TILE_BITS 8u

/* One proof or root in the making: where tiles come from, and the last one read, since the hashes
 * of a path often lie in one tile. */
struct tile_source {
	tile_read_fn *read;
	void *arg;
	uint64_t size;	/* of the tree */
	unsigned level; /* of the tile held in hash; TILE_LEVELS: none yet */
	uint64_t index;
	struct hash hash[TILE_WIDTH];
};

static void tile_source_init(struct tile_source *src, uint64_t size, tile_read_fn *read, void *arg)
{
	src->read = read;
	src->arg = arg;
	src->size = size;
	src->level = TILE_LEVELS;
	src->index = 0;
}

unsigned tile_width(uint64_t size, unsigned level, uint64_t index)
{
	assert(level < TILE_LEVELS && size < TREE_SIZE_END);
	uint64_t hashes = size >> (TILE_BITS * level);
	uint64_t before = index << TILE_BITS;

	if (index > (TREE_SIZE_END >> TILE_BITS) || hashes <= before)
		return 0;
	return hashes - before < TILE_WIDTH ? (unsigned)(hashes - before) : TILE_WIDTH;
}

void tile_root(const struct hash *hashes, unsigned width, struct hash *ret)
{
	struct tree tree;

	assert(width >= 1 && width <= TILE_WIDTH);
	tree_init(&tree);
	for (unsigned i = 0; i < width; i++)
		tree_append(&tree, &hashes[i]);
	tree_root(&tree, ret);
}

char *tile_path(unsigned level, uint64_t index, unsigned width, char dst[TILE_PATH_MAX])
{
	char suffix[8] = "";

	assert(level < TILE_LEVELS && index < (UINT64_C(1) << 24) && width >= 1 &&
	       width <= TILE_WIDTH);
	if (width < TILE_WIDTH)
		snprintf(suffix, sizeof(suffix), ".p/%u", width);
	unsigned low = (unsigned)(index % 1000);
	unsigned mid = (unsigned)(index / 1000 % 1000);
	unsigned high = (unsigned)(index / 1000000);
	if (high > 0)
		snprintf(dst, TILE_PATH_MAX, "tile/%u/x%03u/x%03u/%03u%s", level, high, mid, low,
			 suffix);
	else if (mid > 0)
		snprintf(dst, TILE_PATH_MAX, "tile/%u/x%03u/%03u%s", level, mid, low, suffix);
	else
		snprintf(dst, TILE_PATH_MAX, "tile/%u/%03u%s", level, low, suffix);
	return dst;
}

/* --- the growing edge --- */

void tile_edge_init(struct tile_edge *edge)
{
	edge->size = 0;
}

bool tile_edge_append(struct tile_edge *edge, const struct hash *leaf, tile_write_fn *write,
		      void *arg, struct err *err)
{
	uint64_t nth = edge->size; /* of the hash that comes to this level */
	struct hash hash = *leaf;

	assert(edge->size < TREE_SIZE_END - 1);
	for (unsigned level = 0;; level++) {
		assert(level < TILE_LEVELS);
		edge->hash[level][nth % TILE_WIDTH] = hash;
		if (nth % TILE_WIDTH != TILE_WIDTH - 1)
			break;
		nth /= TILE_WIDTH;
		if (!write(arg, level, nth, TILE_WIDTH, edge->hash[level], err))
			return false;
		tile_root(edge->hash[level], TILE_WIDTH, &hash);
	}
	edge->size++;
	return true;
}

bool tile_edge_flush(const struct tile_edge *edge, tile_write_fn *write, void *arg, struct err *err)
{
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		uint64_t hashes = edge->size >> (TILE_BITS * level);
		unsigned width = (unsigned)(hashes % TILE_WIDTH);

		if (width > 0 &&
		    !write(arg, level, hashes / TILE_WIDTH, width, edge->hash[level], err))
			return false;
	}
	return true;
}

bool tile_edge_load(uint64_t size, tile_read_fn *read, void *arg, struct tile_edge *ret,
		    struct err *err)
{
	assert(size < TREE_SIZE_END);
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		uint64_t hashes = size >> (TILE_BITS * level);
		unsigned width = (unsigned)(hashes % TILE_WIDTH);

		if (width > 0 &&
		    !read(arg, level, hashes / TILE_WIDTH, width, ret->hash[level], err))
			return false;
	}
	ret->size = size;
	return true;
}

/* --- roots and proofs --- */

/* The hash of the complete subtree of 2^height leaves number n; it lies within src->size. */
static bool tile_subtree(struct tile_source *src, unsigned height, uint64_t n, struct hash *ret,
			 struct err *err)
{
	unsigned level = height / TILE_BITS;
	unsigned run = 1u << (height % TILE_BITS);
	uint64_t first = n * run; /* hash in the level */
	uint64_t index = first / TILE_WIDTH;

	assert(height < TREE_LEVELS && (n + 1) << height <= src->size);
	if (src->level != level || src->index != index) {
		src->level = TILE_LEVELS;
		if (!src->read(src->arg, level, index, tile_width(src->size, level, index),
			       src->hash, err))
			return false;
		src->level = level;
		src->index = index;
	}
	tile_root(&src->hash[first % TILE_WIDTH], run, ret);
	return true;
}

/* The root of the leaves [begin, end), begin a multiple of the largest power of two < end - begin
 * or 0: what RFC 9162 calls MTH(D[begin:end]).  One complete subtree for each bit of end - begin.
 */
static bool tile_range(struct tile_source *src, uint64_t begin, uint64_t end, struct hash *ret,
		       struct err *err)
{
	struct hash part[TREE_LEVELS];
	unsigned parts = 0;

	assert(begin < end);
	for (uint64_t at = begin; at < end;) {
		unsigned height = 63u - (unsigned)__builtin_clzll(end - at);

		if (!tile_subtree(src, height, at >> height, &part[parts++], err))
			return false;
		at += UINT64_C(1) << height;
	}
	while (--parts > 0)
		tree_node_hash(&part[parts - 1], &part[parts], &part[parts - 1]);
	*ret = part[0];
	return true;
}

/* The largest power of two below n; n > 1. */
static uint64_t tile_split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

static void tile_proof_reverse(struct tree_proof *proof)
{
	for (size_t i = 0, j = proof->n; i + 1 < j; i++) {
		struct hash hash = proof->hash[i];

		proof->hash[i] = proof->hash[--j];
		proof->hash[j] = hash;
	}
}

bool tile_load_tree(uint64_t size, tile_read_fn *read, void *arg, struct tree *ret, struct err *err)
{
	struct tile_source src;
	struct tree tree;

	assert(size < TREE_SIZE_END);
	tile_source_init(&src, size, read, arg);
	tree_init(&tree);
	for (uint64_t at = 0; at < size;) {
		unsigned height = 63u - (unsigned)__builtin_clzll(size - at);

		if (!tile_subtree(&src, height, at >> height, &tree.stack[tree.depth], err))
			return false;
		tree.depth++;
		at += UINT64_C(1) << height;
	}
	tree.size = size;
	*ret = tree;
	return true;
}

bool tile_root_at(uint64_t size, tile_read_fn *read, void *arg, struct hash *ret, struct err *err)
{
	struct tree tree;

	if (!tile_load_tree(size, read, arg, &tree, err))
		return false;
	tree_root(&tree, ret);
	return true;
}

/* PATH(index, D[0:size]) from the root down, then turned round. */
bool tile_prove_inclusion(uint64_t index, uint64_t size, tile_read_fn *read, void *arg,
			  struct tree_proof *ret, struct err *err)
{
	struct tile_source src;
	struct tree_proof proof = {.n = 0};
	uint64_t begin = 0;
	uint64_t end = size;

	assert(index < size && size < TREE_SIZE_END);
	tile_source_init(&src, size, read, arg);
	while (end - begin > 1) {
		uint64_t middle = begin + tile_split(end - begin);
		bool left = index < middle;

		if (!tile_range(&src, left ? middle : begin, left ? end : middle,
				&proof.hash[proof.n++], err))
			return false;
		if (left)
			end = middle;
		else
			begin = middle;
	}
	tile_proof_reverse(&proof);
	*ret = proof;
	return true;
}

/* SUBPROOF of RFC 9162 2.1.4.1, from the root down, then turned round. */
bool tile_prove_consistency(uint64_t old_size, uint64_t size, tile_read_fn *read, void *arg,
			    struct tree_proof *ret, struct err *err)
{
	struct tile_source src;
	struct tree_proof proof = {.n = 0};
	uint64_t begin = 0;
	uint64_t end = size;

	assert(old_size > 0 && old_size <= size && size < TREE_SIZE_END);
	tile_source_init(&src, size, read, arg);
	while (end > old_size) {
		uint64_t middle = begin + tile_split(end - begin);
		bool left = old_size <= middle;

		if (!tile_range(&src, left ? middle : begin, left ? end : middle,
				&proof.hash[proof.n++], err))
			return false;
		if (left)
			end = middle;
		else
			begin = middle;
	}
	/* The old tree itself is the one node that nobody needs to be told. */
	if (begin > 0 && !tile_range(&src, begin, end, &proof.hash[proof.n++], err))
		return false;
	tile_proof_reverse(&proof);
	*ret = proof;
	return true;
}
