/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit verify`: everything about a folder that needs no registry: signatures, roots,
 * tiles, seq, intervals, compute units, order of streams, evidence ([R5] to [R8], [N4], [T4]).
 *
 * Whether the parties were entitled to serve each other is session.h. */
#ifndef RELAY_AUDIT_VERIFY_H
#define RELAY_AUDIT_VERIFY_H

#include "relay/audit/folder.h"

/* The heads of a lane and what the leaves say to them. */
struct audit_heads {
	bool signed_;  /* `newest` opens, and is the root of the leaves */
	bool cosigned; /* `cosigned_head` opens, and is the root of its leaves */
	struct checkpoint newest;
	struct checkpoint cosigned_head; /* that of `final`, or of `checkpoint` when it is newer */
	bool cosigned_by_supplier;	 /* it has the supplier's signature too */
};

/* Opens both notes of a lane, rebuilds their roots and checks the tiles.  Findings: checkpoint,
 * signature, size, root, heads, tile. */
void audit_check_heads(const struct audit_folder *folder, const struct audit_lane *lane,
		       struct audit_report *report, struct audit_heads *ret);

/* Checks all lanes of a folder; counters and findings go into the report. */
void audit_verify(const struct audit_folder *folder, struct audit_report *report);

#endif
