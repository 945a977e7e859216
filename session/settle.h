/* SPDX-License-Identifier: Apache-2.0
 * The rules of rewards ([C1], [C4] to [C12]): which claim is right, when it may be made, which
 * proof answers its challenge, and what is paid or burned.
 *
 * Pure: heights, entries and seeds are arguments.  The same functions decide in the registry, in
 * the node that claims and in the auditor.  Not here: the bytes (relay/receipt/claim.h), and what
 * takes a store to know, whether a claim overlaps an earlier one and what has been paid. */
#ifndef SESSION_SETTLE_H
#define SESSION_SETTLE_H

#include "relay/receipt/claim.h"
#include "session/history.h"

struct method_table; /* chains/table.h */

/* Why a claim or a proof is refused; [C7] and [C10] have the order of the checks. */
enum settle_fault {
	SETTLE_FINE = 0,
	/* of either */
	SETTLE_FORM,	  /* the bytes are no claim, or no proof */
	SETTLE_SIGNATURE, /* it is not the supplier who hands it in */
	SETTLE_EARLY,	  /* its time has not come: the only fault that waiting mends */
	SETTLE_LATE,	  /* its time is over */
	/* of a claim */
	SETTLE_NETWORK,	      /* of another network */
	SETTLE_RANGE,	      /* from and to are not starts of sessions with from < to */
	SETTLE_OVERLAP,	      /* the range overlaps that of an earlier claim of the same four */
	SETTLE_AMOUNT,	      /* its value is 0, or 2^96 or more */
	SETTLE_RECORDS,	      /* not as many records as it says, or more than CLAIM_RECORDS_MAX */
	SETTLE_RECORD,	      /* what should be a record is none */
	SETTLE_START,	      /* a record of a session outside the range */
	SETTLE_ORDER,	      /* (start, lane) does not increase */
	SETTLE_SESSION,	      /* there was no such session of this application and service */
	SETTLE_NOT_DRAWN,     /* the supplier was not drawn into it */
	SETTLE_GRANT,	      /* no active grant paid for it */
	SETTLE_SIZE,	      /* no lane has so many leaves */
	SETTLE_NO_VALUE,      /* 0 CU, or price 0 */
	SETTLE_VALUE,	      /* the value is not CU x price */
	SETTLE_VALUE_BEFORE,  /* not the sum of the values ahead of it */
	SETTLE_SESSION_VALUE, /* not that of those of its session */
	SETTLE_ALLOWANCE,     /* more than the session may pay one supplier */
	SETTLE_TOTAL,	      /* the claim's value is not the sum of its records' */
	SETTLE_ROOT,	      /* the claim's root is not that of its records */
	/* of a proof */
	SETTLE_RECORD_POINT, /* its record is not the one that is challenged */
	SETTLE_RECORD_PATH,  /* it is not shown to be the claim's */
	SETTLE_NOTE,	     /* the checkpoint is no note, or does not have its three lines */
	SETTLE_LANE,	     /* it is of another lane than the record says, or of other parties */
	SETTLE_SUPPLIER_SIGNATURE,
	SETTLE_GATEWAY_SIGNATURE,
	SETTLE_HEAD,	     /* its size or root is not the record's */
	SETTLE_LEAF,	     /* what should be a leaf breaks a rule of form ([R5]) */
	SETTLE_LEAF_SESSION, /* a leaf of another session */
	SETTLE_LEAF_POINT,   /* not the leaf that is challenged */
	SETTLE_LEAF_CU,	     /* it costs more than the method table has it */
	SETTLE_LEAF_PATH,    /* it is not shown to be in the lane, at the place of its seq */
	SETTLE_NO_PROOF,     /* none came: the reason of a forfeit, no verdict of a check */
	SETTLE_FAULT_COUNT
};

/* "not_drawn" and so on; "fine" for SETTLE_FINE.  It never changes: files keep it. */
const char *settle_fault_name(enum settle_fault fault);

/* The fault that a message of ERR_CLAIM begins with; false when it names none. */
MUST_USE bool settle_fault_of(const char *message, enum settle_fault *ret);

/* What is known of one session of a claim. */
struct settle_terms {
	struct session_id id;
	bool member;	/* the supplier was drawn into it */
	uint64_t price; /* of its snapshot, token units per CU; 0 when it is no member */
	u128 allowance; /* tokens; 0 when the gateway's grant is not active */
	const struct method_table *table; /* of the service at the snapshot; NULL: not known here */
};

/* Tells the terms of the session at `start`, which exists by its number; false when none came to
 * be (no such service, no supplier, no seed), with the reason. */
typedef bool settle_terms_fn(void *arg, const struct claim *c, height_t start,
			     struct settle_terms *ret, struct err *err);

/* Checks a claim with all its records, in one pass: everything but overlap ([C7]).
 *
 * In:     c        parsed claim bytes
 *         sig      the supplier's
 *         records  all of them
 *         network  of the registry
 *         p        settle_params() of c->from
 *         now      height at which the claim is recorded ([C4])
 * Out:    ret      the first fault, set in any case; SETTLE_FINE: the claim stands
 * Errors: ERR_CLAIM; the message begins with the fault's name.
 * Cost:   about 1 us a record, 40 us for the signature, and `terms` once a session.
 */
MUST_USE bool settle_check_claim(const struct claim *c, const struct signature *sig,
				 struct view records, const struct network_id *network,
				 const struct session_params *p, height_t now,
				 settle_terms_fn *terms, void *arg, enum settle_fault *ret,
				 struct err *err);

/* Checks the proof of a claim that was accepted ([C10]); its time is settle_proof_time()'s.
 *
 * In:     proof      its bytes, as they were handed in
 *         sig        the supplier's, claim_proof_sign()
 *         challenge  seed of settle_challenge()
 *         terms      as when it was accepted; with others SETTLE_SESSION or SETTLE_VALUE
 * Out:    ret        the first fault, set in any case
 * Errors: ERR_CLAIM; the message begins with the fault's name.
 * Cost:   three signatures and some 40 hashes: about 200 us.
 */
MUST_USE bool settle_check_proof(const struct claim *c, struct view proof,
				 const struct signature *sig, const struct seed *challenge,
				 settle_terms_fn *terms, void *arg, enum settle_fault *ret,
				 struct err *err);

/* True iff the two claims are of the same application, gateway, supplier and service and their
 * ranges meet ([C5]). */
bool settle_overlap(const struct claim *a, const struct claim *b);

/* --- time ([C4], [C11]); p: settle_params() of the claim's `from` --- */

/* First height at which a range that ends at `to` may be claimed. */
height_t settle_opens(const struct session_params *p, height_t to);
/* First height at which it is too late for a range that begins at `from`. */
height_t settle_closes(const struct session_params *p, height_t from);
/* The height whose seed is the challenge of a claim that was recorded at `recorded`. */
height_t settle_challenge(const struct session_params *p, height_t recorded);
/* The last height at which its proof counts. */
height_t settle_due(const struct session_params *p, height_t recorded);
/* SETTLE_FINE, SETTLE_EARLY (the challenge is not drawn yet) or SETTLE_LATE. */
enum settle_fault settle_proof_time(const struct session_params *p, height_t recorded,
				    height_t now);

/* --- money ([C12]) --- */

/* Where an amount comes from: what stands, or what is on its way out. */
struct settle_split {
	u128 standing;
	u128 thawing;
};

/* min(amount, standing + thawing), what stands first. */
struct settle_split settle_take(u128 amount, u128 standing, u128 thawing);

/* --- the terms as a registry has them --- */

/* The parameters that count for a claim: those of the snapshot of the session at `from`.  For a
 * `from` that no session has, those of height 0; settle_check_claim() then refuses the range. */
const struct session_params *settle_params(const struct history *h, height_t from);

/* Who is paid: the owner that the supplier has at the snapshot of the session at c->from, or if it
 * had not staked yet the one that it first had.  False when it never staked. */
MUST_USE bool settle_payee(const struct history *h, const struct claim *c, struct owner_id *ret);

/* Sessions of a history, with the last tables and draws kept; for one thread. */
struct settle_book;

/* h: a ref is taken.  seeds: borrowed as long as the book lives; it may grow meanwhile, but hold
 * still during a call. */
struct settle_book *settle_book_create(struct history *h, const struct seed_run *seeds);
void settle_book_destroy(struct settle_book *book);
DEFINE_CLEANUP(struct settle_book *, settle_book_destroy)

/* A settle_terms_fn; arg is the struct settle_book.
 * Errors: ERR_NO_SESSION.
 * Cost: a draw a session and application; a table (100 ms at 100,000 suppliers) only where a
 * supplier, a service or a parameter changed between two snapshots. */
MUST_USE bool settle_book_terms(void *arg, const struct claim *c, height_t start,
				struct settle_terms *ret, struct err *err);

#endif
