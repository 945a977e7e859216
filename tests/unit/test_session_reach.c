/* SPDX-License-Identifier: Apache-2.0
 * How far back suppliers can go. */
#include "tests/unit/unit.h"

#include "session/reach.h"

#define SECOND INT64_C(1000000)
#define STATE 20 /* methods */
#define LOGS 46

static void nothing_is_lacking_of_one_of_which_nothing_is_known(void **state)
{
	struct reach r = {0};

	assert_false(reach_lacks(&r, STATE, 0, SECOND));
	reach_serve(&r, STATE, 5);
	assert_int_equal(r.n, 0);
}

static void what_is_older_than_what_it_lacks_it_is_not_asked_for(void **state)
{
	struct reach r = {0};

	reach_lack(&r, STATE, 1000, 500, SECOND);
	assert_true(reach_lacks(&r, STATE, 0, SECOND));
	assert_true(reach_lacks(&r, STATE, 1000, SECOND));
	assert_false(reach_lacks(&r, STATE, 1001, SECOND));
	reach_lack(&r, STATE, 900, 600, SECOND); /* says nothing new */
	assert_true(reach_lacks(&r, STATE, 1000, SECOND));
	reach_lack(&r, STATE, 1200, 300, 2 * SECOND);
	assert_true(reach_lacks(&r, STATE, 1200, SECOND));
}

static void one_method_says_nothing_of_another(void **state)
{
	struct reach r = {0};

	reach_lack(&r, STATE, 1000, 500, SECOND);
	assert_false(reach_lacks(&r, LOGS, 1000, SECOND));
	reach_lack(&r, LOGS, 10, 1490, SECOND);
	assert_true(reach_lacks(&r, LOGS, 10, SECOND));
	assert_false(reach_lacks(&r, LOGS, 11, SECOND));
}

static void what_is_near_the_head_is_late_and_not_lacking(void **state)
{
	struct reach r = {0};

	reach_lack(&r, STATE, 1000, REACH_NEAR - 1, SECOND);
	assert_false(reach_lacks(&r, STATE, 1000, SECOND));
	reach_lack(&r, STATE, 1000, REACH_NEAR, SECOND);
	assert_true(reach_lacks(&r, STATE, 1000, SECOND));
}

static void what_it_serves_it_has(void **state)
{
	struct reach r = {0};

	reach_lack(&r, STATE, 1000, 500, SECOND);
	reach_serve(&r, STATE, 1200);
	assert_true(reach_lacks(&r, STATE, 1000, SECOND));
	reach_serve(&r, STATE, 700);
	assert_false(reach_lacks(&r, STATE, 700, SECOND));
	assert_true(reach_lacks(&r, STATE, 699, SECOND));
}

static void it_is_asked_again_after_a_while(void **state)
{
	struct reach r = {0};

	reach_lack(&r, STATE, 1000, 500, SECOND);
	assert_true(reach_lacks(&r, STATE, 10, REACH_US));
	assert_false(reach_lacks(&r, STATE, 10, REACH_US + SECOND));
	reach_lack(&r, STATE, 500, 1000, REACH_US + SECOND); /* what was known is void */
	assert_true(reach_lacks(&r, STATE, 500, REACH_US + SECOND));
	assert_false(reach_lacks(&r, STATE, 501, REACH_US + SECOND));
}

static void the_largest_number_there_is_wraps_nothing(void **state)
{
	struct reach r = {0};

	reach_lack(&r, STATE, UINT64_MAX, UINT64_MAX, SECOND);
	assert_false(reach_lacks(&r, STATE, 0, SECOND));
	reach_lack(&r, STATE, UINT64_MAX - 1, REACH_NEAR, SECOND);
	assert_true(reach_lacks(&r, STATE, UINT64_MAX - 1, SECOND));
	assert_false(reach_lacks(&r, STATE, UINT64_MAX, SECOND));
}

static void of_too_many_methods_the_one_of_longest_ago_is_forgotten(void **state)
{
	struct reach r = {0};

	for (unsigned i = 0; i < REACH_METHODS_MAX; i++)
		reach_lack(&r, i, 1000, 500, i * SECOND);
	reach_lack(&r, 0, 1000, 500, REACH_METHODS_MAX * SECOND);
	reach_lack(&r, REACH_METHODS_MAX, 1000, 500, (REACH_METHODS_MAX + 1) * SECOND);
	assert_int_equal(r.n, REACH_METHODS_MAX);
	assert_true(reach_lacks(&r, 0, 1000, 20 * SECOND));
	assert_false(reach_lacks(&r, 1, 1000, 20 * SECOND));
	assert_true(reach_lacks(&r, REACH_METHODS_MAX, 1000, 20 * SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lacking_of_one_of_which_nothing_is_known),
		cmocka_unit_test(what_is_older_than_what_it_lacks_it_is_not_asked_for),
		cmocka_unit_test(one_method_says_nothing_of_another),
		cmocka_unit_test(what_is_near_the_head_is_late_and_not_lacking),
		cmocka_unit_test(what_it_serves_it_has),
		cmocka_unit_test(it_is_asked_again_after_a_while),
		cmocka_unit_test(the_largest_number_there_is_wraps_nothing),
		cmocka_unit_test(of_too_many_methods_the_one_of_longest_ago_is_forgotten),
	};

	return cmocka_run_group_tests_name("session_reach", tests, NULL, NULL);
}
