/* SPDX-License-Identifier: Apache-2.0
 * Which checks an answer of an EVM chain gets, by its method: what was asked for against what came,
 * shapes, hashes and roots.  The family's side of chain_verify().  Private to chains. */
#ifndef CHAINS_EVM_INTEGRITY_H
#define CHAINS_EVM_INTEGRITY_H

#include "chains/verify.h"

/* Scratch memory, and headers seen; see chain_verifier_create(). */
void *evm_verifier_create(bool hashes);
void evm_verifier_destroy(void *state);

/* See chain_verify(). */
enum chain_verdict evm_verify(void *state, const struct chain_method *method, struct view params,
			      struct view result, const char **ret_why);

/* Whether the network of this id hashes as Ethereum does (networks.def). */
bool evm_network_hashes(uint64_t chain_id);

#endif
