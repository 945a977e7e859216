/* SPDX-License-Identifier: Apache-2.0
 * What the books say: rows, claims, losses. */
#include "relay/ledger/claims_inside.h"

#include <inttypes.h>
#include <stdio.h>

/* --- rows --- */

#define ROW_COLUMNS                                                                                \
	"SELECT s.session, a.application, a.gateway, a.service, e.start, l.lane, e.first_seq,"     \
	" e.last_seq, e.cu, e.tail_cu, l.cosigned_size, l.cosigned_root,"                          \
	" l.cursor < l.cosigned_size, l.closed, t.price, t.allowance, t.opens, t.closes,"          \
	" e.claim, e.claimed_cu, (SELECT ifnull(sum(x.cu), 0) FROM lost x"                         \
	"  WHERE x.lane = e.lane AND x.session = e.session"                                        \
	"  AND x.reason NOT IN ('forfeited', 'refused')),"                                         \
	" (SELECT ifnull(sum(x.cu), 0) FROM lost x WHERE x.lane = e.lane"                          \
	"  AND x.session = e.session AND x.reason IN ('undelivered', 'no_cosigned_head')),"        \
	" c.state, c.records IS NOT NULL"                                                          \
	" FROM earned e JOIN accounts a ON a.number = e.account"                                   \
	" JOIN sessions s ON s.number = e.session JOIN lanes l ON l.number = e.lane"               \
	" LEFT JOIN terms t ON t.account = e.account AND t.start = e.start"                        \
	" LEFT JOIN claims c ON c.number = e.claim"                                                \
	" WHERE e.start >= ?1 AND e.start < ?2 AND e.cu + e.tail_cu + e.claimed_cu > 0"
#define ROW_ORDER " ORDER BY a.application, a.gateway, a.service, e.start, l.lane"

static bool row_read(sqlite3_stmt *stmt, struct earned_row *ret)
{
	*ret = (struct earned_row){0};
	if (!store_blob(stmt, 0, ret->session.b, sizeof(ret->session.b)) ||
	    !store_blob(stmt, 1, ret->application.b, sizeof(ret->application.b)) ||
	    !store_blob(stmt, 2, ret->gateway.b, sizeof(ret->gateway.b)) ||
	    !store_blob(stmt, 5, ret->lane.b, sizeof(ret->lane.b)))
		return false;
	if (!claims_column_service(stmt, 3, &ret->service))
		ret->service.s[0] = 0; /* of a session that nobody knows */
	ret->start = (height_t)sqlite3_column_int64(stmt, 4);
	ret->first_seq = (uint64_t)sqlite3_column_int64(stmt, 6);
	ret->last_seq = (uint64_t)sqlite3_column_int64(stmt, 7);
	ret->cosigned_cu = (cu_t)sqlite3_column_int64(stmt, 8);
	ret->tail_cu = (cu_t)sqlite3_column_int64(stmt, 9);
	if (store_blob(stmt, 11, ret->head_root.b, sizeof(ret->head_root.b)))
		ret->head_size = (uint64_t)sqlite3_column_int64(stmt, 10);
	ret->lane_behind = sqlite3_column_int(stmt, 12) != 0;
	ret->lane_closed = sqlite3_column_int(stmt, 13) != 0;
	ret->has_terms = sqlite3_column_type(stmt, 14) != SQLITE_NULL;
	ret->terms.price = (uint64_t)sqlite3_column_int64(stmt, 14);
	ret->terms.allowance = claims_column_amount(stmt, 15);
	ret->terms.opens = (height_t)sqlite3_column_int64(stmt, 16);
	ret->terms.closes = (height_t)sqlite3_column_int64(stmt, 17);
	ret->claimed = sqlite3_column_type(stmt, 18) != SQLITE_NULL;
	ret->claimed_cu = (cu_t)sqlite3_column_int64(stmt, 19);
	ret->lost_cu = (cu_t)sqlite3_column_int64(stmt, 20);
	ret->lost_tail_cu = (cu_t)sqlite3_column_int64(stmt, 21);
	ret->claim_state = (enum claims_state)sqlite3_column_int(stmt, 22);
	ret->claim_has_records = sqlite3_column_int(stmt, 23) != 0;
	return true;
}

static int64_t bounded(height_t height)
{
	return (int64_t)MIN(height, (height_t)INT64_MAX);
}

static bool each_row(struct claims *claims, const char *sql, height_t from, height_t to,
		     earned_fn *fn, void *arg, struct err *err)
{
	struct earned_row row;
	STMT *stmt = NULL;
	bool found, ok;

	if (!store_prepare(claims->db, sql, &stmt, err))
		return false;
	sqlite3_bind_int64(stmt, 1, bounded(from));
	sqlite3_bind_int64(stmt, 2, bounded(to));
	while ((ok = claims_step(stmt, &found, err)) && found) {
		if (!row_read(stmt, &row))
			return err_set(err, ERR_LEDGER, "books: a row is malformed");
		if (!fn(arg, &row))
			break;
	}
	return ok;
}

bool claims_each_earned(struct claims *claims, height_t from, height_t to, earned_fn *fn, void *arg,
			struct err *err)
{
	return each_row(claims,
			ROW_COLUMNS
			" AND e.open = 1 AND e.claim IS NULL AND a.service != ''" ROW_ORDER,
			from, to, fn, arg, err);
}

bool claims_each_row_of(struct claims *claims, int64_t lane, earned_fn *fn, void *arg,
			struct err *err)
{
	char sql[sizeof(ROW_COLUMNS) + 64];

	snprintf(sql, sizeof(sql), "%s AND e.lane = %" PRId64, ROW_COLUMNS, lane);
	return each_row(claims, sql, 0, UINT64_MAX, fn, arg, err);
}

bool claims_each_row(struct claims *claims, height_t from, height_t to, earned_fn *fn, void *arg,
		     struct err *err)
{
	return each_row(claims, ROW_COLUMNS ROW_ORDER, from, to, fn, arg, err);
}

/* --- claims --- */

#define CLAIM_COLUMNS                                                                              \
	"SELECT c.id, a.application, a.gateway, a.service, c.from_start, c.to_start, c.records_n," \
	" c.records IS NOT NULL, c.cu, c.value, c.state, c.prepared_ms, c.changed_ms,"             \
	" c.recorded, c.challenge, c.due, c.settled, c.burned, c.reason,"                          \
	" (SELECT min(t.closes) FROM terms t WHERE t.account = c.account"                          \
	"  AND t.start >= c.from_start AND t.start < c.to_start)"
#define CLAIM_FROM " FROM claims c JOIN accounts a ON a.number = c.account"

/* A word; what a registry may have put into it else is made harmless for logs, tables and JSON. */
static void reason_read(sqlite3_stmt *stmt, int at, char dst[CLAIMS_REASON_MAX])
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);

	snprintf(dst, CLAIMS_REASON_MAX, "%s", text == NULL ? "" : text);
	for (char *p = dst; *p != 0; p++)
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			*p = '?';
}

static bool claim_read(sqlite3_stmt *stmt, struct claims_row *ret)
{
	int state = sqlite3_column_int(stmt, 10);

	*ret = (struct claims_row){0};
	if (!store_blob(stmt, 0, ret->id.b, sizeof(ret->id.b)) ||
	    !store_blob(stmt, 1, ret->application.b, sizeof(ret->application.b)) ||
	    !store_blob(stmt, 2, ret->gateway.b, sizeof(ret->gateway.b)) ||
	    !claims_column_service(stmt, 3, &ret->service) || state < CLAIMS_PREPARED ||
	    state > CLAIMS_LOST)
		return false;
	ret->from = (height_t)sqlite3_column_int64(stmt, 4);
	ret->to = (height_t)sqlite3_column_int64(stmt, 5);
	ret->records = (uint32_t)sqlite3_column_int64(stmt, 6);
	ret->has_records = sqlite3_column_int(stmt, 7) != 0;
	ret->cu = (cu_t)sqlite3_column_int64(stmt, 8);
	ret->value = claims_column_amount(stmt, 9);
	ret->state = (enum claims_state)state;
	ret->prepared_ms = sqlite3_column_int64(stmt, 11);
	ret->changed_ms = sqlite3_column_int64(stmt, 12);
	ret->recorded = (height_t)sqlite3_column_int64(stmt, 13);
	ret->challenge = (height_t)sqlite3_column_int64(stmt, 14);
	ret->due = (height_t)sqlite3_column_int64(stmt, 15);
	ret->settled = (height_t)sqlite3_column_int64(stmt, 16);
	ret->burned = claims_column_amount(stmt, 17);
	reason_read(stmt, 18, ret->reason);
	ret->closes = (height_t)sqlite3_column_int64(stmt, 19);
	return true;
}

bool claims_each(struct claims *claims, bool only_open, claims_fn *fn, void *arg, struct err *err)
{
	struct claims_row row;
	STMT *stmt = NULL;
	bool found, ok;

	if (!store_prepare(claims->db,
			   only_open ? CLAIM_COLUMNS CLAIM_FROM
				   " WHERE c.state <= 3 ORDER BY c.number"
				     : CLAIM_COLUMNS CLAIM_FROM " ORDER BY c.number",
			   &stmt, err))
		return false;
	while ((ok = claims_step(stmt, &found, err)) && found) {
		if (!claim_read(stmt, &row))
			return err_set(err, ERR_LEDGER, "books: a claim's row is malformed");
		if (!fn(arg, &row))
			break;
	}
	return ok;
}

static void put_column(struct buf *buf, sqlite3_stmt *stmt, int at)
{
	const void *p = sqlite3_column_blob(stmt, at);

	buf_put(buf, p, (size_t)sqlite3_column_bytes(stmt, at));
}

bool claims_read(struct claims *claims, const struct claim_id *id, struct claims_full *ret,
		 struct err *err)
{
	CLEANUP(claims_full_finish) struct claims_full full = {0};
	STMT *stmt = NULL;
	bool found;

	if (!store_prepare(claims->db,
			   CLAIM_COLUMNS ", c.bytes, c.signature, c.records, c.proof,"
					 " c.proof_signature" CLAIM_FROM " WHERE c.id = ?1",
			   &stmt, err))
		return false;
	BIND_ID(stmt, 1, id);
	if (!claims_step(stmt, &found, err))
		return false;
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "the books have no such claim");
	if (!claim_read(stmt, &full.row) ||
	    !store_blob(stmt, 21, full.signature.b, sizeof(full.signature.b)) ||
	    !claim_parse(
		    VIEW(sqlite3_column_blob(stmt, 20), (size_t)sqlite3_column_bytes(stmt, 20)),
		    &full.claim, err))
		return err_set(err, ERR_LEDGER, "books: a claim's row is malformed");
	put_column(&full.records, stmt, 22);
	put_column(&full.proof, stmt, 23);
	if (full.proof.n > 0 &&
	    !store_blob(stmt, 24, full.proof_signature.b, sizeof(full.proof_signature.b)))
		return err_set(err, ERR_LEDGER, "books: a proof has no signature");
	*ret = full;
	full = (struct claims_full){0};
	return true;
}

void claims_full_finish(struct claims_full *full)
{
	buf_finish(&full->records);
	buf_finish(&full->proof);
}

bool claims_head_read(struct claims *claims, const struct lane_id *lane, uint64_t size,
		      struct ledger_cosigned *ret, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_HEAD_FIND, err);
	bool found;

	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, lane);
	sqlite3_bind_int64(stmt, 2, (int64_t)size);
	if (!claims_step(stmt, &found, err))
		return false;
	found = found && store_blob(stmt, 0, ret->root.b, sizeof(ret->root.b)) &&
		store_blob(stmt, 2, ret->signature.b, sizeof(ret->signature.b));
	if (found) {
		ret->size = size;
		ret->time = (uint64_t)sqlite3_column_int64(stmt, 1);
	}
	sqlite3_reset(stmt);
	return found || err_set(err, ERR_NOT_FOUND, "the books have no such head");
}

/* --- losses --- */

static bool lost_read(sqlite3_stmt *stmt, struct claims_lost_row *ret)
{
	*ret = (struct claims_lost_row){0};
	if (!store_blob(stmt, 0, ret->session.b, sizeof(ret->session.b)) ||
	    !store_blob(stmt, 1, ret->application.b, sizeof(ret->application.b)) ||
	    !store_blob(stmt, 2, ret->gateway.b, sizeof(ret->gateway.b)) ||
	    !store_blob(stmt, 5, ret->lane.b, sizeof(ret->lane.b)))
		return false;
	if (!claims_column_service(stmt, 3, &ret->service))
		ret->service.s[0] = 0;
	ret->start = (height_t)sqlite3_column_int64(stmt, 4);
	reason_read(stmt, 6, ret->reason);
	ret->cu = (cu_t)sqlite3_column_int64(stmt, 7);
	ret->value = claims_column_amount(stmt, 8);
	ret->has_claim = store_blob(stmt, 9, ret->claim.b, sizeof(ret->claim.b));
	ret->noted_ms = sqlite3_column_int64(stmt, 10);
	return true;
}

#define LOST_COLUMNS                                                                               \
	"SELECT s.session, a.application, a.gateway, a.service, x.start, l.lane, x.reason, x.cu,"  \
	" x.value, c.id, x.noted_ms FROM lost x JOIN accounts a ON a.number = x.account"           \
	" JOIN sessions s ON s.number = x.session JOIN lanes l ON l.number = x.lane"               \
	" LEFT JOIN claims c ON c.number = x.claim"

static bool each_lost(struct claims *claims, const char *sql, claims_lost_fn *fn, void *arg,
		      struct err *err)
{
	struct claims_lost_row row;
	STMT *stmt = NULL;
	bool found, ok;

	if (!store_prepare(claims->db, sql, &stmt, err))
		return false;
	while ((ok = claims_step(stmt, &found, err)) && found) {
		if (!lost_read(stmt, &row))
			return err_set(err, ERR_LEDGER, "books: a loss is malformed");
		if (!fn(arg, &row))
			break;
	}
	return ok;
}

bool claims_each_lost(struct claims *claims, claims_lost_fn *fn, void *arg, struct err *err)
{
	return each_lost(claims,
			 LOST_COLUMNS " ORDER BY x.start, a.application, a.gateway, a.service,"
				      " l.lane, x.reason",
			 fn, arg, err);
}

bool claims_each_lost_of(struct claims *claims, int64_t lane, claims_lost_fn *fn, void *arg,
			 struct err *err)
{
	char sql[sizeof(LOST_COLUMNS) + 64];

	snprintf(sql, sizeof(sql), "%s WHERE x.lane = %" PRId64, LOST_COLUMNS, lane);
	return each_lost(claims, sql, fn, arg, err);
}
