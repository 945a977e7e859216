/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/receipt.h"

#include "chains/evm/log.h"
#include "chains/evm/rlp.h"

enum field {
	TYPE,
	STATUS,
	ROOT,
	CUMULATIVE_GAS,
	GAS_USED,
	BLOOM,
	LOGS,
	TRANSACTION_HASH,
	TRANSACTION_INDEX,
	BLOCK_HASH,
	BLOCK_NUMBER,
	IGNORED, /* the rest is known, and no part of any hash */
	FIELDS = IGNORED + 7,
};

static const char *const names_list[FIELDS] = {
	[TYPE] = "type",
	[STATUS] = "status",
	[ROOT] = "root",
	[CUMULATIVE_GAS] = "cumulativeGasUsed",
	[GAS_USED] = "gasUsed",
	[BLOOM] = "logsBloom",
	[LOGS] = "logs",
	[TRANSACTION_HASH] = "transactionHash",
	[TRANSACTION_INDEX] = "transactionIndex",
	[BLOCK_HASH] = "blockHash",
	[BLOCK_NUMBER] = "blockNumber",
	[IGNORED] = "from",
	"to",
	"contractAddress",
	"effectiveGasPrice",
	"blobGasUsed",
	"blobGasPrice",
	"blockTimestamp", /* geth, reth */
};

#define TYPES 5 /* of transactions whose receipts are known */

/* Receipts on their way through the checks: those of one block, or one alone. */
struct receipts {
	struct evm_place place;
	bool whole_block;
	uint64_t count;
	uint64_t gas;	    /* that the receipts so far have used */
	uint64_t log_index; /* of the next log */
	bool has_log_index;
	bool rooted; /* all could be hashed */
	bool others; /* a receipt has members that this code does not know */
};

/* One of them. */
struct receipt {
	struct view at[FIELDS];
	bool others;
	uint8_t bloom[EVM_BLOOM_BYTES]; /* made of its logs */
	bool made;			/* its bytes could be made */
};

void evm_receipt_names(struct json_names *names)
{
	json_names_init(names, names_list, FIELDS);
}

/* A log belongs to its receipt, and stands behind the one before. */
static void log_place_check(struct evm_check *check, struct receipts *all,
			    const struct receipt *receipt, const struct evm_log *log)
{
	struct hash transaction;
	uint64_t index;

	(void)evm_place_check(check, &all->place, log->block_hash, log->block_number);
	if (receipt->at[TRANSACTION_HASH].p &&
	    json_token_hex(receipt->at[TRANSACTION_HASH], transaction.b, sizeof(transaction.b)) &&
	    !evm_token_is_hash(log->transaction_hash, &transaction))
		evm_fault(check, "a log in a receipt names another transaction");
	if (receipt->at[TRANSACTION_INDEX].p &&
	    json_token_u64(receipt->at[TRANSACTION_INDEX], JSON_LENIENT, &index) &&
	    !evm_token_is_u64(log->transaction_index, index))
		evm_fault(check, "a log in a receipt has another transaction's index");
	if (log->removed)
		evm_rule_broken(check, log->others, "a log in a receipt was removed");
	if (!json_token_u64(log->index, JSON_LENIENT, &index))
		return;
	if (all->has_log_index && index != all->log_index)
		evm_rule_broken(check, log->others, "logs of receipts are not counted on");
	all->log_index = index + 1;
	all->has_log_index = true;
}

/* Its logs, as RLP and as a bloom. */
static void put_logs(struct evm_check *check, struct receipts *all, struct receipt *receipt)
{
	struct json_walk walk = json_walk_of(receipt->at[LOGS]);
	size_t list = rlp_begin(&check->bytes);
	struct evm_log log;

	if (!receipt->at[LOGS].p || !json_walk_enter(&walk, '[')) {
		evm_rule_broken(check, receipt->others, "a receipt has no list of logs");
		receipt->made = false;
		return;
	}
	while (json_walk_element(&walk)) {
		if (!evm_log_read(check, &walk, &log)) {
			receipt->made = false;
			return;
		}
		log_place_check(check, all, receipt, &log);
		evm_log_bloom(check, &log, receipt->bloom);
		if (evm_log_put(check, &log) != EVM_MADE) {
			evm_rule_broken(check, log.others, "a log's data is malformed");
			receipt->made = false;
		}
	}
	rlp_end(&check->bytes, list);
}

/* One member as RLP. */
static void put(struct evm_check *check, struct receipt *receipt, enum evm_kind kind, size_t n,
		enum field field)
{
	switch (evm_put(check, kind, n, receipt->at[field])) {
	case EVM_MADE:
		return;
	case EVM_ABSENT:
		check->unjudged = true;
		break;
	case EVM_MALFORMED:
		evm_rule_broken(check, receipt->others, "a receipt has a value of another kind");
		break;
	}
	receipt->made = false;
}

static bool has(const struct receipt *receipt, enum field field)
{
	return !evm_token_is_absent(receipt->at[field]);
}

/* Its bytes in check->bytes, and its logs looked at; receipt->made says whether they are whole. */
static void put_receipt(struct evm_check *check, struct receipts *all, struct receipt *receipt)
{
	uint64_t type = 0;
	size_t list;

	receipt->made = true;
	if (has(receipt, TYPE) && !json_token_u64(receipt->at[TYPE], JSON_LENIENT, &type)) {
		evm_rule_broken(check, receipt->others, "a receipt's type is no number");
		receipt->made = false;
	}
	if (type >= TYPES) {
		check->unjudged = true;
		receipt->made = false;
	}
	check->bytes.n = 0;
	if (type > 0)
		buf_put_u8(&check->bytes, (uint8_t)type);
	list = rlp_begin(&check->bytes);
	if (has(receipt, ROOT) && !has(receipt, STATUS))
		put(check, receipt, EVM_BYTES, 32, ROOT);
	else
		put(check, receipt, EVM_NUMBER, 0, STATUS);
	put(check, receipt, EVM_NUMBER, 0, CUMULATIVE_GAS);
	put(check, receipt, EVM_BYTES, EVM_BLOOM_BYTES, BLOOM);
	put_logs(check, all, receipt);
	if (receipt->made)
		rlp_end(&check->bytes, list);
}

static void bloom_check(struct evm_check *check, const struct receipt *receipt)
{
	uint8_t said[EVM_BLOOM_BYTES];

	if (receipt->made && json_token_hex(receipt->at[BLOOM], said, sizeof(said)) &&
	    memcmp(said, receipt->bloom, sizeof(said)) != 0)
		evm_rule_broken(check, receipt->others,
				"a receipt's bloom is not that of its logs");
}

/* Of a whole block: its index, and its gas after those before. */
static void count_check(struct evm_check *check, struct receipts *all,
			const struct receipt *receipt)
{
	uint64_t cumulative, used;

	if (!has(receipt, TRANSACTION_INDEX) || !has(receipt, BLOCK_HASH) ||
	    !has(receipt, BLOCK_NUMBER))
		check->unjudged = true; /* it does not say where it stands */
	if (!evm_token_is_u64(receipt->at[TRANSACTION_INDEX], all->count))
		evm_fault(check, "a receipt's index is not its place in the block");
	if (!has(receipt, CUMULATIVE_GAS) || !has(receipt, GAS_USED) ||
	    !json_token_u64(receipt->at[CUMULATIVE_GAS], JSON_LENIENT, &cumulative) ||
	    !json_token_u64(receipt->at[GAS_USED], JSON_LENIENT, &used)) {
		check->unjudged = true;
		return;
	}
	if (used == 0) {
		check->unjudged = true; /* made by the chain itself: Polygon's state syncs */
		all->rooted = false;
		return;
	}
	if (cumulative - used != all->gas)
		evm_rule_broken(check, receipt->others, "gas used is not what the sums say");
	all->gas = cumulative;
}

/* Takes the next receipt.  False, with the fault noted, when it is none. */
static bool receipt_check(struct evm_check *check, struct json_walk *walk, struct receipts *all,
			  struct receipt *receipt)
{
	memset(receipt->bloom, 0, sizeof(receipt->bloom));
	if (json_walk_members(walk, &check->receipt_names, receipt->at) != JSON_MEMBERS) {
		evm_fault(check, "a receipt is no object, or has a member twice");
		return false;
	}
	receipt->others = check->receipt_names.others > 0;
	all->others |= receipt->others;
	(void)evm_place_check(check, &all->place, receipt->at[BLOCK_HASH],
			      receipt->at[BLOCK_NUMBER]);
	if (all->whole_block)
		count_check(check, all, receipt);
	put_receipt(check, all, receipt);
	bloom_check(check, receipt);
	if (!receipt->made)
		all->rooted = false;
	return true;
}

void evm_receipt_check(struct evm_check *check, struct json_walk *walk,
		       const struct hash *transaction)
{
	struct receipts all = {0};
	struct receipt receipt;
	const struct evm_known *known;

	check->unjudged = true; /* a root needs all receipts of the block */
	if (!receipt_check(check, walk, &all, &receipt))
		return;
	if (transaction && !(has(&receipt, TRANSACTION_HASH) &&
			     evm_token_is_hash(receipt.at[TRANSACTION_HASH], transaction)))
		evm_fault(check, "a receipt of another transaction");
	known = all.place.has_hash ? evm_known_find(check, &all.place.hash) : NULL;
	if (!known)
		return;
	if (!evm_bloom_has(known->bloom, receipt.bloom))
		evm_fault(check, "a receipt with logs that its block's bloom does not have");
	if (all.place.has_number && all.place.number != known->number)
		evm_fault(check, "a receipt names a block's hash and another's number");
}

void evm_receipts_check(struct evm_check *check, struct json_walk *walk,
			const struct evm_place *asked)
{
	struct receipts all = {
		.place = *asked, .whole_block = true, .rooted = true, .has_log_index = true};
	const struct evm_known *known;
	struct receipt receipt;
	struct hash root;

	if (!json_walk_enter(walk, '[')) {
		evm_fault(check, "receipts are no list");
		return;
	}
	for (; json_walk_element(walk); all.count++) {
		check->rides = true; /* between whom the transaction was, at least */
		if (!receipt_check(check, walk, &all, &receipt)) {
			all.rooted = false;
			break;
		}
		if (all.rooted)
			trie_list_add(check->trie, buf_view(&check->bytes));
	}
	trie_list_end(check->trie, &root);
	known = all.place.has_hash ? evm_known_find(check, &all.place.hash) : NULL;
	if (!all.rooted || !known) {
		check->unjudged = true;
		return;
	}
	if (!ID_EQ(&root, &known->receipts_root))
		evm_rule_broken(check, all.others,
				"the receipts are not those of the receipts root");
	if (all.place.has_number && all.place.number != known->number)
		evm_fault(check, "receipts name a block's hash and another's number");
}
