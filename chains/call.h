/* SPDX-License-Identifier: Apache-2.0
 * Reading the parameters of a call: which block it is about, and where that stands, so that another
 * reference can be put there.  Nothing is guessed: what is written in any unusual way is `odd`, and
 * then nothing may be concluded from it, pinned or kept.  Part of chains/chain.h. */
#ifndef CHAINS_CALL_H
#define CHAINS_CALL_H

#include "chains/traits.h"
#include "relay/base/ids.h"

#define CHAIN_REFS_MAX 2 /* a range has two ends */

enum chain_tag {
	CHAIN_TAG_LATEST,
	CHAIN_TAG_SAFE,
	CHAIN_TAG_FINALIZED,
	CHAIN_TAG_PENDING,
	CHAIN_TAG_EARLIEST,
};

enum chain_ref_kind {
	CHAIN_REF_TAG,
	CHAIN_REF_NUMBER,
	CHAIN_REF_HASH,
};

/* One reference to a block. */
struct chain_ref {
	enum chain_ref_kind kind;
	enum chain_tag tag;	/* of a tag */
	uint64_t number;	/* of a number */
	struct hash hash;	/* of a hash */
	bool require_canonical; /* EIP-1898 with requireCanonical: true */
	bool absent;		/* it was left out, and `tag` is what that means */
	struct view token;	/* the value as written; of an absent one the place for it, n = 0 */
};

/* What a call's parameters say.  Views point into them. */
struct chain_call {
	const struct chain_traits *traits;
	bool odd;    /* a block may be meant, but it is not known which: refs are none */
	size_t refs; /* 0; 1: the block; 2: the first and the last block of a range */
	struct chain_ref ref[CHAIN_REFS_MAX];
	bool bare;    /* FILTER: the object has no member */
	bool by_hash; /* of CHAIN_LIFE_ITEM: the first parameter is a hash, which is `subject` */
	struct hash subject;
	struct view
		raw; /* of CHAIN_SEND_SPREAD: the digits of the transaction behind 0x; else n = 0 */
};

/* Reads a call.  Total: whatever cannot be read is odd.
 *
 * In:  method  as chain_method_find() gave it
 *      params  the value as written, already found to be valid JSON; n = 0: the call has none */
void chain_call_read(const struct chain *chain, const struct chain_method *method,
		     struct view params, struct chain_call *ret);

/* Whether both ends are one block, by number, or there is one reference, to a number or a hash. */
bool chain_call_is_fixed(const struct chain_call *call);

enum chain_pin_kind {
	CHAIN_PIN_KEEP, /* what the client wrote stays */
	CHAIN_PIN_NUMBER,
	CHAIN_PIN_HASH, /* as EIP-1898 has it, with requireCanonical: true */
};

/* What takes the place of a reference. */
struct chain_pin {
	enum chain_pin_kind kind;
	uint64_t number;
	struct hash hash;
};

/* Writes a text that holds the call's parameters (params itself, or the call around it) with other
 * references.  Everything else is copied byte for byte, so the result is longer or shorter.
 *
 * In:     call  as chain_call_read() read it; its views point into text (asserted)
 *         pins  one for each reference; one for a reference that there is not is KEEP
 * Out:    ret   what is appended, when true
 * False, and nothing is appended: the call is odd, or the method may not be pinned so (traits.pin).
 */
MUST_USE bool chain_call_pin(const struct chain *chain, const struct chain_call *call,
			     struct view text, const struct chain_pin pins[CHAIN_REFS_MAX],
			     struct buf *ret);

/* Appends what two calls have in common that ask the same in the same words: the method, and the
 * parameters without white space between their tokens.  Calls with the same key get the same answer
 * at the same block; calls in other words (other letters of hexadecimal digits, a default written
 * out) have other keys.  Whoever keeps keys hashes them.  Not for entry 0, whose name says nothing.
 */
void chain_call_key(const struct chain_method *method, struct view params, struct buf *ret);

#endif
