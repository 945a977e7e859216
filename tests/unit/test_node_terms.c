/* SPDX-License-Identifier: Apache-2.0
 * The terms of a node: who may come, for which session, and what it must pay and cosign. */
#include "tests/unit/unit.h"

#include "tests/unit/node_world.h"

static void cosign(struct world *w)
{
	struct checkpoint_origin origin = {.network = w->self.network,
					   .gateway = w->self.id,
					   .supplier = *relay_key_public(w->net->supplier),
					   .lane = w->lane_id};
	CLEANUP(buf_finish) struct buf message = {0};
	struct frame_cosign out = {.lane = w->lane_id, .size = w->head.size, .root = w->head.root};
	uint8_t text[CHECKPOINT_TEXT_MAX];
	struct checkpoint_lane lane;
	size_t n;

	checkpoint_lane_init(&lane, &origin);
	n = checkpoint_text(&lane, w->head.size, &w->head.root, text);
	out.time_s = (uint64_t)clock_wall_ms() / 1000;
	note_put_cosigned(&message, out.time_s, VIEW(text, n));
	sign_bytes(w->net->gateway, message.p, message.n, &out.signature);
	frame_put_cosign(link_out(w->link), &out);
	link_sent(w->link);
	link_flush(w->link);
}

/* [P5] */
static void an_unpaid_gateway_is_refused_until_it_cosigns(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	uint32_t max = method_table_cu_max(chain_table(chain_find("evm")));
	int served = 0;

	w->params.max_unpaid_cu = 1000; /* a new gateway gets the dearest method's CU */
	world_open(w);
	while (ask(w, BALANCE)->leaf.kind == LEAF_ANSWER)
		served++;
	assert_int_equal(served, max / BALANCE_CU);
	assert_refused(&w->relays[w->sent - 1], ERR_UNPAID);
	cosign(w);
	for (int i = 0; i < 300 && w->relays[w->sent - 1].leaf.kind != LEAF_ANSWER; i++) {
		usleep(100000); /* the cosignature is on its way to disk */
		ask(w, BALANCE);
	}
	assert_int_equal(w->relays[w->sent - 1].leaf.kind, LEAF_ANSWER);
	world_destroy(w);
}

/* [P4] */
static void a_relay_over_the_allowance_is_refused(void **state)
{
	struct network_params params = NETWORK_PARAMS_DEFAULT;
	struct world *w;

	params.price = 10;
	params.budget = (u128)session_params_default.session_suppliers * 10 * (5 * BALANCE_CU + 1);
	w = world_create(&params);
	world_open(w);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_refused(ask(w, BALANCE), ERR_ALLOWANCE);
	cosign(w); /* payment does not raise it */
	usleep(50000);
	assert_refused(ask(w, BALANCE), ERR_ALLOWANCE);
	world_destroy(w);
}

static void a_gateway_that_never_cosigns_loses_its_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.heads_max = 5;
	world_open(w);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_false(w->down);
	send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_UNPAID);
	world_destroy(w);
}

/* [F5] */
static void sessions_that_do_not_hold_are_refused_by_name(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_start(w);
	dial(w);
	assert_true(run_until(w, &w->up));
	w->session->method_table.b[0] ^= 1;
	open_session(w);
	assert_true(run_until(w, &w->session_refused));
	w->session_refused = false;
	assert_int_equal(w->session_error, err_info(ERR_TABLE)->wire);
	w->session->method_table.b[0] ^= 1;
	w->session->id.b[0] ^= 1;
	open_session(w);
	assert_true(run_until(w, &w->session_refused));
	w->session_refused = false;
	assert_int_equal(w->session_error, err_info(ERR_NO_SESSION)->wire);
	w->session->id.b[0] ^= 1;
	send_relay(w, BALANCE, 1000);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].error, err_info(ERR_NO_SESSION)->wire);
	world_destroy(w);
}

/* [S10] */
static void a_session_of_another_time_is_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const height_t start = w->session->start;
	const height_t starts[] = {start + 120, start + 7, 0, UINT64_MAX - 3};

	world_start(w);
	dial(w);
	assert_true(run_until(w, &w->up));
	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		w->session->start = starts[i];
		w->session_refused = false;
		open_session(w);
		assert_true(run_until(w, &w->session_refused));
		assert_int_equal(w->session_error,
				 err_info(i == 0 ? ERR_SESSION_OVER : ERR_NO_SESSION)->wire);
	}
	world_destroy(w);
}

static void a_gateway_without_a_grant_may_not_come(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_start(w);
	relay_key_destroy(w->net->gateway);
	w->net->gateway = relay_key_generate(KEY_ROLE_GATEWAY);
	w->self.key = w->net->gateway;
	w->self.id = *relay_key_public(w->net->gateway);
	dial(w);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_GRANT);
	world_destroy(w);
}

static void a_relay_number_that_does_not_grow_closes_the_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct frame_relay relay = {.session = HANDLE, .deadline_ms = 1000};

	world_open(w);
	ask(w, BALANCE);
	relay.request = w->relays[0].sent.request;
	frame_put_relay(link_out(w->link), 1, &relay);
	link_sent(w->link);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_PROTOCOL);
	world_destroy(w);
}

/* [F8] */
static void a_cosignature_that_is_wrong_closes_the_link(void **state)
{
	struct world *w;

	for (int fault = 0; fault < 3; fault++) {
		w = world_create(&NETWORK_PARAMS_DEFAULT);
		world_open(w);
		ask(w, BALANCE);
		if (fault == 0)
			w->head.root.b[5] ^= 1; /* another root */
		else if (fault == 1)
			w->head.size = 7; /* a head that was not sent */
		else
			w->self.network.b[0] ^= 1; /* a signature over something else */
		cosign(w);
		assert_true(run_until(w, &w->down));
		assert_int_equal(w->why.code, ERR_PROTOCOL);
		world_destroy(w);
	}
}

/* [T2] */
static void a_full_lane_is_followed_by_another_and_cosigned_to_its_end(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct checkpoint old_head;
	struct lane_id old_lane;

	w->params.lane_leaves = 10;
	world_open(w);
	for (int i = 0; i < 10; i++)
		ask(w, BALANCE);
	assert_int_equal(w->lanes, 1);
	old_lane = w->lane_id;
	old_head = w->head;
	for (int i = 0; i < 15; i++)
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_int_equal(w->lanes, 3);
	w->lane_id = old_lane;
	w->head = old_head;
	cosign(w);
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_false(w->down);
	world_destroy(w);
}

static void lanes_that_are_never_cosigned_to_their_end_close_the_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.lane_leaves = 2;
	w->params.lanes_max = 2;
	world_open(w);
	for (int i = 0; i < 6; i++)
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_int_equal(w->lanes, 3);
	send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until(w, &w->down));
	assert_int_equal(w->why.code, ERR_LIMIT);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unpaid_gateway_is_refused_until_it_cosigns),
		cmocka_unit_test(a_relay_over_the_allowance_is_refused),
		cmocka_unit_test(a_gateway_that_never_cosigns_loses_its_link),
		cmocka_unit_test(sessions_that_do_not_hold_are_refused_by_name),
		cmocka_unit_test(a_session_of_another_time_is_refused),
		cmocka_unit_test(a_gateway_without_a_grant_may_not_come),
		cmocka_unit_test(a_relay_number_that_does_not_grow_closes_the_link),
		cmocka_unit_test(a_cosignature_that_is_wrong_closes_the_link),
		cmocka_unit_test(a_full_lane_is_followed_by_another_and_cosigned_to_its_end),
		cmocka_unit_test(lanes_that_are_never_cosigned_to_their_end_close_the_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
