/* SPDX-License-Identifier: Apache-2.0
 * The inside of a key, for relay/crypto alone. */
#ifndef RELAY_CRYPTO_KEY_SECRET_H
#define RELAY_CRYPTO_KEY_SECRET_H

#include "relay/crypto/key.h"

/* The whole struct is in memory of sodium_malloc. */
struct relay_key {
	uint8_t secret[64]; /* seed || public, as libsodium wants it */
	struct key_id public;
	enum key_role role;
};

#endif
