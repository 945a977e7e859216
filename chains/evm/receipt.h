/* SPDX-License-Identifier: Apache-2.0
 * Receipts as JSON-RPC shows them: whose they are, the bloom of their logs, and the receipts root
 * of a whole block's (types 0 to 4, and those before Byzantium, which have a state root for a
 * status).
 *
 * The root is compared with the header's where that has been recomputed lately.  It covers status
 * or root, cumulative gas, bloom and logs; `gasUsed` follows from its neighbours.  `from`, `to`,
 * `contractAddress` and prices are not covered.  Private to chains/evm. */
#ifndef CHAINS_EVM_RECEIPT_H
#define CHAINS_EVM_RECEIPT_H

#include "chains/evm/check.h"

void evm_receipt_names(struct json_names *names);

/* Checks the receipt that comes next: that of the transaction asked for. */
void evm_receipt_check(struct evm_check *check, struct json_walk *walk,
		       const struct hash *transaction);

/* Checks all receipts of the block asked for; the walk is before the array. */
void evm_receipts_check(struct evm_check *check, struct json_walk *walk,
			const struct evm_place *asked);

#endif
