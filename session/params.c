/* SPDX-License-Identifier: Apache-2.0 */
#include "session/params.h"

#include <inttypes.h>

#define TOKEN ((u128)1000000) /* the unit of stake in a private network: a weight of 1 */

const struct session_params session_params_default = {
	.session_blocks = 60,
	.snapshot_lag = 20,
	.seed_lag = 10,
	.session_suppliers = 3,
	.stake_unit = TOKEN,
	.stake_cap = TOKEN * 1000000,
	.price_max = 1000000,
	.grace_blocks = 5,
	.claim_window = 120,
	.challenge_lag = 2,
	.proof_window = 60,
};

static bool in_range(const char *name, uint64_t v, uint64_t min, uint64_t max, struct err *err)
{
	if (v < min || v > max)
		return err_set(err, ERR_RANGE,
			       "%s is %" PRIu64 ", allowed are %" PRIu64 " to %" PRIu64, name, v,
			       min, max);
	return true;
}

static bool stakes_check(const struct session_params *p, struct err *err)
{
	if (p->stake_unit == 0 || p->stake_unit > AMOUNT_MAX)
		return err_set(err, ERR_RANGE, "stake_unit must be 1 to 2^96 - 1");
	if (p->stake_cap < p->stake_unit || p->stake_cap > AMOUNT_MAX)
		return err_set(err, ERR_RANGE, "stake_cap must be stake_unit to 2^96 - 1");
	if (p->stake_cap / p->stake_unit >= (u128)1 << 63)
		return err_set(err, ERR_RANGE, "stake_cap / stake_unit must be below 2^63");
	return true;
}

bool session_params_check(const struct session_params *p, struct err *err)
{
	const uint64_t max = SESSION_BLOCKS_MAX;

	if (!in_range("session_blocks", p->session_blocks, 1, max, err) ||
	    !in_range("snapshot_lag", p->snapshot_lag, 2, max, err) ||
	    !in_range("seed_lag", p->seed_lag, 1, max, err) ||
	    !in_range("session_suppliers", p->session_suppliers, 1, SESSION_MEMBERS_MAX, err) ||
	    !in_range("grace_blocks", p->grace_blocks, 0, max, err) ||
	    !in_range("claim_window", p->claim_window, 1, max, err) ||
	    !in_range("challenge_lag", p->challenge_lag, 1, max, err) ||
	    !in_range("proof_window", p->proof_window, 1, max, err) || !stakes_check(p, err))
		return false;
	if (p->seed_lag >= p->snapshot_lag)
		return err_set(err, ERR_RANGE,
			       "seed_lag (%" PRIu64 ") must be below snapshot_lag (%" PRIu64 ")",
			       p->seed_lag, p->snapshot_lag);
	/* A claim is accepted from to + grace_blocks on, and before from + session_blocks +
	 * claim_window: a range of one session needs some heights in between. */
	if (p->grace_blocks >= p->claim_window)
		return err_set(err, ERR_RANGE,
			       "grace_blocks (%" PRIu64 ") must be below claim_window (%" PRIu64
			       ")",
			       p->grace_blocks, p->claim_window);
	if (session_claim_horizon(p) > SESSION_HORIZON_MAX)
		return err_set(err, ERR_RANGE,
			       "the windows span %" PRIu64 " sessions, at most %d may be unsettled",
			       session_claim_horizon(p), SESSION_HORIZON_MAX);
	return true;
}

bool session_clock_check(const struct session_clock *clock, struct err *err)
{
	if (clock->genesis_ms < 0)
		return err_set(err, ERR_RANGE, "genesis_ms is negative");
	return in_range("block_ms", clock->block_ms, BLOCK_MS_MIN, BLOCK_MS_MAX, err);
}

bool session_params_same_network(const struct session_params *a, const struct session_params *b)
{
	return a->session_blocks == b->session_blocks && a->snapshot_lag == b->snapshot_lag &&
	       a->seed_lag == b->seed_lag && a->session_suppliers == b->session_suppliers;
}

uint64_t session_claim_horizon(const struct session_params *p)
{
	uint64_t span = p->session_blocks + p->claim_window + p->challenge_lag + p->proof_window +
			p->snapshot_lag;

	return (span + p->session_blocks - 1) / p->session_blocks;
}

height_t session_clock_height(const struct session_clock *clock, msec_t wall_ms)
{
	if (wall_ms < clock->genesis_ms)
		return 0;
	return (uint64_t)(wall_ms - clock->genesis_ms) / clock->block_ms;
}

msec_t session_clock_ms(const struct session_clock *clock, height_t height)
{
	uint64_t room = (uint64_t)(INT64_MAX - clock->genesis_ms);

	if (height > room / clock->block_ms)
		return INT64_MAX;
	return clock->genesis_ms + (msec_t)(height * clock->block_ms);
}
