/* SPDX-License-Identifier: Apache-2.0
 * The inside of a sqlite registry, for session/registry/store*.c alone. */
#ifndef SESSION_REGISTRY_STORE_INSIDE_H
#define SESSION_REGISTRY_STORE_INSIDE_H

#include <sqlite3.h>

#include "session/registry/store.h"
#include "session/registry/store_claims.h"
#include "session/settle.h"

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
	/* what claims are checked with, and up to which height it knows everything */
	struct settle_book *book;
	struct history *book_history;
	struct seed_run book_seeds;
	height_t book_from, book_to; /* its seeds */
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
void bind_amount(sqlite3_stmt *stmt, int at, u128 v); /* decimal text */
void bind_sum(sqlite3_stmt *stmt, int at, u128 v);    /* 16 bytes */

/* Columns count from 0; false when the stored value is not of the form that we write. */
MUST_USE bool column_bytes(sqlite3_stmt *stmt, int at, void *dst, size_t n);
MUST_USE bool column_amount(sqlite3_stmt *stmt, int at, u128 *ret);
MUST_USE bool column_sum(sqlite3_stmt *stmt, int at, u128 *ret);
MUST_USE bool column_u64(sqlite3_stmt *stmt, int at, uint64_t *ret);
MUST_USE bool column_service(sqlite3_stmt *stmt, int at, struct service_name *ret);

/* The cached history, read anew when entries have changed; borrowed. */
MUST_USE bool store_current(struct store *store, const struct history **ret, struct err *err);

/* --- a write: begin, put the entry in place, reread and check, end --- */
/* Opens the transaction and says from which height its entry counts. */
MUST_USE bool store_write_begin(struct store *store, const struct store_write *w, height_t *ret,
				struct err *err);
/* Reads the whole back for the checks; to be called with the entry in place. */
MUST_USE bool store_write_reread(struct store *store, const struct history **ret, struct err *err);
/* Keeps what was written if all is well, else takes it back; returns whether it was well. */
MUST_USE bool store_write_end(struct store *store, const struct store_write *w, bool ok,
			      struct err *err);
/* True iff no stake of any service passes T as of a height. */
MUST_USE bool store_tables_fit(const struct history *h, height_t height, struct err *err);

/* --- money of one supplier or application --- */
enum store_owner { STORE_SUPPLIER, STORE_APPLICATION };

/* Its newest entries, enough of them to tell what thaws; the last is that of the height from which
 * a change counts, and is there to be changed.  Freed with store_purse_finish(). */
struct store_purse {
	enum store_owner kind;
	struct key_id key;
	struct history *params; /* and pauses: a history with nothing else */
	struct thaw_entry *e;
	size_t n; /* > 0 */
};

/* To be called in the transaction that writes it back.
 *
 * In:     height  from which the change is to count.  Where a process whose clock is ahead has
 *                 written a later entry already, it counts from that one on: nothing is written
 *                 behind what is there, so what was taken never falls. */
MUST_USE bool store_purse_read(struct store *store, enum store_owner kind, const struct key_id *key,
			       height_t height, struct store_purse *ret, struct err *err);
void store_purse_finish(struct store_purse *purse);
static inline void store_purse_finish_at(struct store_purse *purse)
{
	store_purse_finish(purse);
}
/* What is on its way out as of the last entry. */
u128 store_purse_thawing(const struct store_purse *purse);
/* Pays in or withdraws.  Errors: ERR_REGISTRY when there is less; ERR_RANGE. */
MUST_USE bool store_purse_move(struct store_purse *purse, u128 amount, bool withdraw,
			       struct err *err);
/* Takes an amount, at most what is there, of what stands first ([P6]); says how much of each. */
struct settle_split store_purse_take(struct store_purse *purse, u128 amount);
/* Writes the last entry; what else a supplier's entry says is that of the one before.  The entry of
 * a new supplier must be there already. */
MUST_USE bool store_purse_write(struct store *store, const struct store_purse *purse,
				struct err *err);

/* All parameters and pauses as a sealed history without anything else: cheap. */
MUST_USE bool store_params(struct store *store, struct history **ret, struct err *err);

/* Sees to it that store->book knows the sessions of a claim: it is made anew when a snapshot or a
 * seed of theirs came after it was made. */
MUST_USE bool store_book_for(struct store *store, const struct claim *c, struct err *err);
/* Lets go of what claims are checked with. */
void store_book_drop(struct store *store);

/* The height by the clock or the last seed, whichever is later. */
MUST_USE bool store_height(struct store *store, msec_t now_ms, height_t *ret, struct err *err);

/* --- settlement, within the transaction of whoever calls --- */
/* Forfeits claims whose proof did not come in time before `now`, at most STORE_FORFEITS_MAX of
 * them; *ret_n: how many. */
MUST_USE bool store_forfeit(struct store *store, height_t now, size_t *ret_n, struct err *err);
/* No keeper was there at the heights last < h < now: they do not count against open claims, and
 * challenges that were to be drawn at those below `first`, whose seeds are left out, are drawn. */
MUST_USE bool store_claims_resume(struct store *store, height_t last, height_t first, height_t now,
				  struct err *err);
/* Appends a seed. */
MUST_USE bool store_put_seed(struct store *store, height_t height, struct err *err);

/* Appends one commitment each for the services of a session that can be derived from now on. */
MUST_USE bool store_commit_tables(struct store *store, height_t start, struct err *err);

#endif
