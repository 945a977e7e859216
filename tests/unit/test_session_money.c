/* SPDX-License-Identifier: Apache-2.0
 * Money over time, against the plain formulation of the rules ([P1] to [P3], [P6]). */
#include "tests/unit/unit.h"

#include "session/settle.h"
#include "tests/unit/history_world.h"

#define SUBJECTS 3
#define STEPS 4

/* Grants, escrow and stake of application 1 and supplier 1 that change at random heights. */
struct story {
	height_t at[SUBJECTS][STEPS];
	u128 budget[SUBJECTS][STEPS];
	u128 escrow[STEPS];
	height_t escrow_at[STEPS];
	height_t gone[STEPS];	     /* by which what was withdrawn then has left */
	struct session_params p, p2; /* p2: from height p2_at on */
	height_t p2_at;
	struct pause_entry pause[2];
};

static const struct session_params *in_force(const struct story *s, height_t height)
{
	return height < s->p2_at ? &s->p : &s->p2;
}

static bool is_kept(const struct story *s, height_t height)
{
	for (size_t i = 0; i < 2; i++)
		if (height < s->pause[i].height &&
		    height >= s->pause[i].height - s->pause[i].missed)
			return false;
	return true;
}

/* By each snapshot ahead of the withdrawal, height by height ([P6]). */
static height_t leaves(const struct story *s, height_t withdrawn)
{
	height_t latest = 0;

	for (height_t snapshot = 0; snapshot < withdrawn; snapshot++) {
		const struct session_params *p = in_force(s, snapshot);
		uint64_t left = (session_claim_horizon(p) + 1) * p->session_blocks;
		height_t height = snapshot + 1;

		for (; left > 0; height++)
			left -= is_kept(s, height);
		latest = MAX(latest, height);
	}
	return latest;
}

/* Other windows from some height on, and two pauses. */
static void tell_times(struct gen *gen, struct story *s, struct history *h)
{
	struct params_entry e = {.params = s->p};
	height_t from = 2 + gen_below(gen, 80);

	e.height = s->p2_at = 1 + gen_below(gen, 150);
	e.params.claim_window = 1 + gen_below(gen, 40);
	s->p2 = e.params;
	assert_ok(history_add_params(h, &e, &why), why);
	for (size_t i = 0; i < 2; i++) {
		struct pause_entry *p = &s->pause[i];

		p->missed = 1 + gen_below(gen, 40);
		p->height = from + p->missed;
		from = p->height + 1 + gen_below(gen, 40);
		assert_ok(history_add_pause(h, p, &why), why);
	}
	for (size_t k = 0; k < STEPS; k++)
		s->gone[k] = leaves(s, s->escrow_at[k]);
}

static struct history *tell(struct gen *gen, struct story *s)
{
	static const char *const services[SUBJECTS] = {"btc", "eth", "zec"};
	struct history *h = history_create(&network, &every_second);
	struct params_entry e = {0, session_params_default};

	e.params.session_blocks = 1 + gen_below(gen, 12);
	e.params.snapshot_lag = 2 + gen_below(gen, 9);
	e.params.seed_lag = 1;
	e.params.grace_blocks = 0;
	e.params.claim_window = 1 + gen_below(gen, 20);
	e.params.challenge_lag = e.params.proof_window = 1 + gen_below(gen, 4);
	s->p = e.params;
	assert_ok(history_add_params(h, &e, &why), why);
	for (size_t k = 0; k < STEPS; k++) {
		for (size_t i = 0; i < SUBJECTS; i++) {
			s->at[i][k] = (k ? s->at[i][k - 1] + 1 : 0) + gen_below(gen, 40);
			s->budget[i][k] = gen_below(gen, 4) * 10;
			assert_true(add_grant(h, 1, 2, services[i], s->at[i][k], s->budget[i][k],
					      k + 1));
		}
		s->escrow_at[k] = (k ? s->escrow_at[k - 1] + 1 : 0) + gen_below(gen, 40);
		s->escrow[k] = gen_below(gen, 1500);
		assert_true(add_application(h, 1, s->escrow_at[k], s->escrow[k]));
		assert_true(add_supplier(h, 1, s->escrow_at[k], s->escrow[k], "a:1", "eth"));
	}
	tell_times(gen, s, h);
	/* neighbours whose entries must not be taken for theirs */
	assert_true(add_grant(h, 0, 2, "eth", 0, 999, 1) && add_grant(h, 2, 2, "eth", 0, 999, 1));
	assert_true(add_application(h, 0, 0, 5000) && add_application(h, 0, 50, 0));
	assert_true(add_application(h, 2, 0, 5000) && add_application(h, 2, 50, 0));
	assert_true(add_supplier(h, 0, 0, 5000, "a:1", "eth") &&
		    add_supplier(h, 0, 50, 0, "a:1", "eth"));
	assert_true(add_supplier(h, 2, 0, 5000, "a:1", "eth") &&
		    add_supplier(h, 2, 50, 0, "a:1", "eth"));
	assert_ok(history_seal(h, &why), why);
	return h;
}

/* What stands at a height in a row of steps; 0 before the first. */
static u128 value_at(const height_t *at, const u128 *value, height_t height)
{
	u128 v = 0;

	for (size_t k = 0; k < STEPS; k++)
		if (at[k] <= height)
			v = value[k];
	return v;
}

/* claim_horizon x the sum of the largest budgets at the snapshots of the last sessions ([P3]). */
static u128 needed(const struct story *s, height_t start)
{
	uint64_t horizon = session_claim_horizon(in_force(s, start - s->p.snapshot_lag));
	u128 sum = 0;

	for (size_t i = 0; i < SUBJECTS; i++) {
		u128 largest = 0;

		for (uint64_t k = 0; k < horizon && start >= k * s->p.session_blocks; k++) {
			height_t then = start - k * s->p.session_blocks;

			if (then >= s->p.snapshot_lag)
				largest = MAX(largest, value_at(s->at[i], s->budget[i],
								then - s->p.snapshot_lag));
		}
		sum += largest;
	}
	return sum * horizon;
}

/* What went out and is not gone yet. */
static u128 thawing(const struct story *s, height_t height)
{
	u128 sum = 0;

	for (size_t k = 1; k < STEPS; k++)
		if (s->escrow_at[k] <= height && height < s->gone[k] &&
		    s->escrow[k] < s->escrow[k - 1])
			sum += s->escrow[k - 1] - s->escrow[k];
	return sum;
}

static void check_session(const struct history *h, const struct story *s, height_t start)
{
	const struct key_id application = {{1}}, gateway = {{2}};
	const struct service_name eth = name_of("eth");
	height_t snapshot = start - s->p.snapshot_lag;
	u128 budget = value_at(s->at[1], s->budget[1], snapshot);
	u128 escrow = value_at(s->escrow_at, s->escrow, snapshot);
	u128 want = needed(s, start), allowance = 7;
	struct err err = {0};
	bool granted = history_allowance(h, &application, &gateway, &eth, start, &allowance, &err);

	assert_true(history_escrow_needed(h, &application, start) == want);
	assert_int_equal(granted, budget > 0 && escrow >= want);
	assert_true(allowance == (granted ? budget / s->p.session_suppliers : 7));
	if (!granted)
		assert_err(err, ERR_GRANT);
}

static void escrow_and_allowances_are_those_of_the_rule(void **state)
{
	struct gen gen = gen_init(20261126);
	uint64_t cases = gen_cases(2000) / 20;

	print_message("# CF_SEED=%llu\n", (unsigned long long)gen.seed);
	for (uint64_t i = 0; i < cases; i++) {
		struct story s;
		CLEANUP(history_unref) struct history *h = tell(&gen, &s);
		const struct key_id key = {{1}};

		for (height_t at = 0; at < 400; at += 1 + gen_below(&gen, 3)) {
			if (at % s.p.session_blocks == 0 && at >= s.p.snapshot_lag)
				check_session(h, &s, at);
			assert_true(history_thawing_escrow(h, &key, at) == thawing(&s, at));
			assert_true(history_thawing_stake(h, &key, at) == thawing(&s, at));
		}
	}
}

static void no_allowance_without_session_grant_or_escrow(void **state)
{
	CLEANUP(history_unref) struct history *h = history_new();
	const struct session_params *p = &session_params_default;
	const struct key_id application = {{1}}, other = {{9}}, gateway = {{2}};
	const struct service_name eth = name_of("eth"), btc = name_of("btc");
	const u128 enough = (u128)session_claim_horizon(p) * 300;
	height_t start = p->session_blocks;
	u128 allowance = 7;

	assert_true(add_grant(h, 1, 2, "eth", 0, 300, 1) && add_grant(h, 3, 2, "eth", 0, 0, 1) &&
		    add_grant(h, 4, 2, "eth", 0, 300, 1) && add_application(h, 1, 0, enough) &&
		    add_application(h, 3, 0, enough) && add_application(h, 4, 0, enough - 1));
	assert_ok(history_seal(h, &why), why);
	assert_ok(history_allowance(h, &application, &gateway, &eth, start, &allowance, &why), why);
	assert_true(allowance == 300 / p->session_suppliers);
	allowance = 7;
	assert_false(
		history_allowance(h, &application, &gateway, &eth, start + 1, &allowance, &why));
	assert_err(why, ERR_NO_SESSION);
	assert_false(history_allowance(h, &application, &gateway, &eth, 0, &allowance, &why));
	assert_err(why, ERR_NO_SESSION);
	assert_false(history_allowance(h, &other, &gateway, &eth, start, &allowance, &why));
	assert_err(why, ERR_GRANT);
	assert_false(history_allowance(h, &application, &other, &eth, start, &allowance, &why));
	assert_err(why, ERR_GRANT);
	assert_false(history_allowance(h, &application, &gateway, &btc, start, &allowance, &why));
	assert_err(why, ERR_GRANT);
	assert_non_null(strstr(why.msg, "no grant"));
	assert_false(history_allowance(h, &(struct key_id){{3}}, &gateway, &eth, start, &allowance,
				       &why));
	assert_err(why, ERR_GRANT);
	assert_non_null(strstr(why.msg, "revoked"));
	assert_false(history_allowance(h, &(struct key_id){{4}}, &gateway, &eth, start, &allowance,
				       &why));
	assert_err(why, ERR_GRANT);
	assert_non_null(strstr(why.msg, "escrow"));
	assert_true(allowance == 7);
}

/* --- payments and penalties ([P6]) --- */
#define MOVES 24

/* Withdrawals by hand, each with what is left of it. */
struct purse {
	struct thaw_entry e[MOVES];
	u128 rest[MOVES]; /* of the withdrawal of an entry */
	u128 in;
	size_t n;
};

static u128 on_its_way(struct purse *purse, uint64_t span, height_t height)
{
	u128 sum = 0;

	for (size_t i = 0; i < purse->n; i++)
		if (purse->e[i].height <= height && height - purse->e[i].height < span)
			sum += purse->rest[i];
	return sum;
}

/* Takes of the oldest that has not left. */
static void take_by_hand(struct purse *purse, uint64_t span, u128 amount)
{
	struct thaw_entry *last = &purse->e[purse->n - 1];
	u128 standing = MIN(amount, last->standing), thaw;

	thaw = MIN(amount - standing, on_its_way(purse, span, last->height));
	last->standing -= standing;
	last->taken += standing;
	last->taken_thaw += thaw;
	for (size_t i = 0; i < purse->n; i++)
		if (last->height - purse->e[i].height < span) {
			u128 part = MIN(thaw, purse->rest[i]);

			purse->rest[i] -= part;
			thaw -= part;
		}
	assert_true(thaw == 0);
}

/* One entry: pays in or withdraws, then something is taken. */
static void one_move(struct gen *gen, struct purse *purse, uint64_t span)
{
	struct thaw_entry *last = &purse->e[purse->n];
	u128 amount = gen_below(gen, 100);

	*last = purse->n > 0 ? last[-1] : (struct thaw_entry){0};
	last->height += 1 + gen_below(gen, MAX(span / 4, UINT64_C(1)));
	purse->rest[purse->n++] = 0;
	if (gen_below(gen, 2)) {
		last->standing += amount;
		purse->in += amount;
	} else {
		purse->rest[purse->n - 1] = MIN(amount, last->standing);
		last->standing -= MIN(amount, last->standing);
	}
	if (gen_below(gen, 2))
		take_by_hand(purse, span, gen_below(gen, 120));
}

static void what_is_taken_leaves_first_and_the_sums_are_kept(void **state)
{
	struct gen gen = gen_init(20261127);
	uint64_t cases = gen_cases(2000), span;
	struct history *h = history_new();

	print_message("# CF_SEED=%llu\n", (unsigned long long)gen.seed);
	assert_ok(history_seal(h, &why), why);
	span = (session_claim_horizon(history_params(h, 0)) + 1) *
	       history_params(h, 0)->session_blocks;
	for (uint64_t i = 0; i < cases; i++) {
		struct purse purse = {0};
		struct thaw_state s;

		for (size_t k = 0; k < MOVES; k++) {
			const struct thaw_entry *last = &purse.e[k];
			height_t later;

			one_move(&gen, &purse, span);
			later = last->height + gen_below(&gen, span);
			assert_true(history_thaw(h, purse.e, purse.n, later, &s));
			assert_true(s.thawing == on_its_way(&purse, span, later));
			assert_true(s.in == purse.in && s.standing == last->standing);
			assert_true(s.in ==
				    s.standing + s.taken + s.taken_thaw + s.thawing + s.left);
		}
	}
	history_unref(h);
}

/* Windows that fill the claim_horizon, 6, to the last height. */
static struct session_params to_the_last_height(void)
{
	struct session_params p = session_params_default;

	p.session_blocks = 10;
	p.snapshot_lag = 4;
	p.seed_lag = 2;
	p.claim_window = 30;
	p.challenge_lag = 2;
	p.proof_window = 14;
	return p;
}

/* Sessions on which a claim can be open when that of the one at `first` ends, recorded at the last
 * moment and right before the keeper was away for so many heights: those that could be derived by
 * then, and those that run once it is back. */
static uint64_t unsettled(const struct session_params *p, height_t first, uint64_t missed)
{
	height_t recorded = settle_closes(p, first) - 1;
	height_t due = settle_due(p, recorded) + missed;
	uint64_t n = 0;

	for (height_t start = first; session_snapshot_height(p, start) <= due;
	     start += p->session_blocks)
		n += session_seed_height(p, start) <= recorded ||
		     start + p->session_blocks > recorded + missed + 1;
	return n;
}

/* What [C12] excepts: the escrow is counted for claim_horizon sessions ([P3]). */
static void sessions_that_go_on_in_a_pause_are_one_more_than_escrow_is_counted_for(void **state)
{
	const struct session_params p = to_the_last_height();

	assert_true(unsettled(&p, 480, 0) == session_claim_horizon(&p));
	assert_true(unsettled(&p, 480, 90) == session_claim_horizon(&p) + 1);
}

/* A withdrawal right behind a snapshot: of that session the latest claim is recorded when the
 * window closes, and forfeited with the entry two heights behind its last proof. */
static void what_is_withdrawn_is_there_for_the_latest_forfeit(void **state)
{
	const struct key_id key = {{1}};

	for (int i = 0; i < 4; i++) {
		struct history *h = history_create(&network, &every_second);
		struct params_entry e = {0, to_the_last_height()};
		const struct pause_entry pause = {500 + 90, 90, 0};
		bool paused = i & 1, shortened = i & 2;
		height_t start = 480, withdrawn, due;

		withdrawn = start - e.params.snapshot_lag + 1;
		due = settle_due(&e.params, settle_closes(&e.params, start) - 1) +
		      (paused ? pause.missed : 0);
		assert_int_equal(session_claim_horizon(&e.params), 6);
		assert_ok(history_add_params(h, &e, &why), why);
		e.height = withdrawn;
		e.params.claim_window = 10;
		if (shortened)
			assert_ok(history_add_params(h, &e, &why), why);
		if (paused)
			assert_ok(history_add_pause(h, &pause, &why), why);
		assert_true(add_application(h, 1, 0, 70) && add_application(h, 1, withdrawn, 0));
		assert_ok(history_seal(h, &why), why);
		assert_true(history_thawing_escrow(h, &key, due + 2) == 70);
		assert_true(history_thawing_escrow(h, &key, due + 12) == 0);
		history_unref(h);
	}
}

static void pauses_that_overlap_or_begin_before_the_network_are_refused(void **state)
{
	const struct pause_entry good[2] = {{5, 2, 0}, {9, 3, 0}};
	struct pause_entry bad[2] = {{5, 0, 0}, {5, 5, 0}};
	struct history *h = history_new();

	for (size_t i = 0; i < 2; i++) {
		assert_false(history_add_pause(h, &bad[i], &why));
		assert_err(why, ERR_RANGE);
		assert_ok(history_add_pause(h, &good[i], &why), why);
	}
	assert_ok(history_seal(h, &why), why);
	history_unref(h);
	for (height_t missed = 4; missed < 9; missed++) { /* from height 5, 4, ... on */
		h = history_new();
		bad[0] = (struct pause_entry){9, missed, 0};
		assert_ok(history_add_pause(h, &good[0], &why), why);
		assert_ok(history_add_pause(h, &bad[0], &why), why);
		assert_false(history_seal(h, &why));
		assert_err(why, ERR_FORMAT);
		history_unref(h);
	}
}

static void a_withdrawal_that_is_taken_back_pays_out_of_what_stands(void **state)
{
	struct history *h = history_new();
	/* 50 withdrawn, 55 paid */
	struct thaw_entry e[2] = {{1, 100, 0, 0}, {5, 0, 50, 5}};
	struct thaw_state s;

	assert_ok(history_seal(h, &why), why);
	assert_true(history_thaw(h, e, 2, 5, &s));
	assert_true(s.thawing == 45 && s.left == 0);
	history_thaw_mend(h, e, 2);
	assert_true(e[1].standing == 0 && e[1].taken == 50 && e[1].taken_thaw == 5);
	e[1].standing += 30; /* 30 paid in again: 20 withdrawn in all, which carries the 5 */
	history_thaw_mend(h, e, 2);
	assert_true(e[1].standing == 30 && e[1].taken == 50 && e[1].taken_thaw == 5);
	e[1].standing += 17; /* 3 withdrawn in all: 2 of the 5 were paid out of what stands */
	history_thaw_mend(h, e, 2);
	assert_true(e[1].standing == 45 && e[1].taken == 52 && e[1].taken_thaw == 3);
	assert_true(history_thaw(h, e, 2, 5, &s) && s.thawing == 0 && s.in == 100);
	history_unref(h);
}

static void sums_that_fall_are_refused(void **state)
{
	struct application_entry a[2] = {{1, {{1}}, 10, 5, 0}, {2, {{1}}, 10, 4, 0}};

	for (int thaw = 0; thaw < 2; thaw++) {
		struct history *h = history_new();

		a[1].spent = thaw ? 5 : 4;
		a[0].spent_thaw = thaw ? 1 : 0;
		for (size_t i = 0; i < 2; i++)
			assert_ok(history_add_application(h, &a[i], &why), why);
		assert_false(history_seal(h, &why));
		assert_err(why, ERR_FORMAT);
		assert_non_null(strstr(why.msg, "falls"));
		history_unref(h);
	}
}

static void books_show_what_was_taken_without_being_there(void **state)
{
	struct history *h = history_new();
	struct application_entry a[2] = {{0, {{1}}, 100, 0, 0}, {3, {{1}}, 40, 50, 11}};
	struct history_books b;

	for (size_t i = 0; i < 2; i++)
		assert_ok(history_add_application(h, &a[i], &why), why);
	assert_true(add_supplier(h, 4, 0, 70, "a:1", "eth"));
	assert_ok(history_seal(h, &why), why);
	assert_true(history_books(h, 2, &b));
	assert_true(b.deposits == 170 && b.stakes == 70 && b.escrow == 100 && b.spent == 0);
	assert_false(history_books(h, 3, &b)); /* 10 withdrawn, 11 taken of them */
	assert_true(b.spent == 61 && b.thawing_escrow == 0);
	history_unref(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escrow_and_allowances_are_those_of_the_rule),
		cmocka_unit_test(no_allowance_without_session_grant_or_escrow),
		cmocka_unit_test(what_is_taken_leaves_first_and_the_sums_are_kept),
		cmocka_unit_test(what_is_withdrawn_is_there_for_the_latest_forfeit),
		cmocka_unit_test(
			sessions_that_go_on_in_a_pause_are_one_more_than_escrow_is_counted_for),
		cmocka_unit_test(pauses_that_overlap_or_begin_before_the_network_are_refused),
		cmocka_unit_test(a_withdrawal_that_is_taken_back_pays_out_of_what_stands),
		cmocka_unit_test(sums_that_fall_are_refused),
		cmocka_unit_test(books_show_what_was_taken_without_being_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
