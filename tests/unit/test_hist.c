/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/hist.h"

static uint64_t prng_state;

/* splitmix64: any seed will do, and a failure repeats */
static uint64_t prng(void)
{
	uint64_t z = prng_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void an_empty_histogram_has_nothing(void **state)
{
	static struct hist hist;

	assert_int_equal(hist_count(&hist), 0);
	assert_int_equal(hist_sum(&hist), 0);
	assert_int_equal(hist_quantile(&hist, 0.5), 0);
	assert_int_equal(hist_count_upto(&hist, 63), 0);
}

static void every_quantile_is_at_most_an_eighth_above_the_true_one(void **state)
{
	static const double qs[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
	enum { N = 1000 };
	uint64_t values[N];

	for (uint64_t seed = 1; seed <= 50; seed++) {
		struct hist *hist = calloc(1, sizeof(*hist));

		prng_state = seed;
		for (size_t i = 0; i < N; i++) {
			values[i] = prng() >> (prng() % 64); /* all magnitudes */
			hist_add(hist, values[i]);
		}
		qsort(values, N, sizeof(values[0]), by_value);
		assert_int_equal(hist_count(hist), N);
		for (size_t i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
			double exact = qs[i] * N;
			size_t rank = (size_t)exact + ((double)(size_t)exact < exact);
			uint64_t want = values[rank ? rank - 1 : 0];
			uint64_t got = hist_quantile(hist, qs[i]);

			if (got < want || got - want > want / 8 + 1)
				fail_msg("seed %d, q %f: %llu is not near %llu", (int)seed, qs[i],
					 (unsigned long long)got, (unsigned long long)want);
		}
		free(hist);
	}
}

static void counts_up_to_a_power_of_two_are_exact(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct hist *hist = calloc(1, sizeof(*hist));
		uint64_t want[64] = {0};

		prng_state = seed;
		for (int i = 0; i < 500; i++) {
			uint64_t v = ((uint64_t)1 << prng() % 64) + prng() % 3 - 1;

			hist_add(hist, v);
			for (unsigned k = 0; k < 64; k++)
				want[k] += v <= (uint64_t)1 << k;
		}
		for (unsigned k = 0; k < 64; k++)
			assert_int_equal(hist_count_upto(hist, k), want[k]);
		free(hist);
	}
}

static void the_ends_of_u64_have_their_place(void **state)
{
	struct hist *hist = calloc(1, sizeof(*hist));

	hist_add(hist, 0);
	hist_add(hist, UINT64_MAX);
	assert_int_equal(hist_quantile(hist, 0), 1);
	assert_true(hist_quantile(hist, 1) == UINT64_MAX);
	free(hist);
}

static void merging_is_adding_both(void **state)
{
	struct hist *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));

	hist_add(a, 5);
	hist_add(b, 7);
	hist_add(b, 1000);
	hist_merge(a, b);
	assert_int_equal(hist_count(a), 3);
	assert_int_equal(hist_sum(a), 1012);
	assert_int_equal(hist_count_upto(a, 3), 2);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_histogram_has_nothing),
		cmocka_unit_test(every_quantile_is_at_most_an_eighth_above_the_true_one),
		cmocka_unit_test(counts_up_to_a_power_of_two_are_exact),
		cmocka_unit_test(the_ends_of_u64_have_their_place),
		cmocka_unit_test(merging_is_adding_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
