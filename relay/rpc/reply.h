/* SPDX-License-Identifier: Apache-2.0
 * What a client gets: error objects, answers with the client's id put back ([E6]), and the values
 * of the Counterfoil-* headers ([G2]).  Bytes only; HTTP is the gateway's affair. */
#ifndef RELAY_RPC_REPLY_H
#define RELAY_RPC_REPLY_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"
#include "relay/rpc/envelope.h"

/* Appends {"jsonrpc":"2.0","id":<id>,"error":{"code":..,"message":..,"data":{"error":"<name>"}}}.
 * id: a token as the client wrote it, n = 0: null.  The message is err->msg, or the text of the
 * code's row when that is empty; it is escaped as JSON. */
void reply_put_error(struct buf *out, struct view id, const struct err *err);

/* An answer with the client's id in the place of the `1`: three runs of bytes in this order. */
struct reply_parts {
	struct view before;
	struct view id;
	struct view after;
};

/* body: what rpc_answer_scan() made `answer` of.  id: the client's token, n > 0 (asserted). */
struct reply_parts reply_splice(struct view body, const struct rpc_answer *answer, struct view id);
/* The same of one piece of an answer that comes in pieces: `from` is where it begins and id_at
 * where the id's token stands, both counted from the answer's first byte.  A piece without the
 * token is all `before`. */
struct reply_parts reply_splice_piece(struct view piece, uint64_t from, uint64_t id_at,
				      struct view id);
static inline size_t reply_size(const struct reply_parts *parts)
{
	return parts->before.n + parts->id.n + parts->after.n;
}
void reply_put(struct buf *out, const struct reply_parts *parts);

/* "<lane hex>/<seq>/<salt hex>" and a NUL; without a salt (NULL) "<lane hex>/<seq>"; returns dst.
 */
#define REPLY_RECEIPT_MAX (32 + 1 + 20 + 1 + 32 + 1)
char *reply_receipt_text(const struct lane_id *lane, uint64_t seq, const struct salt *salt,
			 char dst[REPLY_RECEIPT_MAX]);
/* "<lane hex>/<seq>" into its two; false unless exactly that. */
MUST_USE bool reply_receipt_parse(const char *text, size_t len, struct lane_id *ret_lane,
				  uint64_t *ret_seq);

#endif
