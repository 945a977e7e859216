/* SPDX-License-Identifier: Apache-2.0
 * Whom an ask turns to next, for how long, and what a failed attempt says about its supplier. */
#include <assert.h>
#include <inttypes.h>

#include "relay/base/log.h"
#include "relay/gateway/internal.h"

/* A call that others failed waits for a supplier whose link has changed since. */
#define ATTEMPT_COMING_US 5000000
#define READMIT_MAX 2 /* times that an ask goes back to who gave an untrue answer */

/* Of the member in the ask's session that is the same supplier; 0: there is none. */
static uint64_t member_bit(const struct ask *ask, const struct member *member)
{
	const struct session *s = ask->session;

	if (member->session == s)
		return (uint64_t)1 << (member - s->members);
	for (size_t i = 0; i < s->count; i++) {
		if (s->members[i].supplier == member->supplier)
			return (uint64_t)1 << i;
	}
	return 0;
}

static bool pick_ready(struct ask *ask, struct member **ret, bool *ret_hope)
{
	struct worker *w = ask->worker;
	struct session *s = ask->session;
	struct pick_member members[SESSION_MEMBERS_MAX];
	enum pick_mode mode =
		w->cfg->gateway.pick == CONFIG_GATEWAY_PICK_PRICE ? PICK_BY_PRICE : PICK_BY_STAKE;
	struct weighed weighed;
	struct pick pick;
	struct err err;

	*ret_hope = false;
	quality_weigh(ask, clock_mono_us(), members, &weighed);
	if (ask->wrong && ask->readmitted < READMIT_MAX && !quality_is_any_well(ask, &weighed)) {
		/* Who was wrong once may be right now; the others are no better. */
		ask->asked &= ~ask->wrong;
		ask->wrong = 0;
		ask->readmitted++;
		quality_weigh(ask, clock_mono_us(), members, &weighed);
	}
	while (pick_member(&s->info->id, &w->self.id, w->id, s->n++, mode, members, s->count, &pick,
			   &err)) {
		struct member *m = &s->members[pick.member];

		if (member_is_ready(m)) {
			ask->asked |= (uint64_t)1 << pick.member;
			quality_note(ask, &weighed, s->n - 1, &pick);
			*ret = m;
			return true;
		}
		members[pick.member].asked = true; /* for now */
		*ret_hope = true;
	}
	return false;
}

static usec_t attempt_until(const struct ask *ask)
{
	const struct worker *w = ask->worker;
	usec_t until = clock_mono_us() + w->attempt_us;

	if (ask->method->effect == CHAIN_WRITE ||
	    ask->attempts_made + 1 >= ask->terms.attempts_max || until >= ask->deadline_us)
		return 0;
	return until;
}

void attempt_judge(struct relay *relay, enum err_code code)
{
	quality_on_end(relay, quality_outcome_of(code));
	switch ((int)code) {
	case ERR_ALLOWANCE:
	case ERR_NOT_MEMBER:
	case ERR_GRANT:
		relay->member->dropped = true; /* will not change within the session */
		break;
	default:
		break;
	}
}

bool attempt_has_more(struct ask *ask)
{
	struct pick_member members[SESSION_MEMBERS_MAX];
	struct weighed weighed;

	if (ask->wrong && ask->readmitted < READMIT_MAX)
		return true;
	quality_weigh(ask, clock_mono_us(), members, &weighed);
	return quality_is_any_well(ask, &weighed);
}

/* Whether it may be asked, once it is ready. */
static bool may_serve(const struct ask *ask, const struct member *m)
{
	return !m->dropped && (!ask->terms.only || m->supplier == ask->terms.only) &&
	       !(ask->terms.must_reach && head_is_behind(m, ask->terms.below));
}

bool attempt_has_unheard(const struct ask *ask)
{
	const struct session *s = ask->session;

	for (size_t i = 0; i < s->count; i++) {
		const struct member *m = &s->members[i];

		if (!(ask->asked >> i & 1) && may_serve(ask, m) &&
		    m->standing->q.sum.outcomes[QUALITY_ANSWER] > 0)
			return true;
	}
	return false;
}

void attempt_is_bad(struct relay *relay, const struct err *why)
{
	static _Thread_local struct log_gate gate;
	uint64_t more;

	if (log_every(&gate, 1000000, &more))
		log_warn("gateway.bad_answer", "supplier=%s more=%" PRIu64 " \"%s\"",
			 relay->member->supplier->hex, more, why->msg);
	quality_on_end(relay, QUALITY_MISBEHAVED);
	relay->ask->wrong |= member_bit(relay->ask, relay->member);
}

bool attempt_cannot_yet(enum err_code code)
{
	return code == ERR_SHUTDOWN || code == ERR_UNPAID || code == ERR_SESSION_OVER;
}

void attempt_forgive(struct ask *ask, const struct member *member, enum err_code code)
{
	if (code == ERR_LINK && !ask->lost) {
		ask->lost = true;
		ask->attempts_made--;
	}
	if (!attempt_cannot_yet(code))
		return;
	ask->asked &= ~member_bit(ask, member);
	ask->attempts_made--;
	member->supplier->rests_until_us = clock_mono_us() + REST_US;
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

/* Whether another member may be asked after an attempt that ended so. */
static bool may_follow(const struct ask *ask, enum err_code code)
{
	return err_info(code)->retry &&
	       (ask->method->effect == CHAIN_READ || refused_before_backend(code)) &&
	       ask->attempts_made < ask->terms.attempts_max && clock_mono_us() < ask->deadline_us;
}

/* --- asking --- */

/* Its answer is not here, or not all of it. */
static bool is_awaited(const struct relay *relay)
{
	return relay->state == RELAY_SENT || relay->state == RELAY_HELD;
}

/* When something is next to be looked at.  What came meanwhile moves it only when it is due: then
 * it is seen to be too early. */
void attempt_set_wake(struct ask *ask)
{
	usec_t at = ask->deadline_us;
	const struct relay *r;

	LIST_FOREACH (r, &ask->attempts, of_ask) {
		if (is_awaited(r) && r->until_us)
			at = MIN(at, r->until_us);
	}
	if (ask->hedge_at_us) {
		at = MIN(at, ask->hedge_at_us);
		worker_wake_at(ask->worker, at);
	}
	if (ask->state == ASK_PAUSED)
		at = MIN(at, ask->again_us);
	heap_set(&ask->worker->wakes, &ask->wake, at);
}

/* Goes on in this session; of its members those have been asked whose answer is still waited for.
 */
static void move_to(struct ask *ask, struct session *now)
{
	const struct relay *r;

	session_unref(ask->worker, ask->session);
	ask->session = session_ref(now);
	ask->asked = ask->wrong = 0;
	LIST_FOREACH (r, &ask->attempts, of_ask)
		ask->asked |= member_bit(ask, r->member);
}

/* Moves to the session of now. */
static bool take_session(struct ask *ask, struct err *err)
{
	struct worker *w = ask->worker;
	struct session *now;

	if (!account_session(w, ask->account, &now, err))
		return false;
	if (now != ask->session)
		move_to(ask, now);
	return true;
}

static void wait_for_member(struct ask *ask)
{
	struct worker *w = ask->worker;

	ask_set_state(ask, ASK_WAITING);
	ask->waits_since = w->kicks;
	TAILQ_INSERT_TAIL(&w->waiting, ask, waiting);
	attempt_set_wake(ask);
}

static void mark_sent(struct ask *ask)
{
	ask_set_state(ask, ASK_SENT);
	ask->attempts_made++;
	ask->hedge_at_us = pace_hedge_at(ask);
	attempt_set_wake(ask);
	if (ask->traits->send == CHAIN_SEND_SPREAD)
		copies_send(ask);
}

/* Has no node failed it by itself?  A node that stops, or whose link went, leaves the others time
 * to come back: of two nodes that restart one after the other one is always there. */
static bool is_untried(const struct ask *ask)
{
	return ask->attempts_made == 0 || attempt_cannot_yet(ask->err.code) ||
	       ask->err.code == ERR_LINK;
}

/* Is there somebody who was not asked, and whose link came or went a moment ago?  What the others
 * could not do waits for that one.  Who has been away for longer is not waited for. */
static bool somebody_comes(const struct ask *ask)
{
	usec_t since = clock_mono_us() - ATTEMPT_COMING_US;

	for (size_t i = 0; i < ask->session->count; i++) {
		const struct member *m = &ask->session->members[i];

		if ((ask->asked & member_bit(ask, m)) == 0 && !m->dropped && !member_is_ready(m) &&
		    (!ask->terms.only || m->supplier == ask->terms.only) &&
		    m->supplier->moved_us > since)
			return true;
	}
	return false;
}

/* Nobody could be asked: waits if that may change, else ends the ask. */
static void nobody_left(struct ask *ask, bool hope)
{
	if (hope && !ask->aside && (is_untried(ask) || somebody_comes(ask))) {
		wait_for_member(ask);
		return;
	}
	if (attempt_rest(ask))
		return;
	if (ask->err.code == ERR_NONE)
		err_set(&ask->err, ERR_NO_NODE, "%s", err_info(ERR_NO_NODE)->text);
	ask_end(ask);
}

/* The method must be known before anybody is asked; it is the session's chain that knows. */
static bool find_method(struct ask *ask, struct err *err)
{
	if (ask->method)
		return true;
	if (!chain_method_find(ask->session->chain, VIEW(ask->name, ask->name_n), &ask->method,
			       err))
		return false;
	ask->traits = chain_traits(ask->session->chain, ask->method);
	return true;
}

/* Sends to the next pick, or lets the ask wait, or ends it. */
void attempt_dispatch(struct ask *ask)
{
	uint64_t owed = 0; /* members that wait for cosignatures, by bit: as good as not asked */
	struct member *member;
	struct err err;
	bool hope;

	if (!take_session(ask, &err)) {
		if (err.code == ERR_REGISTRY_STALE && ask->attempts_made == 0)
			wait_for_member(ask);
		else
			ask_fail(ask, &err);
		return;
	}
	if (!find_method(ask, &err)) {
		ask_fail(ask, &err);
		return;
	}
	while (ask->attempts_made < ask->terms.attempts_max) {
		if (!pick_ready(ask, &member, &hope)) {
			ask->asked &= ~owed;
			nobody_left(ask, hope || owed != 0);
			return;
		}
		if (relay_send(ask, member, attempt_until(ask), &ask->err)) {
			mark_sent(ask);
			return;
		}
		if (ask->err.code == ERR_UNPAID)
			owed |= member_bit(ask, member);
	}
	nobody_left(ask, false);
}

struct relay *attempt_more(struct ask *ask)
{
	struct member *member;
	struct err err;
	bool hope;

	if (ask->attempts_made >= ask->terms.attempts_max || !take_session(ask, &err) ||
	    !pick_ready(ask, &member, &hope))
		return NULL;
	if (!relay_send(ask, member, attempt_until(ask), &err)) {
		ask->asked &= ~member_bit(ask, member);
		return NULL;
	}
	ask->attempts_made++;
	attempt_set_wake(ask);
	return LIST_FIRST(&ask->attempts);
}

static void count_retry(const struct ask *ask, enum err_code why)
{
	metric_add_at(METRIC_GATEWAY_RETRIES, why, 0, 1);
	record_retry(ask->worker, why);
}

bool attempt_next(struct ask *ask, enum err_code why)
{
	bool may = may_follow(ask, why);

	if (!LIST_EMPTY(&ask->attempts)) { /* and they may be those that hang */
		if (may && attempt_more(ask))
			count_retry(ask, why);
		attempt_set_wake(ask);
		return true;
	}
	if (!may)
		return false;
	count_retry(ask, why);
	ask_set_state(ask, ASK_NEW);
	attempt_dispatch(ask);
	return true;
}

void attempt_go_on(struct ask *ask, const struct err *why)
{
	ask->err = *why;
	if (attempt_next(ask, why->code) || attempt_rest(ask))
		return;
	if (ask->aside)
		copies_end(ask);
	else
		ask_end(ask);
}

void attempt_pause(struct ask *ask, usec_t until_us)
{
	assert(LIST_EMPTY(&ask->attempts));
	ask_set_state(ask, ASK_PAUSED);
	ask->paused = true;
	ask->again_us = until_us;
	ask->hedge_at_us = 0;
	ask->deadline_us =
		MIN(ask->last_us, until_us + ask->worker->cfg->gateway.second_opinion_wait);
	attempt_set_wake(ask);
}

/* Whether what is set aside would rather not be given yet: somebody else may say more. */
static bool is_worth_a_rest(const struct ask *ask)
{
	if (!ask->aside || ask->method->effect != CHAIN_READ || ask->rests == ASK_RESTS_MAX ||
	    ask->attempts_made >= ask->terms.attempts_max ||
	    clock_mono_us() + ASK_REST_US >= ask->last_us)
		return false;
	switch (ask->aside_trust) {
	case ASK_TRUSTED:
		return false;
	case ASK_DOUBTED:
		return ask->wrong != 0 || attempt_has_unheard(ask);
	case ASK_DENIED:
		return true;
	}
	return false;
}

static void count_rest(struct ask *ask)
{
	ask->rests++;
	metric_add(METRIC_GATEWAY_DOUBT_WAITS, 1);
}

bool attempt_rest(struct ask *ask)
{
	if (!LIST_EMPTY(&ask->attempts) || !is_worth_a_rest(ask))
		return false;
	count_rest(ask);
	attempt_pause(ask, clock_mono_us() + ASK_REST_US);
	return true;
}

/* Gives up a failed attempt and goes on. */
void attempt_fail(struct relay *relay, const struct err *why)
{
	struct ask *ask = relay->ask;

	attempt_judge(relay, why->code);
	attempt_forgive(ask, relay->member, why->code);
	relay_give_up(relay);
	attempt_go_on(ask, why);
}

/* --- time --- */

void asks_kick(struct worker *w)
{
	struct ask *ask;

	w->kicks++;
	/* Those that must wait on go to the end of the list anew. */
	while ((ask = TAILQ_FIRST(&w->waiting)) && ask->waits_since != w->kicks) {
		ask_leave_waiting(ask);
		ask_set_state(ask, ASK_NEW);
		attempt_dispatch(ask);
	}
}

/* An attempt had its share of the time: another node is asked beside it.  It may still answer: what
 * takes long with one may take long with all. */
static void attempt_over(struct relay *relay)
{
	relay->until_us = 0;
	quality_on_end(relay, QUALITY_SILENT);
	if (attempt_more(relay->ask))
		count_retry(relay->ask, ERR_DEADLINE);
}

/* Who was to confirm what is set aside has said nothing in its time: somebody else is asked beside,
 * while there is time for a word of theirs. */
static bool hear_beside(struct ask *ask, usec_t now)
{
	bool may_wait = ask->opinions > 0 ||
			(ask->aside_trust != ASK_TRUSTED && ask->method->effect == CHAIN_READ);

	if (!ask->aside || !may_wait || ask->state != ASK_SENT || now >= ask->last_us ||
	    !attempt_more(ask))
		return false;
	ask->deadline_us = MIN(ask->last_us, now + ask->worker->cfg->gateway.second_opinion_wait);
	attempt_set_wake(ask);
	return true;
}

/* Nobody else can be asked now, and who was asked is silent: the same as attempt_rest() with
 * attempts in flight. */
static bool wait_on(struct ask *ask, usec_t now)
{
	if (ask->state != ASK_SENT || !is_worth_a_rest(ask))
		return false;
	count_rest(ask);
	ask->deadline_us = now + ASK_REST_US;
	attempt_set_wake(ask);
	return true;
}

/* After a pause all may be asked again, but who has proved to say nothing only if there is nobody
 * else. */
static void unask(struct ask *ask)
{
	const struct session *s = ask->session;
	uint64_t others = 0, idle = 0;

	for (size_t i = 0; ask->rests > 0 && i < s->count; i++) {
		const struct member *m = &s->members[i];

		if (!quality_vouches(&m->standing->q))
			idle |= (uint64_t)1 << i;
		else if (may_serve(ask, m) && member_is_ready(m))
			others |= (uint64_t)1 << i;
	}
	if (ask->rests > 0 && attempt_has_unheard(ask))
		ask->asked &= ~ask->wrong;
	else
		ask->asked &= others ? idle : 0;
	ask->wrong = 0;
}

static void deadline_over(struct ask *ask, usec_t now)
{
	struct relay *r;

	LIST_FOREACH (r, &ask->attempts, of_ask) {
		if (is_awaited(r))
			continue;
		/* An answer is here, and will be told as soon as it is recorded. */
		heap_remove(&ask->worker->wakes, &ask->wake);
		return;
	}
	if (hear_beside(ask, now) || wait_on(ask, now))
		return;
	if (!ask->aside) { /* else they had less time than they were told */
		LIST_FOREACH (r, &ask->attempts, of_ask)
			attempt_judge(r, ERR_DEADLINE);
	}
	if (ask->err.code == ERR_NONE)
		err_set(&ask->err, ask->attempts_made > 0 ? ERR_DEADLINE : ERR_NO_NODE, "%s",
			ask->attempts_made > 0 ? err_info(ERR_DEADLINE)->text
					       : "no node of the session could be reached in time");
	ask_end(ask);
}

/* The first attempt is slow: a second one is made beside it, and the faster one counts. */
static void hedge(struct ask *ask)
{
	const struct relay *first = LIST_FIRST(&ask->attempts);
	struct relay *second;

	ask->hedge_at_us = 0;
	if (ask->state != ASK_SENT || first->state != RELAY_SENT || LIST_NEXT(first, of_ask))
		return;
	if (!patience_spend(&ask->worker->hedges)) {
		metric_add(METRIC_GATEWAY_HEDGES_SPARED, 1);
		return;
	}
	second = attempt_more(ask);
	if (!second)
		return;
	second->hedge = ask->hedged = true;
	metric_add(METRIC_GATEWAY_HEDGES, 1);
	record_hedge(second);
}

static void look(struct ask *ask, usec_t now)
{
	struct relay *r;

	if (ask->deadline_us <= now) {
		deadline_over(ask, now);
		return;
	}
	if (ask->state == ASK_PAUSED && ask->again_us <= now) {
		unask(ask);
		ask_set_state(ask, ASK_NEW);
		attempt_dispatch(ask);
		return;
	}
	LIST_FOREACH (r, &ask->attempts, of_ask) {
		if (is_awaited(r) && r->until_us && r->until_us <= now)
			attempt_over(r);
	}
	if (ask->hedge_at_us && ask->hedge_at_us <= now)
		hedge(ask);
	attempt_set_wake(ask);
}

void asks_look(struct worker *w, usec_t now)
{
	struct heap_node *first;

	while ((first = heap_first(&w->wakes)) && first->at_us <= now)
		look(CONTAINER_OF(first, struct ask, wake), now);
}
