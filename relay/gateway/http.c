/* SPDX-License-Identifier: Apache-2.0
 * The HTTP face ([G1]): paths, bodies, limits.  evhttp parses; nothing else here knows it but
 * answer.c and receipts.c. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" /* bit-fields of an enum */
#include <event2/http_struct.h>		    /* the version of a request */
#pragma GCC diagnostic pop

#include "relay/base/log.h"
#include "relay/gateway/door.h"
#include "relay/gateway/internal.h"
#include "relay/gateway/quick.h"

#define BACKLOG 1024
#define BODY_SLACK (1 << 20)
/* Bytes that the kernel holds for a client that does not read; it would take some megabytes. */
#define UNSENT_MAX (128 << 10)

/* While a call is on its way evhttp would stop to read, and begin again with the answer: two system
 * calls, and a client that leaves is not seen.  So reading goes on, without evhttp being told of
 * it; client.c bounds what is taken. */
void http_read_on(struct evhttp_request *http)
{
	struct bufferevent *bev =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(http));
	bufferevent_data_cb on_read, on_write;
	bufferevent_event_cb on_event;
	void *arg;

	bufferevent_getcb(bev, &on_read, &on_write, &on_event, &arg);
	bufferevent_setcb(bev, NULL, on_write, on_event, arg);
	bufferevent_enable(bev, EV_READ);
}

void http_lost(struct evhttp_request *http)
{
	if (!evhttp_request_get_connection(http))
		evhttp_request_free(http); /* evhttp has left it to us */
}

static struct bufferevent *bev_of(struct evhttp_request *http)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(http));
}

/* evhttp would write in a turn of the loop of its own, when the socket is said to be writable.  It
 * nearly always is: so write now.  True: all is out, and evhttp waits for no event. */
static bool write_now(struct bufferevent *bev)
{
	struct evbuffer *out = bufferevent_get_output(bev);

	evbuffer_unfreeze(out, 1);
	if (evbuffer_write(out, bufferevent_getfd(bev)) < 0 && errno != EAGAIN)
		errno = 0; /* the loop will find out in its turn */
	evbuffer_freeze(out, 1);
	if (evbuffer_get_length(out) > 0)
		return false;
	bufferevent_disable(bev, EV_WRITE);
	return true;
}

void http_reply(struct evhttp_request *http, int status, const char *text, struct evbuffer *body)
{
	struct bufferevent *bev = bev_of(http);

	evhttp_send_reply(http, status, text, body);
	if (write_now(bev))
		bufferevent_trigger(bev, EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS);
}

/* --- answers in pieces --- */

/* HTTP/1.0 knows no chunks: there the end of the connection is the end of the answer. */
static bool is_chunked(const struct evhttp_request *http)
{
	return http->major > 1 || (http->major == 1 && http->minor >= 1);
}

void http_begin(struct evhttp_request *http, int status, const char *text)
{
	if (!is_chunked(http)) {
		evhttp_remove_header(evhttp_request_get_input_headers(http), "Connection");
		evhttp_add_header(evhttp_request_get_output_headers(http), "Connection", "close");
	}
	evhttp_send_reply_start(http, status, text);
}

void http_more(struct evhttp_request *http, struct evbuffer *more,
	       void (*on_drained)(struct evhttp_connection *, void *), void *arg)
{
	evhttp_send_reply_chunk_with_cb(http, more, on_drained, arg);
	write_now(bev_of(http));
}

void http_end(struct evhttp_request *http)
{
	struct bufferevent *bev = bev_of(http);
	bool chunked = is_chunked(http);

	evhttp_send_reply_end(http);
	/* Without chunks evhttp is done at once when all is out. */
	if (chunked && write_now(bev))
		bufferevent_trigger(bev, EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS);
}

void http_cut(struct evhttp_request *http)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	/* Resets the connection, which an end could be taken for the answer's (connect(2)). */
	if (!is_chunked(http))
		(void)!connect(bufferevent_getfd(bev_of(http)), &nobody, sizeof(nobody));
}

size_t http_waiting(struct evhttp_request *http)
{
	return evbuffer_get_length(bufferevent_get_output(bev_of(http)));
}

bool http_is_plain(struct evhttp_request *http)
{
	struct bufferevent *bev = bev_of(http);

	return http->major == 1 && http->minor == 1 &&
	       !evhttp_find_header(evhttp_request_get_input_headers(http), "Connection") &&
	       evbuffer_get_length(bufferevent_get_output(bev)) == 0;
}

void http_reply_plain(struct evhttp_request *http, const struct iovec parts[2])
{
	struct bufferevent *bev = bev_of(http);
	struct msghdr msg = {.msg_iov = (struct iovec *)parts, .msg_iovlen = 2};
	ssize_t n = sendmsg(bufferevent_getfd(bev), &msg, MSG_NOSIGNAL);
	size_t sent = n > 0 ? (size_t)n : 0;

	for (int i = 0; i < 2; i++) { /* what is left; of an error the loop hears in its turn */
		size_t skip = MIN(sent, parts[i].iov_len);

		evbuffer_add(bufferevent_get_output(bev), (char *)parts[i].iov_base + skip,
			     parts[i].iov_len - skip);
		sent -= skip;
	}
	if (evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		bufferevent_enable(bev, EV_WRITE);
	evhttp_send_reply_end(http); /* begun by none of its own: now, or when all is out */
}

/* A client that wants no answer but its own says so as to any cache (RFC 9111 5.2.1). */
static bool wants_fresh(struct evhttp_request *http)
{
	const char *wish =
		evhttp_find_header(evhttp_request_get_input_headers(http), "Cache-Control");

	return wish && (strcasestr(wish, "no-cache") || strcasestr(wish, "no-store"));
}

/* --- paths --- */

/* The account of "/", "/<service>" or "/<service>/<token>" ([G1]). */
struct account *http_route(struct worker *w, const char *path, struct err *err)
{
	const struct gateway *g = w->gateway;
	const struct key_id *application = &w->cfg->gateway.application.id;
	const struct service_name *service = &g->service;
	unsigned known = HASH_COUNT(w->accounts);
	const char *name = path + 1, *slash;
	struct account *account;

	if (path[0] == '/' && *name != '\0') {
		slash = strchrnul(name, '/');
		service = shared_service(g, VIEW(name, (size_t)(slash - name)));
		if (service && *slash == '/')
			application = tokens_find(g->tokens, VIEW_STR(slash + 1));
	}
	if (path[0] != '/' || !service || !application) {
		err_set(err, ERR_NOT_FOUND, "%s", err_info(ERR_NOT_FOUND)->text);
		return NULL;
	}
	if (service == &g->service && application == &w->cfg->gateway.application.id)
		return w->main_account;
	account = account_get(w, application, service, err);
	if (HASH_COUNT(w->accounts) > known)
		record_account(w, account);
	return account;
}

/* A body that is no call, or passes a limit: each reason is logged once a second. */
static void refuse_body(struct worker *w, struct evhttp_request *http, unsigned label, size_t calls,
			const struct err *err)
{
	static _Thread_local struct log_gate gates[ERR_COUNT];
	uint64_t more;

	metric_add_at(METRIC_GATEWAY_CALLS, label, err->code, calls);
	if (log_every(&gates[err->code], 1000000, &more))
		log_info("gateway.body_refused", "reason=%s more=%llu", err_info(err->code)->name,
			 (unsigned long long)more);
	answer_error(w, http, err);
}

static void on_post(struct worker *w, struct client *client, struct evhttp_request *http,
		    const char *path)
{
	struct rpc_limits limits = {
		.depth_max = w->cfg->gateway.depth_max,
		.batch_max = w->cfg->gateway.batch_max,
	};
	struct evbuffer *in = evhttp_request_get_input_buffer(http);
	size_t n = evbuffer_get_length(in);
	struct account *account;
	struct rpc_request rpc;
	struct err err = {0};

	account = http_route(w, path, &err);
	if (!account) {
		answer_error(w, http, &err);
		return;
	}
	metric_add(METRIC_GATEWAY_REQUEST, n);
	if (n > w->cfg->gateway.body_max) {
		err_set(&err, ERR_BODY_TOO_LARGE, "%s", err_info(ERR_BODY_TOO_LARGE)->text);
		refuse_body(w, http, account->label, 1, &err);
		return;
	}
	if (!rpc_request_scan(VIEW(evbuffer_pullup(in, -1), n), &limits, &rpc, &err)) {
		refuse_body(w, http, account->label, 1, &err);
		return;
	}
	if (!client_take_calls(client, rpc.count)) {
		err_set(&err, ERR_OVERLOAD, "gateway.in_flight_per_address_max is reached");
		refuse_body(w, http, account->label, rpc.count, &err);
		rpc_request_finish(&rpc);
		return;
	}
	request_begin(
		&(struct request_params){
			.worker = w,
			.client = client,
			.http = http,
			.account = account,
			.body = VIEW(evbuffer_pullup(in, -1), n),
			.fresh = wants_fresh(http),
			.debug = debug_is_wanted(w, http),
		},
		&rpc);
}

/* Two lengths of one body (RFC 9112 6.3): evhttp takes the first, and a proxy in front of us may
 * have taken the other. */
static bool has_two_lengths(struct evhttp_request *http)
{
	const struct evkeyval *header;
	unsigned n = 0;

	TAILQ_FOREACH (header, evhttp_request_get_input_headers(http), next)
		n += (header->key[0] | 0x20) == 'c' &&
		     strcasecmp(header->key, "Content-Length") == 0;
	return n > 1;
}

static void on_request(struct evhttp_request *http, void *arg)
{
	struct worker *w = arg;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	enum evhttp_cmd_type verb = evhttp_request_get_command(http);
	static const char receipts[] = "/.counterfoil/receipts/";
	struct client *client;
	struct err err;

	clock_tick();
	metric_add(METRIC_GATEWAY_REQUESTS, 1);
	if (!path || path[0] == '\0')
		path = "/";
	if (has_two_lengths(http)) {
		evhttp_send_error(http, HTTP_BADREQUEST, NULL); /* and the connection ends */
		return;
	}
	client = door_client(w->door, http);
	client_serve(client, http);
	if (verb == EVHTTP_REQ_OPTIONS) {
		answer_cors(w, http);
		evhttp_send_reply(http, 204, "No Content", NULL);
	} else if (verb == EVHTTP_REQ_GET && strncmp(path, receipts, sizeof(receipts) - 1) == 0) {
		receipts_get(w, http, path + sizeof(receipts) - 1, evhttp_uri_get_query(uri));
	} else if (verb == EVHTTP_REQ_POST) {
		on_post(w, client, http, path);
	} else {
		evhttp_add_header(evhttp_request_get_output_headers(http), "Allow",
				  "POST, OPTIONS");
		err_set(&err, ERR_HTTP_METHOD, "%s; calls come by POST",
			err_info(ERR_HTTP_METHOD)->text);
		answer_error(w, http, &err);
	}
}

/* --- listening --- */

static int bind_socket(const struct sockaddr *address, socklen_t n, struct err *err)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, unsent = UNSENT_MAX;

	if (fd < 0) {
		err_set(err, ERR_IO, "socket: %s", strerror(errno));
		return -1;
	}
	if (address->sa_family != AF_UNIX) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	}
	if (bind(fd, address, n) != 0 || listen(fd, BACKLOG) != 0) {
		err_set(err, ERR_IO, "%s", strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int listen_unix(const char *path, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;

	if (strlen(path) >= sizeof(address.sun_path)) {
		err_set(err, ERR_CONFIG, "the path is too long for a socket");
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path); /* left behind by a program that was killed */
	return bind_socket((struct sockaddr *)&address, sizeof(address), err);
}

/* There is one socket at a path: all workers accept from the first one's.  The copies are closed
 * together with the loops that watch them. */
static int open_unix(const struct worker *w, const char *path, struct err *err)
{
	int fd;

	if (w->id == 0)
		return listen_unix(path, err);
	fd = fcntl(evconnlistener_get_fd(w->gateway->workers[0]->listener), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		err_set(err, ERR_IO, "%s", strerror(errno));
	return fd;
}

/* Another process on the same port would share it by SO_REUSEPORT without a word. */
static bool port_is_free(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	bool is_free;

	if (fd < 0)
		return true; /* the real one will tell */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	is_free = bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, 1) == 0;
	close(fd);
	return is_free;
}

static int listen_tcp(struct worker *w, const struct config_address *address, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	char port[8];
	int fd = -1, failed;

	snprintf(port, sizeof(port), "%u", w->id == 0 ? address->port : w->gateway->port);
	failed = getaddrinfo(address->host, port, &hints, &found);
	if (failed != 0) {
		err_set(err, ERR_CONFIG, "%s", gai_strerror(failed));
		return -1;
	}
	if (w->id == 0 && address->port != 0 && !port_is_free(found))
		err_set(err, ERR_IO, "%s", strerror(EADDRINUSE));
	else
		fd = bind_socket(found->ai_addr, found->ai_addrlen, err);
	freeaddrinfo(found);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t n = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &n) != 0)
		return 0;
	if (ss.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&ss)->sin_port);
	return ss.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&ss)->sin6_port) : 0;
}

/* Longest body that is read. */
static size_t read_max(const struct config *cfg)
{
	return 2 * cfg->gateway.body_max + BODY_SLACK;
}

struct house *http_house(const struct config *cfg)
{
	const struct house_limits limits = {
		.connections_max = cfg->gateway.connections_max,
		.connections_per_address_max = cfg->gateway.connections_per_address_max,
		.calls_per_address_max = cfg->gateway.in_flight_per_address_max,
		.request_bytes_max = cfg->gateway.request_bytes_max,
		.answer_bytes_max = cfg->gateway.answer_bytes_max,
		/* the body with the chunk lines or the head of what stands before and after it */
		.request_max = read_max(cfg) + cfg->gateway.header_max + CLIENT_FREE_BYTES,
		.head_max = cfg->gateway.header_max,
		.head_lines_max = cfg->gateway.header_lines_max,
		.request_timeout_us = cfg->gateway.request_timeout,
		.idle_timeout_us = cfg->gateway.idle_timeout,
		.send_timeout_us = cfg->gateway.send_timeout,
	};

	return house_create(&limits);
}

bool http_open(struct worker *w, struct err *err)
{
	const struct config_address *address = &w->cfg->gateway.listen;
	int fd = address->unix_path ? open_unix(w, address->unix_path, err)
				    : listen_tcp(w, address, err);

	if (fd < 0)
		return err_prefix(err, "gateway.listen %s", address->text);
	if (w->id == 0) {
		w->gateway->port = port_of(fd);
	}
	w->http = evhttp_new(w->base);
	w->listener = evconnlistener_new(w->base, NULL, NULL,
					 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!w->http || !w->listener || !evhttp_bind_listener(w->http, w->listener))
		return err_set(err, ERR_IO, "gateway.listen %s: no listener", address->text);
	w->door = door_create(w->base, w->http, w->listener, w->gateway->house);
	door_set_shortcut(w->door, quick_answer, w);
	evhttp_set_max_headers_size(w->http, (ev_ssize_t)w->cfg->gateway.header_max);
	/* Bodies that are somewhat too large are read, so that they get a JSON-RPC error; at the
	 * others evhttp answers 413 by itself, before it has read them. */
	evhttp_set_max_body_size(w->http, (ev_ssize_t)read_max(w->cfg));
	evhttp_set_allowed_methods(w->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
						    EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
						    EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
	evhttp_set_default_content_type(w->http, NULL);
	evhttp_set_gencb(w->http, on_request, w);
	return true;
}

void http_stop(struct worker *w)
{
	door_close(w->door);
	if (!w->listener)
		return;
	/* Who comes now is refused at once, and does not wait for nobody. */
	if (shutdown(evconnlistener_get_fd(w->listener), SHUT_RDWR) != 0)
		log_warn("gateway.listener", "worker=%u error=\"%s\"", w->id, strerror(errno));
}

void http_finish(struct worker *w)
{
	struct request *r, *next;

	for (r = TAILQ_FIRST(&w->requests); r; r = next) {
		next = TAILQ_NEXT(r, all);
		client_on_gone(r->client, NULL, NULL);
		client_give_calls(r->client);
		for (size_t i = 0; i < r->count; i++)
			call_abandon(&r->calls[i]);
		request_destroy(r);
	}
	if (w->door) {
		door_close(w->door);
		door_empty(w->door);
	}
	if (w->http)
		evhttp_free(w->http); /* its listener too */
	door_destroy(w->door);
	w->door = NULL;
	w->http = NULL;
	w->listener = NULL;
}
