/* SPDX-License-Identifier: Apache-2.0 */
#include "session/patience.h"

#include <assert.h>

#define FRACTION_BITS 11 /* PATIENCE_OCTAVE */

_Static_assert(1 << FRACTION_BITS == PATIENCE_OCTAVE, "an octave is a power of two");

/* Octave and place within it, linear there: monotone, and exact at powers of two. */
static uint32_t to_level(usec_t us)
{
	uint64_t v = us > 1 ? (uint64_t)us : 1;
	unsigned octave = 63 - (unsigned)__builtin_clzll(v);
	uint64_t place = octave > FRACTION_BITS ? v >> (octave - FRACTION_BITS)
						: v << (FRACTION_BITS - octave);

	return octave * PATIENCE_OCTAVE + (uint32_t)(place - PATIENCE_OCTAVE);
}

static usec_t from_level(uint32_t level)
{
	unsigned octave = level / PATIENCE_OCTAVE;
	uint64_t place = PATIENCE_OCTAVE + level % PATIENCE_OCTAVE;

	if (octave > 61) /* not to leave what usec_t can hold */
		return INT64_MAX;
	return (usec_t)(octave > FRACTION_BITS ? place << (octave - FRACTION_BITS)
					       : place >> (FRACTION_BITS - octave));
}

void patience_note(struct patience *p, usec_t took_us, unsigned quantile)
{
	uint32_t level = to_level(took_us);

	assert(quantile >= 50 && quantile < 100);
	if (p->samples == 0)
		p->level = level;
	else if (level > p->level)
		p->level += quantile;
	else if (level < p->level)
		p->level -= MIN(p->level, 100 - quantile);
	if (p->samples < UINT32_MAX)
		p->samples++;
}

usec_t patience_us(const struct patience *p, usec_t min_us, usec_t max_us)
{
	if (p->samples < PATIENCE_SAMPLES_MIN)
		return max_us;
	return MAX(MIN(from_level(p->level), max_us), MIN(min_us, max_us));
}

void patience_earn(struct patience_budget *budget, unsigned percent)
{
	budget->saved = MIN(budget->saved + percent, 100 * PATIENCE_SAVED_MAX);
}

bool patience_spend(struct patience_budget *budget)
{
	if (budget->saved < 100)
		return false;
	budget->saved -= 100;
	return true;
}
