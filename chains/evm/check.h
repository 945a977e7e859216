/* SPDX-License-Identifier: Apache-2.0
 * What the checks of one answer share: scratch memory, what was found so far, and how the values of
 * JSON become the RLP that is hashed.  Private to chains/evm.
 *
 * A check never guesses.  What it does not know (a field, a type of transaction, a rule of another
 * chain) leaves the answer unjudged; a fault is only what no honest node could have said. */
#ifndef CHAINS_EVM_CHECK_H
#define CHAINS_EVM_CHECK_H

#include "chains/evm/trie.h"
#include "chains/json.h"

#define EVM_BLOOM_BYTES 256
#define EVM_BLOOM_CACHE 256  /* addresses and topics whose bits are remembered */
#define EVM_ITEMS 2	     /* kinds of objects in lists of a transaction */
#define EVM_ROW 64	     /* transactions that are hashed together, */
#define EVM_ROW_BYTES 131072 /* or fewer when they have so many bytes */
#define EVM_KNOWN_HEADERS 64 /* blocks whose recomputed headers are remembered */

/* Of a header whose hash was recomputed: the hash commits to the rest. */
struct evm_known {
	struct hash hash;
	uint64_t number;
	struct hash receipts_root;
	uint8_t bloom[EVM_BLOOM_BYTES];
	bool set;
};

/* The three bits of a bloom that an address or a topic sets: few of them make up most logs. */
struct evm_bits {
	uint8_t item[32];
	uint8_t item_n; /* 0: the place is free */
	uint16_t bits[3];
};

/* A transaction whose hash is made together with others. */
struct evm_row {
	size_t at, n; /* in check->bytes */
	struct hash said;
	bool others;
};

struct evm_check {
	const char *fault;   /* what no honest node says, the first that was found; NULL: none */
	const char *differs; /* what Ethereum's rules do not allow, likewise */
	bool unjudged;	     /* something could not be recomputed */
	bool hashed;	     /* a hash was recomputed */
	bool block;	     /* a header's was */
	bool transaction;    /* the answer is a transaction */
	bool rides;	     /* a member that no hash covers, or a place, is the supplier's word */

	struct buf bytes; /* RLP of what is being hashed */
	struct evm_row row[EVM_ROW];
	size_t row_n;
	struct trie *trie; /* of the list that is being hashed; empty between lists */
	struct json_names header_names, transaction_names, receipt_names, log_names;
	struct json_names item_names[EVM_ITEMS], withdrawal_names;
	struct evm_known known[EVM_KNOWN_HEADERS]; /* the newest replaces the oldest */
	size_t known_next;
	struct evm_bits bits[EVM_BLOOM_CACHE];
};

void evm_check_init(struct evm_check *check);
void evm_check_finish(struct evm_check *check);

/* No honest node says this.  `why` is a literal. */
void evm_fault(struct evm_check *check, const char *why);
/* A rule of Ethereum is broken; where there are members that are not known, it may be another one
 * that holds. */
void evm_rule_broken(struct evm_check *check, bool others, const char *why);

/* The header of this hash, when it has been recomputed lately; NULL otherwise. */
const struct evm_known *evm_known_find(const struct evm_check *check, const struct hash *hash);

/* --- values as RLP, appended to check->bytes --- */

enum evm_kind {
	EVM_NUMBER,  /* QUANTITY of up to 256 bits */
	EVM_DATA,    /* DATA of any length */
	EVM_BYTES,   /* DATA of a fixed length */
	EVM_ADDRESS, /* 20 bytes, or null for none */
};

enum evm_made {
	EVM_MADE,
	EVM_ABSENT,    /* no such member, or null */
	EVM_MALFORMED, /* a value of another kind */
};

/* One value; n: bytes of EVM_BYTES. */
MUST_USE enum evm_made evm_put(struct evm_check *check, enum evm_kind kind, size_t n,
			       struct view token);

/* --- values that are compared --- */

/* No such member, or null. */
static inline bool evm_token_is_absent(struct view token)
{
	return !token.p || json_token_is_null(token);
}

/* Whether a token, when it is there and not null, is this number; malformed ones are not. */
bool evm_token_is_u64(struct view token, uint64_t number);
/* Whether a token, when it is there and not null, is this hash. */
bool evm_token_is_hash(struct view token, const struct hash *hash);

/* The block that the parts of one answer belong to: what was asked for, or what the first part
 * says. */
struct evm_place {
	bool has_hash;
	struct hash hash;
	bool has_number;
	uint64_t number;
};

/* One more part names its block: in a fault, and false, when it is another one.  What the place
 * does not have yet it takes from here; null and absent say nothing. */
bool evm_place_check(struct evm_check *check, struct evm_place *place, struct view hash,
		     struct view number);

#endif
