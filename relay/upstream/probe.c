/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/upstream/upstream.h"

#include <assert.h>
#include <stdio.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/rpc/envelope.h"

struct asking {
	struct event_base *base;
	struct upstream_result result;
	struct err err;
	bool ok;
};

static void asking_on_done(void *arg, struct upstream_result *result, const struct err *err)
{
	struct asking *asking = arg;

	asking->ok = result != NULL;
	if (result) {
		asking->result = *result;
		result->body = (struct buf){0};
	} else {
		asking->err = *err;
	}
	event_base_loopbreak(asking->base);
}

static bool ask_on(struct event_base *base, const char *url, const char *ca_file, struct view body,
		   usec_t timeout_us, struct asking *asking, struct err *err)
{
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct upstream *up = NULL;
	struct upstream_pool *pool = NULL;
	struct upstream_request request = {.body = body, .done = asking_on_done, .arg = asking};
	bool ok;

	limits.ca_file = ca_file;
	if (!upstream_create(base, &up, err))
		return false;
	ok = upstream_pool_create(up, "probe", &url, 1, &limits, &pool, err);
	if (ok) {
		clock_tick();
		request.deadline_us = clock_mono_us() + timeout_us;
		upstream_fetch(pool, &request);
		event_base_dispatch(base);
	}
	upstream_pool_destroy(pool);
	upstream_destroy(up);
	return ok;
}

bool upstream_ask(const char *url, const char *ca_file, struct view body, usec_t timeout_us,
		  struct buf *ret_body, struct err *err)
{
	struct asking asking = {.base = event_base_new()};
	bool ok;

	if (!asking.base)
		return err_set(err, ERR_INTERNAL, "libevent gives no base");
	ok = ask_on(asking.base, url, ca_file, body, timeout_us, &asking, err);
	event_base_free(asking.base);
	if (!ok)
		return false;
	if (!asking.ok) {
		*err = asking.err;
		return false;
	}
	if (asking.result.status != 200) {
		buf_finish(&asking.result.body);
		return err_set(err, ERR_UPSTREAM, "HTTP status %d", asking.result.status);
	}
	*ret_body = asking.result.body;
	return true;
}

/* --- a survey: one pool a URL, all asked at once --- */

struct surveyor {
	struct event_base *base;
	const struct chain *chain;
	size_t waiting;
};

struct surveyed {
	struct surveyor *surveyor;
	struct upstream_pool *pool;
	struct upstream_survey *ret;
};

static void surveyed_on_done(void *arg, struct upstream_result *result, const struct err *err)
{
	struct surveyed *one = arg;
	struct upstream_survey *ret = one->ret;
	struct rpc_answer answer = {0};

	if (result)
		ret->answered = rpc_answer_scan(buf_view(&result->body), &answer, &ret->why);
	else
		ret->why = *err;
	if (ret->answered && answer.result.n > 0)
		ret->has_id = chain_probe_id(one->surveyor->chain, answer.result, &ret->chain_id);
	if (--one->surveyor->waiting == 0)
		event_base_loopbreak(one->surveyor->base);
}

static void survey_compare(struct upstream_survey *all, size_t n)
{
	const struct upstream_survey *first = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!all[i].has_id)
			continue;
		first = first ? first : &all[i];
		all[i].is_foreign = all[i].chain_id != first->chain_id;
	}
}

static bool survey_ask(struct upstream *up, struct surveyor *surveyor, const char *const *urls,
		       struct surveyed *all, size_t n, const struct upstream_limits *limits,
		       struct err *err)
{
	struct upstream_request request = {.body = chain_probe_call(surveyor->chain),
					   .idempotent = true,
					   .done = surveyed_on_done};

	clock_tick();
	request.deadline_us = clock_mono_us() + limits->probe_timeout_us;
	for (size_t i = 0; i < n; i++)
		if (!upstream_pool_create(up, "probe", &urls[i], 1, limits, &all[i].pool, err))
			return false;
	for (size_t i = 0; i < n; i++) {
		request.arg = &all[i];
		surveyor->waiting++;
		upstream_fetch(all[i].pool, &request);
	}
	event_base_dispatch(surveyor->base);
	return true;
}

bool upstream_survey(const char *const *urls, size_t urls_n, const struct chain *chain,
		     const char *ca_file, usec_t timeout_us, struct upstream_survey *ret,
		     struct err *err)
{
	struct surveyor surveyor = {.base = event_base_new(), .chain = chain};
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	struct surveyed all[UPSTREAM_URLS_MAX] = {0};
	struct upstream *up = NULL;
	bool ok;

	assert(urls_n <= UPSTREAM_URLS_MAX);
	limits.ca_file = ca_file;
	limits.probe_timeout_us = timeout_us;
	if (!surveyor.base)
		return err_set(err, ERR_INTERNAL, "libevent gives no base");
	for (size_t i = 0; i < urls_n; i++) {
		ret[i] = (struct upstream_survey){0};
		all[i] = (struct surveyed){.surveyor = &surveyor, .ret = &ret[i]};
	}
	ok = upstream_create(surveyor.base, &up, err) &&
	     survey_ask(up, &surveyor, urls, all, urls_n, &limits, err);
	for (size_t i = 0; i < urls_n; i++)
		upstream_pool_destroy(all[i].pool);
	upstream_destroy(up);
	event_base_free(surveyor.base);
	if (ok)
		survey_compare(ret, urls_n);
	return ok;
}

char *upstream_url_text(const char *url, char *dst, size_t n)
{
	CURLU *parsed = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL;

	if (curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		curl_url_get(parsed, CURLUPART_PORT, &port, 0);
		snprintf(dst, n, "%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : "");
	} else {
		snprintf(dst, n, "(no URL)"); /* it may hold a password: never shown */
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parsed);
	return dst;
}
