/* SPDX-License-Identifier: Apache-2.0
 * The served head and time: when it goes backwards, how a chain's pace is learned, and who gives
 * way to a supplier too many. */
#include "tests/unit/unit.h"

#include "tests/unit/head_world.h"

/* How long three suppliers must tell a lower height until it is served, by quarters of a block. */
static usec_t time_to_fall(usec_t block_us)
{
	CLEANUP(head_destroy) struct head *head = head_of(3, block_us);
	usec_t begun = START + block_us;

	for (size_t i = 0; i < 3; i++)
		tell_number(head, i, 100, START);
	for (usec_t now = begun;; now += block_us / 4) {
		for (size_t i = 0; i < 3; i++)
			tell_number(head, i, 96, now);
		if (head_state(head)->number == 96)
			return now - begun;
		assert_int_equal(head_state(head)->number, 100);
		assert_true(now < begun + 1000 * (usec_t)SECOND);
	}
}

static void the_height_falls_after_four_blocks_time_within_its_bounds(void **state)
{
	assert_int_equal(time_to_fall(SECOND), 4 * SECOND);
	assert_int_equal(time_to_fall(2 * SECOND), 8 * SECOND);
	assert_int_equal(time_to_fall(12 * SECOND), 48 * SECOND);
	assert_int_equal(time_to_fall(SECOND / 2), 3 * SECOND);
	assert_int_equal(time_to_fall(40 * SECOND), 60 * SECOND);
}

static void a_chain_that_changes_its_pace_is_followed_within_its_last_blocks(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(3, SECOND);
	usec_t now = START;
	uint64_t n = 100;

	for (; n < 300; n++, now += 4 * SECOND) {
		for (size_t i = 0; i < 3; i++)
			tell_number(head, i, n, now);
	}
	assert_in_range(head_state(head)->block_us, 39 * SECOND / 10, 41 * SECOND / 10);
	for (; n < 300 + 100; n++, now += SECOND) {
		for (size_t i = 0; i < 3; i++)
			tell_number(head, i, n, now);
	}
	assert_in_range(head_state(head)->block_us, 9 * SECOND / 10, 11 * SECOND / 10);
}

/* Two of the suppliers, and the new one, are behind: of whom that can be said is known. */
static void make_room(size_t quiet)
{
	CLEANUP(head_destroy) struct head *head = head_of(HEAD_SOURCES_MAX, SECOND);
	const struct key_id key = key_of(HEAD_SOURCES_MAX), old = key_of(quiet);
	const struct owner_id owner = {{99}};

	for (size_t i = 0; i < HEAD_SOURCES_MAX; i++)
		tell_number(head, i, i == quiet || i == 7 ? 90 : 100, START + (i == quiet ? 0 : 1));
	assert_int_equal(head_lag(head, &old, START + 2), 10);
	head_join(head, &key, &owner, 1, START + 2);
	tell_number(head, HEAD_SOURCES_MAX, 90, START + 2);
	assert_int_equal(head_lag(head, &key, START + 2), 10);
	for (size_t i = 0; i < HEAD_SOURCES_MAX; i++) {
		const struct key_id each = key_of(i);

		assert_int_equal(head_lag(head, &each, START + 2), i == 7 ? 10 : 0);
	}
}

static void a_source_too_many_takes_the_place_of_the_one_heard_longest_ago(void **state)
{
	make_room(0);
	make_room(1);
	make_room(5);
	make_room(HEAD_SOURCES_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_height_falls_after_four_blocks_time_within_its_bounds),
		cmocka_unit_test(a_chain_that_changes_its_pace_is_followed_within_its_last_blocks),
		cmocka_unit_test(a_source_too_many_takes_the_place_of_the_one_heard_longest_ago),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
