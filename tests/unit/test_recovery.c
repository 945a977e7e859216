/* SPDX-License-Identifier: Apache-2.0
 * What recovery brings back, and how lanes end (protocol.md [L5] [L6] [L7] [L8] [L9]). */
#include "tests/unit/unit.h"

#include "tests/unit/recovery_world.h"

static void lanes_alike_are_cosigned_and_closed(void **state)
{
	struct world *w = *state;

	lane_pair(w, 1, 8, 8);
	assert_true(ledger_tab_unpaid(w->node.tab) == 8 * LEAF_CU);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 8);
	assert_int_equal(ledger_tab_unpaid(w->node.tab), 0);
	assert_int_equal(recovery_stats(w->node.recovery)->undelivered, 0);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 0);
}

static void what_the_gateway_never_got_is_undelivered_and_owed_for_now(void **state)
{
	struct world *w = *state;

	lane_pair(w, 1, 20, 8);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 8);
	assert_int_equal(recovery_stats(w->node.recovery)->undelivered, 12);
	assert_int_equal(ledger_tab_unpaid(w->node.tab), 12 * LEAF_CU);
}

static void a_node_that_lost_its_tail_adopts_it_from_the_gateway(void **state)
{
	struct world *w = *state;
	struct ledger_lane_info info;

	lane_pair(w, 1, 8, 20);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 20);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 12);
	lane_info(&w->node, 1, &info);
	assert_int_equal(info.adopted_from, 8);
	assert_int_equal(info.head.size, 20);
}

static void a_node_that_lost_a_whole_lane_adopts_it(void **state)
{
	struct world *w = *state;

	half_lane(&w->gateway, 1, 12, BATCH, 8, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 12);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 12);
}

static void a_gateway_that_lost_what_it_cosigned_adopts_it(void **state)
{
	struct world *w = *state;

	half_lane(&w->node, 1, 20, BATCH, 16, false);
	half_lane(&w->gateway, 1, 8, BATCH, 0, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 16);
	assert_int_equal(recovery_stats(w->gateway.recovery)->adopted, 8);
	assert_int_equal(recovery_stats(w->node.recovery)->undelivered, 4);
}

static void a_gateway_that_lost_everything_adopts_what_it_cosigned(void **state)
{
	struct world *w = *state;

	half_lane(&w->node, 1, 20, BATCH, 12, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 12);
	assert_int_equal(recovery_stats(w->gateway.recovery)->adopted, 12);
}

static void a_lane_of_which_the_gateway_has_nothing_is_all_undelivered(void **state)
{
	struct world *w = *state;
	struct ledger_lane_info info;

	half_lane(&w->node, 1, 20, BATCH, 0, false);
	half_lane(&w->node, 2, 0, BATCH, 0, false);
	half_lane(&w->gateway, 3, 0, BATCH, 0, false);
	assert_true(run_until_done(w));
	lane_info(&w->node, 1, &info);
	assert_int_equal(info.state, LEDGER_LANE_CLOSED);
	assert_int_equal(info.final_size, 0);
	assert_int_equal(recovery_stats(w->node.recovery)->undelivered, 20);
	assert_int_equal(ledger_tab_unpaid(w->node.tab), 20 * LEAF_CU);
}

static void long_tails_come_in_pieces(void **state)
{
	struct world *w = *state;

	half_lane(&w->gateway, 1, 7000, 256, 0, false);
	half_lane(&w->node, 1, 2560, 256, 0, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 7000);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 4440);
}

static void small_frames_of_the_peer_are_kept_to(void **state)
{
	struct world *w = *state;

	w->pair.node.self.frame_max = 1024; /* four leaves or four lanes a frame */
	for (uint8_t name = 1; name <= 10; name++)
		lane_pair(w, name, 8, 20);
	assert_true(run_until_done(w));
	for (uint8_t name = 1; name <= 10; name++)
		closed_on_both(w, name, 20);
}

static void make_mixture(struct world *w)
{
	for (uint8_t i = 0; i < 12; i++)
		lane_pair(w, (uint8_t)(1 + i), 4u + 4u * (i % 4), 4u + 4u * (i / 4));
	half_lane(&w->node, 20, 12, BATCH, 8, false);
	half_lane(&w->gateway, 21, 12, BATCH, 8, false);
	half_lane(&w->node, 22, 12, BATCH, 8, false);
	half_lane(&w->gateway, 22, 4, BATCH, 4, false);
	half_lane(&w->node, 23, 4, BATCH, 0, false);
}

static void check_mixture(struct world *w)
{
	struct ledger_lane_info info;

	for (uint8_t i = 0; i < 12; i++)
		closed_on_both(w, (uint8_t)(1 + i), 4u + 4u * (i / 4));
	closed_on_both(w, 20, 8);
	closed_on_both(w, 21, 12);
	closed_on_both(w, 22, 8);
	lane_info(&w->node, 23, &info);
	assert_int_equal(info.final_size, 0);
	assert_int_equal(info.state, LEDGER_LANE_CLOSED);
	/* 52 leaves were denied [P5]; up to 96 were paid for, some of them after that */
	assert_in_range(ledger_tab_unpaid(w->node.tab), 52 * LEAF_CU - 96 * LEAF_CU / 16,
			52 * LEAF_CU);
}

static void many_lanes_of_all_kinds_end_well(void **state)
{
	struct world *w = *state;

	make_mixture(w);
	assert_true(run_until_done(w));
	check_mixture(w);
	assert_int_equal(recovery_stats(w->node.recovery)->failed, 0);
	assert_int_equal(recovery_stats(w->gateway.recovery)->failed, 0);
}

static void a_second_link_finds_nothing_left_to_do(void **state)
{
	struct world *w = *state;

	lane_pair(w, 1, 20, 8);
	assert_true(run_until_done(w));
	unlink_both(w);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 8);
	assert_int_equal(recovery_stats(w->node.recovery)->closed, 0);
}

static void both_ledgers_start_anew_and_recover(void **state)
{
	struct world *w = *state;

	make_mixture(w);
	half_stop(&w->gateway);
	half_stop(&w->node);
	half_start(&w->gateway);
	half_start(&w->node);
	assert_true(run_until_done(w));
	check_mixture(w);
}

static void live_lanes_are_left_alone_until_their_link_ends(void **state)
{
	struct world *w = *state;
	struct ledger_lane_info info;
	struct ledger_lane *live;

	w->refresh_us = 30000;
	half_lane(&w->gateway, 1, 8, BATCH, 0, false);
	live = half_lane(&w->node, 1, 12, BATCH, 0, true);
	pair_dial(&w->pair, &w->pair.node.self.id);
	lane_info(&w->gateway, 1, &info);
	for (int i = 0; i < 3000 && info.cosigned.size == 0; i++) {
		pair_run(&w->pair, &(unsigned){0}, 1, 20);
		lane_info(&w->gateway, 1, &info);
	}
	pair_run(&w->pair, &(unsigned){0}, 1, 100); /* time enough to close it, too */
	lane_info(&w->gateway, 1, &info);
	assert_int_equal(info.state, LEDGER_LANE_UNCLOSED);
	assert_int_equal(info.cosigned.size, 8); /* it may cosign it already */
	ledger_lane_release(w->node.port, live);
	for (int i = 0; i < 3000 && !both_done(w); i++)
		pair_run(&w->pair, &(unsigned){0}, 1, 20);
	assert_true(both_done(w));
	closed_on_both(w, 1, 8);
}

/* Closes a lane at its end, as an earlier recovery did. */
static void half_close(struct half *half, uint8_t name, uint64_t final)
{
	struct lane_id id = lane_of(name);
	struct ledger_lane *lane;

	assert_int_equal(ledger_lane_find(half->ledger, &id, &half->peer, &lane),
			 LEDGER_LANE_UNCLOSED);
	ledger_lane_close(half->port, lane, final, NULL, NULL);
	ledger_drain(half->ledger);
	ledger_port_reap(half->port);
}

static void a_gateway_with_an_older_copy_of_its_ledger_catches_up(void **state)
{
	struct world *w = *state;

	half_lane(&w->node, 1, 20, BATCH, 16, false);
	half_close(&w->node, 1, 16);
	half_lane(&w->gateway, 1, 8, BATCH, 8, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 16);
	assert_int_equal(recovery_stats(w->gateway.recovery)->adopted, 8);
}

static void a_node_with_an_older_copy_of_its_ledger_catches_up(void **state)
{
	struct world *w = *state;

	half_lane(&w->gateway, 1, 20, BATCH, 20, false);
	half_close(&w->gateway, 1, 20);
	half_lane(&w->node, 1, 8, BATCH, 8, false);
	assert_true(run_until_done(w));
	closed_on_both(w, 1, 20);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 12);
}

static void a_link_cut_at_any_step_recovers_on_the_next(void **state)
{
	unsigned cuts = 0;

	for (unsigned at = 1; at < 400; at += 5) {
		void *fresh;
		struct world *w;
		bool was_cut;

		world_setup(&fresh);
		w = fresh;
		make_mixture(w);
		w->cut_at = at;
		run_until_done(w);
		was_cut = w->cut;
		for (int again = 0; again < 2; again++) { /* and cut once more, elsewhere */
			unlink_both(w);
			w->cut = false;
			w->cut_at = again == 0 && was_cut ? w->seen + 1 + at / 2 : 0;
			pair_turns(&w->pair, 3);
			if (!run_until_done(w) && !w->cut)
				fail_msg("not recovered after a cut at frame %u", at);
			if (!w->cut)
				break;
		}
		assert_true(both_done(w));
		check_mixture(w);
		world_teardown(&fresh);
		cuts += was_cut;
		if (!was_cut)
			break;
	}
	assert_true(cuts > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(lanes_alike_are_cosigned_and_closed),
		T(what_the_gateway_never_got_is_undelivered_and_owed_for_now),
		T(a_node_that_lost_its_tail_adopts_it_from_the_gateway),
		T(a_node_that_lost_a_whole_lane_adopts_it),
		T(a_gateway_that_lost_what_it_cosigned_adopts_it),
		T(a_gateway_that_lost_everything_adopts_what_it_cosigned),
		T(a_lane_of_which_the_gateway_has_nothing_is_all_undelivered),
		T(long_tails_come_in_pieces),
		T(small_frames_of_the_peer_are_kept_to),
		T(many_lanes_of_all_kinds_end_well),
		T(a_second_link_finds_nothing_left_to_do),
		T(both_ledgers_start_anew_and_recover),
		T(live_lanes_are_left_alone_until_their_link_ends),
		T(a_gateway_with_an_older_copy_of_its_ledger_catches_up),
		T(a_node_with_an_older_copy_of_its_ledger_catches_up),
		cmocka_unit_test(a_link_cut_at_any_step_recovers_on_the_next),
	};

	log_init(LOG_LEVEL_ERROR, STDERR_FILENO, NULL);
	return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
