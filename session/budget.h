/* SPDX-License-Identifier: Apache-2.0
 * What a session may pay one supplier under one grant ([P1], [P4]), and what may stay unpaid
 * ([P5]).  The same pure functions decide in the node, in the gateway, in the ledger that counts
 * for both, and in the auditor; whether a grant is active ([P3]) is history_allowance(). */
#ifndef SESSION_BUDGET_H
#define SESSION_BUDGET_H

#include "session/params.h"

/* allowance = floor(budget / session_suppliers), tokens ([P1]). */
u128 budget_allowance(u128 budget, const struct session_params *p);

/* The CU that an allowance buys at a price: floor(allowance / price), saturated at 2^64 - 1; price
 * 0 buys 2^64 - 1.  Constant for a session, so that the check of a relay is one comparison. */
cu_t budget_cu(u128 allowance, uint64_t price);

/* True iff a relay of `cu` may follow `served` CU: (served + cu) x price <= allowance ([P4]).
 *
 * served: CU of this session over all lanes of the gateway with this supplier, relays in flight
 * included.  Exact for all values; nothing overflows.
 */
bool budget_may_serve(u128 allowance, uint64_t price, cu_t served, cu_t cu);

#define BUDGET_COSIGNATURES 4 /* of a gateway that has the whole bound ([P5]) */

/* Of what a gateway denied to have got, one CU is forgiven for so many that it cosigns ([P5]): a
 * link that was cut costs an honest one nothing for long, and a dishonest one wins a sixteenth at
 * most. */
#define BUDGET_DENIED_SHARE 16

/* The CU that a gateway may leave without a cosigned head ([P5]): max_unpaid_cu once it has
 * cosigned four times, before that a sixteenth, an eighth, ... of it, but the dearest method always
 * fits.
 *
 * largest_cu: of the service's method table
 */
cu_t budget_unpaid_max(cu_t max_unpaid_cu, cu_t largest_cu, uint32_t cosignatures);

/* True iff cu may come on top of what is counted already: the one comparison behind both bounds,
 * the allowance as budget_cu() and the unpaid bound.  Nothing overflows. */
bool budget_fits(cu_t counted, cu_t cu, cu_t max);

#endif
