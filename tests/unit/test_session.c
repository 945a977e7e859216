/* SPDX-License-Identifier: Apache-2.0
 * Sessions against tests/vectors/session.json, which another implementation wrote: ids, tables,
 * draws, picks ([K2]..[K4], [S3]..[S8]); and the rules of heights and money ([S1], [S2], [S10],
 * [P1], [P2], [P4]). */
#include "tests/unit/unit.h"

#include <jansson.h>

#include "relay/base/bytes.h"
#include "relay/base/mem.h"
#include "session/budget.h"
#include "session/draw.h"
#include "session/history.h"
#include "session/pick.h"
#include "session/session.h"

static json_t *vectors;

static int load_vectors(void **state)
{
	const char *source = getenv("CF_SOURCE_ROOT");
	char *path = xasprintf("%s/tests/vectors/session.json", source ? source : ".");

	vectors = json_load_file(path, 0, NULL);
	free(path);
	return vectors ? 0 : -1;
}

static int drop_vectors(void **state)
{
	json_decref(vectors);
	return 0;
}

static const char *text(const json_t *row, const char *name)
{
	const char *s = json_string_value(json_object_get(row, name));

	assert_non_null(s);
	return s;
}

static void hex(const json_t *row, const char *name, void *dst, size_t n)
{
	const char *s = text(row, name);

	assert_true(hex_decode(s, strlen(s), dst, n));
}

static u128 amount(const json_t *row, const char *name)
{
	const char *s = text(row, name);
	u128 v;

	assert_true(u128_parse(s, strlen(s), &v));
	return v;
}

static void service(const json_t *row, struct service_name *ret)
{
	const char *s = text(row, "service");

	assert_true(service_name_parse(s, strlen(s), ret));
}

static void networks_and_owners_are_those_of_the_vectors(void **state)
{
	const json_t *list = json_object_get(vectors, "networks");
	const json_t *row = json_array_get(list, 0);
	struct network_id want, got;
	struct owner_id owner, made;
	struct key_id key;
	uint8_t tail[32];

	hex(row, "tail", tail, 28);
	hex(row, "id", want.b, 32);
	got = network_id_contract(get_be64(tail), tail + 8);
	assert_true(ID_EQ(&got, &want));
	row = json_array_get(list, 1);
	hex(row, "tail", tail, 32);
	hex(row, "id", want.b, 32);
	got = network_id_private(tail);
	assert_true(ID_EQ(&got, &want));
	row = json_array_get(json_object_get(vectors, "owners"), 0);
	hex(row, "key", key.b, 32);
	hex(row, "owner", owner.b, 20);
	made = owner_default(&key);
	assert_true(ID_EQ(&made, &owner));
}

static void session_ids_are_those_of_the_vectors(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "ids"), i, row)
	{
		struct network_id network;
		struct key_id application;
		struct service_name name;
		struct seed seed;
		struct session_id want, got;

		hex(row, "network", network.b, 32);
		hex(row, "application", application.b, 32);
		hex(row, "seed", seed.b, 32);
		hex(row, "id", want.b, 32);
		service(row, &name);
		got = session_id_derive(&network, &application, &name,
					(height_t)amount(row, "start"), &seed);
		assert_true(ID_EQ(&got, &want));
	}
	assert_int_equal(i, 9);
}

static void grants_are_signed_over_the_bytes_of_the_vectors(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "grants"), i, row)
	{
		CLEANUP(buf_finish) struct buf bytes = {0}, hexed = {0};
		struct network_id network;
		struct grant_entry e = {.budget = amount(row, "budget"),
					.nonce = (uint64_t)amount(row, "nonce")};

		hex(row, "network", network.b, 32);
		hex(row, "application", e.application.b, 32);
		hex(row, "gateway", e.gateway.b, 32);
		hex(row, "signature", e.signature.b, 64);
		service(row, &e.service);
		grant_bytes(&network, &e, &bytes);
		buf_put_hex(&hexed, bytes.p, bytes.n);
		assert_string_equal(buf_cstr(&hexed), text(row, "bytes"));
		assert_true(grant_verify(&network, &e));
		e.budget++;
		assert_false(grant_verify(&network, &e));
	}
	assert_int_equal(i, 3);
}

static struct stake_table *table_of(const json_t *t)
{
	const json_t *list = json_object_get(t, "suppliers"), *row;
	struct session_params p = session_params_default;
	struct table_input *in = xcalloc(json_array_size(list), sizeof(*in));
	struct stake_table *table;
	struct err err;
	size_t i;

	p.stake_unit = amount(t, "unit");
	p.stake_cap = amount(t, "cap");
	json_array_foreach(list, i, row)
	{
		hex(row, "key", in[i].key.b, 32);
		hex(row, "owner", in[i].owner.b, 20);
		in[i].stake = amount(row, "stake");
		in[i].price = (uint64_t)amount(row, "price");
		in[i].index = (uint32_t)i;
	}
	assert_ok(stake_table_create(&p, in, i, &table, &err), err);
	for (size_t k = 0; k < table->n; k++)
		assert_true(ID_EQ(&table->rows[k].key, &in[table->rows[k].index].key));
	free(in);
	return table;
}

static void check_rows(const json_t *t, const struct stake_table *table)
{
	struct hash want, root = stake_table_root(table);
	const json_t *row;
	size_t i;

	hex(t, "root", want.b, 32);
	assert_true(ID_EQ(&want, &root));
	assert_true(amount(t, "total") == table->total);
	json_array_foreach(json_object_get(t, "rows"), i, row)
	{
		uint8_t bytes[TABLE_ROW_BYTES], wanted[TABLE_ROW_BYTES];

		hex(row, "bytes", wanted, sizeof(wanted));
		table_row_encode(&table->rows[i], bytes);
		assert_memory_equal(bytes, wanted, sizeof(bytes));
		assert_ptr_equal(stake_table_find(table, &table->rows[i].key), &table->rows[i]);
	}
	assert_int_equal(i, table->n);
}

static void check_draws(const json_t *t, const struct stake_table *table)
{
	const json_t *row, *member;
	size_t i, k;

	json_array_foreach(json_object_get(t, "draws"), i, row)
	{
		const json_t *members = json_object_get(row, "members");
		uint32_t want = (uint32_t)json_integer_value(json_object_get(row, "want"));
		struct session_draw draw;
		struct session_id id;
		struct err err;

		hex(row, "id", id.b, 32);
		if (table->total == 0) {
			assert_false(session_draw(&id, table, want, &draw, &err));
			assert_err(err, ERR_NO_SESSION);
			continue;
		}
		assert_ok(session_draw(&id, table, want, &draw, &err), err);
		assert_int_equal(draw.n, json_array_size(members));
		json_array_foreach(members, k, member)
		{
			assert_int_equal(draw.rows[k],
					 json_integer_value(json_object_get(member, "row")));
			assert_int_equal(draw.t[k],
					 json_integer_value(json_object_get(member, "t")));
		}
	}
	assert_int_equal(i, 16);
}

static void tables_and_draws_are_those_of_the_vectors(void **state)
{
	const json_t *t;
	size_t i;

	json_array_foreach(json_object_get(vectors, "tables"), i, t)
	{
		struct stake_table *table = table_of(t);

		check_rows(t, table);
		check_draws(t, table);
		stake_table_destroy(table);
	}
	assert_int_equal(i, 6);
}

static size_t pick_members_of(const json_t *row, struct pick_member *members)
{
	const json_t *m;
	size_t i;

	json_array_foreach(json_object_get(row, "members"), i, m)
	{
		members[i].weight = (uint64_t)amount(m, "weight");
		members[i].price = (uint64_t)amount(m, "price");
		members[i].health = (uint16_t)json_integer_value(json_object_get(m, "health"));
		members[i].asked = json_is_true(json_object_get(m, "asked"));
	}
	return i;
}

static void picks_are_those_of_the_vectors(void **state)
{
	size_t i, none = 0, fallbacks = 0;
	const json_t *row;

	json_array_foreach(json_object_get(vectors, "picks"), i, row)
	{
		bool by_price = json_is_true(json_object_get(row, "by_price"));
		struct pick_member members[8];
		size_t count = pick_members_of(row, members);
		struct session_id id;
		struct key_id gateway;
		struct pick pick;
		struct err err;
		bool ok;

		hex(row, "id", id.b, 32);
		hex(row, "gateway", gateway.b, 32);
		ok = pick_member(
			&id, &gateway, (uint32_t)amount(row, "worker"), (uint64_t)amount(row, "n"),
			by_price ? PICK_BY_PRICE : PICK_BY_STAKE, members, count, &pick, &err);
		if (!json_object_get(row, "member")) {
			assert_false(ok);
			assert_err(err, ERR_NO_NODE);
			none++;
			continue;
		}
		assert_ok(ok, err);
		assert_int_equal(pick.member, json_integer_value(json_object_get(row, "member")));
		assert_true(pick.point == amount(row, "r"));
		assert_true(pick.width == amount(row, "w"));
		assert_int_equal(pick.reason == PICK_FALLBACK,
				 json_is_true(json_object_get(row, "fallback")));
		fallbacks += pick.reason == PICK_FALLBACK;
	}
	assert_int_equal(i, 60);
	assert_true(none > 0 && fallbacks > 0);
}

static void parameters_out_of_range_are_named(void **state)
{
	struct session_params p = session_params_default;
	struct err err;

	assert_ok(session_params_check(&p, &err), err);
	p.seed_lag = p.snapshot_lag;
	assert_false(session_params_check(&p, &err));
	assert_err(err, ERR_RANGE);
	assert_non_null(strstr(err.msg, "seed_lag"));
	p = session_params_default;
	p.stake_unit = 1;
	p.stake_cap = (u128)1 << 63;
	assert_false(session_params_check(&p, &err));
	assert_non_null(strstr(err.msg, "2^63"));
	p = session_params_default;
	p.session_suppliers = SESSION_MEMBERS_MAX + 1;
	assert_false(session_params_check(&p, &err));
	assert_non_null(strstr(err.msg, "session_suppliers"));
	p = session_params_default;
	p.session_blocks = 1;
	p.claim_window = SESSION_BLOCKS_MAX;
	assert_false(session_params_check(&p, &err));
	assert_non_null(strstr(err.msg, "unsettled"));
}

static void a_session_exists_from_the_snapshot_lag_on(void **state)
{
	struct session_params p = session_params_default;

	p.session_blocks = 10;
	p.snapshot_lag = 20;
	p.seed_lag = 5;
	assert_false(session_exists(&p, 10));
	assert_true(session_exists(&p, 20));
	assert_false(session_exists(&p, 25));
	assert_int_equal(session_snapshot_height(&p, 20), 0);
	assert_int_equal(session_seed_height(&p, 20), 15);
	assert_int_equal(session_start(&p, 39), 30);
	assert_int_equal(session_end(&p, 30), 40);
	assert_true(session_end(&p, UINT64_MAX - 5) == UINT64_MAX);
}

static void gateways_open_within_and_nodes_accept_a_little_around(void **state)
{
	struct session_params p = session_params_default;

	p.session_blocks = 10;
	p.grace_blocks = 3;
	assert_false(session_gateway_may_open(&p, 20, 19));
	assert_true(session_gateway_may_open(&p, 20, 20));
	assert_true(session_gateway_may_open(&p, 20, 29));
	assert_false(session_gateway_may_open(&p, 20, 30));
	assert_false(session_node_accepts(&p, 20, 18));
	assert_true(session_node_accepts(&p, 20, 19));
	assert_true(session_node_accepts(&p, 20, 32));
	assert_false(session_node_accepts(&p, 20, 33));
	p.grace_blocks = 0;
	assert_true(session_node_accepts(&p, 20, 30));
	assert_false(session_node_accepts(&p, 20, 31));
	assert_true(session_node_accepts(&p, 0, 0));
}

static void the_clock_counts_heights_and_back(void **state)
{
	const struct session_clock clock = {1000000, 250};

	assert_int_equal(session_clock_height(&clock, 0), 0);
	assert_int_equal(session_clock_height(&clock, 1000249), 0);
	assert_int_equal(session_clock_height(&clock, 1000250), 1);
	assert_int_equal(session_clock_ms(&clock, 4), 1001000);
	assert_true(session_clock_ms(&clock, UINT64_MAX) == INT64_MAX);
}

static void the_claim_horizon_rounds_up(void **state)
{
	struct session_params p = session_params_default;

	p.session_blocks = 10;
	p.claim_window = 10;
	p.challenge_lag = 1;
	p.proof_window = 5;
	p.snapshot_lag = 4;
	assert_int_equal(session_claim_horizon(&p), 3);
	p.snapshot_lag = 5;
	assert_int_equal(session_claim_horizon(&p), 4);
}

static void the_allowance_is_a_hard_cap(void **state)
{
	struct session_params p = session_params_default;

	p.session_suppliers = 3;
	assert_true(budget_allowance(100, &p) == 33);
	assert_true(budget_may_serve(33, 10, 2, 1));
	assert_false(budget_may_serve(33, 10, 3, 1));
	assert_true(budget_may_serve(0, 0, UINT64_MAX - 1, 1));
	assert_false(budget_may_serve(AMOUNT_MAX, 0, UINT64_MAX, 1));
	assert_false(budget_may_serve(AMOUNT_MAX, UINT64_MAX, UINT64_MAX - 1, 1));
	assert_true(budget_cu(33, 10) == 3);
	assert_true(budget_cu(33, 0) == UINT64_MAX);
	assert_true(budget_cu(~(u128)0, 1) == UINT64_MAX);
}

static void budget_cu_is_where_may_serve_ends(void **state)
{
	for (uint64_t price = 1; price < 9; price++)
		for (u128 allowance = 0; allowance < 50; allowance++) {
			cu_t most = budget_cu(allowance, price);

			assert_true(budget_may_serve(allowance, price, 0, most));
			assert_false(budget_may_serve(allowance, price, most, 1));
		}
}

/* What the ledger's counters decide is what the tokens decide, for every served, cu and price, and
 * at the ends of their ranges [P4]. */
static void counting_to_budget_cu_decides_as_the_tokens_do(void **state)
{
	static const uint64_t far[] = {UINT32_MAX, UINT64_MAX - 2, UINT64_MAX - 1, UINT64_MAX};

	for (uint64_t price = 0; price < 12; price++)
		for (u128 allowance = 0; allowance < 40; allowance++)
			for (cu_t served = 0; served < 45; served++)
				for (cu_t cu = 0; cu < 45; cu++)
					assert_true(budget_fits(served, cu,
								budget_cu(allowance, price)) ==
						    budget_may_serve(allowance, price, served, cu));
	for (size_t p = 0; p < ARRAY_SIZE(far); p++)
		for (size_t s = 0; s < ARRAY_SIZE(far); s++)
			for (cu_t cu = 1; cu < 4; cu++) {
				u128 allowance = (u128)far[p] * far[s];

				assert_true(budget_fits(far[s], cu, budget_cu(allowance, far[p])) ==
					    budget_may_serve(allowance, far[p], far[s], cu));
			}
}

static void sums_stay_within_a_bound_exactly(void **state)
{
	for (cu_t max = 0; max < 30; max++)
		for (cu_t counted = 0; counted < 35; counted++)
			for (cu_t cu = 0; cu < 35; cu++)
				assert_true(budget_fits(counted, cu, max) ==
					    (cu <= max && counted + cu <= max));
	assert_true(budget_fits(UINT64_MAX - 1, 1, UINT64_MAX));
	assert_false(budget_fits(UINT64_MAX, 1, UINT64_MAX));
	assert_false(budget_fits(1, UINT64_MAX, UINT64_MAX));
	assert_false(budget_fits(UINT64_MAX, UINT64_MAX, UINT64_MAX - 1));
}

/* [P5]: by doubling, never under the dearest method, never over the bound (or that method). */
static void a_new_gateways_bound_grows_with_its_cosignatures(void **state)
{
	for (cu_t max = 0; max < 5000; max += 7)
		for (cu_t largest = 0; largest < 600; largest += 13)
			for (uint32_t n = 0; n < 9; n++) {
				cu_t bound = budget_unpaid_max(max, largest, n);

				assert_true(bound ==
					    (n >= 4 ? max : MAX(largest, max / (16 >> n))));
				assert_true(n == 3 ||
					    budget_unpaid_max(max, largest, n + 1) >= bound);
			}
	assert_true(budget_unpaid_max(UINT64_MAX, 0, 0) == UINT64_MAX >> 4);
	assert_true(budget_unpaid_max(UINT64_MAX, 0, UINT32_MAX) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_and_owners_are_those_of_the_vectors),
		cmocka_unit_test(session_ids_are_those_of_the_vectors),
		cmocka_unit_test(grants_are_signed_over_the_bytes_of_the_vectors),
		cmocka_unit_test(tables_and_draws_are_those_of_the_vectors),
		cmocka_unit_test(picks_are_those_of_the_vectors),
		cmocka_unit_test(parameters_out_of_range_are_named),
		cmocka_unit_test(a_session_exists_from_the_snapshot_lag_on),
		cmocka_unit_test(gateways_open_within_and_nodes_accept_a_little_around),
		cmocka_unit_test(the_clock_counts_heights_and_back),
		cmocka_unit_test(the_claim_horizon_rounds_up),
		cmocka_unit_test(the_allowance_is_a_hard_cap),
		cmocka_unit_test(budget_cu_is_where_may_serve_ends),
		cmocka_unit_test(counting_to_budget_cu_decides_as_the_tokens_do),
		cmocka_unit_test(sums_stay_within_a_bound_exactly),
		cmocka_unit_test(a_new_gateways_bound_grows_with_its_cosignatures),
	};

	return cmocka_run_group_tests(tests, load_vectors, drop_vectors);
}
