/* SPDX-License-Identifier: Apache-2.0
 * Encodings of requests and responses from strangers ([E2], [E4]): what parses is written again to
 * the same bytes, its views lie inside, and every shorter or longer run of bytes is refused. */
#include "relay/base/mem.h"
#include "relay/rpc/encoding.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct view part, struct view whole)
{
	assert(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void request(struct view bytes, struct view longer)
{
	struct request_encoding r, other;
	struct buf again = {0};
	struct err err = {0};
	bool more;

	if (!request_encoding_parse(bytes, &r, &err)) {
		assert(err.code == ERR_FORMAT);
		return;
	}
	inside(r.verb, bytes);
	inside(r.path, bytes);
	inside(r.content_type, bytes);
	inside(r.body, bytes);
	assert(r.kind == ENCODING_HTTP || (r.kind == ENCODING_JSONRPC && r.verb.n == 0 &&
					   r.path.n == 0 && r.content_type.n == 0));
	request_encoding_put(&again, &r);
	assert(view_eq(buf_view(&again), bytes));
	buf_finish(&again);
	more = request_encoding_parse(longer, &other, &err);
	assert(!more);
	more = request_encoding_parse(VIEW(bytes.p, bytes.n - 1), &other, &err);
	assert(!more);
}

static void response(struct view bytes, struct view longer)
{
	struct response_encoding r, other;
	struct buf again = {0};
	struct err err = {0};
	bool more;

	if (!response_encoding_parse(bytes, &r, &err)) {
		assert(err.code == ERR_FORMAT);
		return;
	}
	inside(r.content_type, bytes);
	inside(r.body, bytes);
	response_encoding_put(&again, &r);
	assert(view_eq(buf_view(&again), bytes));
	buf_finish(&again);
	more = response_encoding_parse(longer, &other, &err);
	assert(!more);
	more = response_encoding_parse(VIEW(bytes.p, bytes.n - 1), &other, &err);
	assert(!more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_finish) struct buf longer = {0};
	/* A block of exactly this size: a read past its end is an error that is seen. */
	CLEANUP(xfree) uint8_t *copy = xmemdup(data, size);

	buf_put(&longer, data, size);
	buf_put_u8(&longer, 0);
	request(VIEW(copy, size), buf_view(&longer));
	response(VIEW(copy, size), buf_view(&longer));
	return 0;
}
