/* SPDX-License-Identifier: Apache-2.0
 * The parts of answers. */
#include "tests/unit/unit.h"

#include "tests/unit/scan_world.h"

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
		cmocka_unit_test(a_result_gives_its_parts),
		cmocka_unit_test(an_error_gives_code_message_and_data),
		cmocka_unit_test(answers_that_are_not_valid_are_the_backends_fault),
		cmocka_unit_test(texts_decode_to_their_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
