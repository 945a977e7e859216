/* SPDX-License-Identifier: Apache-2.0
 * What is due first: a binary heap of times.  Its nodes stand in the structs that they wake and
 * know their places, so that one is moved or taken out without a search.  Not here: clocks, and
 * who calls whom. */
#ifndef RELAY_BASE_HEAP_H
#define RELAY_BASE_HEAP_H

#include "relay/base/ids.h"

/* Zero-initialised is in no heap. */
struct heap_node {
	usec_t at_us;
	size_t place; /* counted from 1; 0: in no heap */
};

/* Zero-initialised is empty. */
struct heap {
	struct heap_node **nodes;
	size_t count;
	size_t cap;
};

/* Puts the node in, or moves it, so that it is due at this time.  O(log n); O(1) for one that is
 * due later than most. */
void heap_set(struct heap *heap, struct heap_node *node, usec_t at_us);
/* Takes the node out if it is in.  O(log n). */
void heap_remove(struct heap *heap, struct heap_node *node);
/* The node that is due first, NULL when there is none.  O(1). */
struct heap_node *heap_first(const struct heap *heap);
/* Frees what the heap itself holds; no node is in it any more (asserted). */
void heap_finish(struct heap *heap);

#endif
