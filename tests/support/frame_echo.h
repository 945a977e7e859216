/* SPDX-License-Identifier: Apache-2.0
 * Reads a frame as its type says and writes it again: what a strict codec must give back byte for
 * byte (flags apart, which may hold bits that no rule names).  For the unit test and the fuzzer. */
#ifndef TESTS_SUPPORT_FRAME_ECHO_H
#define TESTS_SUPPORT_FRAME_ECHO_H

#include "relay/link/frame.h"

static bool echo_batch(const struct frame *f, struct buf *out, struct err *err)
{
	static struct frame_batch batch;
	size_t begun;

	if (!frame_read_batch(f, &batch, err))
		return false;
	begun = frame_batch_begin(out, &batch.lane, batch.first, batch.count);
	for (uint32_t i = 0; i < batch.count; i++)
		frame_batch_add(out, batch.answers[i].relay, batch.answers[i].leaf,
				batch.answers[i].response);
	frame_batch_end(out, begun, &batch.root, &batch.signature);
	return true;
}

static bool echo_lanes(const struct frame *f, struct buf *out, struct err *err)
{
	static struct frame_lane lane[FRAME_LANES_MAX];
	struct frame_lanes lanes;

	if (!frame_read_lanes(f, &lanes, err))
		return false;
	for (uint32_t i = 0; i < lanes.count; i++)
		frame_lanes_at(&lanes, i, &lane[i]);
	frame_put_lanes(out, f->flags, lane, lanes.count);
	return true;
}

static bool echo_leaves(const struct frame *f, struct buf *out, struct err *err)
{
	struct frame_leaves leaves;
	struct salt salt;
	size_t begun;

	if (!frame_read_leaves(f, &leaves, err))
		return false;
	begun = frame_leaves_begin(out, f->stream, &leaves.lane, leaves.from, leaves.count);
	for (uint32_t i = 0; i < leaves.count; i++) {
		const uint8_t *p = leaves.entries + (size_t)i * FRAME_LEAVES_ENTRY_BYTES;

		memcpy(salt.b, p + FRAME_LEAF_BYTES, sizeof(salt.b));
		frame_leaves_add(out, p, &salt);
	}
	frame_leaves_end(out, begun, &leaves.signature);
	return true;
}

static bool echo_opening(const struct frame *f, struct buf *out, struct err *err)
{
	struct frame_hello hello;
	struct frame_session session;
	struct frame_relay relay;
	height_t height;

	if (f->type == FRAME_HELLO) {
		if (!frame_read_hello(f, &hello, err))
			return false;
		frame_put_hello(out, &hello);
	} else if (f->type == FRAME_SESSION) {
		if (!frame_read_session(f, &session, err))
			return false;
		frame_put_session(out, f->stream, &session);
	} else if (f->type == FRAME_SESSION_OK) {
		if (!frame_read_session_ok(f, &height, err))
			return false;
		frame_put_session_ok(out, f->stream, height);
	} else {
		if (!frame_read_relay(f, &relay, err))
			return false;
		frame_put_relay(out, f->stream, &relay);
	}
	return true;
}

static bool echo_small(const struct frame *f, struct buf *out, struct err *err)
{
	struct frame_cosign cosign;
	struct frame_fetch fetch;
	struct frame_credit credit;
	struct frame_goaway goaway;
	uint8_t bytes[8];
	bool answer;

	if (f->type == FRAME_COSIGN) {
		if (!frame_read_cosign(f, &cosign, err))
			return false;
		frame_put_cosign(out, &cosign);
	} else if (f->type == FRAME_FETCH) {
		if (!frame_read_fetch(f, &fetch, err))
			return false;
		frame_put_fetch(out, f->stream, &fetch);
	} else if (f->type == FRAME_CANCEL) {
		if (!frame_read_cancel(f, err))
			return false;
		frame_put_cancel(out, f->stream);
	} else if (f->type == FRAME_CREDIT) {
		if (!frame_read_credit(f, &credit, err))
			return false;
		frame_put_credit(out, f->stream, &credit);
	} else if (f->type == FRAME_PING) {
		if (!frame_read_ping(f, &answer, bytes, err))
			return false;
		frame_put_ping(out, answer, bytes);
	} else {
		if (!frame_read_goaway(f, &goaway, err))
			return false;
		frame_put_goaway(out, &goaway);
	}
	return true;
}

static bool echo_error(const struct frame *f, struct buf *out, struct err *err)
{
	char text[FRAME_ERROR_TEXT_MAX + 1];
	struct frame_error error;

	if (!frame_read_error(f, &error, err))
		return false;
	if (error.type >= FRAME_TYPE_COUNT ||
	    memchr(error.text.p ? error.text.p : (void *)"", 0, error.text.n))
		return err_set(err, ERR_RANGE, "valid, but nothing that we would write");
	memcpy(text, error.text.p ? error.text.p : (void *)"", error.text.n);
	text[error.text.n] = '\0';
	frame_put_error(out, f->stream, error.type, error.code, text);
	return true;
}

/* Appends to out what f says, written anew.  False with the reader's error when f is refused. */
static inline bool frame_echo(const struct frame *f, struct buf *out, struct err *err)
{
	switch ((enum frame_type)f->type) {
	case FRAME_HELLO:
	case FRAME_SESSION:
	case FRAME_SESSION_OK:
	case FRAME_RELAY:
		return echo_opening(f, out, err);
	case FRAME_BATCH:
		return echo_batch(f, out, err);
	case FRAME_LANES:
		return echo_lanes(f, out, err);
	case FRAME_LEAVES:
		return echo_leaves(f, out, err);
	case FRAME_COSIGN:
	case FRAME_FETCH:
	case FRAME_CANCEL:
	case FRAME_CREDIT:
	case FRAME_PING:
	case FRAME_GOAWAY:
		return echo_small(f, out, err);
	case FRAME_ERROR:
		return echo_error(f, out, err);
	case FRAME_TYPE_COUNT:
	case FRAME_TYPE_SKIPPED:
		break;
	}
	return err_set(err, ERR_RANGE, "a type that is skipped");
}

#endif
