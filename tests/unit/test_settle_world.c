/* SPDX-License-Identifier: Apache-2.0
 * A world so small that all of it can be looked at: every honest claim, every claim of any CU,
 * every point of each ([C6], [C8]). */
#include "tests/unit/unit.h"

#include "tests/unit/claim_world.h"

#define NOW 150
#define CELLS 4 /* (session, lane): 2 x 2 */

/* What is served, priced and allowed. */
struct setting {
	uint32_t served[CELLS]; /* CU, by session, then lane */
	uint64_t price[2];
	u128 allowance[2];
	bool in_ones; /* leaves of 1 CU each, refusals between them; else one leaf */
};

static struct world *world_of(const struct setting *s)
{
	struct world *w = world_create(2);

	for (size_t l = 0; l < 2; l++)
		world_add_lane(w);
	for (size_t i = 0; i < 2; i++) {
		w->session[i].terms.price = s->price[i];
		w->session[i].terms.allowance = s->allowance[i];
	}
	for (size_t i = 0; i < CELLS; i++) {
		struct world_lane *lane = &w->lane[i % 2];
		const struct world_session *session = &w->session[i / 2];

		for (uint32_t n = 0; s->in_ones && n < s->served[i]; n++) {
			lane_serve(lane, session, 1);
			lane_serve(lane, session, 0);
		}
		if (!s->in_ones && s->served[i] > 0)
			lane_serve(lane, session, s->served[i]);
	}
	return w;
}

/* How many records and leaves of all there are answer to a point; by looking at each. */
static size_t answers(const struct world *w, const struct world_claim *wc, u128 x)
{
	size_t found = 0, records = 0;

	for (size_t i = 0; i < wc->n; i++) {
		const struct claim_record *r = &wc->record[i];
		uint64_t price = (uint64_t)(r->value / r->cu);
		cu_t z;

		if (x < r->value_before || x >= r->value_before + r->value)
			continue;
		records++;
		z = claim_point_cu(r, x, price);
		for (size_t l = 0; l < w->lanes_n; l++) {
			for (size_t k = 0; k < w->lane[l].n; k++) {
				struct leaf leaf;

				assert_int_equal(leaf_decode(w->lane[l].leaf[k], &leaf), LEAF_FINE);
				found += ID_EQ(&w->lane[l].id, &r->lane) &&
					 claim_point_leaf(&leaf, r, z);
			}
		}
	}
	assert_int_equal(records, 1);
	return found;
}

/* What each session may bring: what was served, as far as the allowance goes. */
static u128 honest_value(const struct setting *s)
{
	u128 sum = 0;

	for (size_t i = 0; i < 2; i++) {
		u128 left = s->allowance[i];

		for (size_t l = 0; l < 2; l++) {
			u128 cu = MIN((u128)s->served[2 * i + l], left / s->price[i]);

			left -= cu * s->price[i];
			sum += cu * s->price[i];
		}
	}
	return sum;
}

static void one_honest_claim(const struct setting *s)
{
	CLEANUP(world_destroy) struct world *w = world_of(s);
	CLEANUP(world_claim_finish) struct world_claim wc = {0};

	world_claim_make(w, 0, 1, &wc);
	assert_true(wc.c.value == honest_value(s));
	if (wc.n == 0) {
		assert_int_equal(world_check(w, &wc, NOW), SETTLE_AMOUNT);
		return;
	}
	assert_int_equal(world_check(w, &wc, NOW), SETTLE_FINE);
	for (u128 x = 0; x < wc.c.value; x++)
		assert_int_equal(answers(w, &wc, x), 1);
}

/* 4^4 ways to serve, 3 x 3 allowances, two pairs of prices, two kinds of leaves. */
static void every_honest_claim_stands_and_each_point_has_one_leaf(void **state)
{
	static const u128 allowances[] = {1, 4, 9};
	struct setting s;

	for (unsigned i = 0; i < 256; i++) {
		for (unsigned k = 0; k < 9; k++) {
			for (size_t c = 0; c < CELLS; c++)
				s.served[c] = i >> 2 * c & 3;
			s.allowance[0] = allowances[k % 3];
			s.allowance[1] = allowances[k / 3];
			s.price[0] = 1 + (i + k) % 2;
			s.price[1] = 3 - (i + k) % 2;
			s.in_ones = (i + k / 2) % 2;
			one_honest_claim(&s);
		}
	}
}

/* A claim of these CU with all sums right. */
static void claim_of_any_cu(const struct world *w, const struct setting *s,
			    const uint32_t claimed[CELLS], struct world_claim *wc)
{
	u128 before = 0;

	world_claim_make(w, 0, 1, wc); /* the frame of it */
	wc->n = 0;
	for (size_t i = 0; i < CELLS; i++) {
		const struct world_lane *lane = &w->lane[i % 2];
		struct claim_record r = {.session = w->session[i / 2].terms.id,
					 .start = w->session[i / 2].start,
					 .lane = lane->id,
					 .size = lane->n,
					 .root = lane_root(lane, lane->n),
					 .cu = claimed[i],
					 .value = (u128)claimed[i] * s->price[i / 2],
					 .value_before = before};

		if (claimed[i] == 0)
			continue;
		if (wc->n > 0 && wc->record[wc->n - 1].start == r.start)
			r.session_value_before = wc->record[wc->n - 1].session_value_before +
						 wc->record[wc->n - 1].value;
		before += r.value;
		wc->record[wc->n++] = r;
	}
	world_seal(w, wc, true);
}

/* One claim of any CU: it stands iff it keeps to the allowances; of its points as many have a leaf
 * as were served; and on average it brings no more than an honest one.  Times V, to stay whole:
 * with x V - without x min(V, stake) <= honest x V. */
static void one_claim_of_any_cu(struct world *w, const struct setting *s,
				const uint32_t claimed[CELLS])
{
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	u128 served = 0, with = 0, value, stake;
	bool kept = true;

	for (size_t i = 0; i < 2; i++) {
		kept &= (u128)(claimed[2 * i] + claimed[2 * i + 1]) * s->price[i] <=
			s->allowance[i];
		for (size_t l = 0; l < 2; l++)
			served += (u128)MIN(claimed[2 * i + l], s->served[2 * i + l]) * s->price[i];
	}
	claim_of_any_cu(w, s, claimed, &wc);
	if (wc.n == 0)
		return;
	assert_int_equal(world_check(w, &wc, NOW), kept ? SETTLE_FINE : SETTLE_ALLOWANCE);
	if (!kept)
		return;
	value = wc.c.value;
	for (u128 x = 0; x < value; x++) {
		size_t found = answers(w, &wc, x);

		assert_true(found <= 1);
		with += found;
	}
	assert_true(with == served && with <= honest_value(s));
	for (stake = 0; stake <= 2 * value; stake++) {
		u128 burned = settle_take(value, stake, 0).standing;

		assert_true(with * value <= honest_value(s) * value + (value - with) * burned);
		/* with a stake an overstated claim brings less than what was served of it */
		if (with < value && stake > 0)
			assert_true((value - with) * burned > 0);
	}
}

static void any_claim_brings_at_most_what_was_served(void **state)
{
	static const struct setting settings[] = {
		{{2, 1, 0, 3}, {1, 2}, {3, 6}, false},
		{{3, 0, 1, 1}, {2, 1}, {8, 2}, true},
		{{0, 0, 2, 2}, {1, 3}, {4, 12}, false},
	};
	uint32_t claimed[CELLS];

	for (size_t k = 0; k < ARRAY_SIZE(settings); k++) {
		CLEANUP(world_destroy) struct world *w = world_of(&settings[k]);

		for (unsigned i = 0; i < 625; i++) {
			for (unsigned c = 0, rest = i; c < CELLS; c++, rest /= 5)
				claimed[c] = rest % 5;
			one_claim_of_any_cu(w, &settings[k], claimed);
		}
	}
}

/* The registry's own word on each point of an overstated claim: exactly those without a leaf cannot
 * be proved. */
static void points_without_a_leaf_cannot_be_proved(void **state)
{
	static const struct setting s = {{2, 1, 0, 3}, {1, 2}, {6, 10}, true};
	static const uint32_t claimed[CELLS] = {4, 2, 0, 5};
	CLEANUP(world_destroy) struct world *w = world_of(&s);
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	CLEANUP(buf_finish) struct buf note = {0};
	u128 proved = 0;

	claim_of_any_cu(w, &s, claimed, &wc);
	assert_int_equal(world_check(w, &wc, NOW), SETTLE_FINE);
	assert_true(wc.c.value == 4 + 2 + 5 * 2);
	for (u128 x = 0; x < wc.c.value; x++) {
		struct seed seed = world_seed_for(&wc, x);
		struct claim_proof proof;

		if (world_prove(w, &wc, x, &note, &proof)) {
			assert_int_equal(world_check_proof(w, &wc, &proof, &seed), SETTLE_FINE);
			proved++;
			continue;
		}
		/* whatever leaf of whatever lane is shown instead, none will do */
		for (u128 y = 0; y < wc.c.value; y++)
			if (world_prove(w, &wc, y, &note, &proof))
				assert_int_not_equal(world_check_proof(w, &wc, &proof, &seed),
						     SETTLE_FINE);
	}
	assert_true(proved == 2 + 1 + 3 * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_honest_claim_stands_and_each_point_has_one_leaf),
		cmocka_unit_test(any_claim_brings_at_most_what_was_served),
		cmocka_unit_test(points_without_a_leaf_cannot_be_proved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
