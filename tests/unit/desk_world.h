/* SPDX-License-Identifier: Apache-2.0
 * A registry with a supplier that is in every session, seen through a desk: the sqlite file itself,
 * or a server of it in a thread of its own.  Time stands still between steps, for all of them. */
#ifndef TESTS_UNIT_DESK_WORLD_H
#define TESTS_UNIT_DESK_WORLD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include <event2/event.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/crypto/sign.h"
#include "session/registry/desk.h"
#include "session/registry/serve.h"
#include "session/registry/store_claims.h"
#include "tests/unit/claim_world.h"
#include "tests/unit/unit.h"

#define DESK_STAKE 2000
#define DESK_ESCROW 20000
#define DESK_START 10 /* of the first session */

struct desk_world {
	char dir[32];
	char *path;
	struct relay_key *registry, *application;
	struct store *store; /* the keeper's, on the test's thread */
	atomic_llong now_ms;
	struct world *w;
	struct desk *desk;
	struct registry_server_limits limits;
	/* behind a URL */
	pthread_t thread;
	bool serving;
	atomic_bool stop;
	sem_t ready;
	uint16_t port;
};

static inline struct session_params desk_params(void)
{
	struct session_params p = session_params_default;

	p.session_blocks = 10;
	p.snapshot_lag = 4;
	p.seed_lag = 2;
	p.session_suppliers = 3;
	p.stake_unit = 1;
	p.stake_cap = 100000;
	p.price_max = 100;
	p.grace_blocks = 2;
	p.claim_window = 30;
	p.challenge_lag = 3;
	p.proof_window = 7;
	return p;
}

static inline void desk_put_supplier(struct desk_world *d, const struct store_write *write,
				     const struct key_id *key, u128 stake)
{
	struct service_name eth[1] = {{"eth"}};
	static char endpoint[] = "127.0.0.1:9000";
	struct supplier_entry e = {.key = *key,
				   .owner = owner_default(key),
				   .stake = stake,
				   .price = 3,
				   .services_n = 1,
				   .services = eth,
				   .endpoint = endpoint};
	struct err err;
	height_t height;

	assert_ok(store_put_supplier(d->store, write, &e, &height, &err), err);
}

static inline void desk_put_grant(struct desk_world *d, const struct store_write *write,
				  u128 budget, uint64_t nonce)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct grant_entry e = {.application = *relay_key_public(d->application),
				.gateway = *relay_key_public(d->w->gateway),
				.service = {"eth"},
				.budget = budget,
				.nonce = nonce};
	struct err err;
	height_t height;

	grant_bytes(store_network(d->store), &e, &bytes);
	sign_bytes(d->application, bytes.p, bytes.n, &e.signature);
	assert_ok(store_put_grant(d->store, write, &e, &height, &err), err);
}

static inline height_t desk_height(const struct desk_world *d)
{
	return session_clock_height(store_clock(d->store), (msec_t)atomic_load(&d->now_ms));
}

static inline struct store_write desk_write(const struct desk_world *d)
{
	return (struct store_write){.now_ms = (msec_t)atomic_load(&d->now_ms)};
}

static inline void desk_set_time(struct desk_world *d, height_t height)
{
	atomic_store(&d->now_ms, session_clock_ms(store_clock(d->store), height));
	clock_fake(0, (msec_t)atomic_load(&d->now_ms));
}

/* One step of the keeper at a height, until nothing is left to do. */
static inline void desk_keep(struct desk_world *d)
{
	msec_t now = (msec_t)atomic_load(&d->now_ms), next;
	struct err err;

	do {
		assert_ok(store_keep(d->store, now, &next, &err), err);
	} while (next <= now + 1);
}

/* Height by height, with the keeper there at each. */
static inline void desk_advance(struct desk_world *d, height_t height)
{
	for (height_t h = desk_height(d) + 1; h <= height; h++) {
		desk_set_time(d, h);
		desk_keep(d);
	}
}

/* What the registry says of the first sessions, as the terms of the world's. */
static inline void desk_learn(struct desk_world *d, size_t sessions)
{
	CLEANUP(history_unref) struct history *h = NULL;
	CLEANUP(seed_run_finish) struct seed_run seeds = {0};
	CLEANUP(settle_book_destroy) struct settle_book *book = NULL;
	struct claim about = {.application = d->w->application,
			      .gateway = *relay_key_public(d->w->gateway),
			      .supplier = *relay_key_public(d->w->supplier),
			      .service = {"eth"}};
	struct err err;

	assert_ok(store_history(d->store, &h, &err), err);
	assert_ok(store_seeds(d->store, 0, HEIGHT_MAX, &seeds, &err), err);
	book = settle_book_create(h, &seeds);
	d->w->sessions_n = sessions;
	for (size_t i = 0; i < sessions; i++) {
		struct world_session *s = &d->w->session[i];

		s->start = DESK_START + i * d->w->p.session_blocks;
		assert_ok(settle_book_terms(book, &about, s->start, &s->terms, &err), err);
		assert_true(s->terms.member && s->terms.price == 3);
	}
}

static inline void *desk_server(void *arg)
{
	struct desk_world *d = arg;
	struct event_base *base = event_base_new();
	struct registry_server *server;
	struct store *store;
	struct err err;

	/* A thread of its own, where cmocka cannot fail: it aborts. */
	clock_fake(0, (msec_t)atomic_load(&d->now_ms));
	if (!base || !store_open(d->path, &store, &err) ||
	    !registry_server_create(base, store, d->registry, "127.0.0.1", 0, &d->limits, &server,
				    &err))
		abort();
	d->port = registry_server_port(server);
	sem_post(&d->ready);
	while (!atomic_load(&d->stop)) {
		struct timeval turn = {.tv_usec = 2000};

		clock_fake(0, (msec_t)atomic_load(&d->now_ms));
		event_base_loopexit(base, &turn);
		event_base_loop(base, EVLOOP_ONCE);
	}
	registry_server_destroy(server);
	event_base_free(base);
	store_close(store);
	return NULL;
}

static inline void desk_open_in(struct desk_world *d, bool url)
{
	CLEANUP(xfree) char *source = NULL;
	struct err err;

	if (url) {
		assert_int_equal(sem_init(&d->ready, 0, 0), 0);
		assert_int_equal(pthread_create(&d->thread, NULL, desk_server, d), 0);
		d->serving = true;
		sem_wait(&d->ready);
		source = xasprintf("http://127.0.0.1:%u/", d->port);
	} else {
		source = xstrdup(d->path);
	}
	assert_ok(desk_open(source, relay_key_public(d->registry), &d->desk, &err), err);
}

/* A new registry at its first height, with lanes and sessions still to come. */
static inline struct desk_world *desk_world_create(bool url)
{
	struct desk_world *d = xcalloc(1, sizeof(*d));
	const uint8_t seed[KEY_SEED_BYTES] = {7}, app[KEY_SEED_BYTES] = {9};
	const struct store_write genesis = {.now_ms = 1795442000000, .genesis = true};
	const struct key_id others[2] = {{{0xa1}}, {{0xa2}}};
	struct session_params p = desk_params();
	struct service_entry service = {.name = {"eth"}};
	struct application_entry e = {.escrow = DESK_ESCROW};
	struct err err;
	height_t height;

	strncpy(d->dir, "/tmp/cf-desk-XXXXXX", sizeof(d->dir) - 1);
	assert_non_null(mkdtemp(d->dir));
	d->path = xasprintf("%s/registry.db", d->dir);
	d->registry = relay_key_from_seed(KEY_ROLE_REGISTRY, seed);
	d->application = relay_key_from_seed(KEY_ROLE_APPLICATION, app);
	d->limits = registry_server_limits;
	d->limits.list_max = 3; /* so that lists have more than one answer */
	atomic_store(&d->now_ms, genesis.now_ms);
	assert_ok(store_create(d->path, &p, 1000, d->registry, genesis.now_ms, &d->store, &err),
		  err);
	d->w = world_create(1);
	d->w->p = p;
	d->w->network = *store_network(d->store);
	d->w->application = *relay_key_public(d->application);
	service.table = *method_table_hash(chain_table(chain_find("evm")));
	assert_ok(store_put_service(d->store, &genesis, &service, &height, &err), err);
	desk_put_supplier(d, &genesis, relay_key_public(d->w->supplier), DESK_STAKE);
	for (size_t i = 0; i < 2; i++)
		desk_put_supplier(d, &genesis, &others[i], 1000);
	e.key = d->w->application;
	assert_ok(store_put_application(d->store, &genesis, &e, &height, &err), err);
	desk_put_grant(d, &genesis, 3000, 1);
	desk_keep(d);
	clock_fake(0, genesis.now_ms);
	desk_open_in(d, url);
	return d;
}

static inline void desk_world_destroy(struct desk_world *d)
{
	CLEANUP(xfree) char *rm = NULL;

	if (!d)
		return;
	rm = xasprintf("rm -r %s", d->dir);
	desk_close(d->desk);
	if (d->serving) {
		atomic_store(&d->stop, true);
		pthread_join(d->thread, NULL);
		sem_destroy(&d->ready);
	}
	clock_fake_off();
	store_close(d->store);
	world_destroy(d->w);
	relay_key_destroy(d->registry);
	relay_key_destroy(d->application);
	assert_int_equal(system(rm), 0);
	free(d->path);
	free(d);
}

#endif
