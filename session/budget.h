/* SPDX-License-Identifier: Apache-2.0
 * What a session may pay one supplier under one grant ([P1], [P4]).  The same pure functions decide
 * in the node and in the gateway. */
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

#endif
