/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/link/frame.h"

#include <assert.h>

static const char *const type_names[FRAME_TYPE_COUNT] = {
	[FRAME_HELLO] = "hello",   [FRAME_SESSION] = "session", [FRAME_SESSION_OK] = "session_ok",
	[FRAME_RELAY] = "relay",   [FRAME_BATCH] = "batch",	[FRAME_COSIGN] = "cosign",
	[FRAME_LANES] = "lanes",   [FRAME_FETCH] = "fetch",	[FRAME_LEAVES] = "leaves",
	[FRAME_CANCEL] = "cancel", [FRAME_CREDIT] = "credit",	[FRAME_PING] = "ping",
	[FRAME_GOAWAY] = "goaway", [FRAME_ERROR] = "error",
};

const char *frame_type_name(uint8_t type)
{
	return type > 0 && type < FRAME_TYPE_COUNT ? type_names[type] : "unknown";
}

enum frame_scan frame_scan(struct view in, uint32_t frame_max, struct frame *ret, size_t *ret_used,
			   struct err *err)
{
	uint32_t length;

	*ret_used = 0;
	if (in.n < 4)
		return FRAME_SCAN_MORE;
	length = get_be32(in.p);
	if (length < FRAME_HEADER_BYTES - 4) {
		err_set(err, ERR_PROTOCOL, "a frame of length %u, the least is 6",
			(unsigned)length);
		return FRAME_SCAN_BROKEN;
	}
	if (length > frame_max) {
		err_set(err, ERR_FRAME_TOO_LARGE, "a frame of length %u, the limit is %u",
			(unsigned)length, (unsigned)frame_max);
		return FRAME_SCAN_BROKEN;
	}
	/* an unknown type is refused before its payload is waited for */
	if (in.n >= 5 && (in.p[4] == 0 || in.p[4] >= FRAME_TYPE_COUNT) &&
	    in.p[4] < FRAME_TYPE_SKIPPED) {
		err_set(err, ERR_PROTOCOL, "a frame of unknown type %u", (unsigned)in.p[4]);
		return FRAME_SCAN_BROKEN;
	}
	*ret_used = (size_t)length + 4;
	if (in.n < *ret_used)
		return FRAME_SCAN_MORE;
	*ret = (struct frame){in.p[4], in.p[5], get_be32(in.p + 6),
			      VIEW(in.p + FRAME_HEADER_BYTES, *ret_used - FRAME_HEADER_BYTES)};
	return FRAME_SCAN_ONE;
}

size_t frame_begin(struct buf *buf, enum frame_type type, uint8_t flags, uint32_t stream)
{
	size_t begun = buf->n;
	uint8_t *p;

	buf_reserve(buf, FRAME_HEADER_BYTES);
	p = buf->p + begun;
	put_be32(p, 0);
	p[4] = (uint8_t)type;
	p[5] = flags;
	put_be32(p + 6, stream);
	buf->n += FRAME_HEADER_BYTES;
	return begun;
}

void frame_end(struct buf *buf, size_t begun)
{
	size_t length = buf->n - begun - 4;

	assert(buf->n >= begun + FRAME_HEADER_BYTES && length <= UINT32_MAX);
	put_be32(buf->p + begun, (uint32_t)length);
}
