/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/keccak.h"

#include <assert.h>
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

/* The rounds are written once for lanes of any type: one state in 64-bit words, or several states
 * in vectors, word by word. */
#define ROTATE(lane, n) ((lane) << (n) | (lane) >> ((64 - (n)) & 63))
#define LANE(from) __typeof__((from)[0])

/* Row y of the new state: rho and pi take its five lanes from one diagonal of the old one (index
 * i, rotation r), theta adds d, chi mixes them. */
#define ROW(from, to, y, i0, r0, i1, r1, i2, r2, i3, r3, i4, r4)                                   \
	do {                                                                                       \
		LANE(from) b0 = ROTATE((from)[i0] ^ d[(i0) % 5], r0);                              \
		LANE(from) b1 = ROTATE((from)[i1] ^ d[(i1) % 5], r1);                              \
		LANE(from) b2 = ROTATE((from)[i2] ^ d[(i2) % 5], r2);                              \
		LANE(from) b3 = ROTATE((from)[i3] ^ d[(i3) % 5], r3);                              \
		LANE(from) b4 = ROTATE((from)[i4] ^ d[(i4) % 5], r4);                              \
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
		LANE(from) c[5], d[5];                                                             \
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

#define ROUNDS(lanes)                                                                              \
	do {                                                                                       \
		LANE(lanes) a[25], b[25];                                                          \
                                                                                                   \
		memcpy(a, lanes, sizeof(a));                                                       \
		for (size_t i = 0; i < 24; i += 2) {                                               \
			ROUND(a, b, iota[i]);                                                      \
			ROUND(b, a, iota[i + 1]);                                                  \
		}                                                                                  \
		memcpy(lanes, a, sizeof(a));                                                       \
	} while (0)

static void rounds(uint64_t lanes[25])
{
	ROUNDS(lanes);
}

#ifdef __x86_64__
/* The same code with "not and" and rotations into another register: a seventh less time. */
__attribute__((target("bmi,bmi2"))) static void rounds_bmi(uint64_t lanes[25])
{
	ROUNDS(lanes);
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

/* --- several at once ---
 *
 * A state's rounds are one long chain, so most of a processor waits; with vectors several states go
 * through them in little more time than one.  Each way takes a text, block by block, and the next
 * text when it is done with it. */

#ifdef __x86_64__

#define WAYS_MAX 8
#define WAYS_MIN 3 /* so many single states take longer than one step of vectors, of 4 or of 8 */

/* A stack is not always aligned as they would be: AddressSanitizer's is not. */
typedef uint64_t four_t __attribute__((vector_size(32), aligned(8), may_alias));
typedef uint64_t eight_t __attribute__((vector_size(64), aligned(8), may_alias));

/* States side by side: word i of way w is words[i * count + w]. */
struct ways {
	uint64_t words[25 * WAYS_MAX];
	size_t count;	/* 4 or 8 */
	unsigned taken; /* ways that have a text, by bit */
	struct view left[WAYS_MAX];
	size_t which[WAYS_MAX]; /* of the texts */
};

__attribute__((target("avx2"))) static void rounds_4(four_t lanes[25])
{
	ROUNDS(lanes);
}

__attribute__((target("avx512f"))) static void rounds_8(eight_t lanes[25])
{
	ROUNDS(lanes);
}

/* Ways that the processor has; 1: vectors gain nothing. */
static size_t ways_there(void)
{
	if (__builtin_cpu_supports("avx512f"))
		return 8;
	return __builtin_cpu_supports("avx2") ? 4 : 1;
}

static void way_begin(struct ways *ways, size_t way, size_t which, struct view text)
{
	for (size_t i = 0; i < 25; i++)
		ways->words[i * ways->count + way] = 0;
	ways->left[way] = text;
	ways->which[way] = which;
	ways->taken |= 1u << way;
}

/* The text's next block into the state; true: it was the last. */
static bool way_absorb(struct ways *ways, size_t way)
{
	struct view *left = &ways->left[way];
	uint8_t padded[KECCAK_RATE];
	const uint8_t *block = left->p;
	bool last = left->n < KECCAK_RATE;

	if (last) {
		memset(padded, 0, sizeof(padded));
		if (left->n > 0)
			memcpy(padded, block, left->n);
		padded[left->n] ^= 0x01;
		padded[KECCAK_RATE - 1] ^= 0x80;
		block = padded;
	} else {
		left->p += KECCAK_RATE;
		left->n -= KECCAK_RATE;
	}
	for (size_t i = 0; i < LANES; i++) {
		uint64_t lane;

		memcpy(&lane, block + 8 * i, sizeof(lane));
		ways->words[i * ways->count + way] ^= lane;
	}
	return last;
}

static void way_end(struct ways *ways, size_t way, struct hash *ret)
{
	for (size_t i = 0; i < sizeof(ret->b) / 8; i++)
		memcpy(ret->b + 8 * i, &ways->words[i * ways->count + way], 8);
	ways->taken &= ~(1u << way);
}

/* One permutation of all ways. */
static void ways_step(struct ways *ways, struct hash *ret)
{
	unsigned ended = 0;

	for (size_t way = 0; way < ways->count; way++) {
		if (ways->taken & 1u << way && way_absorb(ways, way))
			ended |= 1u << way;
	}
	if (ways->count == 8)
		rounds_8((eight_t *)ways->words);
	else
		rounds_4((four_t *)ways->words);
	for (size_t way = 0; way < ways->count; way++) {
		if (ended & 1u << way)
			way_end(ways, way, &ret[ways->which[way]]);
	}
}

/* There are not enough texts any more. */
static void way_finish_alone(const struct ways *ways, size_t way, struct hash *ret)
{
	struct keccak keccak;

	keccak256_init(&keccak);
	for (size_t i = 0; i < 25; i++)
		keccak.lanes[i] = ways->words[i * ways->count + way];
	keccak256_add(&keccak, ways->left[way].p, ways->left[way].n);
	keccak256_end(&keccak, ret);
}

/* The longest go first, so that none is left alone at the end. */
static void sort_by_length(const struct view *texts, size_t count, uint8_t *order)
{
	for (size_t i = 0; i < count; i++) {
		size_t k = i;

		for (; k > 0 && texts[order[k - 1]].n < texts[i].n; k--)
			order[k] = order[k - 1];
		order[k] = (uint8_t)i;
	}
}

void keccak256_many(const struct view *texts, size_t count, struct hash *ret)
{
	struct ways ways = {.count = ways_there()};
	uint8_t order[KECCAK_MANY];
	size_t next = 0;

	assert(count <= KECCAK_MANY);
	sort_by_length(texts, count, order);
	while (ways.count > 1) {
		for (size_t way = 0; way < ways.count && next < count; way++) {
			if (!(ways.taken & 1u << way)) {
				way_begin(&ways, way, order[next], texts[order[next]]);
				next++;
			}
		}
		if (__builtin_popcount(ways.taken) < WAYS_MIN)
			break;
		ways_step(&ways, ret);
	}
	for (size_t way = 0; way < ways.count; way++) {
		if (ways.taken & 1u << way)
			way_finish_alone(&ways, way, &ret[ways.which[way]]);
	}
	for (; next < count; next++) {
		size_t i = order[next];

		keccak256(texts[i].p, texts[i].n, &ret[i]);
	}
}

#else

void keccak256_many(const struct view *texts, size_t count, struct hash *ret)
{
	for (size_t i = 0; i < count; i++)
		keccak256(texts[i].p, texts[i].n, &ret[i]);
}

#endif
