/* SPDX-License-Identifier: Apache-2.0
 * The gateway's pool of links against listeners of nodes. */
#include "tests/unit/unit.h"

#include "tests/unit/link_doors.h"

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

/* The end of the grace time and the peer's end in one turn of the loop. */
static void a_link_that_is_lost_as_its_grace_ends_is_told_to_its_owner(void **state)
{
	struct world *w = *state;
	struct link *gone;

	open_door(w, 0, "127.0.0.1:0");
	make_pool(w);
	pool_set_wanted(w->pool, w->target, 1);
	assert_true(wait_up(w, 1));
	assert_true(pair_run(&w->pair, &w->pair.node.ups, 1, PAIR_PATIENCE_MS));
	pool_set_wanted(w->pool, w->target, 0);
	gone = w->pair.node.link;
	w->pair.node.link = NULL;
	link_destroy(gone);
	usleep((useconds_t)w->pool_params.grace_us + 20000);
	pair_run(&w->pair, &w->pair.gateway.downs, 1, 2000);
	assert_int_equal(w->pair.gateway.downs, 1);
	assert_int_equal(pool_up_count(w->pool), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(wanted_suppliers_are_linked_and_found_by_key),
		T(the_same_set_again_changes_nothing),
		T(a_link_no_longer_wanted_lives_until_grace_ends),
		T(a_link_that_is_lost_as_its_grace_ends_is_told_to_its_owner),
		T(a_link_wanted_again_within_grace_is_kept),
		T(a_lost_link_is_dialled_again),
		T(an_end_for_our_own_ledgers_sake_does_not_lengthen_the_pause),
		T(an_absent_node_is_tried_with_growing_pauses_and_a_reason),
		T(nonsense_for_an_endpoint_is_named_and_never_dialled),
		T(a_host_name_is_looked_up),
		T(a_supplier_that_moves_is_followed),
		T(a_unix_socket_serves_as_endpoint),
		T(a_draining_node_gets_nothing_new),
	};

	log_init(LOG_LEVEL_ERROR, STDERR_FILENO, NULL);
	return cmocka_run_group_tests_name("link_pool", tests, NULL, NULL);
}
