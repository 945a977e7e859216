/* SPDX-License-Identifier: Apache-2.0
 * Health of suppliers: states, figures, and what holds whatever they do. */
#include "tests/unit/unit.h"

#include "tests/unit/quality_world.h"

static struct quality fresh(void)
{
	struct quality q;

	quality_init(&q, &limits);
	return q;
}

/* A relay that takes so long, and ends so at `now`. */
static void end_after(struct quality *q, enum quality_outcome outcome, usec_t took, usec_t now)
{
	quality_turn(q, now - took);
	quality_end(q, quality_begin(q), outcome, now - took, took, now);
}

static void end(struct quality *q, enum quality_outcome outcome, usec_t now)
{
	end_after(q, outcome, 10 * MS, now);
}

static void ends(struct quality *q, enum quality_outcome outcome, unsigned n, usec_t now)
{
	for (unsigned i = 0; i < n; i++)
		end(q, outcome, now);
}

/* Answers until it is back. */
static void bring_back(struct quality *q, usec_t now)
{
	quality_turn(q, now);
	assert_int_equal(q->state, QUALITY_TRIAL);
	ends(q, QUALITY_ANSWER, QUALITY_TRIAL_ANSWERS, now);
	assert_int_equal(q->state, QUALITY_RAMP);
	ends(q, QUALITY_ANSWER, 2 * QUALITY_STEP_ANSWERS, now);
	assert_int_equal(q->state, QUALITY_READY);
}

/* --- states --- */

static void who_has_not_been_seen_is_healthy(void **state)
{
	struct quality q = fresh();

	assert_int_equal(health(&q), PICK_HEALTHY);
	quality_turn(&q, 1000 * SECOND);
	assert_int_equal(health(&q), PICK_HEALTHY);
	assert_int_equal(quality_latency(&q), 0);
}

static void few_faults_say_little_and_do_not_cool(void **state)
{
	struct quality q = fresh();

	end(&q, QUALITY_FAULT, SECOND);
	assert_in_range(health(&q), PICK_HEALTHY / 2, PICK_HEALTHY - 1);
	end(&q, QUALITY_FAULT, SECOND);
	end(&q, QUALITY_ANSWER, SECOND);
	end(&q, QUALITY_FAULT, SECOND);
	end(&q, QUALITY_FAULT, SECOND);
	assert_int_equal(q.state, QUALITY_READY);
	end(&q, QUALITY_FAULT, SECOND);
	assert_int_equal(q.state, QUALITY_COOLING);
	assert_int_equal(q.cause, QUALITY_FAULT);
	assert_int_equal(health(&q), 0);
}

static void who_says_that_it_cannot_or_lies_cools_at_once(void **state)
{
	static const enum quality_outcome at_once[] = {QUALITY_CANNOT, QUALITY_MISBEHAVED};

	for (size_t i = 0; i < ARRAY_SIZE(at_once); i++) {
		struct quality q = fresh();

		ends(&q, QUALITY_ANSWER, 1000, SECOND);
		end(&q, at_once[i], 2 * SECOND);
		assert_int_equal(q.state, QUALITY_COOLING);
		assert_int_equal(q.until_us, 3 * SECOND);
	}
}

static void silence_cools_only_when_nothing_else_was_answered_meanwhile(void **state)
{
	struct quality q = fresh();

	quality_turn(&q, SECOND);
	for (int i = 0; i < 10; i++) { /* a client asks for what takes too long */
		unsigned slow = quality_begin(&q);

		end(&q, QUALITY_ANSWER, 2 * SECOND);
		quality_end(&q, slow, QUALITY_SILENT, SECOND, 0, 4 * SECOND);
	}
	assert_int_equal(q.state, QUALITY_READY);
	end_after(&q, QUALITY_SILENT, SECOND, 6 * SECOND);
	assert_int_equal(q.state, QUALITY_COOLING);
}

static void who_loses_every_race_and_never_answers_cools(void **state)
{
	struct quality q = fresh();

	for (unsigned i = 0; i < QUALITY_STRAIN_MAX; i++) {
		assert_int_equal(q.state, QUALITY_READY);
		end(&q, QUALITY_LOST, SECOND);
	}
	assert_int_equal(q.state, QUALITY_COOLING);
	q = fresh();
	for (unsigned i = 0; i < 10 * QUALITY_STRAIN_MAX; i++) {
		end(&q, QUALITY_LOST, SECOND + i * 20 * MS);
		if (i % 4 == 0)
			end(&q, QUALITY_ANSWER, SECOND + i * 20 * MS);
	}
	assert_int_equal(q.state, QUALITY_READY); /* slow, but it does answer */
}

static void an_ended_session_a_lost_link_or_a_refusal_is_no_reason_to_cool(void **state)
{
	struct quality q = fresh();

	ends(&q, QUALITY_ABSTAINED, 1000, SECOND);
	assert_int_equal(health(&q), PICK_HEALTHY);
	ends(&q, QUALITY_ANSWER, 50, SECOND);
	for (int i = 0; i < 50; i++)
		quality_refused(&q, SECOND);
	assert_int_equal(q.state, QUALITY_READY);
	assert_int_equal(health(&q), PICK_HEALTHY / (1 + QUALITY_WEIGHT_REFUSALS / 2));
}

static void a_busy_one_rests_shortly_and_comes_back_as_it_was(void **state)
{
	struct quality q = fresh();
	usec_t now = SECOND, rest = QUALITY_BUSY_US;

	for (int i = 0; i < 10; i++) {
		end(&q, QUALITY_THROTTLED, now);
		assert_int_equal(q.state, QUALITY_COOLING);
		assert_int_equal(q.until_us, now + rest);
		assert_int_equal(health(&q), 0);
		now = q.until_us;
		quality_turn(&q, now);
		assert_int_equal(q.state, QUALITY_READY);
		now += 20 * MS;
		rest = MIN(2 * rest, (usec_t)QUALITY_BUSY_MAX_US);
	}
	ends(&q, QUALITY_ANSWER, 10, now);
	end(&q, QUALITY_THROTTLED, now);
	assert_int_equal(q.until_us, now + QUALITY_BUSY_US);
	assert_int_equal(q.strikes, 0);
}

static void what_was_sent_before_a_rest_does_not_lengthen_it(void **state)
{
	struct quality q = fresh();
	unsigned epoch;
	usec_t until;

	quality_turn(&q, SECOND);
	epoch = quality_begin(&q);
	end(&q, QUALITY_CANNOT, SECOND);
	until = q.until_us;
	for (int i = 0; i < 100; i++)
		quality_end(&q, epoch, QUALITY_CANNOT, SECOND, 0, SECOND + i * MS);
	quality_end(&q, epoch, QUALITY_ANSWER, SECOND, 0, SECOND + 200 * MS);
	assert_int_equal(q.until_us, until);
	assert_int_equal(q.strikes, 1);
	/* nor do they end the trial, either way */
	quality_turn(&q, until);
	assert_int_equal(q.state, QUALITY_TRIAL);
	quality_end(&q, epoch, QUALITY_FAULT, SECOND, 0, until);
	assert_int_equal(q.state, QUALITY_TRIAL);
	assert_int_equal(q.trials, 0);
}

static void on_trial_there_is_one_relay_at_a_time(void **state)
{
	struct quality q = fresh();
	unsigned epoch;

	end(&q, QUALITY_CANNOT, SECOND);
	quality_turn(&q, 2 * SECOND);
	assert_int_equal(q.state, QUALITY_TRIAL);
	assert_in_range(health(&q), 1, QUALITY_TRIAL_LEVEL);
	epoch = quality_begin(&q);
	assert_int_equal(health(&q), 0);
	quality_end(&q, epoch, QUALITY_ABSTAINED, 2 * SECOND, 0, 2 * SECOND + 1);
	assert_in_range(health(&q), 1, QUALITY_TRIAL_LEVEL);
}

static void a_repaired_one_is_back_in_steps(void **state)
{
	struct quality q = fresh();
	usec_t now = 2 * SECOND;

	ends(&q, QUALITY_FAULT, 3, SECOND);
	quality_turn(&q, now);
	ends(&q, QUALITY_ANSWER, QUALITY_TRIAL_ANSWERS, now);
	assert_int_equal(q.state, QUALITY_RAMP);
	assert_int_equal(health(&q), QUALITY_TRIAL_LEVEL); /* what failed before is forgotten */
	ends(&q, QUALITY_ANSWER, QUALITY_STEP_ANSWERS, now);
	assert_int_equal(health(&q), 2 * QUALITY_TRIAL_LEVEL);
	quality_turn(&q, now + QUALITY_STEP_US - 1);
	assert_int_equal(health(&q), 2 * QUALITY_TRIAL_LEVEL);
	quality_turn(&q, now + QUALITY_STEP_US);
	assert_int_equal(q.state, QUALITY_READY);
	assert_int_equal(health(&q), PICK_HEALTHY);
}

static void what_it_did_wrong_is_not_forgotten_with_what_failed(void **state)
{
	struct quality q = fresh();

	end(&q, QUALITY_MISBEHAVED, SECOND);
	bring_back(&q, 2 * SECOND);
	assert_in_range(health(&q), 1, PICK_HEALTHY - 1);
	assert_true(quality_judge(&q, 0).penalties[QUALITY_BY_MISBEHAVIOUR] > 0);
	quality_turn(&q, 2 * SECOND + limits.window_us);
	assert_int_equal(health(&q), PICK_HEALTHY);
}

static void who_is_bad_in_an_eighth_of_its_relays_vouches_for_nothing(void **state)
{
	static const enum quality_outcome bad[] = {QUALITY_FAULT, QUALITY_CANNOT,
						   QUALITY_MISBEHAVED, QUALITY_REFUSED};
	static const enum quality_outcome fine[] = {QUALITY_SILENT, QUALITY_THROTTLED, QUALITY_LOST,
						    QUALITY_ABSTAINED};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct quality few = fresh(), many = fresh();

		ends(&few, bad[i], 2, SECOND);
		assert_true(quality_vouches(&few));
		ends(&few, bad[i], 1, SECOND);
		assert_false(quality_vouches(&few));
		ends(&many, QUALITY_ANSWER, 21, SECOND);
		ends(&many, fine[i], 50, SECOND);
		ends(&many, bad[i], 3, SECOND);
		assert_true(quality_vouches(&many));
		ends(&many, bad[i], 1, SECOND);
		assert_false(quality_vouches(&many));
	}
}

static void what_is_known_of_it_stays_while_it_rests(void **state)
{
	struct quality q = fresh();
	struct quality_score score;

	score = quality_judge(&q, 0);
	assert_int_equal(quality_awake(&score), PICK_HEALTHY);
	ends(&q, QUALITY_ANSWER, 90, SECOND);
	ends(&q, QUALITY_FAULT, 10, SECOND);
	score = quality_judge(&q, 0);
	assert_int_equal(score.health, 0);
	assert_int_equal(quality_awake(&score), PICK_HEALTHY * 10 / 18);
}

static void rests_double_up_to_their_bound_until_it_was_good_for_a_window(void **state)
{
	struct quality q = fresh();
	usec_t now = SECOND, rest = limits.cooldown_us;

	for (int i = 0; i < 10; i++) {
		end(&q, QUALITY_CANNOT, now);
		assert_int_equal(q.until_us, now + rest);
		now = q.until_us;
		quality_turn(&q, now);
		assert_int_equal(q.state, QUALITY_TRIAL);
		rest = MIN(2 * rest, limits.cooldown_max_us);
	}
	bring_back(&q, now);
	end(&q, QUALITY_CANNOT, now + limits.window_us - 1);
	assert_int_equal(q.until_us, now + limits.window_us - 1 + limits.cooldown_max_us);
	now = q.until_us;
	bring_back(&q, now);
	now += limits.window_us;
	end(&q, QUALITY_CANNOT, now);
	assert_int_equal(q.until_us, now + limits.cooldown_us);
}

static void an_answer_while_it_rests_ends_the_rest(void **state)
{
	struct quality q = fresh();

	ends(&q, QUALITY_CANNOT, 1, SECOND);
	end_after(&q, QUALITY_ANSWER, MS, SECOND + 10 * MS); /* nobody else was left to ask */
	assert_int_equal(q.state, QUALITY_TRIAL);
}

/* --- figures --- */

static void windows_forget(void **state)
{
	struct quality q = fresh();
	usec_t now = SECOND;

	for (unsigned i = 0; i < QUALITY_WINDOWS; i++, now += limits.window_us / QUALITY_WINDOWS) {
		end(&q, QUALITY_ANSWER, now);
		end(&q, QUALITY_FAULT, now);
	}
	assert_int_equal(q.sum.outcomes[QUALITY_FAULT], QUALITY_WINDOWS);
	for (unsigned i = QUALITY_WINDOWS; i > 0; i--) {
		assert_int_equal(q.sum.outcomes[QUALITY_FAULT], i);
		assert_int_equal(q.sum.outcomes[QUALITY_ANSWER], i);
		quality_turn(&q, now);
		now += limits.window_us / QUALITY_WINDOWS;
	}
	assert_int_equal(q.sum.outcomes[QUALITY_FAULT], 0);
	assert_int_equal(quality_counts_quantile(&q.sum, 0.5), 0);
	assert_int_equal(health(&q), PICK_HEALTHY);
}

static void the_sum_is_that_of_the_windows(void **state)
{
	struct gen gen = gen_init(gen_env("CF_COUNT_SEED", 1));
	struct quality q = fresh();
	usec_t now = SECOND;

	for (uint64_t i = 0; i < gen_cases(2000); i++) {
		struct quality_counts sum = {0};

		now += (usec_t)gen_below(&gen, 3 * SECOND);
		if (gen_below(&gen, 100) == 0)
			now += (usec_t)gen_below(&gen, 100) * SECOND;
		end_after(&q, (enum quality_outcome)gen_below(&gen, QUALITY_OUTCOMES),
			  (usec_t)gen_below(&gen, SECOND), now);
		for (size_t k = 0; k < QUALITY_WINDOWS; k++)
			quality_counts_add(&sum, &q.windows[k]);
		assert_memory_equal(&sum, &q.sum, sizeof(sum));
	}
}

static void quantiles_are_at_most_a_quarter_above(void **state)
{
	struct gen gen = gen_init(gen_env("CF_COUNT_SEED", 1));

	for (uint64_t i = 0; i < gen_cases(2000); i++) {
		usec_t took = 1 + (usec_t)(gen_u64(&gen) >> (38 + gen_below(&gen, 20)));
		struct quality q = fresh();
		usec_t p50;

		end_after(&q, QUALITY_ANSWER, took, 1000 * SECOND);
		p50 = quality_counts_quantile(&q.sum, 0.5);
		assert_true(p50 >= took);
		assert_true(p50 <= took + MAX(took / 4, 32));
	}
}

static void no_latency_is_too_long_to_be_counted(void **state)
{
	struct quality q = fresh();

	end_after(&q, QUALITY_ANSWER, INT64_MAX / 4, INT64_MAX / 2);
	assert_int_equal(q.sum.latencies[QUALITY_BUCKETS - 1], 1);
	assert_true(quality_counts_quantile(&q.sum, 1) > 60 * SECOND);
}

static struct quality answering_in(usec_t took, unsigned n)
{
	struct quality q = fresh();

	for (unsigned i = 0; i < n; i++)
		end_after(&q, QUALITY_ANSWER, took, 10 * SECOND);
	return q;
}

static void three_times_as_slow_is_less_than_a_third_of_the_health(void **state)
{
	struct quality q = answering_in(90 * MS, QUALITY_SAMPLES_MIN);

	assert_in_range(quality_judge(&q, 30 * MS).health, 60, 85);
	assert_in_range(quality_judge(&q, 45 * MS).health, 120, 160);
	assert_int_equal(quality_judge(&q, 66 * MS).health, PICK_HEALTHY);
	assert_int_equal(quality_judge(&q, 200 * MS).health, PICK_HEALTHY);
	assert_int_equal(quality_judge(&q, 0).health, PICK_HEALTHY);
	q = answering_in(90 * MS, QUALITY_SAMPLES_MIN - 1);
	assert_int_equal(quality_judge(&q, 30 * MS).health, PICK_HEALTHY);
	q = answering_in(4 * MS, 1000); /* against 0.3 ms: nobody's concern */
	assert_int_equal(quality_judge(&q, 300).health, PICK_HEALTHY);
	q = answering_in(60 * SECOND, 1000);
	assert_int_equal(quality_judge(&q, 1).health, PICK_HEALTHY / (1 + QUALITY_LATENCY_MAX));
}

static void the_reference_is_the_lower_median_of_what_is_known(void **state)
{
	assert_int_equal(quality_reference((usec_t[]){0, 0}, 2), 0);
	assert_int_equal(quality_reference(NULL, 0), 0);
	assert_int_equal(quality_reference((usec_t[]){9}, 1), 9);
	assert_int_equal(quality_reference((usec_t[]){9, 3}, 2), 3);
	assert_int_equal(quality_reference((usec_t[]){9, 0, 3, 5, 0}, 5), 5);
	assert_int_equal(quality_reference((usec_t[]){1, 100, 100, 100, 100}, 5), 100);
	assert_int_equal(quality_reference((usec_t[]){100, 100, 4, 2, 3}, 5), 4);
}

static void blocks_behind_cost_from_the_third_on(void **state)
{
	struct quality q = fresh();
	uint16_t before = PICK_HEALTHY;

	for (uint64_t lag = 0; lag < 100; lag++) {
		quality_set_lag(&q, lag);
		if (lag <= QUALITY_LAG_FREE)
			assert_int_equal(health(&q), PICK_HEALTHY);
		else
			assert_true(health(&q) < PICK_HEALTHY);
		assert_true(health(&q) <= before);
		before = health(&q);
	}
	quality_set_lag(&q, UINT64_MAX);
	assert_int_equal(health(&q), PICK_HEALTHY / (1 + QUALITY_LAG_MAX));
}

/* --- properties --- */

static const enum quality_outcome failures[] = {
	QUALITY_FAULT,	   QUALITY_SILENT,     QUALITY_CANNOT,
	QUALITY_THROTTLED, QUALITY_MISBEHAVED, QUALITY_REFUSED,
};

/* Some minutes of a supplier whose manners change; *ret_now is where they end. */
static struct quality lived(struct gen *gen, usec_t *ret_now)
{
	struct quality q = fresh();
	usec_t now = SECOND;
	uint64_t events = gen_below(gen, 200), bad = gen_below(gen, 101);

	for (uint64_t i = 0; i < events; i++) {
		enum quality_outcome outcome = QUALITY_ANSWER;

		if (gen_below(gen, 100) < bad)
			outcome = (enum quality_outcome)gen_below(gen, QUALITY_OUTCOMES);
		now += (usec_t)gen_below(gen, 300 * MS);
		end_after(&q, outcome, (usec_t)gen_below(gen, 200 * MS), now);
	}
	quality_set_lag(&q, gen_below(gen, 6));
	*ret_now = now;
	return q;
}

static void health_is_monotone_and_bounded(void **state)
{
	struct gen gen = gen_init(gen_env("CF_COUNT_SEED", 1));

	for (uint64_t i = 0; i < gen_cases(2000); i++) {
		usec_t now, reference = (usec_t)gen_below(&gen, 100 * MS);
		struct quality q = lived(&gen, &now), worse = q;
		uint16_t before = quality_judge(&q, reference).health;

		if (q.state == QUALITY_READY)
			assert_in_range(before, 4, PICK_HEALTHY);
		if (q.state == QUALITY_COOLING)
			assert_int_equal(before, 0);
		assert_true(quality_judge(&q, reference / 2).health <= before || reference < 2);
		end_after(&worse, failures[gen_below(&gen, ARRAY_SIZE(failures))], 0, now);
		assert_true(quality_judge(&worse, reference).health <= before);
		worse = q;
		quality_set_lag(&worse, q.lag_blocks + 1 + gen_below(&gen, 10));
		assert_true(quality_judge(&worse, reference).health <= before);
		if (quality_latency(&q) > 0) { /* else it may just become known */
			end_after(&q, QUALITY_ANSWER, 0, now);
			assert_true(quality_judge(&q, reference).health >= before);
		}
	}
}

/* However it was treated, and whatever it did: from then on only answers, and it is back. */
static void everybody_recovers(void **state)
{
	struct gen gen = gen_init(gen_env("CF_COUNT_SEED", 1));

	for (uint64_t i = 0; i < gen_cases(2000) / 10 + 1; i++) {
		usec_t now, from;
		struct quality q = lived(&gen, &now);

		quality_set_lag(&q, 0);
		from = now;
		while (now < from + limits.cooldown_max_us + limits.window_us + 5 * SECOND) {
			now += 100 * MS;
			quality_turn(&q, now);
			if (health(&q) > 0)
				end(&q, QUALITY_ANSWER, now);
		}
		assert_int_equal(q.state, QUALITY_READY);
		assert_int_equal(quality_judge(&q, 20 * MS).health, PICK_HEALTHY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_not_been_seen_is_healthy),
		cmocka_unit_test(few_faults_say_little_and_do_not_cool),
		cmocka_unit_test(who_says_that_it_cannot_or_lies_cools_at_once),
		cmocka_unit_test(silence_cools_only_when_nothing_else_was_answered_meanwhile),
		cmocka_unit_test(who_loses_every_race_and_never_answers_cools),
		cmocka_unit_test(an_ended_session_a_lost_link_or_a_refusal_is_no_reason_to_cool),
		cmocka_unit_test(a_busy_one_rests_shortly_and_comes_back_as_it_was),
		cmocka_unit_test(what_was_sent_before_a_rest_does_not_lengthen_it),
		cmocka_unit_test(on_trial_there_is_one_relay_at_a_time),
		cmocka_unit_test(a_repaired_one_is_back_in_steps),
		cmocka_unit_test(what_it_did_wrong_is_not_forgotten_with_what_failed),
		cmocka_unit_test(who_is_bad_in_an_eighth_of_its_relays_vouches_for_nothing),
		cmocka_unit_test(what_is_known_of_it_stays_while_it_rests),
		cmocka_unit_test(rests_double_up_to_their_bound_until_it_was_good_for_a_window),
		cmocka_unit_test(an_answer_while_it_rests_ends_the_rest),
		cmocka_unit_test(windows_forget),
		cmocka_unit_test(the_sum_is_that_of_the_windows),
		cmocka_unit_test(quantiles_are_at_most_a_quarter_above),
		cmocka_unit_test(no_latency_is_too_long_to_be_counted),
		cmocka_unit_test(three_times_as_slow_is_less_than_a_third_of_the_health),
		cmocka_unit_test(the_reference_is_the_lower_median_of_what_is_known),
		cmocka_unit_test(blocks_behind_cost_from_the_third_on),
		cmocka_unit_test(health_is_monotone_and_bounded),
		cmocka_unit_test(everybody_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
