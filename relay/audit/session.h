/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit session`: was each supplier drawn for the sessions that its leaves name, and
 * did an active grant pay for the gateway?  Recomputed from a registry file ([S1] to [S6], [P1],
 * [P3], [Y1], [Y2]).
 *
 * The registry file should be signed by a key that the auditor knows from elsewhere: without one
 * the result rests on the exporter's word for it, and a note says so. */
#ifndef RELAY_AUDIT_SESSION_H
#define RELAY_AUDIT_SESSION_H

#include "relay/audit/folder.h"

/* Checks all sessions of all lanes of a folder.
 *
 * In:     registry  the bytes of the registry file: the auditor's own, or folder->registry
 *         pinned    the registry key; NULL: the one that the file names, and a note
 * Findings: registry, network, session_id, no_session, not_member, grant, methods, allowance; open:
 * no_registry, seed, session_unknown; note: registry_key. */
void audit_sessions(const struct audit_folder *folder, struct view registry,
		    const struct key_id *pinned, struct audit_report *report);

#endif
