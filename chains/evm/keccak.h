/* SPDX-License-Identifier: Apache-2.0
 * Keccak-256, Ethereum's hash: the Keccak team's submission 3.0 with rate 1088, capacity 512 and
 * the first padding (0x01), which FIPS 202 changed afterwards; so it is not SHA3-256. */
#ifndef CHAINS_EVM_KECCAK_H
#define CHAINS_EVM_KECCAK_H

#include "relay/base/bytes.h"
#include "relay/base/ids.h"

#define KECCAK_MANY 64	/* texts at once */
#define KECCAK_RATE 136 /* bytes of input for each permutation */

/* A digest that is fed piece by piece; in the caller's memory. */
struct keccak {
	uint64_t lanes[25];
	uint8_t block[KECCAK_RATE];
	size_t filled; /* bytes of the block */
};

void keccak256_init(struct keccak *keccak);
void keccak256_add(struct keccak *keccak, const void *p, size_t n);
/* The digest of all that was added; init() makes it ready again. */
void keccak256_end(struct keccak *keccak, struct hash *ret);

/* Of n bytes at once; p may be NULL when n is 0. */
void keccak256(const void *p, size_t n, struct hash *ret);

/* Of `count` texts, up to KECCAK_MANY: several go through the rounds side by side where the
 * processor has wide vectors, which takes a third of the time. */
void keccak256_many(const struct view *texts, size_t count, struct hash *ret);

#endif
