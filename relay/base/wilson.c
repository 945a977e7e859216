/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/wilson.h"

#include <assert.h>
#include <math.h>

struct wilson wilson_of(uint64_t k, uint64_t n, double z)
{
	double p, zz = z * z, middle, half, whole;
	struct wilson w = {0, 1};

	assert(k <= n && z > 0);
	if (n == 0)
		return w;
	p = (double)k / (double)n;
	whole = 1 + zz / (double)n;
	middle = p + zz / (2 * (double)n);
	half = z * sqrt(p * (1 - p) / (double)n + zz / (4 * (double)n * (double)n));
	/* At the ends one bound is the share itself, but for rounding. */
	if (k > 0)
		w.low = (middle - half) / whole;
	if (k < n)
		w.high = (middle + half) / whole;
	return w;
}
