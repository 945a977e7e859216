/* SPDX-License-Identifier: Apache-2.0
 * The terms of sessions as a registry's history has them, and who is paid ([C1], [C6], [C12]). */
#include "tests/unit/unit.h"

#include "relay/base/mem.h"
#include "session/draw.h"
#include "session/settle.h"
#include "tests/unit/history_world.h"

#define START 600 /* sessions of 60 */

static bool add_service(struct history *h, const char *name, height_t height)
{
	struct service_entry e = {.height = height, .name = name_of(name)};

	return history_add_service(h, &e, &why);
}

/* Seeds of all heights up to one. */
static struct seed_run seeds_to(height_t last)
{
	struct seed_run run = {0};

	for (height_t h = 0; h <= last; h++) {
		struct seed seed = {{0}};

		put_be64(seed.b, h);
		assert_true(seed_run_add(&run, h, &seed));
	}
	return run;
}

/* 40 suppliers, of whom number 7 comes late and number 9 changes its price; one application that
 * grants gateway 2 and takes it back. */
static struct history *a_network(void)
{
	struct history *h = history_new();
	struct err err;

	assert_true(add_service(h, "eth", 0));
	assert_true(add_service(h, "sol", 0)); /* nobody serves it */
	for (uint8_t k = 1; k <= 40; k++)
		assert_true(add_supplier(h, k, k == 7 ? 700 : 0, session_params_default.stake_unit,
					 "a:1", "eth"));
	assert_true(add_supplier(h, 50, 640, 0, "a:1", "eth")); /* never drawn */
	assert_true(add_application(h, 1, 0, AMOUNT_MAX));
	assert_true(add_grant(h, 1, 2, "eth", 0, 24000, 1));
	assert_true(add_grant(h, 1, 2, "eth", 900, 0, 2));
	assert_ok(history_seal(h, &err), err);
	return h;
}

static struct claim claim_of(uint8_t supplier)
{
	struct claim c = {.network = network,
			  .application = {{1}},
			  .gateway = {{2}},
			  .supplier = {{supplier}},
			  .service = name_of("eth"),
			  .from = START,
			  .to = START + 60};

	return c;
}

/* Against the draw itself, for each supplier and session. */
static void members_have_their_price_and_others_do_not(void **state)
{
	struct history *h = a_network();
	struct seed_run seeds = seeds_to(1300);
	CLEANUP(settle_book_destroy) struct settle_book *book = settle_book_create(h, &seeds);
	const struct session_params *p = history_params(h, 0);
	struct err err;

	for (height_t start = START; start < START + 600; start += 60) {
		struct stake_table *table;
		struct session_draw draw;
		struct session_id id;
		size_t members = 0;

		id = session_id_derive(&network, &(struct key_id){{1}},
				       &(struct service_name){"eth"}, start,
				       seed_run_find(&seeds, session_seed_height(p, start)));
		assert_ok(history_table(h, &(struct service_name){"eth"},
					session_snapshot_height(p, start), &table, &err),
			  err);
		assert_ok(session_draw(&id, table, p->session_suppliers, &draw, &err), err);
		for (uint8_t k = 1; k <= 50; k++) {
			struct claim c = claim_of(k);
			struct settle_terms terms;
			bool drawn = false;

			for (size_t i = 0; i < draw.n; i++)
				drawn |= table->rows[draw.rows[i]].key.b[0] == k;
			assert_ok(settle_book_terms(book, &c, start, &terms, &err), err);
			assert_true(ID_EQ(&terms.id, &id));
			assert_int_equal(terms.member, drawn);
			assert_int_equal(terms.price, drawn ? k : 0);
			assert_true(terms.allowance == (session_snapshot_height(p, start) < 900
								? 24000 / p->session_suppliers
								: 0));
			members += drawn;
		}
		assert_int_equal(members, draw.n);
		stake_table_destroy(table);
	}
	seed_run_finish(&seeds);
	history_unref(h);
}

static void a_session_that_never_was_has_no_terms(void **state)
{
	struct history *h = a_network();
	struct seed_run seeds = seeds_to(700);
	CLEANUP(settle_book_destroy) struct settle_book *book = settle_book_create(h, &seeds);
	struct claim c = claim_of(1);
	struct settle_terms terms;
	struct err err;

	assert_false(settle_book_terms(book, &c, 601, &terms, &err));
	assert_err(err, ERR_NO_SESSION);
	assert_false(settle_book_terms(book, &c, 0, &terms, &err));
	assert_err(err, ERR_NO_SESSION);
	assert_false(settle_book_terms(book, &c, 780, &terms, &err)); /* no seed */
	assert_err(err, ERR_NO_SESSION);
	c.service = name_of("btc");
	assert_false(settle_book_terms(book, &c, START, &terms, &err));
	assert_err(err, ERR_NO_SESSION);
	c.service = name_of("sol");
	assert_false(settle_book_terms(book, &c, START, &terms, &err));
	assert_err(err, ERR_NO_SESSION);
	c.service = name_of("eth");
	assert_ok(settle_book_terms(book, &c, START, &terms, &err), err);
	seed_run_finish(&seeds);
	history_unref(h);
}

/* What is kept of one application, service or session is not taken for another's. */
static void what_is_kept_is_kept_apart(void **state)
{
	struct history *h = history_new();
	struct seed_run seeds = seeds_to(3000);
	struct settle_terms first[2][2][40], again;
	struct settle_book *book = NULL;
	struct err err;

	assert_true(add_service(h, "eth", 0) && add_service(h, "btc", 0));
	for (uint8_t k = 1; k <= 20; k++)
		assert_true(add_supplier(h, k, 0, session_params_default.stake_unit, "a:1",
					 k % 3 ? "eth" : "btc"));
	for (uint8_t k = 1; k <= 6; k++) /* eight tables and more, one after the other */
		assert_true(add_supplier(h, k, 300 * k, session_params_default.stake_unit * 9,
					 "a:1", k % 2 ? "eth" : "btc"));
	assert_ok(history_seal(h, &err), err);
	for (int round = 0; round < 3; round++) {
		book = round < 2 ? settle_book_create(h, &seeds) : book;
		for (size_t i = 0; i < 160; i++) {
			/* in another order each time; the last time out of what is kept */
			size_t n = round == 0 ? i : (i * 67 + (size_t)round) % 160;
			size_t a = n % 2, s = n / 2 % 2, k = n / 4;
			struct claim c = claim_of(5);

			c.application.b[0] = (uint8_t)(1 + a);
			c.service = name_of(s ? "btc" : "eth");
			assert_ok(settle_book_terms(book, &c, START + 60 * k, &again, &err), err);
			if (round == 0) {
				first[a][s][k] = again;
				continue;
			}
			assert_true(ID_EQ(&first[a][s][k].id, &again.id));
			assert_int_equal(first[a][s][k].member, again.member);
			assert_true(first[a][s][k].price == again.price);
		}
		if (round != 1)
			settle_book_destroy(book);
	}
	seed_run_finish(&seeds);
	history_unref(h);
}

/* [C1] */
static void parameters_are_those_of_the_first_session(void **state)
{
	struct history *h = history_new();
	struct params_entry e = {600, session_params_default};
	height_t lag = session_params_default.snapshot_lag;
	struct err err;

	e.params.claim_window++;
	assert_ok(history_add_params(h, &e, &err), err);
	assert_ok(history_seal(h, &err), err);
	for (height_t from = 0; from < 1200; from += 60) {
		const struct session_params *p = settle_params(h, from);

		assert_int_equal(p->claim_window - session_params_default.claim_window,
				 from >= lag && from - lag >= 600);
	}
	assert_ptr_equal(settle_params(h, UINT64_MAX), history_params(h, 0));
	history_unref(h);
}

/* [C12] */
static void the_owner_of_the_first_session_is_paid(void **state)
{
	struct history *h = history_new();
	struct service_name eth = name_of("eth");
	struct supplier_entry e = {.height = 620,
				   .key = {{3}},
				   .owner = {{1}},
				   .stake = 5,
				   .services_n = 1,
				   .services = &eth,
				   .endpoint = (char *)"a:1"};
	struct claim c = claim_of(3);
	struct owner_id owner;
	struct err err;

	assert_ok(history_add_supplier(h, &e, &err), err);
	e.height = 700;
	e.owner.b[0] = 2;
	assert_ok(history_add_supplier(h, &e, &err), err);
	assert_ok(history_seal(h, &err), err);
	assert_true(settle_payee(h, &c, &owner)); /* had not staked: its first */
	assert_int_equal(owner.b[0], 1);
	c.from = 660 + 60 * (session_params_default.snapshot_lag / 60);
	assert_true(settle_payee(h, &c, &owner));
	assert_int_equal(owner.b[0], 1);
	c.from = 1200;
	assert_true(settle_payee(h, &c, &owner));
	assert_int_equal(owner.b[0], 2);
	c.from = 17; /* no session */
	assert_true(settle_payee(h, &c, &owner));
	assert_int_equal(owner.b[0], 1);
	c.supplier.b[0] = 4;
	assert_false(settle_payee(h, &c, &owner));
	history_unref(h);
}

/* [P3], [C6]: escrow that is withdrawn pays for no later session, and for every earlier one to the
 * last height at which it can be proved. */
static void escrow_withdrawn_early_pays_for_what_was_granted(void **state)
{
	struct history *h = history_new();
	const struct session_params *p;
	struct seed_run seeds = seeds_to(1000);
	struct settle_book *book;
	struct claim c = claim_of(1);
	struct err err;
	size_t before = 0;

	assert_true(add_service(h, "eth", 0));
	assert_true(add_supplier(h, 1, 0, session_params_default.stake_unit, "a:1", "eth"));
	assert_true(add_grant(h, 1, 2, "eth", 0, 24000, 1));
	assert_true(
		add_application(h, 1, 0, 24000 * session_claim_horizon(&session_params_default)));
	assert_true(add_application(h, 1, 700, 0));
	assert_ok(history_seal(h, &err), err);
	book = settle_book_create(h, &seeds);
	p = history_params(h, 0);
	for (height_t start = 60; start < 1000; start += 60) {
		height_t due = settle_due(p, settle_closes(p, start) - 1);
		struct settle_terms terms;
		u128 there;

		assert_ok(settle_book_terms(book, &c, start, &terms, &err), err);
		assert_true(terms.member);
		if (session_snapshot_height(p, start) >= 700) {
			assert_true(terms.allowance == 0); /* refused as `grant` */
			continue;
		}
		assert_true(terms.allowance == 24000 / p->session_suppliers);
		there = history_application(h, &c.application, due)->escrow +
			history_thawing_escrow(h, &c.application, due + 1); /* of its entry */
		assert_true(there >= history_escrow_needed(h, &c.application, start));
		before++;
	}
	assert_true(before == 11);
	settle_book_destroy(book);
	seed_run_finish(&seeds);
	history_unref(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_have_their_price_and_others_do_not),
		cmocka_unit_test(a_session_that_never_was_has_no_terms),
		cmocka_unit_test(what_is_kept_is_kept_apart),
		cmocka_unit_test(parameters_are_those_of_the_first_session),
		cmocka_unit_test(the_owner_of_the_first_session_is_paid),
		cmocka_unit_test(escrow_withdrawn_early_pays_for_what_was_granted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
