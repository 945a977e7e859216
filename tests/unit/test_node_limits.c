/* SPDX-License-Identifier: Apache-2.0
 * How much a gateway may ask of a node at a time, and what it hears beyond that. */
#include "tests/unit/unit.h"

#include "tests/unit/node_world.h"

static void relays_over_the_limit_in_flight_are_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.in_flight_max = 4;
	world_open(w);
	script(w, "{\"default\":{\"delay_ms\":200}}");
	for (int i = 0; i < 6; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 6));
	for (int i = 0; i < 4; i++)
		assert_int_equal(w->relays[i].leaf.kind, LEAF_ANSWER);
	assert_refused(&w->relays[4], ERR_OVERLOAD);
	assert_refused(&w->relays[5], ERR_OVERLOAD);
	world_destroy(w);
}

/* [F9] */
static void more_than_64_refusals_of_a_turn_are_error_frames(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	unsigned leaves = 0, errors = 0;

	world_open(w);
	for (int i = 0; i < 100; i++)
		send_relay(w, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"admin_peers\"}",
			   PATIENT_MS);
	assert_true(run_until_done(w, 100));
	for (int i = 0; i < 100; i++) {
		leaves += w->relays[i].leaves;
		errors += w->relays[i].error == err_info(ERR_METHOD)->wire;
	}
	assert_int_equal(leaves, 64);
	assert_int_equal(errors, 36);
	world_destroy(w);
}

/* [F9] */
static void refusals_beyond_what_a_node_signs_are_said_and_then_end_the_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	unsigned leaves = 0, errors = 0;

	w->params.refusals_signed_max = 10;
	w->params.refusals_max = 40;
	world_open(w);
	for (int i = 0; i < 30; i++)
		send_relay(w, ADMIN, PATIENT_MS);
	assert_true(run_until_done(w, 30));
	for (int i = 0; i < 30; i++) {
		leaves += w->relays[i].leaves;
		errors += w->relays[i].error == err_info(ERR_METHOD)->wire;
	}
	assert_in_range(leaves, 10, 29); /* more than 10 when a second has passed meanwhile */
	assert_int_equal(leaves + errors, 30);
	for (int i = 0; i < 90; i++)
		send_relay(w, ADMIN, PATIENT_MS);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_LIMIT);
	world_destroy(w);
}

static void refused_sessions_count_as_refusals_too(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct frame_session s = {.service = {"eth"}, .start = 1 << 20};

	w->params.refusals_max = 40;
	w->params.refusals_signed_max = 10;
	world_open(w);
	for (uint32_t i = 0; i < 90; i++)
		frame_put_session(link_out(w->link), HANDLE + 1 + i, &s);
	link_sent(w->link);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_LIMIT);
	world_destroy(w);
}

static void sessions_over_the_limit_are_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct frame_session s = {.service = {"eth"}};

	w->params.sessions_max = 1;
	world_open(w);
	frame_put_session(link_out(w->link), HANDLE + 1, &s);
	link_sent(w->link);
	assert_true(run_until(w, &w->session_refused));
	assert_int_equal(w->session_error, err_info(ERR_LIMIT)->wire);
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	world_destroy(w);
}

static void relays_over_the_limit_of_memory_are_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.bytes_max = 250;
	world_open(w);
	script(w, "{\"default\":{\"delay_ms\":100}}");
	for (int i = 0; i < 5; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 5));
	assert_int_equal(w->relays[0].leaf.kind, LEAF_ANSWER);
	assert_refused(&w->relays[4], ERR_OVERLOAD);
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relays_over_the_limit_in_flight_are_refused),
		cmocka_unit_test(more_than_64_refusals_of_a_turn_are_error_frames),
		cmocka_unit_test(refusals_beyond_what_a_node_signs_are_said_and_then_end_the_link),
		cmocka_unit_test(refused_sessions_count_as_refusals_too),
		cmocka_unit_test(sessions_over_the_limit_are_refused),
		cmocka_unit_test(relays_over_the_limit_of_memory_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
