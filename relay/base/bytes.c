/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/bytes.h"

#include <assert.h>
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>

#include "relay/base/ids.h"
#include "relay/base/mem.h"

void buf_finish(struct buf *buf)
{
	free(buf->p);
	*buf = (struct buf){0};
}

void buf_reserve(struct buf *buf, size_t more)
{
	size_t cap = buf->cap ? buf->cap : 256;

	assert(more <= SIZE_MAX / 4 - buf->n);
	if (buf->cap - buf->n >= more)
		return;
	while (cap - buf->n < more)
		cap *= 2;
	buf->p = xrealloc(buf->p, cap);
	buf->cap = cap;
}

void buf_put(struct buf *buf, const void *p, size_t n)
{
	buf_reserve(buf, n);
	if (n)
		memcpy(buf->p + buf->n, p, n);
	buf->n += n;
}

void buf_put_u8(struct buf *buf, uint8_t v)
{
	buf_put(buf, &v, 1);
}

void buf_put_u16(struct buf *buf, uint16_t v)
{
	uint8_t b[2];

	put_be16(b, v);
	buf_put(buf, b, sizeof(b));
}

void buf_put_u32(struct buf *buf, uint32_t v)
{
	uint8_t b[4];

	put_be32(b, v);
	buf_put(buf, b, sizeof(b));
}

void buf_put_u64(struct buf *buf, uint64_t v)
{
	uint8_t b[8];

	put_be64(b, v);
	buf_put(buf, b, sizeof(b));
}

void buf_put_u128(struct buf *buf, u128 v)
{
	uint8_t b[16];

	put_be128(b, v);
	buf_put(buf, b, sizeof(b));
}

void buf_put_str(struct buf *buf, const char *s)
{
	buf_put(buf, s, strlen(s));
}

void buf_put_short(struct buf *buf, const char *s, size_t n)
{
	assert(n <= UINT8_MAX);
	buf_put_u8(buf, (uint8_t)n);
	buf_put(buf, s, n);
}

void buf_putf(struct buf *buf, const char *fmt, ...)
{
	va_list args, again;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	assert(n >= 0);
	buf_reserve(buf, (size_t)n + 1);
	vsnprintf((char *)buf->p + buf->n, (size_t)n + 1, fmt, again);
	va_end(again);
	buf->n += (size_t)n;
}

void buf_put_hex(struct buf *buf, const void *p, size_t n)
{
	buf_reserve(buf, 2 * n + 1);
	hex_encode(p, n, (char *)buf->p + buf->n);
	buf->n += 2 * n;
}

void buf_put_base64(struct buf *buf, const void *p, size_t n)
{
	buf_reserve(buf, base64_len(n) + 1);
	base64_encode(p, n, (char *)buf->p + buf->n);
	buf->n += base64_len(n);
}

const char *buf_cstr(struct buf *buf)
{
	buf_reserve(buf, 1);
	buf->p[buf->n] = '\0';
	return (const char *)buf->p;
}

struct view read_bytes(struct reader *r, size_t n)
{
	struct view v = {r->p, n};

	if (r->bad || r->left < n) {
		r->bad = true;
		return (struct view){NULL, 0};
	}
	r->p += n;
	r->left -= n;
	return v;
}

void read_copy(struct reader *r, void *dst, size_t n)
{
	struct view v = read_bytes(r, n);

	if (v.p && n)
		memcpy(dst, v.p, n);
	else
		memset(dst, 0, n);
}

uint8_t read_u8(struct reader *r)
{
	struct view v = read_bytes(r, 1);

	return v.p ? v.p[0] : 0;
}

uint16_t read_u16(struct reader *r)
{
	struct view v = read_bytes(r, 2);

	return v.p ? get_be16(v.p) : 0;
}

uint32_t read_u32(struct reader *r)
{
	struct view v = read_bytes(r, 4);

	return v.p ? get_be32(v.p) : 0;
}

uint64_t read_u64(struct reader *r)
{
	struct view v = read_bytes(r, 8);

	return v.p ? get_be64(v.p) : 0;
}

u128 read_u128(struct reader *r)
{
	struct view v = read_bytes(r, 16);

	return v.p ? get_be128(v.p) : 0;
}

struct view read_short(struct reader *r)
{
	return read_bytes(r, read_u8(r));
}

struct view read_rest(struct reader *r)
{
	return read_bytes(r, r->bad ? 0 : r->left);
}

bool reader_done(const struct reader *r)
{
	return !r->bad && r->left == 0;
}

static const char hex_digits[] = "0123456789abcdef";

char *hex_encode(const void *p, size_t n, char *dst)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		dst[2 * i] = hex_digits[b[i] >> 4];
		dst[2 * i + 1] = hex_digits[b[i] & 15];
	}
	dst[2 * n] = '\0';
	return dst;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool hex_decode(const char *s, size_t len, void *dst, size_t n)
{
	uint8_t *b = dst;

	if (len != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_value(s[2 * i]), lo = hex_value(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		b[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* Eight digits of either case as four bytes; false when one is no digit. */
static inline bool hex_decode_8(const char *s, uint8_t *dst)
{
	const uint64_t each = 0x0101010101010101u;
	uint64_t x, letter, n;
	uint32_t four;

	memcpy(&x, s, sizeof(x));
	x = le64toh(x);
	letter = x >> 6 & each;
	n = (x & each * 0x0F) + letter * 9;
	/* Letters are what is over 9, nothing is over 15, and each byte must be that of its value.
	 */
	if (((n + each * 6) >> 4 & each) != letter || (n & each * 16) != 0 ||
	    n + each * '0' + letter * ('a' - '0' - 10) != (x | letter << 5))
		return false;
	n = (n << 4 | n >> 8) & 0x00FF00FF00FF00FFu;
	n = (n | n >> 8) & 0x0000FFFF0000FFFFu;
	four = htole32((uint32_t)(n | n >> 16));
	memcpy(dst, &four, sizeof(four));
	return true;
}

#ifdef __SSE2__
/* Sixteen of them as eight bytes. */
static inline bool hex_decode_16(const char *s, uint8_t *dst)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
	__m128i digit = _mm_sub_epi8(v, _mm_set1_epi8('0'));
	__m128i letter =
		_mm_sub_epi8(_mm_or_si128(v, _mm_set1_epi8(0x20)), _mm_set1_epi8('a' - 10));
	/* no unsigned comparison: x <= y where min(x, y) is x */
	__m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
	__m128i is_letter =
		_mm_and_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(15)), letter),
			      _mm_cmpeq_epi8(_mm_max_epu8(letter, _mm_set1_epi8(10)), letter));
	__m128i n = _mm_or_si128(_mm_and_si128(digit, is_digit), _mm_and_si128(letter, is_letter));

	if (_mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) != 0xFFFF)
		return false;
	/* the first digit of each pair is in the low byte */
	n = _mm_or_si128(_mm_slli_epi16(n, 4), _mm_srli_epi16(n, 8));
	n = _mm_and_si128(n, _mm_set1_epi16(0xFF));
	_mm_storel_epi64((__m128i *)(void *)dst, _mm_packus_epi16(n, n));
	return true;
}
#endif

bool hex_decode_either(const char *s, size_t len, void *dst, size_t n)
{
	char rest[8] = {'0', '0', '0', '0', '0', '0', '0', '0'};
	uint8_t *b = dst, four[4];

	if (len != 2 * n)
		return false;
#ifdef __SSE2__
	for (; n >= 8; n -= 8, s += 16, b += 8) {
		if (!hex_decode_16(s, b))
			return false;
	}
#endif
	for (; n >= 4; n -= 4, s += 8, b += 4) {
		if (!hex_decode_8(s, b))
			return false;
	}
	memcpy(rest, s, 2 * n);
	if (!hex_decode_8(rest, four))
		return false;
	memcpy(b, four, n);
	return true;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *p, size_t n, char *dst)
{
	const uint8_t *b = p;
	char *out = dst;

	for (size_t i = 0; i < n; i += 3) {
		size_t have = MIN(n - i, (size_t)3);
		uint32_t v = (uint32_t)b[i] << 16 | (have > 1 ? (uint32_t)b[i + 1] << 8 : 0) |
			     (have > 2 ? b[i + 2] : 0);

		*out++ = base64_digits[v >> 18];
		*out++ = base64_digits[v >> 12 & 63];
		*out++ = (char)(have > 1 ? base64_digits[v >> 6 & 63] : '=');
		*out++ = (char)(have > 2 ? base64_digits[v & 63] : '=');
	}
	*out = '\0';
	return dst;
}

static int base64_value(char c)
{
	const char *at = c ? strchr(base64_digits, c) : NULL;

	return at ? (int)(at - base64_digits) : -1;
}

bool base64_decode(const char *s, size_t len, uint8_t *dst, size_t cap, size_t *ret_n)
{
	size_t pad = len >= 1 && s[len - 1] == '=' ? (len >= 2 && s[len - 2] == '=' ? 2 : 1) : 0;
	size_t n = len / 4 * 3 - pad;
	size_t at = 0;

	if (len % 4 != 0 || (len == 0 && pad) || n > cap)
		return false;
	for (size_t i = 0; i < len; i += 4) {
		size_t last_pad = i + 4 == len ? pad : 0;
		uint32_t v = 0;

		for (size_t j = 0; j < 4; j++) {
			int d = j < 4 - last_pad ? base64_value(s[i + j]) : 0;

			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		if ((last_pad == 1 && v & 0xff) || (last_pad == 2 && v & 0xffff))
			return false;
		for (size_t j = 0; j < 3 - last_pad; j++)
			dst[at++] = (uint8_t)(v >> (16 - 8 * j));
	}
	*ret_n = at;
	return true;
}

bool u128_parse(const char *s, size_t len, u128 *ret)
{
	u128 v = 0;

	if (len == 0 || len > 39 || (s[0] == '0' && len > 1))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned d = (unsigned char)s[i] - '0';

		if (d > 9 || v > (~(u128)0 - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*ret = v;
	return true;
}

bool u64_parse(const char *s, size_t len, uint64_t *ret)
{
	u128 v;

	if (!u128_parse(s, len, &v) || v > UINT64_MAX)
		return false;
	*ret = (uint64_t)v;
	return true;
}

char *u128_text(u128 v, char dst[U128_TEXT_MAX])
{
	char digits[U128_TEXT_MAX];
	size_t n = 0, i = 0;

	do {
		digits[n++] = (char)('0' + (int)(v % 10));
		v /= 10;
	} while (v);
	while (n)
		dst[i++] = digits[--n];
	dst[i] = '\0';
	return dst;
}

/* Length of the well-formed sequence at p, 0 when it is not one (RFC 3629, section 4). */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	uint8_t lo = 0x80, hi = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (left < n || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool utf8_is_valid(struct view text)
{
	size_t at = 0;

	while (at < text.n) {
		size_t n;

		/* eight ASCII bytes at a time: nearly all that comes */
		if (text.n - at >= 8) {
			uint64_t word;

			memcpy(&word, text.p + at, 8);
			if (!(word & 0x8080808080808080u)) {
				at += 8;
				continue;
			}
		}
		n = utf8_sequence(text.p + at, text.n - at);
		if (n == 0)
			return false;
		at += n;
	}
	return true;
}

bool service_name_parse(const char *s, size_t n, struct service_name *ret)
{
	if (n == 0 || n > SERVICE_NAME_MAX || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-'))
			return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->s, s, n);
	return true;
}
