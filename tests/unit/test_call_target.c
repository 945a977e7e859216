/* SPDX-License-Identifier: Apache-2.0
 * Which address a call is about. */
#include "tests/unit/unit.h"

#include "chains/chain.h"

#define A "00112233445566778899aabbccddeeff00112233"

static bool read_target(const char *name, const char *params, struct chain_target *ret)
{
	const struct chain *chain = chain_find("evm");
	const struct chain_method *method;
	struct err err;

	assert_ok(chain_method_find(chain, VIEW_STR(name), &method, &err), err);
	return chain_call_target(chain, method, VIEW_STR(params), ret);
}

static void assert_target(const char *name, const char *params)
{
	struct chain_target target = {0}, want = {.n = 20};

	assert_true(hex_decode(A, 40, want.b, 20));
	if (!read_target(name, params, &target))
		print_message("# %s %s\n", name, params);
	assert_memory_equal(&target, &want, sizeof(want));
}

static void assert_none(const char *name, const char *params)
{
	struct chain_target target = {0};

	if (read_target(name, params, &target))
		print_message("# %s %s\n", name, params);
	assert_int_equal(target.n, 0);
}

static void a_call_is_about_whom_it_calls(void **state)
{
	assert_target("eth_call", "[{\"from\":\"0x01\",\"to\":\"0x" A "\"},\"latest\"]");
	assert_target("eth_call", "[{\"data\":{\"to\":1},\"to\":\"0x" A "\"}]");
	assert_target("eth_estimateGas", " [ { \"to\" : \"0x" A "\" } ] ");
	assert_target("trace_call", "[{\"to\":\"0x" A "\"},[\"trace\"]]");
	assert_target("arbtrace_call", "[{\"to\":\"0x" A "\"},[\"trace\"]]");
	assert_none("eth_call", "[{\"data\":\"0x\"}]"); /* it makes a contract */
	assert_none("eth_call", "[{\"to\":null}]");
}

static void digits_are_of_either_case(void **state)
{
	assert_target("eth_getBalance",
		      "[\"0x00112233445566778899AABBCCDDEEFF00112233\",\"latest\"]");
}

static void a_reading_is_about_whose_state_or_logs_it_reads(void **state)
{
	assert_target("eth_getBalance", "[\"0x" A "\",\"latest\"]");
	assert_target("eth_getCode", "[\"0x" A "\"]");
	assert_target("eth_getStorageAt", "[\"0x" A "\",\"0x0\",\"latest\"]");
	assert_target("eth_getLogs", "[{\"address\":\"0x" A "\"}]");
	assert_target("eth_getLogs", "[{\"fromBlock\":\"0x1\",\"address\":[\"0x" A "\",\"0x1\"]}]");
	assert_none("eth_getLogs", "[{\"address\":[]}]");
	assert_none("eth_getLogs", "[{\"fromBlock\":\"0x1\"}]");
}

static void what_is_about_nobody_or_is_odd_has_no_target(void **state)
{
	static const char *const odd[] = {
		"",
		"[]",
		"{}",
		"{\"to\":\"0x" A "\"}",
		"[[]]",
		"[1]",
		"[\"\"]",
		"[\"0x\"]",
		"[\"0x" A "00\"]",
		"[\"0x" A "",
		"[{\"to\":\"0x" A "\",\"to\":\"0x" A "\"}]",
	};

	assert_none("eth_blockNumber", "[]");
	assert_none("eth_getBlockByNumber", "[\"0x" A "\"]");
	assert_none("no_such", "[\"0x" A "\"]");
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		assert_none("eth_call", odd[i]);
		assert_none("eth_getBalance", odd[i]);
		assert_none("eth_getLogs", odd[i]);
		assert_none("eth_sendRawTransaction", odd[i]);
	}
}

/* nonce 9, price 20 gwei, gas 21000, to, value 1, data, v r s that nobody looks at */
static void a_transaction_is_about_where_it_goes(void **state)
{
	/* legacy */
	assert_target("eth_sendRawTransaction", "[\"0xe8098504a817c80082520894" A "0180010203\"]");
	/* EIP-2930: chain 1, nonce, price, gas, to */
	assert_target("eth_sendRawTransaction", "[\"0x01e4010985012a05f2008252089"
						"4" A "0180c0010203\"]");
	/* EIP-1559, EIP-7702: chain, nonce, tip, fee, gas, to */
	assert_target("eth_sendRawTransaction",
		      "[\"0x02e301098203e882520882520894" A "0180c0010203\"]");
	assert_target("eth_sendRawTransaction",
		      "[\"0x04f83801098203e882520882520894" A "0180c0\"]");
	/* EIP-4844, alone and in front of its blobs, of which nothing is read */
	assert_target("eth_sendRawTransaction", "[\"0x03e301098203e882520882520894" A "0180c0\"]");
	assert_target("eth_sendRawTransaction",
		      "[\"0x03fa020041e301098203e882520882520894" A "0180c0b9ffff00\"]");
}

static void a_transaction_without_one_or_in_pieces_has_no_target(void **state)
{
	char text[] = "[\"0xe8098504a817c80082520894" A "0180010203\"]";
	struct chain_target target;

	assert_none("eth_sendRawTransaction",
		    "[\"0xc9098504a817c8008252088001\"]"); /* a contract */
	assert_none("eth_sendRawTransaction", "[\"0x05e301098203e882520882520894" A "\"]");
	assert_none("eth_sendRawTransaction", "[\"0xbf" A "\"]");
	assert_none("eth_sendRawTransaction", "[\"0xffffffffffffffffff" A "\"]");
	for (size_t n = 4; n < 4 + 2 * 32; n += 2) { /* cut before `to` has ended */
		text[n] = '"';
		text[n + 1] = ']';
		text[n + 2] = '\0';
		assert_false(read_target("eth_sendRawTransaction", text, &target));
		memcpy(text, "[\"0xe8098504a817c80082520894" A "0180010203\"]", sizeof(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_about_whom_it_calls),
		cmocka_unit_test(digits_are_of_either_case),
		cmocka_unit_test(a_reading_is_about_whose_state_or_logs_it_reads),
		cmocka_unit_test(what_is_about_nobody_or_is_odd_has_no_target),
		cmocka_unit_test(a_transaction_is_about_where_it_goes),
		cmocka_unit_test(a_transaction_without_one_or_in_pieces_has_no_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
