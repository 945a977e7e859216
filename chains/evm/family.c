/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/evm.h"
#include "chains/evm/integrity.h"
#include "chains/evm/target.h"

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

static const struct chain_execution executions[] = {
#define RAN_CODE(number) {.code = (number)},
#define RAN_TEXT(words) {.phrase = (words)},
#define RAN_DATA(words) {.phrase = (words), .in_data = true},
#define TEXT(words, class)
#define CODE(number, class)
#define BLOCKS(words)
#include "chains/methods/evm_errors.def"
#undef RAN_CODE
#undef RAN_TEXT
#undef RAN_DATA
#undef TEXT
#undef CODE
#undef BLOCKS
};

static const struct chain_error_row errors[] = {
#define RAN_CODE(number)
#define RAN_TEXT(words)
#define RAN_DATA(words)
#define TEXT(words, class) {.phrase = (words), .error = CHAIN_ERROR_##class},
#define CODE(number, class) {.code = (number), .error = CHAIN_ERROR_##class},
#define BLOCKS(words)
#include "chains/methods/evm_errors.def"
#undef RAN_CODE
#undef RAN_TEXT
#undef RAN_DATA
#undef TEXT
#undef CODE
#undef BLOCKS
};

static const char *const limits[] = {
#define RAN_CODE(number)
#define RAN_TEXT(words)
#define RAN_DATA(words)
#define TEXT(words, class)
#define CODE(number, class)
#define BLOCKS(words) (words),
#include "chains/methods/evm_errors.def"
#undef RAN_CODE
#undef RAN_TEXT
#undef RAN_DATA
#undef TEXT
#undef CODE
#undef BLOCKS
};

#define EXACT true
#define LOOSE false

static const struct chain_named_traits traits[] = {
#define TRAITS(method, where, what, without, lasts, nothing, pinning, sending, says, same)         \
	{.name = (method),                                                                         \
	 .traits = {.place = CHAIN_PLACE_##where,                                                  \
		    .form = CHAIN_FORM_##what,                                                     \
		    .absent = CHAIN_ABSENT_##without,                                              \
		    .life = CHAIN_LIFE_##lasts,                                                    \
		    .empty = CHAIN_EMPTY_##nothing,                                                \
		    .pin = CHAIN_PINNED_##pinning,                                                 \
		    .send = CHAIN_SEND_##sending,                                                  \
		    .shape = CHAIN_SHAPE_##says,                                                   \
		    .exact = (same)}},
#include "chains/methods/evm_traits.def"
#undef TRAITS
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

#define HEAD_PARAMS(tag) "[\"" tag "\",false]"
#define HEAD(tag)                                                                                  \
	{                                                                                          \
		.call = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBlockByNumber\","       \
			"\"params\":" HEAD_PARAMS(tag) "}",                                        \
		.params = HEAD_PARAMS(tag)                                                         \
	}

const struct family family_evm = {
	.name = "evm",
	.methods = methods,
	.method_count = ARRAY_SIZE(methods),
	.namespaces = namespaces,
	.namespace_count = ARRAY_SIZE(namespaces),
	.executions = executions,
	.execution_count = ARRAY_SIZE(executions),
	.errors = errors,
	.error_count = ARRAY_SIZE(errors),
	.limits = limits,
	.limit_count = ARRAY_SIZE(limits),
	.traits = traits,
	.trait_count = ARRAY_SIZE(traits),
	.call_read = evm_call_read,
	.call_pin = evm_call_pin,
	.answer_read = evm_answer_read,
	.sent_hash = evm_sent_hash,
	.logs_method = "eth_getLogs",
	.filter_call = evm_filter_call,
	.block_call = evm_block_call,
	.block_read = evm_block_read,
	.put_sent = evm_put_sent,
	.put_lookup = evm_put_lookup,
	.heads = {[CHAIN_TAG_LATEST] = HEAD("latest"),
		  [CHAIN_TAG_SAFE] = HEAD("safe"),
		  [CHAIN_TAG_FINALIZED] = HEAD("finalized")},
	.probe = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\",\"params\":[]}",
	.probe_id = probe_id,
	.call_target = evm_call_target,
	.verifier_create = evm_verifier_create,
	.verifier_destroy = evm_verifier_destroy,
	.verify_look = evm_verify_look,
	.verify = evm_verify,
};
