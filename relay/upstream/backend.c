/* SPDX-License-Identifier: Apache-2.0
 * The backends of a pool: which of them is asked next, what each attempt says of it, and what logs
 * and metrics tell about that. */
#include <assert.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/metrics.h"
#include "relay/upstream/internal.h"

/* --- what is told of a backend --- */

static bool is_used(enum breaker_state state)
{
	return state == BREAKER_CLOSED || state == BREAKER_HALF_OPEN;
}

void upstream_url_init(struct upstream_url *url)
{
	breaker_init(&url->breaker, &url->pool->limits.breaker, false);
	metric_move_at(METRIC_UPSTREAM_UP, url->label, 0, 1);
	metric_move_at(METRIC_UPSTREAM_BREAKER, url->label, url->breaker.state, 1);
}

void upstream_url_finish(struct upstream_url *url)
{
	metric_move_at(METRIC_UPSTREAM_UP, url->label, 0, -is_used(url->breaker.state));
	metric_move_at(METRIC_UPSTREAM_BREAKER, url->label, url->breaker.state, -1);
}

void upstream_url_note(struct upstream_url *url, enum breaker_state before, const char *why)
{
	enum breaker_state state = url->breaker.state;
	const char *service = url->pool->name;

	if (state == before)
		return;
	metric_move_at(METRIC_UPSTREAM_UP, url->label, 0, is_used(state) - is_used(before));
	metric_move_at(METRIC_UPSTREAM_BREAKER, url->label, before, -1);
	metric_move_at(METRIC_UPSTREAM_BREAKER, url->label, state, 1);
	switch (state) {
	case BREAKER_CLOSED:
		log_info("upstream.up", "service=%s url=%s", service, url->text);
		break;
	case BREAKER_OPEN:
		log_warn("upstream.down", "service=%s url=%s rest_ms=%lld why=\"%s\"", service,
			 url->text,
			 (long long)(url->breaker.open_until_us - clock_mono_us()) / 1000, why);
		break;
	case BREAKER_HALF_OPEN:
		log_info("upstream.trial", "service=%s url=%s", service, url->text);
		break;
	case BREAKER_BARRED:
		log_error("upstream.wrong_chain", "service=%s url=%s why=\"%s\"", service,
			  url->text, why);
		break;
	}
	upstream_watch_schedule(url);
	upstream_pool_wake(url->pool);
}

void upstream_pool_wake(struct upstream_pool *pool)
{
	if (!TAILQ_EMPTY(&pool->waiting) || !TAILQ_EMPTY(&pool->refused))
		event_active(&pool->wake, EV_TIMEOUT, 0);
}

/* --- which is asked --- */

static enum breaker_verdict url_ask(const struct upstream_url *url)
{
	enum breaker_verdict verdict = breaker_ask(&url->breaker, clock_mono_us());

	if (verdict == BREAKER_GO &&
	    (url->unproven || url->in_flight >= url->pool->limits.requests_max))
		return BREAKER_WAIT;
	return verdict;
}

enum upstream_pick upstream_url_pick(const struct upstream_pool *pool, uint32_t asked, bool careful,
				     unsigned *ret)
{
	enum upstream_pick pick = UPSTREAM_PICK_NONE;

	for (size_t i = 0; i < pool->urls_n; i++) {
		const struct upstream_url *url = &pool->urls[i];
		enum breaker_verdict verdict = asked & 1u << i ? BREAKER_NO : url_ask(url);

		if (verdict == BREAKER_GO && (!careful || url->breaker.state == BREAKER_CLOSED)) {
			*ret = (unsigned)i;
			return UPSTREAM_PICK_GO;
		}
		if (verdict != BREAKER_NO)
			pick = UPSTREAM_PICK_WAIT;
	}
	return pick == UPSTREAM_PICK_WAIT && careful ? upstream_url_pick(pool, asked, false, ret)
						     : pick;
}

unsigned upstream_urls_left(const struct upstream_pool *pool, uint32_t asked)
{
	unsigned left = 0;

	for (size_t i = 0; i < pool->urls_n; i++)
		left += !(asked & 1u << i) && url_ask(&pool->urls[i]) == BREAKER_GO;
	return left;
}

/* --- attempts --- */

void upstream_url_begin(struct upstream_call *call)
{
	struct upstream_url *url = &call->pool->urls[call->url];
	enum breaker_state before = url->breaker.state;

	metric_move_at(METRIC_UPSTREAM_IN_FLIGHT, url->label, 0, 1);
	if (call->is_probe)
		return;
	url->in_flight++;
	call->epoch = breaker_begin(&url->breaker, clock_mono_us());
	upstream_url_note(url, before, "");
}

static void url_leave(struct upstream_call *call)
{
	struct upstream_url *url = &call->pool->urls[call->url];

	metric_move_at(METRIC_UPSTREAM_IN_FLIGHT, url->label, 0, -1);
	if (call->is_probe)
		return;
	assert(url->in_flight > 0);
	url->in_flight--;
	upstream_pool_wake(call->pool);
}

void upstream_url_forget(struct upstream_call *call)
{
	url_leave(call);
	if (!call->is_probe)
		breaker_on_nothing(&call->pool->urls[call->url].breaker, call->epoch);
}

/* What an attempt says of the backend. */
static void url_judge(struct upstream_call *call, enum upstream_fault fault, bool fit)
{
	struct breaker *b = &call->pool->urls[call->url].breaker;
	usec_t now = clock_mono_us();

	switch (fault) {
	case UPSTREAM_FAULT_NONE:
		breaker_on_answer(b, call->epoch, now);
		break;
	case UPSTREAM_FAULT_SLOW:
		breaker_on_silence(b, call->epoch, call->attempt_us, now);
		break;
	case UPSTREAM_FAULT_LATER:
		breaker_on_later(b, call->epoch, call->later_us, now);
		break;
	case UPSTREAM_FAULT_STATUS: /* some give an error of the call a status of 5xx */
		if (fit)
			breaker_on_nothing(b, call->epoch);
		else
			breaker_on_failure(b, call->epoch, now);
		break;
	case UPSTREAM_FAULT_CONNECT:
	case UPSTREAM_FAULT_CUT:
	case UPSTREAM_FAULT_REDIRECT:
	case UPSTREAM_FAULT_ANSWER:
		breaker_on_failure(b, call->epoch, now);
		break;
	case UPSTREAM_FAULT_TOO_LARGE:
	case UPSTREAM_FAULT_CHAIN:
		breaker_on_nothing(b, call->epoch);
		break;
	}
}

void upstream_url_end(struct upstream_call *call, enum upstream_fault fault, bool fit,
		      const struct err *err)
{
	struct upstream_url *url = &call->pool->urls[call->url];
	enum breaker_state before = url->breaker.state;
	enum metric counter = call->is_probe ? METRIC_UPSTREAM_PROBES : METRIC_UPSTREAM_REQUESTS;

	url_leave(call);
	metric_add_at(counter, url->label, fit ? ERR_NONE : err->code, 1);
	if (fault != UPSTREAM_FAULT_NONE)
		metric_add_at(METRIC_UPSTREAM_FAULTS, url->label, fault, 1);
	if (call->is_probe) {
		url->probe_later_us = fault == UPSTREAM_FAULT_LATER ? call->later_us : 0;
		return;
	}
	metric_observe_at(METRIC_UPSTREAM_TIME, url->label, 0,
			  (uint64_t)(clock_now_us() - call->attempt_us));
	url_judge(call, fault, fit);
	upstream_url_note(url, before, fault == UPSTREAM_FAULT_NONE ? "" : err->msg);
	if (url->breaker.state == BREAKER_CLOSED && url->breaker.in_row == 1)
		upstream_watch_hurry(url);
}
