/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/report.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "relay/base/mem.h"

static const char *const weight_names[] = {"provable", "local", "open", "note"};
static const char *const status_names[] = {"clean", "findings", "inconclusive", "usage", "io"};

void audit_report_finish(struct audit_report *report)
{
	free(report->finding);
	memset(report, 0, sizeof(*report));
}

/* How many findings of this kind in this lane are kept already. */
static size_t kept(const struct audit_report *report, const char *kind, const struct lane_id *lane)
{
	size_t count = 0;

	for (size_t i = report->n; i-- > 0;) {
		const struct audit_finding *f = &report->finding[i];

		if (f->has_lane != (lane != NULL) || (lane != NULL && !ID_EQ(&f->lane, lane)))
			break; /* lanes are looked at one after the other */
		count += strcmp(f->kind, kind) == 0;
	}
	return count;
}

void audit_find(struct audit_report *report, enum audit_weight weight, const char *kind,
		const struct lane_id *lane, uint64_t seq, const char *fmt, ...)
{
	va_list ap;

	report->weights[weight]++;
	if (report->n == AUDIT_FINDINGS_MAX || kept(report, kind, lane) == AUDIT_KIND_MAX)
		return;
	if (report->n == report->cap) {
		report->cap = report->cap ? 2 * report->cap : 16;
		report->finding = xrealloc(report->finding, report->cap * sizeof(*report->finding));
	}
	struct audit_finding *f = &report->finding[report->n++];
	f->weight = weight;
	f->kind = kind;
	f->has_lane = lane != NULL;
	if (lane != NULL)
		f->lane = *lane;
	f->seq = seq;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

void audit_count(struct audit_report *report, const char *name, uint64_t more)
{
	for (size_t i = 0; i < report->counters; i++) {
		if (strcmp(report->counter[i].name, name) == 0) {
			report->counter[i].value += more;
			return;
		}
	}
	assert(report->counters < AUDIT_COUNTERS_MAX);
	report->counter[report->counters++] = (struct audit_counter){name, more};
}

enum audit_status audit_report_status(const struct audit_report *report)
{
	if (report->weights[AUDIT_PROVABLE] + report->weights[AUDIT_LOCAL] > 0)
		return AUDIT_FINDINGS;
	return report->weights[AUDIT_OPEN] > 0 ? AUDIT_INCONCLUSIVE : AUDIT_CLEAN;
}

enum audit_status audit_report_verdict(const struct audit_report *report)
{
	if (report->weights[AUDIT_PROVABLE] > 0)
		return AUDIT_FINDINGS;
	if (report->weights[AUDIT_LOCAL] + report->weights[AUDIT_OPEN] > 0)
		return AUDIT_INCONCLUSIVE;
	return AUDIT_CLEAN;
}

static uint64_t not_kept(const struct audit_report *report)
{
	return report->weights[0] + report->weights[1] + report->weights[2] + report->weights[3] -
	       report->n;
}

void audit_report_put_text(const struct audit_report *report, const char *verb,
			   enum audit_status status, struct buf *out)
{
	char lane[33];

	for (size_t i = 0; i < report->counters; i++)
		buf_putf(out, "%-24s %" PRIu64 "\n", report->counter[i].name,
			 report->counter[i].value);
	for (size_t i = 0; i < report->n; i++) {
		const struct audit_finding *f = &report->finding[i];

		buf_putf(out, "%s: %s: ", weight_names[f->weight], f->kind);
		if (f->has_lane)
			buf_putf(out, "lane %s", hex_encode(f->lane.b, sizeof(f->lane.b), lane));
		if (f->seq != AUDIT_NO_SEQ)
			buf_putf(out, "%sleaf %" PRIu64, f->has_lane ? " " : "", f->seq);
		buf_putf(out, "%s%s\n", f->has_lane || f->seq != AUDIT_NO_SEQ ? ": " : "", f->text);
	}
	if (not_kept(report) > 0)
		buf_putf(out, "and %" PRIu64 " more of the same kinds\n", not_kept(report));
	buf_putf(out, "%s: %s (%" PRIu64 " provable, %" PRIu64 " local, %" PRIu64 " open)\n", verb,
		 status_names[status], report->weights[AUDIT_PROVABLE],
		 report->weights[AUDIT_LOCAL], report->weights[AUDIT_OPEN]);
}

/* Texts come from messages of ours around bytes of strangers. */
static void put_string(struct buf *out, const char *text)
{
	struct view view = VIEW_STR(text);

	if (!utf8_is_valid(view))
		view = VIEW_STR("(not UTF-8)");
	buf_put_str(out, "\"");
	for (size_t i = 0; i < view.n; i++) {
		if (view.p[i] < ' ' || view.p[i] == '"' || view.p[i] == '\\')
			buf_putf(out, "\\u%04x", view.p[i]);
		else
			buf_put_u8(out, view.p[i]);
	}
	buf_put_str(out, "\"");
}

void audit_report_put_json(const struct audit_report *report, const char *verb,
			   enum audit_status status, struct buf *out)
{
	char lane[33];

	buf_putf(out,
		 "{\"verb\":\"%s\",\"status\":\"%s\",\"provable\":%" PRIu64 ",\"local\":%" PRIu64
		 ",\"open\":%" PRIu64 ",\"counters\":{",
		 verb, status_names[status], report->weights[AUDIT_PROVABLE],
		 report->weights[AUDIT_LOCAL], report->weights[AUDIT_OPEN]);
	for (size_t i = 0; i < report->counters; i++)
		buf_putf(out, "%s\"%s\":%" PRIu64, i ? "," : "", report->counter[i].name,
			 report->counter[i].value);
	buf_put_str(out, "},\"findings\":[");
	for (size_t i = 0; i < report->n; i++) {
		const struct audit_finding *f = &report->finding[i];

		buf_putf(out, "%s{\"weight\":\"%s\",\"kind\":\"%s\"", i ? "," : "",
			 weight_names[f->weight], f->kind);
		if (f->has_lane)
			buf_putf(out, ",\"lane\":\"%s\"",
				 hex_encode(f->lane.b, sizeof(f->lane.b), lane));
		if (f->seq != AUDIT_NO_SEQ)
			buf_putf(out, ",\"seq\":%" PRIu64, f->seq);
		buf_put_str(out, ",\"text\":");
		put_string(out, f->text);
		buf_put_str(out, "}");
	}
	buf_putf(out, "],\"more\":%" PRIu64 "}\n", not_kept(report));
}
