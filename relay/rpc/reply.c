/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/rpc/reply.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

/* A message as the inside of a JSON string. */
static void put_escaped(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++) {
		uint8_t c = (uint8_t)*p;

		if (c == '"' || c == '\\')
			buf_put_u8(out, '\\');
		if (c < 0x20)
			buf_putf(out, "\\u%04x", c);
		else
			buf_put_u8(out, c);
	}
}

void reply_put_error(struct buf *out, struct view id, const struct err *err)
{
	const struct err_info *info = err_info(err->code);
	const char *message =
		err->msg[0] && utf8_is_valid(VIEW_STR(err->msg)) ? err->msg : info->text;

	buf_put_str(out, "{\"jsonrpc\":\"2.0\",\"id\":");
	if (id.n > 0)
		buf_put(out, id.p, id.n);
	else
		buf_put_str(out, "null");
	buf_putf(out, ",\"error\":{\"code\":%d,\"message\":\"", info->rpc_code);
	put_escaped(out, message);
	buf_putf(out, "\",\"data\":{\"error\":\"%s\"}}}", info->name);
}

struct reply_parts reply_splice(struct view body, const struct rpc_answer *answer, struct view id)
{
	size_t before = (size_t)(answer->id.p - body.p);

	assert(id.n > 0 && answer->id.n == 1 && before < body.n);
	return (struct reply_parts){
		.before = VIEW(body.p, before),
		.id = id,
		.after = VIEW(body.p + before + 1, body.n - before - 1),
	};
}

struct reply_parts reply_splice_piece(struct view piece, uint64_t from, uint64_t id_at,
				      struct view id)
{
	size_t before;

	assert(id.n > 0);
	if (id_at < from || id_at - from >= piece.n)
		return (struct reply_parts){.before = piece};
	before = (size_t)(id_at - from);
	return (struct reply_parts){
		.before = VIEW(piece.p, before),
		.id = id,
		.after = VIEW(piece.p + before + 1, piece.n - before - 1),
	};
}

void reply_put(struct buf *out, const struct reply_parts *parts)
{
	buf_reserve(out, reply_size(parts));
	buf_put(out, parts->before.p, parts->before.n);
	buf_put(out, parts->id.p, parts->id.n);
	buf_put(out, parts->after.p, parts->after.n);
}

char *reply_receipt_text(const struct lane_id *lane, uint64_t seq, const struct salt *salt,
			 char dst[REPLY_RECEIPT_MAX])
{
	int n;

	hex_encode(lane->b, sizeof(lane->b), dst);
	n = 32 + snprintf(dst + 32, 23, "/%" PRIu64, seq);
	if (salt) {
		dst[n++] = '/';
		hex_encode(salt->b, sizeof(salt->b), dst + n);
	}
	return dst;
}

bool reply_receipt_parse(const char *text, size_t len, struct lane_id *ret_lane, uint64_t *ret_seq)
{
	struct lane_id lane;
	uint64_t seq;

	if (len < 34 || text[32] != '/' || !hex_decode(text, 32, lane.b, sizeof(lane.b)) ||
	    !u64_parse(text + 33, len - 33, &seq))
		return false;
	*ret_lane = lane;
	*ret_seq = seq;
	return true;
}
