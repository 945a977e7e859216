/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/whole.h"

#include <assert.h>

#include "relay/gateway/internal.h"

#define KEEP_US 10000000 /* between CREDITs of 0 bytes: the answer is still waited for */

static struct whole *whole_of(struct asker *asker)
{
	return CONTAINER_OF(asker, struct whole, asker);
}

/* --- what is held --- */

static void count(struct whole *whole, size_t now)
{
	_Atomic size_t *all = &whole->worker->gateway->gathered_bytes;

	if (now > whole->bytes)
		atomic_fetch_add(all, now - whole->bytes);
	else if (now < whole->bytes)
		atomic_fetch_sub(all, whole->bytes - now);
	metric_move(METRIC_GATEWAY_GATHERED, (int64_t)now - (int64_t)whole->bytes);
	*whole->sum += now - whole->bytes;
	whole->bytes = now;
}

static bool has_room(const struct whole *whole, size_t more, struct err *err)
{
	const struct config *cfg = whole->worker->cfg;

	if (*whole->sum + more > cfg->gateway.gather_max)
		return err_set(err, ERR_UPSTREAM_TOO_LARGE, "gateway.gather_max is reached");
	if (atomic_load(&whole->worker->gateway->gathered_bytes) + more >
	    cfg->gateway.gather_bytes_max)
		return err_set(err, ERR_OVERLOAD, "gateway.gather_bytes_max is reached");
	return true;
}

static void drop_body(struct whole *whole)
{
	if (whole->moved_us)
		LIST_REMOVE(whole, entry);
	whole->moved_us = 0;
	if (whole->sum)
		count(whole, 0);
	buf_finish(&whole->body);
}

struct buf whole_take(struct whole *whole)
{
	struct buf body = whole->body;

	whole->body = (struct buf){0};
	drop_body(whole);
	return body;
}

void whole_drop(struct whole *whole)
{
	ask_leave(&whole->asker);
	drop_body(whole);
	*whole = (struct whole){.on_end = whole->on_end};
}

/* --- what the ask tells --- */

/* The whole may be gone afterwards. */
static void end(struct whole *whole, const struct err *why)
{
	if (why)
		whole->err = *why;
	ask_leave(&whole->asker);
	whole->on_end(whole);
}

/* A newest block that is told: what is asked next may go up to it. */
static void learn(const struct whole *whole)
{
	const struct ask *ask = whole->asker.ask;
	const struct relay *relay = ask_relay(ask);
	const struct chain *chain = relay->session->chain;
	struct chain_answer answer;
	struct chain_call about;
	struct head_report report = {.is_newest = true};

	if (ask->traits->shape != CHAIN_SHAPE_BLOCK || ask_answer(ask)->error.n > 0)
		return;
	chain_call_read(chain, ask->method, ask_params_text(ask), &about);
	if (about.odd || about.refs != 1 || about.ref[0].kind != CHAIN_REF_TAG ||
	    about.ref[0].tag != CHAIN_TAG_LATEST)
		return;
	chain_answer_read(chain, &about, ask_answer(ask)->result, &answer);
	if (!answer.number_known || !answer.hash_known)
		return;
	report.has_hash = true;
	report.block = (struct head_block){answer.number, answer.hash};
	head_heard(whole->worker, relay->member, CHAIN_TAG_LATEST, &report);
	head_told(whole->worker, ask->account, answer.number);
}

static void on_answer(struct asker *asker)
{
	struct whole *whole = whole_of(asker);
	struct buf *own = ask_own_body(asker->ask);
	struct err err;

	assert(own); /* nobody else asks it */
	if (!has_room(whole, own->n, &err)) {
		end(whole, &err);
		return;
	}
	learn(whole);
	whole->receipt = made_receipt_of(ask_relay(asker->ask));
	whole->answer = *ask_answer(asker->ask);
	whole->body = *own;
	*own = (struct buf){0};
	count(whole, whole->body.n);
	end(whole, NULL);
}

static void on_failed(struct asker *asker, const struct err *why)
{
	const struct err copy = *why; /* it is the ask's */

	end(whole_of(asker), &copy);
}

static void take(struct whole *whole, const struct buf *part)
{
	usec_t now = clock_mono_us();

	if (!whole->moved_us) {
		LIST_INSERT_HEAD(&whole->worker->wholes, whole, entry);
		whole->kept_us = now;
	}
	whole->moved_us = now;
	buf_put(&whole->body, part->p, part->n);
	count(whole, whole->body.n);
}

static bool on_part(struct asker *asker, struct buf *part, bool last, struct err *err)
{
	struct whole *whole = whole_of(asker);
	struct err why;

	/* That is no fault of the node's: it is left, not blamed. */
	if (!has_room(whole, part->n, &why)) {
		end(whole, &why);
		return true;
	}
	take(whole, part);
	if (!last) {
		ask_credit(asker->ask, part->n);
		return true;
	}
	if (!rpc_answer_scan(buf_view(&whole->body), &whole->answer, err))
		return false;
	LIST_REMOVE(whole, entry);
	whole->moved_us = 0;
	whole->receipt = made_receipt_of(ask_relay(asker->ask));
	end(whole, NULL);
	return true;
}

static bool on_broken(struct asker *asker, const struct err *why)
{
	drop_body(whole_of(asker));
	return true;
}

/* Only those who ask the same together are told this. */
static void on_alone(struct asker *asker)
{
	assert(!asker);
}

static const struct asker_ops ops = {
	.on_answer = on_answer,
	.on_failed = on_failed,
	.on_part = on_part,
	.on_broken = on_broken,
	.on_alone = on_alone,
};

/* --- asking --- */

void whole_start(struct whole *whole, struct worker *w, struct account *account, struct view text,
		 const struct chain_logs_part *blocks, usec_t deadline_us, size_t *sum)
{
	const struct rpc_limits limits = {.depth_max = RPC_DEPTH_MAX, .batch_max = 1};
	struct rpc_request request;
	struct err err;
	bool ok = rpc_request_scan(text, &limits, &request, &err);
	struct head_state head;
	struct ask_params params = {
		.account = account,
		.call = &request.one,
		.deadline_us = deadline_us,
		.terms = {.attempts_max = w->cfg->gateway.attempts,
			  .below = UINT64_MAX,
			  .oldest = UINT64_MAX},
	};

	assert(ok && !request.batch && request.one.id_kind != RPC_ID_NONE);
	if (blocks && head_get(w, account, CHAIN_TAG_LATEST, &head)) {
		params.terms.newest = head_newest(&head, blocks->last);
		if (blocks->first <= head.number)
			params.terms.oldest = blocks->first;
	}
	whole->worker = w;
	whole->sum = sum;
	whole->asker.ops = &ops;
	ask_start(&whole->asker, w, &params);
	rpc_request_finish(&request);
}

/* --- time --- */

/* The list changes with whoever is ended: one in a turn is enough. */
void wholes_look(struct worker *w, usec_t now)
{
	struct whole *whole;
	struct err why;

	LIST_FOREACH (whole, &w->wholes, entry) {
		if (now - whole->moved_us > w->cfg->gateway.stall_timeout) {
			err_set(&why, ERR_STALLED,
				"no part of the answer came for gateway.stall_timeout");
			ask_fail_flow(whole->asker.ask, &why);
			return;
		}
		if (now - whole->kept_us > KEEP_US) {
			whole->kept_us = now;
			ask_credit(whole->asker.ask, 0);
		}
	}
}
