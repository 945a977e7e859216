/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/mem.h"
#include "relay/rpc/envelope.h"

static const struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 4};

static bool scan_n(const char *body, size_t n, struct rpc_request *request, struct err *err)
{
	return rpc_request_scan(VIEW(body, n), &limits, request, err);
}

static bool scan(const char *body, struct rpc_request *request, struct err *err)
{
	return scan_n(body, strlen(body), request, err);
}

/* The code of a body that must be refused. */
static enum err_code refused_n(const char *body, size_t n)
{
	struct rpc_request request = {0};
	struct err err = {0};

	if (scan_n(body, n, &request, &err)) {
		print_message("# accepted: %.*s\n", (int)n, body);
		rpc_request_finish(&request);
		return ERR_NONE;
	}
	assert_true(err.msg[0] != '\0');
	return err.code;
}

static enum err_code refused(const char *body)
{
	return refused_n(body, strlen(body));
}

static void assert_view(struct view v, const char *want)
{
	if (!view_eq(v, VIEW_STR(want)))
		print_message("# got %.*s, want %s\n", (int)v.n, (const char *)v.p, want);
	assert_true(view_eq(v, VIEW_STR(want)));
}

static void a_call_gives_its_parts(void **state)
{
	const char *body =
		" {\"jsonrpc\": \"2.0\" ,\"id\": 7,\"method\":\"eth_call\",\"params\":[{\"to\":"
		"\"0x1\"},\"latest\"]}\r\n";
	struct rpc_request r;
	struct err err;

	assert_ok(scan(body, &r, &err), err);
	assert_false(r.batch);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.calls[0].error, ERR_NONE);
	assert_int_equal(r.calls[0].id_kind, RPC_ID_NUMBER);
	assert_view(r.calls[0].id, "7");
	assert_view(r.calls[0].method, "eth_call");
	assert_view(r.calls[0].params, "[{\"to\":\"0x1\"},\"latest\"]");
	assert_ptr_equal(r.calls[0].text.p, (const uint8_t *)body + 1);
	assert_int_equal(r.calls[0].text.n, strlen(body) - 3);
	rpc_request_finish(&r);
}

static void ids_are_kept_byte_for_byte(void **state)
{
	static const struct {
		const char *token;
		enum rpc_id_kind kind;
	} ids[] = {
		{"123456789012345678901234567890", RPC_ID_NUMBER},
		{"-0", RPC_ID_NUMBER},
		{"1.50", RPC_ID_NUMBER},
		{"-12.5E+10", RPC_ID_NUMBER},
		{"1e999", RPC_ID_NUMBER},
		{"null", RPC_ID_NULL},
		{"\"\"", RPC_ID_STRING},
		{"\"a\\u0062\\n\"", RPC_ID_STRING},
		{"\"\xc3\xa9\xf0\x9f\x98\x80\"", RPC_ID_STRING},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		CLEANUP(xfree)
		char *body =
			xasprintf("{\"id\":%s,\"method\":\"m\",\"jsonrpc\":\"2.0\"}", ids[i].token);
		struct rpc_request r;
		struct err err;

		assert_ok(scan(body, &r, &err), err);
		assert_int_equal(r.calls[0].id_kind, ids[i].kind);
		assert_view(r.calls[0].id, ids[i].token);
		rpc_request_finish(&r);
	}
}

static void ids_of_other_kinds_are_refused(void **state)
{
	assert_int_equal(refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":true}"),
			 ERR_REQUEST);
	assert_int_equal(refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":[1]}"), ERR_REQUEST);
	assert_int_equal(refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":{}}"), ERR_REQUEST);
}

static void a_call_without_id_is_a_notification(void **state)
{
	struct rpc_request r;
	struct err err;

	assert_ok(scan("{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", &r, &err), err);
	assert_int_equal(r.calls[0].id_kind, RPC_ID_NONE);
	assert_int_equal(r.calls[0].id.n, 0);
	rpc_request_finish(&r);
}

static void escaped_names_are_the_same_members(void **state)
{
	struct rpc_request r;
	struct err err;
	char scratch[RPC_METHOD_MAX];
	struct view method;

	assert_ok(scan("{\"json\\u0072pc\":\"\\u0032.0\",\"\\u0069\\u0064\":9,"
		       "\"m\\u0065thod\":\"eth\\u005fcall\",\"p\\u0061rams\":[]}",
		       &r, &err),
		  err);
	assert_view(r.calls[0].id, "9");
	assert_view(r.calls[0].params, "[]");
	assert_true(r.calls[0].method_escaped);
	assert_true(rpc_method(&r.calls[0], scratch, &method));
	assert_view(method, "eth_call");
	rpc_request_finish(&r);
}

static void a_method_longer_than_the_limit_has_no_name(void **state)
{
	char name[RPC_METHOD_MAX + 2] = {0};
	char scratch[RPC_METHOD_MAX];

	for (size_t n = RPC_METHOD_MAX; n <= RPC_METHOD_MAX + 1; n++) {
		struct rpc_request r;
		struct err err;
		struct view method;
		char body[512];

		memset(name, 'x', n);
		for (int escaped = 0; escaped < 2; escaped++) {
			snprintf(body, sizeof(body), "{\"jsonrpc\":\"2.0\",\"method\":\"%s%s\"}",
				 escaped ? "\\u0078" : "x", name + 1);
			assert_ok(scan(body, &r, &err), err);
			assert_int_equal(rpc_method(&r.calls[0], scratch, &method),
					 n <= RPC_METHOD_MAX);
			rpc_request_finish(&r);
		}
	}
}

/* As many escapes as a name can have, and one more: the room for decoding is not passed. */
static void a_method_of_escapes_only_is_decoded_to_its_limit(void **state)
{
	char scratch[RPC_METHOD_MAX];

	for (size_t n = RPC_METHOD_MAX; n <= RPC_METHOD_MAX + 1; n++) {
		CLEANUP(buf_finish) struct buf body = {0};
		struct view method = VIEW_STR("before");
		struct rpc_request r;
		struct err err;

		buf_put_str(&body, "{\"jsonrpc\":\"2.0\",\"method\":\"");
		for (size_t i = 0; i < n; i++)
			buf_put_str(&body, "\\u0078");
		buf_put_str(&body, "\"}");
		assert_ok(scan(buf_cstr(&body), &r, &err), err);
		assert_int_equal(rpc_method(&r.calls[0], scratch, &method), n == RPC_METHOD_MAX);
		if (n == RPC_METHOD_MAX)
			assert_int_equal(method.n, RPC_METHOD_MAX);
		else
			assert_view(method, "before");
		rpc_request_finish(&r);
	}
}

static void a_repeated_member_is_no_request(void **state)
{
	assert_int_equal(refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":1,\"id\":2}"),
			 ERR_REQUEST);
	assert_int_equal(refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":1,\"i\\u0064\":1}"),
			 ERR_REQUEST);
	assert_int_equal(refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"x\":1,\"x\":1}"),
			 ERR_REQUEST);
	/* The same name as bytes, as one escape and as a pair of surrogates. */
	assert_int_equal(refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"\xf0\x9f\x98\x80\":1,"
				 "\"\\ud83d\\uDE00\":1}"),
			 ERR_REQUEST);
	assert_int_equal(refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"\xc3\xa9\":1,"
				 "\"\\u00e9\":1}"),
			 ERR_REQUEST);
}

static void names_that_only_look_alike_are_not_repeats(void **state)
{
	struct rpc_request r;
	struct err err;

	assert_ok(scan("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"ID\":1,\"id\":2,\"i\":3,\"id \":4,"
		       "\"\\ud83d\":5,\"\\ude00\":6,\"a\\/b\":7,\"a\\\\b\":8}",
		       &r, &err),
		  err);
	assert_view(r.calls[0].id, "2");
	rpc_request_finish(&r);
}

static void members_of_params_are_not_the_calls(void **state)
{
	struct rpc_request r;
	struct err err;

	assert_ok(scan("{\"params\":{\"id\":5,\"id\":6,\"method\":\"x\"},\"method\":\"m\","
		       "\"jsonrpc\":\"2.0\",\"id\":\"z\"}",
		       &r, &err),
		  err);
	assert_view(r.calls[0].id, "\"z\"");
	assert_view(r.calls[0].method, "m");
	rpc_request_finish(&r);
}

static void too_many_members_are_no_request(void **state)
{
	char body[512] = "{\"jsonrpc\":\"2.0\",\"method\":\"m\"";

	for (int i = 2; i < RPC_MEMBERS_MAX + 1; i++) {
		char member[16];

		if (i == RPC_MEMBERS_MAX) {
			struct rpc_request r;
			struct err err;
			CLEANUP(xfree) char *whole = xasprintf("%s}", body);

			assert_ok(scan(whole, &r, &err), err);
			rpc_request_finish(&r);
		}
		snprintf(member, sizeof(member), ",\"k%d\":0", i);
		strncat(body, member, sizeof(body) - strlen(body) - 1);
	}
	strncat(body, "}", sizeof(body) - strlen(body) - 1);
	assert_int_equal(refused(body), ERR_REQUEST);
}

static void what_is_no_call_is_no_request(void **state)
{
	static const char *const bodies[] = {
		"1",
		"\"x\"",
		"null",
		"true",
		"{}",
		"[]",
		" [ ] ",
		"{\"jsonrpc\":\"2.0\",\"id\":1}",
		"{\"method\":\"m\",\"id\":1}",
		"{\"jsonrpc\":\"1.0\",\"method\":\"m\",\"id\":1}",
		"{\"jsonrpc\":2.0,\"method\":\"m\",\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":1,\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":null,\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":1,\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":null,\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":\"x\",\"id\":1}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		assert_int_equal(refused(bodies[i]), ERR_REQUEST);
}

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

static void a_batch_keeps_order_and_judges_each_entry(void **state)
{
	struct rpc_request r;
	struct err err;

	assert_ok(scan("[{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1}, 5 ,{\"foo\":\"boo\"},"
		       "{\"jsonrpc\":\"2.0\",\"method\":\"b\",\"id\":1,\"params\":{}}]",
		       &r, &err),
		  err);
	assert_true(r.batch);
	assert_int_equal(r.count, 4);
	assert_int_equal(r.calls[0].error, ERR_NONE);
	assert_view(r.calls[0].method, "a");
	assert_int_equal(r.calls[1].error, ERR_REQUEST);
	assert_view(r.calls[1].text, "5");
	assert_int_equal(r.calls[2].error, ERR_REQUEST);
	assert_non_null(r.calls[2].why);
	assert_int_equal(r.calls[3].error, ERR_NONE);
	assert_view(r.calls[3].text,
		    "{\"jsonrpc\":\"2.0\",\"method\":\"b\",\"id\":1,\"params\":{}}");
	rpc_request_finish(&r);
}

static void a_batch_over_the_limit_is_refused_whole(void **state)
{
	struct rpc_request r;
	struct err err;

	assert_ok(scan("[1,1,1,1]", &r, &err), err);
	assert_int_equal(r.count, 4);
	rpc_request_finish(&r);
	assert_false(scan("[1,1,1,1,1]", &r, &err));
	assert_int_equal(err.code, ERR_BATCH_TOO_LARGE);
	assert_string_equal(err.msg, "the batch has more calls than the limit of 4");
}

static void a_batch_with_a_broken_entry_does_not_parse(void **state)
{
	assert_int_equal(refused("[{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"id\":1},{]"), ERR_PARSE);
	assert_int_equal(refused("[{\"jsonrpc\": \"2.0\", \"method\": \"sum\", \"id\": \"1\"},"
				 "{\"jsonrpc\": \"2.0\", \"method\"]"),
			 ERR_PARSE);
}

/* --- answers --- */

static bool answer(const char *body, struct rpc_answer *a, struct err *err)
{
	return rpc_answer_scan(VIEW_STR(body), a, err);
}

static void a_result_gives_its_parts(void **state)
{
	const char *body = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"id\":2,\"error\":3}}\n";
	struct rpc_answer a;
	struct err err;

	assert_ok(answer(body, &a, &err), err);
	assert_ptr_equal(a.id.p, (const uint8_t *)strstr(body, "1,\"result"));
	assert_view(a.result, "{\"id\":2,\"error\":3}");
	assert_int_equal(a.error.n, 0);
}

static void an_error_gives_code_message_and_data(void **state)
{
	struct rpc_answer a;
	struct err err;

	assert_ok(answer("{\"error\":{\"data\":\"0x08c379a0\",\"code\":3,"
			 "\"message\":\"execution reverted\"},\"id\":1}",
			 &a, &err),
		  err);
	assert_true(a.error_code_known);
	assert_int_equal(a.error_code, 3);
	assert_view(a.error_message, "execution reverted");
	assert_view(a.error_data, "\"0x08c379a0\"");
	assert_ok(answer("{\"id\":1,\"error\":{\"code\":-32000}}", &a, &err), err);
	assert_int_equal(a.error_code, -32000);
	assert_int_equal(a.error_message.n, 0);
}

static void answers_that_are_not_valid_are_the_backends_fault(void **state)
{
	static const char *const bodies[] = {
		"",
		"[]",
		"1",
		"<html>",
		"{\"id\":1}",
		"{\"id\":2,\"result\":1}",
		"{\"id\":1.0,\"result\":1}",
		"{\"id\":01,\"result\":1}",
		"{\"id\":\"1\",\"result\":1}",
		"{\"id\":null,\"result\":1}",
		"{\"result\":1}",
		"{\"result\":{\"id\":1}}",
		"{\"id\":1,\"result\":1,\"error\":null}",
		"{\"id\":1,\"result\":1,\"error\":{\"code\":1}}",
		"{\"id\":1,\"error\":null}",
		"{\"id\":1,\"error\":\"x\"}",
		"{\"id\":1,\"error\":{}}",
		"{\"id\":1,\"error\":{\"code\":\"3\"}}",
		"{\"id\":1,\"error\":{\"code\":1.5}}",
		"{\"id\":1,\"error\":{\"code\":99999999999999999999}}",
		"{\"id\":1,\"error\":{\"code\":3,\"code\":4}}",
		"{\"id\":1,\"id\":1,\"result\":1}",
		"{\"id\":1,\"i\\u0064\":1,\"result\":1}",
		"{\"id\":1,\"result\":1,\"result\":2}",
		"{\"id\":1,\"result\":1}x",
		"{\"id\":1,\"result\":1",
		"{\"id\":1,\"result\":\"\xff\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct rpc_answer a;
		struct err err = {0};

		if (answer(bodies[i], &a, &err))
			print_message("# accepted: %s\n", bodies[i]);
		assert_int_equal(err.code, ERR_UPSTREAM);
	}
}

static void texts_decode_to_their_bytes(void **state)
{
	static const struct {
		const char *raw;
		const char *text;
	} cases[] = {
		{"", ""},
		{"abc", "abc"},
		{"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
		{"\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac"},
		{"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
		{"\\ud83dx", "\xed\xa0\xbdx"},
		{"\\ud83d\\u0041", "\xed\xa0\xbd"
				   "A"},
		{"\\ude00", "\xed\xb8\x80"},
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t dst[64];
		size_t n = rpc_text_decode(VIEW_STR(cases[i].raw), dst);

		assert_true(n <= strlen(cases[i].raw));
		assert_view(VIEW(dst, n), cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_gives_its_parts),
		cmocka_unit_test(ids_are_kept_byte_for_byte),
		cmocka_unit_test(ids_of_other_kinds_are_refused),
		cmocka_unit_test(a_call_without_id_is_a_notification),
		cmocka_unit_test(escaped_names_are_the_same_members),
		cmocka_unit_test(a_method_longer_than_the_limit_has_no_name),
		cmocka_unit_test(a_method_of_escapes_only_is_decoded_to_its_limit),
		cmocka_unit_test(a_repeated_member_is_no_request),
		cmocka_unit_test(names_that_only_look_alike_are_not_repeats),
		cmocka_unit_test(members_of_params_are_not_the_calls),
		cmocka_unit_test(too_many_members_are_no_request),
		cmocka_unit_test(what_is_no_call_is_no_request),
		cmocka_unit_test(what_is_no_json_does_not_parse),
		cmocka_unit_test(every_prefix_of_a_call_does_not_parse),
		cmocka_unit_test(bad_utf8_does_not_parse),
		cmocka_unit_test(every_byte_in_a_string_is_judged_alike_at_every_place),
		cmocka_unit_test(depth_is_counted_to_the_limit),
		cmocka_unit_test(very_deep_nesting_is_refused_and_harmless),
		cmocka_unit_test(brackets_must_match_at_every_depth),
		cmocka_unit_test(a_batch_keeps_order_and_judges_each_entry),
		cmocka_unit_test(a_batch_over_the_limit_is_refused_whole),
		cmocka_unit_test(a_batch_with_a_broken_entry_does_not_parse),
		cmocka_unit_test(a_result_gives_its_parts),
		cmocka_unit_test(an_error_gives_code_message_and_data),
		cmocka_unit_test(answers_that_are_not_valid_are_the_backends_fault),
		cmocka_unit_test(texts_decode_to_their_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
