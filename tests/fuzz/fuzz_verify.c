/* SPDX-License-Identifier: Apache-2.0
 * Answers that may say anything, looked at.  The first byte chooses the method; then either the
 * rest is parameters and result (a NUL between), or a row of decisions that change an honest block.
 *
 * Whatever comes, the check ends inside the text.  An honest block that was changed is `recomputed`
 * only when every value that a hash covers is still the same number or the same bytes. */
#include <stdio.h>

#include "chains/json.h"
#include "chains/verify.h"
#include "relay/base/mem.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const methods[] = {
	"eth_getBlockByNumber",
	"eth_getBlockByHash",
	"eth_getHeaderByNumber",
	"eth_getUncleByBlockHashAndIndex",
	"eth_getTransactionByHash",
	"eth_getTransactionByBlockHashAndIndex",
	"eth_getTransactionReceipt",
	"eth_getBlockReceipts",
	"eth_getLogs",
	"eth_getBalance",
	"eth_call",
};

/* Made by the Python implementation: a legacy transaction, one of type 2, a withdrawal. */
static const char honest[] =
	"{\"parentHash\":\"0x1111111111111111111111111111111111111111111111111111111111111111\",\""
	"sha3Uncles\":\"0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347\",\"mi"
	"ner\":\"0x1111111111111111111111111111111111111111\",\"stateRoot\":\"0x2222222222222222222"
	"222222222222222222222222222222222222222222222\",\"transactionsRoot\":\"0xf8d58cf0b24a875"
	"86eeff286036e46bc2bc41013c2217cd95e0da65111d2c609\",\"receiptsRoot\":\"0x56e81f171bcc55a"
	"6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421\",\"logsBloom\":\"0x000000000000000000"
	"000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	"000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	"000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	"000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	"000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	"00000000000000000000000000000000000000000000000000000000000000000000000000\",\"difficu"
	"lty\":\"0x0\",\"number\":\"0x1\",\"gasLimit\":\"0x1c9c380\",\"gasUsed\":\"0xa508\","
	"\"timestamp\":\"0xa"
	"\",\"extraData\":\"0xabcd\",\"mixHash\":"
	"\"0x222222222222222222222222222222222222222222222222"
	"2222222222222222\",\"nonce\":\"0x0000000000000000\",\"baseFeePerGas\":\"0x8\","
	"\"withdrawalsRoo"
	"t\":\"0x8f362bf51e106f25be79679e32b8cc0a3ba0a2e00d246f0a855dc93a7884be7f\",\"hash\":\"0x96"
	"be6772aa7b23ed0d8c68e62ec37b4da06edc2043cdd74a8077d8835391131d\",\"transactions\":[{\"ty"
	"pe\":\"0x0\",\"nonce\":\"0x1\",\"gasPrice\":\"0x9\",\"gas\":\"0x5208\",\"to\":"
	"\"0x33333333333333333333"
	"33333333333333333333\",\"value\":\"0x7f\",\"input\":\"0x\",\"v\":\"0x25\",\"r\":"
	"\"0x5555555555555555"
	"555555555555555555555555555555555555555555555555\",\"s\":\"0x666666666666666666666666666"
	"66666666666666666666666666666666666\",\"chainId\":\"0x1\",\"hash\":"
	"\"0xdaec6c955ff4f2f98ed3e"
	"3b03b5a1a51fe592c499de900908c87855819f21317\",\"blockHash\":\"0x96be6772aa7b23ed0d8c68e6"
	"2ec37b4da06edc2043cdd74a8077d8835391131d\",\"blockNumber\":\"0x1\",\"transactionIndex\":"
	"\"0x"
	"0\",\"from\":\"0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"},{\"type\":\"0x2\","
	"\"chainId\":\"0x1"
	"\",\"nonce\":\"0x0\",\"maxPriorityFeePerGas\":\"0x1\",\"maxFeePerGas\":\"0x80\",\"gas\":"
	"\"0x5300\",\"t"
	"o\":null,\"value\":\"0x0\",\"input\":\"0x6001600255\",\"accessList\":[{\"address\":"
	"\"0x44444444444"
	"44444444444444444444444444444\",\"storageKeys\":[\"0x77777777777777777777777777777777777"
	"77777777777777777777777777777\"]}],\"yParity\":\"0x1\",\"v\":\"0x1\",\"r\":"
	"\"0x88888888888888888"
	"88888888888888888888888888888888888888888888888\",\"s\":\"0x2222222222222222222222222222"
	"222222222222222222222222222222222222\",\"hash\":\"0xb46c9433dc6b0dc7312c96f323bce010e42c"
	"7f6b3bdce6144f6da7f632a99fe5\",\"blockHash\":\"0x96be6772aa7b23ed0d8c68e62ec37b4da06edc2"
	"043cdd74a8077d8835391131d\",\"blockNumber\":\"0x1\",\"transactionIndex\":\"0x1\",\"from\":"
	"\"0xaa"
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}],\"withdrawals\":[{\"index\":\"0x9\","
	"\"validatorIn"
	"dex\":\"0x7\",\"address\":\"0x9999999999999999999999999999999999999999\",\"amount\":"
	"\"0x100\"}]"
	",\"uncles\":[],\"size\":\"0x300\"}";

/* Whether a hash says something of this member of the honest block, and it may not be left out. */
static bool is_covered(struct view name)
{
	static const char *const others[] = {"from", "size", "type", "chainId", "yParity", "v"};
	char quoted[34];

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (view_eq(name, VIEW_STR(others[i])))
			return false;
	}
	if (name.n > 30)
		return false;
	snprintf(quoted, sizeof(quoted), "\"%.*s\":", (int)name.n, (const char *)name.p);
	return strstr(honest, quoted) != NULL;
}

/* All covered values below a walk, each with its name, in lower case. */
static void covered_values(struct json_walk *walk, struct view name, struct buf *out)
{
	uint8_t c = json_walk_peek(walk);
	struct view value;

	if (c == '{') {
		(void)json_walk_enter(walk, c);
		while (json_walk_member(walk, &name))
			covered_values(walk, name, out);
	} else if (c == '[') {
		(void)json_walk_enter(walk, c);
		while (json_walk_element(walk))
			covered_values(walk, name, out);
	} else {
		value = json_walk_value(walk);
		if (!is_covered(name))
			return;
		buf_put(out, name.p, name.n);
		for (size_t i = 0; i < value.n; i++)
			buf_put_u8(out, value.p[i] | (value.p[i] >= 'A' && value.p[i] <= 'F' ? 0x20
											     : 0));
	}
}

static bool same_values(struct view a, struct view b)
{
	CLEANUP(buf_finish) struct buf of_a = {0}, of_b = {0};
	struct json_walk walk_a = json_walk_of(a), walk_b = json_walk_of(b);

	covered_values(&walk_a, (struct view){0}, &of_a);
	covered_values(&walk_b, (struct view){0}, &of_b);
	return view_eq(buf_view(&of_a), buf_view(&of_b));
}

static const struct chain_method *method_of(const char *name)
{
	const struct chain_method *method = NULL;
	struct err err;
	bool found = chain_method_find(chain_find("evm"), VIEW_STR(name), &method, &err);

	assert(found);
	return method;
}

static enum chain_verdict verdict_of(const struct chain_method *method, struct view params,
				     struct view result)
{
	CLEANUP(chain_verifier_destroy)
	struct chain_verifier *verifier = chain_verifier_create(chain_find("evm"));
	struct chain_finding found, again;

	chain_verify(verifier, method, params, result, &found);
	assert((found.why != NULL) == (found.verdict >= CHAIN_DIFFERS));
	/* What it remembers changes nothing for the same block. */
	chain_verify(verifier, method, params, result, &again);
	assert(again.verdict == found.verdict || method != method_of("eth_getBlockByNumber"));
	return found.verdict;
}

static void any_answer(const struct chain_method *method, const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
	size_t params_n = nul ? (size_t)(nul - data) : 0;
	size_t from = nul ? params_n + 1 : 0;
	uint8_t *result = xmemdup(data + from, size - from); /* exact, for the sanitizers */

	(void)verdict_of(method, VIEW(data, params_n), VIEW(result, size - from));
	free(result);
}

static void changed_block(struct choices *c)
{
	char *text = xstrdup(honest);
	size_t n = strlen(text), changes = 1 + choose_below(c, 4);
	enum chain_verdict verdict;
	bool same;

	for (size_t i = 0; i < changes; i++) {
		static const char bytes[] = "0123456789abcdefABCDEF\",:[]{}x nl";
		size_t at = choose_below(c, n);

		text[at] = bytes[choose_below(c, sizeof(bytes) - 1)];
	}
	same = same_values(VIEW(text, n), VIEW_STR(honest));
	verdict = verdict_of(method_of("eth_getBlockByNumber"), VIEW_STR("[\"0x1\",true]"),
			     VIEW(text, n));
	assert(verdict != CHAIN_RECOMPUTED || same);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};
	uint8_t what = choose_u8(&c);

	assert(verdict_of(method_of("eth_getBlockByNumber"), VIEW_STR("[\"0x1\",true]"),
			  VIEW_STR(honest)) == CHAIN_RECOMPUTED);
	if (what >= 128)
		changed_block(&c);
	else
		any_answer(method_of(methods[what / 2 % ARRAY_SIZE(methods)]), c.p, c.left);
	return 0;
}
