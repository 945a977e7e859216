/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit prove`: the bundle [G3] of one leaf, made from an exported folder. */
#ifndef RELAY_AUDIT_PROVE_H
#define RELAY_AUDIT_PROVE_H

#include "relay/audit/folder.h"
#include "relay/receipt/bundle.h"

/* Makes the bundle of a leaf under the newest cosigned head with the supplier's signature that
 * covers it, else under the newest head.  With salt and encodings where the folder has them.
 *
 * Out:    ret     empty before; finish it with bundle_finish()
 * Errors: ERR_NOT_FOUND when there is no such lane or leaf, ERR_CHECKPOINT or ERR_SIGNATURE when no
 *         head covers it. */
MUST_USE bool audit_prove(const struct audit_folder *folder, const struct lane_id *lane,
			  uint64_t seq, struct bundle *ret, struct err *err);

#endif
