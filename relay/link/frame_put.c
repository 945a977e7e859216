/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "relay/link/frame.h"

#define PUT_ID(buf, id) buf_put(buf, (id)->b, sizeof((id)->b))

void frame_put_hello(struct buf *buf, const struct frame_hello *hello)
{
	size_t begun = frame_begin(buf, FRAME_HELLO, 0, 0);

	buf_put_u8(buf, hello->version);
	buf_put_u8(buf, hello->role);
	PUT_ID(buf, &hello->network);
	PUT_ID(buf, &hello->key);
	PUT_ID(buf, &hello->signature);
	buf_put_u64(buf, hello->height);
	buf_put_u32(buf, hello->frame_max);
	buf_put_u32(buf, hello->in_flight_max);
	buf_put_u64(buf, hello->max_unpaid_cu);
	buf_put_u32(buf, hello->worker);
	frame_end(buf, begun);
}

void frame_put_session(struct buf *buf, uint32_t handle, const struct frame_session *session)
{
	size_t begun = frame_begin(buf, FRAME_SESSION, 0, handle);

	assert(handle != 0);
	PUT_ID(buf, &session->session);
	PUT_ID(buf, &session->application);
	buf_put_short(buf, session->service.s, strlen(session->service.s));
	buf_put_u64(buf, session->start);
	PUT_ID(buf, &session->table);
	frame_end(buf, begun);
}

void frame_put_session_ok(struct buf *buf, uint32_t handle, height_t height)
{
	size_t begun = frame_begin(buf, FRAME_SESSION_OK, 0, handle);

	assert(handle != 0);
	buf_put_u64(buf, height);
	frame_end(buf, begun);
}

void frame_put_relay(struct buf *buf, uint32_t number, const struct frame_relay *relay)
{
	size_t begun =
		frame_begin(buf, FRAME_RELAY, relay->pinned ? FRAME_RELAY_PINNED : 0, number);
	size_t head = relay->pinned ? 64 : 24;
	uint8_t *p;

	assert(number != 0 && relay->session != 0 && relay->request.n > 0);
	buf_reserve(buf, head + relay->request.n);
	p = buf->p + buf->n;
	put_be32(p, relay->session);
	put_be32(p + 4, relay->deadline_ms);
	memcpy(p + 8, relay->salt.b, sizeof(relay->salt.b));
	if (relay->pinned) {
		put_be64(p + 24, relay->pin_block);
		memcpy(p + 32, relay->pin_hash.b, sizeof(relay->pin_hash.b));
	}
	memcpy(p + head, relay->request.p, relay->request.n);
	buf->n += head + relay->request.n;
	frame_end(buf, begun);
}

size_t frame_batch_begin(struct buf *buf, const struct lane_id *lane, uint64_t first,
			 uint32_t count)
{
	size_t begun = frame_begin(buf, FRAME_BATCH, 0, 0);

	assert(count > 0 && count <= FRAME_BATCH_LEAVES_MAX && first + count <= FRAME_LANE_MAX);
	PUT_ID(buf, lane);
	buf_put_u64(buf, first);
	buf_put_u32(buf, count);
	return begun;
}

void frame_batch_add(struct buf *buf, uint32_t relay, const uint8_t leaf[FRAME_LEAF_BYTES],
		     struct view response)
{
	const size_t head = 4 + FRAME_LEAF_BYTES + 4;
	uint8_t *p;

	assert(relay != 0 && response.n <= UINT32_MAX);
	buf_reserve(buf, head + response.n);
	p = buf->p + buf->n;
	put_be32(p, relay);
	memcpy(p + 4, leaf, FRAME_LEAF_BYTES);
	put_be32(p + 4 + FRAME_LEAF_BYTES, (uint32_t)response.n);
	if (response.n)
		memcpy(p + head, response.p, response.n);
	buf->n += head + response.n;
}

void frame_batch_end(struct buf *buf, size_t begun, const struct hash *root,
		     const struct signature *signature)
{
	PUT_ID(buf, root);
	PUT_ID(buf, signature);
	frame_end(buf, begun);
}

void frame_put_cosign(struct buf *buf, const struct frame_cosign *cosign)
{
	size_t begun = frame_begin(buf, FRAME_COSIGN, 0, 0);

	assert(cosign->size > 0 && cosign->size <= FRAME_LANE_MAX);
	PUT_ID(buf, &cosign->lane);
	buf_put_u64(buf, cosign->size);
	PUT_ID(buf, &cosign->root);
	buf_put_u64(buf, cosign->time_s);
	PUT_ID(buf, &cosign->signature);
	frame_end(buf, begun);
}

void frame_put_lanes(struct buf *buf, uint8_t flags, const struct frame_lane *lanes, uint32_t count)
{
	size_t begun = frame_begin(buf, FRAME_LANES, flags, 0);

	assert(count <= FRAME_LANES_MAX);
	buf_put_u32(buf, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct frame_lane *lane = &lanes[i];

		PUT_ID(buf, &lane->lane);
		buf_put_u8(buf, lane->state);
		buf_put_u64(buf, lane->size);
		PUT_ID(buf, &lane->root);
		PUT_ID(buf, &lane->signature);
		buf_put_u64(buf, lane->cosigned_size);
		PUT_ID(buf, &lane->cosigned_root);
		buf_put_u64(buf, lane->cosigned_time_s);
		PUT_ID(buf, &lane->cosignature);
	}
	frame_end(buf, begun);
}

void frame_put_fetch(struct buf *buf, uint32_t number, const struct frame_fetch *fetch)
{
	size_t begun = frame_begin(buf, FRAME_FETCH, 0, number);

	assert(number != 0 && fetch->from < fetch->to && fetch->to <= FRAME_LANE_MAX &&
	       fetch->to - fetch->from <= FRAME_FETCH_MAX);
	PUT_ID(buf, &fetch->lane);
	buf_put_u64(buf, fetch->from);
	buf_put_u64(buf, fetch->to);
	frame_end(buf, begun);
}

size_t frame_leaves_begin(struct buf *buf, uint32_t number, const struct lane_id *lane,
			  uint64_t from, uint32_t count)
{
	size_t begun = frame_begin(buf, FRAME_LEAVES, 0, number);

	assert(number != 0 && count <= FRAME_FETCH_MAX && from + count <= FRAME_LANE_MAX);
	PUT_ID(buf, lane);
	buf_put_u64(buf, from);
	buf_put_u32(buf, count);
	return begun;
}

void frame_leaves_add(struct buf *buf, const uint8_t leaf[FRAME_LEAF_BYTES],
		      const struct salt *salt)
{
	buf_put(buf, leaf, FRAME_LEAF_BYTES);
	PUT_ID(buf, salt);
}

void frame_leaves_end(struct buf *buf, size_t begun, const struct signature *signature)
{
	PUT_ID(buf, signature ? signature : &(struct signature){0});
	frame_end(buf, begun);
}

void frame_put_cancel(struct buf *buf, uint32_t number)
{
	assert(number != 0);
	frame_end(buf, frame_begin(buf, FRAME_CANCEL, 0, number));
}

void frame_put_credit(struct buf *buf, uint32_t number, const struct frame_credit *credit)
{
	size_t begun = frame_begin(buf, FRAME_CREDIT, 0, number);

	buf_put_u32(buf, credit->relays);
	buf_put_u32(buf, credit->bytes);
	frame_end(buf, begun);
}

void frame_put_ping(struct buf *buf, bool answer, const uint8_t bytes[8])
{
	size_t begun = frame_begin(buf, FRAME_PING, answer ? FRAME_PING_ANSWER : 0, 0);

	buf_put(buf, bytes, 8);
	frame_end(buf, begun);
}

void frame_put_goaway(struct buf *buf, const struct frame_goaway *goaway)
{
	size_t begun = frame_begin(buf, FRAME_GOAWAY, 0, 0);

	buf_put_u16(buf, goaway->code);
	buf_put_u32(buf, goaway->drain_ms);
	frame_end(buf, begun);
}

void frame_put_error(struct buf *buf, uint32_t stream, uint8_t type, uint16_t code,
		     const char *text)
{
	size_t begun = frame_begin(buf, FRAME_ERROR, 0, stream);
	size_t n = strlen(text);

	assert(type < FRAME_TYPE_COUNT);
	if (n > FRAME_ERROR_TEXT_MAX) {
		n = FRAME_ERROR_TEXT_MAX;
		while (n && ((uint8_t)text[n] & 0xc0) == 0x80)
			n--;
	}
	if (!utf8_is_valid(VIEW(text, n)))
		n = 0; /* better no text than one that closes the link */
	buf_put_u8(buf, type);
	buf_put_u16(buf, code);
	buf_put_u16(buf, (uint16_t)n);
	buf_put(buf, text, n);
	frame_end(buf, begun);
}
