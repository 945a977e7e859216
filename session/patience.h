/* SPDX-License-Identifier: Apache-2.0
 * How long an answer may take before somebody else is asked too (a hedge), and how often that may
 * be done.  A quantile of recent answers' times, in eight bytes, without a window: each answer
 * moves the level a little, up when it was slower, down when it was faster, so far that they
 * balance at the quantile.  Pure: times are arguments. */
#ifndef SESSION_PATIENCE_H
#define SESSION_PATIENCE_H

#include "relay/base/ids.h"

/* Answers that must have been seen before the level says anything. */
#define PATIENCE_SAMPLES_MIN 20

/* Zero-initialised has seen nothing. */
struct patience {
	uint32_t level; /* of log2(time), PATIENCE_OCTAVE an octave */
	uint32_t samples;
};

/* Counts an answer that took so long.
 *
 * In:     quantile  percent, 50..99.  The level rises by quantile / PATIENCE_OCTAVE of an octave
 *                   and falls by (100 - quantile) / PATIENCE_OCTAVE: at 95 % it doubles within 22
 *                   slow answers and halves within 410 fast ones. */
#define PATIENCE_OCTAVE 2048
void patience_note(struct patience *p, usec_t took_us, unsigned quantile);

/* The quantile, within min..max; max as long as too little was seen. */
usec_t patience_us(const struct patience *p, usec_t min_us, usec_t max_us);

/* What may still be spent: each question earns a share of one hedge. */
#define PATIENCE_SAVED_MAX 10 /* hedges that may follow on each other */

struct patience_budget {
	uint32_t saved; /* hundredths of a hedge */
};

/* A question was asked; percent of them may be hedged. */
void patience_earn(struct patience_budget *budget, unsigned percent);
/* Whether one more hedge may be made; it is taken then. */
MUST_USE bool patience_spend(struct patience_budget *budget);

#endif
