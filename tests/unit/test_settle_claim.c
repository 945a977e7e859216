/* SPDX-License-Identifier: Apache-2.0
 * The pass over a claim's records: what is accepted, and the name of each refusal ([C1] to [C7]).
 */
#include "tests/unit/unit.h"

#include "tests/unit/claim_world.h"

#define NOW 200

/* Three sessions, two lanes: 10 and 20 CU, 5 in the first lane, 7 in the second. */
static struct world *three_sessions(void)
{
	struct world *w = world_create(3);
	struct world_lane *a = world_add_lane(w), *b = world_add_lane(w);

	lane_serve(a, &w->session[0], 10);
	lane_serve(b, &w->session[0], 15);
	lane_serve(b, &w->session[0], 5);
	lane_serve(a, &w->session[1], 5);
	lane_serve(b, &w->session[2], 7);
	return w;
}

#define assert_fault(got, want) assert_string_equal(settle_fault_name(got), settle_fault_name(want))

static void an_honest_claim_stands(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};

	world_claim_make(w, 0, 2, &wc);
	assert_int_equal(wc.n, 4);
	assert_true(wc.c.value == (10 + 20 + 5 + 7) * 3);
	assert_fault(world_check(w, &wc, NOW), SETTLE_FINE);
}

/* [C4] */
static void a_claim_has_its_time(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};

	world_claim_make(w, 0, 2, &wc);
	assert_fault(world_check(w, &wc, 131), SETTLE_EARLY); /* ends at 130, grace 2 */
	assert_fault(world_check(w, &wc, 132), SETTLE_FINE);
	assert_fault(world_check(w, &wc, 309), SETTLE_FINE); /* 100 + 10 + 200 */
	assert_fault(world_check(w, &wc, 310), SETTLE_LATE);
	assert_fault(world_check(w, &wc, UINT64_MAX), SETTLE_LATE);
}

/* [C1]: from and to are starts of sessions that exist. */
static void a_range_is_of_sessions(void **state)
{
	static const height_t bad[][2] = {{100, 100},
					  {130, 100},
					  {101, 130},
					  {100, 129},
					  {0, 130},
					  {100, 131},
					  {UINT64_MAX - 5, UINT64_MAX}};
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};

	world_claim_make(w, 0, 2, &wc);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		wc.c.from = bad[i][0];
		wc.c.to = bad[i][1];
		world_seal(w, &wc, false);
		assert_fault(world_check(w, &wc, NOW), SETTLE_RANGE);
	}
	wc.c.from = 90; /* wider than what it holds is allowed */
	wc.c.to = 190;
	world_seal(w, &wc, false);
	assert_fault(world_check(w, &wc, NOW), SETTLE_FINE);
}

/* [C3]: the supplier signs every byte of it, and the network is one of them. */
static void only_the_supplier_claims(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};

	world_claim_make(w, 0, 2, &wc);
	wc.sig.b[5] ^= 1;
	assert_fault(world_check(w, &wc, NOW), SETTLE_SIGNATURE);
	wc.sig.b[5] ^= 1;
	wc.c.gateway.b[0] ^= 1;
	assert_fault(world_check(w, &wc, NOW), SETTLE_SIGNATURE);
	wc.c.gateway.b[0] ^= 1;
	wc.c.network.b[31] ^= 1;
	world_seal(w, &wc, false);
	assert_fault(world_check(w, &wc, NOW), SETTLE_NETWORK);
}

static void the_claim_says_how_many_records_it_has(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	static const uint32_t wrong[] = {0, 3, 5, CLAIM_RECORDS_MAX + 1, UINT32_MAX};

	world_claim_make(w, 0, 2, &wc);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		wc.c.records = wrong[i];
		world_seal(w, &wc, false);
		assert_fault(world_check(w, &wc, NOW), SETTLE_RECORDS);
	}
	wc.c.records = 4;
	world_seal(w, &wc, false);
	buf_put_u8(&wc.records, 0);
	assert_fault(world_check(w, &wc, NOW), SETTLE_RECORDS);
}

static void the_sum_is_the_claims_value(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};

	world_claim_make(w, 0, 2, &wc);
	wc.c.value++;
	world_seal(w, &wc, false);
	assert_fault(world_check(w, &wc, NOW), SETTLE_TOTAL);
	wc.c.value -= 2;
	world_seal(w, &wc, false);
	assert_fault(world_check(w, &wc, NOW), SETTLE_TOTAL);
	wc.c.value = 0;
	world_seal(w, &wc, false);
	assert_fault(world_check(w, &wc, NOW), SETTLE_AMOUNT);
	wc.c.value = CLAIM_VALUE_END;
	world_seal(w, &wc, false);
	assert_fault(world_check(w, &wc, NOW), SETTLE_AMOUNT);
	wc.c.value = CLAIM_VALUE_END - 1;
	world_seal(w, &wc, false);
	assert_fault(world_check(w, &wc, NOW), SETTLE_TOTAL);
}

static void the_root_is_that_of_the_records(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};

	world_claim_make(w, 0, 2, &wc);
	wc.c.root.b[0] ^= 1;
	world_seal(w, &wc, false);
	assert_fault(world_check(w, &wc, NOW), SETTLE_ROOT);
}

/* [C6]: the second record of four is changed in one way, the claim follows from the records. */
static void each_change_of_a_record_has_its_name(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	const struct claim_record *r;
	struct {
		struct claim_record changed;
		enum settle_fault want;
	} cases[20];
	struct world_claim wc = {0};
	size_t n = 0;

	world_claim_make(w, 0, 2, &wc);
	r = &wc.record[1];
#define CASE(fault, statement)                                                                     \
	do {                                                                                       \
		struct claim_record one = *r;                                                      \
		statement;                                                                         \
		cases[n].changed = one;                                                            \
		cases[n++].want = (fault);                                                         \
	} while (0)
	CASE(SETTLE_START, one.start = 90);
	CASE(SETTLE_START, one.start = 130);
	CASE(SETTLE_START, one.start = UINT64_MAX);
	CASE(SETTLE_ORDER, one.lane = wc.record[0].lane);
	CASE(SETTLE_ORDER, one.lane.b[0] = 0);
	CASE(SETTLE_SESSION, one.start = 105);
	CASE(SETTLE_SESSION, one.start = 110);
	CASE(SETTLE_SESSION, one.session.b[31] ^= 1);
	CASE(SETTLE_SIZE, one.size = 0);
	CASE(SETTLE_SIZE, one.size = (1u << 20) + 1);
	CASE(SETTLE_SIZE, one.size = UINT64_MAX);
	CASE(SETTLE_NO_VALUE, (one.cu = 0, one.value = 0));
	CASE(SETTLE_VALUE, one.cu++);
	CASE(SETTLE_VALUE, one.value++);
	CASE(SETTLE_VALUE, one.cu = UINT64_C(1) << 63);
	CASE(SETTLE_VALUE_BEFORE, one.value_before++);
	CASE(SETTLE_VALUE_BEFORE, one.value_before = 0);
	CASE(SETTLE_SESSION_VALUE, one.session_value_before = 0);
	CASE(SETTLE_ALLOWANCE, (one.cu = 1000 / 3 - 9, one.value = one.cu * 3));
	CASE(SETTLE_ALLOWANCE, (one.cu = UINT64_C(1) << 63, one.value = (u128)one.cu * 3));
#undef CASE
	assert_int_equal(n, ARRAY_SIZE(cases));
	for (size_t i = 0; i < n; i++) {
		CLEANUP(world_claim_finish) struct world_claim bad = {0};

		world_claim_make(w, 0, 2, &bad);
		bad.record[1] = cases[i].changed;
		world_seal(w, &bad, true);
		assert_fault(world_check(w, &bad, NOW), cases[i].want);
	}
	buf_finish(&wc.records);
}

static void what_is_no_record_is_refused(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};

	world_claim_make(w, 0, 2, &wc);
	wc.records.p[CLAIM_RECORD_SIZE] = 'D';
	claim_records_root(buf_view(&wc.records), &wc.c.root);
	claim_sign(&wc.c, w->supplier, &wc.sig);
	assert_fault(world_check(w, &wc, NOW), SETTLE_RECORD);
}

static void records_stand_once_and_in_order(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	struct claim_record second;

	world_claim_make(w, 0, 2, &wc); /* the same twice, summed up as if it were right */
	memmove(&wc.record[2], &wc.record[1], 3 * sizeof(wc.record[0]));
	wc.n = 5;
	for (size_t i = 2; i < 5; i++)
		wc.record[i].value_before += 60;
	wc.record[2].session_value_before += 60;
	world_seal(w, &wc, true);
	assert_fault(world_check(w, &wc, NOW), SETTLE_ORDER);

	world_claim_make(w, 0, 2, &wc); /* two sessions exchanged */
	second = wc.record[2];
	wc.record[2] = wc.record[3];
	wc.record[3] = second;
	world_seal(w, &wc, true);
	assert_fault(world_check(w, &wc, NOW), SETTLE_VALUE_BEFORE);
	wc.record[2].value_before = 90;
	wc.record[3].value_before = 111;
	world_seal(w, &wc, true);
	assert_fault(world_check(w, &wc, NOW), SETTLE_ORDER);
}

/* [C6]: who was not entitled, by session. */
static void the_terms_of_each_session_count(void **state)
{
	CLEANUP(world_destroy) struct world *w = three_sessions();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	struct settle_terms *t = &w->session[1].terms;

	world_claim_make(w, 0, 2, &wc);
	t->member = false;
	assert_fault(world_check(w, &wc, NOW), SETTLE_NOT_DRAWN);
	t->member = true;
	t->allowance = 0;
	assert_fault(world_check(w, &wc, NOW), SETTLE_GRANT);
	t->allowance = 14;
	assert_fault(world_check(w, &wc, NOW), SETTLE_ALLOWANCE);
	t->allowance = 15;
	assert_fault(world_check(w, &wc, NOW), SETTLE_FINE);
	t->price = 0;
	assert_fault(world_check(w, &wc, NOW), SETTLE_NO_VALUE);
	t->price = 4;
	assert_fault(world_check(w, &wc, NOW), SETTLE_VALUE);
	t->price = 3;
	w->session[1].missing = true;
	assert_fault(world_check(w, &wc, NOW), SETTLE_SESSION);
}

/* A claim whose every number is the largest there is. */
static void the_largest_values_are_summed_up_right(void **state)
{
	CLEANUP(world_destroy) struct world *w = world_create(5);
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	const u128 quarter = CLAIM_VALUE_END / 4;

	/* price 2^40 - 1 and so many CU that a session is worth a little less than 2^94 */
	for (size_t s = 0; s < 5; s++) {
		struct settle_terms *t = &w->session[s].terms;
		struct claim_record *r = &wc.record[s];

		t->price = (UINT64_C(1) << 40) - 1;
		t->allowance = AMOUNT_MAX;
		*r = (struct claim_record){.session = t->id,
					   .start = w->session[s].start,
					   .size = 1u << 20,
					   .cu = (cu_t)(quarter / t->price)};
		r->value = (u128)r->cu * t->price;
		r->value_before = s * r->value;
	}
	wc.c = (struct claim){.network = w->network,
			      .application = w->application,
			      .gateway = *relay_key_public(w->gateway),
			      .supplier = *relay_key_public(w->supplier),
			      .service = {"eth"},
			      .from = 100,
			      .to = 150};
	wc.n = 4;
	world_seal(w, &wc, true);
	assert_true(wc.c.value < CLAIM_VALUE_END && wc.c.value > CLAIM_VALUE_END / 2);
	assert_fault(world_check(w, &wc, NOW), SETTLE_FINE);
	wc.n = 5;
	world_seal(w, &wc, true);
	assert_fault(world_check(w, &wc, NOW), SETTLE_AMOUNT);
	wc.c.value = CLAIM_VALUE_END - 1;
	world_seal(w, &wc, false);
	assert_fault(world_check(w, &wc, NOW), SETTLE_TOTAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_honest_claim_stands),
		cmocka_unit_test(a_claim_has_its_time),
		cmocka_unit_test(a_range_is_of_sessions),
		cmocka_unit_test(only_the_supplier_claims),
		cmocka_unit_test(the_claim_says_how_many_records_it_has),
		cmocka_unit_test(the_sum_is_the_claims_value),
		cmocka_unit_test(the_root_is_that_of_the_records),
		cmocka_unit_test(each_change_of_a_record_has_its_name),
		cmocka_unit_test(what_is_no_record_is_refused),
		cmocka_unit_test(records_stand_once_and_in_order),
		cmocka_unit_test(the_terms_of_each_session_count),
		cmocka_unit_test(the_largest_values_are_summed_up_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
