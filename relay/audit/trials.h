/* SPDX-License-Identifier: Apache-2.0
 * Many draws of lots, each among some of the same suppliers with probabilities of its own: how
 * often each was to be expected, how often it was, and whether the whole is chance.
 *
 * A trial is a multinomial: `count` relays of a session among its members, by weight.  Summed over
 * trials, the differences d of counted and expected have the covariance V = sum of count x (diag(p)
 * - p p'), and d' V^- d is chi-square with rank(V) degrees of freedom for large sums: Pearson's
 * statistic where there is one trial, and of use where each trial alone has too few relays for it
 * (the generalised Mantel-Haenszel statistic of stratified tables). */
#ifndef RELAY_AUDIT_TRIALS_H
#define RELAY_AUDIT_TRIALS_H

#include "relay/base/compiler.h"

#define TRIALS_KINDS_MAX 2048 /* of which a chi-square is taken: a matrix of 32 MiB */

struct trials_sum {
	double observed;
	double expected;
	double variance;
};

struct trials;

/* kinds: how many suppliers there are in all, >= 1. */
struct trials *trials_create(size_t kinds);
void trials_destroy(struct trials *t);
DEFINE_CLEANUP(struct trials *, trials_destroy)

/* Adds a trial.
 *
 * In:     who       n distinct indexes below kinds
 *         weight    n, > 0: probabilities but for their sum
 *         observed  n: what each got; their sum is `count`
 *         count     > 0.  Where what is counted comes in parcels of unknown size, the trial is the
 *                   whole, count is 1 and observed are fractions of it: a fraction's variance is at
 *                   most p (1 - p), so that the result errs on the side of chance.
 */
void trials_add(struct trials *t, const uint32_t *who, const double *weight, const double *observed,
		size_t n, double count);

const struct trials_sum *trials_sum_of(const struct trials *t, size_t kind);

/* The statistic and its degrees of freedom; false when there are none, or too many kinds.  Uses up
 * what was added: call it once, last.  O(kinds^3). */
MUST_USE bool trials_chi2(struct trials *t, double *ret, uint32_t *ret_df);

#endif
