/* SPDX-License-Identifier: Apache-2.0
 * The small readers that every other parser leans on ([B2], [B6]): hex, base64, numbers, UTF-8,
 * names of services.  What is read is written again to the same text, and the verdicts are those of
 * the rules as they are written down here once more. */
#include "relay/base/ids.h"
#include "relay/base/mem.h"
#include "tests/fuzz/choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTES_MAX 512

static void hex(const char *s, size_t n)
{
	uint8_t bytes[BYTES_MAX];
	char again[2 * BYTES_MAX + 1];
	bool good = n % 2 == 0, got;

	for (size_t i = 0; i < n; i++)
		good &= strchr("0123456789abcdef", s[i]) && s[i];
	got = hex_decode(s, n, bytes, n / 2);
	assert(got == good);
	if (got)
		assert(memcmp(hex_encode(bytes, n / 2, again), s, n) == 0);
	got = hex_decode(s, n, bytes, n / 2 + 1);
	assert(!got);
}

/* The reader of long runs, which takes several digits at a time: the same, of either case. */
static void hex_either(const char *s, size_t n)
{
	uint8_t bytes[BYTES_MAX], want[BYTES_MAX];
	char lower[2 * BYTES_MAX];
	bool good;

	for (size_t i = 0; i < n; i++)
		lower[i] = s[i] >= 'A' && s[i] <= 'F' ? (char)(s[i] + 'a' - 'A') : s[i];
	good = hex_decode(lower, n, want, n / 2);
	assert(hex_decode_either(s, n, bytes, n / 2) == good);
	assert(!good || memcmp(bytes, want, n / 2) == 0);
}

static void base64(const char *s, size_t n)
{
	uint8_t bytes[BYTES_MAX];
	char again[2 * BYTES_MAX];
	size_t got = 0, less;
	bool fits;

	if (!base64_decode(s, n, bytes, sizeof(bytes), &got))
		return;
	assert(base64_len(got) == n);
	assert(memcmp(base64_encode(bytes, got, again), s, n) == 0);
	fits = got > 0 && base64_decode(s, n, bytes, got - 1, &less);
	assert(!fits);
}

/* Bytes that were encoded are read back. */
static void base64_back(const uint8_t *data, size_t n)
{
	uint8_t back[BYTES_MAX];
	char text[2 * BYTES_MAX];
	size_t got;
	bool ok;

	base64_encode(data, n, text);
	ok = base64_decode(text, strlen(text), back, n, &got);
	assert(ok && got == n && memcmp(back, data, n) == 0);
}

/* Digits without a leading zero, of a value up to max. */
static bool is_number(const char *s, size_t n, u128 max, u128 *ret)
{
	u128 v = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9' || v > (max - (u128)(s[i] - '0')) / 10)
			return false;
		v = v * 10 + (u128)(s[i] - '0');
	}
	*ret = v;
	return n > 0 && (s[0] != '0' || n == 1);
}

static void numbers(const char *s, size_t n)
{
	char text[U128_TEXT_MAX];
	uint64_t small = 7;
	u128 large = 7, want;
	bool got = u64_parse(s, n, &small);

	assert(got == is_number(s, n, UINT64_MAX, &want) && small == (got ? want : 7));
	got = u128_parse(s, n, &large);
	assert(got == is_number(s, n, ~(u128)0, &want) && large == (got ? want : 7));
	if (got)
		assert(strlen(u128_text(large, text)) == n && memcmp(text, s, n) == 0);
}

/* RFC 3629 by code points: decoded, and the shortest form of what was decoded. */
static bool is_utf8(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t more = p[i] < 0x80   ? 0
			      : p[i] < 0xC0 ? 9
			      : p[i] < 0xE0 ? 1
			      : p[i] < 0xF0 ? 2
					    : 3;
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
		uint32_t c = more == 0 ? p[i] : p[i] & (0x3Fu >> more);

		if (p[i] >= 0xF8 || more > 3 || n - i <= more)
			return false;
		for (size_t k = 1; k <= more; k++) {
			if ((p[i + k] & 0xC0) != 0x80)
				return false;
			c = c << 6 | (p[i + k] & 0x3Fu);
		}
		if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
			return false;
		i += more + 1;
	}
	return true;
}

static void service(const char *s, size_t n)
{
	struct service_name name = {"before"};
	bool good = n >= 1 && n <= SERVICE_NAME_MAX && s[0] != '-';
	bool got = service_name_parse(s, n, &name);

	for (size_t i = 0; i < n; i++)
		good &= (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-';
	assert(got == good);
	assert(got ? strlen(name.s) == n && memcmp(name.s, s, n) == 0
		   : strcmp(name.s, "before") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = MIN(size, (size_t)BYTES_MAX);
	/* Blocks of exactly this size: a read past the end is an error that is seen. */
	CLEANUP(xfree) char *s = xmemdup(data, n);

	hex(s, n);
	hex_either(s, n);
	base64(s, n);
	base64_back((const uint8_t *)s, n);
	numbers(s, n);
	service(s, n);
	assert(utf8_is_valid(VIEW(s, n)) == is_utf8((const uint8_t *)s, n));
	return 0;
}
