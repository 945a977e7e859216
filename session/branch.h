/* SPDX-License-Identifier: Apache-2.0
 * The newest blocks of a chain as several suppliers tell them: number, hash, and who says so.  Two
 * hashes of one number are two branches; a supplier stands for one of them, the one that it told
 * last.  Pure; of a fixed size.  Not here: which number is served, see session/head.h. */
#ifndef SESSION_BRANCH_H
#define SESSION_BRANCH_H

#include "relay/base/ids.h"

#define BRANCH_BLOCKS_MAX 128
#define BRANCH_TELLERS_MAX 64 /* suppliers, by the bits of a u64 */

struct branch_block {
	uint64_t number;
	struct hash hash;
	uint64_t tellers; /* by bit; 0: nobody stands for it any more */
	uint64_t serial;  /* when it was last told, in tellings */
};

/* Zero-initialised is empty. */
struct branch {
	size_t n;
	uint64_t serial;
	struct branch_block blocks[BRANCH_BLOCKS_MAX];
};

/* A supplier tells its block of this number.  If it told another hash of that number before, its
 * chain was reorganised, and its word on all other blocks is void.  When there is no room one that
 * nobody stands for goes first, then the highest above `keep`, then the lowest. */
void branch_tell(struct branch *branch, unsigned teller, uint64_t number, const struct hash *hash,
		 uint64_t keep);
/* It has nothing above this number. */
void branch_cut(struct branch *branch, unsigned teller, uint64_t number);
/* It does not have this block. */
void branch_lacks(struct branch *branch, unsigned teller, const struct hash *hash);
/* Its word on all blocks is void. */
void branch_void(struct branch *branch, unsigned teller);

/* The block of this number for which the most weight stands, of two with the same the one that was
 * told last; NULL when nobody stands for one.  weights: of each supplier by its bit. */
const struct branch_block *branch_best(const struct branch *branch, uint64_t number,
				       const uint64_t weights[BRANCH_TELLERS_MAX]);
/* The largest number in [from, to] of which there is such a block; false: there is none. */
MUST_USE bool branch_highest(const struct branch *branch, uint64_t from, uint64_t to,
			     uint64_t *ret);

#endif
