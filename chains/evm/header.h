/* SPDX-License-Identifier: Apache-2.0
 * Blocks as JSON-RPC shows them: the header's hash under the fields of every fork up to Prague, the
 * transactions root where whole transactions are shown, the withdrawals root, and whether there are
 * uncles.  A member that is not known leaves a differing hash unjudged: the next fork's fields must
 * not make liars of honest nodes.
 *
 * Not covered by any of it: `size`, `totalDifficulty`, the hashes of uncles, and what transaction.h
 * names.  Private to chains/evm. */
#ifndef CHAINS_EVM_HEADER_H
#define CHAINS_EVM_HEADER_H

#include "chains/evm/check.h"

/* Which block was asked for. */
struct evm_asked {
	struct evm_place place;
	bool by_tag; /* so that it may be the pending one, which has no hash yet */
	bool whole;  /* a block with its transactions, no uncle and no header alone */
	bool has_full;
	bool full; /* whole transactions were asked for, not their hashes */
};

/* Of a block, and of the objects in its list of withdrawals. */
void evm_header_names(struct json_names *names, struct json_names *withdrawal_names);

/* Takes the block, uncle or header that comes next, and checks all of it. */
void evm_block_check(struct evm_check *check, struct json_walk *walk,
		     const struct evm_asked *asked);

#endif
