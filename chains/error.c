/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/error.h"

#include <assert.h>

#include "chains/family.h"

static const struct chain_error_info infos[CHAIN_ERROR_COUNT] = {
#define CLASS(class_name, word, then, same, smaller, fault, what)                                  \
	[CHAIN_ERROR_##class_name] = {.name = (word),                                              \
				      .next = CHAIN_NEXT_##then,                                   \
				      .again = (same),                                             \
				      .divide = (smaller),                                         \
				      .blame = CHAIN_BLAME_##fault,                                \
				      .text = (what)},
#include "chains/errors.def"
#undef CLASS
};

const struct chain_error_info *chain_error_info(enum chain_error error)
{
	assert(error < CHAIN_ERROR_COUNT);
	return &infos[error];
}

#define GRAM 3		/* letters */
#define GRAM_BITS 16384 /* so that of a usual text few places are taken */

/* A text, its start in lower case (ASCII), and which three letters may stand in all of it: most
 * phrases are ruled out by their first three. */
struct folded {
	struct view text;
	size_t n;
	uint8_t p[CHAIN_ERROR_TEXT_MAX];
	uint64_t grams[GRAM_BITS / 64];
};

static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* `gram`: the last three letters, in lower case. */
static uint32_t gram_place(uint32_t gram)
{
	return ((gram & 0xFFFFFF) * 2654435761u) >> 18;
}

static void fold_text(struct view text, struct folded *ret)
{
	uint32_t gram = 0, place;

	ret->text = text;
	ret->n = MIN(text.n, sizeof(ret->p));
	memset(ret->grams, 0, sizeof(ret->grams));
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = fold(text.p[i]);

		if (i < ret->n)
			ret->p[i] = c;
		gram = gram << 8 | c;
		place = gram_place(gram);
		ret->grams[place / 64] |= 1ull << place % 64;
	}
}

/* False: the phrase is not in the text. */
static bool may_have(const struct folded *text, const char *phrase)
{
	uint32_t gram = 0, place;

	for (size_t i = 0; i < GRAM; i++)
		gram = gram << 8 | (uint8_t)phrase[i];
	place = gram_place(gram);
	return text->grams[place / 64] >> place % 64 & 1;
}

/* Behind the first n letters of a phrase, whose pieces, which stand between its asterisks, are in
 * the start of the text in this order; NULL when they are not. */
static const uint8_t *find_phrase(const struct folded *text, const char *phrase, size_t n)
{
	const uint8_t *p = text->p, *end = text->p + text->n;

	if (!may_have(text, phrase))
		return NULL;
	while (n > 0) {
		const char *star = memchr(phrase, '*', n);
		size_t piece = star ? (size_t)(star - phrase) : n;
		const uint8_t *found = memmem(p, (size_t)(end - p), phrase, piece);

		if (!found)
			return NULL;
		p = found + piece;
		piece += star != NULL;
		phrase += piece;
		n -= piece;
	}
	return p;
}

static bool start_has(const struct folded *text, const char *phrase)
{
	return find_phrase(text, phrase, strlen(phrase)) != NULL;
}

/* The same of a phrase without asterisks, in all of the text. */
static bool text_has(const struct folded *folded, const char *phrase)
{
	struct view text = folded->text;
	size_t n = strlen(phrase);

	if (!may_have(folded, phrase))
		return false;
	for (size_t i = 0; i + n <= text.n; i++) {
		size_t k = 0;

		while (k < n && fold(text.p[i + k]) == (uint8_t)phrase[k])
			k++;
		if (k == n)
			return true;
	}
	return false;
}

/* [R9]: gateway and node must agree, so all of the texts is searched, whatever their length. */
static bool is_execution(const struct family *family, int64_t code, const struct folded *message,
			 const struct folded *data)
{
	for (size_t i = 0; i < family->execution_count; i++) {
		const struct chain_execution *row = &family->executions[i];

		if (row->phrase ? text_has(row->in_data ? data : message, row->phrase)
				: row->code == code)
			return true;
	}
	return false;
}

enum chain_error chain_error_class(const struct chain *chain, int64_t code, struct view message,
				   struct view data)
{
	const struct family *family = chain_family_of(chain);
	struct folded m, d;

	fold_text(message, &m);
	fold_text(data, &d);
	if (is_execution(family, code, &m, &d))
		return CHAIN_ERROR_EXECUTION;
	/* Words first: they say more than codes, which backends use as they like. */
	for (size_t i = 0; i < family->error_count; i++) {
		const struct chain_error_row *row = &family->errors[i];

		if (row->phrase && (start_has(&m, row->phrase) || start_has(&d, row->phrase)))
			return row->error;
	}
	for (size_t i = 0; i < family->error_count; i++) {
		if (!family->errors[i].phrase && family->errors[i].code == code)
			return family->errors[i].error;
	}
	return CHAIN_ERROR_SERVER;
}

/* A number as messages have it: 0x5dc, 1500, 1,500, 1_500 or 2k.  *p is moved behind it. */
static bool read_number(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	const uint8_t *q = *p;
	uint64_t base = 10, v = 0;
	bool any = false;

	if (end - q > 2 && q[0] == '0' && q[1] == 'x') {
		base = 16;
		q += 2;
	}
	for (; q < end; q++) {
		uint64_t digit = *q >= '0' && *q <= '9'			? *q - (uint64_t)'0'
				 : *q >= 'a' && *q <= 'f' && base == 16 ? *q - (uint64_t)'a' + 10
									: 16;

		if ((*q == ',' || *q == '_') && any && base == 10 && end - q > 1 && q[1] >= '0' &&
		    q[1] <= '9')
			continue;
		if (digit == 16)
			break;
		if (v > UINT64_MAX / 32)
			return false;
		v = v * base + digit;
		any = true;
	}
	if (any && q < end && *q == 'k' && base == 10) {
		if (v > UINT64_MAX / 1000)
			return false;
		v *= 1000;
		q++;
	}
	*p = q;
	*ret = v;
	return any;
}

/* The blocks that a text allows in the words of one phrase. */
static enum chain_blocks_told read_blocks(const struct folded *text, const char *phrase,
					  uint64_t *ret)
{
	size_t head = strcspn(phrase, "#"), count = 0;
	const uint8_t *p = find_phrase(text, phrase, head), *end = text->p + text->n;
	uint64_t numbers[2] = {0};

	if (!p)
		return CHAIN_BLOCKS_NONE;
	for (const char *q = phrase + head; *q; q++) {
		if (*q == '#') {
			assert(count < ARRAY_SIZE(numbers));
			if (!read_number(&p, end, &numbers[count++]))
				return CHAIN_BLOCKS_NONE;
		} else if (p == end || *p++ != (uint8_t)*q) {
			return CHAIN_BLOCKS_NONE;
		}
	}
	if (count == 1 ? numbers[0] == 0 : numbers[1] < numbers[0])
		return CHAIN_BLOCKS_NONE;
	*ret = count == 1 ? numbers[0] : numbers[1] - numbers[0] + 1;
	return count == 1 ? CHAIN_BLOCKS_LIMIT : CHAIN_BLOCKS_OFFER;
}

enum chain_blocks_told chain_error_blocks(const struct chain *chain, struct view message,
					  struct view data, uint64_t *ret)
{
	enum chain_blocks_told told;
	const struct family *family = chain_family_of(chain);
	struct folded m, d;

	fold_text(message, &m);
	fold_text(data, &d);
	for (size_t i = 0; i < family->limit_count; i++) {
		told = read_blocks(&m, family->limits[i], ret);
		if (told == CHAIN_BLOCKS_NONE)
			told = read_blocks(&d, family->limits[i], ret);
		if (told != CHAIN_BLOCKS_NONE)
			return told;
	}
	return CHAIN_BLOCKS_NONE;
}
