/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/rpc/scan.h"

#include <assert.h>

struct scan scan_of(struct view bytes, size_t depth_max)
{
	assert(depth_max >= 2 && depth_max <= RPC_DEPTH_MAX);
	return (struct scan){
		.start = bytes.p,
		.p = bytes.p,
		.end = bytes.n > 0 ? bytes.p + bytes.n : bytes.p,
		.depth_max = depth_max,
	};
}

bool scan_fail(struct scan *s, enum err_code code, const char *why)
{
	s->code = code;
	s->why = why;
	return false;
}

static inline bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

uint8_t scan_peek(struct scan *s)
{
	while (s->p < s->end && is_space(*s->p))
		s->p++;
	return s->p < s->end ? *s->p : 0;
}

/* One character of two to four bytes (RFC 3629: table 3-7 of Unicode); 0 when it is malformed. */
static size_t utf8_length(const uint8_t *p, const uint8_t *end)
{
	uint8_t low = 0x80, high = 0xBF;
	size_t n;

	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if ((size_t)(end - p) < n)
		return 0;
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if (p[i] < 0x80 || p[i] > 0xBF)
			return 0;
	}
	return n;
}

static int hex_digit(uint8_t c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* p is behind a backslash. */
static bool scan_escape(struct scan *s)
{
	if (s->p == s->end)
		return scan_fail(s, ERR_PARSE, "the body ends inside a string");
	if (*s->p != 'u') {
		if (*s->p == 0 || !strchr("\"\\/bfnrt", *s->p))
			return scan_fail(s, ERR_PARSE, "unknown escape in a string");
		s->p++;
		return true;
	}
	s->p++;
	for (int i = 0; i < 4; i++, s->p++) {
		if (s->p == s->end || hex_digit(*s->p) < 0)
			return scan_fail(s, ERR_PARSE, "\\u without four digits in a string");
	}
	return true;
}

/* p is at the opening quote; afterwards behind the closing one. */
static bool scan_string(struct scan *s, bool *ret_escaped)
{
	bool escaped = false;

	s->p++;
	for (;;) {
		size_t n;

		s->p = text_skip_plain(s->p, s->end);
		if (s->p == s->end)
			return scan_fail(s, ERR_PARSE, "the body ends inside a string");
		if (*s->p == '"')
			break;
		if (*s->p < 0x20)
			return scan_fail(s, ERR_PARSE, "control character in a string");
		if (*s->p == '\\') {
			escaped = true;
			s->p++;
			if (!scan_escape(s))
				return false;
			continue;
		}
		n = utf8_length(s->p, s->end);
		if (n == 0)
			return scan_fail(s, ERR_PARSE, "the body is not UTF-8");
		s->p += n;
	}
	s->p++;
	*ret_escaped = escaped;
	return true;
}

static bool scan_digits(struct scan *s)
{
	if (s->p == s->end || !is_digit(*s->p))
		return scan_fail(s, ERR_PARSE, "malformed number");
	while (s->p < s->end && is_digit(*s->p))
		s->p++;
	return true;
}

static bool scan_number(struct scan *s)
{
	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0')
		s->p++; /* a digit after it is caught as a token out of place */
	else if (!scan_digits(s))
		return false;
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (!scan_digits(s))
			return false;
	}
	if (s->p < s->end && (*s->p | 0x20) == 'e') {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (!scan_digits(s))
			return false;
	}
	return true;
}

static bool scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return scan_fail(s, ERR_PARSE, "unexpected character");
	s->p += n;
	return true;
}

/* A value that is no container, at p. */
static bool scan_scalar(struct scan *s, bool *ret_escaped)
{
	switch (*s->p) {
	case '"':
		return scan_string(s, ret_escaped);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		if (*s->p == '-' || is_digit(*s->p))
			return scan_number(s);
		if (*s->p >= 0x80 && utf8_length(s->p, s->end) == 0)
			return scan_fail(s, ERR_PARSE, "the body is not UTF-8");
		return scan_fail(s, ERR_PARSE, "unexpected character");
	}
}

bool scan_open(struct scan *s)
{
	if (s->depth == s->depth_max)
		return scan_fail(s, ERR_TOO_DEEP, "nested deeper than the limit");
	s->depth++;
	s->p++;
	return true;
}

bool scan_more(struct scan *s, uint8_t close, bool first, bool *ret_more)
{
	uint8_t c = scan_peek(s);

	if (c == close && s->p < s->end) {
		s->p++;
		s->depth--;
		*ret_more = false;
		return true;
	}
	if (!first) {
		if (c != ',' || s->p == s->end)
			return scan_fail(s, ERR_PARSE,
					 s->p == s->end ? "the body ends too early"
							: "a comma or a bracket is missing");
		s->p++;
	}
	*ret_more = true;
	return true;
}

/* A member's name and colon; p is then ahead of the value. */
static bool scan_name(struct scan *s, struct view *ret, bool *ret_escaped)
{
	const uint8_t *from;

	if (scan_peek(s) != '"')
		return scan_fail(s, ERR_PARSE,
				 s->p == s->end ? "the body ends too early"
						: "a member has no name");
	from = s->p + 1;
	if (!scan_string(s, ret_escaped))
		return false;
	*ret = VIEW(from, (size_t)(s->p - 1 - from));
	if (scan_peek(s) != ':')
		return scan_fail(s, ERR_PARSE, "a member has no colon");
	s->p++;
	return true;
}

const uint8_t *scan_plain_members(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *at = p;

	while (end - at > 2 && at[0] == ',' && at[1] == '"') {
		at = text_skip_plain(at + 2, end);
		if (end - at < 3 || at[0] != '"' || at[1] != ':' || at[2] != '"')
			break;
		at = text_skip_plain(at + 3, end);
		if (at == end || *at != '"')
			break;
		p = ++at;
	}
	return p;
}

/* Which of the containers that are open are objects, one bit each. */
struct nest {
	uint64_t is_object[RPC_DEPTH_MAX / 64 + 1];
};

static inline bool nest_is_object(const struct nest *nest, size_t depth)
{
	return (nest->is_object[depth / 64] >> depth % 64 & 1) != 0;
}

static inline void nest_set(struct nest *nest, size_t depth, bool is_object)
{
	uint64_t bit = (uint64_t)1 << depth % 64;

	if (depth % 64 == 0)
		nest->is_object[depth / 64] = 0;
	if (is_object)
		nest->is_object[depth / 64] |= bit;
	else
		nest->is_object[depth / 64] &= ~bit;
}

/* Skips a container and all in it, without recursion. */
static bool scan_container(struct scan *s)
{
	struct nest nest; /* a word is cleared when its first bit is used */
	size_t base = s->depth;
	bool first = true;

	nest.is_object[(s->depth + 1) / 64] = 0;
	nest_set(&nest, s->depth + 1, *s->p == '{');
	if (!scan_open(s))
		return false;
	while (s->depth > base) {
		bool object = nest_is_object(&nest, s->depth);
		bool more, escaped;
		struct view name;

		if (object && !first)
			s->p = scan_plain_members(s->p, s->end);
		if (!scan_more(s, object ? '}' : ']', first, &more))
			return false;
		first = false;
		if (!more)
			continue;
		if (object && !scan_name(s, &name, &escaped))
			return false;
		switch (scan_peek(s)) {
		case '{':
		case '[':
			if (s->depth < s->depth_max)
				nest_set(&nest, s->depth + 1, *s->p == '{');
			if (!scan_open(s))
				return false;
			first = true;
			break;
		default:
			if (s->p == s->end)
				return scan_fail(s, ERR_PARSE, "the body ends too early");
			if (!scan_scalar(s, &escaped))
				return false;
		}
	}
	return true;
}

bool scan_value(struct scan *s, struct view *ret, bool *ret_escaped)
{
	uint8_t c = scan_peek(s);
	const uint8_t *from = s->p;

	*ret_escaped = false;
	if (s->p == s->end)
		return scan_fail(s, ERR_PARSE, "the body ends too early");
	if (c == '{' || c == '[' ? !scan_container(s) : !scan_scalar(s, ret_escaped))
		return false;
	*ret = VIEW(from, (size_t)(s->p - from));
	return true;
}

/* The next character of a string's inside that has been scanned: its code point, pairs of escaped
 * surrogates joined, a lone one as it is. */
static uint32_t next_point(struct view *raw)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const uint8_t *p = raw->p;
	uint32_t point = p[0];
	size_t n = 1;

	if (point == '\\' && p[1] != 'u') {
		point = (uint8_t)meant[strchr(letters, p[1]) - letters];
		n = 2;
	} else if (point == '\\') {
		point = 0;
		for (n = 2; n < 6; n++)
			point = point << 4 | (uint32_t)hex_digit(p[n]);
		if (point >> 10 == 0xD800 >> 10 && raw->n >= 12 && p[6] == '\\' && p[7] == 'u') {
			uint32_t low = 0;

			for (size_t i = 8; i < 12; i++)
				low = low << 4 | (uint32_t)hex_digit(p[i]);
			if (low >> 10 == 0xDC00 >> 10) {
				point = 0x10000 + ((point & 0x3FF) << 10 | (low & 0x3FF));
				n = 12;
			}
		}
	} else if (point >= 0x80) {
		n = point < 0xE0 ? 2 : point < 0xF0 ? 3 : 4;
		point &= 0x7Fu >> n;
		for (size_t i = 1; i < n; i++)
			point = point << 6 | (p[i] & 0x3Fu);
	}
	raw->p += n;
	raw->n -= n;
	return point;
}

static bool text_eq(struct view a, bool a_escaped, struct view b, bool b_escaped)
{
	if (!a_escaped && !b_escaped)
		return view_eq(a, b);
	while (a.n > 0 && b.n > 0) {
		if (next_point(&a) != next_point(&b))
			return false;
	}
	return a.n == 0 && b.n == 0;
}

bool scan_text_is(struct view raw, bool escaped, const char *word)
{
	return text_eq(raw, escaped, VIEW_STR(word), false);
}

size_t rpc_text_decode(struct view raw, uint8_t *dst)
{
	uint8_t *to = dst;

	while (raw.n > 0) {
		uint32_t c = next_point(&raw);

		if (c < 0x80) {
			*to++ = (uint8_t)c;
		} else if (c < 0x800) {
			*to++ = (uint8_t)(0xC0 | c >> 6);
			*to++ = (uint8_t)(0x80 | (c & 0x3F));
		} else if (c < 0x10000) {
			*to++ = (uint8_t)(0xE0 | c >> 12);
			*to++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
			*to++ = (uint8_t)(0x80 | (c & 0x3F));
		} else {
			*to++ = (uint8_t)(0xF0 | c >> 18);
			*to++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
			*to++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
			*to++ = (uint8_t)(0x80 | (c & 0x3F));
		}
	}
	return (size_t)(to - dst);
}

bool scan_name_is_repeated(struct members *seen, struct view name, bool escaped)
{
	for (size_t i = 0; i < seen->count; i++) {
		if (text_eq(seen->names[i], seen->escaped[i], name, escaped))
			return true;
	}
	if (seen->count == RPC_MEMBERS_MAX) {
		seen->too_many = true;
		return false;
	}
	seen->names[seen->count] = name;
	seen->escaped[seen->count++] = escaped;
	return false;
}

bool scan_member(struct scan *s, struct members *seen, struct member *ret)
{
	if (!scan_name(s, &ret->name, &ret->name_escaped))
		return false;
	if (!scan_value(s, &ret->value, &ret->value_escaped))
		return false;
	ret->repeated = scan_name_is_repeated(seen, ret->name, ret->name_escaped);
	return true;
}

bool scan_end(struct scan *s)
{
	scan_peek(s);
	if (s->p != s->end)
		return scan_fail(s, ERR_PARSE, "there is more after the value");
	return true;
}
