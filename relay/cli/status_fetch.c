/* SPDX-License-Identifier: Apache-2.0
 * Fetching status pages. */
#include <string.h>

#include <curl/curl.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/cli/status.h"
#include "relay/cli/status_pages.h"

#define FETCH_MS 5000L
#define PAGE_MAX (8u << 20)

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct buf *page = arg;

	if (page->n + size * n > PAGE_MAX)
		return 0;
	buf_put(page, data, size * n);
	return size * n;
}

/* An easy handle for the address; NULL when there is no memory. */
static CURL *make_request(const char *admin, struct buf *page, char error[CURL_ERROR_SIZE])
{
	bool local = strncmp(admin, "unix:", 5) == 0;
	CLEANUP(xfree)
	char *url = xasprintf("http://%s" STATUS_PAGE_PATH, local ? "localhost" : admin);
	CURL *curl = curl_easy_init();

	if (curl == NULL)
		return NULL;
	error[0] = 0;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	if (local)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, admin + 5);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, FETCH_MS);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, page);
	return curl;
}

void status_fetch(struct status_source *source)
{
	CLEANUP(buf_finish) struct buf page = {0};
	char error[CURL_ERROR_SIZE];
	CURL *curl = make_request(source->admin, &page, error);
	CURLcode code = curl != NULL ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
	json_error_t where;
	json_t *json;

	curl_easy_cleanup(curl);
	if (code != CURLE_OK) {
		err_set(&source->why, ERR_IO, "%s",
			curl != NULL && error[0] ? error : curl_easy_strerror(code));
		return;
	}
	json = json_loadb((const char *)page.p, page.n, 0, &where);
	if (!json_is_object(json)) {
		json_decref(json);
		err_set(&source->why, ERR_FORMAT, "this is no status page");
		return;
	}
	source->why = (struct err){.code = ERR_NONE};
	json_decref(source->before);
	source->before = source->page;
	source->before_us = source->at_us;
	source->page = json;
	source->at_us = clock_now_us();
}

void status_source_finish(struct status_source *source)
{
	json_decref(source->page);
	json_decref(source->before);
	source->page = source->before = NULL;
}

double status_rate(const struct status_source *source, const char *counter)
{
	json_int_t now = json_integer_value(json_object_get(source->page, counter));
	json_int_t then = json_integer_value(json_object_get(source->before, counter));
	usec_t span = source->at_us - source->before_us;

	if (source->before == NULL || span <= 0 || now < then)
		return 0;
	return (double)(now - then) * 1e6 / (double)span;
}
