/* SPDX-License-Identifier: Apache-2.0
 * A log-linear histogram of whole numbers: 8 buckets an octave, so a quantile is at most 12.5 %
 * (and 1) above the true one.  Any thread may add at any time; a reader sees each addition at most
 * once, but not all of those under way.  4 KiB each, no allocation. */
#ifndef RELAY_BASE_HIST_H
#define RELAY_BASE_HIST_H

#include <stdatomic.h>

#include "relay/base/compiler.h"

#define HIST_BUCKETS 496 /* covers all of u64 */

/* Zero-initialised is empty. */
struct hist {
	_Atomic uint64_t buckets[HIST_BUCKETS];
	_Atomic uint64_t sum;
};

/* Counts one value. */
void hist_add(struct hist *hist, uint64_t value);
/* How many values were added. */
uint64_t hist_count(const struct hist *hist);
/* Their sum, modulo 2^64. */
uint64_t hist_sum(const struct hist *hist);
/* How many values are <= 2^octave; exact.  octave 0..63. */
uint64_t hist_count_upto(const struct hist *hist, unsigned octave);
/* An upper bound of the q-quantile (0..1), the least that the buckets allow; 0 when empty. */
uint64_t hist_quantile(const struct hist *hist, double q);
/* Adds all of `from` to `to`. */
void hist_merge(struct hist *to, const struct hist *from);

#endif
