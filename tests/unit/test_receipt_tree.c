/* SPDX-License-Identifier: Apache-2.0
 * The tree, its tiles and proofs against tests/vectors/tree.json; then everything that is not a
 * proof must be refused (protocol.md [T1] [T3] [T4] [S6]). */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "relay/crypto/digest.h"
#include "relay/receipt/tile.h"
#include "tests/support/gen.h"
#include "tests/support/vectors.h"

#define LEAVES 70000u
#define SMALL 300u

static json_t *vectors;
static struct hash leaves[LEAVES];
static struct hash roots[LEAVES + 1]; /* by the frontier */
static struct hash *tiles[TILE_LEVELS][LEAVES / 256 + 1];
static unsigned tile_widths[TILE_LEVELS][LEAVES / 256 + 1];
static unsigned reads;

static bool store_tile(void *arg, unsigned level, uint64_t index, unsigned width,
		       const struct hash *hashes, struct err *err)
{
	assert_true(level < TILE_LEVELS && index <= LEAVES / 256);
	assert_true(tiles[level][index] == NULL || tile_widths[level][index] < TILE_WIDTH);
	free(tiles[level][index]);
	tiles[level][index] = xmemdup(hashes, width * sizeof(*hashes));
	tile_widths[level][index] = width;
	return true;
}

static bool load_tile(void *arg, unsigned level, uint64_t index, unsigned width, struct hash *dst,
		      struct err *err)
{
	reads++;
	assert_true(level < TILE_LEVELS && index <= LEAVES / 256);
	assert_true(width >= 1 && width <= TILE_WIDTH);
	if (tiles[level][index] == NULL || tile_widths[level][index] < width)
		return err_set(err, ERR_IO, "no tile %u/%u of %u", level, (unsigned)index, width);
	memcpy(dst, tiles[level][index], width * sizeof(*dst));
	return true;
}

static bool refuse_tile(void *arg, unsigned level, uint64_t index, unsigned width, struct hash *dst,
			struct err *err)
{
	return err_set(err, ERR_IO, "the disk is gone");
}

static bool refuse_write(void *arg, unsigned level, uint64_t index, unsigned width,
			 const struct hash *hashes, struct err *err)
{
	return err_set(err, ERR_IO, "the disk is full");
}

static int load(void **state)
{
	static struct tile_edge edge;
	struct tree tree;
	struct err err;

	crypto_init();
	vectors = vectors_load("tree.json");
	if (vectors == NULL)
		return -1;
	tree_init(&tree);
	tile_edge_init(&edge);
	tree_root(&tree, &roots[0]);
	for (uint32_t i = 0; i < LEAVES; i++) {
		uint8_t data[4];

		put_be32(data, i);
		tree_leaf_hash(VIEW(data, 4), &leaves[i]);
		tree_append(&tree, &leaves[i]);
		tree_root(&tree, &roots[i + 1]);
		if (!tile_edge_append(&edge, &leaves[i], store_tile, NULL, &err))
			return -1;
	}
	return tile_edge_flush(&edge, store_tile, NULL, &err) ? 0 : -1;
}

static int drop(void **state)
{
	json_decref(vectors);
	for (unsigned level = 0; level < TILE_LEVELS; level++)
		for (size_t i = 0; i < ARRAY_SIZE(tiles[level]); i++)
			free(tiles[level][i]);
	return 0;
}

static void roots_are_those_of_the_vectors(void **state)
{
	static const char *const lists[] = {"sizes", "large"};
	const json_t *row;
	size_t i;

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++) {
		json_array_foreach(json_object_get(vectors, lists[l]), i, row)
		{
			uint64_t size = vector_number(row, "size");
			struct hash want, got;
			struct err err;

			vector_hex(row, "root", want.b, 32);
			assert_memory_equal(roots[size].b, want.b, 32);
			assert_ok(tile_root_at(size, load_tile, NULL, &got, &err), err);
			assert_memory_equal(got.b, want.b, 32);
		}
	}
}

static void put_proof(struct buf *all, const struct tree_proof *proof)
{
	buf_put_u8(all, (uint8_t)proof->n);
	buf_put(all, proof->hash, proof->n * sizeof(proof->hash[0]));
}

static void is_digest(const struct buf *all, const json_t *row, const char *key)
{
	struct hash got, want;

	sha256(all->p, all->n, &got);
	vector_hex(row, key, want.b, 32);
	assert_memory_equal(got.b, want.b, 32);
}

/* Byte for byte those of the other implementation, for 72 sizes; and they verify. */
static void every_proof_of_small_trees_is_that_of_the_vectors(void **state)
{
	const json_t *row;
	struct tree_proof proof;
	struct err err;
	size_t n;

	json_array_foreach(json_object_get(vectors, "sizes"), n, row)
	{
		CLEANUP(buf_finish) struct buf inclusion = {0};
		CLEANUP(buf_finish) struct buf consistency = {0};

		if (json_object_get(row, "inclusion") == NULL)
			continue; /* only its root stands there */
		for (uint64_t i = 0; i < n; i++) {
			assert_ok(tile_prove_inclusion(i, n, load_tile, NULL, &proof, &err), err);
			put_proof(&inclusion, &proof);
			assert_ok(tree_check_inclusion(&leaves[i], i, n, proof.hash, proof.n,
						       &roots[n], &err),
				  err);
			assert_ok(tile_prove_consistency(i + 1, n, load_tile, NULL, &proof, &err),
				  err);
			put_proof(&consistency, &proof);
			assert_ok(tree_check_consistency(i + 1, &roots[i + 1], n, &roots[n],
							 proof.hash, proof.n, &err),
				  err);
		}
		is_digest(&inclusion, row, "inclusion");
		is_digest(&consistency, row, "consistency");
	}
	assert_int_equal(n, SMALL + 1);
}

static void is_path(const struct tree_proof *proof, const json_t *row)
{
	const json_t *path = vector_get(row, "path");

	assert_int_equal(proof->n, json_array_size(path));
	for (size_t i = 0; i < proof->n; i++) {
		char hex[65];

		hex_encode(proof->hash[i].b, 32, hex);
		assert_string_equal(hex, json_string_value(json_array_get(path, i)));
	}
}

static void proofs_of_large_trees_are_those_of_the_vectors(void **state)
{
	struct tree_proof proof;
	const json_t *row;
	struct err err;
	size_t i;

	json_array_foreach(json_object_get(vectors, "inclusion"), i, row)
	{
		uint64_t index = vector_number(row, "index"), size = vector_number(row, "size");

		assert_ok(tile_prove_inclusion(index, size, load_tile, NULL, &proof, &err), err);
		is_path(&proof, row);
		assert_int_equal(proof.n, tree_inclusion_len(index, size));
		assert_ok(tree_check_inclusion(&leaves[index], index, size, proof.hash, proof.n,
					       &roots[size], &err),
			  err);
	}
	json_array_foreach(json_object_get(vectors, "consistency"), i, row)
	{
		uint64_t old = vector_number(row, "old"), size = vector_number(row, "size");

		assert_ok(tile_prove_consistency(old, size, load_tile, NULL, &proof, &err), err);
		is_path(&proof, row);
		assert_ok(tree_check_consistency(old, &roots[old], size, &roots[size], proof.hash,
						 proof.n, &err),
			  err);
	}
}

/* What the check says for a proof that was tampered with; it must be no. */
static void refused_inclusion(uint64_t leaf, uint64_t index, uint64_t size, uint64_t root,
			      const struct tree_proof *proof)
{
	struct err err;

	assert_false(tree_check_inclusion(&leaves[leaf], index, size, proof->hash, proof->n,
					  &roots[root], &err));
	assert_err(err, ERR_PROOF);
}

static void an_inclusion_proof_holds_for_nothing_else(void **state)
{
	struct tree_proof proof;
	struct err err;

	for (uint64_t size = 1; size <= 40; size++) {
		for (uint64_t index = 0; index < size; index++) {
			assert_ok(tile_prove_inclusion(index, size, load_tile, NULL, &proof, &err),
				  err);
			for (uint64_t other = 0; other < size + 3; other++)
				if (other != index) {
					refused_inclusion(index, other, size, size, &proof);
					refused_inclusion(other, index, size, size, &proof);
				}
			for (uint64_t other = 1; other <= 42; other++)
				if (other != size)
					refused_inclusion(index, index, size, other, &proof);
			refused_inclusion(index, size, size, size, &proof);
			struct tree_proof longer = proof;
			longer.n++;
			refused_inclusion(index, index, size, size, &longer);
			if (proof.n == 0)
				continue;
			struct tree_proof shorter = proof;
			shorter.n--;
			refused_inclusion(index, index, size, size, &shorter);
			for (size_t i = 0; i < proof.n; i++) {
				struct tree_proof bad = proof;

				bad.hash[i].b[31] ^= 1;
				refused_inclusion(index, index, size, size, &bad);
			}
		}
	}
}

static void refused_consistency(uint64_t old, uint64_t old_root, uint64_t size, uint64_t root,
				const struct tree_proof *proof)
{
	struct err err;

	assert_false(tree_check_consistency(old, &roots[old_root], size, &roots[root], proof->hash,
					    proof->n, &err));
	assert_err(err, ERR_PROOF);
}

static void a_consistency_proof_holds_for_nothing_else(void **state)
{
	struct tree_proof proof;
	struct err err;

	for (uint64_t size = 1; size <= 40; size++) {
		for (uint64_t old = 1; old <= size; old++) {
			assert_ok(tile_prove_consistency(old, size, load_tile, NULL, &proof, &err),
				  err);
			for (uint64_t other = 1; other <= 42; other++) {
				if (other != old)
					refused_consistency(old, other, size, size, &proof);
				if (other != size)
					refused_consistency(old, old, size, other, &proof);
			}
			refused_consistency(0, 0, size, size, &proof);
			refused_consistency(size + 1, size + 1, size, size, &proof);
			struct tree_proof longer = proof;
			longer.n++;
			refused_consistency(old, old, size, size, &longer);
			for (size_t i = 0; i < proof.n; i++) {
				struct tree_proof bad = proof;

				bad.hash[i].b[0] ^= 0x80;
				refused_consistency(old, old, size, size, &bad);
				bad = proof;
				bad.n = i;
				refused_consistency(old, old, size, size, &bad);
			}
		}
	}
}

static void random_proofs_of_a_large_tree_verify(void **state)
{
	struct gen gen = gen_init(2);
	uint64_t cases = gen_cases(2000);
	struct tree_proof proof;
	struct err err;

	for (uint64_t c = 0; c < cases; c++) {
		uint64_t size = 1 + gen_below(&gen, LEAVES);
		uint64_t index = gen_below(&gen, size);

		reads = 0;
		assert_ok(tile_prove_inclusion(index, size, load_tile, NULL, &proof, &err), err);
		assert_true(reads <= 24);
		assert_ok(tree_check_inclusion(&leaves[index], index, size, proof.hash, proof.n,
					       &roots[size], &err),
			  err);
		reads = 0;
		assert_ok(tile_prove_consistency(index + 1, size, load_tile, NULL, &proof, &err),
			  err);
		assert_true(reads <= 24);
		assert_ok(tree_check_consistency(index + 1, &roots[index + 1], size, &roots[size],
						 proof.hash, proof.n, &err),
			  err);
	}
}

static void a_frontier_from_tiles_goes_on_as_if_never_left(void **state)
{
	static const uint64_t sizes[] = {0, 1, 255, 256, 257, 511, 512, 65535, 65536, 69990};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t size = sizes[i];
		struct tree tree;
		struct hash root;
		struct err err;

		assert_ok(tile_load_tree(size, load_tile, NULL, &tree, &err), err);
		for (uint64_t more = 0; more < 10; more++) {
			tree_root(&tree, &root);
			assert_memory_equal(root.b, roots[size + more].b, 32);
			if (size + more < LEAVES)
				tree_append(&tree, &leaves[size + more]);
		}
	}
}

static unsigned collected;
static struct hash collected_hash[TILE_LEVELS][TILE_WIDTH];

static bool collect_tile(void *arg, unsigned level, uint64_t index, unsigned width,
			 const struct hash *hashes, struct err *err)
{
	struct hash want[TILE_WIDTH];

	assert_true(load_tile(NULL, level, index, width, want, err));
	assert_memory_equal(hashes, want, width * sizeof(*want));
	memcpy(collected_hash[level], hashes, width * sizeof(*want));
	collected++;
	return true;
}

static void an_edge_from_tiles_goes_on_as_if_never_left(void **state)
{
	static struct tile_edge edge;
	struct err err;

	for (uint64_t from = 65400; from < 65700; from += 93) {
		assert_ok(tile_edge_load(from, load_tile, NULL, &edge, &err), err);
		collected = 0;
		for (uint64_t i = from; i < from + 300; i++)
			assert_ok(tile_edge_append(&edge, &leaves[i], collect_tile, NULL, &err),
				  err);
		assert_int_equal(edge.size, from + 300);
		assert_true(collected >= 1);
		assert_ok(tile_edge_flush(&edge, collect_tile, NULL, &err), err);
	}
}

static void errors_of_reading_and_writing_are_handed_on(void **state)
{
	static struct tile_edge edge;
	struct tree_proof proof = {.n = 7};
	struct hash root;
	struct tree tree;
	struct err err;

	assert_false(tile_root_at(5, refuse_tile, NULL, &root, &err));
	assert_err(err, ERR_IO);
	assert_false(tile_load_tree(5, refuse_tile, NULL, &tree, &err));
	assert_false(tile_prove_inclusion(3, 5, refuse_tile, NULL, &proof, &err));
	assert_false(tile_prove_consistency(3, 5, refuse_tile, NULL, &proof, &err));
	assert_int_equal(proof.n, 7);
	assert_false(tile_edge_load(5, refuse_tile, NULL, &edge, &err));
	tile_edge_init(&edge);
	for (unsigned i = 0; i < 255; i++)
		assert_ok(tile_edge_append(&edge, &leaves[i], refuse_write, NULL, &err), err);
	assert_false(tile_edge_append(&edge, &leaves[255], refuse_write, NULL, &err));
	assert_err(err, ERR_IO);
	assert_false(tile_edge_flush(&edge, refuse_write, NULL, &err));
}

/* Gives all tiles but the one that is asked for after *arg others. */
static bool fail_later(void *arg, unsigned level, uint64_t index, unsigned width, struct hash *dst,
		       struct err *err)
{
	unsigned *left = arg;

	if (*left == 0)
		return err_set(err, ERR_IO, "the disk is gone");
	--*left;
	return load_tile(NULL, level, index, width, dst, err);
}

/* Whichever of its reads fails, a proof, a root, a frontier or an edge is not made. */
static void each_read_that_fails_is_handed_on(void **state)
{
	static struct tile_edge edge;
	const uint64_t size = 66305; /* 2^16 + 3 x 256 + 1 */

	for (unsigned what = 0; what < 5; what++) {
		for (unsigned ok = 0;; ok++) {
			struct tree_proof proof = {.n = 99};
			struct tree tree = {.size = 99};
			struct hash root = {{99}};
			struct err err = {0};
			unsigned left = ok;
			bool made = what == 0 ? tile_prove_inclusion(65600, size, fail_later, &left,
								     &proof, &err)
				    : what == 1 ? tile_prove_consistency(65601, size, fail_later,
									 &left, &proof, &err)
				    : what == 2 ? tile_root_at(size, fail_later, &left, &root, &err)
				    : what == 3
					    ? tile_load_tree(size, fail_later, &left, &tree, &err)
					    : tile_edge_load(size, fail_later, &left, &edge, &err);

			if (made) {
				assert_true(ok >= 3);
				break;
			}
			assert_err(err, ERR_IO);
			assert_true(left == 0 && ok < 64);
			assert_true(proof.n == 99 && tree.size == 99 && root.b[0] == 99);
		}
	}
}

static void widths_and_paths_of_tiles_are_those_of_c2sp(void **state)
{
	char path[TILE_PATH_MAX];

	assert_int_equal(tile_width(70000, 0, 0), 256);
	assert_int_equal(tile_width(70000, 0, 273), 112);
	assert_int_equal(tile_width(70000, 0, 274), 0);
	assert_int_equal(tile_width(70000, 1, 1), 17);
	assert_int_equal(tile_width(70000, 2, 0), 1);
	assert_int_equal(tile_width(70000, 3, 0), 0);
	assert_int_equal(tile_width(0, 0, 0), 0);
	assert_int_equal(tile_width(256, 0, UINT64_MAX), 0);
	assert_string_equal(tile_path(0, 0, 256, path), "tile/0/000");
	assert_string_equal(tile_path(1, 4, 7, path), "tile/1/004.p/7");
	assert_string_equal(tile_path(0, 4095, 256, path), "tile/0/x004/095");
	assert_string_equal(tile_path(0, 1234067, 8, path), "tile/0/x001/x234/067.p/8");
}

static void the_largest_tree_of_a_lane_has_room(void **state)
{
	struct tree tree;
	struct hash root;

	tree_init(&tree);
	for (uint64_t i = 0; i < 1u << 20; i++)
		tree_append(&tree, &leaves[i % LEAVES]);
	assert_int_equal(tree.size, 1u << 20);
	assert_int_equal(tree.depth, 1);
	tree_root(&tree, &root);
	assert_memory_equal(root.b, tree.stack[0].b, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roots_are_those_of_the_vectors),
		cmocka_unit_test(every_proof_of_small_trees_is_that_of_the_vectors),
		cmocka_unit_test(proofs_of_large_trees_are_those_of_the_vectors),
		cmocka_unit_test(an_inclusion_proof_holds_for_nothing_else),
		cmocka_unit_test(a_consistency_proof_holds_for_nothing_else),
		cmocka_unit_test(random_proofs_of_a_large_tree_verify),
		cmocka_unit_test(a_frontier_from_tiles_goes_on_as_if_never_left),
		cmocka_unit_test(an_edge_from_tiles_goes_on_as_if_never_left),
		cmocka_unit_test(errors_of_reading_and_writing_are_handed_on),
		cmocka_unit_test(each_read_that_fails_is_handed_on),
		cmocka_unit_test(widths_and_paths_of_tiles_are_those_of_c2sp),
		cmocka_unit_test(the_largest_tree_of_a_lane_has_room),
	};

	return cmocka_run_group_tests(tests, load, drop);
}
