/* SPDX-License-Identifier: Apache-2.0
 * Claims and proofs in a sqlite registry, what became of them, and the books ([C5], [C11], [C12]).
 *
 * Whoever can write the file could write anything into it; these functions write only what the
 * rules of session/settle allow.  Each is one immediate transaction: after a crash it has happened
 * or not.  Suppliers use desk.h. */
#ifndef SESSION_REGISTRY_STORE_CLAIMS_H
#define SESSION_REGISTRY_STORE_CLAIMS_H

#include "session/registry/claims_file.h"
#include "session/registry/store.h"

#define STORE_FORFEITS_MAX 64 /* of one step of the keeper, which then comes again at once */

/* Records a claim, or tells its state if it is there already.  All checks but that of overlap are
 * done before the transaction.
 * Errors: ERR_CLAIM, beginning with the fault's name; ERR_REGISTRY. */
MUST_USE bool store_claim(struct store *store, msec_t now_ms, const struct claim *c,
			  const struct signature *sig, struct view records, struct desk_claim *ret,
			  struct err *err);

/* Takes a proof: a right one pays the claim in full, at once.  A wrong one that the supplier signed
 * is kept as the reason of the forfeit that may follow.  As desk_prove() for the rest. */
MUST_USE bool store_prove(struct store *store, msec_t now_ms, const struct claim_id *id,
			  struct view proof, const struct signature *sig, struct desk_claim *ret,
			  struct err *err);

/* As desk_look(). */
MUST_USE bool store_look(struct store *store, const struct claim_id *id, struct desk_claim *ret,
			 struct err *err);

/* The records of a claim, appended; none when it never came.  Errors: ERR_REGISTRY. */
MUST_USE bool store_records(struct store *store, const struct claim_id *id, struct buf *ret,
			    struct err *err);

/* Where a listing goes on: zeroed at the beginning, then what the last one left. */
struct store_place {
	height_t recorded;
	struct claim_id id;
};

/* Claims of a supplier with to > since behind a place, at most `max`, as desk_list().
 * *ret_more: there are others behind the place that *at is now. */
MUST_USE bool store_list(struct store *store, const struct key_id *supplier, height_t since,
			 size_t max, struct store_place *at, bool *ret_more, desk_claim_fn *fn,
			 void *arg, struct err *err);

/* Everything for a claims file: those recorded at from <= height < to, as one consistent state.
 * Errors: ERR_RANGE when the file would have more than `max_bytes`; ERR_REGISTRY. */
MUST_USE bool store_claims_file(struct store *store, height_t from, height_t to, size_t max_bytes,
				struct claims_file *ret, struct err *err);

/* Told of each owner that was ever paid. */
typedef void store_owner_fn(void *arg, const struct owner_id *owner, u128 income);

/* The books as of now, and what the claims say of them. */
struct store_books {
	height_t height; /* as of this one: all entries that are written count by then */
	struct history_books money;
	uint64_t claims[DESK_FORFEITED + 1]; /* in each state */
	u128 open;			     /* value of claims without a proof yet */
	u128 paid, burned;		     /* by claims */
	u128 income;			     /* of all owners */
	bool balanced; /* deposits = paid + burned + stakes + escrow + thawing + left, and the
			  claims, the entries and the owners agree */
};
MUST_USE bool store_books(struct store *store, msec_t now_ms, struct store_books *ret,
			  store_owner_fn *fn, void *arg, struct err *err);

#endif
