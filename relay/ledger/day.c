/* SPDX-License-Identifier: Apache-2.0
 * The writer's databases: their transactions, and the rows of a batch. */
#include "relay/ledger/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "relay/receipt/leaf.h"

static int file_on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct file *file = arg;

	atomic_store_explicit(&file->wal_pages, pages, memory_order_relaxed);
	return SQLITE_OK;
}

static bool file_prepare(struct file *file, struct err *err)
{
	if (!store_prepare(file->db, "BEGIN IMMEDIATE", &file->begin, err) ||
	    !store_prepare(file->db, "COMMIT", &file->commit, err) ||
	    !store_prepare(file->db, "ROLLBACK", &file->rollback, err))
		return false;
	if (file->day == 0)
		return true;
	return store_prepare(file->db,
			     "INSERT INTO turns(id, count, root, signature, places, salts, leaves)"
			     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
			     &file->turn, err) &&
	       store_prepare(file->db, "INSERT INTO tiles(id, root, hashes) VALUES (?1, ?2, ?3)",
			     &file->tile, err) &&
	       store_prepare(file->db, "INSERT INTO parts(id, stream, part) VALUES (?1, ?2, ?3)",
			     &file->part, err) &&
	       store_prepare(file->db,
			     "INSERT OR IGNORE INTO sessions(session, application, service, start)"
			     " VALUES (?1, ?2, ?3, ?4)",
			     &file->session, err);
}

bool file_open(struct ledger *ledger, uint32_t day, struct file *ret, struct err *err)
{
	char name[32] = "state.db", path[LEDGER_PATH_MAX], wal[LEDGER_PATH_MAX + 8];
	struct file file = {.day = day, .wal_fd = -1};
	char limit[64];

	if (day != 0)
		store_day_name(day, name);
	store_path(ledger->dir, name, path);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	if (!ledger_db_open(path, day == 0 ? "state" : "leaves", STORE_WRITE, &file.db, err))
		return false;
	*ret = file;
	snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit = %d",
		 ledger->wal_pages_rest * LEDGER_PAGE_BYTES);
	/* Durability is the syncer's business from here on. */
	if (!store_exec(file.db, "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; COMMIT", err) ||
	    !store_exec(file.db, limit, err) || !file_prepare(ret, err)) {
		file_finish(ret);
		return false;
	}
	ret->wal_fd = open(wal, O_RDWR | O_CLOEXEC | O_CREAT, 0600);
	if (ret->wal_fd < 0) {
		err_set(err, ERR_IO, "%s: %s", wal, strerror(errno));
		file_finish(ret);
		return false;
	}
	sqlite3_wal_hook(ret->db, file_on_wal, ret);
	return true;
}

void file_finish(struct file *file)
{
	sqlite3_stmt *all[] = {file->begin, file->commit, file->rollback, file->turn,
			       file->tile,  file->part,	  file->session};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		sqlite3_finalize(all[i]);
	ledger_db_close(file->db);
	if (file->wal_fd >= 0)
		close(file->wal_fd);
	*file = (struct file){.wal_fd = -1};
}

struct file *day_file_find(struct ledger *ledger, uint32_t day)
{
	struct file *file;

	for (file = ledger->days; file != NULL; file = file->next)
		if (file->day == day)
			break;
	return file;
}

struct file *day_file(struct ledger *ledger, uint32_t day, struct err *err)
{
	struct file *file = day_file_find(ledger, day);
	int dir;

	if (file != NULL)
		return file;
	file = xcalloc(1, sizeof(*file));
	if (!file_open(ledger, day, file, err)) {
		free(file);
		return NULL;
	}
	sqlite3_wal_hook(file->db, file_on_wal, file);
	dir = open(ledger->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) { /* the name of a new file must survive a power loss too */
		fsync(dir);
		close(dir);
	}
	pthread_mutex_lock(&ledger->files_lock);
	file->next = ledger->days;
	ledger->days = file;
	pthread_mutex_unlock(&ledger->files_lock);
	return file;
}

bool file_begin(struct file *file)
{
	if (file->open_txn)
		return !file->failed;
	file->open_txn = true;
	file->failed = !store_run(file->begin, &file->err);
	return !file->failed;
}

bool file_try_begin(struct file *file)
{
	assert(!file->open_txn);
	sqlite3_busy_timeout(file->db, 0);
	file_begin(file);
	sqlite3_busy_timeout(file->db, LEDGER_BUSY_MS);
	if (file->failed)
		file->open_txn = file->failed = false;
	return file->open_txn;
}

static void file_tell_keeper(struct ledger *ledger, struct file *file)
{
	int pages = atomic_load_explicit(&file->wal_pages, memory_order_relaxed);

	if (pages < file->wal_pages_told)
		file->wal_pages_told = 0; /* the WAL began anew */
	if (pages < file->wal_pages_told + ledger->wal_pages_rest / 4)
		return;
	file->wal_pages_told = pages;
	ledger_keeper_poke(ledger);
}

bool file_end(struct ledger *ledger, struct file *file)
{
	usec_t begun = clock_now_us(), took;
	bool ok;

	if (!file->open_txn)
		return true;
	ok = !file->failed && store_run(file->commit, &file->err);
	if (!ok && sqlite3_get_autocommit(file->db) == 0) {
		struct err ignored;

		if (!store_run(file->rollback, &ignored))
			log_error("ledger.rollback", "error=\"%s\"", ignored.msg);
	}
	if (!ok && file->err.code == ERR_LEDGER_FULL) {
		atomic_store(&ledger->measure_due, true); /* sooner than in its tick */
		ledger_keeper_poke(ledger);
	}
	file->open_txn = false;
	file->failed = false;
	took = clock_now_us() - begun;
	if (took > atomic_load(&ledger->commit_max_us))
		atomic_store(&ledger->commit_max_us, took);
	file_tell_keeper(ledger, file);
	return ok;
}

bool file_fsync(struct ledger *ledger, struct file *file, struct err *err)
{
	if (atomic_load(&file->unsound))
		return err_set(err, ERR_LEDGER, "an fsync failed; the WAL must begin anew first");
	if (fdatasync(file->wal_fd) == 0)
		return true;
	err_set(err, ERR_LEDGER, "fdatasync: %s", strerror(errno));
	metric_add(METRIC_LEDGER_SYNC_FAILURES, 1);
	log_error("ledger.unsound", "day=%" PRIu32 " error=\"%s\"", file->day, err->msg);
	atomic_store(&file->unsound, true);
	ledger_keeper_poke(ledger);
	return false;
}

static bool file_row(struct file *file, sqlite3_stmt *stmt)
{
	if (!file->failed && !store_run(stmt, &file->err))
		file->failed = true;
	return !file->failed;
}

/* Which tiles an append filled: none, or one of each level below `levels`. */
struct filled {
	unsigned levels;
	uint64_t index[TILE_LEVELS];
};

static bool day_on_tile(void *arg, unsigned level, uint64_t index, unsigned width,
			const struct hash *hashes, struct err *err)
{
	struct filled *filled = arg;

	assert(width == TILE_WIDTH && level == filled->levels);
	filled->index[filled->levels++] = index;
	return true;
}

/* A full tile is still in the edge, and its root is the last hash of the level above. */
static bool day_put_tile(struct file *file, const struct ledger_lane *lane, unsigned level,
			 uint64_t index)
{
	const struct tile_edge *edge = lane->edge;
	const struct hash *root = &edge->hash[level + 1][index % TILE_WIDTH];
	sqlite3_stmt *stmt = file->tile;

	sqlite3_bind_int64(stmt, 1, tile_row_id(lane->number, level, index));
	sqlite3_bind_blob(stmt, 2, root->b, sizeof(root->b), SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 3, edge->hash[level], (int)sizeof(edge->hash[level]),
			  SQLITE_STATIC);
	return file_row(file, stmt);
}

static bool day_put_hash(struct file *file, struct ledger_lane *lane, const struct hash *hash)
{
	struct filled filled = {0};

	if (!tile_edge_append(lane->edge, hash, day_on_tile, &filled, &file->err)) {
		file->failed = true;
		return false;
	}
	for (unsigned level = 0; level < filled.levels; level++)
		if (!day_put_tile(file, lane, level, filled.index[level]))
			return false;
	return true;
}

static bool day_put_session(struct file *file, struct ledger_tab *tab)
{
	const struct ledger_session *s = &tab->session;
	sqlite3_stmt *stmt = file->session;

	sqlite3_bind_blob(stmt, 1, s->id.b, sizeof(s->id.b), SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 2, s->application.b, sizeof(s->application.b), SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, s->service.s, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 4, (int64_t)s->start);
	return file_row(file, stmt);
}

/* Parts of streams are found by stream and number; most leaves are none. */
static bool day_put_part(struct file *file, uint64_t number, uint64_t seq, const uint8_t *leaf)
{
	if (leaf[4] != LEAF_PART)
		return true;
	sqlite3_bind_int64(file->part, 1, row_id(number, seq));
	sqlite3_bind_int64(file->part, 2, get_be32(leaf + 76));
	sqlite3_bind_int64(file->part, 3, get_be32(leaf + 80));
	return file_row(file, file->part);
}

static bool day_put_turn(struct file *file, uint64_t number, const struct ledger_batch *batch,
			 uint64_t first)
{
	sqlite3_stmt *stmt = file->turn;

	sqlite3_bind_int64(stmt, 1, row_id(number, first));
	sqlite3_bind_int64(stmt, 2, batch->n);
	if (batch->has_head) {
		sqlite3_bind_blob(stmt, 3, batch->head.root.b, 32, SQLITE_STATIC);
		sqlite3_bind_blob(stmt, 4, batch->head.signature.b, 64, SQLITE_STATIC);
	} else {
		sqlite3_bind_null(stmt, 3);
		sqlite3_bind_null(stmt, 4);
	}
	if (batch->evidence_at != 0)
		sqlite3_bind_blob(stmt, 5, batch->places.p, (int)batch->places.n, SQLITE_STATIC);
	else
		sqlite3_bind_null(stmt, 5);
	sqlite3_bind_blob(stmt, 6, batch->salts.p, (int)batch->salts.n, SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 7, batch->leaves.p, (int)batch->leaves.n, SQLITE_STATIC);
	return file_row(file, stmt);
}

bool day_write(struct file *file, struct ledger_lane *lane, const struct ledger_batch *batch,
	       uint64_t first)
{
	const struct hash *hashes = (const struct hash *)batch->hashes.p;

	if (!day_put_turn(file, lane->number, batch, first))
		return false;
	for (uint32_t i = 0; i < batch->n; i++) {
		struct ledger_tab *tab = batch->tabs[i];

		if (!day_put_hash(file, lane, &hashes[i]))
			return false;
		if (!day_put_part(file, lane->number, first + i,
				  batch->leaves.p + (size_t)i * LEDGER_LEAF_BYTES))
			return false;
		if (tab != NULL && tab->written_day != file->day) {
			if (!day_put_session(file, tab))
				return false;
			tab->written_day = file->day;
		}
	}
	return true;
}
