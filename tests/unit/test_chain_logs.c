/* SPDX-License-Identifier: Apache-2.0
 * Calls for logs, divided: parts that ask for exactly the whole, and their answers joined. */
#include "tests/unit/unit.h"

#include "chains/chain.h"
#include "tests/support/gen.h"

#define A "\"0x1111111111111111111111111111111111111111\""
#define B "\"0x2222222222222222222222222222222222222222\""
#define C "\"0x3333333333333333333333333333333333333333\""

static bool read_logs(const char *method_name, const char *params, struct chain_logs *ret)
{
	const struct chain *chain = chain_find("evm");
	const struct chain_method *method = NULL;
	struct err err;

	assert_ok(chain_method_find(chain, VIEW_STR(method_name), &method, &err), err);
	return chain_logs_read(chain, method, VIEW_STR(params), ret);
}

static void assert_put(const char *params, const struct chain_logs *logs,
		       const struct chain_logs_part *part, const char *want)
{
	struct buf out = {0};

	chain_logs_put(logs, part, VIEW_STR(params), &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_finish(&out);
}

static void a_call_for_a_range_is_read(void **state)
{
	struct chain_logs logs;

	assert_true(
		read_logs("eth_getLogs", "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x9\"}]", &logs));
	assert_int_equal(logs.call.ref[0].number, 1);
	assert_int_equal(logs.call.ref[1].number, 9);
	assert_int_equal(logs.list_count[CHAIN_LOGS_ADDRESSES], 0);
	assert_true(read_logs("eth_getLogs",
			      "[{\"address\":[" A "," B "],\"topics\":[[" A "," B "," C "],null]}]",
			      &logs));
	assert_int_equal(logs.list_count[CHAIN_LOGS_ADDRESSES], 2);
	assert_int_equal(logs.list_count[CHAIN_LOGS_TOPICS], 3);
	/* One address is no list, as one or no topic is none. */
	assert_true(read_logs("eth_getLogs", "[{\"address\":" A ",\"topics\":[" A "]}]", &logs));
	assert_int_equal(logs.list_count[CHAIN_LOGS_ADDRESSES], 0);
	assert_int_equal(logs.list_count[CHAIN_LOGS_TOPICS], 0);
}

static void what_asks_for_no_range_is_not_divided(void **state)
{
	struct chain_logs logs;

	assert_false(read_logs("eth_getLogs", "[{\"blockHash\":" A "}]", &logs));
	assert_false(read_logs("eth_getLogs", "[]", &logs));
	assert_false(read_logs("eth_getLogs", "[{\"fromBlock\":1}]", &logs));
	assert_false(read_logs("eth_call", "[{\"to\":" A "},\"0x1\"]", &logs));
	/* Its entries cannot be told apart. */
	assert_false(
		read_logs("trace_filter", "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x9\"}]", &logs));
}

static void a_part_is_the_call_with_other_ends(void **state)
{
	const char *params = "[ {\"toBlock\": \"0x9\", \"x\":1, \"fromBlock\" :\"0x1\"} ]";
	struct chain_logs logs;
	struct chain_logs_part part;

	assert_true(read_logs("eth_getLogs", params, &logs));
	part = chain_logs_whole(&logs, 3, 300);
	assert_put(params, &logs, &part,
		   "[ {\"toBlock\": \"0x12c\", \"x\":1, \"fromBlock\" :\"0x3\"} ]");
}

static void ends_that_were_left_out_are_written(void **state)
{
	const char *none = "[{}]", *one = "[{\"topics\":[]}]", *to = "[{\"toBlock\":\"latest\"}]";
	struct chain_logs logs;
	struct chain_logs_part part;

	assert_true(read_logs("eth_getLogs", none, &logs));
	part = chain_logs_whole(&logs, 0, 1);
	assert_put(none, &logs, &part, "[{\"fromBlock\":\"0x0\",\"toBlock\":\"0x1\"}]");
	assert_true(read_logs("eth_getLogs", one, &logs));
	part = chain_logs_whole(&logs, 0, 1);
	assert_put(one, &logs, &part,
		   "[{\"fromBlock\":\"0x0\",\"toBlock\":\"0x1\",\"topics\":[]}]");
	assert_true(read_logs("eth_getLogs", to, &logs));
	part = chain_logs_whole(&logs, 0, 1);
	assert_put(to, &logs, &part, "[{\"fromBlock\":\"0x0\",\"toBlock\":\"0x1\"}]");
}

static void a_part_has_its_elements_of_the_lists(void **state)
{
	const char *params = "[{\"fromBlock\":\"0x5\",\"toBlock\":\"0x5\",\"address\":[ " A " , " B
			     "," C " ],\"topics\":[[" A "," B "]]}]";
	struct chain_logs logs;
	struct chain_logs_part part, halves[2], again[2];

	assert_true(read_logs("eth_getLogs", params, &logs));
	part = chain_logs_whole(&logs, 5, 5);
	assert_true(chain_logs_halve(&part, false, halves));
	assert_put(params, &logs, &halves[0],
		   "[{\"fromBlock\":\"0x5\",\"toBlock\":\"0x5\",\"address\":[" A "],\"topics\":[[" A
		   "," B "]]}]");
	assert_put(params, &logs, &halves[1],
		   "[{\"fromBlock\":\"0x5\",\"toBlock\":\"0x5\",\"address\":[" B "," C
		   "],\"topics\":[[" A "," B "]]}]");
	assert_true(chain_logs_halve(&halves[0], false, again));
	assert_put(params, &logs, &again[1],
		   "[{\"fromBlock\":\"0x5\",\"toBlock\":\"0x5\",\"address\":[" A "],\"topics\":[[" B
		   "]]}]");
	assert_false(chain_logs_halve(&again[1], false, halves));
}

/* --- parts tile the whole --- */

/* Divides at random down to the end, and marks what each leaf asks for. */
static void tile(struct gen *gen, const struct chain_logs_part *part, bool lists_first,
		 uint8_t *seen, uint64_t *next_block)
{
	struct chain_logs_part halves[2];

	if ((gen_below(gen, 4) == 0 && chain_logs_cut(part, gen_below(gen, 4), halves)) ||
	    (gen_below(gen, 8) > 0 && chain_logs_halve(part, lists_first, halves))) {
		tile(gen, &halves[0], lists_first, seen, next_block);
		tile(gen, &halves[1], lists_first, seen, next_block);
		return;
	}
	/* Lower blocks come first. */
	assert_true(lists_first || part->first >= *next_block);
	*next_block = part->first;
	for (uint64_t b = part->first; b <= part->last; b++)
		for (uint32_t i = 0; i < MAX(part->count[0], 1u); i++)
			for (uint32_t k = 0; k < MAX(part->count[1], 1u); k++)
				seen[(b * 4 + part->from[0] + i) * 4 + part->from[1] + k]++;
}

static void parts_ask_for_each_thing_once(void **state)
{
	struct gen gen = gen_init(20261126);

	print_message("# seed %llu\n", (unsigned long long)gen.seed);
	for (uint64_t n = gen_cases(2000); n > 0; n--) {
		uint64_t first = gen_below(&gen, 8), last = first + gen_below(&gen, 24);
		struct chain_logs logs = {
			.list_count = {(uint32_t)gen_below(&gen, 5), (uint32_t)gen_below(&gen, 5)}};
		struct chain_logs_part whole = chain_logs_whole(&logs, first, last);
		uint8_t seen[32 * 4 * 4] = {0};
		uint64_t next_block = 0;

		tile(&gen, &whole, n % 2, seen, &next_block);
		for (uint64_t i = 0; i < ARRAY_SIZE(seen); i++) {
			bool in = i / 16 >= first && i / 16 <= last &&
				  i / 4 % 4 < MAX(logs.list_count[0], 1u) &&
				  i % 4 < MAX(logs.list_count[1], 1u);

			assert_int_equal(seen[i], in);
		}
	}
}

/* --- joining --- */

static void assert_merged(const struct view *lists, size_t count, const char *want)
{
	struct buf out = {0};

	assert_true(chain_logs_merge(lists, count, &out));
	assert_string_equal(buf_cstr(&out), want);
	buf_finish(&out);
}

static void the_inside_of_a_list_is_found(void **state)
{
	struct view inside;

	assert_true(chain_logs_inside(VIEW_STR("[ {\"a\":1} , 2 ]"), &inside));
	assert_true(view_eq(inside, VIEW_STR("{\"a\":1} , 2")));
	assert_true(chain_logs_inside(VIEW_STR("[]"), &inside));
	assert_int_equal(inside.n, 0);
	assert_true(chain_logs_inside(VIEW_STR("[ \n]"), &inside));
	assert_int_equal(inside.n, 0);
	assert_false(chain_logs_inside(VIEW_STR("null"), &inside));
	assert_false(chain_logs_inside(VIEW_STR("{}"), &inside));
}

static void logs_come_in_the_order_of_the_chain_and_once(void **state)
{
	const struct view lists[] = {
		VIEW_STR("{\"blockNumber\":\"0x1\",\"logIndex\":\"0x1\"}, "
			 "{\"blockNumber\":\"0x1\",\"logIndex\":\"0x10\", \"a\": 1}"),
		VIEW_STR("{\"blockNumber\":\"0x0\",\"logIndex\":\"0x9\"}"),
		VIEW_STR("{\"blockNumber\":\"0x1\",\"logIndex\":\"0x0\"},{\"blockNumber\":\"0x1\","
			 "\"logIndex\":\"0x1\"}"),
	};

	assert_merged(
		lists, 3,
		"{\"blockNumber\":\"0x0\",\"logIndex\":\"0x9\"},"
		"{\"blockNumber\":\"0x1\",\"logIndex\":\"0x0\"},{\"blockNumber\":\"0x1\","
		"\"logIndex\":\"0x1\"},{\"blockNumber\":\"0x1\",\"logIndex\":\"0x10\", \"a\": 1}");
	assert_merged(&(struct view){0}, 1, "");
}

static void what_has_no_place_is_not_merged(void **state)
{
	static const char *const bad[] = {"{}",
					  "1",
					  "{\"blockNumber\":\"0x1\"}",
					  "{\"logIndex\":\"0x1\"}",
					  "{\"blockNumber\":\"0x1\",\"logIndex\":\"0x1\"} 2",
					  "{\"blockNumber\":\"0x1\",\"logIndex\":\"0x1\"},"};
	struct buf out = {0};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct view list = VIEW_STR(bad[i]);

		assert_false(chain_logs_merge(&list, 1, &out));
		assert_int_equal(out.n, 0);
	}
}

/* --- entries --- */

#define H "0x00000000000000000000000000000000000000000000000000000000000000ab"

static void entries_are_taken_one_by_one(void **state)
{
	struct view rest = VIEW_STR(" {\"a\":[1,2]} , 2"), entry;

	assert_true(chain_logs_next(&rest, &entry));
	assert_true(view_eq(entry, VIEW_STR("{\"a\":[1,2]}")));
	assert_true(chain_logs_next(&rest, &entry));
	assert_true(view_eq(entry, VIEW_STR("2")));
	assert_false(chain_logs_next(&rest, &entry));
	assert_int_equal(rest.n, 0);
	rest = VIEW_STR("1 2");
	assert_false(chain_logs_next(&rest, &entry));
	assert_int_not_equal(rest.n, 0);
	rest = VIEW_STR("1,");
	assert_false(chain_logs_next(&rest, &entry));
	assert_int_not_equal(rest.n, 0);
}

static void a_log_tells_its_block(void **state)
{
	struct hash hash;
	uint64_t number;

	assert_true(chain_log_block(VIEW_STR("{\"blockHash\":\"" H "\",\"blockNumber\":\"0x10\"}"),
				    &number, &hash));
	assert_int_equal(number, 16);
	assert_int_equal(hash.b[31], 0xab);
	assert_false(chain_log_block(VIEW_STR("{\"blockNumber\":\"0x10\"}"), &number, &hash));
	assert_false(chain_log_block(VIEW_STR("{\"blockHash\":null,\"blockNumber\":null}"), &number,
				     &hash));
	assert_false(chain_log_block(VIEW_STR("7"), &number, &hash));
}

static void assert_removed(const char *log, const char *want)
{
	struct buf out = {0};

	assert_int_equal(chain_log_put_removed(VIEW_STR(log), &out), want != NULL);
	assert_string_equal(buf_cstr(&out), want ? want : "");
	buf_finish(&out);
}

static void a_log_that_is_gone_says_so_and_else_stays_as_it_was(void **state)
{
	assert_removed("{\"a\":1, \"removed\" : false ,\"b\":2}",
		       "{\"a\":1, \"removed\" : true ,\"b\":2}");
	assert_removed("{\"a\":1}", "{\"removed\":true,\"a\":1}");
	assert_removed("{}", "{\"removed\":true}");
	assert_removed("[]", NULL);
	assert_removed("{\"removed\":false,\"removed\":false}", NULL);
}

/* --- filters --- */

static void calls_about_filters_are_told_from_others(void **state)
{
	static const struct {
		const char *name;
		enum chain_filter_call call;
	} calls[] = {
		{"eth_newFilter", CHAIN_FILTER_NEW_LOGS},
		{"eth_newBlockFilter", CHAIN_FILTER_NEW_BLOCKS},
		{"eth_getFilterChanges", CHAIN_FILTER_CHANGES},
		{"eth_getFilterLogs", CHAIN_FILTER_ALL},
		{"eth_uninstallFilter", CHAIN_FILTER_END},
		{"eth_newPendingTransactionFilter", CHAIN_FILTER_NONE},
		{"eth_subscribe", CHAIN_FILTER_NONE},
		{"eth_getLogs", CHAIN_FILTER_NONE},
		{"", CHAIN_FILTER_NONE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		assert_int_equal(chain_filter_call(chain_find("evm"), VIEW_STR(calls[i].name)),
				 calls[i].call);
}

static void a_filter_is_asked_for_in_one_block_by_its_hash(void **state)
{
	const struct chain *chain = chain_find("evm");
	const char *params =
		"[{\"toBlock\":\"latest\",\"address\":[" A "], \"fromBlock\":\"0x1\"}]";
	struct hash hash = {{0xcd}};
	struct chain_logs logs;
	struct buf out = {0};

	assert_true(chain_logs_read_filter(chain, VIEW_STR(params), &logs));
	chain_logs_put_block(&logs, &hash, &out);
	assert_string_equal(buf_cstr(&out), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_"
					    "getLogs\",\"params\":[{\"blockHash\":"
					    "\"0xcd000000000000000000000000000000000000000000000000"
					    "00000000000000\",\"address\":"
					    "[" A "]}]}");
	out.n = 0;
	chain_logs_put_filter(chain, VIEW_STR(params), &out);
	assert_string_equal(buf_cstr(&out),
			    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getLogs\",\"params\":"
			    "[{\"toBlock\":\"latest\",\"address\":[" A
			    "], \"fromBlock\":\"0x1\"}]}");
	buf_finish(&out);
}

/* --- blocks --- */

static void a_block_is_asked_for_and_read(void **state)
{
	const struct chain *chain = chain_find("evm");
	struct chain_ref tag = {.kind = CHAIN_REF_TAG, .tag = CHAIN_TAG_SAFE};
	struct chain_ref number = {.kind = CHAIN_REF_NUMBER, .number = 26};
	struct chain_block block;
	struct buf out = {0};

	chain_block_call(chain, &tag, &out);
	assert_string_equal(buf_cstr(&out),
			    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
			    "\"eth_getBlockByNumber\",\"params\":[\"safe\",false]}");
	out.n = 0;
	chain_block_call(chain, &number, &out);
	assert_string_equal(buf_cstr(&out),
			    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
			    "\"eth_getBlockByNumber\",\"params\":[\"0x1a\",false]}");
	buf_finish(&out);
	assert_true(chain_block_read(chain,
				     VIEW_STR("{\"number\":\"0x7\",\"hash\":"
					      "\"0x00000000000000000000000000000000000000000000"
					      "000000000000000000ab\",\"parentHash\":"
					      "\"0x0000000000000000000000000000000000"
					      "0000000000000000000000000000cd\"}"),
				     &block));
	assert_int_equal(block.number, 7);
	assert_int_equal(block.hash.b[31], 0xab);
	assert_int_equal(block.parent.b[31], 0xcd);
	assert_false(chain_block_read(chain, VIEW_STR("null"), &block));
	assert_false(chain_block_read(chain, VIEW_STR("{\"number\":\"0x7\"}"), &block));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_for_a_range_is_read),
		cmocka_unit_test(what_asks_for_no_range_is_not_divided),
		cmocka_unit_test(a_part_is_the_call_with_other_ends),
		cmocka_unit_test(ends_that_were_left_out_are_written),
		cmocka_unit_test(a_part_has_its_elements_of_the_lists),
		cmocka_unit_test(parts_ask_for_each_thing_once),
		cmocka_unit_test(the_inside_of_a_list_is_found),
		cmocka_unit_test(logs_come_in_the_order_of_the_chain_and_once),
		cmocka_unit_test(what_has_no_place_is_not_merged),
		cmocka_unit_test(entries_are_taken_one_by_one),
		cmocka_unit_test(a_log_tells_its_block),
		cmocka_unit_test(a_log_that_is_gone_says_so_and_else_stays_as_it_was),
		cmocka_unit_test(calls_about_filters_are_told_from_others),
		cmocka_unit_test(a_filter_is_asked_for_in_one_block_by_its_hash),
		cmocka_unit_test(a_block_is_asked_for_and_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
