/* SPDX-License-Identifier: Apache-2.0
 * The inside of the claim machine: claimer.c (its thread, and what it tells), claimer_plan.c (what
 * is claimed), claimer_names.c (whose lost sessions are), claimer_desk.c (what becomes of claims),
 * claimer_proof.c (one proof). */
#ifndef RELAY_NODE_CLAIMER_PRIVATE_H
#define RELAY_NODE_CLAIMER_PRIVATE_H

#include <pthread.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/ledger/claims.h"
#include "relay/node/claimer.h"
#include "session/registry/desk.h"

/* What is to be told at the end of a step. */
struct claimer_risk {
	uint64_t sessions; /* not claimed, with warn_percent of their window gone */
	uint64_t claims;   /* neither recorded nor proved in that time */
	height_t closes;   /* the first of their windows that ends; UINT64_MAX: none */
	cu_t value_cu;	   /* of those sessions */
	uint64_t lanes;	   /* that lack the last head of a session that is over */
	cu_t lanes_cu;
};

struct claimer {
	struct claimer_params p;
	struct key_id self;
	struct key_id registry_key;
	struct claims *book;
	struct ledger_reader *reader;
	struct desk *desk;	    /* NULL: not open yet; set under the lock */
	struct registry_view *view; /* of this step */
	height_t height;
	height_t planned; /* at this height already */
	bool counted;	  /* all that the ledger has, in this step */
	bool listed;	  /* what the registry has of ours was compared with the books */
	bool clock_told;  /* to the books */
	usec_t pause_us;  /* the next one; 0: the registry answers */
	usec_t again_us;  /* not asked before */
	struct err desk_why;
	size_t nameless; /* sessions that were looked for in vain ... */
	usec_t names_us; /* ... and are not looked for before */
	struct claimer_risk risk;
	struct claimer_risk told; /* as it was logged last */
	usec_t told_us;
	struct log_gate books_gate;
	struct log_gate proof_gate;

	pthread_t thread;
	bool runs;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t cond;
	bool stop;
	struct buf notes;
};

/* The steps, for the metric. */
enum claimer_step {
	CLAIMER_PREPARED,
	CLAIMER_RECORDED,
	CLAIMER_PROVED,
	CLAIMER_PAID,
	CLAIMER_FORFEITED,
	CLAIMER_REFUSED,
	CLAIMER_ADOPTED,
};
void claimer_count(enum claimer_step step);

/* A failure of our own books: logged, and tried again in the next step. */
void claimer_books_failed(struct claimer *c, const struct err *err);

/* --- claimer_names.c --- */
/* Finds whose the sessions are that the books cannot name. */
MUST_USE bool claimer_find_names(struct claimer *c, struct err *err);

/* --- claimer_plan.c --- */
/* Prepares claims of what is ripe, and writes off what no claim can be made of any more. */
MUST_USE bool claimer_plan(struct claimer *c, struct err *err);

/* Writes down the terms of the sessions of a claim that was not made from these books.
 *
 * Out: ret_why  set when the registry's view is behind: call again
 */
MUST_USE bool claimer_price(struct claimer *c, const struct claim *claim, struct err *ret_why,
			    struct err *err);

/* --- claimer_desk.c --- */
/* Carries each open claim one step further, as far as the registry can be reached. */
MUST_USE bool claimer_push(struct claimer *c, struct err *err);

/* --- claimer_proof.c --- */
/* Makes the proof that a seed asks for, and signs it.
 *
 * Errors: ERR_NOT_FOUND and others of ledger and books: what it needs is not there.
 * Cost: some ten reads of pages, a few hundred leaves, two signatures.
 */
MUST_USE bool claimer_prove(struct claimer *c, const struct claims_full *full,
			    const struct seed *seed, struct buf *ret_proof,
			    struct signature *ret_signature, struct err *err);

#endif
