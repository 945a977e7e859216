/* SPDX-License-Identifier: Apache-2.0
 * Which checks an answer of an EVM chain gets, by its method: what was asked for against what came,
 * shapes, hashes and roots.  The family's side of chain_verify().  Private to chains. */
#ifndef CHAINS_EVM_INTEGRITY_H
#define CHAINS_EVM_INTEGRITY_H

#include "chains/verify.h"

/* Scratch memory, and headers seen; see chain_verifier_create(). */
void *evm_verifier_create(void);
void evm_verifier_destroy(void *state);

enum chain_look evm_verify_look(const void *state, const struct chain_method *method);
/* See chain_verify(); *ret is plain. */
void evm_verify(void *state, const struct chain_method *method, struct view params,
		struct view result, struct chain_finding *ret);

#endif
