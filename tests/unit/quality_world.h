/* SPDX-License-Identifier: Apache-2.0
 * Ends of relays and the limits by which they are judged; for the tests of health. */
#ifndef TESTS_UNIT_QUALITY_WORLD_H
#define TESTS_UNIT_QUALITY_WORLD_H

#include "session/quality.h"
#include "tests/support/gen.h"

#define MS INT64_C(1000)
#define SECOND INT64_C(1000000)

static const struct quality_limits limits = {
	.window_us = 60 * SECOND,
	.cooldown_us = SECOND,
	.cooldown_max_us = 30 * SECOND,
};

static inline uint16_t health(const struct quality *q)
{
	return quality_judge(q, 0).health;
}

#endif
