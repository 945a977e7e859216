/* SPDX-License-Identifier: Apache-2.0
 * Long answers of backends: their pieces, pauses and ends. */
#include "tests/unit/unit.h"

#include "tests/unit/upstream_world.h"

static bool on_data(void *arg, struct view data, struct err *err)
{
	struct world *w = arg;

	if (w->pieces++ == 0)
		w->first_piece = data.n;
	for (size_t i = 0; i < data.n; i++)
		w->all_x &= w->streamed + i < 34 || data.p[i] == 'x' || data.p[i] == '"' ||
			    data.p[i] == '}';
	w->streamed += data.n;
	if (w->pause_after > 0 && w->streamed >= w->pause_after)
		upstream_pause(w->call);
	if (w->unfit_after > 0 && w->streamed >= w->unfit_after)
		return err_set(err, ERR_UPSTREAM, "not what was asked for");
	return true;
}

/* The same, with what is longer than 64 KiB in pieces. */
static void start_long(struct world *w, usec_t timeout_us)
{
	struct upstream_request request = {
		.body = VIEW_STR(CALL),
		.headroom = HEADROOM,
		.idempotent = true,
		.whole_max = 65536,
		.data = on_data,
		.check = check,
		.done = on_done,
		.arg = w,
	};

	clock_tick();
	w->pieces = w->streamed = 0;
	w->all_x = true;
	request.deadline_us = clock_mono_us() + timeout_us;
	w->waiting++;
	w->call = upstream_fetch(w->pool, &request);
}

static bool ask_long(struct world *w)
{
	start_long(w, PATIENCE_US);
	event_base_dispatch(w->base);
	return w->ok;
}

/* Turns the loop for so long, or until nothing waits. */
static void turn_for(struct world *w, usec_t us)
{
	usec_t end = clock_now_us() + us;

	while (w->waiting && clock_now_us() < end)
		event_base_loop(w->base, EVLOOP_ONCE);
}

static void an_answer_of_the_length_that_is_given_whole_is_given_whole(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"size\":65500}}"); /* 36 bytes around it */
	assert_true(ask_long(w));
	assert_int_equal(w->pieces, 0);
	assert_false(w->result.streamed);
	assert_int_equal(w->result.body.n, HEADROOM + 65536);
	script(w, 0, "{\"default\":{\"size\":65501}}");
	assert_true(ask_long(w));
	assert_true(w->pieces > 0 && w->first_piece > 65536);
	assert_true(w->result.streamed);
	assert_int_equal(w->result.body.n, 0);
	assert_int_equal(w->streamed, 65537);
	world_destroy(w);
}

static void a_long_answer_comes_in_pieces_that_join_to_it(void **state)
{
	static const char *const scripts[] = {
		"{\"default\":{\"size\":5000000}}",
		"{\"default\":{\"size\":5000000,\"chunked\":true}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		struct world *w = world_create(NULL);

		script(w, 0, scripts[i]);
		assert_true(ask_long(w));
		assert_true(w->result.streamed && w->all_x);
		assert_int_equal(w->streamed, 5000036);
		assert_true(w->first_piece < 200000);
		script(w, 0, "{}");
		assert_true(ask_long(w)); /* on the same connection */
		assert_int_equal(w->result.body.n, HEADROOM + strlen(ANSWER));
		assert_int_equal(faultnode_stats(w->node[0])->connections, 1);
		world_destroy(w);
	}
}

static void a_paused_answer_is_read_no_further_until_it_goes_on(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;
	size_t held;

	limits.body_max = 64 << 20;
	limits.stall_us = 1500000; /* rests while it is paused */
	w = world_create(&limits);
	script(w, 0, "{\"default\":{\"size\":30000000}}");
	w->pause_after = 200000;
	start_long(w, PATIENCE_US);
	while (w->waiting && w->streamed < w->pause_after)
		event_base_loop(w->base, EVLOOP_ONCE);
	turn_for(w, 20000);
	held = w->streamed;
	assert_true(held < 400000);
	turn_for(w, 1800000);
	assert_int_equal(w->streamed, held);
	assert_int_equal(w->done, 0);
	w->pause_after = 0;
	clock_tick();
	upstream_resume(w->call);
	assert_int_equal(w->streamed, held);
	event_base_dispatch(w->base);
	assert_true(w->ok && w->all_x);
	assert_int_equal(w->streamed, 30000036);
	world_destroy(w);
}

static void a_call_that_is_paused_with_its_last_bytes_ends_all_the_same(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"size\":100000}}");
	w->pause_after = 100036;
	assert_true(ask_long(w));
	w->pause_after = 0;
	assert_true(ask_long(w));
	assert_int_equal(w->streamed, 100036);
	world_destroy(w);
}

static void a_paused_call_may_be_cancelled(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"size\":9000000}}");
	for (int i = 0; i < 2; i++) {
		w->pause_after = 70000;
		start_long(w, PATIENCE_US);
		while (w->waiting && w->streamed < w->pause_after)
			event_base_loop(w->base, EVLOOP_ONCE);
		if (i == 1) { /* on its way to go on */
			turn_for(w, 20000);
			clock_tick();
			upstream_resume(w->call);
		}
		upstream_cancel(w->call);
		w->waiting--;
	}
	assert_int_equal(upstream_pool_in_flight(w->pool), 0);
	while (faultnode_stats(w->node[0])->open > 0) /* the backend's work is over too */
		event_base_loop(w->base, EVLOOP_ONCE);
	world_destroy(w);
}

static void a_stream_that_breaks_off_is_not_asked_for_elsewhere(void **state)
{
	static const char *const faults[] = {
		"{\"default\":{\"size\":300000,\"cut\":\"half\"}}",
		"{\"default\":{\"size\":300000,\"chunked\":true,\"cut\":\"half\"}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct world *w = world_create(NULL);

		script(w, 0, faults[i]);
		assert_false(ask_long(w));
		assert_int_equal(w->err.code, ERR_UPSTREAM);
		assert_true(w->streamed > 65536);
		assert_int_equal(requests(w, 1), 0);
		world_destroy(w);
	}
}

static void a_stream_that_is_not_fit_ends_with_the_reason(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"size\":9000000}}");
	w->unfit_after = 200000;
	assert_false(ask_long(w));
	assert_string_equal(w->err.msg, "not what was asked for");
	assert_true(w->streamed < 400000);
	w->unfit_after = 0;
	w->refuse = 1; /* at its end */
	assert_false(ask_long(w));
	assert_int_equal(w->streamed, 9000036);
	assert_string_equal(w->err.msg, "not what was asked for");
	assert_int_equal(requests(w, 1), 0);
	world_destroy(w);
}

static void a_stream_that_stands_still_ends_by_name(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;
	usec_t begun = clock_now_us();

	limits.stall_us = 300000;
	w = world_create(&limits);
	script(w, 0, "{\"default\":{\"size\":200000,\"drip_bytes\":100000,\"drip_ms\":30000}}");
	assert_false(ask_long(w));
	assert_int_equal(w->err.code, ERR_STALLED);
	assert_in_range(clock_now_us() - begun, 290000, 25000000);
	world_destroy(w);
}

static void a_stream_that_moves_may_take_longer_than_the_deadline(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"size\":1000000,\"drip_bytes\":100000,\"drip_ms\":250}}");
	start_long(w, 1500000);
	event_base_dispatch(w->base);
	assert_true(w->ok);
	assert_int_equal(w->streamed, 1000036);
	world_destroy(w);
}

static void a_long_page_that_says_busy_is_followed_by_the_next_url(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"status\":503,\"size\":300000}}");
	assert_true(ask_long(w));
	assert_int_equal(w->pieces, 0);
	assert_int_equal(w->result.url_index, 1);
	world_destroy(w);
}

static void a_stream_over_the_limit_ends_by_name(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;

	limits.body_max = 200000;
	w = world_create(&limits);
	script(w, 0, "{\"default\":{\"size\":300000}}");
	assert_false(ask_long(w));
	assert_int_equal(w->err.code, ERR_UPSTREAM_TOO_LARGE);
	assert_int_equal(w->pieces, 0); /* its length was told ahead */
	script(w, 0, "{\"default\":{\"size\":300000,\"chunked\":true}}");
	assert_false(ask_long(w));
	assert_int_equal(w->err.code, ERR_UPSTREAM_TOO_LARGE);
	assert_true(w->streamed <= 200000);
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(an_answer_of_the_length_that_is_given_whole_is_given_whole),
		BOTH(a_long_answer_comes_in_pieces_that_join_to_it),
		BOTH(a_paused_answer_is_read_no_further_until_it_goes_on),
		BOTH(a_call_that_is_paused_with_its_last_bytes_ends_all_the_same),
		BOTH(a_paused_call_may_be_cancelled),
		BOTH(a_stream_that_breaks_off_is_not_asked_for_elsewhere),
		BOTH(a_stream_that_is_not_fit_ends_with_the_reason),
		BOTH(a_stream_that_stands_still_ends_by_name),
		BOTH(a_stream_that_moves_may_take_longer_than_the_deadline),
		BOTH(a_long_page_that_says_busy_is_followed_by_the_next_url),
		BOTH(a_stream_over_the_limit_ends_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
