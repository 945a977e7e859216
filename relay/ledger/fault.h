/* SPDX-License-Identifier: Apache-2.0
 * Signed batches that a gateway did not accept: what the supplier's own signature proves against
 * it.
 *
 * A batch that breaks a rule is never part of a lane, so it stands beside the ledger, one file a
 * lane in `faults/<supplier>/`.  With the leaves ahead of it, which are in the ledger, it gives the
 * tree whose root the supplier signed: `counterfoil ledger export --faults` puts them together, and
 * the auditor judges.  At most `max` lanes of one supplier are kept, the first ones. */
#ifndef RELAY_LEDGER_FAULT_H
#define RELAY_LEDGER_FAULT_H

#include "relay/ledger/reader.h"

#define LEDGER_FAULT_LEAVES_MAX 256 /* of a BATCH [F7] */

struct ledger_fault {
	struct key_id supplier;
	struct lane_id lane;
	uint64_t first; /* seq of its first leaf */
	uint32_t count; /* 1..LEDGER_FAULT_LEAVES_MAX */
	uint8_t leaves[LEDGER_FAULT_LEAVES_MAX][LEDGER_LEAF_BYTES];
	struct ledger_head head; /* of size first + count */
};

/* Writes it, unless max are kept of its supplier or one of its lane is.  Any thread; no fsync.
 * Errors: ERR_IO; ERR_LIMIT when enough are kept. */
MUST_USE bool ledger_fault_keep(const struct ledger *ledger, const struct ledger_fault *fault,
				uint64_t max, struct err *err);

/* Calls fn for each that is kept, until it returns false. */
typedef bool ledger_fault_fn(void *arg, const struct ledger_fault *fault);
MUST_USE bool ledger_each_fault(struct ledger_reader *reader, ledger_fault_fn *fn, void *arg,
				struct err *err);

#endif
