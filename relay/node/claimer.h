/* SPDX-License-Identifier: Apache-2.0
 * The claim machine of a node: from what was earned to what is paid (protocol.md section 13).
 *
 * A thread of its own, off the path of relays.  It counts what came under cosigned heads, claims
 * it when its time has come, proves what is challenged, and writes down what will never be paid
 * and why.  Each step is in the books (relay/ledger/claims.h) before the next one is made, and
 * every step may be repeated: so it can be killed anywhere, and goes on from there.  It tells the
 * ledger which days may be dropped.  What is right is session/settle.h's to say; the registry
 * decides by the same functions. */
#ifndef RELAY_NODE_CLAIMER_H
#define RELAY_NODE_CLAIMER_H

#include "relay/base/bytes.h"
#include "relay/crypto/key.h"
#include "relay/ledger/ledger.h"
#include "session/registry/registry.h"

struct claimer; /* opaque */

struct claimer_params {
	const struct relay_key *key; /* the supplier's; borrowed, as ledger and registry are */
	struct ledger *ledger;	     /* opened with `claims` */
	struct registry *registry;
	const char *ledger_dir;		   /* copied */
	const char *source;		   /* of the registry, as desk_open() takes it; copied */
	const struct key_id *registry_key; /* NULL: not pinned; copied */
	uint64_t batch_sessions;	   /* of one claim, at most */
	unsigned warn_percent;		   /* of a window, after which an operator is told */
	usec_t send_after_us;		   /* from a claim in the books to its first way out */
	usec_t pause_min_us;		   /* between tries at a registry out of reach: first, */
	usec_t pause_max_us;		   /* ... and longest */
};

/* Opens the books; nothing is done before claimer_start().  Errors: those of claims_open(). */
MUST_USE bool claimer_create(const struct claimer_params *p, struct claimer **ret, struct err *err);
/* Starts the thread.  Errors: ERR_INTERNAL. */
MUST_USE bool claimer_start(struct claimer *claimer, struct err *err);
/* Ends the thread after the step that it is in; a call to the registry ends at once. */
void claimer_stop(struct claimer *claimer);
/* NULL is a no-op. */
void claimer_destroy(struct claimer *claimer);
DEFINE_CLEANUP(struct claimer *, claimer_destroy)

/* Appends a line for each thing that an operator should know before it costs a reward; none when
 * all is well.  Any thread. */
void claimer_notes(struct claimer *claimer, struct buf *out);

#endif
