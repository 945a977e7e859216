/* SPDX-License-Identifier: Apache-2.0
 * Recovery: after a dropped link or a crash both sides agree on where each lane ended, fetch what
 * one of them lost, and close it with a cosigned head (protocol.md [L5]..[L9], design rule D5).
 *
 * One struct recovery stands beside each link that is up, and lives as long; the same code serves
 * gateway and node, the role decides.  New lanes and relays go on meanwhile.  It works on lanes
 *that are neither live nor closed, and starts again when links that ended leave more of them.
 *Several links of the same two keys may recover the same lanes at once: all steps may be repeated.
 *
 *	           both: LANES (own unclosed lanes), with their signed and cosigned heads
 *	gateway:   what it cosigned and lost: FETCH -> LEAVES -> checked -> adopted
 *	           what it never had: LANES answer, size 0        its head of the rest: COSIGN
 *	node:      what it signed and lost: FETCH -> LEAVES -> checked -> adopted
 *	           COSIGN committed as final, lane closed: LANES answer, final size and root
 *	gateway:   closes the lane too
 */
#ifndef RELAY_LINK_RECOVERY_H
#define RELAY_LINK_RECOVERY_H

#include "relay/ledger/reader.h"
#include "relay/link/link.h"

#define RECOVERY_LANES_MAX 16000    /* taken of one listing of the peer; more closes the link */
#define RECOVERY_REFRESH_US 2000000 /* first look for lanes that links left behind */
#define RECOVERY_REFRESH_MAX_US 60000000 /* while nothing changes the pause doubles up to this */

struct recovery_params {
	struct link *link;	      /* up; its self says key, role and network */
	struct ledger *ledger;	      /* of the role of link's self */
	struct ledger_port *port;     /* of the link's thread */
	struct ledger_reader *reader; /* of the link's thread; many may share it */
	usec_t refresh_us;	      /* RECOVERY_REFRESH_US; 0: never look again */
};

struct recovery;

/* Begins: sends this side's LANES.  To be called in on_up.  All of params is borrowed until
 * recovery_destroy(). */
struct recovery *recovery_create(const struct recovery_params *params);
/* NULL is a no-op.  What it has given to the ledger still commits; nothing is called back.  May be
 * called before or after the link is gone, but not later than the port. */
void recovery_destroy(struct recovery *recovery);

/* Takes a LANES, FETCH or LEAVES frame, and a COSIGN of a lane that is not one of this link's own
 * (the owner looks there first; a lane that is live elsewhere is left alone).  False with
 * ERR_PROTOCOL when the peer's bytes cannot be right (a bad signature, a root that the leaves do
 * not give, more than was asked for): nothing of them was taken, and the link is to be closed,
 * which returning false from on_frame does. */
MUST_USE bool recovery_on_frame(struct recovery *recovery, const struct frame *frame,
				struct err *err);

/* True when both listings were exchanged and no lane with this peer is left unclosed here. */
bool recovery_is_done(const struct recovery *recovery);

/* What was done so far, for logs, metrics and tests. */
struct recovery_stats {
	uint64_t closed;      /* lanes closed with a final head */
	uint64_t undelivered; /* leaves beyond it, on a node */
	uint64_t adopted;     /* leaves */
	uint64_t cosigned;    /* COSIGN frames sent (gateway) or committed as final (node) */
	uint64_t failed; /* lanes left for a later try: leaves not there, or the ledger failed */
};
const struct recovery_stats *recovery_stats(const struct recovery *recovery);

#endif
