/* SPDX-License-Identifier: Apache-2.0
 * The tokens beneath the envelope: strings, numbers and whole values of RFC 8259, and the members
 * of one object.  Private to relay/rpc; a scan that has failed stays where it failed. */
#ifndef RELAY_RPC_SCAN_H
#define RELAY_RPC_SCAN_H

#include "relay/rpc/envelope.h"

struct scan {
	const uint8_t *start;
	const uint8_t *p;
	const uint8_t *end;
	size_t depth_max;
	size_t depth;	    /* containers open around p */
	enum err_code code; /* ERR_PARSE or ERR_TOO_DEEP after a failure */
	const char *why;
};

/* One member of an object. */
struct member {
	struct view name; /* between the quotes, escapes as written */
	bool name_escaped;
	struct view value;  /* the whole value */
	bool value_escaped; /* a string with a backslash */
	bool repeated;	    /* its decoded name stood in the object before */
};

/* The members of one object, for the search for repeats. */
struct members {
	size_t count;
	bool too_many; /* more than RPC_MEMBERS_MAX: repeats are no longer looked for */
	struct view names[RPC_MEMBERS_MAX];
	bool escaped[RPC_MEMBERS_MAX];
};

/* A scan at the start of the bytes. */
struct scan scan_of(struct view bytes, size_t depth_max);
bool scan_fail(struct scan *s, enum err_code code, const char *why);

/* White space, then the next byte; 0 at the end (and for a NUL, which no JSON has here). */
uint8_t scan_peek(struct scan *s);

/* A whole value at p, white space ahead of it skipped.  *ret_escaped: a string with a backslash. */
MUST_USE bool scan_value(struct scan *s, struct view *ret, bool *ret_escaped);

/* Opens a container: p is at its bracket.  Counts the depth. */
MUST_USE bool scan_open(struct scan *s);
/* After an element (first = true: after the opening bracket): consumes `,` or the closing bracket.
 * *ret_more: an element follows. */
MUST_USE bool scan_more(struct scan *s, uint8_t close, bool first, bool *ret_more);
/* One member of the object that is open. */
MUST_USE bool scan_member(struct scan *s, struct members *seen, struct member *ret);
/* Whether a member of this name stood in the object before; notes the name. */
bool scan_name_is_repeated(struct members *seen, struct view name, bool escaped);
/* Behind as many whole `,"name":"text"` as stand at p without an escape, a byte over 127 or white
 * space between them, as in most of what answers are made of: nothing of them needs another look.
 */
const uint8_t *scan_plain_members(const uint8_t *p, const uint8_t *end);
/* Nothing but white space is left. */
MUST_USE bool scan_end(struct scan *s);

/* True iff the decoded text of a string's inside is `word` (ASCII). */
bool scan_text_is(struct view raw, bool escaped, const char *word);

#endif
