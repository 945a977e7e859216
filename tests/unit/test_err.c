/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/err.h"

static void set_returns_false_and_keeps_code_and_text(void **state)
{
	struct err err;

	assert_false(err_set(&err, ERR_LEDGER, "commit: %s", "disk full"));
	assert_int_equal(err.code, ERR_LEDGER);
	assert_string_equal(err.msg, "commit: disk full");
}

static void prefix_stands_before_the_message(void **state)
{
	struct err err;

	err_set(&err, ERR_IO, "no such file");
	assert_false(err_prefix(&err, "key %d", 7));
	assert_string_equal(err.msg, "key 7: no such file");
	assert_int_equal(err.code, ERR_IO);
}

static void long_messages_are_cut(void **state)
{
	char text[400];
	struct err err;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, ERR_IO, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	err_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
}

static void wire_codes_are_unique_and_come_back(void **state)
{
	for (int i = 1; i < ERR_COUNT; i++) {
		const struct err_info *info = err_info((enum err_code)i);

		assert_true(info->text[0] != '\0');
		if (info->wire)
			assert_int_equal(err_from_wire(info->wire), i);
	}
	assert_int_equal(err_from_wire(0), ERR_INTERNAL);
	assert_int_equal(err_from_wire(9999), ERR_INTERNAL);
}

static void names_are_lower_case(void **state)
{
	assert_string_equal(err_info(ERR_BODY_TOO_LARGE)->name, "body_too_large");
	assert_string_equal(err_info(ERR_NONE)->name, "internal");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_returns_false_and_keeps_code_and_text),
		cmocka_unit_test(prefix_stands_before_the_message),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(wire_codes_are_unique_and_come_back),
		cmocka_unit_test(names_are_lower_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
