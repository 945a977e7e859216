/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "session/registry/desk_words.h"
#include "session/registry/serve_private.h"

#define SERVE_HEADER_MAX 8192
#define SERVE_TIMEOUT_S 30

/* A file of so many seeds has 26 MB and takes half a second; at a height of 12 s it is 36 days. */
const struct registry_server_limits registry_server_limits = {
	.connections_max = 256,
	.answers_max = 256u << 20,
	.seeds_max = 262144,
	.share = 4,
	.ahead_us = 2000000,
	.body_max = 1u << 20,
	.claims_share = 2,
	.list_max = DESK_LIST_MAX,
	.claims_file_max = CLAIMS_FILE_MAX,
};

void serve_add_header(struct evhttp_request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

void serve_reply_text(struct evhttp_request *req, int status, const char *text)
{
	struct evbuffer *out = evhttp_request_get_output_buffer(req);

	evbuffer_add_printf(out, "%s\n", text);
	serve_add_header(req, "Content-Type", "text/plain; charset=utf-8");
	evhttp_send_reply(req, status, NULL, NULL);
}

static bool make_note(struct registry_server *s, height_t from, height_t to, struct buf *out,
		      struct err *err)
{
	CLEANUP(registry_export_finish) struct registry_export e = {0};

	if (!store_export(s->store, from, to, &e, err))
		return false;
	registry_export_sign(&e, s->key, out);
	return true;
}

/* Makes the current file anew when a height or an entry has been added. */
static bool refresh(struct registry_server *s, struct err *err)
{
	struct history *history;
	char etag[sizeof(s->etag)];
	uint64_t version;
	height_t last, from;

	if (!store_last_seed(s->store, &last, err) ||
	    !store_entries_version(s->store, &version, err))
		return false;
	snprintf(etag, sizeof(etag), "\"%" PRIu64 "-%" PRIu64 "\"", last, version);
	if (s->note.n > 0 && strcmp(etag, s->etag) == 0)
		return true;
	if (!store_history(s->store, &history, err))
		return false;
	from = history_seeds_from(history, last);
	history_unref(history);
	s->note.n = 0;
	if (!make_note(s, from, last + 1, &s->note, err)) {
		s->note.n = 0;
		return false;
	}
	memcpy(s->etag, etag, sizeof(etag));
	return true;
}

/* Strangers can cause it, so it is logged once a second. */
static void on_pushed(void *arg)
{
	static struct log_gate gate;
	uint64_t more;

	if (log_every(&gate, 1000000, &more))
		log_warn("registry.serve_crowded", "more=%" PRIu64, more);
}

void serve_reply_busy(struct evhttp_request *req, usec_t wait_us)
{
	char seconds[24];

	snprintf(seconds, sizeof(seconds), "%" PRId64, (int64_t)(wait_us / 1000000 + 1));
	serve_add_header(req, "Retry-After", seconds);
	serve_reply_text(req, HTTP_SERVUNAVAIL, "others have asked for much; ask again");
}

void serve_reply_note(struct registry_server *s, struct evhttp_request *req, int status,
		      const struct buf *note)
{
	if (!crowd_make_room(s->crowd, evhttp_request_get_connection(req), note->n,
			     s->limits.answers_max)) {
		serve_reply_busy(req, 0);
		return;
	}
	serve_add_header(req, "Content-Type", "text/plain; charset=utf-8");
	serve_add_header(req, "Cache-Control", "no-cache");
	evbuffer_add(evhttp_request_get_output_buffer(req), note->p, note->n);
	evhttp_send_reply(req, status, NULL, NULL);
}

static void reply_current(struct registry_server *s, struct evhttp_request *req)
{
	const char *have =
		evhttp_find_header(evhttp_request_get_input_headers(req), "If-None-Match");
	struct err err;

	if (!refresh(s, &err)) {
		log_error("registry.serve", "error=\"%s\"", err.msg);
		serve_reply_text(req, HTTP_INTERNAL, "the registry cannot be read");
		return;
	}
	serve_add_header(req, "ETag", s->etag);
	if (have && strcmp(have, s->etag) == 0)
		evhttp_send_reply(req, HTTP_NOTMODIFIED, NULL, NULL);
	else
		serve_reply_note(s, req, HTTP_OK, &s->note);
}

bool serve_query_height(const struct evkeyvalq *query, const char *name, uint64_t *ret)
{
	const char *text = evhttp_find_header(query, name);

	return text && u64_parse(text, strlen(text), ret);
}

static bool read_range(struct evhttp_request *req, const char *text, uint64_t *ret_from,
		       uint64_t *ret_to)
{
	struct evkeyvalq query;
	bool ok;

	if (evhttp_parse_query_str(text, &query) != 0) {
		serve_reply_text(req, HTTP_BADREQUEST, "the query is not well-formed");
		return false;
	}
	ok = serve_query_height(&query, "from", ret_from) &&
	     serve_query_height(&query, "to", ret_to) && *ret_from < *ret_to &&
	     *ret_to - *ret_from <= EXPORT_SEEDS_MAX;
	evhttp_clear_headers(&query);
	if (!ok)
		serve_reply_text(req, HTTP_BADREQUEST,
				 "write ?from=HEIGHT&to=HEIGHT, from < to, at most "
				 "1000000 heights");
	return ok;
}

bool serve_range_begin(struct registry_server *s, struct evhttp_request *req, const char *text,
		       uint64_t *ret_from, uint64_t *ret_to, usec_t *ret_begun)
{
	if (!read_range(req, text, ret_from, ret_to))
		return false;
	*ret_begun = clock_now_us();
	if (s->paid_us <= *ret_begun + s->limits.ahead_us)
		return true;
	serve_reply_busy(req, s->paid_us - *ret_begun - s->limits.ahead_us);
	return false;
}

void serve_range_end(struct registry_server *s, usec_t begun)
{
	s->paid_us = MAX(s->paid_us, begun) + (clock_now_us() - begun) * (usec_t)s->limits.share;
}

static bool is_too_wide(struct registry_server *s, uint64_t from, uint64_t to, height_t last)
{
	uint64_t end = MIN(to, last + 1);

	return from < end && end - from > s->limits.seeds_max;
}

static void reply_too_wide(struct registry_server *s, struct evhttp_request *req)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "more than %" PRIu64
		 " heights; `registry export` beside the registry has no limit",
		 s->limits.seeds_max);
	serve_reply_text(req, HTTP_BADREQUEST, text);
}

static void reply_range(struct registry_server *s, struct evhttp_request *req, const char *text)
{
	CLEANUP(buf_finish) struct buf note = {0};
	uint64_t from = 0, to = 0;
	usec_t begun;
	struct err err;
	height_t last;
	bool ok;

	if (!serve_range_begin(s, req, text, &from, &to, &begun))
		return;
	ok = store_last_seed(s->store, &last, &err);
	if (ok && is_too_wide(s, from, to, last)) {
		reply_too_wide(s, req);
		return;
	}
	if (ok && make_note(s, from, to, &note, &err))
		serve_reply_note(s, req, HTTP_OK, &note);
	else
		serve_reply_text(req, HTTP_INTERNAL, "the registry cannot be read");
	serve_range_end(s, begun);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct registry_server *s = arg;
	const char *target = evhttp_request_get_uri(req);

	if (strncmp(target, "/claims", 7) == 0 && serve_claims(s, req, target + 7))
		return;
	if (evhttp_request_get_command(req) == EVHTTP_REQ_POST)
		serve_reply_text(req, HTTP_BADMETHOD, "only claims are posted");
	else if (strcmp(target, "/") == 0)
		reply_current(s, req);
	else if (strncmp(target, "/?", 2) == 0)
		reply_range(s, req, target + 2);
	else
		serve_reply_text(req, HTTP_NOTFOUND, "the registry file is at /");
}

static uint16_t port_of(evutil_socket_t fd)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
		return 0;
	memcpy(&v6, &ss, sizeof(v6));
	memcpy(&v4, &ss, sizeof(v4));
	return ntohs(ss.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

bool registry_server_create(struct event_base *base, struct store *store,
			    const struct relay_key *key, const char *host, uint16_t port,
			    const struct registry_server_limits *limits,
			    struct registry_server **ret, struct err *err)
{
	CLEANUP(registry_server_destroy) struct registry_server *s = xcalloc(1, sizeof(*s));
	struct evhttp_bound_socket *bound;

	s->limits = *limits;
	s->store = store;
	s->key = key;
	s->http = evhttp_new(base);
	if (!s->http)
		return err_set(err, ERR_IO, "no HTTP server");
	s->crowd = crowd_create(base, s->http, limits->connections_max, on_pushed, NULL);
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
	evhttp_set_max_headers_size(s->http, SERVE_HEADER_MAX);
	evhttp_set_max_body_size(s->http, (ev_ssize_t)limits->body_max);
	evhttp_set_timeout(s->http, SERVE_TIMEOUT_S);
	evhttp_set_gencb(s->http, on_request, s);
	errno = 0;
	bound = evhttp_bind_socket_with_handle(s->http, host, port);
	if (!bound)
		return err_set(err, ERR_IO, "cannot listen on %s:%u: %s", host, port,
			       errno ? strerror(errno) : "not an address");
	s->port = port_of(evhttp_bound_socket_get_fd(bound));
	*ret = STEAL(s);
	return true;
}

void registry_server_destroy(struct registry_server *s)
{
	if (!s)
		return;
	if (s->http)
		evhttp_free(s->http);
	crowd_destroy(s->crowd);
	buf_finish(&s->note);
	free(s);
}

uint16_t registry_server_port(const struct registry_server *s)
{
	return s->port;
}
