/* SPDX-License-Identifier: Apache-2.0
 * How what was seen of suppliers weighs in the picks, and what is seen: outcomes, latencies, and
 * who left unanswered what another supplier answered.  Private to relay/gateway; what is
 * remembered, and for how long, is standing.h's. */
#ifndef RELAY_GATEWAY_QUALITY_H
#define RELAY_GATEWAY_QUALITY_H

#include "relay/base/err.h"
#include "relay/gateway/standing.h"
#include "session/pick.h"

#define PICKS_NOTED_MAX 32 /* of an ask; a node that cannot yet is asked again and again */
#define QUALITY_TARGET_BYTES_MAX 65536 /* a longer request's target is not looked for */

struct ask;
struct relay;
struct worker;

/* Why a member had no part in a pick, or less of one. */
enum weigh_why {
	WEIGH_FULL,
	WEIGH_REDUCED, /* its score */
	WEIGH_CAPPED,  /* it would have had more than gateway.share_max */
	WEIGH_ASKED,   /* for this call, already */
	WEIGH_DROPPED, /* in this session: it broke a rule, or has no money left for us */
	WEIGH_NO_LINK, /* or it has not agreed to the session yet */
	WEIGH_RESTS,   /* it said that it cannot yet */
	WEIGH_BUSY,    /* as many relays are in flight as it takes */
	WEIGH_COOLS,
	WEIGH_TRIAL,   /* on trial; health 0: one relay is out */
	WEIGH_BEHIND,  /* it does not have the block yet that is asked for */
	WEIGH_PRUNED,  /* it does not have a block any more that is as old */
	WEIGH_SHUNNED, /* it does not answer calls about this address */
};
const char *weigh_why_name(enum weigh_why why);

/* What went into a pick. */
struct weighed {
	uint16_t health[SESSION_MEMBERS_MAX];
	uint8_t why[SESSION_MEMBERS_MAX]; /* enum weigh_why */
};

/* A pick as it is kept with its ask ([S7], [S9]); `count` rows follow it. */
struct pick_note {
	uint64_t n;
	uint32_t count;
	uint32_t member; /* that was picked */
	enum pick_reason reason;
};
struct pick_row {
	uint64_t weight;     /* in the draw */
	uint8_t supplier[8]; /* its key begins so */
	uint16_t health;
	uint8_t why;
};

/* The service as this worker knows it. */
struct serving *quality_serving(struct worker *w, const struct service_name *service);
/* The standing of a supplier there; give it back with standing_unref(). */
struct standing *quality_standing(struct worker *w, struct serving *serving,
				  const struct key_id *supplier);

/* Fills in weight, price and health of all members of the ask's session, who has been asked, and
 * why. */
void quality_weigh(struct ask *ask, usec_t now, struct pick_member members[], struct weighed *ret);
/* Whether anybody who was not asked is well, or passes for it where nobody is: so it went into
 * quality_weigh(). */
bool quality_is_any_well(const struct ask *ask, const struct weighed *weighed);
/* Keeps the pick with the ask. */
void quality_note(struct ask *ask, const struct weighed *weighed, uint64_t n,
		  const struct pick *pick);

/* A relay is on its way. */
void quality_on_sent(struct relay *relay);
/* Its attempt is over; the first word about a relay counts. */
void quality_on_end(struct relay *relay, enum quality_outcome outcome);
/* It has brought an answer, which may be an RPC error that no healthy backend gives. */
void quality_on_answer(struct relay *relay);
/* It is not waited for any more. */
void quality_on_given_up(struct relay *relay);
/* The ask has this relay's answer: who was asked before did not answer, and it could be done. */
void quality_on_settled(struct ask *ask, const struct relay *answered);
/* It broke a rule of the protocol, at whatever service. */
void quality_on_broken_rule(struct worker *w, const struct key_id *supplier);
/* How an attempt that failed so is counted. */
enum quality_outcome quality_outcome_of(enum err_code code);

#endif
