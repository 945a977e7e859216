/* SPDX-License-Identifier: Apache-2.0
 * The parameters of a network at their edges, and how they fit together ([S1], [Y3]). */
#include "tests/unit/unit.h"

#include "tests/unit/history_world.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_parameter_is_named_beyond_its_edges),
		cmocka_unit_test(members_lags_and_windows_fit_together),
		cmocka_unit_test(stakes_fit_their_types),
		cmocka_unit_test(clocks_have_bounds_and_saturate),
		cmocka_unit_test(a_network_is_four_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
