/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "relay/base/compiler.h"
#include "relay/base/recycle.h"

static void what_was_given_back_is_given_again(void **state)
{
	void *a = recycle_malloc(100), *b;

	memset(a, 1, 100);
	recycle_free(a);
	assert_int_equal(recycle_kept(), 1);
	b = recycle_malloc(97); /* as many steps */
	assert_ptr_equal(a, b);
	assert_int_equal(recycle_kept(), 0);
	free(b); /* a block like any other */
}

static void a_block_has_room_for_what_was_asked_for(void **state)
{
	void *blocks[RECYCLE_BLOCK_MAX + 64];

	for (size_t round = 0; round < 2; round++) {
		for (size_t n = 0; n < ARRAY_SIZE(blocks); n++) {
			blocks[n] = recycle_malloc(n);
			assert_non_null(blocks[n]);
			memset(blocks[n], (int)n & 0xFF, n);
		}
		for (size_t n = 0; n < ARRAY_SIZE(blocks); n++) {
			for (size_t i = 0; i < n; i++)
				assert_int_equal(((uint8_t *)blocks[n])[i], n & 0xFF);
			recycle_free(blocks[n]);
		}
	}
	assert_true(recycle_kept() > 0);
}

static void a_block_that_grew_is_kept_by_its_new_size(void **state)
{
	size_t before = recycle_kept();
	void *a = recycle_realloc(recycle_malloc(40), 4 * RECYCLE_BLOCK_MAX), *b;

	recycle_free(a);
	assert_int_equal(recycle_kept(),
			 before - 1); /* the first was one of those; this one is too large */
	a = recycle_realloc(malloc(40), 200);
	memset(a, 1, 200);
	recycle_free(a);
	b = recycle_malloc(200);
	memset(b, 1, 200);
	recycle_free(b);
	recycle_free(NULL);
}

/* malloc() may give a little more than was asked for, and such a block is one of the next size. */
static void a_thread_keeps_so_many_of_a_size(void **state)
{
	void *blocks[4 * RECYCLE_DEPTH_MAX];
	size_t before = recycle_kept();

	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		blocks[i] = malloc(64);
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		recycle_free(blocks[i]);
	assert_in_range(recycle_kept() - before, RECYCLE_DEPTH_MAX / 2, 2 * RECYCLE_DEPTH_MAX);
}

static void *give_back(void *block)
{
	recycle_free(block);
	return (void *)recycle_kept();
}

static void another_thread_may_give_back(void **state)
{
	size_t before = recycle_kept();
	pthread_t thread;
	void *kept;

	assert_int_equal(pthread_create(&thread, NULL, give_back, malloc(300)), 0);
	assert_int_equal(pthread_join(thread, &kept), 0); /* and what it kept is freed */
	assert_ptr_equal(kept, (void *)1);
	assert_int_equal(recycle_kept(), before);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_given_back_is_given_again),
		cmocka_unit_test(a_block_has_room_for_what_was_asked_for),
		cmocka_unit_test(a_block_that_grew_is_kept_by_its_new_size),
		cmocka_unit_test(a_thread_keeps_so_many_of_a_size),
		cmocka_unit_test(another_thread_may_give_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
