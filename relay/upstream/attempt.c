/* SPDX-License-Identifier: Apache-2.0
 * One request from upstream_fetch() to its end: attempts at one URL after another, the deadline
 * over all of them, and what an answer or a failure says of its URL. */
#include <assert.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/upstream/internal.h"

#define SPARE_MAX 1024	   /* idle easy handles of one pool, about 6 KiB each */
#define FAILURES_TO_REST 3 /* bad answers in a row before a URL rests */

/* --- URLs --- */

bool upstream_url_is_cooling(const struct upstream_url *url)
{
	return url->cool_until_us > clock_mono_us();
}

static void url_on_success(struct upstream_pool *pool, struct upstream_url *url)
{
	metric_add_at(METRIC_UPSTREAM_REQUESTS, url->label, ERR_NONE, 1);
	url->failures = 0;
	url->cool_until_us = 0;
	if (url->is_down) {
		url->is_down = false;
		metric_set_at(METRIC_UPSTREAM_UP, url->label, 0, 1);
		log_info("upstream.up", "service=%s url=%s", pool->name, url->text);
	}
}

/* hard: it could not be reached, which one try shows; else its answer was bad. */
static void url_on_failure(struct upstream_pool *pool, struct upstream_url *url, bool hard,
			   const struct err *why)
{
	metric_add_at(METRIC_UPSTREAM_REQUESTS, url->label, why->code, 1);
	url->failures++;
	if (!hard && url->failures < FAILURES_TO_REST)
		return;
	url->cool_until_us = clock_mono_us() + pool->limits.cooldown_us;
	if (!url->is_down) {
		url->is_down = true;
		metric_set_at(METRIC_UPSTREAM_UP, url->label, 0, 0);
		log_warn("upstream.down", "service=%s url=%s why=\"%s\"", pool->name, url->text,
			 why->msg);
	}
}

/* The URL to ask next, or -1: the first that does not rest, else the one that has rested longest.
 */
static int url_pick(const struct upstream_pool *pool, uint32_t asked)
{
	int best = -1;

	for (size_t i = 0; i < pool->urls_n; i++) {
		const struct upstream_url *url = &pool->urls[i];

		if (asked & 1u << i)
			continue;
		if (!upstream_url_is_cooling(url))
			return (int)i;
		if (best < 0 || url->cool_until_us < pool->urls[best].cool_until_us)
			best = (int)i;
	}
	return best;
}

/* --- calls --- */

bool upstream_call_expect(struct upstream_call *call, uint64_t length)
{
	if (length > call->pool->limits.body_max) {
		call->too_large = true;
		return false;
	}
	buf_reserve(&call->body, call->request.headroom + (size_t)length);
	return true;
}

bool upstream_call_body(struct upstream_call *call, struct view data)
{
	size_t headroom = call->request.headroom;

	if (call->body.n == 0) {
		buf_reserve(&call->body, headroom + data.n);
		call->body.n = headroom;
	}
	if (data.n > call->pool->limits.body_max - (call->body.n - headroom)) {
		call->too_large = true;
		return false;
	}
	buf_put(&call->body, data.p, data.n);
	return true;
}

static struct upstream_call *call_take(struct upstream_pool *pool)
{
	struct upstream_call *call = TAILQ_FIRST(&pool->spare);

	if (call) {
		TAILQ_REMOVE(&pool->spare, call, link);
		pool->spare_n--;
	} else {
		call = xcalloc(1, sizeof(*call));
		call->pool = pool;
		call->url_set = -1;
	}
	TAILQ_INSERT_TAIL(&pool->active, call, link);
	pool->in_flight++;
	metric_move(METRIC_UPSTREAM_IN_FLIGHT, 1);
	return call;
}

void upstream_call_destroy(struct upstream_call *call)
{
	if (call->easy)
		curl_easy_cleanup(call->easy);
	buf_finish(&call->body);
	free(call);
}

static void call_give_back(struct upstream_call *call)
{
	struct upstream_pool *pool = call->pool;

	TAILQ_REMOVE(&pool->active, call, link);
	pool->in_flight--;
	metric_move(METRIC_UPSTREAM_IN_FLIGHT, -1);
	buf_finish(&call->body);
	if (pool->spare_n >= SPARE_MAX) {
		upstream_call_destroy(call);
		return;
	}
	TAILQ_INSERT_HEAD(&pool->spare, call, link); /* the warmest first */
	pool->spare_n++;
}

/* Starts an attempt at call->url. */
static void call_start(struct upstream_call *call)
{
	call->asked |= 1u << call->url;
	call->too_large = false;
	call->body.n = 0;
	if (call->pool->urls[call->url].plain)
		upstream_plain_start(call);
	else
		upstream_curl_start(call);
}

static void call_abort(struct upstream_call *call)
{
	if (call->pool->urls[call->url].plain)
		upstream_plain_abort(call);
	else
		upstream_curl_abort(call);
}

static void call_end(struct upstream_call *call, struct upstream_result *result,
		     const struct err *err)
{
	struct upstream_request request = call->request;

	metric_observe(METRIC_UPSTREAM_TIME, (uint64_t)(clock_now_us() - call->start_us));
	request.done(request.arg, result, err);
	if (result)
		buf_finish(&result->body);
	call_give_back(call);
}

/* Asks the next URL if the request may be sent again; false: this attempt was the last. */
static bool call_retry(struct upstream_call *call, bool sent)
{
	int next = url_pick(call->pool, call->asked);

	if (next < 0 || (sent && !call->request.idempotent) ||
	    call->request.deadline_us <= clock_mono_us())
		return false;
	call->url = (unsigned)next;
	call_start(call);
	return true;
}

/* --- deadlines: one timer for all calls, since libcurl's own costs each of them --- */

static void deadline_arm(struct upstream_pool *pool, usec_t at_us)
{
	usec_t left = MAX(at_us - clock_mono_us(), (usec_t)0);
	struct timeval tv = {left / 1000000, left % 1000000};

	pool->deadline_us = at_us;
	evtimer_add(&pool->deadline, &tv);
}

static void call_expire(struct upstream_call *call)
{
	struct upstream_url *url = &call->pool->urls[call->url];
	struct err err;

	call_abort(call);
	err_set(&err, ERR_DEADLINE, "%s did not answer in time", url->text);
	url_on_failure(call->pool, url, false, &err);
	call_end(call, NULL, &err);
}

/* The first call whose deadline has passed, or NULL and the earliest deadline of all. */
static struct upstream_call *deadline_find(struct upstream_pool *pool, usec_t *ret_earliest)
{
	struct upstream_call *call;
	usec_t now = clock_mono_us();

	*ret_earliest = INT64_MAX;
	TAILQ_FOREACH (call, &pool->active, link) {
		if (call->request.deadline_us <= now)
			return call;
		*ret_earliest = MIN(*ret_earliest, call->request.deadline_us);
	}
	return NULL;
}

void upstream_pool_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct upstream_pool *pool = arg;
	struct upstream_call *call;
	usec_t earliest;

	clock_tick();
	pool->deadline_us = INT64_MAX;
	while ((call = deadline_find(pool, &earliest)))
		call_expire(call); /* its callback may change the list */
	if (earliest < pool->deadline_us)
		deadline_arm(pool, earliest);
}

static bool status_is_temporary(int status)
{
	return status >= 500 || status == 408 || status == 429;
}

/* Is there a way on for an answer that this URL would better not have given? */
static bool call_could_retry(const struct upstream_call *call)
{
	return call->request.idempotent && url_pick(call->pool, call->asked) >= 0 &&
	       call->request.deadline_us > clock_mono_us();
}

static bool call_is_fit(struct upstream_call *call, const struct upstream_result *result,
			struct err *err)
{
	bool temporary = status_is_temporary(result->status);

	if (temporary && (!call->request.check || call_could_retry(call)))
		return err_set(err, ERR_UPSTREAM, "HTTP status %d", result->status);
	return !call->request.check || call->request.check(call->request.arg, result, err);
}

void upstream_call_on_answer(struct upstream_call *call, int status, struct view type)
{
	struct upstream_pool *pool = call->pool;
	struct upstream_url *url = &pool->urls[call->url];
	struct upstream_result result = {.headroom = call->request.headroom,
					 .url_index = call->url};
	struct err err;

	if (call->body.n == 0) {
		buf_reserve(&call->body, call->request.headroom);
		call->body.n = call->request.headroom;
	}
	result.status = status;
	result.content_type = type;
	result.latency_us = clock_now_us() - call->start_us;
	result.body = call->body;
	if (!call_is_fit(call, &result, &err)) {
		url_on_failure(pool, url, status_is_temporary(status), &err);
		if (!call_retry(call, true))
			call_end(call, NULL, &err);
		return;
	}
	url_on_success(pool, url);
	call->body = (struct buf){0};
	call_end(call, &result, NULL);
}

void upstream_call_on_failure(struct upstream_call *call, bool sent, const char *why)
{
	struct upstream_pool *pool = call->pool;
	struct upstream_url *url = &pool->urls[call->url];
	struct err err;

	if (call->too_large) {
		err_set(&err, ERR_UPSTREAM_TOO_LARGE, "more than %zu bytes", pool->limits.body_max);
		metric_add_at(METRIC_UPSTREAM_REQUESTS, url->label, err.code, 1);
		call_end(call, NULL, &err);
		return;
	}
	if (call->request.deadline_us <= clock_mono_us())
		err_set(&err, ERR_DEADLINE, "%s did not answer in time", url->text);
	else
		err_set(&err, ERR_UPSTREAM, "%s: %s", url->text, why);
	url_on_failure(pool, url, err.code == ERR_UPSTREAM, &err);
	if (!call_retry(call, sent))
		call_end(call, NULL, &err);
}

struct upstream_call *upstream_fetch(struct upstream_pool *pool,
				     const struct upstream_request *request)
{
	struct upstream_call *call = call_take(pool);

	assert(request->done);
	call->request = *request;
	call->asked = 0;
	call->start_us = clock_mono_us();
	call->url = (unsigned)url_pick(pool, 0);
	call_start(call);
	if (request->deadline_us < pool->deadline_us)
		deadline_arm(pool, request->deadline_us);
	return call;
}

void upstream_cancel(struct upstream_call *call)
{
	call_abort(call);
	call_give_back(call);
}
