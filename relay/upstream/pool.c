/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/upstream/upstream.h"

#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/upstream/internal.h"

const struct upstream_limits UPSTREAM_LIMITS_DEFAULT = {
	.connect_timeout_us = 2000000,
	.idle_us = 60000000,
	.stall_us = 20000000,
	.connections_max = 256,
	.requests_max = 256,
	.queue_max = 1024,
	.breaker = {.failures_max = 5,
		    .failure_percent = 50,
		    .window_us = 10000000,
		    .open_us = 1000000,
		    .open_max_us = 30000000,
		    .later_max_us = 60000000,
		    .slow_us = 1000000,
		    .trials = 3},
	.probe_interval_us = 5000000,
	.probe_timeout_us = 2000000,
	.body_max = 16 << 20,
};

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
		url->pool = pool;
		url->parsed = parsed; /* spares a parse for each request */
		url->plain = pool->limits.libcurl_only ? NULL : upstream_plain_create(pool, parsed);
		url->text = xstrdup(shown);
		url->is_https = strcmp(scheme, "https") == 0;
		url->label = metrics_label(METRIC_LABEL_BACKEND, shown);
		upstream_url_init(url);
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
	pool->limits.ca_file = pool->ca_file = limits->ca_file ? xstrdup(limits->ca_file) : NULL;
	TAILQ_INIT(&pool->asking);
	TAILQ_INIT(&pool->waiting);
	TAILQ_INIT(&pool->refused);
	TAILQ_INIT(&pool->spare);
	pool->deadline_us = INT64_MAX;
	event_assign(&pool->deadline, up->base, -1, 0, upstream_pool_on_deadline, pool);
	event_assign(&pool->wake, up->base, -1, 0, upstream_pool_on_wake, pool);
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
	event_del(&pool->deadline);
	event_del(&pool->wake);
	for (size_t i = 0; i < pool->urls_n; i++)
		upstream_watch_stop(&pool->urls[i]);
	while ((call = TAILQ_FIRST(&pool->asking)) || (call = TAILQ_FIRST(&pool->waiting)) ||
	       (call = TAILQ_FIRST(&pool->refused)))
		upstream_cancel(call);
	event_del(&pool->wake); /* room that nobody needs any more */
	while ((call = TAILQ_FIRST(&pool->spare))) {
		TAILQ_REMOVE(&pool->spare, call, link);
		upstream_call_destroy(call);
	}
	for (size_t i = 0; i < pool->urls_n; i++) {
		upstream_url_finish(&pool->urls[i]);
		upstream_plain_destroy(pool->urls[i].plain);
		curl_url_cleanup(pool->urls[i].parsed);
		free(pool->urls[i].text);
	}
	curl_slist_free_all(pool->headers);
	curl_slist_free_all(pool->headers_big);
	pool->up->pools--;
	free(pool->ca_file);
	free(pool->name);
	free(pool);
}

size_t upstream_pool_in_flight(const struct upstream_pool *pool)
{
	return pool->in_flight;
}

bool upstream_pool_is_up(const struct upstream_pool *pool)
{
	unsigned url;

	return upstream_url_pick(pool, 0, false, &url) != UPSTREAM_PICK_NONE;
}
