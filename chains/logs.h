/* SPDX-License-Identifier: Apache-2.0
 * Calls that ask for the logs of a range of blocks, and their division: into parts that together
 * ask for exactly the same, each of which a backend may answer where the whole is too much for it.
 * And the blocks of it.  Part of chains/chain.h. */
#ifndef CHAINS_LOGS_H
#define CHAINS_LOGS_H

#include "chains/call.h"

/* What a call may choose from, besides the blocks: each is a list of which one must match. */
enum chain_logs_list {
	CHAIN_LOGS_ADDRESSES,
	CHAIN_LOGS_TOPICS, /* of the first place */
	CHAIN_LOGS_LISTS,
};

/* A call for logs.  Views point into its text. */
struct chain_logs {
	struct view filter;		       /* the object that says what is asked for */
	struct chain_call call;		       /* of two refs */
	struct view list[CHAIN_LOGS_LISTS];    /* as written, with its brackets; n = 0: no list */
	uint32_t list_count[CHAIN_LOGS_LISTS]; /* its elements */
};

/* A part of it: some of the blocks, and of each list some neighbours. */
struct chain_logs_part {
	uint64_t first, last; /* blocks, both of them too */
	uint32_t from[CHAIN_LOGS_LISTS];
	uint32_t count[CHAIN_LOGS_LISTS];
};

/* Reads a call.
 *
 * In:     params  the value as written, in JSON that the scanner has found valid
 * False:  it asks for no range of blocks, or in an unusual way: it cannot be divided. */
MUST_USE bool chain_logs_read(const struct chain *chain, const struct chain_method *method,
			      struct view params, struct chain_logs *ret);

/* The whole of it, as a part.  first <= last. */
struct chain_logs_part chain_logs_whole(const struct chain_logs *logs, uint64_t first,
					uint64_t last);

/* Divides a part in two that together are the part and have nothing in common: its blocks, and if
 * that is one block the first list that has two elements; or, with lists_first, the other way
 * round.  Of two parts of different blocks the first has the lower ones.
 * False: it cannot be divided. */
MUST_USE bool chain_logs_halve(const struct chain_logs_part *part, bool lists_first,
			       struct chain_logs_part ret[2]);

/* Divides a part after its first `blocks` blocks, otherwise as above.  False: it has no more. */
MUST_USE bool chain_logs_cut(const struct chain_logs_part *part, uint64_t blocks,
			     struct chain_logs_part ret[2]);

/* Appends the call that asks for a part: the text with other ends of the range, both as numbers,
 * and the part's elements of the lists; everything else byte for byte.
 *
 * In:     text  holds what was read: the call's params, or the call around them */
void chain_logs_put(const struct chain_logs *logs, const struct chain_logs_part *part,
		    struct view text, struct buf *ret);

/* The inside of a list of logs as written: what stands between its brackets.
 * False: it is no list. */
MUST_USE bool chain_logs_inside(struct view result, struct view *ret);

/* Appends the logs of several lists, insides of them, in the order of the chain (block number,
 * place in the block), each once, as they were written, with commas between them. False, and
 * nothing is appended: an entry does not tell its place. */
MUST_USE bool chain_logs_merge(const struct view *insides, size_t count, struct buf *ret);

/* Appends a call, with the id 1, that asks for what was read in one block, by its hash, whatever
 * range it was read with. */
void chain_logs_put_block(const struct chain_logs *logs, const struct hash *block, struct buf *ret);

/* --- the entries of a list --- */

/* Takes the next entry of an inside: *rest begins with it, and then behind it and its comma.
 * False: there is none, and *rest is empty; or it is no list, and it is not. */
MUST_USE bool chain_logs_next(struct view *rest, struct view *ret_entry);

/* The block that holds a log. */
MUST_USE bool chain_log_block(struct view entry, uint64_t *ret_number, struct hash *ret_hash);

/* Appends a log as one whose block is not of the chain any more: `removed` is true. */
MUST_USE bool chain_log_put_removed(struct view entry, struct buf *ret);

/* --- calls that ask a node to remember a filter --- */

enum chain_filter_call {
	CHAIN_FILTER_NONE, /* another call */
	CHAIN_FILTER_NEW_LOGS,
	CHAIN_FILTER_NEW_BLOCKS,
	CHAIN_FILTER_CHANGES,
	CHAIN_FILTER_ALL, /* all logs that it matches */
	CHAIN_FILTER_END,
};

/* What a (decoded) name asks for; nodes do not relay these. */
enum chain_filter_call chain_filter_call(const struct chain *chain, struct view name);
/* Reads the parameters of one that asks for a filter of logs, as chain_logs_read() those of a call
 * for logs. */
MUST_USE bool chain_logs_read_filter(const struct chain *chain, struct view params,
				     struct chain_logs *ret);
/* Appends the call, with the id 1, that asks for all logs of a filter with these parameters. */
void chain_logs_put_filter(const struct chain *chain, struct view params, struct buf *ret);

/* --- blocks, as whoever follows a chain asks for them --- */

struct chain_block {
	uint64_t number;
	struct hash hash;
	struct hash parent;
};

/* Appends a call, with the id 1, that asks for a block without what is in it.
 * In:  ref  a number or a tag */
void chain_block_call(const struct chain *chain, const struct chain_ref *ref, struct buf *ret);
/* Reads the result.  False: it is no block, or there is none. */
MUST_USE bool chain_block_read(const struct chain *chain, struct view result,
			       struct chain_block *ret);

#endif
