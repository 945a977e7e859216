/* SPDX-License-Identifier: Apache-2.0
 * Health of suppliers: states, shares, latency, the bound on concentration, and a simulated session
 * that picks by it. */
#include "tests/unit/unit.h"

#include "session/quality.h"
#include "tests/support/gen.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

static const struct quality_limits limits = {
	.window_us = 60 * SECOND,
	.cooldown_us = SECOND,
	.cooldown_max_us = 30 * SECOND,
};

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

static uint16_t health(const struct quality *q)
{
	return quality_judge(q, 0).health;
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

/* --- the bound on concentration --- */

static void check_cap(const uint64_t *weights, const uint16_t *before, size_t n, uint64_t percent)
{
	uint16_t after[4];
	uint64_t width = 0, stake = 0, next_width = 0, next_high = 0, cut = 0;

	memcpy(after, before, sizeof(after));
	quality_cap(weights, after, n, percent);
	for (size_t i = 0; i < n; i++) {
		assert_true(after[i] <= before[i]);
		assert_int_equal(after[i] > 0, before[i] > 0);
		stake += after[i] > 0 ? weights[i] : 0;
		width += weights[i] * after[i];
		if (after[i] < before[i]) {
			assert_true(cut == 0 || cut == after[i]);
			cut = after[i];
		}
	}
	for (size_t i = 0; i < n; i++)
		assert_true(after[i] * stake * 100 <= width * percent || after[i] == 1);
	if (cut == 0)
		return;
	for (size_t i = 0; i < n; i++) { /* one more would have been too much */
		uint64_t h = MIN((uint64_t)before[i], cut + 1);

		assert_true(before[i] <= cut || after[i] == cut);
		next_width += weights[i] * h;
		next_high = MAX(next_high, h);
	}
	assert_true(next_high * stake * 100 > next_width * percent);
}

static void no_owner_gets_more_than_its_stake_and_the_bound_allow(void **state)
{
	static const uint16_t healths[] = {0, 1, 5, 64, 255, 256};
	static const uint64_t stakes[] = {1, 2, 7}, percents[] = {100, 150, 200, 1000};

	for (unsigned h = 0; h < 6 * 6 * 6 * 6; h++) {
		const uint16_t some[] = {healths[h % 6], healths[h / 6 % 6], healths[h / 36 % 6],
					 healths[h / 216]};

		for (unsigned s = 0; s < 81; s++) {
			const uint64_t weights[] = {stakes[s % 3], stakes[s / 3 % 3],
						    stakes[s / 9 % 3], stakes[s / 27]};

			for (size_t n = 1; n <= 4; n++)
				check_cap(weights, some, n, percents[(h + s + n) % 4]);
		}
	}
}

static void one_fast_among_slow_ones_gets_twice_its_share_and_no_more(void **state)
{
	const uint64_t weights[] = {100, 100, 100, 100, 100};
	uint16_t healths[] = {256, 16, 16, 16, 16};
	unsigned sum = 0;

	quality_cap(weights, healths, 5, 200);
	for (size_t i = 0; i < 5; i++)
		sum += healths[i];
	assert_in_range(100 * healths[0] / sum, 38, 40); /* 2 x 20 % */
	assert_int_equal(healths[4], 16);
}

/* --- a simulated session --- */

#define SIM_MEMBERS 5
#define SIM_PENDING 4096

struct sim_relay {
	size_t member;
	unsigned epoch;
	usec_t sent_us, ends_us;
	enum quality_outcome outcome;
};

struct sim {
	struct gen gen;
	struct quality q[SIM_MEMBERS];
	uint64_t weights[SIM_MEMBERS];
	usec_t typical_us[SIM_MEMBERS]; /* a backend's time; half to one and a half of it */
	enum quality_outcome manners[SIM_MEMBERS]; /* what it does instead of answering ... */
	unsigned percent[SIM_MEMBERS];		   /* ... in so many of 100 relays */
	uint64_t picks[SIM_MEMBERS];
	uint64_t n;
	usec_t now;
	struct sim_relay pending[SIM_PENDING];
	size_t pending_n;
};

static void sim_init(struct sim *s)
{
	memset(s, 0, sizeof(*s));
	s->gen = gen_init(gen_env("CF_COUNT_SEED", 1));
	s->now = SECOND;
	for (size_t i = 0; i < SIM_MEMBERS; i++) {
		quality_init(&s->q[i], &limits);
		s->weights[i] = 100;
		s->typical_us[i] = 30 * MS;
	}
}

static void sim_settle(struct sim *s)
{
	for (size_t i = 0; i < s->pending_n;) {
		struct sim_relay r = s->pending[i];

		if (r.ends_us > s->now) {
			i++;
			continue;
		}
		quality_end(&s->q[r.member], r.epoch, r.outcome, r.sent_us, s->now - r.sent_us,
			    s->now);
		s->pending[i] = s->pending[--s->pending_n];
	}
}

static void sim_call(struct sim *s)
{
	const struct session_id id = {{1}};
	const struct key_id gateway = {{2}};
	struct pick_member members[SIM_MEMBERS];
	uint16_t healths[SIM_MEMBERS];
	usec_t latencies[SIM_MEMBERS], reference;
	struct sim_relay *r;
	struct pick pick;
	struct err err;

	for (size_t i = 0; i < SIM_MEMBERS; i++) {
		quality_turn(&s->q[i], s->now);
		latencies[i] = quality_latency(&s->q[i]);
	}
	reference = quality_reference(latencies, SIM_MEMBERS);
	for (size_t i = 0; i < SIM_MEMBERS; i++)
		healths[i] = quality_judge(&s->q[i], reference).health;
	quality_cap(s->weights, healths, SIM_MEMBERS, 200);
	for (size_t i = 0; i < SIM_MEMBERS; i++)
		members[i] = (struct pick_member){.weight = s->weights[i], .health = healths[i]};
	assert_ok(pick_member(&id, &gateway, 0, s->n++, PICK_BY_STAKE, members, SIM_MEMBERS, &pick,
			      &err),
		  err);
	assert_true(s->pending_n < SIM_PENDING);
	r = &s->pending[s->pending_n++];
	r->member = pick.member;
	r->sent_us = s->now;
	r->epoch = quality_begin(&s->q[pick.member]);
	r->outcome = QUALITY_ANSWER;
	r->ends_us = s->now + s->typical_us[pick.member] / 2 +
		     (usec_t)gen_below(&s->gen, (uint64_t)s->typical_us[pick.member]);
	if (gen_below(&s->gen, 100) < s->percent[pick.member])
		r->outcome = s->manners[pick.member];
	if (r->outcome == QUALITY_SILENT)
		r->ends_us = s->now + 3 * SECOND;
	s->picks[pick.member]++;
}

/* So many seconds of 200 calls each; counts the picks of that time. */
static void sim_run(struct sim *s, unsigned seconds)
{
	memset(s->picks, 0, sizeof(s->picks));
	for (unsigned i = 0; i < seconds * 200; i++) {
		s->now += SECOND / 200;
		sim_settle(s);
		sim_call(s);
	}
}

/* Per mille of the calls. */
static unsigned sim_part(const struct sim *s, size_t member)
{
	uint64_t all = 0;

	for (size_t i = 0; i < SIM_MEMBERS; i++)
		all += s->picks[i];
	return (unsigned)(1000 * s->picks[member] / all);
}

static void healthy_ones_share_by_stake(void **state)
{
	struct sim s;

	sim_init(&s);
	s.weights[0] = 600;
	sim_run(&s, 60);
	assert_in_range(sim_part(&s, 0), 570, 630);
	for (size_t i = 1; i < SIM_MEMBERS; i++)
		assert_in_range(sim_part(&s, i), 80, 120);
}

static void a_slower_one_gets_clearly_less_and_the_others_their_share(void **state)
{
	struct sim s;

	sim_init(&s);
	s.typical_us[2] = 90 * MS;
	sim_run(&s, 20);
	sim_run(&s, 120);
	assert_in_range(sim_part(&s, 2), 50, 110); /* fair were 200 */
	assert_in_range(sim_part(&s, 0), 200, 250);
}

static void a_fast_one_does_not_take_all(void **state)
{
	struct sim s;

	sim_init(&s);
	for (size_t i = 1; i < SIM_MEMBERS; i++)
		s.typical_us[i] = 300 * MS;
	sim_run(&s, 20);
	sim_run(&s, 120);
	assert_in_range(sim_part(&s, 0), 180, 400);
}

static void a_dead_one_gets_trials_only_and_its_share_again_when_repaired(void **state)
{
	struct sim s;

	sim_init(&s);
	sim_run(&s, 20);
	s.manners[3] = QUALITY_SILENT;
	s.percent[3] = 100;
	sim_run(&s, 10);
	sim_run(&s, 300);
	/* one relay a rest, and silence is known after 3 s */
	assert_in_range(s.picks[3], 1, 300 / (unsigned)(limits.cooldown_max_us / SECOND) + 6);
	s.percent[3] = 0;
	sim_run(&s, (unsigned)(limits.cooldown_max_us / SECOND) + 10);
	assert_int_equal(s.q[3].state, QUALITY_READY);
	sim_run(&s, 60);
	assert_in_range(sim_part(&s, 3), 170, 230);
}

static void one_that_lies_in_each_tenth_answer_is_asked_seldom(void **state)
{
	struct sim s;

	sim_init(&s);
	s.manners[1] = QUALITY_MISBEHAVED;
	s.percent[1] = 10;
	sim_run(&s, 60);
	sim_run(&s, 240);
	assert_true(s.picks[1] > 0);
	assert_in_range(sim_part(&s, 1), 0, 40);
}

static void one_without_room_gets_what_it_takes(void **state)
{
	struct sim s;

	sim_init(&s);
	s.manners[4] = QUALITY_THROTTLED;
	s.percent[4] = 50;
	sim_run(&s, 60);
	sim_run(&s, 120);
	assert_in_range(sim_part(&s, 4), 5, 100);
}

static void when_all_are_dead_all_are_asked(void **state)
{
	struct sim s;

	sim_init(&s);
	for (size_t i = 0; i < SIM_MEMBERS; i++) {
		s.manners[i] = QUALITY_FAULT;
		s.percent[i] = 100;
	}
	sim_run(&s, 60);
	for (size_t i = 0; i < SIM_MEMBERS; i++)
		assert_in_range(sim_part(&s, i), 150, 250);
	memset(s.percent, 0, sizeof(s.percent));
	sim_run(&s, 10);
	for (size_t i = 0; i < SIM_MEMBERS; i++)
		assert_int_equal(s.q[i].state, QUALITY_READY);
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
		cmocka_unit_test(no_owner_gets_more_than_its_stake_and_the_bound_allow),
		cmocka_unit_test(one_fast_among_slow_ones_gets_twice_its_share_and_no_more),
		cmocka_unit_test(healthy_ones_share_by_stake),
		cmocka_unit_test(a_slower_one_gets_clearly_less_and_the_others_their_share),
		cmocka_unit_test(a_fast_one_does_not_take_all),
		cmocka_unit_test(a_dead_one_gets_trials_only_and_its_share_again_when_repaired),
		cmocka_unit_test(one_that_lies_in_each_tenth_answer_is_asked_seldom),
		cmocka_unit_test(one_without_room_gets_what_it_takes),
		cmocka_unit_test(when_all_are_dead_all_are_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
