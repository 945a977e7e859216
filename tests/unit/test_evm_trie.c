/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/keccak.h"
#include "chains/evm/rlp.h"
#include "chains/evm/trie.h"
#include "tests/support/vectors.h"

static void assert_hash(const struct hash *hash, const char *hex)
{
	char text[65];

	assert_string_equal(hex_encode(hash->b, sizeof(hash->b), text), hex);
}

/* The digests that the Keccak team and the Yellow Paper print. */
static void digests_are_the_published_ones(void **state)
{
	struct hash hash;

	keccak256(NULL, 0, &hash);
	assert_hash(&hash, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
	keccak256("abc", 3, &hash);
	assert_hash(&hash, "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
	keccak256("\xc0", 1, &hash);
	assert_hash(&hash, "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347");
}

static void digests_are_those_of_another_implementation(void **state)
{
	json_t *root = vectors_load("evm.json");
	const json_t *row;
	uint8_t bytes[1000];
	struct hash hash;
	size_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(7 * i);
	json_array_foreach(vector_get(root, "keccak"), i, row)
	{
		size_t n = vector_number(row, "n");

		assert_true(n <= sizeof(bytes));
		keccak256(bytes, n, &hash);
		assert_hash(&hash, vector_text(row, "digest"));
	}
	assert_true(i > 100);
	json_decref(root);
}

static void a_digest_is_the_same_in_any_pieces(void **state)
{
	uint8_t bytes[600];
	struct hash whole, pieces;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i);
	keccak256(bytes, sizeof(bytes), &whole);
	for (size_t step = 1; step <= sizeof(bytes); step++) {
		struct keccak keccak;

		keccak256_init(&keccak);
		for (size_t at = 0; at < sizeof(bytes); at += step)
			keccak256_add(&keccak, bytes + at, MIN(step, sizeof(bytes) - at));
		keccak256_end(&keccak, &pieces);
		assert_true(ID_EQ(&whole, &pieces));
	}
}

/* Texts of all lengths, in rows of every size. */
static void digests_of_many_are_those_of_each(void **state)
{
	uint8_t bytes[KECCAK_MANY * 7 + 2 * KECCAK_RATE];
	struct view texts[KECCAK_MANY] = {{0}};
	struct hash many[KECCAK_MANY], one;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 131 + i / 7);
	for (size_t count = 0; count <= KECCAK_MANY; count++) {
		for (size_t i = 0; i < count; i++)
			texts[i] =
				VIEW(bytes + i, (i * 7919 + count * 31) % (sizeof(bytes) - count));
		keccak256_many(texts, count, many);
		for (size_t i = 0; i < count; i++) {
			keccak256(texts[i].p, texts[i].n, &one);
			assert_true(ID_EQ(&many[i], &one));
		}
	}
}

static void strings_have_the_shortest_head(void **state)
{
	CLEANUP(buf_finish) struct buf buf = {0}, value = {0};
	json_t *root = vectors_load("evm.json");
	const json_t *row;
	struct hash hash;
	size_t i;

	json_array_foreach(vector_get(root, "strings"), i, row)
	{
		size_t n = vector_number(row, "n"), head_n;
		const char *head = vector_text(row, "head");
		uint8_t bytes[12];

		buf.n = value.n = 0;
		for (size_t k = 0; k < n; k++)
			buf_put_u8(&value, (uint8_t)vector_number(row, "fill"));
		rlp_put(&buf, value.p, n);
		head_n = strlen(head) / 2;
		assert_true(hex_decode(head, strlen(head), bytes, head_n));
		assert_memory_equal(buf.p, bytes, head_n);
		keccak256(buf.p, buf.n, &hash);
		assert_hash(&hash, vector_text(row, "digest"));
	}
	json_decref(root);
}

static void numbers_have_no_leading_zeros(void **state)
{
	CLEANUP(buf_finish) struct buf buf = {0};

	rlp_put_u64(&buf, 0);
	rlp_put_u64(&buf, 0x7f);
	rlp_put_u64(&buf, 0x80);
	rlp_put_u64(&buf, 0x100);
	rlp_put_u64(&buf, UINT64_MAX);
	rlp_put_number(&buf, "\0\0\0\1", 4);
	rlp_put_number(&buf, NULL, 0);
	assert_int_equal(buf.n, 1 + 1 + 2 + 3 + 9 + 1 + 1);
	assert_memory_equal(
		buf.p, "\x80\x7f\x81\x80\x82\x01\x00\x88\xff\xff\xff\xff\xff\xff\xff\xff\x01\x80",
		buf.n);
}

static void lists_hold_lists(void **state)
{
	CLEANUP(buf_finish) struct buf buf = {0};
	json_t *root = vectors_load("evm.json");
	const json_t *row;
	struct hash hash;
	size_t i;

	json_array_foreach(vector_get(root, "lists"), i, row)
	{
		size_t n = vector_number(row, "n"), outer, middle, inner;

		buf.n = 0;
		outer = rlp_begin(&buf);
		middle = rlp_begin(&buf);
		inner = rlp_begin(&buf);
		for (size_t k = 0; k < n; k++)
			rlp_put(&buf, "ab", 2);
		rlp_end(&buf, inner);
		rlp_end(&buf, middle);
		rlp_end(&buf, outer);
		keccak256(buf.p, buf.n, &hash);
		assert_hash(&hash, vector_text(row, "digest"));
	}
	json_decref(root);
}

static void lists_have_the_roots_of_another_implementation(void **state)
{
	CLEANUP(trie_destroy) struct trie *trie = trie_create();
	json_t *root = vectors_load("evm.json");
	const json_t *row;
	struct hash hash;
	size_t i;

	json_array_foreach(vector_get(root, "list_roots"), i, row)
	{
		size_t n = vector_number(row, "n"), step = vector_number(row, "step");
		size_t most = vector_number(row, "most");

		for (size_t k = 0; k < n; k++) {
			uint8_t value[300];

			memset(value, (int)(k % 256), sizeof(value));
			trie_list_add(trie, VIEW(value, 1 + k * step % most));
		}
		trie_list_end(trie, &hash);
		assert_hash(&hash, vector_text(row, "root"));
	}
	json_decref(root);
}

static void keys_have_the_roots_of_another_implementation(void **state)
{
	CLEANUP(trie_destroy) struct trie *trie = trie_create();
	json_t *root = vectors_load("evm.json");
	const json_t *row, *pair;
	struct hash hash;
	size_t i, k;

	json_array_foreach(vector_get(root, "key_roots"), i, row)
	{
		json_array_foreach(vector_get(row, "pairs"), k, pair)
		{
			const char *key = json_string_value(json_array_get(pair, 0));
			const char *value = json_string_value(json_array_get(pair, 1));
			uint8_t key_bytes[32], value_bytes[64];

			assert_true(hex_decode(key, strlen(key), key_bytes, strlen(key) / 2));
			assert_true(
				hex_decode(value, strlen(value), value_bytes, strlen(value) / 2));
			trie_add(trie, VIEW(key_bytes, strlen(key) / 2),
				 VIEW(value_bytes, strlen(value) / 2));
		}
		trie_end(trie, &hash);
		assert_hash(&hash, vector_text(row, "root"));
	}
	json_decref(root);
}

/* Yellow Paper, appendix D: the trie that holds nothing. */
static void nothing_has_the_published_root(void **state)
{
	CLEANUP(trie_destroy) struct trie *trie = trie_create();
	struct hash hash;

	trie_list_end(trie, &hash);
	assert_hash(&hash, "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
	trie_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_the_published_ones),
		cmocka_unit_test(digests_are_those_of_another_implementation),
		cmocka_unit_test(a_digest_is_the_same_in_any_pieces),
		cmocka_unit_test(digests_of_many_are_those_of_each),
		cmocka_unit_test(strings_have_the_shortest_head),
		cmocka_unit_test(numbers_have_no_leading_zeros),
		cmocka_unit_test(lists_hold_lists),
		cmocka_unit_test(lists_have_the_roots_of_another_implementation),
		cmocka_unit_test(keys_have_the_roots_of_another_implementation),
		cmocka_unit_test(nothing_has_the_published_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
