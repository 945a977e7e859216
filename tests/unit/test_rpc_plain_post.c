/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/mem.h"
#include "relay/rpc/plain_post.h"

#define BODY "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"net_version\"}"
#define LENGTH "Content-Length: 47\r\n"

static bool is_plain(const char *text)
{
	struct plain_post post;

	return plain_post_read(VIEW_STR(text), &post);
}

static void what_clients_usually_send_is_plain(void **state)
{
	static const char *const heads[] = {
		"POST / HTTP/1.1\r\n" LENGTH "\r\n",
		"POST / HTTP/1.1\r\nHost: 127.0.0.1:8545\r\nContent-Type: "
		"application/json\r\n" LENGTH "\r\n",
		"POST / HTTP/1.1\r\nhost:x\r\ncontent-length:47\r\nuser-agent: viem/2\r\naccept: "
		"*/*\r\n"
		"accept-encoding: gzip, deflate\r\naccept-language: *\r\norigin: http://a.b\r\n"
		"referer: http://a.b/c?d\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 0047\r\nHost:\t\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		CLEANUP(buf_finish) struct buf text = {0};
		struct plain_post post;

		buf_put_str(&text, heads[i]);
		buf_put_str(&text, BODY);
		assert_true(plain_post_read(buf_view(&text), &post));
		assert_true(view_eq(post.path, VIEW_STR("/")));
		assert_true(view_eq(post.body, VIEW_STR(BODY)));
		for (size_t n = 0; n < text.n; n++) /* a piece of it is not */
			assert_false(plain_post_read(VIEW(text.p, n), &post));
		buf_put_u8(&text, ' '); /* nor is more */
		assert_false(plain_post_read(buf_view(&text), &post));
	}
}

static void paths_are_of_few_letters(void **state)
{
	struct plain_post post;
	char text[PLAIN_PATH_MAX + 64];

	assert_true(plain_post_read(
		VIEW_STR("POST /eth/Some-token_1.~ HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"),
		&post));
	assert_true(view_eq(post.path, VIEW_STR("/eth/Some-token_1.~")));
	for (size_t n = PLAIN_PATH_MAX; n <= PLAIN_PATH_MAX + 1; n++) {
		snprintf(text, sizeof(text), "POST /%0*d HTTP/1.1\r\nContent-Length: 1\r\n\r\n1",
			 (int)n - 1, 7);
		assert_int_equal(plain_post_read(VIEW_STR(text), &post), n == PLAIN_PATH_MAX);
	}
	assert_false(is_plain("POST  HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"));
	assert_false(is_plain("POST eth HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"));
	assert_false(is_plain("POST /%65th HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"));
	assert_false(is_plain("POST /?a HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"));
	assert_false(is_plain("POST http://a/ HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"));
}

static void everything_else_is_left_to_others(void **state)
{
	static const char *const texts[] = {
		"",
		"POST / HTTP/1.1",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n1",
		"post / HTTP/1.1\r\nContent-Length: 1\r\n\r\n1",
		"POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\n1",
		"POST / HTTP/1.1 \r\nContent-Length: 1\r\n\r\n1",
		"POST  / HTTP/1.1\r\nContent-Length: 1\r\n\r\n1",
		"POST / HTTP/1.1\nContent-Length: 1\n\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\n\r\n1",
		"POST / HTTP/1.1\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1 \r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length:  1\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 00001\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\n1",
		"POST / HTTP/1.1\r\n Content-Length: 1\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\n Host: x\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nHost : x\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nHost: \x01\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nHost: \xc3\xa9\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nCache-Control: no-cache\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nCounterfoil-Debug: 1\r\n\r\n1",
		"POST / HTTP/1.1\r\nContent-Length: 1\r\nX-Anything: 1\r\n\r\n1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (is_plain(texts[i]))
			print_message("# %s\n", texts[i]);
		assert_false(is_plain(texts[i]));
	}
}

static void what_is_long_is_not_looked_at(void **state)
{
	static const char head[] = "POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%0*d";
	char text[PLAIN_POST_MAX + 64];
	int n = 4000;

	snprintf(text, sizeof(text), head, n, n, 1);
	assert_true(is_plain(text));
	n = PLAIN_POST_MAX - 40; /* the head has 41 bytes then */
	snprintf(text, sizeof(text), head, n, n, 1);
	assert_true(strlen(text) > PLAIN_POST_MAX);
	assert_false(is_plain(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_clients_usually_send_is_plain),
		cmocka_unit_test(paths_are_of_few_letters),
		cmocka_unit_test(everything_else_is_left_to_others),
		cmocka_unit_test(what_is_long_is_not_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
