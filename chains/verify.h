/* SPDX-License-Identifier: Apache-2.0
 * What can be said of an answer from the call and the answer alone, without asking anybody: whether
 * it is about what was asked for, whether its values have the shapes that they must have, and
 * whether what it says follows from the hashes in it.  Pure: no IO, no clock.
 *
 * An answer is given whole.  One of several parts (over 64 KiB) is not looked at here; the checks
 * take transactions, receipts and logs one by one as they stand in the text, so that they could go
 * on from part to part. */
#ifndef CHAINS_VERIFY_H
#define CHAINS_VERIFY_H

#include "chains/chain.h"

enum chain_verdict {
	CHAIN_PLAIN,	  /* nothing speaks against it; not all of it could be recomputed */
	CHAIN_RECOMPUTED, /* all that the family's rules cover was recomputed from a hash that was
			   * asked for, or that the answer names */
	CHAIN_DIFFERS,	  /* not by the family's rules of hashing and shapes: a fault where the
			   * network keeps them (chains/custom.h) */
	CHAIN_FAULT,	  /* no honest backend says this */
};

struct chain_finding {
	enum chain_verdict verdict;
	const char *why; /* of DIFFERS and FAULT, a literal; else NULL */
	bool rides;  /* something in the answer is the supplier's word, though it is RECOMPUTED: a
		      * member that no hash covers, or where the thing stands */
	bool block;  /* it is a block, and its hash was recomputed: its number and its parent are as
		      * sure as that */
	bool hashed; /* a hash in the answer was recomputed from fields: the network hashes by the
		      * family's rules, */
	bool transaction; /* ... transactions at least: it is one */
};

/* Scratch memory, and what earlier answers proved (headers whose hash was recomputed, so that later
 * receipts and logs can be held against them).  For one service and one thread at a time. */
struct chain_verifier;

struct chain_verifier *chain_verifier_create(const struct chain *chain);
void chain_verifier_destroy(struct chain_verifier *verifier);
DEFINE_CLEANUP(struct chain_verifier *, chain_verifier_destroy)

/* What is looked at for a method. */
enum chain_look {
	CHAIN_LOOK_NONE,   /* nothing: its answers are plain */
	CHAIN_LOOK_RESULT, /* the result alone: params are not needed */
	CHAIN_LOOK_BOTH,
};
enum chain_look chain_verify_look(const struct chain_verifier *verifier,
				  const struct chain_method *method);

/* Looks at one answer.
 *
 * In:     method  of the call
 *         params  the value of the call's `params` as sent; {NULL, 0}: it has none
 *         result  the value of the answer's `result`, which the scanner has found valid
 * Cost:   two hashes for each 136 bytes of a whole block's transactions, of which JSON shows about
 *         four times as many; little more than one pass over the text for others. */
void chain_verify(struct chain_verifier *verifier, const struct chain_method *method,
		  struct view params, struct view result, struct chain_finding *ret);

#endif
