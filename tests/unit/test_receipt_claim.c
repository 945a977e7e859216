/* SPDX-License-Identifier: Apache-2.0
 * Records, claim bytes, roots, points and proofs as bytes ([C2], [C3], [C8], [C9]). */
#include "tests/unit/unit.h"

#include "relay/base/mem.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/key.h"
#include "relay/receipt/claim.h"
#include "tests/support/gen.h"

/* Any record, each byte of it drawn. */
static struct claim_record any_record(struct gen *gen)
{
	struct claim_record r;

	gen_bytes(gen, &r, sizeof(r));
	return r;
}

static bool same_record(const struct claim_record *a, const struct claim_record *b)
{
	return ID_EQ(&a->session, &b->session) && a->start == b->start &&
	       ID_EQ(&a->lane, &b->lane) && a->size == b->size && ID_EQ(&a->root, &b->root) &&
	       a->cu == b->cu && a->value == b->value && a->value_before == b->value_before &&
	       a->session_value_before == b->session_value_before;
}

/* Also checked byte for byte by the vectors. */
static void a_record_is_read_as_it_was_written(void **state)
{
	struct gen gen = gen_init(1);

	for (int i = 0; i < 200; i++) {
		struct claim_record r = any_record(&gen), again;
		uint8_t bytes[CLAIM_RECORD_SIZE];

		claim_record_encode(&r, bytes);
		assert_memory_equal(bytes, "CFL1", 4);
		assert_true(claim_record_decode(bytes, &again));
		assert_true(same_record(&r, &again));
		bytes[i % 4] ^= 1;
		assert_false(claim_record_decode(bytes, &again));
	}
}

static struct claim any_claim(struct gen *gen)
{
	struct claim c;

	gen_bytes(gen, &c, sizeof(c));
	memset(c.service.s, 0, sizeof(c.service.s));
	memset(c.service.s, 'a', 1 + gen_below(gen, SERVICE_NAME_MAX));
	return c;
}

/* One claim, one encoding: each other byte string is refused, or is another claim. */
static void claim_bytes_are_canonical(void **state)
{
	struct gen gen = gen_init(2);

	for (int i = 0; i < 50; i++) {
		CLEANUP(buf_finish) struct buf bytes = {0}, again = {0};
		struct claim c = any_claim(&gen), got;
		struct claim_id id;
		struct hash h;
		struct err err;

		claim_bytes(&c, &bytes);
		assert_int_equal(bytes.n, CLAIM_BYTES_MAX - SERVICE_NAME_MAX + strlen(c.service.s));
		assert_ok(claim_parse(buf_view(&bytes), &got, &err), err);
		claim_bytes(&got, &again);
		assert_true(view_eq(buf_view(&bytes), buf_view(&again)));
		claim_id_of(&c, &id);
		sha256(bytes.p, bytes.n, &h);
		assert_memory_equal(id.b, h.b, 32);
		for (size_t n = 0; n < bytes.n; n++) {
			assert_false(claim_parse(VIEW(bytes.p, n), &got, &err));
			assert_err(err, ERR_FORMAT);
		}
		buf_put_u8(&bytes, 0);
		assert_false(claim_parse(buf_view(&bytes), &got, &err));
	}
}

static void a_claim_is_signed_by_its_supplier(void **state)
{
	const uint8_t seed[KEY_SEED_BYTES] = {9};
	CLEANUP(relay_key_destroy)
	struct relay_key *key = relay_key_from_seed(KEY_ROLE_SUPPLIER, seed);
	struct gen gen = gen_init(3);
	struct claim c = any_claim(&gen);
	struct signature sig;

	c.supplier = *relay_key_public(key);
	claim_sign(&c, key, &sig);
	assert_true(claim_verify(&c, &sig));
	c.value++;
	assert_false(claim_verify(&c, &sig));
	c.value--;
	claim_proof_sign(&c, VIEW("proof", 5), key, &sig);
	assert_true(claim_proof_verify(&c, VIEW("proof", 5), &sig));
	assert_false(claim_proof_verify(&c, VIEW("proog", 5), &sig));
	assert_false(claim_verify(&c, &sig));
	c.to++; /* a proof for one claim is none for another */
	assert_false(claim_proof_verify(&c, VIEW("proof", 5), &sig));
}

/* Each record of each size up to 40, and some of the largest, is proved. */
static void every_record_is_in_the_tree(void **state)
{
	static const size_t sizes[] = {1,  2,  3,  4,  5,  6,  7,  8,	 9,
				       15, 16, 17, 31, 32, 33, 40, 1000, CLAIM_RECORDS_MAX};
	CLEANUP(xfree) uint8_t *records = malloc((size_t)CLAIM_RECORDS_MAX * CLAIM_RECORD_SIZE);
	struct gen gen = gen_init(4);
	struct err err;

	gen_bytes(&gen, records, (size_t)CLAIM_RECORDS_MAX * CLAIM_RECORD_SIZE);
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		struct view all = VIEW(records, sizes[k] * CLAIM_RECORD_SIZE);
		size_t step = sizes[k] > 40 ? sizes[k] / 3 : 1;
		struct tree_proof path;
		struct hash root, leaf;

		claim_records_root(all, &root);
		for (size_t i = 0; i < sizes[k]; i += step) {
			assert_true(claim_records_prove(all, (uint32_t)i, &path));
			tree_leaf_hash(VIEW(records + i * CLAIM_RECORD_SIZE, CLAIM_RECORD_SIZE),
				       &leaf);
			assert_ok(tree_check_inclusion(&leaf, i, sizes[k], path.hash, path.n, &root,
						       &err),
				  err);
		}
		assert_false(claim_records_prove(all, (uint32_t)sizes[k], &path));
	}
	assert_false(claim_records_prove(VIEW(NULL, 0), 0, &(struct tree_proof){0}));
}

/* [C6]: cut where the allowance ends, dropped where nothing is left, summed up on the way. */
static void values_stop_at_the_allowance(void **state)
{
	struct claim_record r[7] = {
		{.start = 10, .cu = 5},		 {.start = 10, .cu = 6}, {.start = 10, .cu = 1},
		{.start = 20, .cu = 0},		 {.start = 20, .cu = 3}, {.start = 30, .cu = 9},
		{.start = 40, .cu = UINT64_MAX},
	};
	const uint64_t price[7] = {3, 3, 3, 2, 2, 0, UINT64_MAX};
	const u128 allowance[7] = {29, 29, 29, 100, 100, 100, CLAIM_VALUE_END - 1};
	size_t n;

	for (uint8_t i = 0; i < 7; i++)
		r[i].lane.b[0] = i;
	n = claim_records_value(r, price, allowance, 7);
	assert_int_equal(n, 4);
	/* 5 x 3; then 14 are left, 4 x 3; then 2, nothing; 3 x 2; price 0 earns nothing */
	assert_int_equal(r[0].lane.b[0], 0);
	assert_true(r[0].cu == 5 && r[0].value == 15);
	assert_true(r[0].value_before == 0 && r[0].session_value_before == 0);
	assert_int_equal(r[1].lane.b[0], 1);
	assert_true(r[1].cu == 4 && r[1].value == 12);
	assert_true(r[1].value_before == 15 && r[1].session_value_before == 15);
	assert_int_equal(r[2].lane.b[0], 4);
	assert_true(r[2].cu == 3 && r[2].value == 6);
	assert_true(r[2].value_before == 27 && r[2].session_value_before == 0);
	assert_int_equal(r[3].lane.b[0], 6);
	assert_true(r[3].value <= CLAIM_VALUE_END - 1 - 33);
	assert_true(r[3].value > CLAIM_VALUE_END - 1 - 33 - UINT64_MAX);
	assert_true(r[3].value == (u128)r[3].cu * UINT64_MAX);
	assert_true(r[3].value_before == 33);
	assert_int_equal(claim_records_value(r, price, allowance, 0), 0);
}

/* The values of a claim end one below 2^96, to the unit. */
static void values_stop_below_the_end(void **state)
{
	struct claim_record r[2] = {{.start = 10, .cu = UINT64_MAX},
				    {.start = 20, .cu = UINT64_MAX}};
	const uint64_t price[2] = {UINT64_C(1) << 32, 1};
	const u128 allowance[2] = {CLAIM_VALUE_END - 1, CLAIM_VALUE_END - 1};

	assert_int_equal(claim_records_value(r, price, allowance, 2), 2);
	assert_true(r[0].cu == UINT64_MAX);
	assert_true(r[1].cu == (UINT64_C(1) << 32) - 1);
	assert_true(r[1].value_before + r[1].value == CLAIM_VALUE_END - 1);
}

/* [C8]: each point of the claim lies in exactly one record. */
static void a_point_finds_its_record(void **state)
{
	static const u128 values[] = {4, 1, 9, 2};
	uint8_t records[4 * CLAIM_RECORD_SIZE];
	u128 sum = 0;
	uint32_t index = 77;

	for (size_t i = 0; i < 4; i++) {
		struct claim_record r = {.value = values[i], .value_before = sum};

		claim_record_encode(&r, records + i * CLAIM_RECORD_SIZE);
		sum += values[i];
	}
	for (u128 x = 0; x < sum; x++) {
		uint32_t want = x < 4 ? 0 : x < 5 ? 1 : x < 14 ? 2 : 3;

		assert_true(claim_point_record(VIEW(records, sizeof(records)), x, &index));
		assert_int_equal(index, want);
	}
	index = 77;
	assert_false(claim_point_record(VIEW(records, sizeof(records)), sum, &index));
	assert_false(claim_point_record(VIEW(records, sizeof(records)), ~(u128)0, &index));
	assert_false(claim_point_record(VIEW(NULL, 0), 0, &index));
	assert_int_equal(index, 77);
}

/* Each unit of a record is price points wide. */
static void a_point_finds_its_unit_and_leaf(void **state)
{
	struct claim_record r = {.cu = 6, .value = 42, .value_before = 100};
	struct leaf leaf = {.cu_before = 2, .cu = 3};

	for (u128 x = 100; x < 142; x++)
		assert_int_equal(claim_point_cu(&r, x, 7), (x - 100) / 7);
	assert_false(claim_point_leaf(&leaf, &r, 1));
	assert_true(claim_point_leaf(&leaf, &r, 2));
	assert_true(claim_point_leaf(&leaf, &r, 4));
	assert_false(claim_point_leaf(&leaf, &r, 5));
	leaf.cu = 0;
	assert_false(claim_point_leaf(&leaf, &r, 2));
	leaf.cu_before = UINT64_MAX - 1;
	leaf.cu = 1;
	assert_true(claim_point_leaf(&leaf, &r, UINT64_MAX - 1));
	assert_false(claim_point_leaf(&leaf, &r, UINT64_MAX));
	leaf.session.b[0] = 1;
	assert_false(claim_point_leaf(&leaf, &r, UINT64_MAX - 1));
	/* the largest record there is */
	r = (struct claim_record){.cu = UINT64_MAX, .value = (u128)UINT64_MAX * UINT64_MAX};
	assert_true(claim_point_cu(&r, r.value - 1, UINT64_MAX) == UINT64_MAX - 1);
}

/* [C9] */
static void a_proof_is_read_as_it_was_written(void **state)
{
	struct gen gen = gen_init(5);

	for (int i = 0; i < 30; i++) {
		CLEANUP(buf_finish) struct buf bytes = {0}, again = {0};
		uint8_t note[CLAIM_NOTE_MAX];
		struct claim_proof p, got;
		struct err err;

		gen_bytes(&gen, &p, sizeof(p));
		gen_bytes(&gen, note, sizeof(note));
		p.record_path.n = gen_below(&gen, TREE_LEVELS + 1);
		p.leaf_path.n = gen_below(&gen, TREE_LEVELS + 1);
		p.note = VIEW(note, i == 0 ? CLAIM_NOTE_MAX : gen_below(&gen, CLAIM_NOTE_MAX));
		claim_proof_encode(&p, &bytes);
		assert_true(bytes.n <= CLAIM_PROOF_MAX);
		assert_ok(claim_proof_parse(buf_view(&bytes), &got, &err), err);
		assert_int_equal(got.index, p.index);
		assert_true(view_eq(got.note, p.note));
		claim_proof_encode(&got, &again);
		assert_true(view_eq(buf_view(&bytes), buf_view(&again)));
		for (size_t n = 0; n < bytes.n; n += 1 + n / 50)
			assert_false(claim_proof_parse(VIEW(bytes.p, n), &got, &err));
		buf_put_u8(&bytes, 0);
		assert_false(claim_proof_parse(buf_view(&bytes), &got, &err));
		assert_err(err, ERR_FORMAT);
	}
}

static void the_parts_of_a_proof_have_limits(void **state)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct claim_proof p = {.index = 1}, got;
	struct err err;

	claim_proof_encode(&p, &bytes);
	buf_reserve(&bytes, 2 * CLAIM_PROOF_MAX);
	memset(bytes.p + bytes.n, 0, 2 * CLAIM_PROOF_MAX);
	bytes.p[160] = TREE_LEVELS + 1; /* hashes of the record's path */
	bytes.n += (TREE_LEVELS + 1) * 32;
	assert_false(claim_proof_parse(buf_view(&bytes), &got, &err));
	assert_err(err, ERR_FORMAT);
	bytes.p[160] = 0;
	put_be16(bytes.p + 161, CLAIM_NOTE_MAX + 1);
	bytes.n += CLAIM_NOTE_MAX + 1;
	assert_false(claim_proof_parse(buf_view(&bytes), &got, &err));
	assert_err(err, ERR_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_read_as_it_was_written),
		cmocka_unit_test(claim_bytes_are_canonical),
		cmocka_unit_test(a_claim_is_signed_by_its_supplier),
		cmocka_unit_test(every_record_is_in_the_tree),
		cmocka_unit_test(values_stop_at_the_allowance),
		cmocka_unit_test(values_stop_below_the_end),
		cmocka_unit_test(a_point_finds_its_record),
		cmocka_unit_test(a_point_finds_its_unit_and_leaf),
		cmocka_unit_test(a_proof_is_read_as_it_was_written),
		cmocka_unit_test(the_parts_of_a_proof_have_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
