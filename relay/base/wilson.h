/* SPDX-License-Identifier: Apache-2.0
 * What a share that was counted says of the probability behind it: Wilson's interval, which is
 * right for few trials and for shares near 0 and 1 too. */
#ifndef RELAY_BASE_WILSON_H
#define RELAY_BASE_WILSON_H

#include "relay/base/compiler.h"

#define WILSON_Z95 1.959963984540054 /* of the normal distribution, two-sided 95 % */

struct wilson {
	double low, high; /* 0..1 */
};

/* The interval of k successes in n trials, k <= n, at the confidence of z > 0; 0..1 when n is 0.
 * E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927). */
struct wilson wilson_of(uint64_t k, uint64_t n, double z);

#endif
