/* SPDX-License-Identifier: Apache-2.0
 * The table of filters: whose they are, how many, how long, and to whom they are lent. */
#include "tests/unit/unit.h"

#include "relay/gateway/filters.h"

#define SECOND 1000000

static const struct filters_limits limits = {
	.count_max = 4, .per_address_max = 2, .idle_us = 10 * SECOND};

static struct filter_owner owner_of(uint8_t which)
{
	struct filter_owner owner = {.service = {"eth"}};

	owner.application.b[0] = which;
	return owner;
}

static struct filter_id add(struct filters *filters, uint8_t owner_n, uint64_t source, usec_t now)
{
	struct filter_owner owner = owner_of(owner_n);
	struct filter filter = {.blocks = true};
	struct filter_id id;
	struct err err;

	buf_put_str(&filter.text, "text");
	assert_ok(filters_add(filters, &owner, source, &filter, now, &id, &err), err);
	assert_int_equal(filter.text.n, 0);
	return id;
}

static enum filters_found take(struct filters *filters, uint8_t owner_n, struct filter_id id,
			       struct filter *ret)
{
	struct filter_owner owner = owner_of(owner_n);

	return filters_take(filters, &owner, &id, 0, ret);
}

static void a_filter_is_lent_to_one_at_a_time(void **state)
{
	struct filters *filters = filters_create(&limits);
	struct filter_id id = add(filters, 1, 7, 0);
	struct filter filter, other = {0};

	assert_int_equal(take(filters, 1, id, &filter), FILTERS_LENT);
	assert_true(filter.blocks);
	assert_int_equal(filter.text.n, 4);
	assert_int_equal(take(filters, 1, id, &other), FILTERS_BUSY);
	track_add_block(&filter.told, 7, &(struct hash){{7}});
	filters_give(filters, &id, &filter, 0);
	assert_int_equal(filter.text.n, 0);
	assert_int_equal(filter.told.count, 0);
	assert_int_equal(take(filters, 1, id, &filter), FILTERS_LENT);
	assert_int_equal(filter.text.n, 4);
	assert_int_equal(filter.told.count, 1);
	filters_give(filters, &id, &filter, 0);
	filters_destroy(filters);
}

static void a_filter_that_is_lent_can_be_looked_at(void **state)
{
	struct filters *filters = filters_create(&limits);
	struct filter_id id = add(filters, 1, 7, 0);
	struct filter_owner owner = owner_of(1), other = owner_of(2);
	struct filter lent, filter;

	assert_int_equal(take(filters, 1, id, &lent), FILTERS_LENT);
	assert_true(filters_look(filters, &owner, &id, 0, &filter));
	assert_int_equal(filter.text.n, 4);
	assert_int_equal(filter.told.count, 0);
	filter_finish(&filter);
	assert_false(filters_look(filters, &other, &id, 0, &filter));
	filters_give(filters, &id, &lent, 0);
	filters_destroy(filters);
}

static void a_filter_is_its_owners_only(void **state)
{
	struct filters *filters = filters_create(&limits);
	struct filter_id id = add(filters, 1, 7, 0);
	struct filter_owner owner = owner_of(2);
	struct filter filter;

	assert_int_equal(take(filters, 2, id, &filter), FILTERS_NONE);
	assert_false(filters_remove(filters, &owner, &id));
	owner = owner_of(1);
	owner.service = (struct service_name){"other"};
	assert_false(filters_remove(filters, &owner, &id));
	owner = owner_of(1);
	assert_true(filters_remove(filters, &owner, &id));
	assert_false(filters_remove(filters, &owner, &id));
	filters_destroy(filters);
}

static void one_that_is_removed_while_it_is_lent_is_gone(void **state)
{
	struct filters *filters = filters_create(&limits);
	struct filter_id id = add(filters, 1, 7, 0);
	struct filter_owner owner = owner_of(1);
	struct filter filter;

	assert_int_equal(take(filters, 1, id, &filter), FILTERS_LENT);
	assert_true(filters_remove(filters, &owner, &id));
	filters_give(filters, &id, &filter, 0);
	assert_int_equal(filter.text.n, 0);
	assert_int_equal(take(filters, 1, id, &filter), FILTERS_NONE);
	filters_destroy(filters);
}

static void assert_full(struct filters *filters, uint64_t source)
{
	struct filter_owner owner = owner_of(1);
	struct filter filter = {0};
	struct filter_id id;
	struct err err;

	assert_false(filters_add(filters, &owner, source, &filter, 0, &id, &err));
	assert_err(err, ERR_LIMIT);
}

static void filters_have_limits_in_all_and_for_each_address(void **state)
{
	struct filters *filters = filters_create(&limits);
	struct filter_owner owner = owner_of(1);
	struct filter_id first = add(filters, 1, 7, 0);

	add(filters, 1, 7, 0);
	assert_full(filters, 7);
	add(filters, 1, 8, 0);
	add(filters, 1, 8, 0);
	assert_full(filters, 9);
	assert_true(filters_remove(filters, &owner, &first));
	add(filters, 1, 7, 0);
	filters_destroy(filters);
}

static void one_that_is_not_polled_is_forgotten(void **state)
{
	struct filters *filters = filters_create(&limits);
	struct filter_id old = add(filters, 1, 7, 0), used = add(filters, 1, 7, SECOND);
	struct filter_id lent = add(filters, 1, 8, 2 * SECOND);
	struct filter_owner owner = owner_of(1);
	struct filter filter, other;

	filters_expire(filters, 10 * SECOND);
	assert_int_equal(filters_take(filters, &owner, &used, 10 * SECOND, &filter), FILTERS_LENT);
	filters_give(filters, &used, &filter, 10 * SECOND);
	assert_int_equal(filters_take(filters, &owner, &lent, 10 * SECOND, &filter), FILTERS_LENT);
	filters_expire(filters, 10 * SECOND + 1);
	assert_int_equal(take(filters, 1, old, &other), FILTERS_NONE);
	filters_expire(filters, 20 * SECOND + 1);
	assert_int_equal(take(filters, 1, used, &other), FILTERS_NONE);
	/* What is lent is not forgotten before it is given back. */
	filters_expire(filters, 100 * SECOND);
	filters_give(filters, &lent, &filter, 100 * SECOND);
	filters_expire(filters, 101 * SECOND);
	assert_int_equal(take(filters, 1, lent, &filter), FILTERS_LENT);
	filters_give(filters, &lent, &filter, 101 * SECOND);
	filters_destroy(filters);
}

static void ids_are_quantities_that_read_back(void **state)
{
	struct filters *filters = filters_create(&limits);
	struct filter_id id = add(filters, 1, 0, 0), other = add(filters, 1, 0, 0), again;
	char text[FILTER_ID_TEXT];

	assert_memory_not_equal(id.b, other.b, sizeof(id.b));
	assert_int_equal(strlen(filter_id_text(&id, text)), 34);
	assert_true(text[2] != '0');
	assert_true(filter_id_parse(VIEW_STR(text), &again));
	assert_memory_equal(id.b, again.b, sizeof(id.b));
	assert_false(filter_id_parse(VIEW_STR("0x1"), &again));
	assert_false(filter_id_parse(VIEW_STR(""), &again));
	assert_false(filter_id_parse(VIEW_STR("0xg1234567890123456789012345678901"), &again));
	filters_destroy(filters);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filter_is_lent_to_one_at_a_time),
		cmocka_unit_test(a_filter_that_is_lent_can_be_looked_at),
		cmocka_unit_test(a_filter_is_its_owners_only),
		cmocka_unit_test(one_that_is_removed_while_it_is_lent_is_gone),
		cmocka_unit_test(filters_have_limits_in_all_and_for_each_address),
		cmocka_unit_test(one_that_is_not_polled_is_forgotten),
		cmocka_unit_test(ids_are_quantities_that_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
