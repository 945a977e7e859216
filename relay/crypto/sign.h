/* SPDX-License-Identifier: Apache-2.0
 * Ed25519 (RFC 8032, pure [B4]) by libsodium.  Whatever is signed begins with its own first bytes
 * [B5]: that is the caller's duty.  About 14 us to sign, 39 us to verify. */
#ifndef RELAY_CRYPTO_SIGN_H
#define RELAY_CRYPTO_SIGN_H

#include "relay/crypto/key.h"

/* Signs n bytes.  Deterministic: the same key and message give the same signature. */
void sign_bytes(const struct relay_key *key, const void *msg, size_t n, struct signature *ret);

/* True iff the signature is valid.  Stricter than RFC 8032 asks: keys and R of small order and
 * scalars that are not reduced are refused. */
MUST_USE bool verify_bytes(const struct key_id *key, const void *msg, size_t n,
			   const struct signature *signature);

#endif
