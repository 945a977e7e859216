/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/chi2.h"

#include <assert.h>
#include <math.h>

double chi2_tail(double x, uint32_t df)
{
	double half = x / 2, a, sum, log_term;

	assert(x >= 0 && df >= 1);
	if (half == 0)
		return 1;
	a = df % 2 ? 0.5 : 1;
	sum = df % 2 ? erfc(sqrt(half)) : exp(-half);
	log_term = a * log(half) - half - lgamma(a + 1);
	for (; 2 * a < df; a++) {
		sum += exp(log_term);
		log_term += log(half / (a + 1));
	}
	return sum < 1 ? sum : 1;
}

double normal_tail(double z)
{
	return erfc(z / sqrt(2)) / 2;
}
