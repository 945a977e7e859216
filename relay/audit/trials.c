/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/trials.h"

#include <assert.h>
#include <stdlib.h>

#include "relay/base/mem.h"

/* A pivot below this part of its diagonal is what rounding left of zero. */
#define PIVOT_MIN 1e-9

struct trials {
	size_t kinds;
	struct trials_sum *sums;
	double *v; /* the covariances, kinds x kinds; NULL: too many */
};

struct trials *trials_create(size_t kinds)
{
	struct trials *t = xcalloc(1, sizeof(*t));

	assert(kinds > 0);
	t->kinds = kinds;
	t->sums = xcalloc(kinds, sizeof(*t->sums));
	if (kinds <= TRIALS_KINDS_MAX)
		t->v = xcalloc(kinds * kinds, sizeof(*t->v));
	return t;
}

void trials_destroy(struct trials *t)
{
	if (t == NULL)
		return;
	free(t->sums);
	free(t->v);
	free(t);
}

void trials_add(struct trials *t, const uint32_t *who, const double *weight, const double *observed,
		size_t n, double count)
{
	double total = 0;

	assert(count > 0);
	for (size_t i = 0; i < n; i++)
		total += weight[i];
	for (size_t i = 0; i < n; i++) {
		double p = weight[i] / total;

		assert(who[i] < t->kinds && weight[i] > 0);
		t->sums[who[i]].observed += observed[i];
		t->sums[who[i]].expected += count * p;
		t->sums[who[i]].variance += count * p * (1 - p);
		if (t->v == NULL)
			continue;
		double *row = t->v + who[i] * t->kinds;
		for (size_t j = 0; j < n; j++)
			row[who[j]] -= count * p * (weight[j] / total);
		row[who[i]] += count * p;
	}
}

const struct trials_sum *trials_sum_of(const struct trials *t, size_t kind)
{
	assert(kind < t->kinds);
	return &t->sums[kind];
}

/* Elimination without pivoting: V is the Laplacian of a graph, and stays one, so nothing grows and
 * the last supplier of each connected part is left with zero. */
bool trials_chi2(struct trials *t, double *ret, uint32_t *ret_df)
{
	CLEANUP(xfree) double *d = xcalloc(t->kinds, sizeof(*d));
	size_t n = t->kinds;
	double chi = 0;
	uint32_t df = 0;

	if (t->v == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		d[i] = t->sums[i].observed - t->sums[i].expected;
	for (size_t i = 0; i < n; i++) {
		double pivot = t->v[i * n + i];

		if (pivot <= PIVOT_MIN * t->sums[i].variance)
			continue;
		chi += d[i] * d[i] / pivot;
		df++;
		for (size_t j = i + 1; j < n; j++) {
			double factor = t->v[j * n + i] / pivot;

			if (factor == 0)
				continue;
			d[j] -= factor * d[i];
			for (size_t k = i + 1; k < n; k++)
				t->v[j * n + k] -= factor * t->v[i * n + k];
		}
	}
	*ret = chi;
	*ret_df = df;
	return df > 0;
}
