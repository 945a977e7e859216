/* SPDX-License-Identifier: Apache-2.0
 * What an audit found: findings with their weight, counters, and how both are printed.
 *
 * A report is filled in a fixed order and printed as it was filled, so the same inputs give the
 * same bytes.  It decides nothing: a check says what it found, the verb what that means. */
#ifndef RELAY_AUDIT_REPORT_H
#define RELAY_AUDIT_REPORT_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define AUDIT_NO_SEQ UINT64_MAX
#define AUDIT_KIND_MAX                                                                             \
	16 /* findings of one kind in one lane that are kept; the rest are counted                 \
	    */
#define AUDIT_FINDINGS_MAX 4096 /* kept in all */

/* What a finding is worth (docs/auditing.md, provable and local faults). */
enum audit_weight {
	AUDIT_PROVABLE, /* signed bytes alone convict the party that is named */
	AUDIT_LOCAL,	/* wrong, but by one party's word only */
	AUDIT_OPEN,	/* could not be checked: nothing is said either way */
	AUDIT_NOTE,	/* what the result rests on; no fault, and no change of the status */
};

/* Exit status of every verb. */
enum audit_status {
	AUDIT_CLEAN = 0,
	AUDIT_FINDINGS = 1,
	AUDIT_INCONCLUSIVE = 2,
	AUDIT_USAGE = 3,
	AUDIT_IO = 4,
};

struct audit_finding {
	enum audit_weight weight;
	const char *kind; /* a literal: one word */
	bool has_lane;
	struct lane_id lane;
	uint64_t seq; /* AUDIT_NO_SEQ: of no single leaf */
	char text[ERR_MSG_MAX];
};

struct audit_counter {
	const char *name; /* a literal */
	uint64_t value;
};

#define AUDIT_COUNTERS_MAX 24

/* Zero-initialised is empty. */
struct audit_report {
	size_t n, cap;
	struct audit_finding *finding;
	uint64_t weights[4]; /* findings of each weight, those not kept included */
	size_t counters;
	struct audit_counter counter[AUDIT_COUNTERS_MAX];
};

/* Frees what a report holds; it is empty and usable again. */
void audit_report_finish(struct audit_report *report);
static inline void audit_report_finish_at(struct audit_report *report)
{
	audit_report_finish(report);
}

/* Adds a finding.  kind: a literal word; lane may be NULL; seq may be AUDIT_NO_SEQ. */
void audit_find(struct audit_report *report, enum audit_weight weight, const char *kind,
		const struct lane_id *lane, uint64_t seq, const char *fmt, ...) PRINTF(6, 7);

/* Adds to a counter, which is made at its first use, also by adding 0. */
void audit_count(struct audit_report *report, const char *name, uint64_t more);

/* Any finding that is provable or local: AUDIT_FINDINGS; else any open one: AUDIT_INCONCLUSIVE. */
enum audit_status audit_report_status(const struct audit_report *report);

/* The same for one receipt by itself: only what is provable convicts; one party's word is
 * inconclusive. */
enum audit_status audit_report_verdict(const struct audit_report *report);

/* Appends the report for people: counters, findings, a last line with the status. */
void audit_report_put_text(const struct audit_report *report, const char *verb,
			   enum audit_status status, struct buf *out);

/* Appends it as one line of JSON with a newline. */
void audit_report_put_json(const struct audit_report *report, const char *verb,
			   enum audit_status status, struct buf *out);

#endif
