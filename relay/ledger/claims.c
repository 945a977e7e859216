/* SPDX-License-Identifier: Apache-2.0
 * The books: opening them, their statements, accounts and terms. */
#include "relay/ledger/claims_inside.h"

#include <unistd.h>

static const char *const texts[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_META_GET] = "SELECT value FROM meta WHERE name = ?1",
	[SQL_META_SET] = "INSERT OR REPLACE INTO meta(name, value) VALUES (?1, ?2)",
	[SQL_ACCOUNT_ADD] = "INSERT OR IGNORE INTO accounts(application, gateway, service)"
			    " VALUES (?1, ?2, ?3)",
	[SQL_ACCOUNT_FIND] = "SELECT number FROM accounts"
			     " WHERE application = ?1 AND gateway = ?2 AND service = ?3",
	[SQL_SESSION_ADD] = "INSERT INTO sessions(session, application, service, start)"
			    " VALUES (?1, ?2, ?3, ?4)",
	[SQL_SESSION_FIND] = "SELECT number, application, service, start FROM sessions"
			     " WHERE session = ?1",
	[SQL_NAMELESS] = "SELECT session FROM sessions WHERE service = ''",
	[SQL_SESSION_NAME] = "UPDATE sessions SET application = ?2, service = ?3, start = ?4"
			     " WHERE session = ?1 AND service = '' RETURNING number",
	[SQL_SESSION_GATEWAYS] = "SELECT DISTINCT l.gateway FROM earned e"
				 " JOIN lanes l ON l.number = e.lane WHERE e.session = ?1",
	[SQL_EARNED_NAME] =
		"UPDATE earned SET account = ?3, start = ?4,"
		" claim = (SELECT number FROM claims WHERE account = ?3 AND from_start <= ?4"
		"  AND to_start > ?4 AND state != 6)"
		" WHERE session = ?1 AND lane IN (SELECT number FROM lanes WHERE gateway = ?2)",
	[SQL_LANE_ADD] = "INSERT OR IGNORE INTO lanes(lane, gateway, day) VALUES (?1, ?2, ?3)",
	[SQL_LANE_FIND] = "SELECT number, cursor, last_leaf, size, done, broken,"
			  " cosigned_size, closed FROM lanes WHERE lane = ?1",
	[SQL_LANE_SET] = "UPDATE lanes SET cursor = ?2, last_leaf = ?3, size = ?4, closed = ?5,"
			 " done = ?6, broken = ?7, cosigned_size = ?8, cosigned_root = ?9,"
			 " cosigned_time = ?10, cosigned_signature = ?11 WHERE number = ?1",
	[SQL_LANE_DROPPED] = "UPDATE lanes SET done = 1 WHERE number = ?1",
	[SQL_LANES_OF_ROWS] = "SELECT lane FROM lanes WHERE number IN"
			      " (SELECT lane FROM earned WHERE open = 1)",
	[SQL_LANES_OPEN] = "SELECT lane FROM lanes WHERE done = 0 ORDER BY number",
	[SQL_LANE_ROWS_RESET] = "UPDATE earned SET cu = 0, tail_cu = 0, mark_seq = -1,"
				" mark_leaves = 0 WHERE lane = ?1",
	[SQL_LANE_MARKS_RESET] = "DELETE FROM marks WHERE lane = ?1",
	[SQL_TAIL_RESET] = "UPDATE earned SET tail_cu = 0 WHERE lane = ?1 AND tail_cu > 0",
	[SQL_EARNED_FIND] = "SELECT cu, tail_cu, first_seq, last_seq, mark_seq, mark_leaves"
			    " FROM earned WHERE lane = ?1 AND session = ?2",
	[SQL_EARNED_ADD] =
		"INSERT INTO earned(lane, session, account, start, cu, tail_cu, first_seq,"
		" last_seq, mark_seq, mark_leaves, claim, open)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
		" (SELECT number FROM claims WHERE account = ?3 AND from_start <= ?4"
		"  AND to_start > ?4 AND state != 6),"
		" ifnull((SELECT price != 0 FROM terms WHERE account = ?3 AND start = ?4), 1))",
	[SQL_EARNED_SET] = "UPDATE earned SET cu = ?5, tail_cu = ?6, first_seq = ?7,"
			   " last_seq = ?8, mark_seq = ?9, mark_leaves = ?10"
			   " WHERE lane = ?1 AND session = ?2",
	[SQL_MARK_ADD] = "INSERT OR REPLACE INTO marks(lane, session, cu, seq)"
			 " VALUES (?1, ?2, ?3, ?4)",
	[SQL_MARK_FIND] =
		"SELECT m.seq FROM marks m JOIN lanes l ON l.number = m.lane"
		" JOIN sessions s ON s.number = m.session"
		" WHERE l.lane = ?1 AND s.session = ?2 AND m.cu <= ?3 ORDER BY m.cu DESC LIMIT 1",
	[SQL_TERMS_SET] = "INSERT OR REPLACE INTO terms(account, start, price, allowance, opens,"
			  " closes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_TERMS_FREE] = "UPDATE earned SET open = 0 WHERE account = ?1 AND start = ?2",
	[SQL_CLAIM_OVERLAPS] = "SELECT 1 FROM claims WHERE account = ?1 AND from_start < ?3"
			       " AND to_start > ?2 AND state != 6",
	[SQL_CLAIM_ADD] =
		"INSERT INTO claims(id, account, from_start, to_start, records_n, cu, value, state,"
		" prepared_ms, changed_ms, recorded, challenge, due, signature, bytes, records,"
		" lacks)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
		" ?16)",
	[SQL_CLAIM_STATE] = "SELECT number, state, records FROM claims WHERE id = ?1",
	[SQL_CLAIM_SET] =
		"UPDATE claims SET state = ?2, changed_ms = ?3, recorded = ifnull(?4, recorded),"
		" challenge = ifnull(?5, challenge), due = ifnull(?6, due), settled = ?7,"
		" burned = ?8, reason = ?9, proof = ifnull(?10, proof),"
		" proof_signature = ifnull(?11, proof_signature),"
		" lacks = lacks AND ?2 <= 3 WHERE number = ?1",
	[SQL_CLAIMS_LATE] = "SELECT number, state, lacks, records FROM claims WHERE number > ?1"
			    " AND number IN (SELECT number FROM claims WHERE lacks = 1 UNION"
			    "  SELECT c.number FROM earned e JOIN claims c ON c.number = e.claim"
			    "  WHERE e.open = 1 AND c.state >= 4) ORDER BY number LIMIT 1",
	[SQL_CLAIM_WHOLE] = "UPDATE claims SET lacks = 0 WHERE number = ?1",
	[SQL_RECORD_IS_WHOLE] =
		"SELECT 1 FROM lanes l JOIN heads h ON h.lane = l.number AND h.size = ?3"
		" JOIN earned e ON e.lane = l.number JOIN sessions s ON s.number = e.session"
		" WHERE l.lane = ?1 AND s.session = ?2 AND e.claim = ?4 AND e.claimed_cu > 0",
	[SQL_CLAIM_RANGE] = "UPDATE earned SET claim = ?1 WHERE account = ?2 AND start >= ?3"
			    " AND start < ?4 AND claim IS NULL AND open = 1",
	[SQL_CLAIM_ROW] = "UPDATE earned SET claimed_cu = ?4 WHERE claim = ?1"
			  " AND lane = (SELECT number FROM lanes WHERE lane = ?2)"
			  " AND session = (SELECT number FROM sessions WHERE session = ?3)",
	[SQL_CLAIM_SETTLE] = "UPDATE earned SET open = 0 WHERE claim = ?1",
	[SQL_HEAD_ADD] =
		"INSERT INTO heads(lane, size, root, time, signature, claim)"
		" SELECT number, cosigned_size, cosigned_root, cosigned_time, cosigned_signature,"
		" ?4 FROM lanes WHERE lane = ?1 AND cosigned_size = ?2 AND cosigned_root = ?3"
		" ON CONFLICT DO UPDATE SET claim = excluded.claim",
	[SQL_HEAD_FIND] = "SELECT h.root, h.time, h.signature FROM heads h"
			  " JOIN lanes l ON l.number = h.lane WHERE l.lane = ?1 AND h.size = ?2",
	[SQL_LOST_SET] =
		"INSERT OR REPLACE INTO lost(lane, session, reason, account, start, cu, value,"
		" claim, noted_ms) SELECT e.lane, e.session, ?3, e.account, e.start, ?4, ?5, ?6, ?7"
		" FROM earned e JOIN lanes l ON l.number = e.lane"
		" JOIN sessions s ON s.number = e.session WHERE l.lane = ?1 AND s.session = ?2",
	[SQL_LOST_ROWS] = "SELECT ifnull(sum(cu), 0) FROM lost WHERE lane = ?1 AND session = ?2",
	[SQL_ROW_CLOSE] = "UPDATE earned SET open = 0 WHERE claim IS NULL"
			  " AND lane = (SELECT number FROM lanes WHERE lane = ?1)"
			  " AND session = (SELECT number FROM sessions WHERE session = ?2)"
			  " AND cu + tail_cu <= (SELECT ifnull(sum(lost.cu), 0) FROM lost"
			  "  WHERE lost.lane = earned.lane AND lost.session = earned.session)",
	[SQL_LANE_IS_OPEN] = "SELECT count(*), sum(c.state <= 3) FROM earned e"
			     " LEFT JOIN claims c ON c.number = e.claim WHERE e.lane = ?1",
	[SQL_FOLDED_FIND] = "SELECT cu, value FROM folded"
			    " WHERE application = ?1 AND service = ?2 AND part = ?3",
	[SQL_FOLDED_SET] = "INSERT OR REPLACE INTO folded(application, service, part, cu, value)"
			   " VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_FOLD_ROWS] = "DELETE FROM earned WHERE lane = ?1",
	[SQL_FOLD_LOST] = "DELETE FROM lost WHERE lane = ?1",
	[SQL_FOLD_HEADS] = "DELETE FROM heads WHERE lane = ?1",
	[SQL_FOLD_RECORDS] =
		"UPDATE claims SET records = NULL, proof = NULL WHERE state >= 4"
		" AND records IS NOT NULL"
		" AND number NOT IN (SELECT claim FROM earned WHERE claim IS NOT NULL)",
	[SQL_NEEDED_DAY] = "SELECT min(day) FROM lanes l WHERE broken = 0 AND ((done = 0 AND"
			   " cursor < cosigned_size) OR EXISTS (SELECT 1 FROM earned e WHERE"
			   " e.lane = l.number AND e.open = 1))",
};

sqlite3_stmt *claims_sql(struct claims *claims, enum claims_sql which, struct err *err)
{
	sqlite3_stmt **stmt = &claims->stmts[which];

	if (*stmt == NULL && !store_prepare(claims->db, texts[which], stmt, err))
		return NULL;
	sqlite3_reset(*stmt);
	sqlite3_clear_bindings(*stmt);
	return *stmt;
}

bool claims_step(sqlite3_stmt *stmt, bool *ret_found, struct err *err)
{
	int rc = sqlite3_step(stmt);

	*ret_found = rc == SQLITE_ROW;
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return true;
	store_fail(sqlite3_db_handle(stmt), "books", err);
	sqlite3_reset(stmt);
	return false;
}

bool claims_run(sqlite3_stmt *stmt, struct err *err)
{
	return stmt != NULL && store_run(stmt, err);
}

bool claims_begin(struct claims *claims, struct err *err)
{
	return claims_run(claims_sql(claims, SQL_BEGIN, err), err);
}

bool claims_end(struct claims *claims, bool ok, struct err *err)
{
	struct err ignored;

	if (ok && claims_run(claims_sql(claims, SQL_COMMIT, err), err))
		return true;
	if (sqlite3_get_autocommit(claims->db) == 0) /* some failures have rolled back already */
		ok = claims_run(claims_sql(claims, SQL_ROLLBACK, &ignored), &ignored);
	return false;
}

/* A value of fixed length; *ret_found says whether there is one. */
static bool meta_get(struct claims *claims, const char *name, void *dst, size_t n, bool *ret_found,
		     struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_META_GET, err);
	bool fits = true;

	if (stmt == NULL)
		return false;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	if (!claims_step(stmt, ret_found, err))
		return false;
	if (*ret_found)
		fits = store_blob(stmt, 0, dst, n);
	sqlite3_reset(stmt);
	return fits || err_set(err, ERR_LEDGER, "books: %s has a wrong length", name);
}

static bool meta_set(struct claims *claims, const char *name, const void *value, size_t n,
		     struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_META_SET, err);

	if (stmt == NULL)
		return false;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 2, value, (int)n, SQLITE_STATIC);
	return claims_run(stmt, err);
}

static bool claims_identify(struct claims *claims, bool readonly, struct err *err)
{
	struct key_id is;
	bool found;

	if (!meta_get(claims, "self", is.b, sizeof(is.b), &found, err))
		return false;
	if (found && ID_EQ(&is, &claims->self))
		return true;
	if (found || readonly)
		return err_set(err, ERR_LEDGER, "the books are those of another key");
	return meta_set(claims, "self", claims->self.b, sizeof(claims->self.b), err);
}

bool claims_open(const char *ledger_dir, const struct key_id *self, bool readonly,
		 struct claims **ret, struct err *err)
{
	CLEANUP(claims_close) struct claims *claims = xcalloc(1, sizeof(*claims));
	char path[LEDGER_PATH_MAX];

	claims->stmts = xcalloc(SQL_COUNT, sizeof(sqlite3_stmt *));
	claims->self = *self;
	if (strlen(ledger_dir) + 64 > LEDGER_PATH_MAX)
		return err_set(err, ERR_IO, "the ledger's path is too long");
	snprintf(claims->dir, sizeof(claims->dir), "%s", ledger_dir);
	store_path(ledger_dir, "claims.db", path);
	if (readonly && access(path, R_OK) != 0)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
			       strerror(errno));
	crypto_init();
	if (!ledger_db_open(path, "claims", readonly ? STORE_READ : STORE_WRITE, &claims->db, err))
		return false;
	sqlite3_busy_timeout(claims->db, CLAIMS_BUSY_MS);
	if (!readonly) /* its thread has time: nobody's loop waits for it */
		sqlite3_wal_autocheckpoint(claims->db, 1000);
	if (!claims_identify(claims, readonly, err))
		return err_prefix(err, "%s", path);
	*ret = STEAL(claims);
	return true;
}

void claims_close(struct claims *claims)
{
	if (claims == NULL)
		return;
	for (size_t i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(claims->stmts[i]);
	ledger_db_close(claims->db);
	free(claims->stmts);
	free(claims->lanes);
	free(claims);
}

bool claims_account(struct claims *claims, const struct key_id *application,
		    const struct key_id *gateway, const struct service_name *service, int64_t *ret,
		    struct err *err)
{
	static const enum claims_sql order[] = {SQL_ACCOUNT_FIND, SQL_ACCOUNT_ADD,
						SQL_ACCOUNT_FIND};
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(order) && !found; i++) {
		sqlite3_stmt *stmt = claims_sql(claims, order[i], err);

		if (stmt == NULL)
			return false;
		BIND_ID(stmt, 1, application);
		BIND_ID(stmt, 2, gateway);
		sqlite3_bind_text(stmt, 3, service->s, -1, SQLITE_STATIC);
		if (!claims_step(stmt, &found, err))
			return false;
		if (found)
			*ret = sqlite3_column_int64(stmt, 0);
		sqlite3_reset(stmt);
	}
	return found || err_set(err, ERR_LEDGER, "books: an account cannot be made");
}

bool claims_set_terms(struct claims *claims, const struct key_id *application,
		      const struct key_id *gateway, const struct service_name *service,
		      height_t start, const struct claims_terms *terms, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int64_t account;
	bool ok;

	if (!claims_begin(claims, err))
		return false;
	ok = claims_account(claims, application, gateway, service, &account, err) &&
	     (stmt = claims_sql(claims, SQL_TERMS_SET, err)) != NULL;
	if (ok) {
		sqlite3_bind_int64(stmt, 1, account);
		sqlite3_bind_int64(stmt, 2, (int64_t)start);
		sqlite3_bind_int64(stmt, 3, (int64_t)terms->price);
		claims_bind_amount(stmt, 4, terms->allowance);
		sqlite3_bind_int64(stmt, 5, (int64_t)terms->opens);
		sqlite3_bind_int64(stmt, 6, (int64_t)terms->closes);
		ok = claims_run(stmt, err);
	}
	if (ok && terms->price == 0) {
		stmt = claims_sql(claims, SQL_TERMS_FREE, err);
		ok = stmt != NULL;
		if (ok) {
			sqlite3_bind_int64(stmt, 1, account);
			sqlite3_bind_int64(stmt, 2, (int64_t)start);
			ok = claims_run(stmt, err);
		}
	}
	return claims_end(claims, ok, err);
}

bool claims_set_clock(struct claims *claims, const struct session_clock *clock, struct err *err)
{
	uint8_t bytes[16];

	put_be64(bytes, (uint64_t)clock->genesis_ms);
	put_be64(bytes + 8, clock->block_ms);
	return meta_set(claims, "clock", bytes, sizeof(bytes), err);
}

bool claims_clock(struct claims *claims, struct session_clock *ret, struct err *err)
{
	uint8_t bytes[16];
	bool found;

	if (!meta_get(claims, "clock", bytes, sizeof(bytes), &found, err))
		return false;
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "the books do not know when heights are");
	ret->genesis_ms = (msec_t)get_be64(bytes);
	ret->block_ms = get_be64(bytes + 8);
	return session_clock_check(ret, err);
}

bool claims_needed_day(struct claims *claims, uint32_t *ret, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_NEEDED_DAY, err);
	bool found;

	if (stmt == NULL || !claims_step(stmt, &found, err))
		return false;
	*ret = found && sqlite3_column_type(stmt, 0) != SQLITE_NULL
		       ? (uint32_t)sqlite3_column_int64(stmt, 0)
		       : UINT32_MAX;
	sqlite3_reset(stmt);
	return true;
}
