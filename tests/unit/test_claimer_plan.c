/* SPDX-License-Identifier: Apache-2.0
 * What is claimed when the registry was put back and has drawn a session anew: its rows are lost by
 * name when their window has closed, and spoil no claim of what came after. */
#include "tests/unit/unit.h"

#include "relay/node/claimer_private.h"
#include "session/registry/view.h"
#include "session/session.h"
#include "tests/unit/claims_world.h"
#include "tests/unit/history_world.h"

#define SEED 20261130
#define START 600
#define PRICE 7
#define COINS ((u128)1000000) /* of tokens: more than enough */
#define CLAIMED 710 /* a height: past a third of the window of START, before the next is ripe */
#define CLOSED 780  /* settle_closes() of START */

/* Of the books' sessions three are used, all of the first application: one of START as the registry
 * had it, one as it has it now, and the next one. */
enum { OLD = 0, NEW = 3, NEXT = 6 };

struct plan_world {
	struct book_world book;
	struct relay_key *key;
	struct claimer claimer;
};

static void make_view(struct plan_world *p)
{
	struct service_entry service = {.height = 0, .name = name_of("eth")};
	struct service_name name = name_of("eth");
	struct supplier_entry supplier = {.height = 1,
					  .key = p->claimer.self,
					  .owner = {{1}},
					  .stake = 1000 * COINS,
					  .price = PRICE,
					  .services_n = 1,
					  .services = &name,
					  .endpoint = (char *)"cf://10.0.0.1:1"};
	struct application_entry application = {
		.height = 1, .key = p->book.sessions[OLD].application, .escrow = 1000 * COINS};
	struct grant_entry grant = {.height = 1,
				    .application = application.key,
				    .gateway = p->book.w.peer,
				    .service = name,
				    .budget = COINS,
				    .nonce = 1};
	CLEANUP(seed_run_finish) struct seed_run seeds = {0};
	struct history *h = history_new();
	struct err err = {0};

	assert_ok(history_add_service(h, &service, &err), err);
	assert_ok(history_add_supplier(h, &supplier, &err), err);
	assert_ok(history_add_application(h, &application, &err), err);
	assert_ok(history_add_grant(h, &grant, &err), err);
	assert_ok(history_seal(h, &err), err);
	for (height_t at = START - 10; at < CLOSED; at += 60) {
		struct seed seed = {{(uint8_t)(at / 10)}};

		assert_true(seed_run_add(&seeds, at, &seed));
	}
	p->claimer.view = registry_view_create(h, &p->claimer.self, &seeds, CLOSED, NULL);
	history_unref(h);
}

static void name_session(struct plan_world *p, size_t i, height_t start)
{
	struct ledger_session *s = &p->book.sessions[i];
	struct session_info *info;
	struct err err = {0};

	s->application = p->book.sessions[OLD].application;
	s->start = start;
	assert_ok(view_session(p->claimer.view, &s->application, &s->service, start, &info, &err),
		  err);
	s->id = info->id;
	free(info);
}

static struct plan_world *plan_create(void)
{
	const uint8_t seed[KEY_SEED_BYTES] = {1};
	struct plan_world *p = xcalloc(1, sizeof(*p));

	book_init(&p->book, SEED);
	book_tabs_close(&p->book);
	p->key = relay_key_from_seed(KEY_ROLE_SUPPLIER, seed);
	p->claimer.self = *relay_key_public(p->key);
	make_view(p);
	name_session(p, NEW, START);
	name_session(p, NEXT, START + 60);
	book_tabs(&p->book);
	p->claimer.p = (struct claimer_params){.key = p->key, .batch_sessions = 10};
	p->claimer.book = p->book.claims;
	p->claimer.listed = true;
	return p;
}

static void plan_destroy(struct plan_world *p)
{
	registry_view_unref(p->claimer.view);
	relay_key_destroy(p->key);
	book_finish(&p->book);
	free(p);
}

static void plan_at(struct plan_world *p, height_t height)
{
	struct err err = {0};

	p->claimer.height = height;
	assert_ok(claimer_plan(&p->claimer, &err), err);
}

struct seen {
	size_t n;
	struct claim_id id;
};

static bool on_claim(void *arg, const struct claims_row *row)
{
	struct seen *seen = arg;

	seen->n++;
	seen->id = row->id;
	return true;
}

static size_t claims_seen(struct plan_world *p, struct claim_id *ret)
{
	struct seen seen = {0};
	struct err err = {0};

	assert_ok(claims_each(p->book.claims, false, on_claim, &seen, &err), err);
	*ret = seen.id;
	return seen.n;
}

static bool on_lost(void *arg, const struct claims_lost_row *row)
{
	cu_t *cu = arg;

	assert_string_equal(row->reason, "session_unknown");
	assert_int_equal(row->session.b[0], 0x40);
	*cu += row->cu;
	return true;
}

static cu_t lost_cu(struct plan_world *p)
{
	struct err err = {0};
	cu_t cu = 0;

	assert_ok(claims_each_lost(p->book.claims, on_lost, &cu, &err), err);
	return cu;
}

/* All that was served stands in one place. */
static void in_one_place(struct plan_world *p, cu_t lost, cu_t claimed)
{
	struct claims_income *sum = NULL;
	struct err err = {0};
	size_t n;

	assert_ok(claims_income(p->book.claims, &sum, &n, &err), err);
	assert_int_equal(n, 1);
	assert_int_equal(sum->lost[LOSS_SESSION_UNKNOWN].cu, lost);
	assert_int_equal(sum->claimed.cu, claimed);
	assert_int_equal(sum->earned.cu, lost + claimed + sum->claimable.cu + sum->at_risk.cu);
	assert_int_equal(sum->earned.value, sum->earned.cu * PRICE);
	free(sum);
}

static void a_session_that_was_drawn_anew_spoils_no_claim_of_its_start(void **state)
{
	CLEANUP(claims_full_finish) struct claims_full full = {0};
	struct plan_world *p = plan_create();
	struct book_lane *l = book_lane_add(&p->book);
	struct claim_record r;
	struct claim_id id;
	struct err err = {0};

	book_append(&p->book, l, OLD, 8, 9);
	book_append(&p->book, l, NEW, 8, 9);
	book_cosign(&p->book, l);
	book_append(&p->book, l, OLD, 8, 9); /* the gateway never signs for it: nobody waits */
	book_tally(&p->book);
	plan_at(p, CLAIMED);
	assert_int_equal(claims_seen(p, &id), 1);
	assert_ok(claims_read(p->book.claims, &id, &full, &err), err);
	assert_int_equal(full.row.records, 1);
	assert_true(claim_record_decode(full.records.p, &r));
	assert_memory_equal(r.session.b, p->book.sessions[NEW].id.b, 32);
	assert_int_equal(r.cu, l->cu[NEW]);
	assert_int_equal(lost_cu(p), l->cu[OLD]);
	in_one_place(p, l->cu[OLD], l->cu[NEW]);
	plan_destroy(p);
}

static void
a_session_that_the_registry_does_not_know_is_lost_when_its_window_has_closed(void **state)
{
	struct plan_world *p = plan_create();
	struct book_lane *l = book_lane_add(&p->book);
	struct claim_id id;

	book_append(&p->book, l, OLD, 8, 9);
	book_cosign(&p->book, l);
	book_append(&p->book, l, OLD, 8, 9);
	book_append(&p->book, l, NEXT, 8, 9);
	book_tally(&p->book);
	for (height_t h = START; h < CLOSED; h += 5) {
		plan_at(p, h);
		assert_int_equal(lost_cu(p), 0);
	}
	assert_int_equal(claims_seen(p, &id), 0);
	plan_at(p, CLOSED);
	assert_int_equal(lost_cu(p), l->cu[OLD]);
	in_one_place(p, l->cu[OLD], 0);
	plan_at(p, CLOSED + 1);
	assert_int_equal(lost_cu(p), l->cu[OLD]);
	plan_destroy(p);
}

/* Terms that were told before the registry was put back may not be those that it pays by now. */
static void terms_are_asked_for_again_where_a_session_was_drawn_anew(void **state)
{
	struct claims_terms before = {
		.price = PRICE + 1, .allowance = 3, .opens = 665, .closes = 780};
	struct plan_world *p = plan_create();
	struct book_lane *l = book_lane_add(&p->book);
	struct claim_id id;
	struct err err = {0};

	assert_ok(claims_set_terms(p->book.claims, &p->book.sessions[OLD].application,
				   &p->book.w.peer, &p->book.sessions[OLD].service, START, &before,
				   &err),
		  err);
	book_append(&p->book, l, OLD, 8, 9);
	book_append(&p->book, l, NEW, 8, 9);
	book_cosign(&p->book, l);
	book_tally(&p->book);
	plan_at(p, CLAIMED);
	assert_int_equal(claims_seen(p, &id), 1);
	in_one_place(p, l->cu[OLD], l->cu[NEW]);
	plan_destroy(p);
}

/* What the price is of units in the range of a claim that was not made from these books. */
static void the_terms_of_a_claim_that_is_taken_over_are_told(void **state)
{
	struct claim claim = {.from = START, .to = START + 120};
	struct plan_world *p = plan_create();
	struct book_lane *l = book_lane_add(&p->book);
	struct err err = {0};
	struct book_rows *rows = xcalloc(1, sizeof(*rows));

	why = (struct err){0};
	claim.application = p->book.sessions[NEW].application;
	claim.gateway = p->book.w.peer;
	claim.service = p->book.sessions[NEW].service;
	assert_ok(claimer_price(&p->claimer, &claim, &why, &err), err);
	assert_int_equal(why.code, ERR_NONE);
	book_append(&p->book, l, NEW, 8, 9);
	book_append(&p->book, l, NEXT, 8, 9);
	book_cosign(&p->book, l);
	book_tally(&p->book);
	book_rows(&p->book, rows);
	assert_int_equal(rows->n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(rows->v[i].has_terms);
		assert_int_equal(rows->v[i].terms.price, PRICE);
	}
	claim.to = CLOSED + 120; /* a session whose seed the view has not seen */
	assert_ok(claimer_price(&p->claimer, &claim, &why, &err), err);
	assert_int_equal(why.code, ERR_REGISTRY_STALE);
	free(rows);
	plan_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_that_was_drawn_anew_spoils_no_claim_of_its_start),
		cmocka_unit_test(
			a_session_that_the_registry_does_not_know_is_lost_when_its_window_has_closed),
		cmocka_unit_test(terms_are_asked_for_again_where_a_session_was_drawn_anew),
		cmocka_unit_test(the_terms_of_a_claim_that_is_taken_over_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
