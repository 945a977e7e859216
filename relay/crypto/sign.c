/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/crypto/sign.h"

#include <stdlib.h>

#include <sodium.h>

#include "relay/crypto/key_secret.h"

void sign_bytes(const struct relay_key *key, const void *msg, size_t n, struct signature *ret)
{
	static const uint8_t nothing[1];

	if (crypto_sign_detached(ret->b, NULL, n ? msg : nothing, n, key->secret) != 0)
		abort();
}

bool verify_bytes(const struct key_id *key, const void *msg, size_t n,
		  const struct signature *signature)
{
	static const uint8_t nothing[1];

	return crypto_sign_verify_detached(signature->b, n ? msg : nothing, n, key->b) == 0;
}
