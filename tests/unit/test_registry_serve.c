/* SPDX-License-Identifier: Apache-2.0
 * What strangers can ask of a registry over HTTP, and what it does beyond its limits.  That readers
 * get what they need is test_registry.c's. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "session/registry/desk_words.h"
#include "session/registry/serve.h"
#include "tests/unit/dial.h"

#define BLOCK_MS 50
#define HEIGHTS 20 /* at least */
#define LOOKS 6000 /* of 10 ms: only what hangs takes so long */

struct world {
	char dir[32];
	char *path;
	struct relay_key *key;
	struct store *store;
	struct event_base *base;
	struct registry_server_limits limits; /* set before serve() */
	struct registry_server *server;
};

/* A registry with the seeds of some heights. */
static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	const uint8_t seed[KEY_SEED_BYTES] = {7};
	struct err err;
	msec_t now, next;

	strncpy(w->dir, "/tmp/cf-serve-XXXXXX", sizeof(w->dir) - 1);
	assert_non_null(mkdtemp(w->dir));
	w->path = xasprintf("%s/registry.db", w->dir);
	w->key = relay_key_from_seed(KEY_ROLE_REGISTRY, seed);
	w->base = event_base_new();
	w->limits = registry_server_limits;
	clock_tick();
	now = clock_wall_ms();
	assert_ok(store_create(w->path, &session_params_default, BLOCK_MS, w->key, now, &w->store,
			       &err),
		  err);
	assert_ok(store_keep(w->store, now + (HEIGHTS - 1) * BLOCK_MS, &next, &err), err);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	CLEANUP(xfree) char *rm = xasprintf("rm -r %s", w->dir);

	registry_server_destroy(w->server);
	event_base_free(w->base);
	store_close(w->store);
	relay_key_destroy(w->key);
	assert_int_equal(system(rm), 0);
	free(w->path);
	free(w);
	return 0;
}

static void serve(struct world *w)
{
	struct err err;

	assert_ok(registry_server_create(w->base, w->store, w->key, "127.0.0.1", 0, &w->limits,
					 &w->server, &err),
		  err);
}

static int dial(const struct world *w)
{
	return dial_port(registry_server_port(w->server));
}

static void run(struct world *w)
{
	event_base_loop(w->base, EVLOOP_NONBLOCK);
}

/* What has come on a connection until the other side ended it. */
static void hear(struct world *w, int fd, struct buf *ret)
{
	uint8_t bytes[4096];
	ssize_t n = -1;

	for (int i = 0; i < LOOKS && n != 0; i++) {
		run(w);
		while ((n = read(fd, bytes, sizeof(bytes))) > 0)
			buf_put(ret, bytes, (size_t)n);
		if (n < 0)
			usleep(errno == EAGAIN ? 10000 : 0);
		if (n < 0 && errno != EAGAIN)
			break;
	}
	close(fd);
	buf_put(ret, "", 1);
}

static void say(int fd, const char *path)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);

	assert_int_equal(write(fd, text, (size_t)n), n);
}

/* Asks on a connection of its own; the status of the answer, and whether WORDS are in it. */
static int ask(struct world *w, const char *path, const char *words)
{
	CLEANUP(buf_finish) struct buf told = {0};
	int fd = dial(w), status = 0;

	say(fd, path);
	hear(w, fd, &told);
	/* NOLINTNEXTLINE(cert-err34-c): 0 is no status */
	assert_int_equal(sscanf((char *)told.p, "HTTP/1.1 %d", &status), 1);
	if (!strstr((char *)told.p, words))
		fail_msg("no \"%s\" in %s", words, (char *)told.p);
	return status;
}

static void a_range_over_the_limit_is_refused_by_name(void **state)
{
	struct world *w = *state;

	char path[64];
	height_t last;
	struct err err;

	assert_ok(store_last_seed(w->store, &last, &err), err);
	assert_true(last >= 10);
	w->limits.seeds_max = 7;
	serve(w);
	assert_int_equal(ask(w, "/?from=3&to=10", "counterfoil/registry/v1"), 200);
	assert_int_equal(ask(w, "/?from=3&to=11", "more than 7 heights"), 400);
	assert_int_equal(ask(w, "/?from=0&to=1000001", "at most 1000000 heights"), 400);
	/* What is not there does not count, so that a reader may ask for all from a height on. */
	snprintf(path, sizeof(path), "/?from=%" PRIu64 "&to=1000000", last - 6);
	assert_int_equal(ask(w, path, "counterfoil/registry/v1"), 200);
	snprintf(path, sizeof(path), "/?from=%" PRIu64 "&to=1000000", last - 7);
	assert_int_equal(ask(w, path, "more than 7 heights"), 400);
}

static void ranges_take_a_share_of_the_time_and_the_current_file_is_always_there(void **state)
{
	struct world *w = *state;

	w->limits.share = 1000000;
	w->limits.ahead_us = 1;
	serve(w);
	assert_int_equal(ask(w, "/?from=0&to=5", "counterfoil/registry/v1"), 200);
	assert_int_equal(ask(w, "/?from=0&to=5", "Retry-After: "), 503);
	assert_int_equal(ask(w, "/", "counterfoil/registry/v1"), 200);
}

static void a_share_that_was_used_comes_back(void **state)
{
	struct world *w = *state;
	int status = 0;

	w->limits.ahead_us = 0;
	serve(w);
	assert_int_equal(ask(w, "/?from=0&to=5", "counterfoil/registry/v1"), 200);
	for (int i = 0; i < LOOKS && status != 200; i++) {
		usleep(10000);
		status = ask(w, "/?from=0&to=5", "HTTP/1.1");
	}
	assert_int_equal(status, 200);
}

static void of_too_many_connections_the_oldest_ends(void **state)
{
	CLEANUP(buf_finish) struct buf told = {0};
	struct world *w = *state;
	int fd[3];

	w->limits.connections_max = 2;
	serve(w);
	for (int i = 0; i < 3; i++) {
		fd[i] = dial(w);
		run(w);
	}
	hear(w, fd[0], &told);
	assert_int_equal(told.n, 1); /* nothing but our own NUL */
	say(fd[1], "/");
	hear(w, fd[1], &told);
	assert_non_null(strstr((char *)told.p + 1, "counterfoil/registry/v1"));
	assert_int_equal(ask(w, "/", "counterfoil/registry/v1"), 200);
	close(fd[2]);
}

/* --- claims ([Y5]); what comes of right ones is test_desk.c's --- */
/* Posts a body; the status of the answer, and whether WORDS are in it. */
static int post(struct world *w, const char *path, const void *body, size_t n, const char *words)
{
	CLEANUP(buf_finish) struct buf text = {0}, told = {0};
	int fd = dial(w), status = 0;

	buf_putf(&text, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", path);
	buf_putf(&text, "Content-Length: %zu\r\n\r\n", n);
	buf_put(&text, body, n);
	for (size_t at = 0, i = 0; at < text.n && i < LOOKS; i++) {
		ssize_t sent = write(fd, text.p + at, text.n - at);

		if (sent < 0 && errno != EAGAIN)
			break; /* an answer may come before all is read */
		at += sent > 0 ? (size_t)sent : 0;
		run(w);
		if (sent < 0)
			usleep(1000);
	}
	hear(w, fd, &told);
	/* NOLINTNEXTLINE(cert-err34-c): 0 is no status */
	assert_int_equal(sscanf((char *)told.p, "HTTP/1.1 %d", &status), 1);
	if (!strstr((char *)told.p, words))
		fail_msg("no \"%s\" in %s", words, (char *)told.p);
	return status;
}

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* A claim of nobody's, with a wrong signature. */
static void put_claim(const struct world *w, struct buf *out)
{
	struct claim c = {.network = *store_network(w->store),
			  .service = {"eth"},
			  .from = 600000,
			  .to = 600060,
			  .records = 1,
			  .value = 5};
	const struct signature sig = {{1}};
	const uint8_t record[CLAIM_RECORD_SIZE] = {0};

	desk_put_claim(&c, &sig, VIEW(record, sizeof(record)), out);
}

static void what_is_no_claim_is_refused_by_name(void **state)
{
	CLEANUP(buf_finish) struct buf claim = {0};
	struct world *w = *state;

	serve(w);
	put_claim(w, &claim);
	assert_int_equal(post(w, "/claims", claim.p, claim.n, "\"error\":\"early: "), 409);
	assert_int_equal(post(w, "/claims", claim.p, 100, "not a signature, a length"), 400);
	assert_int_equal(post(w, "/claims", "", 0, "not a signature, a length"), 400);
	assert_int_equal(post(w, "/claims/" ID "/proof", claim.p, 63, "not a signature"), 400);
	assert_int_equal(post(w, "/claims/" ID "/proof", claim.p, 90, "\"state\":\"unknown\""),
			 200);
	assert_int_equal(post(w, "/claims/" ID, claim.p, claim.n, "only claims"), 405);
	assert_int_equal(post(w, "/", claim.p, claim.n, "only claims"), 405);
	assert_int_equal(ask(w, "/claims/" ID, "\"kind\":\"state\""), 200);
	assert_int_equal(ask(w, "/claims/" ID "00", "the registry file is at /"), 404);
	assert_int_equal(ask(w, "/claims/" ID "/proof", "the registry file is at /"), 404);
	assert_int_equal(ask(w, "/claims", "the registry file is at /"), 404);
	assert_int_equal(ask(w, "/claims?supplier=" ID, "write ?supplier="), 400);
	assert_int_equal(ask(w, "/claims?supplier=ab&since=0", "write ?supplier="), 400);
	assert_int_equal(ask(w, "/claims?supplier=" ID "&since=0", "\"claims\":[]"), 200);
	assert_int_equal(ask(w, "/claims.note?from=0&to=9", "counterfoil/claims/v1"), 200);
	assert_int_equal(ask(w, "/claims.note?from=9&to=9", "from < to"), 400);
}

static void a_claim_over_the_limit_is_not_read(void **state)
{
	CLEANUP(buf_finish) struct buf claim = {0};
	struct world *w = *state;

	put_claim(w, &claim);
	w->limits.body_max = claim.n;
	serve(w);
	assert_int_equal(post(w, "/claims", claim.p, claim.n, "early"), 409);
	buf_put_u8(&claim, 0);
	assert_int_equal(post(w, "/claims", claim.p, claim.n, ""), 413);
}

static void claims_take_a_share_of_the_time_and_cheap_refusals_none_of_it(void **state)
{
	CLEANUP(buf_finish) struct buf claim = {0};
	struct world *w = *state;

	w->limits.claims_share = 1000000;
	w->limits.ahead_us = 1;
	serve(w);
	put_claim(w, &claim);
	for (int i = 0; i < 3; i++)
		assert_int_equal(post(w, "/claims", claim.p, claim.n, "early"), 409);
	assert_int_equal(ask(w, "/claims?supplier=" ID "&since=0", "\"claims\":[]"), 200);
	assert_int_equal(ask(w, "/claims?supplier=" ID "&since=0", "Retry-After: "), 503);
	assert_int_equal(post(w, "/claims", claim.p, claim.n, "Retry-After: "), 503);
	assert_int_equal(ask(w, "/claims/" ID, "\"kind\":\"state\""), 200);
	assert_int_equal(ask(w, "/", "counterfoil/registry/v1"), 200);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_range_over_the_limit_is_refused_by_name),
		T(ranges_take_a_share_of_the_time_and_the_current_file_is_always_there),
		T(a_share_that_was_used_comes_back),
		T(of_too_many_connections_the_oldest_ends),
		T(what_is_no_claim_is_refused_by_name),
		T(a_claim_over_the_limit_is_not_read),
		T(claims_take_a_share_of_the_time_and_cheap_refusals_none_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
