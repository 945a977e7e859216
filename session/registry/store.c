/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/store_inside.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/base/mem.h"
#include "relay/base/rng.h"

#define STORE_APPLICATION_ID 0x43465231 /* "CFR1" in the file's header: a registry of ours */
#define STORE_BUSY_MS 5000

/* Migration i brings a file from user_version i to i + 1.  Amounts and 64-bit numbers that may pass
 * 2^63 are decimal text; heights stay below 2^63. */
static const char *const migrations[] = {
	"CREATE TABLE network("
	" id INTEGER PRIMARY KEY CHECK (id = 1), tail BLOB NOT NULL, key BLOB NOT NULL,"
	" genesis_ms INTEGER NOT NULL, block_ms INTEGER NOT NULL, session_blocks INTEGER NOT NULL,"
	" snapshot_lag INTEGER NOT NULL, seed_lag INTEGER NOT NULL,"
	" session_suppliers INTEGER NOT NULL, entries_version INTEGER NOT NULL) STRICT;"
	"CREATE TABLE params("
	" height INTEGER PRIMARY KEY, stake_unit TEXT NOT NULL, stake_cap TEXT NOT NULL,"
	" price_max TEXT NOT NULL, grace_blocks INTEGER NOT NULL, claim_window INTEGER NOT NULL,"
	" challenge_lag INTEGER NOT NULL, proof_window INTEGER NOT NULL) STRICT;"
	"CREATE TABLE services("
	" name TEXT NOT NULL, height INTEGER NOT NULL, method_table BLOB NOT NULL,"
	" PRIMARY KEY (name, height)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE suppliers("
	" key BLOB NOT NULL, height INTEGER NOT NULL, owner BLOB NOT NULL, stake TEXT NOT NULL,"
	" price TEXT NOT NULL, services TEXT NOT NULL, endpoint TEXT NOT NULL,"
	" PRIMARY KEY (key, height)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE applications("
	" key BLOB NOT NULL, height INTEGER NOT NULL, escrow TEXT NOT NULL,"
	" PRIMARY KEY (key, height)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE grants("
	" application BLOB NOT NULL, gateway BLOB NOT NULL, service TEXT NOT NULL,"
	" height INTEGER NOT NULL, budget TEXT NOT NULL, nonce TEXT NOT NULL,"
	" signature BLOB NOT NULL,"
	" PRIMARY KEY (application, gateway, service, height)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE seeds(height INTEGER PRIMARY KEY, seed BLOB NOT NULL) STRICT;"
	"CREATE TABLE tables("
	" service TEXT NOT NULL, start INTEGER NOT NULL, root BLOB NOT NULL,"
	" rows INTEGER NOT NULL, total INTEGER NOT NULL,"
	" PRIMARY KEY (service, start)) STRICT, WITHOUT ROWID;",
	/* Rewards.  Amounts of these are 16 bytes, big-endian.  state: enum desk_state. */
	"ALTER TABLE applications ADD COLUMN spent BLOB NOT NULL"
	" DEFAULT x'00000000000000000000000000000000';"
	"ALTER TABLE applications ADD COLUMN spent_thaw BLOB NOT NULL"
	" DEFAULT x'00000000000000000000000000000000';"
	"ALTER TABLE suppliers ADD COLUMN burned BLOB NOT NULL"
	" DEFAULT x'00000000000000000000000000000000';"
	"ALTER TABLE suppliers ADD COLUMN burned_thaw BLOB NOT NULL"
	" DEFAULT x'00000000000000000000000000000000';"
	"CREATE TABLE claims("
	" number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, application BLOB NOT NULL,"
	" gateway BLOB NOT NULL, supplier BLOB NOT NULL, service TEXT NOT NULL,"
	" from_height INTEGER NOT NULL, to_height INTEGER NOT NULL, recorded INTEGER NOT NULL,"
	" challenge INTEGER NOT NULL, due INTEGER NOT NULL, state INTEGER NOT NULL,"
	" settled INTEGER NOT NULL, value BLOB NOT NULL, paid BLOB NOT NULL, burned BLOB NOT NULL,"
	" burned_thaw BLOB NOT NULL, reason TEXT NOT NULL, claim BLOB NOT NULL,"
	" signature BLOB NOT NULL, proof BLOB NOT NULL, proof_signature BLOB NOT NULL,"
	" records BLOB NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX claims_of_four"
	" ON claims(application, gateway, supplier, service, from_height);"
	"CREATE INDEX claims_open ON claims(due) WHERE state = 1;"
	"CREATE INDEX claims_of_supplier ON claims(supplier, recorded, id);"
	"CREATE INDEX claims_by_height ON claims(recorded, id);"
	"CREATE TABLE owners(owner BLOB PRIMARY KEY, income BLOB NOT NULL) STRICT, WITHOUT ROWID;",
	/* The keeper was back at `height`, and not there at the `missed` heights before it. */
	"CREATE TABLE pauses(height INTEGER PRIMARY KEY, missed INTEGER NOT NULL) STRICT;",
};

bool store_db_fail(struct store *store, const char *doing, struct err *err)
{
	return err_set(err, ERR_REGISTRY, "%s: %s: %s", store->path, doing,
		       store->db ? sqlite3_errmsg(store->db) : "not open");
}

bool store_db_exec(struct store *store, const char *sql, struct err *err)
{
	if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_db_fail(store, "sqlite", err);
	return true;
}

bool store_db_prepare(struct store *store, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	if (sqlite3_prepare_v2(store->db, sql, -1, ret, NULL) != SQLITE_OK)
		return store_db_fail(store, "prepare", err);
	return true;
}

bool store_db_run(struct store *store, sqlite3_stmt *stmt, struct err *err)
{
	int rc = sqlite3_step(stmt);

	if (rc != SQLITE_DONE)
		store_db_fail(store, "write", err);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE;
}

bool store_step(struct store *store, sqlite3_stmt *stmt, bool *ret_row, struct err *err)
{
	int rc = sqlite3_step(stmt);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_db_fail(store, "read", err);
	*ret_row = rc == SQLITE_ROW;
	return true;
}

static bool pragma_u64(struct store *store, const char *sql, uint64_t *ret, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row = false;

	if (!store_db_prepare(store, sql, &stmt, err) || !store_step(store, stmt, &row, err))
		return false;
	*ret = row ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
	return true;
}

static bool migrate(struct store *store, bool writable, struct err *err)
{
	const uint64_t newest = ARRAY_SIZE(migrations);
	uint64_t application, version;

	if (!pragma_u64(store, "PRAGMA application_id", &application, err) ||
	    !pragma_u64(store, "PRAGMA user_version", &version, err))
		return false;
	if (application != STORE_APPLICATION_ID)
		return err_set(err, ERR_REGISTRY, "%s is not a registry", store->path);
	if (version > newest)
		return err_set(err, ERR_REGISTRY,
			       "%s was written by a newer version (schema %" PRIu64
			       ", known is %" PRIu64 ")",
			       store->path, version, newest);
	if (version < newest && !writable)
		return err_set(err, ERR_REGISTRY, "%s must be opened by its keeper first",
			       store->path);
	for (; version < newest; version++) {
		char bump[40];

		snprintf(bump, sizeof(bump), "PRAGMA user_version = %" PRIu64, version + 1);
		if (!store_db_exec(store, "BEGIN IMMEDIATE", err))
			return false;
		if (!store_db_exec(store, migrations[version], err) ||
		    !store_db_exec(store, bump, err) || !store_db_exec(store, "COMMIT", err)) {
			sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
			return false;
		}
	}
	return true;
}

static bool connect(struct store *store, int flags, struct err *err)
{
	if (sqlite3_open_v2(store->path, &store->db, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK)
		return store_db_fail(store, "open", err);
	sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
	return store_db_exec(store, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON", err);
}

static bool read_network(struct store *store, struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	bool row;

	if (!store_db_prepare(
		    store,
		    "SELECT tail, key, genesis_ms, block_ms, session_blocks, snapshot_lag,"
		    " seed_lag, session_suppliers FROM network",
		    &stmt, err) ||
	    !store_step(store, stmt, &row, err))
		return false;
	if (!row || !column_bytes(stmt, 0, store->network_tail, 32) ||
	    !column_bytes(stmt, 1, store->key.b, 32))
		return err_set(err, ERR_REGISTRY, "%s: the network's row is damaged", store->path);
	store->clock.genesis_ms = sqlite3_column_int64(stmt, 2);
	store->clock.block_ms = (uint64_t)sqlite3_column_int64(stmt, 3);
	store->fixed.session_blocks = (uint64_t)sqlite3_column_int64(stmt, 4);
	store->fixed.snapshot_lag = (uint64_t)sqlite3_column_int64(stmt, 5);
	store->fixed.seed_lag = (uint64_t)sqlite3_column_int64(stmt, 6);
	store->fixed.session_suppliers = (uint32_t)sqlite3_column_int64(stmt, 7);
	store->network = network_id_private(store->network_tail);
	return session_clock_check(&store->clock, err);
}

static struct store *store_new(const char *path)
{
	struct store *store = xcalloc(1, sizeof(*store));

	store->path = xstrdup(path);
	return store;
}

static bool open_existing(const char *path, bool writable, struct store **ret, struct err *err)
{
	CLEANUP(store_close) struct store *store = store_new(path);
	struct stat st;

	if (stat(path, &st) != 0)
		return err_set(err, ERR_REGISTRY, "there is no registry at %s", path);
	if (!connect(store, writable ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY, err) ||
	    !migrate(store, writable, err) || !read_network(store, err))
		return false;
	*ret = STEAL(store);
	return true;
}

bool store_open(const char *path, struct store **ret, struct err *err)
{
	return open_existing(path, true, ret, err);
}

bool store_open_readonly(const char *path, struct store **ret, struct err *err)
{
	return open_existing(path, false, ret, err);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store_book_drop(store);
	history_unref(store->history);
	sqlite3_close(store->db);
	free(store->path);
	free(store);
}

static bool write_network(struct store *store, const struct session_params *p,
			  const struct session_clock *clock, const struct key_id *key,
			  struct err *err)
{
	CLEANUP(stmt_finalize) sqlite3_stmt *stmt = NULL;
	uint8_t tail[32];

	rng_bytes(tail, sizeof(tail));
	if (!store_db_prepare(store, "INSERT INTO network VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
			      &stmt, err))
		return false;
	bind_bytes(stmt, 1, tail, sizeof(tail));
	bind_bytes(stmt, 2, key->b, sizeof(key->b));
	sqlite3_bind_int64(stmt, 3, clock->genesis_ms);
	bind_height(stmt, 4, clock->block_ms);
	bind_height(stmt, 5, p->session_blocks);
	bind_height(stmt, 6, p->snapshot_lag);
	bind_height(stmt, 7, p->seed_lag);
	bind_height(stmt, 8, p->session_suppliers);
	return store_db_run(store, stmt, err);
}

/* The clock is set back by snapshot_lag + session_blocks, rounded up to a session. */
static struct session_clock clock_for(const struct session_params *p, uint64_t block_ms,
				      msec_t now_ms)
{
	uint64_t back = p->snapshot_lag + 2 * p->session_blocks - 1;

	back -= back % p->session_blocks;
	return (struct session_clock){now_ms - (msec_t)(back * block_ms), block_ms};
}

static bool create_in(struct store *store, const struct session_params *p,
		      const struct session_clock *clock, const struct key_id *key, struct err *err)
{
	char mark[48];

	snprintf(mark, sizeof(mark), "PRAGMA application_id = %d", STORE_APPLICATION_ID);
	return connect(store, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err) &&
	       store_db_exec(store, "PRAGMA journal_mode = WAL", err) &&
	       store_db_exec(store, mark, err) && migrate(store, true, err) &&
	       write_network(store, p, clock, key, err) && read_network(store, err);
}

static void remove_files(const char *path)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal"};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		CLEANUP(xfree) char *file = xasprintf("%s%s", path, ends[i]);

		unlink(file);
	}
}

bool store_create(const char *path, const struct session_params *params, uint64_t block_ms,
		  const struct relay_key *key, msec_t now_ms, struct store **ret, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	struct session_clock clock;
	const struct store_write genesis = {.now_ms = now_ms, .genesis = true};
	height_t height;
	int fd;

	assert(relay_key_role(key) == KEY_ROLE_REGISTRY);
	if (!session_params_check(params, err))
		return false;
	clock = clock_for(params, block_ms, now_ms);
	if (!session_clock_check(&clock, err))
		return false;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	close(fd);
	store = store_new(path);
	store->fresh = true;
	if (!create_in(store, params, &clock, relay_key_public(key), err) ||
	    !store_put_params(store, &genesis, params, &height, err)) {
		store_close(STEAL(store));
		remove_files(path);
		return false;
	}
	*ret = STEAL(store);
	return true;
}

const struct network_id *store_network(const struct store *store)
{
	return &store->network;
}

const struct session_clock *store_clock(const struct store *store)
{
	return &store->clock;
}

const struct key_id *store_key(const struct store *store)
{
	return &store->key;
}
