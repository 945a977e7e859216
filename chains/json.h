/* SPDX-License-Identifier: Apache-2.0
 * A walk over JSON text that the scanner (relay/rpc) has found valid: objects, arrays and values in
 * place, nothing copied, nothing allocated.  And the values that chains write as strings: DATA and
 * QUANTITY of the execution API.
 *
 * It is no validator: of text that is not JSON it may find any values, but it stays inside the text
 * and comes to an end.  A value is a view of its whole token, quotes and brackets included.
 *
 *	struct json_walk walk = json_walk_of(text);
 *	struct view name;
 *
 *	if (json_walk_enter(&walk, '{')) {
 *		while (json_walk_member(&walk, &name))
 *			... json_walk_value(&walk) ...
 *	}
 *	if (walk.bad)
 *		...
 */
#ifndef CHAINS_JSON_H
#define CHAINS_JSON_H

#include "relay/base/bytes.h"

#define JSON_NAMES_MAX 64 /* names of one struct json_names */

struct json_walk {
	const uint8_t *p;
	const uint8_t *end;
	bool bad; /* something else stood where a value was asked for; stays */
};

/* A walk before the value that is the text. */
static inline struct json_walk json_walk_of(struct view text)
{
	return (struct json_walk){text.p, text.n > 0 ? text.p + text.n : text.p, false};
}

/* The first byte of what comes next, white space skipped: `{` and `[`, `"`, `t`, `f`, `n`, `-` or a
 * digit for values; 0 at the end. */
uint8_t json_walk_peek(struct json_walk *walk);

/* Enters the object (`{`) or array (`[`) that comes next; the walk is bad when there is none. */
bool json_walk_enter(struct json_walk *walk, uint8_t bracket);

/* The next member of the object that was entered: its name, between the quotes and with escapes as
 * written.  The walk is then before its value, which must be taken, or entered and walked to its
 * end.  False after the last member, when the walk is behind the object, and when it is bad. */
bool json_walk_member(struct json_walk *walk, struct view *ret_name);

/* The same for an array: true before each element. */
bool json_walk_element(struct json_walk *walk);

/* Takes the value that comes next, whatever it is: its whole token; {NULL, 0} when the walk is bad.
 */
struct view json_walk_value(struct json_walk *walk);

/* Names that are looked for in objects of one kind.  It remembers which name followed which, so
 * that in a run of like objects each name is compared about once; one walk's own, not shared. */
struct json_names {
	const char *const *names; /* borrowed: `count` of them, without escapes */
	size_t count;
	size_t others; /* members of the object that json_walk_members() read last that are none */
	size_t last;   /* found last; count: none */
	uint8_t lengths[JSON_NAMES_MAX];
	uint8_t next[JSON_NAMES_MAX + 1]; /* what followed each; of `count`: what came first */
};

/* count: 1..JSON_NAMES_MAX. */
void json_names_init(struct json_names *names, const char *const *list, size_t count);

/* The index of a name, or names->count when it is none of them. */
size_t json_names_find(struct json_names *names, struct view name);

/* What json_walk_members() found. */
enum json_members {
	JSON_MEMBERS,		/* an object; each wanted name stood in it once or not at all */
	JSON_MEMBERS_AMBIGUOUS, /* a wanted name stood twice, or a name was written with escapes:
				 * readers differ in what such an object says, and no node writes it
				 */
	JSON_MEMBERS_NONE,	/* no object, or the walk is bad */
};

/* Takes the object that comes next.
 * Out: values  names->count views: the value of each name, {NULL, 0} when it is absent.  Not set
 *              when there is no object. */
MUST_USE enum json_members json_walk_members(struct json_walk *walk, struct json_names *names,
					     struct view *values);

/* --- one value --- */

/* How numbers in hexadecimal are read. */
enum json_rule {
	JSON_STRICT,  /* as the execution API has it: no leading zero, zero is 0x0 */
	JSON_LENIENT, /* leading zeros, and 0x for zero, are let pass */
};

bool json_token_is_null(struct view token);
MUST_USE bool json_token_bool(struct view token, bool *ret);
/* The inside of a string; false for other values and for strings with an escape. */
MUST_USE bool json_token_text(struct view token, struct view *ret);
/* DATA of exactly n bytes: 0x and 2n digits of either case. */
MUST_USE bool json_token_hex(struct view token, void *dst, size_t n);
/* DATA of any length: 0x and an even number of digits of either case.
 * In:     dst    room for json_token_data_max(token) bytes */
MUST_USE bool json_token_data(struct view token, uint8_t *dst, size_t *ret_n);
/* No DATA in this token has more bytes. */
static inline size_t json_token_data_max(struct view token)
{
	return token.n / 2;
}
/* QUANTITY: 0x and digits of either case; false when it does not fit. */
MUST_USE bool json_token_u64(struct view token, enum json_rule rule, uint64_t *ret);
/* The same of up to 256 bits: 0..32 big-endian bytes, of which the first is not zero. */
MUST_USE bool json_token_number(struct view token, enum json_rule rule, uint8_t ret[32],
				size_t *ret_n);

#endif
