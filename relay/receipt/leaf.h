/* SPDX-License-Identifier: Apache-2.0
 * The leaf of a receipt: 192 bytes that bind one request and its answer into a lane ([R1]..[R9]).
 *
 * Pure: encoding, decoding, the rules of validity that need only the leaf and its row of the method
 * table, and the two hashes.  Not here: the order of leaves in a lane (seq = index, intervals),
 * that is the business of whoever holds the lane; not the tree either (tree.h). */
#ifndef RELAY_RECEIPT_LEAF_H
#define RELAY_RECEIPT_LEAF_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define LEAF_SIZE 192
#define LEAF_SEQ_END (UINT64_C(1) << 20) /* seq < this: a lane holds at most 2^20 leaves ([R5]) */
#define LEAF_BLOCK_UNKNOWN UINT64_MAX

/* [R2] */
enum leaf_kind {
	LEAF_ANSWER = 1,
	LEAF_RPC_ERROR = 2,
	LEAF_REFUSAL = 3,
	LEAF_PART = 4, /* of a stream */
};

enum leaf_flag {
	LEAF_LAST = 1, /* last part of a stream */
	LEAF_PINNED = 2,
	LEAF_RECOMPUTED = 4,
	LEAF_PROOF = 8,
	LEAF_QUORUM = 16,
};
#define LEAF_FLAGS_ALL 31

/* The fields of [R1] in host order, without magic and the zero. */
struct leaf {
	uint8_t kind;	 /* enum leaf_kind, or what a stranger wrote there */
	uint8_t flags;	 /* enum leaf_flag, ored */
	uint16_t status; /* of the response encoding; a refusal's wire code */
	uint64_t seq;	 /* index in the lane */
	struct session_id session;
	cu_t cu_before; /* CU of this session in this lane before this leaf */
	uint32_t cu;
	uint32_t method;     /* id in the service's method table, 0: unknown */
	uint64_t time_ms;    /* node's clock, POSIX ms */
	uint32_t latency_us; /* saturates */
	uint32_t stream;     /* 0: none */
	uint32_t part;
	uint64_t block;		/* height answered at, LEAF_BLOCK_UNKNOWN */
	struct hash block_hash; /* zeros: unknown */
	struct hash request_hash;
	struct hash response_hash;
};

/* Which rule of [R5] a leaf breaks; LEAF_FINE: none.  The order is that of the checks. */
enum leaf_fault {
	LEAF_FINE = 0,
	LEAF_FAULT_MAGIC,		/* "CFR1" is not there; only leaf_decode() says so */
	LEAF_FAULT_ZERO,		/* the zero field is not; only leaf_decode() says so */
	LEAF_FAULT_KIND,		/* not 1..4 */
	LEAF_FAULT_FLAGS,		/* a flag above 31 */
	LEAF_FAULT_SEQ,			/* not below 2^20 */
	LEAF_FAULT_CU_OVERFLOW,		/* cu_before + cu does not fit 64 bits */
	LEAF_FAULT_REFUSAL_CU,		/* a refusal that costs */
	LEAF_FAULT_PART_WITHOUT_STREAM, /* kind 4 with stream 0 */
	LEAF_FAULT_STREAM,		/* stream, part or the last flag outside a stream */
	LEAF_FAULT_BLOCK_HASH,		/* block unknown, its hash not zeros */
	LEAF_FAULT_CU_TABLE,		/* more cu than the method table allows */
	LEAF_FAULT_COUNT
};

/* A word for metrics and findings ("cu_table"); "fine" for LEAF_FINE. */
const char *leaf_fault_name(enum leaf_fault fault);

/* Writes the 192 bytes of a leaf.  Cannot fail: an invalid leaf is encoded as it stands. */
void leaf_encode(const struct leaf *leaf, uint8_t dst[LEAF_SIZE]);

/* Reads 192 bytes from anybody.  Checks only what a struct leaf cannot hold: magic and zero field.
 * Returns LEAF_FINE and sets *ret, or the fault and leaves *ret alone. */
MUST_USE enum leaf_fault leaf_decode(const uint8_t src[LEAF_SIZE], struct leaf *ret);

/* The first rule of [R5] that the leaf breaks.
 *
 * In: max_cu       the cu of leaf->method in the service's method table [M1]
 *     max_part_cu  its part_cu; counts instead when leaf->part > 0
 * A method that the table does not have has neither: the caller must refuse it before. */
MUST_USE enum leaf_fault leaf_check(const struct leaf *leaf, uint32_t max_cu, uint32_t max_part_cu);

/* leaf_check() without the table: all rules but LEAF_FAULT_CU_TABLE. */
MUST_USE enum leaf_fault leaf_check_form(const struct leaf *leaf);

/* [R3] request_hash over lane, salt and the request encoding [E2], given as `count` pieces in order
 * (so that nobody must copy a body to hash it).  About 0.2 us and 1 ns a byte; no allocation. */
void leaf_request_hash(const struct lane_id *lane, const struct salt *salt,
		       const struct view *pieces, size_t count, struct hash *ret);

/* [R3] response_hash over lane, salt, part (the leaf's; 0 outside streams) and the response
 * encoding [E4] in `count` pieces. */
void leaf_response_hash(const struct lane_id *lane, const struct salt *salt, uint32_t part,
			const struct view *pieces, size_t count, struct hash *ret);

/* [T1] The tree's hash of a leaf: SHA-256(0x00 || leaf). */
void leaf_hash(const uint8_t leaf[LEAF_SIZE], struct hash *ret);

#endif
