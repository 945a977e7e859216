/* SPDX-License-Identifier: Apache-2.0
 * Counting the leaves of one lane: a row for each session, and marks from which the leaf of a unit
 * is found. */
#include "relay/ledger/claims_tally.h"

#include <inttypes.h>

/* --- rows --- */

void tally_rows_free(struct tally *t)
{
	struct tally_row *row, *tmp;

	HASH_ITER (hh, t->rows, row, tmp) {
		HASH_DEL(t->rows, row);
		free(row);
	}
	t->row = NULL;
}

/* The session's number, application, service and start: from the books, else from the ledger.  One
 * that neither knows (adopted leaves, all else of it lost) is nobody's: service "". */
static bool session_number(struct tally *t, const struct session_id *id, int64_t *ret,
			   struct ledger_session *ret_session, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(t->claims, SQL_SESSION_FIND, err);
	struct err why = {0};
	bool found;

	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, id);
	if (!claims_step(stmt, &found, err))
		return false;
	*ret_session = (struct ledger_session){.id = *id};
	if (found) {
		*ret = sqlite3_column_int64(stmt, 0);
		if (store_blob(stmt, 1, ret_session->application.b, 32) &&
		    claims_column_service(stmt, 2, &ret_session->service))
			ret_session->start = (height_t)sqlite3_column_int64(stmt, 3);
		sqlite3_reset(stmt);
		return true;
	}
	if (!ledger_session_read(t->reader, &t->info->id, id, ret_session, &why)) {
		if (why.code != ERR_NOT_FOUND)
			return *err = why, false;
		*ret_session = (struct ledger_session){.id = *id};
	}
	stmt = claims_sql(t->claims, SQL_SESSION_ADD, err);
	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, id);
	BIND_ID(stmt, 2, &ret_session->application);
	sqlite3_bind_text(stmt, 3, ret_session->service.s, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 4, (int64_t)ret_session->start);
	if (!claims_run(stmt, err))
		return false;
	*ret = sqlite3_last_insert_rowid(t->claims->db);
	return true;
}

static bool row_load(struct tally *t, struct tally_row *row, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(t->claims, SQL_EARNED_FIND, err);
	bool found;

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, t->number);
	sqlite3_bind_int64(stmt, 2, row->session);
	if (!claims_step(stmt, &found, err))
		return false;
	row->is_new = !found;
	row->mark_seq = -1;
	if (found) {
		row->cu = (cu_t)sqlite3_column_int64(stmt, 0);
		row->tail_cu = (cu_t)sqlite3_column_int64(stmt, 1);
		row->first_seq = (uint64_t)sqlite3_column_int64(stmt, 2);
		row->last_seq = (uint64_t)sqlite3_column_int64(stmt, 3);
		row->mark_seq = sqlite3_column_int64(stmt, 4);
		row->mark_leaves = (uint32_t)sqlite3_column_int64(stmt, 5);
	}
	sqlite3_reset(stmt);
	return true;
}

static struct tally_row *row_get(struct tally *t, const uint8_t *id, struct err *err)
{
	struct tally_row *row = t->row;
	struct ledger_session session;

	if (row != NULL && memcmp(row->id.b, id, sizeof(row->id.b)) == 0)
		return row;
	HASH_FIND(hh, t->rows, id, sizeof(row->id.b), row);
	if (row == NULL) {
		row = xcalloc(1, sizeof(*row));
		memcpy(row->id.b, id, sizeof(row->id.b));
		if (!session_number(t, &row->id, &row->session, &session, err) ||
		    !claims_account(t->claims, &session.application, &t->info->gateway,
				    &session.service, &row->account, err) ||
		    !row_load(t, row, err)) {
			free(row);
			return NULL;
		}
		row->start = session.start;
		HASH_ADD(hh, t->rows, id, sizeof(row->id), row);
	}
	t->row = row;
	return row;
}

static bool row_save(struct tally *t, struct tally_row *row, struct err *err)
{
	sqlite3_stmt *stmt =
		claims_sql(t->claims, row->is_new ? SQL_EARNED_ADD : SQL_EARNED_SET, err);

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, t->number);
	sqlite3_bind_int64(stmt, 2, row->session);
	if (row->is_new) {
		sqlite3_bind_int64(stmt, 3, row->account);
		sqlite3_bind_int64(stmt, 4, (int64_t)row->start);
	}
	sqlite3_bind_int64(stmt, 5, (int64_t)row->cu);
	sqlite3_bind_int64(stmt, 6, (int64_t)row->tail_cu);
	sqlite3_bind_int64(stmt, 7, (int64_t)row->first_seq);
	sqlite3_bind_int64(stmt, 8, (int64_t)row->last_seq);
	sqlite3_bind_int64(stmt, 9, row->mark_seq);
	sqlite3_bind_int64(stmt, 10, row->mark_leaves);
	return claims_run(stmt, err);
}

bool tally_rows_save(struct tally *t, struct err *err)
{
	for (struct tally_row *row = t->rows; row != NULL; row = row->hh.next)
		if (row->changed && !row_save(t, row, err))
			return false;
	return true;
}

/* --- leaves --- */

static bool mark_add(struct tally *t, struct tally_row *row, uint64_t seq, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(t->claims, SQL_MARK_ADD, err);

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, t->number);
	sqlite3_bind_int64(stmt, 2, row->session);
	sqlite3_bind_int64(stmt, 3, (int64_t)row->cu);
	sqlite3_bind_int64(stmt, 4, (int64_t)seq);
	row->mark_seq = (int64_t)seq;
	row->mark_leaves = 0;
	return claims_run(stmt, err);
}

static bool mark_is_due(const struct tally_row *row, uint64_t seq)
{
	uint64_t far = seq - (uint64_t)row->mark_seq;

	return row->mark_seq < 0 ||
	       (far >= CLAIMS_MARK_LEAVES && row->mark_leaves >= CLAIMS_MARK_OWN) ||
	       far >= CLAIMS_MARK_FAR;
}

/* Counts one leaf; those of a lane come in order. */
static bool leaf_count(struct tally *t, const uint8_t *leaf, uint64_t seq, struct err *err)
{
	cu_t cu = get_be32(leaf + LEAF_CU);
	struct tally_row *row;

	if (cu == 0)
		return true;
	row = row_get(t, leaf + LEAF_SESSION, err);
	if (row == NULL)
		return false;
	if (get_be64(leaf + LEAF_CU_BEFORE) != row->cu + row->tail_cu)
		t->broken = true;
	if (t->broken)
		return true;
	if (row->cu + row->tail_cu == 0)
		row->first_seq = seq;
	row->last_seq = seq;
	row->changed = true;
	if (seq >= t->end) {
		row->tail_cu += cu;
		return true;
	}
	if (mark_is_due(row, seq) && !mark_add(t, row, seq, err))
		return false;
	row->cu += cu;
	row->mark_leaves++;
	return true;
}

void tally_unreadable(struct claims *claims, const char *why)
{
	uint64_t lost;

	if (log_every(&claims->gate, 60000000, &lost))
		log_warn("claims.unreadable", "error=\"%s\" more=%" PRIu64, why, lost);
}

size_t tally_read(struct tally *t, uint64_t from, uint64_t to)
{
	struct err why = {0};
	size_t n = 0;

	if (!ledger_leaves_read(t->reader, &t->info->id, from, (size_t)MIN(to - from, CLAIMS_CHUNK),
				t->leaves, NULL, &n, &why))
		n = 0;
	t->unreadable = n == 0;
	if (n == 0)
		tally_unreadable(t->claims, why.code == ERR_NONE ? "no leaf there" : why.msg);
	return n;
}

bool tally_chunk(struct tally *t, uint64_t from, uint64_t to, size_t *ret_n, struct err *err)
{
	size_t n = tally_read(t, from, to), i;

	*ret_n = 0;
	for (i = 0; i < n && !t->broken; i++)
		if (!leaf_count(t, t->leaves + i * LEAF_SIZE, from + i, err))
			return false;
	if (t->broken || n == 0)
		return true;
	if (from < t->end) {
		leaf_hash(t->leaves + (n - 1) * LEAF_SIZE, &t->last_leaf);
		t->has_last = true;
	}
	*ret_n = n;
	return true;
}

bool tally_sql(struct tally *t, enum claims_sql which, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(t->claims, which, err);

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, t->number);
	return claims_run(stmt, err);
}

bool tally_tail_reset(struct tally *t, struct err *err)
{
	struct tally_row *row;

	for (row = t->rows; row != NULL; row = row->hh.next) {
		row->changed = row->changed || row->tail_cu > 0;
		row->tail_cu = 0;
	}
	return tally_sql(t, SQL_TAIL_RESET, err);
}
