/* SPDX-License-Identifier: Apache-2.0 */
#include "session/head_words.h"

#include <stdlib.h>

void words_add(struct words *words, uint64_t number, const struct source *s)
{
	words->list[words->n++] = (struct word){number, s};
	words->weight += s->weight;
}

static int compare_words(const void *a, const void *b)
{
	const struct word *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

void words_sort(struct words *words)
{
	qsort(words->list, words->n, sizeof(words->list[0]), compare_words);
}

static int owners_of(const struct group *g)
{
	return __builtin_popcountll(g->owners);
}

/* > 0: a is heavier, or of more owners; 0: there is nothing between them. */
static int compare_groups(const struct group *a, const struct group *b)
{
	if (a->weight != b->weight)
		return a->weight > b->weight ? 1 : -1;
	return owners_of(a) - owners_of(b);
}

static struct group group_from(const struct words *words, size_t first)
{
	struct group g = {.lowest = words->list[first].number};

	for (size_t i = first; i < words->n && words->list[i].number - g.lowest <= HEAD_GAP; i++) {
		g.weight += words->list[i].source->weight;
		g.owners |= UINT64_C(1) << words->list[i].source->owner_first;
	}
	return g;
}

struct groups words_heaviest(const struct words *words)
{
	struct groups best = {0};

	for (size_t i = 0; i < words->n; i++) {
		struct group g = group_from(words, i);

		if (i == 0 || compare_groups(&g, &best.low) > 0)
			best = (struct groups){g, g};
		else if (compare_groups(&g, &best.low) == 0)
			best.high = g;
	}
	return best;
}

bool group_is_enough(const struct group *g, u128 all)
{
	return g->weight * 2 > all || (g->weight * 3 > all && owners_of(g) >= 2);
}
