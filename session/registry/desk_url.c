/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/desk_url.h"

#include <inttypes.h>
#include <stdatomic.h>

#include <curl/curl.h>

#include "relay/base/mem.h"
#include "session/registry/desk_words.h"

#define CONNECT_MS 5000

struct desk_url {
	CURL *curl;
	char *url; /* ends with a slash */
	struct key_id pinned;
	atomic_bool stop;
	struct buf answer;
	char why[CURL_ERROR_SIZE];
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct desk_url *d = arg;

	n *= size;
	if (n > DESK_ANSWER_MAX - d->answer.n)
		return 0;
	buf_put(&d->answer, p, n);
	return n;
}

static int on_progress(void *arg, curl_off_t dl_all, curl_off_t dl, curl_off_t ul_all,
		       curl_off_t ul)
{
	struct desk_url *d = arg;

	return atomic_load(&d->stop) ? 1 : 0;
}

struct desk_url *desk_url_create(const char *url, const struct key_id *pinned)
{
	struct desk_url *d = xcalloc(1, sizeof(*d));
	size_t n = strlen(url);

	while (n > 0 && url[n - 1] == '/')
		n--;
	d->url = xasprintf("%.*s/", (int)n, url);
	d->pinned = *pinned;
	d->curl = curl_easy_init();
	if (!d->curl)
		abort(); /* only when memory is gone */
	curl_easy_setopt(d->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(d->curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(d->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(d->curl, CURLOPT_TIMEOUT_MS, (long)DESK_TIMEOUT_MS);
	curl_easy_setopt(d->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(d->curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(d->curl, CURLOPT_USERAGENT, "counterfoil");
	curl_easy_setopt(d->curl, CURLOPT_ERRORBUFFER, d->why);
	curl_easy_setopt(d->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(d->curl, CURLOPT_WRITEDATA, d);
	curl_easy_setopt(d->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(d->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(d->curl, CURLOPT_XFERINFODATA, d);
	return d;
}

void desk_url_destroy(struct desk_url *d)
{
	if (!d)
		return;
	curl_easy_cleanup(d->curl);
	buf_finish(&d->answer);
	free(d->url);
	free(d);
}

void desk_url_stop(struct desk_url *d)
{
	atomic_store(&d->stop, true);
}

static CURLcode perform(struct desk_url *d, const char *path, const struct buf *body)
{
	CLEANUP(xfree) char *url = xasprintf("%s%s", d->url, path);
	struct curl_slist *headers = NULL;
	CURLcode rc;

	d->answer.n = 0;
	d->why[0] = '\0';
	curl_easy_setopt(d->curl, CURLOPT_URL, url);
	if (body) {
		headers = curl_slist_append(headers, "Content-Type: application/octet-stream");
		headers = curl_slist_append(headers, "Expect:");
		curl_easy_setopt(d->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(d->curl, CURLOPT_POSTFIELDS, (const char *)body->p);
		curl_easy_setopt(d->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->n);
	} else {
		curl_easy_setopt(d->curl, CURLOPT_HTTPGET, 1L);
	}
	curl_easy_setopt(d->curl, CURLOPT_HTTPHEADER, headers);
	rc = curl_easy_perform(d->curl);
	curl_easy_setopt(d->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	return rc;
}

/* Asks; the answer is in d->answer.  What it says is signed, so of its status no more than that
 * there is one is believed. */
static bool ask(struct desk_url *d, const char *path, const struct buf *body, struct err *err)
{
	CURLcode rc;
	long status = 0;

	if (atomic_load(&d->stop))
		return err_set(err, ERR_REGISTRY, "registry %s: stopped", d->url);
	rc = perform(d, path, body);
	if (rc != CURLE_OK)
		return err_set(err, ERR_REGISTRY, "registry %s: %s", d->url,
			       d->why[0] ? d->why : curl_easy_strerror(rc));
	curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 && status != 409)
		return err_set(err, ERR_REGISTRY, "registry %s: HTTP status %ld", d->url, status);
	return true;
}

bool desk_url_claim(struct desk_url *d, const struct claim *c, const struct signature *sig,
		    struct view records, struct desk_claim *ret, struct err *err)
{
	CLEANUP(buf_finish) struct buf body = {0};
	struct claim_id id;

	claim_id_of(c, &id);
	desk_put_claim(c, sig, records, &body);
	return ask(d, "claims", &body, err) &&
	       desk_read_state(buf_view(&d->answer), &d->pinned, &id, ret, err);
}

bool desk_url_prove(struct desk_url *d, const struct claim_id *id, struct view proof,
		    const struct signature *sig, struct desk_claim *ret, struct err *err)
{
	CLEANUP(buf_finish) struct buf body = {0};
	char path[96], hex[65];

	snprintf(path, sizeof(path), "claims/%s/proof", hex_encode(id->b, sizeof(id->b), hex));
	desk_put_proof(proof, sig, &body);
	return ask(d, path, &body, err) &&
	       desk_read_state(buf_view(&d->answer), &d->pinned, id, ret, err);
}

bool desk_url_look(struct desk_url *d, const struct claim_id *id, struct desk_claim *ret,
		   struct err *err)
{
	char path[96], hex[65];

	snprintf(path, sizeof(path), "claims/%s", hex_encode(id->b, sizeof(id->b), hex));
	return ask(d, path, NULL, err) &&
	       desk_read_state(buf_view(&d->answer), &d->pinned, id, ret, err);
}

bool desk_url_list(struct desk_url *d, const struct key_id *supplier, height_t since,
		   desk_claim_fn *fn, void *arg, struct err *err)
{
	struct desk_claim last = {.recorded = 0};
	bool more = true, stopped = false;
	char path[320], hex[65], id[65];

	hex_encode(supplier->b, sizeof(supplier->b), hex);
	while (more && !stopped) {
		snprintf(path, sizeof(path),
			 "claims?supplier=%s&since=%" PRIu64 "&recorded=%" PRIu64 "&id=%s", hex,
			 since, last.recorded, hex_encode(last.id.b, sizeof(last.id.b), id));
		if (!ask(d, path, NULL, err) ||
		    !desk_read_list(buf_view(&d->answer), &d->pinned, supplier, since, fn, arg,
				    &last, &more, &stopped, err))
			return false;
	}
	return true;
}

bool desk_url_records(struct desk_url *d, const struct desk_claim *state, struct buf *ret,
		      struct err *err)
{
	CLEANUP(claims_file_finish) struct claims_file file = {0};
	char path[96];

	snprintf(path, sizeof(path), "claims.note?from=%" PRIu64 "&to=%" PRIu64, state->recorded,
		 state->recorded + 1);
	if (!ask(d, path, NULL, err))
		return false;
	if (!claims_file_parse(buf_view(&d->answer), &d->pinned, &file, err)) {
		err->code = ERR_REGISTRY;
		return false;
	}
	for (size_t i = 0; i < file.n; i++)
		if (ID_EQ(&file.v[i].id, &state->id))
			buf_put(ret, file.v[i].records.p, file.v[i].records.n);
	return true;
}
