/* SPDX-License-Identifier: Apache-2.0
 * Trees for tests in other languages ([T1], [T3], [T4]).  usage: tree SEED SIZE...
 * Prints a line of JSON for each size (ascending): the root over the leaves u64 seed || u64 index,
 * proofs of PROOFS places chosen by the seed and of the edges, and the SHA-256 of every tile. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/base/mem.h"
#include "relay/crypto/digest.h"
#include "relay/receipt/tile.h"
#include "tests/support/gen.h"

#define PROOFS 24
#define LEVEL_TILES 1024 /* room in a level; sizes up to 2^18 */
#define SIZE_LIMIT (LEVEL_TILES * TILE_WIDTH)

static struct {
	struct hash hash[TILE_WIDTH];
	unsigned width;
} tiles[TILE_LEVELS][LEVEL_TILES];

static bool keep_tile(void *arg, unsigned level, uint64_t index, unsigned width,
		      const struct hash *hashes, struct err *err)
{
	if (index >= LEVEL_TILES)
		return err_set(err, ERR_RANGE, "no room for tile %" PRIu64, index);
	memcpy(tiles[level][index].hash, hashes, width * sizeof(*hashes));
	tiles[level][index].width = width;
	return true;
}

static bool read_tile(void *arg, unsigned level, uint64_t index, unsigned width, struct hash *dst,
		      struct err *err)
{
	if (index >= LEVEL_TILES || tiles[level][index].width < width)
		return err_set(err, ERR_RANGE, "tile %u %" PRIu64 " is not there", level, index);
	memcpy(dst, tiles[level][index].hash, width * sizeof(*dst));
	return true;
}

static void put_hash(struct buf *out, const struct hash *hash)
{
	buf_put_str(out, "\"");
	buf_put_base64(out, hash->b, sizeof(hash->b));
	buf_put_str(out, "\"");
}

static void put_proof(struct buf *out, const char *name, uint64_t of, const struct tree_proof *p)
{
	buf_putf(out, "{\"%s\":%" PRIu64 ",\"proof\":[", name, of);
	for (size_t i = 0; i < p->n; i++) {
		buf_put_str(out, i ? "," : "");
		put_hash(out, &p->hash[i]);
	}
	buf_put_str(out, "]}");
}

/* The i-th of the places whose proofs are printed: edges first. */
static uint64_t place(struct gen *gen, size_t i, uint64_t size)
{
	const uint64_t edges[] = {0, size - 1, size / 2, MIN(size - 1, 255u), MIN(size - 1, 256u)};

	return i < ARRAY_SIZE(edges) ? edges[i] : gen_below(gen, size);
}

static bool put_proofs(struct buf *out, struct gen *gen, uint64_t size, struct err *err)
{
	struct tree_proof proof;

	buf_put_str(out, ",\"inclusion\":[");
	for (size_t i = 0; i < PROOFS; i++) {
		uint64_t index = place(gen, i, size);

		if (!tile_prove_inclusion(index, size, read_tile, NULL, &proof, err))
			return false;
		buf_put_str(out, i ? "," : "");
		put_proof(out, "index", index, &proof);
	}
	buf_put_str(out, "],\"consistency\":[");
	for (size_t i = 0; i < PROOFS; i++) {
		uint64_t old = 1 + place(gen, i, size);

		if (!tile_prove_consistency(old, size, read_tile, NULL, &proof, err))
			return false;
		buf_put_str(out, i ? "," : "");
		put_proof(out, "old", old, &proof);
	}
	buf_put_str(out, "]");
	return true;
}

static void put_tiles(struct buf *out, uint64_t size)
{
	bool first = true;

	buf_put_str(out, ",\"tiles\":{");
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		for (uint64_t index = 0; tile_width(size, level, index) > 0; index++) {
			unsigned width = tile_width(size, level, index);
			char path[TILE_PATH_MAX], hex[65];
			struct hash digest;

			sha256(tiles[level][index].hash, width * sizeof(struct hash), &digest);
			buf_putf(out, "%s\"%s\":\"%s\"", first ? "" : ",",
				 tile_path(level, index, width, path),
				 hex_encode(digest.b, sizeof(digest.b), hex));
			first = false;
		}
	}
	buf_put_str(out, "}");
}

static bool print_tree(struct gen *gen, const struct tree *tree, const struct tile_edge *edge,
		       struct err *err)
{
	CLEANUP(buf_finish) struct buf out = {0};
	struct hash root;

	if (!tile_edge_flush(edge, keep_tile, NULL, err))
		return false;
	tree_root(tree, &root);
	buf_putf(&out, "{\"seed\":%" PRIu64 ",\"size\":%" PRIu64 ",\"root\":", gen->seed,
		 tree->size);
	put_hash(&out, &root);
	if (!put_proofs(&out, gen, tree->size, err))
		return false;
	put_tiles(&out, tree->size);
	printf("%s}\n", buf_cstr(&out));
	return true;
}

int main(int argc, char **argv)
{
	CLEANUP(xfree) struct tile_edge *edge = xmalloc(sizeof(*edge));
	struct gen gen = {.seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0};
	struct tree tree;
	struct err err;

	gen.state = gen.seed;
	tree_init(&tree);
	tile_edge_init(edge);
	for (int i = 2; i < argc; i++) {
		uint64_t size = strtoull(argv[i], NULL, 10);

		if (size < 1 || size < tree.size || size > SIZE_LIMIT)
			return 3;
		while (tree.size < size) {
			uint8_t leaf[16];
			struct hash hash;

			put_be64(leaf, gen.seed);
			put_be64(leaf + 8, tree.size);
			tree_leaf_hash(VIEW(leaf, sizeof(leaf)), &hash);
			tree_append(&tree, &hash);
			if (!tile_edge_append(edge, &hash, keep_tile, NULL, &err))
				return 1;
		}
		if (!print_tree(&gen, &tree, edge, &err)) {
			fprintf(stderr, "tree: %s\n", err.msg);
			return 1;
		}
	}
	return 0;
}
