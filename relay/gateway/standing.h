/* SPDX-License-Identifier: Apache-2.0
 * What a worker remembers of each supplier, a service at a time.  It outlives sessions: who comes
 * back in a later one comes back with its record.  Workers do not share it.  Time is an argument;
 * the figures are session/quality's, and what is made of them quality.c's. */
#ifndef RELAY_GATEWAY_STANDING_H
#define RELAY_GATEWAY_STANDING_H

#include "relay/crypto/table.h"
#include "session/quality.h"
#include "session/reach.h"
#include "session/refusals.h"

#define STANDINGS_MAX                                                                              \
	1024 /* suppliers of a service; the one that was not used for longest goes                 \
	      */

/* One supplier at one service. */
struct standing {
	struct key_id supplier;
	struct quality q;
	struct reach reach;
	unsigned label; /* of metrics; the holder's */
	unsigned refs;	/* members of sessions */
	usec_t used_us;
	usec_t judged_us;	    /* when `score` was made; 0: never */
	unsigned judged_epoch;	    /* of q */
	usec_t reference_us;	    /* that it was measured against */
	struct quality_score score; /* health before the bound on concentration */
	UT_hash_handle hh;
};

/* A service. */
struct serving {
	struct service_name service;
	const struct chain *chain; /* of its last session; the holder's; NULL: none yet */
	struct quality_limits limits;
	struct standing *standings; /* by supplier */
	struct refusals *refusals;
	UT_hash_handle hh;
};

/* The service of this name in the table, made with these limits when it is new. */
struct serving *serving_get(struct serving **table, const struct service_name *name,
			    const struct quality_limits *limits);
/* Frees all of the table, standings too. */
void servings_finish(struct serving **table);

/* The standing of a supplier, made when it is new; each ref keeps it. */
struct standing *standing_ref(struct serving *serving, const struct key_id *supplier, usec_t now);
/* The standing of a supplier, NULL when it is not remembered; no ref. */
struct standing *standing_find(struct serving *serving, const struct key_id *supplier);
/* Gives a ref back; the record stays as long as there is room. */
void standing_unref(struct standing *standing, usec_t now);
/* Its score, measured against that latency: a change of state shows at once, all else soon. */
const struct quality_score *standing_score(struct standing *standing, usec_t reference_us,
					   usec_t now);

#endif
