/* SPDX-License-Identifier: Apache-2.0
 * Bytes: views, a growing buffer, a bounds-checked reader, big-endian integers, hex and base64.
 * All integers on the wire and in receipts are big-endian ([B1]). */
#ifndef RELAY_BASE_BYTES_H
#define RELAY_BASE_BYTES_H

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "relay/base/compiler.h"

/* A borrowed run of bytes; p may be NULL when n is 0. */
struct view {
	const uint8_t *p;
	size_t n;
};

#define VIEW(ptr, len) ((struct view){(const uint8_t *)(ptr), (len)})
#define VIEW_STR(s) VIEW((s), strlen(s))

static inline bool view_eq(struct view a, struct view b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* --- a growing buffer; zero-initialised is empty --- */
struct buf {
	uint8_t *p;
	size_t n;
	size_t cap;
};

void buf_finish(struct buf *buf); /* frees; the buffer is empty and usable again */
void buf_reserve(struct buf *buf, size_t more);
void buf_put(struct buf *buf, const void *p, size_t n);
void buf_put_u8(struct buf *buf, uint8_t v);
void buf_put_u16(struct buf *buf, uint16_t v);
void buf_put_u32(struct buf *buf, uint32_t v);
void buf_put_u64(struct buf *buf, uint64_t v);
void buf_put_u128(struct buf *buf, u128 v);
void buf_put_str(struct buf *buf, const char *s); /* bytes without the NUL */
void buf_put_short(struct buf *buf, const char *s,
		   size_t n); /* u8 length, then the bytes; n <= 255 */
void buf_putf(struct buf *buf, const char *fmt, ...) PRINTF(2, 3);
void buf_put_hex(struct buf *buf, const void *p, size_t n);
void buf_put_base64(struct buf *buf, const void *p, size_t n);
/* Appends a NUL that is not counted and returns the text. */
const char *buf_cstr(struct buf *buf);
static inline struct view buf_view(const struct buf *buf)
{
	return (struct view){buf->p, buf->n};
}
static inline void buf_finish_at(struct buf *buf)
{
	buf_finish(buf);
}
/* CLEANUP(buf_finish) struct buf b = {0}; */

/* --- a reader over foreign bytes: after the first read past the end `bad` stays true and every
 * further read gives zeros, so one check at the end is enough --- */
struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct reader reader_of(struct view v)
{
	return (struct reader){v.p, v.n, false};
}
struct view read_bytes(struct reader *r, size_t n);    /* {NULL, 0} when short */
void read_copy(struct reader *r, void *dst, size_t n); /* zeros when short */
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
u128 read_u128(struct reader *r);
struct view read_short(struct reader *r); /* u8 length, bytes */
struct view read_rest(struct reader *r);
/* True iff nothing was short and nothing is left. */
MUST_USE bool reader_done(const struct reader *r);

/* --- fixed places --- */
static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}
static inline void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16(p + 2, (uint16_t)v);
}
static inline void put_be64(uint8_t *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32(p + 4, (uint32_t)v);
}
static inline void put_be128(uint8_t *p, u128 v)
{
	put_be64(p, (uint64_t)(v >> 64));
	put_be64(p + 8, (uint64_t)v);
}
static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)get_be16(p) << 16 | get_be16(p + 2);
}
static inline uint64_t get_be64(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}
static inline u128 get_be128(const uint8_t *p)
{
	return (u128)get_be64(p) << 64 | get_be64(p + 8);
}

/* --- text --- */
/* 2n lower-case digits and a NUL into dst, which has 2n + 1 bytes; returns dst. */
char *hex_encode(const void *p, size_t n, char *dst);
/* Exactly 2n lower-case digits into n bytes; false on anything else. */
MUST_USE bool hex_decode(const char *s, size_t len, void *dst, size_t n);
/* The same with digits of either case, made for long runs; dst may be written to on failure. */
MUST_USE bool hex_decode_either(const char *s, size_t len, void *dst, size_t n);
/* Padded length of n bytes in base64, without a NUL. */
static inline size_t base64_len(size_t n)
{
	return (n + 2) / 3 * 4;
}
/* Standard alphabet with padding, and a NUL: dst has base64_len(n) + 1 bytes; returns dst. */
char *base64_encode(const void *p, size_t n, char *dst);
/* Strict: padding required, unused bits zero.  Writes at most cap bytes. */
MUST_USE bool base64_decode(const char *s, size_t len, uint8_t *dst, size_t cap, size_t *ret_n);
/* A whole decimal number without sign, leading zero or overflow. */
MUST_USE bool u64_parse(const char *s, size_t len, uint64_t *ret);
MUST_USE bool u128_parse(const char *s, size_t len, u128 *ret);
/* Decimal into dst[40]; returns dst. */
#define U128_TEXT_MAX 40
char *u128_text(u128 v, char dst[U128_TEXT_MAX]);
/* True iff the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
MUST_USE bool utf8_is_valid(struct view text);

/* Behind the bytes from p that need no look inside a string of JSON: no quote, backslash, control
 * or byte over 127. */
static inline const uint8_t *text_skip_plain(const uint8_t *p, const uint8_t *end)
{
	const uint64_t each = 0x0101010101010101u;

#ifdef __SSE2__
	while (end - p >= 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
		/* As signed bytes, what is over 0x7F is less than a space too. */
		__m128i special =
			_mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)),
				     _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
						  _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));
		int hits = _mm_movemask_epi8(special);

		if (hits != 0)
			return p + __builtin_ctz((unsigned)hits);
		p += 16;
	}
#endif
	while (end - p >= 8) {
		uint64_t w;
		uint64_t special;

		memcpy(&w, p, sizeof(w));
		/* The top bit of a byte is set where a test hits; a borrow only reaches bytes
		 * behind a hit, so no hit means that all eight are plain. */
		special = w | (w - each * 0x20) | ((w ^ each * '"') - each) |
			  ((w ^ each * '\\') - each);
		if ((special & each * 0x80) != 0)
			break;
		p += 8;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

#endif
