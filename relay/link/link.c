/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/link/link_private.h"

static _Thread_local struct link_stats stats;

struct link_stats *link_stats_of_thread(void)
{
	return &stats;
}

const struct link_stats *link_stats(void)
{
	return &stats;
}

enum link_reason link_reason_of(const struct err *err)
{
	if (err->code == ERR_PROTOCOL)
		return LINK_REASON_PROTOCOL;
	if (err->code == ERR_FRAME_TOO_LARGE)
		return LINK_REASON_FRAME_TOO_LARGE;
	if (err->code == ERR_VERSION)
		return LINK_REASON_VERSION;
	if (err->code == ERR_IDENTITY)
		return LINK_REASON_IDENTITY;
	if (err->code == ERR_HANDSHAKE)
		return LINK_REASON_HANDSHAKE;
	return LINK_REASON_LOCAL;
}

void link_params_default(struct link_params *ret)
{
	*ret = (struct link_params){
		.handshake_timeout_us = 5000000,
		.ping_interval_us = 10000000,
		.idle_timeout_us = 30000000,
		.out_max = 64u << 20,
	};
}

void link_set_state(struct link *link, enum link_state state)
{
	assert(state == LINK_CLOSED ? link->state != LINK_CLOSED : state == link->state + 1);
	link->state = state;
}

static void link_free(struct link *link)
{
	event_del(&link->ev_turn);
	event_del(&link->ev_timer);
	buf_finish(&link->in);
	buf_finish(&link->out);
	buf_finish(&link->wire);
	free(link);
}

bool link_leave(struct link *link)
{
	assert(link->depth > 0);
	if (--link->depth > 0 || !link->destroyed)
		return !link->destroyed;
	link_free(link);
	return false;
}

void link_want_turn(struct link *link)
{
	if (link->turn_pending)
		return;
	link->turn_pending = true;
	event_active(&link->ev_turn, EV_TIMEOUT, 0);
}

/* The end of a turn in which something was sent, or the link ended. */
static void link_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;

	link->turn_pending = false;
	if (link->state != LINK_CLOSED)
		link_io_flush(link);
	if (link->state != LINK_CLOSED || link->down_given)
		return;
	link->down_given = true;
	link->depth++;
	if (link->cbs->on_down)
		link->cbs->on_down(link, link->reason, &link->err, link->arg);
	link_leave(link); /* and nothing after: it may be gone */
}

static void link_look(struct link *link, usec_t now)
{
	struct err err = {0};
	uint8_t bytes[8];

	if (link->held)
		link->heard_us = MAX(link->heard_us, now - link->params.ping_interval_us);
	if (now - link->heard_us >= link->params.idle_timeout_us) {
		err_set(&err, ERR_LINK, "nothing heard for %lld ms",
			(long long)((now - link->heard_us) / 1000));
		link_fail(link, LINK_REASON_IDLE, &err, false);
		return;
	}
	if (link->blocked && now - link->moved_us >= link->params.idle_timeout_us) {
		err_set(&err, ERR_LINK, "the peer has not read for %lld ms",
			(long long)((now - link->moved_us) / 1000));
		link_fail(link, LINK_REASON_NOT_READING, &err, false);
		return;
	}
	if (now - link->heard_us < link->params.ping_interval_us)
		return;
	put_be64(bytes, (uint64_t)now); /* comes back with the answer: the round trip */
	frame_put_ping(&link->out, false, bytes);
	link_sent(link);
}

static void link_arm_timer(struct link *link, usec_t us)
{
	const struct timeval tv = {us / 1000000, us % 1000000};

	event_add(&link->ev_timer, &tv);
}

static void link_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct link *link = arg;
	struct err err = {0};

	clock_tick();
	if (link->state == LINK_UP) {
		link_look(link, clock_mono_us());
		if (link->state == LINK_UP)
			link_arm_timer(link, link->params.ping_interval_us / 2);
	} else if (link->state == LINK_CONNECTING) {
		err_set(&err, ERR_LINK, "no connection to %s in time", link->address);
		link_fail(link, LINK_REASON_CONNECT, &err, false);
	} else if (link->state != LINK_CLOSED) {
		err_set(&err, ERR_HANDSHAKE, "TLS and HELLO not done in time");
		link_fail(link, LINK_REASON_HANDSHAKE_SLOW, &err, false);
	}
}

static struct link *link_new(struct event_base *base, struct tls *tls, const struct link_self *self,
			     const struct link_params *params, const struct link_callbacks *cbs,
			     void *arg)
{
	struct link *link = xcalloc(1, sizeof(*link));

	assert(params->ping_interval_us > 1 && params->handshake_timeout_us > 0);
	link->base = base;
	link->tls = tls;
	link->self = self;
	link->params = *params;
	link->cbs = cbs;
	link->arg = arg;
	link->rtt_us = -1;
	link->fd = -1;
	event_assign(&link->ev_turn, base, -1, 0, link_on_turn, link);
	event_assign(&link->ev_timer, base, -1, 0, link_on_timer, link);
	link_arm_timer(link, params->handshake_timeout_us);
	link->heard_us = link->moved_us = link->begun_us = clock_mono_us();
	return link;
}

struct link *link_dial(struct event_base *base, struct tls *tls, const struct link_self *self,
		       const struct link_params *params, const struct address *to,
		       const struct key_id *expected, const struct link_callbacks *cbs, void *arg)
{
	struct link *link = link_new(base, tls, self, params, cbs, arg);
	const struct sockaddr *sa = (const struct sockaddr *)&to->sa;
	struct err err = {0};

	if (expected) {
		link->has_expected = true;
		link->expected = *expected;
	}
	address_text(sa, to->len, link->address);
	link->state = LINK_CONNECTING;
	link->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (link->fd >= 0 && (connect(link->fd, sa, to->len) == 0 || errno == EINPROGRESS)) {
		link_io_start(link, true);
		return link;
	}
	err_set(&err, ERR_LINK, "%s: %s", link->address, strerror(errno));
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	link_fail(link, LINK_REASON_CONNECT, &err, false);
	return link;
}

struct link *link_accept(struct event_base *base, struct tls *tls, const struct link_self *self,
			 const struct link_params *params, int fd, const struct link_callbacks *cbs,
			 void *arg)
{
	struct link *link = link_new(base, tls, self, params, cbs, arg);
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);

	if (getpeername(fd, (struct sockaddr *)&sa, &len) != 0)
		len = 0;
	address_text((struct sockaddr *)&sa, len, link->address);
	link->accepted = true;
	link->fd = fd;
	link->state = LINK_TLS;
	link_io_start(link, false);
	return link;
}

/* Counts and logs an end; strangers can cause them, so each reason is logged once a second. */
static void note_end(const struct link *link, enum link_reason reason, const struct err *err)
{
	static _Thread_local struct log_gate gates[LINK_REASON_COUNT];
	uint64_t more;

	stats.closed[reason]++;
	metric_add_at(METRIC_LINK_CLOSED, reason, 0, 1);
	if (link->state == LINK_UP)
		metric_move(METRIC_LINK_OPEN, -1);
	else
		metric_add_at(METRIC_LINK_HANDSHAKES, err->code, 0, 1);
	if (err->code != ERR_NONE && log_every(&gates[reason], 1000000, &more))
		log_line(reason == LINK_REASON_LOCAL || reason == LINK_REASON_EOF ? LOG_LEVEL_INFO
										  : LOG_LEVEL_WARN,
			 "link.closed", "peer=%s reason=%s more=%llu error=\"%s\"", link->address,
			 link_reason_name(reason), (unsigned long long)more, err->msg);
}

void link_fail(struct link *link, enum link_reason reason, const struct err *err, bool tell)
{
	if (link->state == LINK_CLOSED)
		return;
	if (tell && link->state >= LINK_HELLO) {
		if (err->code == ERR_SHUTDOWN) /* an orderly end is no error */
			frame_put_goaway(&link->out,
					 &(struct frame_goaway){err_info(err->code)->wire, 0});
		else
			frame_put_error(&link->out, 0, 0, err_info(err->code)->wire, err->msg);
		link_io_flush(link);
		if (link->state == LINK_CLOSED)
			return; /* the flush met a broken connection first */
	}
	note_end(link, reason, err);
	link_set_state(link, LINK_CLOSED);
	link->reason = reason;
	link->err = *err;
	link_io_stop(link);
	event_del(&link->ev_timer);
	link_want_turn(link);
}

void link_close(struct link *link, const struct err *err)
{
	link_fail(link, LINK_REASON_LOCAL, err, true);
}

void link_destroy(struct link *link)
{
	const struct err none = {0};

	if (!link || link->destroyed)
		return;
	if (link->state != LINK_CLOSED) {
		note_end(link, LINK_REASON_LOCAL, &none);
		link_set_state(link, LINK_CLOSED);
		link_io_stop(link);
	}
	if (link->on_destroyed)
		link->on_destroyed(link);
	link->down_given = true;
	link->destroyed = true;
	if (link->depth == 0)
		link_free(link);
}

struct buf *link_out(struct link *link)
{
	return &link->out;
}

void link_put(struct link *link, struct buf *frames)
{
	struct buf taken = *frames;

	if (link->out.n == 0) {
		*frames = link->out;
		link->out = taken;
		return;
	}
	buf_put(&link->out, frames->p, frames->n);
	frames->n = 0;
}

void link_sent(struct link *link)
{
	struct err err = {0};

	if (link->state != LINK_UP) {
		link->out.n = 0;
		return;
	}
	stats.frames_out++;
	if (link_out_bytes(link) > link->params.out_max) {
		err_set(&err, ERR_LINK, "more than %zu bytes wait for the peer to read",
			link->params.out_max);
		link_fail(link, LINK_REASON_NOT_READING, &err, false);
		return;
	}
	if (!link->blocked)
		link_want_turn(link);
}

void link_flush(struct link *link)
{
	if (link->state == LINK_UP)
		link_io_flush(link);
}

void link_hold(struct link *link, bool hold)
{
	if (link->state != LINK_UP || link->held == hold)
		return;
	link->held = hold;
	link->heard_us = clock_mono_us(); /* no silence of the peer's */
	if (hold)
		event_del(&link->ev_read);
	else
		event_add(&link->ev_read, NULL);
}

size_t link_out_bytes(const struct link *link)
{
	return link->out.n + link->wire.n - link->wire_at;
}

void link_goaway(struct link *link, enum err_code why, uint32_t drain_ms)
{
	uint8_t bytes[8];

	link->goaway_us = clock_now_us();
	put_be64(bytes, (uint64_t)link->goaway_us);
	frame_put_goaway(&link->out, &(struct frame_goaway){err_info(why)->wire, drain_ms});
	frame_put_ping(&link->out, false,
		       bytes); /* its answer comes after all that was sent before */
	link_sent(link);
}

bool link_goaway_is_heard(const struct link *link)
{
	return link->goaway_heard;
}

enum link_state link_state(const struct link *link)
{
	return link->state;
}

bool link_is_up(const struct link *link)
{
	return link->state == LINK_UP;
}

const struct frame_hello *link_peer(const struct link *link)
{
	return &link->peer;
}

bool link_is_draining(const struct link *link)
{
	return link->draining;
}

const char *link_address(const struct link *link)
{
	return link->address;
}

usec_t link_rtt_us(const struct link *link)
{
	return link->rtt_us;
}

struct event_base *link_base(const struct link *link)
{
	return link->base;
}

void link_set_user(struct link *link, void *user)
{
	link->user = user;
}

void *link_user(const struct link *link)
{
	return link->user;
}
