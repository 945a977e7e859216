/* SPDX-License-Identifier: Apache-2.0
 * The walk over JSON, on any bytes.  It ends, and what it finds lies in the text.  Where the
 * scanner says that the text is JSON, the walk finds the same members, elements and values; and
 * tokens are read as their rules say when they are written down once more, digit by digit. */
#include <assert.h>

#include "chains/json.h"
#include "relay/base/mem.h"
#include "relay/rpc/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MAX 32

static int digit_of(uint8_t c)
{
	c |= c >= 'A' && c <= 'F' ? 0x20 : 0;
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void numbers(struct view token, bool digits, size_t n)
{
	uint64_t v = 0, got = 0;
	bool fits = true, strict;

	for (size_t i = 0; digits && i < n; i++) {
		fits &= v >> 60 == 0;
		v = v << 4 | (uint64_t)digit_of(token.p[3 + i]);
	}
	strict = digits && fits && n > 0 && (n == 1 || token.p[3] != '0');
	assert(json_token_u64(token, JSON_LENIENT, &got) == (digits && fits));
	assert(!(digits && fits) || got == v);
	assert(json_token_u64(token, JSON_STRICT, &got) == strict);
}

static void token_is_read(struct view token)
{
	uint8_t *bytes = xmalloc(json_token_data_max(token));
	bool digits = token.n >= 4 && memcmp(token.p, "\"0x", 3) == 0, got;
	size_t n = digits ? token.n - 4 : 0, got_n = 0;

	for (size_t i = 0; digits && i < n; i++)
		digits = digit_of(token.p[3 + i]) >= 0;
	got = json_token_data(token, bytes, &got_n);
	assert(got == (digits && n % 2 == 0));
	for (size_t i = 0; got && i < got_n; i++)
		assert(bytes[i] ==
		       (digit_of(token.p[3 + 2 * i]) << 4 | digit_of(token.p[4 + 2 * i])));
	numbers(token, digits, n);
	free(bytes);
}

/* Everything below a walk, as far as it goes; returns how many values. */
static size_t walk_all(struct json_walk *walk, const uint8_t *start, size_t depth)
{
	uint8_t c = json_walk_peek(walk);
	struct view name, value;
	size_t count = 1;

	if (depth == DEPTH_MAX || (c != '{' && c != '[')) {
		value = json_walk_value(walk);
		assert(!value.p == walk->bad);
		assert(!value.p || (value.p >= start && value.p + value.n == walk->p));
		if (value.p)
			token_is_read(value);
		return 1;
	}
	if (!json_walk_enter(walk, c))
		return 0;
	if (c == '{') {
		while (json_walk_member(walk, &name)) {
			assert(name.p > start && name.p + name.n < walk->p);
			count += walk_all(walk, start, depth + 1);
		}
	} else {
		while (json_walk_element(walk))
			count += walk_all(walk, start, depth + 1);
	}
	return count;
}

/* The same container by the scanner and by a walk. */
static void same_container(struct view text)
{
	struct scan scan = scan_of(text, RPC_DEPTH_MAX);
	struct json_walk walk = json_walk_of(text);
	uint8_t c = scan_peek(&scan), close = c == '{' ? '}' : ']';
	bool more, first = true, escaped, ok;
	struct members seen;

	seen.count = 0;
	ok = scan_open(&scan) && json_walk_enter(&walk, c);
	assert(ok);
	for (;; first = false) {
		struct member member = {0};
		struct view name = {0}, value;

		ok = scan_more(&scan, close, first, &more);
		assert(ok);
		assert(more ==
		       (c == '{' ? json_walk_member(&walk, &name) : json_walk_element(&walk)));
		if (!more)
			break;
		ok = c == '{' ? scan_member(&scan, &seen, &member)
			      : scan_value(&scan, &member.value, &escaped);
		assert(ok && view_eq(name, member.name));
		value = json_walk_value(&walk);
		assert(value.p == member.value.p && value.n == member.value.n);
		if (*value.p == '{' || *value.p == '[')
			same_container(value);
	}
	assert(!walk.bad && walk.p == scan.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const list[] = {"a", "hash", "b"};
	struct json_walk walk = json_walk_of(VIEW(data, size));
	struct scan scan = scan_of(VIEW(data, size), DEPTH_MAX);
	struct json_names names;
	struct view values[3], value;
	size_t count = walk_all(&walk, data, 0);
	bool escaped;

	assert(count <= size + 1);
	json_names_init(&names, list, ARRAY_SIZE(list));
	walk = json_walk_of(VIEW(data, size));
	if (json_walk_members(&walk, &names, values) != JSON_MEMBERS_NONE)
		assert(!walk.bad && data[0] != '[');
	if (scan_value(&scan, &value, &escaped) && scan_end(&scan) &&
	    (*value.p == '{' || *value.p == '['))
		same_container(value);
	return 0;
}
