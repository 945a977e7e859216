/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "session/patience.h"

static uint64_t prng_state;

/* splitmix64 */
static uint64_t prng(void)
{
	uint64_t z = prng_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Times spread over more than three octaves, p95 = 950 x unit. */
static usec_t even(usec_t unit)
{
	return (usec_t)(1 + prng() % 1000) * unit;
}

static void until_enough_was_seen_the_wait_is_the_longest(void **state)
{
	struct patience p = {0};

	for (size_t i = 0; i < PATIENCE_SAMPLES_MIN; i++) {
		assert_int_equal(patience_us(&p, 10, 5000), 5000);
		patience_note(&p, 100, 95);
	}
	assert_in_range(patience_us(&p, 10, 5000), 99, 101);
}

static void the_wait_stays_within_its_bounds(void **state)
{
	static const usec_t times[] = {0, 1, 1000, 1000000, INT64_MAX / 2, INT64_MAX};

	for (size_t t = 0; t < sizeof(times) / sizeof(times[0]); t++) {
		struct patience p = {0};

		for (size_t i = 0; i < 100; i++)
			patience_note(&p, times[t], 95);
		assert_in_range(patience_us(&p, 500, 2000), 500, 2000);
		assert_int_equal(patience_us(&p, 3000, 2000), 2000); /* the longest counts */
	}
}

static void the_level_settles_near_the_quantile(void **state)
{
	static const unsigned quantiles[] = {50, 80, 95, 99};

	for (size_t k = 0; k < 4; k++) {
		for (uint64_t seed = 1; seed <= 20; seed++) {
			struct patience p = {0};
			uint64_t above = 0;
			enum { WARM = 5000, N = 20000 };

			prng_state = seed;
			for (size_t i = 0; i < WARM + N; i++) {
				usec_t us = even(100);

				if (i >= WARM)
					above += us > patience_us(&p, 1, INT64_MAX);
				patience_note(&p, us, quantiles[k]);
			}
			/* the share that would be hedged, within a half of what is meant */
			assert_in_range(above, N * (100 - quantiles[k]) / 100 / 2,
					N * (100 - quantiles[k]) / 100 * 3 / 2);
		}
	}
}

static void it_follows_when_all_become_slower_or_faster(void **state)
{
	struct patience p = {0};
	size_t i;

	prng_state = 3;
	for (i = 0; i < 5000; i++)
		patience_note(&p, even(10), 95);
	for (i = 0; i < 100; i++) /* ten times as slow, for a hundred answers */
		patience_note(&p, even(100), 95);
	assert_true(patience_us(&p, 1, INT64_MAX) > 50000);
	for (i = 0; i < 3000; i++)
		patience_note(&p, even(10), 95);
	assert_true(patience_us(&p, 1, INT64_MAX) < 12000);
}

static void answers_twice_as_slow_give_twice_the_level(void **state)
{
	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct patience a = {0}, b = {0};

		prng_state = seed;
		for (size_t i = 0; i < 500; i++) {
			usec_t us = (usec_t)(prng() >> (prng() % 44 + 2) | 1 << 16);

			patience_note(&a, us, 90);
			patience_note(&b, us * 2, 90);
			assert_int_equal(patience_us(&b, 1, INT64_MAX),
					 i + 1 < PATIENCE_SAMPLES_MIN
						 ? INT64_MAX
						 : patience_us(&a, 1, INT64_MAX) * 2);
		}
	}
}

static void hedges_are_a_share_of_the_questions(void **state)
{
	struct patience_budget budget = {0};
	size_t spent = 0;

	for (size_t i = 0; i < 10000; i++) {
		patience_earn(&budget, 7);
		spent += patience_spend(&budget);
	}
	assert_int_equal(spent, 700);
}

static void savings_are_bounded(void **state)
{
	struct patience_budget budget = {0};
	size_t spent = 0;

	for (size_t i = 0; i < 100000; i++)
		patience_earn(&budget, 100);
	while (patience_spend(&budget))
		spent++;
	assert_int_equal(spent, PATIENCE_SAVED_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(until_enough_was_seen_the_wait_is_the_longest),
		cmocka_unit_test(the_wait_stays_within_its_bounds),
		cmocka_unit_test(the_level_settles_near_the_quantile),
		cmocka_unit_test(it_follows_when_all_become_slower_or_faster),
		cmocka_unit_test(answers_twice_as_slow_give_twice_the_level),
		cmocka_unit_test(hedges_are_a_share_of_the_questions),
		cmocka_unit_test(savings_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
