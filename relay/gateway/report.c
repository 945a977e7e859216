/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "relay/base/mem.h"
#include "relay/base/wilson.h"
#include "relay/gateway/internal.h"

void report_init(struct report *report)
{
	pthread_mutex_init(&report->lock, NULL);
	pthread_cond_init(&report->filled, NULL);
}

void report_finish(struct report *report)
{
	free(report->suppliers);
	free(report->refusals);
	pthread_cond_destroy(&report->filled);
	pthread_mutex_destroy(&report->lock);
}

/* --- a worker's part --- */

static void fill_supplier(struct report_supplier *row, const struct serving *serving,
			  struct standing *s, usec_t now)
{
	const struct quality_score *score = standing_score(s, s->reference_us, now);

	*row = (struct report_supplier){
		.service = serving->service,
		.supplier = s->supplier,
		.in_session = s->refs > 0,
		.score = *score,
		.state = s->q.state,
		.cause = s->q.cause,
		.rest_us = s->q.state == QUALITY_COOLING ? MAX(s->q.until_us - now, (usec_t)0) : 0,
		.latency_us = quality_latency(&s->q),
		.lag_blocks = s->q.lag_blocks,
		.counts = s->q.sum,
	};
}

static void fill_suppliers(struct worker *w, usec_t now)
{
	struct report *report = &w->report;
	struct serving *serving, *tmp;
	struct standing *s, *tmp_s;
	size_t n = 0;

	HASH_ITER (hh, w->servings, serving, tmp)
		n += HASH_COUNT(serving->standings);
	free(report->suppliers);
	report->suppliers = xcalloc(n + 1, sizeof(*report->suppliers));
	report->supplier_count = 0;
	HASH_ITER (hh, w->servings, serving, tmp) {
		HASH_ITER (hh, serving->standings, s, tmp_s)
			fill_supplier(&report->suppliers[report->supplier_count++], serving, s,
				      now);
	}
}

/* What a walk over refusals collects. */
struct gathering {
	struct report_refusal *rows;
	size_t n, cap;
	const struct serving *serving;
};

static const char *method_name(const struct serving *serving, uint32_t method)
{
	const struct method_table *table = serving->chain ? chain_table(serving->chain) : NULL;
	const struct method_entry *entry = table ? method_table_find(table, method) : NULL;

	return entry ? entry->name : "?";
}

static void gather(const struct refusals_view *view, void *arg)
{
	struct gathering *g = arg;

	for (size_t i = 0; i < view->count; i++) {
		if (g->n == g->cap) {
			g->cap = g->cap ? 2 * g->cap : 64;
			g->rows = xrealloc(g->rows, g->cap * sizeof(*g->rows));
		}
		g->rows[g->n++] = (struct report_refusal){
			.service = g->serving->service,
			.method = method_name(g->serving, view->method),
			.target = *view->target,
			.cell = view->cells[i],
		};
	}
}

/* Those with the most first; the order of those with as many is fixed too. */
static int most_first(const void *a, const void *b)
{
	const struct report_refusal *x = a, *y = b;

	if (x->cell.refused != y->cell.refused)
		return x->cell.refused > y->cell.refused ? -1 : 1;
	if (x->cell.late != y->cell.late)
		return x->cell.late > y->cell.late ? -1 : 1;
	return memcmp(&x->cell.supplier, &y->cell.supplier, sizeof(x->cell.supplier));
}

static void fill_refusals(struct worker *w)
{
	struct gathering g = {0};
	struct serving *serving, *tmp;

	HASH_ITER (hh, w->servings, serving, tmp) {
		g.serving = serving;
		refusals_walk(serving->refusals, gather, &g);
	}
	if (g.n > 0)
		qsort(g.rows, g.n, sizeof(*g.rows), most_first);
	free(w->report.refusals);
	w->report.refusals = g.rows;
	w->report.refusal_count = MIN(g.n, (size_t)REPORT_REFUSALS_MAX);
}

void report_fill(struct worker *w)
{
	struct report *report = &w->report;
	uint64_t wanted = atomic_load_explicit(&report->wanted, memory_order_relaxed);

	if (wanted == report->number) /* only this thread writes it */
		return;
	record_report(w);
	pthread_mutex_lock(&report->lock);
	fill_suppliers(w, clock_mono_us());
	fill_refusals(w);
	report->number = wanted;
	pthread_cond_broadcast(&report->filled);
	pthread_mutex_unlock(&report->lock);
}

/* --- the page --- */

struct page_supplier {
	struct report_supplier row;
	uint32_t worker;
};

struct page {
	struct page_supplier *suppliers;
	size_t supplier_count;
	struct report_refusal *refusals;
	size_t refusal_count;
	size_t silent; /* workers that did not fill in their part in time */
};

/* False: the worker has not done it in time. */
static bool wait_for(struct report *report)
{
	uint64_t number = atomic_fetch_add(&report->wanted, 1) + 1;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until); /* allowed: pthread_cond_timedwait() wants it */
	until.tv_sec += REPORT_WAIT_US / 1000000;
	while (report->number < number) {
		if (pthread_cond_timedwait(&report->filled, &report->lock, &until) != 0)
			return false;
	}
	return true;
}

static void page_add(struct page *page, struct worker *w)
{
	struct report *report = &w->report;

	pthread_mutex_lock(&report->lock);
	if (wait_for(report)) {
		size_t n = page->supplier_count + report->supplier_count;
		size_t r = page->refusal_count + report->refusal_count;

		page->suppliers = xrealloc(page->suppliers, (n + 1) * sizeof(*page->suppliers));
		page->refusals = xrealloc(page->refusals, (r + 1) * sizeof(*page->refusals));
		for (size_t i = 0; i < report->supplier_count; i++)
			page->suppliers[page->supplier_count++] =
				(struct page_supplier){report->suppliers[i], w->id};
		for (size_t i = 0; i < report->refusal_count; i++)
			page->refusals[page->refusal_count++] = report->refusals[i];
	} else {
		page->silent++;
	}
	pthread_mutex_unlock(&report->lock);
}

static bool same_supplier(const struct report_supplier *a, const struct report_supplier *b)
{
	return strcmp(a->service.s, b->service.s) == 0 && ID_EQ(&a->supplier, &b->supplier);
}

static int supplier_order(const void *a, const void *b)
{
	const struct page_supplier *x = a, *y = b;
	int order = strcmp(x->row.service.s, y->row.service.s);

	if (order == 0)
		order = memcmp(&x->row.supplier, &y->row.supplier, sizeof(x->row.supplier));
	return order ? order : (x->worker > y->worker) - (x->worker < y->worker);
}

/* Rows of several workers about one thing become one. */
static int refusal_order(const void *a, const void *b)
{
	const struct report_refusal *x = a, *y = b;
	int order = strcmp(x->service.s, y->service.s);

	if (order == 0)
		order = strcmp(x->method, y->method);
	if (order == 0)
		order = memcmp(&x->target, &y->target, sizeof(x->target));
	return order ? order
		     : memcmp(&x->cell.supplier, &y->cell.supplier, sizeof(x->cell.supplier));
}

static void merge_refusals(struct page *page)
{
	size_t n = 0;

	if (page->refusal_count == 0)
		return;
	qsort(page->refusals, page->refusal_count, sizeof(*page->refusals), refusal_order);
	for (size_t i = 1; i < page->refusal_count; i++) {
		struct report_refusal *last = &page->refusals[n], *row = &page->refusals[i];

		if (refusal_order(last, row) != 0) {
			page->refusals[++n] = *row;
			continue;
		}
		last->cell.asked += row->cell.asked;
		last->cell.refused += row->cell.refused;
		last->cell.late += row->cell.late;
	}
	page->refusal_count = n + 1;
	qsort(page->refusals, page->refusal_count, sizeof(*page->refusals), most_first);
}

static void put_counts(struct buf *out, const struct quality_counts *c)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}};

	buf_put_str(out, "\"outcomes\":{");
	for (size_t i = 0; i < QUALITY_OUTCOMES; i++)
		buf_putf(out, "%s\"%s\":%" PRIu32, i ? "," : "",
			 quality_outcome_name((enum quality_outcome)i), c->outcomes[i]);
	buf_put_str(out, "}");
	for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
		buf_putf(out, ",\"%s\":%lld", quantiles[i].name,
			 (long long)quality_counts_quantile(c, quantiles[i].q));
}

static void put_worker(struct buf *out, const struct page_supplier *one)
{
	const struct report_supplier *row = &one->row;
	bool rests = row->state == QUALITY_COOLING;

	buf_putf(out, "{\"worker\":%" PRIu32 ",\"health\":%u,\"state\":\"%s\"", one->worker,
		 row->score.health, quality_state_name(row->state));
	if (row->state != QUALITY_READY)
		buf_putf(out, ",\"cause\":\"%s\"", quality_outcome_name(row->cause));
	if (rests)
		buf_putf(out, ",\"rest_ms\":%lld", (long long)row->rest_us / 1000);
	buf_putf(out,
		 ",\"in_session\":%s,\"latency_us\":%lld,\"lag_blocks\":%" PRIu64
		 ",\"penalties\":{",
		 row->in_session ? "true" : "false", (long long)row->latency_us, row->lag_blocks);
	for (size_t i = 0; i < QUALITY_FACTORS; i++)
		buf_putf(out, "%s\"%s\":%.2f", i ? "," : "",
			 quality_factor_name((enum quality_factor)i),
			 row->score.penalties[i] / 256.0);
	buf_put_str(out, "}}");
}

static void put_supplier(struct buf *out, const struct page_supplier *rows, size_t n)
{
	struct quality_counts sum = {0};

	for (size_t i = 0; i < n; i++)
		quality_counts_add(&sum, &rows[i].row.counts);
	buf_put_str(out, "{\"supplier\":\"");
	buf_put_hex(out, rows->row.supplier.b, sizeof(rows->row.supplier.b));
	buf_putf(out, "\",\"service\":\"%s\",", rows->row.service.s);
	put_counts(out, &sum);
	buf_put_str(out, ",\"workers\":[");
	for (size_t i = 0; i < n; i++) {
		buf_put_str(out, i ? "," : "");
		put_worker(out, &rows[i]);
	}
	buf_put_str(out, "]}");
}

static void put_suppliers(struct buf *out, const struct page *page)
{
	size_t n;

	buf_put_str(out, "\"suppliers\":[");
	for (size_t i = 0; i < page->supplier_count; i += n) {
		for (n = 1; i + n < page->supplier_count &&
			    same_supplier(&page->suppliers[i].row, &page->suppliers[i + n].row);)
			n++;
		buf_put_str(out, i ? "," : "");
		put_supplier(out, &page->suppliers[i], n);
	}
	buf_put_str(out, "]");
}

static void put_refusal(struct buf *out, const struct report_refusal *row)
{
	const struct refusals_cell *c = &row->cell;
	struct wilson bounds = wilson_of(c->refused, c->asked, WILSON_Z95);

	buf_put_str(out, "{\"supplier\":\"");
	buf_put_hex(out, c->supplier.b, sizeof(c->supplier.b));
	buf_putf(out, "\",\"service\":\"%s\",\"method\":\"%s\",\"target\":", row->service.s,
		 row->method);
	buf_put_str(out, row->target.n > 0 ? "\"0x" : "null");
	if (row->target.n > 0) {
		buf_put_hex(out, row->target.b, row->target.n);
		buf_put_str(out, "\"");
	}
	buf_putf(out,
		 ",\"asked\":%" PRIu32 ",\"refused\":%" PRIu32 ",\"late\":%" PRIu32
		 ",\"rate\":%.4f,\"low\":%.4f,\"high\":%.4f}",
		 c->asked, c->refused, c->late, (double)c->refused / c->asked, bounds.low,
		 bounds.high);
}

void gateway_suppliers(const struct gateway *g, struct buf *out)
{
	struct page page = {0};

	for (size_t i = 0; i < g->worker_count; i++)
		page_add(&page, g->workers[i]);
	if (page.supplier_count > 0)
		qsort(page.suppliers, page.supplier_count, sizeof(*page.suppliers), supplier_order);
	merge_refusals(&page);
	buf_putf(out, "{\"window_ms\":%lld,\"workers\":%zu,\"workers_silent\":%zu,",
		 (long long)g->cfg->gateway.quality_window / 1000, g->worker_count, page.silent);
	put_suppliers(out, &page);
	buf_put_str(out, ",\"refusals\":[");
	for (size_t i = 0; i < page.refusal_count; i++) {
		buf_put_str(out, i ? "," : "");
		put_refusal(out, &page.refusals[i]);
	}
	buf_put_str(out, "]}\n");
	free(page.suppliers);
	free(page.refusals);
}
