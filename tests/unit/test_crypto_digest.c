/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "relay/crypto/table.h"

static void assert_hash(const struct hash *got, const char *want)
{
	char text[65];

	assert_string_equal(hex_encode(got->b, sizeof(got->b), text), want);
}

static void sha256_matches_fips_180_4(void **state)
{
	struct hash h;

	sha256(NULL, 0, &h);
	assert_hash(&h, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256("abc", 3, &h);
	assert_hash(&h, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, &h);
	assert_hash(&h, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void parts_and_streams_are_the_concatenation(void **state)
{
	CLEANUP(sha256_stream_destroy) struct sha256_stream *stream = sha256_stream_create();
	struct view parts[] = {VIEW("a", 1), VIEW(NULL, 0), VIEW("bc", 2)};
	struct hash whole, other;

	sha256("abc", 3, &whole);
	sha256_parts(parts, ARRAY_SIZE(parts), &other);
	assert_true(ID_EQ(&whole, &other));
	for (int round = 0; round < 2; round++) { /* a stream begins anew after its end */
		sha256_stream_add(stream, "ab", 2);
		sha256("x", 1, &other); /* does not disturb an open stream */
		sha256_stream_add(stream, "c", 1);
		sha256_stream_end(stream, &other);
		assert_true(ID_EQ(&whole, &other));
	}
}

static void *hash_in_thread(void *arg)
{
	struct hash *ret = arg;

	for (int i = 0; i < 1000; i++)
		sha256("abc", 3, ret);
	return NULL;
}

static void threads_do_not_share_a_context(void **state)
{
	pthread_t threads[4];
	struct hash got[4], want;

	sha256("abc", 3, &want);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hash_in_thread, &got[i]), 0);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_true(ID_EQ(&want, &got[i]));
	}
}

struct row {
	char name[8];
	int value;
	UT_hash_handle hh;
};

static void uthash_finds_what_it_was_given_under_the_keyed_hash(void **state)
{
	struct row rows[100], *table = NULL, *found;

	assert_int_equal(keyed_hash("abc", 3), keyed_hash("abc", 3));
	assert_true(keyed_hash("abc", 3) != keyed_hash("abd", 3));
	for (int i = 0; i < 100; i++) {
		memset(&rows[i], 0, sizeof(rows[i]));
		snprintf(rows[i].name, sizeof(rows[i].name), "n%d", i);
		rows[i].value = i;
		HASH_ADD(hh, table, name, sizeof(rows[i].name), &rows[i]);
	}
	for (int i = 0; i < 100; i++) {
		HASH_FIND(hh, table, rows[i].name, sizeof(rows[i].name), found);
		assert_ptr_equal(found, &rows[i]);
	}
	HASH_FIND(hh, table, "absent\0", 8, found);
	assert_null(found);
	HASH_CLEAR(hh, table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_matches_fips_180_4),
		cmocka_unit_test(parts_and_streams_are_the_concatenation),
		cmocka_unit_test(threads_do_not_share_a_context),
		cmocka_unit_test(uthash_finds_what_it_was_given_under_the_keyed_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
