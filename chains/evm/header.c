/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/header.h"

#include "chains/evm/keccak.h"
#include "chains/evm/rlp.h"
#include "chains/evm/transaction.h"

/* What is hashed, in order: FIELD(name, member, kind, bytes).  A later fork adds at the end. */
#define HEADER_FIELDS(FIELD)                                                                       \
	FIELD(PARENT_HASH, "parentHash", EVM_BYTES, 32)                                            \
	FIELD(SHA3_UNCLES, "sha3Uncles", EVM_BYTES, 32)                                            \
	FIELD(MINER, "miner", EVM_BYTES, 20)                                                       \
	FIELD(STATE_ROOT, "stateRoot", EVM_BYTES, 32)                                              \
	FIELD(TRANSACTIONS_ROOT, "transactionsRoot", EVM_BYTES, 32)                                \
	FIELD(RECEIPTS_ROOT, "receiptsRoot", EVM_BYTES, 32)                                        \
	FIELD(LOGS_BLOOM, "logsBloom", EVM_BYTES, 256)                                             \
	FIELD(DIFFICULTY, "difficulty", EVM_NUMBER, 0)                                             \
	FIELD(NUMBER, "number", EVM_NUMBER, 0)                                                     \
	FIELD(GAS_LIMIT, "gasLimit", EVM_NUMBER, 0)                                                \
	FIELD(GAS_USED, "gasUsed", EVM_NUMBER, 0)                                                  \
	FIELD(TIMESTAMP, "timestamp", EVM_NUMBER, 0)                                               \
	FIELD(EXTRA_DATA, "extraData", EVM_DATA, 0)                                                \
	FIELD(MIX_HASH, "mixHash", EVM_BYTES, 32)                                                  \
	FIELD(NONCE, "nonce", EVM_BYTES, 8)                                                        \
	/* London, EIP-1559 */ FIELD(BASE_FEE, "baseFeePerGas", EVM_NUMBER, 0)                     \
	/* Shanghai, EIP-4895 */ FIELD(WITHDRAWALS_ROOT, "withdrawalsRoot", EVM_BYTES, 32)         \
	/* Cancun, EIP-4844 */ FIELD(BLOB_GAS_USED, "blobGasUsed", EVM_NUMBER, 0)                  \
	/* EIP-4844 */ FIELD(EXCESS_BLOB_GAS, "excessBlobGas", EVM_NUMBER, 0)                      \
	/* Cancun, EIP-4788 */ FIELD(BEACON_ROOT, "parentBeaconBlockRoot", EVM_BYTES, 32)          \
	/* Prague, EIP-7685 */ FIELD(REQUESTS_HASH, "requestsHash", EVM_BYTES, 32)

#define FIRST_LATER BASE_FEE

enum field {
#define FIELD(name, member, kind, n) name,
	HEADER_FIELDS(FIELD)
#undef FIELD
		HASHED, /* so many are hashed */
	HASH = HASHED,
	TRANSACTIONS,
	UNCLES,
	WITHDRAWALS,
	IGNORED, /* the rest is known, and no part of the hash */
	FIELDS = IGNORED + 4,
};

static const char *const names_list[FIELDS] = {
#define FIELD(name, member, kind, n) [name] = (member),
	HEADER_FIELDS(FIELD)
#undef FIELD
		[HASH] = "hash",
	[TRANSACTIONS] = "transactions",
	[UNCLES] = "uncles",
	[WITHDRAWALS] = "withdrawals",
	[IGNORED] = "size",
	"totalDifficulty",
	"author",     /* Parity's heirs: the miner again, */
	"sealFields", /* mixHash and nonce again */
};

static const struct {
	enum evm_kind kind;
	size_t n; /* of EVM_BYTES */
} hashed[HASHED] = {
#define FIELD(name, member, field_kind, field_n) [name] = {(field_kind), (field_n)},
	HEADER_FIELDS(FIELD)
#undef FIELD
};

static const struct hash no_uncles = {{0x1d, 0xcc, 0x4d, 0xe8, 0xde, 0xc7, 0x5d, 0x7a,
				       0xab, 0x85, 0xb5, 0x67, 0xb6, 0xcc, 0xd4, 0x1a,
				       0xd3, 0x12, 0x45, 0x1b, 0x94, 0x8a, 0x74, 0x13,
				       0xf0, 0xa1, 0x42, 0xfd, 0x40, 0xd4, 0x93, 0x47}};

/* One block on its way through the checks. */
struct block {
	struct view at[FIELDS];
	bool others;		/* there are members that this code does not know */
	struct evm_place place; /* that was asked for, or that its transactions name */
	bool listed;		/* there is a list of transactions, */
	uint64_t count;		/* with so many, */
	bool rooted;		/* all of which could be hashed: */
	struct hash root;
};

static const char *const withdrawal_names_list[] = {"index", "validatorIndex", "address", "amount"};

void evm_header_names(struct json_names *names, struct json_names *withdrawal_names)
{
	json_names_init(names, names_list, FIELDS);
	json_names_init(withdrawal_names, withdrawal_names_list, ARRAY_SIZE(withdrawal_names_list));
}

/* --- transactions --- */

static void whole_check(struct evm_check *check, struct json_walk *walk, struct block *block)
{
	struct evm_transaction tx;
	struct view bytes;

	if (!evm_transaction_read(check, walk, &tx)) {
		block->rooted = false;
		return;
	}
	(void)evm_place_check(check, &block->place, tx.at[TX_BLOCK_HASH], tx.at[TX_BLOCK_NUMBER]);
	if (evm_token_is_absent(tx.at[TX_BLOCK_HASH]) || evm_token_is_absent(tx.at[TX_INDEX]) ||
	    evm_token_is_absent(tx.at[TX_BLOCK_NUMBER]))
		check->unjudged = true; /* it does not say where it stands */
	if (!evm_token_is_u64(tx.at[TX_INDEX], block->count))
		evm_fault(check, "a transaction's index is not its place in the block");
	if (!evm_transactions_add(check, &tx, &bytes)) {
		block->rooted = false;
		return;
	}
	if (block->rooted)
		trie_list_add(check->trie, bytes);
	if (evm_transactions_are_full(check) && !evm_transactions_end(check))
		block->rooted = false;
}

static void transactions_check(struct evm_check *check, struct json_walk *walk, struct block *block,
			       const struct evm_asked *asked)
{
	uint8_t hash[32];

	block->listed = block->rooted = true;
	if (!json_walk_enter(walk, '['))
		return;
	evm_transactions_begin(check);
	while (json_walk_element(walk)) {
		bool whole = json_walk_peek(walk) == '{';

		if (asked->has_full && asked->full != whole)
			evm_fault(check, whole ? "whole transactions were not asked for"
					       : "whole transactions were asked for");
		if (whole) {
			whole_check(check, walk, block);
		} else {
			block->rooted = false;
			if (!json_token_hex(json_walk_value(walk), hash, sizeof(hash)))
				evm_rule_broken(check, false, "a transaction's hash is no hash");
		}
		block->count++;
	}
	if (!evm_transactions_end(check))
		block->rooted = false;
	trie_list_end(check->trie, &block->root);
}

/* The root of the list against that of the header. */
static void transactions_root_check(struct evm_check *check, const struct block *block, bool whole)
{
	if (!block->listed) {
		if (whole)
			evm_rule_broken(check, block->others,
					"the block has no list of transactions");
		return;
	}
	if (!block->rooted)
		check->unjudged = true;
	else if (!evm_token_is_hash(block->at[TRANSACTIONS_ROOT], &block->root))
		evm_rule_broken(check, block->others,
				"the transactions are not those of the transactions root");
}

/* --- withdrawals and uncles --- */

static bool put_withdrawal(struct evm_check *check, struct json_walk *walk)
{
	struct view at[ARRAY_SIZE(withdrawal_names_list)];
	bool made = json_walk_members(walk, &check->withdrawal_names, at) == JSON_MEMBERS;
	size_t list;

	check->bytes.n = 0;
	list = rlp_begin(&check->bytes);
	for (size_t i = 0; made && i < ARRAY_SIZE(at); i++)
		made = evm_put(check, i == 2 ? EVM_BYTES : EVM_NUMBER, 20, at[i]) == EVM_MADE;
	rlp_end(&check->bytes, list);
	return made && check->withdrawal_names.others == 0;
}

static void withdrawals_check(struct evm_check *check, const struct block *block)
{
	struct json_walk walk = json_walk_of(block->at[WITHDRAWALS]);
	struct hash root;
	bool rooted = true;
	size_t count = 0;

	if (evm_token_is_absent(block->at[WITHDRAWALS])) {
		check->unjudged |=
			!evm_token_is_absent(block->at[WITHDRAWALS_ROOT]) && block->listed;
		return;
	}
	if (!json_walk_enter(&walk, '[')) {
		evm_rule_broken(check, block->others, "withdrawals are no list");
		return;
	}
	check->withdrawal_names.others = 0;
	for (; json_walk_element(&walk); count++) {
		rooted = rooted && put_withdrawal(check, &walk);
		if (!rooted)
			break;
		trie_list_add(check->trie, buf_view(&check->bytes));
	}
	trie_list_end(check->trie, &root);
	if (rooted && evm_token_is_hash(block->at[WITHDRAWALS_ROOT], &root) &&
	    (count == 0 || !evm_token_is_absent(block->at[WITHDRAWALS_ROOT])))
		return;
	/* Rollups put another root where nothing is withdrawn (Optimism, Isthmus). */
	if (rooted && count == 0)
		check->unjudged = true;
	else
		evm_rule_broken(check, block->others || check->withdrawal_names.others > 0,
				"the withdrawals are not those of the withdrawals root");
}

static void uncles_check(struct evm_check *check, const struct block *block)
{
	struct json_walk walk = json_walk_of(block->at[UNCLES]);
	bool some;

	if (evm_token_is_absent(block->at[UNCLES])) {
		check->unjudged |= block->listed;
		return;
	}
	if (!json_walk_enter(&walk, '[')) {
		evm_rule_broken(check, block->others, "uncles are no list");
		return;
	}
	some = json_walk_element(&walk);
	if (some == evm_token_is_hash(block->at[SHA3_UNCLES], &no_uncles))
		evm_rule_broken(check, block->others, "the uncles are not those of their hash");
	check->unjudged |= some; /* their headers are not here */
}

/* --- the header --- */

/* False when it is malformed or cannot be judged, which is noted. */
static bool put_header(struct evm_check *check, const struct block *block)
{
	bool ended = false;
	size_t list;

	check->bytes.n = 0;
	list = rlp_begin(&check->bytes);
	for (size_t i = 0; i < HASHED; i++) {
		switch (evm_put(check, hashed[i].kind, hashed[i].n, block->at[i])) {
		case EVM_MADE:
			if (!ended)
				continue;
			check->unjudged =
				true; /* of another kind: a later field, but not one ahead */
			return false;
		case EVM_ABSENT:
			ended = true;
			if (i >= FIRST_LATER)
				continue;
			check->unjudged = true;
			return false;
		case EVM_MALFORMED:
			evm_rule_broken(check, block->others,
					"a header has a value of another kind");
			return false;
		}
	}
	rlp_end(&check->bytes, list);
	return true;
}

static void remember(struct evm_check *check, const struct block *block, const struct hash *hash)
{
	struct evm_known *known = &check->known[check->known_next];

	if (evm_known_find(check, hash))
		return;
	known->hash = *hash;
	known->set = json_token_u64(block->at[NUMBER], JSON_LENIENT, &known->number) &&
		     json_token_hex(block->at[RECEIPTS_ROOT], known->receipts_root.b, 32) &&
		     json_token_hex(block->at[LOGS_BLOOM], known->bloom, sizeof(known->bloom));
	check->known_next = (check->known_next + 1) % EVM_KNOWN_HEADERS;
}

static void header_check(struct evm_check *check, const struct block *block)
{
	struct hash made;

	if (!put_header(check, block))
		return;
	keccak256(check->bytes.p, check->bytes.n, &made);
	if (evm_token_is_hash(block->at[HASH], &made)) {
		check->hashed = check->block = true;
		remember(check, block, &made);
	} else {
		evm_rule_broken(check, block->others,
				"the header's fields are not those of its hash");
	}
}

/* Takes the members, and the transactions as they come by.  False when there is no block. */
static bool block_read(struct evm_check *check, struct json_walk *walk, struct block *block,
		       const struct evm_asked *asked)
{
	struct json_names *names = &check->header_names;
	struct view name;

	if (!json_walk_enter(walk, '{')) {
		evm_fault(check, "a block is no object");
		return false;
	}
	names->last = names->count;
	while (json_walk_member(walk, &name)) {
		size_t i = json_names_find(names, name);
		const uint8_t *from = walk->p;

		check->rides |= i >= IGNORED;
		if (i == names->count) {
			block->others = true;
			if (memchr(name.p, '\\', name.n))
				evm_fault(check, "a member's name is written with escapes");
			(void)json_walk_value(walk);
			continue;
		}
		if (block->at[i].p)
			evm_fault(check, "a block has a member twice");
		if (i == TRANSACTIONS && json_walk_peek(walk) == '[') {
			transactions_check(check, walk, block, asked);
			block->at[i] = VIEW(from, (size_t)(walk->p - from));
		} else {
			block->at[i] = json_walk_value(walk);
		}
	}
	return !walk->bad;
}

void evm_block_check(struct evm_check *check, struct json_walk *walk, const struct evm_asked *asked)
{
	struct block block = {.place = asked->place};

	if (!block_read(check, walk, &block, asked)) {
		evm_fault(check, "a block is no object");
		return;
	}
	if (evm_token_is_absent(block.at[HASH])) {
		if (!asked->by_tag)
			evm_fault(check, "the block has no hash");
		check->unjudged = true;
		return;
	}
	if (evm_token_is_absent(block.at[NUMBER]))
		evm_rule_broken(check, block.others, "the block has no number");
	if (!evm_place_check(check, &block.place, block.at[HASH], block.at[NUMBER]))
		return;
	header_check(check, &block);
	transactions_root_check(check, &block, asked->whole);
	withdrawals_check(check, &block);
	uncles_check(check, &block);
}
