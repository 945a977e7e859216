/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/evm.h"

#include <assert.h>
#include <inttypes.h>

#include "chains/json.h"

#define PARAMS_READ 4 /* parameters of a call that are looked at; no block stands behind them */

struct params {
	size_t count; /* of all; the first PARAMS_READ are in `at` */
	struct view at[PARAMS_READ];
	const uint8_t *end; /* behind the last one, or behind `[` */
};

static bool read_params(struct view text, struct params *ret)
{
	struct json_walk walk = json_walk_of(text);
	struct view value;

	*ret = (struct params){0};
	if (text.n == 0 || !json_walk_enter(&walk, '['))
		return text.n == 0; /* by name, which nodes do not know */
	ret->end = walk.p;
	while (json_walk_element(&walk)) {
		value = json_walk_value(&walk);
		if (walk.bad)
			return false;
		ret->end = value.p + value.n;
		if (ret->count < PARAMS_READ)
			ret->at[ret->count] = value;
		ret->count++;
	}
	return !walk.bad;
}

static const struct {
	const char *word;
	enum chain_tag tag;
} tags[] = {
	{"latest", CHAIN_TAG_LATEST},	  {"safe", CHAIN_TAG_SAFE},
	{"pending", CHAIN_TAG_PENDING},	  {"finalized", CHAIN_TAG_FINALIZED},
	{"earliest", CHAIN_TAG_EARLIEST},
};

static bool read_tag(struct view text, struct chain_ref *ref)
{
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		if (view_eq(text, VIEW_STR(tags[i].word))) {
			ref->kind = CHAIN_REF_TAG;
			ref->tag = tags[i].tag;
			return true;
		}
	}
	return false;
}

static bool read_number_or_tag(struct view token, struct chain_ref *ref)
{
	struct view text;

	if (!json_token_text(token, &text))
		return false;
	if (read_tag(text, ref))
		return true;
	ref->kind = CHAIN_REF_NUMBER;
	return json_token_u64(token, JSON_STRICT, &ref->number);
}

static bool read_hash(struct view token, struct chain_ref *ref)
{
	ref->kind = CHAIN_REF_HASH;
	return json_token_hex(token, ref->hash.b, sizeof(ref->hash.b));
}

/* EIP-1898: blockNumber, or blockHash with or without requireCanonical; nothing else. */
static bool read_object(struct view token, struct chain_ref *ref)
{
	struct json_walk walk = json_walk_of(token);
	bool named = false, canonical = false;
	struct view name;

	if (!json_walk_enter(&walk, '{'))
		return false;
	while (json_walk_member(&walk, &name)) {
		struct view value = json_walk_value(&walk);
		bool ok = !walk.bad;

		if (view_eq(name, VIEW_STR("requireCanonical"))) {
			ok = ok && !canonical && json_token_bool(value, &ref->require_canonical);
			canonical = true;
		} else {
			ok = ok && !named;
			if (view_eq(name, VIEW_STR("blockNumber")))
				ok = ok && read_number_or_tag(value, ref);
			else if (view_eq(name, VIEW_STR("blockHash")))
				ok = ok && read_hash(value, ref);
			else
				ok = false;
			named = true;
		}
		if (!ok)
			return false;
	}
	return !walk.bad && named && (!canonical || ref->kind == CHAIN_REF_HASH);
}

static bool read_ref(struct view token, enum chain_form form, struct chain_ref *ref)
{
	*ref = (struct chain_ref){.token = token};
	switch (form) {
	case CHAIN_FORM_NUMBER:
		return read_number_or_tag(token, ref);
	case CHAIN_FORM_HASH:
		return read_hash(token, ref);
	case CHAIN_FORM_ANY:
		return read_hash(token, ref) || read_number_or_tag(token, ref) ||
		       read_object(token, ref);
	case CHAIN_FORM_NONE:
		break;
	}
	return false;
}

static bool read_absent(const uint8_t *place, enum chain_absent absent, struct chain_ref *ref)
{
	*ref = (struct chain_ref){
		.kind = CHAIN_REF_TAG,
		.tag = CHAIN_TAG_LATEST,
		.absent = true,
		.token = VIEW(place, 0),
	};
	return absent == CHAIN_ABSENT_LATEST && place;
}

static bool read_positional(const struct params *params, size_t at, struct chain_call *call)
{
	const struct chain_traits *traits = call->traits;
	bool ok = false;

	if (params->count > at)
		ok = read_ref(params->at[at], traits->form, &call->ref[0]);
	else if (params->count == at)
		ok = read_absent(params->end, traits->absent, &call->ref[0]);
	call->refs = 1;
	return ok;
}

static bool read_filter(const struct params *params, struct chain_call *call)
{
	static const char *const ends[] = {"fromBlock", "toBlock", "blockHash"};
	enum chain_absent absent = call->traits->absent;
	struct json_names names;
	struct json_walk walk;
	struct view values[ARRAY_SIZE(ends)], name;

	if (params->count != 1)
		return false;
	json_names_init(&names, ends, ARRAY_SIZE(ends));
	walk = json_walk_of(params->at[0]);
	if (json_walk_members(&walk, &names, values) != JSON_MEMBERS)
		return false;
	if (values[2].n > 0) {
		call->refs = 1;
		return values[0].n == 0 && values[1].n == 0 &&
		       read_ref(values[2], CHAIN_FORM_HASH, &call->ref[0]);
	}
	if (values[0].n == 0 && values[1].n == 0) {
		walk = json_walk_of(params->at[0]);
		call->bare = !json_walk_enter(&walk, '{') || !json_walk_member(&walk, &name);
	}
	call->refs = 2;
	for (size_t i = 0; i < 2; i++) {
		if (!(values[i].n > 0 ? read_ref(values[i], CHAIN_FORM_NUMBER, &call->ref[i])
				      : read_absent(params->at[0].p + 1, absent, &call->ref[i])))
			return false;
	}
	return true;
}

static bool read_block(const struct params *params, struct chain_call *call)
{
	switch (call->traits->place) {
	case CHAIN_PLACE_NONE:
		return true;
	case CHAIN_PLACE_P0:
		return read_positional(params, 0, call);
	case CHAIN_PLACE_P1:
		return read_positional(params, 1, call);
	case CHAIN_PLACE_P2:
		return read_positional(params, 2, call);
	case CHAIN_PLACE_FILTER:
		return read_filter(params, call);
	case CHAIN_PLACE_OTHER:
		break;
	}
	return false;
}

void evm_call_read(const struct chain_traits *traits, struct view text, struct chain_call *ret)
{
	struct params params;
	struct view first;

	*ret = (struct chain_call){.traits = traits};
	if (!read_params(text, &params) || !read_block(&params, ret)) {
		*ret = (struct chain_call){.traits = traits, .odd = true};
		return;
	}
	if (params.count == 0)
		return;
	if (traits->life == CHAIN_LIFE_ITEM)
		ret->by_hash = json_token_hex(params.at[0], ret->subject.b, sizeof(ret->subject.b));
	if (traits->send == CHAIN_SEND_SPREAD && json_token_text(params.at[0], &first) &&
	    first.n > 2 && memcmp(first.p, "0x", 2) == 0)
		ret->raw = VIEW(first.p + 2, first.n - 2);
}

/* --- putting other references in --- */

/* One place in the text, in the order in which it is written. */
struct splice {
	size_t ref;
	const struct chain_pin *pin;
};

static bool may_pin(const struct chain_call *call, size_t i, enum chain_pin_kind kind)
{
	enum chain_pinning pin = call->traits->pin;

	if (kind == CHAIN_PIN_KEEP)
		return true;
	if (i >= call->refs || pin == CHAIN_PINNED_NONE)
		return false;
	if (kind == CHAIN_PIN_HASH)
		return pin == CHAIN_PINNED_HASH;
	/* A filter's blockHash is a member of its own: a number cannot stand there. */
	return call->traits->place != CHAIN_PLACE_FILTER || call->refs == 2;
}

static void put_pin(const struct chain_pin *pin, struct buf *ret)
{
	if (pin->kind == CHAIN_PIN_NUMBER) {
		buf_putf(ret, "\"0x%" PRIx64 "\"", pin->number);
		return;
	}
	buf_put_str(ret, "{\"blockHash\":\"0x");
	buf_put_hex(ret, pin->hash.b, sizeof(pin->hash.b));
	buf_put_str(ret, "\",\"requireCanonical\":true}");
}

/* Where none stood it comes with what it needs around it. */
static void put_inserted(const struct chain_call *call, const struct splice *splice, bool more,
			 struct buf *ret)
{
	bool filter = call->traits->place == CHAIN_PLACE_FILTER;

	if (filter)
		buf_put_str(ret, splice->ref == 0 ? "\"fromBlock\":" : "\"toBlock\":");
	else if (call->traits->place != CHAIN_PLACE_P0)
		buf_put_str(ret, ",");
	put_pin(splice->pin, ret);
	if (filter && (more || !call->bare))
		buf_put_str(ret, ",");
}

bool evm_call_pin(const struct chain_call *call, struct view text,
		  const struct chain_pin pins[CHAIN_REFS_MAX], struct buf *ret)
{
	struct splice splices[CHAIN_REFS_MAX];
	size_t count = 0;
	const uint8_t *at = text.p, *end = text.p + text.n;

	if (call->odd)
		return false;
	for (size_t i = 0; i < CHAIN_REFS_MAX; i++) {
		if (!may_pin(call, i, pins[i].kind))
			return false;
		if (pins[i].kind != CHAIN_PIN_KEEP)
			splices[count++] = (struct splice){i, &pins[i]};
	}
	if (count == 2 && call->ref[1].token.p < call->ref[0].token.p) {
		splices[0] = (struct splice){1, &pins[1]};
		splices[1] = (struct splice){0, &pins[0]};
	}
	for (size_t i = 0; i < count; i++) {
		const struct chain_ref *ref = &call->ref[splices[i].ref];

		assert(ref->token.p >= at && ref->token.p + ref->token.n <= end);
		buf_put(ret, at, (size_t)(ref->token.p - at));
		at = ref->token.p + ref->token.n;
		if (ref->absent)
			put_inserted(call, &splices[i], i + 1 < count && call->ref[1].absent, ret);
		else
			put_pin(splices[i].pin, ret);
	}
	buf_put(ret, at, (size_t)(end - at));
	return true;
}

/* --- calls of the gateway's own --- */

static const char *tag_word(enum chain_tag tag)
{
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		if (tags[i].tag == tag)
			return tags[i].word;
	}
	return "latest";
}

void evm_block_call(const struct chain_ref *ref, struct buf *ret)
{
	assert(ref->kind != CHAIN_REF_HASH);
	buf_put_str(ret, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBlockByNumber\","
			 "\"params\":[\"");
	if (ref->kind == CHAIN_REF_NUMBER)
		buf_putf(ret, "0x%" PRIx64, ref->number);
	else
		buf_put_str(ret, tag_word(ref->tag));
	buf_put_str(ret, "\",false]}");
}
