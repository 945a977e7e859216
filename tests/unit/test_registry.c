/* SPDX-License-Identifier: Apache-2.0
 * The sqlite registry, its keeper, and the follower over all three kinds of sources: one suite for
 * what they have in common ([S2], [S11], [S12], [K3], [P3]). */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/thread.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/crypto/sign.h"
#include "session/registry/keeper.h"
#include "session/registry/registry.h"
#include "session/registry/serve.h"
#include "session/registry/store.h"

#define BLOCK_MS 50

static const struct service_name eth = {"eth"};

/* A registry of sessions of 4 heights with one application, one gateway and three suppliers. */
struct world {
	char dir[32];
	char *path;
	struct relay_key *registry, *application;
	struct key_id gateway;
	struct store *store;
	msec_t now_ms; /* at which it was made */
};

static struct session_params small_params(void)
{
	struct session_params p = session_params_default;

	p.session_blocks = 4;
	p.snapshot_lag = 3;
	p.seed_lag = 2;
	p.grace_blocks = 1;
	p.claim_window = 8;
	p.proof_window = 4;
	p.stake_unit = 1;
	p.stake_cap = 1000;
	return p;
}

static struct supplier_entry supplier_of(uint8_t name, u128 stake)
{
	static struct service_name services[1];
	static char endpoint[] = "127.0.0.1:9000";
	struct supplier_entry e = {.stake = stake,
				   .price = 1,
				   .services_n = 1,
				   .services = services,
				   .endpoint = endpoint};

	services[0] = eth;
	memset(e.key.b, name, sizeof(e.key.b));
	e.owner = owner_default(&e.key);
	return e;
}

static struct grant_entry grant_of(const struct world *w, u128 budget, uint64_t nonce)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct grant_entry e = {.gateway = w->gateway,
				.service = eth,
				.budget = budget,
				.nonce = nonce,
				.application = *relay_key_public(w->application)};

	grant_bytes(store_network(w->store), &e, &bytes);
	sign_bytes(w->application, bytes.p, bytes.n, &e.signature);
	return e;
}

static void put_genesis(struct world *w)
{
	const struct store_write genesis = {.now_ms = w->now_ms, .genesis = true};
	struct service_entry service = {.name = eth};
	struct application_entry app = {.key = *relay_key_public(w->application), .escrow = 100000};
	struct grant_entry grant = grant_of(w, 300, 1);
	struct err err;
	height_t h;
	msec_t next;

	assert_ok(store_put_service(w->store, &genesis, &service, &h, &err), err);
	for (uint8_t i = 1; i <= 3; i++) {
		struct supplier_entry s = supplier_of(i, i);

		assert_ok(store_put_supplier(w->store, &genesis, &s, &h, &err), err);
	}
	assert_ok(store_put_application(w->store, &genesis, &app, &h, &err), err);
	assert_ok(store_put_grant(w->store, &genesis, &grant, &h, &err), err);
	assert_int_equal(h, 0);
	assert_ok(store_keep(w->store, w->now_ms, &next, &err), err);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct session_params p = small_params();
	const uint8_t seed[KEY_SEED_BYTES] = {7};
	struct err err;

	strncpy(w->dir, "/tmp/cf-registry-XXXXXX", sizeof(w->dir) - 1);
	assert_non_null(mkdtemp(w->dir));
	w->path = xasprintf("%s/registry.db", w->dir);
	w->registry = relay_key_from_seed(KEY_ROLE_REGISTRY, seed);
	w->application = relay_key_generate(KEY_ROLE_APPLICATION);
	memset(w->gateway.b, 9, sizeof(w->gateway.b));
	clock_tick();
	w->now_ms = clock_wall_ms();
	assert_ok(store_create(w->path, &p, BLOCK_MS, w->registry, w->now_ms, &w->store, &err),
		  err);
	put_genesis(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	CLEANUP(xfree) char *rm = xasprintf("rm -r %s", w->dir);

	store_close(w->store);
	relay_key_destroy(w->registry);
	relay_key_destroy(w->application);
	assert_int_equal(system(rm), 0);
	free(w->path);
	free(w);
	return 0;
}

static height_t height_of(const struct world *w, msec_t ms)
{
	return session_clock_height(store_clock(w->store), ms);
}

static void a_new_registry_serves_at_once(void **state)
{
	struct world *w = *state;
	struct registry *r;
	struct registry_view *view;
	struct session_info *s;
	height_t now = height_of(w, w->now_ms);
	struct err err;
	u128 allowance;

	assert_int_equal(now, 8);
	assert_ok(registry_open(w->path, NULL, &r, &err), err);
	view = registry_view_take(r);
	assert_int_equal(view_last_seed(view), now);
	assert_ok(view_session(view, relay_key_public(w->application), &eth, view_start(view, now),
			       &s, &err),
		  err);
	assert_int_equal(s->n, 3);
	assert_int_equal(s->total, 6);
	assert_string_equal(s->members[0].endpoint, "127.0.0.1:9000");
	free(s);
	assert_ok(view_allowance(view, relay_key_public(w->application), &w->gateway, &eth,
				 view_start(view, now), &allowance, &err),
		  err);
	assert_true(allowance == 100);
	registry_view_unref(view);
	registry_close(r);
}

static void an_existing_file_is_not_overwritten(void **state)
{
	struct world *w = *state;
	struct session_params p = small_params();
	struct store *again = NULL;
	struct err err;

	assert_false(store_create(w->path, &p, BLOCK_MS, w->registry, w->now_ms, &again, &err));
	assert_err(err, ERR_IO);
	assert_non_null(strstr(err.msg, w->path));
}

static void a_write_counts_from_the_next_height_on(void **state)
{
	struct world *w = *state;
	const struct store_write now = {.now_ms = w->now_ms};
	struct supplier_entry s = supplier_of(4, 40);
	struct history *h;
	struct err err;
	height_t from;

	assert_ok(store_put_supplier(w->store, &now, &s, &from, &err), err);
	assert_int_equal(from, height_of(w, w->now_ms) + 1);
	assert_ok(store_history(w->store, &h, &err), err);
	assert_null(history_supplier(h, &s.key, from - 1));
	assert_non_null(history_supplier(h, &s.key, from));
	history_unref(h);
}

static void a_clock_that_went_back_does_not_bring_entries_forward(void **state)
{
	struct world *w = *state;
	const struct store_write past = {.now_ms = w->now_ms - 3 * BLOCK_MS};
	struct supplier_entry s = supplier_of(4, 40);
	struct err err;
	height_t from, last;

	assert_ok(store_last_seed(w->store, &last, &err), err);
	assert_ok(store_put_supplier(w->store, &past, &s, &from, &err), err);
	assert_int_equal(from, last + 1);
}

/* Two processes read their clocks, then one waits for the other: the later height came first. */
static void a_change_that_waited_behind_a_later_one_joins_it(void **state)
{
	struct world *w = *state;
	const struct key_id *application = relay_key_public(w->application);
	const struct store_write now = {.now_ms = w->now_ms};
	const struct store_write ahead = {.now_ms = w->now_ms + 2 * BLOCK_MS};
	struct supplier_entry s = supplier_of(4, 40);
	height_t first, second;
	struct history *h;
	struct err err;
	u128 sum;

	assert_ok(store_fund(w->store, &ahead, application, 5, false, &sum, &first, &err), err);
	assert_ok(store_fund(w->store, &now, application, 7, false, &sum, &second, &err), err);
	assert_true(sum == 100012);
	assert_int_equal(second, first);
	assert_ok(store_put_supplier(w->store, &ahead, &s, &first, &err), err);
	assert_ok(store_stake(w->store, &now, &s, 2, false, &sum, &second, &err), err);
	assert_true(sum == 42);
	assert_int_equal(second, first);
	assert_ok(store_history(w->store, &h, &err), err);
	assert_true(history_application(h, application, first)->escrow == 100012);
	assert_true(history_application(h, application, first - 1)->escrow == 100000);
	assert_true(history_supplier(h, &s.key, first)->stake == 42);
	history_unref(h);
}

static void a_dry_run_checks_and_keeps_nothing(void **state)
{
	struct world *w = *state;
	const struct store_write dry = {.now_ms = w->now_ms, .dry_run = true};
	struct supplier_entry s = supplier_of(4, 40);
	uint64_t before, after;
	struct history *h;
	struct err err;
	height_t from;
	u128 escrow;

	assert_ok(store_entries_version(w->store, &before, &err), err);
	assert_ok(store_put_supplier(w->store, &dry, &s, &from, &err), err);
	assert_ok(store_fund(w->store, &dry, relay_key_public(w->application), 5, false, &escrow,
			     &from, &err),
		  err);
	assert_true(escrow == 100005);
	s.price = UINT64_MAX;
	assert_false(store_put_supplier(w->store, &dry, &s, &from, &err));
	assert_ok(store_entries_version(w->store, &after, &err), err);
	assert_int_equal(before, after);
	assert_ok(store_history(w->store, &h, &err), err);
	assert_null(history_supplier(h, &s.key, UINT64_MAX));
	history_unref(h);
}

static void entries_that_do_not_fit_are_refused_with_the_reason(void **state)
{
	struct world *w = *state;
	const struct store_write now = {.now_ms = w->now_ms};
	struct supplier_entry s = supplier_of(4, 40);
	struct session_params p = small_params();
	struct grant_entry g = grant_of(w, 5, 1);
	struct err err;
	height_t from;
	u128 escrow;

	s.price = session_params_default.price_max + 1;
	assert_false(store_put_supplier(w->store, &now, &s, &from, &err));
	assert_non_null(strstr(err.msg, "price_max"));
	s = supplier_of(4, 40);
	strcpy(s.services[0].s, "btc"); /* allowed: shorter than the name's array */
	assert_false(store_put_supplier(w->store, &now, &s, &from, &err));
	assert_non_null(strstr(err.msg, "no service btc"));
	p.session_blocks = 5;
	assert_false(store_put_params(w->store, &now, &p, &from, &err));
	assert_non_null(strstr(err.msg, "fixed"));
	assert_false(store_put_grant(w->store, &now, &g, &from, &err));
	assert_non_null(strstr(err.msg, "nonce"));
	g.nonce = 2;
	assert_false(store_put_grant(w->store, &now, &g, &from, &err));
	assert_err(err, ERR_SIGNATURE);
	assert_false(store_fund(w->store, &now, relay_key_public(w->application), 100001, true,
				&escrow, &from, &err));
	assert_non_null(strstr(err.msg, "only 100000"));
}

static void a_stake_that_would_pass_the_total_is_refused(void **state)
{
	struct world *w = *state;
	const struct store_write now = {.now_ms = w->now_ms};
	struct session_params p = small_params();
	struct supplier_entry s;
	struct err err;
	height_t from;

	p.stake_cap = ((u128)1 << 63) - 1;
	assert_ok(store_put_params(w->store, &now, &p, &from, &err), err);
	s = supplier_of(4, ((u128)1 << 63) - 1 - 6);
	assert_ok(store_put_supplier(w->store, &now, &s, &from, &err), err);
	s = supplier_of(5, 1);
	assert_false(store_put_supplier(w->store, &now, &s, &from, &err));
	assert_err(err, ERR_RANGE);
}

static void the_keeper_catches_up_and_leaves_out_only_the_middle(void **state)
{
	struct world *w = *state;
	struct seed_run run = {0};
	height_t last, now = 8 + 50, far = 8 + 50 + 3 * STORE_FILL_MAX;
	msec_t next;
	struct err err;

	assert_ok(
		store_keep(w->store, session_clock_ms(store_clock(w->store), now) + 1, &next, &err),
		err);
	assert_true(next == session_clock_ms(store_clock(w->store), now + 1));
	assert_ok(store_last_seed(w->store, &last, &err), err);
	assert_int_equal(last, now);
	assert_ok(store_seeds(w->store, 0, now + 1, &run, &err), err);
	assert_int_equal(run.n, now + 1);
	assert_ok(store_keep(w->store, session_clock_ms(store_clock(w->store), far), &next, &err),
		  err);
	assert_ok(store_last_seed(w->store, &last, &err), err);
	assert_int_equal(last, far);
	seed_run_finish(&run);
	assert_ok(store_seeds(w->store, 0, far + 1, &run, &err), err);
	assert_int_equal(run.n, now + 1 + STORE_FILL_MAX + 1);
	seed_run_finish(&run);
}

static void what_is_no_registry_is_refused_by_path(void **state)
{
	struct world *w = *state;
	CLEANUP(xfree) char *missing = xasprintf("%s/none.db", w->dir);
	struct registry *r = NULL;
	struct store *s = NULL;
	struct err err;

	assert_false(registry_open(missing, NULL, &r, &err));
	assert_err(err, ERR_REGISTRY);
	assert_non_null(strstr(err.msg, missing));
	assert_false(store_open(missing, &s, &err));
	assert_false(registry_open("http://127.0.0.1:1/", NULL, &r, &err));
	assert_non_null(strstr(err.msg, "registry key"));
	assert_false(registry_open("http://127.0.0.1:1/", relay_key_public(w->registry), &r, &err));
	assert_err(err, ERR_REGISTRY);
	assert_false(registry_open(w->path, &w->gateway, &r, &err));
	assert_non_null(strstr(err.msg, "pinned"));
}

/* Writes the export beside its place and moves it there, as an operator's script does. */
static void write_export(struct world *w, const char *path)
{
	CLEANUP(registry_export_finish) struct registry_export e = {0};
	CLEANUP(xfree) char *part = xasprintf("%s.part", path);
	CLEANUP(buf_finish) struct buf note = {0};
	struct err err;
	FILE *f;

	assert_ok(store_export(w->store, 0, UINT64_MAX, &e, &err), err);
	assert_ok(registry_export_check_tables(&e, &err), err);
	registry_export_sign(&e, w->registry, &note);
	f = fopen(part, "w");
	assert_true(f && fwrite(note.p, 1, note.n, f) == note.n && fclose(f) == 0);
	assert_int_equal(rename(part, path), 0);
}

static void wait_for_view(struct registry *r, height_t last_seed)
{
	for (int i = 0; i < 100; i++) {
		CLEANUP(registry_view_unref) struct registry_view *view = registry_view_take(r);
		struct pollfd fd = {.fd = registry_notify_fd(r), .events = POLLIN};
		uint64_t count;

		if (view_last_seed(view) >= last_seed)
			return;
		if (poll(&fd, 1, 100) == 1)
			assert_int_equal(read(fd.fd, &count, sizeof(count)), sizeof(count));
	}
	fail_msg("no view with the seed of height %" PRIu64, last_seed);
}

/* The same checks whatever the source is: it follows, and shares the sessions with the store. */
static void follows(struct world *w, const char *source, const char *export_path)
{
	CLEANUP(registry_close) struct registry *r = NULL;
	CLEANUP(registry_view_unref) struct registry_view *view = NULL;
	struct session_info *a = NULL, *b = NULL;
	struct registry_status status;
	height_t next = 8 + 4;
	msec_t next_ms;
	struct err err;

	if (export_path)
		write_export(w, export_path);
	assert_ok(registry_open(source, relay_key_public(w->registry), &r, &err), err);
	view = registry_view_take(r);
	assert_false(view_session(view, &w->gateway, &eth, next, &a, &err));
	assert_err(err, ERR_REGISTRY_STALE);
	assert_ok(
		store_keep(w->store, session_clock_ms(store_clock(w->store), next), &next_ms, &err),
		err);
	if (export_path)
		write_export(w, export_path);
	wait_for_view(r, next);
	registry_view_unref(view);
	view = registry_view_take(r);
	assert_ok(view_session(view, &w->gateway, &eth, next, &a, &err), err);
	assert_ok(view_session(view, &w->gateway, &eth, next - 4, &b, &err), err);
	assert_false(ID_EQ(&a->id, &b->id));
	registry_status(r, &status);
	assert_int_equal(status.failures, 0);
	free(a);
	free(b);
}

static void a_sqlite_registry_is_followed(void **state)
{
	follows(*state, ((struct world *)*state)->path, NULL);
}

static void a_registry_file_is_followed(void **state)
{
	struct world *w = *state;
	CLEANUP(xfree) char *path = xasprintf("%s/export", w->dir);

	follows(w, path, path);
}

struct serving {
	struct world *w;
	struct event_base *base;
	struct registry_server *server;
};

static void *serve(void *arg)
{
	event_base_dispatch(((struct serving *)arg)->base);
	return NULL;
}

/* The loop has its own connection to the file, as `registry serve` beside other verbs has. */
static void a_url_is_followed(void **state)
{
	struct world *w = *state;
	struct serving s = {w, event_base_new(), NULL};
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(xfree) char *url = NULL;
	pthread_t thread;
	struct err err;

	assert_int_equal(evthread_use_pthreads(), 0);
	event_base_free(s.base);
	s.base = event_base_new();
	assert_ok(store_open(w->path, &store, &err), err);
	assert_ok(registry_server_create(s.base, store, w->registry, "127.0.0.1", 0,
					 &registry_server_limits, &s.server, &err),
		  err);
	url = xasprintf("http://127.0.0.1:%u/", registry_server_port(s.server));
	assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
	follows(w, url, NULL);
	event_base_loopbreak(s.base);
	assert_int_equal(pthread_join(thread, NULL), 0);
	registry_server_destroy(s.server);
	event_base_free(s.base);
}

static void the_keeper_goes_on_by_itself(void **state)
{
	struct world *w = *state;
	struct event_base *base = event_base_new();
	const struct timeval one = {.tv_usec = BLOCK_MS * 1000};
	struct registry_keeper *k = NULL;
	height_t first, last;
	struct err err;

	assert_ok(registry_keeper_create(base, w->store, &k, &err), err);
	assert_ok(store_last_seed(w->store, &first, &err), err);
	last = first;
	for (int i = 0; i < 600 && last < first + 4; i++) {
		event_base_loopexit(base, &one);
		event_base_dispatch(base);
		assert_ok(store_last_seed(w->store, &last, &err), err);
	}
	assert_true(last >= first + 4);
	registry_keeper_destroy(k);
	event_base_free(base);
}

static void a_damaged_file_leaves_the_last_view_in_place(void **state)
{
	struct world *w = *state;
	CLEANUP(xfree) char *path = xasprintf("%s/export", w->dir);
	CLEANUP(registry_close) struct registry *r = NULL;
	CLEANUP(registry_view_unref) struct registry_view *view = NULL;
	struct registry_status status = {0};
	struct session_info *s = NULL;
	struct err err;

	write_export(w, path);
	assert_ok(registry_open(path, relay_key_public(w->registry), &r, &err), err);
	assert_int_equal(truncate(path, 100), 0);
	for (int i = 0; i < 600 && status.failures == 0; i++) {
		usleep(100000);
		registry_status(r, &status);
	}
	assert_true(status.failures > 0);
	assert_true(status.last_error.code != ERR_NONE);
	view = registry_view_take(r);
	assert_ok(view_session(view, &w->gateway, &eth, 8, &s, &err), err);
	free(s);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_new_registry_serves_at_once),
		WORLD_TEST(an_existing_file_is_not_overwritten),
		WORLD_TEST(a_write_counts_from_the_next_height_on),
		WORLD_TEST(a_clock_that_went_back_does_not_bring_entries_forward),
		WORLD_TEST(a_change_that_waited_behind_a_later_one_joins_it),
		WORLD_TEST(a_dry_run_checks_and_keeps_nothing),
		WORLD_TEST(entries_that_do_not_fit_are_refused_with_the_reason),
		WORLD_TEST(a_stake_that_would_pass_the_total_is_refused),
		WORLD_TEST(the_keeper_catches_up_and_leaves_out_only_the_middle),
		WORLD_TEST(what_is_no_registry_is_refused_by_path),
		WORLD_TEST(a_sqlite_registry_is_followed),
		WORLD_TEST(a_registry_file_is_followed),
		WORLD_TEST(a_url_is_followed),
		WORLD_TEST(the_keeper_goes_on_by_itself),
		WORLD_TEST(a_damaged_file_leaves_the_last_view_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
