/* SPDX-License-Identifier: Apache-2.0
 * The JSON-RPC envelope: a scanner over raw bytes that finds the calls of a request, and the parts
 * of an answer, as views into the caller's bytes.  RFC 8259 exactly, strict UTF-8, no copies, no
 * recursion, numbers never converted.  Not a JSON library: values are checked and skipped, and
 * names that are repeated inside `params` or `result` are the reader's own affair. */
#ifndef RELAY_RPC_ENVELOPE_H
#define RELAY_RPC_ENVELOPE_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"

#define RPC_DEPTH_MAX 4096    /* no limit on depth may be larger than this */
#define RPC_DEPTH_REQUEST 64  /* default limit of requests; a batch's array counts too */
#define RPC_DEPTH_ANSWER 4096 /* of answers: call traces nest as deep as the calls did */
#define RPC_MEMBERS_MAX 16    /* members of a call or an answer, so that repeats are found */
#define RPC_NAME_MAX 128      /* bytes of a member's name in an answer or its error, as written */
#define RPC_METHOD_MAX 128    /* bytes of a method's decoded name, as [M2] */

enum rpc_id_kind {
	RPC_ID_NONE, /* no `id`: a notification */
	RPC_ID_NULL,
	RPC_ID_NUMBER, /* of any size and form */
	RPC_ID_STRING,
};

/* One call.  All views point into the scanned bytes. */
struct rpc_call {
	enum err_code error; /* ERR_NONE, or ERR_REQUEST: answer it so, with the id `null` */
	const char *why;     /* what is wrong, NULL when nothing is; static text */
	enum rpc_id_kind id_kind;
	struct view text; /* from its `{` to its `}`; an entry of a batch that is no object: all of
			     it */
	struct view id;	  /* the value's token as written, quotes included; n = 0: none */
	struct view method;  /* between the quotes, escapes as written */
	struct view params;  /* the value as written, from `[` or `{`; n = 0: none */
	bool method_escaped; /* `method` has a backslash: read it with rpc_method() */
};

/* A body: one call or a batch of them.  Zero-initialised is empty. */
struct rpc_request {
	bool batch;
	size_t count;
	struct rpc_call *calls; /* `one`, or an array of this struct's own */
	struct rpc_call one;
};

struct rpc_limits {
	size_t depth_max; /* 2..RPC_DEPTH_MAX */
	size_t batch_max; /* calls in a batch, >= 1 */
};

/* Scans a client's body.
 *
 * True: a call or a batch of 1..batch_max; each call on its own may still be wrong (its `error`):
 * then it gets its own -32600 and the others are served (JSON-RPC 2.0, section 6).
 * Errors, each of the whole body:
 *	ERR_PARSE            empty, not JSON, bad UTF-8, anything but white space after the value
 *	ERR_TOO_DEEP         nested deeper than depth_max
 *	ERR_REQUEST          an empty batch; neither an object nor an array; a single call that is
 *wrong ERR_BATCH_TOO_LARGE  more calls than batch_max On ERR_REQUEST of a single call no id is
 *given back: its answer has the id `null`. The body must stay in place as long as the views are
 *used. */
MUST_USE bool rpc_request_scan(struct view body, const struct rpc_limits *limits,
			       struct rpc_request *ret, struct err *err);
void rpc_request_finish(struct rpc_request *request);

/* The decoded name of a call's method: its own bytes when it has no escape, else decoded into
 * `scratch`.  False when it is longer than RPC_METHOD_MAX. */
MUST_USE bool rpc_method(const struct rpc_call *call, char scratch[RPC_METHOD_MAX],
			 struct view *ret);

/* An answer of a backend to one call.  All views point into the scanned bytes. */
struct rpc_answer {
	struct view id;	       /* the token `1`, to be replaced */
	struct view result;    /* value; n = 0: an error */
	struct view error;     /* the object; n = 0: a result */
	bool error_code_known; /* the code is an integer that fits */
	int64_t error_code;
	struct view error_message; /* between the quotes, escapes as written; n = 0: none */
	struct view error_data;	   /* value as written; n = 0: none */
};

/* Scans an answer: one object, whose top-level id is the token `1` ([E5]), with exactly one of
 * `result` and `error`, the latter an object with an integer `code`; no member twice, none with a
 * name over RPC_NAME_MAX.
 * Errors: ERR_UPSTREAM with the reason. */
MUST_USE bool rpc_answer_scan(struct view body, struct rpc_answer *ret, struct err *err);

/* Decodes the escapes of a string's inside into dst, which has raw.n bytes; returns the length.
 * A lone surrogate becomes its three-byte form.  `raw` comes from a scan that succeeded. */
size_t rpc_text_decode(struct view raw, uint8_t *dst);

#endif
