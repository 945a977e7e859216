/* SPDX-License-Identifier: Apache-2.0
 * What a filter has told its client: up to which block, and the logs of the blocks since which the
 * chain may still change its mind.  When it does, those of the blocks that are gone are told again,
 * as removed.  Pure: no IO, no clock.
 *
 * Kept are the blocks that were the newest at a poll and those that had logs: each block with logs
 * that were told is one of them.  So if one of them is still of the chain, all that was told of it
 * and of those below stands, and what is above it can be asked for anew. */
#ifndef RELAY_GATEWAY_TRACK_H
#define RELAY_GATEWAY_TRACK_H

#include "chains/chain.h"
#include "relay/base/err.h"

struct track_block {
	uint64_t number;
	struct hash hash;
	struct buf logs; /* as they were told, with commas between them */
};

/* Zero-initialised it is empty. */
struct track {
	struct track_block *blocks; /* by number, each higher than the one before */
	size_t count, cap;
	size_t bytes; /* of their logs */
};

void track_finish(struct track *track);

/* The newest block is this one; it is higher than all (asserted), or is the last already. */
void track_add_block(struct track *track, uint64_t number, const struct hash *hash);

/* The logs of blocks above all that are there were told.
 *
 * In:     inside  entries with commas between them, in the order of the chain
 * Errors: ERR_UPSTREAM when an entry tells no block, or not in that order, or two of one height
 *         another block; the track has some of them then. */
MUST_USE bool track_add_logs(struct track *track, struct view inside, struct err *err);

/* Takes the blocks of another track, which are above all that are there (asserted). */
void track_append(struct track *track, struct track *more);

/* Appends the logs of all but the first `keep` blocks as removed ones, those of the newest block
 * first, with commas between them. */
void track_put_removed(const struct track *track, size_t keep, struct buf *ret);

/* Forgets all but the first `keep` blocks. */
void track_cut(struct track *track, size_t keep);

/* Forgets the oldest: those more than `depth` below the newest, and as many as it takes to have no
 * more than `bytes` of logs.  The newest stays. */
void track_trim(struct track *track, uint64_t depth, size_t bytes);

#endif
