/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/upstream/upstream.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/upstream/internal.h"

#define SPARE_MAX 1024	     /* idle easy handles of one pool, about 6 KiB each */
#define EXPECT_BYTES 1000000 /* libcurl asks for leave before it sends a MiB */
#define FAILURES_TO_REST 3   /* bad answers in a row before a URL rests */

const struct upstream_limits UPSTREAM_LIMITS_DEFAULT = {
	.connect_timeout_us = 2000000,
	.idle_us = 60000000,
	.cooldown_us = 5000000,
	.connections_max = 256,
	.body_max = 16 << 20,
};

/* --- URLs --- */

static bool url_is_cooling(const struct upstream_url *url)
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
		if (!url_is_cooling(url))
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

static void call_destroy(struct upstream_call *call)
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
		call_destroy(call);
		return;
	}
	TAILQ_INSERT_HEAD(&pool->spare, call, link); /* the warmest first */
	pool->spare_n++;
}

/* Starts an attempt at call->url. */
static void call_start(struct upstream_call *call)
{
	const struct upstream_url *url = &call->pool->urls[call->url];
	usec_t left_us = call->request.deadline_us - clock_mono_us();

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
	curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)MAX((left_us + 999) / 1000, 1));
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
	return call;
}

void upstream_cancel(struct upstream_call *call)
{
	curl_multi_remove_handle(call->pool->up->multi, call->easy);
	call_give_back(call);
}

/* --- pools --- */

static bool pool_add_url(struct upstream_pool *pool, const char *text, struct err *err)
{
	struct upstream_url *url = &pool->urls[pool->urls_n];
	CURLU *parsed = curl_url();
	char *scheme = NULL, *host = NULL;
	char shown[128];
	bool ok;

	ok = curl_url_set(parsed, CURLUPART_URL, text, 0) == CURLUE_OK &&
	     curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	     curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] != '\0' &&
	     (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	upstream_url_text(text, shown, sizeof(shown));
	if (ok) {
		url->parsed = parsed; /* spares a parse for each request */
		url->text = xstrdup(shown);
		url->is_https = strcmp(scheme, "https") == 0;
		url->label = metrics_label(METRIC_LABEL_BACKEND, shown);
		metric_set_at(METRIC_UPSTREAM_UP, url->label, 0, 1);
		pool->urls_n++;
	}
	curl_free(scheme);
	curl_free(host);
	if (!ok)
		curl_url_cleanup(parsed);
	return ok || err_set(err, ERR_CONFIG, "%s is not a http or https URL", shown);
}

static void pool_set_multi(struct upstream_pool *pool)
{
	struct upstream *up = pool->up;

	up->connections_max += pool->urls_n * pool->limits.connections_max;
	up->host_connections_max =
		MAX(up->host_connections_max, (long)pool->limits.connections_max);
	curl_multi_setopt(up->multi, CURLMOPT_MAXCONNECTS, (long)up->connections_max);
	curl_multi_setopt(up->multi, CURLMOPT_MAX_HOST_CONNECTIONS, up->host_connections_max);
}

bool upstream_pool_create(struct upstream *up, const char *name, const char *const *urls,
			  size_t urls_n, const struct upstream_limits *limits,
			  struct upstream_pool **ret, struct err *err)
{
	struct upstream_pool *pool;

	if (urls_n == 0 || urls_n > UPSTREAM_URLS_MAX)
		return err_set(err, ERR_CONFIG, "service %s: %zu upstream URLs, want 1..%d", name,
			       urls_n, UPSTREAM_URLS_MAX);
	pool = xcalloc(1, sizeof(*pool));
	pool->up = up;
	up->pools++;
	pool->name = xstrdup(name);
	pool->limits = *limits;
	TAILQ_INIT(&pool->active);
	TAILQ_INIT(&pool->spare);
	pool->headers = curl_slist_append(NULL, "Content-Type: application/json");
	pool->headers_big = curl_slist_append(NULL, "Content-Type: application/json");
	pool->headers_big = curl_slist_append(pool->headers_big, "Expect:"); /* no 100-continue */
	for (size_t i = 0; i < urls_n; i++) {
		if (!pool_add_url(pool, urls[i], err)) {
			upstream_pool_destroy(pool);
			return err_prefix(err, "service %s", name);
		}
	}
	pool_set_multi(pool);
	*ret = pool;
	return true;
}

void upstream_pool_destroy(struct upstream_pool *pool)
{
	struct upstream_call *call;

	if (!pool)
		return;
	while ((call = TAILQ_FIRST(&pool->active)))
		upstream_cancel(call);
	while ((call = TAILQ_FIRST(&pool->spare))) {
		TAILQ_REMOVE(&pool->spare, call, link);
		call_destroy(call);
	}
	for (size_t i = 0; i < pool->urls_n; i++) {
		curl_url_cleanup(pool->urls[i].parsed);
		free(pool->urls[i].text);
	}
	curl_slist_free_all(pool->headers);
	curl_slist_free_all(pool->headers_big);
	pool->up->pools--;
	free(pool->name);
	free(pool);
}

size_t upstream_pool_in_flight(const struct upstream_pool *pool)
{
	return pool->in_flight;
}

bool upstream_pool_is_up(const struct upstream_pool *pool)
{
	for (size_t i = 0; i < pool->urls_n; i++)
		if (!url_is_cooling(&pool->urls[i]))
			return true;
	return false;
}
