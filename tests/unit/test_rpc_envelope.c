/* SPDX-License-Identifier: Apache-2.0
 * The parts of calls and batches. */
#include "tests/unit/unit.h"

#include "tests/unit/scan_world.h"

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
		cmocka_unit_test(a_batch_keeps_order_and_judges_each_entry),
		cmocka_unit_test(a_batch_over_the_limit_is_refused_whole),
		cmocka_unit_test(a_batch_with_a_broken_entry_does_not_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
