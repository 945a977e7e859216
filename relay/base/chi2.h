/* SPDX-License-Identifier: Apache-2.0
 * How seldom chance alone makes a difference as large as the one that was counted: upper tails of
 * the chi-square and of the normal distribution.
 *
 * By the recurrence of the regularised incomplete gamma function, Q(a + 1, x) = Q(a, x) + x^a e^-x
 * / Gamma(a + 1) (DLMF 8.8.6), from Q(1/2, x) = erfc(sqrt(x)) or Q(1, x) = e^-x: nothing is ever
 * subtracted, so small probabilities are as exact as large ones. */
#ifndef RELAY_BASE_CHI2_H
#define RELAY_BASE_CHI2_H

#include "relay/base/compiler.h"

/* P(X >= x) for X of the chi-square distribution; x >= 0, df >= 1 degrees of freedom.  The relative
 * error is below 1e-11 wherever the result is a normal number; O(df). */
double chi2_tail(double x, uint32_t df);

/* P(Z >= z) for Z of the standard normal distribution. */
double normal_tail(double z);

#endif
