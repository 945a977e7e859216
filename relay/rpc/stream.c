/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/rpc/stream.h"

#include "relay/base/mem.h"
#include "relay/rpc/scan.h"

#define CODE_MAX 24 /* bytes of an error code's token that are kept: no int64 has more */

/* What the next byte belongs to. */
enum expect {
	EXPECT_START,	    /* `{` */
	EXPECT_FIRST_NAME,  /* a name or `}` */
	EXPECT_NAME,	    /* a name */
	EXPECT_COLON,	    /* `:` */
	EXPECT_FIRST_VALUE, /* a value or `]` */
	EXPECT_VALUE,	    /* a value */
	EXPECT_AFTER,	    /* `,` or the closing bracket */
	IN_STRING,
	IN_ESCAPE,  /* behind a backslash */
	IN_HEX,	    /* of \u; `left` digits are missing */
	IN_CHAR,    /* of several bytes; `left` of them are missing */
	IN_NUMBER,  /* at `number` */
	IN_WORD,    /* `word` is what is missing of it */
	EXPECT_END, /* nothing but white space */
};

/* Where in a number (RFC 8259 section 6) the last byte was. */
enum number { AT_MINUS, AT_ZERO, AT_INT, AT_POINT, AT_FRACTION, AT_E, AT_SIGN, AT_EXPONENT };

/* What a member of the answer, or of its error, is to us. */
enum role { ROLE_OTHER, ROLE_ID, ROLE_RESULT, ROLE_ERROR, ROLE_CODE };

/* The names of one object's members, as written. */
struct names {
	struct members seen;
	size_t used;
	uint8_t bytes[RPC_MEMBERS_MAX * RPC_NAME_MAX];
};

struct rpc_stream {
	const char *why;     /* NULL: all is well so far */
	uint64_t bytes;	     /* fed before the piece at hand */
	const uint8_t *from; /* the piece at hand */
	enum expect expect;
	enum number number;
	const char *word;
	unsigned left;
	uint8_t low, high; /* what the next byte of a character may be */
	size_t depth;	   /* containers that are open */
	uint64_t is_object[RPC_DEPTH_MAX / 64 + 1];
	bool is_name;	      /* the string is a member's name */
	struct names *naming; /* whose names are kept at this depth; NULL: nobody's */
	size_t name_n;
	bool name_escaped;
	enum role role; /* of the member at depth 1 */
	bool in_error;	/* within the value of `error` */
	bool in_code;	/* its member at depth 2 is `code` */
	size_t code_n;
	char code[CODE_MAX];
	bool has_id, has_result, has_error, code_known;
	uint64_t id_at;
	struct names top, error;
};

struct rpc_stream *rpc_stream_create(void)
{
	return xcalloc(1, sizeof(struct rpc_stream));
}

void rpc_stream_destroy(struct rpc_stream *s)
{
	free(s);
}

uint64_t rpc_stream_bytes(const struct rpc_stream *s)
{
	return s->bytes;
}

bool rpc_stream_id(const struct rpc_stream *s, uint64_t *ret_at)
{
	if (s->has_id)
		*ret_at = s->id_at;
	return s->has_id;
}

static void fail(struct rpc_stream *s, const char *why)
{
	if (!s->why)
		s->why = why;
}

static inline bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline uint64_t offset_of(const struct rpc_stream *s, const uint8_t *p)
{
	return s->bytes + (uint64_t)(p - s->from);
}

/* --- containers --- */

static inline bool in_object(const struct rpc_stream *s)
{
	return (s->is_object[s->depth / 64] >> s->depth % 64 & 1) != 0;
}

/* The names of the answer's members are kept, and those of its error's. */
static struct names *names_of(struct rpc_stream *s)
{
	if (s->depth == 1)
		return &s->top;
	return s->depth == 2 && s->in_error ? &s->error : NULL;
}

static void open_container(struct rpc_stream *s, bool is_object)
{
	uint64_t bit;

	if (s->depth == RPC_DEPTH_ANSWER) {
		fail(s, "nested deeper than the limit");
		return;
	}
	s->depth++;
	bit = (uint64_t)1 << s->depth % 64;
	if (is_object)
		s->is_object[s->depth / 64] |= bit;
	else
		s->is_object[s->depth / 64] &= ~bit;
	s->expect = is_object ? EXPECT_FIRST_NAME : EXPECT_FIRST_VALUE;
}

/* --- values --- */

static void take_code(struct rpc_stream *s)
{
	const char *p = s->code;
	size_t n = s->code_n;
	uint64_t code;

	if (n > 0 && n <= CODE_MAX && *p == '-')
		p++, n--;
	s->code_known = n <= CODE_MAX && u64_parse(p, n, &code) && code <= INT64_MAX;
	s->in_code = false;
}

static void value_begins(struct rpc_stream *s, const uint8_t *p)
{
	if (s->depth == 1 && s->role == ROLE_ID) {
		s->has_id = true;
		s->id_at = offset_of(s, p);
		if (*p != '1')
			fail(s, "its id is not the one that was asked with");
	} else if (s->depth == 1 && s->role == ROLE_ERROR) {
		s->has_error = s->in_error = true;
		if (*p != '{')
			fail(s, "its error is not an object");
	} else if (s->depth == 1 && s->role == ROLE_RESULT) {
		s->has_result = true;
	}
	if (s->has_error && s->has_result)
		fail(s, "it has not exactly one of result and error");
}

/* p: behind the value. */
static void value_ends(struct rpc_stream *s, const uint8_t *p)
{
	s->expect = EXPECT_AFTER;
	if (s->depth == 1 && s->role == ROLE_ID && offset_of(s, p) != s->id_at + 1)
		fail(s, "its id is not the one that was asked with");
	if (s->depth == 1)
		s->in_error = false;
	if (s->depth == 2 && s->in_code)
		take_code(s);
}

static void close_container(struct rpc_stream *s, const uint8_t *p)
{
	s->depth--;
	s->code_n = 0; /* a number within is not the code */
	if (s->depth == 0)
		s->expect = EXPECT_END;
	else
		value_ends(s, p);
}

/* The first byte of a value, at p. */
static void take_first(struct rpc_stream *s, const uint8_t *p)
{
	uint8_t c = *p;

	value_begins(s, p);
	s->is_name = false;
	if (c == '"') {
		s->expect = IN_STRING;
	} else if (c == '{' || c == '[') {
		open_container(s, c == '{');
	} else if (c == '-' || is_digit(c)) {
		s->expect = IN_NUMBER;
		s->number = c == '-' ? AT_MINUS : c == '0' ? AT_ZERO : AT_INT;
		s->code[0] = (char)c;
		s->code_n = 1;
	} else if (c == 't' || c == 'f' || c == 'n') {
		s->expect = IN_WORD;
		s->word = c == 't' ? "rue" : c == 'f' ? "alse" : "ull";
	} else {
		fail(s, "unexpected character");
	}
	if (s->expect != IN_NUMBER)
		s->code_n = 0;
}

/* --- names --- */

static void name_begins(struct rpc_stream *s)
{
	s->expect = IN_STRING;
	s->is_name = true;
	s->naming = names_of(s);
	s->name_n = 0;
	s->name_escaped = false;
}

static void name_takes(struct rpc_stream *s, const uint8_t *p, size_t n)
{
	if (!s->is_name || !s->naming)
		return;
	if (s->naming->seen.count == RPC_MEMBERS_MAX) {
		fail(s, "it has too many members");
		return;
	}
	if (n > RPC_NAME_MAX - s->name_n) {
		fail(s, "a member's name is too long");
		return;
	}
	memcpy(s->naming->bytes + s->naming->used + s->name_n, p, n);
	s->name_n += n;
}

static void name_ends(struct rpc_stream *s)
{
	struct names *names = s->naming;
	struct view name;
	bool escaped = s->name_escaped;

	s->expect = EXPECT_COLON;
	if (!names)
		return;
	name = VIEW(names->bytes + names->used, s->name_n);
	if (scan_name_is_repeated(&names->seen, name, escaped)) {
		fail(s, "a member stands twice");
		return;
	}
	if (names->seen.too_many) {
		fail(s, "it has too many members");
		return;
	}
	names->used += s->name_n;
	if (names == &s->error) {
		s->in_code = scan_text_is(name, escaped, "code");
		return;
	}
	s->role = scan_text_is(name, escaped, "id")	  ? ROLE_ID
		  : scan_text_is(name, escaped, "result") ? ROLE_RESULT
		  : scan_text_is(name, escaped, "error")  ? ROLE_ERROR
							  : ROLE_OTHER;
}

/* --- inside tokens --- */

/* A byte over 127 in a string: which may follow it (RFC 3629, table 3-7 of Unicode). */
static void take_lead(struct rpc_stream *s, uint8_t c)
{
	if (c < 0xC2 || c > 0xF4) {
		fail(s, "the body is not UTF-8");
		return;
	}
	s->expect = IN_CHAR;
	s->left = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
	s->low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
	s->high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
}

static const uint8_t *take_string(struct rpc_stream *s, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *from = p;

	p = text_skip_plain(p, end);
	name_takes(s, from, (size_t)(p - from));
	if (p == end || s->why)
		return p;
	if (*p == '"') {
		if (s->is_name)
			name_ends(s);
		else
			value_ends(s, p + 1);
		return p + 1;
	}
	name_takes(s, p, 1);
	if (*p == '\\') {
		s->expect = IN_ESCAPE;
		s->name_escaped = true;
	} else if (*p < 0x20) {
		fail(s, "control character in a string");
	} else {
		take_lead(s, *p);
	}
	return p + 1;
}

static void take_escape(struct rpc_stream *s, const uint8_t *p)
{
	name_takes(s, p, 1);
	if (*p == 'u') {
		s->expect = IN_HEX;
		s->left = 4;
	} else if (*p == 0 || !strchr("\"\\/bfnrt", *p)) {
		fail(s, "unknown escape in a string");
	} else {
		s->expect = IN_STRING;
	}
}

static void take_hex(struct rpc_stream *s, const uint8_t *p)
{
	uint8_t c = *p | 0x20;

	name_takes(s, p, 1);
	if (!is_digit(*p) && !(c >= 'a' && c <= 'f'))
		fail(s, "\\u without four digits in a string");
	else if (--s->left == 0)
		s->expect = IN_STRING;
}

static void take_char(struct rpc_stream *s, const uint8_t *p)
{
	name_takes(s, p, 1);
	if (*p < s->low || *p > s->high)
		fail(s, "the body is not UTF-8");
	s->low = 0x80;
	s->high = 0xBF;
	if (--s->left == 0)
		s->expect = IN_STRING;
}

/* Where a number is with c behind it; false, and *ret is nothing: c is not of it. */
static bool number_step(enum number at, uint8_t c, enum number *ret)
{
	bool digit = is_digit(c), e = (c | 0x20) == 'e';

	switch (at) {
	case AT_MINUS:
		*ret = c == '0' ? AT_ZERO : AT_INT;
		return digit;
	case AT_ZERO:
		*ret = c == '.' ? AT_POINT : AT_E;
		return c == '.' || e;
	case AT_INT:
		*ret = digit ? AT_INT : c == '.' ? AT_POINT : AT_E;
		return digit || c == '.' || e;
	case AT_POINT:
		*ret = AT_FRACTION;
		return digit;
	case AT_FRACTION:
		*ret = digit ? AT_FRACTION : AT_E;
		return digit || e;
	case AT_E:
		*ret = digit ? AT_EXPONENT : AT_SIGN;
		return digit || c == '+' || c == '-';
	case AT_SIGN:
	case AT_EXPONENT:
		*ret = AT_EXPONENT;
		return digit;
	}
	return false;
}

static const uint8_t *take_number(struct rpc_stream *s, const uint8_t *p, const uint8_t *end)
{
	enum number next;

	while (p < end && number_step(s->number, *p, &next)) {
		s->number = next;
		if (s->code_n < CODE_MAX)
			s->code[s->code_n] = (char)*p;
		s->code_n = MIN(s->code_n + 1, (size_t)CODE_MAX + 1);
		p++;
	}
	if (p == end)
		return p;
	if (s->number == AT_MINUS || s->number == AT_POINT || s->number == AT_E ||
	    s->number == AT_SIGN)
		fail(s, "malformed number");
	else
		value_ends(s, p);
	return p; /* the byte is what comes after it */
}

static void take_word(struct rpc_stream *s, const uint8_t *p)
{
	if (*p != (uint8_t)*s->word)
		fail(s, "unexpected character");
	else if (*++s->word == '\0')
		value_ends(s, p + 1);
}

/* --- between tokens --- */

static void take_after(struct rpc_stream *s, const uint8_t *p)
{
	if (*p == ',')
		s->expect = in_object(s) ? EXPECT_NAME : EXPECT_VALUE;
	else if (*p == (in_object(s) ? '}' : ']'))
		close_container(s, p + 1);
	else
		fail(s, "a comma or a bracket is missing");
}

/* A byte that is no white space, between tokens. */
static void take_between(struct rpc_stream *s, const uint8_t *p)
{
	switch ((int)s->expect) {
	case EXPECT_START:
		if (*p == '{')
			open_container(s, true);
		else
			fail(s, "it is not an object");
		break;
	case EXPECT_FIRST_NAME:
	case EXPECT_NAME:
		if (*p == '"')
			name_begins(s);
		else if (*p == '}' && s->expect == EXPECT_FIRST_NAME)
			close_container(s, p + 1);
		else
			fail(s, "a member has no name");
		break;
	case EXPECT_COLON:
		if (*p == ':')
			s->expect = EXPECT_VALUE;
		else
			fail(s, "a member has no colon");
		break;
	case EXPECT_FIRST_VALUE:
		if (*p == ']') {
			close_container(s, p + 1);
			break;
		}
		take_first(s, p);
		break;
	case EXPECT_VALUE:
		take_first(s, p);
		break;
	case EXPECT_AFTER:
		take_after(s, p);
		break;
	default: /* EXPECT_END; those within a token do not come here */
		fail(s, "there is more after the value");
	}
}

static const uint8_t *take(struct rpc_stream *s, const uint8_t *p, const uint8_t *end)
{
	switch ((int)s->expect) {
	case IN_STRING:
		return take_string(s, p, end);
	case IN_NUMBER:
		return take_number(s, p, end);
	case IN_ESCAPE:
		take_escape(s, p);
		break;
	case IN_HEX:
		take_hex(s, p);
		break;
	case IN_CHAR:
		take_char(s, p);
		break;
	case IN_WORD:
		take_word(s, p);
		break;
	default:
		if (!is_space(*p))
			take_between(s, p);
	}
	return p + 1;
}

/* Whether nothing is to be noted of the members at p: neither of the answer nor of its error. */
static inline bool is_deep_in_object(const struct rpc_stream *s)
{
	return s->expect == EXPECT_AFTER && s->depth > 2 && in_object(s);
}

static bool verdict(const struct rpc_stream *s, struct err *err)
{
	return !s->why ||
	       err_set(err, ERR_UPSTREAM, "the backend's answer is not valid: %s", s->why);
}

bool rpc_stream_feed(struct rpc_stream *s, struct view bytes, struct err *err)
{
	const uint8_t *p = bytes.p, *end = bytes.n > 0 ? bytes.p + bytes.n : bytes.p;

	s->from = p;
	while (p < end && !s->why) {
		if (is_deep_in_object(s))
			p = scan_plain_members(p, end);
		if (p < end)
			p = take(s, p, end);
	}
	s->bytes += bytes.n;
	return verdict(s, err);
}

bool rpc_stream_end(struct rpc_stream *s, struct err *err)
{
	if (s->expect != EXPECT_END)
		fail(s, "the body ends too early");
	if (!s->has_id)
		fail(s, "it has no id");
	if (s->has_result == s->has_error)
		fail(s, "it has not exactly one of result and error");
	if (s->has_error && !s->code_known)
		fail(s, "its error has no integer code");
	return verdict(s, err);
}
