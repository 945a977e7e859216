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
	CHAIN_FAULT,	  /* no honest backend says this */
};

/* Scratch memory, and what earlier answers proved (headers whose hash was recomputed, so that later
 * receipts and logs can be held against them).  For one service and one thread at a time. */
struct chain_verifier;

/* hashes: this network is known to hash by the family's rules (chain_network_hashes()), so that a
 *         hash unlike its fields is a fault; else it only leaves the answer CHAIN_PLAIN. */
struct chain_verifier *chain_verifier_create(const struct chain *chain, bool hashes);
void chain_verifier_destroy(struct chain_verifier *verifier);
DEFINE_CLEANUP(struct chain_verifier *, chain_verifier_destroy)

/* Looks at one answer.
 *
 * In:     method  of the call
 *         params  the value of the call's `params` as sent; {NULL, 0}: it has none
 *         result  the value of the answer's `result`, which the scanner has found valid
 * Out:    ret_why a literal that says what is wrong; set with CHAIN_FAULT only
 * Cost:   two hashes for each 136 bytes of a whole block's transactions, of which JSON shows about
 *         four times as many; little more than one pass over the text for others. */
MUST_USE enum chain_verdict chain_verify(struct chain_verifier *verifier,
					 const struct chain_method *method, struct view params,
					 struct view result, const char **ret_why);

/* Whether the network of this id (chain_probe_id()) is known to hash by the family's rules. */
bool chain_network_hashes(const struct chain *chain, uint64_t id);

#endif
