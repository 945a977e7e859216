/* SPDX-License-Identifier: Apache-2.0
 * Bytes of a link.  OpenSSL never touches the socket: it reads from one buffer that one recv()
 * filled and writes to one that one send() empties, so a turn costs one of each however many TLS
 * records and frames there are. */
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "relay/base/clock.h"
#include "relay/base/metrics.h"
#include "relay/link/link_private.h"

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;
static _Thread_local uint8_t rx_bytes[LINK_RX_BYTES];

static int bio_read(BIO *bio, char *dst, int len)
{
	struct link *link = BIO_get_data(bio);
	size_t n = MIN((size_t)len, link->rx.n);

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(dst, link->rx.p, n);
	link->rx = VIEW(link->rx.p + n, link->rx.n - n);
	return (int)n;
}

static int bio_write(BIO *bio, const char *src, int len)
{
	struct link *link = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	buf_put(&link->wire, src, (size_t)len);
	return len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static void make_bio_method(void)
{
	bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "counterfoil link");
	assert(bio_method);
	BIO_meth_set_read(bio_method, bio_read);
	BIO_meth_set_write(bio_method, bio_write);
	BIO_meth_set_ctrl(bio_method, bio_ctrl);
	BIO_meth_set_create(bio_method, bio_create);
}

static void fail_errno(struct link *link, int error)
{
	struct err err = {0};

	err_set(&err, ERR_LINK, "%s: %s", link->address, strerror(error));
	link_fail(link, LINK_REASON_RESET, &err, false);
}

static void fail_tls(struct link *link)
{
	char why[TLS_ERROR_MAX];
	struct err err = {0};

	if (link->state == LINK_UP) {
		err_set(&err, ERR_LINK, "TLS: %s", tls_error(why));
		link_fail(link, LINK_REASON_RESET, &err, false);
		return;
	}
	err_set(&err, ERR_HANDSHAKE, "TLS handshake: %s", tls_error(why));
	link_fail(link, LINK_REASON_HANDSHAKE, &err, false);
}

static void wire_is_empty(struct link *link)
{
	link->wire.n = link->wire_at = 0;
	if (link->wire.cap > LINK_KEEP_BYTES)
		buf_finish(&link->wire);
}

/* Sends ciphertext until it is gone or the kernel takes no more. */
static void wire_send(struct link *link)
{
	struct link_stats *stats = link_stats_of_thread();

	link->blocked = false;
	while (link->wire_at < link->wire.n) {
		ssize_t n = send(link->fd, link->wire.p + link->wire_at,
				 link->wire.n - link->wire_at, MSG_NOSIGNAL);

		stats->writes++;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			link->blocked = true;
			event_add(&link->ev_write, NULL);
			return;
		}
		if (n < 0) {
			fail_errno(link, errno);
			return;
		}
		stats->bytes_out += (uint64_t)n;
		metric_add(METRIC_LINK_SENT, (uint64_t)n);
		link->wire_at += (size_t)n;
		link->moved_us = clock_mono_us();
	}
	wire_is_empty(link);
}

void link_io_put(struct link *link, const struct buf *frames)
{
	int n;

	assert(frames->n <= INT32_MAX);
	n = SSL_write(link->ssl, frames->p, (int)frames->n);
	if (n != (int)frames->n)
		fail_tls(link); /* our side of it takes all there is */
}

void link_io_flush(struct link *link)
{
	assert(link->state != LINK_CLOSED);
	if (link->blocked)
		return; /* not encrypted before it can go: no second copy of a backlog */
	if (link->state == LINK_CONNECTING)
		return;
	if (link->out.n > 0) {
		link_io_put(link, &link->out);
		link->out.n = 0;
		if (link->out.cap > LINK_KEEP_BYTES)
			buf_finish(&link->out);
	}
	if (link->state != LINK_CLOSED && link->wire.n > link->wire_at)
		wire_send(link);
}

/* Decrypts what the last recv() gave, to the end of the input. */
static bool read_plain(struct link *link)
{
	ERR_clear_error(); /* of others in this thread: SSL_get_error() would take it for ours */
	for (;;) {
		int n;

		buf_reserve(&link->in, LINK_RECORD_BYTES);
		n = SSL_read(link->ssl, link->in.p + link->in.n,
			     (int)MIN(link->in.cap - link->in.n, (size_t)INT32_MAX));
		if (n > 0) {
			link->in.n += (size_t)n;
			continue;
		}
		if (SSL_get_error(link->ssl, n) == SSL_ERROR_WANT_READ ||
		    SSL_get_error(link->ssl, n) == SSL_ERROR_ZERO_RETURN)
			return true; /* or close_notify: the end of the stream follows */
		fail_tls(link);
		return false;
	}
}

static void handshake(struct link *link)
{
	int n;

	ERR_clear_error();
	n = SSL_do_handshake(link->ssl);
	if (n == 1) {
		link_say_hello(link);
	} else if (SSL_get_error(link->ssl, n) != SSL_ERROR_WANT_READ) {
		wire_send(link); /* the alert that tells the peer why */
		fail_tls(link);
		return;
	}
	if (link->state != LINK_CLOSED)
		link_io_flush(link);
}

/* Moves the frames that are not taken to the front, and gives back what a burst needed. */
static void input_tidy(struct link *link)
{
	size_t left = link->in.n - link->in_at;

	if (left > 0 && link->in_at > 0)
		memmove(link->in.p, link->in.p + link->in_at, left);
	link->in.n = left;
	link->in_at = 0;
	if (left == 0 && link->in.cap > LINK_KEEP_BYTES)
		buf_finish(&link->in);
}

/* One recv()'s worth: handshake, plaintext, frames.  False when the link ended. */
static bool take_bytes(struct link *link, size_t n)
{
	link->rx = VIEW(rx_bytes, n);
	link->heard_us = clock_mono_us();
	link_stats_of_thread()->bytes_in += n;
	metric_add(METRIC_LINK_RECEIVED, n);
	if (link->state == LINK_TLS)
		handshake(link);
	if (link->state != LINK_HELLO && link->state != LINK_UP)
		return link->state == LINK_TLS;
	if (!read_plain(link))
		return false;
	link_take_frames(link);
	if (link->state == LINK_CLOSED)
		return false;
	input_tidy(link);
	if (link->wire.n > link->wire_at)
		link_want_turn(link); /* TLS itself had something to answer */
	return true;
}

static void read_socket(struct link *link)
{
	struct link_stats *stats = link_stats_of_thread();
	struct err err = {0};

	for (int i = 0; i < LINK_READS_PER_TURN; i++) {
		ssize_t n = recv(link->fd, rx_bytes, sizeof(rx_bytes), 0);

		stats->reads++;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			fail_errno(link, errno);
			return;
		}
		if (n == 0) {
			err_set(&err, ERR_LINK, "the peer closed the connection");
			link_fail(link, LINK_REASON_EOF, &err, false);
			return;
		}
		/* less than asked for: the socket is empty, and asking again would only say so */
		if (!take_bytes(link, (size_t)n) || (size_t)n < sizeof(rx_bytes) || link->held)
			return;
	}
}

static void link_on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	clock_tick();
	link->depth++;
	read_socket(link);
	if (link->state == LINK_UP && link->cbs->on_turn)
		link->cbs->on_turn(link, link->arg);
	link_leave(link); /* and nothing after: it may be gone */
}

static void on_connected(struct link *link)
{
	socklen_t len = sizeof(int);
	struct err err = {0};
	int error = 0;

	if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0) {
		err_set(&err, ERR_LINK, "%s: %s", link->address, strerror(error));
		link_fail(link, LINK_REASON_CONNECT, &err, false);
		return;
	}
	link_set_state(link, LINK_TLS);
	event_add(&link->ev_read, NULL);
	handshake(link);
}

static void link_on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	clock_tick();
	link->depth++;
	if (link->state == LINK_CONNECTING) {
		on_connected(link);
	} else if (link->state != LINK_CLOSED) {
		wire_send(link);
		if (link->state != LINK_CLOSED)
			link_io_flush(link);
	}
	link_leave(link); /* and nothing after: it may be gone */
}

void link_io_start(struct link *link, bool connecting)
{
	int one = 1;
	BIO *bio;

	pthread_once(&bio_once, make_bio_method);
	/* fails on a unix socket, which needs it not */
	(void)!setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	link->ssl = tls_session(link->tls, link->accepted);
	bio = BIO_new(bio_method);
	assert(bio);
	BIO_set_data(bio, link);
	SSL_set_bio(link->ssl, bio, bio);
	event_assign(&link->ev_read, link->base, link->fd, EV_READ | EV_PERSIST, link_on_readable,
		     link);
	event_assign(&link->ev_write, link->base, link->fd, EV_WRITE, link_on_writable, link);
	event_add(connecting ? &link->ev_write : &link->ev_read, NULL);
}

void link_io_stop(struct link *link)
{
	if (link->fd < 0)
		return;
	event_del(&link->ev_read);
	event_del(&link->ev_write);
	SSL_free(link->ssl);
	link->ssl = NULL;
	close(link->fd);
	link->fd = -1;
	link->out.n = link->wire.n = link->wire_at = 0;
	link->rx = VIEW(NULL, 0);
}
