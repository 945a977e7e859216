/* SPDX-License-Identifier: Apache-2.0
 * The address that a call of the EVM family is about: whom it calls, whose state or logs it reads,
 * where a transaction goes.  A plain reader; it judges nothing. */
#ifndef CHAINS_EVM_TARGET_H
#define CHAINS_EVM_TARGET_H

#include "chains/chain.h"

/* As chain_call_target(). */
MUST_USE bool evm_call_target(const struct chain_method *method, struct view params,
			      struct chain_target *ret);

#endif
