/* SPDX-License-Identifier: Apache-2.0
 * Errors as vendors word them, with where each text was seen: an issue, a vendor's page, or the
 * code that writes it. */
#include "tests/unit/unit.h"

#include <inttypes.h>

#include "chains/chain.h"

struct wording {
	const char *where;
	enum chain_error want;
	int64_t code;
	const char *message;
	const char *data; /* as written; NULL: none */
};

#define W(seen, class, number, words) {seen, CHAIN_ERROR_##class, number, words, NULL},
#define D(seen, class, number, words, value) {seen, CHAIN_ERROR_##class, number, words, value},
static const struct wording wordings[] = {
#include "tests/unit/chain_errors.def"
};
#undef W
#undef D

static const struct chain *evm(void)
{
	return chain_find("evm");
}

static enum chain_error class_of(const struct wording *w)
{
	return chain_error_class(evm(), w->code, VIEW_STR(w->message),
				 w->data ? VIEW_STR(w->data) : VIEW(NULL, 0));
}

/* [R9] */
static void every_vendors_words_have_their_class(void **state)
{
	size_t wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(wordings); i++) {
		enum chain_error got = class_of(&wordings[i]);

		if (got == wordings[i].want)
			continue;
		print_message("# %s: %" PRId64 " %s: %s, not %s\n", wordings[i].where,
			      wordings[i].code, wordings[i].message, chain_error_info(got)->name,
			      chain_error_info(wordings[i].want)->name);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void every_class_is_in_somebodys_words(void **state)
{
	bool seen[CHAIN_ERROR_COUNT] = {false};

	for (size_t i = 0; i < ARRAY_SIZE(wordings); i++)
		seen[wordings[i].want] = true;
	for (size_t i = 0; i < CHAIN_ERROR_COUNT; i++)
		assert_true(seen[i]);
}

static void the_case_of_words_does_not_matter(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(wordings); i++) {
		char upper[1024], *p = upper;
		struct wording w = wordings[i];

		for (const char *q = w.message; *q; q++)
			*p++ = (char)(*q >= 'a' && *q <= 'z' ? *q - 0x20 : *q);
		*p = '\0';
		w.message = upper;
		assert_int_equal(class_of(&w), w.want);
	}
}

/* A gateway cannot be made to search long: what is said must be said early.  [R9] alone is not
 * bounded, for both sides must agree on it. */
static void only_the_start_of_a_text_is_searched(void **state)
{
	static char text[CHAIN_ERROR_TEXT_MAX + 64];
	size_t at = CHAIN_ERROR_TEXT_MAX - 16; /* of "header not found" */

	memset(text, '.', sizeof(text) - 1);
	memcpy(text + at, "header not found", 16);
	assert_int_equal(chain_error_class(evm(), 0, VIEW_STR(text), VIEW(NULL, 0)),
			 CHAIN_ERROR_MISSING);
	assert_int_equal(chain_error_class(evm(), 0, VIEW(NULL, 0), VIEW_STR(text)),
			 CHAIN_ERROR_MISSING);
	memset(text, '.', sizeof(text) - 1);
	memcpy(text + at + 1, "header not found", 16);
	assert_int_equal(chain_error_class(evm(), 0, VIEW_STR(text), VIEW(NULL, 0)),
			 CHAIN_ERROR_SERVER);
	memcpy(text + at + 1, "out of gas", 10);
	memcpy(text + at + 11, "      ", 6);
	assert_int_equal(chain_error_class(evm(), 0, VIEW_STR(text), VIEW(NULL, 0)),
			 CHAIN_ERROR_EXECUTION);
}

static void classes_say_what_may_be_done(void **state)
{
	for (enum chain_error e = 0; e < CHAIN_ERROR_COUNT; e++) {
		const struct chain_error_info *info = chain_error_info(e);

		assert_true(info->name[0] >= 'a' && info->name[0] <= 'z');
		assert_true(strlen(info->text) > 0);
		/* An answer is nobody's fault and is not asked for again. */
		if (info->next == CHAIN_NEXT_ANSWER) {
			assert_false(info->again || info->divide);
			assert_int_equal(info->blame, CHAIN_BLAME_NONE);
		}
		for (enum chain_error f = 0; f < e; f++)
			assert_string_not_equal(info->name, chain_error_info(f)->name);
	}
	assert_int_equal(chain_error_info(CHAIN_ERROR_EXECUTION)->next, CHAIN_NEXT_ANSWER);
	assert_int_equal(chain_error_info(CHAIN_ERROR_CLIENT)->next, CHAIN_NEXT_OPINION);
	assert_int_equal(chain_error_info(CHAIN_ERROR_SUSPECT)->next, CHAIN_NEXT_OTHERS);
	assert_true(chain_error_info(CHAIN_ERROR_TOO_LARGE)->divide);
	assert_int_equal(chain_error_info(CHAIN_ERROR_RATE)->blame, CHAIN_BLAME_THROTTLE);
	assert_int_equal(chain_error_info(CHAIN_ERROR_MISSING)->blame, CHAIN_BLAME_NONE);
}

static void how_many_blocks_are_taken_is_read_from_words(void **state)
{
	static const struct {
		uint64_t want; /* 0: it does not say */
		const char *text;
	} cases[] = {
		{10000, "range 1000000 exceeds limit of 10000"},
		{856272,
		 "Log response size exceeded. You can make eth_getLogs requests with up to a "
		 "2K block range and no limit on the response size, or you can request any "
		 "block range with a cap of 10K logs in the response. Based on your "
		 "parameters and the response size limit, this block range should work: "
		 "[0x0, 0xd10cf]"},
		{500, "You can make eth_getLogs requests with up to a 500 block range."},
		{2000, "eth_getLogs requests with up to a 2K block range"},
		{10000, "eth_getLogs is limited to a 10,000 range"},
		{1024, "eth_getLogs is limited to 1024 block range. Please check"},
		{10000, "ranges over 10000 blocks are not supported on free plan"},
		{2000, "range 9009594 is bigger than range limit 2000"},
		{50000, "exceed maximum block range: 50000"},
		{100000, "query exceeds max block range 100000"},
		{411, "query exceeds max results 20000, retry with the range 22382105-22382515"},
		{29748,
		 "Query returned more than 10000 results. Try with this block range [0x118dc91, "
		 "0x11950c4]."},
		{800, "Max range: 800"},
		{1000, "Maximum allowed number of requested blocks is 1000"},
		{2048, "requested too many blocks from 0 to 5000, maximum is set to 2048"},
		{1024, "block range is too wide (maximum 1024)"},
		{10000, "eth_getLogs range is too large, max is 10k blocks"},
		{1000, "please limit the query to at most 1000 blocks"},
		{1024, "query must be smaller than size 1024"},
		{10000, "maximum [from, to] blocks distance: 10000"},
		{1000, "block range exceeds 1000"},
		{500, "block range greater than 500 max"},
		{10000, "logs are limited to a 10000 block range"},
		{0, "query returned more than 10000 results"},
		{0, "logs matched by query exceeds limit of 10000"},
		{0, "block range is too wide"},
		{50000, "maximum block range: 50_000"},
		{1000, "max block range 0x3e8"},
		{171, "max block range 0xab"},
		{5, "max block range 5,b"},
		{5, "max block range 5,"},
		{0, "max block range 500000000000000000k"},
		{0, "max block range 0x"},
		{0, "eth_getLogs is limited to a 10"},
		{0, "eth_getLogs is limited to a 10x"},
		{1, "max block range 1"},
		{123, "max block range 0123"},
		{2, "this block range should work: [5, 6]"},
		{1002, "this block range should work: [1,005, 2,006]"},
		{0, "this block range should work: [5,6]"},
		{0, "max block range "},
		{0, "max block range 0"},
		{0, "max block range ,5"},
		{0, "max block range 99999999999999999999"},
		{0, "retry with the range 5-4"},
		{1, "retry with the range 5-5"},
		{0, "retry with the range 5-"},
		{0, "this block range should work: [0x, 0x1]"},
		{0, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct view text = VIEW_STR(cases[i].text), none = {0};
		uint64_t blocks = 0, in_data = 0;
		enum chain_blocks_told told = chain_error_blocks(evm(), text, none, &blocks);
		bool offer = strstr(cases[i].text, "should work") ||
			     strstr(cases[i].text, "with this block range [") ||
			     strstr(cases[i].text, "retry with the range");

		if (told != (cases[i].want == 0 ? CHAIN_BLOCKS_NONE
			     : offer		? CHAIN_BLOCKS_OFFER
						: CHAIN_BLOCKS_LIMIT) ||
		    blocks != cases[i].want) {
			print_message("# %s\n", cases[i].text);
			fail();
		}
		assert_int_equal(chain_error_blocks(evm(), none, text, &in_data), told);
		assert_int_equal(in_data, blocks);
	}
}

/* Phrases are looked for by their first three letters. */
static void every_phrase_begins_with_three_letters_of_text(void **state)
{
	static const char *const phrases[] = {
#define RAN_CODE(code)
#define RAN_TEXT(phrase) phrase,
#define RAN_DATA(phrase) phrase,
#define TEXT(phrase, class) phrase,
#define CODE(code, class)
#define BLOCKS(phrase) phrase,
#include "chains/methods/evm_errors.def"
	};

	for (size_t i = 0; i < ARRAY_SIZE(phrases); i++) {
		assert_true(strcspn(phrases[i], "*") >= 3);
		assert_true(strcspn(phrases[i], "#") >= 3);
		for (const char *p = phrases[i]; *p; p++)
			assert_false(*p >= 'A' && *p <= 'Z');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vendors_words_have_their_class),
		cmocka_unit_test(every_class_is_in_somebodys_words),
		cmocka_unit_test(the_case_of_words_does_not_matter),
		cmocka_unit_test(only_the_start_of_a_text_is_searched),
		cmocka_unit_test(classes_say_what_may_be_done),
		cmocka_unit_test(how_many_blocks_are_taken_is_read_from_words),
		cmocka_unit_test(every_phrase_begins_with_three_letters_of_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
