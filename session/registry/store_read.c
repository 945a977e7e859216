/* SPDX-License-Identifier: Apache-2.0
 * Reading a sqlite registry: entries into the model, seeds, exports. */
#include "session/registry/store_inside.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"

/* Adds the row that the statement stands on to a history; false without an error: damaged. */
typedef bool (*read_row)(sqlite3_stmt *stmt, const struct store *store, struct history *h,
			 struct err *err);

static bool read_rows(struct store *store, const char *sql, read_row one, struct history *h,
		      struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	if (!store_db_prepare(store, sql, &stmt, err))
		return false;
	for (;;) {
		if (!store_step(store, stmt, &row, err))
			return false;
		if (!row)
			return true;
		err->code = ERR_NONE;
		if (one(stmt, store, h, err))
			continue;
		if (err->code == ERR_NONE)
			return err_set(err, ERR_REGISTRY, "%s: a damaged row", store->path);
		return err_prefix(err, "%s", store->path);
	}
}

static bool read_params(sqlite3_stmt *stmt, const struct store *store, struct history *h,
			struct err *err)
{
	struct params_entry e = {.height = (height_t)sqlite3_column_int64(stmt, 0),
				 .params = store->fixed};
	struct session_params *p = &e.params;

	p->grace_blocks = (uint64_t)sqlite3_column_int64(stmt, 4);
	p->claim_window = (uint64_t)sqlite3_column_int64(stmt, 5);
	p->challenge_lag = (uint64_t)sqlite3_column_int64(stmt, 6);
	p->proof_window = (uint64_t)sqlite3_column_int64(stmt, 7);
	return column_amount(stmt, 1, &p->stake_unit) && column_amount(stmt, 2, &p->stake_cap) &&
	       column_u64(stmt, 3, &p->price_max) && history_add_params(h, &e, err);
}

static bool read_service(sqlite3_stmt *stmt, const struct store *store, struct history *h,
			 struct err *err)
{
	struct service_entry e = {.height = (height_t)sqlite3_column_int64(stmt, 1)};

	return column_service(stmt, 0, &e.name) && column_bytes(stmt, 2, e.table.b, 32) &&
	       history_add_service(h, &e, err);
}

/* Names between single spaces. */
static bool split_services(const char *text, struct service_name *names, uint32_t *ret_n)
{
	uint32_t n = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (n == SERVICES_PER_SUPPLIER_MAX || !service_name_parse(text, len, &names[n++]))
			return false;
		text += len;
		text += *text == ' ';
	}
	*ret_n = n;
	return true;
}

static bool read_supplier(sqlite3_stmt *stmt, const struct store *store, struct history *h,
			  struct err *err)
{
	struct service_name names[SERVICES_PER_SUPPLIER_MAX];
	struct supplier_entry e = {.height = (height_t)sqlite3_column_int64(stmt, 1),
				   .services = names,
				   .endpoint = (char *)sqlite3_column_text(stmt, 6)};

	return column_bytes(stmt, 0, e.key.b, 32) && column_bytes(stmt, 2, e.owner.b, 20) &&
	       column_amount(stmt, 3, &e.stake) && column_u64(stmt, 4, &e.price) &&
	       split_services((const char *)sqlite3_column_text(stmt, 5), names, &e.services_n) &&
	       e.endpoint && column_sum(stmt, 7, &e.burned) &&
	       column_sum(stmt, 8, &e.burned_thaw) && history_add_supplier(h, &e, err);
}

static bool read_application(sqlite3_stmt *stmt, const struct store *store, struct history *h,
			     struct err *err)
{
	struct application_entry e = {.height = (height_t)sqlite3_column_int64(stmt, 1)};

	return column_bytes(stmt, 0, e.key.b, 32) && column_amount(stmt, 2, &e.escrow) &&
	       column_sum(stmt, 3, &e.spent) && column_sum(stmt, 4, &e.spent_thaw) &&
	       history_add_application(h, &e, err);
}

static bool read_grant(sqlite3_stmt *stmt, const struct store *store, struct history *h,
		       struct err *err)
{
	struct grant_entry e = {.height = (height_t)sqlite3_column_int64(stmt, 3)};

	return column_bytes(stmt, 0, e.application.b, 32) &&
	       column_bytes(stmt, 1, e.gateway.b, 32) && column_service(stmt, 2, &e.service) &&
	       column_amount(stmt, 4, &e.budget) && column_u64(stmt, 5, &e.nonce) &&
	       column_bytes(stmt, 6, e.signature.b, 64) && history_add_grant(h, &e, err);
}

static bool read_pause(sqlite3_stmt *stmt, const struct store *store, struct history *h,
		       struct err *err)
{
	struct pause_entry e = {.height = (height_t)sqlite3_column_int64(stmt, 0),
				.missed = (uint64_t)sqlite3_column_int64(stmt, 1)};

	return history_add_pause(h, &e, err);
}

#define PAUSES_SQL "SELECT height, missed FROM pauses ORDER BY height"
#define PARAMS_SQL                                                                                 \
	"SELECT height, stake_unit, stake_cap, price_max, grace_blocks, claim_window,"             \
	" challenge_lag, proof_window FROM params ORDER BY height"

bool store_params(struct store *store, struct history **ret, struct err *err)
{
	CLEANUP(history_unref) struct history *h = history_create(&store->network, &store->clock);

	if (!read_rows(store, PARAMS_SQL, read_params, h, err) ||
	    !read_rows(store, PAUSES_SQL, read_pause, h, err) || !history_seal(h, err))
		return false;
	*ret = STEAL(h);
	return true;
}

bool store_history(struct store *store, struct history **ret, struct err *err)
{
	CLEANUP(history_unref) struct history *h = history_create(&store->network, &store->clock);

	history_set_tail(h, store->network_tail);
	if (!read_rows(store, PARAMS_SQL, read_params, h, err) ||
	    !read_rows(store,
		       "SELECT name, height, method_table FROM services ORDER BY name, height",
		       read_service, h, err) ||
	    !read_rows(store,
		       "SELECT key, height, owner, stake, price, services, endpoint, burned,"
		       " burned_thaw FROM suppliers ORDER BY key, height",
		       read_supplier, h, err) ||
	    !read_rows(store,
		       "SELECT key, height, escrow, spent, spent_thaw FROM applications"
		       " ORDER BY key, height",
		       read_application, h, err) ||
	    !read_rows(store,
		       "SELECT application, gateway, service, height, budget, nonce, signature"
		       " FROM grants ORDER BY application, gateway, service, height",
		       read_grant, h, err) ||
	    !read_rows(store, PAUSES_SQL, read_pause, h, err) || !history_seal(h, err))
		return false;
	*ret = STEAL(h);
	return true;
}

static bool one_number(struct store *store, const char *sql, uint64_t *ret, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	if (!store_db_prepare(store, sql, &stmt, err) || !store_step(store, stmt, &row, err))
		return false;
	*ret = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
	return true;
}

bool store_last_seed(struct store *store, height_t *ret, struct err *err)
{
	return one_number(store, "SELECT max(height) FROM seeds", ret, err);
}

bool store_height(struct store *store, msec_t now_ms, height_t *ret, struct err *err)
{
	height_t last;

	if (!store_last_seed(store, &last, err))
		return false;
	*ret = MAX(last, session_clock_height(&store->clock, now_ms));
	return true;
}

bool store_entries_version(struct store *store, uint64_t *ret, struct err *err)
{
	return one_number(store, "SELECT entries_version FROM network", ret, err);
}

bool store_current(struct store *store, const struct history **ret, struct err *err)
{
	struct history *fresh;
	uint64_t version;

	if (!store_entries_version(store, &version, err))
		return false;
	if (!store->history || store->history_version != version) {
		if (!store_history(store, &fresh, err))
			return false;
		history_unref(store->history);
		store->history = fresh;
		store->history_version = version;
	}
	*ret = store->history;
	return true;
}

bool store_seeds(struct store *store, height_t from, height_t to, struct seed_run *run,
		 struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	struct seed seed;
	bool row;

	if (!store_db_prepare(store,
			      "SELECT height, seed FROM seeds WHERE height >= ? AND height < ?"
			      " ORDER BY height",
			      &stmt, err))
		return false;
	bind_height(stmt, 1, from);
	bind_height(stmt, 2, to);
	for (;;) {
		if (!store_step(store, stmt, &row, err))
			return false;
		if (!row)
			return true;
		if (!column_bytes(stmt, 1, seed.b, 32) ||
		    !seed_run_add(run, (height_t)sqlite3_column_int64(stmt, 0), &seed))
			return err_set(err, ERR_REGISTRY, "%s: a damaged seed", store->path);
	}
}

static bool follow_fill(struct store *store, height_t from, struct seed_run *run,
			height_t *ret_last, struct err *err)
{
	const struct history *h;

	return store_current(store, &h, err) && store_last_seed(store, ret_last, err) &&
	       store_seeds(store, MAX(from, history_seeds_from(h, *ret_last)), UINT64_MAX, run,
			   err);
}

bool store_follow(struct store *store, height_t from, struct history **ret_history,
		  struct seed_run *run, height_t *ret_last, struct err *err)
{
	bool ok;

	if (!store_db_exec(store, "BEGIN", err))
		return false;
	ok = follow_fill(store, from, run, ret_last, err);
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	if (ok)
		*ret_history = history_ref(store->history);
	return ok;
}

bool store_data_version(struct store *store, uint64_t *ret, struct err *err)
{
	return one_number(store, "PRAGMA data_version", ret, err);
}

/* Commitments of the sessions whose seed is in the export's range. */
static bool export_tables(struct store *store, struct registry_export *e, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	uint64_t lag = store->fixed.seed_lag;
	size_t cap = 0;
	bool row;

	if (!store_db_prepare(store,
			      "SELECT service, start, root, rows, total FROM tables"
			      " WHERE start >= ? AND start < ? ORDER BY service, start",
			      &stmt, err))
		return false;
	bind_height(stmt, 1, e->from > UINT64_MAX - lag ? UINT64_MAX : e->from + lag);
	bind_height(stmt, 2, e->to > UINT64_MAX - lag ? UINT64_MAX : e->to + lag);
	for (;;) {
		struct table_commitment t;

		if (!store_step(store, stmt, &row, err))
			return false;
		if (!row)
			return true;
		if (!column_service(stmt, 0, &t.service) || !column_bytes(stmt, 2, t.root.b, 32))
			return err_set(err, ERR_REGISTRY, "%s: a damaged table", store->path);
		t.start = (height_t)sqlite3_column_int64(stmt, 1);
		t.rows = (uint64_t)sqlite3_column_int64(stmt, 3);
		t.total = (uint64_t)sqlite3_column_int64(stmt, 4);
		if (e->tables_n == EXPORT_TABLES_MAX)
			return err_set(err, ERR_RANGE, "more than %u tables: ask for fewer heights",
				       EXPORT_TABLES_MAX);
		if (e->tables_n == cap) {
			cap = cap ? cap * 2 : 16;
			e->tables = xrealloc(e->tables, cap * sizeof(*e->tables));
		}
		e->tables[e->tables_n++] = t;
	}
}

static bool export_fill(struct store *store, struct registry_export *e, struct err *err)
{
	const struct history *h;

	if (!store_current(store, &h, err) || !store_last_seed(store, &e->height, err) ||
	    !store_seeds(store, e->from, e->to, &e->seeds, err))
		return false;
	e->to = MIN(e->to, e->height + 1);
	e->from = MIN(e->from, e->to);
	if (!export_tables(store, e, err))
		return false;
	if (e->seeds.n > EXPORT_SEEDS_MAX)
		return err_set(err, ERR_RANGE, "more than %u seeds: ask for fewer heights",
			       EXPORT_SEEDS_MAX);
	e->history = history_ref(store->history);
	return true;
}

bool store_export(struct store *store, height_t from, height_t to, struct registry_export *ret,
		  struct err *err)
{
	CLEANUP(registry_export_finish) struct registry_export e = {.from = from, .to = to};
	bool ok;

	memcpy(e.network_tail, store->network_tail, sizeof(e.network_tail));
	if (!store_db_exec(store, "BEGIN", err))
		return false;
	ok = export_fill(store, &e, err);
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	if (!ok)
		return false;
	*ret = e;
	e = (struct registry_export){0};
	return true;
}
