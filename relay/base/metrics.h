/* SPDX-License-Identifier: Apache-2.0
 * Counters, gauges and histograms of metrics.def.  Adding is one relaxed atomic: any thread, any
 * time, no allocation.  The text is that of Prometheus (version 0.0.4).  No time series database.
 */
#ifndef RELAY_BASE_METRICS_H
#define RELAY_BASE_METRICS_H

#include "relay/base/bytes.h"
#include "relay/base/hist.h"

enum metric {
#define M(id, type, unit, label_a, label_b, help) METRIC_##id,
#include "relay/base/metrics.def"
#undef M
	METRIC_COUNT
};

enum metric_label {
	METRIC_LABEL_NONE,
#define M(id, type, unit, label_a, label_b, help)
#define LABEL(id, name, values) METRIC_LABEL_##id,
#include "relay/base/metrics.def"
#undef M
	METRIC_LABEL_COUNT
};

#define METRICS_VALUES_MAX 64 /* of a dynamic label, "other" apart */

/* The index of a value of a dynamic label; made when it is new.  Keep it: this takes a lock.  The
 * 65th value and all after it give 0, which is "other".  The value is copied, cut to 39 bytes. */
unsigned metrics_label(enum metric_label id, const char *value);

/* Adds to a counter.  The index of each label of the metric: for RESULT an enum err_code, for KIND
 * a leaf's kind, for a dynamic label what metrics_label() gave; 0 where the metric has no label. */
void metric_add_at(enum metric metric, unsigned a, unsigned b, uint64_t n);
/* Sets a gauge, or moves it. */
void metric_set_at(enum metric metric, unsigned a, unsigned b, int64_t value);
void metric_move_at(enum metric metric, unsigned a, unsigned b, int64_t by);
/* Counts a value of a histogram; times in microseconds. */
void metric_observe_at(enum metric metric, unsigned a, unsigned b, uint64_t value);

#define metric_add(metric, n) metric_add_at((metric), 0, 0, (n))
#define metric_set(metric, value) metric_set_at((metric), 0, 0, (value))
#define metric_move(metric, by) metric_move_at((metric), 0, 0, (by))
#define metric_observe(metric, value) metric_observe_at((metric), 0, 0, (value))

/* The present value of a counter or a gauge, and the histogram itself: for tests and status. */
int64_t metric_value_at(enum metric metric, unsigned a, unsigned b);
const struct hist *metric_hist_at(enum metric metric, unsigned a, unsigned b);

/* Appends all metrics in Prometheus' text format.  Labelled cells that were never touched are left
 * out; all others are there from the start, so that a rate over them is right from the first. */
void metrics_write(struct buf *out);

#endif
