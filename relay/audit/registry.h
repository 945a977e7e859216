/* SPDX-License-Identifier: Apache-2.0
 * A registry file, opened by an auditor: verified, with every grant's signature and every table
 * that it commits to ([Y1], [Y2]).
 *
 * The file should be signed by a key that the auditor knows from elsewhere: without one the result
 * rests on its own word, and a note says so. */
#ifndef RELAY_AUDIT_REGISTRY_H
#define RELAY_AUDIT_REGISTRY_H

#include "relay/audit/report.h"
#include "session/registry/export.h"
#include "session/registry/registry.h"

struct audit_registry {
	struct key_id key;
	struct registry_export export;
	struct registry_view *view; /* NULL: not open */
};

/* Reads and checks a registry file.  What is wrong with it is a finding (registry, network), and
 * false; a key that nobody pinned is a note (registry_key).
 *
 * In:     bytes    the file; not kept
 *         pinned   the registry key; NULL: the one that the file names
 *         network  that it must be of; NULL: any
 * Out:    ret      finish with audit_registry_finish(), also after false
 */
MUST_USE bool audit_registry_open(struct view bytes, const struct key_id *pinned,
				  const struct network_id *network, struct audit_report *report,
				  struct audit_registry *ret);
void audit_registry_finish(struct audit_registry *r);
static inline void audit_registry_finish_at(struct audit_registry *r)
{
	audit_registry_finish(r);
}

#endif
