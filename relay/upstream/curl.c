/* SPDX-License-Identifier: Apache-2.0
 * The transport for everything but plain.c's: TLS, HTTP/2, host names, credentials; by libcurl. */
#include <assert.h>

#include "relay/upstream/internal.h"

#define EXPECT_BYTES 1000000 /* libcurl asks for leave before it sends a MiB */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct upstream_call *call = arg;
	curl_off_t length = -1;

	assert(size == 1);
	if (call->paused) {
		call->held = true; /* libcurl gives the same bytes again */
		return CURL_WRITEFUNC_PAUSE;
	}
	if (call->got == 0) {
		long status = 0;

		curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
		call->status = (int)status;
		curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		if (length > 0 && !upstream_call_expect(call, (uint64_t)length))
			return 0;
	}
	return upstream_call_body(call, VIEW(p, n)) ? n : 0;
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
	if (pool->limits.ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, pool->limits.ca_file);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	return easy;
}

void upstream_curl_start(struct upstream_call *call)
{
	const struct upstream_url *url = &call->pool->urls[call->url];

	if (!call->easy)
		call->easy = easy_create(call->pool, call);
	if (call->url_set != (int)call->url) {
		curl_easy_setopt(call->easy, CURLOPT_CURLU, url->parsed);
		/* One HTTP/2 connection takes all; without it HTTP/1.1 opens as many as it needs.
		 */
		curl_easy_setopt(call->easy, CURLOPT_PIPEWAIT, url->is_https ? 1L : 0L);
		call->url_set = (int)call->url;
	}
	/* On a kept connection that turns out to be dead libcurl sends again by itself. */
	curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, call->request.idempotent ? 0L : 1L);
	curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, call->request.idempotent ? 0L : 1L);
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER,
			 call->request.body.n < EXPECT_BYTES ? call->pool->headers
							     : call->pool->headers_big);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->request.body.n);
	curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, (const char *)call->request.body.p);
	curl_multi_add_handle(call->pool->up->multi, call->easy);
}

static void forget_resumed(struct upstream_call *call)
{
	if (call->resuming)
		TAILQ_REMOVE(&call->pool->up->resumed, call, resumed);
	call->resuming = false;
}

void upstream_curl_resume(struct upstream_call *call)
{
	if (!call->held || call->resuming)
		return;
	call->resuming = true;
	TAILQ_INSERT_TAIL(&call->pool->up->resumed, call, resumed);
	upstream_kick(call->pool->up);
}

bool upstream_curl_abort(struct upstream_call *call)
{
	long sent = 0;

	forget_resumed(call);
	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
	curl_multi_remove_handle(call->pool->up->multi, call->easy);
	return sent > 0;
}

void upstream_curl_on_end(struct upstream_call *call, CURLcode code)
{
	const char *type = NULL;
	long status = 0, sent = 0;
	curl_off_t later_s = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
	curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &later_s);
	call->later_us = (usec_t)MIN(later_s, (curl_off_t)UPSTREAM_RETRY_AFTER_S) * 1000000;
	forget_resumed(call);
	curl_multi_remove_handle(call->pool->up->multi, call->easy);
	call->too_large |= code == CURLE_FILESIZE_EXCEEDED;
	if (code == CURLE_OK)
		upstream_call_on_answer(call, (int)status,
					type ? VIEW_STR(type) : (struct view){0});
	else
		upstream_call_on_failure(call, sent > 0, curl_easy_strerror(code));
}
