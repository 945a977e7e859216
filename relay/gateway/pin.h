/* SPDX-License-Identifier: Apache-2.0
 * What a call makes of the head: whether it is pinned and to which block, and whether an answer may
 * be given to a client that has seen later ones ([F14], [G8], [G11]). */
#ifndef RELAY_GATEWAY_PIN_H
#define RELAY_GATEWAY_PIN_H

#include "chains/chain.h"
#include "session/head.h"

#define PIN_ASKS_MAX 2 /* of one call, if the first was pinned in vain or answered too low */

struct call;

struct pin {
	bool is_read;	/* `about` is */
	bool is_pinned; /* the ask is */
	bool by_hash;
	bool held;     /* the answer is here, but says a height that is new: `number` */
	bool replaced; /* the answer is replaced: by `number` */
	unsigned asks; /* so far */
	enum chain_tag tag;
	bool needs_head;
	struct head_block block; /* that it is pinned to */
	bool must_reach;	 /* ask_terms.must_reach */
	uint64_t below;	 /* the served head is the block that is asked; UINT64_MAX: any node will do
			  */
	uint64_t oldest; /* block that is asked; UINT64_MAX: not known */
	uint64_t newest; /* ask_terms.newest */
	struct hash seen; /* the head when it was asked; zeros: not known */
	uint64_t number;
	const struct chain_method *method;
	struct chain_call about;
};

/* Whether the call is asked as it is, whatever the head. */
MUST_USE bool pin_is_needless(struct call *call);
/* Begins to ask: at once, or when the head is known. */
void pin_start(struct call *call);
/* The head is known, or was waited for long enough. */
void pin_go(struct call *call);
/* Asks the same once more: the ask that was waited for has gone to another, or failed it. */
void pin_alone(struct call *call);
/* The call's ask has an answer.  True: it is the client's.  False: the call has gone on to ask
 * again. */
MUST_USE bool pin_take(struct call *call);
/* The call has been abandoned. */
void pin_leave(struct call *call);

#endif
