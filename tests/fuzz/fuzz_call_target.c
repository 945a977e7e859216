/* SPDX-License-Identifier: Apache-2.0
 * The target of calls whose parameters are any bytes: the first byte chooses the method, the rest
 * is its `params`.  What is found is an address of 20 bytes that stands in the text, in hexadecimal
 * of either case; nothing is set when nothing is found. */
#include <assert.h>
#include <ctype.h>

#include "chains/chain.h"
#include "relay/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const methods[] = {
	"eth_call",	   "eth_getBalance",  "eth_getLogs", "eth_sendRawTransaction",
	"debug_traceCall", "eth_blockNumber", "no_such",
};

static bool stands_in(struct view text, const char *hex)
{
	for (size_t i = 0; i + 40 <= text.n; i++) {
		size_t k = 0;

		while (k < 40 && tolower(text.p[i + k]) == hex[k])
			k++;
		if (k == 40)
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct chain *chain = chain_find("evm");
	struct chain_target target = {0}, nothing = {0};
	const struct chain_method *method;
	char hex[2 * CHAIN_TARGET_MAX + 1];
	struct err err;
	uint8_t *copy;
	bool ok;

	if (size == 0)
		return 0;
	copy = xmemdup(data + 1, size - 1); /* so that a read beyond it is seen */
	ok = chain_method_find(chain, VIEW_STR(methods[data[0] % ARRAY_SIZE(methods)]), &method,
			       &err);
	assert(ok);
	if (chain_call_target(chain, method, VIEW(copy, size - 1), &target)) {
		assert(target.n == 20 && method->id != 0);
		assert(stands_in(VIEW(copy, size - 1), hex_encode(target.b, 20, hex)));
	} else {
		assert(memcmp(&target, &nothing, sizeof(target)) == 0);
	}
	free(copy);
	return 0;
}
