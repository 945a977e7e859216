/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/quality.h"

#include "relay/base/log.h"
#include "relay/gateway/internal.h"

#define JUDGE_US 50000	    /* a score is this old at most */
#define REFERENCE_US 250000 /* what latencies are measured against is this old at most */

struct standing *quality_standing(struct worker *w, const struct service_name *service,
				  const struct key_id *supplier)
{
	const struct config *cfg = w->cfg;
	const struct quality_limits limits = {
		.window_us = cfg->gateway.quality_window,
		.cooldown_us = cfg->gateway.cooldown_min,
		.cooldown_max_us = MAX(cfg->gateway.cooldown_max, cfg->gateway.cooldown_min),
	};
	struct standing *s = standing_ref(serving_get(&w->servings, service, &limits), supplier,
					  clock_mono_us());

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

void quality_weigh(const struct ask *ask, usec_t now, struct pick_member members[])
{
	const struct worker *w = ask->worker;
	struct session *s = ask->session;
	usec_t reference_us = reference_of(s, now);
	uint16_t healths[SESSION_MEMBERS_MAX];
	uint64_t weights[SESSION_MEMBERS_MAX];

	for (size_t i = 0; i < s->count; i++) {
		const struct member *m = &s->members[i];

		weights[i] = s->info->members[i].weight;
		healths[i] = member_is_ready(m) && !m->dropped
				     ? standing_score(m->standing, reference_us, now)->health
				     : 0;
	}
	quality_cap(weights, healths, s->count, w->cfg->gateway.share_max);
	for (size_t i = 0; i < s->count; i++) {
		members[i] = (struct pick_member){
			.weight = weights[i],
			.price = s->info->members[i].price,
			.health = healths[i],
			.asked = s->members[i].dropped || (ask->asked >> i & 1) != 0,
		};
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

void quality_on_end(struct relay *relay, enum quality_outcome outcome)
{
	usec_t now = clock_mono_us();
	usec_t until = relay->leaf_us ? relay->leaf_us : now;
	struct standing *standing = relay->member->standing;
	enum quality_state was;

	if (relay->judged)
		return;
	relay->judged = true;
	metric_add_at(METRIC_GATEWAY_OUTCOMES, standing->label, outcome, 1);
	was = standing->q.state;
	quality_end(&standing->q, relay->epoch, outcome, relay->sent_us, until - relay->sent_us,
		    now);
	if (was != QUALITY_COOLING && standing->q.state == QUALITY_COOLING)
		note_cooling(relay, standing, now);
}

/* What an RPC error says of whoever gave it. */
static enum quality_outcome outcome_of_error(const struct relay *relay)
{
	const struct rpc_answer *a = &relay->ask->answer;
	enum chain_error class = chain_error_class(relay->session->chain, a->error_code,
						   a->error_message, a->error_data);

	switch (chain_error_info(class)->blame) {
	case CHAIN_BLAME_NONE:
		return QUALITY_ANSWER;
	case CHAIN_BLAME_THROTTLE:
		return QUALITY_THROTTLED;
	case CHAIN_BLAME_ERROR:
		return QUALITY_FAULT;
	}
	return QUALITY_ANSWER;
}

void quality_on_answer(struct relay *relay)
{
	if (relay->kind == LEAF_RPC_ERROR)
		quality_on_end(relay, outcome_of_error(relay));
	else
		quality_on_end(relay, QUALITY_ANSWER);
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
