/* SPDX-License-Identifier: Apache-2.0
 * Tiles of 256 hashes ([T4], C2SP tlog-tiles), and what can be made from them without the leaves:
 * the root at any size up to the present one, inclusion and consistency proofs, the frontier.
 *
 * Pure: tiles are read and written through the caller's functions.  Tile (level, index) holds the
 * hashes of the complete subtrees of 2^(8 level) leaves number 256 index .. 256 index + width - 1.
 * A tile with width < 256 is partial: a prefix of the full one. */
#ifndef RELAY_RECEIPT_TILE_H
#define RELAY_RECEIPT_TILE_H

#include "relay/receipt/tree.h"

#define TILE_WIDTH 256u
#define TILE_LEVELS 4u /* 256^4 = 2^32 = TREE_SIZE_END */

/* Gives the first `width` hashes (1..256) of tile (level, index) in dst.  Asked only for what a
 * tree of the size given to the caller below has; a wider stored tile serves for a narrower one.
 * False with *err set when it cannot; that error is handed on. */
typedef bool tile_read_fn(void *arg, unsigned level, uint64_t index, unsigned width,
			  struct hash *dst, struct err *err);

/* Takes a tile that is full (width 256), or on tile_edge_flush() partial ones. */
typedef bool tile_write_fn(void *arg, unsigned level, uint64_t index, unsigned width,
			   const struct hash *hashes, struct err *err);

/* How many hashes tile (level, index) has in a tree of `size` leaves: 0..256. */
unsigned tile_width(uint64_t size, unsigned level, uint64_t index);

/* The root of a run of `width` (1..256) subtree hashes; for 256 the hash one level up. */
void tile_root(const struct hash *hashes, unsigned width, struct hash *ret);

/* "tile/0/x001/067" or, partial, "tile/0/x001/067.p/8", as C2SP names them; dst has
 * TILE_PATH_MAX bytes; returns dst. */
#define TILE_PATH_MAX 48
char *tile_path(unsigned level, uint64_t index, unsigned width, char dst[TILE_PATH_MAX]);

/* The right edge of a growing tree: the hashes of the last, not yet full tile of each level. */
struct tile_edge {
	uint64_t size;
	struct hash hash[TILE_LEVELS][TILE_WIDTH];
};

/* The edge of the empty tree. */
void tile_edge_init(struct tile_edge *edge);
/* Appends a leaf hash; each tile that fills up is written at once (one in 256 appends, and one more
 * a level).  When `write` fails the edge is of no further use. */
MUST_USE bool tile_edge_append(struct tile_edge *edge, const struct hash *leaf,
			       tile_write_fn *write, void *arg, struct err *err);
/* Writes the partial tiles of the edge as they are now; changes nothing. */
MUST_USE bool tile_edge_flush(const struct tile_edge *edge, tile_write_fn *write, void *arg,
			      struct err *err);
/* Reads the edge of a tree of `size` leaves back. */
MUST_USE bool tile_edge_load(uint64_t size, tile_read_fn *read, void *arg, struct tile_edge *ret,
			     struct err *err);

/* The frontier of a tree of `size` leaves, at most TILE_LEVELS reads. */
MUST_USE bool tile_load_tree(uint64_t size, tile_read_fn *read, void *arg, struct tree *ret,
			     struct err *err);
/* The root at `size`, which may be older than the tree that the tiles are of. */
MUST_USE bool tile_root_at(uint64_t size, tile_read_fn *read, void *arg, struct hash *ret,
			   struct err *err);
/* The inclusion path of index in the tree of `size` leaves (index < size), O(log size) reads. */
MUST_USE bool tile_prove_inclusion(uint64_t index, uint64_t size, tile_read_fn *read, void *arg,
				   struct tree_proof *ret, struct err *err);
/* The consistency path from old_size to size, 0 < old_size <= size. */
MUST_USE bool tile_prove_consistency(uint64_t old_size, uint64_t size, tile_read_fn *read,
				     void *arg, struct tree_proof *ret, struct err *err);

#endif
