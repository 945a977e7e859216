/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/target.h"

#include <assert.h>

#include "chains/evm/rlp.h"
#include "chains/json.h"

#define ADDRESS_BYTES 20
#define RAW_HEAD_BYTES 256 /* of a transaction: its `to` ends before, whatever its type */

/* Where the address stands in the first parameter. */
enum place {
	PLACE_ITSELF,  /* is it */
	PLACE_TO,      /* member `to` */
	PLACE_ADDRESS, /* member `address`, or the first of a list there */
	PLACE_RAW,     /* in a signed transaction */
};

static const struct {
	const char *method;
	enum place place;
} places[] = {
	{"eth_call", PLACE_TO},
	{"eth_getLogs", PLACE_ADDRESS},
	{"eth_getBalance", PLACE_ITSELF},
	{"eth_estimateGas", PLACE_TO},
	{"eth_sendRawTransaction", PLACE_RAW},
	{"eth_getCode", PLACE_ITSELF},
	{"eth_getStorageAt", PLACE_ITSELF},
	{"eth_getTransactionCount", PLACE_ITSELF},
	{"eth_getProof", PLACE_ITSELF},
	{"eth_getAccount", PLACE_ITSELF},
	{"eth_getAccountInfo", PLACE_ITSELF},
	{"eth_createAccessList", PLACE_TO},
	{"eth_sendRawTransactionSync", PLACE_RAW},
	{"eth_sendRawTransactionConditional", PLACE_RAW},
	{"eth_sendPrivateRawTransaction", PLACE_RAW},
	{"debug_traceCall", PLACE_TO},
	{"trace_call", PLACE_TO},
	{"arbtrace_call", PLACE_TO},
	{"erigon_getLogs", PLACE_ADDRESS},
	{"erigon_getLatestLogs", PLACE_ADDRESS},
};

/* --- a signed transaction (EIP-2718) --- */

/* How many fields stand before `to`; 0: no such type. */
static unsigned fields_before_to(struct rlp_read *r)
{
	if (r->p == r->end)
		return 0;
	switch (*r->p) {
	case 1: /* EIP-2930: chain, nonce, price, gas */
		r->p++;
		return 4;
	case 2: /* EIP-1559: chain, nonce, tip, fee, gas; EIP-4844 and EIP-7702 begin alike */
	case 3:
	case 4:
		r->p++;
		return 5;
	default: /* nonce, price, gas */
		return *r->p >= 0xC0 ? 3 : 0;
	}
}

static bool raw_to(struct view token, uint8_t ret[ADDRESS_BYTES])
{
	uint8_t head[RAW_HEAD_BYTES];
	struct rlp_read r = {head, head};
	struct view text;
	bool is_list;
	unsigned before;
	size_t n;

	if (!json_token_text(token, &text) || text.n < 2 || memcmp(text.p, "0x", 2) != 0)
		return false;
	n = MIN((text.n - 2) / 2, sizeof(head));
	if (!hex_decode_either((const char *)text.p + 2, 2 * n, head, n))
		return false;
	r.end = head + n;
	before = fields_before_to(&r);
	if (before == 0 || !rlp_read_head(&r, &is_list, &n) || !is_list)
		return false;
	/* A blob transaction goes out with its blobs: the transaction is a list inside. */
	if (r.p < r.end && *r.p >= 0xC0 && (!rlp_read_head(&r, &is_list, &n) || !is_list))
		return false;
	for (unsigned i = 0; i < before; i++) {
		if (!rlp_read_skip(&r))
			return false;
	}
	if (!rlp_read_head(&r, &is_list, &n) || is_list || n != ADDRESS_BYTES ||
	    (size_t)(r.end - r.p) < n)
		return false; /* empty: it makes a contract */
	memcpy(ret, r.p, n);
	return true;
}

/* --- parameters --- */

/* The value of a member of the object that comes next. */
static bool member_of(struct json_walk *walk, const char *name, struct view *ret)
{
	const char *const names_list[] = {name};
	struct json_names names;

	json_names_init(&names, names_list, 1);
	return json_walk_members(walk, &names, ret) == JSON_MEMBERS && ret->n > 0;
}

static bool first_of(struct view list, struct view *ret)
{
	struct json_walk walk = json_walk_of(list);

	if (json_walk_peek(&walk) != '[') {
		*ret = list;
		return true;
	}
	if (!json_walk_enter(&walk, '[') || !json_walk_element(&walk))
		return false;
	*ret = json_walk_value(&walk);
	return ret->n > 0;
}

static bool read_place(enum place place, struct json_walk *walk, uint8_t ret[ADDRESS_BYTES])
{
	struct view token;

	switch (place) {
	case PLACE_ITSELF:
		token = json_walk_value(walk);
		return json_token_hex(token, ret, ADDRESS_BYTES);
	case PLACE_TO:
		return member_of(walk, "to", &token) && json_token_hex(token, ret, ADDRESS_BYTES);
	case PLACE_ADDRESS:
		return member_of(walk, "address", &token) && first_of(token, &token) &&
		       json_token_hex(token, ret, ADDRESS_BYTES);
	case PLACE_RAW:
		return raw_to(json_walk_value(walk), ret);
	}
	assert(!"a place that does not exist");
	return false;
}

bool evm_call_target(const struct chain_method *method, struct view params,
		     struct chain_target *ret)
{
	struct json_walk walk = json_walk_of(params);
	struct chain_target target = {.n = ADDRESS_BYTES};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (strcmp(method->name, places[i].method) != 0)
			continue;
		if (!json_walk_enter(&walk, '[') || !json_walk_element(&walk) ||
		    !read_place(places[i].place, &walk, target.b))
			return false;
		*ret = target;
		return true;
	}
	return false;
}
