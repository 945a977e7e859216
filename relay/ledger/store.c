/* SPDX-License-Identifier: Apache-2.0
 * Connections to the ledger's databases: pragmas, migrations, errors. */
#include "relay/ledger/internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "relay/ledger/migrations.h"

struct migrations {
	const char *set;
	const char *const *sql;
	size_t n;
};

static const struct migrations all[] = {
	{"state", state_migrations, ARRAY_SIZE(state_migrations)},
	{"leaves", leaves_migrations, ARRAY_SIZE(leaves_migrations)},
	{"claims", claims_migrations, ARRAY_SIZE(claims_migrations)},
};

bool(store_fail)(sqlite3 *db, const char *what, struct err *err)
{
	int code = db == NULL ? SQLITE_NOMEM : sqlite3_extended_errcode(db);

	if ((code & 0xff) == SQLITE_FULL)
		return err_set(err, ERR_LEDGER_FULL, "%s: %s", what, sqlite3_errmsg(db));
	return err_set(err, ERR_LEDGER, "%s: %s (sqlite %d)", what,
		       db == NULL ? "no memory" : sqlite3_errmsg(db), code);
}

bool store_exec(sqlite3 *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_fail(db, "exec", err);
	return true;
}

bool store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) != SQLITE_OK)
		return store_fail(db, "prepare", err);
	return true;
}

bool store_run(sqlite3_stmt *stmt, struct err *err)
{
	int rc = sqlite3_step(stmt);
	bool ok = rc == SQLITE_DONE || rc == SQLITE_ROW;

	if (!ok)
		store_fail(sqlite3_db_handle(stmt), "write", err);
	sqlite3_reset(stmt);
	return ok;
}

bool store_blob(sqlite3_stmt *stmt, int column, void *dst, size_t n)
{
	const void *p = sqlite3_column_blob(stmt, column);

	if (p == NULL || (size_t)sqlite3_column_bytes(stmt, column) != n)
		return false;
	memcpy(dst, p, n);
	return true;
}

char *store_path(const char *dir, const char *name, char *dst)
{
	snprintf(dst, LEDGER_PATH_MAX, "%s/%s", dir, name);
	return dst;
}

void store_day_name(uint32_t day, char dst[32])
{
	snprintf(dst, 32, "leaves-%08" PRIu32 ".db", day);
}

static bool store_version(sqlite3 *db, int *ret, struct err *err)
{
	STMT *stmt = NULL;

	if (!store_prepare(db, "PRAGMA user_version", &stmt, err))
		return false;
	if (sqlite3_step(stmt) != SQLITE_ROW)
		return store_fail(db, "user_version", err);
	*ret = sqlite3_column_int(stmt, 0);
	return true;
}

static bool store_migrate(sqlite3 *db, const struct migrations *m, int version, struct err *err)
{
	for (size_t i = (size_t)version; i < m->n; i++) {
		char set_version[64];

		snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %zu; COMMIT",
			 i + 1);
		if (!store_exec(db, "BEGIN IMMEDIATE", err) || !store_exec(db, m->sql[i], err) ||
		    !store_exec(db, set_version, err)) {
			sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
			return err_prefix(err, "migration %s %zu", m->set, i + 1);
		}
	}
	return true;
}

static bool store_setup(sqlite3 *db, const struct migrations *m, enum store_mode mode,
			struct err *err)
{
	int version = 0;

	sqlite3_busy_timeout(db, LEDGER_BUSY_MS);
	sqlite3_extended_result_codes(db, 1);
	if (mode == STORE_READ)
		sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (mode == STORE_WRITE &&
	    !store_exec(db,
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			"PRAGMA wal_autocheckpoint = 0;"
			"PRAGMA cache_size = -2000; PRAGMA temp_store = MEMORY",
			err))
		return false;
	if (mode == STORE_READ && !store_exec(db, "PRAGMA query_only = 1", err))
		return false;
	if (!store_version(db, &version, err))
		return false;
	if (version < 0 || (size_t)version > m->n)
		return err_set(err, ERR_LEDGER, "made by a newer version (schema %d, known %zu)",
			       version, m->n);
	if (mode == STORE_READ && version == 0)
		return err_set(err, ERR_LEDGER, "not a ledger");
	return mode == STORE_READ || store_migrate(db, m, version, err);
}

static const struct migrations *store_migrations(const char *set)
{
	size_t i = 0;

	while (strcmp(all[i].set, set) != 0)
		i++; /* it is one of them */
	return &all[i];
}

bool ledger_db_open(const char *path, const char *set, enum store_mode mode, sqlite3 **ret,
		    struct err *err)
{
	const struct migrations *m = store_migrations(set);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	sqlite3 *db = NULL;
	int rc;

	rc = sqlite3_open_v2(path, &db, mode == STORE_WRITE ? flags | SQLITE_OPEN_CREATE : flags,
			     NULL);
	if (rc == SQLITE_CANTOPEN && mode == STORE_READ) { /* not ours to write: look only */
		sqlite3_close(db);
		rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	}
	if (rc != SQLITE_OK || !store_setup(db, m, mode, err)) {
		if (rc != SQLITE_OK)
			store_fail(db, "open", err);
		sqlite3_close(db);
		return err_prefix(err, "%s", path);
	}
	*ret = db;
	return true;
}

void ledger_db_close(sqlite3 *db)
{
	if (db != NULL && sqlite3_close(db) != SQLITE_OK)
		log_error("ledger.close", "error=\"%s\"", sqlite3_errmsg(db));
}
