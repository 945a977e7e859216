/* SPDX-License-Identifier: Apache-2.0
 * Probes: every backend is asked from time to time which chain it is of, by a call that costs it
 * next to nothing.  So a backend is known to be well before the first request after a rest, and one
 * that was pointed at another chain gets none. */
#include <assert.h>
#include <inttypes.h>

#include "relay/base/clock.h"
#include "relay/base/metrics.h"
#include "relay/rpc/envelope.h"
#include "relay/upstream/internal.h"

static void probe_on_done(void *arg, struct upstream_result *result, const struct err *err);

/* An answer to the probe's call; an RPC error is one too: it lives. */
static bool probe_check(void *arg, const struct upstream_result *result, struct err *err)
{
	struct rpc_answer answer;

	return rpc_answer_scan(VIEW(result->body.p, result->body.n), &answer, err);
}

static void probe_on_due(evutil_socket_t fd, short what, void *arg)
{
	struct upstream_url *url = arg;
	struct upstream_request request = {
		.body = chain_probe_call(url->pool->chain),
		.idempotent = true,
		.check = probe_check,
		.done = probe_on_done,
		.arg = url,
	};

	clock_tick();
	request.deadline_us = clock_mono_us() + url->pool->limits.probe_timeout_us;
	url->probe = upstream_probe_start(url, &request);
}

static void watch_arm(struct upstream_url *url, usec_t in_us)
{
	struct timeval tv = {in_us / 1000000, in_us % 1000000};

	url->probe_at_us = clock_mono_us() + in_us;
	evtimer_add(&url->probe_due, &tv);
}

void upstream_watch_schedule(struct upstream_url *url)
{
	const struct upstream_limits *limits = &url->pool->limits;

	if (!url->pool->chain || url->probe)
		return;
	if (url->breaker.state == BREAKER_OPEN)
		watch_arm(url, MAX(url->breaker.open_until_us - clock_mono_us(), (usec_t)0));
	else if (url->breaker.state == BREAKER_CLOSED && url->breaker.in_row > 0)
		watch_arm(url, MIN(limits->probe_interval_us, limits->breaker.open_us));
	else
		watch_arm(url, limits->probe_interval_us);
}

void upstream_watch_hurry(struct upstream_url *url)
{
	usec_t in_us = url->pool->limits.breaker.open_us;

	if (url->pool->chain && !url->probe && clock_mono_us() + in_us < url->probe_at_us)
		watch_arm(url, in_us);
}

void upstream_watch_stop(struct upstream_url *url)
{
	if (url->pool->chain)
		event_del(&url->probe_due);
	url->probe = NULL; /* the pool drops it with its other calls */
}

/* Which chain it says it is of; false with *err when that is another than its siblings'. */
static bool chain_is_right(struct upstream_url *url, const struct upstream_result *result,
			   struct err *err)
{
	struct upstream_pool *pool = url->pool;
	struct rpc_answer answer;
	uint64_t id;

	if (!rpc_answer_scan(VIEW(result->body.p, result->body.n), &answer, err) ||
	    answer.result.n == 0 || !chain_probe_id(pool->chain, answer.result, &id))
		return true; /* it does not say */
	if (!pool->has_chain_id) {
		pool->has_chain_id = true;
		pool->chain_id = id;
	}
	return id == pool->chain_id ||
	       err_set(err, ERR_UPSTREAM,
		       "it is of chain %" PRIu64 ", not of %" PRIu64 " as its siblings", id,
		       pool->chain_id);
}

static void probe_on_done(void *arg, struct upstream_result *result, const struct err *err)
{
	struct upstream_url *url = arg;
	struct breaker *b = &url->breaker;
	enum breaker_state before = b->state;
	struct err why = err ? *err : (struct err){0};

	url->probe = NULL;
	if (result && !chain_is_right(url, result, &why)) {
		metric_add_at(METRIC_UPSTREAM_FAULTS, url->label, UPSTREAM_FAULT_CHAIN, 1);
		breaker_bar(b);
	} else if (!result && url->unproven) {
		breaker_trip(b, clock_mono_us());
	} else {
		breaker_on_probe(b, result != NULL, url->probe_later_us, clock_mono_us());
	}
	url->unproven = false;
	upstream_url_note(url, before, why.msg);
	upstream_watch_schedule(url);
	upstream_pool_wake(url->pool);
}

void upstream_pool_watch(struct upstream_pool *pool, const struct chain *chain)
{
	assert(!pool->chain);
	pool->chain = chain;
	for (size_t i = 0; i < pool->urls_n; i++) {
		struct upstream_url *url = &pool->urls[i];

		url->breaker.probed = true;
		url->unproven = true;
		event_assign(&url->probe_due, pool->up->base, -1, 0, probe_on_due, url);
		event_active(&url->probe_due, EV_TIMEOUT, 0);
	}
}
