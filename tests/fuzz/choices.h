/* SPDX-License-Identifier: Apache-2.0
 * A fuzzer's bytes as a row of decisions: what to build, and what to change in it afterwards.  So a
 * target can make well-formed input of a format with signatures or lengths, which plain mutation
 * would never find, and the corpus stays a row of bytes that replays everywhere. */
#ifndef TESTS_FUZZ_CHOICES_H
#define TESTS_FUZZ_CHOICES_H

#include <assert.h>

#include "relay/base/bytes.h"

struct choices {
	const uint8_t *p;
	size_t left;
};

/* The next byte; zeros when there are no more. */
static inline uint8_t choose_u8(struct choices *c)
{
	if (c->left == 0)
		return 0;
	c->left--;
	return *c->p++;
}

/* In [0, n), 1 <= n <= 2^32. */
static inline uint32_t choose_below(struct choices *c, uint64_t n)
{
	uint64_t v = choose_u8(c);

	for (uint64_t span = 256; span < n; span <<= 8)
		v = v << 8 | choose_u8(c);
	return (uint32_t)(v % n);
}

static inline uint64_t choose_u64(struct choices *c)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | choose_u8(c);
	return v;
}

/* n bytes of few decisions: the same value, counted up. */
static inline void choose_fill(struct choices *c, void *dst, size_t n)
{
	uint8_t v = choose_u8(c), *p = dst;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v + i);
}

/* Up to max bytes of the input itself. */
static inline struct view choose_bytes(struct choices *c, size_t max)
{
	size_t n = choose_below(c, max + 1);
	struct view v = {c->p, n < c->left ? n : c->left};

	c->p += v.n;
	c->left -= v.n;
	return v;
}

/* Changes one place of the bytes: another value, one dropped, one doubled, or the end cut off.
 * Returns false when nothing is left to change, or the input says to leave them alone. */
static inline bool choose_damage(struct choices *c, struct buf *b)
{
	uint8_t how = choose_u8(c);
	size_t at;

	if (b->n == 0 || how == 0)
		return false;
	at = choose_below(c, b->n);
	if (how % 4 == 0) {
		b->p[at] ^= (uint8_t)(1 + choose_u8(c) % 255);
	} else if (how % 4 == 1) {
		memmove(b->p + at, b->p + at + 1, b->n - at - 1);
		b->n--;
	} else if (how % 4 == 2) {
		uint8_t v = b->p[at];

		buf_put_u8(b, 0);
		memmove(b->p + at + 1, b->p + at, b->n - 1 - at);
		b->p[at] = v;
	} else {
		b->n = at;
	}
	return true;
}

#endif
