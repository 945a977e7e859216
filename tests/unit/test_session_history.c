/* SPDX-License-Identifier: Apache-2.0
 * Parameters at their edges, and what a history takes, refuses and says at each height ([S1], [S4],
 * [S12], [P1] to [P3], [Y3]); sums over time against the plain formulation of their rules. */
#include "tests/unit/unit.h"

#include <stddef.h>

#include "relay/base/bytes.h"
#include "session/budget.h"
#include "session/history.h"
#include "tests/support/gen.h"

static const struct network_id network = {{1}};
static const struct session_clock every_second = {0, 1000};

static struct service_name name_of(const char *s)
{
	struct service_name name;

	assert_true(service_name_parse(s, strlen(s), &name));
	return name;
}

/* --- parameters --- */

static void each_parameter_is_named_beyond_its_edges(void **state)
{
	static const struct {
		const char *name;
		size_t offset;
		uint64_t min, max;
	} rows[] = {
#define ROW(field, min, max) {#field, offsetof(struct session_params, field), min, max}
		ROW(session_blocks, 1, SESSION_BLOCKS_MAX),
		ROW(snapshot_lag, 2, SESSION_BLOCKS_MAX),
		ROW(seed_lag, 1, SESSION_BLOCKS_MAX),
		ROW(grace_blocks, 0, SESSION_BLOCKS_MAX),
		ROW(claim_window, 1, SESSION_BLOCKS_MAX),
		ROW(challenge_lag, 1, SESSION_BLOCKS_MAX),
		ROW(proof_window, 1, SESSION_BLOCKS_MAX),
#undef ROW
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const uint64_t tried[] = {rows[i].min - 1, rows[i].min, rows[i].max,
					  rows[i].max + 1};

		for (size_t k = 0; k < ARRAY_SIZE(tried); k++) {
			struct session_params p = session_params_default;
			struct err err = {0};
			char want[64];

			memcpy((char *)&p + rows[i].offset, &tried[k], sizeof(tried[k]));
			snprintf(want, sizeof(want), "%s is %llu, allowed are", rows[i].name,
				 (unsigned long long)tried[k]);
			if (k == 0 || k == 3)
				assert_false(session_params_check(&p, &err));
			/* within the edges another rule may still be broken */
			if (!session_params_check(&p, &err)) {
				assert_err(err, ERR_RANGE);
				assert_int_equal(strstr(err.msg, want) == err.msg, k % 3 == 0);
			}
		}
	}
}

static bool accepted(const struct session_params *p)
{
	struct err err = {0};
	bool ok = session_params_check(p, &err);

	assert_int_equal(err.code, ok ? ERR_NONE : ERR_RANGE);
	return ok;
}

static void members_lags_and_windows_fit_together(void **state)
{
	struct session_params p = session_params_default;

	p.session_suppliers = 0;
	assert_false(accepted(&p));
	p.session_suppliers = 1;
	assert_true(accepted(&p));
	p.session_suppliers = SESSION_MEMBERS_MAX;
	assert_true(accepted(&p));
	p.seed_lag = p.snapshot_lag - 1;
	assert_true(accepted(&p));
	p.seed_lag = p.snapshot_lag;
	assert_false(accepted(&p));
	p = session_params_default;
	p.grace_blocks = p.claim_window - 1;
	assert_true(accepted(&p));
	p.grace_blocks = p.claim_window;
	assert_false(accepted(&p));
	p = session_params_default;
	p.session_blocks = p.challenge_lag = p.proof_window = p.seed_lag = 1;
	p.snapshot_lag = 2;
	p.grace_blocks = 0;
	p.claim_window = SESSION_HORIZON_MAX - 5;
	assert_int_equal(session_claim_horizon(&p), SESSION_HORIZON_MAX);
	assert_true(accepted(&p));
	p.claim_window++;
	assert_false(accepted(&p));
}

static void stakes_fit_their_types(void **state)
{
	struct session_params p = session_params_default;

	p.stake_unit = 0;
	assert_false(accepted(&p));
	p.stake_unit = p.stake_cap;
	assert_true(accepted(&p));
	p.stake_unit++;
	assert_false(accepted(&p));
	p.stake_unit = p.stake_cap = AMOUNT_MAX;
	assert_true(accepted(&p));
	p.stake_cap++;
	assert_false(accepted(&p));
	p.stake_unit++;
	assert_false(accepted(&p));
	p.stake_unit = 1;
	p.stake_cap = ((u128)1 << 63) - 1;
	assert_true(accepted(&p));
	p.stake_cap++;
	assert_false(accepted(&p));
}

static void clocks_have_bounds_and_saturate(void **state)
{
	struct session_clock clock = {0, BLOCK_MS_MIN};
	struct err err;

	assert_ok(session_clock_check(&clock, &err), err);
	clock.block_ms = BLOCK_MS_MIN - 1;
	assert_false(session_clock_check(&clock, &err));
	clock.block_ms = BLOCK_MS_MAX;
	assert_ok(session_clock_check(&clock, &err), err);
	clock.block_ms = BLOCK_MS_MAX + 1;
	assert_false(session_clock_check(&clock, &err));
	assert_err(err, ERR_RANGE);
	clock = (struct session_clock){-1, 1000};
	assert_false(session_clock_check(&clock, &err));
	assert_err(err, ERR_RANGE);
	clock = (struct session_clock){5000, 1000};
	assert_int_equal(session_clock_height(&clock, 4999), 0);
	assert_int_equal(session_clock_height(&clock, 5000), 0);
	assert_int_equal(session_clock_height(&clock, 5999), 0);
	assert_int_equal(session_clock_height(&clock, 6000), 1);
	uint64_t last = (uint64_t)(INT64_MAX - 5000) / 1000;
	assert_true(session_clock_ms(&clock, last) == 5000 + (msec_t)last * 1000);
	assert_true(session_clock_ms(&clock, last) < INT64_MAX);
	assert_true(session_clock_ms(&clock, last + 1) == INT64_MAX);
}

static void a_network_is_four_parameters(void **state)
{
	const struct session_params a = session_params_default;
	struct session_params b = a;

	b.stake_unit = b.stake_cap = b.price_max = b.grace_blocks = 9;
	b.claim_window = b.challenge_lag = b.proof_window = 9;
	assert_true(session_params_same_network(&a, &b));
	b.session_blocks++;
	assert_false(session_params_same_network(&a, &b));
	b = a;
	b.snapshot_lag++;
	assert_false(session_params_same_network(&a, &b));
	b = a;
	b.seed_lag++;
	assert_false(session_params_same_network(&a, &b));
	b = a;
	b.session_suppliers++;
	assert_false(session_params_same_network(&a, &b));
}

/* --- what is taken --- */

static struct history *history_new(void)
{
	struct history *h = history_create(&network, &every_second);
	struct params_entry e = {0, session_params_default};
	struct err err;

	assert_ok(history_add_params(h, &e, &err), err);
	return h;
}

static struct err why;

/* Adds a supplier; `why` says what was wrong. */
static bool add_supplier(struct history *h, uint8_t key, height_t height, u128 stake,
			 const char *endpoint, const char *service)
{
	struct service_name name = name_of(service);
	struct supplier_entry e = {.height = height,
				   .key = {{key}},
				   .owner = {{key}},
				   .stake = stake,
				   .price = key,
				   .services_n = 1,
				   .services = &name,
				   .endpoint = (char *)endpoint};

	why = (struct err){0};
	return history_add_supplier(h, &e, &why);
}

static bool add_application(struct history *h, uint8_t key, height_t height, u128 escrow)
{
	struct application_entry e = {.height = height, .key = {{key}}, .escrow = escrow};

	why = (struct err){0};
	return history_add_application(h, &e, &why);
}

static bool add_grant(struct history *h, uint8_t application, uint8_t gateway, const char *service,
		      height_t height, u128 budget, uint64_t nonce)
{
	struct grant_entry e = {.height = height,
				.application = {{application}},
				.gateway = {{gateway}},
				.service = name_of(service),
				.budget = budget,
				.nonce = nonce};

	why = (struct err){0};
	return history_add_grant(h, &e, &why);
}

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

/* --- money over time, by the words of the rules --- */

#define SUBJECTS 3
#define STEPS 4

/* Grants, escrow and stake of application 1 and supplier 1 that change at random heights. */
struct story {
	height_t at[SUBJECTS][STEPS];
	u128 budget[SUBJECTS][STEPS];
	u128 escrow[STEPS];
	height_t escrow_at[STEPS];
	struct session_params p;
};

static struct history *tell(struct gen *gen, struct story *s)
{
	static const char *const services[SUBJECTS] = {"btc", "eth", "zec"};
	struct history *h = history_create(&network, &every_second);
	struct params_entry e = {0, session_params_default};

	e.params.session_blocks = 1 + gen_below(gen, 12);
	e.params.snapshot_lag = 2 + gen_below(gen, 9);
	e.params.seed_lag = 1;
	e.params.grace_blocks = 0;
	e.params.claim_window = 1 + gen_below(gen, 20);
	e.params.challenge_lag = e.params.proof_window = 1 + gen_below(gen, 4);
	s->p = e.params;
	assert_ok(history_add_params(h, &e, &why), why);
	for (size_t k = 0; k < STEPS; k++) {
		for (size_t i = 0; i < SUBJECTS; i++) {
			s->at[i][k] = (k ? s->at[i][k - 1] + 1 : 0) + gen_below(gen, 40);
			s->budget[i][k] = gen_below(gen, 4) * 10;
			assert_true(add_grant(h, 1, 2, services[i], s->at[i][k], s->budget[i][k],
					      k + 1));
		}
		s->escrow_at[k] = (k ? s->escrow_at[k - 1] + 1 : 0) + gen_below(gen, 40);
		s->escrow[k] = gen_below(gen, 1500);
		assert_true(add_application(h, 1, s->escrow_at[k], s->escrow[k]));
		assert_true(add_supplier(h, 1, s->escrow_at[k], s->escrow[k], "a:1", "eth"));
	}
	/* neighbours whose entries must not be taken for theirs */
	assert_true(add_grant(h, 0, 2, "eth", 0, 999, 1) && add_grant(h, 2, 2, "eth", 0, 999, 1));
	assert_true(add_application(h, 0, 0, 5000) && add_application(h, 0, 50, 0));
	assert_true(add_application(h, 2, 0, 5000) && add_application(h, 2, 50, 0));
	assert_true(add_supplier(h, 0, 0, 5000, "a:1", "eth") &&
		    add_supplier(h, 0, 50, 0, "a:1", "eth"));
	assert_true(add_supplier(h, 2, 0, 5000, "a:1", "eth") &&
		    add_supplier(h, 2, 50, 0, "a:1", "eth"));
	assert_ok(history_seal(h, &why), why);
	return h;
}

/* What stands at a height in a row of steps; 0 before the first. */
static u128 value_at(const height_t *at, const u128 *value, height_t height)
{
	u128 v = 0;

	for (size_t k = 0; k < STEPS; k++)
		if (at[k] <= height)
			v = value[k];
	return v;
}

/* claim_horizon x the sum of the largest budgets at the snapshots of the last sessions ([P3]). */
static u128 needed(const struct story *s, height_t start)
{
	uint64_t horizon = session_claim_horizon(&s->p);
	u128 sum = 0;

	for (size_t i = 0; i < SUBJECTS; i++) {
		u128 largest = 0;

		for (uint64_t k = 0; k < horizon && start >= k * s->p.session_blocks; k++) {
			height_t then = start - k * s->p.session_blocks;

			if (then >= s->p.snapshot_lag)
				largest = MAX(largest, value_at(s->at[i], s->budget[i],
								then - s->p.snapshot_lag));
		}
		sum += largest;
	}
	return sum * horizon;
}

/* What went out within the last claim_horizon sessions and is not gone yet. */
static u128 thawing(const struct story *s, height_t height)
{
	uint64_t span = session_claim_horizon(&s->p) * s->p.session_blocks;
	u128 sum = 0;

	for (size_t k = 1; k < STEPS; k++)
		if (s->escrow_at[k] <= height && height - s->escrow_at[k] < span &&
		    s->escrow[k] < s->escrow[k - 1])
			sum += s->escrow[k - 1] - s->escrow[k];
	return sum;
}

static void check_session(const struct history *h, const struct story *s, height_t start)
{
	const struct key_id application = {{1}}, gateway = {{2}};
	const struct service_name eth = name_of("eth");
	height_t snapshot = start - s->p.snapshot_lag;
	u128 budget = value_at(s->at[1], s->budget[1], snapshot);
	u128 escrow = value_at(s->escrow_at, s->escrow, snapshot);
	u128 want = needed(s, start), allowance = 7;
	struct err err = {0};
	bool granted = history_allowance(h, &application, &gateway, &eth, start, &allowance, &err);

	assert_true(history_escrow_needed(h, &application, start) == want);
	assert_int_equal(granted, budget > 0 && escrow >= want);
	assert_true(allowance == (granted ? budget / s->p.session_suppliers : 7));
	if (!granted)
		assert_err(err, ERR_GRANT);
}

static void escrow_and_allowances_are_those_of_the_rule(void **state)
{
	struct gen gen = gen_init(20261126);
	uint64_t cases = gen_cases(2000) / 20;

	print_message("# CF_SEED=%llu\n", (unsigned long long)gen.seed);
	for (uint64_t i = 0; i < cases; i++) {
		struct story s;
		CLEANUP(history_unref) struct history *h = tell(&gen, &s);
		const struct key_id key = {{1}};

		for (height_t at = 0; at < 200; at += 1 + gen_below(&gen, 3)) {
			if (at % s.p.session_blocks == 0 && at >= s.p.snapshot_lag)
				check_session(h, &s, at);
			assert_true(history_thawing_escrow(h, &key, at) == thawing(&s, at));
			assert_true(history_thawing_stake(h, &key, at) == thawing(&s, at));
		}
	}
}

static void no_allowance_without_session_grant_or_escrow(void **state)
{
	CLEANUP(history_unref) struct history *h = history_new();
	const struct session_params *p = &session_params_default;
	const struct key_id application = {{1}}, other = {{9}}, gateway = {{2}};
	const struct service_name eth = name_of("eth"), btc = name_of("btc");
	const u128 enough = (u128)session_claim_horizon(p) * 300;
	height_t start = p->session_blocks;
	u128 allowance = 7;

	assert_true(add_grant(h, 1, 2, "eth", 0, 300, 1) && add_grant(h, 3, 2, "eth", 0, 0, 1) &&
		    add_grant(h, 4, 2, "eth", 0, 300, 1) && add_application(h, 1, 0, enough) &&
		    add_application(h, 3, 0, enough) && add_application(h, 4, 0, enough - 1));
	assert_ok(history_seal(h, &why), why);
	assert_ok(history_allowance(h, &application, &gateway, &eth, start, &allowance, &why), why);
	assert_true(allowance == 300 / p->session_suppliers);
	allowance = 7;
	assert_false(
		history_allowance(h, &application, &gateway, &eth, start + 1, &allowance, &why));
	assert_err(why, ERR_NO_SESSION);
	assert_false(history_allowance(h, &application, &gateway, &eth, 0, &allowance, &why));
	assert_err(why, ERR_NO_SESSION);
	assert_false(history_allowance(h, &other, &gateway, &eth, start, &allowance, &why));
	assert_err(why, ERR_GRANT);
	assert_false(history_allowance(h, &application, &other, &eth, start, &allowance, &why));
	assert_err(why, ERR_GRANT);
	assert_false(history_allowance(h, &application, &gateway, &btc, start, &allowance, &why));
	assert_err(why, ERR_GRANT);
	assert_non_null(strstr(why.msg, "no grant"));
	assert_false(history_allowance(h, &(struct key_id){{3}}, &gateway, &eth, start, &allowance,
				       &why));
	assert_err(why, ERR_GRANT);
	assert_non_null(strstr(why.msg, "revoked"));
	assert_false(history_allowance(h, &(struct key_id){{4}}, &gateway, &eth, start, &allowance,
				       &why));
	assert_err(why, ERR_GRANT);
	assert_non_null(strstr(why.msg, "escrow"));
	assert_true(allowance == 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_parameter_is_named_beyond_its_edges),
		cmocka_unit_test(members_lags_and_windows_fit_together),
		cmocka_unit_test(stakes_fit_their_types),
		cmocka_unit_test(clocks_have_bounds_and_saturate),
		cmocka_unit_test(a_network_is_four_parameters),
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
		cmocka_unit_test(escrow_and_allowances_are_those_of_the_rule),
		cmocka_unit_test(no_allowance_without_session_grant_or_escrow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
