/* SPDX-License-Identifier: Apache-2.0
 * Who refuses what. */
#include "tests/unit/unit.h"

#include "session/refusals.h"
#include "tests/support/gen.h"

#define SECOND INT64_C(1000000)

static struct chain_target target_of(unsigned i)
{
	struct chain_target t = {.n = 20};

	t.b[0] = (uint8_t)i;
	t.b[1] = (uint8_t)(i >> 8);
	return t;
}

static struct key_id supplier_of(unsigned i)
{
	return (struct key_id){{(uint8_t)i, (uint8_t)(i >> 8)}};
}

struct seen {
	unsigned rows, cells;
	struct refusals_cell last;
	uint32_t method;
	struct chain_target target;
};

static void see(const struct refusals_view *row, void *arg)
{
	struct seen *seen = arg;

	seen->rows++;
	seen->cells += (unsigned)row->count;
	seen->method = row->method;
	seen->target = *row->target;
	for (size_t i = 0; i < row->count; i++)
		assert_in_range(row->cells[i].refused + row->cells[i].late, 1, row->cells[i].asked);
	if (row->count > 0)
		seen->last = row->cells[row->count - 1];
}

static struct seen look(const struct refusals *table)
{
	struct seen seen = {0};

	refusals_walk(table, see, &seen);
	return seen;
}

/* One relay that is refused, as a gateway tells it. */
static bool refuse(struct refusals *table, unsigned target, unsigned supplier, usec_t now)
{
	struct chain_target t = target_of(target);
	struct key_id s = supplier_of(supplier);
	struct refusals_row *row = refusals_find(table, 30, &t);

	if (row)
		refusals_asked(row, &s);
	return refusals_add(table, 30, &t, &s, false, now);
}

static void nothing_is_counted_before_the_first_refusal(void **state)
{
	struct refusals *table = refusals_create();
	struct chain_target t = target_of(1);

	assert_true(refusals_is_empty(table));
	assert_null(refusals_find(table, 30, &t));
	assert_int_equal(look(table).rows, 0);
	refusals_destroy(table);
	refusals_destroy(NULL);
}

static void relays_and_refusals_are_counted_by_supplier_method_and_target(void **state)
{
	struct refusals *table = refusals_create();
	struct chain_target t = target_of(1), other = target_of(2);
	struct key_id a = supplier_of(1), b = supplier_of(2);
	struct refusals_row *row;
	struct seen seen;

	assert_false(refuse(table, 1, 1, SECOND));
	row = refusals_find(table, 30, &t);
	assert_non_null(row);
	assert_null(refusals_find(table, 31, &t));
	assert_null(refusals_find(table, 30, &other));
	for (int i = 0; i < 3; i++) {
		refusals_asked(row, &a);
		refusals_asked(row, &b); /* has refused nothing: not named */
	}
	refuse(table, 1, 1, 2 * SECOND);
	seen = look(table);
	assert_int_equal(seen.rows, 1);
	assert_int_equal(seen.cells, 1);
	assert_int_equal(seen.method, 30);
	assert_memory_equal(&seen.target, &t, sizeof(t));
	assert_memory_equal(&seen.last.supplier, &a, sizeof(a));
	assert_int_equal(seen.last.asked, 5);
	assert_int_equal(seen.last.refused, 2);
	refusals_destroy(table);
}

static void calls_without_a_target_are_counted_by_method(void **state)
{
	struct refusals *table = refusals_create();
	struct chain_target none = {0};
	struct key_id a = supplier_of(1);

	refusals_add(table, 7, &none, &a, false, SECOND);
	assert_non_null(refusals_find(table, 7, &none));
	assert_int_equal(look(table).target.n, 0);
	refusals_destroy(table);
}

static void who_refuses_mostly_is_not_asked_for_that_for_a_while(void **state)
{
	struct refusals *table = refusals_create();
	struct chain_target t = target_of(1);
	struct key_id a = supplier_of(1), b = supplier_of(2);
	struct refusals_row *row;

	refuse(table, 1, 1, SECOND);
	refuse(table, 1, 1, SECOND);
	row = refusals_find(table, 30, &t);
	assert_false(refusals_shuns(row, &a, SECOND));
	refuse(table, 1, 1, SECOND);
	assert_true(refusals_shuns(row, &a, SECOND));
	assert_false(refusals_shuns(row, &b, SECOND));
	assert_true(refusals_shuns(row, &a, SECOND + REFUSALS_SHUN_US - 1));
	assert_false(refusals_shuns(row, &a, SECOND + REFUSALS_SHUN_US));
	for (int i = 0; i < 3; i++)
		refusals_asked(row, &a); /* 3 of 6: every second time */
	assert_false(refusals_shuns(row, &a, SECOND));
	refusals_destroy(table);
}

static void who_is_late_is_named_and_asked_on(void **state)
{
	struct refusals *table = refusals_create();
	struct chain_target t = target_of(1);
	struct key_id a = supplier_of(1);

	for (int i = 0; i < 10; i++) {
		struct refusals_row *row = refusals_find(table, 30, &t);

		if (row)
			refusals_asked(row, &a);
		refusals_add(table, 30, &t, &a, true, SECOND);
	}
	assert_int_equal(look(table).last.late, 10);
	assert_int_equal(look(table).last.refused, 0);
	assert_false(refusals_shuns(refusals_find(table, 30, &t), &a, SECOND));
	refusals_destroy(table);
}

/* A client that asks for ever new addresses does not push out what counts. */
static void the_table_is_bounded_and_keeps_what_is_refused_most(void **state)
{
	struct refusals *table = refusals_create();
	struct chain_target often = target_of(0);
	unsigned dropped = 0;

	for (int i = 0; i < 5; i++)
		refuse(table, 0, 1, SECOND);
	for (unsigned i = 1; i <= 3 * REFUSALS_ROWS_MAX; i++)
		dropped += refuse(table, i, i % 7, 2 * SECOND + i);
	assert_int_equal(dropped, 2 * REFUSALS_ROWS_MAX + 1);
	assert_int_equal(look(table).rows, REFUSALS_ROWS_MAX);
	assert_non_null(refusals_find(table, 30, &often));
	often = target_of(3 * REFUSALS_ROWS_MAX); /* of those with one, the newest are left */
	assert_non_null(refusals_find(table, 30, &often));
	refusals_destroy(table);
}

static void a_row_is_bounded_and_keeps_who_refuses_most(void **state)
{
	struct refusals *table = refusals_create();
	struct chain_target t = target_of(1);
	struct key_id most = supplier_of(1);

	for (int i = 0; i < 5; i++)
		refuse(table, 1, 1, SECOND);
	for (unsigned i = 2; i < 100; i++)
		refuse(table, 1, i, SECOND + i);
	assert_int_equal(look(table).cells, REFUSALS_CELLS_MAX);
	assert_true(refusals_shuns(refusals_find(table, 30, &t), &most, 2 * SECOND));
	refusals_destroy(table);
}

static void refusals_are_never_more_than_relays(void **state)
{
	struct gen gen = gen_init(gen_env("CF_COUNT_SEED", 1));
	struct refusals *table = refusals_create();
	usec_t now = SECOND;

	for (uint64_t i = 0; i < gen_cases(2000); i++) {
		struct chain_target t = target_of((unsigned)gen_below(&gen, 3 * REFUSALS_ROWS_MAX));
		struct key_id s = supplier_of((unsigned)gen_below(&gen, 3 * REFUSALS_CELLS_MAX));
		struct refusals_row *row = refusals_find(table, 30, &t);

		now += (usec_t)gen_below(&gen, SECOND);
		if (row && gen_below(&gen, 2) == 0)
			refusals_asked(row, &s);
		if (gen_below(&gen, 2) == 0)
			refusals_add(table, 30, &t, &s, gen_below(&gen, 2) == 0, now);
		if (i % 64 == 0)
			assert_true(look(table).rows <= REFUSALS_ROWS_MAX);
	}
	refusals_destroy(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_counted_before_the_first_refusal),
		cmocka_unit_test(relays_and_refusals_are_counted_by_supplier_method_and_target),
		cmocka_unit_test(calls_without_a_target_are_counted_by_method),
		cmocka_unit_test(who_refuses_mostly_is_not_asked_for_that_for_a_while),
		cmocka_unit_test(who_is_late_is_named_and_asked_on),
		cmocka_unit_test(the_table_is_bounded_and_keeps_what_is_refused_most),
		cmocka_unit_test(a_row_is_bounded_and_keeps_who_refuses_most),
		cmocka_unit_test(refusals_are_never_more_than_relays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
