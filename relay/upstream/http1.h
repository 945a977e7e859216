/* SPDX-License-Identifier: Apache-2.0
 * What a HTTP/1.1 client must read of an answer (RFC 9112): the head, and the framing of the body.
 *
 * Pure: bytes in, facts out.  Strict where leniency would let one answer run into the next: a
 * length that is repeated, odd or beside chunks, a name with a space, a line without its CRLF. */
#ifndef RELAY_UPSTREAM_HTTP1_H
#define RELAY_UPSTREAM_HTTP1_H

#include "relay/base/bytes.h"

#define HTTP1_HEAD_MAX 65536 /* bytes of status line and header fields */

enum http1_result {
	HTTP1_MORE, /* the bytes end too early */
	HTTP1_DONE,
	HTTP1_BROKEN, /* not what HTTP allows here */
};

struct http1_head {
	int status; /* 100..599 */
	bool keep;  /* the connection may be used again */
	bool chunked;
	bool has_length; /* neither: the body ends with the connection */
	uint64_t length;
	struct view content_type; /* within the bytes; empty when there is none */
	struct view retry_after;  /* the same */
};

/* Reads one head, an interim one (1xx) like any other.  Out, on DONE: *ret, and *ret_used, the
 * bytes up to the body.  MORE after HTTP1_HEAD_MAX bytes is the caller's to refuse. */
enum http1_result http1_head(struct view in, struct http1_head *ret, size_t *ret_used);

/* True iff an answer to POST with this head has no body, whatever its fields say. */
static inline bool http1_has_no_body(const struct http1_head *head)
{
	return head->status < 200 || head->status == 204 || head->status == 304;
}

enum http1_chunk_state {
	HTTP1_CHUNK_SIZE,
	HTTP1_CHUNK_DATA,
	HTTP1_CHUNK_CRLF,
	HTTP1_CHUNK_TRAILER,
	HTTP1_CHUNK_END,
};

/* Where a chunked body is; zero-initialised is its beginning. */
struct http1_chunks {
	enum http1_chunk_state state;
	uint64_t left;	/* of the chunk */
	size_t trailer; /* bytes of trailer fields, bounded by HTTP1_HEAD_MAX */
};

/* Takes the next run of data off a chunked body.  *ret_used bytes of `in` are spent; *ret_data is
 * the data among them, which may be empty.  MORE: call again with what follows (with nothing spent
 * and no data: more bytes are needed); DONE: the body has ended. */
enum http1_result http1_chunk(struct http1_chunks *c, struct view in, size_t *ret_used,
			      struct view *ret_data);

#endif
