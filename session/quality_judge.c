/* SPDX-License-Identifier: Apache-2.0
 * From what was seen to a health, the bound on concentration, and the words for it. */
#include <assert.h>

#include "session/quality.h"

#define ONE 256 /* unit of penalties and levels */

usec_t quality_latency(const struct quality *q)
{
	const struct quality_counts *c = &q->sum;

	if (c->outcomes[QUALITY_ANSWER] + c->outcomes[QUALITY_LOST] < QUALITY_SAMPLES_MIN)
		return 0;
	return (quality_counts_quantile(c, 0.5) + quality_counts_quantile(c, 0.9)) / 2;
}

usec_t quality_reference(const usec_t *latencies, size_t n)
{
	usec_t known[SESSION_MEMBERS_MAX];
	size_t count = 0;

	assert(n <= SESSION_MEMBERS_MAX);
	for (size_t i = 0; i < n; i++) {
		size_t k = count;

		if (latencies[i] <= 0)
			continue;
		for (; k > 0 && known[k - 1] > latencies[i]; k--)
			known[k] = known[k - 1];
		known[k] = latencies[i];
		count++;
	}
	return count > 0 ? known[(count - 1) / 2] : 0;
}

/* weight x bad / max(bad + answers, QUALITY_SAMPLES_MIN), in 1/256. */
static uint32_t penalty_of_share(uint64_t bad, uint64_t answers, unsigned weight)
{
	return (uint32_t)(bad * weight * ONE / MAX(bad + answers, (uint64_t)QUALITY_SAMPLES_MIN));
}

/* So that what differs by chance, or by the length of a cable, costs nothing. */
static uint32_t penalty_of_latency(usec_t own, usec_t reference)
{
	usec_t beyond = own - reference - reference / 2 - QUALITY_LATENCY_FREE_US;
	uint64_t penalty;

	if (beyond <= 0 || reference <= 0)
		return 0;
	penalty = (uint64_t)beyond * QUALITY_WEIGHT_LATENCY * ONE /
		  (uint64_t)(reference + QUALITY_LATENCY_FREE_US);
	return (uint32_t)MIN(penalty, (uint64_t)QUALITY_LATENCY_MAX * ONE);
}

static uint32_t penalty_of_lag(uint64_t blocks)
{
	uint64_t beyond = blocks > QUALITY_LAG_FREE ? blocks - QUALITY_LAG_FREE : 0;

	return (uint32_t)MIN(beyond, (uint64_t)QUALITY_LAG_MAX * 4) * (ONE / 4);
}

static unsigned level_of(const struct quality *q)
{
	switch (q->state) {
	case QUALITY_READY:
		return ONE;
	case QUALITY_COOLING:
		return 0;
	case QUALITY_TRIAL:
		return q->trials > 0 ? 0 : QUALITY_TRIAL_LEVEL;
	case QUALITY_RAMP:
		return q->level;
	}
	assert(!"a state that does not exist");
	return 0;
}

struct quality_score quality_judge(const struct quality *q, usec_t reference_us)
{
	const uint32_t *n = q->sum.outcomes;
	uint64_t failed = (uint64_t)n[QUALITY_FAULT] + n[QUALITY_SILENT] + n[QUALITY_CANNOT];
	uint64_t good = n[QUALITY_ANSWER], sum = ONE;
	unsigned level = level_of(q);
	struct quality_score score = {0};
	uint32_t *by = score.penalties;

	by[QUALITY_BY_ERRORS] = penalty_of_share(failed, good, QUALITY_WEIGHT_ERRORS);
	by[QUALITY_BY_MISBEHAVIOUR] =
		penalty_of_share(n[QUALITY_MISBEHAVED], good, QUALITY_WEIGHT_MISBEHAVIOUR);
	by[QUALITY_BY_THROTTLES] =
		penalty_of_share(n[QUALITY_THROTTLED], good, QUALITY_WEIGHT_THROTTLES);
	by[QUALITY_BY_REFUSALS] =
		penalty_of_share(n[QUALITY_REFUSED], good, QUALITY_WEIGHT_REFUSALS);
	by[QUALITY_BY_LATENCY] = penalty_of_latency(quality_latency(q), reference_us);
	by[QUALITY_BY_LAG] = penalty_of_lag(q->lag_blocks);
	for (size_t i = 0; i < QUALITY_FACTORS; i++)
		sum += by[i];
	if (level > 0)
		score.health = (uint16_t)MAX((uint64_t)level * ONE / sum, (uint64_t)1);
	assert(score.health <= PICK_HEALTHY);
	return score;
}

bool quality_vouches(const struct quality *q)
{
	const uint32_t *n = q->sum.outcomes;
	uint64_t bad = (uint64_t)n[QUALITY_FAULT] + n[QUALITY_CANNOT] + n[QUALITY_MISBEHAVED] +
		       n[QUALITY_REFUSED];
	uint64_t all = bad + n[QUALITY_ANSWER];

	return bad * QUALITY_VOUCH_PART <= MAX(all, (uint64_t)QUALITY_SAMPLES_MIN);
}

uint16_t quality_awake(const struct quality_score *score)
{
	uint64_t sum = ONE;

	for (size_t i = 0; i < QUALITY_FACTORS; i++)
		sum += score->penalties[i];
	return (uint16_t)MAX((uint64_t)ONE * ONE / sum, (uint64_t)1);
}

/* --- the bound on concentration --- */

/* Healths cut to `most`: is the part of the highest within the bound?  Their sum is W; the part of
 * a member with health h over its part of the stake is h x stake / W. */
static bool is_within(const uint64_t *weights, const uint16_t *healths, size_t n, uint64_t percent,
		      unsigned most)
{
	u128 width = 0, stake = 0;
	unsigned high = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned h = MIN((unsigned)healths[i], most);

		if (h == 0)
			continue;
		width += (u128)weights[i] * h;
		stake += weights[i];
		high = MAX(high, h);
	}
	return stake * high * 100 <= width * percent;
}

void quality_cap(const uint64_t *weights, uint16_t *healths, size_t n, uint64_t percent)
{
	unsigned low = 1, high = PICK_HEALTHY;

	assert(n <= SESSION_MEMBERS_MAX && percent >= 100);
	if (is_within(weights, healths, n, percent, PICK_HEALTHY))
		return;
	/* The lower the cut, the more even: with 1 all are equal.  The highest that is within. */
	while (high - low > 1) {
		unsigned mid = (low + high) / 2;

		if (is_within(weights, healths, n, percent, mid))
			low = mid;
		else
			high = mid;
	}
	for (size_t i = 0; i < n; i++)
		healths[i] = (uint16_t)MIN((unsigned)healths[i], low);
}

/* --- words --- */

const char *quality_state_name(enum quality_state state)
{
	switch (state) {
	case QUALITY_READY:
		return "ready";
	case QUALITY_COOLING:
		return "cooling";
	case QUALITY_TRIAL:
		return "trial";
	case QUALITY_RAMP:
		return "ramp";
	}
	return "?";
}

const char *quality_outcome_name(enum quality_outcome outcome)
{
	switch (outcome) {
	case QUALITY_ANSWER:
		return "answer";
	case QUALITY_LOST:
		return "lost";
	case QUALITY_FAULT:
		return "fault";
	case QUALITY_SILENT:
		return "silent";
	case QUALITY_CANNOT:
		return "cannot";
	case QUALITY_THROTTLED:
		return "throttled";
	case QUALITY_MISBEHAVED:
		return "misbehaved";
	case QUALITY_REFUSED:
		return "refused";
	case QUALITY_ABSTAINED:
		return "abstained";
	case QUALITY_OUTCOMES:
		break;
	}
	return "?";
}

const char *quality_factor_name(enum quality_factor factor)
{
	switch (factor) {
	case QUALITY_BY_ERRORS:
		return "errors";
	case QUALITY_BY_MISBEHAVIOUR:
		return "misbehaviour";
	case QUALITY_BY_THROTTLES:
		return "throttles";
	case QUALITY_BY_REFUSALS:
		return "refusals";
	case QUALITY_BY_LATENCY:
		return "latency";
	case QUALITY_BY_LAG:
		return "lag";
	case QUALITY_FACTORS:
		break;
	}
	return "?";
}
