/* SPDX-License-Identifier: Apache-2.0
 * Whom an ask turns to next, for how long, and what a failed attempt says about its supplier. */
#include "relay/base/log.h"
#include "relay/gateway/internal.h"

uint64_t attempt_bit(const struct ask *ask, const struct member *member)
{
	return (uint64_t)1 << (member - ask->session->members);
}

bool attempt_pick(struct ask *ask, struct member **ret, bool *ret_hope)
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

usec_t attempt_until(const struct ask *ask)
{
	const struct worker *w = ask->worker;
	usec_t until = clock_mono_us() + w->attempt_us;

	if (ask->method->effect == CHAIN_WRITE ||
	    ask->attempts_made + 1 >= w->cfg->gateway.attempts || until >= ask->deadline_us)
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

void attempt_is_bad(struct relay *relay, const struct err *why)
{
	log_warn("gateway.bad_answer", "supplier=%s \"%s\"", relay->member->supplier->hex,
		 why->msg);
	quality_on_end(relay, QUALITY_MISBEHAVED);
}

bool attempt_cannot_yet(enum err_code code)
{
	return code == ERR_SHUTDOWN || code == ERR_UNPAID || code == ERR_SESSION_OVER;
}

void attempt_forgive(struct ask *ask, const struct member *member, enum err_code code)
{
	if (!attempt_cannot_yet(code))
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
