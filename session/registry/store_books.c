/* SPDX-License-Identifier: Apache-2.0
 * What auditors and operators read of claims: the claims file, incomes, the books ([Y4], [P6]). */
#include "session/registry/store_inside.h"

#include <inttypes.h>

#include "relay/base/mem.h"

static void column_buf(sqlite3_stmt *stmt, int at, struct buf *dst)
{
	size_t n = (size_t)sqlite3_column_bytes(stmt, at);

	if (n > 0)
		buf_put(dst, sqlite3_column_blob(stmt, at), n);
}

static bool read_entry(struct store *store, sqlite3_stmt *stmt, struct claims_entry *e,
		       struct err *err)
{
	const char *reason = (const char *)sqlite3_column_text(stmt, 10);
	bool ok;

	e->recorded = (height_t)sqlite3_column_int64(stmt, 2);
	e->due = (height_t)sqlite3_column_int64(stmt, 3);
	e->state = (enum desk_state)sqlite3_column_int(stmt, 4);
	e->settled = (height_t)sqlite3_column_int64(stmt, 5);
	column_buf(stmt, 6, &e->proof);
	ok = claim_parse(VIEW(sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0)),
			 &e->claim, err) &&
	     column_bytes(stmt, 1, e->signature.b, sizeof(e->signature.b)) &&
	     e->state >= DESK_RECORDED && e->state <= DESK_FORFEITED &&
	     (e->proof.n == 0 ||
	      column_bytes(stmt, 7, e->proof_signature.b, sizeof(e->proof_signature.b))) &&
	     column_sum(stmt, 8, &e->paid) && column_sum(stmt, 9, &e->burned) &&
	     column_sum(stmt, 11, &e->burned_thaw) && reason &&
	     strlen(reason) <= CLAIMS_FILE_REASON_MAX;
	if (!ok)
		return err_set(err, ERR_REGISTRY, "%s: a damaged claim", store->path);
	memcpy(e->reason, reason, strlen(reason) + 1);
	column_buf(stmt, 12, &e->records);
	claim_id_of(&e->claim, &e->id);
	return true;
}

static bool read_entries(struct store *store, struct claims_file *f, size_t max_bytes,
			 struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	size_t bytes = 0;
	bool row;

	if (!store_db_prepare(store,
			      "SELECT claim, signature, recorded, due, state, settled, proof,"
			      " proof_signature, paid, burned, reason, burned_thaw, records"
			      " FROM claims WHERE recorded >= ? AND recorded < ?"
			      " ORDER BY recorded, id",
			      &stmt, err))
		return false;
	bind_height(stmt, 1, f->from);
	bind_height(stmt, 2, f->to);
	for (;;) {
		struct claims_entry *e;

		if (!store_step(store, stmt, &row, err))
			return false;
		if (!row)
			return true;
		e = claims_file_add(f);
		if (!read_entry(store, stmt, e, err))
			return false;
		/* base64, and what stands around it */
		bytes += base64_len(e->records.n) + base64_len(e->proof.n) + 2 * CLAIM_BYTES_MAX +
			 1024;
		if (bytes > max_bytes)
			return err_set(err, ERR_RANGE,
				       "the claims of these heights have more than %zu bytes: ask "
				       "for fewer heights",
				       max_bytes);
	}
}

bool store_claims_file(struct store *store, height_t from, height_t to, size_t max_bytes,
		       struct claims_file *ret, struct err *err)
{
	CLEANUP(claims_file_finish)
	struct claims_file f = {.network = store->network, .from = from, .to = to};
	bool ok;

	if (!store_db_exec(store, "BEGIN", err))
		return false;
	ok = store_last_seed(store, &f.height, err) && read_entries(store, &f, max_bytes, err);
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	if (!ok)
		return false;
	*ret = f;
	f = (struct claims_file){0};
	return true;
}

static bool sum_claims(struct store *store, struct store_books *b, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	if (!store_db_prepare(store, "SELECT state, value, paid, burned, burned_thaw FROM claims",
			      &stmt, err))
		return false;
	for (;;) {
		u128 value, paid, burned, thaw;
		int state;

		if (!store_step(store, stmt, &row, err))
			return false;
		if (!row)
			return true;
		state = sqlite3_column_int(stmt, 0);
		if (state < DESK_RECORDED || state > DESK_FORFEITED ||
		    !column_sum(stmt, 1, &value) || !column_sum(stmt, 2, &paid) ||
		    !column_sum(stmt, 3, &burned) || !column_sum(stmt, 4, &thaw))
			return err_set(err, ERR_REGISTRY, "%s: a damaged claim", store->path);
		b->claims[state]++;
		b->open += state == DESK_RECORDED ? value : 0;
		b->paid += paid;
		b->burned += burned + thaw;
	}
}

static bool sum_incomes(struct store *store, struct store_books *b, store_owner_fn *fn, void *arg,
			struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	if (!store_db_prepare(store, "SELECT owner, income FROM owners ORDER BY owner", &stmt, err))
		return false;
	for (;;) {
		struct owner_id owner;
		u128 income;

		if (!store_step(store, stmt, &row, err))
			return false;
		if (!row)
			return true;
		if (!column_bytes(stmt, 0, owner.b, sizeof(owner.b)) ||
		    !column_sum(stmt, 1, &income))
			return err_set(err, ERR_REGISTRY, "%s: a damaged owner", store->path);
		b->income += income;
		if (fn)
			fn(arg, &owner, income);
	}
}

bool store_books(struct store *store, msec_t now_ms, struct store_books *ret, store_owner_fn *fn,
		 void *arg, struct err *err)
{
	struct store_books b = {0};
	const struct history *h;
	bool ok;

	if (!store_db_exec(store, "BEGIN", err))
		return false;
	ok = store_current(store, &h, err) && store_height(store, now_ms, &b.height, err) &&
	     sum_claims(store, &b, err) && sum_incomes(store, &b, fn, arg, err);
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	if (!ok)
		return false;
	b.height = MAX(b.height, history_last_change(h));
	b.balanced = history_books(h, b.height, &b.money) && b.paid == b.money.spent &&
		     b.burned == b.money.burned && b.income == b.paid;
	*ret = b;
	return true;
}
