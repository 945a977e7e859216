/* SPDX-License-Identifier: Apache-2.0
 * Recordings and scripts of faults as files (docs/simulator.md). */
#include <string.h>

#include "relay/base/mem.h"
#include "relay/sim/faults.h"
#include "relay/sim/recording.h"
#include "tests/unit/unit.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HEAD                                                                                       \
	"counterfoil-recording 1\ngateway " KEY "\nseed " KEY "\nregistry-key " KEY                \
	"\nclock 5000000 1700000000000\nconfig 0\n\nview 2\n{}\n"

static bool reads(const char *text, struct recording *ret, struct err *err)
{
	return recording_read(VIEW_STR(text), ret, err);
}

static void refuses(const char *text, const char *why)
{
	struct recording r;
	struct err err;

	assert_false(reads(text, &r, &err));
	assert_int_equal(err.code, ERR_FORMAT);
	assert_non_null(strstr(err.msg, why));
}

static void entries_have_their_fields_and_times(void **state)
{
	struct recording r;
	struct err err;

	assert_true(reads(HEAD "tick 25000 -3\nsent 1 7 " KEY " eth_call 00ff\n"
			       "leaf 26000 24 1 7 1 200 1 3\na\nb\nend 27000 25\n",
			  &r, &err));
	assert_int_equal(r.n, 10);
	assert_int_equal(r.mono_us, 5000000);
	assert_int_equal(r.wall_ms, 1700000000000);
	assert_int_equal(r.gateway.b[1], 0x11);
	assert_int_equal(r.entries[6].wall_ms, -3);
	assert_int_equal(r.entries[7].kind, ENTRY_SENT);
	assert_int_equal(r.entries[7].at_us, 25000);
	assert_true(view_eq(r.entries[7].word[3], VIEW_STR("eth_call")));
	assert_int_equal(r.entries[8].number[1], 7);
	assert_true(view_eq(r.entries[8].payload, VIEW_STR("a\nb")));
	assert_true(r.ended);
	recording_finish(&r);
}

static void what_was_read_of_the_world_is_an_entry(void **state)
{
	struct recording r;
	struct err err;

	assert_true(reads(HEAD "account 1 1 eth " KEY "\ntick 2 2\nowed 65\n" KEY
			       "\n\nfull\nnoroom " KEY " unpaid\nstalled 7\n"
			       "committed 3 3 1 2 ledger 4\ndisk\n",
			  &r, &err));
	assert_int_equal(r.n, 13);
	assert_int_equal(r.entries[6].kind, ENTRY_ACCOUNT);
	assert_true(r.entries[6].kind < ENTRY_INPUTS);
	assert_int_equal(r.entries[8].payload.n, 65);
	assert_int_equal(r.entries[9].kind, ENTRY_FULL);
	assert_true(view_eq(r.entries[10].word[1], VIEW_STR("unpaid")));
	assert_int_equal(r.entries[11].number[0], 7);
	assert_true(view_eq(r.entries[12].payload, VIEW_STR("disk")));
	recording_finish(&r);
}

static void one_that_breaks_off_ends_before_that(void **state)
{
	struct recording r;
	struct err err;

	assert_true(reads(HEAD "tick 25000 25\nleaf 26000 24 1 7 1 200 1 30\nabc", &r, &err));
	assert_int_equal(r.n, 7);
	assert_false(r.ended);
	recording_finish(&r);
	assert_true(reads(HEAD "tick 25000 25\ntick 300", &r, &err));
	assert_int_equal(r.n, 7);
	recording_finish(&r);
}

static void what_is_none_is_refused_with_its_entry(void **state)
{
	refuses("", "not a recording");
	refuses("counterfoil-recording 2\n", "not a recording");
	refuses("counterfoil-recording 1\ntick 1 1\n", "there is no gateway");
	refuses(HEAD "tock 1 1\n", "entry 7: \"tock 1 1\" is no entry");
	refuses(HEAD "tick 1\n", "is no entry");
	refuses(HEAD "tick 1 1 1\n", "is no entry");
	refuses(HEAD "tick 9223372036854775808 1\n", "is no entry");
	refuses(HEAD "tick 5 5\ntick 4 4\n", "time goes backwards");
	refuses(HEAD "end 1 1\ntick 2 2\n", "after the end");
	refuses(HEAD "seed " KEY "\n", "a second head");
	refuses(HEAD "down 1 1 1 0 - 1\nab\n", "longer than it says");
}

static void a_script_says_who_does_what_and_when(void **state)
{
	const char *script = "# a comment\n\n2s 3s @2 silent\n0s - 0011 late 300ms\n"
			     "1s 2s * error overload\n4s - * lie";
	struct key_id zero = {{0}}, key = {{0x00, 0x11}};
	struct faults faults = {0};
	struct err err;

	assert_true(faults_read(VIEW_STR(script), &faults, &err));
	assert_int_equal(faults.n, 4);
	assert_null(faults_find(&faults, 0, 2, &zero));
	assert_int_equal(faults_find(&faults, 2000000, 2, &zero)->kind, FAULT_SILENT);
	assert_null(faults_find(&faults, 3000000, 2, &zero));
	assert_int_equal(faults_find(&faults, 1000000, 2, &zero)->error, ERR_OVERLOAD);
	assert_int_equal(faults_find(&faults, 1000000, 1, &key)->late_us, 300000);
	assert_int_equal(faults_find(&faults, INT64_MAX - 1, 1, &zero)->kind, FAULT_LIE);
	faults_finish(&faults);
}

static void a_script_that_is_none_is_refused_with_its_line(void **state)
{
	static const char *const bad[] = {"1s",
					  "1 2s * lie",
					  "1s 2s * explode",
					  "1s 2s @x lie",
					  "1s 2s A0 lie",
					  "1s 2s * late",
					  "1s 2s * error nothing",
					  "1s 2s * lie lie",
					  "1s 2s * error overload overload"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *text = xasprintf("# first\n%s\n", bad[i]);
		struct faults faults = {0};
		struct err err;

		assert_false(faults_read(VIEW_STR(text), &faults, &err));
		assert_memory_equal(err.msg, "line 2", 6);
		faults_finish(&faults);
		free(text);
	}
}

static void a_lie_is_another_digit_of_the_result(void **state)
{
	struct buf body = {0};

	buf_put_str(&body, "{\"id\":\"0x1\",\"result\":{\"hash\":\"0xab\",\"x\":\"0x1\"}}");
	fault_lie(&body);
	assert_string_equal(buf_cstr(&body),
			    "{\"id\":\"0x1\",\"result\":{\"hash\":\"0xa1\",\"x\":\"0x1\"}}");
	body.n = 0;
	buf_put_str(&body, "{\"id\":\"0x1\",\"result\":null}");
	fault_lie(&body);
	assert_string_equal(buf_cstr(&body), "{\"id\":\"0x1\",\"result\":null}");
	buf_finish(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_have_their_fields_and_times),
		cmocka_unit_test(what_was_read_of_the_world_is_an_entry),
		cmocka_unit_test(one_that_breaks_off_ends_before_that),
		cmocka_unit_test(what_is_none_is_refused_with_its_entry),
		cmocka_unit_test(a_script_says_who_does_what_and_when),
		cmocka_unit_test(a_script_that_is_none_is_refused_with_its_line),
		cmocka_unit_test(a_lie_is_another_digit_of_the_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
