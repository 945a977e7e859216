/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/evm.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "chains/json.h"
#include "relay/base/mem.h"

#define CUTS_MAX (CHAIN_REFS_MAX + CHAIN_LOGS_LISTS) /* places of a text that are written anew */

/* --- reading --- */

/* A list of two or more elements; of others there is nothing to choose. */
static void read_list(struct view token, enum chain_logs_list which, struct chain_logs *ret)
{
	struct json_walk walk = json_walk_of(token);
	uint32_t count = 0;

	if (token.n == 0 || !json_walk_enter(&walk, '['))
		return;
	while (json_walk_element(&walk)) {
		json_walk_value(&walk);
		count++;
	}
	if (walk.bad || count < 2)
		return;
	ret->list[which] = token;
	ret->list_count[which] = count;
}

static void read_lists(struct view filter, struct chain_logs *ret)
{
	static const char *const members[] = {"address", "topics"};
	struct json_walk walk = json_walk_of(filter);
	struct json_names names;
	struct view values[ARRAY_SIZE(members)];

	json_names_init(&names, members, ARRAY_SIZE(members));
	if (json_walk_members(&walk, &names, values) != JSON_MEMBERS)
		return;
	read_list(values[0], CHAIN_LOGS_ADDRESSES, ret);
	walk = json_walk_of(values[1]);
	if (values[1].n > 0 && json_walk_enter(&walk, '[') && json_walk_element(&walk))
		read_list(json_walk_value(&walk), CHAIN_LOGS_TOPICS, ret);
}

bool chain_logs_read(const struct chain *chain, const struct chain_method *method,
		     struct view params, struct chain_logs *ret)
{
	const struct chain_traits *traits = chain_traits(chain, method);
	struct json_walk walk = json_walk_of(params);

	/* Of lists that are not the same everywhere no part can be told from another. */
	if (traits->place != CHAIN_PLACE_FILTER || traits->shape != CHAIN_SHAPE_ITEMS ||
	    !traits->exact)
		return false;
	*ret = (struct chain_logs){0};
	chain_call_read(chain, method, params, &ret->call);
	if (ret->call.refs != 2 || !json_walk_enter(&walk, '[') || !json_walk_element(&walk))
		return false;
	ret->filter = json_walk_value(&walk);
	read_lists(ret->filter, ret);
	return true;
}

/* --- dividing --- */

struct chain_logs_part chain_logs_whole(const struct chain_logs *logs, uint64_t first,
					uint64_t last)
{
	struct chain_logs_part part = {.first = first, .last = last};

	assert(first <= last);
	memcpy(part.count, logs->list_count, sizeof(part.count));
	return part;
}

bool chain_logs_cut(const struct chain_logs_part *part, uint64_t blocks,
		    struct chain_logs_part ret[2])
{
	if (blocks == 0 || part->last - part->first < blocks)
		return false;
	ret[0] = ret[1] = *part;
	ret[0].last = part->first + blocks - 1;
	ret[1].first = ret[0].last + 1;
	return true;
}

static bool halve_blocks(const struct chain_logs_part *part, struct chain_logs_part ret[2])
{
	return chain_logs_cut(part, (part->last - part->first) / 2 + 1, ret);
}

static bool halve_list(const struct chain_logs_part *part, struct chain_logs_part ret[2])
{
	for (size_t i = 0; i < CHAIN_LOGS_LISTS; i++) {
		if (part->count[i] < 2)
			continue;
		ret[0] = ret[1] = *part;
		ret[0].count[i] = part->count[i] / 2;
		ret[1].from[i] += ret[0].count[i];
		ret[1].count[i] -= ret[0].count[i];
		return true;
	}
	return false;
}

bool chain_logs_halve(const struct chain_logs_part *part, bool lists_first,
		      struct chain_logs_part ret[2])
{
	if (lists_first)
		return halve_list(part, ret) || halve_blocks(part, ret);
	return halve_blocks(part, ret) || halve_list(part, ret);
}

/* --- writing --- */

/* A place in the text, and what comes there. */
struct cut {
	struct view old;
	struct view new; /* a piece of the text, in brackets */
	bool is_end;	 /* or a number */
	size_t ref;	 /* of a range's end */
	uint64_t number;
};

static int by_place(const void *a, const void *b)
{
	const struct cut *x = a, *y = b;

	/* Two ends that are absent have one place: the first comes first. */
	if (x->old.p == y->old.p)
		return x->ref < y->ref ? -1 : 1;
	return x->old.p < y->old.p ? -1 : 1;
}

/* The neighbours from `from` on, from the first's first byte to the last's last. */
static struct view slice(struct view list, uint32_t from, uint32_t count)
{
	struct json_walk walk = json_walk_of(list);
	struct view ret = {0};

	if (!json_walk_enter(&walk, '['))
		return ret;
	for (uint32_t i = 0; i < from + count && json_walk_element(&walk); i++) {
		struct view value = json_walk_value(&walk);

		if (i == from)
			ret = value;
		else if (i > from)
			ret.n = (size_t)(value.p + value.n - ret.p);
	}
	return ret;
}

static void put_cut(const struct chain_logs *logs, const struct cut *cut, bool more,
		    struct buf *ret)
{
	bool absent = cut->is_end && logs->call.ref[cut->ref].absent;

	if (!cut->is_end) {
		buf_put_u8(ret, '[');
		buf_put(ret, cut->new.p, cut->new.n);
		buf_put_u8(ret, ']');
		return;
	}
	if (absent)
		buf_put_str(ret, cut->ref == 0 ? "\"fromBlock\":" : "\"toBlock\":");
	buf_putf(ret, "\"0x%" PRIx64 "\"", cut->number);
	if (absent && (more || !logs->call.bare))
		buf_put_u8(ret, ',');
}

void chain_logs_put(const struct chain_logs *logs, const struct chain_logs_part *part,
		    struct view text, struct buf *ret)
{
	const struct chain_ref *ref = logs->call.ref;
	const uint8_t *at = text.p, *end = text.p + text.n;
	struct cut cuts[CUTS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < 2; i++)
		cuts[count++] = (struct cut){.old = ref[i].token,
					     .is_end = true,
					     .ref = i,
					     .number = i == 0 ? part->first : part->last};
	for (size_t i = 0; i < CHAIN_LOGS_LISTS; i++) {
		if (part->count[i] < logs->list_count[i])
			cuts[count++] = (struct cut){
				.old = logs->list[i],
				.new = slice(logs->list[i], part->from[i], part->count[i]),
			};
	}
	qsort(cuts, count, sizeof(cuts[0]), by_place);
	for (size_t i = 0; i < count; i++) {
		assert(cuts[i].old.p >= at && cuts[i].old.p + cuts[i].old.n <= end);
		buf_put(ret, at, (size_t)(cuts[i].old.p - at));
		put_cut(logs, &cuts[i], i + 1 < count && cuts[i + 1].old.p == cuts[i].old.p, ret);
		at = cuts[i].old.p + cuts[i].old.n;
	}
	buf_put(ret, at, (size_t)(end - at));
}

void chain_logs_put_block(const struct chain_logs *logs, const struct hash *block, struct buf *ret)
{
	struct json_walk walk = json_walk_of(logs->filter);
	struct view name;

	buf_put_str(ret, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getLogs\",\"params\":[{"
			 "\"blockHash\":\"0x");
	buf_put_hex(ret, block->b, sizeof(block->b));
	buf_put_u8(ret, '"');
	if (!json_walk_enter(&walk, '{'))
		return;
	while (json_walk_member(&walk, &name)) {
		struct view value = json_walk_value(&walk);

		if (view_eq(name, VIEW_STR("fromBlock")) || view_eq(name, VIEW_STR("toBlock")))
			continue;
		buf_put_str(ret, ",\"");
		buf_put(ret, name.p, name.n);
		buf_put_str(ret, "\":");
		buf_put(ret, value.p, value.n);
	}
	buf_put_str(ret, "}]}");
}

/* --- joining --- */

bool chain_logs_inside(struct view result, struct view *ret)
{
	if (result.n < 2 || result.p[0] != '[' || result.p[result.n - 1] != ']')
		return false;
	*ret = VIEW(result.p + 1, result.n - 2);
	while (ret->n > 0 && strchr(" \t\r\n", ret->p[0])) {
		ret->p++;
		ret->n--;
	}
	while (ret->n > 0 && strchr(" \t\r\n", ret->p[ret->n - 1]))
		ret->n--;
	return true;
}

struct entry {
	uint64_t block, index;
	struct view text;
};

struct entries {
	struct entry *all;
	size_t count, cap;
};

static void entries_finish_at(struct entries *entries)
{
	free(entries->all);
}

static int by_order(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static bool add_entry(struct entries *entries, struct view text)
{
	static const char *const members[] = {"blockNumber", "logIndex"};
	struct json_walk walk = json_walk_of(text);
	struct json_names names;
	struct view values[ARRAY_SIZE(members)];
	struct entry entry = {.text = text};

	json_names_init(&names, members, ARRAY_SIZE(members));
	if (json_walk_members(&walk, &names, values) != JSON_MEMBERS ||
	    !json_token_u64(values[0], JSON_LENIENT, &entry.block) ||
	    !json_token_u64(values[1], JSON_LENIENT, &entry.index))
		return false;
	if (entries->count == entries->cap) {
		entries->cap = entries->cap ? 2 * entries->cap : 64;
		entries->all = xrealloc(entries->all, entries->cap * sizeof(entries->all[0]));
	}
	entries->all[entries->count++] = entry;
	return true;
}

bool chain_logs_next(struct view *rest, struct view *ret_entry)
{
	struct json_walk walk = json_walk_of(*rest);
	struct view entry;

	if (json_walk_peek(&walk) == 0) {
		*rest = VIEW(NULL, 0);
		return false;
	}
	entry = json_walk_value(&walk);
	if (walk.bad)
		return false;
	if (json_walk_peek(&walk) == ',') {
		walk.p++;
		if (json_walk_peek(&walk) == 0)
			return false;
	} else if (json_walk_peek(&walk) != 0) {
		return false;
	}
	*rest = VIEW(walk.p, (size_t)(walk.end - walk.p));
	*ret_entry = entry;
	return true;
}

static bool add_entries(struct entries *entries, struct view inside)
{
	struct view entry;

	while (chain_logs_next(&inside, &entry)) {
		if (!add_entry(entries, entry))
			return false;
	}
	return inside.n == 0;
}

bool chain_logs_merge(const struct view *insides, size_t count, struct buf *ret)
{
	CLEANUP(entries_finish) struct entries entries = {0};

	for (size_t i = 0; i < count; i++) {
		if (!add_entries(&entries, insides[i]))
			return false;
	}
	if (entries.count > 0)
		qsort(entries.all, entries.count, sizeof(entries.all[0]), by_order);
	for (size_t i = 0; i < entries.count; i++) {
		/* An address that the client named twice. */
		if (i > 0 && by_order(&entries.all[i], &entries.all[i - 1]) == 0)
			continue;
		if (i > 0)
			buf_put_u8(ret, ',');
		buf_put(ret, entries.all[i].text.p, entries.all[i].text.n);
	}
	return true;
}

/* --- entries --- */

bool chain_log_block(struct view entry, uint64_t *ret_number, struct hash *ret_hash)
{
	static const char *const members[] = {"blockNumber", "blockHash"};
	struct json_walk walk = json_walk_of(entry);
	struct json_names names;
	struct view values[ARRAY_SIZE(members)];

	json_names_init(&names, members, ARRAY_SIZE(members));
	return json_walk_peek(&walk) == '{' &&
	       json_walk_members(&walk, &names, values) == JSON_MEMBERS &&
	       json_token_u64(values[0], JSON_LENIENT, ret_number) &&
	       json_token_hex(values[1], ret_hash->b, sizeof(ret_hash->b));
}

bool chain_log_put_removed(struct view entry, struct buf *ret)
{
	static const char *const members[] = {"removed"};
	struct json_walk walk = json_walk_of(entry);
	struct json_names names;
	struct view value[1], name;
	size_t before;

	json_names_init(&names, members, 1);
	if (json_walk_peek(&walk) != '{' || json_walk_members(&walk, &names, value) != JSON_MEMBERS)
		return false;
	if (value[0].n > 0) {
		before = (size_t)(value[0].p - entry.p);
		buf_put(ret, entry.p, before);
		buf_put_str(ret, "true");
		buf_put(ret, value[0].p + value[0].n, entry.n - before - value[0].n);
		return true;
	}
	walk = json_walk_of(entry);
	if (!json_walk_enter(&walk, '{'))
		return false;
	before = (size_t)(walk.p - entry.p);
	buf_put(ret, entry.p, before);
	buf_put_str(ret, "\"removed\":true");
	if (json_walk_member(&walk, &name))
		buf_put_u8(ret, ',');
	buf_put(ret, entry.p + before, entry.n - before);
	return true;
}

/* --- filters --- */

enum chain_filter_call evm_filter_call(struct view name)
{
	static const struct {
		const char *name;
		enum chain_filter_call call;
	} calls[] = {
		{"eth_newFilter", CHAIN_FILTER_NEW_LOGS},
		{"eth_newBlockFilter", CHAIN_FILTER_NEW_BLOCKS},
		{"eth_getFilterChanges", CHAIN_FILTER_CHANGES},
		{"eth_getFilterLogs", CHAIN_FILTER_ALL},
		{"eth_uninstallFilter", CHAIN_FILTER_END},
	};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (view_eq(name, VIEW_STR(calls[i].name)))
			return calls[i].call;
	}
	return CHAIN_FILTER_NONE;
}
