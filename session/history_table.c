/* SPDX-License-Identifier: Apache-2.0
 * Stake tables out of a history, and runs of seeds. */
#include "session/history_inside.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"

static bool serves(const struct supplier_entry *e, const struct service_name *service)
{
	for (uint32_t i = 0; i < e->services_n; i++)
		if (strcmp(e->services[i].s, service->s) == 0)
			return true;
	return false;
}

bool history_table(const struct history *h, const struct service_name *service, height_t snapshot,
		   struct stake_table **ret, struct err *err)
{
	const struct supplier_entry *e = h->suppliers.v;
	CLEANUP(xfree) struct table_input *in = NULL;
	size_t n = 0;

	assert(h->sealed);
	if (!history_service(h, service, snapshot))
		return err_set(err, ERR_NO_SESSION, "there was no service %s at height %" PRIu64,
			       service->s, snapshot);
	in = xmalloc(h->suppliers.n * sizeof(*in));
	for (size_t i = 0; i < h->suppliers.n; i++) {
		bool more = i + 1 < h->suppliers.n && ID_EQ(&e[i].key, &e[i + 1].key);

		if (e[i].height > snapshot || (more && e[i + 1].height <= snapshot))
			continue;
		if (e[i].stake > 0 && serves(&e[i], service))
			in[n++] = (struct table_input){e[i].key, e[i].owner, e[i].stake, e[i].price,
						       (uint32_t)i};
	}
	return stake_table_create(history_params(h, snapshot), in, n, ret, err);
}

height_t history_seeds_from(const struct history *h, height_t last_seed)
{
	const struct session_params *p = history_params(h, last_seed);
	uint64_t window = (session_claim_horizon(p) + 2) * p->session_blocks + p->seed_lag;

	return last_seed > window ? last_seed - window : 0;
}

bool history_table_same(const struct history *h, height_t a, height_t b)
{
	const struct params_entry *p = h->params.v;
	const struct service_entry *v = h->services.v;
	const struct supplier_entry *s = h->suppliers.v;

	assert(a <= b);
	if (h->last_change <= a)
		return true;
	for (size_t i = 0; i < h->params.n; i++)
		if (p[i].height > a && p[i].height <= b)
			return false;
	for (size_t i = 0; i < h->services.n; i++)
		if (v[i].height > a && v[i].height <= b)
			return false;
	for (size_t i = 0; i < h->suppliers.n; i++)
		if (s[i].height > a && s[i].height <= b)
			return false;
	return true;
}

void seed_run_finish(struct seed_run *run)
{
	free(run->v);
	*run = (struct seed_run){0};
}

bool seed_run_add(struct seed_run *run, height_t height, const struct seed *seed)
{
	if (run->n > 0 && run->v[run->n - 1].height >= height)
		return false;
	if (run->n == run->cap) {
		run->cap = run->cap ? run->cap * 2 : 64;
		run->v = xrealloc(run->v, run->cap * sizeof(*run->v));
	}
	run->v[run->n++] = (struct height_seed){height, *seed};
	return true;
}

size_t seed_run_index(const struct seed_run *run, height_t height)
{
	size_t low = 0, high = run->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (run->v[mid].height < height)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct seed *seed_run_find(const struct seed_run *run, height_t height)
{
	size_t i = seed_run_index(run, height);

	return i < run->n && run->v[i].height == height ? &run->v[i].seed : NULL;
}

void seed_run_drop_below(struct seed_run *run, height_t height)
{
	size_t drop = seed_run_index(run, height);

	if (drop == 0)
		return;
	memmove(run->v, run->v + drop, (run->n - drop) * sizeof(*run->v));
	run->n -= drop;
}
