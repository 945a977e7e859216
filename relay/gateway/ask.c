/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/ask.h"

#include <assert.h>

#include "relay/gateway/internal.h"

#define FREE_ASKS_MAX 1024
#define KEPT_BYTES_MAX 8192 /* larger buffers are not kept for the next ask */

/* Which state may follow which; one bit each. */
static void set_state(struct ask *ask, enum ask_state to)
{
	static const unsigned legal[] = {
		[ASK_NEW] = 1u << ASK_WAITING | 1u << ASK_SENT | 1u << ASK_DONE,
		[ASK_WAITING] = 1u << ASK_NEW | 1u << ASK_DONE,
		[ASK_SENT] = 1u << ASK_NEW | 1u << ASK_FLOWING | 1u << ASK_DONE,
		[ASK_FLOWING] = 1u << ASK_NEW | 1u << ASK_DONE,
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

static void leave_waiting(struct ask *ask)
{
	if (ask->state == ASK_WAITING)
		TAILQ_REMOVE(&ask->worker->waiting, ask, waiting);
}

/* The ask is over; of its attempts only the one that answered, if any, is kept. */
static void mark_done(struct ask *ask)
{
	struct worker *w = ask->worker;
	struct relay *r, *next;

	leave_waiting(ask);
	open_remove(ask);
	set_state(ask, ASK_DONE);
	heap_remove(&w->wakes, &ask->wake);
	if (ask->answered)
		relay_keep(ask->answered);
	for (r = LIST_FIRST(&ask->attempts); r; r = next) {
		next = LIST_NEXT(r, of_ask);
		relay_give_up(r);
	}
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
		mark_done(ask);
	r = ask->answered;
	ask->answered = NULL;
	if (r)
		relay_give_up(r);
	ask->busy--;
	destroy_if_unused(ask);
}

/* Askers are told something, and may leave: the ask stays until that is over. */
static void hold(struct ask *ask)
{
	ask->busy++;
}

static void release(struct ask *ask)
{
	ask->busy--;
	settle(ask);
}

/* Tells all askers the end. */
static void end(struct ask *ask)
{
	struct asker *asker;

	mark_done(ask);
	hold(ask);
	while ((asker = TAILQ_FIRST(&ask->askers))) {
		TAILQ_REMOVE(&ask->askers, asker, entry);
		asker->told = true;
		if (ask->answered)
			asker->ops->on_answer(asker);
		else
			asker->ops->on_failed(asker, &ask->err);
	}
	release(ask);
}

static void fail(struct ask *ask, const struct err *why)
{
	ask->err = *why;
	end(ask);
}

/* --- asking --- */

/* When something is next to be looked at.  What came meanwhile moves it only when it is due: then
 * it is seen to be too early. */
static void set_wake(struct ask *ask)
{
	usec_t at = ask->deadline_us;
	const struct relay *r;

	LIST_FOREACH (r, &ask->attempts, of_ask) {
		if (r->state == RELAY_SENT && r->until_us)
			at = MIN(at, r->until_us);
	}
	heap_set(&ask->worker->wakes, &ask->wake, at);
}

/* Moves to the session of now; while a relay of the ask may still be answered nobody comes here. */
static bool take_session(struct ask *ask, struct err *err)
{
	struct worker *w = ask->worker;
	struct session *now;

	assert(LIST_EMPTY(&ask->attempts));
	if (!account_session(w, ask->account, &now, err))
		return false;
	if (now == ask->session)
		return true;
	session_unref(w, ask->session);
	ask->session = session_ref(now);
	ask->asked = 0;
	return true;
}

static void wait_for_member(struct ask *ask)
{
	struct worker *w = ask->worker;

	set_state(ask, ASK_WAITING);
	ask->waits_since = w->kicks;
	TAILQ_INSERT_TAIL(&w->waiting, ask, waiting);
	set_wake(ask);
}

static void mark_sent(struct ask *ask)
{
	set_state(ask, ASK_SENT);
	ask->attempts_made++;
	set_wake(ask);
}

/* Has no node failed it by itself?  A node that stops, or whose link went, leaves the others time
 * to come back: of two nodes that restart one after the other one is always there. */
static bool is_untried(const struct ask *ask)
{
	return ask->attempts_made == 0 || attempt_cannot_yet(ask->err.code) ||
	       ask->err.code == ERR_LINK;
}

/* Nobody could be asked: waits if that may change, else ends the ask. */
static void nobody_left(struct ask *ask, bool hope)
{
	if (hope && is_untried(ask)) {
		wait_for_member(ask);
		return;
	}
	if (ask->err.code == ERR_NONE)
		err_set(&ask->err, ERR_NO_NODE, "%s", err_info(ERR_NO_NODE)->text);
	end(ask);
}

/* The method must be known before anybody is asked; it is the session's chain that knows. */
static bool find_method(struct ask *ask, struct err *err)
{
	return ask->method || chain_method_find(ask->session->chain, VIEW(ask->name, ask->name_n),
						&ask->method, err);
}

/* Sends to the next pick, or lets the ask wait, or ends it. */
static void dispatch(struct ask *ask)
{
	uint64_t owed = 0; /* members that wait for cosignatures, by bit: as good as not asked */
	struct member *member;
	struct err err;
	bool hope;

	if (!take_session(ask, &err)) {
		if (err.code == ERR_REGISTRY_STALE && ask->attempts_made == 0)
			wait_for_member(ask);
		else
			fail(ask, &err);
		return;
	}
	if (!find_method(ask, &err)) {
		fail(ask, &err);
		return;
	}
	while (ask->attempts_made < ask->worker->cfg->gateway.attempts) {
		if (!attempt_pick(ask, &member, &hope)) {
			ask->asked &= ~owed;
			nobody_left(ask, hope || owed != 0);
			return;
		}
		if (relay_send(ask, member, attempt_until(ask), &ask->err)) {
			mark_sent(ask);
			return;
		}
		if (ask->err.code == ERR_UNPAID)
			owed |= attempt_bit(ask, member);
	}
	nobody_left(ask, false);
}

/* An attempt ended without an answer, and has been given up: the next pick, or the end, unless
 * another one is in flight. */
static void go_on(struct ask *ask, const struct err *why)
{
	ask->err = *why;
	if (!LIST_EMPTY(&ask->attempts)) {
		set_wake(ask);
		return;
	}
	if (!attempt_may_follow(ask, why->code)) {
		end(ask);
		return;
	}
	metric_add_at(METRIC_GATEWAY_RETRIES, why->code, 0, 1);
	set_state(ask, ASK_NEW);
	dispatch(ask);
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
	ask->deadline_us = params->deadline_us;
	add_asker(ask, asker);
	if (!copy_question(ask, params->call, &err)) {
		fail(ask, &err);
	} else if (ledger_is_full(w->gateway->ledger)) {
		err_set(&err, ERR_LEDGER_FULL, "%s", err_info(ERR_LEDGER_FULL)->text);
		fail(ask, &err);
	} else {
		dispatch(ask);
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

/* --- what comes in --- */

void ask_on_leaf(struct relay *relay)
{
	relay->state = RELAY_COMMITTING;
	relay->leaf_us = clock_mono_us();
}

/* Gives up a failed attempt and goes on. */
static void fail_attempt(struct relay *relay, const struct err *why)
{
	struct ask *ask = relay->ask;

	attempt_judge(relay, why->code);
	attempt_forgive(ask, relay->member, why->code);
	relay_give_up(relay);
	go_on(ask, why);
}

/* Whether what has committed answers the question. */
static bool take_answer(struct ask *ask, struct relay *relay, struct err *err)
{
	enum err_code code;

	if (relay->kind == LEAF_REFUSAL) {
		code = err_from_wire(relay->status);
		return err_set(err, code, "%s", err_info(code)->text);
	}
	if (ask->notification || verify_answer(ask, relay, err))
		return true;
	attempt_is_bad(relay, err);
	return false;
}

void ask_on_commit(struct relay *relay, const struct err *err)
{
	struct ask *ask = relay->ask;
	struct err why;

	if (err) {
		relay_give_up(relay);
		go_on(ask, err);
	} else if (!take_answer(ask, relay, &why)) {
		fail_attempt(relay, &why);
	} else {
		ask->answered = relay;
		end(ask);
	}
}

/* --- long answers --- */

/* The long answer will not end: the ask goes on as long as nothing was made of its parts. */
static void lose_flow(struct ask *ask, const struct err *why)
{
	struct asker *asker = TAILQ_FIRST(&ask->askers);
	struct relay *r = ask->answered;

	if (!asker->ops->on_broken(asker, why))
		return;
	ask->answered = NULL;
	relay_give_up(r);
	go_on(ask, why);
}

void ask_fail_flow(struct ask *ask, const struct err *why)
{
	attempt_judge(ask->answered, why->code);
	lose_flow(ask, why);
}

/* Part 0 is there: it is this attempt that answers, and the first asker that gets it. */
static void begin_flow(struct ask *ask, struct relay *relay)
{
	struct relay *r, *next;
	struct asker *asker;

	open_remove(ask);
	set_state(ask, ASK_FLOWING);
	relay->state = RELAY_FLOWING;
	ask->answered = relay;
	for (r = LIST_FIRST(&ask->attempts); r; r = next) {
		next = LIST_NEXT(r, of_ask);
		if (r != relay)
			relay_give_up(r);
	}
	while ((asker = TAILQ_NEXT(TAILQ_FIRST(&ask->askers), entry))) {
		ask_leave(asker);
		asker->ops->on_alone(asker);
	}
}

/* The last part has been taken. */
static void end_flow(struct ask *ask)
{
	struct asker *asker = TAILQ_FIRST(&ask->askers);

	if (asker) { /* it has not left meanwhile */
		TAILQ_REMOVE(&ask->askers, asker, entry);
		asker->told = true;
	}
	mark_done(ask);
}

void ask_on_part(struct relay *relay, struct buf *part, bool last, const struct err *err)
{
	struct ask *ask = relay->ask;
	struct asker *asker;
	struct err why;

	if (err) {
		ask_on_loss(relay, err);
		return;
	}
	hold(ask);
	if (relay->state == RELAY_COMMITTING)
		begin_flow(ask, relay);
	asker = TAILQ_FIRST(&ask->askers);
	if (!asker->ops->on_part(asker, part, last, &why)) {
		attempt_is_bad(relay, &why);
		ask_fail_flow(ask, &why);
	} else if (last) {
		end_flow(ask);
	}
	release(ask);
}

void ask_on_loss(struct relay *relay, const struct err *why)
{
	struct ask *ask = relay->ask;

	if (relay->state == RELAY_FLOWING) {
		lose_flow(ask, why);
		return;
	}
	attempt_forgive(ask, relay->member, why->code);
	relay_give_up(relay);
	go_on(ask, why);
}

void ask_credit(struct ask *ask, size_t bytes)
{
	if (ask->answered)
		relay_credit(ask->answered, bytes);
}

/* --- time --- */

void asks_kick(struct worker *w)
{
	struct ask *ask;

	w->kicks++;
	/* Those that must wait on go to the end of the list anew. */
	while ((ask = TAILQ_FIRST(&w->waiting)) && ask->waits_since != w->kicks) {
		leave_waiting(ask);
		set_state(ask, ASK_NEW);
		dispatch(ask);
	}
}

/* An attempt had its share of the time: another node is asked. */
static void attempt_over(struct relay *relay)
{
	struct err why;

	err_set(&why, ERR_DEADLINE, "the node did not answer in time");
	fail_attempt(relay, &why);
}

static void deadline_over(struct ask *ask)
{
	struct relay *r;

	LIST_FOREACH (r, &ask->attempts, of_ask) {
		if (r->state == RELAY_SENT)
			continue;
		/* An answer is here, and will be told as soon as it is recorded. */
		heap_remove(&ask->worker->wakes, &ask->wake);
		return;
	}
	LIST_FOREACH (r, &ask->attempts, of_ask)
		attempt_judge(r, ERR_DEADLINE);
	if (ask->err.code == ERR_NONE)
		err_set(&ask->err, ask->attempts_made > 0 ? ERR_DEADLINE : ERR_NO_NODE, "%s",
			ask->attempts_made > 0 ? err_info(ERR_DEADLINE)->text
					       : "no node of the session could be reached in time");
	end(ask);
}

static void look(struct ask *ask, usec_t now)
{
	struct relay *r;

	if (ask->deadline_us <= now) {
		deadline_over(ask);
		return;
	}
	LIST_FOREACH (r, &ask->attempts, of_ask) {
		if (r->state == RELAY_SENT && r->until_us && r->until_us <= now) {
			attempt_over(r); /* and the ask may be gone */
			return;
		}
	}
	set_wake(ask);
}

void asks_look(struct worker *w, usec_t now)
{
	struct heap_node *first;

	while ((first = heap_first(&w->wakes)) && first->at_us <= now)
		look(CONTAINER_OF(first, struct ask, wake), now);
}
