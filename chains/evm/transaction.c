/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/transaction.h"

#include <assert.h>

#include "chains/evm/keccak.h"
#include "chains/evm/rlp.h"

static const char *const names_list[TX_FIELDS] = {
	[TX_HASH] = "hash",
	[TX_TYPE] = "type",
	[TX_CHAIN_ID] = "chainId",
	[TX_NONCE] = "nonce",
	[TX_GAS_PRICE] = "gasPrice",
	[TX_PRIORITY_FEE] = "maxPriorityFeePerGas",
	[TX_MAX_FEE] = "maxFeePerGas",
	[TX_GAS] = "gas",
	[TX_TO] = "to",
	[TX_VALUE] = "value",
	[TX_INPUT] = "input",
	[TX_ACCESS_LIST] = "accessList",
	[TX_BLOB_FEE] = "maxFeePerBlobGas",
	[TX_BLOB_HASHES] = "blobVersionedHashes",
	[TX_AUTHORIZATIONS] = "authorizationList",
	[TX_V] = "v",
	[TX_R] = "r",
	[TX_S] = "s",
	[TX_Y_PARITY] = "yParity",
	[TX_BLOCK_HASH] = "blockHash",
	[TX_BLOCK_NUMBER] = "blockNumber",
	[TX_INDEX] = "transactionIndex",
	[TX_FROM] = "from",
	[TX_IGNORED] = "blockTimestamp", /* geth, reth */
	"creates",			 /* Parity's heirs, from here on */
	"condition",
	"publicKey",
	"raw",
	"standardV",
	"data", /* Nethermind: input again */
	"networkId",
	"transactionType",
};

/* What is hashed, in order.  END ends a row. */
#define END TX_FIELDS
static const uint8_t fields_of_type[5][16] = {
	{TX_NONCE, TX_GAS_PRICE, TX_GAS, TX_TO, TX_VALUE, TX_INPUT, TX_V, TX_R, TX_S, END},
	{TX_CHAIN_ID, TX_NONCE, TX_GAS_PRICE, TX_GAS, TX_TO, TX_VALUE, TX_INPUT, TX_ACCESS_LIST,
	 TX_Y_PARITY, TX_R, TX_S, END},
	{TX_CHAIN_ID, TX_NONCE, TX_PRIORITY_FEE, TX_MAX_FEE, TX_GAS, TX_TO, TX_VALUE, TX_INPUT,
	 TX_ACCESS_LIST, TX_Y_PARITY, TX_R, TX_S, END},
	{TX_CHAIN_ID, TX_NONCE, TX_PRIORITY_FEE, TX_MAX_FEE, TX_GAS, TX_TO, TX_VALUE, TX_INPUT,
	 TX_ACCESS_LIST, TX_BLOB_FEE, TX_BLOB_HASHES, TX_Y_PARITY, TX_R, TX_S, END},
	{TX_CHAIN_ID, TX_NONCE, TX_PRIORITY_FEE, TX_MAX_FEE, TX_GAS, TX_TO, TX_VALUE, TX_INPUT,
	 TX_ACCESS_LIST, TX_AUTHORIZATIONS, TX_Y_PARITY, TX_R, TX_S, END},
};

bool evm_transaction_read(struct evm_check *check, struct json_walk *walk,
			  struct evm_transaction *ret)
{
	check->rides = true; /* its sender, at least */
	switch (json_walk_members(walk, &check->transaction_names, ret->at)) {
	case JSON_MEMBERS:
		ret->others = check->transaction_names.others > 0;
		return true;
	case JSON_MEMBERS_AMBIGUOUS:
		evm_fault(check, "a transaction has a member twice");
		return false;
	case JSON_MEMBERS_NONE:
		break;
	}
	evm_fault(check, "a transaction is no object");
	return false;
}

/* An array of hashes. */
static enum evm_made put_hashes(struct evm_check *check, struct view token)
{
	struct json_walk walk = json_walk_of(token);
	enum evm_made made;
	size_t list;

	if (evm_token_is_absent(token))
		return EVM_ABSENT;
	if (!json_walk_enter(&walk, '['))
		return EVM_MALFORMED;
	list = rlp_begin(&check->bytes);
	while (json_walk_element(&walk)) {
		made = evm_put(check, EVM_BYTES, 32, json_walk_value(&walk));
		if (made != EVM_MADE)
			return EVM_MALFORMED;
	}
	rlp_end(&check->bytes, list);
	return walk.bad ? EVM_MALFORMED : EVM_MADE;
}

/* Members that are lists of objects, and what of each object is hashed, in order.  A value that has
 * another name in older programs has that behind the others. */
enum {
	ACCESS,	       /* EIP-2930 */
	AUTHORIZATION, /* EIP-7702 */
};
#define ITEM_NAMES 7

static const struct item {
	const char *names[ITEM_NAMES];
	size_t names_n, values_n;
	enum { NUMBER, ADDRESS, HASHES } values[6];
	size_t renamed; /* this value; values_n: none */
} items[EVM_ITEMS] = {
	[ACCESS] = {{"address", "storageKeys"}, 2, 2, {ADDRESS, HASHES}, 2},
	[AUTHORIZATION] = {{"chainId", "address", "nonce", "yParity", "r", "s", "v"},
			   7,
			   6,
			   {NUMBER, ADDRESS, NUMBER, NUMBER, NUMBER, NUMBER},
			   3},
};

void evm_transaction_names(struct json_names *names, struct json_names item_names[EVM_ITEMS])
{
	json_names_init(names, names_list, TX_FIELDS);
	for (size_t i = 0; i < EVM_ITEMS; i++)
		json_names_init(&item_names[i], items[i].names, items[i].names_n);
}

static bool put_item(struct evm_check *check, const struct item *item, const struct view *at)
{
	size_t list = rlp_begin(&check->bytes);

	for (size_t i = 0; i < item->values_n; i++) {
		struct view value = i == item->renamed && !at[i].p ? at[item->values_n] : at[i];
		enum evm_made made =
			item->values[i] == HASHES
				? put_hashes(check, value)
				: evm_put(check,
					  item->values[i] == ADDRESS ? EVM_BYTES : EVM_NUMBER, 20,
					  value);

		if (made != EVM_MADE)
			return false;
	}
	rlp_end(&check->bytes, list);
	return true;
}

static enum evm_made put_items(struct evm_check *check, size_t which, struct view token)
{
	struct json_walk walk = json_walk_of(token);
	struct view at[ITEM_NAMES];
	size_t list;

	if (evm_token_is_absent(token))
		return EVM_ABSENT;
	if (!json_walk_enter(&walk, '['))
		return EVM_MALFORMED;
	list = rlp_begin(&check->bytes);
	while (json_walk_element(&walk)) {
		if (json_walk_members(&walk, &check->item_names[which], at) != JSON_MEMBERS ||
		    !put_item(check, &items[which], at))
			return EVM_MALFORMED;
	}
	rlp_end(&check->bytes, list);
	return walk.bad ? EVM_MALFORMED : EVM_MADE;
}

/* Typed transactions sign the parity.  Older programs show it as v, newer ones as both. */
static enum evm_made put_parity(struct evm_check *check, const struct evm_transaction *tx)
{
	struct view parity = tx->at[TX_Y_PARITY], v = tx->at[TX_V];
	uint64_t bit;

	if (evm_token_is_absent(parity))
		return evm_put(check, EVM_NUMBER, 0, v);
	if (!json_token_u64(parity, JSON_LENIENT, &bit) || bit > 1)
		return EVM_MALFORMED;
	if (!evm_token_is_u64(v, bit) && !evm_token_is_u64(v, bit + 27))
		return EVM_MALFORMED;
	rlp_put_u64(&check->bytes, bit);
	return EVM_MADE;
}

static enum evm_made put_field(struct evm_check *check, const struct evm_transaction *tx,
			       uint8_t field)
{
	switch (field) {
	case TX_TO:
		/* A creation has null, and no program leaves the member out of a signed one. */
		return evm_put(check, EVM_ADDRESS, 0, tx->at[field]);
	case TX_INPUT:
		return evm_put(check, EVM_DATA, 0, tx->at[field]);
	case TX_ACCESS_LIST:
		return put_items(check, ACCESS, tx->at[field]);
	case TX_BLOB_HASHES:
		return put_hashes(check, tx->at[field]);
	case TX_AUTHORIZATIONS:
		return put_items(check, AUTHORIZATION, tx->at[field]);
	case TX_Y_PARITY:
		return put_parity(check, tx);
	default: /* all others are numbers */
		return evm_put(check, EVM_NUMBER, 0, tx->at[field]);
	}
}

/* A transaction without a signature: those that a chain makes by itself (Polygon's state syncs, the
 * deposits of rollups).  They are hashed by rules of their own. */
static bool is_unsigned(const struct evm_transaction *tx)
{
	uint64_t r, s;

	return json_token_u64(tx->at[TX_R], JSON_LENIENT, &r) && r == 0 &&
	       json_token_u64(tx->at[TX_S], JSON_LENIENT, &s) && s == 0;
}

/* False when it cannot be judged or is malformed, which is noted. */
static bool put_transaction(struct evm_check *check, const struct evm_transaction *tx)
{
	uint64_t type = 0;
	size_t list;

	if (!evm_token_is_absent(tx->at[TX_TYPE]) &&
	    !json_token_u64(tx->at[TX_TYPE], JSON_LENIENT, &type)) {
		evm_rule_broken(check, tx->others, "a transaction's type is no number");
		return false;
	}
	if (type >= ARRAY_SIZE(fields_of_type) || is_unsigned(tx)) {
		check->unjudged = true;
		return false;
	}
	if (type > 0)
		buf_put_u8(&check->bytes, (uint8_t)type);
	list = rlp_begin(&check->bytes);
	for (const uint8_t *field = fields_of_type[type]; *field != END; field++) {
		switch (put_field(check, tx, *field)) {
		case EVM_MADE:
			continue;
		case EVM_ABSENT:
			check->unjudged = true;
			return false;
		case EVM_MALFORMED:
			evm_rule_broken(check, tx->others,
					"a transaction has a value of another kind");
			return false;
		}
	}
	rlp_end(&check->bytes, list);
	return true;
}

/* The chain of a legacy transaction is in its v (EIP-155); those without it may run anywhere. */
static void legacy_chain_check(struct evm_check *check, const struct evm_transaction *tx)
{
	uint64_t type, v;

	if (json_token_u64(tx->at[TX_TYPE], JSON_LENIENT, &type) && type > 0)
		return;
	if (json_token_u64(tx->at[TX_V], JSON_LENIENT, &v) && v >= 35 &&
	    !evm_token_is_u64(tx->at[TX_CHAIN_ID], (v - 35) / 2))
		evm_rule_broken(check, tx->others, "a transaction's chain is not that of its v");
}

/* Appends its bytes; what its hash is said to be.  False as put_transaction(). */
static bool put_with_hash(struct evm_check *check, const struct evm_transaction *tx,
			  struct hash *ret_said)
{
	if (!tx->at[TX_HASH].p ||
	    !json_token_hex(tx->at[TX_HASH], ret_said->b, sizeof(ret_said->b))) {
		evm_rule_broken(check, tx->others, "a transaction has no hash");
		return false;
	}
	if (!put_transaction(check, tx))
		return false;
	legacy_chain_check(check, tx);
	return true;
}

static bool compare(struct evm_check *check, bool others, const struct hash *made,
		    const struct hash *said)
{
	if (ID_EQ(made, said)) {
		check->hashed = true;
		return true;
	}
	evm_rule_broken(check, others, "a transaction's fields are not those of its hash");
	return false;
}

void evm_transaction_check(struct evm_check *check, const struct evm_transaction *tx)
{
	struct hash made, said;

	check->bytes.n = 0;
	if (!put_with_hash(check, tx, &said))
		return;
	keccak256(check->bytes.p, check->bytes.n, &made);
	(void)compare(check, tx->others, &made, &said);
}

/* --- many of them --- */

void evm_transactions_begin(struct evm_check *check)
{
	check->bytes.n = 0;
	check->row_n = 0;
}

bool evm_transactions_end(struct evm_check *check)
{
	struct view texts[EVM_ROW];
	struct hash made[EVM_ROW];
	bool fine = true;

	for (size_t i = 0; i < check->row_n; i++)
		texts[i] = VIEW(check->bytes.p + check->row[i].at, check->row[i].n);
	keccak256_many(texts, check->row_n, made);
	for (size_t i = 0; i < check->row_n; i++)
		fine &= compare(check, check->row[i].others, &made[i], &check->row[i].said);
	evm_transactions_begin(check);
	return fine;
}

bool evm_transactions_add(struct evm_check *check, const struct evm_transaction *tx,
			  struct view *ret)
{
	struct evm_row *row = &check->row[check->row_n];
	size_t at = check->bytes.n;

	assert(check->row_n < EVM_ROW);
	if (!put_with_hash(check, tx, &row->said)) {
		check->bytes.n = at;
		return false;
	}
	row->at = at;
	row->n = check->bytes.n - at;
	row->others = tx->others;
	check->row_n++;
	*ret = VIEW(check->bytes.p + at, row->n);
	return true;
}

bool evm_transactions_are_full(const struct evm_check *check)
{
	return check->row_n == EVM_ROW || check->bytes.n >= EVM_ROW_BYTES;
}
