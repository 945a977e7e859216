/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit check`: bundles, offline.  Convicts only by signed bytes: whatever else is
 * wrong is one party's word, since anybody can forge a bundle around an honest node's signature. */
#ifndef RELAY_AUDIT_CHECK_H
#define RELAY_AUDIT_CHECK_H

#include "chains/table.h"
#include "relay/audit/report.h"
#include "relay/receipt/bundle.h"

#define AUDIT_CHECK_MAX 64 /* bundles compared with each other in one call */

/* What the auditor knows from elsewhere; NULL: not given. */
struct audit_known {
	const struct network_id *network;
	const struct key_id *gateway;
	const struct key_id *supplier;
	const struct method_table *methods; /* of the service that the receipts are of */
};

/* Checks each bundle by itself, then each two of one lane against each other: two roots of one
 * size, two leaves with one number, or intervals of a session that overlap convict the supplier;
 * and so does a gap when all leaves ahead of it are among the bundles.  n <= AUDIT_CHECK_MAX. */
void audit_check(const struct bundle *bundles, size_t n, const struct audit_known *known,
		 struct audit_report *report);

#endif
