/* SPDX-License-Identifier: Apache-2.0
 * The heads of the services' chains, as the gateway's suppliers tell them: shared by all workers,
 * so that no client sees one go backwards, whichever worker it meets (session/head.h has the
 * rules).
 *
 * What is not told by answers that clients asked for is asked: a *round* puts the same question to
 * every member of the default application's session, which pays for it.  There is a round only
 * when a call needs the head and what is known is older than gateway.head_interval, or was
 * overtaken: by a larger height that a client was told, or by a transaction that was sent.  Where
 * rounds tell nothing (a backend without blocks, one that cannot say) calls go on without them.
 *
 * Not here: what calls make of it (pin.h). */
#ifndef RELAY_GATEWAY_HEAD_H
#define RELAY_GATEWAY_HEAD_H

#include "chains/chain.h"
#include "relay/config/config.h"
#include "session/head.h"

#define HEAD_TAGS 3		/* CHAIN_TAG_LATEST, _SAFE, _FINALIZED */
#define HEAD_WAIT_US 500000	/* that a call waits for a round at most */
#define HEAD_ROUND_GAP_US 50000 /* between the beginnings of two rounds, at least */
#define HEAD_VAIN_ROUNDS                                                                           \
	2 /* that tell nothing, one after the other: calls do not wait for more                    \
	   */
#define HEAD_AGAIN_US 1000000 /* between rounds then, or gateway.head_interval if that is less */
#define HEAD_STALE_US                                                                              \
	15000000	    /* beyond its time that a block is pinned to and nobody tells a head */
#define HEAD_NEAR 64	    /* blocks under the head of which it must be known who has them */
#define HEAD_LAGS_US 100000 /* for which what is known of laggards is used */

struct account;
struct call;
struct heads; /* of all services; opaque */
struct member;
struct relay;
struct session;
struct watch; /* a worker's rounds, of all services; opaque */
struct worker;

/* The heads of so many services, of which nothing is known yet. */
struct heads *heads_create(const struct config *cfg, const struct service_name *services, size_t n);
void heads_destroy(struct heads *heads);

/* The worker has its gateway, whose heads are there. */
struct watch *watch_create(struct worker *w);
/* No call waits any more. */
void watch_destroy(struct watch *watch);
/* Ends waiting that has lasted too long, and begins rounds that had to wait. */
void watch_look(struct watch *watch, usec_t now);

/* What is known, for a call that needs the head of this tag.  young: it must not be older than
 * gateway.head_interval either.
 *
 * True: *ret is good enough to go by.  False: a round is due; head_await() waits for it. */
MUST_USE bool head_ready(struct worker *w, const struct account *account, enum chain_tag tag,
			 bool young, struct head_state *ret);
/* The same, whatever its age; false: there is nothing. */
MUST_USE bool head_get(struct worker *w, const struct account *account, enum chain_tag tag,
		       struct head_state *ret);
/* The call waits for the end of a round, if rounds tell anything: pin_go() is called, perhaps
 * before this returns. */
void head_await(struct call *call, enum chain_tag tag);
/* Somebody besides calls would like to know the newest block: a round begins, if one may. */
void head_want(struct worker *w, const struct account *account);
/* The client of a call that may wait has left. */
void head_leave(struct call *call);

/* A supplier's answer told this. */
void head_heard(struct worker *w, const struct member *member, enum chain_tag tag,
		const struct head_report *report);
/* A supplier does not have the block that it was asked for. */
void head_missed(struct worker *w, const struct member *member, enum chain_tag tag,
		 const struct hash *hash);
/* A client is told of this height; a transaction was sent. */
void head_told(struct worker *w, const struct account *account, uint64_t number);
void head_wrote(struct worker *w, const struct account *account);

/* A client asks for all up to this block.  False: nobody is known to have it; it may have been told
 * of it elsewhere, so a round is due once for each such block. */
MUST_USE bool head_asked(struct worker *w, const struct account *account, uint64_t number);

/* Before a pick: how far the members are behind, as it bears on their health, and what they have;
 * looked up anew when that was long ago, or none of them had the block `newest` then. */
void head_look_at_lags(struct worker *w, struct session *session, uint64_t newest, usec_t now);
/* ask_terms.newest of a question about blocks up to this one: 0, unless it is near the head. */
uint64_t head_newest(const struct head_state *head, uint64_t last);
/* Whether a member is so far behind that it does not have the block that is `below` blocks under
 * the served head. */
bool head_is_behind(const struct member *member, uint64_t below);

#endif
