/* SPDX-License-Identifier: Apache-2.0
 * Claims: what a supplier says it earned, in records of 156 bytes, and the proof that it is asked
 * for ([C1] to [C9]).
 *
 * Pure: bytes, sums, the point that a seed challenges.  Whether a claim is right, and when it may
 * be made, is session/settle.h; who holds which, and what was paid, is the registry's business. */
#ifndef RELAY_RECEIPT_CLAIM_H
#define RELAY_RECEIPT_CLAIM_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"
#include "relay/receipt/leaf.h"
#include "relay/receipt/tree.h"

struct relay_key; /* relay/crypto/key.h */

#define CLAIM_RECORD_SIZE 156
#define CLAIM_RECORDS_MAX 65536		  /* records of one claim ([C3]) */
#define CLAIM_BYTES_MAX 250		  /* of a claim: 218 and its service's name */
#define CLAIM_VALUE_END (((u128)1) << 96) /* 0 < value of a claim < this */
#define CLAIM_PROOF_MAX 16384		  /* bytes of an encoded proof */
#define CLAIM_NOTE_MAX 4096		  /* of its checkpoint note ([N5]) */

struct claim_id {
	uint8_t b[32];
}; /* SHA-256(claim bytes) */

/* What one lane earned in one session ([C2]). */
struct claim_record {
	struct session_id session;
	height_t start; /* of the session */
	struct lane_id lane;
	uint64_t size;	  /* leaves of a cosigned head of the lane, any that covers the session */
	struct hash root; /* of that head */
	cu_t cu;	  /* of the session's leaves in the lane that are claimed: the first ones */
	/* tokens */
	u128 value;		   /* cu x price */
	u128 value_before;	   /* of all records ahead of it in the claim */
	u128 session_value_before; /* of those of the same session */
};

/* What the supplier signs ([C3]). */
struct claim {
	struct network_id network;
	struct key_id application;
	struct key_id gateway;
	struct key_id supplier;
	struct service_name service;
	height_t from; /* starts of sessions: from <= start < to */
	height_t to;
	uint32_t records;
	u128 value;	  /* of all records, tokens */
	struct hash root; /* of the tree over the records */
};

/* --- records --- */

/* Writes the 156 bytes of a record.  Cannot fail: a wrong record is encoded as it stands. */
void claim_record_encode(const struct claim_record *r, uint8_t dst[CLAIM_RECORD_SIZE]);

/* Reads 156 bytes from anybody; false, with *ret untouched, when they do not begin with "CFL1".
 * Nothing else is checked. */
MUST_USE bool claim_record_decode(const uint8_t src[CLAIM_RECORD_SIZE], struct claim_record *ret);

/* The root of the tree over n x 156 bytes (asserted), at most CLAIM_RECORDS_MAX records.  About
 * 1 us a record, no allocation. */
void claim_records_root(struct view records, struct hash *ret);

/* The inclusion path of record `index` in that tree; false when there is no such record.
 * Cost: O(records) time, 32 bytes a record while it runs. */
MUST_USE bool claim_records_prove(struct view records, uint32_t index, struct tree_proof *ret);

/* Values a claim's records: sets value, value_before and session_value_before, cuts cu where a
 * session's allowance ends, and drops what has no value ([C6]).
 *
 * In:  r          n records sorted by (start, lane), each with session, start, lane, size, root, cu
 *      price      of each one's session, token units per CU
 *      allowance  of each one's session, tokens
 * Returns how many records are left, in order, at the front of r.  Their values sum up to less than
 * CLAIM_VALUE_END: what would pass it is cut like what passes an allowance.
 */
size_t claim_records_value(struct claim_record *r, const uint64_t *price, const u128 *allowance,
			   size_t n);

/* --- the claim --- */

/* Appends the claim bytes ([C3]), at most CLAIM_BYTES_MAX. */
void claim_bytes(const struct claim *c, struct buf *out);

/* Reads claim bytes from anybody: every byte counts, one claim has one encoding.  Only the form is
 * checked; whether the values make sense is settle_check_claim()'s to say.  Errors: ERR_FORMAT. */
MUST_USE bool claim_parse(struct view bytes, struct claim *ret, struct err *err);

/* SHA-256(claim bytes). */
void claim_id_of(const struct claim *c, struct claim_id *ret);

/* The supplier's signature over the claim bytes (about 14 us).  The key is that of c->supplier
 * (asserted). */
void claim_sign(const struct claim *c, const struct relay_key *supplier, struct signature *ret);

/* True iff the signature is c->supplier's over the claim bytes; about 40 us. */
MUST_USE bool claim_verify(const struct claim *c, const struct signature *sig);

/* --- the challenge ([C8]) --- */

/* x, the point that the seed challenges: in [0, value).  value > 0 (asserted). */
u128 claim_point(const struct seed *seed, const struct claim_id *id, u128 value);

/* The record with value_before <= x < value_before + value, by bisection over records whose sums
 * are right; false when none has the point. */
MUST_USE bool claim_point_record(struct view records, u128 x, uint32_t *ret_index);

/* z, the unit of the record's session in its lane that the point falls on: floor((x - value_before)
 * / price), below r->cu.  x lies in the record, r->value = r->cu x price > 0 (asserted). */
cu_t claim_point_cu(const struct claim_record *r, u128 x, uint64_t price);

/* True iff the leaf is the one that is asked for: of the record's session, with cu_before <= z <
 * cu_before + cu. */
MUST_USE bool claim_point_leaf(const struct leaf *leaf, const struct claim_record *r, cu_t z);

/* --- the proof ([C9]) --- */

struct claim_proof {
	uint32_t index; /* of the record in the claim */
	struct claim_record record;
	struct tree_proof record_path; /* to the claim's root */
	struct view note;	       /* checkpoint of the record's head, with both signatures */
	uint8_t leaf[LEAF_SIZE];
	struct tree_proof leaf_path; /* to the record's root, at index seq */
};

/* Appends the proof.  The note has at most CLAIM_NOTE_MAX bytes, the paths at most TREE_LEVELS
 * hashes (asserted); so the proof is shorter than CLAIM_PROOF_MAX. */
void claim_proof_encode(const struct claim_proof *p, struct buf *out);

/* Reads a proof from anybody: every byte counts; note borrows from `bytes`.  Errors: ERR_FORMAT. */
MUST_USE bool claim_proof_parse(struct view bytes, struct claim_proof *ret, struct err *err);

/* The supplier's signature under a proof, so that nobody else can hand in a wrong one in its name:
 * over "counterfoil/proof/v1\n" || network_id || claim id || SHA-256(proof).
 *
 * In: proof  the encoded bytes.  The key is that of c->supplier (asserted). */
void claim_proof_sign(const struct claim *c, struct view proof, const struct relay_key *supplier,
		      struct signature *ret);

/* True iff the signature is c->supplier's over those bytes. */
MUST_USE bool claim_proof_verify(const struct claim *c, struct view proof,
				 const struct signature *sig);

#endif
