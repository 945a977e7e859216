/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/mem.h"

static void arena_gives_aligned_memory_and_counts_it(void **state)
{
	CLEANUP(arena_destroy) struct arena *arena = arena_create(1 << 20);
	char *a = arena_alloc(arena, 1), *b = arena_alloc(arena, 20000);

	assert_int_equal((uintptr_t)a % 16, 0);
	assert_int_equal((uintptr_t)b % 16, 0);
	memset(b, 7, 20000);
	assert_int_equal(arena_used(arena), 16 + 20000);
}

static void reset_arena_is_empty_again(void **state)
{
	CLEANUP(arena_destroy) struct arena *arena = arena_create(1 << 20);

	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 50; i++)
			assert_memory_equal(arena_memdup(arena, "0123456789", 10), "0123456789",
					    10);
		assert_int_equal(arena_used(arena), 50 * 16);
		arena_reset(arena);
		assert_int_equal(arena_used(arena), 0);
	}
}

static void destroying_nothing_is_fine(void **state)
{
	arena_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_gives_aligned_memory_and_counts_it),
		cmocka_unit_test(reset_arena_is_empty_again),
		cmocka_unit_test(destroying_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
