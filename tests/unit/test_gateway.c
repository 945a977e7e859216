/* SPDX-License-Identifier: Apache-2.0
 * A real gateway and a real node with their registry and ledgers, asked over HTTP, in front of a
 * scripted backend. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/crypto/digest.h"
#include "relay/gateway/gateway.h"
#include "relay/node/node.h"
#include "relay/receipt/bundle.h"
#include "relay/rpc/encoding.h"
#include "tests/support/faultnode.h"
#include "tests/support/network.h"

#define BALANCE "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"eth_getBalance\",\"params\":[\"0x1\"]}"

struct world {
	struct network *net;
	struct event_base *base; /* the backend's */
	struct faultnode *backend;
	_Atomic bool backend_stops;
	pthread_t backend_thread, node_thread, gateway_thread;
	struct node *node;
	struct config *config;
	struct gateway *gateway;
	CURL *curl;
	struct buf body, head;
	char url[64];
};

static void on_backend_tick(evutil_socket_t fd, short what, void *arg)
{
	struct world *w = arg;

	if (atomic_load(&w->backend_stops))
		event_base_loopbreak(w->base);
}

static void *backend_main(void *arg)
{
	struct world *w = arg;
	struct event *tick = event_new(w->base, -1, EV_PERSIST, on_backend_tick, w);
	struct timeval tv = {0, 5000};

	event_add(tick, &tv);
	event_base_dispatch(w->base);
	event_free(tick);
	return NULL;
}

static void *node_main(void *arg)
{
	struct err err;

	if (!node_loop(((struct world *)arg)->node, &err))
		fprintf(stderr, "# node: %s\n", err.msg);
	return NULL;
}

static void *gateway_main(void *arg)
{
	struct err err;

	if (!gateway_loop(((struct world *)arg)->gateway, &err))
		fprintf(stderr, "# gateway: %s\n", err.msg);
	return NULL;
}

/* --- the world --- */

static void start_backend(struct world *w, const char *script)
{
	struct err err;

	w->base = event_base_new();
	assert_ok(faultnode_create(w->base, 0, &w->backend, &err), err);
	assert_ok(faultnode_script(w->backend, script, &err), err);
	pthread_create(&w->backend_thread, NULL, backend_main, w);
}

static void start_node(struct world *w)
{
	CLEANUP(xfree) struct node_params *p = xcalloc(1, sizeof(*p));
	char ledger[96], url[64];
	struct err err;

	node_params_default(p);
	snprintf(ledger, sizeof(ledger), "%s/node", w->net->dir);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", faultnode_port(w->backend));
	p->key = w->net->supplier;
	p->registry = w->net->registry_path;
	p->listen = w->net->endpoint;
	p->ledger.dir = ledger;
	p->drain_us = 100000;
	p->services_n = 1;
	p->services[0] = (struct node_service_params){
		.name = {"eth"}, .family = "evm", .urls = {url}, .urls_n = 1};
	assert_ok(node_create(p, &w->node, &err), err);
	pthread_create(&w->node_thread, NULL, node_main, w);
}

static void stop_node(struct world *w)
{
	if (!w->node)
		return;
	node_stop(w->node);
	pthread_join(w->node_thread, NULL);
	node_destroy(w->node);
	w->node = NULL;
}

static void load_config(struct world *w, const char *more)
{
	struct config_source source = {.role = CONFIG_GATEWAY};
	struct buf yaml = {0}, problems = {0};
	char hex[65];
	struct err err;

	hex_encode(relay_key_public(w->net->application)->b, 32, hex);
	buf_putf(&yaml,
		 "gateway:\n  key: %s\n  listen: 127.0.0.1:0\n  application: \"%s\"\n"
		 "  drain: 100 ms\n  batch_max: 10\n  body_max: 256 KiB\n%s%s"
		 "registry:\n  source: %s\nledger:\n  dir: %s/gateway\n",
		 w->net->gateway_path, hex, more,
		 strstr(more, "deadline:") ? "" : "  deadline: 30 s\n", w->net->registry_path,
		 w->net->dir);
	if (!config_load_text(&source, "test", buf_view(&yaml), &w->config, &problems, &err)) {
		print_message("# %s", buf_cstr(&problems));
		fail();
	}
	buf_finish(&yaml);
	buf_finish(&problems);
}

static void wait_ready(struct world *w)
{
	usec_t end = clock_now_us() + 60000000;
	struct err why;

	while (!gateway_is_ready(w->gateway, &why) && clock_now_us() < end)
		usleep(5000);
	assert_ok(gateway_is_ready(w->gateway, &why), why);
}

static struct world *world_create(const char *script, const char *config)
{
	struct network_params params = NETWORK_PARAMS_DEFAULT;
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	crypto_init();
	assert_ok(network_create(&params, &w->net, &err), err);
	start_backend(w, script);
	start_node(w);
	load_config(w, config);
	assert_ok(gateway_create(w->config, w->net->gateway, &w->gateway, &err), err);
	pthread_create(&w->gateway_thread, NULL, gateway_main, w);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u", gateway_port(w->gateway));
	w->curl = curl_easy_init();
	wait_ready(w);
	return w;
}

static void world_destroy(struct world *w)
{
	curl_easy_cleanup(w->curl);
	gateway_stop(w->gateway);
	pthread_join(w->gateway_thread, NULL);
	gateway_destroy(w->gateway);
	config_destroy(w->config);
	stop_node(w);
	atomic_store(&w->backend_stops, true);
	pthread_join(w->backend_thread, NULL);
	faultnode_destroy(w->backend);
	event_base_free(w->base);
	network_destroy(w->net);
	buf_finish(&w->body);
	buf_finish(&w->head);
	free(w);
}

/* --- HTTP --- */

static size_t take(char *p, size_t size, size_t n, void *arg)
{
	buf_put(arg, p, size * n);
	return size * n;
}

/* One request; its status.  body NULL: GET. */
static long http(struct world *w, const char *verb, const char *path, struct view body)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CLEANUP(xfree) char *url = xasprintf("%s%s", w->url, path);
	long status = 0;
	CURLcode code;

	w->body.n = w->head.n = 0;
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_reset(w->curl);
	curl_easy_setopt(w->curl, CURLOPT_URL, url);
	curl_easy_setopt(w->curl, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(w->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(w->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(w->curl, CURLOPT_WRITEDATA, &w->body);
	curl_easy_setopt(w->curl, CURLOPT_HEADERFUNCTION, take);
	curl_easy_setopt(w->curl, CURLOPT_HEADERDATA, &w->head);
	if (body.p) {
		curl_easy_setopt(w->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, body.p);
		curl_easy_setopt(w->curl, CURLOPT_POSTFIELDSIZE, (long)body.n);
	}
	curl_easy_setopt(w->curl, CURLOPT_CUSTOMREQUEST, verb);
	code = curl_easy_perform(w->curl);
	if (code != CURLE_OK)
		print_message("# curl: %s\n", curl_easy_strerror(code));
	curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	buf_cstr(&w->body);
	buf_cstr(&w->head);
	return status;
}

static const char *post(struct world *w, const char *path, const char *body)
{
	assert_int_equal(http(w, "POST", path, VIEW_STR(body)), 200);
	return (const char *)w->body.p;
}

/* The value of a header, freed by the caller; NULL when it is not there. */
static char *header(struct world *w, const char *name)
{
	CLEANUP(xfree) char *start = xasprintf("\r\n%s: ", name);
	const char *at = strcasestr((const char *)w->head.p, start);

	if (!at)
		return NULL;
	at += strlen(start);
	return xstrndup(at, strcspn(at, "\r\n"));
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		print_message("# no %s in %s\n", part, text);
	assert_non_null(strstr(text, part));
}

/* --- tests --- */

static void a_call_is_answered_with_its_own_id_and_a_receipt(void **state)
{
	struct world *w = world_create("{\"default\":{\"result\":\"0x5\"}}", "");
	static const char *const ids[] = {"1", "123456789012345678901234567890", "\"a\\u0062\"",
					  "null", "-1.5e3"};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		CLEANUP(xfree) char *body = xasprintf(BALANCE, ids[i]);
		CLEANUP(xfree) char *id = xasprintf("\"id\":%s", ids[i]);
		CLEANUP(xfree) char *receipt = NULL;

		assert_has(post(w, "/", body), "\"result\":\"0x5\"");
		assert_has((char *)w->body.p, id);
		receipt = header(w, "Counterfoil-Receipt");
		assert_non_null(receipt);
		assert_non_null(strstr((char *)w->head.p, "Counterfoil-Supplier: "));
		assert_non_null(strstr((char *)w->head.p, "Counterfoil-Session: "));
		assert_non_null(strstr((char *)w->head.p, "Access-Control-Allow-Origin: *"));
	}
	world_destroy(w);
}

static void a_receipt_is_told_to_whoever_knows_its_salt(void **state)
{
	struct world *w = world_create("{\"default\":{\"result\":\"0x5\"}}", "");
	CLEANUP(xfree) char *receipt = NULL, *path = NULL, *wrong = NULL;
	CLEANUP(bundle_finish) struct bundle bundle = {0};
	struct request_encoding request;
	struct bundle_report report;
	char *salt;
	struct err err;

	CLEANUP(xfree) char *body = xasprintf(BALANCE, "77");

	post(w, "/", body);
	receipt = header(w, "Counterfoil-Receipt");
	salt = strrchr(receipt, '/');
	*salt++ = '\0';
	path = xasprintf("/.counterfoil/receipts/%s?salt=%s", receipt, salt);
	assert_int_equal(http(w, "GET", path, VIEW(NULL, 0)), 200);
	assert_ok(bundle_parse(buf_view(&w->body), &bundle, &err), err);
	assert_true(bundle_check(&bundle, &report));
	assert_true(bundle.has_request && bundle.has_response);
	assert_ok(request_encoding_parse(buf_view(&bundle.request), &request, &err), err);
	assert_int_equal(memcmp(request.body.p, "{\"jsonrpc\":\"2.0\",\"id\":1,", 24), 0);
	salt[0] = salt[0] == '0' ? '1' : '0';
	wrong = xasprintf("/.counterfoil/receipts/%s?salt=%s", receipt, salt);
	assert_int_equal(http(w, "GET", wrong, VIEW(NULL, 0)), 404);
	assert_int_equal(http(w, "GET", "/.counterfoil/receipts/", VIEW(NULL, 0)), 404);
	world_destroy(w);
}

static void a_batch_keeps_its_order_and_answers_each_call(void **state)
{
	struct world *w =
		world_create("{\"default\":{\"result\":\"0x5\"},\"methods\":{\"eth_chainId\":"
			     "{\"result\":\"0x1\",\"delay_ms\":50}}}",
			     "");

	post(w, "/",
	     "[{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"eth_chainId\"},7,"
	     "{\"jsonrpc\":\"2.0\",\"method\":\"eth_blockNumber\"},"
	     "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"eth_accounts\"},"
	     "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"eth_gasPrice\"}]");
	CLEANUP(xfree) char *text = xstrdup((char *)w->body.p);
	const char *first = strstr(text, "\"id\":\"a\""), *second = strstr(text, "-32600");
	const char *third = strstr(text, "-32601"), *fourth = strstr(text, "\"id\":3");

	assert_true(first && second && third && fourth);
	assert_true(first < second && second < third && third < fourth);
	assert_has(text, "\"id\":null");
	assert_has(text, "eth_accounts is not relayed");
	CLEANUP(xfree) char *receipts = header(w, "Counterfoil-Receipt");
	unsigned commas = 0;

	for (const char *p = receipts; *p; p++)
		commas += *p == ',';
	assert_int_equal(commas, 4);
	assert_has(receipts, ", -, ");
	world_destroy(w);
}

static void notifications_are_relayed_and_not_answered(void **state)
{
	struct world *w = world_create("{\"default\":{\"result\":\"0x5\"}}", "");
	const char *one = "{\"jsonrpc\":\"2.0\",\"method\":\"eth_blockNumber\"}";
	CLEANUP(xfree) char *two = xasprintf("[%s,%s]", one, one);

	assert_int_equal(http(w, "POST", "/", VIEW_STR(one)), 204);
	assert_int_equal(w->body.n, 0);
	assert_has((char *)w->head.p, "Counterfoil-Receipt: ");
	assert_int_equal(http(w, "POST", "/", VIEW_STR(two)), 204);
	assert_int_equal(w->body.n, 0);
	world_destroy(w);
}

static void bad_bodies_get_their_error_and_the_next_call_works(void **state)
{
	struct world *w = world_create("{\"default\":{\"result\":\"0x5\"}}", "");
	CLEANUP(xfree) char *good = xasprintf(BALANCE, "1");
	struct buf big = {0}, deep = {0};

	static const struct {
		const char *body;
		const char *code;
	} cases[] = {
		{"", "-32700"},
		{"garbage", "-32700"},
		{"{\"a\":\"\xff\"}", "-32700"},
		{"[]", "-32600"},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":1,\"method\":\"m\"}", "-32600"},
		{"[1,1,1,1,1,1,1,1,1,1,1]", "-32600"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_has(post(w, "/", cases[i].body), cases[i].code);
		assert_has((char *)w->body.p, "\"id\":null");
		assert_has(post(w, "/", good), "0x5");
	}
	for (int i = 0; i < 10000; i++)
		buf_put_str(&deep, "[");
	assert_has(post(w, "/", buf_cstr(&deep)), "-32700");
	for (int i = 0; i < 300000; i++)
		buf_put_u8(&big, ' ');
	assert_int_equal(http(w, "POST", "/", buf_view(&big)), 413);
	assert_has(post(w, "/", good), "0x5");
	buf_finish(&big);
	buf_finish(&deep);
	world_destroy(w);
}

static void paths_lead_to_services_and_tokens(void **state) /* [G1] */
{
	struct world *w = world_create("{\"default\":{\"result\":\"0x5\"}}", "");
	CLEANUP(xfree) char *good = xasprintf(BALANCE, "1");

	assert_has(post(w, "/eth", good), "0x5");
	assert_int_equal(http(w, "POST", "/bitcoin", VIEW_STR(good)), 404);
	assert_int_equal(http(w, "POST", "/eth/0123456789abcdef", VIEW_STR(good)), 404);
	assert_int_equal(http(w, "GET", "/", VIEW(NULL, 0)), 405);
	assert_int_equal(http(w, "OPTIONS", "/", VIEW(NULL, 0)), 204);
	assert_has((char *)w->head.p, "Access-Control-Allow-Headers: content-type");
	world_destroy(w);
}

static void an_answer_over_the_limit_does_not_arrive(void **state)
{
	struct world *w = world_create("{\"default\":{\"result\":\"0x5\"},\"methods\":"
				       "{\"eth_getLogs\":{\"size\":300000}}}",
				       "  answer_max: 64 KiB\n");
	const char *logs = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getLogs\"}";
	CLEANUP(xfree) char *good = xasprintf(BALANCE, "1");

	http(w, "POST", "/", VIEW_STR(logs));
	assert_true(w->body.n < 300000);
	assert_has(post(w, "/", good), "0x5");
	world_destroy(w);
}

static void calls_over_the_limit_in_flight_are_refused_and_others_answered(void **state)
{
	struct world *w = world_create("{\"default\":{\"result\":\"0x5\",\"delay_ms\":50}}",
				       "  in_flight_max: 2\n");
	CLEANUP(xfree) char *good = xasprintf(BALANCE, "1");
	CLEANUP(xfree) char *four = xasprintf("[%s,%s,%s,%s]", good, good, good, good);
	const char *body = post(w, "/", four);
	unsigned answered = 0, refused = 0;

	for (const char *at = body; (at = strstr(at, "0x5")); at++)
		answered++;
	for (const char *at = body; (at = strstr(at, "gateway.in_flight_max")); at++)
		refused++;
	assert_int_equal(answered, 2);
	assert_int_equal(refused, 2);
	assert_has(post(w, "/", good), "0x5");
	world_destroy(w);
}

static void accounts_over_the_limit_of_sessions_are_refused(void **state)
{
	static const char file[] = "/tmp/cf-test-tokens-XXXXXX";
	char path[sizeof(file)], more[128], other[65];
	CLEANUP(xfree) char *good = xasprintf(BALANCE, "1"), *text = NULL;
	struct world *w;
	int fd;

	memcpy(path, file, sizeof(file));
	fd = mkstemp(path);
	memset(other, 'a', 64);
	other[64] = '\0';
	text = xasprintf("some-token-of-another %s\n", other);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(more, sizeof(more), "  sessions_max: 1\n  tokens: %s\n", path);
	w = world_create("{\"default\":{\"result\":\"0x5\"}}", more);
	assert_has(post(w, "/eth/some-token-of-another", good), "gateway.sessions_max");
	assert_has(post(w, "/", good), "0x5");
	world_destroy(w);
	unlink(path);
}

static void backend_errors_pass_unchanged(void **state)
{
	struct world *w =
		world_create("{\"default\":{\"error\":{\"code\":3,\"message\":\"execution "
			     "reverted\",\"data\":\"0x08c379a0\"}}}",
			     "");
	CLEANUP(xfree) char *body = xasprintf(BALANCE, "9");

	assert_has(post(w, "/", body), "\"id\":9");
	assert_has((char *)w->body.p, "execution reverted");
	assert_has((char *)w->body.p, "0x08c379a0");
	world_destroy(w);
}

static void an_answer_of_many_parts_arrives_whole(void **state)
{
	struct world *w = world_create("{\"default\":{\"size\":500000}}", "");
	CLEANUP(xfree) char *body = xasprintf(BALANCE, "9");
	CLEANUP(xfree) char *receipt = NULL;

	post(w, "/", body);
	assert_true(w->body.n > 500000);
	assert_has((char *)w->body.p, "\"id\":9");
	assert_int_equal(w->body.p[w->body.n - 1], '}');
	receipt = header(w, "Counterfoil-Receipt");
	assert_non_null(receipt);
	world_destroy(w);
}

/* [E5]: its id is not the token 1. */
static void a_backend_that_fails_is_an_error_and_no_answer(void **state)
{
	struct world *w = world_create("{\"methods\":{\"eth_getBalance\":{\"id\":2}}}", "");
	CLEANUP(xfree) char *body = xasprintf(BALANCE, "9");

	assert_has(post(w, "/", body), "\"error\":{\"code\":-32002");
	assert_has((char *)w->body.p, "\"id\":9");
	assert_has((char *)w->body.p, "upstream");
	world_destroy(w);
}

static void a_backend_that_hangs_runs_into_the_deadline(void **state)
{
	struct world *w = world_create("{\"methods\":{\"eth_getBalance\":{\"hang\":true}}}",
				       "  attempts: 1\n  deadline: 1 s\n");
	CLEANUP(xfree) char *body = xasprintf(BALANCE, "9");
	usec_t from = clock_now_us();

	assert_has(post(w, "/", body), "-32002");
	assert_in_range(clock_now_us() - from, 900000, 20000000);
	world_destroy(w);
}

static void a_node_that_comes_back_is_used_again(void **state)
{
	struct world *w = world_create("{\"default\":{\"result\":\"0x5\"}}", "");
	CLEANUP(xfree) char *body = xasprintf(BALANCE, "9");

	for (int i = 0; i < 3; i++) {
		assert_has(post(w, "/", body), "0x5");
		stop_node(w);
		start_node(w);
		/* No wait: the call waits for the link. */
		assert_has(post(w, "/", body), "0x5");
	}
	world_destroy(w);
}

/* Clients that leave before their answer is there, at different times. */
static void clients_that_leave_disturb_nobody(void **state)
{
	struct world *w = world_create("{\"default\":{\"result\":\"0x5\",\"delay_ms\":20}}", "");
	CLEANUP(xfree) char *body = xasprintf(BALANCE, "9");

	for (int i = 0; i < 40; i++) {
		struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
		CURL *c = curl_easy_init();

		curl_easy_setopt(c, CURLOPT_URL, w->url);
		curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
		curl_easy_setopt(c, CURLOPT_WRITEDATA, &w->head);
		curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(1 + i));
		curl_easy_perform(c);
		curl_easy_cleanup(c);
		curl_slist_free_all(headers);
	}
	assert_has(post(w, "/", body), "0x5");
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_answered_with_its_own_id_and_a_receipt),
		cmocka_unit_test(a_receipt_is_told_to_whoever_knows_its_salt),
		cmocka_unit_test(a_batch_keeps_its_order_and_answers_each_call),
		cmocka_unit_test(notifications_are_relayed_and_not_answered),
		cmocka_unit_test(bad_bodies_get_their_error_and_the_next_call_works),
		cmocka_unit_test(paths_lead_to_services_and_tokens),
		cmocka_unit_test(an_answer_over_the_limit_does_not_arrive),
		cmocka_unit_test(calls_over_the_limit_in_flight_are_refused_and_others_answered),
		cmocka_unit_test(accounts_over_the_limit_of_sessions_are_refused),
		cmocka_unit_test(backend_errors_pass_unchanged),
		cmocka_unit_test(an_answer_of_many_parts_arrives_whole),
		cmocka_unit_test(a_backend_that_fails_is_an_error_and_no_answer),
		cmocka_unit_test(a_backend_that_hangs_runs_into_the_deadline),
		cmocka_unit_test(a_node_that_comes_back_is_used_again),
		cmocka_unit_test(clients_that_leave_disturb_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
