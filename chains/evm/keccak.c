/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/keccak.h"

#include <endian.h>

#define LANES (KECCAK_RATE / 8) /* that a block of input reaches */

/* The constants of iota, from the linear feedback shift register of the reference, section 1.2. */
static const uint64_t iota[24] = {
	0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000,
	0x000000000000808B, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
	0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
	0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
	0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
	0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

#define ROTATE(lane, n) ((lane) << (n) | (lane) >> ((64 - (n)) & 63))

/* Row y of the new state: rho and pi take its five lanes from one diagonal of the old one (index
 * i, rotation r), theta adds d, chi mixes them. */
#define ROW(from, to, y, i0, r0, i1, r1, i2, r2, i3, r3, i4, r4)                                   \
	do {                                                                                       \
		uint64_t b0 = ROTATE((from)[i0] ^ d[(i0) % 5], r0);                                \
		uint64_t b1 = ROTATE((from)[i1] ^ d[(i1) % 5], r1);                                \
		uint64_t b2 = ROTATE((from)[i2] ^ d[(i2) % 5], r2);                                \
		uint64_t b3 = ROTATE((from)[i3] ^ d[(i3) % 5], r3);                                \
		uint64_t b4 = ROTATE((from)[i4] ^ d[(i4) % 5], r4);                                \
                                                                                                   \
		(to)[5 * (y)] = b0 ^ (~b1 & b2);                                                   \
		(to)[5 * (y) + 1] = b1 ^ (~b2 & b3);                                               \
		(to)[5 * (y) + 2] = b2 ^ (~b3 & b4);                                               \
		(to)[5 * (y) + 3] = b3 ^ (~b4 & b0);                                               \
		(to)[5 * (y) + 4] = b4 ^ (~b0 & b1);                                               \
	} while (0)

#define COLUMN(a, x) ((a)[x] ^ (a)[(x) + 5] ^ (a)[(x) + 10] ^ (a)[(x) + 15] ^ (a)[(x) + 20])

/* One round; all indices are constants, so that both states live in registers and on the stack. */
#define ROUND(from, to, constant)                                                                  \
	do {                                                                                       \
		uint64_t c[5], d[5];                                                               \
                                                                                                   \
		c[0] = COLUMN(from, 0);                                                            \
		c[1] = COLUMN(from, 1);                                                            \
		c[2] = COLUMN(from, 2);                                                            \
		c[3] = COLUMN(from, 3);                                                            \
		c[4] = COLUMN(from, 4);                                                            \
		d[0] = c[4] ^ ROTATE(c[1], 1);                                                     \
		d[1] = c[0] ^ ROTATE(c[2], 1);                                                     \
		d[2] = c[1] ^ ROTATE(c[3], 1);                                                     \
		d[3] = c[2] ^ ROTATE(c[4], 1);                                                     \
		d[4] = c[3] ^ ROTATE(c[0], 1);                                                     \
		ROW(from, to, 0, 0, 0, 6, 44, 12, 43, 18, 21, 24, 14);                             \
		(to)[0] ^= (constant);                                                             \
		ROW(from, to, 1, 3, 28, 9, 20, 10, 3, 16, 45, 22, 61);                             \
		ROW(from, to, 2, 1, 1, 7, 6, 13, 25, 19, 8, 20, 18);                               \
		ROW(from, to, 3, 4, 27, 5, 36, 11, 10, 17, 15, 23, 56);                            \
		ROW(from, to, 4, 2, 62, 8, 55, 14, 39, 15, 41, 21, 2);                             \
	} while (0)

static inline __attribute__((always_inline)) void rounds(uint64_t lanes[25])
{
	uint64_t a[25], b[25];

	memcpy(a, lanes, sizeof(a));
	for (size_t i = 0; i < 24; i += 2) {
		ROUND(a, b, iota[i]);
		ROUND(b, a, iota[i + 1]);
	}
	memcpy(lanes, a, sizeof(a));
}

#ifdef __x86_64__
/* The same code with "not and" and rotations into another register: a seventh less time. */
__attribute__((target("bmi,bmi2"))) static void rounds_bmi(uint64_t lanes[25])
{
	rounds(lanes);
}
#endif

static void permute(uint64_t lanes[25])
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) {
		rounds_bmi(lanes);
		return;
	}
#endif
	rounds(lanes);
}

static void absorb(uint64_t lanes[25], const uint8_t *block)
{
	for (size_t i = 0; i < LANES; i++) {
		uint64_t lane;

		memcpy(&lane, block + 8 * i, sizeof(lane));
		lanes[i] ^= le64toh(lane);
	}
	permute(lanes);
}

void keccak256_init(struct keccak *keccak)
{
	memset(keccak->lanes, 0, sizeof(keccak->lanes));
	keccak->filled = 0;
}

void keccak256_add(struct keccak *keccak, const void *p, size_t n)
{
	const uint8_t *from = p;

	if (n == 0)
		return;
	if (keccak->filled > 0) {
		size_t take = MIN(n, KECCAK_RATE - keccak->filled);

		memcpy(keccak->block + keccak->filled, from, take);
		keccak->filled += take;
		from += take;
		n -= take;
		if (keccak->filled < KECCAK_RATE)
			return;
		absorb(keccak->lanes, keccak->block);
		keccak->filled = 0;
	}
	for (; n >= KECCAK_RATE; n -= KECCAK_RATE, from += KECCAK_RATE)
		absorb(keccak->lanes, from);
	memcpy(keccak->block, from, n);
	keccak->filled = n;
}

void keccak256_end(struct keccak *keccak, struct hash *ret)
{
	memset(keccak->block + keccak->filled, 0, KECCAK_RATE - keccak->filled);
	keccak->block[keccak->filled] ^= 0x01;
	keccak->block[KECCAK_RATE - 1] ^= 0x80;
	absorb(keccak->lanes, keccak->block);
	for (size_t i = 0; i < sizeof(ret->b) / 8; i++) {
		uint64_t lane = htole64(keccak->lanes[i]);

		memcpy(ret->b + 8 * i, &lane, sizeof(lane));
	}
}

void keccak256(const void *p, size_t n, struct hash *ret)
{
	struct keccak keccak;

	keccak256_init(&keccak);
	keccak256_add(&keccak, p, n);
	keccak256_end(&keccak, ret);
}
