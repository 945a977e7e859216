/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/json.h"

#include <assert.h>

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Nothing is read after this. */
static void walk_fail(struct json_walk *walk)
{
	walk->bad = true;
	walk->p = walk->end;
}

uint8_t json_walk_peek(struct json_walk *walk)
{
	while (walk->p < walk->end && is_space(*walk->p))
		walk->p++;
	return walk->p < walk->end ? *walk->p : 0;
}

bool json_walk_enter(struct json_walk *walk, uint8_t bracket)
{
	if (json_walk_peek(walk) != bracket) {
		walk_fail(walk);
		return false;
	}
	walk->p++;
	return true;
}

/* Behind the closing quote of the string whose inside begins at p; NULL when it has none. */
static const uint8_t *string_end(const uint8_t *p, const uint8_t *end)
{
	for (;;) {
		p = text_skip_plain(p, end);
		if (p == end)
			return NULL;
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && ++p == end)
			return NULL;
		p++;
	}
}

/* Behind the bracket that closes the container at p; NULL when there is none. */
static const uint8_t *container_end(const uint8_t *p, const uint8_t *end)
{
	size_t depth = 0;

	while (p < end) {
		switch (*p++) {
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return p;
			break;
		case '"':
			p = string_end(p, end);
			if (!p)
				return NULL;
			break;
		}
	}
	return NULL;
}

/* Behind a number, true, false or null. */
static const uint8_t *word_end(const uint8_t *p, const uint8_t *end)
{
	while (p < end && !is_space(*p) && *p != ',' && *p != ']' && *p != '}')
		p++;
	return p;
}

struct view json_walk_value(struct json_walk *walk)
{
	uint8_t c = json_walk_peek(walk);
	const uint8_t *from = walk->p, *to;

	if (c == '"')
		to = string_end(from + 1, walk->end);
	else if (c == '{' || c == '[')
		to = container_end(from, walk->end);
	else
		to = word_end(from, walk->end);
	if (!to || to == from) {
		walk_fail(walk);
		return (struct view){0};
	}
	walk->p = to;
	return VIEW(from, (size_t)(to - from));
}

/* Ahead of what follows in a container, or behind its bracket. */
static bool walk_more(struct json_walk *walk, uint8_t close)
{
	uint8_t c = json_walk_peek(walk);

	if (c == close && walk->p < walk->end) {
		walk->p++;
		return false;
	}
	if (c == ',') {
		walk->p++;
		(void)json_walk_peek(walk); /* the white space behind it */
	}
	if (walk->p == walk->end) {
		walk_fail(walk);
		return false;
	}
	return true;
}

bool json_walk_member(struct json_walk *walk, struct view *ret_name)
{
	struct view name;

	if (!walk_more(walk, '}'))
		return false;
	if (*walk->p != '"') {
		walk_fail(walk);
		return false;
	}
	name = json_walk_value(walk);
	if (walk->bad || json_walk_peek(walk) != ':') {
		walk_fail(walk);
		return false;
	}
	walk->p++;
	*ret_name = VIEW(name.p + 1, name.n - 2);
	return true;
}

bool json_walk_element(struct json_walk *walk)
{
	return walk_more(walk, ']');
}

void json_names_init(struct json_names *names, const char *const *list, size_t count)
{
	assert(count > 0 && count <= JSON_NAMES_MAX);
	names->names = list;
	names->count = count;
	names->last = count;
	names->others = 0;
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(list[i]);

		assert(n <= UINT8_MAX);
		names->lengths[i] = (uint8_t)n;
		names->next[i] = (uint8_t)(i + 1 < count ? i + 1 : 0);
	}
	names->next[count] = 0;
}

static bool name_is(const struct json_names *names, size_t i, struct view name)
{
	return names->lengths[i] == name.n && memcmp(names->names[i], name.p, name.n) == 0;
}

size_t json_names_find(struct json_names *names, struct view name)
{
	size_t guess = names->next[names->last];

	if (name_is(names, guess, name)) {
		names->last = guess;
		return guess;
	}
	for (size_t i = 0; i < names->count; i++) {
		if (name_is(names, i, name)) {
			names->next[names->last] = (uint8_t)i;
			names->last = i;
			return i;
		}
	}
	return names->count;
}

enum json_members json_walk_members(struct json_walk *walk, struct json_names *names,
				    struct view *values)
{
	enum json_members found = JSON_MEMBERS;
	struct view name;

	if (!json_walk_enter(walk, '{'))
		return JSON_MEMBERS_NONE;
	names->last = names->count;
	names->others = 0;
	for (size_t i = 0; i < names->count; i++)
		values[i] = (struct view){0};
	while (json_walk_member(walk, &name)) {
		size_t i = json_names_find(names, name);
		struct view value = json_walk_value(walk);

		if (i < names->count) {
			if (values[i].p)
				found = JSON_MEMBERS_AMBIGUOUS;
			values[i] = value;
		} else {
			names->others++;
			if (memchr(name.p, '\\', name.n))
				found = JSON_MEMBERS_AMBIGUOUS;
		}
	}
	return walk->bad ? JSON_MEMBERS_NONE : found;
}

bool json_token_is_null(struct view token)
{
	return token.n == 4 && memcmp(token.p, "null", 4) == 0;
}

bool json_token_bool(struct view token, bool *ret)
{
	bool yes = token.n == 4 && memcmp(token.p, "true", 4) == 0;

	if (!yes && !(token.n == 5 && memcmp(token.p, "false", 5) == 0))
		return false;
	*ret = yes;
	return true;
}

bool json_token_text(struct view token, struct view *ret)
{
	if (token.n < 2 || token.p[0] != '"' || memchr(token.p, '\\', token.n))
		return false;
	*ret = VIEW(token.p + 1, token.n - 2);
	return true;
}

/* The digits behind 0x; escapes are no digits, so they need no look here. */
static bool token_digits(struct view token, struct view *ret)
{
	if (token.n < 4 || memcmp(token.p, "\"0x", 3) != 0)
		return false;
	*ret = VIEW(token.p + 3, token.n - 4);
	return true;
}

bool json_token_hex(struct view token, void *dst, size_t n)
{
	struct view digits;

	return token_digits(token, &digits) &&
	       hex_decode_either((const char *)digits.p, digits.n, dst, n);
}

bool json_token_data(struct view token, uint8_t *dst, size_t *ret_n)
{
	struct view digits;

	if (!token_digits(token, &digits) ||
	    !hex_decode_either((const char *)digits.p, digits.n, dst, digits.n / 2))
		return false;
	*ret_n = digits.n / 2;
	return true;
}

bool json_token_number(struct view token, enum json_rule rule, uint8_t ret[32], size_t *ret_n)
{
	char even[64] = "0";
	struct view digits;
	size_t odd;

	if (!token_digits(token, &digits))
		return false;
	if (rule == JSON_STRICT && (digits.n == 0 || (digits.n > 1 && digits.p[0] == '0')))
		return false;
	while (digits.n > 0 && digits.p[0] == '0') {
		digits.p++;
		digits.n--;
	}
	if (digits.n > sizeof(even))
		return false;
	odd = digits.n % 2;
	memcpy(even + odd, digits.p, digits.n);
	if (!hex_decode_either(even, digits.n + odd, ret, (digits.n + odd) / 2))
		return false;
	*ret_n = (digits.n + odd) / 2;
	return true;
}

bool json_token_u64(struct view token, enum json_rule rule, uint64_t *ret)
{
	uint8_t number[32];
	uint64_t v = 0;
	size_t n;

	if (!json_token_number(token, rule, number, &n) || n > sizeof(v))
		return false;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | number[i];
	*ret = v;
	return true;
}
