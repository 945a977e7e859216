/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/family.h"

static const struct chain_method methods[] = {
#define METHOD(method_id, method_name, units, part_units, what)                                    \
	{.name = (method_name),                                                                    \
	 .id = (method_id),                                                                        \
	 .cu = (units),                                                                            \
	 .part_cu = (part_units),                                                                  \
	 .effect = (what),                                                                         \
	 .refusal = CHAIN_RELAYED},
#define REFUSE(method_name, why) {.name = (method_name), .refusal = (why)},
#define NAMESPACE(prefix, why)
#include "chains/methods/evm.def"
#undef METHOD
#undef REFUSE
#undef NAMESPACE
};

static const struct chain_namespace namespaces[] = {
#define METHOD(method_id, method_name, units, part_units, what)
#define REFUSE(method_name, why)
#define NAMESPACE(name_prefix, why) {(name_prefix), (why)},
#include "chains/methods/evm.def"
#undef METHOD
#undef REFUSE
#undef NAMESPACE
};

/* What geth, Nethermind, Besu, Erigon, reth and anvil say of a call that ran and failed. */
static const char *const execution_phrases[] = {
	"execution reverted",
	"vm execution error",
	"vm exception",
	"reverted",
	"out of gas",
	"outofgas",
	"invalid opcode",
	"invalid jump",
	"stack underflow",
	"stack overflow",
	"write protection",
	"max code size exceeded",
	"gas uint64 overflow",
	"contract creation code storage",
	NULL,
};

static const int64_t execution_codes[] = {
	3,	/* geth and those who follow it: reverted, with data */
	-32015, /* Nethermind, OpenEthereum: VM execution error */
};

/* A quantity as a string; leading zeros are let pass, as dApps do. */
static bool probe_id(struct view result, uint64_t *ret)
{
	const uint8_t *p = result.p, *end = result.p + result.n;
	uint64_t id = 0;

	if (result.n < 5 || memcmp(p, "\"0x", 3) != 0 || end[-1] != '"')
		return false;
	for (p += 3; p < end - 1; p++) {
		const char *digits = "0123456789abcdef";
		const char *digit = *p ? strchr(digits, *p | (*p >= 'A' ? 0x20 : 0)) : NULL;

		if (!digit || id >> 60)
			return false;
		id = id << 4 | (uint64_t)(digit - digits);
	}
	*ret = id;
	return true;
}

const struct family family_evm = {
	.name = "evm",
	.methods = methods,
	.method_count = ARRAY_SIZE(methods),
	.namespaces = namespaces,
	.namespace_count = ARRAY_SIZE(namespaces),
	.execution_phrases = execution_phrases,
	.execution_codes = execution_codes,
	.execution_code_count = ARRAY_SIZE(execution_codes),
	.probe = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\",\"params\":[]}",
	.probe_id = probe_id,
};
