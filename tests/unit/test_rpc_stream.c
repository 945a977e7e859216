/* SPDX-License-Identifier: Apache-2.0
 * The scan in pieces gives the verdict of the scan of the whole, however the bytes are cut. */
#include "tests/unit/unit.h"

#include "relay/base/mem.h"
#include "relay/rpc/reply.h"
#include "relay/rpc/stream.h"
#include "tests/support/gen.h"

#define GOOD "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x1\"}"

/* Feeds the body in pieces of 1..most bytes; the verdict, and where the id is. */
static bool feed(struct view body, struct gen *gen, size_t most, uint64_t *ret_id, struct err *err)
{
	struct rpc_stream *s = rpc_stream_create();
	size_t at = 0;
	bool ok = true;

	while (ok && at < body.n) {
		size_t cut = 1 + (size_t)gen_below(gen, most), n = MIN(cut, body.n - at);
		/* A block of its own: a read beyond a piece is an error that is seen. */
		CLEANUP(xfree) uint8_t *piece = xmemdup(body.p + at, n);

		ok = rpc_stream_feed(s, VIEW(piece, n), err);
		at += n;
		assert_int_equal(rpc_stream_bytes(s), at);
	}
	ok = ok && rpc_stream_end(s, err);
	if (ok)
		assert_true(rpc_stream_id(s, ret_id));
	rpc_stream_destroy(s);
	return ok;
}

static void assert_same(struct view body, struct gen *gen)
{
	static const size_t most[] = {1, 3, 17, 1000000};
	struct rpc_answer answer;
	struct err whole_err, err = {0};
	bool whole = rpc_answer_scan(body, &answer, &whole_err);
	uint64_t id = 0;

	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		bool same = feed(body, gen, most[i], &id, &err) == whole;

		if (same && whole)
			same = id == (uint64_t)(answer.id.p - body.p);
		if (same)
			continue;
		print_message(
			"# CF_SEED=%llu whole: %s, in pieces of %zu: %s, id at %llu, for %.*s\n",
			(unsigned long long)gen->seed, whole ? "good" : whole_err.msg, most[i],
			err.msg, (unsigned long long)id, (int)MIN(body.n, (size_t)2000),
			(const char *)body.p);
		fail();
	}
}

/* --- facts --- */

static void answers_are_judged_alike_in_pieces(void **state)
{
	static const char *const bodies[] = {
		GOOD,
		"",
		"{}",
		"[]",
		" \t\r\n{ \"id\" : 1 , \"result\" : null } \n",
		"{\"result\":[1,2,{\"id\":7}],\"id\":1}",
		"{\"id\":1,\"result\":0}x",
		"{\"id\":12,\"result\":0}",
		"{\"id\":1.0,\"result\":0}",
		"{\"id\":1e0,\"result\":0}",
		"{\"id\":\"1\",\"result\":0}",
		"{\"id\":null,\"result\":0}",
		"{\"id\":[1],\"result\":0}",
		"{\"id\":1,\"id\":1,\"result\":0}",
		"{\"id\":1,\"\\u0069d\":1,\"result\":0}",
		"{\"\\u0069\\u0064\":1,\"result\":0}",
		"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2,\"id\":1,\"result\":0}",
		"{\"\\ud83d\":1,\"\\ude00\":2,\"id\":1,\"result\":0}",
		"{\"id\":1,\"result\":0,\"error\":{\"code\":1}}",
		"{\"id\":1,\"error\":null}",
		"{\"id\":1,\"error\":null,\"result\":1}",
		"{\"id\":1,\"error\":{}}",
		"{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"no\"}}",
		"{\"error\":{\"message\":\"no\",\"code\":3},\"id\":1}",
		"{\"id\":1,\"error\":{\"code\":1.5}}",
		"{\"id\":1,\"error\":{\"code\":\"1\"}}",
		"{\"id\":1,\"error\":{\"code\":[5]}}",
		"{\"id\":1,\"error\":{\"code\":{\"code\":5}}}",
		"{\"id\":1,\"error\":{\"data\":{\"code\":5}}}",
		"{\"id\":1,\"error\":{\"code\":5,\"code\":5}}",
		"{\"id\":1,\"error\":{\"code\":5,\"data\":{\"a\":1,\"a\":2}}}",
		"{\"id\":1,\"error\":{\"code\":9223372036854775807}}",
		"{\"id\":1,\"error\":{\"code\":9223372036854775808}}",
		"{\"id\":1,\"error\":{\"code\":-9223372036854775807}}",
		"{\"id\":1,\"error\":{\"code\":-}}",
		"{\"id\":1,\"error\":{\"code\":-0}}",
		"{\"id\":1,\"error\":{\"code\":00}}",
		"{\"id\":1,\"error\":{\"code\":111111111111111111111111111111}}",
		"{\"id\":1,\"result\":-}",
		"{\"id\":1,\"result\":01}",
		"{\"id\":1,\"result\":-0.5e+17}",
		"{\"id\":1,\"result\":1.}",
		"{\"id\":1,\"result\":1e}",
		"{\"id\":1,\"result\":tru}",
		"{\"id\":1,\"result\":truee}",
		"{\"id\":1,\"result\":false}",
		"{\"id\":1,\"result\":[1,]}",
		"{\"id\":1,\"result\":[,1]}",
		"{\"id\":1,\"result\":{\"a\":1,}}",
		"{\"id\":1,\"result\":{1:1}}",
		"{\"id\":1,\"result\":[{\"a\":\"0x1\",\"b\":\"\",\"\":\"c\",\"d\":7,\"e\":\"0x\","
		"\"f\":\"g\"}]}",
		"{\"id\":1,\"result\":[{\"a\":null,\"b\" :\"c\",\"d\": \"e\", "
		"\"f\":\"g\",\"h\":{}}]}",
		"{\"id\":1,\"result\":[{\"a\":1,\"b\":\"\\u0063\",\"\\n\":\"\xc3\xa9\",\"c\":\"d\"}"
		"]}",
		"{\"id\":1,\"result\":[{\"a\":\"b\",\"a\":\"b\",\"a\":\"b\"}]}",
		"{\"id\":1,\"result\":[{\"a\":1,\"b\":\"c\",}]}",
		"{\"id\":1,\"result\":[{\"a\":1,\"b\":\"c\"]}",
		"{\"id\":1,\"result\":[{\"a\":1,\"b\":\"c\"",
		"{\"id\":1,\"result\":[{\"a\":1,\"b\":\"c\"\"d\":\"e\"}]}",
		"{\"id\":1,\"result\":[{\"a\":1,\"b\",\"c\":\"d\"}]}",
		"{\"id\":1,\"result\":[{\"a\":1,\"b\":\"\x1f\",\"c\":\"d\"}]}",
		"{\"id\":1,\"result\":[{\"a\":1,\"b\":\"\xff\",\"c\":\"d\"}]}",
		"{\"id\":1,\"result\":[[1,\"b\":\"c\"]]}",
		"{\"id\":1,\"result\":[[[\"a\",\"b\",\"c\":\"d\"]]]}",
		"{\"id\":1,\"result\":\"\\x\"}",
		"{\"id\":1,\"result\":\"\\u12g4\"}",
		"{\"id\":1,\"result\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}",
		"{\"id\":1,\"result\":\"\xed\xa0\x80\"}",
		"{\"id\":1,\"result\":\"\xc0\x80\"}",
		"{\"id\":1,\"result\":\"\xf4\x90\x80\x80\"}",
		"{\"id\":1,\"result\":\"\xe2\x82\"}",
		"{\"id\":1,\"result\":\"\x01\"}",
		"{\"id\":1,\"result\":\"",
		"{\"id\":1,\"result\":0",
		"{\"id\":1}",
		"{\"result\":1}",
	};
	struct gen gen = gen_init(1);

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++)
		assert_same(VIEW_STR(bodies[i]), &gen);
}

/* One name more than the limit, names of the limit's length, and one longer. */
static void limits_on_members_are_the_same_in_pieces(void **state)
{
	struct gen gen = gen_init(2);

	for (int inner = 0; inner < 2; inner++) {
		for (int n = 13; n < 18; n++) {
			CLEANUP(buf_finish) struct buf body = {0};

			buf_put_str(&body, inner ? "{\"id\":1,\"error\":{\"code\":1"
						 : "{\"id\":1,\"result\":1");
			for (int i = 0; i < n; i++)
				buf_putf(&body, ",\"m%d\":%d", i, i);
			buf_put_str(&body, inner ? "}}" : "}");
			assert_same(buf_view(&body), &gen);
		}
		for (int n = RPC_NAME_MAX - 1; n <= RPC_NAME_MAX + 1; n++) {
			CLEANUP(buf_finish) struct buf body = {0};

			buf_putf(&body, "{\"id\":1,\"%s\":{\"code\":1,\"",
				 inner ? "error" : "result");
			for (int i = 0; i < n; i++)
				buf_put_u8(&body, 'n');
			buf_put_str(&body, "\":1}}");
			assert_same(buf_view(&body), &gen);
		}
	}
}

static void depth_is_limited_as_in_the_whole(void **state)
{
	struct gen gen = gen_init(3);

	for (int depth = RPC_DEPTH_ANSWER - 2; depth <= RPC_DEPTH_ANSWER; depth++) {
		for (int kind = 0; kind < 2; kind++) {
			CLEANUP(buf_finish) struct buf body = {0};

			buf_put_str(&body, "{\"id\":1,\"result\":");
			for (int i = 0; i < depth; i++)
				buf_put_str(&body, kind ? "{\"a\":" : "[");
			buf_put_str(&body, "1");
			for (int i = 0; i < depth; i++)
				buf_put_u8(&body, kind ? '}' : ']');
			buf_put_u8(&body, '}');
			assert_same(buf_view(&body), &gen);
		}
	}
}

/* Every first byte of a character with the edges of those behind it: what one of them allows does
 * not last for the next. */
static void characters_are_judged_alike_in_pieces(void **state)
{
	static const uint8_t edges[] = {0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0};
	struct gen gen = gen_init(20261126);

	for (unsigned first = 0x80; first < 0x100; first++) {
		for (size_t i = 0; i < 8 * 8 * 8; i++) {
			const uint8_t inside[] = {(uint8_t)first, edges[i % 8], edges[i / 8 % 8],
						  edges[i / 64]};

			for (size_t n = 1 + (i > 0); n <= sizeof(inside); n++) {
				CLEANUP(buf_finish) struct buf body = {0};

				if (n < sizeof(inside) && i >= 1u << (3 * (n - 1)))
					continue; /* asked before */
				buf_put_str(&body, "{\"id\":1,\"result\":\"");
				buf_put(&body, inside, n);
				buf_put_str(&body, "\"}");
				assert_same(buf_view(&body), &gen);
			}
		}
	}
}

/* Each mark that holds an answer together is left out, doubled, or another. */
static void a_mark_out_of_place_is_refused_alike(void **state)
{
	static const char good[] = "{\"id\":1,\"result\":[1,{\"a\":2,\"b\":[true,null]},\"c\"]}";
	static const char marks[] = "{}[]:,\"1 ";
	struct gen gen = gen_init(20261126);

	for (size_t at = 0; at < sizeof(good) - 1; at++) {
		for (size_t m = 0; m < sizeof(marks); m++) {
			CLEANUP(buf_finish) struct buf body = {0};

			buf_put(&body, good, at);
			if (marks[m]) /* the last one: nothing in its place */
				buf_put_u8(&body, (uint8_t)marks[m]);
			buf_put_str(&body, good + at + 1);
			assert_same(buf_view(&body), &gen);
		}
	}
}

static void a_fault_is_told_at_once_and_stays(void **state)
{
	struct rpc_stream *s = rpc_stream_create();
	struct err err;

	assert_true(rpc_stream_feed(s, VIEW_STR("{\"id\":"), &err));
	assert_false(rpc_stream_feed(s, VIEW_STR("2"), &err));
	assert_int_equal(err.code, ERR_UPSTREAM);
	assert_false(rpc_stream_feed(s, VIEW_STR(",\"result\":1}"), &err));
	assert_false(rpc_stream_end(s, &err));
	rpc_stream_destroy(s);
}

static void an_id_that_comes_last_is_put_back_in_its_piece(void **state)
{
	static const char body[] = "{\"result\":\"0123456789\",\"id\":1}";
	static const char want[] = "{\"result\":\"0123456789\",\"id\":\"mine\"}";
	struct gen gen = gen_init(4);

	for (size_t most = 1; most < sizeof(body); most++) {
		CLEANUP(buf_finish) struct buf out = {0};
		struct rpc_stream *s = rpc_stream_create();
		struct err err;

		for (size_t at = 0; at < sizeof(body) - 1;) {
			size_t cut = 1 + (size_t)gen_below(&gen, most);
			size_t n = MIN(cut, sizeof(body) - 1 - at);
			struct view piece = VIEW(body + at, n);
			struct reply_parts parts;
			uint64_t id = UINT64_MAX;

			assert_true(rpc_stream_feed(s, piece, &err));
			if (!rpc_stream_id(s, &id))
				assert_true(at + n <= 28);
			parts = reply_splice_piece(piece, at, id, VIEW_STR("\"mine\""));
			reply_put(&out, &parts);
			at += n;
		}
		assert_true(rpc_stream_end(s, &err));
		assert_string_equal(buf_cstr(&out), want);
		rpc_stream_destroy(s);
	}
}

/* --- property: answers made by a generator, some spoiled --- */

static void put_value(struct gen *gen, struct buf *out, unsigned depth)
{
	static const char *const scalars[] = {
		"null",	       "true",	      "false",	      "0",
		"-1.5e-3",     "12",	      "\"\"",	      "\"0xab\"",
		"\"\\n\\\"\"", "\"\\u00e9\"", "\"\xc3\xa9\"", "\"\\ud83d\\ude00\"",
	};
	uint64_t kind = gen_below(gen, depth < 4 ? 6 : 4);
	uint64_t n = gen_below(gen, 4);

	if (kind < 4) {
		buf_put_str(out, scalars[gen_below(gen, ARRAY_SIZE(scalars))]);
		return;
	}
	buf_put_u8(out, kind == 4 ? '[' : '{');
	for (uint64_t i = 0; i < n; i++) {
		if (i > 0)
			buf_put_str(out, gen_below(gen, 2) ? "," : " , ");
		if (kind == 5)
			buf_putf(out, "\"k%d\":", (int)gen_below(gen, 3));
		put_value(gen, out, depth + 1);
	}
	buf_put_u8(out, kind == 4 ? ']' : '}');
}

static void put_answer(struct gen *gen, struct buf *out)
{
	static const char *const names[] = {"jsonrpc", "id",	   "result",	  "error",
					    "x",       "\\u0069d", "resul\\u0074"};
	uint64_t n = 2 + gen_below(gen, 3);

	buf_put_u8(out, '{');
	for (uint64_t i = 0; i < n; i++) {
		const char *name = names[gen_below(gen, ARRAY_SIZE(names))];

		buf_putf(out, "%s\"%s\":", i ? "," : "", name);
		if (strcmp(name, "id") == 0 && gen_below(gen, 8))
			buf_put_u8(out, '1');
		else if (strcmp(name, "error") == 0 && gen_below(gen, 4))
			buf_putf(out, "{\"code\":%d,\"message\":\"m\"}",
				 (int)gen_below(gen, 9) - 4);
		else
			put_value(gen, out, 1);
	}
	buf_put_u8(out, '}');
}

/* Changes, drops or doubles a byte. */
static void spoil(struct gen *gen, struct buf *body)
{
	static const char bytes[] = "{}[]\",:\\u0019eE.+-tfn \xc3\xa9\xf0";
	size_t at = (size_t)gen_below(gen, body->n);

	switch (gen_below(gen, 3)) {
	case 0:
		body->p[at] = (uint8_t)bytes[gen_below(gen, sizeof(bytes) - 1)];
		break;
	case 1:
		memmove(body->p + at, body->p + at + 1, body->n - at - 1);
		body->n--;
		break;
	default:
		body->n = at + 1;
	}
}

static void any_cut_of_any_answer_gives_the_verdict_of_the_whole(void **state)
{
	struct gen gen = gen_init(20261123);
	uint64_t cases = gen_cases(2000), good = 0;

	for (uint64_t i = 0; i < cases; i++) {
		CLEANUP(buf_finish) struct buf body = {0};
		struct rpc_answer answer;
		struct err err;

		put_answer(&gen, &body);
		for (uint64_t k = gen_below(&gen, 3); k > 0 && body.n > 0; k--)
			spoil(&gen, &body);
		good += rpc_answer_scan(buf_view(&body), &answer, &err);
		assert_same(buf_view(&body), &gen);
	}
	assert_true(good > cases / 50 && good < cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_judged_alike_in_pieces),
		cmocka_unit_test(limits_on_members_are_the_same_in_pieces),
		cmocka_unit_test(depth_is_limited_as_in_the_whole),
		cmocka_unit_test(characters_are_judged_alike_in_pieces),
		cmocka_unit_test(a_mark_out_of_place_is_refused_alike),
		cmocka_unit_test(a_fault_is_told_at_once_and_stays),
		cmocka_unit_test(an_id_that_comes_last_is_put_back_in_its_piece),
		cmocka_unit_test(any_cut_of_any_answer_gives_the_verdict_of_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
