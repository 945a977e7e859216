/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/base/bytes.h"
#include "relay/base/ids.h"

static void integers_are_big_endian_and_come_back(void **state) /* [B1] */
{
	CLEANUP(buf_finish) struct buf buf = {0};
	struct reader r;

	buf_put_u8(&buf, 1);
	buf_put_u16(&buf, 0x0203);
	buf_put_u32(&buf, 0x04050607);
	buf_put_u64(&buf, 0x08090a0b0c0d0e0f);
	buf_put_u128(&buf, (u128)1 << 127);
	assert_int_equal(buf.n, 31);
	for (uint8_t i = 0; i < 15; i++)
		assert_int_equal(buf.p[i], i + 1);
	r = reader_of(buf_view(&buf));
	assert_int_equal(read_u8(&r), 1);
	assert_int_equal(read_u16(&r), 0x0203);
	assert_int_equal(read_u32(&r), 0x04050607);
	assert_int_equal(read_u64(&r), 0x08090a0b0c0d0e0f);
	assert_true(read_u128(&r) == (u128)1 << 127);
	assert_true(reader_done(&r));
}

static void reading_past_the_end_stays_bad(void **state)
{
	struct reader r = reader_of(VIEW("abc", 3));

	assert_int_equal(read_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(read_u8(&r), 0);
	assert_int_equal(read_rest(&r).n, 0);
	assert_false(reader_done(&r));
}

static void short_strings_have_their_length_in_front(void **state) /* [B3] */
{
	CLEANUP(buf_finish) struct buf buf = {0};
	struct reader r;

	buf_put_short(&buf, "eth", 3);
	buf_put_short(&buf, "", 0);
	assert_int_equal(buf.n, 5);
	assert_memory_equal(buf.p, "\3eth\0", 5);
	r = reader_of(buf_view(&buf));
	assert_true(view_eq(read_short(&r), VIEW("eth", 3)));
	assert_int_equal(read_short(&r).n, 0);
	assert_true(reader_done(&r));
	r = reader_of(VIEW("\4eth", 4));
	assert_int_equal(read_short(&r).n, 0);
	assert_true(r.bad);
}

static void hex_is_strict(void **state) /* [B2] */
{
	uint8_t b[2];
	char text[5];

	assert_string_equal(hex_encode("\xab\x01", 2, text), "ab01");
	assert_true(hex_decode("ab01", 4, b, 2));
	assert_memory_equal(b, "\xab\x01", 2);
	assert_false(hex_decode("AB01", 4, b, 2));
	assert_false(hex_decode("ab0", 3, b, 2));
	assert_false(hex_decode("ab0g", 4, b, 2));
}

static void hex_of_either_case_is_read_in_long_runs(void **state)
{
	static const char digits[] = "00112233445566778899AaBbCcDdEeFf7f";
	uint8_t b[17], again[17];

	for (size_t n = 0; n <= 17; n++) {
		char text[35];

		memcpy(text, digits, sizeof(digits));
		assert_true(hex_decode_either(text, 2 * n, b, n));
		assert_false(hex_decode_either(text, 2 * n, b, n + 1));
		for (size_t i = 0; i < 2 * n; i++)
			text[i] |= 0x20;
		assert_true(hex_decode(text, 2 * n, again, n));
		assert_memory_equal(b, again, n);
		for (size_t i = 0; i < 2 * n; i++) {
			for (int c = 0; c < 256; c++) {
				bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
					     (c >= 'A' && c <= 'F');

				text[i] = (char)c;
				assert_int_equal(hex_decode_either(text, 2 * n, b, n), digit);
			}
			text[i] = digits[i];
		}
	}
}

static void base64_matches_rfc_4648(void **state)
{
	static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
	static const char *const coded[] = {"",		"Zg==",	    "Zm8=",    "Zm9v",
					    "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
	uint8_t back[8];
	char text[16];
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		assert_string_equal(base64_encode(plain[i], strlen(plain[i]), text), coded[i]);
		assert_true(base64_decode(coded[i], strlen(coded[i]), back, sizeof(back), &n));
		assert_int_equal(n, strlen(plain[i]));
		assert_memory_equal(back, plain[i], n);
	}
}

static void base64_refuses_what_is_not_canonical(void **state) /* [B2] */
{
	static const char *const bad[] = {
		"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm9v\n", "=Zm9"};
	uint8_t back[8];
	size_t n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(base64_decode(bad[i], strlen(bad[i]), back, sizeof(back), &n));
	assert_false(base64_decode("Zm9vYmFy", 8, back, 5, &n));
}

static void decimals_are_whole_and_in_range(void **state)
{
	char text[U128_TEXT_MAX];
	uint64_t v;
	u128 w;

	assert_true(u64_parse("18446744073709551615", 20, &v) && v == UINT64_MAX);
	assert_false(u64_parse("18446744073709551616", 20, &v));
	assert_false(u64_parse("", 0, &v));
	assert_false(u64_parse("01", 2, &v));
	assert_false(u64_parse("+1", 2, &v));
	assert_true(u128_parse("340282366920938463463374607431768211455", 39, &w));
	assert_true(w == ~(u128)0);
	assert_string_equal(u128_text(w, text), "340282366920938463463374607431768211455");
	assert_false(u128_parse("340282366920938463463374607431768211456", 39, &w));
	assert_string_equal(u128_text(0, text), "0");
}

static void utf8_follows_rfc_3629(void **state)
{
	static const char *const good[] = {"",
					   "plain ascii, longer than eight",
					   "\xc2\x80",
					   "\xe0\xa0\x80",
					   "\xed\x9f\xbf",
					   "\xf0\x90\x80\x80",
					   "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80",
					  "\xc0\x80",
					  "\xc1\xbf",
					  "\xc2",
					  "\xe0\x9f\xbf",
					  "\xed\xa0\x80",
					  "\xf0\x8f\xbf\xbf",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "12345678\xff"};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(utf8_is_valid(VIEW_STR(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(utf8_is_valid(VIEW_STR(bad[i])));
}

static void service_names_are_checked(void **state) /* [B6] */
{
	struct service_name name;

	assert_true(service_name_parse("eth-2", 5, &name));
	assert_string_equal(name.s, "eth-2");
	assert_true(service_name_parse("0", 1, &name));
	assert_false(service_name_parse("", 0, &name));
	assert_false(service_name_parse("-a", 2, &name));
	assert_false(service_name_parse("Eth", 3, &name));
	assert_false(service_name_parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 33, &name));
	assert_true(service_name_parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32, &name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_big_endian_and_come_back),
		cmocka_unit_test(reading_past_the_end_stays_bad),
		cmocka_unit_test(short_strings_have_their_length_in_front),
		cmocka_unit_test(hex_is_strict),
		cmocka_unit_test(hex_of_either_case_is_read_in_long_runs),
		cmocka_unit_test(base64_matches_rfc_4648),
		cmocka_unit_test(base64_refuses_what_is_not_canonical),
		cmocka_unit_test(decimals_are_whole_and_in_range),
		cmocka_unit_test(utf8_follows_rfc_3629),
		cmocka_unit_test(service_names_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
