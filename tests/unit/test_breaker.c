/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/upstream/breaker.h"
#include "tests/support/gen.h"

#define SECOND INT64_C(1000000)

static const struct breaker_limits limits = {
	.failures_max = 3,
	.failure_percent = 50,
	.window_us = 10 * SECOND,
	.open_us = SECOND,
	.open_max_us = 5 * SECOND,
	.later_max_us = 60 * SECOND,
	.slow_us = SECOND,
	.trials = 2,
};

static struct breaker closed(bool probed)
{
	struct breaker b;

	breaker_init(&b, &limits, probed);
	return b;
}

static void bad(struct breaker *b, usec_t now)
{
	breaker_on_failure(b, breaker_begin(b, now), now);
}

static void good(struct breaker *b, usec_t now)
{
	breaker_on_answer(b, breaker_begin(b, now), now);
}

/* Open since `now`, by three failures. */
static struct breaker opened(bool probed, usec_t now)
{
	struct breaker b = closed(probed);

	for (int i = 0; i < 3; i++)
		bad(&b, now);
	assert_int_equal(b.state, BREAKER_OPEN);
	return b;
}

static void so_many_failures_in_a_row_open_it(void **state)
{
	struct breaker b = closed(false);

	bad(&b, 1);
	bad(&b, 2);
	good(&b, 3); /* not in a row */
	bad(&b, 4);
	bad(&b, 5);
	assert_int_equal(b.state, BREAKER_CLOSED);
	bad(&b, 6);
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_int_equal(breaker_ask(&b, 7), BREAKER_NO);
}

static void a_share_of_failures_opens_it_only_of_enough_requests(void **state)
{
	struct breaker b = closed(false);

	for (int i = 0; i < BREAKER_WINDOW_MIN / 2 - 1; i++) {
		bad(&b, 1);
		good(&b, 1);
	}
	assert_int_equal(b.state, BREAKER_CLOSED);
	good(&b, 1);
	bad(&b, 1); /* 10 of 20 */
	assert_int_equal(b.state, BREAKER_OPEN);
}

static void a_new_window_forgets_the_failures_of_the_last(void **state)
{
	struct breaker b = closed(false);

	for (int i = 0; i < BREAKER_WINDOW_MIN / 2 - 1; i++) {
		bad(&b, 1);
		good(&b, 1);
	}
	good(&b, 11 * SECOND);
	bad(&b, 11 * SECOND);
	assert_int_equal(b.state, BREAKER_CLOSED);
}

static void after_its_rest_it_is_on_trial_and_good_answers_close_it(void **state)
{
	struct breaker b = opened(false, 0);
	unsigned one, two;

	assert_int_equal(breaker_ask(&b, SECOND - 1), BREAKER_NO);
	assert_int_equal(breaker_ask(&b, SECOND), BREAKER_GO);
	one = breaker_begin(&b, SECOND);
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	two = breaker_begin(&b, SECOND);
	assert_int_equal(breaker_ask(&b, SECOND), BREAKER_WAIT); /* two at a time */
	breaker_on_answer(&b, one, SECOND);
	assert_int_equal(breaker_ask(&b, SECOND), BREAKER_GO);
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	breaker_on_answer(&b, two, SECOND);
	assert_int_equal(b.state, BREAKER_CLOSED);
}

static void each_failed_trial_doubles_the_rest_up_to_a_limit(void **state)
{
	static const usec_t rests[] = {2, 4, 5, 5};
	struct breaker b = opened(false, 0);
	usec_t now = SECOND;

	for (int i = 0; i < 4; i++) {
		bad(&b, now);
		assert_int_equal(b.state, BREAKER_OPEN);
		assert_int_equal(b.open_until_us - now, rests[i] * SECOND);
		now = b.open_until_us;
	}
	good(&b, now);
	good(&b, now);
	for (int i = 0; i < 3; i++)
		bad(&b, now);
	assert_int_equal(b.open_until_us - now, SECOND); /* closed: from the beginning */
}

static void what_was_asked_before_a_change_says_nothing_after_it(void **state)
{
	struct breaker b = closed(false);
	unsigned late = breaker_begin(&b, 0), slow = breaker_begin(&b, 0);

	for (int i = 0; i < 3; i++)
		bad(&b, 0);
	breaker_on_answer(&b, late, 1);
	assert_int_equal(b.state, BREAKER_OPEN);
	good(&b, SECOND);
	breaker_on_failure(&b, slow, SECOND);
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	assert_int_equal(b.trials, 0);
}

static void silence_counts_only_when_long_and_when_nobody_was_answered(void **state)
{
	struct breaker b = closed(false);

	for (int i = 0; i < 10; i++)
		breaker_on_silence(&b, breaker_begin(&b, 0), 0, SECOND - 1);
	for (int i = 0; i < 10; i++) {
		unsigned slow = breaker_begin(&b, i * 10 * SECOND);

		good(&b, i * 10 * SECOND + 1);
		breaker_on_silence(&b, slow, i * 10 * SECOND, i * 10 * SECOND + 5 * SECOND);
	}
	assert_int_equal(b.state, BREAKER_CLOSED);
	for (int i = 0; i < 3; i++)
		breaker_on_silence(&b, breaker_begin(&b, 200 * SECOND), 200 * SECOND, 201 * SECOND);
	assert_int_equal(b.state, BREAKER_OPEN);
}

static void come_back_later_is_honoured_up_to_a_limit(void **state)
{
	struct breaker b = closed(false);

	breaker_on_later(&b, breaker_begin(&b, 0), 7 * SECOND, 0);
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_int_equal(breaker_ask(&b, 7 * SECOND - 1), BREAKER_NO);
	assert_int_equal(breaker_ask(&b, 7 * SECOND), BREAKER_GO);
	breaker_on_later(&b, breaker_begin(&b, 7 * SECOND), 3600 * SECOND, 7 * SECOND);
	assert_int_equal(b.open_until_us, 67 * SECOND);
	b = closed(false);
	breaker_on_later(&b, breaker_begin(&b, 0), 0, 0); /* a failure as any other */
	assert_int_equal(b.state, BREAKER_CLOSED);
	assert_int_equal(b.in_row, 1);
}

static void who_is_probed_gets_no_request_before_a_probe_was_answered(void **state)
{
	struct breaker b = opened(true, 0);

	assert_int_equal(breaker_ask(&b, 100 * SECOND), BREAKER_NO);
	breaker_on_probe(&b, false, 0, SECOND);
	assert_int_equal(b.open_until_us, 3 * SECOND);
	breaker_on_probe(&b, false, 9 * SECOND, 3 * SECOND);
	assert_int_equal(b.open_until_us, 12 * SECOND);
	breaker_on_probe(&b, true, 0, 12 * SECOND);
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	breaker_on_probe(&b, true, 0, 13 * SECOND); /* a good answer, too */
	breaker_on_probe(&b, true, 0, 14 * SECOND);
	assert_int_equal(b.state, BREAKER_CLOSED);
	for (int i = 0; i < 3; i++)
		breaker_on_probe(&b, false, 0, 15 * SECOND);
	assert_int_equal(b.state, BREAKER_OPEN);
}

static void another_chain_is_barred_until_a_probe_says_otherwise(void **state)
{
	struct breaker b = closed(true);
	unsigned before = breaker_begin(&b, 0);

	breaker_bar(&b);
	breaker_bar(&b);
	assert_int_equal(breaker_ask(&b, 1000 * SECOND), BREAKER_NO);
	breaker_on_answer(&b, before, 1);
	breaker_on_probe(&b, false, 0, 2);
	breaker_trip(&b, 3);
	assert_int_equal(b.state, BREAKER_BARRED);
	breaker_on_probe(&b, true, 0, 4);
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
}

/* Any order of events: asserts inside hold, and so does what is said here. */
static void any_order_of_events_keeps_the_bounds(void **state)
{
	struct gen gen = gen_init(20261126);

	for (uint64_t i = 0; i < gen_cases(2000); i++) {
		struct breaker b = closed(gen_below(&gen, 2) == 0);
		unsigned out[8] = {0};
		bool is_out[8] = {0};
		usec_t now = 0;

		for (int step = 0; step < 60; step++) {
			size_t k = gen_below(&gen, 8);

			now += (usec_t)gen_below(&gen, (uint64_t)SECOND);
			if (!is_out[k] && breaker_ask(&b, now) == BREAKER_GO) {
				out[k] = breaker_begin(&b, now);
				is_out[k] = true;
			} else if (is_out[k]) {
				is_out[k] = false;
				switch (gen_below(&gen, 5)) {
				case 0:
					breaker_on_answer(&b, out[k], now);
					break;
				case 1:
					breaker_on_failure(&b, out[k], now);
					break;
				case 2:
					breaker_on_silence(&b, out[k], now - 2 * SECOND, now);
					break;
				case 3:
					breaker_on_later(&b, out[k], SECOND, now);
					break;
				default:
					breaker_on_nothing(&b, out[k]);
				}
			} else if (gen_below(&gen, 8) == 0) {
				breaker_bar(&b);
			} else {
				breaker_on_probe(&b, gen_below(&gen, 2) == 0, 0, now);
			}
			assert_true(b.trials <= limits.trials);
			assert_true(b.state != BREAKER_CLOSED || b.in_row < limits.failures_max);
			assert_true(b.state != BREAKER_OPEN ||
				    b.open_until_us <= now + limits.later_max_us);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_failures_in_a_row_open_it),
		cmocka_unit_test(a_share_of_failures_opens_it_only_of_enough_requests),
		cmocka_unit_test(a_new_window_forgets_the_failures_of_the_last),
		cmocka_unit_test(after_its_rest_it_is_on_trial_and_good_answers_close_it),
		cmocka_unit_test(each_failed_trial_doubles_the_rest_up_to_a_limit),
		cmocka_unit_test(what_was_asked_before_a_change_says_nothing_after_it),
		cmocka_unit_test(silence_counts_only_when_long_and_when_nobody_was_answered),
		cmocka_unit_test(come_back_later_is_honoured_up_to_a_limit),
		cmocka_unit_test(who_is_probed_gets_no_request_before_a_probe_was_answered),
		cmocka_unit_test(another_chain_is_barred_until_a_probe_says_otherwise),
		cmocka_unit_test(any_order_of_events_keeps_the_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
