/* SPDX-License-Identifier: Apache-2.0
 * The generator of property tests: splitmix64 from a seed that a failing test prints.
 * CF_SEED=<number> runs a test again with that seed; CF_COUNT_PROPERTY_CASES sets how many cases.
 */
#ifndef TESTS_SUPPORT_GEN_H
#define TESTS_SUPPORT_GEN_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct gen {
	uint64_t seed; /* that it began with, for messages */
	uint64_t state;
};

/* A positive whole number from the environment, or the default. */
static inline uint64_t gen_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	char *end = NULL;
	uint64_t v = text ? strtoull(text, &end, 10) : 0;

	return text && end != text && *end == '\0' && v > 0 ? v : otherwise;
}

static inline struct gen gen_init(uint64_t seed)
{
	struct gen gen = {.seed = gen_env("CF_SEED", seed)};

	gen.state = gen.seed;
	return gen;
}

static inline uint64_t gen_cases(uint64_t otherwise)
{
	return gen_env("CF_COUNT_PROPERTY_CASES", otherwise);
}

static inline uint64_t gen_u64(struct gen *gen)
{
	uint64_t z = gen->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* In [0, bound), bound > 0; the bias is below 2^-32 for the bounds of tests. */
static inline uint64_t gen_below(struct gen *gen, uint64_t bound)
{
	return gen_u64(gen) % bound;
}

static inline void gen_bytes(struct gen *gen, void *dst, size_t n)
{
	uint8_t *p = dst;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = gen_u64(gen);

		memcpy(p + i, &v, n - i < 8 ? n - i : 8);
	}
}

#endif
