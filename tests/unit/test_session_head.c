/* SPDX-License-Identifier: Apache-2.0
 * The served head: laggards, liars, silence and reorganisations, case by case and in seeded
 * worlds. */
#include "tests/unit/unit.h"

#include "session/branch.h"
#include "tests/support/gen.h"
#include "tests/unit/head_world.h"

static void one_supplier_is_believed_at_once(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(1, SECOND);

	assert_false(head_state(head)->known);
	tell(head, 0, 100, 0, START);
	assert_int_equal(head_state(head)->number, 100);
	assert_true(is_pinned_to(head, 100, 0));
	tell(head, 0, 150, 0, START); /* a burst of blocks */
	assert_true(is_pinned_to(head, 150, 0));
}

static void nothing_is_served_until_half_was_heard_or_time_has_passed(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(4, SECOND);

	tell(head, 0, 100, 0, START);
	tell(head, 1, 100, 0, START);
	assert_false(head_state(head)->known);
	head_look(head, START + HEAD_START_US - 1);
	assert_false(head_state(head)->known);
	head_look(head, START + HEAD_START_US);
	assert_int_equal(head_state(head)->number, 100);
}

static void more_than_half_is_enough_at_once_and_half_is_not(void **state)
{
	for (size_t n = 2; n <= 7; n++) {
		CLEANUP(head_destroy) struct head *head = head_of(n, SECOND);

		for (size_t i = 0; i < n; i++) {
			assert_int_equal(head_state(head)->known, 2 * i > n);
			tell(head, i, 100, 0, START);
		}
		assert_true(head_state(head)->known);
	}
}

static void the_largest_height_there_is_moves_nothing(void **state)
{
	static const uint64_t heights[] = {UINT64_MAX, UINT64_MAX - 1, INT64_MAX, 1000000, 107};
	const struct key_id liar = key_of(2);

	for (size_t i = 0; i < sizeof(heights) / sizeof(heights[0]); i++) {
		for (unsigned first = 0; first < 2; first++) {
			CLEANUP(head_destroy) struct head *head = head_of(3, SECOND);

			if (first)
				tell(head, 2, heights[i], 9, START);
			tell(head, 0, 100, 0, START);
			tell(head, 1, 100, 0, START);
			tell(head, 2, heights[i], 9, START);
			assert_int_equal(head_state(head)->number, 100);
			assert_true(is_pinned_to(head, 100, 0));
			assert_true(heights[i] > head_state(head)->bound);
			assert_int_equal(head_lag(head, &liar, START), 0);
		}
	}
}

static void a_liar_that_was_heard_alone_is_overruled_by_the_others(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(3, SECOND);

	tell(head, 2, UINT64_MAX, 9, START);
	head_look(head, START + HEAD_START_US);
	assert_int_equal(head_state(head)->number, UINT64_MAX);
	tell(head, 0, 100, 0, START + SECOND);
	tell(head, 1, 100, 0, START + SECOND);
	assert_int_equal(head_state(head)->number, 100);
	assert_int_equal(head_state(head)->floor, 100);
	assert_int_equal(head_state(head)->falls, 1);
	assert_true(is_pinned_to(head, 100, 0));
}

static void one_50_blocks_behind_is_known_and_holds_nobody_back(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(3, SECOND);
	const struct key_id late = key_of(0), good = key_of(1);

	tell(head, 0, 50, 0, START);
	tell(head, 1, 100, 0, START);
	tell(head, 2, 101, 0, START);
	assert_int_equal(head_state(head)->number, 100);
	assert_int_equal(head_lag(head, &late, START), 50);
	assert_int_equal(head_lag(head, &late, START + 10 * SECOND), 50); /* at its word */
	assert_int_equal(head_lag(head, &good, START), 0);
}

static void a_jump_counts_when_two_owners_say_it(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(5, SECOND);

	for (size_t i = 0; i < 5; i++)
		tell(head, i, 100, 0, START);
	tell(head, 0, 150, 0, START + 1);
	assert_int_equal(head_state(head)->number, 100);
	assert_true(head_state(head)->bound < 150);
	tell(head, 1, 150, 0, START + 2);
	assert_int_equal(head_state(head)->number, 150);
	assert_true(is_pinned_to(head, 150, 0));
}

static void old_words_are_taken_forward_but_not_past_what_was_told(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(3, SECOND);

	for (size_t i = 0; i < 3; i++)
		tell(head, i, 100, 0, START);
	head_look(head, START + 10 * SECOND);
	assert_int_equal(head_state(head)->number, 100); /* nobody said more */
	tell(head, 0, 104, 0, START + 4 * SECOND);
	assert_int_equal(head_state(head)->number, 104); /* the others had the time for it */
	assert_int_equal(head_state(head)->floor, 104);
	assert_true(is_pinned_to(head, 100, 0)); /* but one alone is not pinned to */
	tell(head, 1, 104, 0, START + 4 * SECOND);
	assert_true(is_pinned_to(head, 104, 0));
}

static void silence_keeps_the_height_and_the_next_word_moves_it(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(3, SECOND);
	usec_t later = START + 3600 * (usec_t)SECOND;

	for (size_t i = 0; i < 3; i++)
		tell(head, i, 100, 0, START);
	head_look(head, later);
	assert_int_equal(head_state(head)->number, 100);
	assert_int_equal(head_state(head)->heard_us, START);
	tell(head, 0, 3700, 0, later);
	assert_int_equal(head_state(head)->number, 3700);
}

/* Two of five are left, one of them 50 blocks behind; nobody has asked for a while.  Whoever speaks
 * first is believed, and must not make the other look impossible. */
static void after_a_silence_a_laggard_that_speaks_first_shuts_nobody_out(void **state)
{
	static const usec_t silences[] = {30, 60, 100, 3600};
	static const usec_t leads[] = {0, 1, 10, 60}; /* before the other one is heard */

	for (size_t k = 0; k < 16; k++) {
		CLEANUP(head_destroy) struct head *head = head_of(5, SECOND);
		usec_t silence = silences[k / 4], lead = leads[k % 4], s = 0;

		for (; s < 30; s++) {
			for (size_t i = 0; i < 4; i++)
				tell(head, i, 100 + (uint64_t)s, 0, START + s * SECOND);
			tell(head, 4, 50 + (uint64_t)s, 0, START + s * SECOND);
		}
		for (s += silence; s <= 30 + silence + lead; s++)
			tell(head, 4, 50 + (uint64_t)s, 0, START + s * SECOND);
		for (usec_t end = s + 30; s < end; s++) {
			tell(head, 0, 100 + (uint64_t)s, 0, START + s * SECOND);
			head_settle(head, START + s * SECOND);
			assert_int_equal(head_state(head)->number, 100 + s);
			assert_true(is_pinned_to(head, 100 + (uint64_t)s, 0));
			tell(head, 4, 50 + (uint64_t)s, 0, START + s * SECOND);
			assert_int_equal(head_state(head)->number, 100 + s);
		}
		assert_int_equal(head_state(head)->falls, 0);
	}
}

/* The same when the laggard has long been alone. */
static void who_comes_back_ahead_of_a_lone_laggard_is_believed_within_its_lag(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(2, SECOND);
	usec_t s = 0;

	for (; s < 600; s++)
		tell(head, 1, 50 + (uint64_t)s, 0, START + s * SECOND);
	for (usec_t end = s + 50; s < end; s++) {
		tell(head, 0, 100 + (uint64_t)s, 0, START + s * SECOND);
		tell(head, 1, 50 + (uint64_t)s, 0, START + s * SECOND);
	}
	assert_int_equal(head_state(head)->number, 100 + s - 1);
	assert_int_equal(head_state(head)->falls, 0);
}

static void of_two_groups_as_heavy_the_higher_counts_when_nobody_else_speaks(void **state)
{
	for (unsigned known = 0; known < 2; known++) {
		CLEANUP(head_destroy) struct head *head = head_of(2, SECOND);
		usec_t now = START + 60 * SECOND;

		for (size_t i = 0; known && i < 2; i++)
			tell(head, i, 100, 0, START);
		tell(head, 0, 130, 0, now);
		tell(head, 1, 160, 0, now);
		assert_true(head_state(head)->tied);
		head_look(head, now + HEAD_START_US - 1);
		assert_int_equal(head_state(head)->known, known);
		assert_int_equal(head_state(head)->number, known ? 130 : 0);
		head_look(head, now + HEAD_START_US);
		assert_false(head_state(head)->tied);
		assert_int_equal(head_state(head)->number, 160);
		tell(head, 0, 131, 0, now + SECOND);
		tell(head, 1, 161, 0, now + SECOND);
		assert_int_equal(head_state(head)->number, 161);
	}
}

static void a_number_without_a_hash_moves_the_height_but_not_the_pin(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(1, SECOND);

	tell_number(head, 0, 100, START);
	assert_int_equal(head_state(head)->number, 100);
	assert_false(head_state(head)->pinnable);
	tell(head, 0, 101, 0, START + SECOND);
	tell_number(head, 0, 102, START + 2 * SECOND);
	assert_int_equal(head_state(head)->number, 102);
	assert_true(is_pinned_to(head, 101, 0));
}

static void a_chain_that_goes_back_is_followed_after_four_blocks(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(3, SECOND);
	usec_t now = START + SECOND;

	for (size_t i = 0; i < 3; i++)
		tell(head, i, 100, 0, START);
	for (size_t i = 0; i < 3; i++)
		tell(head, i, 96, 1, now);
	assert_int_equal(head_state(head)->number, 100);
	assert_false(head_state(head)->pinnable); /* nobody has that block any more */
	for (; now < START + 6 * SECOND; now += SECOND / 2) {
		for (size_t i = 0; i < 3; i++)
			tell(head, i, 96, 1, now);
	}
	assert_int_equal(head_state(head)->number, 96);
	assert_int_equal(head_state(head)->falls, 1);
	assert_true(is_pinned_to(head, 96, 1));
}

static void a_laggard_that_is_left_alone_does_not_pull_the_height_down_for_a_while(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(5, SECOND);
	usec_t now = START;

	for (size_t i = 0; i < 4; i++)
		tell(head, i, 100, 0, now);
	for (; now <= START + HEAD_STANDS_US; now += SECOND) {
		tell_number(head, 4, 50, now);
		assert_int_equal(head_state(head)->number, 100);
	}
	for (usec_t end = now + 10 * SECOND; now < end; now += SECOND)
		tell_number(head, 4, 50, now);
	assert_int_equal(head_state(head)->number, 50);
	assert_int_equal(head_state(head)->falls, 1);
}

static void after_a_reorganisation_the_new_branch_is_pinned_to(void **state)
{
	for (uint64_t depth = 1; depth <= 10; depth++) {
		CLEANUP(head_destroy) struct head *head = head_of(5, SECOND);

		for (uint64_t n = 80; n <= 100; n++) {
			for (size_t i = 0; i < 5; i++)
				tell(head, i, n, 0, START + (usec_t)(n - 80) * SECOND);
		}
		assert_true(is_pinned_to(head, 100, 0));
		tell(head, 0, 100, 1, START + 21 * SECOND);
		assert_true(is_pinned_to(head, 100, 0)); /* four stand for it */
		tell(head, 1, 100, 1, START + 21 * SECOND);
		tell(head, 2, 100, 1, START + 21 * SECOND);
		assert_true(is_pinned_to(head, 100, 1));
		tell(head, 3, 101, 1, START + 23 * SECOND);
		tell(head, 4, 101, 1, START + 23 * SECOND);
		assert_true(is_pinned_to(head, 101, 1));
	}
}

static void a_block_that_nobody_has_is_not_pinned_to(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(2, SECOND);
	const struct hash hash = hash_of(100, 0);

	tell(head, 0, 100, 0, START);
	tell(head, 1, 100, 0, START);
	for (size_t i = 0; i < 2; i++) {
		const struct key_id key = key_of(i);

		assert_true(is_pinned_to(head, 100, 0));
		head_lack(head, &key, &hash, START);
	}
	assert_false(head_state(head)->pinnable);
	assert_int_equal(head_state(head)->number, 100);
	tell(head, 0, 100, 1, START);
	tell(head, 1, 100, 1, START);
	assert_true(is_pinned_to(head, 100, 1));
}

static void what_a_client_was_told_is_a_floor_within_the_gap(void **state)
{
	CLEANUP(head_destroy) struct head *head = head_of(1, SECOND);

	tell(head, 0, 100, 0, START);
	head_give(head, 100 + HEAD_GAP + 1);
	assert_int_equal(head_state(head)->floor, 100);
	head_give(head, 100 + HEAD_GAP);
	assert_int_equal(head_state(head)->floor, 100 + HEAD_GAP);
	head_give(head, 99);
	assert_int_equal(head_state(head)->floor, 100 + HEAD_GAP);
}

static void the_pace_is_learned(void **state)
{
	static const usec_t paces[] = {250000, 500000, 2 * SECOND, 12 * SECOND, 60 * SECOND};

	for (size_t p = 0; p < sizeof(paces) / sizeof(paces[0]); p++) {
		CLEANUP(head_destroy) struct head *head = head_of(3, 12 * SECOND);

		for (uint64_t n = 0; n < 60; n++) {
			for (size_t i = 0; i < 3; i++)
				tell(head, i, 100 + n, 0, START + (usec_t)n * paces[p]);
		}
		assert_in_range(head_state(head)->block_us, paces[p] * 9 / 10, paces[p] * 11 / 10);
	}
}

static void a_full_branch_keeps_what_is_stood_for(void **state)
{
	struct branch branch = {0};
	uint64_t weights[BRANCH_TELLERS_MAX] = {1, 1}, at;
	struct hash hash;

	for (uint64_t n = 1; n <= 1000; n++) {
		hash = hash_of(n, 0);
		branch_tell(&branch, 0, n, &hash, n);
		hash = hash_of(5000 + n, 1); /* far above, as often */
		branch_tell(&branch, 1, 5000 + n, &hash, n);
		assert_true(branch.n <= BRANCH_BLOCKS_MAX);
		assert_non_null(branch_best(&branch, n, weights));
		assert_true(branch_highest(&branch, 0, n, &at));
		assert_int_equal(at, n);
	}
	branch_cut(&branch, 0, 990);
	assert_true(branch_highest(&branch, 0, 1000, &at));
	assert_int_equal(at, 990);
	branch_void(&branch, 0);
	assert_false(branch_highest(&branch, 0, 1000, &at));
}

/* --- seeded worlds --- */

#define WORLD_MAX 9

enum habit { HONEST, LAGS, LIES, SILENT };

struct world {
	struct gen gen;
	size_t n;
	enum habit habits[WORLD_MAX];
	uint64_t weights[WORLD_MAX];
	usec_t delays[WORLD_MAX]; /* until a block has come to it; below one block's time */
	usec_t block_us;
	struct head *head;
	usec_t now;
};

static uint64_t height_at(const struct world *w, usec_t t)
{
	return 1000 + (uint64_t)((t - START) / w->block_us);
}

/* Liars and laggards have less than a third of the stake that is heard. */
static void make_world(struct world *w, uint64_t seed)
{
	static const usec_t paces[] = {200000, 500000, 2 * SECOND, 12 * SECOND};
	uint64_t all = 0, bad = 0;

	*w = (struct world){.gen = gen_init(seed), .now = START};
	w->n = 3 + gen_below(&w->gen, WORLD_MAX - 2);
	w->block_us = paces[gen_below(&w->gen, 4)];
	w->head = head_create(12 * SECOND);
	for (size_t i = 0; i < w->n; i++) {
		w->weights[i] = 1 + gen_below(&w->gen, 100);
		w->delays[i] = (usec_t)gen_below(&w->gen, (uint64_t)w->block_us);
		all += w->weights[i];
	}
	for (size_t i = 0; i < w->n; i++) {
		const struct key_id key = key_of(i);
		const struct owner_id owner = {{(uint8_t)(i + 1)}};

		if ((bad + w->weights[i]) * 3 < all) {
			w->habits[i] = (enum habit)gen_below(&w->gen, 4);
			bad += w->habits[i] == HONEST ? 0 : w->weights[i];
		}
		head_join(w->head, &key, &owner, w->weights[i], START);
	}
}

static void one_word(struct world *w, size_t i)
{
	uint64_t honest = height_at(w, w->now - w->delays[i]);

	switch (w->habits[i]) {
	case HONEST:
		tell(w->head, i, honest, 0, w->now);
		break;
	case LAGS:
		tell(w->head, i, honest - 50, 0, w->now);
		break;
	case LIES:
		if (gen_below(&w->gen, 4) == 0)
			tell(w->head, i, gen_u64(&w->gen), 9, w->now);
		else
			tell(w->head, i, honest + gen_below(&w->gen, 12) - 4, 9, w->now);
		break;
	case SILENT:
		break;
	}
}

static void check_world(const struct world *w, uint64_t before, uint64_t falls, uint64_t seed)
{
	const struct head_state *state = head_state(w->head);
	uint64_t truth = height_at(w, w->now);
	bool fine = state->number >= before && state->number <= truth + 2 &&
		    state->number + HEAD_GAP + 3 >= truth &&
		    (!state->pinnable || state->block.hash.b[0] == 0) && state->falls == falls &&
		    (!state->pinnable || state->block.number <= state->number) &&
		    truth <= state->bound;

	for (size_t i = 0; i < w->n; i++) {
		const struct key_id key = key_of(i);
		bool is_behind = head_lag(w->head, &key, w->now) > HEAD_GAP;

		if ((w->habits[i] == HONEST && is_behind) || (w->habits[i] == LAGS && !is_behind))
			fine = false;
	}
	if (!fine)
		print_message(
			"# seed %llu: served %llu, before %llu, true %llu, pinned %llu (%d)\n",
			(unsigned long long)seed, (unsigned long long)state->number,
			(unsigned long long)before, (unsigned long long)truth,
			(unsigned long long)state->block.number, state->pinnable);
	assert_true(fine);
}

/* Rounds in which everybody is heard, in any order, about once or twice a block. */
static void a_minority_moves_the_head_hardly_at_all(void **state)
{
	uint64_t cases = gen_cases(2000) / 10 + 1;

	for (uint64_t seed = 1; seed <= cases; seed++) {
		uint64_t before = 0, falls = 0;
		struct world w;

		make_world(&w, seed);
		for (unsigned round = 0; round < 150; round++) {
			size_t first = gen_below(&w.gen, w.n);

			for (size_t i = 0; i < w.n; i++)
				one_word(&w, (first + i) % w.n);
			if (round > 40) /* the pace is learned */
				check_world(&w, before, falls, seed);
			before = head_state(w.head)->number;
			falls = head_state(w.head)->falls;
			w.now += (usec_t)gen_below(&w.gen, (uint64_t)w.block_us) + 1;
		}
		head_destroy(w.head);
	}
}

/* As few words as there can be: one supplier a block's time, as traffic happens to tell.  On a
 * chain of 500 ms an honest one is never taken for a laggard. */
static void a_fast_chain_and_few_words_make_no_laggards(void **state)
{
	uint64_t cases = gen_cases(2000) / 10 + 1;

	for (uint64_t seed = 1; seed <= cases; seed++) {
		struct world w;

		make_world(&w, seed);
		w.block_us = SECOND / 2;
		for (size_t i = 0; i < w.n; i++) {
			w.habits[i] = HONEST;
			w.delays[i] %= w.block_us;
		}
		for (unsigned round = 0; round < 400; round++) {
			one_word(&w, gen_below(&w.gen, w.n));
			w.now += w.block_us;
			for (size_t i = 0; i < w.n && round > 100; i++) {
				const struct key_id key = key_of(i);

				assert_true(head_lag(w.head, &key, w.now) <= HEAD_GAP);
			}
			head_look(w.head, w.now);
			assert_true(round <= 100 ||
				    height_at(&w, w.now) <= head_state(w.head)->bound);
		}
		assert_true(head_state(w.head)->number + 8 >= height_at(&w, w.now));
		assert_int_equal(head_state(w.head)->falls, 0);
		head_destroy(w.head);
	}
}

/* Whatever is told: no crash, no height that nobody told, the floor is the largest of heights. */
static void whatever_is_told_the_state_is_sane(void **state)
{
	uint64_t cases = gen_cases(2000) / 10 + 1;

	for (uint64_t seed = 1; seed <= cases; seed++) {
		struct gen gen = gen_init(seed);
		struct head *head = head_of(1 + gen_below(&gen, 6), SECOND);
		uint64_t base = gen_below(&gen, 4) == 0 ? UINT64_MAX - 20 : gen_below(&gen, 100);
		usec_t now = START;

		for (unsigned step = 0; step < 200; step++) {
			const struct head_state *s = head_state(head);
			uint64_t number = base + gen_below(&gen, 20), before = s->number;
			uint64_t falls = s->falls;
			const struct key_id key = key_of(gen_below(&gen, 7));
			const struct hash hash = hash_of(number, (uint8_t)gen_below(&gen, 2));
			const struct head_report report = {
				.is_newest = gen_below(&gen, 2) != 0,
				.has_hash = gen_below(&gen, 4) != 0,
				.has_parent = true,
				.block = {number, hash},
				.parent = hash_of(number - 1, (uint8_t)gen_below(&gen, 2)),
			};

			if (gen_below(&gen, 5) == 0)
				head_lack(head, &key, &hash, now);
			else if (gen_below(&gen, 5) == 0)
				head_give(head, number);
			else
				head_tell(head, &key, &report, now);
			assert_true(!s->known || s->number <= base + 19);
			assert_true(s->number >= before || s->falls > falls);
			assert_true(s->floor >= s->number && s->bound >= s->number);
			assert_true(!s->pinnable || s->block.number <= s->number);
			now += (usec_t)gen_below(&gen,
						 gen_below(&gen, 10) == 0 ? 100 * SECOND : SECOND);
		}
		head_destroy(head);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_supplier_is_believed_at_once),
		cmocka_unit_test(nothing_is_served_until_half_was_heard_or_time_has_passed),
		cmocka_unit_test(more_than_half_is_enough_at_once_and_half_is_not),
		cmocka_unit_test(the_largest_height_there_is_moves_nothing),
		cmocka_unit_test(a_liar_that_was_heard_alone_is_overruled_by_the_others),
		cmocka_unit_test(one_50_blocks_behind_is_known_and_holds_nobody_back),
		cmocka_unit_test(a_jump_counts_when_two_owners_say_it),
		cmocka_unit_test(old_words_are_taken_forward_but_not_past_what_was_told),
		cmocka_unit_test(silence_keeps_the_height_and_the_next_word_moves_it),
		cmocka_unit_test(after_a_silence_a_laggard_that_speaks_first_shuts_nobody_out),
		cmocka_unit_test(who_comes_back_ahead_of_a_lone_laggard_is_believed_within_its_lag),
		cmocka_unit_test(of_two_groups_as_heavy_the_higher_counts_when_nobody_else_speaks),
		cmocka_unit_test(a_number_without_a_hash_moves_the_height_but_not_the_pin),
		cmocka_unit_test(a_chain_that_goes_back_is_followed_after_four_blocks),
		cmocka_unit_test(
			a_laggard_that_is_left_alone_does_not_pull_the_height_down_for_a_while),
		cmocka_unit_test(after_a_reorganisation_the_new_branch_is_pinned_to),
		cmocka_unit_test(a_block_that_nobody_has_is_not_pinned_to),
		cmocka_unit_test(what_a_client_was_told_is_a_floor_within_the_gap),
		cmocka_unit_test(the_pace_is_learned),
		cmocka_unit_test(a_full_branch_keeps_what_is_stood_for),
		cmocka_unit_test(a_minority_moves_the_head_hardly_at_all),
		cmocka_unit_test(a_fast_chain_and_few_words_make_no_laggards),
		cmocka_unit_test(whatever_is_told_the_state_is_sane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
