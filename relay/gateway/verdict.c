/* SPDX-License-Identifier: Apache-2.0
 * Whether an answer is the last word.  What backends say about data that is not there, about
 * themselves and about the caller is classed by the chain's tables (chains/error.h,
 * chains/traits.h); here is what follows from it.  The answer itself is never changed. */
#include "relay/gateway/internal.h"

/* Whether what has committed may be the ask's answer. */
enum verdict {
	VERDICT_BAD,	 /* it is none; err says why */
	VERDICT_ANSWER,	 /* it is the last word */
	VERDICT_OPINION, /* one other supplier is heard before it is given */
	VERDICT_OTHERS,	 /* only if nobody has a better one */
};

/* --- classes --- */

static bool is_empty(const struct chain_traits *traits, struct view result)
{
	switch (traits->empty) {
	case CHAIN_EMPTY_VALUE:
		return false;
	case CHAIN_EMPTY_MISSING:
		return view_eq(result, VIEW_STR("null"));
	case CHAIN_EMPTY_MISSING_LIST:
		return view_eq(result, VIEW_STR("null")) || view_eq(result, VIEW_STR("[]"));
	}
	return false;
}

/* Null, where there is always something to say. */
static bool says_nothing(const struct chain_traits *traits, struct view result)
{
	return traits->empty == CHAIN_EMPTY_VALUE && traits->life != CHAIN_LIFE_NEVER &&
	       view_eq(result, VIEW_STR("null"));
}

/* What an answer says that is more than a result: CHAIN_ERROR_COUNT, nothing. */
static enum chain_error class_of(const struct ask *ask, const struct relay *relay)
{
	const struct rpc_answer *a = &ask->answer;

	if (a->error.n == 0 && says_nothing(ask->traits, a->result))
		return CHAIN_ERROR_SERVER;
	if (a->error.n == 0)
		return is_empty(ask->traits, a->result) ? CHAIN_ERROR_MISSING : CHAIN_ERROR_COUNT;
	return chain_error_class(relay->in.chain, a->error_code_known ? a->error_code : 0,
				 a->error_message, a->error_data);
}

/* Its supplier would know, and is not known to make excuses. */
static bool is_vouched_for(const struct relay *relay)
{
	return !head_is_behind(relay->member, 0) && quality_vouches(&relay->member->standing->q);
}

/* Of an answer that is not the last word. */
static enum ask_trust trust_in(const struct relay *relay, enum chain_error class)
{
	if (class == CHAIN_ERROR_MISSING && missing_is_near(relay->ask))
		return ASK_DENIED;
	return chain_error_info(class)->blame == CHAIN_BLAME_NONE && is_vouched_for(relay)
		       ? ASK_TRUSTED
		       : ASK_DOUBTED;
}

static enum verdict judge(const struct ask *ask, const struct relay *relay, enum chain_error class)
{
	/* Others say null to that. */
	bool is_odd = ask->answer.error.n > 0 && ask->traits->empty != CHAIN_EMPTY_VALUE;

	if (class == CHAIN_ERROR_COUNT)
		return VERDICT_ANSWER;
	if (class == CHAIN_ERROR_MISSING) {
		if (missing_is_there(ask) || !is_vouched_for(relay))
			return VERDICT_OTHERS; /* it may well be there */
		if (!missing_is_known(ask) || is_odd)
			return VERDICT_OPINION;
		metric_add(METRIC_GATEWAY_REMEMBERED, 1);
		return VERDICT_ANSWER;
	}
	if (class == CHAIN_ERROR_TOO_LARGE || class == CHAIN_ERROR_TOO_MANY)
		return VERDICT_OPINION; /* limits differ, but not so much that all need be asked */
	switch (chain_error_info(class)->next) {
	case CHAIN_NEXT_ANSWER:
		return VERDICT_ANSWER;
	case CHAIN_NEXT_OPINION:
		return is_vouched_for(relay) ? VERDICT_OPINION : VERDICT_OTHERS;
	case CHAIN_NEXT_OTHERS:
		return VERDICT_OTHERS;
	}
	return VERDICT_ANSWER;
}

static enum verdict verdict_of(struct ask *ask, struct relay *relay, enum chain_error *ret_class,
			       struct err *err)
{
	enum err_code code;

	*ret_class = CHAIN_ERROR_COUNT;
	if (relay->kind == LEAF_REFUSAL) {
		code = err_from_wire(relay->status);
		err_set(err, code, "%s", err_info(code)->text);
		return VERDICT_BAD;
	}
	if (ask->notification)
		return VERDICT_ANSWER;
	if (!verify_answer(ask, relay, err)) {
		attempt_is_bad(relay, err);
		return VERDICT_BAD;
	}
	*ret_class = class_of(ask, relay);
	relay->denies = missing_is_there(ask);
	return judge(ask, relay, *ret_class);
}

/* What is about the question tells the client more than what is about a backend. */
static unsigned worth(enum chain_error class)
{
	switch ((int)class) {
	case CHAIN_ERROR_KNOWN:
		return 4;
	case CHAIN_ERROR_NONCE:
		return 3;
	case CHAIN_ERROR_MISSING:
	case CHAIN_ERROR_CLIENT:
	case CHAIN_ERROR_REJECTED:
	case CHAIN_ERROR_TOO_LARGE:
	case CHAIN_ERROR_TOO_MANY:
		return 2;
	default:
		return 1;
	}
}

/* Than what is set aside already. */
static bool is_better(const struct ask *ask, enum chain_error class, enum ask_trust trust)
{
	unsigned now = worth(class), then = worth(ask->aside_class);

	return now > then || (now == then && trust < ask->aside_trust);
}

/* --- what comes in --- */

void ask_on_leaf(struct relay *relay)
{
	relay->state = hold_wants(relay) ? RELAY_HELD : RELAY_COMMITTING;
	relay->leaf_us = clock_mono_us();
}

/* An answer that is not the last word: the better one of two is kept. */
static void set_aside(struct relay *relay, enum chain_error class)
{
	struct ask *ask = relay->ask;
	enum ask_trust trust = trust_in(relay, class);

	metric_add_at(METRIC_GATEWAY_SET_ASIDE, ask->worker->class_labels[class], 0, 1);
	record_aside(relay, class);
	if (ask->aside && !is_better(ask, class, trust)) {
		relay_give_up(relay);
		return;
	}
	ask_drop_aside(ask);
	relay_keep(relay);
	ask->aside = relay;
	ask->aside_class = class;
	ask->aside_trust = trust;
}

/* What is set aside says that nothing is there, and nobody is left whose word would be worth more.
 */
static bool is_enough(struct ask *ask)
{
	const struct relay *r = ask->aside;

	if (!r || ask->aside_class != CHAIN_ERROR_MISSING || r->kind == LEAF_RPC_ERROR ||
	    !LIST_EMPTY(&ask->attempts) || attempt_has_more(ask))
		return false;
	switch (ask->aside_trust) {
	case ASK_TRUSTED:
		return true;
	case ASK_DOUBTED:
		return !attempt_has_unheard(ask);
	case ASK_DENIED:
		return false;
	}
	return false;
}

/* What is set aside may well be an excuse: others have as long as if it was to be confirmed. */
static bool is_excuse(const struct ask *ask)
{
	return ask->aside_trust != ASK_TRUSTED && worth(ask->aside_class) == 2 &&
	       !head_is_behind(ask->aside->member, 0);
}

/* An answer was set aside: somebody else is heard, or it is the answer, unless another attempt is
 * in flight. */
static void hear_another(struct ask *ask, enum verdict verdict)
{
	usec_t until = clock_mono_us() + ask->worker->cfg->gateway.second_opinion_wait;

	if ((verdict == VERDICT_OPINION && ask->opinions++ == 0) || is_excuse(ask))
		ask->deadline_us = MIN(ask->deadline_us, until);
	if (is_enough(ask) || (!attempt_next(ask, ERR_UPSTREAM) && !attempt_rest(ask)))
		copies_end(ask);
}

/* Nobody has it yet, and all are about to: they are asked once more, later; whoever is being asked
 * already is heard before that. */
static bool ask_later(struct relay *relay, enum chain_error class)
{
	struct ask *ask = relay->ask;
	usec_t at;

	if (ask->paused || ask->attempts_made >= ask->terms.attempts_max ||
	    !missing_comes(ask, relay->in.chain, &at))
		return false;
	set_aside(relay, class);
	if (LIST_EMPTY(&ask->attempts)) {
		metric_add(METRIC_GATEWAY_MISSING_WAITS, 1);
		attempt_pause(ask, at);
	} else {
		attempt_set_wake(ask);
	}
	return true;
}

/* The last of the second opinions: that something is not there is confirmed by an error, too. */
static bool confirms(const struct ask *ask, const struct relay *relay)
{
	return ask->aside && ask->aside_class == CHAIN_ERROR_MISSING &&
	       ask->aside->kind != LEAF_RPC_ERROR && relay->kind == LEAF_RPC_ERROR;
}

/* The last word. */
static void take_answer(struct relay *relay)
{
	struct ask *ask = relay->ask;

	pace_note(ask, relay);
	if (relay->hedge)
		metric_add(METRIC_GATEWAY_HEDGES_WON, 1);
	ask->answered = relay;
	ask_end(ask);
}

/* Of a signed transaction an error is the last word only when all have answered.  That it is known
 * is as good as its hash; but it may be known because another copy was quicker, and who took that
 * is about to say so: an answer that is a supplier's own word is better than one that is made. */
static void on_copy(struct relay *relay, enum chain_error class)
{
	struct ask *ask = relay->ask;
	usec_t wait_us = ask->worker->cfg->gateway.copies_wait;

	if (class == CHAIN_ERROR_COUNT) {
		take_answer(relay);
		return;
	}
	set_aside(relay, class);
	if (class == CHAIN_ERROR_KNOWN && wait_us == 0) {
		ask_end(ask);
		return;
	}
	if (class == CHAIN_ERROR_KNOWN)
		ask->deadline_us = MIN(ask->deadline_us, clock_mono_us() + wait_us);
	hear_another(ask, VERDICT_OTHERS);
}

static void on_answer(struct relay *relay, enum verdict verdict, enum chain_error class)
{
	struct ask *ask = relay->ask;

	if (verdict == VERDICT_OPINION &&
	    ask->opinions >= ask->worker->cfg->gateway.second_opinions) {
		if (class == CHAIN_ERROR_MISSING && ask_later(relay, class))
			return;
		if (class == CHAIN_ERROR_MISSING && ask->opinions > 0)
			missing_remember(ask);
		if (confirms(ask, relay)) {
			relay_give_up(relay);
			ask_end(ask);
			return;
		}
		verdict = VERDICT_ANSWER;
	}
	if (verdict == VERDICT_ANSWER) {
		take_answer(relay);
		return;
	}
	set_aside(relay, class);
	hear_another(ask, verdict);
}

void ask_on_commit(struct relay *relay, const struct err *err)
{
	struct ask *ask = relay->ask;
	enum chain_error class;
	enum verdict verdict;
	struct err why;

	if (err) {
		relay_give_up(relay);
		attempt_go_on(ask, err);
		return;
	}
	verdict = verdict_of(ask, relay, &class, &why);
	if (verdict == VERDICT_BAD) {
		attempt_fail(relay, &why);
		return;
	}
	quality_on_answer(relay);
	if (ask->traits->send == CHAIN_SEND_SPREAD)
		on_copy(relay, class);
	else
		on_answer(relay, verdict, class);
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
	attempt_go_on(ask, why);
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
	ask_set_state(ask, ASK_FLOWING);
	ask->recomputed = ask->block_holds = false;
	relay->state = RELAY_FLOWING;
	ask->answered = relay;
	pace_note(ask, relay);
	if (relay->hedge)
		metric_add(METRIC_GATEWAY_HEDGES_WON, 1);
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
	ask_mark_done(ask);
}

static void pass_on(struct relay *relay, struct buf *part, bool last)
{
	struct ask *ask = relay->ask;
	struct asker *asker;
	struct err why;

	if (relay->state == RELAY_COMMITTING)
		begin_flow(ask, relay);
	asker = TAILQ_FIRST(&ask->askers);
	if (!asker->ops->on_part(asker, part, last, &why)) {
		attempt_is_bad(relay, &why);
		ask_fail_flow(ask, &why);
	} else if (last) {
		end_flow(ask);
	}
}

/* The next part of an answer that is kept back.  Whole, it is one like those of a single leaf; when
 * it becomes too long it goes on as it comes, from its beginning. */
static void keep_back(struct relay *relay, struct buf *part, bool last)
{
	CLEANUP(buf_finish) struct buf so_far = {0};
	struct ask *ask = relay->ask;

	if (hold_take(relay, part)) {
		if (!last)
			return;
		relay->state = RELAY_COMMITTING;
		ask_on_commit(relay, NULL);
		return;
	}
	so_far = hold_end(relay);
	relay->state = RELAY_COMMITTING;
	if (so_far.n > 0) {
		pass_on(relay, &so_far, false);
		/* It was no answer, and is given up; or the asker has left. */
		if (ask->answered != relay || TAILQ_EMPTY(&ask->askers))
			return;
	}
	pass_on(relay, part, last);
}

void ask_on_part(struct relay *relay, struct buf *part, bool last, const struct err *err)
{
	struct ask *ask = relay->ask;

	if (err) {
		ask_on_loss(relay, err);
		return;
	}
	ask_hold(ask);
	if (relay->state == RELAY_HELD)
		keep_back(relay, part, last);
	else
		pass_on(relay, part, last);
	ask_release(ask);
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
	attempt_go_on(ask, why);
}
