/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit stats`: how often the same bytes were asked, by service and method.
 *
 * Only of relays whose request is in the folder (an export with `--private`).  Polling is
 * repetition too, so it convicts nobody; calls that a cache would have answered, asked again and
 * again at one block, are what invented traffic looks like (docs/auditing.md, "Repetition"). */
#ifndef RELAY_AUDIT_REPEATS_H
#define RELAY_AUDIT_REPEATS_H

#include "relay/audit/folder.h"

struct repeat_row {
	struct service_name service; /* "?": the export does not say what the session is */
	uint32_t method;
	const char *name;    /* of the method, the folder's; "?": no table has it */
	uint64_t relays;     /* whose request is kept */
	uint64_t distinct;   /* requests among them */
	uint64_t most;	     /* relays of the request that was asked most often */
	uint64_t same_block; /* relays of a request that was answered at this very block before */
};

struct repeats {
	size_t n;
	struct repeat_row *rows; /* sorted by service and method */
};

/* Counts over all lanes of a folder, which outlives *ret; finish it with audit_repeats_finish(). */
void audit_repeats(const struct audit_folder *folder, struct repeats *ret);
void audit_repeats_finish(struct repeats *repeats);
static inline void audit_repeats_finish_at(struct repeats *repeats)
{
	audit_repeats_finish(repeats);
}

/* Appends a table for people; nothing when no request is kept. */
void audit_repeats_put_text(const struct repeats *repeats, struct buf *out);
/* Appends `[{...},...]`. */
void audit_repeats_put_json(const struct repeats *repeats, struct buf *out);

#endif
