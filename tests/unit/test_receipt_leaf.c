/* SPDX-License-Identifier: Apache-2.0
 * Leaves against tests/vectors/leaf.json, and properties of random ones
 * (protocol.md [R1] [R2] [R3] [R4] [R5] [T1] [E2] [E4]). */
#include "tests/unit/unit.h"

#include "relay/crypto/digest.h"
#include "relay/receipt/leaf.h"
#include "tests/support/gen.h"
#include "tests/support/vectors.h"

static json_t *vectors;

static int load(void **state)
{
	vectors = vectors_load("leaf.json");
	return vectors ? 0 : -1;
}

static int drop(void **state)
{
	json_decref(vectors);
	return 0;
}

static void leaf_of(const json_t *fields, struct leaf *ret)
{
	ret->kind = (uint8_t)vector_number(fields, "kind");
	ret->flags = (uint8_t)vector_number(fields, "flags");
	ret->status = (uint16_t)vector_number(fields, "status");
	ret->seq = vector_number(fields, "seq");
	vector_hex(fields, "session", ret->session.b, 32);
	ret->cu_before = vector_number(fields, "cu_before");
	ret->cu = (uint32_t)vector_number(fields, "cu");
	ret->method = (uint32_t)vector_number(fields, "method");
	ret->time_ms = vector_number(fields, "time_ms");
	ret->latency_us = (uint32_t)vector_number(fields, "latency_us");
	ret->stream = (uint32_t)vector_number(fields, "stream");
	ret->part = (uint32_t)vector_number(fields, "part");
	ret->block = vector_number(fields, "block");
	vector_hex(fields, "block_hash", ret->block_hash.b, 32);
	vector_hex(fields, "request_hash", ret->request_hash.b, 32);
	vector_hex(fields, "response_hash", ret->response_hash.b, 32);
}

static void fields_encode_to_the_bytes_of_the_vectors(void **state)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "leaves"), i, row)
	{
		uint8_t want[LEAF_SIZE], got[LEAF_SIZE], again[LEAF_SIZE];
		struct leaf leaf, back;
		struct hash hash, want_hash;

		leaf_of(json_object_get(row, "fields"), &leaf);
		vector_hex(row, "bytes", want, sizeof(want));
		leaf_encode(&leaf, got);
		assert_memory_equal(got, want, LEAF_SIZE);
		assert_int_equal(leaf_decode(got, &back), LEAF_FINE);
		leaf_encode(&back, again);
		assert_memory_equal(again, want, LEAF_SIZE);
		assert_int_equal(leaf_check_form(&back), LEAF_FINE);
		vector_hex(row, "hash", want_hash.b, 32);
		leaf_hash(got, &hash);
		assert_memory_equal(hash.b, want_hash.b, 32);
	}
	assert_true(i > 5);
}

static void each_broken_rule_is_named(void **state)
{
	bool seen[LEAF_FAULT_COUNT] = {false};
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(vectors, "checks"), i, row)
	{
		uint8_t bytes[LEAF_SIZE];
		struct leaf leaf;

		vector_hex(row, "bytes", bytes, sizeof(bytes));
		enum leaf_fault fault = leaf_decode(bytes, &leaf);
		if (fault == LEAF_FINE)
			fault = leaf_check(&leaf, (uint32_t)vector_number(row, "cu"),
					   (uint32_t)vector_number(row, "part_cu"));
		assert_string_equal(leaf_fault_name(fault), vector_text(row, "fault"));
		seen[fault] = true;
	}
	for (int f = 0; f < LEAF_FAULT_COUNT; f++)
		if (!seen[f])
			fail_msg("no vector breaks the rule %s", leaf_fault_name(f));
}

static void hashes_bind_lane_salt_part_and_encoding(void **state)
{
	struct lane_id lane;
	struct salt salt;
	const json_t *row;
	size_t i;

	vector_hex(vectors, "lane", lane.b, 16);
	vector_hex(vectors, "salt", salt.b, 16);
	json_array_foreach(json_object_get(vectors, "requests"), i, row)
	{
		CLEANUP(buf_finish) struct buf encoding = {0};
		struct hash want, got;

		vector_put_hex(row, "encoding", &encoding);
		vector_hex(row, "hash", want.b, 32);
		struct view one = buf_view(&encoding);
		leaf_request_hash(&lane, &salt, &one, 1, &got);
		assert_memory_equal(got.b, want.b, 32);
		/* the same bytes in three pieces, one of them empty */
		struct view three[3] = {VIEW(one.p, 5), VIEW(NULL, 0), VIEW(one.p + 5, one.n - 5)};
		leaf_request_hash(&lane, &salt, three, 3, &got);
		assert_memory_equal(got.b, want.b, 32);
	}
	json_array_foreach(json_object_get(vectors, "responses"), i, row)
	{
		CLEANUP(buf_finish) struct buf encoding = {0};
		struct hash want, got;

		vector_put_hex(row, "encoding", &encoding);
		vector_hex(row, "hash", want.b, 32);
		struct view one = buf_view(&encoding);
		leaf_response_hash(&lane, &salt, (uint32_t)vector_number(row, "part"), &one, 1,
				   &got);
		assert_memory_equal(got.b, want.b, 32);
	}
}

static void random_bytes_decode_and_encode_to_themselves(void **state)
{
	struct gen gen = gen_init(1);
	uint64_t cases = gen_cases(2000);

	for (uint64_t i = 0; i < cases; i++) {
		uint8_t bytes[LEAF_SIZE], again[LEAF_SIZE];
		struct leaf leaf;

		gen_bytes(&gen, bytes, sizeof(bytes));
		assert_int_equal(leaf_decode(bytes, &leaf), LEAF_FAULT_MAGIC);
		memcpy(bytes, "CFR1", 4);
		put_be32(bytes + 84, 1 + (uint32_t)gen_below(&gen, UINT32_MAX));
		assert_int_equal(leaf_decode(bytes, &leaf), LEAF_FAULT_ZERO);
		put_be32(bytes + 84, 0);
		assert_int_equal(leaf_decode(bytes, &leaf), LEAF_FINE);
		leaf_encode(&leaf, again);
		assert_memory_equal(again, bytes, LEAF_SIZE);
	}
}

static void a_failed_decode_leaves_the_output_alone(void **state)
{
	uint8_t bytes[LEAF_SIZE] = "CFR0";
	struct leaf leaf = {.seq = 77};

	assert_int_equal(leaf_decode(bytes, &leaf), LEAF_FAULT_MAGIC);
	assert_int_equal(leaf.seq, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_encode_to_the_bytes_of_the_vectors),
		cmocka_unit_test(each_broken_rule_is_named),
		cmocka_unit_test(hashes_bind_lane_salt_part_and_encoding),
		cmocka_unit_test(random_bytes_decode_and_encode_to_themselves),
		cmocka_unit_test(a_failed_decode_leaves_the_output_alone),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, load, drop);
}
