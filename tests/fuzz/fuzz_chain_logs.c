/* SPDX-License-Identifier: Apache-2.0
 * Calls for logs of any parameters, divided as the first bytes say.  What must hold: each part is
 * valid JSON that reads back as what the part says, and the parts tile the range exactly.  And
 * lists of any bytes, merged. */
#include <assert.h>

#include "chains/chain.h"
#include "relay/base/mem.h"
#include "relay/rpc/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 24 /* bytes that choose */

static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getLogs\",\"params\":";

static const struct chain_method *get_logs(const struct chain *chain)
{
	const struct chain_method *method;
	struct err err;
	bool ok = chain_method_find(chain, VIEW_STR("eth_getLogs"), &method, &err);

	assert(ok);
	return method;
}

static bool scan(struct view text, struct view *ret)
{
	struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 1};
	struct rpc_request request = {0};
	struct err err;
	bool ok = rpc_request_scan(text, &limits, &request, &err) && !request.batch;

	*ret = ok ? request.one.params : (struct view){0};
	rpc_request_finish(&request);
	return ok;
}

/* What is asked for a part reads back as the part. */
static void check_part(const struct chain_logs *logs, const struct chain_logs_part *part,
		       struct view text)
{
	const struct chain *chain = chain_find("evm");
	struct buf out = {0};
	struct chain_logs again;
	struct view params;
	bool ok;

	chain_logs_put(logs, part, text, &out);
	ok = scan(buf_view(&out), &params) &&
	     chain_logs_read(chain, get_logs(chain), params, &again);
	assert(ok);
	assert(again.call.ref[0].kind == CHAIN_REF_NUMBER &&
	       again.call.ref[0].number == part->first);
	assert(again.call.ref[1].kind == CHAIN_REF_NUMBER &&
	       again.call.ref[1].number == part->last);
	for (size_t i = 0; i < CHAIN_LOGS_LISTS; i++)
		assert(again.list_count[i] == (part->count[i] > 1 ? part->count[i] : 0));
	buf_finish(&out);
}

static void divide(const struct chain_logs *logs, struct view text, const uint8_t *steps)
{
	uint64_t first = steps[0], last = first + steps[1];
	struct chain_logs_part parts[STEPS + 1];
	uint64_t area = 0, whole, next = first;
	size_t count = 1;

	parts[0] = chain_logs_whole(logs, first, last);
	whole = (uint64_t)(last - first + 1) * MAX(parts[0].count[0], 1u) *
		MAX(parts[0].count[1], 1u);
	for (size_t i = 2; i < STEPS; i++) {
		size_t at = steps[i] % count;
		struct chain_logs_part halves[2];

		if (steps[i] % 2 ? !chain_logs_halve(&parts[at], false, halves)
				 : !chain_logs_cut(&parts[at], steps[i] / 2, halves))
			continue;
		memmove(&parts[at + 2], &parts[at + 1], (count - at - 1) * sizeof(parts[0]));
		parts[at] = halves[0];
		parts[at + 1] = halves[1];
		count++;
	}
	for (size_t i = 0; i < count; i++) {
		const struct chain_logs_part *p = &parts[i];

		assert(p->first <= p->last && (p->first == next || p->first + 1 == next));
		next = p->last + 1;
		area += (p->last - p->first + 1) * MAX(p->count[0], 1u) * MAX(p->count[1], 1u);
		check_part(logs, p, text);
	}
	assert(next == last + 1 && area == whole);
}

/* One by one, and as removed ones, which read the same but for that. */
static void entries(struct view rest)
{
	struct view entry;

	while (chain_logs_next(&rest, &entry)) {
		struct hash hash, again_hash;
		uint64_t number, again_number;
		struct buf out = {0};

		if (chain_log_block(entry, &number, &hash) && chain_log_put_removed(entry, &out)) {
			bool ok = chain_log_block(buf_view(&out), &again_number, &again_hash);

			assert(ok && number == again_number && ID_EQ(&hash, &again_hash));
		}
		buf_finish(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct chain *chain = chain_find("evm");
	struct view params, inside, lists[2];
	struct buf text = {0}, out = {0};
	struct chain_logs logs;
	uint8_t *copy;

	if (size < STEPS)
		return 0;
	buf_put_str(&text, head);
	buf_put(&text, data + STEPS, size - STEPS);
	buf_put_u8(&text, '}');
	if (scan(buf_view(&text), &params) &&
	    chain_logs_read(chain, get_logs(chain), params, &logs))
		divide(&logs, buf_view(&text), data);
	/* What no scanner has seen is read safely all the same. */
	copy = xmemdup(data + STEPS, size - STEPS);
	(void)!chain_logs_read(chain, get_logs(chain), VIEW(copy, size - STEPS), &logs);
	if (chain_logs_inside(VIEW(copy, size - STEPS), &inside)) {
		lists[0] = lists[1] = inside;
		if (!chain_logs_merge(lists, 2, &out))
			assert(out.n == 0);
		entries(inside);
	}
	xfree(copy);
	buf_finish(&out);
	buf_finish(&text);
	return 0;
}
