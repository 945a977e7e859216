/* SPDX-License-Identifier: Apache-2.0
 * Opening and closing the ledger: its directory, its lock, its identity, its threads. */
#include "relay/ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/ledger/internal.h"

static void ledger_on_sqlite_log(void *arg, int code, const char *text)
{
	if (code != SQLITE_NOTICE_RECOVER_WAL)
		log_warn("ledger.sqlite", "code=%d text=\"%s\"", code, text);
}

static void ledger_sqlite_setup(void)
{
	/* Before the first connection of the process; a second time it is refused and no harm. */
	sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_LOG, ledger_on_sqlite_log, NULL);
}

static bool ledger_lock(struct ledger *ledger, struct err *err)
{
	char path[LEDGER_PATH_MAX];

	if (mkdir(ledger->dir, 0700) != 0 && errno != EEXIST)
		return err_set(err, ERR_IO, "%s: %s", ledger->dir, strerror(errno));
	store_path(ledger->dir, "lock", path);
	ledger->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (ledger->lock_fd < 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	if (flock(ledger->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return err_set(err, ERR_LEDGER, "%s: another process writes this ledger",
			       ledger->dir);
	return true;
}

static bool meta_get(sqlite3 *db, const char *name, void *dst, size_t n, bool *ret_found,
		     struct err *err)
{
	STMT *stmt = NULL;
	int rc;

	if (!store_prepare(db, "SELECT value FROM meta WHERE name = ?1", &stmt, err))
		return false;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_fail(db, "meta", err);
	*ret_found = rc == SQLITE_ROW;
	if (*ret_found && !store_blob(stmt, 0, dst, n))
		return err_set(err, ERR_LEDGER, "meta: %s has a wrong length", name);
	return true;
}

static bool meta_set(sqlite3 *db, const char *name, const void *value, size_t n, struct err *err)
{
	STMT *stmt = NULL;

	if (!store_prepare(db, "INSERT INTO meta(name, value) VALUES (?1, ?2)", &stmt, err))
		return false;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 2, value, (int)n, SQLITE_STATIC);
	return store_run(stmt, err);
}

/* A ledger belongs to one key in one role for ever: its lanes are that key's. */
static bool ledger_identify(struct ledger *ledger, struct err *err)
{
	sqlite3 *db = ledger->state.db;
	uint8_t role = (uint8_t)ledger->p.role, stored_role = 0;
	struct key_id stored;
	bool found = false;

	if (!meta_get(db, "self", stored.b, sizeof(stored.b), &found, err))
		return false;
	if (!found)
		return store_exec(db, "BEGIN", err) &&
		       meta_set(db, "self", ledger->p.self.b, sizeof(stored.b), err) &&
		       meta_set(db, "role", &role, 1, err) && store_exec(db, "COMMIT", err);
	if (!meta_get(db, "role", &stored_role, 1, &found, err))
		return false;
	if (!found || stored_role != role)
		return err_set(err, ERR_LEDGER, "%s: the ledger of another role", ledger->dir);
	if (!ID_EQ(&stored, &ledger->p.self))
		return err_set(err, ERR_LEDGER, "%s: the ledger of another key", ledger->dir);
	return true;
}

static bool ledger_prepare(struct ledger *ledger, struct err *err)
{
	sqlite3 *db = ledger->state.db;
	char path[LEDGER_PATH_MAX];

	return store_prepare(
		       db,
		       "INSERT OR IGNORE INTO lanes(number, lane, peer, day, opened_ms, state)"
		       " VALUES (?1, ?2, ?3, ?4, ?5, 1)",
		       &ledger->lane_open, err) &&
	       store_prepare(db,
			     "UPDATE lanes SET adopted_from = min(ifnull(adopted_from, ?2), ?2)"
			     " WHERE number = ?1",
			     &ledger->lane_adopt, err) &&
	       store_prepare(db,
			     "UPDATE lanes SET cosigned_size = ?2, cosigned_root = ?3,"
			     " cosigned_time = ?4, cosigned_signature = ?5"
			     " WHERE number = ?1 AND cosigned_size < ?2",
			     &ledger->lane_cosign, err) &&
	       store_prepare(db, "UPDATE lanes SET state = 2, final_size = ?2 WHERE number = ?1",
			     &ledger->lane_close, err) &&
	       store_prepare(db,
			     "INSERT INTO peers(peer, cosignatures) VALUES (?1, 1)"
			     " ON CONFLICT (peer) DO UPDATE SET"
			     " cosignatures = min(cosignatures + 1, 4)",
			     &ledger->lane_peer, err) &&
	       store_prepare(db,
			     "INSERT INTO denied(application, peer, cu) VALUES (?1, ?2, ?3)"
			     " ON CONFLICT (application, peer) DO UPDATE SET cu = cu + ?3",
			     &ledger->denied_add, err) &&
	       store_prepare(db,
			     "UPDATE denied SET cu = max(cu - ?3, 0)"
			     " WHERE application = ?1 AND peer = ?2",
			     &ledger->denied_take, err) &&
	       ledger_db_open(store_path(ledger->dir, "state.db", path), "state", STORE_READ,
			      &ledger->lookup, err) &&
	       store_prepare(ledger->lookup, "SELECT peer FROM lanes WHERE lane = ?1",
			     &ledger->lane_find, err);
}

static bool thread_start(pthread_t *thread, void *(*run)(void *), struct ledger *ledger,
			 bool *ret_runs, struct err *err)
{
	sigset_t all, old;
	int rc;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(thread, NULL, run, ledger);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0)
		return err_set(err, ERR_LEDGER, "thread: %s", strerror(rc));
	*ret_runs = true;
	return true;
}

/* A WAL is a part of max_bytes, and must not fill a small one by itself. */
static uint64_t wal_bytes(uint64_t max_bytes)
{
	if (max_bytes == 0)
		return LEDGER_WAL_MAX;
	return MIN(MAX(max_bytes / 32, LEDGER_WAL_MIN), LEDGER_WAL_MAX);
}

static struct ledger *ledger_alloc(const struct ledger_params *p)
{
	struct ledger *ledger = xcalloc(1, sizeof(*ledger));

	ledger->p = *p;
	snprintf(ledger->dir, sizeof(ledger->dir), "%s", p->dir);
	ledger->p.dir = ledger->dir;
	ledger->released = p->claims ? 0 : UINT32_MAX;
	ledger->lock_fd = -1;
	ledger->state.wal_fd = -1;
	ledger->evidence.fd = -1;
	ledger->next_number = 1;
	ledger->wal_pages_rest = (int)(wal_bytes(p->max_bytes) / LEDGER_PAGE_BYTES);
	if (p->max_bytes > 0) /* evidence is what can be dropped: it never fills the ledger */
		ledger->p.evidence_max_bytes = MIN(p->evidence_max_bytes, p->max_bytes / 2);
	op_list_init(&ledger->queue);
	op_list_init(&ledger->sync_queue);
	pthread_mutex_init(&ledger->files_lock, NULL);
	pthread_mutex_init(&ledger->queue_lock, NULL);
	pthread_cond_init(&ledger->queue_cond, NULL);
	pthread_cond_init(&ledger->rest_cond, NULL);
	pthread_mutex_init(&ledger->sync_lock, NULL);
	pthread_cond_init(&ledger->sync_cond, NULL);
	pthread_mutex_init(&ledger->keeper_lock, NULL);
	pthread_cond_init(&ledger->keeper_cond, NULL);
	pthread_mutex_init(&ledger->lock, NULL);
	pthread_mutex_init(&ledger->tabs_lock, NULL);
	return ledger;
}

static bool ledger_start(struct ledger *ledger, struct err *err)
{
	if (!ledger_lock(ledger, err) || !file_open(ledger, 0, &ledger->state, err) ||
	    !ledger_identify(ledger, err) || !ledger_prepare(ledger, err) ||
	    !evidence_open(&ledger->evidence, ledger->dir, ledger->p.evidence_max_bytes,
			   ledger->p.evidence_keep_ms, err) ||
	    !ledger_rebuild(ledger, err))
		return false;
	ledger_measure(ledger);
	return thread_start(&ledger->syncer, ledger_syncer_main, ledger, &ledger->syncer_runs,
			    err) &&
	       thread_start(&ledger->keeper, ledger_keeper_main, ledger, &ledger->keeper_runs,
			    err) &&
	       thread_start(&ledger->writer, ledger_writer_main, ledger, &ledger->writer_runs, err);
}

bool ledger_open(const struct ledger_params *p, struct ledger **ret, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct ledger *ledger;

	pthread_once(&once, ledger_sqlite_setup);
	crypto_init();
	if (strlen(p->dir) + 64 > LEDGER_PATH_MAX)
		return err_set(err, ERR_IO, "the ledger's path is too long");
	ledger = ledger_alloc(p);
	if (!ledger_start(ledger, err)) {
		ledger_close(ledger);
		return false;
	}
	*ret = ledger;
	return true;
}

/* Writer first: it feeds the others.  The keeper may be waiting for the writer to rest. */
static void ledger_stop_threads(struct ledger *ledger)
{
	pthread_mutex_lock(&ledger->queue_lock);
	ledger->stop = true;
	pthread_cond_broadcast(&ledger->queue_cond);
	pthread_mutex_unlock(&ledger->queue_lock);
	if (ledger->writer_runs)
		pthread_join(ledger->writer, NULL);
	pthread_mutex_lock(&ledger->queue_lock);
	pthread_cond_broadcast(&ledger->rest_cond);
	pthread_mutex_unlock(&ledger->queue_lock);
	pthread_mutex_lock(&ledger->sync_lock);
	ledger->sync_stop = true;
	pthread_cond_broadcast(&ledger->sync_cond);
	pthread_mutex_unlock(&ledger->sync_lock);
	if (ledger->syncer_runs)
		pthread_join(ledger->syncer, NULL);
	pthread_mutex_lock(&ledger->keeper_lock);
	ledger->keeper_stop = true;
	pthread_cond_broadcast(&ledger->keeper_cond);
	pthread_mutex_unlock(&ledger->keeper_lock);
	if (ledger->keeper_runs)
		pthread_join(ledger->keeper, NULL);
}

static void ledger_close_files(struct ledger *ledger)
{
	sqlite3_stmt *all[] = {ledger->lane_open,  ledger->lane_adopt, ledger->lane_cosign,
			       ledger->lane_close, ledger->lane_peer,  ledger->lane_find,
			       ledger->denied_add, ledger->denied_take};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		sqlite3_finalize(all[i]);
	ledger_db_close(ledger->lookup);
	while (ledger->days != NULL) {
		struct file *next = ledger->days->next;

		file_finish(ledger->days);
		free(ledger->days);
		ledger->days = next;
	}
	file_finish(&ledger->state);
	evidence_close(&ledger->evidence);
	if (ledger->lock_fd >= 0)
		close(ledger->lock_fd);
}

void ledger_close(struct ledger *ledger)
{
	struct ledger_lane *lane, *tmp;

	if (ledger == NULL)
		return;
	ledger_stop_threads(ledger);
	ledger_close_files(ledger);
	HASH_ITER (hh, ledger->lanes, lane, tmp) {
		HASH_DEL(ledger->lanes, lane);
		lane_free(lane);
	}
	ledger_tabs_finish(ledger);
	free(ledger);
}

struct drained {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void ledger_on_drained(void *arg, const struct err *err)
{
	struct drained *d = arg;

	pthread_mutex_lock(&d->lock);
	d->done = true;
	pthread_cond_signal(&d->cond);
	pthread_mutex_unlock(&d->lock);
}

void ledger_drain(struct ledger *ledger)
{
	struct drained d = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
	struct ledger_batch *op = ledger_op_create(NULL, OP_DRAIN);

	op->done = ledger_on_drained;
	op->arg = &d;
	ledger_submit(ledger, op);
	pthread_mutex_lock(&d.lock);
	while (!d.done)
		pthread_cond_wait(&d.cond, &d.lock);
	pthread_mutex_unlock(&d.lock);
}

bool ledger_is_busy(const struct ledger *ledger)
{
	return ledger->p.queue_max > 0 &&
	       atomic_load_explicit(&ledger->queued_bytes, memory_order_relaxed) >
		       ledger->p.queue_max;
}

void ledger_stats(struct ledger *ledger, struct ledger_stats *ret)
{
	uint64_t lanes;

	pthread_mutex_lock(&ledger->lock);
	lanes = HASH_COUNT(ledger->lanes);
	pthread_mutex_unlock(&ledger->lock);
	*ret = (struct ledger_stats){
		.leaves = atomic_load(&ledger->leaves),
		.commits = atomic_load(&ledger->commits),
		.bytes = atomic_load(&ledger->bytes),
		.evidence_bytes = atomic_load(&ledger->evidence.bytes),
		.lanes = lanes,
		.lanes_dead = atomic_load(&ledger->lanes_dead),
		.queued = atomic_load(&ledger->queued),
		.queued_bytes = atomic_load(&ledger->queued_bytes),
		.commit_max_us = atomic_load(&ledger->commit_max_us),
	};
}
