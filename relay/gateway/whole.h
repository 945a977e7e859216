/* SPDX-License-Identifier: Apache-2.0
 * Questions of the gateway's own, whose answers it reads: each is an ask, and its answer is there
 * whole when its end is told, however long it was.  What is held of such answers is bounded, for
 * each call by gateway.gather_max and in all by gateway.gather_bytes_max.
 *
 * Private to relay/gateway. */
#ifndef RELAY_GATEWAY_WHOLE_H
#define RELAY_GATEWAY_WHOLE_H

#include "relay/gateway/ask.h"
#include "relay/gateway/made.h"

struct whole {
	void (*on_end)(struct whole *whole); /* may free it */
	struct worker *worker;
	size_t *sum;  /* bytes of all answers of the call */
	size_t bytes; /* of this one, counted */
	struct asker asker;
	struct buf body;	  /* of the answer */
	struct rpc_answer answer; /* its parts, when it has ended with one */
	struct made_receipt receipt;
	struct err err;		 /* code ERR_NONE: there is an answer */
	usec_t moved_us;	 /* when a part of a long answer last came */
	usec_t kept_us;		 /* when the node was last told that it is waited for */
	LIST_ENTRY(whole) entry; /* worker->wholes: parts of it are here, and the last is not */
};

/* Asks; the end may have been told when this returns.
 *
 * In:  whole  zero but for on_end
 *      sum    counts what is held; as long as the answer is
 *      text   a call as a client could send it (asserted); borrowed for the call
 *      blocks the range that it asks about; NULL: it does not ask about one */
void whole_start(struct whole *whole, struct worker *w, struct account *account, struct view text,
		 const struct chain_logs_part *blocks, usec_t deadline_us, size_t *sum);
/* Hands the answer's bytes over, which do not count any more. */
struct buf whole_take(struct whole *whole);
/* Nobody wants it any more, or it has been read: frees what it holds.  It may be started again. */
void whole_drop(struct whole *whole);
/* Ends what stands still. */
void wholes_look(struct worker *w, usec_t now);

#endif
