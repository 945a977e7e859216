/* SPDX-License-Identifier: Apache-2.0
 * Request and response encodings ([E2]-[E7]): the bytes that the hashes of a leaf are of.
 * Built and taken apart here; hashed in relay/receipt, kept in relay/ledger. */
#ifndef RELAY_RPC_ENCODING_H
#define RELAY_RPC_ENCODING_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"
#include "relay/rpc/envelope.h"

enum encoding_kind { ENCODING_JSONRPC = 1, ENCODING_HTTP = 2 };

/* A request taken apart; the views point into its bytes. */
struct request_encoding {
	enum encoding_kind kind;
	struct service_name service;
	struct view verb;	  /* at most 255 bytes; empty for JSON-RPC, and so the next two */
	struct view path;	  /* path and query, at most 65,535 bytes */
	struct view content_type; /* at most 65,535 bytes */
	struct view body;
};

/* Appends the encoding; the views are within their bounds (asserted). */
void request_encoding_put(struct buf *out, const struct request_encoding *request);
/* Appends the encoding of one call with its id replaced by `1` ([E3]). */
void request_encoding_put_call(struct buf *out, const struct service_name *service,
			       const struct rpc_call *call);
/* Takes an encoding apart.  Errors: ERR_FORMAT for a length that does not fit, an unknown kind, a
 * bad service name, or JSON-RPC with a verb, path or content type. */
MUST_USE bool request_encoding_parse(struct view bytes, struct request_encoding *ret,
				     struct err *err);

/* A response taken apart; the views point into its bytes. */
struct response_encoding {
	uint16_t status;
	struct view content_type; /* at most 65,535 bytes */
	struct view body;
};

#define RESPONSE_JSON_TYPE "application/json"
#define RESPONSE_TEXT_TYPE "text/plain"
/* Bytes ahead of the body in a JSON-RPC answer: a reader of the backend's body can leave them free
 * at the front of its buffer and fill them in place when the length is known. */
#define RESPONSE_JSON_HEAD (2 + 2 + sizeof(RESPONSE_JSON_TYPE) - 1 + 8)

/* Writes the head of a JSON-RPC answer (status 200) with a body of `body_bytes`. */
void response_encoding_json_head(uint8_t dst[RESPONSE_JSON_HEAD], uint64_t body_bytes);
void response_encoding_put(struct buf *out, const struct response_encoding *response);
/* Appends the encoding of a refusal ([E7]): the error's wire code, which it must have (asserted),
 * and its name. */
void response_encoding_put_refusal(struct buf *out, enum err_code code);
/* Errors: ERR_FORMAT for a length that does not fit. */
MUST_USE bool response_encoding_parse(struct view bytes, struct response_encoding *ret,
				      struct err *err);

#endif
