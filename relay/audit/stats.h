/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit stats`: who answered how, by service, method and supplier, with the rate of
 * refusals and its bounds.  It counts what the leaves say and convicts nobody.
 *
 * Not in the leaves, so not here: relays that were never answered at all, which address a call was
 * about, and why a node refused. */
#ifndef RELAY_AUDIT_STATS_H
#define RELAY_AUDIT_STATS_H

#include "relay/audit/folder.h"

/* One supplier at one method. */
struct audit_stat {
	struct service_name service; /* "?": the export does not say what the session is */
	uint32_t method;
	const char *name; /* of the method, the folder's; "?": no table has it */
	struct key_id supplier;
	uint64_t answers;  /* kind 1, and long ones by their first part */
	uint64_t reverted; /* kind 2 with a charge: the call was run and failed */
	uint64_t errors;   /* kind 2 without: not run */
	uint64_t refused;  /* kind 3 that says that it cannot, or will not */
	uint64_t excused;  /* kind 3 for room, money or the end of a session */
};

struct audit_stats {
	size_t n;
	struct audit_stat *rows; /* sorted by service, method, supplier */
};

/* Counts all leaves of a folder that decode.  The folder outlives *ret; finish it with
 * audit_stats_finish(). */
void audit_stats(const struct audit_folder *folder, struct audit_stats *ret);
void audit_stats_finish(struct audit_stats *stats);
static inline void audit_stats_finish_at(struct audit_stats *stats)
{
	audit_stats_finish(stats);
}

/* Of a row: relays that a rate is taken of, and those of them that were not answered. */
uint64_t audit_stat_judged(const struct audit_stat *row);
uint64_t audit_stat_unanswered(const struct audit_stat *row);

/* Appends a table for people.  A row is marked with `!` when its rate is higher than that of the
 * other suppliers at the method, and their 95 % intervals do not meet. */
void audit_stats_put_text(const struct audit_stats *stats, struct buf *out);
/* Appends `[{...},...]`. */
void audit_stats_put_json(const struct audit_stats *stats, struct buf *out);

#endif
