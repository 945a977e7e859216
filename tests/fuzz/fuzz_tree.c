/* SPDX-License-Identifier: Apache-2.0
 * Trees, tiles and proofs ([T1], [T3], [T4]): what the tiles prove is what the recursive definition
 * of RFC 9162 proves, it verifies, and a proof that was changed in any way does not, unless the
 * definition says that it still is one. */
#include "relay/base/mem.h"
#include "relay/receipt/tile.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE_MAX_TRIED 1100 /* leaves: over four tiles, and a second level with several hashes */

/* A tree by the definition, MTH of any run of leaves.  The leaves are always the same, so the
 * hashes of complete subtrees are, and are made once. */
struct plain {
	size_t size;
	struct hash leaf[SIZE_MAX_TRIED];
	struct hash complete[11][SIZE_MAX_TRIED]; /* of 2^level leaves, by number */
	bool known[11][SIZE_MAX_TRIED];
};

static struct plain *plain;

static size_t split(size_t n)
{
	size_t k = 1;

	while (2 * k < n)
		k *= 2;
	return k;
}

static struct hash mth_by_halves(size_t begin, size_t end);

static struct hash mth(size_t begin, size_t end)
{
	size_t n = end - begin, level = (size_t)__builtin_ctzll(n), number = begin / n;

	assert(begin < end);
	if (n == 1)
		return plain->leaf[begin];
	if ((n & (n - 1)) != 0 || begin % n != 0)
		return mth_by_halves(begin, end);
	if (!plain->known[level][number])
		plain->complete[level][number] = mth_by_halves(begin, end);
	plain->known[level][number] = true;
	return plain->complete[level][number];
}

static struct hash mth_by_halves(size_t begin, size_t end)
{
	size_t middle = begin + split(end - begin);
	struct hash left = mth(begin, middle), right = mth(middle, end), both;

	tree_node_hash(&left, &right, &both);
	return both;
}

static void path(size_t index, size_t begin, size_t end, struct tree_proof *ret)
{
	size_t middle;

	if (end - begin <= 1)
		return;
	middle = begin + split(end - begin);
	if (index < middle)
		path(index, begin, middle, ret);
	else
		path(index, middle, end, ret);
	ret->hash[ret->n++] = index < middle ? mth(middle, end) : mth(begin, middle);
}

/* SUBPROOF(old, D[begin:end], whole), RFC 9162 2.1.4.1. */
static void subproof(size_t old, size_t begin, size_t end, bool whole, struct tree_proof *ret)
{
	size_t middle;

	if (old == end) {
		if (!whole)
			ret->hash[ret->n++] = mth(begin, end);
		return;
	}
	middle = begin + split(end - begin);
	subproof(old, old <= middle ? begin : middle, old <= middle ? middle : end,
		 whole && old <= middle, ret);
	ret->hash[ret->n++] = old <= middle ? mth(middle, end) : mth(begin, middle);
}

/* A tile from the definition. */
static bool read_tile(void *arg, unsigned level, uint64_t index, unsigned width, struct hash *dst,
		      struct err *err)
{
	size_t each = (size_t)1 << (8 * level);

	for (unsigned i = 0; i < width; i++) {
		size_t begin = (index * TILE_WIDTH + i) * each;

		assert(begin + each <= plain->size);
		dst[i] = mth(begin, begin + each);
	}
	return true;
}

static bool same(const struct tree_proof *a, const struct tree_proof *b)
{
	return a->n == b->n && memcmp(a->hash, b->hash, a->n * sizeof(a->hash[0])) == 0;
}

/* Changes a proof, or what it is said to be of; true iff it then differs. */
static bool change(struct choices *c, struct tree_proof *proof, uint64_t *a, uint64_t *b)
{
	struct tree_proof before = *proof;
	uint64_t a_before = *a, b_before = *b;
	size_t at = choose_below(c, TREE_PROOF_MAX);

	switch (choose_u8(c) % 6) {
	case 0:
		proof->hash[at % (proof->n + 1)].b[choose_u8(c) % 32] ^= (uint8_t)(1u << at % 8);
		break;
	case 1:
		proof->n -= proof->n > 0;
		break;
	case 2:
		if (proof->n < TREE_PROOF_MAX)
			proof->hash[proof->n++] = plain->leaf[at % plain->size];
		break;
	case 3:
		*a += choose_u8(c) - 128u;
		break;
	case 4:
		*b += choose_u8(c) - 128u;
		break;
	case 5:
		if (proof->n > 1) {
			struct hash first = proof->hash[at % (proof->n - 1)];

			proof->hash[at % (proof->n - 1)] = proof->hash[at % (proof->n - 1) + 1];
			proof->hash[at % (proof->n - 1) + 1] = first;
		}
		break;
	}
	return !same(&before, proof) || *a != a_before || *b != b_before;
}

static void inclusion(struct choices *c, const struct hash *root)
{
	size_t index = choose_below(c, plain->size);
	struct tree_proof proof, want = {.n = 0};
	const struct hash *leaf = &plain->leaf[index];
	uint64_t i = index, n = plain->size;
	struct err err;
	bool ok = tile_prove_inclusion(index, n, read_tile, NULL, &proof, &err);

	assert(ok);
	path(index, 0, n, &want);
	assert(same(&proof, &want) && proof.n == tree_inclusion_len(index, n));
	ok = tree_check_inclusion(leaf, i, n, proof.hash, proof.n, root, &err);
	assert(ok);
	if (!change(c, &proof, &i, &n))
		return;
	ok = tree_check_inclusion(leaf, i, n, proof.hash, proof.n, root, &err);
	/* Equal leaves make equal hashes: another index may be right too, and a perfect path is the
	 * same for other sizes; only the definition can tell. */
	want.n = 0;
	if (i < n && n <= plain->size && n > 0) {
		struct hash there = mth(0, n);

		path(i, 0, n, &want);
		assert(!(ID_EQ(&plain->leaf[i], leaf) && ID_EQ(&there, root) &&
			 same(&want, &proof)) ||
		       ok);
	}
	assert(!ok || (i < n && proof.n == tree_inclusion_len(i, n)));
	assert(!ok || n != plain->size || ID_EQ(&plain->leaf[i], leaf));
}

static void consistency(struct choices *c, const struct hash *root)
{
	uint64_t old = 1 + choose_below(c, plain->size), n = plain->size;
	struct hash old_root = mth(0, old), other;
	struct tree_proof proof, want = {.n = 0};
	struct err err;
	bool ok = tile_prove_consistency(old, n, read_tile, NULL, &proof, &err);

	assert(ok);
	subproof(old, 0, n, true, &want);
	assert(same(&proof, &want));
	ok = tree_check_consistency(old, &old_root, n, root, proof.hash, proof.n, &err);
	assert(ok);
	/* another old root is never consistent with what this path proves */
	other = old_root;
	other.b[choose_u8(c) % 32] ^= 1;
	ok = tree_check_consistency(old, &other, n, root, proof.hash, proof.n, &err);
	assert(!ok && err.code == ERR_PROOF);
	if (!change(c, &proof, &old, &n))
		return;
	ok = tree_check_consistency(old, &old_root, n, root, proof.hash, proof.n, &err);
	assert(!ok || (old > 0 && old <= n));
	if (ok && n == plain->size && old <= n) { /* the same two roots: then the very same proof */
		struct hash there = mth(0, old);

		want.n = 0;
		subproof(old, 0, n, true, &want);
		assert(!ID_EQ(&there, &old_root) || same(&want, &proof));
	}
}

static void make_leaves(void)
{
	plain = xcalloc(1, sizeof(*plain));
	for (size_t i = 0; i < SIZE_MAX_TRIED; i++) {
		uint8_t bytes[2] = {(uint8_t)i, (uint8_t)(i >> 8)};

		tree_leaf_hash(VIEW(bytes, sizeof(bytes)), &plain->leaf[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};
	CLEANUP(xfree) struct tile_edge *edge = xmalloc(sizeof(*edge));
	struct hash root, from_tiles, by_definition;
	struct tree tree;
	struct err err;
	bool ok;

	if (!plain)
		make_leaves();
	plain->size = 1 + choose_below(&c, SIZE_MAX_TRIED);
	tree_init(&tree);
	for (size_t i = 0; i < plain->size; i++)
		tree_append(&tree, &plain->leaf[i]);
	tree_root(&tree, &root);
	by_definition = mth(0, plain->size);
	ok = tile_root_at(plain->size, read_tile, NULL, &from_tiles, &err) &&
	     tile_edge_load(plain->size, read_tile, NULL, edge, &err);
	assert(ok && ID_EQ(&root, &by_definition) && ID_EQ(&root, &from_tiles));
	if (choose_u8(&c) & 1)
		inclusion(&c, &root);
	else
		consistency(&c, &root);
	return 0;
}
