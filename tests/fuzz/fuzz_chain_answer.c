/* SPDX-License-Identifier: Apache-2.0
 * Calls and results of any bytes: a byte chooses the method; what stands ahead of the first NUL are
 * the parameters, what stands behind it is the result.  What must hold: what is known is in the
 * result, or is the block that the call names; what is null, empty or missing says so in its bytes;
 * a key is the parameters without white space, and is its own key; a hash is of digits. */
#include <assert.h>

#include "chains/chain.h"
#include "relay/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct chain_method *method_of(const struct chain *chain, uint8_t which)
{
	const struct method_table *table = chain_table(chain);
	const char *name = method_table_at(table, which % method_table_count(table))->name;
	const struct chain_method *method;
	struct err err;
	bool ok = chain_method_find(chain, VIEW_STR(name), &method, &err);

	assert(ok);
	return method;
}

/* The hash, in digits of either case, stands in the text. */
static bool names_hash(struct view text, const struct hash *hash)
{
	for (size_t i = 0; i + 66 <= text.n; i++) {
		struct hash h;

		if (memcmp(text.p + i, "0x", 2) == 0 &&
		    hex_decode_either((const char *)text.p + i + 2, 64, h.b, 32) && ID_EQ(&h, hash))
			return true;
	}
	return false;
}

static void check_answer(const struct chain_call *call, struct view result,
			 const struct chain_answer *answer)
{
	bool fixed = chain_call_is_fixed(call);

	assert(!answer->null || answer->empty);
	assert(!answer->missing || answer->empty);
	assert(!answer->reverted || !answer->empty);
	assert(!answer->missing || (!answer->number_known && !answer->hash_known));
	assert(!answer->head || answer->number_known);
	assert(!answer->parent_known || names_hash(result, &answer->parent));
	if (answer->hash_known)
		assert(names_hash(result, &answer->hash) ||
		       (fixed && call->ref[0].kind == CHAIN_REF_HASH &&
			ID_EQ(&call->ref[0].hash, &answer->hash)));
	if (call->traits->shape == CHAIN_SHAPE_NONE && answer->number_known)
		assert(fixed && call->ref[0].number == answer->number);
}

static void check_key(const struct chain_method *method, struct view params)
{
	size_t name = strlen(method->name) + 1;
	struct buf key = {0}, again = {0};

	chain_call_key(method, params, &key);
	assert(key.n >= name && key.n <= name + MAX(params.n, (size_t)2));
	if (key.n > name) { /* else it was white space, which is no value */
		chain_call_key(method, VIEW(key.p + name, key.n - name), &again);
		assert(view_eq(buf_view(&key), buf_view(&again)));
	}
	buf_finish(&key);
	buf_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct chain *chain = chain_find("evm");
	const uint8_t *end = size > 1 ? memchr(data + 1, 0, size - 1) : NULL;
	const struct chain_method *method;
	struct chain_answer answer;
	struct chain_call call;
	struct hash hash;
	uint8_t *params, *result;
	size_t params_n, result_n;

	if (!end)
		return 0;
	method = method_of(chain, data[0]);
	params_n = (size_t)(end - data) - 1;
	result_n = size - params_n - 2;
	params = xmemdup(data + 1, params_n);
	result = xmemdup(end + 1, result_n);
	chain_call_read(chain, method, VIEW(params, params_n), &call);
	chain_answer_read(chain, &call, VIEW(result, result_n), &answer);
	check_answer(&call, VIEW(result, result_n), &answer);
	check_key(method, VIEW(params, params_n));
	if (chain_sent_hash(chain, &call, &hash))
		assert(call.raw.n > 0 && call.raw.n % 2 == 0);
	xfree(params);
	xfree(result);
	return 0;
}
