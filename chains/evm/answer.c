/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/evm.h"

#include "chains/evm/keccak.h"
#include "chains/evm/rlp.h"
#include "chains/json.h"
#include "relay/base/mem.h"

/* In the order of `values` below. */
static const char *const block_names[] = {"number", "hash", "parentHash"};
static const char *const item_names[] = {"blockNumber", "blockHash"};

static bool is_empty(struct view token)
{
	struct json_walk walk = json_walk_of(token);
	struct view text, name;

	switch (json_walk_peek(&walk)) {
	case 'n':
		return json_token_is_null(token);
	case '"':
		return json_token_text(token, &text) &&
		       (text.n == 0 || view_eq(text, VIEW_STR("0x")));
	case '[':
		return json_walk_enter(&walk, '[') && !json_walk_element(&walk) && !walk.bad;
	case '{':
		return json_walk_enter(&walk, '{') && !json_walk_member(&walk, &name) && !walk.bad;
	default:
		return false;
	}
}

static bool is_missing(enum chain_empty empty, const struct chain_answer *answer,
		       struct view result)
{
	switch (empty) {
	case CHAIN_EMPTY_VALUE:
		return false;
	case CHAIN_EMPTY_MISSING:
		return answer->null;
	case CHAIN_EMPTY_MISSING_LIST:
		return answer->null || (answer->empty && result.p[0] == '[');
	}
	return false;
}

/* Error(string) or Panic(uint256), as a call of a contract would have them: 4 bytes and words. */
static bool is_revert(struct view result)
{
	struct view text;

	if (!json_token_text(result, &text) || text.n < 10 || (text.n - 10) % 64 != 0)
		return false;
	return memcmp(text.p, "0x08c379a0", 10) == 0 || memcmp(text.p, "0x4e487b71", 10) == 0;
}

/* A quantity; in traces also a plain number. */
static bool read_height(struct view token, uint64_t *ret)
{
	return json_token_u64(token, JSON_LENIENT, ret) ||
	       (token.n > 0 && u64_parse((const char *)token.p, token.n, ret));
}

/* The members of a block, or of something in one, which has no parent.  A null is what has no block
 * yet. */
static void read_object(struct view object, const char *const *list, size_t count,
			struct chain_answer *ret)
{
	struct json_walk walk = json_walk_of(object);
	struct json_names names;
	struct view values[ARRAY_SIZE(block_names)] = {0};

	json_names_init(&names, list, count);
	if (json_walk_members(&walk, &names, values) != JSON_MEMBERS)
		return;
	if (json_token_is_null(values[0]) || json_token_is_null(values[1]))
		return;
	ret->number_known = read_height(values[0], &ret->number);
	ret->hash_known = json_token_hex(values[1], ret->hash.b, sizeof(ret->hash.b));
	ret->parent_known = json_token_hex(values[2], ret->parent.b, sizeof(ret->parent.b));
}

static void read_items(const struct chain_call *call, struct view list, struct chain_answer *ret)
{
	struct json_walk walk = json_walk_of(list);

	/* Of a range each item may have another block. */
	if (call->refs == 2 && !chain_call_is_fixed(call))
		return;
	if (json_walk_peek(&walk) != '[' || !json_walk_enter(&walk, '[') ||
	    !json_walk_element(&walk))
		return;
	read_object(json_walk_value(&walk), item_names, ARRAY_SIZE(item_names), ret);
}

/* What the call says where the result does not. */
static void read_from_call(const struct chain_call *call, struct chain_answer *ret)
{
	const struct chain_ref *ref = &call->ref[0];

	if (ret->number_known || ret->hash_known || !chain_call_is_fixed(call))
		return;
	if (ref->kind == CHAIN_REF_NUMBER) {
		ret->number_known = true;
		ret->number = ref->number;
	} else {
		ret->hash_known = true;
		ret->hash = ref->hash;
	}
}

static bool is_of_tag(const struct chain_call *call, enum chain_tag tag)
{
	return call->refs == 1 && call->ref[0].kind == CHAIN_REF_TAG && call->ref[0].tag == tag;
}

void evm_answer_read(const struct chain_call *call, struct view result, struct chain_answer *ret)
{
	*ret = (struct chain_answer){
		.null = json_token_is_null(result),
		.empty = is_empty(result),
		.reverted = is_revert(result),
	};
	ret->missing = is_missing(call->traits->empty, ret, result);
	switch (call->traits->shape) {
	case CHAIN_SHAPE_NONE:
		break;
	case CHAIN_SHAPE_HEIGHT:
		ret->number_known = json_token_u64(result, JSON_LENIENT, &ret->number);
		ret->head = ret->number_known;
		break;
	case CHAIN_SHAPE_BLOCK:
		if (is_of_tag(call, CHAIN_TAG_PENDING))
			break;
		read_object(result, block_names, ARRAY_SIZE(block_names), ret);
		ret->head = ret->number_known && is_of_tag(call, CHAIN_TAG_LATEST);
		break;
	case CHAIN_SHAPE_ITEM:
		read_object(result, item_names, ARRAY_SIZE(item_names), ret);
		break;
	case CHAIN_SHAPE_ITEMS:
		read_items(call, result, ret);
		break;
	}
	if (!ret->missing)
		read_from_call(call, ret);
}

bool evm_sent_hash(struct view digits, struct hash *ret)
{
	size_t n = digits.n / 2, inner;
	CLEANUP(xfree) uint8_t *raw = NULL;
	struct rlp_read r;
	struct keccak keccak;
	const uint8_t *from;
	bool is_list;

	if (n == 0)
		return false;
	raw = xmalloc(n);
	if (!hex_decode_either((const char *)digits.p, digits.n, raw, n))
		return false;
	r = (struct rlp_read){raw + 1, raw + n};
	/* EIP-4844: sent with its blobs, a transaction is the first of a list; its hash is without.
	 */
	if (raw[0] != 3 || !rlp_read_head(&r, &is_list, &inner) || !is_list || r.p == r.end ||
	    *r.p < RLP_LIST) {
		keccak256(raw, n, ret);
		return true;
	}
	from = r.p;
	if (!rlp_read_skip(&r))
		return false;
	keccak256_init(&keccak);
	keccak256_add(&keccak, raw, 1);
	keccak256_add(&keccak, from, (size_t)(r.p - from));
	keccak256_end(&keccak, ret);
	return true;
}

bool evm_block_read(struct view result, struct chain_block *ret)
{
	struct json_walk walk = json_walk_of(result);
	struct json_names names;
	struct view values[ARRAY_SIZE(block_names)];

	json_names_init(&names, block_names, ARRAY_SIZE(block_names));
	return json_walk_peek(&walk) == '{' &&
	       json_walk_members(&walk, &names, values) == JSON_MEMBERS &&
	       json_token_u64(values[0], JSON_LENIENT, &ret->number) &&
	       json_token_hex(values[1], ret->hash.b, sizeof(ret->hash.b)) &&
	       json_token_hex(values[2], ret->parent.b, sizeof(ret->parent.b));
}

void evm_put_sent(const struct hash *sent, struct buf *out)
{
	buf_put_str(out, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x");
	buf_put_hex(out, sent->b, sizeof(sent->b));
	buf_put_str(out, "\"}");
}

void evm_put_lookup(const struct hash *sent, struct buf *out)
{
	buf_put_str(out, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getTransactionByHash\","
			 "\"params\":[\"0x");
	buf_put_hex(out, sent->b, sizeof(sent->b));
	buf_put_str(out, "\"]}");
}
