/* SPDX-License-Identifier: Apache-2.0
 * What is new for a filter: where the chain was left, what is gone since, and what has come. */
#include <assert.h>

#include "relay/gateway/polls.h"

#define BLOCKS_AT_ONCE 64 /* that one poll tells; the next tells more */

static struct poll *poll_of(struct whole *whole)
{
	return CONTAINER_OF(whole, struct poll, whole);
}

/* All is there: what the client is told is what the filter remembers to have told. */
static void commit(struct poll *p)
{
	const struct config *cfg = poll_worker(p)->cfg;
	struct track *told = &p->filter.told;
	struct buf *out = poll_begin_result(p);
	size_t from;

	buf_put_u8(out, '[');
	from = out->n;
	if (!p->filter.blocks)
		track_put_removed(told, p->keep, out);
	for (size_t i = 0; i < p->fresh.count; i++) {
		const struct track_block *block = &p->fresh.blocks[i];

		if (!p->filter.blocks && block->logs.n == 0)
			continue;
		if (out->n > from)
			buf_put_u8(out, ',');
		if (p->filter.blocks) {
			buf_put_str(out, "\"0x");
			buf_put_hex(out, block->hash.b, sizeof(block->hash.b));
			buf_put_u8(out, '"');
		} else {
			buf_put(out, block->logs.p, block->logs.n);
		}
	}
	buf_put_u8(out, ']');
	track_cut(told, p->keep);
	track_append(told, &p->fresh);
	if (!p->filter.blocks)
		track_add_block(told, p->head.number, &p->head.hash);
	track_trim(told, cfg->gateway.filter_depth, cfg->gateway.filter_bytes_max);
	poll_end_result(p);
}

static void ask_number(struct poll *p, uint64_t number, void (*on_end)(struct whole *whole))
{
	const struct chain_ref ref = {.kind = CHAIN_REF_NUMBER, .number = number};

	poll_ask_block(p, &ref, on_end);
}

/* --- logs --- */

/* Logs that were asked for in these blocks are of them. */
static bool take_logs(struct poll *p, struct view result, uint64_t first, uint64_t last,
		      struct err *err)
{
	size_t before = p->fresh.count;
	struct view inside;

	if (!chain_logs_inside(result, &inside))
		return err_set(err, ERR_UPSTREAM, "logs are no list");
	if (!track_add_logs(&p->fresh, inside, err))
		return false;
	return p->fresh.count == before ||
	       (p->fresh.blocks[before].number >= first &&
		p->fresh.blocks[p->fresh.count - 1].number <= last) ||
	       err_set(err, ERR_UPSTREAM, "logs of blocks that were not asked for");
}

/* Those of the newest block, asked for by its hash. */
static void on_tip(struct whole *whole)
{
	struct poll *p = poll_of(whole);
	const struct track_block *last;
	struct err err;

	if (!poll_has_result(p, whole))
		return;
	if (!take_logs(p, whole->answer.result, p->head.number, p->head.number, &err)) {
		poll_fail(p, &err);
		return;
	}
	last = p->fresh.count > 0 ? &p->fresh.blocks[p->fresh.count - 1] : NULL;
	if (last && last->number == p->head.number && !ID_EQ(&last->hash, &p->head.hash)) {
		err_set(&err, ERR_UPSTREAM, "logs of another block than was asked for");
		poll_fail(p, &err);
		return;
	}
	commit(p);
}

static void ask_tip(struct poll *p)
{
	CLEANUP(buf_finish) struct buf text = {0};
	uint64_t first, last;

	poll_bounds(p, p->head.number, &first, &last);
	if (first > last) {
		commit(p);
		return;
	}
	chain_logs_put_block(&p->read, &p->head.hash, &text);
	poll_ask(p, &text, on_tip);
}

static void on_range(struct logs *logs)
{
	struct poll *p = CONTAINER_OF(logs, struct poll, logs);
	struct err err;

	if (!poll_has_logs(p, logs))
		return;
	if (!take_logs(p, logs->made.answer.result, p->next, p->head.number - 1, &err)) {
		poll_fail(p, &err);
		return;
	}
	logs_drop(logs);
	ask_tip(p);
}

static void ask_logs(struct poll *p)
{
	uint64_t first, last;

	poll_bounds(p, p->next, &first, &last);
	if (last == p->head.number && last > 0)
		last--;
	if (first <= last && last < p->head.number)
		poll_begin_logs(p, first, last, on_range);
	else
		ask_tip(p);
}

/* --- blocks --- */

static void walk(struct poll *p);

/* Whether a block follows the last of those that are told. */
static bool follows(const struct poll *p, const struct chain_block *block)
{
	const struct track *before = p->fresh.count > 0 ? &p->fresh : &p->filter.told;
	size_t count = p->fresh.count > 0 ? p->fresh.count : p->keep;

	return count == 0 || ID_EQ(&before->blocks[count - 1].hash, &block->parent);
}

/* The chain changes while it is looked at: what is there is told, the rest next time. */
static void tell_so_far(struct poll *p)
{
	if (p->fresh.count == 0)
		poll_nothing_new(p);
	else
		commit(p);
}

static void on_walk(struct whole *whole)
{
	struct poll *p = poll_of(whole);
	struct chain_block block;

	if (!poll_has_result(p, whole))
		return;
	if (!chain_block_read(p->chain, whole->answer.result, &block) || block.number != p->next ||
	    !follows(p, &block)) {
		tell_so_far(p);
		return;
	}
	track_add_block(&p->fresh, block.number, &block.hash);
	p->next++;
	walk(p);
}

static void walk(struct poll *p)
{
	if (p->fresh.count == BLOCKS_AT_ONCE) {
		commit(p);
	} else if (p->next < p->head.number) {
		ask_number(p, p->next, on_walk);
	} else if (follows(p, &p->head)) {
		track_add_block(&p->fresh, p->head.number, &p->head.hash);
		commit(p);
	} else {
		tell_so_far(p);
	}
}

/* --- where the chain was left --- */

static void look_back(struct poll *p);

/* The newest block that was told and still stands is the last of p->keep; none: all that is
 * remembered is gone, and is asked for anew. */
static void go_on_from(struct poll *p)
{
	const struct track *told = &p->filter.told;

	p->next = p->keep > 0 ? told->blocks[p->keep - 1].number + 1 : told->blocks[0].number;
	if (p->filter.blocks)
		walk(p);
	else
		ask_logs(p);
}

static void on_looked(struct whole *whole)
{
	struct poll *p = poll_of(whole);
	struct chain_block block;

	if (!poll_has_result(p, whole))
		return;
	if (!chain_block_read(p->chain, whole->answer.result, &block)) {
		poll_nothing_new(p); /* whoever was asked is behind */
	} else if (ID_EQ(&block.hash, &p->filter.told.blocks[p->keep - 1].hash)) {
		go_on_from(p);
	} else {
		p->keep--;
		look_back(p);
	}
}

static void look_back(struct poll *p)
{
	for (; p->keep > 0; p->keep--) {
		const struct track_block *last = &p->filter.told.blocks[p->keep - 1];

		if (last->number + 1 < p->head.number) {
			ask_number(p, last->number, on_looked);
			return;
		}
		if (ID_EQ(&last->hash,
			  last->number < p->head.number ? &p->head.parent : &p->head.hash))
			break;
	}
	go_on_from(p);
}

void poll_tell_changes(struct poll *p)
{
	const struct track *told = &p->filter.told;
	const struct track_block *last = &told->blocks[told->count - 1];

	assert(told->count > 0);
	p->keep = told->count;
	if (p->head.number < last->number ||
	    (p->head.number == last->number && ID_EQ(&p->head.hash, &last->hash)))
		poll_nothing_new(p);
	else
		look_back(p);
}
