/* SPDX-License-Identifier: Apache-2.0
 * The codec of frames against tests/vectors/frames.json, which another implementation wrote
 * (protocol.md [F2] [F3] [F4] [F5] [F6] [F7] [F8] [F9] [F10] [F11] [F14] [L5] [L6]). */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "relay/base/mem.h"
#include "tests/support/frame_echo.h"

static json_t *vectors;

static int load_vectors(void **state)
{
	const char *source = getenv("CF_SOURCE_ROOT");
	CLEANUP(xfree)
	char *path = xasprintf("%s/tests/vectors/frames.json", source ? source : ".");

	vectors = json_load_file(path, 0, NULL);
	return vectors ? 0 : -1;
}

static int drop_vectors(void **state)
{
	json_decref(vectors);
	return 0;
}

static void bytes_of(const json_t *row, const char *key, struct buf *ret)
{
	const char *hex = json_string_value(json_object_get(row, key));

	assert_non_null(hex);
	buf_reserve(ret, strlen(hex) / 2 + 1);
	ret->n = strlen(hex) / 2;
	assert_true(hex_decode(hex, strlen(hex), ret->p, ret->n));
}

static void scan_one(const struct buf *bytes, struct frame *ret)
{
	struct err err = {0};
	size_t used;

	assert_int_equal(frame_scan(buf_view(bytes), 1 << 22, ret, &used, &err), FRAME_SCAN_ONE);
	assert_int_equal(used, bytes->n);
}

/* The i-th good vector with this name. */
static json_t *good(const char *name, size_t i, struct buf *bytes, struct frame *ret)
{
	json_t *row;
	size_t at;

	json_array_foreach(json_object_get(vectors, "good"), at, row)
	{
		if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0 &&
		    i-- == 0) {
			bytes->n = 0;
			bytes_of(row, "hex", bytes);
			scan_one(bytes, ret);
			return json_object_get(row, "fields");
		}
	}
	fail_msg("no vector %s", name);
	return NULL;
}

static void is_hex(const json_t *fields, const char *key, const void *p, size_t n)
{
	const char *want = json_string_value(json_object_get(fields, key));
	CLEANUP(buf_finish) struct buf text = {0};

	buf_put_hex(&text, p, n);
	assert_string_equal(buf_cstr(&text), want);
}

static void is_number(const json_t *fields, const char *key, uint64_t v)
{
	assert_int_equal(v, json_integer_value(json_object_get(fields, key)));
}

#define IS_ID(fields, key, id) is_hex(fields, key, (id).b, sizeof((id).b))

static void every_good_vector_is_read_and_written_again(void **state)
{
	CLEANUP(buf_finish) struct buf bytes = {0}, out = {0};
	struct err err = {0};
	struct frame f;
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "good"), i, row)
	{
		bytes.n = out.n = 0;
		bytes_of(row, "hex", &bytes);
		scan_one(&bytes, &f);
		assert_string_equal(frame_type_name(f.type),
				    json_string_value(json_object_get(row, "name")));
		is_number(row, "stream", f.stream);
		is_number(row, "flags", f.flags);
		assert_ok(frame_echo(&f, &out, &err), err);
		assert_true(view_eq(buf_view(&out), buf_view(&bytes)));
	}
	assert_true(i > 20);
}

static void every_bad_vector_is_refused(void **state)
{
	CLEANUP(buf_finish) struct buf bytes = {0}, out = {0};
	json_t *row;
	size_t i, used;

	json_array_foreach(json_object_get(vectors, "bad"), i, row)
	{
		struct err err = {0};
		struct frame f;

		bytes.n = 0;
		bytes_of(row, "hex", &bytes);
		if (frame_scan(buf_view(&bytes), 1 << 22, &f, &used, &err) == FRAME_SCAN_ONE &&
		    frame_echo(&f, &out, &err))
			fail_msg("%s: taken", json_string_value(json_object_get(row, "why")));
		assert_true(err.code == ERR_PROTOCOL || err.code == ERR_VERSION);
		assert_true(strlen(err.msg) > 0);
	}
	assert_true(i > 30);
}

static void a_payload_cut_or_grown_by_a_byte_is_refused(void **state)
{
	CLEANUP(buf_finish) struct buf bytes = {0}, out = {0};
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "good"), i, row)
	{
		struct err err = {0};
		struct frame f, cut;

		bytes.n = 0;
		bytes_of(row, "hex", &bytes);
		scan_one(&bytes, &f);
		cut = f;
		for (cut.payload.n = 0; cut.payload.n < f.payload.n; cut.payload.n++)
			if (f.type != FRAME_RELAY || cut.payload.n <= 24)
				assert_false(frame_echo(&cut, &out, &err));
		if (f.type == FRAME_RELAY)
			continue; /* the request is what is left */
		buf_put_u8(&bytes, 0);
		cut.payload = VIEW(bytes.p + FRAME_HEADER_BYTES, f.payload.n + 1);
		assert_false(frame_echo(&cut, &out, &err));
		assert_err(err, ERR_PROTOCOL);
	}
}

static void hello_and_session_have_their_fields_in_place(void **state)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct frame_session session;
	struct frame_hello hello;
	struct err err = {0};
	struct frame f;
	json_t *fields = good("hello", 0, &bytes, &f);

	assert_ok(frame_read_hello(&f, &hello, &err), err);
	is_number(fields, "version", hello.version);
	is_number(fields, "role", hello.role);
	IS_ID(fields, "network", hello.network);
	IS_ID(fields, "key", hello.key);
	IS_ID(fields, "signature", hello.signature);
	is_number(fields, "height", hello.height);
	is_number(fields, "frame_max", hello.frame_max);
	is_number(fields, "in_flight_max", hello.in_flight_max);
	is_number(fields, "max_unpaid_cu", hello.max_unpaid_cu);
	is_number(fields, "worker", hello.worker);

	fields = good("session", 0, &bytes, &f);
	assert_ok(frame_read_session(&f, &session, &err), err);
	IS_ID(fields, "session", session.session);
	IS_ID(fields, "application", session.application);
	assert_string_equal(session.service.s, "eth");
	is_number(fields, "start", session.start);
	IS_ID(fields, "table", session.table);
}

static void relay_and_batch_have_their_fields_in_place(void **state)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	static struct frame_batch batch;
	struct frame_relay relay;
	struct err err = {0};
	struct frame f;
	json_t *fields = good("relay", 0, &bytes, &f), *answer;

	assert_ok(frame_read_relay(&f, &relay, &err), err);
	is_number(fields, "session", relay.session);
	is_number(fields, "deadline_ms", relay.deadline_ms);
	IS_ID(fields, "salt", relay.salt);
	is_hex(fields, "request", relay.request.p, relay.request.n);
	assert_false(relay.pinned);
	fields = good("relay", 2, &bytes, &f);
	assert_ok(frame_read_relay(&f, &relay, &err), err);
	assert_true(relay.pinned);
	is_number(fields, "pin_block", relay.pin_block);
	IS_ID(fields, "pin_hash", relay.pin_hash);
	is_hex(fields, "request", relay.request.p, relay.request.n);

	fields = good("batch", 0, &bytes, &f);
	assert_ok(frame_read_batch(&f, &batch, &err), err);
	IS_ID(fields, "lane", batch.lane);
	is_number(fields, "first", batch.first);
	IS_ID(fields, "root", batch.root);
	IS_ID(fields, "signature", batch.signature);
	assert_int_equal(batch.count, 2);
	for (size_t i = 0; i < 2; i++) {
		answer = json_array_get(json_object_get(fields, "answers"), i);
		is_number(answer, "relay", batch.answers[i].relay);
		is_hex(answer, "leaf", batch.answers[i].leaf, FRAME_LEAF_BYTES);
		is_hex(answer, "response", batch.answers[i].response.p,
		       batch.answers[i].response.n);
	}
}

static void cosign_and_lanes_have_their_fields_in_place(void **state)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct frame_cosign cosign;
	struct frame_lanes lanes;
	struct frame_lane lane;
	struct err err = {0};
	struct frame f;
	json_t *fields = good("cosign", 0, &bytes, &f);

	assert_ok(frame_read_cosign(&f, &cosign, &err), err);
	IS_ID(fields, "lane", cosign.lane);
	is_number(fields, "size", cosign.size);
	IS_ID(fields, "root", cosign.root);
	is_number(fields, "time", cosign.time_s);
	IS_ID(fields, "signature", cosign.signature);

	fields = good("lanes", 1, &bytes, &f);
	assert_ok(frame_read_lanes(&f, &lanes, &err), err);
	assert_true(lanes.last && !lanes.answer && lanes.count == 2);
	frame_lanes_at(&lanes, 0, &lane);
	fields = json_array_get(json_object_get(fields, "lanes"), 0);
	IS_ID(fields, "lane", lane.lane);
	is_number(fields, "state", lane.state);
	is_number(fields, "size", lane.size);
	IS_ID(fields, "root", lane.root);
	IS_ID(fields, "signature", lane.signature);
	is_number(fields, "cosigned_size", lane.cosigned_size);
	IS_ID(fields, "cosigned_root", lane.cosigned_root);
	is_number(fields, "cosigned_time", lane.cosigned_time_s);
	IS_ID(fields, "cosignature", lane.cosignature);
}

static void the_small_frames_have_their_fields_in_place(void **state)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct frame_credit credit;
	struct frame_goaway goaway;
	struct frame_leaves leaves;
	struct frame_error error;
	struct frame_fetch fetch;
	struct err err = {0};
	struct frame f;
	json_t *fields = good("fetch", 0, &bytes, &f);

	assert_ok(frame_read_fetch(&f, &fetch, &err), err);
	IS_ID(fields, "lane", fetch.lane);
	is_number(fields, "from", fetch.from);
	is_number(fields, "to", fetch.to);
	fields = good("leaves", 1, &bytes, &f);
	assert_ok(frame_read_leaves(&f, &leaves, &err), err);
	IS_ID(fields, "lane", leaves.lane);
	is_number(fields, "from", leaves.from);
	assert_int_equal(leaves.count, 1);
	IS_ID(fields, "signature", leaves.signature);
	fields = good("credit", 0, &bytes, &f);
	assert_ok(frame_read_credit(&f, &credit, &err), err);
	is_number(fields, "relays", credit.relays);
	is_number(fields, "bytes", credit.bytes);
	fields = good("goaway", 0, &bytes, &f);
	assert_ok(frame_read_goaway(&f, &goaway, &err), err);
	is_number(fields, "code", goaway.code);
	is_number(fields, "drain_ms", goaway.drain_ms);
	fields = good("error", 0, &bytes, &f);
	assert_ok(frame_read_error(&f, &error, &err), err);
	is_number(fields, "type", error.type);
	is_number(fields, "code", error.code);
	assert_true(view_eq(error.text, VIEW_STR("broken, f\xc3\xbcr ever")));
}

/* --- counts, sizes and ranges at their limits, as nobody's writer would write them --- */

/* Is the frame that ends the buffer read?  If so it is written again to the same bytes. */
static bool is_read(struct buf *bytes, size_t begun)
{
	CLEANUP(buf_finish) struct buf out = {0};
	struct err err = {0};
	struct frame f;
	size_t used;

	frame_end(bytes, begun);
	assert_int_equal(frame_scan(buf_view(bytes), 1u << 24, &f, &used, &err), FRAME_SCAN_ONE);
	if (frame_echo(&f, &out, &err))
		assert_true(view_eq(buf_view(&out), buf_view(bytes)));
	else
		assert_err(err, ERR_PROTOCOL);
	bytes->n = 0;
	return err.code == ERR_NONE;
}

static void put_bytes(struct buf *b, size_t n, uint8_t v)
{
	while (n-- > 0)
		buf_put_u8(b, v);
}

static bool batch_is_read(struct buf *b, uint64_t first, uint32_t count)
{
	size_t begun = frame_begin(b, FRAME_BATCH, 0, 0);

	put_bytes(b, 16, 1);
	buf_put_u64(b, first);
	buf_put_u32(b, count);
	for (uint32_t i = 0; i < count; i++) {
		buf_put_u32(b, i + 1);
		put_bytes(b, FRAME_LEAF_BYTES, 2);
		buf_put_u32(b, 1);
		buf_put_u8(b, 3);
	}
	put_bytes(b, 32 + 64, 4);
	return is_read(b, begun);
}

static bool leaves_are_read(struct buf *b, uint64_t from, uint32_t count)
{
	size_t begun = frame_begin(b, FRAME_LEAVES, 0, 5);

	put_bytes(b, 16, 1);
	buf_put_u64(b, from);
	buf_put_u32(b, count);
	put_bytes(b, (size_t)count * FRAME_LEAVES_ENTRY_BYTES, 2);
	put_bytes(b, 64, 3);
	return is_read(b, begun);
}

static bool fetch_is_read(struct buf *b, uint64_t from, uint64_t to)
{
	size_t begun = frame_begin(b, FRAME_FETCH, 0, 5);

	put_bytes(b, 16, 1);
	buf_put_u64(b, from);
	buf_put_u64(b, to);
	return is_read(b, begun);
}

static bool cosign_is_read(struct buf *b, uint64_t size)
{
	size_t begun = frame_begin(b, FRAME_COSIGN, 0, 0);

	put_bytes(b, 16, 1);
	buf_put_u64(b, size);
	put_bytes(b, 32 + 8 + 64, 2);
	return is_read(b, begun);
}

/* A LANES frame whose last entry is `lane`; those before it are empty ones. */
static bool lanes_are_read(struct buf *b, uint32_t count, const uint8_t *lane)
{
	size_t begun = frame_begin(b, FRAME_LANES, 0, 0);

	buf_put_u32(b, count);
	put_bytes(b, (size_t)(count - 1) * FRAME_LANE_BYTES, 0);
	buf_put(b, lane, FRAME_LANE_BYTES);
	return is_read(b, begun);
}

static bool error_is_read(struct buf *b, uint32_t stream, uint8_t type, size_t n, uint8_t v)
{
	size_t begun = frame_begin(b, FRAME_ERROR, 0, stream);

	buf_put_u8(b, type);
	buf_put_u16(b, 1);
	buf_put_u16(b, (uint16_t)n);
	put_bytes(b, n, v);
	return is_read(b, begun);
}

static void counts_sizes_and_ranges_are_taken_up_to_their_limits(void **state)
{
	CLEANUP(buf_finish) struct buf b = {0};
	const uint64_t end = FRAME_LANE_MAX;

	assert_true(batch_is_read(&b, 0, 1) && batch_is_read(&b, 0, FRAME_BATCH_LEAVES_MAX));
	assert_false(batch_is_read(&b, 0, 0));
	assert_false(batch_is_read(&b, 0, FRAME_BATCH_LEAVES_MAX + 1));
	assert_true(batch_is_read(&b, end - 2, 2));
	assert_false(batch_is_read(&b, end - 1, 2));
	assert_false(batch_is_read(&b, UINT64_MAX, 2));
	assert_true(leaves_are_read(&b, 0, 0) && leaves_are_read(&b, 0, FRAME_FETCH_MAX));
	assert_false(leaves_are_read(&b, 0, FRAME_FETCH_MAX + 1));
	assert_true(leaves_are_read(&b, end - 2, 2) && leaves_are_read(&b, end, 0));
	assert_false(leaves_are_read(&b, end - 1, 2));
	assert_false(leaves_are_read(&b, end + 1, 0));
	assert_false(leaves_are_read(&b, UINT64_MAX, 2));
	assert_true(fetch_is_read(&b, 0, 1) && fetch_is_read(&b, 1, 1 + FRAME_FETCH_MAX));
	assert_false(fetch_is_read(&b, 1, 2 + FRAME_FETCH_MAX));
	assert_false(fetch_is_read(&b, 5, 5));
	assert_false(fetch_is_read(&b, 6, 5));
	assert_true(fetch_is_read(&b, end - 1, end));
	assert_false(fetch_is_read(&b, end, end + 1));
	assert_true(cosign_is_read(&b, 1) && cosign_is_read(&b, end));
	assert_false(cosign_is_read(&b, 0));
	assert_false(cosign_is_read(&b, end + 1));
	assert_true(error_is_read(&b, 0, 0, 0, 0) && error_is_read(&b, 7, 4, 512, 'x'));
	assert_false(error_is_read(&b, 7, 4, 513, 'x'));
	assert_false(error_is_read(&b, 7, 4, 1, 0xff));
	assert_false(error_is_read(&b, 7, 0, 1, 'x'));
	assert_true(error_is_read(&b, 0, 4, 1, 'x'));
}

/* Offsets within an entry of LANES ([L5]). */
enum { AT_STATE = 16, AT_SIZE = 17, AT_ROOT = 25, AT_COSIGNED = 121 };

static void a_lane_of_size_0_has_zeros(void **state)
{
	CLEANUP(buf_finish) struct buf b = {0};
	uint8_t lane[FRAME_LANE_BYTES] = {9};

	assert_true(lanes_are_read(&b, 1, lane) && lanes_are_read(&b, FRAME_LANES_MAX, lane));
	assert_false(lanes_are_read(&b, FRAME_LANES_MAX + 1, lane));
	lane[AT_STATE] = 1;
	assert_true(lanes_are_read(&b, 1, lane));
	lane[AT_STATE] = 2;
	assert_false(lanes_are_read(&b, 3, lane));
	lane[AT_STATE] = 0;
	for (size_t at = AT_ROOT; at < FRAME_LANE_BYTES; at++) {
		bool size = at >= AT_COSIGNED && at < AT_COSIGNED + 8;

		lane[at] = 1;
		if (!size)
			assert_false(lanes_are_read(&b, 1, lane));
		put_be64(lane + (at < AT_COSIGNED ? AT_SIZE : AT_COSIGNED), FRAME_LANE_MAX);
		assert_true(lanes_are_read(&b, 1, lane));
		put_be64(lane + (at < AT_COSIGNED ? AT_SIZE : AT_COSIGNED), FRAME_LANE_MAX + 1);
		assert_false(lanes_are_read(&b, 1, lane));
		memset(lane + AT_SIZE, 0, sizeof(lane) - AT_SIZE);
	}
}

static void a_frame_is_waited_for_and_its_limit_is_kept(void **state)
{
	CLEANUP(buf_finish) struct buf buf = {0};
	struct err err = {0};
	struct frame f;
	size_t used;

	frame_put_ping(&buf, false, (const uint8_t *)"12345678");
	for (size_t n = 0; n < buf.n; n++) {
		assert_int_equal(frame_scan(VIEW(buf.p, n), 14, &f, &used, &err), FRAME_SCAN_MORE);
		assert_int_equal(used, n < 4 ? 0 : buf.n);
	}
	assert_int_equal(frame_scan(buf_view(&buf), 14, &f, &used, &err), FRAME_SCAN_ONE);
	assert_int_equal(frame_scan(buf_view(&buf), 13, &f, &used, &err), FRAME_SCAN_BROKEN);
	assert_err(err, ERR_FRAME_TOO_LARGE);
	put_be32(buf.p, 5);
	assert_int_equal(frame_scan(buf_view(&buf), 14, &f, &used, &err), FRAME_SCAN_BROKEN);
	assert_err(err, ERR_PROTOCOL);
}

static void unknown_types_below_0x80_break_and_others_are_one_frame(void **state)
{
	CLEANUP(buf_finish) struct buf buf = {0};
	struct frame f;
	size_t used;

	frame_put_ping(&buf, false, (const uint8_t *)"12345678");
	for (unsigned type = 0; type < 256; type++) {
		struct err err = {0};
		bool known = (type > 0 && type < FRAME_TYPE_COUNT) || type >= FRAME_TYPE_SKIPPED;

		buf.p[4] = (uint8_t)type;
		assert_int_equal(frame_scan(buf_view(&buf), 14, &f, &used, &err),
				 known ? FRAME_SCAN_ONE : FRAME_SCAN_BROKEN);
		if (!known)
			assert_err(err, ERR_PROTOCOL);
	}
}

static void a_long_error_text_is_cut_at_a_character(void **state)
{
	CLEANUP(buf_finish) struct buf buf = {0};
	struct frame_error error;
	struct err err = {0};
	char text[600];
	struct frame f;

	memset(text, 'a', sizeof(text));
	memcpy(text + 511, "\xc3\xbc", 2);
	text[599] = '\0';
	frame_put_error(&buf, 0, 0, 48, text);
	scan_one(&buf, &f);
	assert_ok(frame_read_error(&f, &error, &err), err);
	assert_int_equal(error.text.n, 511);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_good_vector_is_read_and_written_again),
		cmocka_unit_test(every_bad_vector_is_refused),
		cmocka_unit_test(a_payload_cut_or_grown_by_a_byte_is_refused),
		cmocka_unit_test(hello_and_session_have_their_fields_in_place),
		cmocka_unit_test(relay_and_batch_have_their_fields_in_place),
		cmocka_unit_test(cosign_and_lanes_have_their_fields_in_place),
		cmocka_unit_test(the_small_frames_have_their_fields_in_place),
		cmocka_unit_test(counts_sizes_and_ranges_are_taken_up_to_their_limits),
		cmocka_unit_test(a_lane_of_size_0_has_zeros),
		cmocka_unit_test(a_frame_is_waited_for_and_its_limit_is_kept),
		cmocka_unit_test(unknown_types_below_0x80_break_and_others_are_one_frame),
		cmocka_unit_test(a_long_error_text_is_cut_at_a_character),
	};

	return cmocka_run_group_tests_name("frame", tests, load_vectors, drop_vectors);
}
