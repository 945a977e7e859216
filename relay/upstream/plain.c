/* SPDX-License-Identifier: Apache-2.0
 * The transport for backends beside us: HTTP/1.1 over TCP to a numeric address, where
 * libcurl would be the larger part of a relay's cost.  A kept connection costs one send and one
 * recv a request, and no epoll_ctl.  TLS, HTTP/2, names and credentials are curl.c's. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/upstream/http1.h"
#include "relay/upstream/internal.h"

#define READ_BYTES 65536

/* PLAIN_CONNECTING -> PLAIN_BUSY <-> PLAIN_IDLE; each may be closed. */
enum plain_state {
	PLAIN_CONNECTING, /* plain->busy; has a call */
	PLAIN_BUSY,	  /* plain->busy; has a call */
	PLAIN_IDLE,	  /* plain->idle */
};

struct plain_conn {
	TAILQ_ENTRY(plain_conn) link;
	struct plain *plain;
	struct upstream_call *call;
	struct event on_read;  /* stays with epoll as long as the connection lives */
	struct event on_write; /* while connecting, or when a request did not fit */
	struct event on_slow;  /* the connection takes too long */
	enum plain_state state;
	int fd;
	bool reused;	/* its request is not the first */
	bool answered;	/* bytes of the answer have come */
	usec_t idle_us; /* since when */
	int error;	/* of connect() */
	size_t total;	/* bytes of the request */
	size_t sent;
	bool has_head;
	struct http1_head head;
	struct http1_chunks chunks;
	uint64_t left; /* of a body with a length */
	struct buf in; /* a head or chunk line that is not whole yet */
};

TAILQ_HEAD(plain_conns, plain_conn);

/* One URL. */
struct plain {
	struct upstream_pool *pool;
	struct sockaddr_storage sa;
	socklen_t sa_len;
	struct buf prefix; /* request line and header fields, up to the length's digits */
	struct plain_conns idle;
	struct plain_conns busy;
	size_t conns;
	struct upstream_waiting waiting; /* calls without a connection */
};

static _Thread_local uint8_t scratch[READ_BYTES];

static void conn_take(struct plain_conn *conn, struct upstream_call *call);

/* --- connections --- */

static void conn_close(struct plain_conn *conn)
{
	struct plain *plain = conn->plain;

	TAILQ_REMOVE(conn->state == PLAIN_IDLE ? &plain->idle : &plain->busy, conn, link);
	plain->conns--;
	event_del(&conn->on_read);
	event_del(&conn->on_write);
	event_del(&conn->on_slow);
	if (conn->fd >= 0)
		close(conn->fd);
	buf_finish(&conn->in);
	if (conn->call)
		conn->call->conn = NULL;
	free(conn);
}

static struct plain_conn *conn_open(struct plain *plain);

/* A connection has become free, or may be opened: the next call that waits gets it. */
static void plain_serve_waiting(struct plain *plain)
{
	struct upstream_call *call;
	struct plain_conn *conn;

	while ((call = TAILQ_FIRST(&plain->waiting))) {
		/* What may not be sent twice does not go over a connection that may be dead. */
		conn = call->request.idempotent ? TAILQ_FIRST(&plain->idle) : NULL;
		if (!conn && plain->conns >= plain->pool->limits.connections_max) {
			if (TAILQ_EMPTY(&plain->idle))
				return;
			conn_close(TAILQ_LAST(&plain->idle, plain_conns));
		}
		if (!conn)
			conn = conn_open(plain);
		TAILQ_REMOVE(&plain->waiting, call, wait);
		call->waits = false;
		conn_take(conn, call);
	}
}

/* The attempt on this connection has failed, and so has the connection. */
static void conn_fail(struct plain_conn *conn, const char *why)
{
	struct upstream_call *call = conn->call;
	struct plain *plain = conn->plain;
	bool sent = conn->sent > 0;
	/* A kept connection that the backend has closed meanwhile says nothing of the backend. */
	bool stale = conn->reused && !conn->answered && call && call->request.idempotent;

	conn_close(conn);
	if (call && stale)
		conn_take(conn_open(plain), call);
	else if (call)
		upstream_call_on_failure(call, sent, why);
	plain_serve_waiting(plain);
}

/* --- sending --- */

/* The digits of the length and the end of the head, into dst[32]; returns how many bytes. */
static size_t length_put(char *dst, size_t length)
{
	char digits[20];
	size_t n = 0, at = 0;

	do {
		digits[n++] = (char)('0' + length % 10);
		length /= 10;
	} while (length > 0);
	while (n > 0)
		dst[at++] = digits[--n];
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes, not a string */
	memcpy(dst + at, "\r\n\r\n", 4);
	return at + 4;
}

static void conn_send(struct plain_conn *conn)
{
	const struct plain *plain = conn->plain;
	struct view body = conn->call->request.body;
	char tail[32];
	size_t tail_n = length_put(tail, body.n);
	struct iovec iov[3] = {
		{plain->prefix.p, plain->prefix.n},
		{tail, tail_n},
		{(void *)body.p, body.n},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
	size_t skip = conn->sent;
	ssize_t n;

	conn->total = plain->prefix.n + tail_n + body.n;
	for (int i = 0; i < 3 && skip > 0; i++) {
		size_t part = MIN(skip, iov[i].iov_len);

		iov[i].iov_base = (uint8_t *)iov[i].iov_base + part;
		iov[i].iov_len -= part;
		skip -= part;
	}
	n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
	if (n > 0)
		conn->sent += (size_t)n;
	/* What cannot be sent now waits for the socket; an error shows there too, in a turn of the
	 * loop, as callbacks must. */
	if (conn->sent < conn->total)
		event_add(&conn->on_write, NULL);
}

static void conn_take(struct plain_conn *conn, struct upstream_call *call)
{
	struct plain *plain = conn->plain;

	assert(!conn->call);
	conn->call = call;
	call->conn = conn;
	call->body.n = 0;
	conn->sent = conn->total = 0;
	conn->answered = false;
	conn->has_head = false;
	if (conn->state == PLAIN_CONNECTING)
		return;
	conn->reused = true;
	TAILQ_REMOVE(&plain->idle, conn, link);
	TAILQ_INSERT_TAIL(&plain->busy, conn, link);
	conn->state = PLAIN_BUSY;
	conn_send(conn);
}

static void conn_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct plain_conn *conn = arg;
	socklen_t len = sizeof(int);
	int error = 0;

	clock_tick();
	if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error) {
		conn_fail(conn, strerror(error));
		return;
	}
	if (conn->state == PLAIN_CONNECTING) {
		conn->state = PLAIN_BUSY;
		event_del(&conn->on_slow);
		event_add(&conn->on_read, NULL);
	}
	conn_send(conn);
}

static void conn_on_slow(evutil_socket_t fd, short what, void *arg)
{
	struct plain_conn *conn = arg;

	clock_tick();
	conn_fail(conn, conn->error ? strerror(conn->error) : "no connection in time");
}

/* --- reading --- */

/* The warmest connection is used first: the last ones are those that nobody needs any more. */
static void close_cold(struct plain *plain)
{
	usec_t oldest = clock_mono_us() - plain->pool->limits.idle_us;
	struct plain_conn *conn;

	while ((conn = TAILQ_LAST(&plain->idle, plain_conns)) && conn->idle_us < oldest)
		conn_close(conn);
}

/* The answer is whole: the connection is free before the caller hears of it.  A write had one of
 * its own, which is not kept: each write would add one. */
static void conn_done(struct plain_conn *conn, bool keep)
{
	struct upstream_call *call = conn->call;
	struct plain *plain = conn->plain;
	int status = conn->head.status;

	if (call->paused) /* with its last bytes */
		upstream_plain_resume(call);
	conn->call = NULL;
	call->conn = NULL;
	if (keep && conn->head.keep && conn->sent == conn->total && call->request.idempotent) {
		TAILQ_REMOVE(&plain->busy, conn, link);
		TAILQ_INSERT_HEAD(&plain->idle, conn, link); /* the warmest first */
		conn->state = PLAIN_IDLE;
		conn->idle_us = clock_mono_us();
	} else {
		conn_close(conn);
	}
	close_cold(plain);
	plain_serve_waiting(plain);
	upstream_call_on_answer(call, status, VIEW_STR(call->content_type));
}

/* The head of the answer, interim ones skipped.  False: the connection has ended, or more bytes are
 * needed, which are kept. */
static bool conn_read_head(struct plain_conn *conn, struct view *in)
{
	struct upstream_call *call = conn->call;
	size_t used = 0, n;

	if (conn->has_head)
		return true;
	while (!conn->has_head) {
		enum http1_result got = http1_head(*in, &conn->head, &used);

		if (got == HTTP1_BROKEN || (got == HTTP1_MORE && in->n > HTTP1_HEAD_MAX)) {
			conn_fail(conn, "the answer is not HTTP");
			return false;
		}
		if (got == HTTP1_MORE)
			return true;
		*in = VIEW(in->p + used, in->n - used);
		conn->has_head = conn->head.status >= 200;
	}
	n = MIN(conn->head.content_type.n, sizeof(call->content_type) - 1);
	if (n > 0)
		memcpy(call->content_type, conn->head.content_type.p, n);
	call->content_type[n] = '\0';
	call->later_us = upstream_retry_after(conn->head.retry_after);
	call->status = conn->head.status;
	conn->left = conn->head.length;
	conn->chunks = (struct http1_chunks){0};
	if (conn->head.has_length && !upstream_call_expect(call, conn->head.length)) {
		conn_fail(conn, "too large");
		return false;
	}
	return true;
}

/* Takes body bytes; true: the connection has ended or the answer is whole. */
static bool conn_read_body(struct plain_conn *conn, struct view *in)
{
	enum http1_result got = HTTP1_MORE;
	struct view data;
	size_t used;

	if (http1_has_no_body(&conn->head) || (conn->head.has_length && conn->left == 0)) {
		conn_done(conn, in->n == 0);
		return true;
	}
	while (in->n > 0 && got == HTTP1_MORE) {
		if (conn->head.chunked) {
			got = http1_chunk(&conn->chunks, *in, &used, &data);
			if (got == HTTP1_MORE && used == 0)
				return false;
		} else {
			used = conn->head.has_length ? (size_t)MIN(conn->left, (uint64_t)in->n)
						     : in->n;
			data = VIEW(in->p, used);
			conn->left -= conn->head.has_length ? used : 0;
			if (conn->head.has_length && conn->left == 0)
				got = HTTP1_DONE;
		}
		if (got == HTTP1_BROKEN || !upstream_call_body(conn->call, data)) {
			conn_fail(conn, "the answer's body is broken");
			return true;
		}
		*in = VIEW(in->p + used, in->n - used);
	}
	if (got == HTTP1_DONE)
		conn_done(conn, in->n == 0); /* surplus bytes: it is not to be trusted again */
	return got == HTTP1_DONE;
}

static void conn_take_bytes(struct plain_conn *conn, struct view in)
{
	struct buf held = {0};

	conn->answered = true;
	if (conn->in.n > 0) {
		buf_put(&conn->in, in.p, in.n);
		held = conn->in;
		conn->in = (struct buf){0};
		in = buf_view(&held);
	}
	if (conn_read_head(conn, &in) && !(conn->has_head && conn_read_body(conn, &in)) && in.n > 0)
		buf_put(&conn->in, in.p, in.n);
	buf_finish(&held);
}

static void conn_on_end(struct plain_conn *conn, const char *why)
{
	if (conn->state == PLAIN_IDLE)
		conn_close(conn);
	else if (conn->has_head && !conn->head.chunked && !conn->head.has_length && !why)
		conn_done(conn, false); /* the end of the connection is that of the body */
	else
		conn_fail(conn, why ? why : "the connection ended too early");
}

static void conn_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct plain_conn *conn = arg;
	ssize_t n;

	clock_tick();
	n = recv(conn->fd, scratch, sizeof(scratch), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && conn->state == PLAIN_BUSY)
		conn_take_bytes(conn, VIEW(scratch, (size_t)n));
	else
		conn_on_end(conn, n < 0 ? strerror(errno) : n > 0 ? "not asked for" : NULL);
}

/* --- opening --- */

static struct plain_conn *conn_open(struct plain *plain)
{
	struct event_base *base = plain->pool->up->base;
	usec_t slow_us = plain->pool->limits.connect_timeout_us;
	struct timeval slow = {slow_us / 1000000, slow_us % 1000000};
	struct plain_conn *conn = xcalloc(1, sizeof(*conn));
	int one = 1;

	conn->plain = plain;
	conn->state = PLAIN_CONNECTING;
	TAILQ_INSERT_TAIL(&plain->busy, conn, link);
	plain->conns++;
	conn->fd = socket(plain->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	event_assign(&conn->on_read, base, conn->fd, EV_READ | EV_PERSIST, conn_on_read, conn);
	event_assign(&conn->on_write, base, conn->fd, EV_WRITE, conn_on_write, conn);
	event_assign(&conn->on_slow, base, -1, 0, conn_on_slow, conn);
	if (conn->fd < 0 || (connect(conn->fd, (struct sockaddr *)&plain->sa, plain->sa_len) != 0 &&
			     errno != EINPROGRESS)) {
		conn->error = errno;
		event_active(&conn->on_slow, EV_TIMEOUT, 0); /* not before this turn's end */
		return conn;
	}
	(void)!setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	event_add(&conn->on_write, NULL);
	event_add(&conn->on_slow, &slow);
	return conn;
}

void upstream_plain_start(struct upstream_call *call)
{
	struct plain *plain = call->pool->urls[call->url].plain;
	usec_t oldest = clock_mono_us() - plain->pool->limits.idle_us;
	struct plain_conn *conn;

	while (call->request.idempotent && (conn = TAILQ_FIRST(&plain->idle))) {
		if (conn->idle_us >= oldest) {
			conn_take(conn, call);
			return;
		}
		conn_close(conn);
	}
	call->waits = true;
	TAILQ_INSERT_TAIL(&plain->waiting, call, wait);
	plain_serve_waiting(plain);
}

/* Level-triggered: what comes meanwhile, and an end, are seen when the event is back. */
void upstream_plain_pause(struct upstream_call *call)
{
	event_del(&call->conn->on_read);
}

void upstream_plain_resume(struct upstream_call *call)
{
	event_add(&call->conn->on_read, NULL);
}

bool upstream_plain_abort(struct upstream_call *call)
{
	struct plain *plain = call->pool->urls[call->url].plain;
	bool sent = call->conn && call->conn->sent > 0;

	if (call->waits)
		TAILQ_REMOVE(&plain->waiting, call, wait);
	call->waits = false;
	if (call->conn)
		conn_close(call->conn);
	plain_serve_waiting(plain);
	return sent;
}

/* --- URLs --- */

static bool address_of(const char *host, const char *port, struct plain *ret)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&ret->sa;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->sa;
	char bare[64];
	uint64_t number;

	if (!u64_parse(port, strlen(port), &number) || number == 0 || number > 65535)
		return false;
	if (inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((uint16_t)number);
		ret->sa_len = sizeof(*in4);
		return true;
	}
	if (host[0] != '[' || strlen(host) < 4 || strlen(host) >= sizeof(bare))
		return false;
	snprintf(bare, sizeof(bare), "%.*s", (int)strlen(host) - 2, host + 1);
	if (inet_pton(AF_INET6, bare, &in6->sin6_addr) != 1)
		return false;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)number);
	ret->sa_len = sizeof(*in6);
	return true;
}

struct plain *upstream_plain_create(struct upstream_pool *pool, CURLU *url)
{
	char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *query = NULL, *user = NULL;
	struct plain *plain = xcalloc(1, sizeof(*plain));
	bool ok;

	curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(url, CURLUPART_HOST, &host, 0);
	curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	curl_url_get(url, CURLUPART_PATH, &path, 0);
	curl_url_get(url, CURLUPART_QUERY, &query, 0);
	curl_url_get(url, CURLUPART_USER, &user, 0);
	ok = scheme && strcmp(scheme, "http") == 0 && !user && host && port && path &&
	     address_of(host, port, plain);
	if (ok) {
		plain->pool = pool;
		TAILQ_INIT(&plain->idle);
		TAILQ_INIT(&plain->busy);
		TAILQ_INIT(&plain->waiting);
		buf_putf(&plain->prefix,
			 "POST %s%s%s HTTP/1.1\r\nHost: %s:%s\r\nAccept: */*\r\n"
			 "Content-Type: application/json\r\nContent-Length: ",
			 path, query ? "?" : "", query ? query : "", host, port);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(path);
	curl_free(query);
	curl_free(user);
	if (!ok)
		free(plain);
	return ok ? plain : NULL;
}

void upstream_plain_destroy(struct plain *plain)
{
	struct plain_conn *conn;

	if (!plain)
		return;
	assert(TAILQ_EMPTY(&plain->waiting));
	while ((conn = TAILQ_FIRST(&plain->idle)) || (conn = TAILQ_FIRST(&plain->busy))) {
		conn_close(conn); /* takes it off its list */
		ANALYZER_FACT(conn != TAILQ_FIRST(&plain->idle));
		ANALYZER_FACT(conn != TAILQ_FIRST(&plain->busy));
	}
	buf_finish(&plain->prefix);
	free(plain);
}
