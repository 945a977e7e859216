/* SPDX-License-Identifier: Apache-2.0
 * Which sessions are claimed together, and when. */
#include "tests/unit/unit.h"

#include <string.h>

#include "relay/base/mem.h"
#include "relay/node/claim_plan.h"
#include "tests/support/gen.h"

#define BLOCKS 60
#define GRACE 5
#define WINDOW 300

static const struct claim_plan_params three = {
	.session_blocks = BLOCKS, .batch = 3, .records_max = 100};

/* Session k of a network whose windows are wide, complete. */
static struct claim_plan_session session(height_t k)
{
	return (struct claim_plan_session){
		.start = k * BLOCKS,
		.ripe = (k + 1) * BLOCKS + GRACE + 1,
		.opens = (k + 1) * BLOCKS + GRACE,
		.closes = (k + 1) * BLOCKS + WINDOW,
		.complete = true,
		.records = 1,
	};
}

static void assert_plan(const struct claim_plan_session *s, size_t n, height_t height, size_t first,
			size_t count)
{
	size_t at = SIZE_MAX;

	assert_int_equal(claim_plan_next(s, n, &three, height, &at), count);
	if (count > 0)
		assert_int_equal(at, first);
}

static void nothing_is_claimed_before_it_is_ripe(void **state)
{
	const struct claim_plan_session s[] = {session(0), session(1), session(2)};

	assert_plan(s, 0, 1000, 0, 0);
	for (height_t h = 0; h < s[2].ripe; h++)
		if (h < claim_plan_at(s[0].opens, s[0].closes, 33))
			assert_plan(s, 3, h, 0, 0);
	assert_plan(s, 1, s[0].opens, 0, 0);
}

static void as_many_neighbours_as_a_batch_are_claimed_at_once(void **state)
{
	struct claim_plan_session s[] = {session(10), session(11), session(12), session(13)};

	for (size_t i = 0; i < 4; i++)
		s[i].closes += 10000; /* none is due */
	assert_plan(s, 4, s[2].ripe - 1, 0, 0);
	assert_plan(s, 4, s[2].ripe, 0, 3);
	assert_plan(s, 4, s[3].ripe, 0, 3);
	assert_plan(s + 3, 1, s[3].ripe, 0, 0);
}

static void a_third_of_its_window_is_as_long_as_a_session_waits(void **state)
{
	const struct claim_plan_session s[] = {session(10), session(12)};
	height_t due = claim_plan_at(s[0].opens, s[0].closes, 33);

	assert_plan(s, 2, due - 1, 0, 0);
	assert_plan(s, 2, due, 0, 1);
	assert_plan(s, 2, s[0].closes - 1, 0, 1);
	assert_plan(s, 2, s[0].closes, 1, 1);
	assert_plan(s, 2, s[1].closes, 0, 0);
}

static void a_gap_divides(void **state)
{
	struct claim_plan_session s[] = {session(1), session(2), session(4), session(5),
					 session(6)};

	for (size_t i = 0; i < 5; i++)
		s[i].closes += 10000;
	assert_plan(s, 5, s[4].ripe, 2, 3);
}

static void one_that_lacks_a_cosignature_holds_nobody_up_and_goes_at_its_last_call(void **state)
{
	struct claim_plan_session s[] = {session(1), session(2), session(3), session(4)};
	height_t last;

	s[0].complete = false;
	assert_plan(s, 4, s[3].ripe, 1, 3);
	last = claim_plan_at(s[0].opens, s[0].closes, 75);
	assert_plan(s, 1, last - 1, 0, 0);
	assert_plan(s, 1, last, 0, 1);
	assert_false(claim_plan_is_last_call(s, last - 1));
	assert_true(claim_plan_is_last_call(s, last));
}

static void no_claim_has_more_records_than_it_may(void **state)
{
	struct claim_plan_session s[] = {session(1), session(2), session(3)};
	size_t first;

	s[0].records = 60;
	s[1].records = 40;
	s[2].records = 1;
	assert_int_equal(claim_plan_next(s, 3, &three, s[0].closes - 1, &first), 2);
	s[1].records = 41;
	assert_int_equal(claim_plan_next(s, 3, &three, s[0].closes - 1, &first), 1);
	s[0].records = 1000; /* of a session alone the rest is left behind */
	assert_int_equal(claim_plan_next(s, 3, &three, s[0].closes - 1, &first), 1);
}

/* Whatever is earned when, and whatever is complete late or never: each session is planned once,
 * within its window, and none whose heads are there by the last call is missed. */
static void every_session_is_planned_once_within_its_window(void **state)
{
	struct gen gen = gen_init(20261126);

	print_message("# CF_SEED=%llu\n", (unsigned long long)gen.seed);
	for (uint64_t cases = gen_cases(2000); cases > 0; cases--) {
		struct claim_plan_params p = {.session_blocks = BLOCKS,
					      .batch = 1 + gen_below(&gen, 12),
					      .records_max = 50};
		struct claim_plan_session s[12];
		height_t complete_at[12], k = gen_below(&gen, 5), end;
		bool gone[12] = {false};
		size_t n = 1 + gen_below(&gen, 12), left = n;

		for (size_t i = 0; i < n; i++) {
			s[i] = session(k += 1 + (gen_below(&gen, 4) == 0));
			s[i].complete = false;
			s[i].records = gen_below(&gen, 9);
			complete_at[i] = s[i].start + gen_below(&gen, 800);
		}
		end = s[n - 1].closes + 1;
		for (height_t h = s[0].start; h < end; h += 1 + gen_below(&gen, 20)) {
			struct claim_plan_session open[12];
			size_t of[12], m = 0, first, count;

			for (size_t i = 0; i < n; i++) {
				s[i].complete = h >= complete_at[i];
				if (!gone[i]) {
					of[m] = i;
					open[m++] = s[i];
				}
			}
			while ((count = claim_plan_next(open, m, &p, h, &first)) > 0) {
				assert_true(count <= p.batch && first + count <= m);
				for (size_t i = first; i < first + count; i++) {
					assert_true(h >= open[i].ripe && h < open[i].closes);
					assert_true(open[i].complete ||
						    claim_plan_is_last_call(&open[i], h));
					assert_true(i == first ||
						    open[i].start == open[i - 1].start + BLOCKS);
					gone[of[i]] = true;
					left--;
				}
				memmove(open + first, open + first + count,
					(m - first - count) * sizeof(open[0]));
				memmove(of + first, of + first + count,
					(m - first - count) * sizeof(of[0]));
				m -= count;
			}
		}
		assert_int_equal(left, 0); /* steps are shorter than any last call */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_claimed_before_it_is_ripe),
		cmocka_unit_test(as_many_neighbours_as_a_batch_are_claimed_at_once),
		cmocka_unit_test(a_third_of_its_window_is_as_long_as_a_session_waits),
		cmocka_unit_test(a_gap_divides),
		cmocka_unit_test(
			one_that_lacks_a_cosignature_holds_nobody_up_and_goes_at_its_last_call),
		cmocka_unit_test(no_claim_has_more_records_than_it_may),
		cmocka_unit_test(every_session_is_planned_once_within_its_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
