/* SPDX-License-Identifier: Apache-2.0
 * The envelope scanner on any bytes.  What must hold afterwards: every view lies within the body,
 * in order; a call's text scanned alone is the same call; putting the id back undoes the `1`. */
#include <assert.h>

#include "relay/base/mem.h"
#include "relay/rpc/encoding.h"
#include "relay/rpc/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct view part, struct view whole)
{
	assert(part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_round_trip(const struct rpc_call *call)
{
	struct service_name eth = {"eth"};
	struct request_encoding request;
	struct rpc_request again;
	struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 1};
	struct buf out = {0}, back = {0};
	struct err err;
	bool ok;

	request_encoding_put_call(&out, &eth, call);
	ok = request_encoding_parse(buf_view(&out), &request, &err);
	assert(ok);
	ok = rpc_request_scan(request.body, &limits, &again, &err);
	assert(ok && !again.batch && again.count == 1);
	assert(view_eq(again.calls[0].method, call->method));
	assert(view_eq(again.calls[0].params, call->params));
	if (call->id_kind == RPC_ID_NONE) {
		assert(again.calls[0].id_kind == RPC_ID_NONE);
		assert(view_eq(request.body, call->text));
	} else {
		struct rpc_answer as_answer = {.id = again.calls[0].id};
		struct reply_parts parts;

		assert(view_eq(again.calls[0].id, VIEW_STR("1")));
		parts = reply_splice(request.body, &as_answer, call->id);
		reply_put(&back, &parts);
		assert(view_eq(buf_view(&back), call->text));
	}
	rpc_request_finish(&again);
	buf_finish(&out);
	buf_finish(&back);
}

static void check_call(const struct rpc_call *call, struct view body)
{
	char scratch[RPC_METHOD_MAX];
	struct view method;

	check_within(call->text, body);
	if (call->error != ERR_NONE) {
		assert(call->error == ERR_REQUEST && call->why);
		return;
	}
	assert(call->text.p[0] == '{' && call->text.p[call->text.n - 1] == '}');
	check_within(call->method, call->text);
	assert((call->id.n > 0) == (call->id_kind != RPC_ID_NONE));
	if (call->id.n > 0)
		check_within(call->id, call->text);
	if (call->params.n > 0)
		check_within(call->params, call->text);
	if (rpc_method(call, scratch, &method))
		assert(method.n <= RPC_METHOD_MAX && utf8_is_valid(call->method));
	check_round_trip(call);
}

static void check_answer(struct view body)
{
	struct rpc_answer answer;
	struct reply_parts parts;
	struct err err;

	if (!rpc_answer_scan(body, &answer, &err)) {
		assert(err.code == ERR_UPSTREAM);
		return;
	}
	check_within(answer.id, body);
	assert(view_eq(answer.id, VIEW_STR("1")));
	assert((answer.result.n > 0) != (answer.error.n > 0));
	check_within(answer.result.n > 0 ? answer.result : answer.error, body);
	assert(answer.error.n == 0 || answer.error_code_known);
	parts = reply_splice(body, &answer, VIEW_STR("1"));
	assert(reply_size(&parts) == body.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 16};
	/* A block of exactly this size: a read past its end is an error that is seen. */
	uint8_t *copy = xmemdup(data, size);
	struct view body = VIEW(copy, size);
	struct rpc_request request;
	struct err err = {0};

	if (rpc_request_scan(body, &limits, &request, &err)) {
		assert(request.count >= 1 && request.count <= 16);
		assert(request.batch || request.count == 1);
		assert(utf8_is_valid(body));
		for (size_t i = 0; i < request.count; i++)
			check_call(&request.calls[i], body);
		rpc_request_finish(&request);
	} else {
		assert(err.code == ERR_PARSE || err.code == ERR_TOO_DEEP ||
		       err.code == ERR_REQUEST || err.code == ERR_BATCH_TOO_LARGE);
	}
	check_answer(body);
	xfree(copy);
	return 0;
}
