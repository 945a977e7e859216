/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/made.h"

#include <assert.h>

#include "relay/gateway/internal.h"

static const char head[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":";

struct made_receipt made_receipt_of(const struct relay *r)
{
	assert(r->has_receipt);
	return (struct made_receipt){
		.supplier = r->member->supplier->key,
		.session = r->in.session,
		.lane = r->lane,
		.seq = r->seq,
		.salt = r->in.salt,
		.recomputed = r->ask->recomputed,
	};
}

void made_add(struct made *made, const struct made_receipt *receipt)
{
	if (made->count == made->cap) {
		made->cap = made->cap ? 2 * made->cap : 8;
		made->receipts = xrealloc(made->receipts, made->cap * sizeof(made->receipts[0]));
	}
	made->receipts[made->count++] = *receipt;
}

void made_begin(struct made *made)
{
	made->body.n = 0;
	buf_put_str(&made->body, head);
}

void made_end(struct made *made)
{
	size_t from = sizeof(head) - 1;

	assert(made->body.n > from);
	buf_put_u8(&made->body, '}');
	made->answer = (struct rpc_answer){
		.id = VIEW(made->body.p + from - sizeof("1,\"result\":") + 1, 1),
		.result = VIEW(made->body.p + from, made->body.n - from - 1),
	};
}

void made_finish(struct made *made)
{
	buf_finish(&made->body);
	free(made->receipts);
	*made = (struct made){0};
}
