/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/cli/cli.h"

static const struct verb verb = {.name = "test", .usage = "", .summary = "", .help = ""};

#define WORDS(...) ((char **)(const char *[]){"test", __VA_ARGS__, NULL})

static int words(char **argv)
{
	int n = 0;

	while (argv[n] != NULL)
		n++;
	return n;
}

static void options_and_operands_come_in_any_order(void **state)
{
	struct cli_option o[] = {
		{.name = "to"}, {.name = "quick", .is_flag = true}, {.name = "no"}};
	char **argv = WORDS("a", "--to", "x", "b", "--quick");
	int n;

	assert_true(cli_options(&verb, words(argv), argv, o, 3, false, &n));
	assert_int_equal(n, 2);
	assert_string_equal(argv[1], "a");
	assert_string_equal(argv[2], "b");
	assert_string_equal(o[0].value, "x");
	assert_string_equal(o[1].value, "");
	assert_null(o[2].value);
}

static void a_value_may_follow_an_equals_sign_and_be_empty(void **state)
{
	struct cli_option o[] = {{.name = "to"}};
	char **argv = WORDS("--to=a=b"), **empty = WORDS("--to=");
	int n;

	assert_true(cli_options(&verb, words(argv), argv, o, 1, false, &n));
	assert_string_equal(o[0].value, "a=b");
	o[0].value = NULL;
	assert_true(cli_options(&verb, words(empty), empty, o, 1, false, &n));
	assert_string_equal(o[0].value, "");
}

static void two_dashes_end_the_options(void **state)
{
	struct cli_option o[] = {{.name = "to"}};
	char **argv = WORDS("--", "--to", "x");
	int n;

	assert_true(cli_options(&verb, words(argv), argv, o, 1, false, &n));
	assert_int_equal(n, 2);
	assert_string_equal(argv[1], "--to");
	assert_null(o[0].value);
}

static void wrong_options_are_refused(void **state)
{
	char **bad[] = {WORDS("--too", "x"), WORDS("--to"), WORDS("--to", "1", "--to", "2"),
			WORDS("--quick=yes")};
	int n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cli_option o[] = {{.name = "to"}, {.name = "quick", .is_flag = true}};

		assert_false(cli_options(&verb, words(bad[i]), bad[i], o, 2, false, &n));
	}
}

static void an_option_that_repeats_keeps_all_its_values(void **state)
{
	const char *values[8];
	struct cli_option o[] = {{.name = "to", .repeats = true, .values = values}};
	char **argv = WORDS("--to", "1", "--to=2");
	int n;

	assert_true(cli_options(&verb, words(argv), argv, o, 1, false, &n));
	assert_int_equal(o[0].values_n, 2);
	assert_string_equal(values[0], "1");
	assert_string_equal(values[1], "2");
}

static void options_of_the_configuration_are_left_in_place(void **state)
{
	struct cli_option o[] = {{.name = "to"}};
	char **argv = WORDS("f.yaml", "--gateway.listen", "a:1", "--to", "x", "--log.level=info");
	int n;

	assert_true(cli_options(&verb, words(argv), argv, o, 1, true, &n));
	assert_int_equal(n, 4);
	assert_string_equal(argv[1], "f.yaml");
	assert_string_equal(argv[2], "--gateway.listen");
	assert_string_equal(argv[3], "a:1");
	assert_string_equal(argv[4], "--log.level=info");
	assert_string_equal(o[0].value, "x");
}

static int seen;

static int act(const struct verb *v, int argc, char **argv)
{
	seen = argc;
	assert_string_equal(argv[0], "make");
	return 7;
}

static void actions_are_dispatched_by_name(void **state)
{
	static const struct cli_action actions[] = {{"make", act}};
	char **argv = WORDS("make", "x"), **other = WORDS("mkae");

	assert_int_equal(cli_dispatch(&verb, actions, 1, words(argv), argv), 7);
	assert_int_equal(seen, 2);
	assert_int_equal(cli_dispatch(&verb, actions, 1, words(other), other), CLI_USAGE);
	assert_int_equal(cli_dispatch(&verb, actions, 1, 1, argv), CLI_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_operands_come_in_any_order),
		cmocka_unit_test(a_value_may_follow_an_equals_sign_and_be_empty),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(an_option_that_repeats_keeps_all_its_values),
		cmocka_unit_test(options_of_the_configuration_are_left_in_place),
		cmocka_unit_test(actions_are_dispatched_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
