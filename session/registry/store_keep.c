/* SPDX-License-Identifier: Apache-2.0
 * The keeper: a seed for each height that has begun, the table commitments of each session that can
 * be derived from then on, and claims whose time is over. */
#include "session/registry/store_inside.h"

#include <assert.h>

#include "relay/base/mem.h"
#include "relay/base/point.h"
#include "relay/base/rng.h"

/* The newest commitment of a service; start is 0 when there is none. */
static bool newest_commitment(struct store *store, const struct service_name *service,
			      struct table_commitment *ret, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	*ret = (struct table_commitment){.service = *service};
	if (!store_db_prepare(store,
			      "SELECT start, root, rows, total FROM tables WHERE service = ?"
			      " ORDER BY start DESC LIMIT 1",
			      &stmt, err))
		return false;
	bind_text(stmt, 1, service->s);
	if (!store_step(store, stmt, &row, err))
		return false;
	if (row && column_bytes(stmt, 1, ret->root.b, 32)) {
		ret->start = (height_t)sqlite3_column_int64(stmt, 0);
		ret->rows = (uint64_t)sqlite3_column_int64(stmt, 2);
		ret->total = (uint64_t)sqlite3_column_int64(stmt, 3);
	}
	return true;
}

static bool put_commitment(struct store *store, const struct table_commitment *t, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (!store_db_prepare(store, "INSERT OR IGNORE INTO tables VALUES (?, ?, ?, ?, ?)", &stmt,
			      err))
		return false;
	bind_text(stmt, 1, t->service.s);
	bind_height(stmt, 2, t->start);
	bind_bytes(stmt, 3, t->root.b, sizeof(t->root.b));
	bind_height(stmt, 4, t->rows);
	bind_height(stmt, 5, t->total);
	return store_db_run(store, stmt, err);
}

/* The root is computed only when something that the table is made of has changed. */
static bool commit_service(struct store *store, const struct history *h,
			   const struct service_name *service, height_t start, struct err *err)
{
	const uint64_t lag = store->fixed.snapshot_lag;
	CLEANUP(stake_table_destroy) struct stake_table *table = NULL;
	struct table_commitment t;

	if (!newest_commitment(store, service, &t, err))
		return false;
	if (t.start == 0 || t.start >= start ||
	    !history_table_same(h, t.start - lag, start - lag)) {
		if (!history_table(h, service, start - lag, &table, err))
			return false;
		t.root = stake_table_root(table);
		t.rows = table->n;
		t.total = table->total;
	}
	t.start = start;
	return put_commitment(store, &t, err);
}

bool store_commit_tables(struct store *store, height_t start, struct err *err)
{
	const struct service_entry *e;
	const struct history *h;
	size_t n;

	if (!store_current(store, &h, err))
		return false;
	e = history_all_services(h, &n);
	for (size_t i = 0; i < n; i++) {
		if (e[i].height > start - store->fixed.snapshot_lag ||
		    (i > 0 && strcmp(e[i - 1].name.s, e[i].name.s) == 0))
			continue;
		if (!commit_service(store, h, &e[i].name, start, err))
			return false;
	}
	return true;
}

static bool run_seed(struct store *store, sqlite3_stmt *stmt, height_t height, struct err *err)
{
	struct seed seed;

	rng_bytes(seed.b, sizeof(seed.b));
	bind_height(stmt, 1, height);
	bind_bytes(stmt, 2, seed.b, sizeof(seed.b));
	return store_db_run(store, stmt, err);
}

bool store_put_seed(struct store *store, height_t height, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	return store_db_prepare(store, "INSERT INTO seeds VALUES (?, ?)", &stmt, err) &&
	       run_seed(store, stmt, height, err);
}

static bool put_seed(struct store *store, sqlite3_stmt *stmt, height_t height, struct err *err)
{
	const struct session_params *p = &store->fixed;

	if (!run_seed(store, stmt, height, err))
		return false;
	if (!session_exists(p, height + p->seed_lag))
		return true;
	return store_commit_tables(store, height + p->seed_lag, err);
}

/* The first height whose seed is stored now.  Of a large gap only what the sessions of its end
 * still need is made up: in the middle nobody was there to serve. */
static height_t first_missing(const struct store *store, height_t last, bool any, height_t now)
{
	const struct session_params *p = &store->fixed;
	height_t first = any ? last + 1 : 0;
	uint64_t tail = p->session_blocks + p->snapshot_lag;

	if (now > first && now - first > STORE_FILL_MAX)
		first = MAX(first, now - MIN(now, MAX(tail, (uint64_t)STORE_FILL_MAX)));
	return first;
}

static bool keep_in(struct store *store, msec_t now_ms, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	CLEANUP(stmt_finalize) sqlite3_stmt *count = NULL;
	height_t now = session_clock_height(&store->clock, now_ms);
	height_t last, first;
	bool any;

	if (now_ms < store->clock.genesis_ms)
		return true;
	if (!store_db_prepare(store, "INSERT INTO seeds VALUES (?, ?)", &stmt, err) ||
	    !store_db_prepare(store, "SELECT 1 FROM seeds LIMIT 1", &count, err) ||
	    !store_step(store, count, &any, err) || !store_last_seed(store, &last, err))
		return false;
	sqlite3_reset(count);
	first = first_missing(store, last, any, now);
	if (any && now > last && !store_claims_resume(store, last, first, now, err))
		return false;
	for (height_t h = first; h <= now; h++)
		if (!put_seed(store, stmt, h, err))
			return false;
	return true;
}

/* Ends a transaction: with all of it, or with nothing. */
static bool end(struct store *store, bool ok, struct err *err)
{
	ok = ok && store_db_exec(store, "COMMIT", err);
	if (!ok)
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return ok;
}

/* Settlement is a transaction of its own: whatever it meets, the seeds are there. */
static bool settle(struct store *store, msec_t now_ms, size_t *ret_n, struct err *err)
{
	height_t now;
	bool ok;

	if (!store_db_exec(store, "BEGIN IMMEDIATE", err))
		return false;
	ok = store_height(store, now_ms, &now, err) && store_forfeit(store, now, ret_n, err);
	return end(store, ok, err);
}

bool store_keep(struct store *store, msec_t now_ms, msec_t *ret_next_ms, struct err *err)
{
	height_t now = session_clock_height(&store->clock, now_ms);
	size_t forfeits = 0;

	if (!store_db_exec(store, "BEGIN IMMEDIATE", err) ||
	    !end(store, keep_in(store, now_ms, err), err))
		return false;
	if (!settle(store, now_ms, &forfeits, err))
		return false;
	*ret_next_ms = session_clock_ms(&store->clock, now + 1);
	if (forfeits > 0)
		POINT("registry.forfeited");
	if (forfeits == STORE_FORFEITS_MAX)
		*ret_next_ms = MIN(*ret_next_ms, now_ms + 1); /* there may be more */
	return true;
}
