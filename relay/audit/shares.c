/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/shares.h"

#include <assert.h>
#include <math.h>

#include "relay/audit/trials.h"
#include "relay/base/chi2.h"
#include "relay/base/mem.h"
#include "session/budget.h"

static int group_order(const struct share_use *a, const struct share_use *b)
{
	int order = memcmp(&a->application, &b->application, sizeof(a->application));

	order = order ? order : memcmp(&a->gateway, &b->gateway, sizeof(a->gateway));
	return order ? order : strcmp(a->service.s, b->service.s);
}

static int use_order(const void *x, const void *y)
{
	const struct share_use *a = x, *b = y;
	int order = group_order(a, b);

	if (order == 0 && a->start != b->start)
		order = a->start < b->start ? -1 : 1;
	order = order ? order : memcmp(&a->session, &b->session, sizeof(a->session));
	return order ? order : memcmp(&a->supplier, &b->supplier, sizeof(a->supplier));
}

/* --- groups --- */

static struct share_group *add_group(struct shares *shares, enum share_of of)
{
	if (shares->n == shares->cap) {
		shares->cap = shares->cap ? 2 * shares->cap : 8;
		shares->groups = xrealloc(shares->groups, shares->cap * sizeof(*shares->groups));
	}
	shares->groups[shares->n] = (struct share_group){.of = of};
	return &shares->groups[shares->n++];
}

void audit_shares_finish(struct shares *shares)
{
	for (size_t i = 0; i < shares->n; i++)
		free(shares->groups[i].rows);
	free(shares->groups);
	*shares = (struct shares){0};
}

static int row_order(const void *x, const void *y)
{
	const struct share_row *a = x, *b = y;

	return memcmp(&a->supplier, &b->supplier, sizeof(a->supplier));
}

/* Sorts a group's rows and keeps one of each supplier. */
static void rows_settle(struct share_group *g)
{
	size_t kept = 0;

	qsort(g->rows, g->n, sizeof(*g->rows), row_order);
	for (size_t i = 0; i < g->n; i++)
		if (kept == 0 || row_order(&g->rows[kept - 1], &g->rows[i]) != 0)
			g->rows[kept++] = g->rows[i];
	g->n = kept;
}

static struct share_row *row_find(const struct share_group *g, const struct key_id *supplier)
{
	struct share_row probe = {.supplier = *supplier};

	return bsearch(&probe, g->rows, g->n, sizeof(*g->rows), row_order);
}

/* P of a count this far above what was expected, for any row of the group. */
static double chance_of(const struct share_group *g, double above, double variance)
{
	double p = variance > 0 ? normal_tail(above / sqrt(variance)) * (double)g->n : 1;

	return p < 1 ? p : 1;
}

/* Twice the chance has less than twice the variance, so that is what is taken. */
static void row_judge(const struct share_group *g, struct share_row *row,
		      const struct trials_sum *sum)
{
	double above = sum->observed - sum->expected;

	row->observed = sum->observed;
	row->expected = sum->expected;
	row->z = sum->variance > 0 ? above / sqrt(sum->variance) : 0;
	row->p = chance_of(g, above, sum->variance);
	row->apart = row->p < SHARE_CHANCE;
	row->twice = chance_of(g, above - sum->expected, 2 * sum->variance) < SHARE_CHANCE;
	row->used_up = row->full >= SHARE_FULL_MIN && 2 * row->full >= row->sessions;
	row->kin = false;
	if (g->of == SHARE_DRAWS)
		return;
	struct owner_id by_application = owner_default(&g->application);
	struct owner_id by_gateway = owner_default(&g->gateway);
	row->kin = ID_EQ(&row->owner, &by_application) || ID_EQ(&row->owner, &by_gateway);
}

static void group_judge(struct share_group *g, struct trials *trials)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct trials_sum *sum = trials_sum_of(trials, i);

		row_judge(g, &g->rows[i], sum);
		g->few += sum->expected < 5;
	}
	g->has_chi2 = trials_chi2(trials, &g->chi2, &g->df);
	g->p = g->has_chi2 ? chi2_tail(g->chi2, g->df) : 1;
}

/* --- relays and compute units --- */

/* One session with what its members did: uses[from, to). */
struct used_session {
	struct session_info *info;
	size_t from, to;
};

/* The sessions of a group that are the registry's, and a row for each member. */
static size_t find_sessions(const struct audit_registry *registry, const struct share_use *uses,
			    size_t n, struct share_group *g, struct used_session **ret)
{
	struct used_session *all = xcalloc(n, sizeof(*all));
	size_t count = 0, cap = 0;
	struct err err;

	for (size_t i = 0, to; i < n; i = to) {
		struct session_info *info;

		for (to = i + 1; to < n && ID_EQ(&uses[to].session, &uses[i].session);)
			to++;
		g->sessions++;
		if (!view_session(registry->view, &uses[i].application, &uses[i].service,
				  uses[i].start, &info, &err)) {
			g->unknown++;
			continue;
		}
		if (!ID_EQ(&info->id, &uses[i].session)) {
			g->unknown++;
			free(info);
			continue;
		}
		all[count++] = (struct used_session){info, i, to};
		for (size_t m = 0; m < info->n; m++) {
			if (g->n == cap) {
				cap = cap ? 2 * cap : 64;
				g->rows = xrealloc(g->rows, cap * sizeof(*g->rows));
			}
			g->rows[g->n++] = (struct share_row){.supplier = info->members[m].key,
							     .owner = info->members[m].owner};
		}
		rows_settle(g);
	}
	*ret = all;
	return count;
}

/* True iff no more than a hundredth is left of what the grant allows a supplier of the session. */
static bool is_full(const struct audit_registry *registry, const struct share_use *use,
		    uint64_t price)
{
	cu_t cu = use->cu > UINT64_MAX ? UINT64_MAX : (cu_t)use->cu, all;
	u128 allowance;
	struct err err;

	if (price == 0 || !view_allowance(registry->view, &use->application, &use->gateway,
					  &use->service, use->start, &allowance, &err))
		return false;
	all = budget_cu(allowance, price);
	return all > 0 && cu >= all - all / 100;
}

static void add_session(const struct audit_registry *registry, const struct used_session *s,
			const struct share_use *uses, struct share_group *g, struct trials *trials)
{
	const struct share_use *found[SESSION_MEMBERS_MAX];
	double weight[SESSION_MEMBERS_MAX], observed[SESSION_MEMBERS_MAX], total = 0;
	uint32_t who[SESSION_MEMBERS_MAX];
	size_t n = s->info->n;

	assert(n <= SESSION_MEMBERS_MAX);
	for (size_t m = 0; m < n; m++) {
		const struct session_member *member = &s->info->members[m];
		struct share_row *row = row_find(g, &member->key);

		assert(row != NULL);
		who[m] = (uint32_t)(row - g->rows);
		weight[m] = (double)member->weight;
		found[m] = NULL;
		observed[m] = 0;
		row->sessions++;
		for (size_t i = s->from; i < s->to && found[m] == NULL; i++)
			if (ID_EQ(&uses[i].supplier, &member->key))
				found[m] = &uses[i];
		if (found[m] == NULL)
			continue;
		row->relays += found[m]->relays;
		row->cu += found[m]->cu;
		row->full += is_full(registry, found[m], member->price);
		observed[m] =
			g->of == SHARE_RELAYS ? (double)found[m]->relays : (double)found[m]->cu;
		total += observed[m];
	}
	if (total == 0)
		return;
	for (size_t m = 0; m < n && g->of == SHARE_CU; m++)
		observed[m] /= total;
	trials_add(trials, who, weight, observed, n, g->of == SHARE_CU ? 1 : total);
}

static void add_group_of_uses(const struct audit_registry *registry, enum share_of of,
			      const struct share_use *uses, size_t n, struct shares *ret)
{
	struct share_group *g = add_group(ret, of);
	CLEANUP(trials_destroy) struct trials *trials = NULL;
	struct used_session *sessions;
	size_t count;

	g->application = uses->application;
	g->gateway = uses->gateway;
	g->service = uses->service;
	count = find_sessions(registry, uses, n, g, &sessions);
	if (g->n > 0)
		trials = trials_create(g->n);
	for (size_t i = 0; i < count; i++) {
		add_session(registry, &sessions[i], uses, g, trials);
		free(sessions[i].info);
	}
	free(sessions);
	if (g->n > 0)
		group_judge(g, trials);
}

void audit_shares_add_uses(const struct audit_registry *registry, enum share_of of,
			   struct share_use *uses, size_t n, struct shares *ret)
{
	assert(of != SHARE_DRAWS);
	if (n > 0)
		qsort(uses, n, sizeof(*uses), use_order);
	for (size_t i = 0, to; i < n; i = to) {
		for (to = i + 1; to < n && group_order(&uses[i], &uses[to]) == 0;)
			to++;
		add_group_of_uses(registry, of, &uses[i], to - i, ret);
	}
}

/* --- draws --- */

/* First draws from one table, until another one comes. */
struct table_draws {
	const struct stake_table *table;
	double *first; /* a row of the table each */
	double count;
};

static void table_draws_add(struct table_draws *d, const struct share_group *g,
			    struct trials *trials)
{
	if (d->count == 0)
		return;
	size_t n = d->table->n;
	CLEANUP(xfree) uint32_t *who = xcalloc(n, sizeof(*who));
	CLEANUP(xfree) double *weight = xcalloc(n, sizeof(*weight));

	for (size_t i = 0; i < n; i++) {
		who[i] = (uint32_t)(row_find(g, &d->table->rows[i].key) - g->rows);
		weight[i] = (double)d->table->rows[i].weight;
	}
	trials_add(trials, who, weight, d->first, n, d->count);
}

/* Those that have ever been granted for, sorted; returns how many. */
static size_t find_applications(const struct history *h, const struct service_name *service,
				struct key_id *ret)
{
	size_t n, count = 0;
	const struct grant_entry *grants = history_all_grants(h, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(grants[i].service.s, service->s) == 0 &&
		    (count == 0 || !ID_EQ(&ret[count - 1], &grants[i].application)))
			ret[count++] = grants[i].application;
	return count;
}

static void add_draw(const struct session_id *id, const struct stake_table *table, uint32_t want,
		     struct share_group *g, struct table_draws *draws)
{
	struct session_draw draw;
	struct err err;

	if (!session_draw(id, table, want, &draw, &err))
		return; /* nobody is staked */
	g->sessions++;
	draws->count++;
	draws->first[draw.rows[0]]++; /* at t = 0 nobody is passed over */
	for (size_t i = 0; i < draw.n; i++)
		row_find(g, &table->rows[draw.rows[i]].key)->sessions++;
}

static void add_service(const struct audit_registry *registry, const struct key_id *applications,
			size_t n, struct share_group *g, struct trials *trials)
{
	const struct history *h = registry->export.history;
	const struct seed_run *seeds = view_seeds(registry->view);
	const struct session_params *p = history_params(h, 0);
	struct table_draws draws = {.table = NULL};
	size_t most = SHARE_DRAWS_MAX / n;
	struct err err;

	for (size_t i = seeds->n > most ? seeds->n - most : 0; i < seeds->n; i++) {
		height_t start = seeds->v[i].height + p->seed_lag;
		const struct stake_table *table;

		if (!session_exists(p, start) ||
		    !view_table(registry->view, &g->service, start, &table, &err))
			continue;
		if (table != draws.table) {
			table_draws_add(&draws, g, trials);
			free(draws.first);
			draws = (struct table_draws){table, xcalloc(table->n, sizeof(double)), 0};
		}
		for (size_t a = 0; a < n; a++) {
			struct session_id id =
				session_id_derive(history_network(h), &applications[a], &g->service,
						  start, &seeds->v[i].seed);

			add_draw(&id, table, p->session_suppliers, g, &draws);
		}
	}
	table_draws_add(&draws, g, trials);
	free(draws.first);
}

/* A row for each supplier that ever offered the service. */
static void find_suppliers(const struct history *h, struct share_group *g)
{
	size_t n;
	const struct supplier_entry *e = history_all_suppliers(h, &n);

	g->rows = xcalloc(n, sizeof(*g->rows));
	for (size_t i = 0; i < n; i++)
		for (uint32_t s = 0; s < e[i].services_n; s++)
			if (strcmp(e[i].services[s].s, g->service.s) == 0)
				g->rows[g->n++] = (struct share_row){.supplier = e[i].key,
								     .owner = e[i].owner};
	rows_settle(g);
}

void audit_shares_add_draws(const struct audit_registry *registry, struct shares *ret)
{
	const struct history *h = registry->export.history;
	size_t services_n, grants_n;
	const struct service_entry *services = history_all_services(h, &services_n);

	(void)history_all_grants(h, &grants_n);
	CLEANUP(xfree) struct key_id *applications = xcalloc(grants_n, sizeof(*applications));
	for (size_t i = 0; i < services_n; i++) {
		CLEANUP(trials_destroy) struct trials *trials = NULL;
		size_t n = find_applications(h, &services[i].name, applications);

		if (n == 0 || (i > 0 && strcmp(services[i].name.s, services[i - 1].name.s) == 0))
			continue;
		struct share_group *g = add_group(ret, SHARE_DRAWS);
		g->service = services[i].name;
		find_suppliers(h, g);
		if (g->n == 0)
			continue;
		trials = trials_create(g->n);
		add_service(registry, applications, n, g, trials);
		group_judge(g, trials);
	}
}
