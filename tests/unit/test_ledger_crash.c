/* SPDX-License-Identifier: Apache-2.0
 * The ledger when things go wrong: kill -9, a full disk, a failing commit. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "tests/unit/ledger_world.h"

#define LANES 3

/* --- a file system that fails on demand, under sqlite's own --- */

static sqlite3_vfs shim;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods shim_io;
static const sqlite3_io_methods *real_io;
static _Atomic bool wal_writes_fail;
static _Atomic bool wal_writes_wait;

static int shim_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 offset)
{
	while (atomic_load(&wal_writes_wait))
		usleep(1000);
	if (atomic_load(&wal_writes_fail))
		return SQLITE_IOERR_WRITE;
	return real_io->xWrite(file, p, n, offset);
}

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret)
{
	int rc = real_vfs->xOpen(real_vfs, name, file, flags, ret);

	if (rc != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0)
		return rc;
	real_io = file->pMethods;
	shim_io = *real_io;
	shim_io.xWrite = shim_write;
	file->pMethods = &shim_io;
	return rc;
}

static void shim_install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	shim = *real_vfs;
	shim.zName = "failing";
	shim.xOpen = shim_open;
	sqlite3_vfs_register(&shim, 1);
}

/* [L3]: a commit that fails kills the lane; what was committed before counts, and another lane can
 * be opened when commits work again. */
static void a_failed_commit_kills_the_lane(void **state)
{
	struct world_done failed = {0}, late = {0};
	struct ledger_unclosed *list = NULL;
	struct world_lane lane, next;
	struct world w;
	size_t n = 0;

	shim_install();
	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 5);
	atomic_store(&wal_writes_fail, true);
	world_append_async(&w, &lane, 2, &failed);
	world_wait(&w, &failed);
	assert_false(failed.ok);
	assert_err(failed.err, ERR_LEDGER);
	assert_true(ledger_lane_is_dead(lane.handle));
	atomic_store(&wal_writes_fail, false);
	world_append_async(&w, &lane, 1, &late);
	world_wait(&w, &late);
	assert_false(late.ok); /* dead stays dead */
	assert_int_equal(ledger_tab_unpaid(w.tab), 15);
	ledger_unclosed(w.ledger, &w.peer, 10, &list, &n);
	assert_int_equal(n, 1);
	assert_true(list[0].dead);
	assert_int_equal(list[0].head.size, 5);
	free(list);
	world_lane_open(&w, &next);
	world_append(&w, &next, 5);
	world_finish(&w);
	sqlite3_vfs_unregister(&shim);
}

/* A disk that does not keep up is said to be busy, by the bytes that wait; nothing is refused. */
static void what_waits_for_the_disk_is_counted_and_said_to_be_too_much(void **state)
{
	enum { BATCHES = 64 };
	struct world_done done[BATCHES] = {0};
	struct ledger_stats stats;
	struct world_lane lane;
	struct world w;
	unsigned n = 0;

	shim_install();
	world_init(&w, LEDGER_SUPPLIER);
	world_stop(&w);
	w.params.queue_max = 1 << 20;
	world_start(&w);
	world_lane_open(&w, &lane);
	atomic_store(&wal_writes_wait, true);
	for (; n < BATCHES && !ledger_is_busy(w.ledger); n++)
		world_append_async(&w, &lane, 500, &done[n]);
	ledger_stats(w.ledger, &stats);
	assert_true(n > 2 && n < BATCHES);
	assert_true(stats.queued_bytes > 1 << 20 && stats.queued_bytes < 2 << 20);
	atomic_store(&wal_writes_wait, false);
	for (unsigned i = 0; i < n; i++) {
		world_wait(&w, &done[i]);
		assert_true(done[i].ok);
	}
	ledger_stats(w.ledger, &stats);
	assert_int_equal(stats.queued_bytes, 0);
	assert_false(ledger_is_busy(w.ledger));
	world_finish(&w);
	sqlite3_vfs_unregister(&shim);
}

/* --- an fsync that fails --- */

static _Atomic bool wal_syncs_fail;
static _Atomic unsigned database_syncs;

/* Stands before the C library's, for ledger and sqlite alike. */
int fdatasync(int fd)
{
	char link[64], path[4096] = "";
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n > 3 && strcmp(path + n - 3, ".db") == 0)
		atomic_fetch_add(&database_syncs, 1);
	if (n > 4 && strcmp(path + n - 4, "-wal") == 0 && atomic_load(&wal_syncs_fail)) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* Opens a lane; true when its opening is durable. */
static bool lane_opens(struct world *w)
{
	struct world_done done = {0};
	struct ledger_lane *lane;
	struct lane_id id;
	struct err err = {0};

	rng_bytes(id.b, sizeof(id.b));
	assert_ok(ledger_lane_open(w->port, &id, &w->peer, clock_day(clock_wall_ms()),
				   world_on_done, &done, &lane, &err),
		  err);
	world_wait(w, &done);
	if (!done.ok)
		assert_err(done.err, ERR_LEDGER);
	return done.ok;
}

/* The kernel forgets what it could not write, and says so once: an fsync that succeeds after one
 * that failed promises nothing of the bytes before it. */
static void after_a_failed_fsync_none_is_believed_until_the_wal_begins_anew(void **state)
{
	struct world w;
	unsigned tries = 0;

	world_init(&w, LEDGER_SUPPLIER);
	assert_true(lane_opens(&w));
	atomic_store(&wal_syncs_fail, true);
	assert_false(lane_opens(&w));
	atomic_store(&database_syncs, 0);
	atomic_store(&wal_syncs_fail, false);
	while (!lane_opens(&w)) {
		assert_true(++tries < 1000);
		usleep(10000);
	}
	assert_true(atomic_load(&database_syncs) > 0);
	world_finish(&w);
}

/* --- kill -9 --- */

struct told {
	uint32_t lane;
	uint32_t size;
};

struct told_arg {
	int fd;
	struct told told;
	unsigned *in_flight;
};

static void child_on_done(void *arg, const struct err *err)
{
	struct told_arg *t = arg;

	if (err != NULL || write(t->fd, &t->told, sizeof(t->told)) != sizeof(t->told))
		_exit(3);
	--*t->in_flight;
	free(t);
}

/* Appends to three lanes for ever, telling each commit as soon as it is known. */
static void child_run(struct world *w, struct world_lane *lanes, int fd)
{
	unsigned in_flight = 0;

	world_start(w);
	for (size_t i = 0; i < LANES; i++) {
		world_lane_open(w, &lanes[i]);
		if (write(fd, lanes[i].id.b, sizeof(lanes[i].id.b)) != sizeof(lanes[i].id.b))
			_exit(4);
	}
	for (uint64_t turn = 0;; turn++) {
		struct world_lane *lane = &lanes[turn % LANES];
		struct ledger_batch *batch = ledger_batch_create(w->port);
		struct told_arg *t = xcalloc(1, sizeof(*t));
		struct ledger_head head;

		for (uint64_t i = 0, n = 1 + rng_below(40); i < n; i++) {
			if (ledger_tab_reserve(w->tab, 3, UINT64_MAX, UINT64_MAX) != LEDGER_ROOM)
				_exit(5);
			world_add(w, lane, batch, w->tab);
		}
		world_head(lane, &head);
		*t = (struct told_arg){
			fd, {(uint32_t)(turn % LANES), (uint32_t)head.size}, &in_flight};
		in_flight++;
		ledger_append(w->port, lane->handle, batch, &head, child_on_done, t);
		while (in_flight > 8) {
			struct pollfd p = {.fd = ledger_port_fd(w->port), .events = POLLIN};

			poll(&p, 1, 1000);
			ledger_port_reap(w->port);
		}
	}
}

/* All leaves of the lane are there, in order, each with evidence that is right or not kept. */
static void lane_is_in_order(struct ledger_reader *reader, const struct lane_id *id, uint64_t size)
{
	uint8_t *leaves = xmalloc((size_t)2048 * LEAF_SIZE);
	struct buf request = {0}, response = {0};
	struct err err = {0};
	uint64_t seq = 0;
	size_t n = 1;

	while (seq < size) {
		assert_ok(ledger_leaves_read(reader, id, seq, 2048, leaves, NULL, &n, &err), err);
		assert_true(n > 0);
		for (size_t i = 0; i < n; i++, seq++)
			assert_int_equal(get_be64(leaves + i * LEAF_SIZE + 8), seq);
	}
	assert_int_equal(seq, size);
	if (size > 0 && ledger_evidence_read(reader, id, size - 1, &request, &response)) {
		char text[64];

		assert_int_equal(request.n, world_request(size - 1, text));
	}
	buf_finish(&request);
	buf_finish(&response);
	free(leaves);
}

/* One life: starts, is killed at a random moment under load; then the rules are looked at. */
static void live_and_die(struct world *w, unsigned round)
{
	struct world_lane lanes[LANES];
	struct lane_id ids[LANES];
	struct ledger_reader *reader = NULL;
	struct ledger_unclosed *list = NULL;
	uint32_t sizes[LANES] = {0};
	struct told told;
	struct err err = {0};
	size_t n = 0;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		child_run(w, lanes, fds[1]);
	}
	close(fds[1]);
	for (size_t i = 0; i < LANES; i++)
		assert_int_equal(read(fds[0], ids[i].b, 16), 16);
	usleep((useconds_t)(1000 + rng_below(60000)));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	while (read(fds[0], &told, sizeof(told)) == sizeof(told))
		sizes[told.lane] = told.size;
	close(fds[0]);

	world_start(w);
	assert_ok(ledger_reader_open(w->dir, &reader, &err), err);
	ledger_unclosed(w->ledger, &w->peer, 10000, &list, &n);
	assert_int_equal(n, (round + 1) * LANES); /* no lane is lost, of any life */
	for (size_t i = 0; i < LANES; i++) {
		struct ledger_unclosed *u = &list[n - LANES + i];

		assert_memory_equal(&u->id, &ids[i], sizeof(ids[i]));
		assert_false(u->dead);
		assert_true(u->head.size >= sizes[i]); /* [L1] */
		lane_is_in_order(reader, &ids[i], u->head.size);
	}
	free(list);
	ledger_reader_close(reader);
	world_stop(w);
}

static void nothing_told_is_lost_by_kill_9(void **state)
{
	struct world w;

	world_init(&w, LEDGER_SUPPLIER);
	world_stop(&w);
	for (unsigned round = 0; round < 12; round++)
		live_and_die(&w, round);
	world_finish(&w);
}

/* --- a full disk --- */

/* Appends until it fails; returns how many leaves were told to be in. */
static uint64_t fill(struct world *w, struct world_lane *lane, struct world_done *done)
{
	uint64_t size = 0;

	for (;;) {
		*done = (struct world_done){0};
		world_append_async(w, lane, 200, done);
		world_wait(w, done);
		if (!done->ok)
			return size;
		size = lane->tree.size;
	}
}

static void max_bytes_refuses_by_name_and_keeps_what_is_there(void **state)
{
	struct ledger_reader *reader = NULL;
	struct ledger_lane *refused = NULL;
	struct ledger_stats stats;
	struct world_done done;
	struct world_lane lane;
	struct lane_id id = {{1}};
	struct world w;
	struct err err = {0};
	uint64_t size;

	world_init(&w, LEDGER_GATEWAY);
	world_stop(&w);
	w.params.max_bytes = 6 << 20;
	world_start(&w);
	world_lane_open(&w, &lane);
	size = fill(&w, &lane, &done);
	assert_err(done.err, ERR_LEDGER_FULL);
	assert_true(ledger_is_full(w.ledger));
	assert_true(ledger_lane_is_dead(lane.handle));
	ledger_stats(w.ledger, &stats);
	assert_true(stats.bytes < 7 << 20);
	assert_true(size > 10000); /* neither the WAL nor evidence has filled it */
	assert_false(ledger_lane_open(w.port, &id, &w.peer, 20260101, NULL, NULL, &refused, &err));
	assert_err(err, ERR_LEDGER_FULL);
	assert_ok(ledger_reader_open(w.dir, &reader, &err), err);
	lane_is_in_order(reader, &lane.id, size);
	ledger_reader_close(reader);
	world_finish(&w);
}

/* RLIMIT_FSIZE is what a full disk looks like to a process: writes fail half way. */
static void a_full_disk_kills_the_lane_and_loses_nothing_told(void **state)
{
	struct ledger_unclosed *list = NULL;
	struct world w;
	uint64_t told = 0;
	size_t n = 0;
	int fds[2], status;
	pid_t pid;

	world_init(&w, LEDGER_SUPPLIER);
	world_stop(&w);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = {3 << 20, 3 << 20};
		struct world_lane lane;
		struct world_done done;

		signal(SIGXFSZ, SIG_IGN);
		w.params.evidence_max_bytes = 0;
		world_start(&w);
		world_lane_open(&w, &lane);
		setrlimit(RLIMIT_FSIZE, &limit);
		told = fill(&w, &lane, &done);
		if (done.err.code != ERR_LEDGER && done.err.code != ERR_LEDGER_FULL)
			_exit(2);
		if (!ledger_lane_is_dead(lane.handle))
			_exit(3);
		_exit(write(fds[1], &told, sizeof(told)) == sizeof(told) ? 0 : 4);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(read(fds[0], &told, sizeof(told)), sizeof(told));
	assert_true(told > 0);
	world_start(&w);
	ledger_unclosed(w.ledger, &w.peer, 10, &list, &n);
	assert_int_equal(n, 1);
	assert_int_equal(list[0].head.size, told);
	assert_false(list[0].dead);
	free(list);
	close(fds[0]);
	close(fds[1]);
	world_finish(&w);
}

/* --- files that were meddled with --- */

static void a_lane_that_does_not_fit_together_is_left_alone(void **state)
{
	struct ledger_unclosed *list = NULL;
	struct ledger_lane *found;
	struct world_lane lane;
	struct world w;
	char path[128];
	sqlite3 *db = NULL;
	size_t n = 0;

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 3);
	world_append(&w, &lane, 3);
	world_append(&w, &lane, 3);
	world_stop(&w);
	snprintf(path, sizeof(path), "%s/leaves-%08u.db", w.dir, clock_day(clock_wall_ms()));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "DELETE FROM turns WHERE id & 1048575 = 3", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	world_start(&w);
	ledger_unclosed(w.ledger, &w.peer, 10, &list, &n);
	assert_int_equal(n, 0);
	assert_int_equal(ledger_lane_find(w.ledger, &lane.id, &w.peer, &found), LEDGER_LANE_BROKEN);
	free(list);
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_told_is_lost_by_kill_9),
		cmocka_unit_test(max_bytes_refuses_by_name_and_keeps_what_is_there),
		cmocka_unit_test(a_full_disk_kills_the_lane_and_loses_nothing_told),
		cmocka_unit_test(a_lane_that_does_not_fit_together_is_left_alone),
		cmocka_unit_test(a_failed_commit_kills_the_lane),
		cmocka_unit_test(what_waits_for_the_disk_is_counted_and_said_to_be_too_much),
		cmocka_unit_test(after_a_failed_fsync_none_is_believed_until_the_wal_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
