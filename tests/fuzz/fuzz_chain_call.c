/* SPDX-License-Identifier: Apache-2.0
 * Calls of any parameters: a byte chooses the method, the next the pins, the rest are the
 * parameters. What must hold, of valid JSON and of any other bytes: views lie inside; what a pin
 * writes is the original outside the references and reads back as what was put in. */
#include <assert.h>

#include "chains/chain.h"
#include "relay/base/mem.h"
#include "relay/rpc/envelope.h"

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

static struct chain_pin pin_of(uint8_t byte)
{
	struct chain_pin pin = {.kind = (enum chain_pin_kind)(byte % 3),
				.number = (uint64_t)byte << (byte % 57)};

	memset(pin.hash.b, byte, sizeof(pin.hash.b));
	return pin;
}

static void check_ref(const struct chain_ref *got, const struct chain_ref *was,
		      const struct chain_pin *pin)
{
	switch (pin->kind) {
	case CHAIN_PIN_KEEP:
		assert(got->kind == was->kind && got->absent == was->absent &&
		       view_eq(got->token, was->token));
		break;
	case CHAIN_PIN_NUMBER:
		assert(got->kind == CHAIN_REF_NUMBER && got->number == pin->number);
		break;
	case CHAIN_PIN_HASH:
		assert(got->kind == CHAIN_REF_HASH && ID_EQ(&got->hash, &pin->hash) &&
		       got->require_canonical);
		break;
	}
}

/* Bytes before the first and behind the last reference are the original's. */
static void check_rest(struct view text, struct view pinned, const struct chain_call *call)
{
	const uint8_t *first = call->ref[0].token.p;
	const uint8_t *last = first + call->ref[0].token.n;
	size_t before, behind;

	if (call->refs == 2 && call->ref[1].token.p < first)
		first = call->ref[1].token.p;
	if (call->refs == 2 && call->ref[1].token.p + call->ref[1].token.n > last)
		last = call->ref[1].token.p + call->ref[1].token.n;
	before = (size_t)(first - text.p);
	behind = text.n - (size_t)(last - text.p);
	assert(pinned.n >= before + behind);
	assert(memcmp(pinned.p, text.p, before) == 0);
	assert(memcmp(pinned.p + pinned.n - behind, last, behind) == 0);
}

/* Reads, and looks at what was read. */
static void read_call(const struct chain *chain, const struct chain_method *method,
		      struct view params, struct chain_call *ret)
{
	chain_call_read(chain, method, params, ret);
	assert(ret->traits == chain_traits(chain, method) && ret->refs <= CHAIN_REFS_MAX);
	assert(!ret->odd || (ret->refs == 0 && !ret->by_hash && ret->raw.n == 0));
	for (size_t i = 0; i < ret->refs; i++) {
		const struct view *token = &ret->ref[i].token;

		assert(token->p >= params.p && token->p + token->n <= params.p + params.n);
		assert((token->n == 0) == ret->ref[i].absent);
	}
}

/* The parameters of the call that is this text; false when it is none. */
static bool scan_params(struct view text, struct view *ret)
{
	struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 1};
	struct rpc_request request = {0};
	struct err err;
	bool ok = rpc_request_scan(text, &limits, &request, &err) && !request.batch;

	*ret = ok ? request.one.params : (struct view){0};
	rpc_request_finish(&request);
	return ok;
}

static void check_pinned(const struct chain *chain, const struct chain_method *method,
			 struct view text, const struct chain_call *call,
			 const struct chain_pin pins[CHAIN_REFS_MAX])
{
	struct chain_call again;
	struct buf out = {0};
	struct view params;
	bool ok;

	if (!chain_call_pin(chain, call, text, pins, &out)) {
		assert(out.n == 0);
		return;
	}
	ok = scan_params(buf_view(&out), &params);
	assert(ok);
	read_call(chain, method, params, &again);
	assert(!again.odd && again.refs == call->refs);
	for (size_t i = 0; i < call->refs; i++)
		check_ref(&again.ref[i], &call->ref[i], &pins[i]);
	if (call->refs > 0)
		check_rest(text, buf_view(&out), call);
	else
		assert(view_eq(buf_view(&out), text));
	buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct chain *chain = chain_find("evm");
	const struct chain_method *method;
	struct chain_pin pins[CHAIN_REFS_MAX];
	struct chain_call call;
	struct buf text = {0}, out = {0};
	struct view params;
	uint8_t *copy;

	if (size < 3)
		return 0;
	method = method_of(chain, data[0]);
	pins[0] = pin_of(data[1]);
	pins[1] = pin_of(data[2]);
	buf_put_str(&text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":");
	buf_put(&text, data + 3, size - 3);
	buf_put_u8(&text, '}');
	if (scan_params(buf_view(&text), &params)) {
		read_call(chain, method, params, &call);
		check_pinned(chain, method, buf_view(&text), &call, pins);
	}
	/* What no scanner has seen is read safely all the same. */
	copy = xmemdup(data + 3, size - 3);
	read_call(chain, method, VIEW(copy, size - 3), &call);
	if (chain_call_pin(chain, &call, VIEW(copy, size - 3), pins, &out))
		assert(call.refs > 0 || view_eq(buf_view(&out), VIEW(copy, size - 3)));
	buf_finish(&out);
	buf_finish(&text);
	xfree(copy);
	return 0;
}
