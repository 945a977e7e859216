/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>

#include "relay/base/clock.h"
#include "relay/base/metrics.h"
#include "relay/link/link_private.h"

void link_say_hello(struct link *link)
{
	CLEANUP(buf_finish) struct buf frames = {0};
	struct frame_hello hello;
	struct err err = {0};

	if (!tls_check(link->ssl, link->exporter, &err)) {
		link_fail(link, LINK_REASON_HANDSHAKE, &err, false);
		return;
	}
	link_set_state(link, LINK_HELLO);
	hello_build(link->self, link->exporter, &hello);
	frame_put_hello(&frames, &hello);
	link_io_put(link, &frames);
}

/* The peer's HELLO: who it is decides whether the link is up. */
static bool on_hello(struct link *link, const struct frame *f, struct err *err)
{
	if (!frame_read_hello(f, &link->peer, err) ||
	    !hello_check(&link->peer, link->self, link->has_expected ? &link->expected : NULL,
			 link->exporter, err))
		return false;
	link_set_state(link, LINK_UP);
	metric_move(METRIC_LINK_OPEN, 1);
	metric_add_at(METRIC_LINK_HANDSHAKES, ERR_NONE, 0, 1);
	metric_observe(METRIC_LINK_HANDSHAKE_TIME, (uint64_t)(clock_mono_us() - link->begun_us));
	event_del(&link->ev_timer);
	event_add(&link->ev_timer, &(struct timeval){link->params.ping_interval_us / 2 / 1000000,
						     link->params.ping_interval_us / 2 % 1000000});
	return !link->cbs->on_up || link->cbs->on_up(link, link->arg, err);
}

static bool on_ping(struct link *link, const struct frame *f, struct err *err)
{
	uint8_t bytes[8];
	bool answer;

	if (!frame_read_ping(f, &answer, bytes, err))
		return false;
	if (answer) {
		usec_t sent = (usec_t)get_be64(bytes), took = clock_now_us() - sent;

		link->goaway_heard |= link->goaway_us != 0 && sent == link->goaway_us;
		if (took >= 0 && took < link->params.idle_timeout_us) { /* our bytes, it seems */
			link->rtt_us = took;
			metric_observe(METRIC_LINK_ROUND_TRIP_TIME, (uint64_t)took);
		}
		return true;
	}
	frame_put_ping(&link->out, true, bytes);
	link_sent(link);
	return true;
}

/* An ERROR for the link as a whole, or for our HELLO, ends the link. */
static bool on_error(struct link *link, const struct frame *f, struct err *err)
{
	struct frame_error error;
	struct err down = {0};

	if (!frame_read_error(f, &error, err))
		return false;
	if (error.type > FRAME_HELLO)
		return link->state != LINK_UP || link->cbs->on_frame(link, f, link->arg, err);
	err_set(&down, err_from_wire(error.code), "the peer closes the link: %.*s",
		(int)MIN(error.text.n, (size_t)100), (const char *)error.text.p);
	link_fail(link, LINK_REASON_PEER_ERROR, &down, false);
	return true;
}

static bool on_frame(struct link *link, const struct frame *f, struct err *err)
{
	if (f->type >= FRAME_TYPE_SKIPPED)
		return true; /* of a later version [F3] */
	if (f->type == FRAME_ERROR)
		return on_error(link, f, err);
	if ((f->type == FRAME_HELLO) != (link->state == LINK_HELLO))
		return err_set(err, ERR_PROTOCOL, "%s %s", frame_type_name(f->type),
			       link->state == LINK_HELLO ? "before hello" : "for a second time");
	if (f->type == FRAME_HELLO)
		return on_hello(link, f, err);
	if (f->type == FRAME_PING)
		return on_ping(link, f, err);
	if (f->type == FRAME_GOAWAY) {
		struct frame_goaway goaway;

		if (!frame_read_goaway(f, &goaway, err))
			return false;
		link->draining = true;
	}
	return link->cbs->on_frame(link, f, link->arg, err);
}

void link_take_frames(struct link *link)
{
	assert(link->depth > 0); /* so that a destroyed link is still there after a callback */
	while (link->state != LINK_CLOSED) {
		uint32_t max =
			link->state == LINK_UP ? link->self->frame_max : FRAME_MAX_BEFORE_HELLO;
		struct view in = VIEW(link->in.p + link->in_at, link->in.n - link->in_at);
		struct err err = {0};
		struct frame frame;
		size_t used;

		switch (frame_scan(in, max, &frame, &used, &err)) {
		case FRAME_SCAN_MORE:
			return;
		case FRAME_SCAN_ONE:
			link->in_at += used;
			link_stats_of_thread()->frames_in++;
			if (on_frame(link, &frame, &err))
				break;
			link_fail(link, link_reason_of(&err), &err, true);
			return;
		case FRAME_SCAN_BROKEN:
			link_fail(link, link_reason_of(&err), &err, true);
			return;
		}
	}
}
