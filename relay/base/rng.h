/* SPDX-License-Identifier: Apache-2.0
 * Random bytes from the kernel, for salts, lanes and seeds; buffered per thread, because a salt is
 * drawn for each relay.  Not for keys: those come from relay/crypto/key. */
#ifndef RELAY_BASE_RNG_H
#define RELAY_BASE_RNG_H

#include "relay/base/compiler.h"

/* n random bytes.  Aborts when the kernel has none. */
void rng_bytes(void *dst, size_t n);
/* Uniform in [0, bound), bound > 0. */
uint64_t rng_below(uint64_t bound);

#endif
