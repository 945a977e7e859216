/* SPDX-License-Identifier: Apache-2.0
 * What a history takes, refuses and says at each height ([S1], [S4], [S12], [Y3]). */
#include "tests/unit/unit.h"

#include "tests/unit/history_world.h"

/* --- what is taken --- */

static bool add_service(struct history *h, const char *name, height_t height)
{
	struct service_entry e = {.height = height, .name = name_of(name)};

	why = (struct err){0};
	return history_add_service(h, &e, &why);
}

/* Seals it and gives it back to whoever counts the references; false: refused, and gone. */
static bool seals(struct history *h)
{
	bool ok;

	why = (struct err){0};
	ok = history_seal(h, &why);
	history_unref(h);
	return ok;
}

static void heights_and_amounts_have_limits(void **state)
{
	struct history *h = history_new();
	struct params_entry p = {HEIGHT_MAX + 1, session_params_default};
	struct err err;

	assert_true(add_supplier(h, 1, HEIGHT_MAX, AMOUNT_MAX, "a:1", "eth"));
	assert_false(add_supplier(h, 2, HEIGHT_MAX + 1, 1, "a:1", "eth"));
	assert_err(why, ERR_RANGE);
	assert_false(add_supplier(h, 2, 0, AMOUNT_MAX + 1, "a:1", "eth"));
	assert_err(why, ERR_RANGE);
	assert_true(add_application(h, 1, HEIGHT_MAX, AMOUNT_MAX));
	assert_false(add_application(h, 1, HEIGHT_MAX + 1, 1));
	assert_err(why, ERR_RANGE);
	assert_false(add_application(h, 1, 0, AMOUNT_MAX + 1));
	assert_err(why, ERR_RANGE);
	assert_true(add_grant(h, 1, 2, "eth", HEIGHT_MAX, AMOUNT_MAX, 1));
	assert_false(add_grant(h, 1, 2, "eth", HEIGHT_MAX + 1, 1, 2));
	assert_err(why, ERR_RANGE);
	assert_false(add_grant(h, 1, 2, "eth", 0, AMOUNT_MAX + 1, 2));
	assert_err(why, ERR_RANGE);
	assert_true(add_service(h, "eth", HEIGHT_MAX));
	assert_false(add_service(h, "eth", HEIGHT_MAX + 1));
	assert_err(why, ERR_RANGE);
	assert_false(history_add_params(h, &p, &err));
	assert_err(err, ERR_RANGE);
	p = (struct params_entry){0, session_params_default};
	p.params.session_blocks = 0;
	assert_false(history_add_params(h, &p, &err));
	assert_err(err, ERR_RANGE);
	assert_true(history_last_change(h) == HEIGHT_MAX);
	assert_true(seals(h));
}

static void an_endpoint_is_1_to_255_plain_characters(void **state)
{
	struct history *h = history_new();
	char text[ENDPOINT_MAX + 2];

	memset(text, 'x', sizeof(text));
	text[ENDPOINT_MAX] = 0;
	assert_true(add_supplier(h, 1, 0, 1, text, "eth"));
	text[ENDPOINT_MAX] = 'x';
	text[ENDPOINT_MAX + 1] = 0;
	assert_false(add_supplier(h, 2, 0, 1, text, "eth"));
	assert_err(why, ERR_FORMAT);
	assert_false(add_supplier(h, 2, 0, 1, "", "eth"));
	assert_err(why, ERR_FORMAT);
	for (int c = 1; c < 256; c++) {
		char one[3] = {(char)c, 0, 0}, two[3] = {'a', (char)c, 0};
		bool good = c >= '!' && c <= '~' && c != '"' && c != '\\';

		assert_int_equal(add_supplier(h, 3, (height_t)c, 1, one, "eth"), good);
		assert_int_equal(add_supplier(h, 4, (height_t)c, 1, two, "eth"), good);
	}
	assert_true(seals(h));
}

static void services_of_a_supplier_are_sorted_and_distinct(void **state)
{
	struct service_name names[SERVICES_PER_SUPPLIER_MAX + 1];
	struct supplier_entry e = {.services = names, .endpoint = (char *)"a:1", .stake = 1};
	struct history *h = history_new();
	const struct supplier_entry *all;
	size_t n;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		char text[8];

		snprintf(text, sizeof(text), "s%02u", 99 - i);
		names[i] = name_of(text);
	}
	e.services_n = SERVICES_PER_SUPPLIER_MAX + 1;
	assert_false(history_add_supplier(h, &e, &why));
	assert_err(why, ERR_RANGE);
	e.services_n = SERVICES_PER_SUPPLIER_MAX;
	assert_ok(history_add_supplier(h, &e, &why), why);
	all = history_all_suppliers(h, &n);
	assert_int_equal(n, 1);
	for (uint32_t i = 1; i < all[0].services_n; i++)
		assert_true(strcmp(all[0].services[i - 1].s, all[0].services[i].s) < 0);
	assert_string_equal(all[0].services[0].s, "s68");
	/* a name that stands twice is refused wherever the two stand */
	names[SERVICES_PER_SUPPLIER_MAX - 1] = names[0];
	assert_false(history_add_supplier(h, &e, &why));
	assert_err(why, ERR_FORMAT);
	assert_true(seals(h));
}

static void the_history_is_its_own(void **state)
{
	struct history *h = history_new();
	struct service_name name = name_of("eth");
	char endpoint[] = "host:1";
	struct supplier_entry e = {.services_n = 1, .services = &name, .endpoint = endpoint};
	const struct supplier_entry *all;
	size_t n;

	assert_ok(history_add_supplier(h, &e, &why), why);
	endpoint[0] = 'x';
	name = name_of("btc");
	all = history_all_suppliers(h, &n);
	assert_string_equal(all[0].endpoint, "host:1");
	assert_string_equal(all[0].services[0].s, "eth");
	assert_memory_equal(history_network(h), &network, sizeof(network));
	assert_int_equal(history_clock(h)->block_ms, 1000);
	assert_true(seals(h));
}

/* --- what the whole must be --- */

static void parameters_begin_at_height_0_and_keep_the_network(void **state)
{
	struct history *h = history_create(&network, &every_second);
	struct params_entry e = {1, session_params_default};

	assert_ok(history_add_params(h, &e, &why), why);
	assert_false(seals(h));
	assert_err(why, ERR_FORMAT);
	assert_false(seals(history_create(&network, &every_second)));
	assert_err(why, ERR_FORMAT);

	h = history_new();
	e = (struct params_entry){7, session_params_default};
	e.params.price_max = 3;
	assert_ok(history_add_params(h, &e, &why), why);
	assert_true(seals(h));

	h = history_new();
	e.params.session_blocks++;
	assert_ok(history_add_params(h, &e, &why), why);
	assert_false(seals(h));
	assert_err(why, ERR_FORMAT);
	assert_non_null(strstr(why.msg, "height 7"));

	h = history_create(&network, &(struct session_clock){0, BLOCK_MS_MIN - 1});
	e = (struct params_entry){0, session_params_default};
	assert_ok(history_add_params(h, &e, &why), why);
	assert_false(seals(h));
	assert_err(why, ERR_RANGE);
}

static void one_thing_has_one_entry_a_height(void **state)
{
	struct params_entry e = {0, session_params_default};
	struct history *h = history_new();

	assert_ok(history_add_params(h, &e, &why), why);
	assert_false(seals(h));
	assert_err(why, ERR_FORMAT);
	for (int same = 0; same < 2; same++) {
		h = history_new();
		assert_true(add_service(h, "eth", 5) && add_service(h, same ? "eth" : "btc", 5));
		assert_int_equal(seals(h), !same);
		h = history_new();
		assert_true(add_supplier(h, 1, 5, 1, "a:1", "eth") &&
			    add_supplier(h, same ? 1 : 2, 5, 1, "a:1", "eth"));
		assert_int_equal(seals(h), !same);
		h = history_new();
		assert_true(add_application(h, 1, 5, 1) && add_application(h, same ? 1 : 2, 5, 1));
		assert_int_equal(seals(h), !same);
	}
	/* a grant is about application, gateway and service */
	for (int differ = 0; differ < 4; differ++) {
		h = history_new();
		assert_true(add_grant(h, 1, 2, "eth", 5, 1, 1));
		assert_true(add_grant(h, differ == 1 ? 9 : 1, differ == 2 ? 9 : 2,
				      differ == 3 ? "btc" : "eth", 5, 1, 2));
		assert_int_equal(seals(h), differ > 0);
		assert_true(differ > 0 || why.code == ERR_FORMAT);
	}
}

/* The room for entries grows by doubling: a full one is sorted and searched like others. */
static void any_number_of_entries_is_sealed(void **state)
{
	for (unsigned n = 0; n <= 33; n++) {
		struct history *h = history_new();
		size_t got;

		for (unsigned i = 0; i < n; i++)
			assert_true(add_application(h, (uint8_t)(n - i), 5, i));
		assert_ok(history_seal(h, &why), why);
		history_all_applications(h, &got);
		assert_int_equal(got, n);
		for (unsigned i = 0; i < n; i++)
			assert_true(history_application(h, &(struct key_id){{(uint8_t)(n - i)}}, 5)
					    ->escrow == i);
		history_unref(h);
	}
}

static void a_kind_has_at_most_2_to_the_22_entries(void **state)
{
	struct history *h = history_new();

	for (height_t i = 0; i < 1u << 22; i++)
		if (!add_application(h, 1, i, 1))
			fail_msg("entry %llu: %s", (unsigned long long)i, why.msg);
	assert_false(add_application(h, 1, 1u << 22, 1));
	assert_err(why, ERR_RANGE);
	assert_true(add_grant(h, 1, 2, "eth", 1, 1, 1));
	history_unref(h);
}

static void nonces_of_a_grant_increase_with_height(void **state)
{
	static const struct {
		uint64_t first, second;
		bool good;
	} rows[] = {{5, 6, true}, {5, 5, false}, {6, 5, false}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct history *h = history_new();

		/* of another subject between them: not compared */
		assert_true(add_grant(h, 1, 2, "eth", 9, 1, rows[i].second));
		assert_true(add_grant(h, 1, 2, "eth", 8, 1, rows[i].first));
		assert_true(add_grant(h, 1, 3, "eth", 9, 1, 1));
		assert_int_equal(seals(h), rows[i].good);
		if (!rows[i].good) {
			assert_err(why, ERR_FORMAT);
			assert_non_null(strstr(why.msg, "nonces"));
		}
	}
}

static void an_application_has_at_most_4096_grants(void **state)
{
	for (int more = 0; more < 2; more++) {
		struct history *h = history_new();
		char service[8];

		for (unsigned i = 0; i < GRANTS_PER_APPLICATION_MAX; i++) {
			snprintf(service, sizeof(service), "s%u", i);
			assert_true(add_grant(h, 1, 2, service, 1, 1, 1));
		}
		/* a second entry of one grant is not another grant; another application's neither
		 */
		assert_true(add_grant(h, 1, 2, "s0", 2, 1, 2));
		assert_true(add_grant(h, 3, 2, "s0", 2, 1, 2));
		assert_true(!more || add_grant(h, 1, 3, "s0", 2, 1, 2));
		assert_int_equal(seals(h), !more);
		assert_true(!more || why.code == ERR_RANGE);
	}
}

/* --- what it says --- */

static void entries_count_from_their_height_until_the_next(void **state)
{
	CLEANUP(history_unref) struct history *h = history_new();
	struct params_entry p = {20, session_params_default};
	const struct service_name eth = name_of("eth"), btc = name_of("btc"), zec = name_of("zec");
	const struct key_id k1 = {{1}}, k2 = {{2}}, k3 = {{3}};

	p.params.price_max = 77;
	assert_ok(history_add_params(h, &p, &why), why);
	assert_true(add_service(h, "eth", 10));
	assert_true(add_supplier(h, 2, 20, 5, "b:1", "eth"));
	assert_true(add_supplier(h, 2, 10, 4, "a:1", "eth"));
	assert_true(add_application(h, 2, 20, 5) && add_application(h, 2, 10, 4));
	assert_true(add_grant(h, 2, 2, "eth", 20, 5, 2) && add_grant(h, 2, 2, "eth", 10, 4, 1));
	assert_ok(history_seal(h, &why), why);
	assert_int_equal(history_last_change(h), 20);

	assert_int_equal(history_params(h, 0)->price_max, session_params_default.price_max);
	assert_int_equal(history_params(h, 19)->price_max, session_params_default.price_max);
	assert_int_equal(history_params(h, 20)->price_max, 77);
	assert_null(history_service(h, &eth, 9));
	assert_non_null(history_service(h, &eth, 10));
	assert_null(history_service(h, &btc, 10));
	assert_null(history_service(h, &zec, 10));
	assert_null(history_supplier(h, &k2, 9));
	assert_string_equal(history_supplier(h, &k2, 10)->endpoint, "a:1");
	assert_string_equal(history_supplier(h, &k2, 19)->endpoint, "a:1");
	assert_string_equal(history_supplier(h, &k2, UINT64_MAX)->endpoint, "b:1");
	assert_null(history_supplier(h, &k1, 30));
	assert_null(history_supplier(h, &k3, 30));
	assert_null(history_application(h, &k2, 9));
	assert_true(history_application(h, &k2, 19)->escrow == 4);
	assert_true(history_application(h, &k2, 20)->escrow == 5);
	assert_null(history_application(h, &k1, 30));
	assert_null(history_application(h, &k3, 30));
	assert_null(history_grant(h, &k2, &k2, &eth, 9));
	assert_true(history_grant(h, &k2, &k2, &eth, 10)->budget == 4);
	assert_true(history_grant(h, &k2, &k2, &eth, 20)->budget == 5);
	assert_null(history_grant(h, &k1, &k2, &eth, 30));
	assert_null(history_grant(h, &k3, &k2, &eth, 30));
	assert_null(history_grant(h, &k2, &k1, &eth, 30));
	assert_null(history_grant(h, &k2, &k3, &eth, 30));
	assert_null(history_grant(h, &k2, &k2, &btc, 30));
	assert_null(history_grant(h, &k2, &k2, &zec, 30));
}

static void a_table_has_who_serves_with_stake_at_the_snapshot(void **state)
{
	CLEANUP(history_unref) struct history *h = history_new();
	const u128 unit = session_params_default.stake_unit;
	const struct service_name eth = name_of("eth");
	const struct supplier_entry *all;
	struct stake_table *table;
	size_t n;

	assert_true(add_service(h, "eth", 10));
	assert_true(add_supplier(h, 1, 10, 3 * unit, "a:1", "eth"));
	assert_true(add_supplier(h, 1, 20, 5 * unit, "a:1", "eth"));
	assert_true(add_supplier(h, 2, 10, unit, "a:1", "btc"));
	assert_true(add_supplier(h, 3, 10, 0, "a:1", "eth"));
	assert_true(add_supplier(h, 4, 11, 2 * unit, "a:1", "eth"));
	assert_true(add_supplier(h, 4, 20, 0, "a:1", "eth"));
	assert_ok(history_seal(h, &why), why);
	all = history_all_suppliers(h, &n);

	assert_false(history_table(h, &eth, 9, &table, &why));
	assert_err(why, ERR_NO_SESSION);
	assert_ok(history_table(h, &eth, 10, &table, &why), why);
	assert_int_equal(table->n, 1);
	assert_int_equal(table->total, 3);
	stake_table_destroy(table);
	assert_ok(history_table(h, &eth, 19, &table, &why), why);
	assert_int_equal(table->n, 2);
	assert_int_equal(table->total, 5);
	assert_int_equal(table->rows[1].before, 3);
	assert_int_equal(table->rows[0].before, 0);
	for (size_t i = 0; i < table->n; i++)
		assert_true(ID_EQ(&all[table->rows[i].index].key, &table->rows[i].key) &&
			    all[table->rows[i].index].height <= 19);
	stake_table_destroy(table);
	assert_ok(history_table(h, &eth, 20, &table, &why), why);
	assert_int_equal(table->n, 1);
	assert_int_equal(table->total, 5);
	assert_int_equal(table->rows[0].price, 1);
	stake_table_destroy(table);
}

static void a_table_is_the_same_until_something_changes(void **state)
{
	for (int what = 0; what < 5; what++) {
		CLEANUP(history_unref) struct history *h = history_new();
		struct params_entry p = {10, session_params_default};
		bool matters = what < 3;

		if (what == 0)
			assert_ok(history_add_params(h, &p, &why), why);
		else if (what == 1)
			assert_true(add_service(h, "eth", 10));
		else if (what == 2)
			assert_true(add_supplier(h, 1, 10, 1, "a:1", "eth"));
		else if (what == 3)
			assert_true(add_application(h, 1, 10, 1));
		else
			assert_true(add_grant(h, 1, 1, "eth", 10, 1, 1));
		assert_true(add_application(h, 9, 30, 1)); /* the last change is none of a table */
		assert_ok(history_seal(h, &why), why);
		assert_true(history_table_same(h, 0, 9));
		assert_int_equal(history_table_same(h, 0, 10), !matters);
		assert_int_equal(history_table_same(h, 9, 10), !matters);
		assert_int_equal(history_table_same(h, 9, 30), !matters);
		assert_true(history_table_same(h, 10, 11));
		assert_true(history_table_same(h, 10, 10));
		assert_true(history_table_same(h, 30, 40));
	}
}

static void seeds_are_kept_for_the_oldest_unsettled_session(void **state)
{
	CLEANUP(history_unref) struct history *h = history_new();
	const struct session_params *p = &session_params_default;
	uint64_t window = (session_claim_horizon(p) + 2) * p->session_blocks + p->seed_lag;

	assert_ok(history_seal(h, &why), why);
	assert_int_equal(history_seeds_from(h, 0), 0);
	assert_int_equal(history_seeds_from(h, window), 0);
	assert_int_equal(history_seeds_from(h, window + 1), 1);
	assert_int_equal(history_seeds_from(h, window + 500), 500);
}

static void a_run_of_seeds_ascends_and_empties(void **state)
{
	struct seed_run run = {0};
	const struct seed a = {{1}}, b = {{2}};

	assert_true(seed_run_add(&run, 5, &a) && seed_run_add(&run, 7, &b));
	assert_false(seed_run_add(&run, 7, &a));
	assert_false(seed_run_add(&run, 6, &a));
	assert_int_equal(run.n, 2);
	assert_memory_equal(seed_run_find(&run, 5), &a, sizeof(a));
	assert_memory_equal(seed_run_find(&run, 7), &b, sizeof(b));
	assert_null(seed_run_find(&run, 4));
	assert_null(seed_run_find(&run, 6));
	assert_null(seed_run_find(&run, 8));
	seed_run_drop_below(&run, 5);
	assert_int_equal(run.n, 2);
	seed_run_drop_below(&run, 6);
	assert_int_equal(run.n, 1);
	assert_memory_equal(seed_run_find(&run, 7), &b, sizeof(b));
	seed_run_drop_below(&run, 100);
	assert_int_equal(run.n, 0);
	assert_true(seed_run_add(&run, 1, &a));
	seed_run_finish(&run);
	assert_int_equal(run.n, 0);
	assert_int_equal(run.cap, 0);
	assert_true(seed_run_add(&run, 1, &a));
	seed_run_finish(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heights_and_amounts_have_limits),
		cmocka_unit_test(an_endpoint_is_1_to_255_plain_characters),
		cmocka_unit_test(services_of_a_supplier_are_sorted_and_distinct),
		cmocka_unit_test(the_history_is_its_own),
		cmocka_unit_test(parameters_begin_at_height_0_and_keep_the_network),
		cmocka_unit_test(one_thing_has_one_entry_a_height),
		cmocka_unit_test(any_number_of_entries_is_sealed),
		cmocka_unit_test(a_kind_has_at_most_2_to_the_22_entries),
		cmocka_unit_test(nonces_of_a_grant_increase_with_height),
		cmocka_unit_test(an_application_has_at_most_4096_grants),
		cmocka_unit_test(entries_count_from_their_height_until_the_next),
		cmocka_unit_test(a_table_has_who_serves_with_stake_at_the_snapshot),
		cmocka_unit_test(a_table_is_the_same_until_something_changes),
		cmocka_unit_test(seeds_are_kept_for_the_oldest_unsettled_session),
		cmocka_unit_test(a_run_of_seeds_ascends_and_empties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
