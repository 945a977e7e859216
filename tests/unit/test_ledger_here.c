/* SPDX-License-Identifier: Apache-2.0
 * The loop's own commit of a small batch: when it is done, and when it is left to the writer. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sqlite3.h>

#include "tests/unit/ledger_world.h"

/* Of a large batch: more than a loop commits by itself. */
#define MANY 200

/* True when the append was over before the call returned. */
static bool was_here(struct world *w, struct world_lane *lane, size_t n)
{
	struct pollfd p = {.fd = ledger_port_fd(w->port), .events = POLLIN};
	struct world_done done = {0};
	bool here;

	world_append_async(w, lane, n, &done);
	assert_int_equal(done.calls, 0); /* never told within the call */
	here = poll(&p, 1, 0) == 1;
	world_wait(w, &done);
	assert_true(done.ok);
	return here;
}

/* The writer rests soon after its last group, and a commit of the loop's own may once be slow. */
static void a_small_batch_has_committed_when_the_call_returns(void **state)
{
	struct world_lane lane;
	struct world w;
	bool here = false;

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 1); /* makes the day's file, which the writer does */
	for (int i = 0; i < 200 && !here; i++) {
		here = was_here(&w, &lane, 1);
		usleep(here ? 0 : 20000);
	}
	assert_true(here);
	world_finish(&w);
}

static sqlite3 *lock_day(const struct world *w)
{
	char path[128];
	sqlite3 *db = NULL;

	snprintf(path, sizeof(path), "%s/leaves-%08u.db", w->dir, clock_day(clock_wall_ms()));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return db;
}

/* A backup tool, say, may hold the lock for seconds. */
static void a_locked_file_does_not_hold_up_the_loop(void **state)
{
	struct world_done done = {0};
	struct world_lane lane;
	struct world w;
	usec_t begun_us;
	sqlite3 *db;

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 1);
	db = lock_day(&w);
	begun_us = clock_now_us();
	world_append_async(&w, &lane, 1, &done);
	assert_true(clock_now_us() - begun_us < 5000000); /* the writer would wait for 10 s */
	usleep(50000);
	ledger_port_reap(w.port);
	assert_int_equal(done.calls, 0);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	world_wait(&w, &done);
	assert_true(done.ok);
	world_append(&w, &lane, 1);
	world_finish(&w);
}

/* [L1] [L2]: whoever commits, a lane's batches are told in their order and nothing is lost. */
static void batches_of_both_kinds_keep_their_order(void **state)
{
	static const size_t sizes[] = {1, MANY, 1, 3, MANY, 2, 1, 1, MANY, 64, 65, 1};
	struct world_done done[ARRAY_SIZE(sizes)] = {0};
	struct ledger_reader *reader = NULL;
	struct ledger_head head, read;
	struct world_lane lane;
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_GATEWAY);
	world_lane_open(&w, &lane);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		world_append_async(&w, &lane, sizes[i], &done[i]);
	for (size_t i = ARRAY_SIZE(sizes); i > 0; i--) {
		world_wait(&w, &done[i - 1]);
		for (size_t k = 0; k < i; k++)
			assert_true(done[k].calls == 1 && done[k].ok);
	}
	world_head(&lane, &head);
	assert_ok(ledger_reader_open(w.dir, &reader, &err), err);
	assert_ok(ledger_head_read(reader, &lane.id, head.size, &read, &err), err);
	assert_memory_equal(&read.root, &head.root, sizeof(head.root));
	ledger_reader_close(reader);
	world_finish(&w);
}

struct turns {
	unsigned told;
	bool mixed;
};
struct turn {
	struct turns *all;
	unsigned number;
};

static void turn_on_done(void *arg, const struct err *err)
{
	struct turn *turn = arg;

	assert_null(err);
	turn->all->mixed = turn->all->mixed || turn->number != turn->all->told;
	turn->all->told++;
}

/* The first batches of a lane wait for the fsync of its opening; later ones do not overtake them.
 */
static void batches_behind_an_opening_keep_their_order(void **state)
{
	enum { TURNS = 60 };
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_GATEWAY);
	for (int round = 0; round < 20; round++) {
		struct turns all = {0};
		struct turn turn[TURNS];
		struct world_lane lane = {0};

		rng_bytes(lane.id.b, sizeof(lane.id.b));
		tree_init(&lane.tree);
		assert_ok(ledger_lane_open(w.port, &lane.id, &w.peer, clock_day(clock_wall_ms()),
					   NULL, NULL, &lane.handle, &err),
			  err);
		for (unsigned i = 0; i < TURNS; i++) {
			turn[i] = (struct turn){&all, i};
			world_append_calling(&w, &lane, 1, turn_on_done, &turn[i]);
			usleep(200);
			ledger_port_reap(w.port);
		}
		ledger_drain(w.ledger);
		ledger_port_reap(w.port);
		assert_int_equal(all.told, TURNS);
		assert_false(all.mixed);
		ledger_lane_release(w.port, lane.handle);
	}
	world_finish(&w);
}

/* One loop thread, with a lane of its own. */
struct loop {
	pthread_t thread;
	struct world w; /* all but the port is shared */
	struct world_lane lane;
	unsigned committed;
};

#define LOOPS 3
#define COMMITS 1500 /* of each: the WAL is full, and the writer rests, now and then */

static void *loop_main(void *arg)
{
	struct loop *l = arg;

	for (unsigned i = 0; i < COMMITS; i++) {
		struct pollfd p = {.fd = ledger_port_fd(l->w.port), .events = POLLIN};
		struct world_done done = {0};

		world_append_async(&l->w, &l->lane, 1, &done);
		while (done.calls == 0 && poll(&p, 1, 20000) > 0)
			ledger_port_reap(l->w.port);
		l->committed += done.ok;
		usleep(i % 7 * 300); /* who comes when nothing waits commits by himself */
	}
	return NULL;
}

/* While the writer rests for the keeper the loops wait, and afterwards they may be quicker than it.
 */
static void loops_and_the_writer_never_commit_at_once(void **state)
{
	static struct loop loops[LOOPS];
	struct world w;

	world_init(&w, LEDGER_SUPPLIER);
	world_stop(&w);
	w.params.max_bytes = 16 << 20;
	world_start(&w);
	for (size_t i = 0; i < LOOPS; i++) {
		loops[i] = (struct loop){.w = w};
		loops[i].w.port = ledger_port_create(w.ledger);
		world_lane_open(&loops[i].w, &loops[i].lane);
	}
	for (size_t i = 0; i < LOOPS; i++)
		assert_int_equal(pthread_create(&loops[i].thread, NULL, loop_main, &loops[i]), 0);
	for (size_t i = 0; i < LOOPS; i++)
		pthread_join(loops[i].thread, NULL);
	for (size_t i = 0; i < LOOPS; i++) {
		struct world_done done = {0};
		struct hash root;

		assert_int_equal(loops[i].committed, COMMITS);
		tree_root(&loops[i].lane.tree, &root);
		world_cosign(&loops[i].w, &loops[i].lane, COMMITS, &root, &done);
		assert_true(done.ok);
		ledger_lane_release(loops[i].w.port, loops[i].lane.handle);
	}
	ledger_drain(w.ledger);
	for (size_t i = 0; i < LOOPS; i++) {
		ledger_port_reap(loops[i].w.port);
		ledger_port_destroy(loops[i].w.port);
	}
	world_finish(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_batch_has_committed_when_the_call_returns),
		cmocka_unit_test(a_locked_file_does_not_hold_up_the_loop),
		cmocka_unit_test(batches_of_both_kinds_keep_their_order),
		cmocka_unit_test(batches_behind_an_opening_keep_their_order),
		cmocka_unit_test(loops_and_the_writer_never_commit_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
