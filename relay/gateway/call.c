/* SPDX-License-Identifier: Apache-2.0
 * The life of one call: picked, sent, perhaps picked again, answered. */
#include <assert.h>

#include "relay/base/log.h"
#include "relay/gateway/internal.h"

/* Which state may follow which; one bit each. */
static void set_state(struct call *call, enum call_state to)
{
	static const unsigned legal[] = {
		[CALL_NEW] = 1u << CALL_WAITING | 1u << CALL_SENT | 1u << CALL_DONE,
		[CALL_WAITING] = 1u << CALL_SENT | 1u << CALL_DONE,
		[CALL_SENT] = 1u << CALL_COMMITTING | 1u << CALL_NEW | 1u << CALL_DONE,
		[CALL_COMMITTING] = 1u << CALL_NEW | 1u << CALL_FLOWING | 1u << CALL_DONE,
		[CALL_FLOWING] = 1u << CALL_NEW | 1u << CALL_DONE,
		[CALL_DONE] = 0,
	};

	assert(legal[call->state] >> to & 1u);
	call->state = to;
}

static struct worker *worker_of(const struct call *call)
{
	return call->request->worker;
}

static void leave_attempts(struct call *call)
{
	if (call->attempt_until_us == 0)
		return;
	TAILQ_REMOVE(&worker_of(call)->attempts, call, attempt);
	call->attempt_until_us = 0;
}

static void leave_waiting(struct call *call)
{
	if (call->state == CALL_WAITING)
		TAILQ_REMOVE(&worker_of(call)->waiting, call, waiting);
}

static void drop_relay(struct call *call)
{
	struct relay *r = call->relay;

	call->relay = NULL;
	if (r)
		relay_orphan(r);
}

static void mark_done(struct call *call)
{
	struct worker *w = worker_of(call);

	leave_waiting(call);
	leave_attempts(call);
	set_state(call, CALL_DONE);
	TAILQ_REMOVE(&w->pending, call, pending);
	w->in_flight--;
	metric_add_at(METRIC_GATEWAY_CALLS, call->request->account->label,
		      call->has_answer || call->rpc->id_kind == RPC_ID_NONE ? ERR_NONE
									    : call->err.code,
		      1);
}

/* The call is over: with its relay's answer, or with call->err. */
static void finish(struct call *call)
{
	mark_done(call);
	request_on_call(call->request);
}

static void finish_with(struct call *call, const struct err *err)
{
	call->err = *err;
	finish(call);
}

/* --- picking --- */

static uint64_t member_bit(const struct call *call, const struct member *m)
{
	return (uint64_t)1 << (m - call->session->members);
}

static uint16_t member_health(const struct member *m, usec_t now)
{
	return member_is_ready(m) && m->supplier->cool_until_us <= now ? PICK_HEALTHY : 0;
}

/* Picks a member that can be asked now.  False: there is none; *ret_hope tells whether one of those
 * that were passed over may still become ready. */
static bool pick_ready(struct call *call, struct member **ret, bool *ret_hope)
{
	struct worker *w = worker_of(call);
	struct session *s = call->session;
	struct pick_member members[SESSION_MEMBERS_MAX];
	usec_t now = clock_mono_us();
	struct pick pick;
	struct err err;

	*ret_hope = false;
	for (size_t i = 0; i < s->count; i++) {
		struct member *m = &s->members[i];

		members[i] = (struct pick_member){
			.weight = s->info->members[i].weight,
			.price = s->info->members[i].price,
			.health = member_health(m, now),
			.asked = m->dropped || (call->asked >> i & 1) != 0,
		};
	}
	while (pick_member(&s->info->id, &w->self.id, w->id, s->n++, PICK_BY_STAKE, members,
			   s->count, &pick, &err)) {
		struct member *m = &s->members[pick.member];

		if (member_is_ready(m)) {
			call->asked |= (uint64_t)1 << pick.member;
			*ret = m;
			return true;
		}
		members[pick.member].asked = true; /* for now */
		*ret_hope = true;
	}
	return false;
}

/* Reads and untried writes move to the session of now; a call that was sent and may still be
 * answered never comes here. */
static bool take_session(struct call *call, struct err *err)
{
	struct worker *w = worker_of(call);
	struct session *now;

	if (!account_session(w, call->request->account, &now, err))
		return false;
	if (now == call->session)
		return true;
	session_unref(w, call->session);
	call->session = session_ref(now);
	call->asked = 0;
	return true;
}

static void wait_for_member(struct call *call)
{
	struct worker *w = worker_of(call);

	if (call->state == CALL_WAITING)
		return;
	set_state(call, CALL_WAITING);
	TAILQ_INSERT_TAIL(&w->waiting, call, waiting);
}

static void mark_sent(struct call *call)
{
	struct worker *w = worker_of(call);

	leave_waiting(call);
	set_state(call, CALL_SENT);
	call->attempts++;
	if (call->attempt_until_us)
		TAILQ_INSERT_TAIL(&w->attempts, call, attempt);
}

/* How long this attempt may take before another node is asked. */
static usec_t attempt_until(const struct call *call)
{
	const struct worker *w = worker_of(call);
	usec_t until = clock_mono_us() + w->attempt_us;

	if (call->method->effect == CHAIN_WRITE || call->attempts + 1 >= w->cfg->gateway.attempts ||
	    until >= call->deadline_us)
		return 0;
	return until;
}

/* Has no node failed it by itself?  A node that stops, or whose link went, leaves the others time
 * to come back: of two nodes that restart one after the other one is always there. */
static bool is_untried(const struct call *call)
{
	return call->attempts == 0 || call->err.code == ERR_SHUTDOWN ||
	       call->err.code == ERR_UNPAID || call->err.code == ERR_LINK;
}

/* Nobody could be asked: waits if that may change, else ends the call. */
static void nobody_left(struct call *call, bool hope)
{
	if (hope && is_untried(call)) {
		wait_for_member(call);
		return;
	}
	if (call->err.code == ERR_NONE)
		err_set(&call->err, ERR_NO_NODE, "%s", err_info(ERR_NO_NODE)->text);
	finish(call);
}

/* The method must be known before anybody is asked; it is the session's chain that knows. */
static bool find_method(struct call *call, struct err *err)
{
	char scratch[RPC_METHOD_MAX];
	struct view name;

	if (call->method)
		return true;
	if (!rpc_method(call->rpc, scratch, &name))
		return err_set(err, ERR_METHOD, "the method's name is too long");
	return chain_method_find(call->session->chain, name, &call->method, err);
}

/* Sends the call to the next pick, or lets it wait, or ends it. */
static void dispatch(struct call *call)
{
	struct worker *w = worker_of(call);
	struct member *member;
	uint64_t owed = 0; /* members that wait for cosignatures, by bit: as good as not asked */
	struct err err;
	bool hope;

	if (!take_session(call, &err)) {
		if (err.code == ERR_REGISTRY_STALE && call->attempts == 0)
			wait_for_member(call);
		else
			finish_with(call, &err);
		return;
	}
	if (!find_method(call, &err)) {
		finish_with(call, &err);
		return;
	}
	while (call->attempts < w->cfg->gateway.attempts) {
		if (!pick_ready(call, &member, &hope)) {
			call->asked &= ~owed;
			nobody_left(call, hope || owed != 0);
			return;
		}
		call->attempt_until_us = attempt_until(call);
		if (relay_send(call, member, &call->err)) {
			mark_sent(call);
			return;
		}
		call->attempt_until_us = 0;
		if (call->err.code == ERR_UNPAID)
			owed |= member_bit(call, member);
	}
	nobody_left(call, false);
}

/* --- events --- */

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
	call->deadline_us = clock_mono_us() + w->cfg->gateway.deadline;
	TAILQ_INSERT_TAIL(&w->pending, call, pending);
	w->in_flight++;
	if (call->rpc->error != ERR_NONE) {
		err_set(&err, call->rpc->error, "%s: %s", err_info(call->rpc->error)->text,
			call->rpc->why);
		finish_with(call, &err);
	} else if (w->in_flight > w->cfg->gateway.in_flight_max) {
		note_overload();
		err_set(&err, ERR_OVERLOAD, "gateway.in_flight_max is reached");
		finish_with(call, &err);
	} else if (ledger_is_full(w->gateway->ledger)) {
		err_set(&err, ERR_LEDGER_FULL, "%s", err_info(ERR_LEDGER_FULL)->text);
		finish_with(call, &err);
	} else {
		dispatch(call);
	}
}

void call_abandon(struct call *call)
{
	struct worker *w = worker_of(call);

	if (call->state == CALL_DONE)
		return;
	leave_waiting(call);
	leave_attempts(call);
	drop_relay(call);
	TAILQ_REMOVE(&w->pending, call, pending);
	w->in_flight--;
	call->state = CALL_DONE;
}

/* How a failed attempt bears on the supplier. */
static void judge_supplier(struct supplier *supplier, struct member *member, enum err_code code)
{
	usec_t now = clock_mono_us();

	switch ((int)code) {
	case ERR_UPSTREAM:
	case ERR_NO_BACKEND:
	case ERR_DEADLINE:
	case ERR_STALLED:
	case ERR_LEDGER:
	case ERR_LEDGER_FULL:
	case ERR_INTERNAL:
		supplier->cool_until_us = now + COOLDOWN_FAULT_US;
		break;
	case ERR_OVERLOAD:
	case ERR_SHUTDOWN:
	case ERR_LIMIT:
		supplier->cool_until_us = now + COOLDOWN_BUSY_US;
		break;
	case ERR_ALLOWANCE:
	case ERR_NOT_MEMBER:
	case ERR_GRANT:
		member->dropped = true; /* will not change within the session */
		break;
	default:
		break; /* a session that rolls over, a lost link: nobody's fault */
	}
}

/* True when the node says that it refused before its backend got a byte: nothing was written. */
static bool refused_before_backend(enum err_code code)
{
	switch ((int)code) {
	case ERR_NO_SESSION:
	case ERR_SESSION_OVER:
	case ERR_NOT_MEMBER:
	case ERR_GRANT:
	case ERR_ALLOWANCE:
	case ERR_UNPAID:
	case ERR_REGISTRY_STALE:
	case ERR_TABLE:
	case ERR_NO_BACKEND:
	case ERR_OVERLOAD:
	case ERR_SHUTDOWN:
	case ERR_LEDGER_FULL:
		return true;
	default:
		return false;
	}
}

/* An attempt ended without an answer: the next pick, or the end. */
static void try_again(struct call *call, const struct err *why)
{
	bool may = err_info(why->code)->retry &&
		   (call->method->effect == CHAIN_READ || refused_before_backend(why->code));

	leave_attempts(call);
	call->err = *why;
	if (!may || call->attempts >= worker_of(call)->cfg->gateway.attempts ||
	    clock_mono_us() >= call->deadline_us) {
		finish(call);
		return;
	}
	metric_add_at(METRIC_GATEWAY_RETRIES, why->code, 0, 1);
	set_state(call, CALL_NEW);
	dispatch(call);
}

void call_on_leaf(struct call *call)
{
	leave_attempts(call);
	set_state(call, CALL_COMMITTING);
}

/* A relay that was not begun and may be later does not count as asked, until the deadline. */
static void forgive(struct call *call, struct member *member, enum err_code code)
{
	if (code != ERR_SHUTDOWN && code != ERR_UNPAID)
		return;
	call->asked &= ~member_bit(call, member);
	call->attempts--;
	member->supplier->rests_until_us = clock_mono_us() + REST_US;
}

/* Gives up the relay of a failed attempt and goes on. */
static void fail_relay(struct call *call, const struct err *why)
{
	struct relay *r = call->relay;

	judge_supplier(r->member->supplier, r->member, why->code);
	forgive(call, r->member, why->code);
	drop_relay(call);
	try_again(call, why);
}

void call_on_commit(struct call *call, const struct err *err)
{
	struct relay *r = call->relay;
	struct err why;

	if (err) {
		drop_relay(call);
		try_again(call, err);
	} else if (r->kind == LEAF_REFUSAL) {
		enum err_code code = err_from_wire(r->status);

		err_set(&why, code, "%s", err_info(code)->text);
		fail_relay(call, &why);
	} else if (call->rpc->id_kind == RPC_ID_NONE) {
		finish(call);
	} else if (!rpc_answer_scan(buf_view(&r->body), &call->answer, &why)) {
		log_warn("gateway.bad_answer", "supplier=%s \"%s\"", r->member->supplier->hex,
			 why.msg);
		fail_relay(call, &why);
	} else {
		call->has_answer = true;
		finish(call);
	}
}

/* The relay of a long answer will not end: it is tried again as long as the client has nothing. */
static void lose_flow(struct call *call, const struct err *why)
{
	struct request *r = call->request;

	if (r->begun) {
		if (r->cut.code == ERR_NONE)
			metric_add_at(METRIC_GATEWAY_CALLS, r->account->label, why->code, 1);
		request_cut(r, why);
		return;
	}
	if (call->state == CALL_FLOWING)
		r->pending++; /* as if its part 0 had not come */
	flow_drop(call, why->code);
	drop_relay(call);
	try_again(call, why);
}

void call_fail_flow(struct call *call, const struct err *why)
{
	judge_supplier(call->relay->member->supplier, call->relay->member, why->code);
	lose_flow(call, why);
}

/* Part 0 is there: the call is as good as done for those that wait to send the head. */
static void begin_flow(struct call *call)
{
	set_state(call, CALL_FLOWING);
	request_on_call(call->request);
}

void call_on_part(struct call *call, struct buf *part, bool last, const struct err *err)
{
	bool first = call->state == CALL_COMMITTING;
	struct err why;

	if (err) {
		call_on_loss(call, err);
	} else if (call->rpc->id_kind == RPC_ID_NONE) {
		err_set(&why, ERR_UPSTREAM, "a notification was answered with a body [E4]");
		call_fail_flow(call, &why);
	} else if (!flow_take(call, part, last, &why)) {
		log_warn("gateway.bad_answer", "supplier=%s \"%s\"",
			 call->relay->member->supplier->hex, why.msg);
		call_fail_flow(call, &why);
	} else if (first) {
		begin_flow(call);
	} else {
		if (last) {
			call->has_answer = true;
			mark_done(call);
		}
		request_flow(call->request);
	}
}

void call_on_loss(struct call *call, const struct err *why)
{
	if (call->stream) {
		lose_flow(call, why);
		return;
	}
	if (call->relay)
		forgive(call, call->relay->member, why->code);
	drop_relay(call);
	try_again(call, why);
}

void calls_kick(struct worker *w)
{
	struct call_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct call *call;

	/* Those that must wait on go to the end of the list anew. */
	TAILQ_CONCAT(&waiting, &w->waiting, waiting);
	while ((call = TAILQ_FIRST(&waiting))) {
		TAILQ_REMOVE(&waiting, call, waiting);
		call->state = CALL_NEW;
		dispatch(call);
	}
}

/* Another node is asked: this one had its share of the time. */
static void attempt_over(struct call *call)
{
	struct err why;

	assert(call->relay); /* so it stands in the list of attempts */
	err_set(&why, ERR_DEADLINE, "the node did not answer in time");
	fail_relay(call, &why);
}

static void deadline_over(struct call *call)
{
	struct err why;

	if (call->state == CALL_COMMITTING || call->state == CALL_FLOWING)
		return; /* its answer is here, and will be told as soon as it is recorded */
	if (call->relay) {
		judge_supplier(call->relay->member->supplier, call->relay->member, ERR_DEADLINE);
		drop_relay(call);
	}
	if (call->err.code != ERR_NONE)
		why = call->err;
	else
		err_set(&why, call->attempts > 0 ? ERR_DEADLINE : ERR_NO_NODE, "%s",
			call->attempts > 0 ? err_info(ERR_DEADLINE)->text
					   : "no node of the session could be reached in time");
	finish_with(call, &why);
}

void calls_expire(struct worker *w, usec_t now)
{
	struct call *call, *next;

	while ((call = TAILQ_FIRST(&w->attempts)) && call->attempt_until_us <= now)
		attempt_over(call);
	for (call = TAILQ_FIRST(&w->pending); call && call->deadline_us <= now; call = next) {
		/* Ending one may end its request, and with it no other call of the list but its own
		 * batch's, which are done. */
		next = TAILQ_NEXT(call, pending);
		deadline_over(call);
	}
}
