/* SPDX-License-Identifier: Apache-2.0
 * A gateway's pool of links, and two listeners of nodes. */
#ifndef TESTS_UNIT_LINK_DOORS_H
#define TESTS_UNIT_LINK_DOORS_H

#include "relay/base/log.h"
#include "relay/link/pool.h"
#include "tests/support/link_pair.h"
#include "tests/unit/unit.h"

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
static inline void pool_on_down(struct link *link, enum link_reason reason, const struct err *err,
				void *arg)
{
	struct side *side = arg;

	side->downs++;
	side->reason = reason;
	side->err = *err;
}

static inline void open_door(struct world *w, int i, const char *address)
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

static inline void make_pool(struct world *w)
{
	w->pool = pool_create(w->pair.base, w->pair.tls, &w->pair.gateway.self, &w->pool_params,
			      &w->pair.gateway.cbs, &w->pair.gateway);
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline bool wait_up(struct world *w, size_t want)
{
	unsigned ok = 0;

	for (int i = 0; i < 6000 && !ok; i++) {
		pair_run(&w->pair, &(unsigned){0}, 1, 10);
		ok = pool_up_count(w->pool) == want;
	}
	return ok;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
