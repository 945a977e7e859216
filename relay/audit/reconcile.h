/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit reconcile`: the two halves of the receipts between one gateway and one
 * supplier
 * ([L10]).  Each difference is named: same, undelivered, adopted, absent; anything else is a
 * finding.
 *
 * It compares; whether either half is right in itself is verify's business. */
#ifndef RELAY_AUDIT_RECONCILE_H
#define RELAY_AUDIT_RECONCILE_H

#include "relay/audit/folder.h"

/* Compares a gateway's folder with a supplier's, in any order.
 * Findings: network, parties, lane_parties, leaf_differs, final_differs, undelivered_paid, and
 * heads_differ.  Lanes with third parties are counted (other_lanes) and not compared. */
void audit_reconcile(const struct audit_folder *a, const struct audit_folder *b,
		     struct audit_report *report);

#endif
