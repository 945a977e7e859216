/* SPDX-License-Identifier: Apache-2.0
 * What is JSON and what is not: grammar, UTF-8, depth. */
#include "tests/unit/unit.h"

#include "tests/unit/scan_world.h"

static void what_is_no_json_does_not_parse(void **state)
{
	static const char *const bodies[] = {
		"",
		"  \t\r\n",
		"{",
		"[",
		"{\"a\"",
		"{\"a\":",
		"{\"a\":1",
		"{\"a\":1,",
		"{\"a\":1,}",
		"{,}",
		"[1,]",
		"[,1]",
		"[1 2]",
		"{\"a\" 1}",
		"{a:1}",
		"{'a':1}",
		"{1:1}",
		"[1}",
		"{\"a\":1]",
		"]",
		"}",
		"nul",
		"nulll",
		"True",
		"NaN",
		"Infinity",
		"-",
		"+1",
		"01",
		"-01",
		"1.",
		".5",
		"1e",
		"1e+",
		"0x1",
		"1_000",
		"\"",
		"\"\\\"",
		"\"\\x41\"",
		"\"\\u12\"",
		"\"\\u12G4\"",
		"\"\\",
		"\"a\nb\"",
		"\"a\tb\"",
		"1 2",
		"{} {}",
		"{}x",
		"[] ,",
		"/* c */ 1",
		"1 // c",
		"\xef\xbb\xbf{}",
		"\f1",
		"\v1",
		("\xc2\xa0"
		 "1"),
		"123 garbage",
		"[]x",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		assert_int_equal(refused(bodies[i]), ERR_PARSE);
	assert_int_equal(refused_n("\"a\0b\"", 5), ERR_PARSE);
	assert_int_equal(refused_n("1\0", 2), ERR_PARSE);
	assert_int_equal(refused_n("[1\0]", 4), ERR_PARSE);
	assert_int_equal(refused_n("\0", 1), ERR_PARSE);
	assert_int_equal(refused_n("\"\\\0\"", 4), ERR_PARSE);
}

static void every_prefix_of_a_call_does_not_parse(void **state)
{
	const char *body = "{\"jsonrpc\":\"2.0\",\"id\":-1.5e+7,\"method\":\"\\u00e9\xc3\xa9\","
			   "\"params\":[{\"a\":[true,false,null,\"\\n\"]},[],{}]}";
	struct rpc_request r;
	struct err err;

	for (size_t n = 0; n < strlen(body); n++) {
		/* A copy of its own, so that a read past the end is seen. */
		CLEANUP(xfree) char *copy = xmemdup(body, n);

		assert_int_equal(refused_n(copy, n), ERR_PARSE);
	}
	assert_ok(scan(body, &r, &err), err);
	rpc_request_finish(&r);
}

static void bad_utf8_does_not_parse(void **state)
{
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc3",
		"\xc3(",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xe2\x82",
		"\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff",
		"\xf0\x9f\x98",
		"\xfe",
	};
	static const char *const good[] = {
		"\xc2\x80",	"\xdf\xbf",	"\xe0\xa0\x80",	    "\xed\x9f\xbf",
		"\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
	};

	/* What is cut off within a character is called by its name too. */
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		CLEANUP(xfree)
		char *body = xasprintf("{\"x\":\"%.*s", (int)strlen(good[i]) - 1, good[i]);
		struct rpc_request r;
		struct err err;

		assert_false(scan(body, &r, &err));
		assert_non_null(strstr(err.msg, "UTF-8"));
	}
	/* At each place against the words of eight bytes that the scanner takes at once. */
	for (int at = 0; at < 17; at++) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			CLEANUP(xfree)
			char *body = xasprintf("{\"x\":\"%.*s%s%s\"}", at, "0123456789abcdef",
					       bad[i], i % 2 ? "" : "0123456789");

			assert_int_equal(refused(body), ERR_PARSE);
		}
		for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
			CLEANUP(xfree)
			char *body =
				xasprintf("{\"x\":\"%.*s%s\"}", at, "0123456789abcdef", good[i]);

			assert_int_equal(refused(body), ERR_REQUEST);
		}
	}
}

static void every_byte_in_a_string_is_judged_alike_at_every_place(void **state)
{
	for (int c = 0; c < 128; c++) {
		for (size_t at = 0; at < 24; at++) {
			char body[64];
			bool special = c < 0x20 || c == '"' || c == '\\';

			memset(body, 'a', sizeof(body));
			body[0] = '"';
			body[1 + at] = (char)c;
			body[26] = '"';
			assert_int_equal(refused_n(body, 27), special ? ERR_PARSE : ERR_REQUEST);
		}
	}
}

/* open repeated n times, then close repeated n times. */
static char *nested(const char *open, const char *close, size_t n)
{
	struct buf b = {0};

	for (size_t i = 0; i < n; i++)
		buf_put_str(&b, open);
	buf_put_str(&b, "1");
	for (size_t i = 0; i < n; i++)
		buf_put_str(&b, close);
	buf_cstr(&b);
	return (char *)b.p;
}

static void depth_is_counted_to_the_limit(void **state)
{
	for (size_t n = RPC_DEPTH_REQUEST - 2; n <= RPC_DEPTH_REQUEST; n++) {
		CLEANUP(xfree) char *lists = nested("[", "]", n);
		CLEANUP(xfree) char *objects = nested("{\"a\":", "}", n);
		CLEANUP(xfree)
		char *a =
			xasprintf("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[%s]}", lists);
		CLEANUP(xfree)
		char *b = xasprintf("[{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":%s}]",
				    objects);
		struct rpc_request r;
		struct err err;
		bool fits = n + 2 <= RPC_DEPTH_REQUEST;

		assert_int_equal(scan(a, &r, &err), fits);
		if (fits)
			rpc_request_finish(&r);
		else
			assert_int_equal(err.code, ERR_TOO_DEEP);
		assert_int_equal(scan(b, &r, &err), fits);
		if (fits)
			rpc_request_finish(&r);
	}
}

static void very_deep_nesting_is_refused_and_harmless(void **state)
{
	CLEANUP(xfree) char *lists = nested("[", "]", 10000);
	CLEANUP(xfree) char *mixed = nested("[{\"a\":", "}]", 10000);
	struct rpc_limits deep = {.depth_max = RPC_DEPTH_MAX, .batch_max = 1};
	struct rpc_request r;
	struct err err;

	assert_int_equal(refused(lists), ERR_TOO_DEEP);
	assert_int_equal(refused(mixed), ERR_TOO_DEEP);
	assert_false(rpc_request_scan(VIEW_STR(lists), &deep, &r, &err));
	assert_int_equal(err.code, ERR_TOO_DEEP);
	assert_non_null(strstr(err.msg, "deeper than the limit of "));
	CLEANUP(xfree) char *fits = nested("[", "]", RPC_DEPTH_MAX);
	assert_true(rpc_request_scan(VIEW_STR(fits), &deep, &r, &err));
	assert_int_equal(r.calls[0].error, ERR_REQUEST);
	rpc_request_finish(&r);
}

static void brackets_must_match_at_every_depth(void **state)
{
	for (int depth = 1; depth < 60; depth++) {
		struct buf b = {0};

		for (int i = 0; i < depth; i++)
			buf_put_str(&b, i % 3 ? "[" : "{\"a\":");
		buf_put_str(&b, "0");
		for (int i = depth - 1; i >= 0; i--)
			buf_put_str(&b, i % 3 ? (i == depth / 2 ? "}" : "]")
					      : (i == depth / 2 ? "]" : "}"));
		assert_int_equal(refused_n((char *)b.p, b.n), ERR_PARSE);
		buf_finish(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_json_does_not_parse),
		cmocka_unit_test(every_prefix_of_a_call_does_not_parse),
		cmocka_unit_test(bad_utf8_does_not_parse),
		cmocka_unit_test(every_byte_in_a_string_is_judged_alike_at_every_place),
		cmocka_unit_test(depth_is_counted_to_the_limit),
		cmocka_unit_test(very_deep_nesting_is_refused_and_harmless),
		cmocka_unit_test(brackets_must_match_at_every_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
