/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/upstream/upstream.h"
#include "tests/support/faultnode.h"

#define CALL "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\",\"params\":[7]}"
#define ANSWER "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x1\"}"
#define HEADROOM 28

/* A loop with two backends, and a pool that prefers the first. */
struct world {
	struct event_base *base;
	struct upstream *up;
	struct upstream_pool *pool;
	struct faultnode *node[2];
	struct event *ticker;
	/* the last outcome */
	int done, waiting;
	struct upstream_result result;
	struct err err;
	bool ok;
	bool is_json;		 /* by its content type */
	int refuse;		 /* answers that the check refuses */
	const char *refuse_text; /* and those with this body */
	/* of a long answer */
	struct upstream_call *call;
	size_t pieces, streamed, first_piece;
	bool all_x;	    /* its bytes were as scripted */
	size_t pause_after; /* bytes; 0: never */
	size_t unfit_after; /* bytes; 0: never */
};

static void on_done(void *arg, struct upstream_result *result, const struct err *err)
{
	struct world *w = arg;

	w->done++;
	w->ok = result != NULL;
	buf_finish(&w->result.body);
	if (result) {
		w->is_json = view_eq(result->content_type, VIEW_STR("application/json"));
		w->result = *result;
		result->body = (struct buf){0};
	} else {
		w->err = *err;
	}
	if (--w->waiting == 0)
		event_base_loopbreak(w->base);
}

static bool check(void *arg, const struct upstream_result *result, struct err *err)
{
	struct world *w = arg;

	if (w->refuse > 0) {
		w->refuse--;
		return err_set(err, ERR_UPSTREAM, "not what was asked for");
	}
	return !w->refuse_text ||
	       !view_eq(VIEW(result->body.p + HEADROOM, result->body.n - HEADROOM),
			VIEW_STR(w->refuse_text)) ||
	       err_set(err, ERR_UPSTREAM, "refused by its text");
}

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

/* The programs tick once a turn; so does this. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	clock_tick();
}

#define PATIENCE_US 60000000 /* a deadline that only what hangs meets */

static bool libcurl_only; /* which transport is under test */

static struct world *world_create(const struct upstream_limits *given)
{
	struct upstream_limits limits = given ? *given : UPSTREAM_LIMITS_DEFAULT;
	struct world *w = calloc(1, sizeof(*w));
	struct timeval ms = {0, 1000};
	char url[2][64];
	const char *urls[2] = {url[0], url[1]};
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	w->base = event_base_new();
	w->ticker = event_new(w->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(w->ticker, &ms);
	for (int i = 0; i < 2; i++) {
		assert_ok(faultnode_create(w->base, 0, &w->node[i], &err), err);
		snprintf(url[i], sizeof(url[i]), "http://127.0.0.1:%u/",
			 faultnode_port(w->node[i]));
	}
	assert_ok(upstream_create(w->base, &w->up, &err), err);
	limits.libcurl_only = libcurl_only;
	assert_ok(upstream_pool_create(w->up, "eth", urls, 2, &limits, &w->pool, &err), err);
	return w;
}

static void world_destroy(struct world *w)
{
	upstream_pool_destroy(w->pool);
	upstream_destroy(w->up);
	for (int i = 0; i < 2; i++)
		faultnode_destroy(w->node[i]);
	event_free(w->ticker);
	event_base_free(w->base);
	buf_finish(&w->result.body);
	free(w);
}

static void script(struct world *w, int node, const char *json)
{
	struct err err;

	assert_ok(faultnode_script(w->node[node], json, &err), err);
}

static struct upstream_call *start(struct world *w, bool idempotent, usec_t timeout_us)
{
	struct upstream_request request = {
		.body = VIEW_STR(CALL),
		.headroom = HEADROOM,
		.idempotent = idempotent,
		.check = check,
		.done = on_done,
		.arg = w,
	};

	clock_tick();
	request.deadline_us = clock_mono_us() + timeout_us;
	w->waiting++;
	return upstream_fetch(w->pool, &request);
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

/* One request to its end; true: it was answered. */
static bool ask(struct world *w, bool idempotent)
{
	start(w, idempotent, PATIENCE_US);
	event_base_dispatch(w->base);
	return w->ok;
}

static void run_for(struct world *w, usec_t us)
{
	struct timeval tv = {us / 1000000, us % 1000000};

	event_base_loopexit(w->base, &tv);
	event_base_dispatch(w->base);
}

static unsigned requests(struct world *w, int node)
{
	return faultnode_stats(w->node[node])->requests;
}

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

/* --- the breaker, with its requests counted at the backend --- */

static void a_backend_that_fails_rests_and_comes_back_by_trials(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;

	limits.breaker.failures_max = 3;
	limits.breaker.open_us = 600000;
	limits.breaker.trials = 2;
	w = world_create(&limits);
	script(w, 0, "{\"default\":{\"status\":500,\"body\":\"no\"},\"queue\":[]}");
	w->refuse_text = "no";
	for (int i = 0; i < 6; i++)
		assert_true(ask(w, true));
	assert_int_equal(requests(w, 0), 3);
	assert_int_equal(requests(w, 1), 6);
	usleep(610000);
	assert_true(ask(w, true)); /* one trial fails: twice as long */
	assert_true(ask(w, true));
	assert_int_equal(requests(w, 0), 4);
	script(w, 0, "{}");
	usleep(1210000);
	for (int i = 0; i < 5; i++) {
		assert_true(ask(w, true));
		assert_int_equal(w->result.url_index, 0);
	}
	world_destroy(w);
}

static void on_trial_a_backend_gets_a_few_requests_and_the_rest_wait(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;

	limits.breaker.failures_max = 1;
	limits.breaker.open_us = 400000;
	limits.breaker.trials = 2;
	w = world_create(&limits);
	faultnode_destroy(w->node[1]);
	w->node[1] = NULL;
	script(w, 0, "{\"queue\":[{\"cut\":\"before\"}],\"default\":{\"delay_ms\":400}}");
	assert_false(ask(w, true));
	assert_false(ask(w, true)); /* both rest */
	assert_int_equal(w->err.code, ERR_NO_BACKEND);
	assert_int_equal(requests(w, 0), 1);
	assert_false(upstream_pool_is_up(w->pool));
	usleep(410000);
	for (int i = 0; i < 10; i++)
		start(w, true, PATIENCE_US);
	run_for(w, 100000);
	assert_int_equal(requests(w, 0), 3);
	assert_int_equal(faultnode_stats(w->node[0])->most, 2);
	event_base_dispatch(w->base);
	assert_int_equal(w->done, 12);
	assert_true(w->ok);
	assert_int_equal(requests(w, 0), 11);
	world_destroy(w);
}

static void a_backend_that_says_when_to_come_back_is_left_alone_till_then(void **state)
{
	static const char *const later[] = {
		"{\"default\":{\"status\":429,\"headers\":{\"Retry-After\":\"1\"}}}",
		"{\"default\":{\"status\":503,\"body\":\"busy\",\"headers\":{\"Retry-After\":\"1\"}"
		"}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
		struct world *w = world_create(NULL);

		script(w, 0, later[i]);
		for (int k = 0; k < 5; k++)
			assert_true(ask(w, true));
		assert_int_equal(w->result.url_index, 1);
		assert_int_equal(requests(w, 0), 1);
		script(w, 0, "{}");
		usleep(1010000);
		assert_true(ask(w, true));
		assert_int_equal(w->result.url_index, 0);
		world_destroy(w);
	}
}

static void an_answer_with_a_bad_status_stands_when_no_better_one_comes(void **state)
{
	struct world *w = world_create(NULL);

	script(w, 0, "{\"default\":{\"status\":500}}");
	script(w, 1, "{\"default\":{\"cut\":\"before\"}}");
	for (int i = 0; i < 3; i++) {
		assert_true(ask(w, true));
		assert_int_equal(w->result.url_index, 0);
		assert_int_equal(w->result.status, 500);
		assert_memory_equal(w->result.body.p + HEADROOM, ANSWER, strlen(ANSWER));
	}
	assert_true(ask(w, false)); /* nor is a write asked for elsewhere */
	assert_int_equal(requests(w, 1), 3);
	world_destroy(w);
}

/* --- room --- */

static void more_than_a_backends_share_goes_to_the_next_or_waits(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;

	limits.requests_max = 2;
	w = world_create(&limits);
	for (int i = 0; i < 2; i++)
		script(w, i, "{\"default\":{\"delay_ms\":200}}");
	for (int i = 0; i < 6; i++)
		start(w, i % 2 == 0, PATIENCE_US);
	while (requests(w, 0) + requests(w, 1) < 4)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_int_equal(upstream_pool_in_flight(w->pool), 6);
	event_base_dispatch(w->base);
	assert_int_equal(w->done, 6);
	assert_true(w->ok);
	assert_int_equal(requests(w, 0) + requests(w, 1), 6);
	for (int i = 0; i < 2; i++)
		assert_int_equal(faultnode_stats(w->node[i])->most, 2);
	world_destroy(w);
}

static void who_finds_no_room_to_wait_or_waits_too_long_is_refused_by_name(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;

	limits.requests_max = 1;
	limits.queue_max = 2;
	w = world_create(&limits);
	for (int i = 0; i < 2; i++)
		script(w, i, "{\"default\":{\"delay_ms\":1000}}");
	for (int i = 0; i < 5; i++)
		start(w, false, i < 2 ? PATIENCE_US : 400000);
	assert_int_equal(w->done, 0); /* never within the call */
	while (w->done < 1)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_int_equal(w->done, 1);
	assert_int_equal(w->err.code, ERR_OVERLOAD);
	w->err.code = ERR_NONE;
	while (w->done < 3)
		event_base_loop(w->base, EVLOOP_ONCE);
	assert_int_equal(w->done, 3);
	assert_int_equal(w->err.code, ERR_OVERLOAD);
	event_base_dispatch(w->base);
	assert_true(w->ok);
	assert_int_equal(requests(w, 0) + requests(w, 1), 2);
	world_destroy(w);
}

static void requests_that_wait_may_be_cancelled(void **state)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct upstream_call *calls[6];
	struct world *w;

	limits.requests_max = 1;
	limits.queue_max = 3;
	w = world_create(&limits);
	for (int i = 0; i < 6; i++)
		calls[i] = start(w, true, PATIENCE_US);
	for (int i = 5; i > 0; i--) { /* one refused, three that wait, one at work */
		upstream_cancel(calls[i]);
		w->waiting--;
	}
	event_base_dispatch(w->base);
	assert_int_equal(w->done, 1);
	assert_true(w->ok);
	assert_int_equal(upstream_pool_in_flight(w->pool), 0);
	world_destroy(w);
}

/* --- probes --- */

static struct world *world_watched(usec_t interval_us, usec_t timeout_us)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct world *w;

	limits.probe_interval_us = interval_us;
	limits.probe_timeout_us = timeout_us;
	limits.breaker.failures_max = 2;
	limits.breaker.open_us = 50000;
	limits.breaker.open_max_us = 50000;
	w = world_create(&limits);
	return w;
}

static void a_watched_backend_gets_nothing_before_its_first_probe(void **state)
{
	struct world *w = world_watched(10000000, PATIENCE_US);

	script(w, 0, "{\"methods\":{\"eth_chainId\":{\"delay_ms\":400}}}");
	script(w, 1, "{\"methods\":{\"eth_chainId\":{\"delay_ms\":400}}}");
	upstream_pool_watch(w->pool, chain_find("evm"));
	start(w, true, PATIENCE_US);
	run_for(w, 25000);
	assert_int_equal(faultnode_last(w->node[0]).n, 0);
	event_base_dispatch(w->base);
	assert_true(w->ok);
	assert_true(view_eq(faultnode_last(w->node[0]), VIEW_STR(CALL)));
	world_destroy(w);
}

static void a_backend_of_another_chain_gets_nothing_until_it_is_of_the_right_one(void **state)
{
	struct world *w = world_watched(30000, PATIENCE_US);

	script(w, 0, "{\"methods\":{\"eth_chainId\":{\"delay_ms\":20,\"result\":\"0x2\"}}}");
	upstream_pool_watch(w->pool, chain_find("evm")); /* the second tells first: 0x1 */
	while (!upstream_pool_is_up(w->pool))
		event_base_loop(w->base, EVLOOP_ONCE);
	run_for(w, 150000);
	assert_true(ask(w, true));
	assert_int_equal(w->result.url_index, 1);
	assert_int_equal(faultnode_last(w->node[0]).n, 0);
	script(w, 1, "{\"default\":{\"cut\":\"before\"}}");
	assert_false(ask(w, true));
	assert_int_equal(faultnode_last(w->node[0]).n, 0);
	script(w, 0, "{}");
	do
		run_for(w, 30000);
	while (!ask(w, true));
	assert_int_equal(w->result.url_index, 0);
	world_destroy(w);
}

static void probes_find_the_dead_before_requests_do(void **state)
{
	struct world *w = world_watched(20000, 100000);

	upstream_pool_watch(w->pool, chain_find("evm"));
	assert_true(ask(w, true));
	script(w, 0, "{\"default\":{\"hang\":true}}");
	run_for(w, 500000);
	for (int i = 0; i < 5; i++) {
		assert_true(ask(w, true));
		assert_int_equal(w->result.url_index, 1);
	}
	script(w, 0,
	       "{\"methods\":{\"eth_chainId\":{\"error\":{\"code\":-32601,\"message\":\"no\"}}}}");
	run_for(w, 500000);
	assert_true(upstream_pool_is_up(w->pool));
	assert_true(ask(w, true)); /* it lives, and does not say which chain it is of */
	assert_int_equal(w->result.url_index, 0);
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

/* A backend in a process of its own, for what waits. */
static pid_t backend_fork(const char *json, char url[64])
{
	uint16_t port = 0;
	int pipes[2];
	pid_t child;

	assert_int_equal(pipe(pipes), 0);
	child = fork();
	if (child == 0) {
		struct event_base *base = event_base_new();
		struct faultnode *node = NULL;
		struct err err;

		if (faultnode_create(base, 0, &node, &err) && faultnode_script(node, json, &err))
			port = faultnode_port(node);
		if (write(pipes[1], &port, sizeof(port)) == sizeof(port))
			event_base_dispatch(base);
		_exit(0);
	}
	assert_int_equal(read(pipes[0], &port, sizeof(port)), sizeof(port));
	close(pipes[0]);
	close(pipes[1]);
	snprintf(url, 64, "http://127.0.0.1:%u", port);
	return child;
}

static void survey_one(const char *url, usec_t timeout_us, struct upstream_survey *ret)
{
	struct err err;

	assert_ok(upstream_survey(&url, 1, chain_find("evm"), NULL, timeout_us, ret, &err), err);
}

#define SAYS(action) "{\"methods\":{\"eth_chainId\":" action "}}"

static void a_survey_tells_what_each_backend_says(void **state)
{
	static const struct {
		const char *script;
		bool answered, has_id;
		uint64_t id;
	} said[] = {
		{SAYS("{\"result\":\"0x7a69\"}"), true, true, 31337},
		{SAYS("{\"result\":\"0x00000000000000000000001\"}"), true, true, 1},
		{SAYS("{\"result\":\"0xffffffffffffffff\"}"), true, true, UINT64_MAX},
		{SAYS("{\"result\":\"0x10000000000000000\"}"), true, false, 0},
		{SAYS("{\"result\":\"0x\"}"), true, false, 0},
		{SAYS("{\"result\":\"0x7g\"}"), true, false, 0},
		{SAYS("{\"result\":7}"), true, false, 0},
		{SAYS("{\"error\":{\"code\":-32601,\"message\":\"no\"}}"), true, false, 0},
		{SAYS("{\"body\":\"no\"}"), false, false, 0},
		{SAYS("{\"id\":2}"), false, false, 0},
		{SAYS("{\"status\":302}"), false, false, 0},
		{SAYS("{\"hang\":true}"), false, false, 0},
	};
	struct upstream_survey found;
	char url[64];

	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		pid_t child = backend_fork(said[i].script, url);

		survey_one(url, 300000, &found);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		assert_int_equal(found.answered, said[i].answered);
		assert_int_equal(found.has_id, said[i].has_id);
		assert_int_equal(found.chain_id, said[i].id);
		assert_false(found.is_foreign);
	}
	survey_one(url, 5000000, &found); /* nobody is there any more */
	assert_false(found.answered);
	assert_err(found.why, ERR_NO_BACKEND);
}

static void a_survey_finds_who_is_of_another_chain(void **state)
{
	char a[64], b[64], c[64];
	pid_t children[3] = {backend_fork("{}", a), backend_fork(SAYS("{\"result\":\"0x2\"}"), b),
			     backend_fork("{}", c)};
	const char *const urls[] = {a, b, c};
	const char *const bad[] = {"mailto:x"};
	struct upstream_survey found[3];
	struct err err;

	assert_ok(upstream_survey(urls, 3, chain_find("evm"), NULL, 5000000, found, &err), err);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(found[i].is_foreign, i == 1);
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	assert_false(upstream_survey(bad, 1, chain_find("evm"), NULL, 5000000, found, &err));
	assert_err(err, ERR_CONFIG);
}

static int by_plain(void **state)
{
	libcurl_only = false;
	return 0;
}

static int by_libcurl(void **state)
{
	libcurl_only = true;
	return 0;
}

/* The same facts of both transports. */
#define BOTH(f)                                                                                    \
	cmocka_unit_test_setup(f, by_plain),                                                       \
	{                                                                                          \
#f "_by_libcurl", f, by_libcurl, NULL, NULL                                        \
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
		BOTH(answers_are_framed_as_http_says),
		BOTH(a_large_request_arrives_whole),
		BOTH(a_redirect_is_not_followed),
		BOTH(a_cancelled_request_has_no_callback),
		BOTH(a_pool_may_be_destroyed_with_requests_in_flight),
		BOTH(a_black_hole_costs_a_read_its_share_of_the_time),
		BOTH(a_backend_that_fails_rests_and_comes_back_by_trials),
		BOTH(on_trial_a_backend_gets_a_few_requests_and_the_rest_wait),
		BOTH(a_backend_that_says_when_to_come_back_is_left_alone_till_then),
		BOTH(an_answer_with_a_bad_status_stands_when_no_better_one_comes),
		BOTH(more_than_a_backends_share_goes_to_the_next_or_waits),
		BOTH(who_finds_no_room_to_wait_or_waits_too_long_is_refused_by_name),
		BOTH(requests_that_wait_may_be_cancelled),
		BOTH(a_watched_backend_gets_nothing_before_its_first_probe),
		BOTH(a_backend_of_another_chain_gets_nothing_until_it_is_of_the_right_one),
		BOTH(probes_find_the_dead_before_requests_do),
		cmocka_unit_test(a_survey_tells_what_each_backend_says),
		cmocka_unit_test(a_survey_finds_who_is_of_another_chain),
		BOTH(urls_that_cannot_be_used_are_named_without_their_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
