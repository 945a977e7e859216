/* SPDX-License-Identifier: Apache-2.0
 * What comes in on a lane: a BATCH ([F7]) is checked against what the gateway sent, before anything
 * of it is committed or answered.
 *
 * Recomputed here: each leaf's form, seq, interval, compute units, method and both hashes; whether
 * the answer is one, and of the kind that is paid for; the tree's root; one signature a batch.  A
 * batch is good as a whole or not at all; after a bad one the lane is of no further use and nothing
 * on it may be cosigned.  Pure apart from memory: no IO, no clock. Not here: committing
 * (relay/ledger), answering (call.h). */
#ifndef RELAY_GATEWAY_INBOUND_H
#define RELAY_GATEWAY_INBOUND_H

#include "chains/chain.h"
#include "relay/link/frame.h"
#include "relay/receipt/checkpoint.h"
#include "relay/receipt/leaf.h"
#include "relay/rpc/encoding.h"

#define INBOUND_PART_BYTES 65536 /* of a body in one leaf, but for the rest [R8] */

/* What the gateway knows of a relay that it sent.  It stays until its last leaf is in or the link
 * is gone, also when the call was answered by another node meanwhile ([R9]). */
struct inbound_relay {
	uint32_t number; /* on the link ([F6]) */
	struct session_id session;
	struct salt salt;
	struct view request; /* request encoding; borrowed */
	bool notification;   /* its answer has an empty body ([E4]) */
	const struct chain *chain;
	uint32_t method; /* id, cu and part_cu of the method table ([M1]) */
	uint32_t cu;
	uint32_t part_cu;
	bool pinned;	     /* [F14], */
	bool pinned_by_hash; /* and the call names the block by its hash */
	uint64_t pin_block;
	struct hash pin_hash;
	uint64_t credit;    /* bytes that further parts may have [F10]; inbound_check() spends it */
	uint32_t next_part; /* parts seen so far; kept by inbound_check() */
};

/* One answer of a good batch.  Views are borrowed from the frame. */
struct inbound_answer {
	struct inbound_relay *relay;
	struct leaf leaf;
	struct hash leaf_hash; /* of the tree ([T1]) */
	struct response_encoding response;
	bool last; /* nothing more comes for this relay */
};

/* A good batch: answers in the order of their leaves, and the signed head after them. */
struct inbound_batch {
	size_t count;
	struct inbound_answer answers[FRAME_BATCH_LEAVES_MAX];
	struct checkpoint head;
};

enum inbound_verdict {
	INBOUND_GOOD,
	INBOUND_LOCAL,	  /* wrong, but by our word only: nobody can be convicted */
	INBOUND_PROVABLE, /* wrong by bytes that the supplier signed */
};

struct inbound_lane; /* a lane as the gateway sees it; opaque */

/* An empty lane of this origin. */
struct inbound_lane *inbound_lane_create(const struct checkpoint_origin *origin);
void inbound_lane_destroy(struct inbound_lane *lane);
const struct checkpoint_lane *inbound_lane_names(const struct inbound_lane *lane);
/* Leaves checked so far. */
uint64_t inbound_lane_size(const struct inbound_lane *lane);

/* Gives the relay with this number that still waits for a leaf on the lane's link, or NULL. */
typedef struct inbound_relay *inbound_find_fn(void *arg, uint32_t number);

/* Checks a batch whose lane id is the lane's.
 *
 * Out:    ret  filled on INBOUND_GOOD only
 * Errors: otherwise err says which rule is broken: ERR_LEAF, ERR_CHECKPOINT, ERR_SIGNATURE,
 *         ERR_PROTOCOL, or ERR_UPSTREAM for what is no answer.
 * Cost:   per leaf three SHA-256, per batch one Ed25519 check; no allocation but for the first leaf
 *         of a session in the lane.
 */
MUST_USE enum inbound_verdict inbound_check(struct inbound_lane *lane,
					    const struct frame_batch *batch, inbound_find_fn *find,
					    void *arg, struct inbound_batch *ret, struct err *err);

/* True when the supplier signed the head that this batch, good or bad, comes with: then its bytes
 * are worth keeping.  Cost: one Ed25519 check. */
MUST_USE bool inbound_is_signed(const struct inbound_lane *lane, const struct frame_batch *batch);

#endif
