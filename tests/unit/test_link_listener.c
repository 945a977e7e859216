/* SPDX-License-Identifier: Apache-2.0
 * A node's door: who is let in, its limits, and several that share an address. */
#include "tests/unit/unit.h"

#include <sys/resource.h>

#include "tests/unit/link_doors.h"

static int connect_to(const struct listener *door)
{
	struct sockaddr_storage *sa;
	struct address at;
	struct err err;
	char text[32];
	int fd;

	snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)listener_port(door));
	assert_true(address_parse_numeric(text, &at, &err));
	sa = &at.sa;
	fd = socket(sa->ss_family, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)sa, at.len), 0);
	return fd;
}

static void run_until_unfinished(struct world *w, unsigned want)
{
	for (int i = 0; i < 3000 && listener_unfinished(w->door[0]) != want; i++)
		pair_run(&w->pair, &(unsigned){0}, 1, 10);
	assert_int_equal(listener_unfinished(w->door[0]), want);
}

static void unfinished_handshakes_are_limited_per_source(void **state)
{
	struct world *w = *state;
	int fd[5];

	w->door_params.unfinished_per_source_max = 3;
	open_door(w, 0, "127.0.0.1:0");
	for (int i = 0; i < 5; i++)
		fd[i] = connect_to(w->door[0]);
	run_until_unfinished(w, 3);
	for (int i = 0; i < 3000 && listener_refused(w->door[0]) < 2; i++)
		pair_run(&w->pair, &(unsigned){0}, 1, 10);
	assert_int_equal(listener_unfinished(w->door[0]), 3);
	assert_int_equal(listener_refused(w->door[0]), 2);
	for (int i = 0; i < 5; i++)
		close(fd[i]);
	run_until_unfinished(w, 0);
	make_pool(w); /* and then an honest one comes in */
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
}

static void run_until_refused(struct world *w, unsigned want)
{
	for (int i = 0; i < 3000 && listener_refused(w->door[0]) < want; i++)
		pair_run(&w->pair, &(unsigned){0}, 1, 10);
	assert_int_equal(listener_refused(w->door[0]), want);
}

/* They come one by one, each is gone before the next: none is unfinished for long. */
static unsigned dial_and_leave(struct world *w, unsigned count)
{
	unsigned in = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t refused = listener_refused(w->door[0]);
		int fd = connect_to(w->door[0]);

		for (int n = 0; n < 3000 && listener_unfinished(w->door[0]) == 0 &&
				listener_refused(w->door[0]) == refused;
		     n++)
			pair_run(&w->pair, &(unsigned){0}, 1, 10);
		in += listener_unfinished(w->door[0]);
		close(fd);
		run_until_unfinished(w, 0);
	}
	return in;
}

static void handshakes_that_begin_within_a_second_are_limited_per_source(void **state)
{
	struct world *w = *state;
	unsigned in = 0, dialled = 0;
	uint64_t begun;

	w->door_params.begun_per_source_max = 3;
	open_door(w, 0, "127.0.0.1:0");
	clock_tick();
	begun = clock_mono_us();
	while (listener_refused(w->door[0]) == 0 && dialled++ < 1000)
		in += dial_and_leave(w, 1);
	clock_tick();
	assert_true(listener_refused(w->door[0]) > 0);
	/* On a slow machine some seconds went by. */
	assert_in_range(in, 3, 3 * (1 + (clock_mono_us() - begun) / 1000000));
	make_pool(w); /* an honest one that is refused comes again, and is in a second later */
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
}

static void handshakes_that_begin_within_a_second_are_limited_in_all(void **state)
{
	struct world *w = *state;
	int fd[6];

	w->door_params.begun_max = 4;
	open_door(w, 0, "127.0.0.1:0");
	for (int i = 0; i < 6; i++) /* they wait for the door, so they come in one turn */
		fd[i] = connect_to(w->door[0]);
	run_until_refused(w, 2);
	assert_int_equal(listener_unfinished(w->door[0]), 4);
	for (int i = 0; i < 6; i++)
		close(fd[i]);
	run_until_unfinished(w, 0);
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
}

static void without_descriptors_the_door_rests_and_opens_again(void **state)
{
	struct world *w = *state;
	struct rlimit old, low;
	int fd[2], spare;

	open_door(w, 0, "127.0.0.1:0");
	fd[0] = connect_to(w->door[0]);
	fd[1] = connect_to(w->door[0]);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	spare = dup(0);
	low = old;
	low.rlim_cur = (rlim_t)spare;
	close(spare);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	pair_run(&w->pair, &(unsigned){0}, 1, 150);
	assert_int_equal(listener_unfinished(w->door[0]), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	run_until_unfinished(w, 2);
	close(fd[0]);
	close(fd[1]);
}

static void links_of_one_key_are_limited(void **state)
{
	struct world *w = *state;
	struct pool *second;

	w->door_params.links_per_key_max = 1;
	open_door(w, 0, "127.0.0.1:0");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
	second = pool_create(w->pair.base, w->pair.tls, &w->pair.gateway.self, &w->pool_params,
			     &w->pair.gateway.cbs, &w->pair.gateway);
	pool_set_wanted(second, w->target, 1);
	assert_true(pair_run(&w->pair, &w->pair.gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(w->pair.gateway.reason, LINK_REASON_PEER_ERROR);
	assert_err(w->pair.gateway.err, ERR_LIMIT);
	assert_int_equal(pool_up_count(w->pool), 1);
	pool_destroy(second);
}

static void a_busy_port_is_named(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	struct listener *door = NULL;

	assert_false(listener_create(w->pair.base, w->pair.tls, &w->pair.node.self, &w->door_params,
				     "unix:/nowhere/at/all", &w->pair.node.cbs, &w->pair.node,
				     &door, &err));
	assert_err(err, ERR_IO);
	assert_non_null(strstr(err.msg, "unix:/nowhere/at/all"));
	assert_null(door);
}

/* --- listeners that share an address --- */

#define DIALS 8

/* A second listener for the same node: its links come to node2. */
static void join_door(struct world *w)
{
	struct err err = {0};

	w->node2.self = w->pair.node.self;
	assert_ok(listener_join(w->door[0], w->pair.base, &w->node2.self, &w->node2, &w->door[1],
				&err),
		  err);
}

/* Dials n times, as n workers of one gateway do; true when all are up. */
static bool dial_times(struct world *w, struct pool **pools, unsigned n)
{
	unsigned want = w->pair.gateway.ups + n;

	for (unsigned i = 0; i < n; i++) {
		pools[i] = pool_create(w->pair.base, w->pair.tls, &w->pair.gateway.self,
				       &w->pool_params, &w->pair.gateway.cbs, &w->pair.gateway);
		pool_set_wanted(pools[i], w->target, 1);
	}
	return pair_run(&w->pair, &w->pair.gateway.ups, want, PAIR_PATIENCE_MS);
}

/* All links end, at both ends. */
static void hang_up(struct world *w, struct pool **pools, unsigned n)
{
	struct side *both[] = {&w->pair.node, &w->node2};

	for (unsigned i = 0; i < n; i++)
		pool_destroy(pools[i]);
	for (int i = 0; i < 2; i++)
		assert_true(pair_run(&w->pair, &both[i]->downs, both[i]->ups, PAIR_PATIENCE_MS));
}

static void links_are_spread_evenly_over_listeners(struct world *w)
{
	struct pool *pools[DIALS];

	join_door(w);
	for (unsigned n = 2; n <= DIALS; n += 2) { /* also when there are only two */
		w->pair.node.ups = w->node2.ups = w->pair.node.downs = w->node2.downs = 0;
		assert_true(dial_times(w, pools, n));
		assert_int_equal(w->pair.node.ups, n / 2);
		assert_int_equal(w->node2.ups, n / 2);
		hang_up(w, pools, n);
	}
}

static void a_few_links_are_spread_as_evenly_as_many(void **state)
{
	struct world *w = *state;

	open_door(w, 0, "127.0.0.1:0");
	links_are_spread_evenly_over_listeners(w);
}

static void links_of_a_unix_socket_are_spread_too(void **state)
{
	struct world *w = *state;
	char dir[] = "/tmp/cf-test-XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "unix:%s/link", dir);
	open_door(w, 0, path);
	links_are_spread_evenly_over_listeners(w);
	listener_destroy(w->door[0]);
	w->door[0] = NULL;
	assert_int_equal(rmdir(dir), 0);
}

/* Of three links the third is refused. */
static void refuses_the_third(struct world *w)
{
	struct pool *pools[3];

	open_door(w, 0, "127.0.0.1:0");
	join_door(w);
	assert_true(dial_times(w, pools, 2));
	assert_true(dial_times(w, &pools[2], 1)); /* up at this end, refused at the other */
	assert_true(pair_run(&w->pair, &w->pair.gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_err(w->pair.gateway.err, ERR_LIMIT);
	assert_int_equal(w->pair.node.ups + w->node2.ups, 2);
	assert_true(listener_refused(w->door[1]) >= 1); /* it dials again and again */
	hang_up(w, pools, 3);
}

static void limits_hold_for_all_listeners_together(void **state)
{
	struct world *w = *state;

	w->door_params.links_per_key_max = 2;
	refuses_the_third(w);
}

static void links_are_limited_in_all(void **state)
{
	struct world *w = *state;

	w->door_params.links_max = 2;
	refuses_the_third(w);
}

static void a_listener_that_has_left_is_given_nobody(void **state)
{
	struct world *w = *state;
	struct pool *pools[4];

	open_door(w, 0, "127.0.0.1:0");
	join_door(w);
	listener_destroy(w->door[0]);
	w->door[0] = NULL;
	assert_true(dial_times(w, pools, 4));
	assert_int_equal(w->pair.node.ups, 0);
	assert_int_equal(w->node2.ups, 4);
	hang_up(w, pools, 4);
}

static void a_port_that_another_listens_on_is_named(void **state)
{
	struct world *w = *state;
	struct listener *door = NULL;
	struct err err = {0};

	open_door(w, 0, "127.0.0.1:0");
	assert_false(listener_create(w->pair.base, w->pair.tls, &w->pair.node.self, &w->door_params,
				     w->target[0].endpoint, &w->pair.node.cbs, &w->pair.node, &door,
				     &err));
	assert_err(err, ERR_IO);
	assert_non_null(strstr(err.msg, w->target[0].endpoint));
}

static void addresses_are_read_strictly(void **state)
{
	static const char *const good[] = {"127.0.0.1:1", "[::1]:65535", "node-1.example.org:4000",
					   "unix:/run/x"};
	static const char *const bad[] = {
		"",   "127.0.0.1", ":80",  "a b:1", "::1:80",	     "[::1]",	   "[::1:80",
		"x:", "x:65536",   "x:-1", "unix:", "unix:relative", "http://x:1", "[1.2.3.4]:5"};
	struct address at;
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_ok(address_parse(good[i], &at, &err), err);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct err){0};
		if (address_parse(bad[i], &at, &err))
			fail_msg("taken: %s", bad[i]);
		assert_err(err, ERR_CONFIG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(unfinished_handshakes_are_limited_per_source),
		T(handshakes_that_begin_within_a_second_are_limited_per_source),
		T(handshakes_that_begin_within_a_second_are_limited_in_all),
		T(without_descriptors_the_door_rests_and_opens_again),
		T(links_of_one_key_are_limited),
		T(a_busy_port_is_named),
		T(a_port_that_another_listens_on_is_named),
		T(a_few_links_are_spread_as_evenly_as_many),
		T(links_of_a_unix_socket_are_spread_too),
		T(limits_hold_for_all_listeners_together),
		T(links_are_limited_in_all),
		T(a_listener_that_has_left_is_given_nobody),
		T(addresses_are_read_strictly),
	};

	log_init(LOG_LEVEL_ERROR, STDERR_FILENO, NULL);
	return cmocka_run_group_tests_name("link_listener", tests, NULL, NULL);
}
