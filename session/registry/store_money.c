/* SPDX-License-Identifier: Apache-2.0
 * Stakes and escrow: deposits, withdrawals, and what payments and penalties take ([P3], [P6]). */
#include "session/registry/store_inside.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"

void store_purse_finish(struct store_purse *purse)
{
	history_unref(purse->params);
	free(purse->e);
	*purse = (struct store_purse){0};
}

static bool purse_rows(struct store *store, struct store_purse *purse, height_t from,
		       struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row, stake = purse->kind == STORE_SUPPLIER;
	size_t cap = 0;

	if (!store_db_prepare(store,
			      stake ? "SELECT height, stake, burned, burned_thaw FROM suppliers"
				      " WHERE key = ? AND height >= ? ORDER BY height"
				    : "SELECT height, escrow, spent, spent_thaw FROM applications"
				      " WHERE key = ? AND height >= ? ORDER BY height",
			      &stmt, err))
		return false;
	bind_bytes(stmt, 1, purse->key.b, sizeof(purse->key.b));
	bind_height(stmt, 2, from);
	purse->n = 0;
	for (;;) {
		struct thaw_entry *e;

		if (!store_step(store, stmt, &row, err))
			return false;
		if (purse->n + 1 >= cap) { /* one to spare */
			cap = cap ? cap * 2 : 8;
			purse->e = xrealloc(purse->e, cap * sizeof(*purse->e));
		}
		if (!row)
			return true;
		e = &purse->e[purse->n++];
		e->height = (height_t)sqlite3_column_int64(stmt, 0);
		if (!column_amount(stmt, 1, &e->standing) || !column_sum(stmt, 2, &e->taken) ||
		    !column_sum(stmt, 3, &e->taken_thaw))
			return err_set(err, ERR_REGISTRY, "%s: a damaged row", store->path);
	}
}

/* The newest entry before a height; 0 when there is none. */
static bool entry_before(struct store *store, const struct store_purse *purse, height_t height,
			 height_t *ret, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	if (!store_db_prepare(
		    store,
		    purse->kind == STORE_SUPPLIER
			    ? "SELECT max(height) FROM suppliers WHERE key = ? AND height < ?"
			    : "SELECT max(height) FROM applications WHERE key = ? AND height < ?",
		    &stmt, err))
		return false;
	bind_bytes(stmt, 1, purse->key.b, sizeof(purse->key.b));
	bind_height(stmt, 2, height);
	if (!store_step(store, stmt, &row, err))
		return false;
	*ret = row ? (height_t)sqlite3_column_int64(stmt, 0) : 0;
	return true;
}

/* Reads from the entry on before which nothing can thaw any more: exact as long as nothing was
 * taken of what thawed since, else all are needed. */
static bool purse_fill(struct store *store, struct store_purse *purse, height_t height,
		       struct err *err)
{
	height_t from = history_thaw_from(purse->params, height);

	if (!entry_before(store, purse, from, &from, err) || !purse_rows(store, purse, from, err))
		return false;
	if (purse->n == 0 || purse->e[0].taken_thaw == purse->e[purse->n - 1].taken_thaw)
		return true;
	return purse_rows(store, purse, 0, err);
}

bool store_purse_read(struct store *store, enum store_owner kind, const struct key_id *key,
		      height_t height, struct store_purse *ret, struct err *err)
{
	CLEANUP(store_purse_finish) struct store_purse purse = {.kind = kind, .key = *key};

	if (!store_params(store, &purse.params, err) || !purse_fill(store, &purse, height, err))
		return false;
	if (purse.n == 0 || purse.e[purse.n - 1].height < height) {
		purse.e[purse.n] =
			purse.n > 0 ? purse.e[purse.n - 1] : (struct thaw_entry){.height = 0};
		purse.e[purse.n++].height = height;
	}
	/* Another process, whose clock is ahead or who did not wait as long for the file, may have
	 * written for a later height: this change joins that entry. */
	assert(purse.e[purse.n - 1].height >= height);
	*ret = purse;
	purse = (struct store_purse){0};
	return true;
}

u128 store_purse_thawing(const struct store_purse *purse)
{
	struct thaw_state s;
	height_t last = purse->e[purse->n - 1].height;

	/* The rows need not begin with the first one, so the rest of the state means nothing. */
	history_thaw(purse->params, purse->e, purse->n, last, &s);
	return s.thawing;
}

bool store_purse_move(struct store_purse *purse, u128 amount, bool withdraw, struct err *err)
{
	struct thaw_entry *last = &purse->e[purse->n - 1];
	char has[U128_TEXT_MAX];

	if (withdraw && amount > last->standing)
		return err_set(err, ERR_REGISTRY,
			       purse->kind == STORE_SUPPLIER
				       ? "this supplier has only %s at stake"
				       : "the application has only %s in escrow",
			       u128_text(last->standing, has));
	if (!withdraw && amount > AMOUNT_MAX - MIN(AMOUNT_MAX, last->standing + last->taken))
		return err_set(err, ERR_RANGE, "the %s would pass 2^96 - 1",
			       purse->kind == STORE_SUPPLIER ? "stake" : "escrow");
	last->standing = withdraw ? last->standing - amount : last->standing + amount;
	history_thaw_mend(purse->params, purse->e, purse->n);
	return true;
}

struct settle_split store_purse_take(struct store_purse *purse, u128 amount)
{
	struct thaw_entry *last = &purse->e[purse->n - 1];
	u128 thawing = MIN(store_purse_thawing(purse), AMOUNT_MAX - last->taken_thaw);
	struct settle_split split = settle_take(amount, last->standing, thawing);

	last->standing -= split.standing;
	last->taken += split.standing;
	last->taken_thaw += split.thawing;
	return split;
}

static bool write_stake(struct store *store, const struct store_purse *purse, struct err *err)
{
	const struct thaw_entry *last = &purse->e[purse->n - 1];
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (!store_db_prepare(store,
			      "INSERT OR REPLACE INTO suppliers SELECT key, ?, owner, ?, price,"
			      " services, endpoint, ?, ? FROM suppliers WHERE key = ?"
			      " ORDER BY height DESC LIMIT 1",
			      &stmt, err))
		return false;
	bind_height(stmt, 1, last->height);
	bind_amount(stmt, 2, last->standing);
	bind_sum(stmt, 3, last->taken);
	bind_sum(stmt, 4, last->taken_thaw);
	bind_bytes(stmt, 5, purse->key.b, sizeof(purse->key.b));
	return store_db_run(store, stmt, err);
}

static bool write_escrow(struct store *store, const struct store_purse *purse, struct err *err)
{
	const struct thaw_entry *last = &purse->e[purse->n - 1];
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	if (!store_db_prepare(store, "INSERT OR REPLACE INTO applications VALUES (?, ?, ?, ?, ?)",
			      &stmt, err))
		return false;
	bind_bytes(stmt, 1, purse->key.b, sizeof(purse->key.b));
	bind_height(stmt, 2, last->height);
	bind_amount(stmt, 3, last->standing);
	bind_sum(stmt, 4, last->taken);
	bind_sum(stmt, 5, last->taken_thaw);
	return store_db_run(store, stmt, err);
}

bool store_purse_write(struct store *store, const struct store_purse *purse, struct err *err)
{
	return purse->kind == STORE_SUPPLIER ? write_stake(store, purse, err)
					     : write_escrow(store, purse, err);
}

static bool insert_supplier(struct store *store, const struct supplier_entry *e,
			    const struct store_purse *purse, struct err *err)
{
	const struct thaw_entry *last = &purse->e[purse->n - 1];
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	CLEANUP(buf_finish) struct buf services = {0};

	if (!store_db_prepare(store,
			      "INSERT OR REPLACE INTO suppliers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			      &stmt, err))
		return false;
	for (uint32_t i = 0; i < e->services_n; i++)
		buf_putf(&services, "%s%s", i ? " " : "", e->services[i].s);
	bind_bytes(stmt, 1, e->key.b, sizeof(e->key.b));
	bind_height(stmt, 2, last->height);
	bind_bytes(stmt, 3, e->owner.b, sizeof(e->owner.b));
	bind_amount(stmt, 4, last->standing);
	bind_amount(stmt, 5, e->price);
	bind_text(stmt, 6, buf_cstr(&services));
	bind_text(stmt, 7, e->endpoint);
	bind_sum(stmt, 8, last->taken);
	bind_sum(stmt, 9, last->taken_thaw);
	return store_db_run(store, stmt, err);
}

static bool supplier_fits(const struct history *h, height_t height, const struct supplier_entry *e,
			  u128 stake, struct err *err)
{
	const struct session_params *p = history_params(h, height);

	if (e->price > p->price_max)
		return err_set(err, ERR_REGISTRY,
			       "the price %" PRIu64 " is over price_max, %" PRIu64, e->price,
			       p->price_max);
	if (stake > 0 && e->services_n == 0)
		return err_set(err, ERR_REGISTRY, "a staked supplier needs a service");
	for (uint32_t i = 0; i < e->services_n; i++)
		if (!history_service(h, &e->services[i], height))
			return err_set(err, ERR_REGISTRY, "the registry has no service %s",
				       e->services[i].s);
	return store_tables_fit(h, height, err);
}

/* A change of what stands: to an amount, or by one. */
struct change {
	enum { CHANGE_TO, CHANGE_UP, CHANGE_DOWN } how;
	u128 amount;
};

static bool change_apply(const struct change *c, struct store_purse *purse, struct err *err)
{
	u128 now = purse->e[purse->n - 1].standing;

	if (c->how != CHANGE_TO)
		return store_purse_move(purse, c->amount, c->how == CHANGE_DOWN, err);
	return c->amount < now ? store_purse_move(purse, now - c->amount, true, err)
			       : store_purse_move(purse, c->amount - now, false, err);
}

static bool put_supplier(struct store *store, const struct store_write *w,
			 const struct supplier_entry *e, const struct change *c, u128 *ret_stake,
			 height_t *ret, struct err *err)
{
	CLEANUP(store_purse_finish) struct store_purse purse = {0};
	const struct history *h;
	height_t height;
	u128 stake = 0;
	bool ok;

	if (!store_write_begin(store, w, &height, err))
		return false;
	ok = store_purse_read(store, STORE_SUPPLIER, &e->key, height, &purse, err) &&
	     change_apply(c, &purse, err);
	if (ok) {
		stake = purse.e[purse.n - 1].standing;
		height = purse.e[purse.n - 1].height;
	}
	ok = ok && insert_supplier(store, e, &purse, err) && store_write_reread(store, &h, err) &&
	     supplier_fits(h, height, e, stake, err);
	if (!store_write_end(store, w, ok, err))
		return false;
	*ret_stake = stake;
	*ret = height;
	return true;
}

bool store_put_supplier(struct store *store, const struct store_write *w,
			const struct supplier_entry *e, height_t *ret, struct err *err)
{
	const struct change to = {CHANGE_TO, e->stake};
	u128 stake;

	return put_supplier(store, w, e, &to, &stake, ret, err);
}

bool store_stake(struct store *store, const struct store_write *w, const struct supplier_entry *e,
		 u128 amount, bool back, u128 *ret_stake, height_t *ret, struct err *err)
{
	const struct change by = {back ? CHANGE_DOWN : CHANGE_UP, amount};

	return put_supplier(store, w, e, &by, ret_stake, ret, err);
}

static bool put_escrow(struct store *store, const struct store_write *w, const struct key_id *key,
		       const struct change *c, u128 *ret_escrow, height_t *ret, struct err *err)
{
	CLEANUP(store_purse_finish) struct store_purse purse = {0};
	const struct history *h;
	height_t height;
	bool ok;

	if (!store_write_begin(store, w, &height, err))
		return false;
	ok = store_purse_read(store, STORE_APPLICATION, key, height, &purse, err) &&
	     change_apply(c, &purse, err) && store_purse_write(store, &purse, err) &&
	     store_write_reread(store, &h, err);
	if (!store_write_end(store, w, ok, err))
		return false;
	*ret_escrow = purse.e[purse.n - 1].standing;
	*ret = purse.e[purse.n - 1].height;
	return true;
}

bool store_put_application(struct store *store, const struct store_write *w,
			   const struct application_entry *e, height_t *ret, struct err *err)
{
	const struct change to = {CHANGE_TO, e->escrow};
	u128 escrow;

	return put_escrow(store, w, &e->key, &to, &escrow, ret, err);
}

bool store_fund(struct store *store, const struct store_write *w, const struct key_id *key,
		u128 amount, bool withdraw, u128 *ret_escrow, height_t *ret, struct err *err)
{
	const struct change by = {withdraw ? CHANGE_DOWN : CHANGE_UP, amount};

	return put_escrow(store, w, key, &by, ret_escrow, ret, err);
}
