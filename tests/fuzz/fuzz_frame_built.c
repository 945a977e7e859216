/* SPDX-License-Identifier: Apache-2.0
 * Frames of every type as the input describes them ([F3] to [F11], [L5], [L6]): each is read and
 * written to the same bytes; then one of their bytes is changed, dropped or doubled, and what is
 * still accepted must still be written as it was read. */
#include "relay/base/mem.h"
#include "tests/fuzz/choices.h"
#include "tests/support/frame_echo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_FRAME_MAX (4u << 20)

#define FILL(c, id) choose_fill(c, (id)->b, sizeof((id)->b))

/* A size of a lane, often an edge. */
static uint64_t lane_size(struct choices *c, uint64_t least)
{
	const uint64_t edges[] = {least, least + 1, FRAME_LANE_MAX - 1, FRAME_LANE_MAX};

	return edges[choose_below(c, ARRAY_SIZE(edges))];
}

static void build_session(struct choices *c, struct buf *out)
{
	static const char *const names[] = {"eth", "a", "a-very-long-name-of-32-bytes-0123"};
	struct frame_session session = {.start = choose_u64(c)};
	const char *name = names[choose_below(c, ARRAY_SIZE(names))];

	FILL(c, &session.session);
	FILL(c, &session.application);
	FILL(c, &session.table);
	if (!service_name_parse(name, MIN(strlen(name), (size_t)SERVICE_NAME_MAX),
				&session.service))
		abort();
	frame_put_session(out, 1 + choose_u8(c), &session);
}

static void build_hello(struct choices *c, struct buf *out)
{
	struct frame_hello hello = {.version = FRAME_VERSION,
				    .role = (uint8_t)(1 + choose_u8(c) % 2),
				    .height = choose_u64(c),
				    .frame_max = 1024u + choose_u8(c),
				    .in_flight_max = choose_u8(c),
				    .max_unpaid_cu = choose_u64(c),
				    .worker = choose_u8(c)};

	FILL(c, &hello.network);
	FILL(c, &hello.key);
	FILL(c, &hello.signature);
	frame_put_hello(out, &hello);
}

static void build_relay(struct choices *c, struct buf *out)
{
	struct frame_relay relay = {.session = 1u + choose_u8(c), .deadline_ms = choose_u8(c)};

	FILL(c, &relay.salt);
	relay.pinned = choose_u8(c) & 1;
	relay.pin_block = choose_u8(c);
	relay.request = choose_bytes(c, 64);
	if (relay.request.n == 0)
		relay.request = VIEW_STR("x");
	frame_put_relay(out, 1u + choose_u8(c), &relay);
}

static void build_batch(struct choices *c, struct buf *out)
{
	uint32_t count = 1 + choose_below(c, choose_u8(c) < 8 ? FRAME_BATCH_LEAVES_MAX : 3);
	struct lane_id lane;
	struct hash root;
	struct signature signature;
	size_t begun;

	FILL(c, &lane);
	FILL(c, &root);
	FILL(c, &signature);
	begun = frame_batch_begin(out, &lane, choose_u8(c) & 1 ? FRAME_LANE_MAX - count : 0, count);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t leaf[FRAME_LEAF_BYTES];

		choose_fill(c, leaf, sizeof(leaf));
		frame_batch_add(out, 1 + i, leaf, choose_bytes(c, 16));
	}
	frame_batch_end(out, begun, &root, &signature);
}

static void build_lanes(struct choices *c, struct buf *out)
{
	static struct frame_lane lanes[FRAME_LANES_MAX];
	uint32_t count = choose_below(c, choose_u8(c) < 8 ? FRAME_LANES_MAX + 1 : 3);

	for (uint32_t i = 0; i < count; i++) {
		struct frame_lane *l = &lanes[i];

		*l = (struct frame_lane){.state = choose_u8(c) & 1, .size = lane_size(c, 0)};
		FILL(c, &l->lane);
		if (l->size > 0) {
			FILL(c, &l->root);
			FILL(c, &l->signature);
		}
		l->cosigned_size = lane_size(c, 0);
		if (l->cosigned_size > 0) {
			FILL(c, &l->cosigned_root);
			FILL(c, &l->cosignature);
			l->cosigned_time_s = choose_u64(c);
		}
	}
	frame_put_lanes(out, choose_u8(c) & 3, lanes, count);
}

static void build_leaves(struct choices *c, struct buf *out)
{
	uint32_t count = choose_below(c, choose_u8(c) < 8 ? FRAME_FETCH_MAX + 1 : 3);
	struct lane_id lane;
	struct signature signature;
	size_t begun;

	FILL(c, &lane);
	begun = frame_leaves_begin(out, 1u + choose_u8(c), &lane,
				   choose_u8(c) & 1 ? FRAME_LANE_MAX - count : 0, count);
	for (uint32_t i = 0; i < count; i++) {
		uint8_t leaf[FRAME_LEAF_BYTES];
		struct salt salt;

		choose_fill(c, leaf, sizeof(leaf));
		FILL(c, &salt);
		frame_leaves_add(out, leaf, &salt);
	}
	FILL(c, &signature);
	frame_leaves_end(out, begun, choose_u8(c) & 1 ? &signature : NULL);
}

static void build_cosign(struct choices *c, struct buf *out)
{
	struct frame_cosign cosign = {.size = lane_size(c, 1), .time_s = choose_u64(c)};

	FILL(c, &cosign.lane);
	FILL(c, &cosign.root);
	FILL(c, &cosign.signature);
	frame_put_cosign(out, &cosign);
}

static void build_fetch(struct choices *c, struct buf *out)
{
	struct frame_fetch fetch = {.to = lane_size(c, 1)};
	uint64_t count = 1 + choose_below(c, FRAME_FETCH_MAX);

	FILL(c, &fetch.lane);
	fetch.from = fetch.to - MIN(fetch.to, count);
	frame_put_fetch(out, 1u + choose_u8(c), &fetch);
}

static void build_error(struct choices *c, struct buf *out)
{
	static const char *const texts[] = {"", "no", "\xc3\xa9\xe2\x82\xac", "with \"marks\""};
	uint8_t type = choose_u8(c) % FRAME_TYPE_COUNT;

	frame_put_error(out, type ? choose_u8(c) : 0, type, choose_u8(c),
			texts[choose_below(c, ARRAY_SIZE(texts))]);
}

static void build(struct choices *c, struct buf *out)
{
	struct frame_credit credit;
	struct frame_goaway goaway;
	uint8_t ping[8];

	switch ((enum frame_type)(1 + choose_below(c, FRAME_TYPE_COUNT - 1))) {
	case FRAME_HELLO:
		build_hello(c, out);
		return;
	case FRAME_SESSION:
		build_session(c, out);
		return;
	case FRAME_SESSION_OK:
		frame_put_session_ok(out, 1u + choose_u8(c), choose_u64(c));
		return;
	case FRAME_RELAY:
		build_relay(c, out);
		return;
	case FRAME_BATCH:
		build_batch(c, out);
		return;
	case FRAME_COSIGN:
		build_cosign(c, out);
		return;
	case FRAME_LANES:
		build_lanes(c, out);
		return;
	case FRAME_FETCH:
		build_fetch(c, out);
		return;
	case FRAME_LEAVES:
		build_leaves(c, out);
		return;
	case FRAME_CANCEL:
		frame_put_cancel(out, 1u + choose_u8(c));
		return;
	case FRAME_CREDIT:
		credit = (struct frame_credit){choose_u8(c), (uint32_t)choose_u64(c)};
		frame_put_credit(out, choose_u8(c), &credit);
		return;
	case FRAME_PING:
		choose_fill(c, ping, sizeof(ping));
		frame_put_ping(out, choose_u8(c) & 1, ping);
		return;
	case FRAME_GOAWAY:
		goaway = (struct frame_goaway){choose_u8(c), (uint32_t)choose_u64(c)};
		frame_put_goaway(out, &goaway);
		return;
	case FRAME_ERROR:
	case FRAME_TYPE_COUNT:
	case FRAME_TYPE_SKIPPED:
		build_error(c, out);
		return;
	}
}

/* True iff the whole of the bytes is one frame that is read, and written the same (flags apart). */
static bool echoes(struct view in)
{
	CLEANUP(buf_finish) struct buf out = {0};
	struct frame f;
	struct err err = {0};
	size_t used = 0;

	switch (frame_scan(in, FUZZ_FRAME_MAX, &f, &used, &err)) {
	case FRAME_SCAN_MORE:
		assert(used == 0 ? in.n < 4 : used > in.n);
		return false;
	case FRAME_SCAN_BROKEN:
		assert(err.code == ERR_PROTOCOL || err.code == ERR_FRAME_TOO_LARGE);
		return false;
	case FRAME_SCAN_ONE:
		break;
	}
	assert(used >= FRAME_HEADER_BYTES && used <= in.n);
	if (!frame_echo(&f, &out, &err)) {
		assert(err.code == ERR_PROTOCOL || err.code == ERR_VERSION ||
		       err.code == ERR_RANGE);
		return false;
	}
	assert(out.n == used && memcmp(out.p, in.p, 5) == 0);
	assert(memcmp(out.p + 6, in.p + 6, used - 6) == 0);
	return used == in.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};
	CLEANUP(buf_finish) struct buf bytes = {0};
	bool fine;

	build(&c, &bytes);
	fine = echoes(buf_view(&bytes));
	assert(fine);
	while (choose_damage(&c, &bytes)) {
		/* a block of exactly this size: a read past its end is an error that is seen */
		CLEANUP(xfree) uint8_t *exact = xmemdup(bytes.p, bytes.n);

		fine = echoes(VIEW(exact, bytes.n));
	}
	return 0;
}
