/* SPDX-License-Identifier: Apache-2.0
 * Writing entries.  Each write goes into its transaction first; then the whole is read back, sealed
 * and checked as of the height from which the entry counts, and only then kept. */
#include "session/registry/store_inside.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"

bool store_write_begin(struct store *store, const struct store_write *w, height_t *ret,
		       struct err *err)
{
	assert(!w->genesis || store->fresh);
	if (!store_db_exec(store, "BEGIN IMMEDIATE", err))
		return false;
	if (w->genesis) {
		*ret = 0;
		return true;
	}
	if (!store_height(store, w->now_ms, ret, err)) {
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
		return false;
	}
	++*ret;
	return true;
}

bool store_write_reread(struct store *store, const struct history **ret, struct err *err)
{
	return store_db_exec(store, "UPDATE network SET entries_version = entries_version + 1",
			     err) &&
	       store_current(store, ret, err);
}

static void forget_history(struct store *store)
{
	history_unref(store->history);
	store->history = NULL;
}

bool store_write_end(struct store *store, const struct store_write *w, bool ok, struct err *err)
{
	if (ok && !w->dry_run) {
		if (store_db_exec(store, "COMMIT", err))
			return true;
		ok = false;
	}
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	forget_history(store);
	return ok;
}

static bool insert_params(struct store *store, height_t height, const struct session_params *p,
			  struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (!store_db_prepare(store,
			      "INSERT OR REPLACE INTO params VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			      &stmt, err))
		return false;
	bind_height(stmt, 1, height);
	bind_amount(stmt, 2, p->stake_unit);
	bind_amount(stmt, 3, p->stake_cap);
	bind_amount(stmt, 4, p->price_max);
	bind_height(stmt, 5, p->grace_blocks);
	bind_height(stmt, 6, p->claim_window);
	bind_height(stmt, 7, p->challenge_lag);
	bind_height(stmt, 8, p->proof_window);
	return store_db_run(store, stmt, err);
}

bool store_tables_fit(const struct history *h, height_t height, struct err *err)
{
	size_t n;
	const struct service_entry *e = history_all_services(h, &n);

	for (size_t i = 0; i < n; i++) {
		struct stake_table *table;

		if (e[i].height > height || (i > 0 && strcmp(e[i - 1].name.s, e[i].name.s) == 0))
			continue;
		if (!history_table(h, &e[i].name, height, &table, err))
			return false;
		stake_table_destroy(table);
	}
	return true;
}

bool store_put_params(struct store *store, const struct store_write *w,
		      const struct session_params *params, height_t *ret, struct err *err)
{
	const struct history *h;
	height_t height;
	bool ok;

	if (!session_params_check(params, err))
		return false;
	if (!session_params_same_network(params, &store->fixed))
		return err_set(
			err, ERR_REGISTRY,
			"session_blocks, snapshot_lag, seed_lag and session_suppliers are fixed");
	if (!store_write_begin(store, w, &height, err))
		return false;
	ok = insert_params(store, height, params, err) && store_write_reread(store, &h, err) &&
	     store_tables_fit(h, height, err);
	if (!store_write_end(store, w, ok, err))
		return false;
	*ret = height;
	return true;
}

bool store_put_service(struct store *store, const struct store_write *w,
		       const struct service_entry *e, height_t *ret, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	const struct history *h;
	height_t height;
	bool ok;

	if (!store_db_prepare(store, "INSERT OR REPLACE INTO services VALUES (?, ?, ?)", &stmt,
			      err) ||
	    !store_write_begin(store, w, &height, err))
		return false;
	bind_text(stmt, 1, e->name.s);
	bind_height(stmt, 2, height);
	bind_bytes(stmt, 3, e->table.b, sizeof(e->table.b));
	ok = store_db_run(store, stmt, err) && store_write_reread(store, &h, err);
	if (!store_write_end(store, w, ok, err))
		return false;
	*ret = height;
	return true;
}

static bool insert_grant(struct store *store, height_t height, const struct grant_entry *e,
			 struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (!store_db_prepare(store, "INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?, ?, ?, ?)",
			      &stmt, err))
		return false;
	bind_bytes(stmt, 1, e->application.b, sizeof(e->application.b));
	bind_bytes(stmt, 2, e->gateway.b, sizeof(e->gateway.b));
	bind_text(stmt, 3, e->service.s);
	bind_height(stmt, 4, height);
	bind_amount(stmt, 5, e->budget);
	bind_amount(stmt, 6, e->nonce);
	bind_bytes(stmt, 7, e->signature.b, sizeof(e->signature.b));
	return store_db_run(store, stmt, err);
}

/* The largest nonce counts ([K3]), so a smaller one says nothing new; and the service must exist.
 */
static bool grant_fits(struct store *store, height_t height, const struct grant_entry *e,
		       struct err *err)
{
	const struct grant_entry *before;
	const struct history *h;

	if (!store_current(store, &h, err))
		return false;
	before = history_grant(h, &e->application, &e->gateway, &e->service, UINT64_MAX);
	if (before && e->nonce <= before->nonce)
		return err_set(err, ERR_REGISTRY, "the nonce must be larger than %" PRIu64,
			       before->nonce);
	if (!history_service(h, &e->service, height))
		return err_set(err, ERR_REGISTRY, "the registry has no service %s", e->service.s);
	return true;
}

bool store_put_grant(struct store *store, const struct store_write *w, const struct grant_entry *e,
		     height_t *ret, struct err *err)
{
	const struct history *h;
	height_t height;
	bool ok;

	if (!grant_verify(&store->network, e))
		return err_set(err, ERR_SIGNATURE,
			       "the grant is not signed by the application for this network");
	if (!store_write_begin(store, w, &height, err))
		return false;
	ok = grant_fits(store, height, e, err) && insert_grant(store, height, e, err) &&
	     store_write_reread(store, &h, err);
	if (!store_write_end(store, w, ok, err))
		return false;
	*ret = height;
	return true;
}
