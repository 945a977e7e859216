/* SPDX-License-Identifier: Apache-2.0
 * Counted against expected over many draws of lots, against textbook values and by simulation. */
#include "tests/unit/unit.h"

#include <math.h>

#include "relay/audit/trials.h"
#include "relay/base/chi2.h"
#include "tests/support/gen.h"

static void assert_near(double got, double want)
{
	if (fabs(got - want) > 1e-9 * (1 + fabs(want)))
		fail_msg("%.17g, not %.17g", got, want);
}

/* Mendel's peas of 1866: 315, 101, 108 and 32 at 9 : 3 : 3 : 1 give 0.470024 with 3 degrees. */
static void one_trial_gives_pearsons_statistic(void **state)
{
	static const uint32_t who[] = {3, 0, 2, 1};
	static const double weight[] = {9, 3, 3, 1}, observed[] = {315, 101, 108, 32};
	CLEANUP(trials_destroy) struct trials *t = trials_create(4);
	double chi, pearson = 0;
	uint32_t df;

	trials_add(t, who, weight, observed, 4, 556);
	for (size_t i = 0; i < 4; i++) {
		double expected = 556 * weight[i] / 16;

		assert_near(trials_sum_of(t, who[i])->expected, expected);
		assert_near(trials_sum_of(t, who[i])->observed, observed[i]);
		pearson += (observed[i] - expected) * (observed[i] - expected) / expected;
	}
	assert_true(trials_chi2(t, &chi, &df));
	assert_int_equal(df, 3);
	assert_near(chi, pearson);
	assert_true(fabs(chi - 0.470024) < 1e-6);
}

/* Trials with the same chances are one trial; trials that share nobody add up. */
static void trials_add_up(void **state)
{
	static const uint32_t some[] = {0, 1, 2}, others[] = {3, 4};
	static const double weight[] = {1, 2, 7}, a[] = {12, 15, 73}, b[] = {8, 25, 67},
			    both[] = {20, 40, 140}, pair[] = {60, 40};
	struct trials *apart = trials_create(5), *at_once = trials_create(5);
	struct trials *alone = trials_create(5);
	double one, two, third;
	uint32_t df;

	trials_add(apart, some, weight, a, 3, 100);
	trials_add(apart, some, weight, b, 3, 100);
	trials_add(at_once, some, weight, both, 3, 200);
	trials_add(alone, others, weight + 1, pair, 2, 100);
	trials_add(apart, others, weight + 1, pair, 2, 100);
	assert_true(trials_chi2(apart, &one, &df));
	assert_int_equal(df, 3);
	assert_true(trials_chi2(at_once, &two, &df));
	assert_int_equal(df, 2);
	assert_true(trials_chi2(alone, &third, &df));
	assert_int_equal(df, 1);
	assert_near(one, two + third);
	trials_destroy(apart);
	trials_destroy(at_once);
	trials_destroy(alone);
}

static void who_is_alone_says_nothing(void **state)
{
	static const uint32_t who[] = {1};
	static const double weight[] = {5}, observed[] = {40};
	CLEANUP(trials_destroy) struct trials *t = trials_create(2);
	double chi;
	uint32_t df;

	trials_add(t, who, weight, observed, 1, 40);
	assert_near(trials_sum_of(t, 1)->variance, 0);
	assert_false(trials_chi2(t, &chi, &df));
}

static void too_many_have_sums_and_no_statistic(void **state)
{
	static const uint32_t who[] = {0, TRIALS_KINDS_MAX};
	static const double weight[] = {1, 3}, observed[] = {1, 9};
	CLEANUP(trials_destroy) struct trials *t = trials_create(TRIALS_KINDS_MAX + 1);
	double chi;
	uint32_t df;

	trials_add(t, who, weight, observed, 2, 10);
	assert_near(trials_sum_of(t, TRIALS_KINDS_MAX)->expected, 7.5);
	assert_near(trials_sum_of(t, TRIALS_KINDS_MAX)->variance, 10 * 0.75 * 0.25);
	assert_false(trials_chi2(t, &chi, &df));
}

/* 40 sessions of 20 relays among 4 of 9 suppliers of stake 1 to 9: by chance alone p is uniform. */
static double chance_of_a_world(struct gen *g, bool parcels, uint32_t *ret_df)
{
	CLEANUP(trials_destroy) struct trials *t = trials_create(9);
	double chi;

	for (unsigned s = 0; s < 40; s++) {
		double weight[4], observed[4] = {0}, total = 0;
		uint32_t who[4], first = (uint32_t)gen_below(g, 9);

		for (unsigned i = 0; i < 4; i++) {
			who[i] = (first + 2 * i) % 9;
			weight[i] = who[i] + 1;
			total += weight[i];
		}
		for (unsigned k = 0; k < 20; k++) {
			double r = (double)gen_below(g, 1u << 30) / (1u << 30) * total;
			unsigned i = 0;

			while (i < 3 && r >= weight[i])
				r -= weight[i++];
			observed[i] += parcels ? 1.0 / 20 : 1;
		}
		trials_add(t, who, weight, observed, 4, parcels ? 1 : 20);
	}
	assert_true(trials_chi2(t, &chi, ret_df));
	return chi2_tail(chi, *ret_df);
}

static void chance_alone_is_seldom_called_something_else(void **state)
{
	struct gen g = gen_init(20261126);
	unsigned low = 0, middle = 0, parcels_low = 0;
	uint32_t df;

	for (unsigned i = 0; i < 400; i++) {
		double p = chance_of_a_world(&g, false, &df);

		assert_int_equal(df, 8);
		low += p < 0.05;
		middle += p < 0.5;
		parcels_low += chance_of_a_world(&g, true, &df) < 0.05;
	}
	assert_in_range(low, 5, 42); /* of 400 */
	assert_in_range(middle, 150, 250);
	assert_int_equal(parcels_low, 0); /* on the side of chance */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_trial_gives_pearsons_statistic),
		cmocka_unit_test(trials_add_up),
		cmocka_unit_test(who_is_alone_says_nothing),
		cmocka_unit_test(too_many_have_sums_and_no_statistic),
		cmocka_unit_test(chance_alone_is_seldom_called_something_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
