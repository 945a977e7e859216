/* SPDX-License-Identifier: Apache-2.0
 * Which backend is asked: the breaker with its requests counted at the backend, room, probes. */
#include "tests/unit/unit.h"

#include "tests/unit/upstream_world.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
