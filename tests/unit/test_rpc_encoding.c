/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/mem.h"
#include "relay/rpc/encoding.h"
#include "relay/rpc/reply.h"

static struct service_name service(const char *s)
{
	struct service_name name;

	assert_true(service_name_parse(s, strlen(s), &name));
	return name;
}

/* The encoding of a call as hex, freed by the caller. */
static struct buf encode(const char *body)
{
	struct rpc_limits limits = {.depth_max = 64, .batch_max = 1};
	struct service_name eth = service("eth");
	struct rpc_request r;
	struct buf out = {0};
	struct err err;

	assert_ok(rpc_request_scan(VIEW_STR(body), &limits, &r, &err), err);
	request_encoding_put_call(&out, &eth, &r.calls[0]);
	rpc_request_finish(&r);
	return out;
}

/* [E2], [E3] */
static void a_calls_encoding_has_these_bytes(void **state)
{
	struct buf out = encode(" {\"jsonrpc\":\"2.0\",\"id\":\"abc\",\"method\":\"m\"} ");
	static const char want[] = "\x01\x03"
				   "eth\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x25"
				   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}";

	assert_int_equal(out.n, sizeof(want) - 1);
	assert_memory_equal(out.p, want, out.n);
	buf_finish(&out);
}

/* [E3] */
static void only_the_id_token_is_replaced(void **state)
{
	struct buf out =
		encode("{ \"id\" : 123456789012345678901234567890 ,\"params\":[{\"id\":7}],"
		       "\"method\":\"m\",\"jsonrpc\":\"2.0\" }");
	struct request_encoding request;
	struct err err;

	assert_ok(request_encoding_parse(buf_view(&out), &request, &err), err);
	assert_true(view_eq(request.body,
			    VIEW_STR("{ \"id\" : 1 ,\"params\":[{\"id\":7}],\"method\":\"m\","
				     "\"jsonrpc\":\"2.0\" }")));
	buf_finish(&out);
}

/* [E3] */
static void a_notification_stays_unchanged(void **state)
{
	const char *body = "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{\"id\":5}}";
	struct buf out = encode(body);
	struct request_encoding request;
	struct err err;

	assert_ok(request_encoding_parse(buf_view(&out), &request, &err), err);
	assert_int_equal(request.kind, ENCODING_JSONRPC);
	assert_string_equal(request.service.s, "eth");
	assert_true(view_eq(request.body, VIEW_STR(body)));
	buf_finish(&out);
}

static void requests_of_both_kinds_come_back_from_their_bytes(void **state)
{
	struct request_encoding request = {
		.kind = ENCODING_HTTP,
		.service = service("ipfs"),
		.verb = VIEW_STR("GET"),
		.path = VIEW_STR("/ipfs/x?y=z"),
		.content_type = VIEW_STR("text/plain"),
		.body = VIEW_STR("body"),
	};
	struct request_encoding got;
	struct buf out = {0};
	struct err err;

	request_encoding_put(&out, &request);
	assert_ok(request_encoding_parse(buf_view(&out), &got, &err), err);
	assert_int_equal(got.kind, ENCODING_HTTP);
	assert_string_equal(got.service.s, "ipfs");
	assert_true(view_eq(got.verb, request.verb));
	assert_true(view_eq(got.path, request.path));
	assert_true(view_eq(got.content_type, request.content_type));
	assert_true(view_eq(got.body, request.body));
	for (size_t n = 0; n < out.n; n++)
		assert_false(request_encoding_parse(VIEW(out.p, n), &got, &err));
	buf_put_u8(&out, 0);
	assert_false(request_encoding_parse(buf_view(&out), &got, &err));
	assert_err(err, ERR_FORMAT);
	/* The same with JSON-RPC's kind has a verb that it must not have; kind 3 is unknown. */
	out.n--;
	out.p[0] = ENCODING_JSONRPC;
	assert_false(request_encoding_parse(buf_view(&out), &got, &err));
	out.p[0] = 3;
	assert_false(request_encoding_parse(buf_view(&out), &got, &err));
	out.p[0] = ENCODING_HTTP;
	out.p[2] = '-';
	assert_false(request_encoding_parse(buf_view(&out), &got, &err));
	buf_finish(&out);
}

/* [E4] */
static void an_answers_head_in_place_is_the_encodings(void **state)
{
	struct response_encoding response = {
		.status = 200,
		.content_type = VIEW_STR("application/json"),
		.body = VIEW_STR("{\"id\":1,\"result\":2}"),
	};
	struct response_encoding got;
	uint8_t head[RESPONSE_JSON_HEAD];
	struct buf out = {0};
	struct err err;

	response_encoding_put(&out, &response);
	response_encoding_json_head(head, response.body.n);
	assert_int_equal(out.n, sizeof(head) + response.body.n);
	assert_memory_equal(out.p, head, sizeof(head));
	assert_ok(response_encoding_parse(buf_view(&out), &got, &err), err);
	assert_int_equal(got.status, 200);
	assert_true(view_eq(got.content_type, response.content_type));
	assert_true(view_eq(got.body, response.body));
	for (size_t n = 0; n < out.n; n++)
		assert_false(response_encoding_parse(VIEW(out.p, n), &got, &err));
	buf_finish(&out);
}

/* [E7] */
static void a_refusal_has_the_wire_code_and_the_name(void **state)
{
	struct response_encoding got;
	struct buf out = {0};
	struct err err;

	response_encoding_put_refusal(&out, ERR_UNPAID);
	assert_ok(response_encoding_parse(buf_view(&out), &got, &err), err);
	assert_int_equal(got.status, 22);
	assert_true(view_eq(got.content_type, VIEW_STR("text/plain")));
	assert_true(view_eq(got.body, VIEW_STR("unpaid")));
	buf_finish(&out);
}

/* [E6] */
static void the_clients_id_comes_back_into_the_answer(void **state)
{
	struct view body = VIEW_STR("{\"id\":1,\"result\":\"1\"}");
	struct rpc_answer answer;
	struct reply_parts parts;
	struct buf out = {0};
	struct err err;

	assert_ok(rpc_answer_scan(body, &answer, &err), err);
	parts = reply_splice(body, &answer, VIEW_STR("\"\\u0061\""));
	reply_put(&out, &parts);
	assert_string_equal(buf_cstr(&out), "{\"id\":\"\\u0061\",\"result\":\"1\"}");
	assert_int_equal(out.n, reply_size(&parts));
	buf_finish(&out);
}

static void an_error_object_names_the_fault(void **state)
{
	struct buf out = {0};
	struct err err;

	err_set(&err, ERR_METHOD, "method \"a\\b\n\" is not relayed");
	reply_put_error(&out, VIEW_STR("7"), &err);
	assert_string_equal(buf_cstr(&out),
			    "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32601,\"message\":"
			    "\"method \\\"a\\\\b\\u000a\\\" is not relayed\","
			    "\"data\":{\"error\":\"method\"}}}");
	out.n = 0;
	err = (struct err){.code = ERR_PARSE};
	reply_put_error(&out, VIEW(NULL, 0), &err);
	assert_string_equal(
		buf_cstr(&out),
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":"
		"\"the body is not valid JSON\",\"data\":{\"error\":\"parse\"}}}");
	buf_finish(&out);
}

static void a_receipts_name_is_lane_seq_and_salt(void **state)
{
	struct lane_id lane = {{0xab, 0x01}}, got_lane;
	struct salt salt = {{0xff}};
	char text[REPLY_RECEIPT_MAX];
	uint64_t seq;

	reply_receipt_text(&lane, 1048575, &salt, text);
	assert_string_equal(text, "ab010000000000000000000000000000/1048575/"
				  "ff000000000000000000000000000000");
	assert_true(reply_receipt_parse(text, 32 + 1 + 7, &got_lane, &seq));
	assert_true(ID_EQ(&got_lane, &lane));
	assert_int_equal(seq, 1048575);
	assert_false(reply_receipt_parse(text, 33, &got_lane, &seq));
	assert_false(reply_receipt_parse(text, strlen(text), &got_lane, &seq));
	assert_false(reply_receipt_parse("", 0, &got_lane, &seq));
	text[33] = '0';
	assert_false(reply_receipt_parse(text, 40, &got_lane, &seq));
	reply_receipt_text(&lane, UINT64_MAX, &salt, text);
	assert_int_equal(strlen(text), REPLY_RECEIPT_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_calls_encoding_has_these_bytes),
		cmocka_unit_test(only_the_id_token_is_replaced),
		cmocka_unit_test(a_notification_stays_unchanged),
		cmocka_unit_test(requests_of_both_kinds_come_back_from_their_bytes),
		cmocka_unit_test(an_answers_head_in_place_is_the_encodings),
		cmocka_unit_test(a_refusal_has_the_wire_code_and_the_name),
		cmocka_unit_test(the_clients_id_comes_back_into_the_answer),
		cmocka_unit_test(an_error_object_names_the_fault),
		cmocka_unit_test(a_receipts_name_is_lane_seq_and_salt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
