/* SPDX-License-Identifier: Apache-2.0
 * What is due next, and of what is due at the same time, what came first in the recording. */
#include "relay/sim/sim.h"

static bool is_before(const struct due *a, const struct due *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void swap(struct due *a, struct due *b)
{
	struct due c = *a;

	*a = *b;
	*b = c;
}

void due_add(struct due_list *list, const struct due *due)
{
	size_t i = list->n++;

	if (i == list->cap) {
		list->cap = list->cap ? 2 * list->cap : 1024;
		list->v = xrealloc(list->v, list->cap * sizeof(list->v[0]));
	}
	list->v[i] = *due;
	for (; i > 0 && is_before(&list->v[i], &list->v[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&list->v[i], &list->v[(i - 1) / 2]);
}

bool due_next(struct due_list *list, struct due *ret)
{
	size_t i = 0;

	if (list->n == 0)
		return false;
	*ret = list->v[0];
	list->v[0] = list->v[--list->n];
	for (;;) {
		size_t first = i, left = 2 * i + 1;

		if (left < list->n && is_before(&list->v[left], &list->v[first]))
			first = left;
		if (left + 1 < list->n && is_before(&list->v[left + 1], &list->v[first]))
			first = left + 1;
		if (first == i)
			return true;
		swap(&list->v[i], &list->v[first]);
		i = first;
	}
}

void due_finish(struct due_list *list)
{
	free(list->v);
	*list = (struct due_list){0};
}
