/* SPDX-License-Identifier: Apache-2.0
 * The client's side of a call: what it asks for, and what it makes of the answer. */
#include <assert.h>

#include "relay/base/log.h"
#include "relay/gateway/internal.h"

static const struct asker_ops ask_ops;

/* Which state may follow which; one bit each. */
static void set_state(struct call *call, enum call_state to)
{
	static const unsigned legal[] = {
		[CALL_NEW] = 1u << CALL_ASKING | 1u << CALL_DONE,
		[CALL_ASKING] = 1u << CALL_FLOWING | 1u << CALL_DONE,
		[CALL_FLOWING] = 1u << CALL_ASKING | 1u << CALL_DONE,
		[CALL_DONE] = 0,
	};

	assert(legal[call->state] >> to & 1u);
	call->state = to;
}

static struct call *call_of(struct asker *asker)
{
	return CONTAINER_OF(asker, struct call, asker);
}

static struct worker *worker_of(const struct call *call)
{
	return call->request->worker;
}

static void count(const struct call *call, enum err_code how)
{
	metric_add_at(METRIC_GATEWAY_CALLS, call->request->account->label, how, 1);
}

static void mark_done(struct call *call)
{
	set_state(call, CALL_DONE);
	worker_of(call)->in_flight--;
	count(call, call->rpc->id_kind == RPC_ID_NONE ? ERR_NONE : call->err.code);
}

void call_fail(struct call *call, const struct err *why)
{
	call->err = *why;
	mark_done(call);
	request_on_call(call->request);
}

static void ask_again(struct call *call)
{
	ask_leave(&call->asker);
	pin_alone(call);
}

void call_settle(struct call *call)
{
	call->has_answer = call->rpc->id_kind != RPC_ID_NONE;
	mark_done(call);
	request_on_call(call->request);
}

static void note_overload(void)
{
	static _Thread_local struct log_gate gate;
	uint64_t more;

	if (log_every(&gate, 1000000, &more))
		log_warn("gateway.overload", "limit=in_flight_max more=%llu",
			 (unsigned long long)more);
}

void call_start(struct call *call)
{
	struct worker *w = worker_of(call);
	struct err err;

	call->state = CALL_NEW;
	call->asker.ops = &ask_ops;
	call->deadline_us = clock_mono_us() + w->cfg->gateway.deadline;
	w->in_flight++;
	if (call->rpc->error != ERR_NONE) {
		err_set(&err, call->rpc->error, "%s: %s", err_info(call->rpc->error)->text,
			call->rpc->why);
		call_fail(call, &err);
	} else if (w->in_flight > w->cfg->gateway.in_flight_max) {
		note_overload();
		err_set(&err, ERR_OVERLOAD, "gateway.in_flight_max is reached");
		call_fail(call, &err);
	} else {
		set_state(call, CALL_ASKING);
		if (!poll_start(call) && !wide_start(call))
			pin_start(call);
	}
}

void call_abandon(struct call *call)
{
	if (call->state == CALL_DONE)
		return;
	worker_of(call)->in_flight--;
	call->state = CALL_DONE;
	call_drop_work(call);
	pin_leave(call);
	ask_leave(&call->asker);
}

void call_drop_work(struct call *call)
{
	struct work *work = call->work;

	call->work = NULL;
	if (work)
		work->destroy(work);
}

struct relay *call_relay(const struct call *call)
{
	return call->asker.ask ? ask_relay(call->asker.ask) : NULL;
}

/* --- what the ask tells --- */

static void on_answer(struct asker *asker)
{
	struct call *call = call_of(asker);

	if (reuse_may_ask_after_error(call))
		ask_again(call);
	else if (!wide_divide(call) && pin_take(call))
		call_give(call);
}

void call_give(struct call *call)
{
	if (!call->pin.replaced)
		reuse_keep(call);
	call_settle(call);
}

static void on_failed(struct asker *asker, const struct err *why)
{
	struct call *call = call_of(asker);

	if (reuse_may_ask_again(call, why))
		ask_again(call);
	else
		call_fail(call, why);
}

static bool on_part(struct asker *asker, struct buf *part, bool last, struct err *err)
{
	struct call *call = call_of(asker);
	struct request *request = call->request;
	bool first = call->state == CALL_ASKING;

	if (call->rpc->id_kind == RPC_ID_NONE)
		return err_set(err, ERR_UPSTREAM, "a notification was answered with a body [E4]");
	if (!flow_take(call, part, last, err))
		return false;
	if (first)
		set_state(call, CALL_FLOWING);
	if (last) {
		call->has_answer = true;
		mark_done(call);
		flow_record(call);
	}
	if (first) /* the call is as good as done for those that wait to send the head */
		request_on_call(request);
	else
		request_flow(request);
	return true;
}

static bool on_broken(struct asker *asker, const struct err *why)
{
	struct call *call = call_of(asker);
	struct request *r = call->request;

	if (r->begun) {
		if (r->cut.code == ERR_NONE)
			count(call, why->code);
		request_cut(r, why);
		return false;
	}
	if (call->state == CALL_FLOWING) {
		r->pending++; /* as if its part 0 had not come */
		set_state(call, CALL_ASKING);
	}
	flow_drop(call, why->code);
	return true;
}

static void on_alone(struct asker *asker)
{
	struct call *call = call_of(asker);

	call->reuse.alone = true; /* or all that wait would be served one after the other */
	pin_alone(call);
}

static const struct asker_ops ask_ops = {
	.on_answer = on_answer,
	.on_failed = on_failed,
	.on_part = on_part,
	.on_broken = on_broken,
	.on_alone = on_alone,
};
