/* SPDX-License-Identifier: Apache-2.0
 * Taking claims: what they are checked with, overlap, and reading them back ([C4] to [C7]). */
#include "session/registry/store_inside.h"

#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/base/point.h"

#define STATE_COLUMNS                                                                              \
	"id, state, recorded, challenge, due, settled, value, paid, burned, burned_thaw, reason,"  \
	" (SELECT seed FROM seeds WHERE height = challenge)"

void store_book_drop(struct store *store)
{
	settle_book_destroy(store->book);
	history_unref(store->book_history);
	seed_run_finish(&store->book_seeds);
	store->book = NULL;
	store->book_history = NULL;
	store->book_from = store->book_to = 0;
}

/* Makes the book anew: all that is written counts at last + 1 or earlier, so what it says of
 * snapshots up to `last` is final. */
static bool book_make(struct store *store, height_t from, height_t last, struct err *err)
{
	const struct history *h;

	store_book_drop(store);
	if (!store_current(store, &h, err) ||
	    !store_seeds(store, from, last + 1, &store->book_seeds, err))
		return false;
	store->book_history = history_ref(store->history);
	store->book_from = from;
	store->book_to = last + 1;
	store->book = settle_book_create(store->book_history, &store->book_seeds);
	return true;
}

bool store_book_for(struct store *store, const struct claim *c, struct err *err)
{
	const struct session_params *p = &store->fixed;
	height_t last, from = c->from - MIN(c->from, p->snapshot_lag + p->session_blocks);
	const struct history *h;

	if (!store_last_seed(store, &last, err))
		return false;
	if (store->book && from >= store->book_from &&
	    (c->to <= store->book_to || last < store->book_to))
		return true;
	if (!store_current(store, &h, err))
		return false;
	/* What is older than any claim may be is refused before a seed of it is asked for. */
	from = MAX(from, history_seeds_from(h, last));
	if (store->book)
		from = MIN(from, store->book_from);
	return book_make(store, from, last, err);
}

/* The state in the columns of STATE_COLUMNS. */
static bool read_state(struct store *store, sqlite3_stmt *stmt, struct desk_claim *ret,
		       struct err *err)
{
	struct desk_claim s = {.state = (enum desk_state)sqlite3_column_int(stmt, 1)};
	const char *reason = (const char *)sqlite3_column_text(stmt, 10);
	u128 thaw = 0;

	if (!column_bytes(stmt, 0, s.id.b, sizeof(s.id.b)) || s.state < DESK_RECORDED ||
	    s.state > DESK_FORFEITED || !column_sum(stmt, 6, &s.value) ||
	    !column_sum(stmt, 7, &s.paid) || !column_sum(stmt, 8, &s.burned) ||
	    !column_sum(stmt, 9, &thaw) || !reason || strlen(reason) > CLAIMS_FILE_REASON_MAX)
		return err_set(err, ERR_REGISTRY, "%s: a damaged claim", store->path);
	s.recorded = (height_t)sqlite3_column_int64(stmt, 2);
	s.challenge = (height_t)sqlite3_column_int64(stmt, 3);
	s.due = (height_t)sqlite3_column_int64(stmt, 4);
	s.settled = (height_t)sqlite3_column_int64(stmt, 5);
	s.burned += thaw;
	s.has_seed = column_bytes(stmt, 11, s.seed.b, sizeof(s.seed.b));
	memcpy(s.reason, reason, strlen(reason) + 1);
	*ret = s;
	return true;
}

bool store_look(struct store *store, const struct claim_id *id, struct desk_claim *ret,
		struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	if (!store_db_prepare(store, "SELECT " STATE_COLUMNS " FROM claims WHERE id = ?", &stmt,
			      err))
		return false;
	bind_bytes(stmt, 1, id->b, sizeof(id->b));
	if (!store_step(store, stmt, &row, err))
		return false;
	if (row)
		return read_state(store, stmt, ret, err);
	*ret = (struct desk_claim){.id = *id, .state = DESK_UNKNOWN};
	return true;
}

bool store_records(struct store *store, const struct claim_id *id, struct buf *ret, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	if (!store_db_prepare(store, "SELECT records FROM claims WHERE id = ?", &stmt, err))
		return false;
	bind_bytes(stmt, 1, id->b, sizeof(id->b));
	if (!store_step(store, stmt, &row, err))
		return false;
	if (row)
		buf_put(ret, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
	return true;
}

static bool refuse(enum settle_fault fault, const char *why, struct err *err)
{
	return err_set(err, ERR_CLAIM, "%s: %s", settle_fault_name(fault), why);
}

/* Of the four's earlier claims only the last that begins below `to` can reach into the range, since
 * none of them overlap. */
static bool no_overlap(struct store *store, const struct claim *c, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	if (!store_db_prepare(store,
			      "SELECT to_height FROM claims WHERE application = ? AND gateway = ?"
			      " AND supplier = ? AND service = ? AND from_height < ?"
			      " ORDER BY from_height DESC LIMIT 1",
			      &stmt, err))
		return false;
	bind_bytes(stmt, 1, c->application.b, sizeof(c->application.b));
	bind_bytes(stmt, 2, c->gateway.b, sizeof(c->gateway.b));
	bind_bytes(stmt, 3, c->supplier.b, sizeof(c->supplier.b));
	bind_text(stmt, 4, c->service.s);
	bind_height(stmt, 5, c->to);
	if (!store_step(store, stmt, &row, err))
		return false;
	if (row && (height_t)sqlite3_column_int64(stmt, 0) > c->from)
		return refuse(SETTLE_OVERLAP, "an earlier claim has sessions of this range", err);
	return true;
}

static bool insert_claim(struct store *store, const struct claim *c, const struct claim_id *id,
			 const struct signature *sig, struct view records, height_t recorded,
			 struct err *err)
{
	const struct session_params *p = settle_params(store->book_history, c->from);
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	CLEANUP(buf_finish) struct buf bytes = {0};

	if (!store_db_prepare(store,
			      "INSERT INTO claims VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0,"
			      " ?, zeroblob(16), zeroblob(16), zeroblob(16), '', ?, ?, x'', x'',"
			      " ?)",
			      &stmt, err))
		return false;
	claim_bytes(c, &bytes);
	bind_bytes(stmt, 1, id->b, sizeof(id->b));
	bind_bytes(stmt, 2, c->application.b, sizeof(c->application.b));
	bind_bytes(stmt, 3, c->gateway.b, sizeof(c->gateway.b));
	bind_bytes(stmt, 4, c->supplier.b, sizeof(c->supplier.b));
	bind_text(stmt, 5, c->service.s);
	bind_height(stmt, 6, c->from);
	bind_height(stmt, 7, c->to);
	bind_height(stmt, 8, recorded);
	bind_height(stmt, 9, settle_challenge(p, recorded));
	bind_height(stmt, 10, settle_due(p, recorded));
	bind_sum(stmt, 11, c->value);
	bind_bytes(stmt, 12, bytes.p, bytes.n);
	bind_bytes(stmt, 13, sig->b, sizeof(sig->b));
	bind_bytes(stmt, 14, records.p, records.n);
	return store_db_run(store, stmt, err);
}

/* What only the transaction can tell: the height, whether it has come in meanwhile, overlap. */
static bool record(struct store *store, msec_t now_ms, const struct claim *c,
		   const struct claim_id *id, const struct signature *sig, struct view records,
		   struct desk_claim *ret, struct err *err)
{
	const struct session_params *p = settle_params(store->book_history, c->from);
	height_t now;

	if (!store_look(store, id, ret, err))
		return false;
	if (ret->state != DESK_UNKNOWN)
		return true;
	if (!store_height(store, now_ms, &now, err) || !no_overlap(store, c, err))
		return false;
	if (now >= settle_closes(p, c->from))
		return refuse(SETTLE_LATE, "the window closed meanwhile", err);
	return insert_claim(store, c, id, sig, records, now, err) &&
	       store_look(store, id, ret, err);
}

/* The terms, with the book made when a record asks for the first one: what is refused before that
 * costs no look at the registry. */
struct terms_asked {
	struct store *store;
	struct err failed; /* the registry could not be read: no verdict */
};

static bool terms(void *arg, const struct claim *c, height_t start, struct settle_terms *ret,
		  struct err *err)
{
	struct terms_asked *asked = arg;

	if (!store_book_for(asked->store, c, &asked->failed)) {
		*err = asked->failed;
		return false;
	}
	return settle_book_terms(asked->store->book, c, start, ret, err);
}

/* The checks that need no transaction: what they go by is over and never changes. */
static bool check(struct store *store, msec_t now_ms, const struct claim *c,
		  const struct signature *sig, struct view records, struct err *err)
{
	CLEANUP(history_unref) struct history *params = NULL;
	struct terms_asked asked = {.store = store};
	enum settle_fault fault;
	height_t now;

	if (!store_height(store, now_ms, &now, err) || !store_params(store, &params, err))
		return false;
	if (settle_check_claim(c, sig, records, &store->network, settle_params(params, c->from),
			       now, terms, &asked, &fault, err))
		return true;
	if (asked.failed.code != ERR_NONE)
		*err = asked.failed;
	return false;
}

bool store_claim(struct store *store, msec_t now_ms, const struct claim *c,
		 const struct signature *sig, struct view records, struct desk_claim *ret,
		 struct err *err)
{
	struct desk_claim state;
	struct claim_id id;

	claim_id_of(c, &id);
	if (!store_look(store, &id, &state, err))
		return false;
	if (state.state == DESK_UNKNOWN) {
		if (!check(store, now_ms, c, sig, records, err) ||
		    !store_db_exec(store, "BEGIN IMMEDIATE", err))
			return false;
		if (!record(store, now_ms, c, &id, sig, records, &state, err)) {
			sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
			return false;
		}
		POINT("registry.claim");
		if (!store_db_exec(store, "COMMIT", err)) {
			sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
			return false;
		}
		POINT("registry.claimed");
	}
	*ret = state;
	return true;
}

bool store_list(struct store *store, const struct key_id *supplier, height_t since, size_t max,
		struct store_place *at, bool *ret_more, desk_claim_fn *fn, void *arg,
		struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;

	/* A claim is recorded behind its range, so what was recorded up to `since` ends before. */
	if (!store_db_prepare(store,
			      "SELECT " STATE_COLUMNS ", claim FROM claims WHERE supplier = ?"
			      " AND (recorded, id) > (?, ?) AND to_height > ?"
			      " ORDER BY recorded, id LIMIT ?",
			      &stmt, err))
		return false;
	bind_bytes(stmt, 1, supplier->b, sizeof(supplier->b));
	bind_height(stmt, 2, MAX(at->recorded, since));
	bind_bytes(stmt, 3, at->id.b, sizeof(at->id.b));
	bind_height(stmt, 4, since);
	bind_height(stmt, 5, max + 1);
	*ret_more = false;
	for (size_t i = 0;; i++) {
		struct desk_claim state;
		struct claim c;
		bool row;

		if (!store_step(store, stmt, &row, err))
			return false;
		*ret_more = row && i == max;
		if (!row || i == max)
			return true;
		if (!read_state(store, stmt, &state, err) ||
		    !claim_parse(VIEW(sqlite3_column_blob(stmt, 12),
				      (size_t)sqlite3_column_bytes(stmt, 12)),
				 &c, err))
			return false;
		*at = (struct store_place){state.recorded, state.id};
		if (!fn(arg, &c, &state))
			return true;
	}
}
