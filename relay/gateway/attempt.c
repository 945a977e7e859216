/* SPDX-License-Identifier: Apache-2.0
 * Whom an ask turns to next, for how long, and what a failed attempt says about its supplier. */
#include "relay/gateway/internal.h"

uint64_t attempt_bit(const struct ask *ask, const struct member *member)
{
	return (uint64_t)1 << (member - ask->session->members);
}

static uint16_t member_health(const struct member *m, usec_t now)
{
	return member_is_ready(m) && m->supplier->cool_until_us <= now ? PICK_HEALTHY : 0;
}

bool attempt_pick(struct ask *ask, struct member **ret, bool *ret_hope)
{
	struct worker *w = ask->worker;
	struct session *s = ask->session;
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
			.asked = m->dropped || (ask->asked >> i & 1) != 0,
		};
	}
	while (pick_member(&s->info->id, &w->self.id, w->id, s->n++, PICK_BY_STAKE, members,
			   s->count, &pick, &err)) {
		struct member *m = &s->members[pick.member];

		if (member_is_ready(m)) {
			ask->asked |= (uint64_t)1 << pick.member;
			*ret = m;
			return true;
		}
		members[pick.member].asked = true; /* for now */
		*ret_hope = true;
	}
	return false;
}

usec_t attempt_until(const struct ask *ask)
{
	const struct worker *w = ask->worker;
	usec_t until = clock_mono_us() + w->attempt_us;

	if (ask->method->effect == CHAIN_WRITE ||
	    ask->attempts_made + 1 >= w->cfg->gateway.attempts || until >= ask->deadline_us)
		return 0;
	return until;
}

void attempt_judge(struct member *member, enum err_code code)
{
	struct supplier *supplier = member->supplier;
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

void attempt_forgive(struct ask *ask, const struct member *member, enum err_code code)
{
	if (code != ERR_SHUTDOWN && code != ERR_UNPAID)
		return;
	ask->asked &= ~attempt_bit(ask, member);
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

bool attempt_may_follow(const struct ask *ask, enum err_code code)
{
	return err_info(code)->retry &&
	       (ask->method->effect == CHAIN_READ || refused_before_backend(code)) &&
	       ask->attempts_made < ask->worker->cfg->gateway.attempts &&
	       clock_mono_us() < ask->deadline_us;
}
