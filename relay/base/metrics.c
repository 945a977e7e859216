/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/metrics.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "relay/base/err.h"
#include "relay/base/mem.h"

enum metric_type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };
enum metric_unit { UNIT_NONE, UNIT_US, UNIT_BYTES };

#define VALUE_TEXT_MAX 40

struct row {
	const char *id;
	enum metric_type type;
	enum metric_unit unit;
	enum metric_label a, b;
	const char *help;
};

static const struct row rows[METRIC_COUNT] = {
#define M(id, type, unit, label_a, label_b, help)                                                  \
	[METRIC_##id] = {                                                                          \
		#id, TYPE_##type, UNIT_##unit, METRIC_LABEL_##label_a, METRIC_LABEL_##label_b,     \
		help},
#include "relay/base/metrics.def"
#undef M
};

#define DYNAMIC NULL
#define ERRORS ""

static const struct {
	const char *name;
	const char *values; /* DYNAMIC, ERRORS or words */
} label_rows[METRIC_LABEL_COUNT] = {
	[METRIC_LABEL_NONE] = {"", "-"},
#define M(id, type, unit, label_a, label_b, help)
#define LABEL(id, name, values) [METRIC_LABEL_##id] = {name, values},
#include "relay/base/metrics.def"
#undef M
};

/* The values of a label; those of a dynamic one grow under `lock`, and never change once there. */
struct label {
	char (*values)[VALUE_TEXT_MAX];
	unsigned cap;
	_Atomic unsigned n;
};

struct cell {
	_Atomic int64_t value;
	_Atomic bool touched;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct label labels[METRIC_LABEL_COUNT];
static struct cell *cells[METRIC_COUNT];	    /* counters, gauges */
static _Atomic(struct hist *) *hists[METRIC_COUNT]; /* histograms; each made at its first value */

static void label_add(struct label *label, const char *value, size_t n)
{
	unsigned i = atomic_load(&label->n);

	assert(i < label->cap);
	snprintf(label->values[i], VALUE_TEXT_MAX, "%.*s", (int)n, value);
	atomic_store(&label->n, i + 1);
}

static void label_init(struct label *label, const char *values)
{
	label->cap = values == DYNAMIC ? METRICS_VALUES_MAX + 1 : 16;
	label->values = xcalloc(label->cap, sizeof(*label->values));
	if (values == DYNAMIC) {
		label_add(label, "other", 5);
	} else if (values[0] == 0) {
		atomic_store(&label->n, ERR_COUNT); /* err.def has the names */
	} else {
		for (size_t n; *values != 0; values += n + (values[n] == ' ')) {
			n = strcspn(values, " ");
			label_add(label, values, n);
		}
	}
	if (values != DYNAMIC)
		label->cap = atomic_load(&label->n);
}

/* Runs before main(). */
__attribute__((constructor)) static void metrics_init(void)
{
	for (size_t i = 0; i < METRIC_LABEL_COUNT; i++)
		label_init(&labels[i], label_rows[i].values);
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		size_t n = (size_t)labels[rows[i].a].cap * labels[rows[i].b].cap;

		if (rows[i].type == TYPE_HISTOGRAM)
			hists[i] = xcalloc(n, sizeof(*hists[i]));
		else
			cells[i] = xcalloc(n, sizeof(*cells[i]));
	}
}

unsigned metrics_label(enum metric_label id, const char *value)
{
	struct label *label = &labels[id];
	char text[VALUE_TEXT_MAX];
	unsigned found = 0;

	assert(id < METRIC_LABEL_COUNT && label_rows[id].values == DYNAMIC);
	snprintf(text, sizeof(text), "%s", value);
	pthread_mutex_lock(&lock);
	for (unsigned i = 1; i < atomic_load(&label->n) && found == 0; i++)
		if (strcmp(label->values[i], text) == 0)
			found = i;
	if (found == 0 && atomic_load(&label->n) < label->cap) {
		found = atomic_load(&label->n);
		label_add(label, text, strlen(text));
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static size_t index_of(enum metric metric, unsigned a, unsigned b)
{
	const struct row *row;

	assert(metric < METRIC_COUNT);
	row = &rows[metric];
	assert(a < labels[row->a].cap && b < labels[row->b].cap);
	return (size_t)a * labels[row->b].cap + b;
}

static struct cell *cell_at(enum metric metric, unsigned a, unsigned b)
{
	size_t i = index_of(metric, a, b);

	assert(cells[metric] != NULL);
	return &cells[metric][i];
}

static void touch(struct cell *cell)
{
	if (!atomic_load_explicit(&cell->touched, memory_order_relaxed))
		atomic_store_explicit(&cell->touched, true, memory_order_relaxed);
}

void metric_add_at(enum metric metric, unsigned a, unsigned b, uint64_t n)
{
	struct cell *cell = cell_at(metric, a, b);

	assert(rows[metric].type == TYPE_COUNTER);
	atomic_fetch_add_explicit(&cell->value, (int64_t)n, memory_order_relaxed);
	touch(cell);
}

void metric_set_at(enum metric metric, unsigned a, unsigned b, int64_t value)
{
	struct cell *cell = cell_at(metric, a, b);

	assert(rows[metric].type == TYPE_GAUGE);
	atomic_store_explicit(&cell->value, value, memory_order_relaxed);
	touch(cell);
}

void metric_move_at(enum metric metric, unsigned a, unsigned b, int64_t by)
{
	struct cell *cell = cell_at(metric, a, b);

	assert(rows[metric].type == TYPE_GAUGE);
	atomic_fetch_add_explicit(&cell->value, by, memory_order_relaxed);
	touch(cell);
}

static struct hist *hist_make(_Atomic(struct hist *) *place)
{
	struct hist *fresh = xcalloc(1, sizeof(*fresh)), *old = NULL;

	if (atomic_compare_exchange_strong(place, &old, fresh))
		return fresh;
	free(fresh);
	return old;
}

void metric_observe_at(enum metric metric, unsigned a, unsigned b, uint64_t value)
{
	size_t i = index_of(metric, a, b);
	struct hist *hist;

	assert(hists[metric] != NULL);
	hist = atomic_load_explicit(&hists[metric][i], memory_order_acquire);
	hist_add(hist ? hist : hist_make(&hists[metric][i]), value);
}

int64_t metric_value_at(enum metric metric, unsigned a, unsigned b)
{
	return atomic_load_explicit(&cell_at(metric, a, b)->value, memory_order_relaxed);
}

const struct hist *metric_hist_at(enum metric metric, unsigned a, unsigned b)
{
	static const struct hist empty;
	const struct hist *hist;

	assert(metric < METRIC_COUNT && hists[metric] != NULL);
	hist = atomic_load_explicit(&hists[metric][index_of(metric, a, b)], memory_order_acquire);
	return hist ? hist : &empty;
}

/* --- the text --- */

static void put_escaped(struct buf *out, const char *s, bool quotes)
{
	for (; *s != 0; s++) {
		if (*s == '\n') {
			buf_put(out, "\\n", 2);
			continue;
		}
		if (*s == '\\' || (quotes && *s == '"'))
			buf_put_u8(out, '\\');
		buf_put_u8(out, (uint8_t)*s);
	}
}

static void put_name(struct buf *out, const struct row *row)
{
	static const char *const units[] = {
		[UNIT_NONE] = "", [UNIT_US] = "_seconds", [UNIT_BYTES] = "_bytes"};

	buf_put_str(out, "counterfoil_");
	for (const char *p = row->id; *p != 0; p++)
		buf_put_u8(out, (uint8_t)tolower((unsigned char)*p));
	buf_put_str(out, units[row->unit]);
	if (row->type == TYPE_COUNTER)
		buf_put_str(out, "_total");
}

static void put_number(struct buf *out, const struct row *row, int64_t v)
{
	uint64_t size = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	if (v < 0)
		buf_put_u8(out, '-');
	if (row->unit == UNIT_US)
		buf_putf(out, "%" PRIu64 ".%06" PRIu64, size / 1000000, size % 1000000);
	else
		buf_putf(out, "%" PRIu64, size);
}

static const char *value_text(enum metric_label id, unsigned i)
{
	const char *values = label_rows[id].values;

	if (values != DYNAMIC && values[0] == 0)
		return i == 0 ? "ok" : err_info((enum err_code)i)->name;
	return labels[id].values[i];
}

static void put_label(struct buf *out, enum metric_label id, unsigned i, char *open)
{
	if (id == METRIC_LABEL_NONE)
		return;
	buf_putf(out, "%c%s=\"", *open, label_rows[id].name);
	put_escaped(out, value_text(id, i), true);
	buf_put_u8(out, '"');
	*open = ',';
}

/* {service="eth",result="ok"  and whether a brace is open, in *ret_open */
static void put_labels(struct buf *out, const struct row *row, unsigned a, unsigned b,
		       char *ret_open)
{
	*ret_open = '{';
	put_label(out, row->a, a, ret_open);
	put_label(out, row->b, b, ret_open);
}

static void put_sample(struct buf *out, const struct row *row, unsigned a, unsigned b,
		       const char *suffix, int64_t value)
{
	char open;

	put_name(out, row);
	buf_put_str(out, suffix);
	put_labels(out, row, a, b, &open);
	buf_put_str(out, open == ',' ? "} " : " ");
	put_number(out, row, value);
	buf_put_u8(out, '\n');
}

/* The octaves shown of each unit: 16 us..67 s, 64 B..256 MiB, 1..65536. */
static const struct {
	unsigned from, to;
} octaves[] = {[UNIT_NONE] = {0, 16}, [UNIT_US] = {4, 26}, [UNIT_BYTES] = {6, 28}};

static void put_hist(struct buf *out, const struct row *row, unsigned a, unsigned b,
		     const struct hist *hist)
{
	uint64_t n = hist_count(hist); /* first: so no bucket is larger than +Inf later */
	char open;

	for (unsigned k = octaves[row->unit].from; k <= octaves[row->unit].to + 1; k++) {
		bool last = k == octaves[row->unit].to + 1;

		put_name(out, row);
		buf_put_str(out, "_bucket");
		put_labels(out, row, a, b, &open);
		buf_putf(out, "%cle=\"", open);
		if (last)
			buf_put_str(out, "+Inf");
		else
			put_number(out, row, (int64_t)1 << k);
		buf_putf(out, "\"} %" PRIu64 "\n", last ? n : MIN(n, hist_count_upto(hist, k)));
	}
	put_sample(out, row, a, b, "_sum", (int64_t)hist_sum(hist));
	put_name(out, row);
	buf_put_str(out, "_count");
	put_labels(out, row, a, b, &open);
	buf_putf(out, "%s%" PRIu64 "\n", open == ',' ? "} " : " ", n);
}

static void put_cell(struct buf *out, enum metric metric, unsigned a, unsigned b)
{
	const struct row *row = &rows[metric];
	bool plain = row->a == METRIC_LABEL_NONE && row->b == METRIC_LABEL_NONE;

	if (row->type == TYPE_HISTOGRAM) {
		const struct hist *hist = metric_hist_at(metric, a, b);

		if (plain || hist_count(hist) > 0)
			put_hist(out, row, a, b, hist);
	} else if (plain || atomic_load(&cell_at(metric, a, b)->touched)) {
		put_sample(out, row, a, b, "", metric_value_at(metric, a, b));
	}
}

void metrics_write(struct buf *out)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};

	for (int m = 0; m < METRIC_COUNT; m++) {
		const struct row *row = &rows[m];

		buf_put_str(out, "# HELP ");
		put_name(out, row);
		buf_put_u8(out, ' ');
		put_escaped(out, row->help, false);
		buf_put_str(out, "\n# TYPE ");
		put_name(out, row);
		buf_putf(out, " %s\n", types[row->type]);
		for (unsigned a = 0; a < atomic_load(&labels[row->a].n); a++)
			for (unsigned b = 0; b < atomic_load(&labels[row->b].n); b++)
				put_cell(out, (enum metric)m, a, b);
	}
}
