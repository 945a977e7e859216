/* SPDX-License-Identifier: Apache-2.0
 * Whose turn it is: the bound on concentration, and simulated sessions of good and bad suppliers.
 */
#include "tests/unit/unit.h"

#include "tests/unit/quality_world.h"

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
