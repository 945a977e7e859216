/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/upstream/upstream.h"

#include <inttypes.h>
#include <stdio.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <jansson.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"

#define CHAIN_ID_CALL "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\",\"params\":[]}"

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

bool upstream_probe_chain_id(const char *url, const char *ca_file, usec_t timeout_us,
			     uint64_t *ret_chain_id, struct err *err)
{
	CLEANUP(buf_finish) struct buf body = {0};
	const char *text;
	json_t *json;
	char *end = NULL;
	uint64_t id = 0;
	bool ok = false;

	if (!upstream_ask(url, ca_file, VIEW_STR(CHAIN_ID_CALL), timeout_us, &body, err))
		return false;
	json = json_loadb((const char *)body.p, body.n, 0, NULL);
	text = json_string_value(json_object_get(json, "result"));
	if (text && text[0] == '0' && text[1] == 'x' && text[2] != '\0') {
		id = strtoull(text + 2, &end, 16);
		ok = *end == '\0' && strlen(text) <= 18;
	}
	json_decref(json);
	if (!ok)
		return err_set(err, ERR_UPSTREAM, "the answer to eth_chainId is not one");
	*ret_chain_id = id;
	return true;
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
