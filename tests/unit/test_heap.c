/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/heap.h"

static uint64_t prng_state = 7;

/* splitmix64 */
static uint64_t prng(void)
{
	uint64_t z = prng_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void an_empty_heap_has_no_first(void **state)
{
	struct heap heap = {0};
	struct heap_node node = {0};

	assert_null(heap_first(&heap));
	heap_remove(&heap, &node); /* which is in none */
	heap_finish(&heap);
}

static void what_is_due_first_is_first(void **state)
{
	struct heap heap = {0};
	struct heap_node a = {0}, b = {0}, c = {0};

	heap_set(&heap, &b, 20);
	heap_set(&heap, &a, 10);
	heap_set(&heap, &c, 30);
	assert_ptr_equal(heap_first(&heap), &a);
	heap_set(&heap, &a, 40);
	assert_ptr_equal(heap_first(&heap), &b);
	heap_set(&heap, &c, 5);
	assert_ptr_equal(heap_first(&heap), &c);
	heap_remove(&heap, &c);
	heap_remove(&heap, &b);
	assert_ptr_equal(heap_first(&heap), &a);
	heap_remove(&heap, &a);
	heap_finish(&heap);
}

/* The least time of those that are in, by looking at all of them. */
static usec_t least(const struct heap_node *nodes, size_t n)
{
	usec_t min = INT64_MAX;

	for (size_t i = 0; i < n; i++) {
		if (nodes[i].place > 0 && nodes[i].at_us < min)
			min = nodes[i].at_us;
	}
	return min;
}

static void any_row_of_changes_leaves_the_least_first(void **state)
{
	enum { N = 150, STEPS = 30000 };
	struct heap_node nodes[N] = {0};
	struct heap heap = {0};

	for (size_t step = 0; step < STEPS; step++) {
		struct heap_node *node = &nodes[prng() % N];

		if (prng() % 3 == 0)
			heap_remove(&heap, node);
		else
			heap_set(&heap, node, (usec_t)(prng() % 1000)); /* with many equal ones */
		if (heap.count == 0)
			assert_null(heap_first(&heap));
		else
			assert_int_equal(heap_first(&heap)->at_us, least(nodes, N));
	}
	for (size_t i = 0; i < N; i++)
		heap_remove(&heap, &nodes[i]);
	assert_null(heap_first(&heap));
	heap_finish(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_heap_has_no_first),
		cmocka_unit_test(what_is_due_first_is_first),
		cmocka_unit_test(any_row_of_changes_leaves_the_least_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
