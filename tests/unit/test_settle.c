/* SPDX-License-Identifier: Apache-2.0
 * Names, times, overlap and splits of amounts ([C4], [C5], [C7], [C10] to [C12]). */
#include "tests/unit/unit.h"

#include "session/settle.h"

static void each_fault_has_a_name_of_its_own(void **state)
{
	for (unsigned i = 0; i < SETTLE_FAULT_COUNT; i++)
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(settle_fault_name((enum settle_fault)i),
						settle_fault_name((enum settle_fault)j));
}

static void a_fault_is_read_back_from_a_message(void **state)
{
	enum settle_fault fault;
	char text[64];

	for (unsigned i = 1; i < SETTLE_FAULT_COUNT; i++) {
		snprintf(text, sizeof(text), "%s", settle_fault_name((enum settle_fault)i));
		assert_true(settle_fault_of(text, &fault));
		assert_int_equal(fault, i);
		snprintf(text, sizeof(text), "%s: in session 60",
			 settle_fault_name((enum settle_fault)i));
		assert_true(settle_fault_of(text, &fault));
		assert_int_equal(fault, i);
	}
	assert_false(settle_fault_of("", &fault));
	assert_false(settle_fault_of("fine", &fault));
	assert_false(settle_fault_of("records_", &fault));
	assert_false(settle_fault_of("record path", &fault));
	assert_false(settle_fault_of("out of reach: late", &fault));
}

/* [C5] */
static void ranges_overlap_when_they_share_a_session(void **state)
{
	struct claim a = {.from = 100, .to = 130, .service = {"eth"}}, b = a;

	assert_true(settle_overlap(&a, &b));
	b.from = 130, b.to = 140;
	assert_false(settle_overlap(&a, &b) || settle_overlap(&b, &a));
	b.from = 120;
	assert_true(settle_overlap(&a, &b) && settle_overlap(&b, &a));
	b.from = 0, b.to = 1000;
	assert_true(settle_overlap(&a, &b) && settle_overlap(&b, &a));
	b.from = 110, b.to = 120;
	assert_true(settle_overlap(&a, &b) && settle_overlap(&b, &a));
	strcpy(b.service.s, "btc"); /* allowed: both fit */
	assert_false(settle_overlap(&a, &b));
	b.service = a.service;
	b.gateway.b[0] ^= 1;
	assert_false(settle_overlap(&a, &b));
	b.gateway = a.gateway;
	b.application.b[31] ^= 1;
	assert_false(settle_overlap(&a, &b));
	b.application = a.application;
	b.supplier.b[3] ^= 1;
	assert_false(settle_overlap(&a, &b));
}

/* [C4], [C11] */
static void times_follow_from_the_parameters(void **state)
{
	struct session_params p = session_params_default;

	p.session_blocks = 60;
	p.grace_blocks = 5;
	p.claim_window = 100;
	p.challenge_lag = 2;
	p.proof_window = 30;
	assert_int_equal(settle_opens(&p, 180), 185);
	assert_int_equal(settle_closes(&p, 120), 280);
	assert_int_equal(settle_challenge(&p, 190), 192);
	assert_int_equal(settle_due(&p, 190), 222);
	assert_int_equal(settle_proof_time(&p, 190, 191), SETTLE_EARLY);
	assert_int_equal(settle_proof_time(&p, 190, 192), SETTLE_FINE);
	assert_int_equal(settle_proof_time(&p, 190, 222), SETTLE_FINE);
	assert_int_equal(settle_proof_time(&p, 190, 223), SETTLE_LATE);
	assert_true(settle_opens(&p, UINT64_MAX - 1) == UINT64_MAX);
	assert_true(settle_closes(&p, UINT64_MAX - 1) == UINT64_MAX);
	assert_true(settle_due(&p, UINT64_MAX - 1) == UINT64_MAX);
}

/* [P2]: what can be unsettled at once is settled before the escrow of its session may leave. */
static void a_claim_is_over_within_the_horizon(void **state)
{
	struct session_params p = session_params_default;

	for (uint64_t window = 1; window < 400; window += 7) {
		height_t start = 6000, last_record, span;

		p.claim_window = window;
		last_record = settle_closes(&p, start) - 1;
		span = session_claim_horizon(&p) * p.session_blocks;
		assert_true(settle_due(&p, last_record) < start - p.snapshot_lag + span);
	}
}

/* [C12] */
static void what_stands_is_taken_first(void **state)
{
	static const struct {
		u128 amount, standing, thawing, from_standing, from_thawing;
	} cases[] = {
		{0, 5, 5, 0, 0},  {5, 5, 5, 5, 0},  {6, 5, 5, 5, 1},
		{10, 5, 5, 5, 5}, {11, 5, 5, 5, 5}, {100, 0, 0, 0, 0},
		{3, 0, 9, 0, 3},  {3, 9, 0, 3, 0},  {~(u128)0, ~(u128)0, ~(u128)0, ~(u128)0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct settle_split got =
			settle_take(cases[i].amount, cases[i].standing, cases[i].thawing);

		assert_true(got.standing == cases[i].from_standing);
		assert_true(got.thawing == cases[i].from_thawing);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_has_a_name_of_its_own),
		cmocka_unit_test(a_fault_is_read_back_from_a_message),
		cmocka_unit_test(ranges_overlap_when_they_share_a_session),
		cmocka_unit_test(times_follow_from_the_parameters),
		cmocka_unit_test(a_claim_is_over_within_the_horizon),
		cmocka_unit_test(what_stands_is_taken_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
