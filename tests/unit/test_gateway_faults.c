/* SPDX-License-Identifier: Apache-2.0
 * Nodes that lie, fail, refuse or are slow: what the client gets, and who is asked instead. */
#include "tests/unit/unit.h"

#include "tests/unit/fake_nodes.h"

#define WRITE                                                                                      \
	"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"eth_sendPrivateTransaction\",\"params\":[]}"

/* What the gateway's page of suppliers says must have that in it, or not. */
static bool page_has(struct world *w, const char *text)
{
	CLEANUP(buf_finish) struct buf page = {0};

	gateway_suppliers(w->gateway, &page);
	return strstr(buf_cstr(&page), text) != NULL;
}

static void lies_are_never_answered_with_and_never_cosigned(void **state)
{
	static const enum way lies[] = {LIE_HASH, LIE_ROOT, LIE_SIGNATURE, LIE_CU, LIE_RELAY};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct world *w = world_create(lies[i], ANSWER);

		for (int k = 0; k < 12; k++)
			assert_non_null(strstr(post(w, READ), "\"result\":\"0x5\""));
		/* The liar is asked until its first lie, then no more in this session. */
		assert_true(atomic_load(&w->nodes[0].asked) <= 1);
		assert_true(page_has(w, "\"misbehaved\":1,") ==
			    (atomic_load(&w->nodes[0].asked) == 1));
		for (int k = 0; k < 30000 && atomic_load(&w->nodes[1].cosigned) == 0; k++)
			usleep(2000);
		usleep(100000); /* two intervals more */
		assert_int_equal(atomic_load(&w->nodes[0].cosigned), 0);
		assert_true(atomic_load(&w->nodes[1].cosigned) > 0);
		world_destroy(w);
	}
}

static void an_answer_with_another_id_is_a_fault_of_the_backend(void **state)
{
	struct world *w = world_create(ANSWER_WRONG_ID, ANSWER_WRONG_ID);

	assert_non_null(strstr(post(w, READ), "\"error\":{\"code\":-32002"));
	assert_int_equal(asked(w), 2);
	world_destroy(w);
}

/* [G5] [F13]: nobody else can go on with what the client has already. */
static void an_answer_that_breaks_off_ends_with_its_connection(void **state)
{
	static const enum way ways[] = {BEGIN_AND_REST, BEGIN_AND_ERROR, BEGIN_AND_LEAVE};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct world *w = world_create(ways[i], ways[i]);

		assert_int_equal(try_post(w, READ), CURLE_PARTIAL_FILE);
		assert_int_equal(w->body.n, INBOUND_PART_BYTES);
		assert_memory_equal(w->body.p, "{\"id\":7,\"result\":\"aa", 20);
		assert_int_equal(asked(w), 1);
		/* The node is told that nobody waits any more. */
		for (int k = 0; k < 30000 && ways[i] == BEGIN_AND_REST && cancelled(w) == 0; k++)
			usleep(2000);
		assert_true(cancelled(w) > 0 || ways[i] != BEGIN_AND_REST);
		world_destroy(w);
	}
}

static void reads_that_fail_go_to_the_next_pick(void **state)
{
	static const enum way ways[] = {REFUSE_OVERLOAD, REFUSE_UPSTREAM, ERROR_FRAME,
					SILENT,		 HANG_UP,	  ANSWER_WRONG_ID};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct world *w = world_create(ways[i], ANSWER);

		for (int k = 0; k < 8; k++)
			assert_non_null(strstr(post(w, READ), "\"result\":\"0x5\""));
		if (ways[i] == SILENT && atomic_load(&w->nodes[0].asked) > 0)
			assert_true(atomic_load(&w->nodes[0].cancelled) > 0);
		world_destroy(w);
	}
}

static void writes_are_not_sent_twice_once_they_may_have_left(void **state)
{
	static const enum way ways[] = {REFUSE_UPSTREAM, ERROR_FRAME,	  SILENT,
					HANG_UP,	 ANSWER_WRONG_ID, LIE_HASH};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct world *w = world_create(ways[i], ways[i]);

		assert_non_null(strstr(post(w, WRITE), "\"error\":"));
		assert_int_equal(asked(w), 1);
		world_destroy(w);
	}
}

static void writes_that_a_node_refused_unseen_go_to_the_next_pick(void **state)
{
	struct world *w = world_create(REFUSE_OVERLOAD, REFUSE_OVERLOAD);

	assert_non_null(strstr(post(w, WRITE), "\"error\":{\"code\":-32005"));
	assert_int_equal(asked(w), 2);
	world_destroy(w);
}

/* [P5] [S8]: writes too, since none was begun. */
static void a_node_that_cannot_yet_is_asked_again_until_the_deadline(void **state)
{
	static const enum way ways[] = {REFUSE_UNPAID, REFUSE_OVER, ERROR_UNPAID, ERROR_SHUTDOWN};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct world *w = world_create(ways[i], ways[i]);

		assert_non_null(strstr(post(w, READ), "\"result\":\"0x5\""));
		assert_true(asked(w) > REFUSALS);
		assert_true(asked(w) <= NODES * REFUSALS + 1);
		assert_non_null(strstr(post(w, WRITE), "\"result\":\"0x5\""));
		world_destroy(w);
	}
}

static void what_one_node_cannot_do_waits_for_another_that_is_coming(void **state)
{
	struct world *w = make_world(REFUSE_NO_BACKEND, ANSWER, true, false, 5);

	assert_non_null(strstr(post(w, READ), "\"result\":\"0x5\""));
	assert_int_equal(atomic_load(&w->nodes[0].asked), 1);
	assert_int_equal(atomic_load(&w->nodes[1].asked), 1);
	world_destroy(w);
}

/* The deadline is further away than this test has time. */
static void who_does_not_come_is_not_waited_for_long(void **state)
{
	struct world *w = make_world(REFUSE_NO_BACKEND, ANSWER, true, true, 5);

	assert_non_null(strstr(post(w, READ), "\"error\":\"no_backend\""));
	assert_int_equal(asked(w), 1);
	world_destroy(w);
}

/* It brought nothing, and costs nothing. */
static void a_relay_that_is_lost_with_its_link_does_not_count_against_the_budget(void **state)
{
	struct world *w = make_world(HANG_UP, ANSWER, false, false, 1);

	for (int k = 0; k < 20; k++)
		assert_non_null(strstr(post(w, READ), "\"result\":\"0x5\""));
	assert_true(atomic_load(&w->nodes[0].asked) > 0);
	world_destroy(w);
}

static void a_second_one_does(void **state)
{
	struct world *w = make_world(HANG_UP, HANG_UP, false, false, 1);

	assert_non_null(strstr(post(w, READ), "\"error\""));
	assert_int_equal(asked(w), 2);
	world_destroy(w);
}

static void a_slow_node_is_raced_by_another(void **state)
{
	struct world *w = world_create(SILENT, ANSWER);
	int64_t before = metric_value_at(METRIC_GATEWAY_HEDGES_WON, 0, 0);
	int64_t retries = metric_value_at(METRIC_GATEWAY_RETRIES, ERR_DEADLINE, 0);

	for (int k = 0; k < 12; k++)
		assert_string_equal(post(w, READ), "{\"id\":7,\"result\":\"0x5\"}");
	assert_true(metric_value_at(METRIC_GATEWAY_HEDGES_WON, 0, 0) > before ||
		    metric_value_at(METRIC_GATEWAY_RETRIES, ERR_DEADLINE, 0) > retries ||
		    atomic_load(&w->nodes[0].asked) == 0);
	for (int k = 0; k < 5000 && cancelled(w) < atomic_load(&w->nodes[0].asked); k++)
		usleep(2000);
	assert_int_equal(cancelled(w), atomic_load(&w->nodes[0].asked));
	world_destroy(w);
}

static void hedges_are_no_more_than_their_share(void **state)
{
	struct world *w = world_create(SILENT, SILENT);
	int64_t before = metric_value_at(METRIC_GATEWAY_HEDGES, 0, 0);
	struct buf batch = {0};

	buf_put_str(&batch, "[" READ);
	for (int i = 1; i < 20; i++)
		buf_put_str(&batch, "," READ);
	buf_put_str(&batch, "]");
	post(w, buf_cstr(&batch));
	/* 50 of a hundred, of 20 calls, and never more than 10 in a row */
	assert_int_equal(metric_value_at(METRIC_GATEWAY_HEDGES, 0, 0) - before, 10);
	buf_finish(&batch);
	world_destroy(w);
}

static void a_write_is_never_hedged(void **state)
{
	struct world *w = world_create(SILENT, SILENT);

	assert_non_null(strstr(post(w, WRITE), "\"error\":{\"code\":-32002"));
	assert_int_equal(asked(w), 1);
	world_destroy(w);
}

static void a_node_that_opens_lane_after_lane_is_left(void **state)
{
	struct world *w = world_create(NEW_LANE, NEW_LANE);
	struct buf batch = {0};
	bool left = false;

	assert_non_null(strstr(post(w, READ), "\"result\":\"0x5\"")); /* one is as it should be */
	buf_put_str(&batch, "[" READ);
	for (int i = 0; i < 30; i++)
		buf_put_str(&batch, "," READ);
	buf_put_str(&batch, "]");
	for (int i = 0; i < 20 && !left; i++) {
		post(w, buf_cstr(&batch));
		for (size_t k = 0; k < NODES; k++)
			left |= atomic_load(&w->nodes[k].why_down) == ERR_LIMIT;
	}
	assert_true(left);
	buf_finish(&batch);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lies_are_never_answered_with_and_never_cosigned),
		cmocka_unit_test(an_answer_with_another_id_is_a_fault_of_the_backend),
		cmocka_unit_test(an_answer_that_breaks_off_ends_with_its_connection),
		cmocka_unit_test(reads_that_fail_go_to_the_next_pick),
		cmocka_unit_test(writes_are_not_sent_twice_once_they_may_have_left),
		cmocka_unit_test(writes_that_a_node_refused_unseen_go_to_the_next_pick),
		cmocka_unit_test(a_node_that_cannot_yet_is_asked_again_until_the_deadline),
		cmocka_unit_test(what_one_node_cannot_do_waits_for_another_that_is_coming),
		cmocka_unit_test(who_does_not_come_is_not_waited_for_long),
		cmocka_unit_test(
			a_relay_that_is_lost_with_its_link_does_not_count_against_the_budget),
		cmocka_unit_test(a_second_one_does),
		cmocka_unit_test(a_slow_node_is_raced_by_another),
		cmocka_unit_test(hedges_are_no_more_than_their_share),
		cmocka_unit_test(a_write_is_never_hedged),
		cmocka_unit_test(a_node_that_opens_lane_after_lane_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
