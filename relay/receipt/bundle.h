/* SPDX-License-Identifier: Apache-2.0
 * The bundle: one receipt with all that is needed to check it offline, as the JSON of
 * `/.counterfoil/receipts/` ([G3]).
 *
 * Pure: building, parsing, checking.  What a finding means (a provable fault, or one party's word)
 * is for the auditor to say; here it is only named. */
#ifndef RELAY_RECEIPT_BUNDLE_H
#define RELAY_RECEIPT_BUNDLE_H

#include "relay/receipt/checkpoint.h"
#include "relay/receipt/leaf.h"
#include "relay/receipt/tree.h"

#define BUNDLE_JSON_MAX (256u << 20) /* bytes; encodings may be large */
#define BUNDLE_KEYS_MAX 8

struct bundle {
	uint8_t leaf[LEAF_SIZE];
	uint64_t index;
	uint64_t size;
	struct tree_proof proof;
	struct buf checkpoint; /* the note, its bytes */
	size_t key_count;
	struct note_key key[BUNDLE_KEYS_MAX];
	struct salt salt;
	bool without_salt; /* it is not told: then the encodings are not either */
	bool has_request;  /* the encodings are there while they are kept */
	bool has_response;
	struct buf request;
	struct buf response;
	bool has_next; /* a part that is not the last: where the next one is */
	struct lane_id next_lane;
	uint64_t next_seq;
};

/* Zero-initialised is empty.  Frees what a bundle holds. */
void bundle_finish(struct bundle *bundle);
static inline void bundle_finish_at(struct bundle *bundle)
{
	bundle_finish(bundle);
}

/* Sets the checkpoint note and the two keys from a lane's head. */
void bundle_set_head(struct bundle *bundle, const struct checkpoint_lane *lane,
		     const struct checkpoint *head);

/* Appends the JSON, one line, keys in the order of [G3], and a newline.  The same bundle gives the
 * same bytes. */
void bundle_put_json(const struct bundle *bundle, struct buf *json);

/* Reads a bundle from anybody's bytes.  Members that are not known are ignored.
 * Out: ret is owned by the caller until bundle_finish().  Errors: ERR_FORMAT, naming the member. */
MUST_USE bool bundle_parse(struct view json, struct bundle *ret, struct err *err);

/* What bundle_check() found; a set of bits. */
enum bundle_fault {
	BUNDLE_NOTE = 1,	       /* the checkpoint is not a well-formed note of a lane */
	BUNDLE_SUPPLIER_SIGNATURE = 2, /* missing or wrong: nothing else is anybody's word then */
	BUNDLE_GATEWAY_SIGNATURE = 4,  /* there, and wrong */
	BUNDLE_SIZE = 8,	       /* size is not the checkpoint's, or index >= size */
	BUNDLE_INCLUSION = 16,	       /* the path does not lead to the signed root */
	BUNDLE_LEAF = 32,	       /* the leaf breaks a rule of form */
	BUNDLE_SEQ = 64,	       /* the leaf's seq is not its index */
	BUNDLE_REQUEST_HASH = 128,
	BUNDLE_RESPONSE_HASH = 256,
	BUNDLE_STATUS = 512, /* the leaf's status is not the response encoding's */
	BUNDLE_KEYS = 1024,  /* a listed key is not one of the lane's two */
	BUNDLE_NEXT = 2048,  /* `next` outside a stream, on its last part, or missing */
};
#define BUNDLE_FAULTS 12

struct bundle_report {
	unsigned faults; /* enum bundle_fault, ored; 0: all that is there is right */
	char text[BUNDLE_FAULTS][ERR_MSG_MAX]; /* of fault 1 << i */
	bool origin_known;
	struct checkpoint_origin origin; /* when origin_known */
	bool cosigned;			 /* the gateway signed too, and it verifies */
	uint64_t cosign_time;
	bool leaf_known;
	enum leaf_fault leaf_fault;
	struct leaf leaf; /* when leaf_known */
};

/* Checks all that a bundle can show by itself, offline: signatures, inclusion, seq = index, form of
 * the leaf, hashes from the encodings that are there.  The keys are those that the origin names:
 * whether they are the right parties is for the caller to compare.
 * Returns true iff nothing is wrong. */
bool bundle_check(const struct bundle *bundle, struct bundle_report *ret);

/* "request_hash" for BUNDLE_REQUEST_HASH and so on; exactly one bit. */
const char *bundle_fault_name(enum bundle_fault fault);

#endif
