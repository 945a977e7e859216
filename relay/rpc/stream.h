/* SPDX-License-Identifier: Apache-2.0
 * An answer that comes in pieces: what rpc_answer_scan() says of the whole, said without ever
 * having the whole.  It finds the token of the top-level id wherever it stands, so that parts can
 * be passed on while the rest is still on its way.
 *
 * Pure.  The state is explicit and of one size, whatever the answer is: no recursion, nothing of
 * the values is kept.  Not here: what is done with the pieces. */
#ifndef RELAY_RPC_STREAM_H
#define RELAY_RPC_STREAM_H

#include "relay/rpc/envelope.h"

struct rpc_stream; /* the state of one scan; opaque */

struct rpc_stream *rpc_stream_create(void);
void rpc_stream_destroy(struct rpc_stream *s);

/* Takes the next bytes, any number of them.
 * Errors: ERR_UPSTREAM with the reason as soon as no continuation can make the answer valid; it
 * stays so. */
MUST_USE bool rpc_stream_feed(struct rpc_stream *s, struct view bytes, struct err *err);

/* The answer ends here.  True iff rpc_answer_scan() accepts all bytes that were fed, together. */
MUST_USE bool rpc_stream_end(struct rpc_stream *s, struct err *err);

/* Bytes fed so far. */
uint64_t rpc_stream_bytes(const struct rpc_stream *s);

/* Where the top-level id's token `1` stands, counted from the answer's first byte.  False: it has
 * not come yet.  When the token is the last byte fed it may still turn out to be a longer number,
 * which then fails the scan. */
MUST_USE bool rpc_stream_id(const struct rpc_stream *s, uint64_t *ret_at);

#endif
