/* SPDX-License-Identifier: Apache-2.0
 * The logs of many blocks, asked for in parts.
 *
 * What is more than gateway.logs_chunk blocks is divided at once; what a backend calls too large,
 * in whichever words, is divided then, and its parts again, down to one block, one address and one
 * topic; where it says that there are too many of these, they are divided first.  The parts are
 * asked side by side, gateway.logs_parallel at a time, each a relay with its receipt, and joined in
 * the order of the chain, entry by entry as backends wrote them ([G7]).  A part that fails fails
 * the whole: there is no answer that lacks some.
 *
 * How many blocks a backend says that it takes is believed as far as there are no more than eight
 * pieces of what was too large: who is asked next may take more.  What was too large lately is not
 * tried again: each account remembers the largest range that worked and the smallest that did not.
 *
 * Private to relay/gateway.  Not here: how a call is divided (chains/logs.h), whose calls are
 * (wide.c, poll.c). */
#ifndef RELAY_GATEWAY_LOGS_H
#define RELAY_GATEWAY_LOGS_H

#include <sys/queue.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/gateway/made.h"

struct account;
struct part;
struct worker;

/* What an account has seen of ranges, in blocks. */
struct logs_seen {
	uint64_t worked;  /* the largest that was answered; 0: none */
	uint64_t refused; /* the smallest that was too large; 0: none */
	uint64_t piece;	  /* ... and the size of pieces that it was divided in */
	unsigned doubts;  /* refusals since then of no more than has worked */
	usec_t until_us;  /* when that is forgotten */
};

/* One question for logs.  Zero but for the first members, which are its owner's to set. */
struct logs {
	void (*on_end)(struct logs *logs); /* made or err is set; may free it */
	struct worker *worker;
	struct account *account;
	const struct chain *chain;
	const struct chain_logs *read; /* of text; both stay until the end */
	struct view text;
	usec_t deadline_us;
	size_t *sum;	  /* bytes that are held for the call */
	uint64_t piece;	  /* blocks of a part to begin with, at most; 0: as was seen of others */
	bool many_terms;  /* there were too many: its parts have some of them each */
	struct made made; /* the answer, which may be a supplier's error */
	struct err err;	  /* code ERR_NONE: there is an answer */

	TAILQ_HEAD(, part) parts; /* in the order of the answer */
	unsigned count, asked, done;
	unsigned busy;
	bool mixed; /* there are parts of the same blocks */
	bool over;  /* err is set, or a part's error is the answer */
};

/* Asks for the logs of these blocks, both of them too; first <= last.  The end may have been told,
 * and the owner be gone, when this returns. */
void logs_begin(struct logs *logs, uint64_t first, uint64_t last);
/* Nobody wants it any more; also of one that is zero, or has ended. */
void logs_drop(struct logs *logs);

/* Blocks that one part may have of so many. */
uint64_t logs_chunk(const struct worker *w, struct account *account, uint64_t blocks);
/* A range of so many blocks was answered with an error: if there were too many that is remembered.
 *
 * Returns the blocks of the pieces that it is to be divided in: as many as the backend says that it
 * takes, but not so few that there are more than eight at once, since another backend may take
 * more; half of them, if it says nothing; all, if there were not too many. */
uint64_t logs_too_many_blocks(struct account *account, const struct chain *chain,
			      const struct rpc_answer *answer, uint64_t blocks);
/* There were too many addresses or topics. */
bool logs_too_many_terms(const struct chain *chain, const struct rpc_answer *answer);
/* Whether an answer says that what was asked for is too large, but parts of it may not be. */
bool logs_too_large(const struct chain *chain, const struct rpc_answer *answer);

#endif
