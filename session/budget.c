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
