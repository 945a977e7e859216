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

/* The start of a text in lower case (ASCII). */
struct folded {
	size_t n;
	uint8_t p[CHAIN_ERROR_TEXT_MAX];
};

static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static void fold_text(struct view text, struct folded *ret)
{
	ret->n = MIN(text.n, sizeof(ret->p));
	for (size_t i = 0; i < ret->n; i++)
		ret->p[i] = fold(text.p[i]);
}

/* Whether the pieces of a phrase, which stand between its asterisks, are in the text in this order.
 */
static bool folded_has(const struct folded *text, const char *phrase)
{
	const uint8_t *p = text->p, *end = text->p + text->n;

	while (*phrase) {
		size_t n = strcspn(phrase, "*");
		const uint8_t *found = memmem(p, (size_t)(end - p), phrase, n);

		if (!found)
			return false;
		p = found + n;
		phrase += n + (phrase[n] == '*');
	}
	return true;
}

/* `phrase` is in lower case; text in any, and all of it is searched. */
static bool text_has(struct view text, const char *phrase)
{
	size_t n = strlen(phrase);

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
static bool is_execution(const struct family *family, int64_t code, struct view message,
			 struct view data)
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

	if (is_execution(family, code, message, data))
		return CHAIN_ERROR_EXECUTION;
	fold_text(message, &m);
	fold_text(data, &d);
	/* Words first: they say more than codes, which backends use as they like. */
	for (size_t i = 0; i < family->error_count; i++) {
		const struct chain_error_row *row = &family->errors[i];

		if (row->phrase && (folded_has(&m, row->phrase) || folded_has(&d, row->phrase)))
			return row->error;
	}
	for (size_t i = 0; i < family->error_count; i++) {
		if (!family->errors[i].phrase && family->errors[i].code == code)
			return family->errors[i].error;
	}
	return CHAIN_ERROR_SERVER;
}
