/* SPDX-License-Identifier: Apache-2.0
 * Tables, draws and picks in a small world, exhaustively, against a second and naive formulation;
 * and their distributions against exact enumeration ([S4], [S5], [S7], [S8]). */
#include "tests/unit/unit.h"

#include "relay/crypto/digest.h"
#include "session/draw.h"
#include "session/history.h"
#include "session/pick.h"
#include "tests/support/gen.h"

#define SMALL_MAX 5 /* suppliers */
#define STAKE_MAX 4
#define UNITS_MAX (SMALL_MAX * STAKE_MAX)

/* One world: a stake and an owner for each supplier. */
struct small {
	size_t n;
	uint8_t stake[SMALL_MAX];
	uint8_t owner[SMALL_MAX];
};

static const struct session_params *unit_params(void)
{
	static struct session_params p;

	p = session_params_default;
	p.stake_unit = 1;
	p.stake_cap = 1000000;
	return &p;
}

/* Keys are not in the order of the suppliers: 3, 1, 4, 0, 2. */
static struct key_id key_of(size_t supplier)
{
	static const uint8_t order[SMALL_MAX] = {3, 1, 4, 0, 2};
	struct key_id key = {{0}};

	key.b[0] = order[supplier % SMALL_MAX];
	key.b[31] = (uint8_t)supplier;
	return key;
}

static struct stake_table *table_of(const struct small *s)
{
	struct table_input in[SMALL_MAX] = {0};
	struct stake_table *table;
	struct err err;

	for (size_t i = 0; i < s->n; i++) {
		in[i].key = key_of(i);
		in[i].owner.b[0] = s->owner[i];
		in[i].stake = s->stake[i];
		in[i].index = (uint32_t)i;
	}
	assert_ok(stake_table_create(unit_params(), in, s->n, &table, &err), err);
	return table;
}

/* --- the second formulation: a list with one entry a unit of stake, and long division --- */

static size_t naive_units(const struct small *s, uint8_t units[UNITS_MAX])
{
	size_t n = 0;

	for (unsigned first = 0; first < 256; first++)
		for (size_t i = 0; i < s->n; i++)
			for (unsigned k = 0; key_of(i).b[0] == first && k < s->stake[i]; k++)
				units[n++] = (uint8_t)i;
	return n;
}

static size_t naive_point(const struct session_id *id, uint32_t t, size_t total)
{
	uint8_t t_be[4] = {(uint8_t)(t >> 24), (uint8_t)(t >> 16), (uint8_t)(t >> 8), (uint8_t)t};
	const struct view parts[] = {VIEW_STR("counterfoil/draw/v1\n"), VIEW(id->b, 32),
				     VIEW(t_be, 4)};
	struct hash h;
	size_t rest = 0;

	sha256_parts(parts, ARRAY_SIZE(parts), &h);
	for (size_t i = 0; i < 16; i++)
		rest = (rest * 256 + h.b[i]) % total;
	return rest;
}

static size_t naive_draw(const struct small *s, const struct session_id *id, size_t want,
			 uint8_t members[SMALL_MAX])
{
	uint8_t units[UNITS_MAX];
	size_t total = naive_units(s, units), n = 0;
	bool staked[SMALL_MAX] = {false}, drawn[SMALL_MAX] = {false};

	for (size_t i = 0; i < total; i++)
		staked[s->owner[units[i]]] = true;
	for (uint32_t t = 0; t < 4096 && n < want && memcmp(staked, drawn, sizeof(drawn)); t++) {
		uint8_t hit = units[naive_point(id, t, total)];

		if (drawn[s->owner[hit]])
			continue;
		drawn[s->owner[hit]] = true;
		members[n++] = hit;
	}
	return n;
}

static void check_small(const struct small *s, uint64_t number)
{
	struct stake_table *table = table_of(s);
	struct session_id id;
	struct hash h;
	size_t total = 0;

	sha256(&number, sizeof(number), &h);
	memcpy(id.b, h.b, sizeof(id.b));
	for (size_t i = 0; i < s->n; i++)
		total += s->stake[i];
	assert_int_equal(table->total, total);
	for (uint32_t want = 1; want <= SMALL_MAX; want += 2) {
		uint8_t members[SMALL_MAX];
		struct session_draw draw;
		struct err err;
		size_t n;

		if (total == 0) {
			assert_false(session_draw(&id, table, want, &draw, &err));
			assert_int_equal(err.code, ERR_NO_SESSION);
			continue;
		}
		n = naive_draw(s, &id, want, members);
		assert_ok(session_draw(&id, table, want, &draw, &err), err);
		assert_int_equal(draw.n, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(table->rows[draw.rows[i]].index, members[i]);
	}
	stake_table_destroy(table);
}

/* All owners of supplier i..n-1, as restricted growth strings: each partition once. */
static void partitions(struct small *s, size_t i, uint8_t owners, uint64_t *number)
{
	if (i >= SMALL_MAX || i == s->n) {
		check_small(s, (*number)++);
		return;
	}
	for (uint8_t o = 0; o <= owners; o++) {
		s->owner[i] = o;
		partitions(s, i + 1, o == owners ? owners + 1 : owners, number);
	}
}

static void all_stakes(struct small *s, size_t i, uint64_t *number)
{
	if (i >= SMALL_MAX || i == s->n) {
		partitions(s, 0, 0, number);
		return;
	}
	for (uint8_t stake = 0; stake <= STAKE_MAX; stake++) {
		s->stake[i] = stake;
		all_stakes(s, i + 1, number);
	}
}

static void every_small_table_draws_as_the_naive_formulation(void **state)
{
	uint64_t number = 0;

	for (size_t n = 1; n <= SMALL_MAX; n++) {
		struct small s = {.n = n};

		all_stakes(&s, 0, &number);
	}
	/* sum of 5^n x Bell(n), n = 1..5 */
	assert_int_equal(number, 5 * 1 + 25 * 2 + 125 * 5 + 625 * 15 + 3125 * 52);
}

/* --- distributions --- */

#define DRAWS 20000

/* Probability that supplier k is a member when `want` (1 or 2) owners are drawn successively
 * without replacement: by enumeration of all orders of owners. */
static double inclusion(const struct small *s, size_t k, uint32_t want)
{
	double total = 0, of_owner[SMALL_MAX] = {0}, p;

	for (size_t i = 0; i < s->n; i++) {
		total += s->stake[i];
		of_owner[s->owner[i]] += s->stake[i];
	}
	if (s->stake[k] == 0)
		return 0;
	p = s->stake[k] / total;
	for (size_t o = 0; want == 2 && o < SMALL_MAX; o++)
		if (o != s->owner[k] && of_owner[o] > 0 && total > of_owner[o])
			p += of_owner[o] / total * (s->stake[k] / (total - of_owner[o]));
	return p;
}

static void count_inclusions(const struct stake_table *table, uint32_t want, size_t *counts)
{
	struct session_id id;
	struct session_draw draw;
	struct hash h;
	struct err err;

	for (uint64_t number = 0; number < DRAWS; number++) {
		const uint64_t salted[2] = {number, want};

		sha256(salted, sizeof(salted), &h);
		memcpy(id.b, h.b, sizeof(id.b));
		assert_ok(session_draw(&id, table, want, &draw, &err), err);
		for (size_t i = 0; i < draw.n; i++)
			counts[table->rows[draw.rows[i]].index]++;
	}
}

static void check_inclusion(const struct small *s, uint32_t want)
{
	struct stake_table *table = table_of(s);
	size_t counts[SMALL_MAX] = {0};

	count_inclusions(table, want, counts);
	for (size_t k = 0; k < s->n; k++) {
		double p = inclusion(s, k, want), mean = p * DRAWS;
		double off = (double)counts[k] - mean;

		/* within four standard deviations */
		assert_true(off * off <= 16 * DRAWS * p * (1 - p));
	}
	stake_table_destroy(table);
}

static void inclusion_is_that_of_drawing_without_replacement(void **state)
{
	static const struct small worlds[] = {
		{3, {1, 2, 4}, {0, 1, 2}},
		{5, {1, 1, 1, 1, 4}, {0, 1, 2, 3, 4}},
		{5, {4, 3, 2, 1, 1}, {0, 0, 1, 1, 2}},
		{4, {0, 1, 3, 2}, {0, 1, 1, 2}},
		{2, {1, 4}, {0, 0}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(worlds); i++) {
		check_inclusion(&worlds[i], 1);
		check_inclusion(&worlds[i], 2);
	}
}

/* Quantile of chi-square with two degrees of freedom: P(x > 13.816) = 0.001. */
#define CHI2_2_P001 13.816
#define PICKS 10000

static double chi_square_127(const size_t counts[3], double n)
{
	static const double share[3] = {0.1, 0.2, 0.7};
	double sum = 0;

	for (size_t i = 0; i < 3; i++) {
		double off = (double)counts[i] - n * share[i];

		sum += off * off / (n * share[i]);
	}
	return sum;
}

static double picks_of(const uint64_t weights[3])
{
	const struct session_id id = {{1}};
	const struct key_id gateway = {{2}};
	struct pick_member members[3] = {0};
	size_t counts[3] = {0};

	for (size_t i = 0; i < 3; i++)
		members[i] = (struct pick_member){weights[i], i, PICK_HEALTHY, false};
	for (uint64_t n = 0; n < PICKS; n++) {
		struct pick pick;
		struct err err;

		assert_ok(pick_member(&id, &gateway, 0, n, PICK_BY_STAKE, members, 3, &pick, &err),
			  err);
		counts[pick.member]++;
	}
	return chi_square_127(counts, PICKS);
}

static void stakes_of_1_2_7_get_relays_in_that_proportion(void **state)
{
	assert_true(picks_of((uint64_t[]){1, 2, 7}) < CHI2_2_P001);
	assert_true(picks_of((uint64_t[]){1000000, 2000000, 7000000}) < CHI2_2_P001);
}

static void picks_without_weights_fail_the_same_test(void **state)
{
	assert_true(picks_of((uint64_t[]){1, 1, 1}) > CHI2_2_P001);
}

static double first_draws_of(const struct small *s)
{
	struct stake_table *table = table_of(s);
	size_t counts[SMALL_MAX] = {0};

	count_inclusions(table, 1, counts);
	stake_table_destroy(table);
	return chi_square_127(counts, DRAWS);
}

static void draws_are_by_stake_and_not_without(void **state)
{
	assert_true(first_draws_of(&(struct small){3, {1, 2, 7}, {0, 1, 2}}) < CHI2_2_P001);
	assert_true(first_draws_of(&(struct small){3, {1, 1, 1}, {0, 1, 2}}) > CHI2_2_P001);
}

static void a_retry_asks_everybody_once_and_then_nobody(void **state)
{
	const struct session_id id = {{1}};
	const struct key_id gateway = {{2}};
	struct pick_member members[4] = {
		{5, 1, 256, false}, {1, 9, 1, false}, {7, 2, 0, false}, {3, 0, 0, false}};
	bool seen[4] = {false};
	struct pick pick;
	struct err err;

	for (uint64_t n = 0; n < 4; n++) {
		assert_ok(pick_member(&id, &gateway, 3, n, PICK_BY_PRICE, members, 4, &pick, &err),
			  err);
		assert_false(seen[pick.member]);
		/* the cooling down are asked only when nobody else is left */
		assert_int_equal(pick.reason, n < 2 ? PICK_QUALITY : PICK_FALLBACK);
		seen[pick.member] = members[pick.member].asked = true;
	}
	assert_false(pick_member(&id, &gateway, 3, 4, PICK_BY_PRICE, members, 4, &pick, &err));
	assert_int_equal(err.code, ERR_NO_NODE);
}

static void the_largest_price_is_a_price_like_others(void **state)
{
	const struct session_id id = {{1}};
	const struct key_id gateway = {{2}};
	struct pick_member members[2] = {{5, UINT64_MAX, 256, false}, {7, UINT64_MAX, 128, false}};
	struct pick pick;
	struct err err;

	assert_ok(pick_member(&id, &gateway, 0, 0, PICK_BY_PRICE, members, 2, &pick, &err), err);
	assert_true(pick.width == 5 * 256 + 7 * 128);
	members[1].price = 1;
	assert_ok(pick_member(&id, &gateway, 0, 0, PICK_BY_PRICE, members, 2, &pick, &err), err);
	assert_true(pick.width == 5 * 1 + 7 * 128);
}

static void stake_over_the_cap_and_under_the_unit_does_not_count(void **state)
{
	struct session_params p = session_params_default;

	p.stake_unit = 10;
	p.stake_cap = 95;
	assert_int_equal(table_weight(&p, 9), 0);
	assert_int_equal(table_weight(&p, 10), 1);
	assert_int_equal(table_weight(&p, 99), 9);
	assert_int_equal(table_weight(&p, AMOUNT_MAX), 9);
}

static void a_supplier_that_stands_twice_is_refused(void **state)
{
	struct table_input in[2] = {{.stake = 1}, {.stake = 2}};
	struct stake_table *table = NULL;
	struct err err;

	assert_false(stake_table_create(unit_params(), in, 2, &table, &err));
	assert_err(err, ERR_RANGE);
	assert_null(table);
}

static void a_total_of_2_to_the_63_is_refused(void **state)
{
	struct session_params p = session_params_default;
	struct table_input in[2] = {{.stake = ((u128)1 << 62)}, {.stake = ((u128)1 << 62) - 1}};
	struct stake_table *table = NULL;
	struct err err;

	p.stake_unit = 1;
	p.stake_cap = (u128)1 << 62;
	in[1].key.b[0] = 1;
	assert_ok(stake_table_create(&p, in, 2, &table, &err), err);
	assert_true(table->total == TABLE_TOTAL_MAX);
	assert_int_equal(stake_table_hit(table, TABLE_TOTAL_MAX - 1), 1);
	stake_table_destroy(table);
	in[1].stake++;
	assert_false(stake_table_create(&p, in, 2, &table, &err));
	assert_err(err, ERR_RANGE);
}

/* One owner holds nearly everything: after 4096 tries there are fewer members, and no hang. */
static void a_draw_gives_up_after_4096_tries(void **state)
{
	struct session_params p = session_params_default;
	struct table_input in[3] = {
		{.stake = (u128)1 << 60}, {.stake = (u128)1 << 60}, {.stake = 1}};
	struct session_id id = {{7}};
	struct stake_table *table;
	struct session_draw draw;
	struct err err;

	p.stake_unit = 1;
	p.stake_cap = (u128)1 << 60;
	for (uint8_t i = 0; i < 3; i++)
		in[i].key.b[0] = i;
	in[2].owner.b[0] = 1;
	assert_ok(stake_table_create(&p, in, 3, &table, &err), err);
	assert_int_equal(table->owners, 2);
	assert_ok(session_draw(&id, table, 2, &draw, &err), err);
	assert_int_equal(draw.n, 1);
	assert_int_equal(draw.tries, DRAW_TRIES_MAX);
	stake_table_destroy(table);
}

static void seeds_are_found_by_height_over_gaps(void **state)
{
	struct seed_run run = {0};
	const struct seed seed = {{5}};

	for (height_t h = 0; h < 100; h += h == 49 ? 11 : 1)
		assert_true(seed_run_add(&run, h, &seed));
	assert_false(seed_run_add(&run, 99, &seed));
	assert_non_null(seed_run_find(&run, 49));
	assert_null(seed_run_find(&run, 55));
	assert_non_null(seed_run_find(&run, 60));
	seed_run_drop_below(&run, 55);
	assert_int_equal(run.n, 40);
	assert_null(seed_run_find(&run, 49));
	assert_non_null(seed_run_find(&run, 60));
	seed_run_finish(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_small_table_draws_as_the_naive_formulation),
		cmocka_unit_test(inclusion_is_that_of_drawing_without_replacement),
		cmocka_unit_test(stakes_of_1_2_7_get_relays_in_that_proportion),
		cmocka_unit_test(picks_without_weights_fail_the_same_test),
		cmocka_unit_test(draws_are_by_stake_and_not_without),
		cmocka_unit_test(a_retry_asks_everybody_once_and_then_nobody),
		cmocka_unit_test(the_largest_price_is_a_price_like_others),
		cmocka_unit_test(stake_over_the_cap_and_under_the_unit_does_not_count),
		cmocka_unit_test(a_supplier_that_stands_twice_is_refused),
		cmocka_unit_test(a_total_of_2_to_the_63_is_refused),
		cmocka_unit_test(a_draw_gives_up_after_4096_tries),
		cmocka_unit_test(seeds_are_found_by_height_over_gaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
