/* SPDX-License-Identifier: Apache-2.0
 * A supplier that tries to earn more than it served, in each way there is, in worlds that are
 * drawn: every attempt is refused by its own name, or has points that nobody can prove ([C5] to
 * [C10]). */
#include "tests/unit/unit.h"

#include <inttypes.h>

#include "tests/support/gen.h"
#include "tests/unit/claim_world.h"

#define NOW 200
#define CASES_MAX 20000 /* each signs and verifies: half a millisecond, more with sanitizers */

#define assert_fault(gen, got, want)                                                               \
	do {                                                                                       \
		if ((got) != (want))                                                               \
			print_message("# CF_SEED=%" PRIu64 "\n", (gen)->seed);                     \
		assert_string_equal(settle_fault_name(got), settle_fault_name(want));              \
	} while (0)

static uint64_t cases_of_tier(void)
{
	return MIN(gen_cases(2000), CASES_MAX);
}

/* A world with something to claim in at least two records. */
static struct world *some_world(struct gen *gen, struct world_claim *wc)
{
	for (;;) {
		size_t sessions = 2 + gen_below(gen, 3), lanes = 1 + gen_below(gen, 3);
		struct world *w = world_create(sessions);

		for (size_t l = 0; l < lanes; l++)
			world_add_lane(w);
		for (size_t s = 0; s < sessions; s++) {
			w->session[s].terms.price = 1 + gen_below(gen, 5);
			w->session[s].terms.allowance = 20 + gen_below(gen, 100);
		}
		for (size_t i = 4 + gen_below(gen, 12); i > 0; i--)
			lane_serve(&w->lane[gen_below(gen, lanes)],
				   &w->session[gen_below(gen, sessions)],
				   (uint32_t)gen_below(gen, 6));
		world_claim_make(w, 0, sessions - 1, wc);
		if (wc->n >= 2)
			return w;
		world_destroy(w);
	}
}

static size_t session_of(const struct world *w, const struct claim_record *r)
{
	for (size_t s = 0; s < w->sessions_n; s++)
		if (w->session[s].start == r->start)
			return s;
	fail_msg("a record of no session");
	return 0;
}

/* Makes all sums right again, and the values if they were to be. */
static void sum_up(const struct world *w, struct world_claim *wc)
{
	u128 before = 0, in_session = 0;

	for (size_t i = 0; i < wc->n; i++) {
		struct claim_record *r = &wc->record[i];

		if (i == 0 || wc->record[i - 1].start != r->start)
			in_session = 0;
		r->value = (u128)r->cu * w->session[session_of(w, r)].terms.price;
		r->value_before = before;
		r->session_value_before = in_session;
		before += r->value;
		in_session += r->value;
	}
	world_seal(w, wc, true);
}

/* Points of the claim that the supplier has a leaf for. */
static u128 provable(const struct world *w, const struct world_claim *wc)
{
	u128 sum = 0;

	for (size_t i = 0; i < wc->n; i++) {
		const struct claim_record *r = &wc->record[i];
		const struct world_lane *lane = world_lane_of(w, &r->lane);
		cu_t held = lane ? world_cu(lane, &r->session) : 0;

		sum += (u128)MIN(held, r->cu) * w->session[session_of(w, r)].terms.price;
	}
	return sum;
}

/* --- attacks; each changes an honest claim and says what comes of it --- */

typedef enum settle_fault attack_fn(struct gen *gen, struct world *w, struct world_claim *wc);

static size_t any(struct gen *gen, const struct world_claim *wc)
{
	return gen_below(gen, wc->n);
}

static enum settle_fault overstated_total(struct gen *gen, struct world *w, struct world_claim *wc)
{
	wc->c.value += 1 + gen_below(gen, 1000);
	world_seal(w, wc, false);
	return SETTLE_TOTAL;
}

static enum settle_fault gap(struct gen *gen, struct world *w, struct world_claim *wc)
{
	u128 by = 1 + gen_below(gen, 50);

	for (size_t i = any(gen, wc); i < wc->n; i++)
		wc->record[i].value_before += by;
	world_seal(w, wc, true);
	return SETTLE_VALUE_BEFORE;
}

static enum settle_fault overlapping_values(struct gen *gen, struct world *w,
					    struct world_claim *wc)
{
	size_t i = 1 + gen_below(gen, wc->n - 1);

	wc->record[i].value_before -= 1 + gen_below(gen, (uint64_t)wc->record[i].value_before);
	world_seal(w, wc, true);
	return SETTLE_VALUE_BEFORE;
}

static enum settle_fault twice_the_same_record(struct gen *gen, struct world *w,
					       struct world_claim *wc)
{
	size_t i = any(gen, wc);

	for (size_t s = 0; s < w->sessions_n; s++) /* there is room for it */
		w->session[s].terms.allowance = 10000;
	memmove(&wc->record[i + 1], &wc->record[i], (wc->n - i) * sizeof(wc->record[0]));
	wc->n++;
	sum_up(w, wc);
	return SETTLE_ORDER;
}

static enum settle_fault records_out_of_order(struct gen *gen, struct world *w,
					      struct world_claim *wc)
{
	size_t i = gen_below(gen, wc->n - 1), j = i + 1 + gen_below(gen, wc->n - 1 - i);
	struct claim_record r = wc->record[i];

	for (size_t s = 0; s < w->sessions_n; s++)
		w->session[s].terms.allowance = 10000;
	wc->record[i] = wc->record[j];
	wc->record[j] = r;
	sum_up(w, wc);
	return SETTLE_ORDER;
}

static enum settle_fault not_drawn(struct gen *gen, struct world *w, struct world_claim *wc)
{
	w->session[session_of(w, &wc->record[any(gen, wc)])].terms.member = false;
	return SETTLE_NOT_DRAWN;
}

static enum settle_fault grant_revoked(struct gen *gen, struct world *w, struct world_claim *wc)
{
	w->session[session_of(w, &wc->record[any(gen, wc)])].terms.allowance = 0;
	return SETTLE_GRANT;
}

static enum settle_fault price_0(struct gen *gen, struct world *w, struct world_claim *wc)
{
	w->session[session_of(w, &wc->record[any(gen, wc)])].terms.price = 0;
	return SETTLE_NO_VALUE;
}

static enum settle_fault another_price(struct gen *gen, struct world *w, struct world_claim *wc)
{
	w->session[session_of(w, &wc->record[any(gen, wc)])].terms.price += 1;
	return SETTLE_VALUE;
}

static enum settle_fault no_units(struct gen *gen, struct world *w, struct world_claim *wc)
{
	wc->record[any(gen, wc)].cu = 0;
	sum_up(w, wc);
	return SETTLE_NO_VALUE;
}

static enum settle_fault units_of_2_to_the_63(struct gen *gen, struct world *w,
					      struct world_claim *wc)
{
	wc->record[any(gen, wc)].cu = UINT64_C(1) << 63;
	sum_up(w, wc);
	return SETTLE_ALLOWANCE;
}

static enum settle_fault above_the_allowance(struct gen *gen, struct world *w,
					     struct world_claim *wc)
{
	struct claim_record *r = &wc->record[any(gen, wc)];
	const struct settle_terms *t = &w->session[session_of(w, r)].terms;

	r->cu = (cu_t)(t->allowance / t->price) + 1;
	sum_up(w, wc);
	return SETTLE_ALLOWANCE;
}

/* Several lanes, each within the allowance, together over it: hidden from the second one's sum. */
static enum settle_fault allowance_once_a_lane(struct gen *gen, struct world *w,
					       struct world_claim *wc)
{
	size_t i = any(gen, wc);

	wc->record[i].session_value_before += 1;
	for (size_t k = 1; k < wc->n; k++) {
		if (wc->record[k].start == wc->record[k - 1].start) {
			wc->record[i].session_value_before -= 1;
			wc->record[k].session_value_before = 0;
			break;
		}
	}
	world_seal(w, wc, true);
	return SETTLE_SESSION_VALUE;
}

static enum settle_fault session_of_another(struct gen *gen, struct world *w,
					    struct world_claim *wc)
{
	gen_bytes(gen, wc->record[any(gen, wc)].session.b, 32);
	world_seal(w, wc, true);
	return SETTLE_SESSION;
}

static enum settle_fault session_beyond_the_range(struct gen *gen, struct world *w,
						  struct world_claim *wc)
{
	wc->c.to = wc->record[wc->n - 1].start;
	world_seal(w, wc, true);
	return wc->c.to > wc->c.from ? SETTLE_START : SETTLE_RANGE;
}

static enum settle_fault too_large_a_lane(struct gen *gen, struct world *w, struct world_claim *wc)
{
	wc->record[any(gen, wc)].size = LEAF_SEQ_END + 1 + gen_below(gen, 1000);
	world_seal(w, wc, true);
	return SETTLE_SIZE;
}

static enum settle_fault another_root(struct gen *gen, struct world *w, struct world_claim *wc)
{
	wc->c.root.b[gen_below(gen, 32)] ^= 1;
	world_seal(w, wc, false);
	return SETTLE_ROOT;
}

static enum settle_fault signed_for_another(struct gen *gen, struct world *w,
					    struct world_claim *wc)
{
	gen_bytes(gen, wc->c.supplier.b, 32); /* whose stake shall pay for it */
	return SETTLE_SIGNATURE;
}

static attack_fn *const refused[] = {
	overstated_total,
	gap,
	overlapping_values,
	twice_the_same_record,
	records_out_of_order,
	not_drawn,
	grant_revoked,
	price_0,
	another_price,
	no_units,
	units_of_2_to_the_63,
	above_the_allowance,
	allowance_once_a_lane,
	session_of_another,
	session_beyond_the_range,
	too_large_a_lane,
	another_root,
	signed_for_another,
};

static void every_attack_is_refused_by_its_name(void **state)
{
	struct gen gen = gen_init(20261126);

	for (uint64_t i = cases_of_tier(); i > 0; i--) {
		CLEANUP(world_claim_finish) struct world_claim wc = {0};
		CLEANUP(world_destroy) struct world *w = some_world(&gen, &wc);
		enum settle_fault want;

		assert_fault(&gen, world_check(w, &wc, NOW), SETTLE_FINE);
		want = refused[i % ARRAY_SIZE(refused)](&gen, w, &wc);
		assert_fault(&gen, world_check(w, &wc, NOW), want);
	}
}

/* --- what the pass cannot see: the points without a leaf are exactly what was not served --- */

/* More units than the lane holds, as far as the allowance goes. */
static void overstate_units(struct gen *gen, struct world *w, struct world_claim *wc)
{
	wc->record[any(gen, wc)].cu += 1 + gen_below(gen, 5);
	for (size_t s = 0; s < w->sessions_n; s++)
		w->session[s].terms.allowance += 1000;
	sum_up(w, wc);
}

/* A lane that served other sessions is claimed for this one too. */
static void replay_lane(struct gen *gen, struct world *w, struct world_claim *wc)
{
	size_t i = any(gen, wc), s = gen_below(gen, w->sessions_n), at = 0;
	struct claim_record r = wc->record[i];

	for (size_t k = 0; k < w->sessions_n; k++)
		w->session[k].terms.allowance += 1000;
	r.session = w->session[s].terms.id;
	r.start = w->session[s].start;
	r.cu = 1 + gen_below(gen, 9);
	while (at < wc->n && (wc->record[at].start < r.start ||
			      (wc->record[at].start == r.start &&
			       memcmp(wc->record[at].lane.b, r.lane.b, 16) < 0)))
		at++;
	if (at < wc->n && wc->record[at].start == r.start && ID_EQ(&wc->record[at].lane, &r.lane)) {
		wc->record[at].cu += r.cu;
	} else {
		memmove(&wc->record[at + 1], &wc->record[at], (wc->n - at) * sizeof(r));
		wc->record[at] = r;
		wc->n++;
	}
	sum_up(w, wc);
}

/* A lane that there never was. */
static void invent_lane(struct gen *gen, struct world *w, struct world_claim *wc)
{
	struct claim_record r = wc->record[wc->n - 1];

	for (size_t k = 0; k < w->sessions_n; k++)
		w->session[k].terms.allowance += 1000;
	memset(r.lane.b, 0xFF, sizeof(r.lane.b));
	r.cu = 1 + gen_below(gen, 9);
	wc->record[wc->n++] = r;
	sum_up(w, wc);
}

typedef void gamble_fn(struct gen *gen, struct world *w, struct world_claim *wc);

static void what_was_not_served_is_what_cannot_be_proved(void **state)
{
	static gamble_fn *const gambles[] = {overstate_units, replay_lane, invent_lane};
	struct gen gen = gen_init(20261127);
	uint64_t cases = cases_of_tier() / 4 + 1, lose = 0;

	for (uint64_t i = cases; i > 0; i--) {
		CLEANUP(world_claim_finish) struct world_claim wc = {0};
		CLEANUP(world_destroy) struct world *w = some_world(&gen, &wc);
		CLEANUP(buf_finish) struct buf note = {0};
		u128 honest, with = 0, x;
		struct claim_proof proof;

		gambles[i % ARRAY_SIZE(gambles)](&gen, w, &wc);
		assert_fault(&gen, world_check(w, &wc, NOW), SETTLE_FINE);
		for (x = 0; x < wc.c.value; x++) {
			uint32_t at;
			const struct world_lane *lane;
			const struct claim_record *r;
			size_t leaf;

			assert_true(claim_point_record(buf_view(&wc.records), x, &at));
			r = &wc.record[at];
			lane = world_lane_of(w, &r->lane);
			with += lane &&
				lane_find(lane, &r->session,
					  claim_point_cu(r, x,
							 w->session[session_of(w, r)].terms.price),
					  &leaf);
		}
		honest = provable(w, &wc);
		assert_true(with == honest);
		lose += with < wc.c.value; /* else it had held back what the allowance cut off */
		/* one such point through the registry's own check, if it can be made up at all */
		x = gen_below(&gen, (uint64_t)wc.c.value);
		if (world_prove(w, &wc, x, &note, &proof)) {
			struct seed seed = world_seed_for(&wc, x);

			assert_fault(&gen, world_check_proof(w, &wc, &proof, &seed), SETTLE_FINE);
		}
	}
	assert_true(lose > cases / 2);
}

/* --- proofs --- */

/* A leaf from elsewhere in the place of the one that is asked for. */
static void a_foreign_leaf_proves_nothing(void **state)
{
	struct gen gen = gen_init(20261128);

	for (uint64_t i = cases_of_tier() / 8 + 1; i > 0; i--) {
		CLEANUP(world_claim_finish) struct world_claim wc = {0};
		CLEANUP(world_destroy) struct world *w = some_world(&gen, &wc);
		CLEANUP(buf_finish) struct buf note = {0};
		u128 x = gen_below(&gen, (uint64_t)wc.c.value);
		struct seed seed = world_seed_for(&wc, x);
		const struct world_lane *lane;
		struct claim_proof proof;
		struct leaf leaf;
		enum settle_fault want;
		struct err err;
		size_t at;

		assert_true(world_prove(w, &wc, x, &note, &proof));
		lane = &w->lane[gen_below(&gen, w->lanes_n)];
		if (lane->n == 0)
			continue;
		at = gen_below(&gen, lane->n);
		if (memcmp(proof.leaf, lane->leaf[at], LEAF_SIZE) == 0)
			continue;
		memcpy(proof.leaf, lane->leaf[at], LEAF_SIZE);
		assert_true(tile_prove_inclusion(at, lane->n, lane_tile, (void *)lane,
						 &proof.leaf_path, &err));
		assert_int_equal(leaf_decode(proof.leaf, &leaf), LEAF_FINE);
		if (!ID_EQ(&leaf.session, &proof.record.session))
			want = SETTLE_LEAF_SESSION;
		else if (!claim_point_leaf(
				 &leaf, &proof.record,
				 claim_point_cu(
					 &proof.record, x,
					 w->session[session_of(w, &proof.record)].terms.price)))
			want = SETTLE_LEAF_POINT;
		else
			want = SETTLE_LEAF_PATH; /* it would do, and is of another lane */
		assert_fault(&gen, world_check_proof(w, &wc, &proof, &seed), want);
	}
}

/* [C5]: ranges meet iff some session is in both. */
static void a_session_is_claimed_once(void **state)
{
	struct gen gen = gen_init(20261129);

	for (int i = 0; i < 2000; i++) {
		struct claim a = {.from = 10 * gen_below(&gen, 8)},
			     b = {.from = 10 * gen_below(&gen, 8)};
		bool both = false;

		a.to = a.from + 10 + 10 * gen_below(&gen, 8);
		b.to = b.from + 10 + 10 * gen_below(&gen, 8);
		for (height_t start = 0; start < 200; start += 10)
			both |= start >= a.from && start < a.to && start >= b.from && start < b.to;
		assert_int_equal(settle_overlap(&a, &b), both);
		assert_int_equal(settle_overlap(&b, &a), both);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_attack_is_refused_by_its_name),
		cmocka_unit_test(what_was_not_served_is_what_cannot_be_proved),
		cmocka_unit_test(a_foreign_leaf_proves_nothing),
		cmocka_unit_test(a_session_is_claimed_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
