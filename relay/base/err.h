/* SPDX-License-Identifier: Apache-2.0
 * Errors: a code from err.def and one line for people, on the caller's stack.
 *
 * A function that can fail returns MUST_USE bool and takes `struct err *err` last; on false it has
 * set the error, and no ret_* output.  Layers below the programs return errors and never log them.
 * A secret never goes into a message. */
#ifndef RELAY_BASE_ERR_H
#define RELAY_BASE_ERR_H

#include "relay/base/compiler.h"

#define ERR_MSG_MAX 192

enum err_code {
	ERR_NONE = 0,
#define E(name, wire, http, rpc, retry, text) ERR_##name,
#include "relay/base/err.def"
#undef E
	ERR_COUNT
};

struct err {
	enum err_code code;
	char msg[ERR_MSG_MAX]; /* one line, UTF-8, cut when too long */
};

/* What err.def says of a code. */
struct err_info {
	const char *name; /* "body_too_large": the word in logs, metrics and refusals */
	uint16_t wire;	  /* 0: never crosses a link */
	int http_status;
	int rpc_code;
	bool retry; /* another node may be asked */
	const char *text;
};

/* Sets code and message; always returns false, so that `return err_set(...)` reads well. */
bool err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF(3, 4);

/* Puts "prefix: " before the message that is there; returns false. */
bool err_prefix(struct err *err, const char *fmt, ...) PRINTF(2, 3);

#if defined(__clang_analyzer__) && !defined(ERR_INSIDE)
/* Analysers see one file at a time: that these return false they must be told. */
#define err_set(...)                                                                               \
	__extension__({                                                                            \
		(err_set)(__VA_ARGS__);                                                            \
		false;                                                                             \
	})
#define err_prefix(...)                                                                            \
	__extension__({                                                                            \
		(err_prefix)(__VA_ARGS__);                                                         \
		false;                                                                             \
	})
#endif

/* The row of a code; ERR_NONE and unknown codes give the row of ERR_INTERNAL. */
const struct err_info *err_info(enum err_code code);

/* The code with this wire number; ERR_INTERNAL when there is none. */
enum err_code err_from_wire(uint16_t wire);

#endif
