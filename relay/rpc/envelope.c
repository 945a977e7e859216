/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/rpc/envelope.h"

#include <assert.h>
#include <stdlib.h>

#include "relay/base/mem.h"
#include "relay/rpc/scan.h"

#define BATCH_FIRST 8 /* calls for which room is made at first */

/* The first thing that is wrong with a call is what is said of it. */
static void call_fault(struct rpc_call *call, const char *why)
{
	if (call->error != ERR_NONE)
		return;
	call->error = ERR_REQUEST;
	call->why = why;
}

static struct view string_inside(struct view value)
{
	return VIEW(value.p + 1, value.n - 2);
}

static void call_take_id(struct rpc_call *call, struct view value)
{
	uint8_t c = value.p[0];

	if (c == '"')
		call->id_kind = RPC_ID_STRING;
	else if (c == 'n')
		call->id_kind = RPC_ID_NULL;
	else if (c == '-' || (c >= '0' && c <= '9'))
		call->id_kind = RPC_ID_NUMBER;
	else
		call_fault(call, "the id is not a string, a number or null");
	call->id = value;
}

static void call_take_member(struct rpc_call *call, const struct member *m, bool *version)
{
	bool string = m->value.p[0] == '"';

	if (m->repeated) {
		call_fault(call, "a member stands twice");
	} else if (scan_text_is(m->name, m->name_escaped, "jsonrpc")) {
		*version = string && scan_text_is(string_inside(m->value), m->value_escaped, "2.0");
	} else if (scan_text_is(m->name, m->name_escaped, "id")) {
		call_take_id(call, m->value);
	} else if (scan_text_is(m->name, m->name_escaped, "method")) {
		if (!string) {
			call_fault(call, "the method is not a string");
			return;
		}
		call->method = string_inside(m->value);
		call->method_escaped = m->value_escaped;
	} else if (scan_text_is(m->name, m->name_escaped, "params")) {
		if (m->value.p[0] != '[' && m->value.p[0] != '{')
			call_fault(call, "params is neither an array nor an object");
		call->params = m->value;
	}
}

/* An object at p. */
static bool scan_call(struct scan *s, struct rpc_call *call)
{
	struct members seen;
	const uint8_t *from = s->p;
	bool first = true, more = true, version = false;

	*call = (struct rpc_call){0};
	seen.count = 0;
	seen.too_many = false;
	if (!scan_open(s))
		return false;
	for (;; first = false) {
		struct member m;

		if (!scan_more(s, '}', first, &more))
			return false;
		if (!more)
			break;
		if (!scan_member(s, &seen, &m))
			return false;
		call_take_member(call, &m, &version);
	}
	call->text = VIEW(from, (size_t)(s->p - from));
	if (seen.too_many)
		call_fault(call, "a call with too many members");
	if (!version)
		call_fault(call, "jsonrpc is not \"2.0\"");
	if (!call->method.p)
		call_fault(call, "there is no method");
	return true;
}

/* An entry of a batch, at p: anything. */
static bool scan_entry(struct scan *s, struct rpc_call *call)
{
	bool escaped;

	if (scan_peek(s) == '{')
		return scan_call(s, call);
	*call = (struct rpc_call){0};
	call_fault(call, "an entry of the batch is not an object");
	return scan_value(s, &call->text, &escaped);
}

static struct rpc_call *batch_next(struct rpc_request *request, size_t *cap)
{
	if (request->count == *cap) {
		*cap = *cap ? *cap * 2 : BATCH_FIRST;
		request->calls = xrealloc(request->calls, *cap * sizeof(*request->calls));
	}
	return &request->calls[request->count];
}

/* An array at p. */
static bool scan_batch(struct scan *s, size_t batch_max, struct rpc_request *request)
{
	bool first = true, more = true;
	size_t cap = 0;

	request->batch = true;
	if (!scan_open(s))
		return false;
	for (;; first = false) {
		if (!scan_more(s, ']', first, &more))
			return false;
		if (!more)
			return true;
		if (request->count == batch_max)
			return scan_fail(s, ERR_BATCH_TOO_LARGE, "more calls than the limit");
		if (!scan_entry(s, batch_next(request, &cap)))
			return false;
		request->count++;
	}
}

static bool scan_body(struct scan *s, size_t batch_max, struct rpc_request *request)
{
	uint8_t c = scan_peek(s);
	struct view other;
	bool escaped;

	if (s->p == s->end)
		return scan_fail(s, ERR_PARSE, "the body is empty");
	if (c == '[') {
		if (!scan_batch(s, batch_max, request) || !scan_end(s))
			return false;
		if (request->count == 0)
			return scan_fail(s, ERR_REQUEST, "the batch is empty");
		return true;
	}
	if (c == '{') {
		if (!scan_call(s, &request->one) || !scan_end(s))
			return false;
		request->calls = &request->one;
		request->count = 1;
		if (request->one.error != ERR_NONE)
			return scan_fail(s, request->one.error, request->one.why);
		return true;
	}
	if (!scan_value(s, &other, &escaped) || !scan_end(s))
		return false;
	return scan_fail(s, ERR_REQUEST, "neither an object nor an array");
}

bool rpc_request_scan(struct view body, const struct rpc_limits *limits, struct rpc_request *ret,
		      struct err *err)
{
	struct scan s = scan_of(body, limits->depth_max);
	struct rpc_request request = {0};

	assert(limits->batch_max >= 1);
	if (!scan_body(&s, limits->batch_max, &request)) {
		rpc_request_finish(&request);
		if (s.code == ERR_BATCH_TOO_LARGE)
			return err_set(err, s.code, "%s of %zu", err_info(s.code)->text,
				       (size_t)limits->batch_max);
		if (s.code == ERR_TOO_DEEP)
			return err_set(err, s.code, "%s of %zu at byte %zu", err_info(s.code)->text,
				       (size_t)limits->depth_max, (size_t)(s.p - s.start));
		if (s.code == ERR_PARSE)
			return err_set(err, s.code, "%s: %s at byte %zu", err_info(s.code)->text,
				       s.why, (size_t)(s.p - s.start));
		return err_set(err, s.code, "%s: %s", err_info(s.code)->text, s.why);
	}
	*ret = request;
	if (!request.batch)
		ret->calls = &ret->one;
	return true;
}

void rpc_request_finish(struct rpc_request *request)
{
	if (request->batch) {
		ANALYZER_FACT(request->calls != &request->one); /* that is of a single call */
		free(request->calls);
	}
	*request = (struct rpc_request){0};
}

bool rpc_method(const struct rpc_call *call, char scratch[RPC_METHOD_MAX], struct view *ret)
{
	uint8_t decoded[6 * RPC_METHOD_MAX];
	size_t n;

	if (!call->method_escaped) {
		if (call->method.n > RPC_METHOD_MAX)
			return false;
		*ret = call->method;
		return true;
	}
	if (call->method.n > sizeof(decoded))
		return false;
	n = rpc_text_decode(call->method, decoded);
	if (n > RPC_METHOD_MAX)
		return false;
	memcpy(scratch, decoded, n);
	*ret = VIEW(scratch, n);
	return true;
}

/* --- answers --- */

/* An integer without fraction or exponent. */
static bool parse_code(struct view token, int64_t *ret)
{
	bool minus = token.n > 0 && token.p[0] == '-';
	uint64_t v;

	if (!u64_parse((const char *)token.p + minus, token.n - minus, &v) || v > INT64_MAX)
		return false;
	*ret = minus ? -(int64_t)v : (int64_t)v;
	return true;
}

/* The members of an error object, whose bytes have been scanned before. */
static const char *take_error(struct rpc_answer *answer, size_t depth_max)
{
	struct scan s = scan_of(answer->error, depth_max);
	struct members seen;
	bool first = true, more = true, escaped;

	seen.count = 0;
	seen.too_many = false;
	if (answer->error.p[0] != '{')
		return "its error is not an object";
	if (!scan_open(&s))
		return s.why;
	for (;; first = false) {
		struct member m;

		if (!scan_more(&s, '}', first, &more))
			return s.why;
		if (!more)
			break;
		if (!scan_member(&s, &seen, &m))
			return s.why;
		escaped = m.name_escaped;
		if (m.repeated)
			return "a member of its error stands twice";
		if (m.name.n > RPC_NAME_MAX)
			return "a member's name is too long";
		if (scan_text_is(m.name, escaped, "code"))
			answer->error_code_known = parse_code(m.value, &answer->error_code);
		else if (scan_text_is(m.name, escaped, "message") && m.value.p[0] == '"')
			answer->error_message = string_inside(m.value);
		else if (scan_text_is(m.name, escaped, "data"))
			answer->error_data = m.value;
	}
	if (seen.too_many)
		return "its error has too many members";
	return answer->error_code_known ? NULL : "its error has no integer code";
}

static const char *answer_take_member(struct rpc_answer *answer, const struct member *m)
{
	if (m->repeated)
		return "a member stands twice";
	if (m->name.n > RPC_NAME_MAX)
		return "a member's name is too long";
	if (scan_text_is(m->name, m->name_escaped, "id")) {
		if (m->value.n != 1 || m->value.p[0] != '1')
			return "its id is not the one that was asked with";
		answer->id = m->value;
	} else if (scan_text_is(m->name, m->name_escaped, "result")) {
		answer->result = m->value;
	} else if (scan_text_is(m->name, m->name_escaped, "error")) {
		answer->error = m->value;
	}
	return NULL;
}

static const char *scan_answer(struct scan *s, struct rpc_answer *answer)
{
	struct members seen;
	bool first = true, more = true;
	const char *why = NULL;

	seen.count = 0;
	seen.too_many = false;
	if (scan_peek(s) != '{')
		return "it is not an object";
	if (!scan_open(s))
		return s->why;
	for (;; first = false) {
		struct member m;

		if (!scan_more(s, '}', first, &more))
			return s->why;
		if (!more)
			break;
		if (!scan_member(s, &seen, &m))
			return s->why;
		why = answer_take_member(answer, &m);
		if (why)
			return why;
	}
	if (!scan_end(s))
		return s->why;
	if (seen.too_many)
		return "it has too many members";
	if (answer->id.n == 0)
		return "it has no id";
	if ((answer->result.n == 0) == (answer->error.n == 0))
		return "it has not exactly one of result and error";
	return answer->error.n > 0 ? take_error(answer, s->depth_max) : NULL;
}

bool rpc_answer_scan(struct view body, struct rpc_answer *ret, struct err *err)
{
	struct scan s = scan_of(body, RPC_DEPTH_ANSWER);
	struct rpc_answer answer = {0};
	const char *why = scan_answer(&s, &answer);

	if (why)
		return err_set(err, ERR_UPSTREAM, "the backend's answer is not valid: %s", why);
	*ret = answer;
	return true;
}
