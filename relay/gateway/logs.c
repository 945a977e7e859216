/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/logs.h"

#include <assert.h>

#include "relay/gateway/internal.h"

#define SEEN_US 600000000  /* what was too large is not tried again for this long */
#define LIMIT_MIN 10	   /* few backends take fewer blocks: if not told so, it was their logs */
#define PIECES_MAX 8	   /* of a part that was too large, whatever the backend says */
#define DOUBTS_MAX 3	   /* refusals in a row of what has worked */
#define LOGS_PARTS_MAX 128 /* the largest gateway.logs_parts_max */

enum part_state {
	PART_QUEUED, /* to be asked, in the order of the list */
	PART_ASKED,
	PART_DONE, /* its logs are there */
};

struct part {
	struct logs *logs;
	struct chain_logs_part what;
	enum part_state state;
	struct whole whole;
	struct view inside; /* DONE: the logs in its answer */
	TAILQ_ENTRY(part) entry;
};

static uint64_t blocks_of(const struct chain_logs_part *part)
{
	return part->last - part->first + 1;
}

/* --- memory --- */

static void on_part_end(struct whole *whole);

static struct part *part_create(struct logs *l, const struct chain_logs_part *what)
{
	struct part *part = xcalloc(1, sizeof(*part));

	part->logs = l;
	part->what = *what;
	part->whole.on_end = on_part_end;
	l->count++;
	return part;
}

static void drop_parts(struct logs *l)
{
	struct part *part;

	while ((part = TAILQ_FIRST(&l->parts))) {
		TAILQ_REMOVE(&l->parts, part, entry);
		whole_drop(&part->whole);
		free(part);
	}
}

void logs_drop(struct logs *l)
{
	assert(l->busy == 0);
	if (!l->worker)
		return; /* it was not begun */
	drop_parts(l);
	made_finish(&l->made);
}

/* --- what was seen of ranges --- */

/* What the account has seen lately. */
static struct logs_seen *seen_of(struct account *account)
{
	struct logs_seen *seen = &account->logs;

	if (seen->until_us <= clock_mono_us())
		*seen = (struct logs_seen){.until_us = clock_mono_us() + SEEN_US};
	return seen;
}

/* Blocks from which on a range is too large; 0: no such limit is known.  When as much or more
 * worked elsewhere there were too many logs, not too many blocks. */
static uint64_t refused_from(struct account *account)
{
	const struct logs_seen *seen = seen_of(account);

	return seen->refused > seen->worked ? seen->refused : 0;
}

static enum chain_error class_of(const struct chain *chain, const struct rpc_answer *answer)
{
	return chain_error_class(chain, answer->error_code_known ? answer->error_code : 0,
				 answer->error_message, answer->error_data);
}

bool logs_too_many_terms(const struct chain *chain, const struct rpc_answer *answer)
{
	return class_of(chain, answer) == CHAIN_ERROR_TOO_MANY;
}

uint64_t logs_too_many_blocks(struct account *account, const struct chain *chain,
			      const struct rpc_answer *answer, uint64_t blocks)
{
	struct logs_seen *seen = seen_of(account);
	enum chain_error class = class_of(chain, answer);
	uint64_t piece = blocks - blocks / 2, told_blocks = 0;
	enum chain_blocks_told told;

	if (class == CHAIN_ERROR_TOO_MANY)
		return blocks;
	if (class != CHAIN_ERROR_TOO_LARGE)
		return piece;
	told = chain_error_blocks(chain, answer->error_message, answer->error_data, &told_blocks);
	if (told != CHAIN_BLOCKS_NONE && told_blocks < blocks)
		piece = MAX(told_blocks, blocks / PIECES_MAX + (blocks % PIECES_MAX > 0));
	if (told == CHAIN_BLOCKS_LIMIT ? told_blocks >= blocks : blocks <= LIMIT_MIN)
		return piece; /* it was the logs in them */
	if (seen->refused == 0 || blocks < seen->refused) {
		seen->refused = blocks;
		seen->piece = piece;
	}
	if (seen->refused <= seen->worked && ++seen->doubts == DOUBTS_MAX) {
		seen->worked = 0; /* it did so once, and does no more */
		seen->doubts = 0;
	}
	return piece;
}

static void note_worked(struct account *account, uint64_t blocks)
{
	struct logs_seen *seen = seen_of(account);

	seen->worked = MAX(seen->worked, blocks);
	if (blocks >= seen->refused)
		seen->refused = seen->doubts = 0;
}

/* --- the end --- */

static void fail(struct logs *l, const struct err *why)
{
	if (l->over)
		return;
	l->over = true;
	l->err = *why;
}

/* Parts of the same blocks, each with some of the addresses or topics: what they have is mixed. */
static bool merge_parts(struct logs *l, struct buf *out)
{
	struct view insides[LOGS_PARTS_MAX];
	struct part *part;
	size_t count = 0;

	TAILQ_FOREACH (part, &l->parts, entry) {
		assert(count < ARRAY_SIZE(insides));
		insides[count++] = part->inside;
	}
	return chain_logs_merge(insides, count, out);
}

static void append_parts(struct logs *l, struct buf *out)
{
	struct part *part;
	bool any = false;

	TAILQ_FOREACH (part, &l->parts, entry) {
		if (part->inside.n == 0)
			continue;
		if (any)
			buf_put_u8(out, ',');
		buf_put(out, part->inside.p, part->inside.n);
		any = true;
	}
}

static void join(struct logs *l)
{
	struct made *made = &l->made;
	struct part *part;

	made_begin(made);
	buf_put_u8(&made->body, '[');
	buf_reserve(&made->body, *l->sum);
	if (!l->mixed) {
		append_parts(l, &made->body);
	} else if (!merge_parts(l, &made->body)) {
		made_finish(made);
		err_set(&l->err, ERR_UPSTREAM, "a log does not tell its place in the block");
		return;
	}
	buf_put_u8(&made->body, ']');
	made_end(made);
	TAILQ_FOREACH (part, &l->parts, entry)
		made_add(made, &part->whole.receipt);
}

/* Nothing of it may be touched afterwards. */
static void settle(struct logs *l)
{
	if (l->busy > 0 || (!l->over && l->done < l->count))
		return;
	if (!l->over)
		join(l);
	drop_parts(l);
	l->on_end(l);
}

/* --- asking --- */

static void ask_part(struct part *part)
{
	struct logs *l = part->logs;
	CLEANUP(buf_finish) struct buf text = {0};

	part->state = PART_ASKED;
	l->asked++;
	metric_add(METRIC_GATEWAY_LOGS_PARTS, 1);
	chain_logs_put(l->read, &part->what, l->text, &text);
	whole_start(&part->whole, l->worker, l->account, buf_view(&text), &part->what,
		    l->deadline_us, l->sum);
}

static bool may_divide(const struct logs *l)
{
	return l->count < l->worker->cfg->gateway.logs_parts_max;
}

/* Returns the second one. */
static struct part *replace(struct part *part, const struct chain_logs_part by[2])
{
	struct logs *l = part->logs;
	struct part *second = part_create(l, &by[1]);

	l->mixed = l->mixed || by[0].first == by[1].first;
	part->what = by[0];
	part->state = PART_QUEUED;
	TAILQ_INSERT_AFTER(&l->parts, part, second, entry);
	return second;
}

/* False: it cannot be divided, or there are as many parts as there may be. */
static bool halve(struct part *part, bool lists_first)
{
	struct chain_logs_part halves[2];

	if (!may_divide(part->logs) || !chain_logs_halve(&part->what, lists_first, halves))
		return false;
	replace(part, halves);
	return true;
}

/* The same, into pieces of so many blocks; all is done as far as there may be parts. */
static bool cut(struct part *part, uint64_t blocks)
{
	struct chain_logs_part pieces[2];
	struct part *rest = part;

	while (may_divide(part->logs) && chain_logs_cut(&rest->what, blocks, pieces))
		rest = replace(rest, pieces);
	return rest != part;
}

static struct part *next_queued(struct logs *l)
{
	struct part *part;

	TAILQ_FOREACH (part, &l->parts, entry) {
		if (part->state == PART_QUEUED)
			return part;
	}
	return NULL;
}

/* Asks as many as may be. */
static void pump(struct logs *l)
{
	struct part *part;

	l->busy++;
	while (!l->over && l->asked < l->worker->cfg->gateway.logs_parallel &&
	       (part = next_queued(l))) {
		uint64_t refused = refused_from(l->account);

		while (refused > 1 && blocks_of(&part->what) >= refused && halve(part, false))
			;
		ask_part(part);
	}
	l->busy--;
	settle(l);
}

/* --- answers --- */

bool logs_too_large(const struct chain *chain, const struct rpc_answer *answer)
{
	return answer->error.n > 0 && chain_error_info(class_of(chain, answer))->divide;
}

/* The supplier's own error is the call's answer. */
static void answer_with(struct logs *l, struct whole *whole)
{
	struct made *made = &l->made;

	if (l->over)
		return;
	l->over = true;
	made->answer = whole->answer;
	made->body = whole_take(whole);
	made_add(made, &whole->receipt);
}

static void on_error(struct part *part)
{
	struct logs *l = part->logs;
	const struct rpc_answer *answer = &part->whole.answer;
	uint64_t piece = logs_too_many_blocks(l->account, l->chain, answer, blocks_of(&part->what));

	if (logs_too_large(l->chain, answer) &&
	    (cut(part, piece) || halve(part, logs_too_many_terms(l->chain, answer))))
		whole_drop(&part->whole);
	else
		answer_with(l, &part->whole);
}

static void on_part_end(struct whole *whole)
{
	struct part *part = CONTAINER_OF(whole, struct part, whole);
	struct logs *l = part->logs;
	struct err err;

	l->busy++;
	l->asked--;
	if (whole->err.code != ERR_NONE) {
		fail(l, &whole->err);
	} else if (whole->answer.error.n > 0) {
		on_error(part);
	} else if (chain_logs_inside(whole->answer.result, &part->inside)) {
		part->state = PART_DONE;
		l->done++;
		note_worked(l->account, blocks_of(&part->what));
	} else {
		err_set(&err, ERR_UPSTREAM, "the answer to a call for logs is no list");
		fail(l, &err);
	}
	l->busy--;
	pump(l);
}

/* --- the parts to begin with --- */

/* With fewer in each there would be more parts than there may be. */
static uint64_t chunk_min(const struct worker *w, uint64_t blocks)
{
	uint64_t parts_max = w->cfg->gateway.logs_parts_max;

	return blocks / parts_max + (blocks % parts_max > 0);
}

uint64_t logs_chunk(const struct worker *w, struct account *account, uint64_t blocks)
{
	uint64_t chunk = w->cfg->gateway.logs_chunk, refused = refused_from(account);

	if (refused > 1)
		chunk = MIN(chunk, MAX(seen_of(account)->worked, seen_of(account)->piece));
	return MAX(chunk, chunk_min(w, blocks));
}

static bool check_width(const struct worker *w, uint64_t first, uint64_t last, struct err *err)
{
	uint64_t max = w->cfg->gateway.logs_blocks_max;

	if (last - first < max)
		return true;
	return err_set(err, ERR_TOO_WIDE, "%s: gateway.logs_blocks_max is %llu",
		       err_info(ERR_TOO_WIDE)->text, (unsigned long long)max);
}

/* What is too large is divided at once, into parts that are not. */
static void plan(struct logs *l, uint64_t first, uint64_t last)
{
	uint64_t chunk = logs_chunk(l->worker, l->account, last - first + 1), at = first;

	if (l->piece > 0)
		chunk = MAX(MIN(chunk, l->piece), chunk_min(l->worker, last - first + 1));
	for (;;) {
		uint64_t to = last - at < chunk ? last : at + chunk - 1;
		struct chain_logs_part what = chain_logs_whole(l->read, at, to);
		struct part *part = part_create(l, &what);

		TAILQ_INSERT_TAIL(&l->parts, part, entry);
		if (to == last)
			return;
		at = to + 1;
	}
}

void logs_begin(struct logs *l, uint64_t first, uint64_t last)
{
	struct err err;

	assert(l->worker && !l->made.count && l->err.code == ERR_NONE);
	TAILQ_INIT(&l->parts);
	if (check_width(l->worker, first, last, &err)) {
		plan(l, first, last);
		if (l->many_terms)
			halve(TAILQ_FIRST(&l->parts), true);
	} else {
		fail(l, &err);
	}
	pump(l);
}
