/* SPDX-License-Identifier: Apache-2.0
 * Fetching a registry file, on the follower's own thread. */
#include "session/registry/source.h"

#include <curl/curl.h>

#include "relay/base/bytes.h"
#include "relay/base/mem.h"
#include "session/registry/registry.h"

#define ETAG_MAX 128

struct fetch {
	CURL *curl;
	char *url;
	const atomic_bool *stop;
	struct buf body;
	char etag[ETAG_MAX + 1]; /* of the last whole answer; empty: none */
	char new_etag[ETAG_MAX + 1];
	char why[CURL_ERROR_SIZE];
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;

	n *= size;
	if (n > REGISTRY_FILE_MAX - f->body.n)
		return 0;
	buf_put(&f->body, p, n);
	return n;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct fetch *f = arg;
	size_t len = n * size, from = 5;

	if (len < from || strncasecmp(p, "etag:", from) != 0)
		return len;
	while (from < len && p[from] == ' ')
		from++;
	while (len > from && (p[len - 1] == '\r' || p[len - 1] == '\n' || p[len - 1] == ' '))
		len--;
	if (len - from <= ETAG_MAX) {
		memcpy(f->new_etag, p + from, len - from);
		f->new_etag[len - from] = '\0';
	}
	return n * size;
}

static int on_progress(void *arg, curl_off_t dl_all, curl_off_t dl, curl_off_t ul_all,
		       curl_off_t ul)
{
	struct fetch *f = arg;

	return atomic_load(f->stop) ? 1 : 0;
}

struct fetch *fetch_create(const char *url, const atomic_bool *stop)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	f->url = xstrdup(url);
	f->stop = stop;
	f->curl = curl_easy_init();
	if (!f->curl)
		abort(); /* only when memory is gone */
	curl_easy_setopt(f->curl, CURLOPT_URL, f->url);
	curl_easy_setopt(f->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(f->curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(f->curl, CURLOPT_TIMEOUT_MS, (long)REGISTRY_FETCH_MS);
	curl_easy_setopt(f->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(f->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(f->curl, CURLOPT_USERAGENT, "counterfoil");
	curl_easy_setopt(f->curl, CURLOPT_ERRORBUFFER, f->why);
	curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, f);
	curl_easy_setopt(f->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(f->curl, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(f->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(f->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(f->curl, CURLOPT_XFERINFODATA, f);
	return f;
}

void fetch_destroy(struct fetch *f)
{
	if (!f)
		return;
	curl_easy_cleanup(f->curl);
	buf_finish(&f->body);
	free(f->url);
	free(f);
}

static CURLcode perform(struct fetch *f)
{
	CLEANUP(xfree) char *line = NULL;
	struct curl_slist *headers = NULL;
	CURLcode rc;

	f->body.n = 0;
	f->new_etag[0] = f->why[0] = '\0';
	if (f->etag[0]) {
		line = xasprintf("If-None-Match: %s", f->etag);
		headers = curl_slist_append(NULL, line);
	}
	curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, headers);
	rc = curl_easy_perform(f->curl);
	curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return rc;
}

bool fetch_get(struct fetch *f, struct view *ret_body, bool *ret_changed, struct err *err)
{
	CURLcode rc = perform(f);
	long status = 0;

	if (rc != CURLE_OK)
		return err_set(err, ERR_REGISTRY, "registry %s: %s", f->url,
			       f->why[0] ? f->why : curl_easy_strerror(rc));
	curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 && !(status == 304 && f->etag[0]))
		return err_set(err, ERR_REGISTRY, "registry %s: HTTP status %ld", f->url, status);
	*ret_changed = status == 200;
	if (status == 200)
		memcpy(f->etag, f->new_etag, sizeof(f->etag));
	*ret_body = buf_view(&f->body);
	return true;
}
