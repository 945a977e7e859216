/* SPDX-License-Identifier: Apache-2.0
 * JSON-RPC bodies and answers as the input describes them, written together with what the scanner
 * must find in them ([E3], [E5], [G4]); then damaged, and judged by jansson too. */
#include <jansson.h>

#include "relay/base/mem.h"
#include "relay/rpc/encoding.h"
#include "relay/rpc/reply.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PICK(c, list) ((list)[choose_below(c, ARRAY_SIZE(list))])
#define CALLS_MAX 20
#define BATCH_MAX 16

/* Where in the body a call and its parts must be found. */
struct model_call {
	size_t text_from, text_to;
	size_t id_from, id_to; /* equal: none */
	size_t method_from, method_to;
	size_t params_from, params_to;
	enum rpc_id_kind id_kind;
	bool bad;
};

static void space(struct choices *c, struct buf *b)
{
	static const char *const spaces[] = {"", "", "", " ", "\n", "\t \r"};

	buf_put_str(b, PICK(c, spaces));
}

static void put_string(struct choices *c, struct buf *b)
{
	static const char *const bits[] = {"a",
					   "eth_",
					   "0x0123456789abcdef",
					   "\\n",
					   "\\u00e9",
					   "\\\"",
					   "\xc3\xa9",
					   "\\ud83d\\ude00",
					   "\\/",
					   "\\ud800",
					   "\xf0\x9f\x98\x80\xe2\x82\xac"};

	buf_put_str(b, "\"");
	for (uint32_t n = choose_below(c, 6); n > 0; n--)
		buf_put_str(b, PICK(c, bits));
	buf_put_str(b, "\"");
}

static void put_scalar(struct choices *c, struct buf *b)
{
	static const char *const scalars[] = {"0",     "-0",   "1",	"-17",
					      "1.5",   "1e9",  "7",	"true",
					      "false", "null", "2E-10", "99999999999999999999999"};

	if (choose_u8(c) & 1)
		put_string(c, b);
	else
		buf_put_str(b, PICK(c, scalars));
}

static void put_value(struct choices *c, struct buf *b, unsigned depth)
{
	uint32_t what = choose_below(c, 4), n = choose_below(c, 4);

	if (what < 2 || depth == 0) {
		put_scalar(c, b);
		return;
	}
	buf_put_str(b, what == 2 ? "[" : "{");
	for (uint32_t i = 0; i < n; i++) {
		space(c, b);
		buf_put_str(b, i ? "," : "");
		space(c, b);
		if (what == 3) {
			put_string(c, b);
			space(c, b);
			buf_put_str(b, ":");
			space(c, b);
		}
		put_value(c, b, depth - 1);
	}
	space(c, b);
	buf_put_str(b, what == 2 ? "]" : "}");
}

/* A member's name, sometimes with an escape: it is the decoded name that counts. */
static void put_name(struct choices *c, struct buf *b, const char *name)
{
	if (choose_u8(c) % 8 == 7)
		buf_putf(b, "\"\\u%04x%s\"", name[0], name + 1);
	else
		buf_putf(b, "\"%s\"", name);
	space(c, b);
	buf_put_str(b, ":");
	space(c, b);
}

static void put_id(struct choices *c, struct buf *b, struct model_call *m)
{
	static const struct {
		const char *token;
		enum rpc_id_kind kind;
	} ids[] = {
		{"1", RPC_ID_NUMBER},	 {"-0.5e+7", RPC_ID_NUMBER},
		{"null", RPC_ID_NULL},	 {"\"x\\u0031\"", RPC_ID_STRING},
		{"\"\"", RPC_ID_STRING}, {"123456789012345678901234567890", RPC_ID_NUMBER},
		{"true", RPC_ID_NONE},	 {"[1]", RPC_ID_NONE},
	};
	size_t i = choose_below(c, ARRAY_SIZE(ids));

	put_name(c, b, "id");
	m->id_from = b->n;
	buf_put_str(b, ids[i].token);
	m->id_to = b->n;
	m->id_kind = ids[i].kind;
	m->bad |= ids[i].kind == RPC_ID_NONE;
}

static void put_method(struct choices *c, struct buf *b, struct model_call *m)
{
	put_name(c, b, "method");
	if (choose_u8(c) % 16 == 15) {
		buf_put_str(b, "17");
		m->bad = true;
		return;
	}
	m->method_from = b->n + 1;
	put_string(c, b);
	m->method_to = b->n - 1;
}

static void put_params(struct choices *c, struct buf *b, struct model_call *m)
{
	put_name(c, b, "params");
	m->params_from = b->n;
	put_value(c, b, 5);
	m->params_to = b->n;
	m->bad |= b->p[m->params_from] != '[' && b->p[m->params_from] != '{';
}

/* The members of a call in the order that the input gives; each at most twice. */
static void put_call(struct choices *c, struct buf *b, struct model_call *m)
{
	bool seen[4] = {false};
	uint32_t n = choose_below(c, 7), order = choose_below(c, 4);

	m->text_from = b->n;
	buf_put_str(b, "{");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t what = i < 4 ? (order + i) % 4 : choose_below(c, 4);

		space(c, b);
		buf_put_str(b, i ? "," : "");
		space(c, b);
		m->bad |= seen[what];
		if (what == 0) {
			put_name(c, b, "jsonrpc");
			buf_put_str(b, "\"2.0\"");
		} else if (what == 1) {
			put_method(c, b, m);
		} else if (what == 2) {
			put_params(c, b, m);
		} else {
			put_id(c, b, m);
		}
		seen[what] = true;
	}
	space(c, b);
	buf_put_str(b, "}");
	m->text_to = b->n;
	m->bad |= !seen[0] || !seen[1];
}

static bool is_at(struct view got, const struct buf *b, size_t from, size_t to)
{
	return from == to ? got.n == 0 : got.p == b->p + from && got.n == to - from;
}

static void check_call(const struct rpc_call *got, const struct model_call *m, const struct buf *b)
{
	assert((got->error == ERR_REQUEST) == m->bad && (got->why != NULL) == m->bad);
	assert(is_at(got->text, b, m->text_from, m->text_to));
	if (m->bad)
		return;
	assert(got->id_kind == m->id_kind && is_at(got->id, b, m->id_from, m->id_to));
	assert(is_at(got->method, b, m->method_from, m->method_to));
	assert(is_at(got->params, b, m->params_from, m->params_to));
}

/* True iff jansson takes the body.  *ret_differs: it refuses what RFC 8259 allows, a lone
 * surrogate, a number beyond its types, or a NUL in a name. */
static bool jansson_accepts(struct view body, bool *ret_differs)
{
	json_error_t error;
	json_t *json =
		json_loadb((const char *)body.p, body.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

	*ret_differs =
		!json && (strstr(error.text, "invalid Unicode") || strstr(error.text, "too big") ||
			  strstr(error.text, "overflow") || strstr(error.text, "NUL byte"));
	json_decref(json);
	return json != NULL;
}

static void judge_damaged(struct view body)
{
	const struct rpc_limits limits = {.depth_max = RPC_DEPTH_MAX, .batch_max = 1u << 20};
	struct rpc_request request;
	struct err err = {0};
	bool differs, accepts = rpc_request_scan(body, &limits, &request, &err);

	if (accepts)
		rpc_request_finish(&request);
	accepts |= err.code == ERR_REQUEST;
	if (body.n > 0 && memchr(body.p, 0, body.n)) { /* which jansson takes for the end */
		assert(!accepts);
		return;
	}
	assert(jansson_accepts(body, &differs) == accepts || (accepts && differs));
}

static void requests(struct choices *c)
{
	const struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = BATCH_MAX};
	struct model_call model[CALLS_MAX] = {{0}};
	CLEANUP(buf_finish) struct buf b = {0};
	bool batch = choose_u8(c) & 1;
	size_t n = batch ? choose_below(c, CALLS_MAX) : 1;
	struct rpc_request got;
	struct err err = {0};
	bool ok;

	space(c, &b);
	buf_put_str(&b, batch ? "[" : "");
	for (size_t i = 0; i < n; i++) {
		buf_put_str(&b, i ? "," : "");
		space(c, &b);
		put_call(c, &b, &model[i]);
	}
	buf_put_str(&b, batch ? "]" : "");
	space(c, &b);
	ok = rpc_request_scan(buf_view(&b), &limits, &got, &err);
	if (batch)
		assert(ok ? n >= 1 && n <= BATCH_MAX
			  : err.code == (n == 0 ? ERR_REQUEST : ERR_BATCH_TOO_LARGE));
	else
		assert(ok ? !model[0].bad : model[0].bad && err.code == ERR_REQUEST);
	if (ok) {
		assert(got.count == n && got.batch == batch);
		for (size_t i = 0; i < n; i++)
			check_call(&got.calls[i], &model[i], &b);
		rpc_request_finish(&got);
	}
	while (choose_damage(c, &b))
		judge_damaged(buf_view(&b));
}

/* The error object of an answer; true iff it is one that may be passed on. */
static bool put_error(struct choices *c, struct buf *b)
{
	static const struct {
		const char *token;
		bool good;
	} codes[] = {{"-32000", true},
		     {"3", true},
		     {"9223372036854775807", true},
		     {"9223372036854775808", false},
		     {"1.0", false},
		     {"\"3\"", false}};
	size_t i = choose_below(c, ARRAY_SIZE(codes));
	bool twice = choose_u8(c) % 8 == 7;

	buf_put_str(b, "{");
	put_name(c, b, "message");
	put_string(c, b);
	buf_put_str(b, ",");
	put_name(c, b, "code");
	buf_putf(b, "%s%s", codes[i].token, twice ? ",\"code\":1" : "");
	buf_put_str(b, "}");
	return codes[i].good && !twice;
}

static void answers(struct choices *c)
{
	CLEANUP(buf_finish) struct buf b = {0}, back = {0};
	bool result = choose_u8(c) & 1, both = choose_u8(c) % 8 == 7, good = !both;
	bool first = choose_u8(c) & 1, ours = choose_u8(c) % 8 != 7;
	size_t value_from, value_to;
	struct rpc_answer got;
	struct err err = {0};

	space(c, &b);
	buf_put_str(&b, "{\"jsonrpc\":\"2.0\",");
	if (first)
		buf_put_str(&b, ours ? "\"id\" :1," : "\"id\":\"1\",");
	put_name(c, &b, result ? "result" : "error");
	value_from = b.n;
	if (result)
		put_value(c, &b, 6);
	else
		good &= put_error(c, &b);
	value_to = b.n;
	buf_put_str(&b, both ? (result ? ",\"error\":null" : ",\"result\":null") : "");
	if (!first)
		buf_put_str(&b, ours ? ",\"\\u0069d\":1" : ",\"id\":01");
	buf_put_str(&b, "}");
	if (rpc_answer_scan(buf_view(&b), &got, &err)) {
		struct reply_parts parts = reply_splice(buf_view(&b), &got, VIEW_STR("1"));

		assert(good && ours);
		assert(is_at(result ? got.result : got.error, &b, value_from, value_to));
		reply_put(&back, &parts);
		assert(view_eq(buf_view(&back), buf_view(&b)));
	} else {
		assert(!(good && ours) && err.code == ERR_UPSTREAM);
	}
	while (choose_damage(c, &b)) {
		bool differs;

		if (rpc_answer_scan(buf_view(&b), &got, &err))
			assert(jansson_accepts(buf_view(&b), &differs) || differs);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};

	if (choose_u8(&c) & 1)
		answers(&c);
	else
		requests(&c);
	return 0;
}
