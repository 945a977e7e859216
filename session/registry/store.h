/* SPDX-License-Identifier: Apache-2.0
 * The embedded registry: a sqlite file and its keeper.
 *
 * Entries are append-only.  Each write runs in one immediate transaction that reads the clock and
 * records the next height as the one from which the entry counts ([S12]), so no session that has a
 * seed is ever changed.  The keeper stores a random seed as each height begins; whoever can write
 * the file is trusted with all of it.  Readers use registry.h. */
#ifndef SESSION_REGISTRY_STORE_H
#define SESSION_REGISTRY_STORE_H

#include "session/registry/export.h"

#define STORE_FILL_MAX 100000 /* heights that a keeper catches up on without leaving any out */

struct store; /* an open registry; for one thread */

/* Makes a new registry: parameters and clock.  Its genesis entries are to be put next, then
 * store_keep() stores the seeds up to now and the registry can be used.
 *
 * In:     path      must not exist
 *         params    checked here
 *         block_ms  ms per height
 *         key       the registry key (role registry); only its public half is stored
 *         now_ms    POSIX time; height 0 lies snapshot_lag + session_blocks before it, rounded up
 * to a session, so that the current session exists at once Errors: ERR_IO, ERR_RANGE, ERR_REGISTRY.
 * On failure no file is left.
 */
MUST_USE bool store_create(const char *path, const struct session_params *params, uint64_t block_ms,
			   const struct relay_key *key, msec_t now_ms, struct store **ret,
			   struct err *err);

/* Opens an existing one for writing.  Errors: ERR_REGISTRY names the path and what is wrong. */
MUST_USE bool store_open(const char *path, struct store **ret, struct err *err);
/* Opens for reading only. */
MUST_USE bool store_open_readonly(const char *path, struct store **ret, struct err *err);
void store_close(struct store *store);
DEFINE_CLEANUP(struct store *, store_close)

const struct network_id *store_network(const struct store *store);
const struct session_clock *store_clock(const struct store *store);
const struct key_id *store_key(const struct store *store);

/* How a write is to be done. */
struct store_write {
	msec_t now_ms; /* POSIX time */
	bool genesis;  /* height 0; only with a store of store_create() */
	bool dry_run;  /* all checks, nothing kept */
};

/* Each writes one entry whose height field is ignored, and gives the height from which it counts.
 * A later write for the same thing at the same height replaces the earlier, which never counted.
 * Errors: ERR_REGISTRY or ERR_RANGE with the reason; ERR_SIGNATURE for a grant. */
MUST_USE bool store_put_params(struct store *store, const struct store_write *w,
			       const struct session_params *params, height_t *ret, struct err *err);
MUST_USE bool store_put_service(struct store *store, const struct store_write *w,
				const struct service_entry *e, height_t *ret, struct err *err);
/* Refuses price > price_max, unknown services, and a stake with which T would pass 2^63 - 1.  What
 * is burned stays as it was. */
MUST_USE bool store_put_supplier(struct store *store, const struct store_write *w,
				 const struct supplier_entry *e, height_t *ret, struct err *err);
/* The same with what it has at stake now and `amount` more or, with `back`, less; e->stake does not
 * count.  *ret_stake: what it has then. */
MUST_USE bool store_stake(struct store *store, const struct store_write *w,
			  const struct supplier_entry *e, u128 amount, bool back, u128 *ret_stake,
			  height_t *ret, struct err *err);
/* What is spent stays as it was. */
MUST_USE bool store_put_application(struct store *store, const struct store_write *w,
				    const struct application_entry *e, height_t *ret,
				    struct err *err);
/* Adds to the escrow of an application (made when it is new), or takes out of it. */
MUST_USE bool store_fund(struct store *store, const struct store_write *w, const struct key_id *key,
			 u128 amount, bool withdraw, u128 *ret_escrow, height_t *ret,
			 struct err *err);
/* Refuses a wrong signature, a nonce that is not the largest, an unknown service. */
MUST_USE bool store_put_grant(struct store *store, const struct store_write *w,
			      const struct grant_entry *e, height_t *ret, struct err *err);

/* The keeper's step: stores the seeds of all heights that have begun.  After more than
 * STORE_FILL_MAX missed heights those are left out that only sessions long over would need.
 * Out: ret_next_ms  POSIX time at which the next height begins.  Errors: ERR_REGISTRY. */
MUST_USE bool store_keep(struct store *store, msec_t now_ms, msec_t *ret_next_ms, struct err *err);

/* The largest height with a seed. */
MUST_USE bool store_last_seed(struct store *store, height_t *ret, struct err *err);

/* A number that changes whenever entries other than seeds do. */
MUST_USE bool store_entries_version(struct store *store, uint64_t *ret, struct err *err);

/* All entries as a sealed history. */
MUST_USE bool store_history(struct store *store, struct history **ret, struct err *err);

/* Appends the seeds with from <= height < to to a run, which must end below `from`. */
MUST_USE bool store_seeds(struct store *store, height_t from, height_t to, struct seed_run *run,
			  struct err *err);

/* What a follower needs, as one consistent state: the history with a ref of the caller's (the same
 * one as long as no entry changes), the seeds from a height on that may still be needed appended to
 * a run, the last seed. */
MUST_USE bool store_follow(struct store *store, height_t from, struct history **ret_history,
			   struct seed_run *run, height_t *ret_last, struct err *err);

/* A number that changes when another connection has written.  Cheap: no read of the file's pages.
 */
MUST_USE bool store_data_version(struct store *store, uint64_t *ret, struct err *err);

/* Everything for an export, seeds of [from, to): one consistent state. */
MUST_USE bool store_export(struct store *store, height_t from, height_t to,
			   struct registry_export *ret, struct err *err);

#endif
