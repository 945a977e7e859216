/* SPDX-License-Identifier: Apache-2.0
 * Reading a result: which block it is of, and whether it says anything.  What a node tells is taken
 * down, not checked; what it does not tell is not known.  Part of chains/chain.h. */
#ifndef CHAINS_ANSWER_H
#define CHAINS_ANSWER_H

#include "chains/call.h"

struct chain_answer {
	bool null;     /* null */
	bool empty;    /* null, [], {}, "" or "0x" */
	bool missing;  /* empty in the way in which the method says that something is not there */
	bool reverted; /* the output of a run that is an error of Solidity's: some nodes tell a
			  revert so; it is the answer */
	bool head;     /* the block is the newest that the node has */
	bool number_known;
	bool hash_known;
	bool parent_known;
	uint64_t number;
	struct hash hash;
	struct hash parent; /* the hash of the block before */
};

/* Reads a result.  The block is the one that the result names; else the one that the call names by
 * number or hash.  A pending block, which is none yet, is not known.
 *
 * In:  call    what was asked, as it was sent: with its pins
 *      result  the value as written, already found to be valid JSON */
void chain_answer_read(const struct chain *chain, const struct chain_call *call, struct view result,
		       struct chain_answer *ret);

/* The hash of the transaction that a call sends (call->raw), which is also the answer of a node
 * that accepts it: a client whose transaction is already known gets this.
 * False: the call sends none, or one that cannot be taken apart. */
MUST_USE bool chain_sent_hash(const struct chain *chain, const struct chain_call *call,
			      struct hash *ret);

/* Appends what a node answers that accepts this transaction, with the id 1. */
void chain_put_sent(const struct chain *chain, const struct hash *sent, struct buf *out);
/* Appends a call, with the id 1, whose result is this transaction if the node has it, and holds its
 * hash in hexadecimal. */
void chain_put_lookup(const struct chain *chain, const struct hash *sent, struct buf *out);

#endif
