/* SPDX-License-Identifier: Apache-2.0
 * Recent blocks of one service by hash, with the links to their parents, and which of them are on
 * the branch that is served: the head and all its ancestors whose links are known without a gap.
 * What is not known to be on it is not served, whatever its number.  Not a chain: no rules of
 * consensus, and no head of its own choice; what is said to be sure is believed, so it is checked
 * by whoever brings it. */
#ifndef RELAY_CACHE_LINEAGE_H
#define RELAY_CACHE_LINEAGE_H

#include <sys/queue.h>

#include "relay/base/bytes.h"
#include "relay/base/ids.h"

/* Blocks this far beyond the head are not taken: a number that somebody invented would stay. */
#define LINEAGE_AHEAD_MAX 64

/* What is told of a block. */
struct block_claim {
	struct hash hash;
	struct hash parent;
	bool has_parent; /* else only that it exists */
	uint64_t number;
	/* It is the head's own, or follows from the hash.  Else it is somebody's word: its parent
	 * is not believed, and it gives way to one that is sure. */
	bool sure;
};

/* How a block leaves, with all that hangs at it. */
enum lineage_leave {
	LINEAGE_DEAD,	  /* it was served, and another branch is now */
	LINEAGE_FINAL,	  /* it is served, and will be for ever */
	LINEAGE_UNLINKED, /* finality has passed it by: it was never seen to be on the branch; or
			     it was told of wrongly */
	LINEAGE_OLD,	  /* there are too many */
	LINEAGE_BROKEN,	  /* a final block was not: all that was known is given up */
};

struct entry;
LIST_HEAD(entry_list, entry);

/* A block that is known; of lineage.c, but for the lists. */
struct lineage_block {
	struct block_claim is;
	bool served;		    /* it is on the branch now */
	bool was_served;	    /* it was, is not, and nothing says yet that it is dead */
	struct entry_list entries;  /* whoever uses the lineage keeps what hangs here */
	struct entry_list realtime; /* ... and what holds only while this is the head */
	TAILQ_ENTRY(lineage_block) all;
	struct lineage_block *next; /* in its bucket */
};

/* Told of each block that leaves.  Its lists must be empty afterwards.  A block that dies, the
 * newest final one, and the head that all begins anew with are remembered without them.  It may not
 * use the lineage. */
typedef void lineage_on_leave(struct lineage_block *block, enum lineage_leave why, void *arg);

struct lineage;

/* blocks_max: >= 4; it never holds more.  Nothing is known before the first head. */
struct lineage *lineage_create(size_t blocks_max, lineage_on_leave *on_leave, void *arg);
/* Nothing is told. */
void lineage_destroy(struct lineage *b);
/* Bytes of a lineage of blocks_max when it is full, allocator's overhead included. */
size_t lineage_bytes(size_t blocks_max);

/* A block that somebody has seen.  NULL: it cannot be remembered, since there is no head yet, or it
 * is final, too far ahead, older than all that there is room for, or contradicts what is known. */
struct lineage_block *lineage_add(struct lineage *b, const struct block_claim *claim);

/* The head that is served now; it is sure.  One whose parent is the old head moves on by one; any
 * other is traced back to what is known.  A head that contradicts what is known is ignored (false);
 * one that contradicts a final block makes everything known leave as BROKEN, and the lineage begins
 * with it.
 */
bool lineage_set_head(struct lineage *b, const struct block_claim *head);

/* Blocks up to this number are final; numbers beyond the head mean the head.  Never goes back. */
void lineage_set_final(struct lineage *b, uint64_t number);

/* NULL before the first head. */
const struct lineage_block *lineage_head(const struct lineage *b);
bool lineage_is_final(const struct lineage *b, uint64_t number);
/* NULL when the block is not remembered. */
struct lineage_block *lineage_find(const struct lineage *b, const struct hash *hash);
/* How often a final block was not. */
uint64_t lineage_breaks(const struct lineage *b);
size_t lineage_count(const struct lineage *b);

#endif
