/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "relay/base/mem.h"

static void put(struct heap *heap, size_t place, struct heap_node *node)
{
	heap->nodes[place - 1] = node;
	node->place = place;
}

/* Moves a node from a free place towards the root as long as it is due before what stands there. */
static void rise(struct heap *heap, size_t place, struct heap_node *node)
{
	while (place > 1 && node->at_us < heap->nodes[place / 2 - 1]->at_us) {
		put(heap, place, heap->nodes[place / 2 - 1]);
		place /= 2;
	}
	put(heap, place, node);
}

/* The same away from the root. */
static void sink(struct heap *heap, size_t place, struct heap_node *node)
{
	size_t child;

	while ((child = place * 2) <= heap->count) {
		if (child < heap->count &&
		    heap->nodes[child]->at_us < heap->nodes[child - 1]->at_us)
			child++;
		if (node->at_us <= heap->nodes[child - 1]->at_us)
			break;
		put(heap, place, heap->nodes[child - 1]);
		place = child;
	}
	put(heap, place, node);
}

void heap_set(struct heap *heap, struct heap_node *node, usec_t at_us)
{
	bool later = at_us > node->at_us;

	node->at_us = at_us;
	if (node->place > 0) {
		(later ? sink : rise)(heap, node->place, node);
		return;
	}
	if (heap->count == heap->cap) {
		heap->cap = heap->cap ? heap->cap * 2 : 64;
		heap->nodes = xrealloc(heap->nodes, heap->cap * sizeof(struct heap_node *));
	}
	rise(heap, ++heap->count, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	size_t place = node->place;
	struct heap_node *last;

	if (place == 0)
		return;
	assert(heap->nodes[place - 1] == node);
	node->place = 0;
	last = heap->nodes[--heap->count];
	if (last == node)
		return;
	if (last->at_us < node->at_us)
		rise(heap, place, last);
	else
		sink(heap, place, last);
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count > 0 ? heap->nodes[0] : NULL;
}

void heap_finish(struct heap *heap)
{
	assert(heap->count == 0);
	free(heap->nodes);
	*heap = (struct heap){0};
}
