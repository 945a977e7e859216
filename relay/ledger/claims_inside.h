/* SPDX-License-Identifier: Apache-2.0
 * What the files of the books share. */
#ifndef RELAY_LEDGER_CLAIMS_INSIDE_H
#define RELAY_LEDGER_CLAIMS_INSIDE_H

#include "relay/ledger/claims.h"
#include "relay/ledger/reader_internal.h"

struct claims {
	char dir[LEDGER_PATH_MAX];
	struct key_id self;
	sqlite3 *db;
	sqlite3_stmt **stmts; /* by enum claims_sql; prepared when first used */
	/* of claims_tally(), from call to call: */
	bool looked;	       /* at all lanes, within the last hour */
	usec_t looked_us;      /* when that was */
	bool checking;	       /* what was counted before, while it does so */
	uint64_t seen_number;  /* of the ledger's lanes; those above are new */
	struct lane_id *lanes; /* to be counted: [lanes_at, lanes_n) */
	size_t lanes_at, lanes_n, lanes_cap;
	struct log_gate gate;
};

/* The statements, in claims.c. */
enum claims_sql {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_META_GET,
	SQL_META_SET,
	SQL_ACCOUNT_ADD,
	SQL_ACCOUNT_FIND,
	SQL_SESSION_ADD,
	SQL_SESSION_FIND,
	SQL_NAMELESS,
	SQL_SESSION_NAME,
	SQL_SESSION_GATEWAYS,
	SQL_EARNED_NAME,
	SQL_LANE_ADD,
	SQL_LANE_FIND,
	SQL_LANE_SET,
	SQL_LANE_DROPPED,
	SQL_LANES_OPEN,
	SQL_LANES_OF_ROWS,
	SQL_LANE_ROWS_RESET,
	SQL_LANE_MARKS_RESET,
	SQL_TAIL_RESET,
	SQL_EARNED_FIND,
	SQL_EARNED_ADD,
	SQL_EARNED_SET,
	SQL_MARK_ADD,
	SQL_MARK_FIND,
	SQL_TERMS_SET,
	SQL_TERMS_FREE,
	SQL_CLAIM_OVERLAPS,
	SQL_CLAIM_ADD,
	SQL_CLAIM_STATE,
	SQL_CLAIM_SET,
	SQL_CLAIM_RANGE,
	SQL_CLAIM_ROW,
	SQL_CLAIM_SETTLE,
	SQL_CLAIMS_LATE,
	SQL_CLAIM_WHOLE,
	SQL_RECORD_IS_WHOLE,
	SQL_HEAD_ADD,
	SQL_HEAD_FIND,
	SQL_LOST_SET,
	SQL_LOST_ROWS,
	SQL_ROW_CLOSE,
	SQL_NEEDED_DAY,
	SQL_LANE_IS_OPEN,
	SQL_FOLDED_FIND,
	SQL_FOLDED_SET,
	SQL_FOLD_ROWS,
	SQL_FOLD_LOST,
	SQL_FOLD_HEADS,
	SQL_FOLD_RECORDS,
	SQL_COUNT
};

/* The statement, reset, without bindings.  NULL with an error set when it cannot be prepared. */
sqlite3_stmt *claims_sql(struct claims *claims, enum claims_sql which, struct err *err);
/* Steps a statement that gives no row, and resets it. */
MUST_USE bool claims_run(sqlite3_stmt *stmt, struct err *err);
/* Steps a statement that gives a row or none: *ret_found says which. */
MUST_USE bool claims_step(sqlite3_stmt *stmt, bool *ret_found, struct err *err);

/* A transaction: `ok` is what became of the work in it.  Commits, or rolls back; returns whether
 * all of it is durable. */
MUST_USE bool claims_begin(struct claims *claims, struct err *err);
MUST_USE bool claims_end(struct claims *claims, bool ok, struct err *err);

/* Numbers of what the books name; made when they are not there.  In a transaction. */
MUST_USE bool claims_account(struct claims *claims, const struct key_id *application,
			     const struct key_id *gateway, const struct service_name *service,
			     int64_t *ret, struct err *err);

/* As claims_each_row() and claims_each_lost(), of one lane by its number in the books. */
MUST_USE bool claims_each_row_of(struct claims *claims, int64_t lane, earned_fn *fn, void *arg,
				 struct err *err);
MUST_USE bool claims_each_lost_of(struct claims *claims, int64_t lane, claims_lost_fn *fn,
				  void *arg, struct err *err);
/* Keeps sums of a lane whose leaves are gone, and drops its rows.  In a transaction. */
MUST_USE bool claims_fold(struct claims *claims, int64_t lane, struct err *err);

static inline void claims_bind_amount(sqlite3_stmt *stmt, int at, u128 v)
{
	uint8_t bytes[16];

	put_be128(bytes, v);
	sqlite3_bind_blob(stmt, at, bytes, sizeof(bytes), SQLITE_TRANSIENT);
}
/* 0 for what is not an amount. */
static inline u128 claims_column_amount(sqlite3_stmt *stmt, int at)
{
	uint8_t bytes[16];

	return store_blob(stmt, at, bytes, sizeof(bytes)) ? get_be128(bytes) : 0;
}
#define BIND_ID(stmt, at, id)                                                                      \
	sqlite3_bind_blob((stmt), (at), (id)->b, sizeof((id)->b), SQLITE_STATIC)

/* Service of a text column; false when it is none. */
static inline bool claims_column_service(sqlite3_stmt *stmt, int at, struct service_name *ret)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);

	return text != NULL &&
	       service_name_parse(text, (size_t)sqlite3_column_bytes(stmt, at), ret);
}

#endif
