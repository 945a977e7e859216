/* SPDX-License-Identifier: Apache-2.0
 * Which sessions are claimed together, and when ([C4], [C5]).
 *
 * Pure: heights are arguments.  A session is claimed once, so not before everything in it has its
 * cosigned head, unless its window is about to close; and together with its neighbours, unless they
 * keep it waiting for too long.  What is in the claims is claimer_plan.c's. */
#ifndef RELAY_NODE_CLAIM_PLAN_H
#define RELAY_NODE_CLAIM_PLAN_H

#include "relay/base/ids.h"

/* A session of one application, gateway and service in which something was earned. */
struct claim_plan_session {
	height_t start;
	height_t ripe;	 /* first height at which nothing can be added to it */
	height_t opens;	 /* first height at which it can be claimed alone ... */
	height_t closes; /* ... and at which it is too late */
	bool complete;	 /* what was earned in it is all under cosigned heads */
	size_t records;	 /* that it can give at most */
};

struct claim_plan_params {
	uint64_t session_blocks;
	uint64_t batch;	    /* sessions of one claim, at most; >= 1 */
	size_t records_max; /* of one claim */
};

/* The next sessions to be claimed together at a height: neighbours without a gap, all ripe and
 * open, each complete or at its last call, and either `batch` of them or one that has waited for a
 * third of its window.
 *
 * In:     s          sorted by start, distinct
 * Out:    ret_first  index of the first one; set when there are any
 * Returns how many they are; 0: none now.
 */
size_t claim_plan_next(const struct claim_plan_session *s, size_t n,
		       const struct claim_plan_params *p, height_t height, size_t *ret_first);

/* True in the last quarter of its window: what is not cosigned by now is left behind. */
bool claim_plan_is_last_call(const struct claim_plan_session *s, height_t height);

/* The height in the window of a session, or of anything, that is `percent` of its way. */
height_t claim_plan_at(height_t opens, height_t closes, unsigned percent);

#endif
