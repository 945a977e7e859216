/* SPDX-License-Identifier: Apache-2.0
 * uthash as we use it: keyed siphash, so that a stranger who chooses keys cannot make them collide,
 * and abort when memory is gone.  Include this, never <uthash.h>. */
#ifndef RELAY_CRYPTO_TABLE_H
#define RELAY_CRYPTO_TABLE_H

#include <stdlib.h>

#ifdef UTHASH_H
#error "uthash.h was included before relay/crypto/table.h"
#endif

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)keyed_hash((keyptr), (keylen)))
#define uthash_fatal(msg) abort()

#include <uthash.h>

#include "relay/crypto/digest.h"

#endif
