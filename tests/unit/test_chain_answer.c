/* SPDX-License-Identifier: Apache-2.0
 * Which block an answer is of; whether it says anything; the hash of what is sent; keys of calls.
 */
#include "tests/unit/unit.h"

#include <inttypes.h>

#include "chains/chain.h"

#define H "0x00000000000000000000000000000000000000000000000000000000000000ab"
#define P "0x00000000000000000000000000000000000000000000000000000000000000aa"
#define A "\"0x7dcd17433742f4c0ca53122ab541d0ba67fc27df\""

static const struct chain *evm(void)
{
	return chain_find("evm");
}

static const struct chain_method *method_of(const char *name)
{
	const struct chain_method *method = NULL;
	struct err err;

	assert_ok(chain_method_find(evm(), VIEW_STR(name), &method, &err), err);
	return method;
}

static struct chain_answer answer_of(const char *method, const char *params, const char *result)
{
	struct chain_answer answer;
	struct chain_call call;

	chain_call_read(evm(), method_of(method), VIEW_STR(params), &call);
	chain_answer_read(evm(), &call, VIEW_STR(result), &answer);
	return answer;
}

/* "5 #ab ^aa head": number, last byte of the hash, of the parent's; "" when nothing is known. */
static void assert_block(const char *method, const char *params, const char *result,
			 const char *want)
{
	struct chain_answer answer = answer_of(method, params, result);
	char got[96] = "";
	size_t n = 0;

	if (answer.number_known)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%" PRIu64, answer.number);
	if (answer.hash_known)
		n += (size_t)snprintf(got + n, sizeof(got) - n, " #%02x", answer.hash.b[31]);
	if (answer.parent_known)
		n += (size_t)snprintf(got + n, sizeof(got) - n, " ^%02x", answer.parent.b[31]);
	if (answer.head)
		(void)snprintf(got + n, sizeof(got) - n, " head");
	if (strcmp(got, want) != 0)
		print_message("# %s %s: %s\n", method, params, result);
	assert_string_equal(got, want);
}

static void the_head_is_told_by_height_and_by_latest(void **state)
{
	assert_block("eth_blockNumber", "[]", "\"0x1b4\"", "436 head");
	assert_block("eth_blockNumber", "", "\"0x0\"", "0 head");
	assert_block("eth_blockNumber", "[]", "null", "");
	assert_block("eth_blockNumber", "[]", "\"0x10000000000000000\"", "");
	assert_block("eth_blockNumber", "[]", "436", "");
	assert_block("eth_getBlockByNumber", "[\"latest\",false]",
		     "{\"number\":\"0x5\",\"hash\":\"" H "\",\"parentHash\":\"" P "\"}",
		     "5 #ab ^aa head");
	assert_block("eth_getBlockByNumber", "[\"finalized\",false]",
		     "{\"number\":\"0x5\",\"hash\":\"" H "\",\"parentHash\":\"" P "\"}",
		     "5 #ab ^aa");
}

static void blocks_and_what_is_in_them_tell_their_block(void **state)
{
	assert_block("eth_getBlockByHash", "[\"" H "\",false]",
		     "{ \"parentHash\":\"" P "\", \"transactions\":[{\"hash\":\"" P
		     "\",\"number\":\"0x7\"}], \"number\":\"0x5\" , \"hash\":\"" H "\"}",
		     "5 #ab ^aa");
	assert_block("eth_getTransactionByHash", "[\"" P "\"]",
		     "{\"blockHash\":\"" H "\",\"blockNumber\":\"0x6\",\"hash\":\"" P "\"}",
		     "6 #ab");
	assert_block("eth_getTransactionReceipt", "[\"" P "\"]",
		     "{\"blockHash\":\"" H "\",\"blockNumber\":\"0x6\",\"logs\":[]}", "6 #ab");
	assert_block("eth_getBlockReceipts", "[\"0x6\"]",
		     "[{\"blockHash\":\"" H "\",\"blockNumber\":\"0x6\"},{}]", "6 #ab");
	assert_block("eth_getLogs", "[{\"blockHash\":\"" H "\"}]",
		     "[{\"blockHash\":\"" H "\",\"blockNumber\":\"0x6\"}]", "6 #ab");
	assert_block("eth_getLogs", "[{\"fromBlock\":\"0x6\",\"toBlock\":\"0x6\"}]",
		     "[{\"blockHash\":\"" H "\",\"blockNumber\":\"0x6\"}]", "6 #ab");
	/* Plain numbers, as traces have them. */
	assert_block("trace_transaction", "[\"" P "\"]",
		     "[{\"blockHash\":\"" H "\",\"blockNumber\":6}]", "6 #ab");
}

static void the_call_tells_what_the_result_does_not(void **state)
{
	assert_block("eth_getBalance", "[" A ",\"0x5\"]", "\"0x0\"", "5");
	assert_block("eth_getBalance", "[" A ",\"" H "\"]", "\"0x0\"", " #ab");
	assert_block("eth_call", "[{},{\"blockHash\":\"" H "\"}]", "\"0x\"", " #ab");
	assert_block("eth_getBalance", "[" A ",\"latest\"]", "\"0x0\"", "");
	assert_block("eth_getBalance", "[" A "]", "\"0x0\"", "");
	assert_block("eth_getBalance", "[" A ",5]", "\"0x0\"", "");
	assert_block("eth_getBlockReceipts", "[\"0x6\"]", "[]", "6");
	assert_block("eth_getLogs", "[{\"fromBlock\":\"0x6\",\"toBlock\":\"0x6\"}]", "[]", "6");
	assert_block("eth_chainId", "[]", "\"0x1\"", "");
}

static void what_has_no_block_has_none(void **state)
{
	assert_block("eth_getBlockByNumber", "[\"0x5\",false]", "null", "");
	assert_block("eth_getBlockByNumber", "[\"pending\",false]",
		     "{\"number\":\"0x5\",\"hash\":\"" H "\",\"parentHash\":\"" P "\"}", "");
	assert_block("eth_getBlockByNumber", "[\"latest\",false]",
		     "{\"number\":null,\"hash\":null,\"parentHash\":\"" P "\"}", "");
	assert_block("eth_getTransactionByHash", "[\"" P "\"]",
		     "{\"blockHash\":null,\"blockNumber\":null}", "");
	assert_block("eth_getTransactionByHash", "[\"" P "\"]", "null", "");
	assert_block("eth_getLogs", "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x6\"}]",
		     "[{\"blockHash\":\"" H "\",\"blockNumber\":\"0x6\"}]", "");
	assert_block("eth_getLogs", "[{}]", "[{\"blockHash\":\"" H "\",\"blockNumber\":\"0x6\"}]",
		     "");
	assert_block("eth_getTransactionByHash", "[\"" P "\"]",
		     "{\"blockNumber\":\"0x1\",\"blockHash\":null}", "");
	assert_block("trace_get", "[\"" P "\",[]]", "{\"blockNumber\":-1}", "");
	/* An uncle's number and hash are not its block's. */
	assert_block("eth_getUncleByBlockHashAndIndex", "[\"" H "\",\"0x0\"]",
		     "{\"number\":\"0x4\",\"hash\":\"" P "\"}", " #ab");
	/* Two numbers are none. */
	assert_block("eth_getTransactionByHash", "[\"" P "\"]",
		     "{\"blockNumber\":\"0x1\",\"blockNumber\":\"0x2\",\"blockHash\":\"" H "\"}",
		     "");
	assert_block("eth_getTransactionByHash", "[\"" P "\"]", "[]", "");
	assert_block("eth_getBlockReceipts", "[\"latest\"]", "{\"blockNumber\":\"0x1\"}", "");
}

static void emptiness_is_missing_data_only_where_the_table_says(void **state)
{
	static const struct {
		const char *method, *params, *result;
		bool null, empty, missing;
	} cases[] = {
		{"eth_getTransactionReceipt", "[\"" P "\"]", "null", true, true, true},
		{"eth_getBlockByNumber", "[\"0x5\",false]", "null", true, true, true},
		{"eth_getBlockReceipts", "[\"0x5\"]", "null", true, true, true},
		{"eth_getBlockReceipts", "[\"0x5\"]", "[]", false, true, false},
		{"trace_transaction", "[\"" P "\"]", "[ ]", false, true, true},
		{"trace_transaction", "[\"" P "\"]", "null", true, true, true},
		{"trace_transaction", "[\"" P "\"]", "\"0x\"", false, true, false},
		{"eth_getLogs", "[{}]", "[]", false, true, false},
		{"eth_getCode", "[" A ",\"latest\"]", "\"0x\"", false, true, false},
		{"eth_call", "[{}]", "\"\"", false, true, false},
		{"eth_call", "[{}]", "{ }", false, true, false},
		{"eth_call", "[{}]", "\"0x00\"", false, false, false},
		{"eth_call", "[{}]", "\"\\u0030\"", false, false, false},
		{"eth_call", "[{}]", "[[]]", false, false, false},
		{"eth_call", "[{}]", "{\"a\":{}}", false, false, false},
		{"eth_getBalance", "[" A ",\"latest\"]", "null", true, true, false},
		{"eth_syncing", "[]", "false", false, false, false},
		{"eth_syncing", "[]", "0", false, false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct chain_answer answer =
			answer_of(cases[i].method, cases[i].params, cases[i].result);

		if (answer.null != cases[i].null || answer.empty != cases[i].empty ||
		    answer.missing != cases[i].missing) {
			print_message("# %s %s\n", cases[i].method, cases[i].result);
			fail();
		}
	}
}

#define WORD "0000000000000000000000000000000000000000000000000000000000000020"

static void reverts_that_come_as_results_are_known(void **state)
{
	assert_true(answer_of("eth_call", "[{}]", "\"0x08c379a0" WORD "\"").reverted);
	assert_true(answer_of("eth_call", "[{}]", "\"0x4e487b71" WORD "\"").reverted);
	assert_true(answer_of("eth_call", "[{}]", "\"0x4e487b71\"").reverted);
	assert_false(answer_of("eth_call", "[{}]", "\"0x4e487b70" WORD "\"").reverted);
	assert_false(answer_of("eth_call", "[{}]", "\"0x4e487b7\"").reverted);
	assert_false(answer_of("eth_call", "[{}]", "\"0x08c379a1" WORD "\"").reverted);
	assert_false(answer_of("eth_call", "[{}]", "\"0x08c379a000" WORD "\"").reverted);
	assert_false(answer_of("eth_call", "[{}]", "\"0x" WORD "\"").reverted);
	assert_false(answer_of("eth_call", "[{}]", "[\"0x08c379a0\"]").reverted);
}

/* --- transactions --- */

/* From the cases of execution-apis: what geth answers to them. */
#define LEGACY                                                                                     \
	"f86c808401a213988261a894aa000000000000000000000000000000000000000a8255448718e5bb3abd10"   \
	"9fa073fbe7ff7e74339e7cc61fb3cb3f7630cd3f1d5fef653d7297654b2d22894daea042a188d30f35f194"   \
	"08c73c803bc1e9e17ce129c457e31fd2a368b54507af2f4c"
#define LEGACY_HASH "b55b6dfd4ba0bb2b00283b0e84cda496c90bc7c5ae9025e07edc3a7fbaf6a269"
#define DYNAMIC                                                                                    \
	"02f892870c72dd9d5e883e018201f48401a2158b82ea60802ab73d602d80600a3d3981f3363d3d373d3d3d"   \
	"363d734d11c446473105a02b5c1ab9ebe9b03f33902a295af43d82803e903d91602b57fd5bf3c080a09e9f"   \
	"032e932e6536bc8de35b5939814d5fe2c1bcb76f06e399583c8c745ea95fa04fae7d7df659a70471ddfed6"   \
	"dba493a4f044a074a0bba6198bb6e2be0977b299"
#define DYNAMIC_HASH "549cfaca862ca59157260fbe13b7ecf5cc353eb22632d10efbe5cca743871ef3"
/* The transaction of a blob transaction; it was sent in a list with its blobs. */
#define BLOB                                                                                       \
	"f90137870c72dd9d5e883e808201f48401a2158b83013880947dcd17433742f4c0ca53122ab541d0ba67fc"   \
	"27df80b844a9059cbb000000000000000000000000cff33720980c026cc155dcb366861477e988fd870000"   \
	"000000000000000000000000000000000000000000000000000002fd6892f85bf859947dcd17433742f4c0"   \
	"ca53122ab541d0ba67fc27dff842a000000000000000000000000000000000000000000000000000000000"   \
	"00000000a0010000000000000000000000000000000000000000000000000000000000000083020000e1a0"   \
	"010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c44401480a0852798cf8a915f198a"   \
	"408825e424cdbaa2fcc24f7b595fe96503962695a7db6ea023a662af6bb8e9d669f9ce29fc6c32735b2e0a"   \
	"4b57eef0ea85896ceec94569b5"
#define BLOB_HASH "05d85f6a761cac82cfdf06dd168952838ac452b10641aabccdfdad46e03d2f0b"

static bool sent_hash(const char *digits, char hex[65])
{
	struct buf params = {0};
	struct chain_call call;
	struct hash hash;
	bool known;

	buf_putf(&params, "[\"0x%s\"]", digits);
	chain_call_read(evm(), method_of("eth_sendRawTransaction"), buf_view(&params), &call);
	known = chain_sent_hash(evm(), &call, &hash);
	if (known)
		hex_encode(hash.b, sizeof(hash.b), hex);
	buf_finish(&params);
	return known;
}

static void the_hash_of_what_is_sent_is_that_which_nodes_answer(void **state)
{
	char hex[65];

	assert_true(sent_hash(LEGACY, hex));
	assert_string_equal(hex, LEGACY_HASH);
	assert_true(sent_hash(DYNAMIC, hex));
	assert_string_equal(hex, DYNAMIC_HASH);
	assert_true(sent_hash("03" BLOB, hex));
	assert_string_equal(hex, BLOB_HASH);
	/* With lists of blobs, commitments and proofs, here empty, and as EIP-7594 has it. */
	assert_true(sent_hash("03f9013d" BLOB "c0c0c0", hex));
	assert_string_equal(hex, BLOB_HASH);
	assert_true(sent_hash("03f9013e" BLOB "01c0c0c0", hex));
	assert_string_equal(hex, BLOB_HASH);
}

static void what_is_no_transaction_has_no_hash(void **state)
{
	char hex[65];

	assert_false(sent_hash("", hex));
	assert_false(sent_hash("f", hex));
	assert_false(sent_hash("f8g0", hex));
	assert_false(sent_hash("03f9013df90137", hex)); /* cut off in the list inside */
	/* What has the type of blobs and another form is not ours to judge. */
	assert_true(sent_hash("03", hex));
	assert_true(sent_hash("0380", hex));
	assert_true(sent_hash("03c0", hex));
	assert_true(sent_hash("03c180", hex));
}

/* --- keys --- */

static void assert_key(const char *method, const char *params, const char *want)
{
	struct buf key = {0};

	chain_call_key(method_of(method), VIEW_STR(params), &key);
	assert_string_equal(buf_cstr(&key), want);
	buf_finish(&key);
}

static void keys_differ_in_everything_but_white_space(void **state)
{
	assert_key("eth_chainId", "", "eth_chainId\n[]");
	assert_key("eth_chainId", " [ ] ", "eth_chainId\n[]");
	assert_key("eth_call", "[ { \"to\" :\t\"0x aB\" } ,\r\n\"latest\"]",
		   "eth_call\n[{\"to\":\"0x aB\"},\"latest\"]");
	assert_key("eth_call", "[\"\\\" \\\\\" , \" \"]", "eth_call\n[\"\\\" \\\\\",\" \"]");
	assert_key("web3_sha3", "[1 , 2.0e5]", "web3_sha3\n[1,2.0e5]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_head_is_told_by_height_and_by_latest),
		cmocka_unit_test(blocks_and_what_is_in_them_tell_their_block),
		cmocka_unit_test(the_call_tells_what_the_result_does_not),
		cmocka_unit_test(what_has_no_block_has_none),
		cmocka_unit_test(emptiness_is_missing_data_only_where_the_table_says),
		cmocka_unit_test(reverts_that_come_as_results_are_known),
		cmocka_unit_test(the_hash_of_what_is_sent_is_that_which_nodes_answer),
		cmocka_unit_test(what_is_no_transaction_has_no_hash),
		cmocka_unit_test(keys_differ_in_everything_but_white_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
