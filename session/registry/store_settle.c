/* SPDX-License-Identifier: Apache-2.0
 * Proofs, payments and forfeits ([C10] to [C12]).  Every amount is moved in one transaction with
 * the state of its claim, the entry of whoever pays, and the income of the owner. */
#include "session/registry/store_inside.h"

#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/base/point.h"

/* A recorded claim as far as its settlement needs it. */
struct open_claim {
	struct claim claim;
	struct claim_id id;
	height_t recorded, challenge, due;
	enum desk_state state;
};

/* Columns: claim, id, recorded, challenge, due, state. */
static bool read_open(struct store *store, sqlite3_stmt *stmt, struct open_claim *ret,
		      struct err *err)
{
	const void *p = sqlite3_column_blob(stmt, 0);
	struct open_claim c = {.recorded = (height_t)sqlite3_column_int64(stmt, 2),
			       .challenge = (height_t)sqlite3_column_int64(stmt, 3),
			       .due = (height_t)sqlite3_column_int64(stmt, 4),
			       .state = (enum desk_state)sqlite3_column_int(stmt, 5)};

	if (!p || !claim_parse(VIEW(p, (size_t)sqlite3_column_bytes(stmt, 0)), &c.claim, err) ||
	    !column_bytes(stmt, 1, c.id.b, sizeof(c.id.b)))
		return err_set(err, ERR_REGISTRY, "%s: a damaged claim", store->path);
	*ret = c;
	return true;
}

static bool find_open(struct store *store, const struct claim_id *id, bool *ret_found,
		      struct open_claim *ret, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (!store_db_prepare(store,
			      "SELECT claim, id, recorded, challenge, due, state FROM claims"
			      " WHERE id = ?",
			      &stmt, err))
		return false;
	bind_bytes(stmt, 1, id->b, sizeof(id->b));
	return store_step(store, stmt, ret_found, err) &&
	       (!*ret_found || read_open(store, stmt, ret, err));
}

static bool add_income(struct store *store, const struct owner_id *owner, u128 amount,
		       struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *read = NULL;
	CLEANUP(stmt_finalize) sqlite3_stmt *write = NULL;
	u128 income = 0;
	bool row;

	if (!store_db_prepare(store, "SELECT income FROM owners WHERE owner = ?", &read, err) ||
	    !store_db_prepare(store, "INSERT OR REPLACE INTO owners VALUES (?, ?)", &write, err))
		return false;
	bind_bytes(read, 1, owner->b, sizeof(owner->b));
	if (!store_step(store, read, &row, err))
		return false;
	if (row && !column_sum(read, 0, &income))
		return err_set(err, ERR_REGISTRY, "%s: a damaged owner", store->path);
	sqlite3_reset(read);
	bind_bytes(write, 1, owner->b, sizeof(owner->b));
	bind_sum(write, 2, income + amount);
	return store_db_run(store, write, err);
}

/* How a claim ends. */
struct verdict {
	enum desk_state state;
	height_t settled;
	u128 paid;
	struct settle_split burned;
};

static bool write_verdict(struct store *store, const struct claim_id *id, const struct verdict *v,
			  struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (!store_db_prepare(
		    store,
		    "UPDATE claims SET state = ?1, settled = ?2, paid = ?3, burned = ?4,"
		    " burned_thaw = ?5, reason = CASE WHEN ?1 = 2 THEN ''"
		    " WHEN reason = '' THEN ?6 ELSE reason END WHERE id = ?7 AND state = 1",
		    &stmt, err))
		return false;
	sqlite3_bind_int(stmt, 1, (int)v->state);
	bind_height(stmt, 2, v->settled);
	bind_sum(stmt, 3, v->paid);
	bind_sum(stmt, 4, v->burned.standing);
	bind_sum(stmt, 5, v->burned.thawing);
	bind_text(stmt, 6, settle_fault_name(SETTLE_NO_PROOF));
	bind_bytes(stmt, 7, id->b, sizeof(id->b));
	return store_db_run(store, stmt, err) &&
	       store_db_exec(store, "UPDATE network SET entries_version = entries_version + 1",
			     err);
}

static bool refuse(enum settle_fault fault, const char *why, struct err *err)
{
	return err_set(err, ERR_CLAIM, "%s: %s", settle_fault_name(fault), why);
}

/* Takes an amount of a purse at the height behind *now, which becomes later where the purse has
 * seen a later one. */
static bool take(struct store *store, enum store_owner kind, const struct key_id *key,
		 height_t *now, u128 amount, struct settle_split *ret, struct err *err)
{
	CLEANUP(store_purse_finish) struct store_purse purse = {0};

	if (!store_purse_read(store, kind, key, *now + 1, &purse, err))
		return false;
	*now = purse.e[purse.n - 1].height - 1;
	*ret = store_purse_take(&purse, amount);
	if (ret->standing == 0 && ret->thawing == 0)
		return true;
	return store_purse_write(store, &purse, err);
}

/* Grants are active only where the escrow carries every session that can be unsettled ([P3]), so
 * all of the value is there, but for what [C12] names. */
static bool pay(struct store *store, const struct open_claim *c, height_t now, struct err *err)
{
	struct verdict v = {.state = DESK_PAID, .settled = now};
	struct settle_split paid;
	struct owner_id owner;

	if (!settle_payee(store->book_history, &c->claim, &owner))
		return err_set(err, ERR_REGISTRY, "the supplier of a claim has no owner");
	if (!take(store, STORE_APPLICATION, &c->claim.application, &v.settled, c->claim.value,
		  &paid, err))
		return false;
	if (v.settled > c->due)
		return refuse(SETTLE_LATE, "the time for a proof is over", err);
	v.paid = paid.standing + paid.thawing;
	return add_income(store, &owner, v.paid, err) && write_verdict(store, &c->id, &v, err);
}

static bool keep_proof(struct store *store, const struct claim_id *id, struct view proof,
		       const struct signature *sig, const char *reason, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (!store_db_prepare(store,
			      "UPDATE claims SET proof = ?, proof_signature = ?, reason = ?"
			      " WHERE id = ? AND state = 1",
			      &stmt, err))
		return false;
	bind_bytes(stmt, 1, proof.p, proof.n);
	bind_bytes(stmt, 2, sig->b, sizeof(sig->b));
	bind_text(stmt, 3, reason);
	bind_bytes(stmt, 4, id->b, sizeof(id->b));
	return store_db_run(store, stmt, err);
}

/* Writes what became of a proof: paid, or the fault that a forfeit will name. */
static bool conclude(struct store *store, msec_t now_ms, const struct claim_id *id,
		     struct view proof, const struct signature *sig, enum settle_fault fault,
		     struct err *err)
{
	struct open_claim c;
	height_t now;
	bool found;

	if (!find_open(store, id, &found, &c, err) || !store_height(store, now_ms, &now, err))
		return false;
	if (!found || c.state != DESK_RECORDED)
		return true; /* settled meanwhile */
	if (now > c.due)
		return refuse(SETTLE_LATE, "the time for a proof is over", err);
	return keep_proof(store, id, proof, sig,
			  fault == SETTLE_FINE ? "" : settle_fault_name(fault), err) &&
	       (fault != SETTLE_FINE || pay(store, &c, now, err));
}

static bool conclude_whole(struct store *store, msec_t now_ms, const struct claim_id *id,
			   struct view proof, const struct signature *sig, enum settle_fault fault,
			   struct err *err)
{
	if (!store_db_exec(store, "BEGIN IMMEDIATE", err))
		return false;
	if (conclude(store, now_ms, id, proof, sig, fault, err)) {
		POINT("registry.prove");
		if (store_db_exec(store, "COMMIT", err)) {
			POINT("registry.proved");
			return true;
		}
	}
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

static bool seed_at(struct store *store, height_t height, struct seed *ret, bool *ret_found,
		    struct err *err)
{
	CLEANUP(seed_run_finish) struct seed_run run = {0};

	if (!store_seeds(store, height, height + 1, &run, err))
		return false;
	*ret_found = run.n == 1;
	if (*ret_found)
		*ret = run.v[0].seed;
	return true;
}

/* Checks a proof in its time; *ret_fault is what is wrong with it.  False with ERR_CLAIM: refused,
 * and for all but signature and form the supplier has said it. */
static bool check(struct store *store, msec_t now_ms, const struct open_claim *c, struct view proof,
		  const struct signature *sig, enum settle_fault *ret_fault, struct err *err)
{
	struct seed challenge;
	bool drawn = false;
	height_t now;

	*ret_fault = SETTLE_EARLY;
	if (!store_height(store, now_ms, &now, err) ||
	    !seed_at(store, c->challenge, &challenge, &drawn, err))
		return false;
	if (!drawn)
		return refuse(SETTLE_EARLY, "the challenge is not drawn yet", err);
	*ret_fault = SETTLE_LATE;
	if (now > c->due)
		return refuse(SETTLE_LATE, "the time for a proof is over", err);
	return store_book_for(store, &c->claim, err) &&
	       settle_check_proof(&c->claim, proof, sig, &challenge, settle_book_terms, store->book,
				  ret_fault, err);
}

bool store_prove(struct store *store, msec_t now_ms, const struct claim_id *id, struct view proof,
		 const struct signature *sig, struct desk_claim *ret, struct err *err)
{
	enum settle_fault fault = SETTLE_FINE;
	struct open_claim c;
	bool found;

	if (!find_open(store, id, &found, &c, err))
		return false;
	if (!found || c.state != DESK_RECORDED)
		return store_look(store, id, ret, err);
	if (!check(store, now_ms, &c, proof, sig, &fault, err)) {
		struct err later;

		/* Its supplier signed it, so it is kept as the reason of a forfeit. */
		if (err->code == ERR_CLAIM && fault > SETTLE_LATE &&
		    !conclude_whole(store, now_ms, id, proof, sig, fault, &later))
			*err = later;
		return false;
	}
	return conclude_whole(store, now_ms, id, proof, sig, SETTLE_FINE, err) &&
	       store_look(store, id, ret, err);
}

static bool forfeit(struct store *store, const struct open_claim *c, height_t now, struct err *err)
{
	struct verdict v = {.state = DESK_FORFEITED, .settled = now};

	POINT("registry.forfeit");
	return take(store, STORE_SUPPLIER, &c->claim.supplier, &v.settled, c->claim.value,
		    &v.burned, err) &&
	       write_verdict(store, &c->id, &v, err);
}

bool store_forfeit(struct store *store, height_t now, size_t *ret_n, struct err *err)
{
	struct open_claim due[STORE_FORFEITS_MAX];
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	size_t n = 0;
	bool row;

	if (!store_db_prepare(store,
			      "SELECT claim, id, recorded, challenge, due, state FROM claims"
			      " WHERE state = 1 AND due < ? ORDER BY due, number LIMIT ?",
			      &stmt, err))
		return false;
	bind_height(stmt, 1, now);
	sqlite3_bind_int(stmt, 2, STORE_FORFEITS_MAX);
	while (n < STORE_FORFEITS_MAX) {
		if (!store_step(store, stmt, &row, err))
			return false;
		if (!row)
			break;
		if (!read_open(store, stmt, &due[n++], err))
			return false;
	}
	sqlite3_reset(stmt);
	for (size_t i = 0; i < n; i++)
		if (!forfeit(store, &due[i], now, err))
			return false;
	*ret_n = n;
	return true;
}

/* The seeds that are left out of a long gap, where a challenge waits for them. */
static bool draw_challenges(struct store *store, height_t last, height_t first, struct err *err)
{
	for (height_t at = last; first > at + 1;) {
		CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
		bool row;

		if (!store_db_prepare(store,
				      "SELECT min(challenge) FROM claims WHERE state = 1"
				      " AND challenge > ? AND challenge < ?",
				      &stmt, err))
			return false;
		bind_height(stmt, 1, at);
		bind_height(stmt, 2, first);
		if (!store_step(store, stmt, &row, err))
			return false;
		if (!row || sqlite3_column_type(stmt, 0) == SQLITE_NULL)
			return true;
		at = (height_t)sqlite3_column_int64(stmt, 0);
		if (!store_put_seed(store, at, err))
			return false;
	}
	return true;
}

static bool put_pause(struct store *store, height_t now, uint64_t missed, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (!store_db_prepare(store, "INSERT INTO pauses VALUES (?, ?)", &stmt, err))
		return false;
	bind_height(stmt, 1, now);
	bind_height(stmt, 2, missed);
	return store_db_run(store, stmt, err) &&
	       store_db_exec(store, "UPDATE network SET entries_version = entries_version + 1",
			     err);
}

bool store_claims_resume(struct store *store, height_t last, height_t first, height_t now,
			 struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (now == last + 1)
		return true;
	if (!store_db_prepare(store, "UPDATE claims SET due = due + ? WHERE state = 1 AND due > ?",
			      &stmt, err))
		return false;
	bind_height(stmt, 1, now - last - 1);
	bind_height(stmt, 2, last);
	return store_db_run(store, stmt, err) && put_pause(store, now, now - last - 1, err) &&
	       draw_challenges(store, last, first, err);
}
