/* SPDX-License-Identifier: Apache-2.0
 * Two ends of a link in one loop, and a raw TLS client that says what no link would say.
 * For the tests and benches of relay/link and what stands on it. */
#ifndef TESTS_SUPPORT_LINK_PAIR_H
#define TESTS_SUPPORT_LINK_PAIR_H

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/link/link.h"
#include "relay/link/listener.h"

#define PAIR_FRAME_MAX (4u << 20)
#define PAIR_PATIENCE_MS 60000 /* for what must happen; only what hangs takes so long */

/* One side: who it is, and what its link told it. */
struct side {
	struct relay_key *key;
	struct link_self self;
	struct link *link;
	struct link_callbacks cbs;
	unsigned ups, downs, frames, turns;
	enum link_reason reason;
	struct err err;
	uint8_t last_type;
	struct buf last; /* payload of the last frame */
	bool refuse;	 /* on_up says no */
	bool destroy_on_up, destroy_on_frame;
	bool echo; /* frames are sent back as they came */
};

static inline bool side_on_up(struct link *link, void *arg, struct err *err)
{
	struct side *side = arg;

	side->ups++;
	side->link = link;
	if (side->refuse)
		return err_set(err, ERR_GRANT, "nobody pays for this key");
	if (side->destroy_on_up) {
		link_destroy(link);
		side->link = NULL;
	}
	return true;
}

static inline bool side_on_frame(struct link *link, const struct frame *f, void *arg,
				 struct err *err)
{
	struct side *side = arg;

	side->frames++;
	side->last_type = f->type;
	side->last.n = 0;
	buf_put(&side->last, f->payload.p, f->payload.n);
	if (side->echo) {
		size_t begun = frame_begin(link_out(link), (enum frame_type)f->type, 0, f->stream);

		buf_put(link_out(link), f->payload.p, f->payload.n);
		frame_end(link_out(link), begun);
		link_sent(link);
	}
	if (side->destroy_on_frame) {
		link_destroy(link);
		side->link = NULL;
	}
	return true;
}

static inline void side_on_turn(struct link *link, void *arg)
{
	((struct side *)arg)->turns++;
}

static inline void side_on_down(struct link *link, enum link_reason reason, const struct err *err,
				void *arg)
{
	struct side *side = arg;

	side->downs++;
	side->reason = reason;
	side->err = *err;
	side->link = NULL;
	link_destroy(link);
}

static inline void side_init(struct side *side, enum frame_role role, uint8_t seed)
{
	uint8_t bytes[KEY_SEED_BYTES];

	memset(bytes, seed, sizeof(bytes));
	*side = (struct side){0};
	side->key = relay_key_from_seed(
		role == FRAME_ROLE_GATEWAY ? KEY_ROLE_GATEWAY : KEY_ROLE_SUPPLIER, bytes);
	side->self = (struct link_self){
		.key = side->key,
		.id = *relay_key_public(side->key),
		.role = role,
		.height = 5,
		.frame_max = PAIR_FRAME_MAX,
		.in_flight_max = 100,
		.max_unpaid_cu = role == FRAME_ROLE_SUPPLIER ? 1000 : 0,
		.worker = seed,
	};
	memset(side->self.network.b, 7, sizeof(side->self.network.b));
	side->cbs = (struct link_callbacks){side_on_up, side_on_frame, side_on_turn, side_on_down};
}

static inline void side_finish(struct side *side)
{
	link_destroy(side->link);
	relay_key_destroy(side->key);
	buf_finish(&side->last);
}

/* A gateway and a node, over a socketpair. */
struct pair {
	struct event_base *base;
	struct tls *tls;
	struct link_params params;
	struct side gateway, node;
	struct listener *listener;
	int fd[2]; /* [0] the node's, given away; [1] for a raw peer */
};

static inline struct event_base *pair_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	event_config_set_flag(config,
			      EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	base = event_base_new_with_config(config);
	event_config_free(config);
	assert(base);
	return base;
}

static inline void pair_init(struct pair *pair)
{
	struct err err = {0};

	*pair = (struct pair){.fd = {-1, -1}};
	pair->base = pair_base();
	if (!tls_create(&pair->tls, &err))
		abort();
	link_params_default(&pair->params);
	side_init(&pair->gateway, FRAME_ROLE_GATEWAY, 1);
	side_init(&pair->node, FRAME_ROLE_SUPPLIER, 2);
}

static inline void pair_finish(struct pair *pair)
{
	side_finish(&pair->gateway);
	side_finish(&pair->node);
	listener_destroy(pair->listener);
	tls_destroy(pair->tls);
	if (pair->fd[1] >= 0)
		close(pair->fd[1]);
	event_base_free(pair->base);
}

/* The node's link on one end of a new socketpair; the other end is fd[1], non-blocking. */
static inline void pair_accept(struct pair *pair)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair->fd) != 0)
		abort();
	pair->node.link = link_accept(pair->base, pair->tls, &pair->node.self, &pair->params,
				      pair->fd[0], &pair->node.cbs, &pair->node);
}

/* Turns the loop until *what >= want, or ms have passed; true iff it came. */
static inline bool pair_run(struct pair *pair, const unsigned *what, unsigned want, int ms)
{
	usec_t end = clock_now_us() + ms * 1000;

	while (*what < want && clock_now_us() < end) {
		event_base_loop(pair->base, EVLOOP_NONBLOCK);
		if (*what < want)
			usleep(200);
	}
	return *what >= want;
}

static inline void pair_turns(struct pair *pair, int turns)
{
	for (int i = 0; i < turns; i++)
		event_base_loop(pair->base, EVLOOP_NONBLOCK);
}

/* The gateway dials the node over loopback TCP; nothing is waited for. */
static inline void pair_dial(struct pair *pair, const struct key_id *expected)
{
	struct listener_params params;
	struct address at;
	struct err err;
	char text[32];

	listener_params_default(&params);
	params.link = pair->params;
	if (!pair->listener &&
	    !listener_create(pair->base, pair->tls, &pair->node.self, &params, "127.0.0.1:0",
			     &pair->node.cbs, &pair->node, &pair->listener, &err))
		abort();
	snprintf(text, sizeof(text), "127.0.0.1:%u", (unsigned)listener_port(pair->listener));
	if (!address_parse_numeric(text, &at, &err))
		abort();
	pair->gateway.link = link_dial(pair->base, pair->tls, &pair->gateway.self, &pair->params,
				       &at, expected, &pair->gateway.cbs, &pair->gateway);
}

/* Both ends up. */
static inline bool pair_up(struct pair *pair)
{
	pair_dial(pair, &pair->node.self.id);
	return pair_run(pair, &pair->gateway.ups, 1, PAIR_PATIENCE_MS) &&
	       pair_run(pair, &pair->node.ups, 1, PAIR_PATIENCE_MS);
}

/* A TLS client on fd[1] that is no link: it finishes the handshake, and then the test writes what
 * it likes.  NULL when the handshake fails. */
static inline SSL *pair_raw_client(struct pair *pair, SSL *ssl)
{
	SSL_set_fd(ssl, pair->fd[1]);
	for (int i = 0; i < 2000; i++) {
		int n = SSL_do_handshake(ssl);

		if (n == 1)
			return ssl;
		if (SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ)
			break;
		pair_turns(pair, 1);
	}
	SSL_free(ssl);
	return NULL;
}

static inline void pair_raw_put(SSL *ssl, const struct buf *frames)
{
	if (SSL_write(ssl, frames->p, (int)frames->n) != (int)frames->n)
		abort();
}

/* The next frame that the raw client hears, its bytes in *in (which keeps what follows).  False
 * when none comes within ms, or the connection ends first. */
static inline bool pair_raw_frame(struct pair *pair, SSL *ssl, struct buf *in, struct frame *ret,
				  int ms)
{
	usec_t end = clock_now_us() + ms * 1000;
	struct err err;
	size_t used;

	for (;;) {
		int n;

		if (in->n > 0 &&
		    frame_scan(buf_view(in), PAIR_FRAME_MAX, ret, &used, &err) == FRAME_SCAN_ONE)
			return true;
		buf_reserve(in, 65536);
		pair_turns(pair, 1);
		n = SSL_read(ssl, in->p + in->n, 65536);
		if (n > 0)
			in->n += (size_t)n;
		else if (SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ || clock_now_us() > end)
			return false;
	}
}

/* Forgets the first frame of *in. */
static inline void pair_raw_next(struct buf *in, const struct frame *f)
{
	size_t used = f->payload.n + FRAME_HEADER_BYTES;

	memmove(in->p, in->p + used, in->n - used);
	in->n -= used;
}

/* The HELLO that the gateway side would say on this connection. */
static inline void pair_raw_hello(struct pair *pair, SSL *ssl, struct frame_hello *ret)
{
	uint8_t exporter[TLS_EXPORTER_BYTES];
	struct err err;

	if (!tls_check(ssl, exporter, &err))
		abort();
	hello_build(&pair->gateway.self, exporter, ret);
}

/* A raw client whose HELLO the node took: the node's link is up, its own HELLO is read. */
static inline SSL *pair_raw_up(struct pair *pair, struct buf *in)
{
	struct frame_hello hello;
	struct buf out = {0};
	struct frame f;
	SSL *ssl;

	pair_accept(pair);
	ssl = pair_raw_client(pair, tls_session(pair->tls, false));
	if (!ssl)
		abort();
	pair_raw_hello(pair, ssl, &hello);
	frame_put_hello(&out, &hello);
	pair_raw_put(ssl, &out);
	buf_finish(&out);
	if (!pair_run(pair, &pair->node.ups, 1, PAIR_PATIENCE_MS) ||
	    !pair_raw_frame(pair, ssl, in, &f, PAIR_PATIENCE_MS))
		abort();
	pair_raw_next(in, &f);
	return ssl;
}

#endif
