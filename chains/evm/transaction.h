/* SPDX-License-Identifier: Apache-2.0
 * Transactions as JSON-RPC shows them, and the bytes that their hash and the transactions root are
 * made of: types 0 to 4 (Yellow Paper, EIP-2930, EIP-1559, EIP-4844, EIP-7702).
 *
 * The hash covers everything that the sender signed.  It does not cover `from` (that takes the
 * recovery of a public key), `gasPrice` of types 2 to 4 (what was paid, not what was signed) and
 * where the transaction stands.  Private to chains/evm. */
#ifndef CHAINS_EVM_TRANSACTION_H
#define CHAINS_EVM_TRANSACTION_H

#include "chains/evm/check.h"

enum evm_transaction_field {
	TX_HASH,
	TX_TYPE,
	TX_CHAIN_ID,
	TX_NONCE,
	TX_GAS_PRICE,
	TX_PRIORITY_FEE,
	TX_MAX_FEE,
	TX_GAS,
	TX_TO,
	TX_VALUE,
	TX_INPUT,
	TX_ACCESS_LIST,
	TX_BLOB_FEE,
	TX_BLOB_HASHES,
	TX_AUTHORIZATIONS,
	TX_V,
	TX_R,
	TX_S,
	TX_Y_PARITY,
	TX_BLOCK_HASH,
	TX_BLOCK_NUMBER,
	TX_INDEX,
	TX_FROM,
	TX_IGNORED, /* the rest is known, and no part of any hash */
	TX_FIELDS = TX_IGNORED + 9,
};

struct evm_transaction {
	struct view at[TX_FIELDS]; /* values of the members */
	bool others;		   /* there are members that this code does not know */
};

/* Of a transaction, and of the objects in its lists. */
void evm_transaction_names(struct json_names *names, struct json_names item_names[EVM_ITEMS]);

/* Takes the object that comes next.  False, with the fault noted, when there is none or when it is
 * ambiguous. */
MUST_USE bool evm_transaction_read(struct evm_check *check, struct json_walk *walk,
				   struct evm_transaction *ret);

/* Compares the hash of its fields with its member `hash`; a fault, or that it could not be judged,
 * is noted. */
void evm_transaction_check(struct evm_check *check, const struct evm_transaction *tx);

/* The same of many, whose hashes are made a row at a time: begin, then add each, and whenever the
 * row is full, and last of all, end it.  check->bytes is theirs meanwhile. */
void evm_transactions_begin(struct evm_check *check);
/* Takes the next.  True: its bytes could be made.
 * Out: ret  these bytes, until the next call */
MUST_USE bool evm_transactions_add(struct evm_check *check, const struct evm_transaction *tx,
				   struct view *ret);
bool evm_transactions_are_full(const struct evm_check *check);
/* Looks at the row, and begins the next.  False: a hash was not that of its fields, which is noted.
 */
MUST_USE bool evm_transactions_end(struct evm_check *check);

#endif
