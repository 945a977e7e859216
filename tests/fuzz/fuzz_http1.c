/* SPDX-License-Identifier: Apache-2.0
 * A backend's bytes as the plain transport reads them (RFC 9112): nothing is read beyond them, more
 * bytes never change what fewer have decided, a body comes out the same in whatever pieces it comes
 * in, and what a head says is what its lines say when they are read once more, line by line. */
#include <strings.h>

#include "relay/base/mem.h"
#include "relay/upstream/http1.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* How a chunked body of these bytes ends, how many of them it takes, and its data; `step` bytes
 * come at a time. */
static enum http1_result dechunk(struct view in, size_t step, size_t *ret_used, struct buf *body)
{
	struct http1_chunks c = {0};
	size_t taken = 0, there = 0;

	for (;;) {
		struct view data, now;
		size_t used;
		enum http1_result got;

		now = VIEW(in.p + taken, there - taken);
		got = http1_chunk(&c, now, &used, &data);
		assert(used <= now.n && data.n <= used);
		assert(data.n == 0 || (data.p >= now.p && data.p + data.n <= now.p + now.n));
		buf_put(body, data.p, data.n);
		taken += used;
		*ret_used = taken;
		if (got != HTTP1_MORE)
			return got;
		if (used == 0 && there == in.n)
			return HTTP1_MORE;
		if (used == 0)
			there = MIN(in.n, there + step);
	}
}

static void chunks(struct view in)
{
	struct buf whole = {0}, pieces = {0};
	size_t used_whole, used_pieces;
	enum http1_result a = dechunk(in, in.n + 1, &used_whole, &whole);
	enum http1_result b = dechunk(in, 1, &used_pieces, &pieces);

	/* A line that is too long is refused as soon as that is seen; all else does not depend. */
	assert(a == b || b == HTTP1_BROKEN || (a == HTTP1_BROKEN && b == HTTP1_MORE));
	if (a == b && a != HTTP1_BROKEN) {
		assert(used_whole == used_pieces);
		assert(view_eq(buf_view(&whole), buf_view(&pieces)));
	}
	if (a == HTTP1_DONE)
		assert(used_whole >= 5 && memcmp(in.p + used_whole - 2, "\r\n", 2) == 0);
	buf_finish(&whole);
	buf_finish(&pieces);
}

/* How many fields of that name there are, and the last one's value without the blanks around it. */
static size_t fields(struct view head, const char *name, struct view *ret)
{
	size_t n = strlen(name), found = 0, at = 0;

	while (at < head.n) {
		const uint8_t *p = head.p + at;
		size_t len = (size_t)((const uint8_t *)memchr(p, '\n', head.n - at) - p) + 1;

		if (len > n && p[n] == ':' && strncasecmp((const char *)p, name, n) == 0) {
			struct view v = {p + n + 1, len - n - 3};

			while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
				v = VIEW(v.p + 1, v.n - 1);
			while (v.n > 0 && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
				v.n--;
			*ret = v;
			found++;
		}
		at += len;
	}
	return found;
}

static void check_head(const struct http1_head *head, struct view bytes)
{
	struct view value;
	uint64_t length;

	assert(bytes.n >= 16 && memcmp(bytes.p + bytes.n - 4, "\r\n\r\n", 4) == 0);
	assert(head->status >= 100 && head->status <= 599);
	assert((bytes.p[9] - '0') * 100 + (bytes.p[10] - '0') * 10 + bytes.p[11] - '0' ==
	       head->status);
	assert(!(head->chunked && head->has_length));
	if (fields(bytes, "content-length", &value) == 1)
		assert(head->has_length && u64_parse((const char *)value.p, value.n, &length) &&
		       length == head->length);
	if (fields(bytes, "transfer-encoding", &value) == 1)
		assert(head->chunked);
	if (fields(bytes, "content-type", &value) > 0)
		assert(view_eq(value, head->content_type));
	if (fields(bytes, "connection", &value) == 0)
		assert(head->keep == (bytes.p[7] == '1'));
	assert(head->content_type.n == 0 ||
	       (head->content_type.p >= bytes.p &&
		head->content_type.p + head->content_type.n <= bytes.p + bytes.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	/* A block of exactly this size: a read past its end is an error that is seen. */
	CLEANUP(xfree) uint8_t *copy = xmemdup(bytes, n);
	struct http1_head head = {0}, shorter = {0};
	size_t used = 0, ignored;
	enum http1_result got = http1_head(VIEW(copy, n), &head, &used);

	if (got == HTTP1_DONE) {
		assert(used <= n);
		check_head(&head, VIEW(copy, used));
		got = http1_head(VIEW(copy, used - 1), &shorter, &ignored);
		assert(got == HTTP1_MORE);
		chunks(VIEW(copy + used, n - used));
	} else {
		assert(used == 0 && head.status == 0);
		if (got == HTTP1_MORE) {
			got = http1_head(VIEW(copy, n / 2), &shorter, &ignored);
			assert(got == HTTP1_MORE);
		}
		chunks(VIEW(copy, n));
	}
	return 0;
}
