/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/receipt/tree.h"

#include <assert.h>

#include "relay/crypto/digest.h"

void tree_leaf_hash(struct view data, struct hash *ret)
{
	static const uint8_t prefix = 0x00;
	struct view pieces[2] = {VIEW(&prefix, 1), data};

	sha256_parts(pieces, 2, ret);
}

void tree_node_hash(const struct hash *left, const struct hash *right, struct hash *ret)
{
	uint8_t node[1 + 2 * sizeof(struct hash)];

	node[0] = 0x01;
	memcpy(node + 1, left->b, sizeof(left->b));
	memcpy(node + 1 + sizeof(left->b), right->b, sizeof(right->b));
	sha256(node, sizeof(node), ret);
}

void tree_init(struct tree *tree)
{
	tree->size = 0;
	tree->depth = 0;
}

void tree_append(struct tree *tree, const struct hash *leaf)
{
	struct hash hash = *leaf;

	assert(tree->size < TREE_SIZE_END - 1);
	/* Each bit of size that is set below the lowest clear one is a finished left sibling. */
	for (uint64_t bits = tree->size; bits & 1; bits >>= 1) {
		assert(tree->depth > 0);
		tree_node_hash(&tree->stack[--tree->depth], &hash, &hash);
	}
	assert(tree->depth < TREE_LEVELS);
	tree->stack[tree->depth++] = hash;
	tree->size++;
}

void tree_root(const struct tree *tree, struct hash *ret)
{
	assert(tree->depth == (unsigned)__builtin_popcountll(tree->size));
	if (tree->depth == 0) {
		sha256("", 0, ret);
		return;
	}
	struct hash hash = tree->stack[tree->depth - 1];
	for (unsigned i = tree->depth - 1; i > 0; i--)
		tree_node_hash(&tree->stack[i - 1], &hash, &hash);
	*ret = hash;
}

size_t tree_inclusion_len(uint64_t index, uint64_t size)
{
	size_t n = 0;

	assert(index < size);
	/* fn and sn of RFC 9162 2.1.3.2: a level adds a hash unless its node has no sibling. */
	for (uint64_t fn = index, sn = size - 1; sn > 0; fn >>= 1, sn >>= 1)
		if ((fn & 1) || fn != sn)
			n++;
	return n;
}

bool tree_check_inclusion(const struct hash *leaf, uint64_t index, uint64_t size,
			  const struct hash *path, size_t path_len, const struct hash *root,
			  struct err *err)
{
	if (index >= size || size >= TREE_SIZE_END)
		return err_set(err, ERR_PROOF, "the tree has no such index");
	size_t want = tree_inclusion_len(index, size);
	if (path_len != want)
		return err_set(err, ERR_PROOF, "the inclusion path has %zu hashes instead of %zu",
			       path_len, want);

	struct hash r = *leaf;
	uint64_t fn = index;
	uint64_t sn = size - 1;
	for (size_t i = 0; i < path_len; i++) {
		assert(sn > 0);
		if ((fn & 1) || fn == sn) {
			tree_node_hash(&path[i], &r, &r);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			tree_node_hash(&r, &path[i], &r);
		}
		fn >>= 1;
		sn >>= 1;
	}
	if (sn != 0 || !ID_EQ(&r, root))
		return err_set(err, ERR_PROOF, "the inclusion path does not lead to the root");
	return true;
}

/* The walk of RFC 9162 2.1.4.2 for 0 < old_size < size: both roots from one path, whose first hash
 * is explicit here.  False when the path is too short or too long. */
static bool tree_walk_consistency(uint64_t fn, uint64_t sn, const struct hash *path, size_t n,
				  struct hash *fr, struct hash *sr)
{
	while (fn & 1) {
		fn >>= 1;
		sn >>= 1;
	}
	*fr = path[0];
	*sr = path[0];
	for (size_t i = 1; i < n; i++) {
		if (sn == 0)
			return false;
		if ((fn & 1) || fn == sn) {
			tree_node_hash(&path[i], fr, fr);
			tree_node_hash(&path[i], sr, sr);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			tree_node_hash(sr, &path[i], sr);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0;
}

bool tree_check_consistency(uint64_t old_size, const struct hash *old_root, uint64_t size,
			    const struct hash *root, const struct hash *path, size_t path_len,
			    struct err *err)
{
	struct hash full[TREE_PROOF_MAX + 1];
	struct hash fr;
	struct hash sr;
	size_t n = 0;

	if (old_size == 0 || old_size > size || size >= TREE_SIZE_END)
		return err_set(err, ERR_PROOF, "no consistency between trees of these sizes");
	if (old_size == size) {
		if (path_len != 0)
			return err_set(err, ERR_PROOF, "a consistency path between equal sizes");
		if (!ID_EQ(old_root, root))
			return err_set(err, ERR_PROOF, "two roots of one size");
		return true;
	}
	if (path_len == 0 || path_len > TREE_PROOF_MAX)
		return err_set(err, ERR_PROOF, "a consistency path of %zu hashes", path_len);
	/* When the old tree is complete its root is the first node, and is left out. */
	if ((old_size & (old_size - 1)) == 0)
		full[n++] = *old_root;
	memcpy(full + n, path, path_len * sizeof(*path));
	n += path_len;
	if (!tree_walk_consistency(old_size - 1, size - 1, full, n, &fr, &sr))
		return err_set(err, ERR_PROOF, "the consistency path has a wrong length");
	if (!ID_EQ(&fr, old_root))
		return err_set(err, ERR_PROOF, "the consistency path does not give the old root");
	if (!ID_EQ(&sr, root))
		return err_set(err, ERR_PROOF, "the consistency path does not give the new root");
	return true;
}
