/* SPDX-License-Identifier: Apache-2.0
 * What a receipt costs: leaf, tree, note, in CPU nanoseconds an operation. */
#include <stdio.h>
#include <stdlib.h>

#include "relay/base/clock.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/key.h"
#include "relay/receipt/bundle.h"
#include "relay/receipt/tile.h"

static struct leaf leaf = {.kind = LEAF_ANSWER, .status = 200, .cu = 10, .block = 5};
static uint8_t bytes[LEAF_SIZE];
static struct hash hash;
static struct tree tree;
static struct tile_edge edge;
static struct checkpoint_lane lane;
static struct checkpoint head;
static struct relay_key *supplier;
static struct relay_key *gateway;
static struct buf note;
static struct tree_proof proof;
static struct hash path_leaf;
static struct hash path_root;
static const uint8_t body[1200];
static struct lane_id lane_id;
static struct salt salt;

static bool drop_tile(void *arg, unsigned level, uint64_t index, unsigned width,
		      const struct hash *hashes, struct err *err)
{
	return true;
}

static bool same_tile(void *arg, unsigned level, uint64_t index, unsigned width, struct hash *dst,
		      struct err *err)
{
	for (unsigned i = 0; i < width; i++)
		dst[i] = hash;
	return true;
}

static void must(bool fine, const struct err *err)
{
	if (!fine) {
		fprintf(stderr, "%s\n", err->msg);
		exit(1);
	}
}

static void do_leaf_encode(void)
{
	leaf.seq++;
	leaf_encode(&leaf, bytes);
}

static void do_leaf_decode_check(void)
{
	struct leaf back;

	if (leaf_decode(bytes, &back) != LEAF_FINE || leaf_check(&back, 10, 0) != LEAF_FINE)
		abort();
}

static void do_request_hash(void)
{
	struct view piece = VIEW(body, 150);

	leaf_request_hash(&lane_id, &salt, &piece, 1, &leaf.request_hash);
}

static void do_response_hash(void)
{
	struct view pieces[2] = {VIEW(body, 28), VIEW(body, 80)};

	leaf_response_hash(&lane_id, &salt, 0, pieces, 2, &leaf.response_hash);
}

static void do_response_hash_1200(void)
{
	struct view piece = VIEW(body, 1200);

	leaf_response_hash(&lane_id, &salt, 0, &piece, 1, &leaf.response_hash);
}

static void do_leaf_hash(void)
{
	leaf_hash(bytes, &hash);
}

static void do_append(void)
{
	tree_append(&tree, &hash);
}

static void do_root(void)
{
	tree_root(&tree, &head.root);
}

static void do_edge(void)
{
	struct err err;

	must(tile_edge_append(&edge, &hash, drop_tile, NULL, &err), &err);
}

static void do_prove(void)
{
	struct err err;

	must(tile_prove_inclusion(123456, 999999, same_tile, NULL, &proof, &err), &err);
}

static void do_check_path(void)
{
	struct err err;

	must(tree_check_inclusion(&path_leaf, 654321, 1 << 20, proof.hash, 20, &path_root, &err),
	     &err);
}

static void do_sign(void)
{
	head.size = head.size % CHECKPOINT_SIZE_MAX + 1;
	checkpoint_sign(&lane, supplier, &head);
}

static void do_check(void)
{
	struct err err;

	must(checkpoint_check(&lane, &head, &err), &err);
}

static void do_cosign(void)
{
	checkpoint_cosign(&lane, gateway, 1795442000, &head);
}

static void do_put_note(void)
{
	note.n = 0;
	checkpoint_put_note(&lane, &head, &note);
}

static void do_open_note(void)
{
	struct checkpoint back;
	struct err err;

	must(checkpoint_open(&lane, buf_view(&note), &back, &err), &err);
}

static void make_path(void)
{
	uint64_t index = 654321;

	path_leaf = hash;
	path_root = hash;
	for (int i = 0; i < 20; i++, index >>= 1) {
		proof.hash[i] = hash;
		if (index & 1)
			tree_node_hash(&proof.hash[i], &path_root, &path_root);
		else
			tree_node_hash(&path_root, &proof.hash[i], &path_root);
	}
}

static void measure(const char *name, unsigned count, void (*operation)(void))
{
	usec_t best = INT64_MAX;

	for (int round = 0; round < 3; round++) {
		usec_t begin = clock_now_us();

		for (unsigned i = 0; i < count; i++)
			operation();
		usec_t took = clock_now_us() - begin;
		best = MIN(best, took);
	}
	printf("%-36s %10.1f ns\n", name, 1000.0 * (double)best / count);
}

int main(void)
{
	struct checkpoint_origin origin = {.lane = {{1}}};

	crypto_init();
	supplier = relay_key_generate(KEY_ROLE_SUPPLIER);
	gateway = relay_key_generate(KEY_ROLE_GATEWAY);
	origin.supplier = *relay_key_public(supplier);
	origin.gateway = *relay_key_public(gateway);
	checkpoint_lane_init(&lane, &origin);
	tree_init(&tree);
	tile_edge_init(&edge);
	measure("leaf: encode", 300000, do_leaf_encode);
	leaf.seq = 7;
	do_leaf_encode();
	measure("leaf: decode and check", 300000, do_leaf_decode_check);
	measure("leaf: request hash, 150 B", 100000, do_request_hash);
	measure("leaf: response hash, 28 + 80 B", 100000, do_response_hash);
	measure("leaf: response hash, 1200 B", 30000, do_response_hash_1200);
	measure("leaf: tree hash", 100000, do_leaf_hash);
	measure("tree: append", 100000, do_append);
	measure("tree: root", 10000, do_root);
	measure("tile: append to the edge", 100000, do_edge);
	measure("tile: inclusion proof of 10^6", 300, do_prove);
	make_path();
	measure("tree: check a path of 20", 3000, do_check_path);
	measure("checkpoint: sign", 2000, do_sign);
	measure("checkpoint: check", 1000, do_check);
	measure("checkpoint: cosign", 2000, do_cosign);
	measure("checkpoint: write the note", 20000, do_put_note);
	measure("checkpoint: open a cosigned note", 500, do_open_note);
	buf_finish(&note);
	relay_key_destroy(supplier);
	relay_key_destroy(gateway);
	return 0;
}
