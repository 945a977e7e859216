/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/ask.h"

#include <assert.h>

#include "relay/base/log.h"
#include "relay/gateway/internal.h"

#define FREE_ASKS_MAX 1024
#define KEPT_BYTES_MAX 8192 /* larger buffers are not kept for the next ask */

/* Which state may follow which; one bit each. */
void ask_set_state(struct ask *ask, enum ask_state to)
{
	static const unsigned legal[] = {
		[ASK_NEW] = 1u << ASK_WAITING | 1u << ASK_SENT | 1u << ASK_PAUSED | 1u << ASK_DONE,
		[ASK_WAITING] = 1u << ASK_NEW | 1u << ASK_DONE,
		[ASK_SENT] = 1u << ASK_NEW | 1u << ASK_FLOWING | 1u << ASK_PAUSED |
			     1u << ASK_CHECKING | 1u << ASK_DONE,
		[ASK_FLOWING] = 1u << ASK_NEW | 1u << ASK_DONE,
		[ASK_PAUSED] = 1u << ASK_NEW | 1u << ASK_DONE,
		[ASK_CHECKING] = 1u << ASK_DONE,
		[ASK_DONE] = 0,
	};

	assert(legal[ask->state] >> to & 1u);
	ask->state = to;
}

/* --- memory --- */

static struct ask *ask_create(struct worker *w)
{
	struct ask *ask = w->free_asks;

	if (ask) {
		struct buf encoding = ask->encoding, picks = ask->picks;

		w->free_asks = ask->next_free;
		w->free_ask_count--;
		*ask = (struct ask){.encoding = encoding, .picks = picks};
		ask->encoding.n = ask->picks.n = 0;
	} else {
		ask = xcalloc(1, sizeof(*ask));
	}
	ask->worker = w;
	TAILQ_INIT(&ask->askers);
	LIST_INIT(&ask->attempts);
	return ask;
}

/* Nobody wants its answer, and no relay its bytes. */
static void destroy_if_unused(struct ask *ask)
{
	struct worker *w = ask->worker;

	if (ask->asker_count > 0 || ask->busy > 0 || ask->relays > 0)
		return;
	assert(ask->state == ASK_DONE);
	if (w->free_ask_count == FREE_ASKS_MAX) {
		buf_finish(&ask->encoding);
		buf_finish(&ask->picks);
		free(ask);
		return;
	}
	if (ask->encoding.cap > KEPT_BYTES_MAX)
		buf_finish(&ask->encoding);
	ask->next_free = w->free_asks;
	w->free_asks = ask;
	w->free_ask_count++;
}

void ask_ref(struct ask *ask)
{
	ask->relays++;
}

void ask_unref(struct ask *ask)
{
	assert(ask->relays > 0);
	ask->relays--;
	destroy_if_unused(ask);
}

void asks_finish(struct worker *w)
{
	struct ask *ask;

	while ((ask = w->free_asks)) {
		w->free_asks = ask->next_free;
		buf_finish(&ask->encoding);
		buf_finish(&ask->picks);
		free(ask);
	}
	heap_finish(&w->wakes);
}

/* --- the end --- */

void ask_leave_waiting(struct ask *ask)
{
	if (ask->state == ASK_WAITING)
		TAILQ_REMOVE(&ask->worker->waiting, ask, waiting);
}

void ask_drop_aside(struct ask *ask)
{
	struct relay *r = ask->aside;

	ask->aside = NULL;
	if (r)
		relay_give_up(r);
}

/* The ask is over; of its attempts only the one that answered, if any, is kept. */
void ask_mark_done(struct ask *ask)
{
	struct worker *w = ask->worker;
	struct relay *r, *next;

	ask_leave_waiting(ask);
	open_remove(ask);
	ask_set_state(ask, ASK_DONE);
	heap_remove(&w->wakes, &ask->wake);
	ask_leave(&ask->checker);
	if (ask->answered && ask->answered->state != RELAY_KEPT) {
		relay_keep(ask->answered);
		quality_on_settled(ask, ask->answered);
	}
	for (r = LIST_FIRST(&ask->attempts); r; r = next) {
		next = LIST_NEXT(r, of_ask);
		relay_give_up(r);
	}
	ask_drop_aside(ask);
	session_unref(w, ask->session);
	ask->session = NULL;
}

/* With the last asker the ask ends, and its answer goes. */
static void settle(struct ask *ask)
{
	struct relay *r;

	if (ask->asker_count > 0 || ask->busy > 0)
		return;
	ask->busy++;
	if (ask->state != ASK_DONE)
		ask_mark_done(ask);
	r = ask->answered;
	ask->answered = NULL;
	if (r)
		relay_give_up(r);
	ask->busy--;
	destroy_if_unused(ask);
}

/* Askers are told something, and may leave: the ask stays until that is over. */
void ask_hold(struct ask *ask)
{
	ask->busy++;
}

void ask_release(struct ask *ask)
{
	ask->busy--;
	settle(ask);
}

/* Tells all askers the end. */
static void end(struct ask *ask)
{
	struct asker *asker;

	ask_mark_done(ask);
	ask_hold(ask);
	while ((asker = TAILQ_FIRST(&ask->askers))) {
		TAILQ_REMOVE(&ask->askers, asker, entry);
		asker->told = true;
		if (ask->answered)
			asker->ops->on_answer(asker);
		else
			asker->ops->on_failed(asker, &ask->err);
	}
	ask_release(ask);
}

/* What was set aside is the answer after all. */
static void take_aside(struct ask *ask)
{
	struct err err;
	bool fine;

	ask->answered = ask->aside;
	ask->aside = NULL;
	ask->recomputed = ask->block_holds = false;
	fine = rpc_answer_scan(buf_view(&ask->answered->body), &ask->answer, &err);
	assert(fine); /* it was when it came */
	if (ask->aside_class == CHAIN_ERROR_KNOWN)
		copies_accept(ask, ask->answered);
}

void ask_end(struct ask *ask)
{
	if (!ask->answered && ask->aside)
		take_aside(ask);
	end(ask);
}

void ask_fail(struct ask *ask, const struct err *why)
{
	ask->err = *why;
	ask_end(ask);
}

/* --- askers --- */

static void add_asker(struct ask *ask, struct asker *asker)
{
	asker->ask = ask;
	asker->told = false;
	TAILQ_INSERT_TAIL(&ask->askers, asker, entry);
	ask->asker_count++;
}

/* Takes over what is borrowed. */
static bool copy_question(struct ask *ask, const struct rpc_call *call, struct err *err)
{
	struct view name;

	ask->notification = call->id_kind == RPC_ID_NONE;
	request_encoding_put_call(&ask->encoding, &ask->account->key.service, call);
	if (!rpc_method(call, ask->name, &name))
		return err_set(err, ERR_METHOD, "the method's name is too long");
	memmove(ask->name, name.p, name.n);
	ask->name_n = (uint8_t)name.n;
	return true;
}

bool ask_start(struct asker *asker, struct worker *w, const struct ask_params *params)
{
	struct ask *ask = open_find(w, params);
	struct err err;

	if (ask) {
		add_asker(ask, asker);
		return false;
	}
	ask = open_add(ask_create(w), params->key);
	ask->account = params->account;
	ask->deadline_us = ask->last_us = params->deadline_us;
	ask->terms = params->terms;
	patience_earn(&w->hedges, (unsigned)w->cfg->gateway.hedge_percent);
	add_asker(ask, asker);
	if (!copy_question(ask, params->call, &err)) {
		ask_fail(ask, &err);
	} else if (ledger_is_full(w->gateway->ledger)) {
		record_full(w);
		err_set(&err, ERR_LEDGER_FULL, "%s", err_info(ERR_LEDGER_FULL)->text);
		ask_fail(ask, &err);
	} else {
		attempt_dispatch(ask);
	}
	return true;
}

void ask_leave(struct asker *asker)
{
	struct ask *ask = asker->ask;

	if (!ask)
		return;
	if (!asker->told)
		TAILQ_REMOVE(&ask->askers, asker, entry);
	asker->ask = NULL;
	ask->asker_count--;
	settle(ask);
}

struct relay *ask_relay(const struct ask *ask)
{
	return ask->answered;
}

struct view ask_body(const struct ask *ask)
{
	return ask->answered ? buf_view(&ask->answered->body) : VIEW(NULL, 0);
}

const struct rpc_answer *ask_answer(const struct ask *ask)
{
	return &ask->answer;
}

struct buf *ask_own_body(struct ask *ask)
{
	return ask->answered && ask->asker_count == 1 ? &ask->answered->body : NULL;
}

struct view ask_params_text(const struct ask *ask)
{
	static const struct rpc_limits limits = {.depth_max = RPC_DEPTH_MAX, .batch_max = 1};
	struct request_encoding request;
	struct rpc_request call;
	struct err err;
	bool fine;

	fine = request_encoding_parse(buf_view(&ask->encoding), &request, &err) &&
	       rpc_request_scan(request.body, &limits, &call, &err);
	assert(fine); /* it was scanned when it came */
	return call.one.params;
}

void ask_credit(struct ask *ask, size_t bytes)
{
	if (ask->answered)
		relay_credit(ask->answered, bytes);
}

void ask_begin_check(struct ask *ask)
{
	ask_set_state(ask, ASK_CHECKING);
	attempt_set_wake(ask);
}
