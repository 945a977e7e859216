/* SPDX-License-Identifier: Apache-2.0
 * Requests to backends: connections, framing, limits, and the next backend when one fails. */
#include "tests/unit/unit.h"

#include "tests/unit/upstream_world.h"

static void an_answer_comes_with_status_type_and_headroom(void **state)
{
	struct world *w = world_create(NULL);

	assert_true(ask(w, true));
	assert_int_equal(w->result.status, 200);
	assert_true(w->is_json);
	assert_int_equal(w->result.headroom, HEADROOM);
	assert_int_equal(w->result.body.n, HEADROOM + strlen(ANSWER));
	assert_memory_equal(w->result.body.p + HEADROOM, ANSWER, strlen(ANSWER));
	assert_int_equal(w->result.url_index, 0);
	assert_true(w->result.latency_us > 0);
	assert_int_equal(upstream_pool_in_flight(w->pool), 0);
	world_destroy(w);
}

static void the_request_arrives_byte_for_byte(void **state)
{
	struct world *w = world_create(NULL);

	assert_true(ask(w, true));
	assert_true(view_eq(faultnode_last(w->node[0]), VIEW_STR(CALL)));
	world_destroy(w);
}

static void a_connection_is_kept_for_the_next_request(void **state)
{
	struct world *w = world_create(NULL);

	for (int i = 0; i < 20; i++)
		assert_true(ask(w, true));
	assert_int_equal(faultnode_stats(w->node[0])->connections, 1);
	world_destroy(w);
}

/* A write goes over a fresh connection; kept ones would pile up that nobody needs. */
static void connections_of_writes_do_not_pile_up(void **state)
{
	struct world *w = world_create(NULL);

	for (int i = 0; i < 20; i++) {
		assert_true(ask(w, true));
		assert_true(ask(w, false));
	}
	run_for(w, 20000);
	assert_true(faultnode_stats(w->node[0])->open <= 2);
	world_destroy(w);
}

/* The warmest connection is used first, so the coldest show how many are needed. */
static void connections_of_a_burst_are_closed_when_they_are_cold(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;

	limits.idle_us = 50000;
	w = world_create(&limits);
	for (int i = 0; i < 10; i++)
		start(w, true, PATIENCE_US);
	event_base_dispatch(w->base);
	for (int i = 0; i < 10; i++) {
		run_for(w, 10000);
		assert_true(ask(w, true));
	}
	run_for(w, 20000);
	assert_true(faultnode_stats(w->node[0])->open <= 2);
	world_destroy(w);
}

static void requests_of_one_turn_run_side_by_side(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"delay_ms\":50}}");
	for (int i = 0; i < 10; i++)
		start(w, true, PATIENCE_US);
	assert_int_equal(upstream_pool_in_flight(w->pool), 10);
	event_base_dispatch(w->base);
	assert_int_equal(w->done, 10);
	assert_int_equal(faultnode_stats(w->node[0])->most, 10);
	assert_int_equal(faultnode_stats(w->node[0])->connections, 10);
	world_destroy(w);
}

static void no_more_connections_than_the_limit_are_opened(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;

	limits.connections_max = 2;
	w = world_create(&limits);
	script(w, 0, "{\"default\":{\"delay_ms\":5}}");
	for (int i = 0; i < 10; i++)
		start(w, true, PATIENCE_US);
	event_base_dispatch(w->base);
	assert_int_equal(w->done, 10);
	assert_true(w->ok);
	assert_int_equal(faultnode_stats(w->node[0])->connections, 2);
	world_destroy(w);
}

static void a_dead_kept_connection_costs_no_answer(void **state)
{
	struct world *w = world_create(NULL);

	assert_true(ask(w, true));
	faultnode_drop(w->node[0]);
	assert_true(ask(w, true));
	assert_int_equal(requests(w, 1), 0);
	world_destroy(w);
}

static void the_next_url_answers_when_the_first_is_down(void **state)
{
	struct world *w = world_create(NULL);

	faultnode_destroy(w->node[0]);
	w->node[0] = NULL;
	assert_true(ask(w, false));
	assert_int_equal(w->result.url_index, 1);
	assert_true(upstream_pool_is_up(w->pool));
	assert_true(ask(w, false));
	assert_int_equal(requests(w, 1), 2);
	world_destroy(w);
}

static void a_url_that_rested_is_asked_again(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;

	limits.breaker.failures_max = 1;
	limits.breaker.open_us = 500000;
	w = world_create(&limits);
	script(w, 0, "{\"queue\":[{\"cut\":\"before\"}]}");
	assert_true(ask(w, true));
	assert_int_equal(w->result.url_index, 1);
	assert_true(ask(w, true));
	assert_int_equal(w->result.url_index, 1);
	assert_int_equal(requests(w, 0), 1);
	usleep(510000);
	assert_true(ask(w, true));
	assert_int_equal(w->result.url_index, 0);
	world_destroy(w);
}

static void a_write_that_may_have_left_is_not_sent_twice(void **state)
{
	struct world *w = world_create(NULL);

	assert_true(ask(w, true)); /* a kept connection is there */
	script(w, 0, "{\"default\":{\"cut\":\"before\"}}");
	assert_false(ask(w, false));
	assert_int_equal(w->err.code, ERR_UPSTREAM);
	assert_int_equal(requests(w, 0), 2);
	assert_int_equal(requests(w, 1), 0);
	world_destroy(w);
}

static void faults_of_the_first_are_answered_by_the_second(void **state)
{
	static const char *const faults[] = {
		"{\"default\":{\"cut\":\"before\"}}",
		"{\"default\":{\"cut\":\"half\"}}",
		"{\"default\":{\"cut\":\"reset\"}}",
		"{\"default\":{\"cut\":\"half\",\"chunked\":true}}",
		"{\"default\":{\"status\":500}}",
		"{\"default\":{\"status\":503,\"body\":\"<html>\",\"type\":\"text/html\"}}",
		"{\"default\":{\"status\":429}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct world *w = world_create(NULL);

		script(w, 0, faults[i]);
		assert_true(ask(w, true));
		assert_int_equal(w->result.url_index, 1);
		assert_int_equal(w->result.body.n, HEADROOM + strlen(ANSWER));
		world_destroy(w);
	}
}

static void a_refused_answer_is_asked_for_elsewhere_unless_it_is_a_write(void **state)
{
	struct world *w = world_create(NULL);

	w->refuse = 1;
	assert_true(ask(w, true));
	assert_int_equal(w->result.url_index, 1);
	w->refuse = 1;
	assert_false(ask(w, false));
	assert_string_equal(w->err.msg, "not what was asked for");
	w->refuse = 2;
	assert_false(ask(w, true));
	assert_int_equal(w->err.code, ERR_UPSTREAM);
	world_destroy(w);
}

static void a_black_hole_ends_at_the_deadline(void **state)
{
	struct world *w = world_create(NULL);
	usec_t begun = clock_now_us();

	script(w, 0, "{\"default\":{\"hang\":true}}");
	script(w, 1, "{\"default\":{\"hang\":true}}");
	start(w, true, 500000);
	event_base_dispatch(w->base);
	assert_false(w->ok);
	assert_int_equal(w->err.code, ERR_DEADLINE);
	assert_in_range(clock_now_us() - begun, 400000, PATIENCE_US);
	assert_int_equal(requests(w, 1), 1);
	start(w, false, 500000);
	event_base_dispatch(w->base);
	assert_int_equal(w->err.code, ERR_DEADLINE);
	assert_int_equal(requests(w, 1), 1); /* a write is not sent twice */
	world_destroy(w);
}

static void a_black_hole_costs_a_read_its_share_of_the_time(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"hang\":true}}");
	start(w, true, 3000000);
	event_base_dispatch(w->base);
	assert_true(w->ok);
	assert_int_equal(w->result.url_index, 1);
	assert_in_range(w->result.latency_us, 1450000, 2950000);
	world_destroy(w);
}

static void a_slow_drip_ends_at_the_deadline_or_is_read_whole(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"drip_ms\":30,\"drip_bytes\":8}}");
	script(w, 1, "{\"default\":{\"drip_ms\":30,\"drip_bytes\":8}}");
	start(w, true, 100000);
	event_base_dispatch(w->base);
	assert_int_equal(w->err.code, ERR_DEADLINE);
	script(w, 0, "{\"default\":{\"drip_ms\":1,\"drip_bytes\":8}}");
	assert_true(ask(w, true));
	assert_int_equal(w->result.body.n, HEADROOM + strlen(ANSWER));
	world_destroy(w);
}

static void a_body_over_the_limit_is_refused_by_name(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	static const char *const big[] = {
		"{\"default\":{\"size\":100000}}",
		"{\"default\":{\"size\":100000,\"chunked\":true}}",
	};

	limits.body_max = 65536;
	for (int i = 0; i < 2; i++) {
		struct world *w = world_create(&limits);

		script(w, 0, big[i]);
		assert_false(ask(w, true));
		assert_int_equal(w->err.code, ERR_UPSTREAM_TOO_LARGE);
		assert_int_equal(requests(w, 1), 0);
		script(w, 0, "{\"default\":{\"size\":60000}}");
		assert_true(ask(w, true));
		world_destroy(w);
	}
}

static void answers_are_framed_as_http_says(void **state)
{
	static const char *const good[] = {
		"HTTP/1.1 100 Continue\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\nContent-Length: "
		"5\\r\\n\\r\\nhello",
		"HTTP/1.1 200 OK\\r\\n\\r\\nhello\",\"cut\":\"after", /* the end of the connection
								       */
		"HTTP/1.0 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello\",\"cut\":\"after",
		"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 5\\r\\n\\r\\nhello",
		"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhello and more", /* not asked for
										     */
		"HTTP/1.1 200 OK\\r\\nContent-Length: "
		"5\\r\\n\\r\\nhello\",\"drip_ms\":1,\"drip_bytes\":\"1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct world *w = world_create(NULL);
		char text[256];

		snprintf(text, sizeof(text), "{\"queue\":[{\"raw\":\"%s\"}]}", good[i]);
		script(w, 0, text);
		assert_true(ask(w, true));
		assert_int_equal(w->result.url_index, 0);
		assert_int_equal(w->result.body.n, HEADROOM + 5);
		assert_memory_equal(w->result.body.p + HEADROOM, "hello", 5);
		assert_true(ask(w, true)); /* and the next is its own */
		assert_int_equal(w->result.body.n, HEADROOM + strlen(ANSWER));
		world_destroy(w);
	}
}

static void a_large_request_arrives_whole(void **state)
{
	struct world *w = world_create(NULL);
	static char body[3000000];
	struct upstream_request request = {
		.body = VIEW(body, sizeof(body)), .idempotent = true, .done = on_done, .arg = w};

	memset(body, 'q', sizeof(body));
	clock_tick();
	request.deadline_us = clock_mono_us() + PATIENCE_US;
	w->waiting++;
	upstream_fetch(w->pool, &request);
	event_base_dispatch(w->base);
	assert_true(w->ok);
	assert_true(view_eq(faultnode_last(w->node[0]), request.body));
	world_destroy(w);
}

static void a_redirect_is_not_followed(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"status\":302,\"headers\":{\"Location\":\"/x\"}}}");
	script(w, 1, "{\"default\":{\"status\":308,\"headers\":{\"Location\":\"/x\"}}}");
	assert_false(ask(w, true));
	assert_int_equal(w->err.code, ERR_UPSTREAM);
	assert_non_null(strstr(w->err.msg, "redirect"));
	assert_int_equal(requests(w, 0), 1);
	assert_int_equal(requests(w, 1), 1);
	world_destroy(w);
}

static void a_cancelled_request_has_no_callback(void **state)
{
	struct world *w = world_create(NULL);
	struct upstream_call *call;

	script(w, 0, "{\"queue\":[{\"hang\":true}]}");
	call = start(w, true, PATIENCE_US);
	w->waiting--;
	start(w, true, PATIENCE_US);
	event_base_loop(w->base, EVLOOP_ONCE);
	upstream_cancel(call);
	if (w->waiting)
		event_base_dispatch(w->base);
	assert_int_equal(w->done, 1);
	assert_int_equal(upstream_pool_in_flight(w->pool), 0);
	world_destroy(w);
}

static void a_pool_may_be_destroyed_with_requests_in_flight(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"hang\":true}}");
	for (int i = 0; i < 5; i++)
		start(w, true, PATIENCE_US);
	event_base_loop(w->base, EVLOOP_ONCE);
	world_destroy(w);
}

static void urls_that_cannot_be_used_are_named_without_their_secrets(void **state)
{
	static const char *const bad[] = {"ftp://user:secret@h/", "nonsense", "",
					  "file:///etc/passwd"};
	struct world *w = world_create(NULL);
	struct upstream_pool *pool = NULL;
	struct err err;
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_false(upstream_pool_create(w->up, "eth", &bad[i], 1,
						  &UPSTREAM_LIMITS_DEFAULT, &pool, &err));
		assert_err(err, ERR_CONFIG);
		assert_null(strstr(err.msg, "secret"));
	}
	assert_string_equal(
		upstream_url_text("https://user:secret@example.org:8545/v3/key?x=1", text, 64),
		"https://example.org:8545");
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(an_answer_comes_with_status_type_and_headroom),
		BOTH(the_request_arrives_byte_for_byte),
		BOTH(a_connection_is_kept_for_the_next_request),
		BOTH(connections_of_writes_do_not_pile_up),
		cmocka_unit_test_setup(connections_of_a_burst_are_closed_when_they_are_cold,
				       by_plain),
		BOTH(requests_of_one_turn_run_side_by_side),
		BOTH(no_more_connections_than_the_limit_are_opened),
		BOTH(a_dead_kept_connection_costs_no_answer),
		BOTH(the_next_url_answers_when_the_first_is_down),
		BOTH(a_url_that_rested_is_asked_again),
		BOTH(a_write_that_may_have_left_is_not_sent_twice),
		BOTH(faults_of_the_first_are_answered_by_the_second),
		BOTH(a_refused_answer_is_asked_for_elsewhere_unless_it_is_a_write),
		BOTH(a_black_hole_ends_at_the_deadline),
		BOTH(a_slow_drip_ends_at_the_deadline_or_is_read_whole),
		BOTH(a_body_over_the_limit_is_refused_by_name),
		BOTH(answers_are_framed_as_http_says),
		BOTH(a_large_request_arrives_whole),
		BOTH(a_redirect_is_not_followed),
		BOTH(a_cancelled_request_has_no_callback),
		BOTH(a_pool_may_be_destroyed_with_requests_in_flight),
		BOTH(a_black_hole_costs_a_read_its_share_of_the_time),
		BOTH(urls_that_cannot_be_used_are_named_without_their_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
