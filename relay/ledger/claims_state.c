/* SPDX-License-Identifier: Apache-2.0
 * What becomes of a claim, and which units are lost. */
#include "relay/ledger/claims_inside.h"

static const char *const state_names[CLAIMS_STATES] = {
	[CLAIMS_PREPARED] = "prepared",	  [CLAIMS_RECORDED] = "recorded",
	[CLAIMS_PROVED] = "proved",	  [CLAIMS_PAID] = "paid",
	[CLAIMS_FORFEITED] = "forfeited", [CLAIMS_LOST] = "lost",
};

static const char *const loss_names[LOSS_COUNT] = {
	[LOSS_UNDELIVERED] = "undelivered",
	[LOSS_NO_COSIGNED_HEAD] = "no_cosigned_head",
	[LOSS_WINDOW_CLOSED] = "window_closed",
	[LOSS_OVER_ALLOWANCE] = "over_allowance",
	[LOSS_NO_GRANT] = "no_grant",
	[LOSS_AFTER_CLAIM] = "after_claim",
	[LOSS_REFUSED] = "refused",
	[LOSS_FORFEITED] = "forfeited",
	[LOSS_SESSION_UNKNOWN] = "session_unknown",
};

const char *claims_state_name(enum claims_state state)
{
	return state > 0 && state < CLAIMS_STATES ? state_names[state] : "unknown";
}

const char *claims_loss_name(enum claims_loss loss)
{
	assert(loss < LOSS_COUNT);
	return loss_names[loss];
}

bool claims_edge_is_legal(enum claims_state from, enum claims_state to)
{
	switch (from) {
	case CLAIMS_PREPARED:
		return to == CLAIMS_RECORDED || to == CLAIMS_LOST;
	case CLAIMS_RECORDED:
		return to == CLAIMS_PROVED || to == CLAIMS_PAID || to == CLAIMS_FORFEITED;
	case CLAIMS_PROVED:
		return to == CLAIMS_PAID || to == CLAIMS_FORFEITED;
	case CLAIMS_PAID:
	case CLAIMS_FORFEITED:
	case CLAIMS_LOST:
		return false;
	}
	return false;
}

/* --- what is lost --- */

/* A claim's number, or NULL for none.  *ret_known: the row is in the books. */
static bool lost_put(struct claims *claims, const struct claims_lost *lost, const int64_t *claim,
		     bool *ret_known, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_LOST_SET, err);

	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, &lost->lane);
	BIND_ID(stmt, 2, &lost->session);
	sqlite3_bind_text(stmt, 3, claims_loss_name(lost->reason), -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 4, (int64_t)MIN(lost->cu, (cu_t)INT64_MAX));
	claims_bind_amount(stmt, 5, lost->value);
	if (claim != NULL)
		sqlite3_bind_int64(stmt, 6, *claim);
	sqlite3_bind_int64(stmt, 7, clock_now_ms());
	if (!claims_run(stmt, err))
		return false;
	*ret_known = sqlite3_changes(claims->db) > 0;
	return true;
}

static bool lost_set(struct claims *claims, const struct claims_lost *lost, const int64_t *claim,
		     struct err *err)
{
	bool known;

	return lost_put(claims, lost, claim, &known, err) &&
	       (known ||
		err_set(err, ERR_LEDGER, "books: nothing is known of what is said to be lost"));
}

static bool row_close(struct claims *claims, const struct claims_lost *lost, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_ROW_CLOSE, err);

	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, &lost->lane);
	BIND_ID(stmt, 2, &lost->session);
	return claims_run(stmt, err);
}

bool claims_lose(struct claims *claims, const struct claims_lost *lost, size_t n, struct err *err)
{
	bool ok = true;

	if (!claims_begin(claims, err))
		return false;
	for (size_t i = 0; ok && i < n; i++)
		ok = lost_set(claims, &lost[i], NULL, err) && row_close(claims, &lost[i], err);
	return claims_end(claims, ok, err);
}

/* --- a new claim --- */

static bool claim_overlaps(struct claims *claims, int64_t account, const struct claim *claim,
			   struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_CLAIM_OVERLAPS, err);
	bool found;

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, account);
	sqlite3_bind_int64(stmt, 2, (int64_t)claim->from);
	sqlite3_bind_int64(stmt, 3, (int64_t)claim->to);
	if (!claims_step(stmt, &found, err))
		return false;
	sqlite3_reset(stmt);
	return !found || err_set(err, ERR_LEDGER, "books: the range overlaps that of a claim");
}

/* What is new of a claim beside its own bytes. */
struct claim_new {
	const struct claim *claim;
	const struct signature *signature;
	struct view records;
	enum claims_state state;
	height_t recorded, challenge, due; /* RECORDED */
	int64_t account;
	int64_t number;
	cu_t cu;
};

static bool claim_add(struct claims *claims, struct claim_new *new, struct err *err)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	sqlite3_stmt *stmt = claims_sql(claims, SQL_CLAIM_ADD, err);
	struct claim_id id;

	if (stmt == NULL)
		return false;
	claim_bytes(new->claim, &bytes);
	claim_id_of(new->claim, &id);
	BIND_ID(stmt, 1, &id);
	sqlite3_bind_int64(stmt, 2, new->account);
	sqlite3_bind_int64(stmt, 3, (int64_t) new->claim->from);
	sqlite3_bind_int64(stmt, 4, (int64_t) new->claim->to);
	sqlite3_bind_int64(stmt, 5, new->claim->records);
	sqlite3_bind_int64(stmt, 6, (int64_t)MIN(new->cu, (cu_t)INT64_MAX));
	claims_bind_amount(stmt, 7, new->claim->value);
	sqlite3_bind_int(stmt, 8, new->state);
	sqlite3_bind_int64(stmt, 9, clock_now_ms());
	if (new->state == CLAIMS_RECORDED) {
		sqlite3_bind_int64(stmt, 10, (int64_t) new->recorded);
		sqlite3_bind_int64(stmt, 11, (int64_t) new->challenge);
		sqlite3_bind_int64(stmt, 12, (int64_t) new->due);
	}
	BIND_ID(stmt, 13, new->signature);
	sqlite3_bind_blob(stmt, 14, bytes.p, (int)bytes.n, SQLITE_STATIC);
	if (new->records.n > 0)
		sqlite3_bind_blob64(stmt, 15, new->records.p, new->records.n, SQLITE_STATIC);
	sqlite3_bind_int(stmt, 16, new->state == CLAIMS_RECORDED &&new->records.n > 0);
	if (!claims_run(stmt, err))
		return false;
	new->number = sqlite3_last_insert_rowid(claims->db);
	return true;
}

/* All rows of the range are the claim's from now on. */
static bool claim_range(struct claims *claims, const struct claim_new *new, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_CLAIM_RANGE, err);

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, new->number);
	sqlite3_bind_int64(stmt, 2, new->account);
	sqlite3_bind_int64(stmt, 3, (int64_t) new->claim->from);
	sqlite3_bind_int64(stmt, 4, (int64_t) new->claim->to);
	return claims_run(stmt, err);
}

/* A record's row has what it claims, and its head is kept: as far as they are in the books. */
static bool record_join(struct claims *claims, int64_t number, const struct claim_record *r,
			bool *ret_row, bool *ret_head, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_CLAIM_ROW, err);

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, number);
	BIND_ID(stmt, 2, &r->lane);
	BIND_ID(stmt, 3, &r->session);
	sqlite3_bind_int64(stmt, 4, (int64_t)MIN(r->cu, (cu_t)INT64_MAX));
	if (!claims_run(stmt, err))
		return false;
	*ret_row = sqlite3_changes(claims->db) > 0;
	stmt = claims_sql(claims, SQL_HEAD_ADD, err);
	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, &r->lane);
	sqlite3_bind_int64(stmt, 2, (int64_t)r->size);
	BIND_ID(stmt, 3, &r->root);
	sqlite3_bind_int64(stmt, 4, number);
	if (!claims_run(stmt, err))
		return false;
	*ret_head = sqlite3_changes(claims->db) > 0;
	return true;
}

/* The same; of a claim that is not adopted all of it must be in the books. */
static bool claim_record(struct claims *claims, const struct claim_new *new,
			 const struct claim_record *r, struct err *err)
{
	bool row, head;

	if (!record_join(claims, new->number, r, &row, &head, err))
		return false;
	if (new->state == CLAIMS_RECORDED || (row && head))
		return true;
	return err_set(err, ERR_LEDGER,
		       row ? "books: a record names a head that they do not have"
			   : "books: a record is of no row that can be claimed");
}

static bool record_at(struct view records, size_t i, struct claim_record *ret, struct err *err)
{
	return claim_record_decode(records.p + i * CLAIM_RECORD_SIZE, ret) ||
	       err_set(err, ERR_LEDGER, "books: a record is malformed");
}

static bool claim_records(struct claims *claims, const struct claim_new *new, struct err *err)
{
	struct claim_record r;

	for (size_t i = 0; i < new->records.n / CLAIM_RECORD_SIZE; i++)
		if (!record_at(new->records, i, &r, err) || !claim_record(claims, new, &r, err))
			return false;
	return true;
}

static bool records_cu(struct view records, cu_t *ret, struct err *err)
{
	struct claim_record r;

	*ret = 0;
	for (size_t i = 0; i < records.n / CLAIM_RECORD_SIZE; i++) {
		if (!record_at(records, i, &r, err))
			return false;
		*ret += MIN(r.cu, UINT64_MAX - *ret);
	}
	return true;
}

static bool claim_keep(struct claims *claims, struct claim_new *new, const struct claims_lost *lost,
		       size_t lost_n, struct err *err)
{
	const struct claim *claim = new->claim;
	bool ok;

	assert(new->records.n == 0 || new->records.n == (size_t)claim->records *CLAIM_RECORD_SIZE);
	if (!records_cu(new->records, &new->cu, err) || !claims_begin(claims, err))
		return false;
	ok = claims_account(claims, &claim->application, &claim->gateway, &claim->service,
			    &new->account, err) &&
	     claim_overlaps(claims, new->account, claim, err) && claim_add(claims, new, err) &&
	     claim_range(claims, new, err) && claim_records(claims, new, err);
	for (size_t i = 0; ok && i < lost_n; i++)
		ok = lost_set(claims, &lost[i], &new->number, err);
	return claims_end(claims, ok, err);
}

bool claims_prepare(struct claims *claims, const struct claim *claim,
		    const struct signature *signature, struct view records,
		    const struct claims_lost *lost, size_t lost_n, struct err *err)
{
	struct claim_new new = {.claim = claim,
				.signature = signature,
				.records = records,
				.state = CLAIMS_PREPARED};

	assert(records.n > 0);
	return claim_keep(claims, &new, lost, lost_n, err);
}

bool claims_adopt(struct claims *claims, const struct claim *claim,
		  const struct signature *signature, struct view records, height_t recorded,
		  height_t challenge, height_t due, struct err *err)
{
	struct claim_new new = {.claim = claim,
				.signature = signature,
				.records = records,
				.state = CLAIMS_RECORDED,
				.recorded = recorded,
				.challenge = challenge,
				.due = due};

	return claim_keep(claims, &new, NULL, 0, err);
}

/* --- the next state --- */

/* A claim as the change needs it. */
struct claim_now {
	int64_t number;
	enum claims_state state;
	bool lacks; /* of claims_join_late() */
	struct buf records;
};

static bool claim_find(struct claims *claims, const struct claim_id *id, struct claim_now *ret,
		       struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_CLAIM_STATE, err);
	bool found;

	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, id);
	if (!claims_step(stmt, &found, err))
		return false;
	if (found) {
		ret->number = sqlite3_column_int64(stmt, 0);
		ret->state = (enum claims_state)sqlite3_column_int(stmt, 1);
		buf_put(&ret->records, sqlite3_column_blob(stmt, 2),
			(size_t)sqlite3_column_bytes(stmt, 2));
	}
	sqlite3_reset(stmt);
	return found || err_set(err, ERR_NOT_FOUND, "the books have no such claim");
}

static bool claim_set(struct claims *claims, int64_t number, const struct claims_change *change,
		      struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_CLAIM_SET, err);
	bool recorded = change->to == CLAIMS_RECORDED, proved = change->to == CLAIMS_PROVED;

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, number);
	sqlite3_bind_int(stmt, 2, change->to);
	sqlite3_bind_int64(stmt, 3, clock_now_ms());
	if (recorded) {
		sqlite3_bind_int64(stmt, 4, (int64_t)change->recorded);
		sqlite3_bind_int64(stmt, 5, (int64_t)change->challenge);
		sqlite3_bind_int64(stmt, 6, (int64_t)change->due);
	}
	if (change->to >= CLAIMS_PAID)
		sqlite3_bind_int64(stmt, 7, (int64_t)change->settled);
	if (change->to == CLAIMS_FORFEITED)
		claims_bind_amount(stmt, 8, change->burned);
	sqlite3_bind_text(stmt, 9,
			  change->to >= CLAIMS_FORFEITED && change->reason != NULL ? change->reason
										   : "",
			  -1, SQLITE_STATIC);
	if (proved) {
		sqlite3_bind_blob64(stmt, 10, change->proof.p, change->proof.n, SQLITE_STATIC);
		BIND_ID(stmt, 11, &change->proof_signature);
	}
	return claims_run(stmt, err);
}

/* What was claimed by it is lost, record by record; of rows that never came back nothing is said.
 */
static bool claim_lost(struct claims *claims, const struct claim_now *now, enum claims_loss reason,
		       struct err *err)
{
	struct claim_record r;
	bool known;

	for (size_t i = 0; i < now->records.n / CLAIM_RECORD_SIZE; i++) {
		struct claims_lost lost = {.reason = reason};

		if (!record_at(buf_view(&now->records), i, &r, err))
			return false;
		lost.lane = r.lane;
		lost.session = r.session;
		lost.cu = r.cu;
		lost.value = r.value;
		if (!lost_put(claims, &lost, &now->number, &known, err))
			return false;
	}
	return true;
}

/* Nothing more becomes of the rows of its range. */
static bool claim_settle(struct claims *claims, int64_t number, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_CLAIM_SETTLE, err);

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, number);
	return claims_run(stmt, err);
}

/* What follows from a state that is its last. */
static bool claim_close(struct claims *claims, const struct claim_now *now, struct err *err)
{
	bool ok = true;

	if (now->state == CLAIMS_FORFEITED)
		ok = claim_lost(claims, now, LOSS_FORFEITED, err);
	if (now->state == CLAIMS_LOST)
		ok = claim_lost(claims, now, LOSS_REFUSED, err);
	return ok && (now->state < CLAIMS_PAID || claim_settle(claims, now->number, err));
}

bool claims_set_state(struct claims *claims, const struct claim_id *id,
		      const struct claims_change *change, struct err *err)
{
	struct claim_now now = {0};
	bool ok;

	if (!claims_begin(claims, err))
		return false;
	ok = claim_find(claims, id, &now, err);
	assert(!ok || claims_edge_is_legal(now.state, change->to));
	ok = ok && claim_set(claims, now.number, change, err);
	now.state = change->to;
	ok = ok && claim_close(claims, &now, err);
	buf_finish(&now.records);
	return claims_end(claims, ok, err);
}

/* --- what comes to light late --- */

static bool record_is_whole(struct claims *claims, int64_t number, const struct claim_record *r,
			    bool *ret, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_RECORD_IS_WHOLE, err);

	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, &r->lane);
	BIND_ID(stmt, 2, &r->session);
	sqlite3_bind_int64(stmt, 3, (int64_t)r->size);
	sqlite3_bind_int64(stmt, 4, number);
	if (!claims_step(stmt, ret, err))
		return false;
	sqlite3_reset(stmt);
	return true;
}

/* The next claim above a number that may get something; *ret_found: there is one. */
static bool late_next(struct claims *claims, int64_t above, struct claim_now *ret, bool *ret_found,
		      struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_CLAIMS_LATE, err);

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, above);
	if (!claims_step(stmt, ret_found, err))
		return false;
	if (*ret_found) {
		ret->number = sqlite3_column_int64(stmt, 0);
		ret->state = (enum claims_state)sqlite3_column_int(stmt, 1);
		ret->lacks = sqlite3_column_int(stmt, 2) != 0;
		buf_put(&ret->records, sqlite3_column_blob(stmt, 3),
			(size_t)sqlite3_column_bytes(stmt, 3));
	}
	sqlite3_reset(stmt);
	return true;
}

static bool late_join(struct claims *claims, const struct claim_now *now, struct err *err)
{
	bool whole = true, row, head;
	struct claim_record r;
	sqlite3_stmt *stmt;

	for (size_t i = 0; i < now->records.n / CLAIM_RECORD_SIZE; i++) {
		bool is;

		if (!record_at(buf_view(&now->records), i, &r, err) ||
		    !record_is_whole(claims, now->number, &r, &is, err))
			return false;
		if (is)
			continue;
		if (!record_join(claims, now->number, &r, &row, &head, err) ||
		    !record_is_whole(claims, now->number, &r, &is, err))
			return false;
		whole = whole && is;
	}
	if (whole && now->lacks) {
		stmt = claims_sql(claims, SQL_CLAIM_WHOLE, err);
		if (stmt == NULL)
			return false;
		sqlite3_bind_int64(stmt, 1, now->number);
		if (!claims_run(stmt, err))
			return false;
	}
	return claim_close(claims, now, err);
}

bool claims_join_late(struct claims *claims, struct err *err)
{
	int64_t number = 0;
	bool found = true, ok = true;

	while (ok && found) {
		struct claim_now now = {0};

		ok = late_next(claims, number, &now, &found, err);
		number = now.number;
		if (ok && found)
			ok = claims_begin(claims, err) &&
			     claims_end(claims, late_join(claims, &now, err), err);
		buf_finish(&now.records);
	}
	return ok;
}
