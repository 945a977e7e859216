/* SPDX-License-Identifier: Apache-2.0
 * What every desk does, whatever registry is behind it ([C1] to [C12], [Y5], [P6]): each test runs
 * over the sqlite file and over a URL, and looks at the registry through the keeper's store. */
#include "tests/unit/desk_steps.h"

static void a_claim_is_recorded_challenged_proved_and_paid(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	const struct seed none = {{0}};
	struct desk_claim s, again;
	struct store_books b;
	struct err err;

	serve_sessions(d, 3);
	world_claim_make(d->w, 0, 2, &wc);
	assert_int_equal(wc.n, 6);
	assert_int_equal(look(d, &wc).state, DESK_UNKNOWN);
	assert_string_equal(settle_fault_name(hand_in(d, &wc, &s)), "early");
	desk_advance(d, 42);
	s = recorded(d, &wc);
	assert_int_equal(s.recorded, 42);
	assert_int_equal(s.challenge, 45);
	assert_int_equal(s.due, 52);
	assert_true(s.value == wc.c.value && s.paid == 0 && !s.has_seed && s.settled == 0);
	assert_false(prove(d, &wc, &none, NULL, &s, &err));
	assert_err(err, ERR_CLAIM);
	assert_memory_equal(err.msg, "early", 5);
	desk_advance(d, 44);
	assert_false(look(d, &wc).has_seed);
	desk_advance(d, 45);
	again = recorded(d, &wc); /* the same claim again is no new one */
	assert_int_equal(again.recorded, 42);
	assert_true(again.has_seed);
	desk_advance(d, 52);
	assert_ok(prove(d, &wc, &again.seed, NULL, &s, &err), err);
	assert_int_equal(s.state, DESK_PAID);
	assert_int_equal(s.settled, 52);
	assert_true(s.paid == wc.c.value && s.burned == 0 && s.reason[0] == '\0');
	assert_ok(prove(d, &wc, &again.seed, NULL, &s, &err),
		  err); /* once more pays nothing more */
	check_books(d, &b);
	assert_true(b.paid == wc.c.value && b.income == wc.c.value && b.open == 0);
	assert_true(b.money.escrow == DESK_ESCROW - wc.c.value && b.claims[DESK_PAID] == 1);
	desk_advance(d, 60);
	assert_int_equal(look(d, &wc).state, DESK_PAID);
}

static void a_claim_without_proof_is_forfeited_and_burns_its_value(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	struct desk_claim s;
	struct store_books b;
	struct err err;

	serve_sessions(d, 2);
	world_claim_make(d->w, 0, 1, &wc);
	desk_advance(d, 32);
	recorded(d, &wc);
	desk_advance(d, 42); /* the last height at which a proof counts */
	assert_int_equal(look(d, &wc).state, DESK_RECORDED);
	desk_advance(d, 43);
	s = look(d, &wc);
	assert_int_equal(s.state, DESK_FORFEITED);
	assert_string_equal(s.reason, "no_proof");
	assert_true(s.burned == wc.c.value && s.paid == 0);
	assert_int_equal(s.settled, 43);
	assert_ok(prove(d, &wc, &s.seed, NULL, &s, &err),
		  err); /* too late, and says how it ended */
	assert_int_equal(s.state, DESK_FORFEITED);
	assert_int_equal(hand_in(d, &wc, &s), SETTLE_FINE);
	assert_int_equal(s.state, DESK_FORFEITED);
	check_books(d, &b);
	assert_true(b.burned == wc.c.value && b.money.escrow == DESK_ESCROW && b.income == 0);
	assert_true(b.money.stakes == DESK_STAKE + 2000 - wc.c.value);
}

static void spoil_leaf(struct claim_proof *p)
{
	p->leaf[130] ^= 1;
}

static void spoil_path(struct claim_proof *p)
{
	p->record_path.hash[0].b[0] ^= 1;
}

static void a_wrong_proof_costs_nothing_until_the_time_is_over(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim first = {0}, second = {0};
	struct desk_claim s;
	struct err err;

	serve_sessions(d, 2);
	world_claim_make(d->w, 0, 0, &first);
	world_claim_make(d->w, 1, 1, &second);
	desk_advance(d, 32);
	recorded(d, &first);
	recorded(d, &second);
	desk_advance(d, 35);
	s = look(d, &first);
	assert_false(prove(d, &first, &s.seed, spoil_leaf, &s, &err));
	assert_err(err, ERR_CLAIM);
	assert_memory_equal(err.msg, "leaf_path", 9);
	assert_false(prove(d, &second, &s.seed, spoil_leaf, &s, &err));
	assert_false(prove(d, &second, &s.seed, spoil_path, &s, &err));
	assert_memory_equal(err.msg, "record_path", 11);
	s = look(d, &first);
	assert_int_equal(s.state, DESK_RECORDED);
	assert_ok(prove(d, &first, &s.seed, NULL, &s, &err), err);
	assert_int_equal(s.state, DESK_PAID);
	assert_string_equal(s.reason, "");
	desk_advance(d, 43);
	s = look(d, &second);
	assert_int_equal(s.state, DESK_FORFEITED);
	assert_string_equal(s.reason, "record_path");
	check_books(d, NULL);
}

static void nobody_else_hands_in_a_proof(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	const struct claim_id unknown = {{3}};
	const struct signature forged = {{1}};
	const uint8_t bytes[300] = {0};
	struct desk_claim s;
	struct err err;

	serve_sessions(d, 1);
	world_claim_make(d->w, 0, 0, &wc);
	desk_advance(d, 22);
	s = recorded(d, &wc);
	desk_advance(d, 25);
	assert_false(desk_prove(d->desk, &s.id, VIEW(bytes, sizeof(bytes)), &forged, &s, &err));
	assert_err(err, ERR_CLAIM);
	assert_memory_equal(err.msg, "signature", 9);
	assert_ok(desk_prove(d->desk, &unknown, VIEW(bytes, sizeof(bytes)), &forged, &s, &err),
		  err);
	assert_int_equal(s.state, DESK_UNKNOWN);
	desk_advance(d, 33);
	assert_string_equal(look(d, &wc).reason, "no_proof");
}

static void try_range(struct desk_world *d, size_t first, size_t last, const char *want)
{
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	struct desk_claim s;

	world_claim_make(d->w, first, last, &wc);
	assert_string_equal(settle_fault_name(hand_in(d, &wc, &s)), want);
}

static void ranges_overlap_neither_while_open_nor_afterwards(void **state)
{
	struct desk_world *d = *state;

	serve_sessions(d, 3);
	desk_advance(d, 42);
	try_range(d, 0, 0, "fine");
	try_range(d, 0, 1, "overlap");
	try_range(d, 0, 2, "overlap");
	try_range(d, 2, 2, "fine");
	try_range(d, 1, 2, "overlap");
	desk_advance(d, 53);
	lane_serve(&d->w->lane[0], &d->w->session[1], 1); /* other claims than the first ones */
	lane_serve(&d->w->lane[0], &d->w->session[2], 1);
	try_range(d, 1, 1, "fine");
	try_range(d, 1, 2, "overlap");
	try_range(d, 2, 2, "overlap");
	try_range(d, 0, 2, "late");
	check_books(d, NULL);
}

/* --- the adversary: each takes an honest claim and makes more of it --- */
static void more_than_served(struct world_claim *wc)
{
	wc->c.value += 3;
}
static void a_gap(struct world_claim *wc)
{
	wc->record[1].value_before += 3;
}
static void overlapping_points(struct world_claim *wc)
{
	wc->record[1].value_before -= 3;
}
static void twice_the_same(struct world_claim *wc)
{
	wc->record[wc->n] = wc->record[wc->n - 1];
	wc->record[wc->n].value_before += wc->record[wc->n].value;
	wc->n++;
}
static void another_order(struct world_claim *wc)
{
	struct lane_id lane = wc->record[0].lane;

	wc->record[0].lane = wc->record[1].lane;
	wc->record[1].lane = lane;
}
static void dearer(struct world_claim *wc)
{
	wc->record[0].value += 1;
}
static void no_units(struct world_claim *wc)
{
	wc->record[0].cu = 0;
	wc->record[0].value = 0;
}
static void endless_units(struct world_claim *wc)
{
	wc->record[0].cu = UINT64_C(1) << 63;
}
static void beyond_the_allowance(struct world_claim *wc)
{
	wc->record[0].cu = 334;
	wc->record[0].value = 1002;
}
static void session_sums_anew(struct world_claim *wc)
{
	wc->record[1].session_value_before = 0;
}
static void another_session(struct world_claim *wc)
{
	wc->record[0].session.b[0] ^= 1;
}
static void outside_the_range(struct world_claim *wc)
{
	wc->record[wc->n - 1].start += 10;
}
static void an_empty_lane(struct world_claim *wc)
{
	wc->record[0].size = 0;
}
static void an_endless_lane(struct world_claim *wc)
{
	wc->record[0].size = (UINT64_C(1) << 20) + 1;
}
static void another_network(struct world_claim *wc)
{
	wc->c.network.b[0] ^= 1;
}
static void half_a_session(struct world_claim *wc)
{
	wc->c.to -= 5;
}
static void another_gateway(struct world_claim *wc)
{
	wc->c.gateway.b[0] ^= 1;
}
static void another_application(struct world_claim *wc)
{
	wc->c.application.b[0] ^= 1;
}
static void another_root(struct world_claim *wc)
{
	wc->c.root.b[0] ^= 1;
}
static void nothing(struct world_claim *wc)
{
	wc->c.value = 0;
}
static void fewer_than_said(struct world_claim *wc)
{
	wc->c.records++;
}

static void nothing_more_than_was_served_can_be_claimed(void **state)
{
	struct desk_world *d = *state;
	static const struct {
		void (*change)(struct world_claim *wc);
		bool dress; /* what the claim says of its records is made to fit */
		const char *want;
	} tries[] = {
		{more_than_served, false, "total"},
		{a_gap, true, "value_before"},
		{overlapping_points, true, "value_before"},
		{twice_the_same, true, "order"},
		{another_order, true, "order"},
		{dearer, true, "value"},
		{no_units, true, "no_value"},
		{endless_units, true, "value"},
		{beyond_the_allowance, true, "allowance"},
		{session_sums_anew, true, "session_value"},
		{another_session, true, "session"},
		{outside_the_range, true, "start"},
		{an_empty_lane, true, "size"},
		{an_endless_lane, true, "size"},
		{another_network, true, "network"},
		{half_a_session, true, "range"},
		{another_gateway, true, "grant"},
		{another_application, true, "session"},
		{another_root, false, "root"},
		{nothing, false, "amount"},
		{fewer_than_said, false, "records"},
	};
	struct desk_claim s;

	serve_sessions(d, 2);
	desk_advance(d, 32);
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		CLEANUP(world_claim_finish) struct world_claim wc = {0};

		world_claim_make(d->w, 0, 1, &wc);
		tries[i].change(&wc);
		world_seal(d->w, &wc, tries[i].dress);
		assert_string_equal(settle_fault_name(hand_in(d, &wc, &s)), tries[i].want);
	}
	check_books(d, NULL);
}

static void only_the_supplier_claims_for_itself(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	const uint8_t seed[KEY_SEED_BYTES] = {77};
	struct relay_key *supplier = d->w->supplier;
	struct desk_claim s;

	serve_sessions(d, 1);
	desk_advance(d, 22);
	world_claim_make(d->w, 0, 0, &wc);
	wc.sig.b[0] ^= 1;
	assert_string_equal(settle_fault_name(hand_in(d, &wc, &s)), "signature");
	d->w->supplier = relay_key_from_seed(KEY_ROLE_SUPPLIER, seed); /* never staked */
	wc.c.supplier = *relay_key_public(d->w->supplier);
	world_seal(d->w, &wc, true);
	assert_string_equal(settle_fault_name(hand_in(d, &wc, &s)), "not_drawn");
	relay_key_destroy(d->w->supplier);
	d->w->supplier = supplier;
}

/* --- lists --- */
struct seen {
	size_t n, stop_at;
	height_t from[64];
	struct claim_id last;
};

static bool on_claim(void *arg, const struct claim *c, const struct desk_claim *state)
{
	struct seen *seen = arg;
	struct claim_id id;

	claim_id_of(c, &id);
	assert(ID_EQ(&id, &state->id) && state->value == c->value);
	seen->from[seen->n++] = c->from;
	return seen->n != seen->stop_at;
}

static void a_supplier_finds_its_claims_again(void **state)
{
	struct desk_world *d = *state;
	const struct key_id other = {{5}};
	struct seen seen = {.n = 0};
	struct err err;

	world_add_lane(d->w);
	for (size_t i = 0; i < 4; i++) {
		CLEANUP(world_claim_finish) struct world_claim wc = {0};

		desk_advance(d, DESK_START + 10 * i + 12);
		desk_learn(d, i + 1);
		lane_serve(d->w->lane, &d->w->session[i], 3);
		world_claim_make(d->w, i, i, &wc);
		recorded(d, &wc);
	}
	assert_ok(desk_list(d->desk, relay_key_public(d->w->supplier), 0, on_claim, &seen, &err),
		  err);
	assert_int_equal(seen.n, 4);
	seen = (struct seen){.n = 0};
	assert_ok(desk_list(d->desk, relay_key_public(d->w->supplier), 30, on_claim, &seen, &err),
		  err);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.from[0], 30);
	assert_int_equal(seen.from[1], 40);
	seen = (struct seen){.stop_at = 3};
	assert_ok(desk_list(d->desk, relay_key_public(d->w->supplier), 0, on_claim, &seen, &err),
		  err);
	assert_int_equal(seen.n, 3);
	seen = (struct seen){.n = 0};
	assert_ok(desk_list(d->desk, &other, 0, on_claim, &seen, &err), err);
	assert_int_equal(seen.n, 0);
}

static void too_many_records_are_refused_before_they_are_sent(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(xfree) uint8_t *many = xcalloc(DESK_RECORDS_MAX + 1, CLAIM_RECORD_SIZE);
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	struct desk_claim s;
	struct err err;

	serve_sessions(d, 1);
	desk_advance(d, 22);
	world_claim_make(d->w, 0, 0, &wc);
	assert_false(desk_claim(d->desk, &wc.c, &wc.sig,
				VIEW(many, (DESK_RECORDS_MAX + 1) * CLAIM_RECORD_SIZE), &s, &err));
	assert_err(err, ERR_CLAIM);
	assert_memory_equal(err.msg, "records", 7);
	assert_false(desk_claim(d->desk, &wc.c, &wc.sig,
				VIEW(many, DESK_RECORDS_MAX * CLAIM_RECORD_SIZE), &s, &err));
	assert_err(err, ERR_CLAIM);
	assert_memory_equal(err.msg, "records", 7);
}

/* [Y4] */
static void auditors_find_everything_in_the_claims_file(void **state)
{
	struct desk_world *d = *state;
	CLEANUP(world_claim_finish) struct world_claim paid = {0}, lost = {0};
	CLEANUP(claims_file_finish) struct claims_file file = {0}, again = {0};
	CLEANUP(buf_finish) struct buf note = {0};
	const struct claims_entry *e;
	struct desk_claim s;
	struct err err;

	serve_sessions(d, 2);
	world_claim_make(d->w, 0, 0, &paid);
	world_claim_make(d->w, 1, 1, &lost);
	desk_advance(d, 32);
	recorded(d, &paid);
	desk_advance(d, 33);
	recorded(d, &lost);
	desk_advance(d, 36);
	s = look(d, &paid);
	assert_ok(prove(d, &paid, &s.seed, NULL, &s, &err), err);
	desk_advance(d, 45);
	assert_false(store_claims_file(d->store, 0, 100, 100, &file, &err));
	assert_err(err, ERR_RANGE);
	assert_ok(store_claims_file(d->store, 32, 34, CLAIMS_FILE_MAX, &file, &err), err);
	claims_file_sign(&file, d->registry, &note);
	assert_ok(claims_file_parse(buf_view(&note), relay_key_public(d->registry), &again, &err),
		  err);
	assert_int_equal(again.n, 2);
	assert_int_equal(again.height, 45);
	e = &again.v[0];
	assert_true(e->state == DESK_PAID && e->paid == paid.c.value && e->settled == 36);
	assert_true(e->recorded == 32 && e->due == 42 && e->proof.n > 0 && e->reason[0] == '\0');
	assert_true(view_eq(buf_view(&e->records), buf_view(&paid.records)));
	assert_true(ID_EQ(&e->signature, &paid.sig));
	e = &again.v[1];
	assert_true(e->state == DESK_FORFEITED && e->burned == lost.c.value && e->settled == 44);
	assert_string_equal(e->reason, "no_proof");
	assert_int_equal(e->proof.n, 0);
	claims_file_finish(&file);
	assert_ok(store_claims_file(d->store, 33, 34, CLAIMS_FILE_MAX, &file, &err), err);
	assert_int_equal(file.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_claim_is_recorded_challenged_proved_and_paid),
		BOTH(a_claim_without_proof_is_forfeited_and_burns_its_value),
		BOTH(a_wrong_proof_costs_nothing_until_the_time_is_over),
		BOTH(nobody_else_hands_in_a_proof),
		BOTH(ranges_overlap_neither_while_open_nor_afterwards),
		BOTH(nothing_more_than_was_served_can_be_claimed),
		BOTH(only_the_supplier_claims_for_itself),
		BOTH(a_supplier_finds_its_claims_again),
		BOTH(auditors_find_everything_in_the_claims_file),
		BOTH(too_many_records_are_refused_before_they_are_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
