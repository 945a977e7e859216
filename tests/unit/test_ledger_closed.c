/* SPDX-License-Identifier: Apache-2.0
 * What is left of a lane when it has been closed: what is owed for it, and what is forgotten. */
#include "tests/unit/unit.h"

#include "tests/unit/ledger_world.h"

/* A lane of n leaves is cosigned, and its link ends. */
static void pay_for(struct world *w, size_t n)
{
	struct world_done done = {0};
	struct world_lane lane;
	struct hash root;

	world_lane_open(w, &lane);
	world_append(w, &lane, n);
	tree_root(&lane.tree, &root);
	world_cosign(w, &lane, n, &root, &done);
	assert_true(done.ok);
	ledger_lane_release(w->port, lane.handle);
}

static void start_anew(struct world *w)
{
	world_stop(w);
	world_start(w);
}

/* [P5]: a gateway that denies what it got owes it; an honest one whose link was cut is soon free of
 * it.  Across starts, too. */
static void what_is_denied_is_owed_until_sixteen_times_as_much_is_paid(void **state)
{
	struct world_done done = {0};
	struct world_lane lane;
	struct world w;

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 4);
	ledger_lane_release(w.port, lane.handle);
	ledger_lane_close(w.port, lane.handle, 0, world_on_done, &done);
	world_wait(&w, &done);
	assert_true(done.ok);
	assert_int_equal(ledger_tab_unpaid(w.tab), 12);
	start_anew(&w);
	assert_int_equal(ledger_tab_unpaid(w.tab), 12);
	pay_for(&w, 32); /* 96 CU forgive 6 */
	assert_int_equal(ledger_tab_unpaid(w.tab), 6);
	start_anew(&w);
	assert_int_equal(ledger_tab_unpaid(w.tab), 6);
	pay_for(&w, 5); /* 15 CU: not yet */
	assert_int_equal(ledger_tab_unpaid(w.tab), 6);
	pay_for(&w, 100);
	assert_int_equal(ledger_tab_unpaid(w.tab), 0);
	start_anew(&w);
	assert_int_equal(ledger_tab_unpaid(w.tab), 0);
	world_finish(&w);
}

/* A process that lives for long sees many links come and go. */
static void a_closed_lane_is_forgotten_by_the_process_and_known_to_the_file(void **state)
{
	struct ledger_stats stats = {.lanes = 1};
	struct world_done done = {0};
	struct ledger_lane *handle;
	struct world_lane lane;
	struct world w;

	world_init(&w, LEDGER_SUPPLIER);
	world_stop(&w);
	w.params.recent_ms = 1;
	world_start(&w);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 4);
	ledger_lane_release(w.port, lane.handle);
	ledger_lane_close(w.port, lane.handle, 0, world_on_done, &done);
	world_wait(&w, &done);
	assert_true(done.ok);
	for (int i = 0; i < 1000 && stats.lanes > 0; i++) {
		usleep(10000);
		ledger_stats(w.ledger, &stats);
	}
	assert_int_equal(stats.lanes, 0);
	assert_int_equal(ledger_lane_find(w.ledger, &lane.id, &w.peer, &handle),
			 LEDGER_LANE_CLOSED);
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_denied_is_owed_until_sixteen_times_as_much_is_paid),
		cmocka_unit_test(a_closed_lane_is_forgotten_by_the_process_and_known_to_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
