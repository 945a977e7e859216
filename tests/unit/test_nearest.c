/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/nearest.h"

static void distance_counts_single_changes(void **state)
{
	assert_int_equal(nearest_distance("", ""), 0);
	assert_int_equal(nearest_distance("listen", "listen"), 0);
	assert_int_equal(nearest_distance("lisen", "listen"), 1);
	assert_int_equal(nearest_distance("listenn", "listen"), 1);
	assert_int_equal(nearest_distance("listen", "lisden"), 1);
	assert_int_equal(nearest_distance("ilsten", "listen"), 1);
	assert_int_equal(nearest_distance("", "abc"), 3);
	assert_int_equal(nearest_distance("kitten", "sitting"), 3);
}

static void the_nearest_word_is_found_and_a_far_one_is_not(void **state)
{
	static const char *const words[] = {"gateway", "node", "registry"};

	assert_string_equal(nearest_word("gatway", words, 3), "gateway");
	assert_string_equal(nearest_word("ndoe", words, 3), "node");
	assert_null(nearest_word("ledger", words, 3));
	assert_null(nearest_word("", words, 3));
}

static void a_word_that_is_too_long_is_near_to_nothing(void **state)
{
	char text[NEAREST_WORD_MAX + 2];
	const char *const words[] = {text};

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(nearest_distance(text, text), NEAREST_WORD_MAX + 1);
	assert_null(nearest_word(text, words, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distance_counts_single_changes),
		cmocka_unit_test(the_nearest_word_is_found_and_a_far_one_is_not),
		cmocka_unit_test(a_word_that_is_too_long_is_near_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
