/* SPDX-License-Identifier: Apache-2.0
 * The RFC 6962 / RFC 9162 tree over SHA-256 ([T1], [T3]): a frontier for whoever appends, checks of
 * inclusion and consistency for whoever verifies.  Tiles and the making of proofs are in tile.h.
 *
 * Pure and without allocation.  The checks are exact: every length, every bound, no shortcut for
 * small trees.  Trees here hold fewer than 2^32 leaves (lanes stop at 2^20). */
#ifndef RELAY_RECEIPT_TREE_H
#define RELAY_RECEIPT_TREE_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define TREE_LEVELS 32 /* sizes are below 2^32 */
#define TREE_SIZE_END (UINT64_C(1) << TREE_LEVELS)
#define TREE_PROOF_MAX (TREE_LEVELS + 1) /* hashes: consistency may need one more */

/* The frontier: hashes of the complete subtrees of sizes 2^k, largest first, one for each bit that
 * is set in size.  A plain value: copy it, keep it, go back to it. */
struct tree {
	uint64_t size;
	unsigned depth; /* used entries of stack: popcount(size) */
	struct hash stack[TREE_LEVELS];
};

/* A proof in the order of RFC 9162: nearest the leaves first. */
struct tree_proof {
	size_t n;
	struct hash hash[TREE_PROOF_MAX];
};

/* The empty tree. */
void tree_init(struct tree *tree);

/* Appends the tree hash of a leaf (leaf_hash() for receipts, tree_leaf_hash() for anything else).
 * On average one SHA-256 of 65 bytes.  The tree must have room (size < TREE_SIZE_END - 1). */
void tree_append(struct tree *tree, const struct hash *leaf);

/* The root at the current size, O(log n); of the empty tree SHA-256(""). */
void tree_root(const struct tree *tree, struct hash *ret);

/* SHA-256(0x00 || data) and SHA-256(0x01 || left || right).  ret may be one of the inputs. */
void tree_leaf_hash(struct view data, struct hash *ret);
void tree_node_hash(const struct hash *left, const struct hash *right, struct hash *ret);

/* RFC 9162 2.1.3.2: true iff the path proves that `leaf` is at `index` in the tree of `size` leaves
 * with that root.  Refuses index >= size, and a path of any length but the exact one.
 * Errors: ERR_PROOF, naming what is wrong. */
MUST_USE bool tree_check_inclusion(const struct hash *leaf, uint64_t index, uint64_t size,
				   const struct hash *path, size_t path_len,
				   const struct hash *root, struct err *err);

/* RFC 9162 2.1.4.2: true iff the tree of old_size leaves with old_root is a prefix of that of size
 * leaves with root.  0 < old_size <= size; for equal sizes the path is empty and the roots equal.
 * Errors: ERR_PROOF. */
MUST_USE bool tree_check_consistency(uint64_t old_size, const struct hash *old_root, uint64_t size,
				     const struct hash *root, const struct hash *path,
				     size_t path_len, struct err *err);

/* Hashes in the one inclusion path for index in a tree of size; index < size. */
size_t tree_inclusion_len(uint64_t index, uint64_t size);

#endif
