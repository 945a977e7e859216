/* SPDX-License-Identifier: Apache-2.0
 * The gateway's pool of links against listeners of nodes, and the limits at a node's door. */
#include "tests/unit/unit.h"

#include <sys/resource.h>

#include "relay/base/log.h"
#include "relay/link/pool.h"
#include "tests/support/link_pair.h"

struct world {
	struct pair pair; /* its gateway and node sides, loop and TLS */
	struct side node2;
	struct listener *door[2];
	struct pool *pool;
	struct pool_target target[2];
	struct listener_params door_params;
	struct pool_params pool_params;
};

/* The pool destroys its links itself. */
static void pool_on_down(struct link *link, enum link_reason reason, const struct err *err,
			 void *arg)
{
	struct side *side = arg;

	side->downs++;
	side->reason = reason;
	side->err = *err;
}

static void open_door(struct world *w, int i, const char *address)
{
	struct side *side = i ? &w->node2 : &w->pair.node;
	struct err err = {0};

	assert_ok(listener_create(w->pair.base, w->pair.tls, &side->self, &w->door_params, address,
				  &side->cbs, side, &w->door[i], &err),
		  err);
	w->target[i].key = side->self.id;
	if (strncmp(address, "unix:", 5) == 0)
		snprintf(w->target[i].endpoint, sizeof(w->target[i].endpoint), "%s", address);
	else
		snprintf(w->target[i].endpoint, sizeof(w->target[i].endpoint), "127.0.0.1:%u",
			 (unsigned)listener_port(w->door[i]));
}

static void make_pool(struct world *w)
{
	w->pool = pool_create(w->pair.base, w->pair.tls, &w->pair.gateway.self, &w->pool_params,
			      &w->pair.gateway.cbs, &w->pair.gateway);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	pair_init(&w->pair);
	side_init(&w->node2, FRAME_ROLE_SUPPLIER, 3);
	w->pair.gateway.cbs.on_down = pool_on_down;
	listener_params_default(&w->door_params);
	pool_params_default(&w->pool_params);
	w->pool_params.backoff_min_us = 5000;
	w->pool_params.backoff_max_us = 40000;
	w->pool_params.grace_us = 30000;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	w->pair.gateway.link = NULL; /* the pool's */
	pool_destroy(w->pool);
	side_finish(&w->node2);
	listener_destroy(w->door[0]);
	listener_destroy(w->door[1]);
	pair_finish(&w->pair);
	free(w);
	return 0;
}

static bool wait_up(struct world *w, size_t want)
{
	unsigned ok = 0;

	for (int i = 0; i < 6000 && !ok; i++) {
		pair_run(&w->pair, &(unsigned){0}, 1, 10);
		ok = pool_up_count(w->pool) == want;
	}
	return ok;
}

static void wanted_suppliers_are_linked_and_found_by_key(void **state)
{
	struct world *w = *state;

	open_door(w, 0, "127.0.0.1:0");
	open_door(w, 1, "127.0.0.1:0");
	make_pool(w);
	assert_null(pool_get(w->pool, &w->target[0].key));
	pool_set_wanted(w->pool, w->target, 2);
	assert_true(wait_up(w, 2));
	for (int i = 0; i < 2; i++) {
		struct link *link = pool_get(w->pool, &w->target[i].key);

		assert_non_null(link);
		assert_true(ID_EQ(&link_peer(link)->key, &w->target[i].key));
	}
	assert_null(pool_get(w->pool, &w->pair.gateway.self.id));
	assert_int_equal(pool_wanted_count(w->pool), 2);
}

static void the_same_set_again_changes_nothing(void **state)
{
	struct world *w = *state;
	struct link *link;

	open_door(w, 0, "127.0.0.1:0");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
	link = pool_get(w->pool, &w->target[0].key);
	pool_set_wanted(w->pool, w->target, 1);
	pair_run(&w->pair, &(unsigned){0}, 1, 60);
	assert_ptr_equal(pool_get(w->pool, &w->target[0].key), link);
	assert_int_equal(w->pair.gateway.ups, 1);
}

static void a_link_no_longer_wanted_lives_until_grace_ends(void **state)
{
	struct world *w = *state;

	open_door(w, 0, "127.0.0.1:0");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
	pool_set_wanted(w->pool, w->target, 0);
	assert_non_null(pool_get(w->pool, &w->target[0].key));
	assert_true(pair_run(&w->pair, &w->pair.gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_null(pool_get(w->pool, &w->target[0].key));
	assert_int_equal(pool_up_count(w->pool), 0);
	assert_true(pair_run(&w->pair, &w->pair.node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(w->pair.node.reason, LINK_REASON_EOF);
	assert_int_equal(w->pair.node.last_type, FRAME_GOAWAY);
}

static void a_link_wanted_again_within_grace_is_kept(void **state)
{
	struct world *w = *state;

	open_door(w, 0, "127.0.0.1:0");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
	pool_set_wanted(w->pool, w->target, 0);
	pool_set_wanted(w->pool, w->target, 1);
	pair_run(&w->pair, &(unsigned){0}, 1, 80);
	assert_int_equal(w->pair.gateway.downs, 0);
	assert_int_equal(pool_up_count(w->pool), 1);
}

static void a_lost_link_is_dialled_again(void **state)
{
	struct world *w = *state;
	struct link *gone;

	open_door(w, 0, "127.0.0.1:0");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	for (unsigned round = 1; round <= 4; round++) {
		assert_true(pair_run(&w->pair, &w->pair.gateway.ups, round, PAIR_PATIENCE_MS));
		assert_true(pair_run(&w->pair, &w->pair.node.ups, round, PAIR_PATIENCE_MS));
		gone = w->pair.node.link;
		w->pair.node.link = NULL;
		link_destroy(gone);
		assert_true(pair_run(&w->pair, &w->pair.gateway.downs, round, PAIR_PATIENCE_MS));
	}
	assert_true(pair_run(&w->pair, &w->pair.gateway.ups, 5, PAIR_PATIENCE_MS));
}

/* A ledger that cannot write must not cost its gateway the links for longer than that lasts. */
static void an_end_for_our_own_ledgers_sake_does_not_lengthen_the_pause(void **state)
{
	struct world *w = *state;
	usec_t begun_us;
	struct err err;

	err_set(&err, ERR_LEDGER, "no room");
	w->pool_params.backoff_min_us = 20000000;
	w->pool_params.backoff_max_us = 60000000;
	open_door(w, 0, "127.0.0.1:0");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	begun_us = clock_now_us();
	for (unsigned round = 1; round <= 2; round++) {
		assert_true(pair_run(&w->pair, &w->pair.gateway.ups, round, PAIR_PATIENCE_MS));
		link_close(pool_get(w->pool, &w->target[0].key), &err);
		assert_true(pair_run(&w->pair, &w->pair.gateway.downs, round, PAIR_PATIENCE_MS));
	}
	assert_true(pair_run(&w->pair, &w->pair.gateway.ups, 3, PAIR_PATIENCE_MS));
	/* pauses of at most 2 x 0.75 s, where those of the peer's faults have at least 10 + 20 */
	assert_true(clock_now_us() - begun_us < 20000000);
}

static void an_absent_node_is_tried_with_growing_pauses_and_a_reason(void **state)
{
	struct world *w = *state;
	struct err err = {0};
	usec_t begun_us;

	w->target[0].key = w->pair.node.self.id;
	snprintf(w->target[0].endpoint, sizeof(w->target[0].endpoint), "unix:/nowhere/at/all");
	make_pool(w);
	assert_false(pool_last_error(w->pool, &w->target[0].key, &err));
	begun_us = clock_now_us();
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(pair_run(&w->pair, &w->pair.gateway.downs, 8, PAIR_PATIENCE_MS));
	/* 5, 10, 20, 40, 40, 40, 40 ms between the eight, each half to one and a half of it */
	assert_true(clock_now_us() - begun_us >= 195000 / 2);
	assert_true(pool_last_error(w->pool, &w->target[0].key, &err));
	assert_err(err, ERR_LINK);
	assert_non_null(strstr(err.msg, "unix:/nowhere"));
}

static void nonsense_for_an_endpoint_is_named_and_never_dialled(void **state)
{
	struct world *w = *state;
	struct err err = {0};

	w->target[0].key = w->pair.node.self.id;
	snprintf(w->target[0].endpoint, sizeof(w->target[0].endpoint), "http://x");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	pair_run(&w->pair, &(unsigned){0}, 1, 30);
	assert_int_equal(w->pair.gateway.downs, 0);
	assert_true(pool_last_error(w->pool, &w->target[0].key, &err));
	assert_err(err, ERR_CONFIG);
	pool_set_wanted(w->pool, w->target, 0);
	assert_false(pool_last_error(w->pool, &w->target[0].key, &err));
}

static void a_host_name_is_looked_up(void **state)
{
	struct world *w = *state;

	open_door(w, 0, "127.0.0.1:0");
	snprintf(w->target[0].endpoint, sizeof(w->target[0].endpoint), "localhost:%u",
		 (unsigned)listener_port(w->door[0]));
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
}

static void a_supplier_that_moves_is_followed(void **state)
{
	struct world *w = *state;
	struct link *old;

	open_door(w, 0, "127.0.0.1:0");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
	old = pool_get(w->pool, &w->target[0].key);
	open_door(w, 1, "127.0.0.1:0"); /* another place, the same supplier */
	w->node2.self = w->pair.node.self;
	w->target[1].key = w->target[0].key;
	pool_set_wanted(w->pool, &w->target[1], 1);
	assert_ptr_equal(pool_get(w->pool, &w->target[0].key), old);
	assert_true(pair_run(&w->pair, &w->pair.gateway.ups, 2, PAIR_PATIENCE_MS));
	assert_ptr_not_equal(pool_get(w->pool, &w->target[0].key), old);
	assert_true(pair_run(&w->pair, &w->pair.gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pool_up_count(w->pool), 1);
}

static void a_unix_socket_serves_as_endpoint(void **state)
{
	struct world *w = *state;
	char dir[] = "/tmp/cf-test-XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "unix:%s/link", dir);
	open_door(w, 0, path);
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
	assert_string_equal(link_address(pool_get(w->pool, &w->target[0].key)), path);
	listener_destroy(w->door[0]);
	w->door[0] = NULL;
	assert_int_equal(rmdir(dir), 0); /* the socket is gone with its listener */
}

static void a_draining_node_gets_nothing_new(void **state)
{
	struct world *w = *state;

	open_door(w, 0, "127.0.0.1:0");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
	assert_true(pair_run(&w->pair, &w->pair.node.ups, 1, PAIR_PATIENCE_MS));
	link_goaway(w->pair.node.link, ERR_SHUTDOWN, 100);
	assert_true(pair_run(&w->pair, &w->pair.gateway.frames, 1, PAIR_PATIENCE_MS));
	assert_null(pool_get(w->pool, &w->target[0].key));
}

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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(wanted_suppliers_are_linked_and_found_by_key),
		T(the_same_set_again_changes_nothing),
		T(a_link_no_longer_wanted_lives_until_grace_ends),
		T(a_link_wanted_again_within_grace_is_kept),
		T(a_lost_link_is_dialled_again),
		T(an_end_for_our_own_ledgers_sake_does_not_lengthen_the_pause),
		T(an_absent_node_is_tried_with_growing_pauses_and_a_reason),
		T(nonsense_for_an_endpoint_is_named_and_never_dialled),
		T(a_host_name_is_looked_up),
		T(a_supplier_that_moves_is_followed),
		T(a_unix_socket_serves_as_endpoint),
		T(a_draining_node_gets_nothing_new),
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
	return cmocka_run_group_tests_name("link_pool", tests, NULL, NULL);
}
