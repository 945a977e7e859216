/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/log.h"

#include "chains/evm/keccak.h"
#include "chains/evm/rlp.h"

enum field {
	ADDRESS,
	TOPICS,
	DATA,
	BLOCK_HASH,
	BLOCK_NUMBER,
	TRANSACTION_HASH,
	TRANSACTION_INDEX,
	LOG_INDEX,
	REMOVED,
	IGNORED, /* the rest is known, and no part of any hash */
	FIELDS = IGNORED + 3,
};

static const char *const names_list[FIELDS] = {
	[ADDRESS] = "address",
	[TOPICS] = "topics",
	[DATA] = "data",
	[BLOCK_HASH] = "blockHash",
	[BLOCK_NUMBER] = "blockNumber",
	[TRANSACTION_HASH] = "transactionHash",
	[TRANSACTION_INDEX] = "transactionIndex",
	[LOG_INDEX] = "logIndex",
	[REMOVED] = "removed",
	[IGNORED] = "blockTimestamp", /* geth, reth */
	"transactionLogIndex",	      /* Parity's heirs, these two */
	"type",
};

void evm_log_names(struct json_names *names)
{
	json_names_init(names, names_list, FIELDS);
}

static bool read_topics(struct view token, struct evm_log *ret)
{
	struct json_walk walk = json_walk_of(token);

	if (!json_walk_enter(&walk, '['))
		return false;
	for (ret->topic_count = 0; json_walk_element(&walk); ret->topic_count++) {
		if (ret->topic_count == EVM_TOPICS_MAX)
			return false;
		if (!json_token_hex(json_walk_value(&walk), ret->topics[ret->topic_count].b, 32))
			return false;
	}
	return !walk.bad;
}

bool evm_log_read(struct evm_check *check, struct json_walk *walk, struct evm_log *ret)
{
	struct view at[FIELDS];

	if (json_walk_members(walk, &check->log_names, at) != JSON_MEMBERS) {
		evm_fault(check, "a log is no object, or has a member twice");
		return false;
	}
	ret->others = check->log_names.others > 0;
	ret->data = at[DATA];
	ret->block_hash = at[BLOCK_HASH];
	ret->block_number = at[BLOCK_NUMBER];
	ret->transaction_hash = at[TRANSACTION_HASH];
	ret->transaction_index = at[TRANSACTION_INDEX];
	ret->index = at[LOG_INDEX];
	ret->removed = false;
	if (at[REMOVED].p && !json_token_is_null(at[REMOVED]) &&
	    !json_token_bool(at[REMOVED], &ret->removed)) {
		evm_rule_broken(check, ret->others, "a log's `removed` is neither true nor false");
		return false;
	}
	if (!json_token_hex(at[ADDRESS], ret->address, sizeof(ret->address)) ||
	    !read_topics(at[TOPICS], ret)) {
		evm_rule_broken(check, ret->others, "a log's address or topics are malformed");
		return false;
	}
	return true;
}

enum evm_made evm_log_put(struct evm_check *check, const struct evm_log *log)
{
	size_t list = rlp_begin(&check->bytes), topics;
	enum evm_made made;

	rlp_put(&check->bytes, log->address, sizeof(log->address));
	topics = rlp_begin(&check->bytes);
	for (size_t i = 0; i < log->topic_count; i++)
		rlp_put(&check->bytes, log->topics[i].b, sizeof(log->topics[i].b));
	rlp_end(&check->bytes, topics);
	made = evm_put(check, EVM_DATA, 0, log->data);
	rlp_end(&check->bytes, list);
	return made;
}

/* --- blooms --- */

static const uint16_t *bits_of(struct evm_check *check, const uint8_t *item, size_t n)
{
	uint64_t mix = get_be64(item) ^ get_be64(item + n - 8);
	struct evm_bits *bits = &check->bits[mix * 0x9E3779B97F4A7C15u >> 56];
	struct hash hash;

	if (bits->item_n == n && memcmp(bits->item, item, n) == 0)
		return bits->bits;
	keccak256(item, n, &hash);
	memcpy(bits->item, item, n);
	bits->item_n = (uint8_t)n;
	for (size_t i = 0; i < 3; i++)
		bits->bits[i] = get_be16(hash.b + 2 * i) & (8 * EVM_BLOOM_BYTES - 1);
	return bits->bits;
}

static void bloom_add(struct evm_check *check, const uint8_t *item, size_t n, uint8_t *bloom)
{
	const uint16_t *bits = bits_of(check, item, n);

	for (size_t i = 0; i < 3; i++)
		bloom[EVM_BLOOM_BYTES - 1 - bits[i] / 8] |= (uint8_t)(1u << bits[i] % 8);
}

void evm_log_bloom(struct evm_check *check, const struct evm_log *log,
		   uint8_t bloom[EVM_BLOOM_BYTES])
{
	bloom_add(check, log->address, sizeof(log->address), bloom);
	for (size_t i = 0; i < log->topic_count; i++)
		bloom_add(check, log->topics[i].b, sizeof(log->topics[i].b), bloom);
}

bool evm_bloom_has(const uint8_t whole[EVM_BLOOM_BYTES], const uint8_t part[EVM_BLOOM_BYTES])
{
	uint8_t missing = 0;

	for (size_t i = 0; i < EVM_BLOOM_BYTES; i++)
		missing |= (uint8_t)(part[i] & ~whole[i]);
	return missing == 0;
}

/* --- eth_getLogs --- */

/* What was asked for, as far as it was understood: what is not set lets every log pass. */
struct filter {
	struct view address; /* tokens */
	struct view topics;
	struct hash block;
	bool has_block, has_from, has_to;
	uint64_t from, to;
};

static struct filter filter_read(struct view token)
{
	static const char *const list_names[] = {"address", "topics", "fromBlock", "toBlock",
						 "blockHash"};
	struct json_walk walk = json_walk_of(token);
	struct json_names names;
	struct filter filter = {0};
	struct view at[5];

	json_names_init(&names, list_names, ARRAY_SIZE(list_names));
	/* Some backends read names in any case, and the last of two that are the same: what is not
	 * known may be what counts. */
	if (json_walk_members(&walk, &names, at) != JSON_MEMBERS || names.others > 0)
		return filter;
	filter.address = at[0];
	filter.topics = at[1];
	filter.has_from = json_token_u64(at[2], JSON_LENIENT, &filter.from);
	filter.has_to = json_token_u64(at[3], JSON_LENIENT, &filter.to);
	filter.has_block = json_token_hex(at[4], filter.block.b, sizeof(filter.block.b));
	return filter;
}

/* Whether an entry of a filter lets these bytes pass: a string, a list of strings of which one is
 * enough, an empty list or null for any.  An entry that is none of these says nothing. */
static bool entry_has(struct view entry, const uint8_t *item, size_t n)
{
	struct json_walk walk = json_walk_of(entry);
	uint8_t got[32];
	size_t count = 0;

	if (!entry.p || (*entry.p != '[' && *entry.p != '"'))
		return true;
	if (*entry.p == '"')
		return !json_token_hex(entry, got, n) || memcmp(got, item, n) == 0;
	(void)json_walk_enter(&walk, '[');
	for (; json_walk_element(&walk); count++) {
		if (!json_token_hex(json_walk_value(&walk), got, n) || memcmp(got, item, n) == 0)
			return true;
	}
	return count == 0;
}

static bool topics_have(struct view topics, const struct evm_log *log)
{
	struct json_walk walk = json_walk_of(topics);

	if (!topics.p || *topics.p != '[')
		return true;
	(void)json_walk_enter(&walk, '[');
	for (size_t i = 0; json_walk_element(&walk); i++) {
		struct view entry = json_walk_value(&walk);
		bool any = json_token_is_null(entry) || view_eq(entry, VIEW_STR("[]"));

		if (any)
			continue;
		if (i >= log->topic_count || !entry_has(entry, log->topics[i].b, 32))
			return false;
	}
	return true;
}

static void filter_check(struct evm_check *check, const struct filter *filter,
			 const struct evm_log *log)
{
	uint64_t number;

	if (!entry_has(filter->address, log->address, sizeof(log->address)))
		evm_fault(check, "a log of an address that was not asked for");
	if (!topics_have(filter->topics, log))
		evm_fault(check, "a log with topics that were not asked for");
	if (filter->has_block && !evm_token_is_hash(log->block_hash, &filter->block))
		evm_fault(check, "a log of another block than asked for");
	if (!json_token_u64(log->block_number, JSON_LENIENT, &number))
		return;
	if ((filter->has_from && number < filter->from) || (filter->has_to && number > filter->to))
		evm_fault(check, "a log of a block outside the range");
}

/* Where the log before stood. */
struct order {
	struct evm_place block;
	uint64_t index;
	bool any;
};

/* Blocks ascend, and logs within a block; a number has one hash. */
static void order_check(struct evm_check *check, struct order *order, const struct evm_log *log)
{
	uint64_t number, index;

	if (!json_token_u64(log->block_number, JSON_LENIENT, &number) ||
	    !json_token_u64(log->index, JSON_LENIENT, &index))
		return; /* of the pending block */
	if (order->any && number == order->block.number) {
		if (index <= order->index)
			evm_rule_broken(check, log->others, "logs are out of order");
		(void)evm_place_check(check, &order->block, log->block_hash, log->block_number);
	} else {
		if (order->any && number < order->block.number)
			evm_rule_broken(check, log->others, "logs are out of order");
		order->block = (struct evm_place){0};
		(void)evm_place_check(check, &order->block, log->block_hash, log->block_number);
	}
	order->index = index;
	order->any = true;
}

/* The block's bloom has the log, where its header is known. */
static void known_check(struct evm_check *check, const struct evm_log *log)
{
	uint8_t bloom[EVM_BLOOM_BYTES] = {0};
	const struct evm_known *known;
	struct hash hash;

	if (!log->block_hash.p || !json_token_hex(log->block_hash, hash.b, sizeof(hash.b)))
		return;
	known = evm_known_find(check, &hash);
	if (!known)
		return;
	evm_log_bloom(check, log, bloom);
	if (!evm_bloom_has(known->bloom, bloom))
		evm_fault(check, "a log that its block's bloom does not have");
	if (!evm_token_is_u64(log->block_number, known->number))
		evm_fault(check, "a log names a block's hash and another's number");
}

void evm_logs_check(struct evm_check *check, struct json_walk *walk, struct view token)
{
	struct filter filter = filter_read(token);
	struct order order = {0};
	struct evm_log log;

	check->unjudged = true; /* nothing says that none is missing */
	if (!json_walk_enter(walk, '[')) {
		evm_fault(check, "logs are no list");
		return;
	}
	while (json_walk_element(walk)) {
		if (!evm_log_read(check, walk, &log))
			return;
		if (log.removed)
			evm_rule_broken(check, log.others, "a log that was removed");
		filter_check(check, &filter, &log);
		order_check(check, &order, &log);
		known_check(check, &log);
	}
}
