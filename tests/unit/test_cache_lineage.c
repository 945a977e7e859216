/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/mem.h"
#include "relay/cache/internal.h"
#include "relay/cache/lineage.h"
#include "relay/crypto/digest.h"
#include "tests/support/gen.h"

/* --- a world: a tree of blocks, which is told bit by bit --- */

#define WORLD_MAX 24
#define ROOT_NUMBER 100

struct world {
	size_t n;
	size_t parent[WORLD_MAX]; /* of block 0: itself, which stands for one that nobody has */
	uint64_t number[WORLD_MAX];
};

static struct hash hash_of(size_t i)
{
	struct hash hash;

	memset(hash.b, (int)(i + 1), sizeof(hash.b));
	return hash;
}

static size_t id_of(const struct hash *hash)
{
	return (size_t)hash->b[0] - 1;
}

static struct block_claim claim_of(const struct world *w, size_t i, bool with_parent)
{
	struct block_claim claim = {.hash = hash_of(i), .number = w->number[i], .sure = true};

	claim.has_parent = with_parent;
	if (with_parent)
		claim.parent = i == 0 ? hash_of(200) : hash_of(w->parent[i]);
	return claim;
}

static void grow(struct world *w, size_t parent)
{
	w->parent[w->n] = parent;
	w->number[w->n] = w->n == 0 ? ROOT_NUMBER : w->number[parent] + 1;
	w->n++;
}

/* --- the model: sets, and everything worked out anew each time --- */

struct model {
	const struct world *w;
	bool known[WORLD_MAX], linked[WORLD_MAX], served[WORLD_MAX], pending[WORLD_MAX];
	bool has_head, has_final;
	size_t head;
	uint64_t final;
	int left[WORLD_MAX]; /* events of this step: 1 + enum lineage_leave */
};

static bool parent_is_known(const struct model *m, size_t i)
{
	return m->linked[i] && i != 0 && m->known[m->w->parent[i]];
}

static bool descends(const struct model *m, size_t i, size_t from)
{
	return i == from || (parent_is_known(m, i) && descends(m, m->w->parent[i], from));
}

static bool model_is_dead(const struct model *m, size_t i)
{
	for (size_t j = 0; j < m->w->n; j++)
		if (m->known[j] && j != i && m->w->number[j] == m->w->number[i] && m->served[j])
			return true;
	for (size_t j = 0; j < m->w->n; j++)
		if (m->known[j] && j != m->head && m->w->number[j] == m->w->number[m->head] &&
		    descends(m, i, j))
			return true;
	return false;
}

static void model_break(struct model *m)
{
	for (size_t i = 0; i < m->w->n; i++)
		if (m->known[i])
			m->left[i] = 1 + LINEAGE_BROKEN;
	for (size_t i = 0; i < WORLD_MAX; i++) {
		bool head = i == m->head && m->known[i];

		m->known[i] = m->served[i] = head;
		m->linked[i] = m->linked[i] && head;
		m->pending[i] = false;
	}
	m->has_final = false;
}

/* The anchor is known, and the served blocks come down beside it. */
static bool model_contradicts(const struct model *m)
{
	size_t low = m->head;

	if (!m->has_final)
		return false;
	for (size_t i = 0; i < m->w->n; i++)
		if (m->served[i] && m->w->number[i] < m->w->number[low])
			low = i;
	for (size_t i = 0; i < m->w->n; i++)
		if (m->known[i] && m->w->number[i] == m->final)
			return !m->served[i] && m->w->number[low] == m->final + 1 && m->linked[low];
	return false;
}

static void model_settle(struct model *m)
{
	for (size_t i = 0; i < m->w->n; i++) {
		bool now = m->known[i] && descends(m, m->head, i);

		m->pending[i] = (m->pending[i] || m->served[i]) && !now && m->known[i];
		m->served[i] = now;
	}
	if (model_contradicts(m))
		model_break(m);
	for (size_t i = 0; i < m->w->n; i++)
		if (m->pending[i] && model_is_dead(m, i)) {
			m->pending[i] = false;
			m->left[i] = 1 + LINEAGE_DEAD;
		}
}

static void model_learn(struct model *m, size_t i, bool with_parent)
{
	m->known[i] = true;
	m->linked[i] = m->linked[i] || with_parent;
}

static bool model_add(struct model *m, size_t i, bool with_parent)
{
	if (!m->has_head || (m->has_final && m->w->number[i] <= m->final))
		return false;
	model_learn(m, i, with_parent);
	model_settle(m);
	return m->known[i];
}

static void model_set_head(struct model *m, size_t i, bool with_parent)
{
	if (m->has_final && m->w->number[i] <= m->final && !m->known[i]) {
		m->head = WORLD_MAX;
		model_break(m);
	}
	m->has_head = true;
	m->head = i;
	model_learn(m, i, with_parent);
	model_settle(m);
}

static void model_set_final(struct model *m, uint64_t number)
{
	if (!m->has_head)
		return;
	number = MIN(number, m->w->number[m->head]);
	if (m->has_final && number <= m->final)
		return;
	m->has_final = true;
	m->final = number;
	for (size_t i = 0; i < m->w->n; i++) {
		if (!m->known[i] || m->w->number[i] > number)
			continue;
		m->left[i] = 1 + (m->served[i] ? LINEAGE_FINAL : LINEAGE_UNLINKED);
		if (m->served[i] && m->w->number[i] == number)
			continue;
		m->known[i] = m->linked[i] = m->served[i] = m->pending[i] = false;
	}
}

/* --- both side by side --- */

struct pair {
	struct model m;
	struct lineage *b;
	int left[WORLD_MAX];
};

static void note_leave(struct lineage_block *block, enum lineage_leave why, void *arg)
{
	struct pair *pair = arg;
	size_t i = id_of(&block->is.hash);

	assert_true(i < WORLD_MAX);
	assert_int_equal(pair->left[i], 0);
	pair->left[i] = 1 + (int)why;
}

static void compare(const struct pair *pair)
{
	const struct model *m = &pair->m;
	size_t known = 0;

	for (size_t i = 0; i < m->w->n; i++) {
		struct hash hash = hash_of(i);
		const struct lineage_block *block = lineage_find(pair->b, &hash);

		assert_int_equal(pair->left[i], m->left[i]);
		assert_int_equal(block != NULL, m->known[i]);
		known += m->known[i];
		if (!block)
			continue;
		assert_int_equal(block->served, m->served[i]);
		assert_int_equal(block->was_served, m->pending[i]);
		assert_int_equal(block->is.has_parent, m->linked[i]);
		assert_int_equal(lineage_is_final(pair->b, m->w->number[i]),
				 m->has_final && m->w->number[i] <= m->final);
	}
	assert_int_equal(lineage_count(pair->b), known);
	if (m->has_head)
		assert_int_equal(id_of(&lineage_head(pair->b)->is.hash), m->head);
	else
		assert_null(lineage_head(pair->b));
}

/* One of 4n + 3 steps: a block is seen, or is the head, with or without its parent; numbers become
 * final. */
static void step(struct pair *pair, size_t choice)
{
	const struct world *w = pair->m.w;
	size_t i = choice / 4;
	bool with_parent = (choice & 1) != 0;
	struct block_claim claim;

	memset(pair->left, 0, sizeof(pair->left));
	memset(pair->m.left, 0, sizeof(pair->m.left));
	if (i >= w->n) {
		lineage_set_final(pair->b, ROOT_NUMBER + choice - 4 * w->n);
		model_set_final(&pair->m, ROOT_NUMBER + choice - 4 * w->n);
	} else if (choice & 2) {
		claim = claim_of(w, i, with_parent);
		assert_true(lineage_set_head(pair->b, &claim));
		model_set_head(&pair->m, i, with_parent);
	} else {
		claim = claim_of(w, i, with_parent);
		assert_int_equal(lineage_add(pair->b, &claim) != NULL,
				 model_add(&pair->m, i, with_parent));
	}
	compare(pair);
}

static void pair_init(struct pair *pair, const struct world *w)
{
	memset(pair, 0, sizeof(*pair));
	pair->m.w = w;
	pair->b = lineage_create(64, note_leave, pair);
}

/* Two branches of three blocks over a common one. */
static struct world small_world(void)
{
	struct world w = {0};

	grow(&w, 0); /* 0 */
	grow(&w, 0); /* 1: 0-1 */
	grow(&w, 1); /* 2: 0-1-2 */
	grow(&w, 0); /* 3: 0-3 */
	grow(&w, 3); /* 4: 0-3-4 */
	return w;
}

static void every_short_story_of_a_small_world_is_told_right(void **state)
{
	struct world w = small_world();
	size_t steps = 4 * w.n + 3, length = gen_cases(2000) < 1000 ? 2 : 4, all = 1;

	for (size_t i = 0; i < length; i++)
		all *= steps;
	for (size_t story = 0; story < all; story++) {
		struct pair pair;
		size_t rest = story;

		pair_init(&pair, &w);
		for (size_t i = 0; i < length; i++, rest /= steps)
			step(&pair, rest % steps);
		lineage_destroy(pair.b);
	}
}

static void long_stories_of_random_worlds_are_told_right(void **state)
{
	struct gen gen = gen_init(20261126);
	size_t cases = gen_cases(2000);

	for (size_t c = 0; c < cases; c++) {
		struct world w = {0};
		struct pair pair;
		size_t n = 3 + gen_below(&gen, WORLD_MAX - 3);

		while (w.n < n) /* mostly long branches */
			grow(&w, w.n == 0 || gen_below(&gen, 3) ? (w.n ? w.n - 1 : 0)
								: gen_below(&gen, w.n));
		pair_init(&pair, &w);
		for (size_t i = 0; i < 60; i++) {
			/* Finality seldom, or there is not much to tell. */
			size_t choice = gen_below(&gen, 12) == 0 ? 4 * w.n + gen_below(&gen, 6)
								 : gen_below(&gen, 4 * w.n);

			step(&pair, choice);
		}
		lineage_destroy(pair.b);
	}
}

/* --- by hand --- */

static void count_leave(struct lineage_block *block, enum lineage_leave why, void *arg)
{
	size_t *left = arg;

	left[why]++;
}

static struct block_claim block_at(uint64_t number, uint8_t fork)
{
	struct block_claim claim = {.number = number, .has_parent = true, .sure = true};

	put_be64(claim.hash.b, number);
	put_be64(claim.parent.b, number - 1);
	claim.hash.b[31] = fork;
	claim.parent.b[31] = fork;
	return claim;
}

static void what_contradicts_a_known_block_changes_nothing(void **state)
{
	size_t left[5] = {0};
	struct lineage *b = lineage_create(16, count_leave, left);
	struct block_claim ten = block_at(10, 0), other = ten;

	assert_true(lineage_set_head(b, &ten));
	other.number = 11;
	assert_null(lineage_add(b, &other));
	assert_false(lineage_set_head(b, &other));
	other = ten;
	other.parent.b[0] ^= 1;
	assert_null(lineage_add(b, &other));
	assert_false(lineage_set_head(b, &other));
	other.has_parent = false;
	assert_non_null(lineage_add(b, &other));
	assert_int_equal(lineage_count(b), 1);
	assert_true(ID_EQ(&lineage_head(b)->is.parent, &ten.parent));
	lineage_destroy(b);
}

static void a_word_gives_way_to_what_is_sure_and_links_nothing(void **state)
{
	size_t left[5] = {0};
	struct lineage *b = lineage_create(16, count_leave, left);
	struct block_claim ten = block_at(10, 0), eleven = block_at(11, 0), word = block_at(9, 7);
	struct block_claim nine = block_at(9, 0), dead = block_at(10, 3);

	assert_true(lineage_set_head(b, &ten));
	word.sure = false; /* a block with the hash of the next head, and another number */
	word.hash = eleven.hash;
	assert_non_null(lineage_add(b, &word));
	assert_true(lineage_set_head(b, &eleven));
	assert_int_equal(left[LINEAGE_UNLINKED], 1);
	assert_int_equal(lineage_head(b)->is.number, 11);
	assert_true(lineage_find(b, &ten.hash)->served);
	assert_null(lineage_add(b, &word)); /* what is sure stays */
	/* Its parent is not believed: another branch is not served for it. */
	word = ten;
	word.sure = false;
	word.parent = dead.hash;
	assert_non_null(lineage_add(b, &word));
	word = nine;
	word.sure = false;
	word.parent = dead.hash;
	assert_non_null(lineage_add(b, &word));
	assert_true(lineage_find(b, &nine.hash)->served); /* by the link from above */
	assert_false(lineage_find(b, &nine.hash)->is.has_parent);
	assert_non_null(lineage_add(b, &nine));
	assert_true(ID_EQ(&lineage_find(b, &nine.hash)->is.parent, &nine.parent));
	lineage_destroy(b);
}

static void a_parent_of_the_wrong_number_is_none(void **state)
{
	size_t left[5] = {0};
	struct lineage *b = lineage_create(16, count_leave, left);
	struct block_claim ten = block_at(10, 0), nine = block_at(9, 0);

	nine.number = 8;
	assert_true(lineage_set_head(b, &ten));
	assert_non_null(lineage_add(b, &nine));
	assert_false(lineage_find(b, &nine.hash)->served);
	lineage_destroy(b);
}

static void blocks_far_ahead_of_the_head_are_not_remembered(void **state)
{
	size_t left[5] = {0};
	struct lineage *b = lineage_create(16, count_leave, left);
	struct block_claim ten = block_at(10, 0), near = block_at(10 + LINEAGE_AHEAD_MAX, 0),
			   far = block_at(11 + LINEAGE_AHEAD_MAX, 0),
			   last = block_at(UINT64_MAX, 0);

	assert_null(lineage_add(b, &ten)); /* there is no head to go by */
	assert_true(lineage_set_head(b, &ten));
	assert_non_null(lineage_add(b, &near));
	assert_null(lineage_add(b, &far));
	assert_null(lineage_add(b, &last));
	lineage_destroy(b);
}

static void the_number_of_blocks_is_bounded_and_the_newest_stay(void **state)
{
	size_t left[5] = {0};
	struct lineage *b = lineage_create(16, count_leave, left);
	struct block_claim claim;

	for (uint64_t n = 1; n <= 100; n++) {
		claim = block_at(n, 0);
		assert_true(lineage_set_head(b, &claim));
		assert_true(lineage_count(b) <= 16);
	}
	for (uint64_t n = 1; n <= 100; n++) {
		claim = block_at(n, 0);
		assert_int_equal(lineage_find(b, &claim.hash) != NULL, n > 84);
		if (n > 84)
			assert_true(lineage_find(b, &claim.hash)->served);
	}
	assert_int_equal(left[LINEAGE_OLD], 84);
	lineage_destroy(b);
}

static void invented_blocks_do_not_crowd_out_what_is_served(void **state)
{
	size_t left[5] = {0};
	struct lineage *b = lineage_create(16, count_leave, left);
	struct block_claim claim;
	size_t served = 0;

	for (uint64_t n = 1; n <= 12; n++) {
		claim = block_at(n, 0);
		assert_true(lineage_set_head(b, &claim));
	}
	for (unsigned i = 0; i < 1000; i++) {
		claim = block_at(2 + i % 60, (uint8_t)(1 + i % 200));
		assert_non_null(lineage_add(b, &claim));
		assert_int_equal(lineage_count(b) <= 16, 1);
	}
	for (uint64_t n = 1; n <= 12; n++) {
		claim = block_at(n, 0);
		served += lineage_find(b, &claim.hash) && lineage_find(b, &claim.hash)->served;
	}
	assert_int_equal(served, 12);
	lineage_destroy(b);
}

static void a_head_below_all_that_there_is_room_for_is_taken(void **state)
{
	size_t left[5] = {0};
	struct lineage *b = lineage_create(4, count_leave, left);
	struct block_claim claim;

	for (uint64_t n = 100; n < 110; n++) {
		claim = block_at(n, 0);
		assert_true(lineage_set_head(b, &claim));
	}
	claim = block_at(50, 0);
	assert_true(lineage_set_head(b, &claim));
	assert_int_equal(lineage_head(b)->is.number, 50);
	assert_true(lineage_count(b) <= 4);
	lineage_destroy(b);
}

static void a_reorg_of_any_depth_takes_away_exactly_its_branch(void **state)
{
	for (uint64_t depth = 1; depth <= 10; depth++) {
		size_t left[5] = {0};
		struct lineage *b = lineage_create(64, count_leave, left);
		struct block_claim claim;

		for (uint64_t n = 1; n <= 20; n++) {
			claim = block_at(n, 0);
			assert_true(lineage_set_head(b, &claim));
		}
		/* The other branch is heard of block by block, and becomes the served one. */
		for (uint64_t n = 20 - depth + 1; n <= 21; n++) {
			claim = block_at(n, 1);
			if (n == 20 - depth + 1)
				claim.parent = block_at(n - 1, 0).hash;
			if (n < 21)
				assert_non_null(lineage_add(b, &claim));
		}
		assert_int_equal(left[LINEAGE_DEAD], 0);
		assert_true(lineage_set_head(b, &claim));
		assert_int_equal(left[LINEAGE_DEAD], depth);
		for (uint64_t n = 1; n <= 20; n++) {
			claim = block_at(n, 0);
			assert_int_equal(lineage_find(b, &claim.hash)->served, n <= 20 - depth);
		}
		lineage_destroy(b);
	}
}

static void a_full_lineage_takes_no_more_bytes_than_it_says(void **state)
{
	assert_true(lineage_bytes(16) >= 16 * sizeof(struct lineage_block));
	assert_true(lineage_bytes(2048) > lineage_bytes(1024));
	lineage_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_short_story_of_a_small_world_is_told_right),
		cmocka_unit_test(long_stories_of_random_worlds_are_told_right),
		cmocka_unit_test(what_contradicts_a_known_block_changes_nothing),
		cmocka_unit_test(a_word_gives_way_to_what_is_sure_and_links_nothing),
		cmocka_unit_test(a_parent_of_the_wrong_number_is_none),
		cmocka_unit_test(blocks_far_ahead_of_the_head_are_not_remembered),
		cmocka_unit_test(the_number_of_blocks_is_bounded_and_the_newest_stay),
		cmocka_unit_test(invented_blocks_do_not_crowd_out_what_is_served),
		cmocka_unit_test(a_head_below_all_that_there_is_room_for_is_taken),
		cmocka_unit_test(a_reorg_of_any_depth_takes_away_exactly_its_branch),
		cmocka_unit_test(a_full_lineage_takes_no_more_bytes_than_it_says),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
