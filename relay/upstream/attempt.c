/* SPDX-License-Identifier: Apache-2.0
 * One request from upstream_fetch() to its end: attempts at one URL after another, the deadline
 * over all of them, and what an answer or a failure says of its URL. */
#include <assert.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/upstream/internal.h"

#define SPARE_MAX 1024	     /* idle easy handles of one pool, about 6 KiB each */
#define EXPECT_BYTES 1000000 /* libcurl asks for leave before it sends a MiB */
#define FAILURES_TO_REST 3   /* bad answers in a row before a URL rests */

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

static size_t call_on_body(char *p, size_t size, size_t n, void *arg)
{
	struct upstream_call *call = arg;
	size_t headroom = call->request.headroom, max = call->pool->limits.body_max;
	curl_off_t length = -1;

	assert(size == 1);
	if (call->body.n == 0) {
		curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		if (length < (curl_off_t)n || length > (curl_off_t)max)
			length = (curl_off_t)n;
		buf_reserve(&call->body, headroom + (size_t)length);
		call->body.n = headroom;
	}
	if (n > max - (call->body.n - headroom)) {
		call->too_large = true;
		return 0;
	}
	buf_put(&call->body, p, n);
	return n;
}

static CURL *easy_create(struct upstream_pool *pool, struct upstream_call *call)
{
	CURL *easy = curl_easy_init();

	assert(easy);
	upstream_sock_setopt(pool->up, easy);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");    /* nor one of the environment, */
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* which is not even looked at */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)pool->limits.body_max);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(pool->limits.connect_timeout_us / 1000));
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)(pool->limits.idle_us / 1000000));
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, call_on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	return easy;
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
		call->easy = easy_create(pool, call);
		call->url_set = -1;
	}
	TAILQ_INSERT_TAIL(&pool->active, call, link);
	pool->in_flight++;
	metric_move(METRIC_UPSTREAM_IN_FLIGHT, 1);
	return call;
}

void upstream_call_destroy(struct upstream_call *call)
{
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
	const struct upstream_url *url = &call->pool->urls[call->url];

	call->asked |= 1u << call->url;
	call->too_large = false;
	call->body.n = 0;
	if (call->url_set != (int)call->url) {
		curl_easy_setopt(call->easy, CURLOPT_CURLU, url->parsed);
		/* One HTTP/2 connection takes all; without it HTTP/1.1 opens as many as it needs.
		 */
		curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, url->is_https ? 1L : 0L);
		call->url_set = (int)call->url;
	}
	/* On a kept connection that turns out to be dead libcurl sends again by itself. */
	curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, call->request.idempotent ? 0L : 1L);
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER,
			 call->request.body.n < EXPECT_BYTES ? call->pool->headers
							     : call->pool->headers_big);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->request.body.n);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, (const char *)call->request.body.p);
	curl_multi_add_handle(call->pool->up->multi, call->easy);
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

static bool call_was_sent(const struct upstream_call *call)
{
	long sent = 0;

	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent > 0;
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

	curl_multi_remove_handle(call->pool->up->multi, call->easy);
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

static void call_on_answer(struct upstream_call *call)
{
	struct upstream_pool *pool = call->pool;
	struct upstream_url *url = &pool->urls[call->url];
	struct upstream_result result = {.headroom = call->request.headroom,
					 .url_index = call->url};
	const char *type = NULL;
	long status = 0;
	struct err err;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
	if (call->body.n == 0) {
		buf_reserve(&call->body, call->request.headroom);
		call->body.n = call->request.headroom;
	}
	result.status = (int)status;
	result.content_type = type ? VIEW_STR(type) : (struct view){0};
	result.latency_us = clock_now_us() - call->start_us;
	result.body = call->body;
	if (!call_is_fit(call, &result, &err)) {
		url_on_failure(pool, url, status_is_temporary((int)status), &err);
		if (!call_retry(call, true))
			call_end(call, NULL, &err);
		return;
	}
	url_on_success(pool, url);
	call->body = (struct buf){0};
	call_end(call, &result, NULL);
}

static void call_on_failure(struct upstream_call *call, CURLcode code)
{
	struct upstream_pool *pool = call->pool;
	struct upstream_url *url = &pool->urls[call->url];
	struct err err;

	if (call->too_large || code == CURLE_FILESIZE_EXCEEDED) {
		err_set(&err, ERR_UPSTREAM_TOO_LARGE, "more than %zu bytes", pool->limits.body_max);
		metric_add_at(METRIC_UPSTREAM_REQUESTS, url->label, err.code, 1);
		call_end(call, NULL, &err);
		return;
	}
	if (call->request.deadline_us <= clock_mono_us())
		err_set(&err, ERR_DEADLINE, "%s did not answer in time", url->text);
	else
		err_set(&err, ERR_UPSTREAM, "%s: %s", url->text, curl_easy_strerror(code));
	url_on_failure(pool, url, err.code == ERR_UPSTREAM, &err);
	if (!call_retry(call, call_was_sent(call)))
		call_end(call, NULL, &err);
}

void upstream_call_on_end(struct upstream_call *call, CURLcode code)
{
	curl_multi_remove_handle(call->pool->up->multi, call->easy);
	if (code == CURLE_OK)
		call_on_answer(call);
	else
		call_on_failure(call, code);
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
	curl_multi_remove_handle(call->pool->up->multi, call->easy);
	call_give_back(call);
}
