/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/hist.h"

#include <assert.h>

#define SUB_BITS 3
#define SUB (1U << SUB_BITS)

#define LOAD(a) atomic_load_explicit(&(a), memory_order_relaxed)
#define ADD(a, n) atomic_fetch_add_explicit(&(a), (n), memory_order_relaxed)

/* Buckets are closed above, (low, high], so that `<= 2^k` is a sum of whole buckets: the value is
 * counted as v - 1, and 0 with 1. */
static size_t bucket_of(uint64_t value)
{
	uint64_t u = value > 0 ? value - 1 : 0;
	unsigned shift;

	if (u < SUB)
		return (size_t)u;
	shift = 63U - (unsigned)__builtin_clzll(u) - SUB_BITS;
	return ((size_t)shift << SUB_BITS) + (size_t)(u >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_high(size_t i)
{
	unsigned shift;

	if (i < SUB)
		return i + 1;
	if (i == HIST_BUCKETS - 1)
		return UINT64_MAX;
	shift = (unsigned)(i >> SUB_BITS) - 1;
	return ((uint64_t)(i & (SUB - 1)) + SUB + 1) << shift;
}

void hist_add(struct hist *hist, uint64_t value)
{
	size_t i = bucket_of(value);

	assert(i < HIST_BUCKETS);
	ADD(hist->buckets[i], 1);
	ADD(hist->sum, value);
}

uint64_t hist_count(const struct hist *hist)
{
	uint64_t n = 0;

	for (size_t i = 0; i < HIST_BUCKETS; i++)
		n += LOAD(hist->buckets[i]);
	return n;
}

uint64_t hist_sum(const struct hist *hist)
{
	return LOAD(hist->sum);
}

uint64_t hist_count_upto(const struct hist *hist, unsigned octave)
{
	size_t last = bucket_of((uint64_t)1 << octave);
	uint64_t n = 0;

	assert(octave < 64);
	for (size_t i = 0; i <= last; i++)
		n += LOAD(hist->buckets[i]);
	return n;
}

uint64_t hist_quantile(const struct hist *hist, double q)
{
	uint64_t n = hist_count(hist), seen = 0, rank;

	assert(q >= 0 && q <= 1);
	if (n == 0)
		return 0;
	rank = (uint64_t)(q * (double)n);
	if ((double)rank < q * (double)n || rank == 0)
		rank++;
	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		seen += LOAD(hist->buckets[i]);
		if (seen >= rank)
			return bucket_high(i);
	}
	return UINT64_MAX;
}

void hist_merge(struct hist *to, const struct hist *from)
{
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		ADD(to->buckets[i], LOAD(from->buckets[i]));
	ADD(to->sum, LOAD(from->sum));
}
