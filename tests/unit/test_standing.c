/* SPDX-License-Identifier: Apache-2.0
 * What a gateway's worker remembers of suppliers. */
#include "tests/unit/unit.h"

#include "relay/gateway/standing.h"

#define SECOND INT64_C(1000000)

static const struct quality_limits limits = {60 * SECOND, SECOND, 30 * SECOND};
static const struct service_name eth = {"eth"}, base = {"base"};

static struct key_id key(unsigned i)
{
	return (struct key_id){{(uint8_t)i, (uint8_t)(i >> 8)}};
}

static void cool(struct standing *s, usec_t now)
{
	quality_end(&s->q, quality_begin(&s->q), QUALITY_CANNOT, now, 0, now);
}

static void a_supplier_that_comes_back_comes_with_its_record(void **state)
{
	struct serving *table = NULL, *serving = serving_get(&table, &eth, &limits);
	struct key_id a = key(1);
	struct standing *s = standing_ref(serving, &a, SECOND);

	cool(s, SECOND);
	standing_unref(s, SECOND);
	assert_ptr_equal(serving_get(&table, &eth, &limits), serving);
	assert_ptr_equal(standing_ref(serving, &a, 2 * SECOND), s);
	assert_int_equal(s->q.state, QUALITY_COOLING);
	servings_finish(&table);
	assert_null(table);
}

static void each_service_is_a_record_of_its_own(void **state)
{
	struct serving *table = NULL;
	struct key_id a = key(1);
	struct standing *at_eth = standing_ref(serving_get(&table, &eth, &limits), &a, SECOND);
	struct standing *at_base = standing_ref(serving_get(&table, &base, &limits), &a, SECOND);

	cool(at_eth, SECOND);
	assert_int_equal(standing_score(at_eth, 0, SECOND)->health, 0);
	assert_int_equal(standing_score(at_base, 0, SECOND)->health, PICK_HEALTHY);
	servings_finish(&table);
}

static void a_change_of_state_shows_at_once_and_figures_soon(void **state)
{
	struct serving *table = NULL;
	struct key_id a = key(1);
	struct standing *s = standing_ref(serving_get(&table, &eth, &limits), &a, SECOND);

	assert_int_equal(standing_score(s, 0, SECOND)->health, PICK_HEALTHY);
	quality_set_lag(&s->q, 10);
	assert_int_equal(standing_score(s, 0, SECOND + 1)->health, PICK_HEALTHY);
	assert_true(standing_score(s, 0, SECOND + SECOND / 10)->health < PICK_HEALTHY);
	cool(s, 2 * SECOND);
	assert_int_equal(standing_score(s, 0, 2 * SECOND)->health, 0);
	assert_int_equal(standing_score(s, 0, 3 * SECOND - 1)->health, 0);
	assert_in_range(standing_score(s, 0, 3 * SECOND + SECOND / 10)->health, 1,
			QUALITY_TRIAL_LEVEL);
	servings_finish(&table);
}

static void so_many_suppliers_are_remembered_and_those_in_use_always(void **state)
{
	struct serving *table = NULL, *serving = serving_get(&table, &eth, &limits);
	struct key_id first = key(0), second = key(1);
	struct standing *used = standing_ref(serving, &first, SECOND);

	for (unsigned i = 1; i < 2 * STANDINGS_MAX; i++) {
		struct key_id k = key(i);

		standing_unref(standing_ref(serving, &k, SECOND + i), SECOND + i);
		assert_in_range(HASH_COUNT(serving->standings), 1, STANDINGS_MAX);
	}
	assert_ptr_equal(standing_ref(serving, &first, 2 * SECOND), used);
	HASH_FIND(hh, serving->standings, &second, sizeof(second), used);
	assert_null(used);
	servings_finish(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_supplier_that_comes_back_comes_with_its_record),
		cmocka_unit_test(each_service_is_a_record_of_its_own),
		cmocka_unit_test(a_change_of_state_shows_at_once_and_figures_soon),
		cmocka_unit_test(so_many_suppliers_are_remembered_and_those_in_use_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
