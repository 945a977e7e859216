/* SPDX-License-Identifier: Apache-2.0
 * A leaf and the relay that it is of: from the check of its batch to its commit.  Private to
 * relay/gateway and relay/sim.  Not here: batches, lanes (lane.c). */
#ifndef RELAY_GATEWAY_LEAF_H
#define RELAY_GATEWAY_LEAF_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

struct relay;

/* A leaf of a relay that is good; borrowed. */
struct leaf_news {
	struct lane_id lane;
	uint64_t seq;
	uint8_t kind;
	uint16_t status;
	struct view body; /* of its response */
	bool last;	  /* nothing more comes for the relay */
};

/* One on its way into the ledger. */
struct leaf_taken {
	struct relay *relay;
	struct buf part; /* its bytes; the frame's are gone when it has committed */
	bool is_part;
	bool last;
};

/* It is going into the ledger: keeps its bytes.  After its last leaf a relay is off its link. */
void leaf_take(struct leaf_taken *ret, struct relay *relay, const struct leaf_news *news);
/* It has committed, or could not be (err): its ask is told.  Frees what it held. */
void leaf_committed(struct leaf_taken *leaf, const struct err *err);

#endif
