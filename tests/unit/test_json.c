/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "chains/json.h"

#define assert_view(v, text) assert_true(view_eq((v), VIEW_STR(text)))

static struct json_walk walk_of(const char *text)
{
	return json_walk_of(VIEW_STR(text));
}

static void members_and_elements_come_in_order(void **state)
{
	struct json_walk walk = walk_of(" { \"a\" : [1, [] , {\"]\":\"}\\\"]\"}] ,\"b\":null} ");
	struct view name;

	assert_int_equal(json_walk_peek(&walk), '{');
	assert_true(json_walk_enter(&walk, '{'));
	assert_true(json_walk_member(&walk, &name));
	assert_view(name, "a");
	assert_true(json_walk_enter(&walk, '['));
	assert_true(json_walk_element(&walk));
	assert_view(json_walk_value(&walk), "1");
	assert_true(json_walk_element(&walk));
	assert_view(json_walk_value(&walk), "[]");
	assert_true(json_walk_element(&walk));
	assert_view(json_walk_value(&walk), "{\"]\":\"}\\\"]\"}");
	assert_false(json_walk_element(&walk));
	assert_true(json_walk_member(&walk, &name));
	assert_view(name, "b");
	assert_view(json_walk_value(&walk), "null");
	assert_false(json_walk_member(&walk, &name));
	assert_false(walk.bad);
	assert_int_equal(json_walk_peek(&walk), 0);
}

static void what_is_not_there_is_bad_and_stays_bad(void **state)
{
	static const char *const texts[] = {"",	      "[",	    "{",	 "{\"a",
					    "{\"a\"", "{\"a\":",    "{a:1}",	 "{\"a\\",
					    "[\"\\",  "[{\"a\":1]", "{\"a\":,}", "[\"]"};
	struct view name, value;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct json_walk walk = walk_of(texts[i]);

		if (*texts[i] == '{') {
			assert_true(json_walk_enter(&walk, '{'));
			while (json_walk_member(&walk, &name))
				value = json_walk_value(&walk);
		} else {
			(void)json_walk_enter(&walk, '[');
			while (json_walk_element(&walk))
				value = json_walk_value(&walk);
		}
		assert_true(walk.bad);
		value = json_walk_value(&walk);
		assert_null(value.p);
		assert_true(walk.bad);
	}
}

static void wanted_members_are_found_in_any_order(void **state)
{
	static const char *const list[] = {"hash", "number", "to"};
	struct json_walk walk = walk_of("[{\"to\":null,\"x\":[1],\"hash\":\"0x1\"},"
					"{\"to\":1,\"hash\":2,\"number\":3},{}]");
	struct json_names names;
	struct view values[3];

	json_names_init(&names, list, ARRAY_SIZE(list));
	assert_true(json_walk_enter(&walk, '['));
	assert_true(json_walk_element(&walk));
	assert_int_equal(json_walk_members(&walk, &names, values), JSON_MEMBERS);
	assert_view(values[0], "\"0x1\"");
	assert_null(values[1].p);
	assert_view(values[2], "null");
	assert_int_equal(names.others, 1);
	assert_true(json_walk_element(&walk));
	assert_int_equal(json_walk_members(&walk, &names, values), JSON_MEMBERS);
	assert_view(values[0], "2");
	assert_view(values[1], "3");
	assert_view(values[2], "1");
	assert_true(json_walk_element(&walk));
	assert_int_equal(json_walk_members(&walk, &names, values), JSON_MEMBERS);
	assert_null(values[2].p);
	assert_int_equal(names.others, 0);
	assert_false(json_walk_element(&walk));
}

static void objects_that_readers_understand_differently_are_ambiguous(void **state)
{
	static const char *const list[] = {"hash", "number"};
	static const struct {
		const char *text;
		enum json_members found;
	} cases[] = {
		{"{\"hash\":1,\"x\":1,\"x\":2}", JSON_MEMBERS},
		{"{\"hash\":1,\"hash\":1}", JSON_MEMBERS_AMBIGUOUS},
		{"{\"hash\":1,\"has\\u0068\":2}", JSON_MEMBERS_AMBIGUOUS},
		{"[]", JSON_MEMBERS_NONE},
		{"{\"hash\":1", JSON_MEMBERS_NONE},
		{"", JSON_MEMBERS_NONE},
	};
	struct json_names names;
	struct view values[2];

	json_names_init(&names, list, ARRAY_SIZE(list));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct json_walk walk = walk_of(cases[i].text);

		assert_int_equal(json_walk_members(&walk, &names, values), cases[i].found);
	}
}

static void words_and_strings_are_told_apart(void **state)
{
	struct view text;
	bool yes = false;

	assert_true(json_token_is_null(VIEW_STR("null")));
	assert_false(json_token_is_null(VIEW_STR("\"null\"")));
	assert_true(json_token_bool(VIEW_STR("true"), &yes) && yes);
	assert_true(json_token_bool(VIEW_STR("false"), &yes) && !yes);
	assert_false(json_token_bool(VIEW_STR("0"), &yes));
	assert_true(json_token_text(VIEW_STR("\"latest\""), &text));
	assert_view(text, "latest");
	assert_true(json_token_text(VIEW_STR("\"\""), &text));
	assert_int_equal(text.n, 0);
	assert_false(json_token_text(VIEW_STR("\"\\u0061\""), &text));
	assert_false(json_token_text(VIEW_STR("1"), &text));
	assert_false(json_token_text((struct view){0}, &text));
}

static void data_has_two_digits_a_byte(void **state)
{
	uint8_t b[16];
	size_t n = 99;

	assert_true(json_token_hex(VIEW_STR("\"0xaBcD01\""), b, 3));
	assert_memory_equal(b, "\xab\xcd\x01", 3);
	assert_false(json_token_hex(VIEW_STR("\"0xabcd01\""), b, 2));
	assert_false(json_token_hex(VIEW_STR("\"0xabcd01\""), b, 4));
	assert_false(json_token_hex(VIEW_STR("\"abcd01\""), b, 3));
	assert_false(json_token_hex(VIEW_STR("\"0Xabcd\""), b, 2));
	assert_true(json_token_data(VIEW_STR("\"0x\""), b, &n));
	assert_int_equal(n, 0);
	assert_true(json_token_data(VIEW_STR("\"0x00112233445566778899aabbccddeeff\""), b, &n));
	assert_int_equal(n, 16);
	assert_memory_equal(b, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
			    16);
	assert_false(json_token_data(VIEW_STR("\"0x123\""), b, &n));
	assert_false(json_token_data(VIEW_STR("\"0x1\\u0032\""), b, &n));
	assert_false(json_token_data(VIEW_STR("\""), b, &n));
}

static void quantities_are_strict_or_lenient(void **state)
{
	static const struct {
		const char *token;
		bool strict, lenient;
		uint64_t value;
	} cases[] = {
		{"\"0x0\"", true, true, 0},
		{"\"0x41\"", true, true, 65},
		{"\"0xfFfFfFfFfFfFfFfF\"", true, true, UINT64_MAX},
		{"\"0x\"", false, true, 0},
		{"\"0x00\"", false, true, 0},
		{"\"0x0000000000000000000000041\"", false, true, 65},
		{"\"0x10000000000000000\"", false, false, 0},
		{"\"0xg\"", false, false, 0},
		{"\"41\"", false, false, 0},
		{"41", false, false, 0},
		{"null", false, false, 0},
	};
	uint8_t wide[32];
	uint64_t v;
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct view token = VIEW_STR(cases[i].token);

		v = 1;
		assert_int_equal(json_token_u64(token, JSON_STRICT, &v), cases[i].strict);
		assert_true(!cases[i].strict || v == cases[i].value);
		assert_int_equal(json_token_u64(token, JSON_LENIENT, &v), cases[i].lenient);
		assert_true(!cases[i].lenient || v == cases[i].value);
	}
	assert_true(json_token_number(VIEW_STR("\"0x0\""), JSON_STRICT, wide, &n));
	assert_int_equal(n, 0);
	assert_true(json_token_number(VIEW_STR("\"0x10000000000000000\""), JSON_STRICT, wide, &n));
	assert_int_equal(n, 9);
	assert_memory_equal(wide, "\1\0\0\0\0\0\0\0\0", n);
	assert_false(json_token_number(VIEW_STR("\"0x1000000000000000000000000000000000000000000000"
						"0000000000000000000\""),
				       JSON_STRICT, wide, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_and_elements_come_in_order),
		cmocka_unit_test(what_is_not_there_is_bad_and_stays_bad),
		cmocka_unit_test(wanted_members_are_found_in_any_order),
		cmocka_unit_test(objects_that_readers_understand_differently_are_ambiguous),
		cmocka_unit_test(words_and_strings_are_told_apart),
		cmocka_unit_test(data_has_two_digits_a_byte),
		cmocka_unit_test(quantities_are_strict_or_lenient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
