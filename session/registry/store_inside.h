/* SPDX-License-Identifier: Apache-2.0
 * The inside of a sqlite registry, for session/registry/store*.c alone. */
#ifndef SESSION_REGISTRY_STORE_INSIDE_H
#define SESSION_REGISTRY_STORE_INSIDE_H

#include <sqlite3.h>

#include "session/registry/store.h"

struct store {
	sqlite3 *db;
	char *path;
	bool fresh; /* made by store_create(): genesis entries may be written */
	struct network_id network;
	uint8_t network_tail[32];
	struct session_clock clock;
	struct session_params fixed; /* only what is fixed for the network counts */
	struct key_id key;
	/* the newest history that was read, for the keeper */
	struct history *history;
	uint64_t history_version;
};

static inline void stmt_finalize(sqlite3_stmt *stmt)
{
	sqlite3_finalize(stmt);
}
DEFINE_CLEANUP(sqlite3_stmt *, stmt_finalize)

/* ERR_REGISTRY with what sqlite says; false. */
bool store_db_fail(struct store *store, const char *doing, struct err *err);
MUST_USE bool store_db_exec(struct store *store, const char *sql, struct err *err);
MUST_USE bool store_db_prepare(struct store *store, const char *sql, sqlite3_stmt **ret,
			       struct err *err);
/* Runs a statement that gives no rows, and resets it. */
MUST_USE bool store_db_run(struct store *store, sqlite3_stmt *stmt, struct err *err);
/* Sets *ret_row to whether there is another row. */
MUST_USE bool store_step(struct store *store, sqlite3_stmt *stmt, bool *ret_row, struct err *err);

/* Parameters are bound from 1 on; texts and blobs are copied. */
void bind_bytes(sqlite3_stmt *stmt, int at, const void *p, size_t n);
void bind_text(sqlite3_stmt *stmt, int at, const char *s);
void bind_height(sqlite3_stmt *stmt, int at, uint64_t v);
void bind_amount(sqlite3_stmt *stmt, int at, u128 v);

/* Columns count from 0; false when the stored value is not of the form that we write. */
MUST_USE bool column_bytes(sqlite3_stmt *stmt, int at, void *dst, size_t n);
MUST_USE bool column_amount(sqlite3_stmt *stmt, int at, u128 *ret);
MUST_USE bool column_u64(sqlite3_stmt *stmt, int at, uint64_t *ret);
MUST_USE bool column_service(sqlite3_stmt *stmt, int at, struct service_name *ret);

/* The cached history, read anew when entries have changed; borrowed. */
MUST_USE bool store_current(struct store *store, const struct history **ret, struct err *err);

/* Appends one commitment each for the services of a session that can be derived from now on. */
MUST_USE bool store_commit_tables(struct store *store, height_t start, struct err *err);

#endif
