/* SPDX-License-Identifier: Apache-2.0
 * An answer in pieces: the first byte chooses how the rest is cut.  What must hold: the verdict is
 * that of rpc_answer_scan() on the whole, the id stands where that found it, and what a client
 * would get of the pieces is what it would get of the whole. */
#include <assert.h>

#include "relay/base/mem.h"
#include "relay/rpc/reply.h"
#include "relay/rpc/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID "\"an id\""

/* The next piece's length: 1 and 2 byte pieces for some seeds, long ones for others. */
static size_t piece_length(uint32_t *seed, size_t left)
{
	*seed = *seed * 1664525 + 1013904223;
	return MIN(1 + (*seed >> 16) % (1u << (*seed >> 8 & 7)), left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view body = VIEW(data + 1, size > 0 ? size - 1 : 0);
	struct rpc_stream *s = rpc_stream_create();
	uint32_t seed = size > 0 ? data[0] : 0;
	struct buf out = {0}, want = {0};
	struct rpc_answer answer;
	struct err err;
	bool whole = rpc_answer_scan(body, &answer, &err), ok = true;
	uint64_t id = UINT64_MAX;

	for (size_t at = 0; ok && at < body.n;) {
		size_t n = piece_length(&seed, body.n - at);
		uint8_t *piece = xmemdup(body.p + at, n); /* of exactly this size */

		ok = rpc_stream_feed(s, VIEW(piece, n), &err);
		if (ok) {
			bool found = rpc_stream_id(s, &id);
			struct reply_parts parts =
				reply_splice_piece(VIEW(piece, n), at, id, VIEW_STR(ID));

			assert(found == (id != UINT64_MAX) && (!found || id < at + n));
			reply_put(&out, &parts);
		}
		xfree(piece);
		at += n;
	}
	ok = ok && rpc_stream_end(s, &err);
	assert(ok == whole);
	if (ok) {
		struct reply_parts parts = reply_splice(body, &answer, VIEW_STR(ID));

		assert(id == (uint64_t)(answer.id.p - body.p));
		reply_put(&want, &parts);
		assert(view_eq(buf_view(&out), buf_view(&want)));
	} else {
		assert(err.code == ERR_UPSTREAM);
	}
	buf_finish(&out);
	buf_finish(&want);
	rpc_stream_destroy(s);
	return 0;
}
