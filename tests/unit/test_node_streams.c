/* SPDX-License-Identifier: Apache-2.0
 * Long answers of a node: parts, the room that a gateway gives for them, and how they end. */
#include "tests/unit/unit.h"

#include "tests/unit/node_world.h"

#define NODE_PART 65536 /* [R8] */

static const struct outcome *ask_method(struct world *w, const char *method)
{
	CLEANUP(xfree)
	char *body =
		xasprintf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":[]}", method);

	return ask_as(w, method, body);
}

/* [R8] */
static void an_answer_over_64_KiB_is_a_stream_of_parts(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const size_t sizes[] = {65536, 65537, 200000, 2000000};

	world_open(w);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* the envelope around the result has 36 bytes */
		size_t inner = sizes[i] - 36, parts = (sizes[i] + 65535) / 65536;
		char text[64];
		const struct outcome *o;

		snprintf(text, sizeof(text), "{\"default\":{\"size\":%zu}}", inner);
		script(w, text);
		o = ask(w, BALANCE);
		assert_int_equal(o->body.n, sizes[i]);
		assert_int_equal(o->leaves, parts);
		assert_int_equal(o->leaf.kind, parts > 1 ? LEAF_PART : LEAF_ANSWER);
		for (size_t k = 34; k < sizes[i] - 2; k++)
			assert_int_equal(o->body.p[k], 'x');
	}
	world_destroy(w);
}

/* Turns the loop until so many bytes of parts have come. */
static void run_until_parts(struct world *w, size_t bytes)
{
	usec_t end = clock_now_us() + PATIENCE_US;

	while (w->part_bytes < bytes && !w->down && clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_true(w->part_bytes >= bytes);
}

static void run_for(struct world *w, usec_t us)
{
	usec_t end = clock_now_us() + us;

	while (clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
}

/* [F10] */
static void a_stream_stops_where_its_room_ends_and_goes_on_with_more(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct inbound_relay *sent = &w->relays[0].sent;

	w->no_credit = true;
	world_open(w);
	script(w, "{\"default\":{\"size\":1999964}}"); /* 2,000,000 with its envelope */
	send_relay(w, BALANCE, PATIENT_MS);
	run_until_parts(w, FRAME_CREDIT_FIRST);
	run_for(w, 100000);
	assert_int_equal(w->part_bytes, FRAME_CREDIT_FIRST);
	assert_int_equal(w->relays[0].leaves, 4);
	grant(w, sent, NODE_PART - 1); /* less than a part: nothing goes */
	run_for(w, 50000);
	assert_int_equal(w->relays[0].leaves, 4);
	grant(w, sent, NODE_PART + 1);
	run_until_parts(w, 6 * NODE_PART);
	run_for(w, 50000);
	assert_int_equal(w->relays[0].leaves, 6);
	grant(w, sent, UINT32_MAX);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].body.n, 2000000);
	assert_int_equal(w->relays[0].leaf.flags, LEAF_LAST);
	world_destroy(w);
}

/* [R9] [F13] */
static void a_stream_without_room_ends_by_name(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->no_credit = true;
	w->params.credit_timeout_us = 300000;
	world_open(w);
	script(w, "{\"queue\":[{\"size\":3000000}]}");
	send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].error, err_info(ERR_STALLED)->wire);
	assert_int_equal(w->relays[0].leaves, 4);
	assert_int_equal(w->relays[0].leaf.flags, 0);
	while (faultnode_stats(w->backend)->open > 0)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	assert_int_equal(w->head.size, 5);
	world_destroy(w);
}

/* [R10] [F13]: what has no end that is known to be good has no last part. */
static void a_stream_that_turns_out_bad_has_no_last_part(void **state)
{
	static const struct {
		const char *script;
		enum err_code why;
	} cases[] = {
		{"{\"queue\":[{\"size\":900000,\"cut\":\"half\"}]}", ERR_UPSTREAM},
		{"{\"queue\":[{\"size\":900000,\"chunked\":true,\"cut\":\"half\"}]}", ERR_UPSTREAM},
		{"{\"queue\":[{\"size\":900000,\"after\":\"}\"}]}", ERR_UPSTREAM},
		{"{\"queue\":[{\"size\":900000,\"drip_bytes\":600000,\"drip_ms\":60000}]}",
		 ERR_STALLED},
		{"{\"queue\":[{\"size\":2000000,\"chunked\":true}]}", ERR_UPSTREAM_TOO_LARGE},
	};
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.upstream.body_max = 1000000;
	w->params.upstream.stall_us = 800000;
	world_open(w);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct outcome *o;

		script(w, cases[i].script);
		o = ask(w, BALANCE);
		assert_int_equal(o->error, err_info(cases[i].why)->wire);
		assert_true(o->leaves > 0 && o->body.n < 1000000);
		assert_int_equal(o->leaf.kind, LEAF_PART);
		assert_int_equal(o->leaf.flags & LEAF_LAST, 0);
		assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	}
	world_destroy(w);
}

/* [E5]: an id that is wrong where it can be seen is a refusal, one that comes last no last part. */
static void an_id_that_comes_last_is_looked_at_too(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	script(w, "{\"queue\":[{\"size\":300000,\"id_last\":true},{\"size\":300000,\"id\":7},"
		  "{\"size\":300000,\"id\":7,\"id_last\":true}]}");
	o = ask(w, BALANCE);
	assert_int_equal(o->leaf.flags, LEAF_LAST);
	assert_int_equal(o->body.n, 300036);
	assert_refused(ask(w, BALANCE), ERR_UPSTREAM);
	o = ask(w, BALANCE);
	assert_int_equal(o->error, err_info(ERR_UPSTREAM)->wire);
	assert_int_equal(o->leaf.flags & LEAF_LAST, 0);
	world_destroy(w);
}

/* [F10] [R9] */
static void a_cancelled_stream_ends_and_its_backend_is_let_go(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->no_credit = true;
	world_open(w);
	script(w, "{\"queue\":[{\"size\":9000000}]}");
	send_relay(w, BALANCE, PATIENT_MS);
	run_until_parts(w, FRAME_CREDIT_FIRST);
	frame_put_cancel(link_out(w->link), 1);
	link_sent(w->link);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].error, err_info(ERR_CANCELLED)->wire);
	assert_int_equal(w->relays[0].leaves, 4);
	while (faultnode_stats(w->backend)->open > 0)
		event_base_loop(w->base, EVLOOP_ONCE);
	world_destroy(w);
}

/* [F7]: a turn is bounded with streams too, and what is small does not queue behind megabytes. */
static void small_answers_do_not_queue_behind_streams(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	size_t before, behind = 0;

	world_open(w);
	script(w, "{\"methods\":{\"eth_getBalance\":{\"size\":6000000}},\"default\":{}}");
	for (int i = 0; i < 8; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	run_until_parts(w, 8 * NODE_PART);
	w->no_credit = true; /* from now on all room is there */
	for (int i = 0; i < 8; i++)
		grant(w, &w->relays[i].sent, UINT32_MAX);
	for (int i = 0; i < 20 && w->part_bytes < 40000000; i++) {
		before = w->part_bytes;
		assert_int_equal(ask_method(w, "eth_chainId")->leaf.kind, LEAF_ANSWER);
		behind = MAX(behind, w->part_bytes - before);
	}
	assert_int_equal(w->beside, 1);
	/* What the sockets hold, and a turn or two; 48 MB were ready to go. */
	print_message("# %zu bytes ahead of a small answer at most\n", behind);
	assert_true(behind < 16000000);
	assert_true(run_until_done(w, w->sent));
	for (int i = 0; i < 8; i++)
		assert_int_equal(w->relays[i].body.n, 6000036);
	assert_true(w->frame_max <= FRAME_BATCH_BYTES_MAX + 1024);
	world_destroy(w);
}

/* Streams of one link have the same share of it. */
static void streams_take_turns(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	uint32_t least = UINT32_MAX, most = 0;

	world_open(w);
	script(w, "{\"default\":{\"size\":6000000}}");
	for (int i = 0; i < 8; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	run_until_parts(w, 16000000);
	for (int i = 0; i < 8; i++) {
		least = MIN(least, w->relays[i].leaves);
		most = MAX(most, w->relays[i].leaves);
	}
	assert_true(least > 0 && most < 4 * least);
	assert_true(run_until_done(w, 8));
	world_destroy(w);
}

/* [R8]: part 0 is in time or the relay is refused; the rest may take longer. */
static void a_deadline_is_one_until_part_0(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	script(w, "{\"default\":{\"size\":600000,\"drip_bytes\":100000,\"drip_ms\":400}}");
	send_relay(w, BALANCE, 1500);
	assert_true(run_until_done(w, 1));
	assert_int_equal(w->relays[0].body.n, 600036);
	script(w, "{\"default\":{\"size\":600000,\"drip_bytes\":50000,\"drip_ms\":4000}}");
	send_relay(w, BALANCE, 1500);
	assert_true(run_until_done(w, 2));
	assert_refused(&w->relays[1], ERR_DEADLINE);
	world_destroy(w);
}

static void an_answer_over_the_limit_is_refused_by_name(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.upstream.body_max = 100000;
	world_open(w);
	script(w, "{\"default\":{\"size\":200000}}");
	assert_refused(ask(w, BALANCE), ERR_UPSTREAM_TOO_LARGE);
	world_destroy(w);
}

static void a_gateway_that_reads_slowly_gets_all_and_keeps_its_link(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.listener.link.out_max = 2 << 20;
	world_open(w);
	script(w, "{\"default\":{\"size\":500000}}");
	for (int i = 0; i < 30; i++) /* 15 MB: more than out_max and the sockets' buffers */
		send_relay(w, BALANCE, PATIENT_MS);
	while (faultnode_stats(w->backend)->requests < 30 && !w->down)
		event_base_loop(w->base, EVLOOP_ONCE);
	usleep(100000); /* the node goes on alone */
	assert_true(run_until_done(w, 30));
	assert_false(w->down);
	assert_int_equal(w->relays[29].body.n, 500036);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_over_64_KiB_is_a_stream_of_parts),
		cmocka_unit_test(a_stream_stops_where_its_room_ends_and_goes_on_with_more),
		cmocka_unit_test(a_stream_without_room_ends_by_name),
		cmocka_unit_test(a_stream_that_turns_out_bad_has_no_last_part),
		cmocka_unit_test(an_id_that_comes_last_is_looked_at_too),
		cmocka_unit_test(a_cancelled_stream_ends_and_its_backend_is_let_go),
		cmocka_unit_test(small_answers_do_not_queue_behind_streams),
		cmocka_unit_test(streams_take_turns),
		cmocka_unit_test(a_deadline_is_one_until_part_0),
		cmocka_unit_test(an_answer_over_the_limit_is_refused_by_name),
		cmocka_unit_test(a_gateway_that_reads_slowly_gets_all_and_keeps_its_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
