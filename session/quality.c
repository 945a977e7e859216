/* SPDX-License-Identifier: Apache-2.0 */
#include "session/quality.h"

#include <assert.h>

#define ONE 256 /* unit of penalties and levels */
#define SUB_BITS 2
#define SUB (1U << SUB_BITS)
#define UNIT_BITS 5 /* latencies are told apart from 32 us on */
#define DOUBLINGS_MAX 20

void quality_init(struct quality *q, const struct quality_limits *limits)
{
	*q = (struct quality){.limits = limits, .state = QUALITY_READY, .level = ONE};
}

/* --- windows --- */

/* Buckets are (low, high], as in relay/base/hist, which is six times as large and atomic. */
static unsigned bucket_of(usec_t latency_us)
{
	uint64_t u = latency_us > 1 ? (uint64_t)(latency_us - 1) >> UNIT_BITS : 0;
	unsigned shift, i;

	if (u < SUB)
		return (unsigned)u;
	shift = 63U - (unsigned)__builtin_clzll(u) - SUB_BITS;
	i = (shift << SUB_BITS) + (unsigned)(u >> shift);
	return MIN(i, (unsigned)QUALITY_BUCKETS - 1);
}

static usec_t bucket_high(unsigned i)
{
	unsigned shift;

	if (i < SUB)
		return (usec_t)(i + 1) << UNIT_BITS;
	shift = (i >> SUB_BITS) - 1;
	return (usec_t)((i & (SUB - 1)) + SUB + 1) << shift << UNIT_BITS;
}

void quality_counts_add(struct quality_counts *to, const struct quality_counts *from)
{
	for (size_t i = 0; i < QUALITY_OUTCOMES; i++)
		to->outcomes[i] += from->outcomes[i];
	for (size_t i = 0; i < QUALITY_BUCKETS; i++)
		to->latencies[i] += from->latencies[i];
}

static void counts_take(struct quality_counts *from, const struct quality_counts *what)
{
	for (size_t i = 0; i < QUALITY_OUTCOMES; i++)
		from->outcomes[i] -= what->outcomes[i];
	for (size_t i = 0; i < QUALITY_BUCKETS; i++)
		from->latencies[i] -= what->latencies[i];
}

/* The next window begins; what the oldest had is forgotten. */
static void window_next(struct quality *q)
{
	q->at = (q->at + 1) % QUALITY_WINDOWS;
	counts_take(&q->sum, &q->windows[q->at]);
	q->windows[q->at] = (struct quality_counts){0};
}

static void windows_turn(struct quality *q, usec_t now)
{
	usec_t one = q->limits->window_us / QUALITY_WINDOWS;

	if (q->window_until_us == 0) {
		q->window_until_us = now + one;
		return;
	}
	for (unsigned i = 0; i < QUALITY_WINDOWS && q->window_until_us <= now; i++) {
		window_next(q);
		q->window_until_us += one;
	}
	if (q->window_until_us <= now) /* all are empty now */
		q->window_until_us = now + one;
}

static void count(struct quality *q, enum quality_outcome outcome)
{
	q->windows[q->at].outcomes[outcome]++;
	q->sum.outcomes[outcome]++;
}

static void count_latency(struct quality *q, usec_t latency_us)
{
	unsigned i = bucket_of(latency_us);

	q->windows[q->at].latencies[i]++;
	q->sum.latencies[i]++;
}

/* It has shown on trial that what failed before does not now.  What it did wrong, or would not do,
 * stays. */
static void forget_failures(struct quality *q)
{
	static const enum quality_outcome failures[] = {QUALITY_FAULT, QUALITY_SILENT,
							QUALITY_CANNOT};

	for (size_t k = 0; k < ARRAY_SIZE(failures); k++) {
		for (size_t i = 0; i < QUALITY_WINDOWS; i++)
			q->windows[i].outcomes[failures[k]] = 0;
		q->sum.outcomes[failures[k]] = 0;
	}
}

usec_t quality_counts_quantile(const struct quality_counts *c, double q)
{
	uint64_t n = 0, seen = 0, rank;

	assert(q >= 0 && q <= 1);
	for (size_t i = 0; i < QUALITY_BUCKETS; i++)
		n += c->latencies[i];
	if (n == 0)
		return 0;
	rank = (uint64_t)(q * (double)n);
	if ((double)rank < q * (double)n || rank == 0)
		rank++;
	for (unsigned i = 0; i < QUALITY_BUCKETS; i++) {
		seen += c->latencies[i];
		if (seen >= rank)
			return bucket_high(i);
	}
	assert(!"fewer values than were counted");
	return 0;
}

/* --- states --- */

static void set_state(struct quality *q, enum quality_state to, usec_t now)
{
	static const unsigned legal[] = {
		[QUALITY_READY] = 1u << QUALITY_COOLING,
		[QUALITY_COOLING] = 1u << QUALITY_TRIAL | 1u << QUALITY_READY,
		[QUALITY_TRIAL] = 1u << QUALITY_COOLING | 1u << QUALITY_RAMP,
		[QUALITY_RAMP] = 1u << QUALITY_COOLING | 1u << QUALITY_READY,
	};

	assert(legal[q->state] >> to & 1u);
	q->state = to;
	q->epoch++;
	q->since_us = now;
	q->strain = q->trials = q->answers = 0;
}

static usec_t doubled(usec_t first, unsigned times, usec_t most)
{
	usec_t us = first;

	for (unsigned i = 0; i < times && us < most; i++)
		us *= 2;
	return MIN(us, most);
}

static void cool(struct quality *q, enum quality_outcome cause, usec_t now)
{
	const struct quality_limits *l = q->limits;

	if (q->state == QUALITY_READY && now - q->since_us >= l->window_us)
		q->strikes = 0;
	q->cause = cause;
	q->until_us = now + doubled(l->cooldown_us, q->strikes, l->cooldown_max_us);
	if (q->strikes < DOUBLINGS_MAX)
		q->strikes++;
	set_state(q, QUALITY_COOLING, now);
}

/* No room: a short rest from which it comes back as it was, unless it was on its way up. */
static void rest(struct quality *q, usec_t now)
{
	q->cause = QUALITY_THROTTLED;
	q->until_us = now + doubled(QUALITY_BUSY_US, q->busy, QUALITY_BUSY_MAX_US);
	if (q->busy < DOUBLINGS_MAX)
		q->busy++;
	set_state(q, QUALITY_COOLING, now);
}

static void step(struct quality *q, usec_t now)
{
	q->level = MIN(2 * q->level, (unsigned)ONE);
	q->answers = 0;
	q->since_us = now;
	if (q->level == ONE)
		set_state(q, QUALITY_READY, now);
}

void quality_turn(struct quality *q, usec_t now)
{
	windows_turn(q, now);
	switch (q->state) {
	case QUALITY_READY:
	case QUALITY_TRIAL:
		break;
	case QUALITY_COOLING:
		if (q->until_us > now)
			break;
		if (q->cause == QUALITY_THROTTLED && q->level == ONE)
			set_state(q, QUALITY_READY, now);
		else
			set_state(q, QUALITY_TRIAL, now);
		break;
	case QUALITY_RAMP:
		while (q->state == QUALITY_RAMP && q->since_us + QUALITY_STEP_US <= now)
			step(q, q->since_us + QUALITY_STEP_US);
		break;
	}
}

unsigned quality_begin(struct quality *q)
{
	q->trials += q->state == QUALITY_TRIAL;
	return q->epoch;
}

static void on_answer(struct quality *q, usec_t now)
{
	q->strain = q->busy = 0;
	switch (q->state) {
	case QUALITY_READY:
		break;
	case QUALITY_COOLING: /* asked since, because nobody else was left: it works again */
		q->until_us = now;
		quality_turn(q, now);
		break;
	case QUALITY_TRIAL:
		if (++q->answers < QUALITY_TRIAL_ANSWERS)
			break;
		forget_failures(q);
		q->level = QUALITY_TRIAL_LEVEL;
		set_state(q, QUALITY_RAMP, now);
		break;
	case QUALITY_RAMP:
		if (++q->answers >= QUALITY_STEP_ANSWERS)
			step(q, now);
		break;
	}
}

/* What one outcome that is no answer weighs towards a rest. */
static unsigned strain_of(const struct quality *q, enum quality_outcome outcome, usec_t sent_us)
{
	bool quiet = q->answered_us <= sent_us; /* nothing was answered meanwhile */

	switch (outcome) {
	case QUALITY_FAULT:
		return QUALITY_STRAIN_FAULT;
	case QUALITY_LOST:
		return quiet ? 1 : 0;
	case QUALITY_SILENT:
		return quiet ? QUALITY_STRAIN_MAX : 0;
	case QUALITY_CANNOT:
	case QUALITY_MISBEHAVED:
		return QUALITY_STRAIN_MAX;
	case QUALITY_ANSWER:
	case QUALITY_THROTTLED:
	case QUALITY_REFUSED:
	case QUALITY_ABSTAINED:
	case QUALITY_OUTCOMES:
		break;
	}
	return 0;
}

/* On trial, and on the way back, one fault is enough. */
static void on_failure(struct quality *q, enum quality_outcome outcome, usec_t sent_us, usec_t now)
{
	unsigned most = q->state == QUALITY_READY ? QUALITY_STRAIN_MAX : QUALITY_STRAIN_FAULT;

	if (outcome == QUALITY_THROTTLED) {
		rest(q, now);
		return;
	}
	q->strain += strain_of(q, outcome, sent_us);
	if (q->strain >= most) {
		q->level = QUALITY_TRIAL_LEVEL;
		cool(q, outcome, now);
	}
}

void quality_end(struct quality *q, unsigned epoch, enum quality_outcome outcome, usec_t sent_us,
		 usec_t took_us, usec_t now)
{
	assert(outcome < QUALITY_OUTCOMES && sent_us <= now);
	quality_turn(q, now);
	count(q, outcome);
	if (outcome == QUALITY_ANSWER || outcome == QUALITY_LOST)
		count_latency(q, took_us);
	if (epoch == q->epoch && q->state == QUALITY_TRIAL) {
		assert(q->trials > 0);
		q->trials--;
	}
	if (epoch == q->epoch && outcome == QUALITY_ANSWER)
		on_answer(q, now);
	else if (epoch == q->epoch && q->state != QUALITY_COOLING)
		on_failure(q, outcome, sent_us, now);
	if (outcome == QUALITY_ANSWER)
		q->answered_us = now;
}

void quality_refused(struct quality *q, usec_t now)
{
	quality_turn(q, now);
	count(q, QUALITY_REFUSED);
}

void quality_set_lag(struct quality *q, uint64_t blocks)
{
	q->lag_blocks = blocks;
}
