/* SPDX-License-Identifier: Apache-2.0
 * One answer for many calls ([G6]): calls that are the same at the same moment are asked once, and
 * what has been answered before is given again for as long as it holds (relay/cache).
 *
 * The kept answers are of all workers and all applications together, under one lock, which is held
 * for a look-up and never while anybody waits; what is in flight is each worker's
 * own.  Not here: what is sent to the client (answer.c), how an ask is joined (ask.h). */
#ifndef RELAY_GATEWAY_REUSE_H
#define RELAY_GATEWAY_REUSE_H

#include "relay/base/err.h"
#include "relay/cache/cache.h"
#include "session/head.h"

struct ask_params;
struct call;
struct config;
struct reuse; /* of a gateway; opaque */

/* What a call has to do with it; zero-initialised: nothing. */
struct reuse_call {
	bool shares; /* the key is set: it may join others, and others it */
	bool keeps;  /* its answer may be kept */
	bool alone;  /* it joins nobody any more */
	bool joined; /* it waits for another's ask, or was answered by it */
	bool again;  /* it has asked anew after another's ask had failed it */
	uint32_t cu; /* that it would cost; only when the key is set */
	struct cache_key key;
	uint64_t head_serial;	 /* when it was asked */
	struct cache_body *body; /* ref: the kept answer that it gets; NULL: none */
};

struct reuse *reuse_create(const struct config *cfg);
void reuse_destroy(struct reuse *reuse);

/* Asks for a call, unless its answer is kept or is being asked for: as ask_start(), so the call may
 * be over, and gone, when this returns.  params: without a key. */
void reuse_ask(struct call *call, const struct ask_params *params);
/* The call's ask has been answered, and the call is content with it: the answer is kept if it may
 * be. */
void reuse_keep(const struct call *call);
/* Whether a call that has joined an ask which failed asks anew, since it may fare better: once. */
bool reuse_may_ask_again(struct call *call, const struct err *why);
/* The same for one that was answered with an error of a backend. */
bool reuse_may_ask_after_error(struct call *call);
/* Takes the kept answer to a call that has no ask; false: there is none, and nothing was counted.
 */
MUST_USE bool reuse_take(struct call *call);
/* The call cost nothing, since its answer was kept or another's. */
void reuse_saved(const struct call *call);
/* Gives up what the call holds. */
void reuse_leave(struct call *call);
/* The head that is served, as a supplier has just told it again. */
void reuse_head(struct reuse *reuse, const struct service_name *service,
		const struct head_report *head);
/* Brings the metrics up to date. */
void reuse_publish(struct reuse *reuse);

#endif
