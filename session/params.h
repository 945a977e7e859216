/* SPDX-License-Identifier: Apache-2.0
 * The parameters of a network, their bounds, and what is derived from them ([S1], [P2]).
 *
 * Four of them are fixed when the network is made; the others are entries of the registry, and a
 * session goes by those of its snapshot.  Not here: the method tables, which are a service's. */
#ifndef SESSION_PARAMS_H
#define SESSION_PARAMS_H

#include "relay/base/err.h"
#include "relay/base/ids.h"

#define SESSION_MEMBERS_MAX 64	       /* largest session_suppliers */
#define SESSION_BLOCKS_MAX 1000000     /* heights; also the bound of every lag and window */
#define SESSION_HORIZON_MAX 4096       /* sessions that may be unsettled at once */
#define HEIGHT_MAX (UINT64_C(1) << 62) /* of entries and seeds: sums with lags stay in range */
#define BLOCK_MS_MIN 10
#define BLOCK_MS_MAX 3600000
#define AMOUNT_MAX ((((u128)1) << 96) - 1) /* of tokens: stake, escrow, budget */

/* When height 0 was, and how long a height is.  Fixed for a network. */
struct session_clock {
	msec_t genesis_ms; /* POSIX time of height 0 */
	uint64_t block_ms; /* BLOCK_MS_MIN..BLOCK_MS_MAX */
};

struct session_params {
	/* fixed for a network */
	uint64_t session_blocks;    /* heights a session */
	uint64_t snapshot_lag;	    /* heights from a snapshot to its session's start */
	uint64_t seed_lag;	    /* heights from a seed to its session's start; < snapshot_lag */
	uint32_t session_suppliers; /* members wanted, 1..SESSION_MEMBERS_MAX */
	/* those of the snapshot count */
	u128 stake_unit;	/* tokens that weigh 1 in the draw, > 0 */
	u128 stake_cap;		/* tokens of one supplier that count; >= stake_unit */
	uint64_t price_max;	/* token units per CU */
	uint64_t grace_blocks;	/* heights in which relays of an ended session still arrive */
	uint64_t claim_window;	/* heights, from a session's end */
	uint64_t challenge_lag; /* heights, >= 1 */
	uint64_t proof_window;	/* heights, >= 1 */
};

/* The values of `registry init` when nothing else is said: sessions of 60 heights. */
extern const struct session_params session_params_default;

/* True iff every value is in its bounds and they fit together.  Errors: ERR_RANGE names the value.
 */
MUST_USE bool session_params_check(const struct session_params *p, struct err *err);

/* True iff the clock's values are in their bounds.  Errors: ERR_RANGE. */
MUST_USE bool session_clock_check(const struct session_clock *clock, struct err *err);

/* True iff a and b agree in what is fixed for a network. */
bool session_params_same_network(const struct session_params *a, const struct session_params *b);

/* claim_horizon: sessions that can be unsettled at once ([P2]).  `p` has passed the check. */
uint64_t session_claim_horizon(const struct session_params *p);

/* The height at wall_ms; 0 before genesis. */
height_t session_clock_height(const struct session_clock *clock, msec_t wall_ms);

/* POSIX ms at which a height begins; saturates at INT64_MAX. */
msec_t session_clock_ms(const struct session_clock *clock, height_t height);

#endif
