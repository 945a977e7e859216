/* SPDX-License-Identifier: Apache-2.0
 * Answers that the gateway makes of several: what a call gets that is asked in parts, or that no
 * single relay could answer.  All the relays that it is made of are named, in order ([G7]).
 * Private to relay/gateway. */
#ifndef RELAY_GATEWAY_MADE_H
#define RELAY_GATEWAY_MADE_H

#include "relay/base/ids.h"
#include "relay/rpc/envelope.h"

struct relay;

/* What is told of a relay. */
struct made_receipt {
	struct key_id supplier;
	struct session_id session;
	struct lane_id lane;
	uint64_t seq;
	struct salt salt;
	bool recomputed; /* its answer ([G9]) */
};

/* Zero-initialised there is none. */
struct made {
	struct buf body;	  /* with the id 1 */
	struct rpc_answer answer; /* its parts */
	struct made_receipt *receipts;
	size_t count, cap;
};

static inline bool made_is_there(const struct made *made)
{
	return made->body.n > 0;
}

/* What is told of a relay that has its first leaf. */
struct made_receipt made_receipt_of(const struct relay *relay);
/* The relay is one of those that the answer is made of. */
void made_add(struct made *made, const struct made_receipt *receipt);
/* Begins the answer; its result is to be appended to made->body. */
void made_begin(struct made *made);
/* The result is there. */
void made_end(struct made *made);
void made_finish(struct made *made);

#endif
