/* SPDX-License-Identifier: Apache-2.0
 * The head of a chain as several suppliers tell it, some of whom lag and some of whom lie: which
 * height is served, which block calls are pinned to, who is behind.
 *
 * Each supplier's last word is taken forward by the time that has passed since, at the chain's
 * pace, but not past what somebody has really told.  The served height is the lowest of the
 * heaviest group of suppliers that are within HEAD_GAP blocks of each other.  It does not go
 * backwards while it stands (see head_look()), and does not run ahead of time: what nobody could
 * have mined yet counts only when enough say it.  So a minority of less than a third of the stake
 * moves it down by at most HEAD_GAP blocks and up not at all.
 *
 * Pure: time is an argument and never goes backwards.  Not thread-safe.  Not here: asking
 * (relay/gateway/head.h). */
#ifndef SESSION_HEAD_H
#define SESSION_HEAD_H

#include "relay/base/ids.h"

#define HEAD_SOURCES_MAX 64 /* suppliers of a service; the one heard longest ago gives way */
#define HEAD_GAP 3	    /* blocks that suppliers of one group may be apart */
#define HEAD_MARGIN 5	    /* blocks that may come at once, whatever the pace */
#define HEAD_START_US 250000
#define HEAD_FRESH_MIN_US 15000000
#define HEAD_STANDS_US 120000000 /* that a silent supplier stands for what it told */
#define HEAD_BLOCK_MIN_US 50000
#define HEAD_BLOCK_MAX_US 120000000
#define HEAD_TIE_SPAN 10000 /* blocks; see head_look() */

struct head; /* of one chain; opaque */

struct head_block {
	uint64_t number;
	struct hash hash;
};

/* What a supplier's answer told. */
struct head_report {
	bool is_newest; /* its head is this block; else: it has this block, and perhaps later ones
			 */
	bool has_hash;
	bool has_parent; /* only with a hash */
	struct head_block block;
	struct hash parent;
};

struct head_state {
	bool known;		 /* `number` is */
	bool tied;		 /* two groups are as heavy, and it is not decided yet */
	uint64_t number;	 /* the served height */
	usec_t advanced_us;	 /* when it was reached */
	usec_t heard_us;	 /* when a supplier last told anything */
	usec_t block_us;	 /* the pace: time between blocks, learned */
	bool pinnable;		 /* `block` is known, and somebody stands for it */
	struct head_block block; /* number <= the served height, rarely below it */
	uint64_t reached;	 /* more than a third of those that are heard have this block */
	uint64_t floor;		 /* the largest height that a client was told, or is served */
	uint64_t bound;		 /* what is above it could not have been mined yet */
	uint64_t falls;		 /* times that it went backwards after all */
};

/* block_us: the pace until it has been learned. */
struct head *head_create(usec_t block_us);
void head_destroy(struct head *head);
DEFINE_CLEANUP(struct head *, head_destroy)

/* A supplier may be asked from now on; known ones get their new weight.  weight > 0: in the draw.
 */
void head_join(struct head *head, const struct key_id *supplier, const struct owner_id *owner,
	       uint64_t weight, usec_t now);
/* A supplier, joined before (else nothing happens), told this. */
void head_tell(struct head *head, const struct key_id *supplier, const struct head_report *report,
	       usec_t now);
/* A supplier does not have the block of this hash. */
void head_lack(struct head *head, const struct key_id *supplier, const struct hash *hash,
	       usec_t now);
/* A client is told this height; one that is at most HEAD_GAP above the served raises the floor. */
void head_give(struct head *head, uint64_t number);
/* Time has passed.
 *
 * At the start the height is known when suppliers of more than half of the stake were heard, or
 * HEAD_START_US after the first.  Of two groups of the same weight the higher counts once they have
 * been so for HEAD_START_US, so that a third may speak before; unless it is more than HEAD_TIE_SPAN
 * higher, which no laggard explains.  The height goes backwards only if the
 * heaviest group has been below it for four blocks' time (3 s to 60 s) and is more than half, or
 * two owners and more than a third, of what was heard within HEAD_STANDS_US, or at once if
 * suppliers of more than half of the stake are far below it and a third or less stand for it. */
void head_look(struct head *head, usec_t now);
/* The same, and nobody else is about to speak: of two groups of the same weight one counts at once.
 */
void head_settle(struct head *head, usec_t now);
/* Valid until the next call of another function. */
const struct head_state *head_state(const struct head *head);

/* The newest block that a supplier has, by its last word; 0: it has told nothing. */
uint64_t head_has(const struct head *head, const struct key_id *supplier);
/* Blocks that a supplier is behind the served height, as far as is known; 0 for one that is silent.
 */
uint64_t head_lag(const struct head *head, const struct key_id *supplier, usec_t now);

#endif
