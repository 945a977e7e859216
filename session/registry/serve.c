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

#define SERVE_HEADER_MAX 8192
#define SERVE_BODY_MAX 1024
#define SERVE_TIMEOUT_S 30

struct registry_server {
	struct evhttp *http;
	struct store *store;
	const struct relay_key *key;
	uint16_t port;
	char etag[64];	 /* of `note`: what it was made from */
	struct buf note; /* the current file */
};

static void add_header(struct evhttp_request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static void reply_text(struct evhttp_request *req, int status, const char *text)
{
	struct evbuffer *out = evhttp_request_get_output_buffer(req);

	evbuffer_add_printf(out, "%s\n", text);
	add_header(req, "Content-Type", "text/plain; charset=utf-8");
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

static void reply_note(struct evhttp_request *req, const struct buf *note)
{
	add_header(req, "Content-Type", "text/plain; charset=utf-8");
	add_header(req, "Cache-Control", "no-cache");
	evbuffer_add(evhttp_request_get_output_buffer(req), note->p, note->n);
	evhttp_send_reply(req, HTTP_OK, NULL, NULL);
}

static void reply_current(struct registry_server *s, struct evhttp_request *req)
{
	const char *have =
		evhttp_find_header(evhttp_request_get_input_headers(req), "If-None-Match");
	struct err err;

	if (!refresh(s, &err)) {
		log_error("registry.serve", "error=\"%s\"", err.msg);
		reply_text(req, HTTP_INTERNAL, "the registry cannot be read");
		return;
	}
	add_header(req, "ETag", s->etag);
	if (have && strcmp(have, s->etag) == 0)
		evhttp_send_reply(req, HTTP_NOTMODIFIED, NULL, NULL);
	else
		reply_note(req, &s->note);
}

static bool query_height(const struct evkeyvalq *query, const char *name, uint64_t *ret)
{
	const char *text = evhttp_find_header(query, name);

	return text && u64_parse(text, strlen(text), ret);
}

static void reply_range(struct registry_server *s, struct evhttp_request *req, const char *text)
{
	CLEANUP(buf_finish) struct buf note = {0};
	struct evkeyvalq query;
	uint64_t from = 0, to = 0;
	struct err err;
	bool ok;

	if (evhttp_parse_query_str(text, &query) != 0) {
		reply_text(req, HTTP_BADREQUEST, "the query is not well-formed");
		return;
	}
	ok = query_height(&query, "from", &from) && query_height(&query, "to", &to) && from < to &&
	     to - from <= EXPORT_SEEDS_MAX;
	evhttp_clear_headers(&query);
	if (!ok)
		reply_text(req, HTTP_BADREQUEST,
			   "write ?from=HEIGHT&to=HEIGHT, from < to, at most "
			   "1000000 heights");
	else if (!make_note(s, from, to, &note, &err))
		reply_text(req, HTTP_INTERNAL, "the registry cannot be read");
	else
		reply_note(req, &note);
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct registry_server *s = arg;
	const char *target = evhttp_request_get_uri(req);

	if (strcmp(target, "/") == 0)
		reply_current(s, req);
	else if (strncmp(target, "/?", 2) == 0)
		reply_range(s, req, target + 2);
	else
		reply_text(req, HTTP_NOTFOUND, "the registry file is at /");
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
			    struct registry_server **ret, struct err *err)
{
	CLEANUP(registry_server_destroy) struct registry_server *s = xcalloc(1, sizeof(*s));
	struct evhttp_bound_socket *bound;

	s->store = store;
	s->key = key;
	s->http = evhttp_new(base);
	if (!s->http)
		return err_set(err, ERR_IO, "no HTTP server");
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(s->http, SERVE_HEADER_MAX);
	evhttp_set_max_body_size(s->http, SERVE_BODY_MAX);
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
	buf_finish(&s->note);
	free(s);
}

uint16_t registry_server_port(const struct registry_server *s)
{
	return s->port;
}
