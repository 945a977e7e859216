/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/wilson.h"

static void assert_bounds(uint64_t k, uint64_t n, double low, double high)
{
	struct wilson w = wilson_of(k, n, WILSON_Z95);

	if (w.low < low - 5e-5 || w.low > low + 5e-5 || w.high < high - 5e-5 ||
	    w.high > high + 5e-5) {
		print_message("# %llu of %llu: %.5f..%.5f\n", (unsigned long long)k,
			      (unsigned long long)n, w.low, w.high);
		fail();
	}
}

/* From R: prop.test(k, n, correct = FALSE)$conf.int; Newcombe (1998), table I. */
static void intervals_are_those_of_the_tables(void **state)
{
	assert_bounds(81, 263, 0.2553, 0.3662);
	assert_bounds(15, 148, 0.0624, 0.1605);
	assert_bounds(0, 20, 0, 0.1611);
	assert_bounds(1, 29, 0.0061, 0.1718);
	assert_bounds(20, 20, 0.8389, 1);
}

static void nothing_tried_says_nothing(void **state)
{
	assert_bounds(0, 0, 0, 1);
}

static void the_share_lies_in_its_interval_which_narrows(void **state)
{
	for (uint64_t n = 1; n <= 200; n++) {
		for (uint64_t k = 0; k <= n; k++) {
			struct wilson w = wilson_of(k, n, WILSON_Z95);
			struct wilson more = wilson_of(10 * k, 10 * n, WILSON_Z95);
			double share = (double)k / (double)n;

			assert_true(0 <= w.low && w.low <= share && share <= w.high && w.high <= 1);
			assert_true(more.high - more.low < w.high - w.low);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intervals_are_those_of_the_tables),
		cmocka_unit_test(nothing_tried_says_nothing),
		cmocka_unit_test(the_share_lies_in_its_interval_which_narrows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
