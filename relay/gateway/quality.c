/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/quality.h"

#include "relay/base/log.h"
#include "relay/gateway/internal.h"
#include "relay/rpc/encoding.h"

#define WELL (PICK_HEALTHY / 16) /* health below which somebody is asked rather to be tried */
#define REFERENCE_US 250000	 /* what latencies are measured against is this old at most */

struct serving *quality_serving(struct worker *w, const struct service_name *service)
{
	const struct config *cfg = w->cfg;
	const struct quality_limits limits = {
		.window_us = cfg->gateway.quality_window,
		.cooldown_us = cfg->gateway.cooldown_min,
		.cooldown_max_us = MAX(cfg->gateway.cooldown_max, cfg->gateway.cooldown_min),
	};

	return serving_get(&w->servings, service, &limits);
}

struct standing *quality_standing(struct worker *w, struct serving *serving,
				  const struct key_id *supplier)
{
	struct standing *s = standing_ref(serving, supplier, clock_mono_us());

	if (s->refs == 1)
		s->label = supplier_find(w, supplier)->label;
	return s;
}

/* --- before a pick --- */

static usec_t reference_of(struct session *s, usec_t now)
{
	usec_t latencies[SESSION_MEMBERS_MAX];

	if (s->reference_at_us == 0 || now - s->reference_at_us >= REFERENCE_US) {
		for (size_t i = 0; i < s->count; i++)
			latencies[i] = quality_latency(&s->members[i].standing->q);
		s->reference_us = quality_reference(latencies, s->count);
		s->reference_at_us = now;
	}
	return s->reference_us;
}

/* What the ask is about; read when it is first wanted, since most never need it. */
static const struct chain_target *target_of(struct ask *ask, const struct chain *chain)
{
	const struct rpc_limits limits = {.depth_max = RPC_DEPTH_MAX, .batch_max = 1};
	struct request_encoding request;
	struct rpc_request rpc;
	struct err err;

	if (ask->target_known)
		return &ask->target;
	ask->target_known = true;
	if (ask->encoding.n > QUALITY_TARGET_BYTES_MAX ||
	    !request_encoding_parse(buf_view(&ask->encoding), &request, &err) ||
	    !rpc_request_scan(request.body, &limits, &rpc, &err))
		return &ask->target;
	if (!chain_call_target(chain, ask->method, rpc.one.params, &ask->target))
		ask->target.n = 0;
	rpc_request_finish(&rpc);
	return &ask->target;
}

/* NULL: nobody has refused anything like it. */
static struct refusals_row *refusals_of(struct ask *ask, const struct session *s)
{
	struct refusals *table = s->serving->refusals;

	if (refusals_is_empty(table))
		return NULL;
	return refusals_find(table, ask->method->id, target_of(ask, s->chain));
}

/* WEIGH_FULL when nothing is in the way of its being asked. */
static enum weigh_why obstacle(const struct member *m, usec_t now)
{
	if (m->dropped)
		return WEIGH_DROPPED;
	if (m->state != MEMBER_READY || m->peer != m->supplier->peer || m->peer->draining)
		return WEIGH_NO_LINK;
	if (m->supplier->rests_until_us > now)
		return WEIGH_RESTS;
	return member_is_ready(m) ? WEIGH_FULL : WEIGH_BUSY;
}

static enum weigh_why why_of(const struct standing *s)
{
	switch (s->q.state) {
	case QUALITY_COOLING:
		return WEIGH_COOLS;
	case QUALITY_TRIAL:
		return WEIGH_TRIAL;
	case QUALITY_READY:
	case QUALITY_RAMP:
		break;
	}
	return s->score.health < PICK_HEALTHY ? WEIGH_REDUCED : WEIGH_FULL;
}

/* It does not have the block that is asked: not yet, or not any more. */
static bool out_of_reach(const struct ask *ask, const struct member *m, usec_t now,
			 enum weigh_why *ret_why)
{
	const struct reach *reach = &m->standing->reach;

	if (ask->terms.below != UINT64_MAX && head_is_behind(m, ask->terms.below))
		*ret_why = WEIGH_BEHIND;
	else if (reach->n > 0 && reach_lacks(reach, ask->method->id, ask->terms.oldest, now))
		*ret_why = WEIGH_PRUNED;
	else
		return false;
	return true;
}

static uint16_t weigh_one(struct ask *ask, const struct member *m, const struct refusals_row *row,
			  usec_t reference_us, usec_t now, uint8_t *ret_why)
{
	enum weigh_why why = obstacle(m, now);
	uint16_t health = 0;

	if (why == WEIGH_FULL) {
		health = standing_score(m->standing, reference_us, now)->health;
		why = why_of(m->standing);
	}
	if (health > 0 && out_of_reach(ask, m, now, &why))
		health = 0;
	if (health > 0 && row && refusals_shuns(row, &m->supplier->key, now)) {
		health = 0;
		why = WEIGH_SHUNNED;
	}
	*ret_why = (uint8_t)why;
	return health;
}

bool quality_is_any_well(const struct ask *ask, const struct weighed *weighed)
{
	for (size_t i = 0; i < ask->session->count; i++) {
		if (!(ask->asked >> i & 1) && weighed->health[i] >= WELL)
			return true;
	}
	return false;
}

/* Nobody well is left.  Who rests because of what it answered may answer this one: it is asked as
 * if it did not rest, rather than one that is silent, behind or without room. */
static void wake(struct ask *ask, const struct refusals_row *row, usec_t now, struct weighed *ret)
{
	const struct session *s = ask->session;

	for (size_t i = 0; i < s->count; i++) {
		const struct member *m = &s->members[i];
		const struct quality *q = &m->standing->q;
		enum weigh_why why;

		if (ret->health[i] > 0 ||
		    (ret->why[i] != WEIGH_COOLS && ret->why[i] != WEIGH_TRIAL) ||
		    (q->cause != QUALITY_FAULT && q->cause != QUALITY_MISBEHAVED) ||
		    out_of_reach(ask, m, now, &why) ||
		    (row && refusals_shuns(row, &m->supplier->key, now)))
			continue;
		ret->health[i] = quality_awake(&m->standing->score);
	}
}

/* The block that members must be known to have: that which is asked for, or the newest that any has
 * whose link is up.  0: all may be asked. */
static uint64_t block_needed(const struct ask *ask, const struct weighed *weighed)
{
	const struct session *s = ask->session;
	uint64_t has = 0;

	for (size_t i = 0; ask->terms.newest > 0 && i < s->count; i++) {
		if (weighed->why[i] != WEIGH_DROPPED && weighed->why[i] != WEIGH_NO_LINK)
			has = MAX(has, s->members[i].has);
	}
	return MIN(ask->terms.newest, has);
}

/* Whoever does not have that block would say less than there is. */
static void pass_over(const struct ask *ask, uint64_t needed, struct weighed *ret)
{
	const struct session *s = ask->session;

	for (size_t i = 0; needed > 0 && i < s->count; i++) {
		if (s->members[i].has >= needed || ret->why[i] == WEIGH_DROPPED ||
		    ret->why[i] == WEIGH_NO_LINK)
			continue;
		ret->health[i] = 0;
		ret->why[i] = WEIGH_BEHIND;
	}
}

void quality_weigh(struct ask *ask, usec_t now, struct pick_member members[], struct weighed *ret)
{
	const struct worker *w = ask->worker;
	struct session *s = ask->session;
	usec_t reference_us = reference_of(s, now);
	const struct refusals_row *row = refusals_of(ask, s);
	uint64_t weights[SESSION_MEMBERS_MAX];
	uint16_t healths[SESSION_MEMBERS_MAX];
	uint64_t needed;

	head_look_at_lags(ask->worker, s, ask->terms.newest, now);
	for (size_t i = 0; i < s->count; i++) {
		weights[i] = s->info->members[i].weight;
		ret->health[i] =
			weigh_one(ask, &s->members[i], row, reference_us, now, &ret->why[i]);
	}
	needed = block_needed(ask, ret);
	pass_over(ask, needed, ret);
	if (!quality_is_any_well(ask, ret))
		wake(ask, row, now, ret);
	memcpy(healths, ret->health, s->count * sizeof(healths[0]));
	quality_cap(weights, healths, s->count, w->cfg->gateway.share_max);
	for (size_t i = 0; i < s->count; i++) {
		bool asked = (ask->asked >> i & 1) != 0;

		if (healths[i] < ret->health[i])
			ret->why[i] = WEIGH_CAPPED;
		if (asked)
			ret->why[i] = WEIGH_ASKED;
		ret->health[i] = asked ? 0 : healths[i];
		if (s->members[i].has < needed ||
		    (ask->terms.must_reach && head_is_behind(&s->members[i], ask->terms.below)))
			asked = true;
		members[i] = (struct pick_member){
			.weight = weights[i],
			.price = s->info->members[i].price,
			.health = healths[i],
			.asked = s->members[i].dropped || asked ||
				 (ask->terms.only && s->members[i].supplier != ask->terms.only),
		};
	}
}

void quality_note(struct ask *ask, const struct weighed *weighed, uint64_t n,
		  const struct pick *pick)
{
	const struct session *s = ask->session;
	struct pick_note note = {
		.n = n,
		.count = (uint32_t)s->count,
		.member = (uint32_t)pick->member,
		.reason = pick->reason,
	};
	size_t one = sizeof(note) + s->count * sizeof(struct pick_row);

	if (ask->picks.n >= PICKS_NOTED_MAX * one)
		return;
	buf_reserve(&ask->picks, one);
	buf_put(&ask->picks, &note, sizeof(note));
	for (size_t i = 0; i < s->count; i++) {
		struct pick_row row = {
			.weight = s->info->members[i].weight,
			.health = weighed->health[i],
			.why = weighed->why[i],
		};

		memcpy(row.supplier, s->info->members[i].key.b, sizeof(row.supplier));
		buf_put(&ask->picks, &row, sizeof(row));
	}
}

/* --- what came of it --- */

void quality_on_sent(struct relay *relay)
{
	relay->epoch = quality_begin(&relay->member->standing->q);
	relay->judged = false;
}

static void note_cooling(const struct relay *relay, const struct standing *s, usec_t now)
{
	static _Thread_local struct log_gate gate;
	uint64_t more;

	metric_add_at(METRIC_GATEWAY_COOLDOWNS, s->label, s->q.cause, 1);
	if (s->q.cause != QUALITY_THROTTLED && log_every(&gate, 1000000, &more))
		log_warn("gateway.supplier_cools",
			 "supplier=%s service=%s cause=%s rest_ms=%lld more=%llu",
			 relay->member->supplier->hex, relay->session->info->service.s,
			 quality_outcome_name(s->q.cause), (long long)(s->q.until_us - now) / 1000,
			 (unsigned long long)more);
}

static struct ask_failed *failed_of(struct ask *ask, const struct key_id *supplier)
{
	for (unsigned i = 0; i < ask->failed_count; i++) {
		if (ID_EQ(&ask->failed[i].supplier, supplier))
			return &ask->failed[i];
	}
	return NULL;
}

/* Kept until somebody answers. */
static void add_failed(const struct relay *relay, bool erred)
{
	const struct key_id *supplier = &relay->member->supplier->key;
	struct ask *ask = relay->ask;

	if (ask->failed_count < ASK_FAILED_MAX && !failed_of(ask, supplier))
		ask->failed[ask->failed_count++] = (struct ask_failed){*supplier, erred};
}

static void take_failed(const struct relay *relay)
{
	struct ask *ask = relay->ask;
	struct ask_failed *failed = failed_of(ask, &relay->member->supplier->key);

	if (failed)
		*failed = ask->failed[--ask->failed_count];
}

static void add_refusal(const struct relay *relay, const struct key_id *supplier, bool late)
{
	struct ask *ask = relay->ask;
	const struct session *s = relay->session;

	metric_add(METRIC_GATEWAY_REFUSALS, !late);
	metric_add(METRIC_GATEWAY_REFUSALS_FORGOTTEN,
		   refusals_add(s->serving->refusals, ask->method->id, target_of(ask, s->chain),
				supplier, late, clock_mono_us()));
}

/* Of these an ask remembers who they were, until somebody answers. */
static bool is_failure(enum quality_outcome outcome)
{
	return outcome == QUALITY_FAULT || outcome == QUALITY_SILENT || outcome == QUALITY_CANNOT ||
	       outcome == QUALITY_MISBEHAVED;
}

void quality_on_end(struct relay *relay, enum quality_outcome outcome)
{
	usec_t now = clock_mono_us();
	usec_t until = relay->leaf_us ? relay->leaf_us : now;
	struct standing *standing = relay->member->standing;
	enum quality_state was = standing->q.state;
	struct refusals_row *row;

	if (relay->judged)
		return;
	relay->judged = true;
	metric_add_at(METRIC_GATEWAY_OUTCOMES, standing->label, outcome, 1);
	quality_end(&standing->q, relay->epoch, outcome, relay->sent_us, until - relay->sent_us,
		    now);
	if (was != QUALITY_COOLING && standing->q.state == QUALITY_COOLING)
		note_cooling(relay, standing, now);
	if (outcome == QUALITY_ABSTAINED || outcome == QUALITY_THROTTLED)
		return;
	row = refusals_of(relay->ask, relay->session);
	if (row)
		refusals_asked(row, &relay->member->supplier->key);
	if (is_failure(outcome))
		add_failed(relay, false);
}

/* It does not have the state, or whatever else, of an old block: that is remembered, unless it is
 * so far behind that it does not have it yet. */
static void note_lack(const struct relay *relay)
{
	const struct ask *ask = relay->ask;
	struct head_state head;
	uint64_t below;

	if (ask->terms.oldest == UINT64_MAX ||
	    !head_get(relay->worker, ask->account, CHAIN_TAG_LATEST, &head) ||
	    ask->terms.oldest > head.number)
		return;
	below = head.number - ask->terms.oldest;
	if (head_is_behind(relay->member, below))
		return;
	metric_add(METRIC_GATEWAY_PRUNED, 1);
	reach_lack(&relay->member->standing->reach, ask->method->id, ask->terms.oldest, below,
		   clock_mono_us());
}

void quality_on_answer(struct relay *relay)
{
	const struct ask *ask = relay->ask;
	const struct rpc_answer *a = &ask->answer;
	struct standing *standing = relay->member->standing;
	const struct chain_error_info *info;
	enum chain_error class;

	if (relay->kind != LEAF_RPC_ERROR) {
		quality_on_end(relay, QUALITY_ANSWER);
		if (relay->denies) {
			note_lack(relay);
			add_failed(relay, true);
			return;
		}
		take_failed(relay); /* it was only late */
		if (standing->reach.n > 0 && !view_eq(a->result, VIEW_STR("null")))
			reach_serve(&standing->reach, ask->method->id, ask->terms.oldest);
		return;
	}
	class = chain_error_class(relay->session->chain, a->error_code, a->error_message,
				  a->error_data);
	info = chain_error_info(class);
	if (class == CHAIN_ERROR_MISSING && !relay->judged)
		note_lack(relay);
	switch (info->blame) {
	case CHAIN_BLAME_NONE:
		quality_on_end(relay, QUALITY_ANSWER);
		break;
	case CHAIN_BLAME_THROTTLE:
		quality_on_end(relay, QUALITY_THROTTLED);
		break;
	case CHAIN_BLAME_ERROR:
		quality_on_end(relay, QUALITY_FAULT);
		break;
	}
	if (info->next != CHAIN_NEXT_ANSWER)
		add_failed(relay, info->blame == CHAIN_BLAME_NONE);
}

void quality_on_given_up(struct relay *relay)
{
	const struct ask *ask = relay->ask;
	bool lost = ask->answered && ask->answered != relay && ask->method->effect == CHAIN_READ;

	if (relay->judged)
		return;
	quality_on_end(relay, lost ? QUALITY_LOST : QUALITY_ABSTAINED);
	if (lost)
		add_refusal(relay, &relay->member->supplier->key, true);
}

void quality_on_settled(struct ask *ask, const struct relay *answered)
{
	struct serving *serving = answered->session->serving;
	usec_t now = clock_mono_us();
	struct standing *standing;

	if (failed_of(ask, &answered->member->supplier->key))
		return; /* its answer is an error of its own: it proves nothing about the others */
	for (unsigned i = 0; i < ask->failed_count; i++) {
		const struct ask_failed *f = &ask->failed[i];

		add_refusal(answered, &f->supplier, false);
		standing = f->erred ? standing_find(serving, &f->supplier) : NULL;
		if (standing)
			quality_refused(&standing->q, now);
	}
}

void quality_on_broken_rule(struct worker *w, const struct key_id *supplier)
{
	usec_t now = clock_mono_us();
	struct serving *serving, *tmp;

	HASH_ITER (hh, w->servings, serving, tmp) {
		struct standing *s = standing_find(serving, supplier);

		if (!s)
			continue;
		metric_add_at(METRIC_GATEWAY_OUTCOMES, s->label, QUALITY_MISBEHAVED, 1);
		quality_turn(&s->q, now);
		quality_end(&s->q, quality_begin(&s->q), QUALITY_MISBEHAVED, now, 0, now);
	}
}

enum quality_outcome quality_outcome_of(enum err_code code)
{
	switch ((int)code) {
	case ERR_UPSTREAM:
		return QUALITY_FAULT;
	case ERR_DEADLINE:
	case ERR_STALLED:
		return QUALITY_SILENT;
	case ERR_NO_BACKEND:
	case ERR_LEDGER:
	case ERR_LEDGER_FULL:
	case ERR_INTERNAL:
		return QUALITY_CANNOT;
	case ERR_OVERLOAD:
	case ERR_LIMIT:
		return QUALITY_THROTTLED;
	default:
		return QUALITY_ABSTAINED; /* a session that rolls over, a lost link, money */
	}
}

const char *weigh_why_name(enum weigh_why why)
{
	switch (why) {
	case WEIGH_FULL:
		return "full";
	case WEIGH_REDUCED:
		return "reduced";
	case WEIGH_CAPPED:
		return "capped";
	case WEIGH_ASKED:
		return "asked";
	case WEIGH_DROPPED:
		return "dropped";
	case WEIGH_NO_LINK:
		return "no_link";
	case WEIGH_RESTS:
		return "rests";
	case WEIGH_BUSY:
		return "busy";
	case WEIGH_COOLS:
		return "cools";
	case WEIGH_TRIAL:
		return "trial";
	case WEIGH_BEHIND:
		return "behind";
	case WEIGH_PRUNED:
		return "pruned";
	case WEIGH_SHUNNED:
		return "shunned";
	}
	return "?";
}
