/* SPDX-License-Identifier: Apache-2.0
 * What an RPC error of a backend means: its class, by a family's table of codes and phrases, and
 * what may be done about a class.  The error itself always reaches the client as it was written; a
 * class only decides who else is asked before that.  Part of chains/chain.h. */
#ifndef CHAINS_ERROR_H
#define CHAINS_ERROR_H

#include "relay/base/bytes.h"

struct chain;

/* What is searched of a message, and of the data, beyond the phrases of [R9]: bytes from its start.
 * Backends' texts are shorter, so a long one costs no more than they do. */
#define CHAIN_ERROR_TEXT_MAX 1024

enum chain_error {
#define CLASS(name, word, next, again, divide, blame, text) CHAIN_ERROR_##name,
#include "chains/errors.def"
#undef CLASS
	CHAIN_ERROR_COUNT,
};

enum chain_error_next {
	CHAIN_NEXT_ANSWER,  /* nobody: it is the answer */
	CHAIN_NEXT_OPINION, /* one other owner, whose answer, error or not, is the answer */
	CHAIN_NEXT_OTHERS,  /* any other within the call's budget */
};

enum chain_error_blame {
	CHAIN_BLAME_NONE,     /* an honest, healthy supplier answers this too */
	CHAIN_BLAME_THROTTLE, /* it is busy: fewer calls, no fault */
	CHAIN_BLAME_ERROR,    /* it failed where it should not */
};

struct chain_error_info {
	const char *name; /* for metrics and logs */
	enum chain_error_next next;
	bool again;  /* the same supplier may do it, later */
	bool divide; /* parts of the question may be answered */
	enum chain_error_blame blame;
	const char *text;
};

/* The class of an error object: its code, the inside of its message as written, and its data's
 * value as written (n = 0: none).  CHAIN_ERROR_EXECUTION exactly for what [R9] charges. */
enum chain_error chain_error_class(const struct chain *chain, int64_t code, struct view message,
				   struct view data);
const struct chain_error_info *chain_error_info(enum chain_error error);

/* What a CHAIN_ERROR_TOO_LARGE says of blocks. */
enum chain_blocks_told {
	CHAIN_BLOCKS_NONE,  /* nothing */
	CHAIN_BLOCKS_OFFER, /* so many of those that were asked for would be answered */
	CHAIN_BLOCKS_LIMIT, /* so many are answered for at once, whatever they are */
};

/* How many blocks a backend answers for at once; the word of one backend, to divide a question by.
 * *ret >= 1, and only set when something is told. */
MUST_USE enum chain_blocks_told chain_error_blocks(const struct chain *chain, struct view message,
						   struct view data, uint64_t *ret);

#endif
