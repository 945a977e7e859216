/* SPDX-License-Identifier: Apache-2.0
 * What every desk takes a reward or a penalty from, whatever happens to escrow, stake, grants and
 * the keeper meanwhile ([P6], [C11], [C12]); as test_desk.c over both. */
#include "tests/unit/desk_steps.h"

static void a_revoked_grant_pays_what_was_served_under_it(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim served = {0}, later = {0};
	struct store_write write = desk_write(d);
	struct desk_claim s;

	desk_put_grant(d, &write, 0, 2); /* at height 21: counts from the session at 30 on */
	serve_sessions(d, 3);
	desk_advance(d, 42);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(d->w->session[i].terms.allowance > 0, i < 2);
	world_claim_make(d->w, 0, 1, &served);
	recorded(d, &served);
	d->w->session[2].terms.allowance = 1000; /* as if it were not */
	world_claim_make(d->w, 2, 2, &later);
	assert_string_equal(settle_fault_name(hand_in(d, &later, &s)), "grant");
}

/* Serves two sessions, takes all stake and escrow out, and claims each session. */
static void serve_and_leave(struct desk_world *d, struct world_claim *first,
			    struct world_claim *second)
{
	struct store_write write;
	struct err err;
	height_t height;
	u128 left;

	serve_sessions(d, 2);
	write = desk_write(d);
	desk_put_supplier(d, &write, relay_key_public(d->w->supplier), 0);
	assert_ok(store_fund(d->store, &write, &d->w->application, DESK_ESCROW, true, &left,
			     &height, &err),
		  err);
	desk_advance(d, 32);
	world_claim_make(d->w, 0, 0, first);
	world_claim_make(d->w, 1, 1, second);
	recorded(d, first);
	recorded(d, second);
}

static void what_was_withdrawn_or_unstaked_early_pays_all_the_same(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim first = {0}, second = {0};
	struct store_books b;
	struct desk_claim s;
	struct err err;

	serve_and_leave(d, &first, &second);
	desk_advance(d, 35);
	s = look(d, &first);
	assert_ok(prove(d, &first, &s.seed, NULL, &s, &err), err);
	assert_true(s.paid == first.c.value);
	desk_advance(d, 43);
	s = look(d, &second);
	assert_int_equal(s.state, DESK_FORFEITED);
	assert_true(s.burned == second.c.value);
	check_books(d, &b);
	assert_true(b.money.thawing_escrow == DESK_ESCROW - first.c.value && b.money.escrow == 0);
	assert_true(b.money.thawing_stakes == DESK_STAKE - second.c.value);
	desk_advance(d, 32 + 70);
	check_books(d, &b);
	assert_true(b.money.thawing_escrow == 0 && b.money.thawing_stakes == 0);
	assert_true(b.money.left == DESK_ESCROW - first.c.value + DESK_STAKE - second.c.value);
}

static void an_outage_lets_nothing_go_that_is_owed(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim first = {0}, second = {0};
	const height_t out = 1000; /* heights, many times what a withdrawal is on its way */
	struct store_books b;
	struct desk_claim s;
	struct err err;

	serve_and_leave(d, &first, &second);
	desk_set_time(d, 33 + out);
	desk_keep(d);
	s = look(d, &first);
	assert_int_equal(s.due, 42 + out);
	assert_ok(prove(d, &first, &s.seed, NULL, &s, &err), err);
	assert_true(s.paid == first.c.value);
	desk_advance(d, 43 + out);
	s = look(d, &second);
	assert_int_equal(s.state, DESK_FORFEITED);
	assert_true(s.burned == second.c.value);
	check_books(d, &b);
	assert_true(b.money.thawing_escrow == DESK_ESCROW - first.c.value);
	assert_true(b.money.thawing_stakes == DESK_STAKE - second.c.value);
	desk_advance(d, 32 + out + 70);
	check_books(d, &b);
	assert_true(b.money.thawing_escrow == 0 && b.money.thawing_stakes == 0);
}

static void no_more_burns_than_is_at_stake(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	struct store_write write;
	struct store_books b;
	struct desk_claim s;

	serve_sessions(d, 2);
	world_claim_make(d->w, 0, 1, &wc);
	assert_true(wc.c.value == 120);
	write = desk_write(d);
	desk_put_supplier(d, &write, relay_key_public(d->w->supplier), 30);
	desk_advance(d, 32);
	recorded(d, &wc);
	desk_advance(d, 32 + 70); /* what was unstaked has left, but the keeper was there at 43 */
	s = look(d, &wc);
	assert_true(s.burned == 120);
	check_books(d, &b);
	assert_true(b.money.left == DESK_STAKE - 120);
	assert_true(b.money.stakes == 2000);
}

static void heights_without_a_keeper_do_not_count_against_a_claim(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	struct desk_claim s;
	struct err err;

	serve_sessions(d, 1);
	world_claim_make(d->w, 0, 0, &wc);
	desk_advance(d, 22);
	s = recorded(d, &wc);
	assert_int_equal(s.due, 32);
	desk_advance(d, 24);
	desk_set_time(d, 60); /* nobody is there for 35 heights, the challenge's among them */
	desk_keep(d);
	s = look(d, &wc);
	assert_int_equal(s.state, DESK_RECORDED);
	assert_int_equal(s.due, 32 + 35);
	assert_true(s.has_seed);
	assert_ok(prove(d, &wc, &s.seed, NULL, &s, &err), err);
	assert_int_equal(s.state, DESK_PAID);
	check_books(d, NULL);
}

/* [P6]: two processes whose clocks differ by a few heights pay out of one escrow. */
static void who_is_behind_pays_at_the_height_of_who_is_ahead(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim first = {0};
	CLEANUP(world_claim_finish) struct world_claim second = {0};
	struct desk_claim a, b;
	struct err err;

	serve_sessions(d, 2);
	world_claim_make(d->w, 0, 0, &first);
	world_claim_make(d->w, 1, 1, &second);
	desk_advance(d, 32);
	recorded(d, &first);
	recorded(d, &second);
	desk_advance(d, 36);
	a = look(d, &first);
	b = look(d, &second);
	desk_set_time(d, 38);
	assert_ok(prove(d, &first, &a.seed, NULL, &a, &err), err);
	assert_int_equal(a.settled, 38);
	desk_set_time(d, 36);
	assert_ok(prove(d, &second, &b.seed, NULL, &b, &err), err);
	assert_int_equal(b.state, DESK_PAID);
	assert_int_equal(b.settled, 38);
	desk_advance(d, 40);
	check_books(d, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_revoked_grant_pays_what_was_served_under_it),
		BOTH(what_was_withdrawn_or_unstaked_early_pays_all_the_same),
		BOTH(an_outage_lets_nothing_go_that_is_owed),
		BOTH(no_more_burns_than_is_at_stake),
		BOTH(heights_without_a_keeper_do_not_count_against_a_claim),
		cmocka_unit_test_setup_teardown(who_is_behind_pays_at_the_height_of_who_is_ahead,
						setup_file, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
