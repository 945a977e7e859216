/* SPDX-License-Identifier: Apache-2.0 */
#include "session/head.h"

#include <assert.h>
#include <stdlib.h>

#include "relay/base/bytes.h"
#include "relay/base/mem.h"
#include "session/branch.h"
#include "session/head_words.h"

#define FALL_MIN_US 3000000
#define FALL_MAX_US 60000000
#define FALL_BLOCKS 4
#define FRESH_BLOCKS 4	   /* blocks' time that a word is good for, if that is long */
#define PACE_BLOCKS_MIN 4  /* of a supplier, before its pace is known to within a third or so */
#define PACE_BLOCKS_MAX 64 /* over which it is taken */

struct head {
	struct head_state state;
	size_t n;
	struct source sources[HEAD_SOURCES_MAX];
	struct branch branch;
	uint64_t pinned_min;	 /* no block below is pinned to */
	usec_t first_us;	 /* when the first was heard */
	usec_t below_us;	 /* since when the heaviest group is below; 0: it is not */
	usec_t tied_us;		 /* since when two groups are as heavy; 0: they are not */
	bool heard_out;		 /* all who are asked have spoken since */
	struct mark from, later; /* served heights that the bound goes by, now and next */
};

struct head *head_create(usec_t block_us)
{
	struct head *head = xcalloc(1, sizeof(*head));

	assert(block_us > 0);
	head->state.block_us = MIN(MAX(block_us, HEAD_BLOCK_MIN_US), HEAD_BLOCK_MAX_US);
	head->state.bound = UINT64_MAX;
	return head;
}

void head_destroy(struct head *head)
{
	free(head);
}

const struct head_state *head_state(const struct head *head)
{
	return &head->state;
}

/* --- sources --- */

static struct source *find(const struct head *head, const struct key_id *key)
{
	for (size_t i = 0; i < head->n; i++) {
		if (ID_EQ(&head->sources[i].key, key))
			return (struct source *)&head->sources[i];
	}
	return NULL;
}

static void find_owners(struct head *head)
{
	for (unsigned i = 0; i < head->n; i++) {
		unsigned first = 0;

		while (!ID_EQ(&head->sources[first].owner, &head->sources[i].owner))
			first++;
		head->sources[i].owner_first = first;
	}
}

/* A free place, or that of the one that was heard of longest ago. */
static struct source *place(struct head *head)
{
	size_t oldest = 0;

	if (head->n < HEAD_SOURCES_MAX)
		return &head->sources[head->n++];
	for (size_t i = 1; i < head->n; i++) {
		if (head->sources[i].joined_us < head->sources[oldest].joined_us)
			oldest = i;
	}
	branch_void(&head->branch, (unsigned)oldest);
	return &head->sources[oldest];
}

void head_join(struct head *head, const struct key_id *supplier, const struct owner_id *owner,
	       uint64_t weight, usec_t now)
{
	struct source *s = find(head, supplier);

	if (!s) {
		s = place(head);
		*s = (struct source){.key = *supplier};
	}
	s->owner = *owner;
	s->weight = weight;
	s->joined_us = now;
	find_owners(head);
}

static bool is_fresh(const struct head *head, const struct source *s, usec_t now)
{
	return s->told &&
	       now - s->told_us <= MAX(HEAD_FRESH_MIN_US, FRESH_BLOCKS * head->state.block_us);
}

static uint64_t add_up(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Where it is by now, if its chain goes on at the known pace. */
static uint64_t taken_forward(const struct head *head, const struct source *s, usec_t now)
{
	return add_up(s->number, (uint64_t)((now - s->told_us) / head->state.block_us));
}

/* Not from the served height, if few have told that: a laggard that speaks first after a silence is
 * not to make those impossible who speak next. */
static uint64_t bound_at(const struct head *head, usec_t now)
{
	const struct head_state *state = &head->state;
	const struct mark *from = &head->from;

	if (!state->known)
		return UINT64_MAX;
	return MAX(state->number,
		   add_up(from->number,
			  HEAD_MARGIN + 2 * (uint64_t)((now - from->us) / state->block_us)));
}

/* --- what is told --- */

/* What is heard from whom: the fresh words, as told. */
static void gather(const struct head *head, usec_t now, struct words *ret)
{
	ret->n = 0;
	ret->weight = 0;
	for (size_t i = 0; i < head->n; i++) {
		if (is_fresh(head, &head->sources[i], now))
			words_add(ret, head->sources[i].number, &head->sources[i]);
	}
	words_sort(ret);
}

/* Takes out the words that were told before any of a group from `lowest` on. */
static void drop_older(struct words *words, uint64_t lowest)
{
	usec_t since = INT64_MAX;
	size_t n = 0;

	for (size_t i = 0; i < words->n; i++) {
		if (words->list[i].number >= lowest)
			since = MIN(since, words->list[i].source->told_us);
	}
	for (size_t i = 0; i < words->n; i++) {
		if (words->list[i].source->told_us >= since)
			words->list[n++] = words->list[i];
	}
	words->n = n;
}

/* Leaves out what is above the bound.  If enough say that, the chain has made a jump, and what was
 * told before tells nothing of it. */
static void sift(const struct head *head, usec_t now, struct words *words)
{
	uint64_t bound = bound_at(head, now);
	struct words ahead = {0};
	struct group g = {0};
	size_t n = 0;

	while (n < words->n && words->list[n].number <= bound)
		n++;
	for (size_t i = n; i < words->n; i++)
		words_add(&ahead, words->list[i].number, words->list[i].source);
	if (ahead.n > 0)
		g = words_heaviest(&ahead).low;
	if (!group_is_enough(&g, words->weight)) {
		words->n = n;
		return;
	}
	while (n < words->n && words->list[n].number <= add_up(g.lowest, HEAD_GAP))
		n++;
	words->n = n;
	drop_older(words, g.lowest);
}

/* Takes the words forward to now, but not past the foremost of them. */
static void take_forward(const struct head *head, usec_t now, struct words *words)
{
	uint64_t foremost = words->n > 0 ? words->list[words->n - 1].number : 0;

	for (size_t i = 0; i < words->n; i++)
		words->list[i].number =
			MIN(foremost, taken_forward(head, words->list[i].source, now));
	words_sort(words);
}

/* --- the served height --- */

/* The heaviest group.  Of two that are as heavy, and have no word in common, it is the lower one
 * until others have had the time to speak. */
static struct group choose(struct head *head, const struct words *words, usec_t now)
{
	struct groups best = words_heaviest(words);
	uint64_t apart = best.high.lowest - best.low.lowest;

	if (apart <= HEAD_GAP || apart > HEAD_TIE_SPAN) {
		head->tied_us = 0;
		head->heard_out = head->state.tied = false;
		return best.low;
	}
	if (head->tied_us == 0)
		head->tied_us = MAX(now, 1);
	head->state.tied = !head->heard_out && now - head->tied_us < HEAD_START_US;
	return head->state.tied ? best.low : best.high;
}

/* Enough were heard to begin with. */
static bool may_start(const struct head *head, const struct words *words, usec_t now)
{
	u128 all = 0;

	for (size_t i = 0; i < head->n; i++)
		all += head->sources[i].weight;
	return (words->weight * 2 > all && !head->state.tied) ||
	       now - head->first_us >= HEAD_START_US;
}

static void start(struct head *head, uint64_t number, usec_t now)
{
	head->state.known = true;
	head->state.number = number;
	head->state.advanced_us = now;
	head->state.floor = number;
	head->from = head->later = (struct mark){number, now};
}

/* Of those who were heard since then. */
static u128 heard_since(const struct head *head, usec_t since)
{
	u128 weight = 0;

	for (size_t i = 0; i < head->n; i++) {
		const struct source *s = &head->sources[i];

		weight += s->told && s->told_us >= since ? s->weight : 0;
	}
	return weight;
}

/* The bound follows at once if enough say so: of those, too, who were heard before a silence. */
static void advance(struct head *head, const struct group *g, usec_t now)
{
	struct head_state *state = &head->state;
	bool enough = g->lowest > bound_at(head, now) ||
		      group_is_enough(g, heard_since(head, head->from.us - HEAD_STANDS_US));

	if (!enough && now - head->later.us > HEAD_STANDS_US / 2) {
		head->from = head->later;
		head->later = (struct mark){state->number, state->advanced_us};
	}
	state->number = g->lowest;
	state->advanced_us = now;
	state->floor = MAX(state->floor, g->lowest);
	if (enough)
		head->from = head->later = (struct mark){g->lowest, now};
}

/* Suppliers of more than half of the stake that was ever heard are far below, and of a third or
 * less at the height: it was never true. */
static bool was_a_lie(const struct head *head, const struct group *below)
{
	u128 all = 0, there = 0;

	if (head->state.number - below->lowest <= HEAD_GAP + HEAD_MARGIN)
		return false;
	for (size_t i = 0; i < head->n; i++) {
		const struct source *s = &head->sources[i];

		if (!s->told)
			continue;
		all += s->weight;
		if (add_up(s->number, HEAD_GAP) >= head->state.number)
			there += s->weight;
	}
	return below->weight * 2 > all && there * 3 <= all;
}

static void fall(struct head *head, uint64_t number, usec_t now)
{
	struct head_state *state = &head->state;

	state->number = state->floor = number;
	state->advanced_us = now;
	state->falls++;
	state->pinnable = false;
	head->from = head->later = (struct mark){number, now};
	head->pinned_min = 0;
	head->below_us = 0;
}

static void look_below(struct head *head, const struct group *g, usec_t now)
{
	usec_t wait = MIN(MAX(FALL_BLOCKS * head->state.block_us, FALL_MIN_US), FALL_MAX_US);

	/* A laggard that is left alone says nothing new: those count, too, who fell silent lately.
	 */
	if (!group_is_enough(g, heard_since(head, now - HEAD_STANDS_US))) {
		head->below_us = 0;
		return;
	}
	if (head->below_us == 0)
		head->below_us = MAX(now, 1);
	if (now - head->below_us >= wait || was_a_lie(head, g))
		fall(head, g->lowest, now);
}

/* --- the block that is pinned to --- */

static u128 standing_for(const uint64_t weights[BRANCH_TELLERS_MAX],
			 const struct branch_block *block)
{
	u128 sum = 0;

	for (unsigned i = 0; i < BRANCH_TELLERS_MAX; i++)
		sum += block->tellers >> i & 1 ? weights[i] : 0;
	return sum;
}

/* The highest block up to the served height for which more than a third stand, else any of the
 * height that was pinned to before. */
static void elect(struct head *head, usec_t now)
{
	struct head_state *state = &head->state;
	uint64_t weights[BRANCH_TELLERS_MAX] = {0}, at = state->number;
	const struct branch_block *best = NULL, *it;
	u128 all = 0;

	for (size_t i = 0; i < head->n; i++) {
		if (is_fresh(head, &head->sources[i], now))
			all += weights[i] = head->sources[i].weight;
	}
	while (branch_highest(&head->branch, head->pinned_min, at, &at)) {
		it = branch_best(&head->branch, at, weights);
		if (standing_for(weights, it) * 3 > all || at == head->pinned_min) {
			best = it;
			break;
		}
		if (at-- == 0)
			break;
	}
	state->pinnable = best != NULL;
	if (!best)
		return;
	state->block = (struct head_block){.number = best->number, .hash = best->hash};
	head->pinned_min = best->number;
}

/* Where it may be by now at most: an honest one is never taken for a laggard because the pace is
 * not known well, or because it was not asked for a while; a laggard is taken at its word. */
static uint64_t at_most(const struct head *head, const struct source *s, usec_t now)
{
	if (s->lags)
		return s->number;
	return add_up(s->number, 2 * (uint64_t)((now - s->told_us) / head->state.block_us));
}

/* Each is a laggard, or is not, until its next word. */
static void find_laggards(struct head *head, usec_t now)
{
	for (size_t i = 0; i < head->n; i++) {
		struct source *s = &head->sources[i];

		s->lags = s->told && add_up(at_most(head, s, now), HEAD_GAP) < head->state.number;
	}
}

/* Words are sorted, and as told. */
static uint64_t reached_by(const struct words *words)
{
	u128 weight = 0;
	size_t i = words->n;

	while (i > 0 && weight * 3 <= words->weight)
		weight += words->list[--i].source->weight;
	return words->list[i].number;
}

void head_look(struct head *head, usec_t now)
{
	struct head_state *state = &head->state;
	struct words words;
	uint64_t reached;
	struct group g;

	gather(head, now, &words);
	if (words.n == 0)
		return; /* all are silent: what is known stays, with its age */
	if (!state->known) {
		g = choose(head, &words, now);
		if (!may_start(head, &words, now))
			return;
		start(head, g.lowest, now);
	}
	reached = reached_by(&words);
	sift(head, now, &words);
	take_forward(head, now, &words);
	if (words.n > 0) {
		g = choose(head, &words, now);
		if (g.lowest > state->number)
			advance(head, &g, now);
		if (g.lowest >= state->number)
			head->below_us = 0;
		else
			look_below(head, &g, now);
	}
	state->reached = MAX(reached, state->number);
	state->bound = bound_at(head, now);
	find_laggards(head, now);
	elect(head, now);
}

void head_settle(struct head *head, usec_t now)
{
	head_look(head, now);
	if (!head->state.tied)
		return;
	head->heard_out = true;
	head_look(head, now);
}

/* --- the pace --- */

struct pace {
	usec_t us;
	uint64_t weight;
};

static int compare_paces(const void *a, const void *b)
{
	const struct pace *x = a, *y = b;

	return x->us < y->us ? -1 : x->us > y->us;
}

/* The pace of half of the stake, once that of more than half of what is heard is known: nobody's
 * burst or lie counts for more than itself. */
static void take_pace(struct head *head, usec_t now)
{
	struct pace paces[HEAD_SOURCES_MAX];
	u128 heard = 0, all = 0, below = 0;
	size_t n = 0;

	for (size_t i = 0; i < head->n; i++) {
		const struct source *s = &head->sources[i];

		heard += is_fresh(head, s, now) ? s->weight : 0;
		if (s->pace_us == 0 || !is_fresh(head, s, now))
			continue;
		paces[n++] = (struct pace){s->pace_us, s->weight};
		all += s->weight;
	}
	if (all * 2 <= heard)
		return;
	qsort(paces, n, sizeof(paces[0]), compare_paces);
	for (size_t i = 0; i < n; i++) {
		below += paces[i].weight;
		if (below * 2 < all)
			continue;
		head->state.block_us = MIN(MAX(paces[i].us, HEAD_BLOCK_MIN_US), HEAD_BLOCK_MAX_US);
		return;
	}
}

static void learn_pace(struct head *head, struct source *s, uint64_t number, usec_t now)
{
	const struct mark here = {number, now};

	if (!s->told || number < s->from.number) {
		s->from = s->later = here;
		return;
	}
	if (number - s->from.number < PACE_BLOCKS_MIN)
		return;
	s->pace_us = MAX((now - s->from.us) / (usec_t)MIN(number - s->from.number, INT64_MAX), 1);
	if (number - s->later.number >= PACE_BLOCKS_MAX / 2) {
		s->from = s->later;
		s->later = here;
	}
	take_pace(head, now);
}

/* --- words --- */

void head_tell(struct head *head, const struct key_id *supplier, const struct head_report *report,
	       usec_t now)
{
	struct source *s = find(head, supplier);
	const struct head_block *block = &report->block;
	unsigned at;

	if (!s)
		return;
	at = (unsigned)(s - head->sources);
	s->joined_us = now;
	if (report->is_newest || !s->told || block->number > s->number) {
		learn_pace(head, s, block->number, now);
		s->number = block->number;
		s->told_us = now;
		s->lags = false;
	}
	if (!s->told && head->first_us == 0)
		head->first_us = now;
	s->told = true;
	head->state.heard_us = now;
	if (report->is_newest)
		branch_cut(&head->branch, at, block->number);
	if (report->has_hash && report->has_parent && block->number > 0)
		branch_tell(&head->branch, at, block->number - 1, &report->parent,
			    head->state.number);
	if (report->has_hash)
		branch_tell(&head->branch, at, block->number, &block->hash, head->state.number);
	head_look(head, now);
}

void head_lack(struct head *head, const struct key_id *supplier, const struct hash *hash,
	       usec_t now)
{
	struct source *s = find(head, supplier);

	if (!s)
		return;
	branch_lacks(&head->branch, (unsigned)(s - head->sources), hash);
	head_look(head, now);
}

void head_give(struct head *head, uint64_t number)
{
	if (number <= add_up(head->state.number, HEAD_GAP))
		head->state.floor = MAX(head->state.floor, number);
}

/* --- suppliers --- */

uint64_t head_has(const struct head *head, const struct key_id *supplier)
{
	const struct source *s = find(head, supplier);

	return s && s->told ? s->number : 0;
}

uint64_t head_lag(const struct head *head, const struct key_id *supplier, usec_t now)
{
	const struct source *s = find(head, supplier);
	uint64_t there;

	if (!s || !head->state.known || !is_fresh(head, s, now))
		return 0;
	there = at_most(head, s, now);
	return there < head->state.number ? head->state.number - there : 0;
}
