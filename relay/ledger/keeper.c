/* SPDX-License-Identifier: Apache-2.0
 * The keeper: moves WAL pages into the databases (never in a turn of anybody's loop), measures the
 * files against ledger.max_bytes and the disk, and asks for old days and evidence to be dropped. */
#include "relay/ledger/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define TICK_US 1000000	  /* measures as often */
#define BUSY_MS 20	  /* for readers, when a WAL is to be cut */
#define QUIET_US 30000000 /* a WAL with fewer pages is checkpointed as often */
#define PRUNE_US 60000000 /* days and evidence are looked at as often */

/* The keeper's own connection to a file of the ledger. */
struct keep {
	uint32_t day;
	sqlite3 *db;
	int pages_done;
	usec_t done_us;
	bool seen;
	struct keep *next;
};

static struct keep *keep_get(struct ledger *ledger, struct keep **list, uint32_t day)
{
	char name[32] = "state.db", path[LEDGER_PATH_MAX];
	struct keep *keep;
	struct err err;

	for (keep = *list; keep != NULL; keep = keep->next)
		if (keep->day == day)
			return keep;
	if (day != 0)
		store_day_name(day, name);
	keep = xcalloc(1, sizeof(*keep));
	keep->day = day;
	if (!ledger_db_open(store_path(ledger->dir, name, path), day == 0 ? "state" : "leaves",
			    STORE_WRITE, &keep->db, &err)) {
		log_warn("ledger.checkpoint", "error=\"%s\"", err.msg);
		free(keep);
		return NULL;
	}
	sqlite3_busy_timeout(keep->db, BUSY_MS); /* the writer may be resting meanwhile */
	keep->next = *list;
	*list = keep;
	return keep;
}

/* True when all that the WAL held is in the database. */
static bool keep_checkpoint(struct ledger *ledger, struct keep *keep, int mode)
{
	usec_t begun_us = clock_now_us();
	int pages = 0, done = 0, rc;
	uint64_t lost;

	rc = sqlite3_wal_checkpoint_v2(keep->db, NULL, mode, &pages, &done);
	metric_observe(METRIC_LEDGER_WAL_CHECKPOINT_TIME, (uint64_t)(clock_now_us() - begun_us));
	if (rc != SQLITE_OK && rc != SQLITE_BUSY && log_every(&ledger->keep_gate, 10000000, &lost))
		log_warn("ledger.checkpoint", "day=%" PRIu32 " error=\"%s\" more=%" PRIu64,
			 keep->day, sqlite3_errmsg(keep->db), lost);
	return rc == SQLITE_OK && pages == done;
}

/* While commits go on a checkpoint never reaches the end of the WAL, and it would grow for ever: so
 * the writer rests for the last, short stretch. */
static bool keep_catch_up(struct ledger *ledger, struct keep *keep, int mode)
{
	bool done;

	pthread_mutex_lock(&ledger->queue_lock);
	ledger->keeper_wants = true;
	pthread_cond_signal(&ledger->queue_cond);
	while (!ledger->writer_rests && !ledger->stop)
		pthread_cond_wait(&ledger->rest_cond, &ledger->queue_lock);
	pthread_mutex_unlock(&ledger->queue_lock);
	done = keep_checkpoint(ledger, keep, mode);
	pthread_mutex_lock(&ledger->queue_lock);
	ledger->keeper_wants = false;
	ledger->writer_rests = false;
	pthread_cond_broadcast(&ledger->rest_cond);
	pthread_mutex_unlock(&ledger->queue_lock);
	return done;
}

/* The state of one of the writer's files, as the keeper last saw it. */
struct keep_look {
	uint32_t day;
	int pages;
	bool unsound;
};

static void keep_look(struct file *file, struct keep_look *ret)
{
	*ret = (struct keep_look){file->day, atomic_load(&file->wal_pages),
				  atomic_load(&file->unsound)};
}

/* See file_fsync(): what the WAL holds is now in the database, and that was synced. */
static void keep_set_sound(struct ledger *ledger, uint32_t day)
{
	struct file *file = &ledger->state;

	pthread_mutex_lock(&ledger->files_lock);
	if (day != 0)
		for (file = ledger->days; file != NULL && file->day != day; file = file->next)
			;
	if (file != NULL) /* else it was dropped meanwhile */
		atomic_store(&file->unsound, false);
	pthread_mutex_unlock(&ledger->files_lock);
	log_info("ledger.sound", "day=%" PRIu32, day);
}

static void keep_file(struct ledger *ledger, struct keep **list, const struct keep_look *look)
{
	usec_t now = clock_now_us();
	struct keep *keep = keep_get(ledger, list, look->day);
	bool full = ledger_is_full(ledger);
	int pages = look->pages;

	if (keep == NULL)
		return;
	keep->seen = true;
	if (look->unsound) {
		if (keep_catch_up(ledger, keep, SQLITE_CHECKPOINT_TRUNCATE))
			keep_set_sound(ledger, look->day);
		return;
	}
	if (pages < keep->pages_done)
		keep->pages_done = 0; /* the WAL began anew */
	if (pages == keep->pages_done || (pages < keep->pages_done + ledger->wal_pages_rest / 4 &&
					  now < keep->done_us + QUIET_US && !full))
		return;
	keep_checkpoint(ledger, keep, SQLITE_CHECKPOINT_PASSIVE);
	if (full) /* gives the WAL's bytes back */
		keep_catch_up(ledger, keep, SQLITE_CHECKPOINT_TRUNCATE);
	else if (pages >= ledger->wal_pages_rest)
		keep_catch_up(ledger, keep, SQLITE_CHECKPOINT_PASSIVE);
	keep->pages_done = pages;
	keep->done_us = now;
}

static void keep_all(struct ledger *ledger, struct keep **list)
{
	struct keep_look looks[65];
	size_t n = 0;

	for (struct keep *keep = *list; keep != NULL; keep = keep->next)
		keep->seen = false;
	pthread_mutex_lock(&ledger->files_lock);
	for (struct file *f = ledger->days; f != NULL && n + 1 < ARRAY_SIZE(looks); f = f->next)
		keep_look(f, &looks[n++]);
	pthread_mutex_unlock(&ledger->files_lock);
	keep_look(&ledger->state, &looks[n++]);
	for (size_t i = 0; i < n; i++)
		keep_file(ledger, list, &looks[i]);
	for (struct keep **at = list; *at != NULL;) { /* days that the writer has dropped */
		struct keep *keep = *at;

		if (keep->seen) {
			at = &keep->next;
			continue;
		}
		*at = keep->next;
		ledger_db_close(keep->db);
		free(keep);
	}
}

/* --- sizes --- */

static uint64_t dir_bytes(const char *path)
{
	struct dirent *entry;
	uint64_t sum = 0;
	DIR *dir = opendir(path);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		struct stat st;

		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	}
	if (dir != NULL)
		closedir(dir);
	return sum;
}

void ledger_measure(struct ledger *ledger)
{
	uint64_t bytes = dir_bytes(ledger->dir) + atomic_load(&ledger->evidence.bytes);
	uint64_t max = ledger->p.max_bytes, free_bytes = UINT64_MAX;
	bool full, near, was = ledger->said_full;
	struct statvfs fs;

	if (statvfs(ledger->dir, &fs) == 0)
		free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	full = (max > 0 && bytes >= max - max / 16) || free_bytes < LEDGER_FREE_MIN;
	near = (max > 0 && bytes >= max - max / 8) || free_bytes < 4 * LEDGER_FREE_MIN;
	atomic_store(&ledger->bytes, bytes);
	atomic_store(&ledger->disk_free, free_bytes);
	atomic_store(&ledger->full, full);
	ledger->said_full = full;
	if (full != was)
		log_warn(full ? "ledger.full" : "ledger.room",
			 "bytes=%" PRIu64 " max_bytes=%" PRIu64 " disk_free=%" PRIu64, bytes, max,
			 free_bytes);
	else if (near && !full && log_every(&ledger->near_gate, INT64_C(600000000), &max))
		log_warn("ledger.nearly_full", "bytes=%" PRIu64 " disk_free=%" PRIu64, bytes,
			 free_bytes);
}

bool ledger_is_full(const struct ledger *ledger)
{
	return atomic_load_explicit(&ledger->full, memory_order_relaxed);
}

/* --- what is over --- */

void ledger_release_days(struct ledger *ledger, uint32_t before)
{
	assert(ledger->p.claims);
	atomic_store(&ledger->released, before);
}

/* Day files older than keep_days that no claim needs; the writer looks whether all of their lanes
 * are closed. */
static void keep_drop_days(struct ledger *ledger)
{
	uint32_t old = clock_day(clock_wall_ms() - (msec_t)ledger->p.keep_days * 86400000);
	uint32_t before = MIN(old, atomic_load(&ledger->released));
	DIR *dir = ledger->p.keep_days > 0 ? opendir(ledger->dir) : NULL;
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		struct ledger_batch *op;
		uint32_t day;
		int end = 0;

		/* NOLINTNEXTLINE(cert-err34-c): eight digits cannot overflow */
		if (sscanf(entry->d_name, "leaves-%8" SCNu32 ".db%n", &day, &end) != 1 ||
		    end == 0 || entry->d_name[end] != 0 || day >= before)
			continue;
		op = ledger_op_create(NULL, OP_DROP_DAY);
		op->day = day;
		ledger_submit(ledger, op);
	}
	if (dir != NULL)
		closedir(dir);
}

/* Tomorrow's file is made ahead, because making one takes many milliseconds of the writer. */
static void keep_make_tomorrow(struct ledger *ledger, struct keep **list)
{
	uint32_t soon = clock_day(clock_wall_ms() + 2 * PRUNE_US / 1000);

	if (soon != clock_day(clock_wall_ms()) && atomic_load(&ledger->leaves) > 0)
		keep_get(ledger, list, soon);
}

static void keep_prune(struct ledger *ledger, struct keep **list)
{
	keep_drop_days(ledger);
	keep_make_tomorrow(ledger, list);
	pthread_mutex_lock(&ledger->queue_lock);
	ledger->prune_due = true;
	pthread_cond_signal(&ledger->queue_cond);
	pthread_mutex_unlock(&ledger->queue_lock);
}

void ledger_keeper_poke(struct ledger *ledger)
{
	pthread_mutex_lock(&ledger->keeper_lock);
	if (!ledger->keeper_poked)
		pthread_cond_signal(&ledger->keeper_cond);
	ledger->keeper_poked = true;
	pthread_mutex_unlock(&ledger->keeper_lock);
}

/* Sleeps until poked or a tick has passed; false at the end. */
static bool keeper_wait(struct ledger *ledger)
{
	struct timespec until;
	bool on;

	clock_gettime(CLOCK_REALTIME, &until); /* allowed: what a condition variable waits by */
	until.tv_sec += TICK_US / 1000000;
	pthread_mutex_lock(&ledger->keeper_lock);
	while (!ledger->keeper_stop && !ledger->keeper_poked)
		if (pthread_cond_timedwait(&ledger->keeper_cond, &ledger->keeper_lock, &until) ==
		    ETIMEDOUT)
			break;
	ledger->keeper_poked = false;
	on = !ledger->keeper_stop;
	pthread_mutex_unlock(&ledger->keeper_lock);
	return on;
}

void *ledger_keeper_main(void *arg)
{
	struct ledger *ledger = arg;
	struct keep *list = NULL;
	usec_t pruned_us = 0, measured_us = 0;

	while (keeper_wait(ledger)) {
		clock_tick();
		keep_all(ledger, &list);
		if (atomic_exchange(&ledger->measure_due, false) ||
		    clock_mono_us() >= measured_us + TICK_US / 2) {
			measured_us = clock_mono_us();
			ledger_measure(ledger);
			lanes_forget(ledger);
		}
		if (clock_mono_us() >= pruned_us + PRUNE_US) {
			pruned_us = clock_mono_us();
			keep_prune(ledger, &list);
		}
	}
	while (list != NULL) {
		struct keep *next = list->next;

		ledger_db_close(list->db);
		free(list);
		list = next;
	}
	return NULL;
}
