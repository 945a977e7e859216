/* SPDX-License-Identifier: Apache-2.0 */
#include "session/budget.h"

#include <assert.h>

u128 budget_allowance(u128 budget, const struct session_params *p)
{
	assert(p->session_suppliers > 0);
	return budget / p->session_suppliers;
}

cu_t budget_cu(u128 allowance, uint64_t price)
{
	u128 cu;

	if (price == 0)
		return UINT64_MAX;
	cu = allowance / price;
	return cu > UINT64_MAX ? UINT64_MAX : (cu_t)cu;
}

bool budget_may_serve(u128 allowance, uint64_t price, cu_t served, cu_t cu)
{
	/* cu_before + cu < 2^64 holds for every leaf ([R5]), so a sum beyond is refused too. */
	if (cu > UINT64_MAX - served)
		return false;
	return (u128)(served + cu) * price <= allowance;
}

cu_t budget_unpaid_max(cu_t max_unpaid_cu, cu_t largest_cu, uint32_t cosignatures)
{
	cu_t share;

	if (cosignatures >= BUDGET_COSIGNATURES)
		return max_unpaid_cu;
	share = max_unpaid_cu >> (BUDGET_COSIGNATURES - cosignatures);
	return share > largest_cu ? share : largest_cu;
}

bool budget_fits(cu_t counted, cu_t cu, cu_t max)
{
	return cu <= max && counted <= max - cu;
}
