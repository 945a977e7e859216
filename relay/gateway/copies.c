/* SPDX-License-Identifier: Apache-2.0
 * Signed transactions go to several suppliers at once: one that keeps it to itself, or has lost its
 * peers, holds nobody up.  To send one twice is the same as to send it once, so "already known" is
 * as good as its hash, and "nonce too low" is too if it is this very transaction that has used the
 * nonce: somebody is asked for that.  No copy is cancelled, whatever the others say. */
#include <assert.h>

#include "relay/gateway/internal.h"

void copies_send(struct ask *ask)
{
	uint64_t max = ask->worker->cfg->gateway.copies;

	for (uint64_t n = 1; n < max && attempt_more(ask); n++)
		metric_add(METRIC_GATEWAY_COPIES, 1);
}

static bool transaction_of(const struct ask *ask, const struct chain *chain, struct hash *ret)
{
	struct chain_call call;

	chain_call_read(chain, ask->method, ask_params_text(ask), &call);
	return chain_sent_hash(chain, &call, ret);
}

void copies_accept(struct ask *ask, struct relay *relay)
{
	struct hash transaction;
	struct err err;
	bool fine;

	if (!transaction_of(ask, relay->in.chain, &transaction))
		return; /* no transaction: the error is the answer */
	metric_add(METRIC_GATEWAY_ALREADY_SENT, 1);
	relay->body.n = 0;
	chain_put_sent(relay->in.chain, &transaction, &relay->body);
	relay->kind = LEAF_ANSWER;
	fine = rpc_answer_scan(buf_view(&relay->body), &ask->answer, &err);
	assert(fine);
}

/* --- whether it is there --- */

static struct ask *checked_by(struct asker *asker)
{
	return CONTAINER_OF(asker, struct ask, checker);
}

static bool holds_hash(const struct ask *ask, struct view answer)
{
	struct hash transaction;
	char hex[65];

	if (!transaction_of(ask, ask->aside->in.chain, &transaction))
		return false;
	hex_encode(transaction.b, sizeof(transaction.b), hex);
	return answer.n > 0 && memmem(answer.p, answer.n, hex, 64) != NULL;
}

static void conclude(struct ask *ask, bool is_there)
{
	ask_leave(&ask->checker);
	if (is_there) {
		ask->answered = ask->aside;
		ask->aside = NULL;
		copies_accept(ask, ask->answered);
	}
	ask_end(ask);
}

static void on_answer(struct asker *asker)
{
	struct ask *ask = checked_by(asker);

	conclude(ask, holds_hash(ask, ask_body(asker->ask)));
}

static void on_failed(struct asker *asker, const struct err *why)
{
	conclude(checked_by(asker), false);
}

/* A large one: its hash stands near its front, or it is not found. */
static bool on_part(struct asker *asker, struct buf *part, bool last, struct err *err)
{
	struct ask *ask = checked_by(asker);

	conclude(ask, holds_hash(ask, buf_view(part)));
	return true;
}

/* Nothing is told any more after a part. */
static bool on_broken(struct asker *asker, const struct err *why)
{
	return true;
}

static void on_alone(struct asker *asker)
{
	conclude(checked_by(asker), false);
}

static const struct asker_ops checker_ops = {
	.on_answer = on_answer,
	.on_failed = on_failed,
	.on_part = on_part,
	.on_broken = on_broken,
	.on_alone = on_alone,
};

static void check(struct ask *ask, const struct hash *transaction)
{
	static const struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 1};
	CLEANUP(buf_finish) struct buf text = {0};
	struct rpc_request lookup;
	struct ask_params params = {
		.account = ask->account,
		.call = &lookup.one,
		.deadline_us = ask->deadline_us,
		.terms = {.attempts_max = ask->worker->cfg->gateway.attempts,
			  .below = UINT64_MAX,
			  .oldest = UINT64_MAX},
	};
	struct err err;
	bool fine;

	chain_put_lookup(ask->aside->in.chain, transaction, &text);
	fine = rpc_request_scan(buf_view(&text), &limits, &lookup, &err);
	assert(fine);
	ask_begin_check(ask);
	ask->checker = (struct asker){.ops = &checker_ops};
	ask_start(&ask->checker, ask->worker, &params);
	rpc_request_finish(&lookup);
}

void copies_end(struct ask *ask)
{
	struct hash transaction;

	if (ask->aside && ask->aside_class == CHAIN_ERROR_NONCE &&
	    transaction_of(ask, ask->aside->in.chain, &transaction))
		check(ask, &transaction);
	else
		ask_end(ask);
}
