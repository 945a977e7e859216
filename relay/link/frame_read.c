/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "relay/link/frame.h"

#define READ_ID(r, id) read_copy(r, (id)->b, sizeof((id)->b))

/* Whether a rule wants the frame's stream to be 0 or not to be. */
enum stream_rule { STREAM_ZERO, STREAM_SET, STREAM_ANY };

static bool refuse(const struct frame *f, const char *what, struct err *err)
{
	return err_set(err, ERR_PROTOCOL, "%s: %s", frame_type_name(f->type), what);
}

static bool begin(const struct frame *f, enum frame_type type, enum stream_rule rule,
		  struct reader *ret, struct err *err)
{
	assert(f->type == type);
	if (rule != STREAM_ANY && (f->stream != 0) != (rule == STREAM_SET))
		return refuse(f, rule == STREAM_SET ? "stream is 0" : "stream is not 0", err);
	*ret = reader_of(f->payload);
	return true;
}

static bool end(const struct frame *f, const struct reader *r, struct err *err)
{
	if (!reader_done(r))
		return refuse(f, r->bad ? "payload too short" : "payload too long", err);
	return true;
}

static bool is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= b[i];
	return any == 0;
}

bool frame_read_hello(const struct frame *f, struct frame_hello *ret, struct err *err)
{
	struct frame_hello h = {0};
	struct reader r;

	if (!begin(f, FRAME_HELLO, STREAM_ZERO, &r, err))
		return false;
	h.version = read_u8(&r);
	if (!r.bad && h.version != FRAME_VERSION)
		return err_set(err, ERR_VERSION, "hello: version %u, ours is %u",
			       (unsigned)h.version, (unsigned)FRAME_VERSION);
	h.role = read_u8(&r);
	READ_ID(&r, &h.network);
	READ_ID(&r, &h.key);
	READ_ID(&r, &h.signature);
	h.height = read_u64(&r);
	h.frame_max = read_u32(&r);
	h.in_flight_max = read_u32(&r);
	h.max_unpaid_cu = read_u64(&r);
	h.worker = read_u32(&r);
	if (!end(f, &r, err))
		return false;
	if (h.role != FRAME_ROLE_GATEWAY && h.role != FRAME_ROLE_SUPPLIER)
		return refuse(f, "unknown role", err);
	*ret = h;
	return true;
}

bool frame_read_session(const struct frame *f, struct frame_session *ret, struct err *err)
{
	struct frame_session s = {0};
	struct view service;
	struct reader r;

	if (!begin(f, FRAME_SESSION, STREAM_SET, &r, err))
		return false;
	READ_ID(&r, &s.session);
	READ_ID(&r, &s.application);
	service = read_short(&r);
	s.start = read_u64(&r);
	READ_ID(&r, &s.table);
	if (!end(f, &r, err))
		return false;
	if (!service_name_parse((const char *)service.p, service.n, &s.service))
		return refuse(f, "not a service name", err);
	*ret = s;
	return true;
}

bool frame_read_session_ok(const struct frame *f, height_t *ret, struct err *err)
{
	struct reader r;
	height_t height;

	if (!begin(f, FRAME_SESSION_OK, STREAM_SET, &r, err))
		return false;
	height = read_u64(&r);
	if (!end(f, &r, err))
		return false;
	*ret = height;
	return true;
}

bool frame_read_relay(const struct frame *f, struct frame_relay *ret, struct err *err)
{
	struct frame_relay relay = {.pinned = (f->flags & FRAME_RELAY_PINNED) != 0};
	struct reader r;

	if (!begin(f, FRAME_RELAY, STREAM_SET, &r, err))
		return false;
	relay.session = read_u32(&r);
	relay.deadline_ms = read_u32(&r);
	READ_ID(&r, &relay.salt);
	if (relay.pinned) {
		relay.pin_block = read_u64(&r);
		READ_ID(&r, &relay.pin_hash);
	}
	relay.request = read_rest(&r);
	if (!end(f, &r, err))
		return false;
	if (relay.session == 0)
		return refuse(f, "session handle is 0", err);
	if (relay.request.n == 0)
		return refuse(f, "no request", err);
	if (relay.pinned && relay.pin_block == UINT64_MAX)
		return refuse(f, "pinned to no block", err);
	*ret = relay;
	return true;
}

bool frame_read_batch(const struct frame *f, struct frame_batch *ret, struct err *err)
{
	size_t turn_bytes = 0;
	struct reader r;

	if (!begin(f, FRAME_BATCH, STREAM_ZERO, &r, err))
		return false;
	READ_ID(&r, &ret->lane);
	ret->first = read_u64(&r);
	ret->count = read_u32(&r);
	if (r.bad)
		return refuse(f, "payload too short", err);
	if (ret->count == 0 || ret->count > FRAME_BATCH_LEAVES_MAX)
		return refuse(f, "count out of range", err);
	if (ret->first > FRAME_LANE_MAX - ret->count)
		return refuse(f, "past the end of a lane", err);
	for (uint32_t i = 0; i < ret->count; i++) {
		struct frame_answer *a = &ret->answers[i];

		a->relay = read_u32(&r);
		a->leaf = read_bytes(&r, FRAME_LEAF_BYTES).p;
		a->response = read_bytes(&r, read_u32(&r));
		if (r.bad)
			return refuse(f, "payload too short", err);
		if (a->relay == 0)
			return refuse(f, "relay number is 0", err);
		turn_bytes += FRAME_ANSWER_BYTES + a->response.n;
		if (i > 0 && turn_bytes > FRAME_BATCH_BYTES_MAX)
			return refuse(f, "more than a turn", err);
	}
	READ_ID(&r, &ret->root);
	READ_ID(&r, &ret->signature);
	return end(f, &r, err);
}

bool frame_read_cosign(const struct frame *f, struct frame_cosign *ret, struct err *err)
{
	struct frame_cosign c;
	struct reader r;

	if (!begin(f, FRAME_COSIGN, STREAM_ZERO, &r, err))
		return false;
	READ_ID(&r, &c.lane);
	c.size = read_u64(&r);
	READ_ID(&r, &c.root);
	c.time_s = read_u64(&r);
	READ_ID(&r, &c.signature);
	if (!end(f, &r, err))
		return false;
	if (c.size == 0 || c.size > FRAME_LANE_MAX)
		return refuse(f, "size out of range", err);
	*ret = c;
	return true;
}

/* One entry of exactly FRAME_LANE_BYTES. */
static void lane_read(const uint8_t *p, struct frame_lane *ret)
{
	struct reader r = reader_of(VIEW(p, FRAME_LANE_BYTES));

	READ_ID(&r, &ret->lane);
	ret->state = read_u8(&r);
	ret->size = read_u64(&r);
	READ_ID(&r, &ret->root);
	READ_ID(&r, &ret->signature);
	ret->cosigned_size = read_u64(&r);
	READ_ID(&r, &ret->cosigned_root);
	ret->cosigned_time_s = read_u64(&r);
	READ_ID(&r, &ret->cosignature);
	assert(reader_done(&r));
}

static bool lane_is_valid(const struct frame_lane *lane)
{
	if (lane->state > 1 || lane->size > FRAME_LANE_MAX || lane->cosigned_size > FRAME_LANE_MAX)
		return false;
	if (lane->size == 0 && !(is_zero(&lane->root, sizeof(lane->root)) &&
				 is_zero(&lane->signature, sizeof(lane->signature))))
		return false;
	return lane->cosigned_size != 0 ||
	       (is_zero(&lane->cosigned_root, sizeof(lane->cosigned_root)) &&
		lane->cosigned_time_s == 0 &&
		is_zero(&lane->cosignature, sizeof(lane->cosignature)));
}

bool frame_read_lanes(const struct frame *f, struct frame_lanes *ret, struct err *err)
{
	struct frame_lanes lanes = {0};
	struct reader r;

	if (!begin(f, FRAME_LANES, STREAM_ZERO, &r, err))
		return false;
	lanes.last = f->flags & FRAME_LANES_LAST;
	lanes.answer = f->flags & FRAME_LANES_ANSWER;
	lanes.count = read_u32(&r);
	if (lanes.count > FRAME_LANES_MAX)
		return refuse(f, "count out of range", err);
	lanes.entries = read_bytes(&r, (size_t)lanes.count * FRAME_LANE_BYTES).p;
	if (!end(f, &r, err))
		return false;
	for (uint32_t i = 0; i < lanes.count; i++) {
		struct frame_lane lane;

		frame_lanes_at(&lanes, i, &lane);
		if (!lane_is_valid(&lane))
			return refuse(f, "an entry is not valid", err);
	}
	*ret = lanes;
	return true;
}

void frame_lanes_at(const struct frame_lanes *lanes, uint32_t i, struct frame_lane *ret)
{
	assert(i < lanes->count);
	lane_read(lanes->entries + (size_t)i * FRAME_LANE_BYTES, ret);
}

bool frame_read_fetch(const struct frame *f, struct frame_fetch *ret, struct err *err)
{
	struct frame_fetch fetch;
	struct reader r;

	if (!begin(f, FRAME_FETCH, STREAM_SET, &r, err))
		return false;
	READ_ID(&r, &fetch.lane);
	fetch.from = read_u64(&r);
	fetch.to = read_u64(&r);
	if (!end(f, &r, err))
		return false;
	if (fetch.from >= fetch.to || fetch.to > FRAME_LANE_MAX ||
	    fetch.to - fetch.from > FRAME_FETCH_MAX)
		return refuse(f, "range out of range", err);
	*ret = fetch;
	return true;
}

bool frame_read_leaves(const struct frame *f, struct frame_leaves *ret, struct err *err)
{
	struct frame_leaves leaves;
	struct reader r;

	if (!begin(f, FRAME_LEAVES, STREAM_SET, &r, err))
		return false;
	READ_ID(&r, &leaves.lane);
	leaves.from = read_u64(&r);
	leaves.count = read_u32(&r);
	if (leaves.count > FRAME_FETCH_MAX || leaves.from > FRAME_LANE_MAX - leaves.count)
		return refuse(f, "range out of range", err);
	leaves.entries = read_bytes(&r, (size_t)leaves.count * FRAME_LEAVES_ENTRY_BYTES).p;
	READ_ID(&r, &leaves.signature);
	if (!end(f, &r, err))
		return false;
	*ret = leaves;
	return true;
}

bool frame_read_cancel(const struct frame *f, struct err *err)
{
	struct reader r;

	return begin(f, FRAME_CANCEL, STREAM_SET, &r, err) && end(f, &r, err);
}

bool frame_read_credit(const struct frame *f, struct frame_credit *ret, struct err *err)
{
	struct frame_credit credit;
	struct reader r;

	if (!begin(f, FRAME_CREDIT, STREAM_ANY, &r, err))
		return false;
	credit.relays = read_u32(&r);
	credit.bytes = read_u32(&r);
	if (!end(f, &r, err))
		return false;
	*ret = credit;
	return true;
}

bool frame_read_ping(const struct frame *f, bool *ret_answer, uint8_t ret[8], struct err *err)
{
	struct reader r;
	uint8_t bytes[8];

	if (!begin(f, FRAME_PING, STREAM_ZERO, &r, err))
		return false;
	read_copy(&r, bytes, sizeof(bytes));
	if (!end(f, &r, err))
		return false;
	*ret_answer = f->flags & FRAME_PING_ANSWER;
	memcpy(ret, bytes, sizeof(bytes));
	return true;
}

bool frame_read_goaway(const struct frame *f, struct frame_goaway *ret, struct err *err)
{
	struct frame_goaway goaway;
	struct reader r;

	if (!begin(f, FRAME_GOAWAY, STREAM_ZERO, &r, err))
		return false;
	goaway.code = read_u16(&r);
	goaway.drain_ms = read_u32(&r);
	if (!end(f, &r, err))
		return false;
	*ret = goaway;
	return true;
}

bool frame_read_error(const struct frame *f, struct frame_error *ret, struct err *err)
{
	struct reader r = reader_of(f->payload);
	struct frame_error e;

	assert(f->type == FRAME_ERROR);
	e.type = read_u8(&r);
	e.code = read_u16(&r);
	e.text = read_bytes(&r, read_u16(&r));
	if (!end(f, &r, err))
		return false;
	if (e.text.n > FRAME_ERROR_TEXT_MAX || !utf8_is_valid(e.text))
		return refuse(f, "the text is not UTF-8 of at most 512 bytes", err);
	if (e.type == 0 && f->stream != 0)
		return refuse(f, "stream is not 0", err);
	*ret = e;
	return true;
}
