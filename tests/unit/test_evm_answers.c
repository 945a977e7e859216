/* SPDX-License-Identifier: Apache-2.0
 * What is a fault and what is not: answers to other questions, and what honest nodes of many kinds
 * say that a check must let pass. */
#include "tests/unit/unit.h"

#include "chains/custom.h"
#include "relay/base/mem.h"

#define H1 "0x1111111111111111111111111111111111111111111111111111111111111111"
#define H2 "0x2222222222222222222222222222222222222222222222222222222222222222"
#define A1 "0x1111111111111111111111111111111111111111"
#define A2 "0x2222222222222222222222222222222222222222"
#define ZEROS_256 "0000000000000000000000000000000000000000000000000000000000000000"
#define BLOOM "0x" ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256

/* A block without transactions under London's rules.  Its hash is that
 * of its fields as the Python implementation makes it (tests/reference/counterfoil_ref/evm.py). */
#define FIELDS                                                                                     \
	"\"parentHash\":\"" H1 "\",\"miner\":\"" A1 "\",\"stateRoot\":\"" H2                       \
	"\",\"receiptsRoot\":\"0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421" \
	"\",\"sha3Uncles\":\"0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"   \
	"\",\"logsBloom\":\"" BLOOM "\",\"difficulty\":\"0x0\",\"gasLimit\":\"0x1c9c380\","        \
	"\"timestamp\":\"0xa\",\"extraData\":\"0x\",\"mixHash\":\"" H2                             \
	"\",\"nonce\":\"0x0000000000000000\","
#define GAS_USED "\"gasUsed\":\"0x0\","
#define ROOT                                                                                       \
	"\"transactionsRoot\":\"0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b42" \
	"1\","
#define BASE_FEE "\"baseFeePerGas\":\"0x3b9aca00\","
#define NUMBER "\"number\":\"0x1\","
#define HASH "\"hash\":\"" BLOCK_HASH "\","
#define LISTS "\"transactions\":[],\"uncles\":[]"
#define BLOCK_HASH "0x65859a4cb16921f29068c4ad8f319d4160d920955d980730846ed2cefc24f9fb"
#define BLOCK "{" FIELDS GAS_USED ROOT BASE_FEE NUMBER HASH LISTS "}"

struct question {
	const char *method;
	const char *params;
	const char *result;
	enum chain_verdict verdict;
	const char *why; /* a part of it, for faults */
};

static void ask(struct chain_verifier *verifier, const struct question *q)
{
	const struct chain_method *method = NULL;
	struct chain_finding finding;
	struct err err;

	assert_ok(chain_method_find(chain_find("evm"), VIEW_STR(q->method), &method, &err), err);
	chain_verify(verifier, method, VIEW_STR(q->params), VIEW_STR(q->result), &finding);
	if (finding.verdict != q->verdict || (q->why && !strstr(finding.why, q->why)))
		fail_msg("%s %s -> %.200s: %d %s", q->method, q->params, q->result, finding.verdict,
			 finding.why ? finding.why : "");
	assert_true((finding.why != NULL) == (finding.verdict >= CHAIN_DIFFERS));
}

static void ask_all(const struct question *questions, size_t count)
{
	struct chain_verifier *verifier = chain_verifier_create(chain_find("evm"));

	for (size_t i = 0; i < count; i++)
		ask(verifier, &questions[i]);
	chain_verifier_destroy(verifier);
}

static void blocks_are_those_that_were_asked_for(void **state)
{
	static const struct question questions[] = {
		{"eth_getBlockByNumber", "[\"0x1\",true]", BLOCK, CHAIN_RECOMPUTED, NULL},
		{"eth_getBlockByNumber", "[\"0x01\",false]", BLOCK, CHAIN_RECOMPUTED, NULL},
		{"eth_getBlockByNumber", "[\"0x2\",true]", BLOCK, CHAIN_FAULT, "by number"},
		{"eth_getBlockByNumber", "[\"latest\",true]", BLOCK, CHAIN_RECOMPUTED, NULL},
		{"eth_getBlockByNumber", "[]", BLOCK, CHAIN_RECOMPUTED, NULL},
		{"eth_getBlockByNumber", "{\"number\":\"0x2\"}", BLOCK, CHAIN_RECOMPUTED, NULL},
		{"eth_getBlockByHash", "[\"" BLOCK_HASH "\",true]", BLOCK, CHAIN_RECOMPUTED, NULL},
		{"eth_getBlockByHash", "[\"" H1 "\",true]", BLOCK, CHAIN_FAULT, "by hash"},
		{"eth_getHeaderByNumber", "[\"0x1\"]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE NUMBER HASH "\"size\":\"0x1\"}",
		 CHAIN_RECOMPUTED, NULL},
		{"eth_getUncleByBlockNumberAndIndex", "[\"0x9\",\"0x0\"]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE NUMBER HASH "\"uncles\":[]}", CHAIN_RECOMPUTED,
		 NULL},
		{"eth_getBlockByHash", "[\"" H1 "\",true]", "null", CHAIN_PLAIN, NULL},
	};

	ask_all(questions, ARRAY_SIZE(questions));
}

static void blocks_have_the_shape_of_blocks(void **state)
{
	static const struct question questions[] = {
		{"eth_getBlockByNumber", "[\"0x1\",true]", "[]", CHAIN_FAULT, "no object"},
		{"eth_getBlockByNumber", "[\"0x1\",true]", "\"0x\"", CHAIN_FAULT, "no object"},
		{"eth_getBlockByNumber", "[\"0x1\",true]", "{}", CHAIN_FAULT, "no hash"},
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE NUMBER NUMBER HASH LISTS "}", CHAIN_FAULT,
		 "twice"},
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{\"h\\u0061sh\":\"" H1 "\"," FIELDS GAS_USED ROOT BASE_FEE NUMBER HASH LISTS "}",
		 CHAIN_FAULT, "escapes"},
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE NUMBER HASH "\"uncles\":[]}", CHAIN_DIFFERS,
		 "no list of transactions"},
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{" FIELDS "\"gasUsed\":0," ROOT BASE_FEE NUMBER HASH LISTS "}", CHAIN_DIFFERS,
		 "another kind"},
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE NUMBER HASH "\"transactions\":[\"" H1
		 "\"],\"uncles\":[]}",
		 CHAIN_FAULT, "whole transactions were asked for"},
		{"eth_getBlockByNumber", "[\"0x1\",false]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE NUMBER HASH "\"transactions\":[{\"hash\":\"" H1
		 "\"}],\"uncles\":[]}",
		 CHAIN_FAULT, "not asked for"},
		{"eth_getBlockByNumber", "[\"0x1\",false]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE NUMBER HASH
		 "\"transactions\":[],\"uncles\":[\"" H1 "\"]}",
		 CHAIN_DIFFERS, "uncles"},
		{"eth_getBlockByNumber", "[\"0x1\",false]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE NUMBER HASH LISTS
		 ",\"withdrawals\":[{\"index\":\"0x1\",\"validatorIndex\":\"0x1\",\"address\":"
		 "\"" A1 "\",\"amount\":\"0x1\"}]}",
		 CHAIN_DIFFERS, "withdrawals"},
	};

	ask_all(questions, ARRAY_SIZE(questions));
}

static void honest_oddities_are_no_faults(void **state)
{
	static const struct question questions[] = {
		/* the pending block */
		{"eth_getBlockByNumber", "[\"pending\",true]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE "\"number\":null,\"hash\":null," LISTS "}",
		 CHAIN_PLAIN, NULL},
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{" FIELDS GAS_USED ROOT BASE_FEE "\"number\":\"0x1\",\"hash\":null," LISTS "}",
		 CHAIN_FAULT, "no hash"},
		/* leading zeros, and null for a field that is not there yet */
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{" FIELDS
		 "\"gasUsed\":\"0x000\",\"withdrawalsRoot\":null," ROOT BASE_FEE NUMBER HASH LISTS
		 "}",
		 CHAIN_RECOMPUTED, NULL},
		/* members of other programs, with the right hash and with one of more fields */
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{\"totalDifficulty\":\"0x0\",\"new\":[1]," FIELDS GAS_USED ROOT BASE_FEE NUMBER
			 HASH LISTS "}",
		 CHAIN_RECOMPUTED, NULL},
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{\"slotNumber\":\"0x1\"," FIELDS
		 "\"gasUsed\":\"0x1\"," ROOT BASE_FEE NUMBER HASH LISTS "}",
		 CHAIN_PLAIN, NULL},
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{" FIELDS "\"gasUsed\":\"0x1\"," ROOT BASE_FEE NUMBER HASH LISTS "}",
		 CHAIN_DIFFERS, "not those of its hash"},
		/* a later field without those ahead of it: which is which does not follow */
		{"eth_getBlockByNumber", "[\"0x1\",true]",
		 "{" FIELDS GAS_USED ROOT "\"blobGasUsed\":\"0x3b9aca00\"," NUMBER HASH LISTS "}",
		 CHAIN_PLAIN, NULL},
		/* transactions that a chain makes by itself */
		{"eth_getTransactionByHash", "[\"" H1 "\"]",
		 "{\"hash\":\"" H1 "\",\"type\":\"0x7e\",\"mint\":\"0x0\"}", CHAIN_PLAIN, NULL},
		{"eth_getTransactionByHash", "[\"" H1 "\"]",
		 "{\"hash\":\"" H1 "\",\"type\":\"0x0\",\"nonce\":\"0x0\",\"gasPrice\":\"0x0\","
		 "\"gas\":\"0x0\",\"to\":null,\"value\":\"0x0\",\"input\":\"0x\",\"v\":\"0x0\","
		 "\"r\":\"0x0\",\"s\":\"0x0\"}",
		 CHAIN_PLAIN, NULL},
		/* what has no check */
		{"eth_getProof", "[]", "\"anything\"", CHAIN_PLAIN, NULL},
		{"made_up", "[]", "7", CHAIN_PLAIN, NULL},
		/* what may not be there */
		{"eth_getTransactionReceipt", "[\"" H1 "\"]", "null", CHAIN_PLAIN, NULL},
		{"eth_getBlockTransactionCountByNumber", "[\"0x1\"]", "null", CHAIN_PLAIN, NULL},
		/* and what always is */
		{"eth_getBalance", "[\"" A1 "\"]", "null", CHAIN_DIFFERS, "null"},
		{"eth_call", "[{}]", "null", CHAIN_DIFFERS, "null"},
		{"eth_getLogs", "[{}]", "null", CHAIN_DIFFERS, "null"},
	};

	ask_all(questions, ARRAY_SIZE(questions));
}

static const struct chain_finding keeps = {.verdict = CHAIN_RECOMPUTED, .hashed = true};
static const struct chain_finding short_block = {.verdict = CHAIN_PLAIN, .hashed = true};
static const struct chain_finding differs = {.verdict = CHAIN_DIFFERS, .why = "differs"};
static const struct chain_finding odd = {.verdict = CHAIN_DIFFERS, .why = "lists", .hashed = true};
static const struct chain_finding silent = {.verdict = CHAIN_PLAIN};

static void note(struct custom *custom, uint8_t who, const struct chain_finding *finding)
{
	struct key_id key = {{who}};

	custom_note(custom, &key, finding);
}

static void rules_hold_until_most_suppliers_have_never_kept_them(void **state)
{
	struct custom custom = {0};

	assert_true(custom_is_kept(&custom, 5));
	note(&custom, 1, &silent);
	note(&custom, 1, &differs);
	note(&custom, 1, &odd);
	assert_true(custom_is_kept(&custom, 5));  /* one alone may be a liar, */
	assert_false(custom_is_kept(&custom, 1)); /* where there are others */
	note(&custom, 2, &differs);
	assert_false(custom_is_kept(&custom, 5));
	note(&custom, 3, &keeps);
	note(&custom, 4, &short_block);
	assert_true(custom_is_kept(&custom, 5));
	note(&custom, 3, &differs); /* it has kept them before */
	assert_true(custom_is_kept(&custom, 5));
	note(&custom, 5, &differs);
	assert_false(custom_is_kept(&custom, 5));
	note(&custom, 1, &keeps);
	assert_true(custom_is_kept(&custom, 5));
}

static void no_more_suppliers_are_remembered_than_there_is_room_for(void **state)
{
	struct custom custom = {0};

	for (uint8_t i = 0; i < 2 * CUSTOM_SUPPLIERS_MAX; i++)
		note(&custom, i, i < CUSTOM_SUPPLIERS_MAX ? &differs : &keeps);
	assert_int_equal(custom.count, CUSTOM_SUPPLIERS_MAX);
	assert_true(custom_is_kept(&custom, 200));
}

static void single_values_have_their_shape(void **state)
{
	static const struct question questions[] = {
		{"eth_blockNumber", "[]", "\"0x10\"", CHAIN_PLAIN, NULL},
		{"eth_blockNumber", "[]", "\"10\"", CHAIN_DIFFERS, "no quantity"},
		{"eth_getBalance", "[]", "{}", CHAIN_DIFFERS, "no quantity"},
		{"eth_getBalance", "[]", "\"0x" ZEROS_256 "\"", CHAIN_PLAIN, NULL},
		{"eth_getCode", "[]", "\"0x\"", CHAIN_PLAIN, NULL},
		{"eth_call", "[]", "\"0xAbCd\"", CHAIN_PLAIN, NULL},
		{"eth_call", "[]", "\"0xabc\"", CHAIN_DIFFERS, "no data"},
		{"eth_call", "[]", "true", CHAIN_DIFFERS, "no data"},
		{"eth_getStorageAt", "[]", "\"0xzz\"", CHAIN_DIFFERS, "no data"},
	};

	ask_all(questions, ARRAY_SIZE(questions));
}

#define LOG(address, topics, block, number, index)                                                 \
	"{\"address\":\"" address "\",\"topics\":" topics                                          \
	",\"data\":\"0x\",\"blockHash\":\"" block "\",\"blockNumber\":\"" number                   \
	"\",\"transactionHash\":\"" H1 "\",\"transactionIndex\":\"0x0\",\"logIndex\":\"" index     \
	"\",\"removed\":false}"

static void logs_are_what_the_filter_asked_for(void **state)
{
	static const struct question questions[] = {
		{"eth_getLogs",
		 "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x2\",\"address\":\"" A1 "\"}]",
		 "[" LOG(A1, "[]", H1, "0x1", "0x0") "," LOG(A1, "[]", H1, "0x1", "0x1") "," LOG(
			 A1, "[]", H2, "0x2", "0x0") "]",
		 CHAIN_PLAIN, NULL},
		{"eth_getLogs", "[{\"fromBlock\":\"0x2\"}]",
		 "[" LOG(A1, "[]", H1, "0x1", "0x0") "]", CHAIN_FAULT, "outside the range"},
		/* Go reads names in any case, and takes the last of two */
		{"eth_getLogs", "[{\"fromBlock\":\"0x2\",\"FromBlock\":\"0x1\"}]",
		 "[" LOG(A1, "[]", H1, "0x1", "0x0") "]", CHAIN_PLAIN, NULL},
		{"eth_getLogs", "[{\"toBlock\":\"0x2\"}]", "[" LOG(A1, "[]", H1, "0x3", "0x0") "]",
		 CHAIN_FAULT, "outside the range"},
		{"eth_getLogs", "[{\"address\":[\"" A2 "\"]}]",
		 "[" LOG(A1, "[]", H1, "0x1", "0x0") "]", CHAIN_FAULT, "address"},
		{"eth_getLogs", "[{\"address\":[]}]", "[" LOG(A1, "[]", H1, "0x1", "0x0") "]",
		 CHAIN_PLAIN, NULL},
		{"eth_getLogs", "[{\"blockHash\":\"" H2 "\"}]",
		 "[" LOG(A1, "[]", H1, "0x1", "0x0") "]", CHAIN_FAULT, "another block"},
		{"eth_getLogs", "[{\"topics\":[null,\"" H1 "\"]}]",
		 "[" LOG(A1, "[\"" H2 "\",\"" H1 "\"]", H1, "0x1", "0x0") "]", CHAIN_PLAIN, NULL},
		{"eth_getLogs", "[{\"topics\":[[\"" H1 "\",\"" H2 "\"]]}]",
		 "[" LOG(A1, "[\"" H2 "\",\"" H1 "\"]", H1, "0x1", "0x0") "]", CHAIN_PLAIN, NULL},
		{"eth_getLogs", "[{\"topics\":[\"" H1 "\"]}]",
		 "[" LOG(A1, "[\"" H2 "\"]", H1, "0x1", "0x0") "]", CHAIN_FAULT, "topics"},
		{"eth_getLogs", "[{\"topics\":[null,\"" H1 "\"]}]",
		 "[" LOG(A1, "[\"" H1 "\"]", H1, "0x1", "0x0") "]", CHAIN_FAULT, "topics"},
		{"eth_getLogs", "[{\"topics\":[null,null]}]",
		 "[" LOG(A1, "[]", H1, "0x1", "0x0") "]", CHAIN_PLAIN, NULL},
		{"eth_getLogs", "[]",
		 "[" LOG(A1, "[]", H1, "0x1", "0x1") "," LOG(A1, "[]", H1, "0x1", "0x1") "]",
		 CHAIN_DIFFERS, "order"},
		{"eth_getLogs", "[]",
		 "[" LOG(A1, "[]", H1, "0x2", "0x0") "," LOG(A1, "[]", H2, "0x1", "0x1") "]",
		 CHAIN_DIFFERS, "order"},
		{"eth_getLogs", "[]",
		 "[" LOG(A1, "[]", H1, "0x2", "0x0") "," LOG(A1, "[]", H2, "0x2", "0x1") "]",
		 CHAIN_FAULT, "by hash"},
		{"eth_getLogs", "[]", "{}", CHAIN_FAULT, "no list"},
		{"eth_getLogs", "[]", "[1]", CHAIN_FAULT, "no object"},
		{"eth_getLogs", "[]", "[" LOG("0x1", "[]", H1, "0x1", "0x0") "]", CHAIN_DIFFERS,
		 "malformed"},
		{"eth_getLogs", "[]",
		 "[" LOG(A1, "[\"" H1 "\",\"" H1 "\",\"" H1 "\",\"" H1 "\",\"" H1 "\"]", H1, "0x1",
			 "0x0") "]",
		 CHAIN_DIFFERS, "malformed"},
		{"eth_getLogs", "[]", "[]", CHAIN_PLAIN, NULL},
	};

	ask_all(questions, ARRAY_SIZE(questions));
}

#define RECEIPT(hash, index, cumulative, used, logs)                                               \
	"{\"transactionHash\":\"" hash "\",\"transactionIndex\":\"" index "\",\"blockHash\":\"" H1 \
	"\",\"blockNumber\":\"0x1\",\"status\":\"0x1\","                                           \
	"\"cumulativeGasUsed\":\"" cumulative "\",\"gasUsed\":\"" used "\",\"logsBloom\":\"" BLOOM \
	"\",\"logs\":" logs "}"

static void receipts_belong_together(void **state)
{
	static const struct question questions[] = {
		{"eth_getTransactionReceipt", "[\"" H1 "\"]",
		 RECEIPT(H1, "0x0", "0x5", "0x5", "[]"), CHAIN_PLAIN, NULL},
		{"eth_getTransactionReceipt", "[\"" H2 "\"]",
		 RECEIPT(H1, "0x0", "0x5", "0x5", "[]"), CHAIN_FAULT, "another transaction"},
		{"eth_getTransactionReceipt", "[\"" H1 "\"]",
		 RECEIPT(H1, "0x0", "0x5", "0x5", "[" LOG(A1, "[]", H1, "0x1", "0x0") "]"),
		 CHAIN_DIFFERS, "bloom"},
		{"eth_getTransactionReceipt", "[\"" H2 "\"]",
		 RECEIPT(H2, "0x0", "0x5", "0x5", "[" LOG(A1, "[]", H1, "0x1", "0x0") "]"),
		 CHAIN_FAULT, "names another transaction"},
		{"eth_getBlockReceipts", "[\"0x1\"]",
		 "[" RECEIPT(H1, "0x0", "0x5", "0x5", "[]") "," RECEIPT(H2, "0x1", "0x9", "0x4",
									"[]") "]",
		 CHAIN_PLAIN, NULL},
		{"eth_getBlockReceipts", "[{\"blockHash\":\"" H2 "\"}]",
		 "[" RECEIPT(H1, "0x0", "0x5", "0x5", "[]") "]", CHAIN_FAULT, "by hash"},
		{"eth_getBlockReceipts", "[{\"blockNumber\":\"0x2\"}]",
		 "[" RECEIPT(H1, "0x0", "0x5", "0x5", "[]") "]", CHAIN_FAULT, "by number"},
		{"eth_getBlockReceipts", "[{\"blockNumber\":\"0x2\",\"BLOCKNUMBER\":\"0x1\"}]",
		 "[" RECEIPT(H1, "0x0", "0x5", "0x5", "[]") "]", CHAIN_PLAIN, NULL},
		{"eth_getBlockReceipts", "[\"" H2 "\"]",
		 "[" RECEIPT(H1, "0x0", "0x5", "0x5", "[]") "]", CHAIN_FAULT, "by hash"},
		{"eth_getBlockReceipts", "[\"0x1\"]",
		 "[" RECEIPT(H1, "0x1", "0x5", "0x5", "[]") "]", CHAIN_FAULT, "index"},
		{"eth_getBlockReceipts", "[\"0x1\"]",
		 "[" RECEIPT(H1, "0x0", "0x5", "0x4", "[]") "]", CHAIN_DIFFERS, "gas"},
		{"eth_getBlockReceipts", "[\"0x1\"]", "{}", CHAIN_FAULT, "no list"},
		{"eth_getBlockReceipts", "[\"0x1\"]", "[]", CHAIN_PLAIN, NULL},
	};

	ask_all(questions, ARRAY_SIZE(questions));
}

static void transactions_are_those_that_were_asked_for(void **state)
{
	static const struct question questions[] = {
		{"eth_getTransactionByBlockHashAndIndex", "[\"" H2 "\",\"0x0\"]",
		 "{\"hash\":\"" H1 "\",\"type\":\"0x7e\",\"blockHash\":\"" H1 "\"}", CHAIN_FAULT,
		 "by hash"},
		{"eth_getTransactionByBlockNumberAndIndex", "[\"0x1\",\"0x1\"]",
		 "{\"hash\":\"" H1 "\",\"type\":\"0x7e\",\"transactionIndex\":\"0x0\"}",
		 CHAIN_FAULT, "another index"},
		{"eth_getTransactionByBlockNumberAndIndex", "[\"0x1\",\"0x0\"]",
		 "{\"hash\":\"" H1 "\",\"type\":\"0x7e\",\"transactionIndex\":\"0x0\"}",
		 CHAIN_PLAIN, NULL},
		{"eth_getTransactionByHash", "[\"" H1 "\"]", "{\"type\":\"0x7e\"}", CHAIN_DIFFERS,
		 "no hash"},
		{"eth_getTransactionByHash", "[\"" H1 "\"]", "[]", CHAIN_FAULT, "no object"},
		{"eth_getTransactionByHash", "[\"" H1 "\"]",
		 "{\"hash\":\"" H1 "\",\"hash\":\"" H1 "\"}", CHAIN_FAULT, "twice"},
		{"eth_getTransactionByHash", "[\"" H1 "\"]",
		 "{\"hash\":\"" H1 "\",\"type\":\"two\"}", CHAIN_DIFFERS, "type"},
	};

	ask_all(questions, ARRAY_SIZE(questions));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_those_that_were_asked_for),
		cmocka_unit_test(blocks_have_the_shape_of_blocks),
		cmocka_unit_test(honest_oddities_are_no_faults),
		cmocka_unit_test(rules_hold_until_most_suppliers_have_never_kept_them),
		cmocka_unit_test(no_more_suppliers_are_remembered_than_there_is_room_for),
		cmocka_unit_test(single_values_have_their_shape),
		cmocka_unit_test(logs_are_what_the_filter_asked_for),
		cmocka_unit_test(receipts_belong_together),
		cmocka_unit_test(transactions_are_those_that_were_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
