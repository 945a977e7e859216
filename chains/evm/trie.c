/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/trie.h"

#include <assert.h>

#include "chains/evm/keccak.h"
#include "chains/evm/rlp.h"
#include "relay/base/mem.h"

#define NIBBLES_MAX (2 * TRIE_KEY_MAX)
#define NODE_BYTES_MAX (RLP_HEAD_MAX + 17 * 33) /* of a branch: 16 children and no value */

/* How a node stands in its parent: its hash, or itself when that is shorter than a hash. */
struct child {
	uint8_t n; /* 32: a hash; less: RLP of the node itself; 0: nothing */
	uint8_t b[32];
};

/* A leaf that is hashed together with the others of its branch. */
struct leaf {
	size_t at; /* in trie->leaves */
	size_t n;  /* bytes */
	size_t nibble;
};

/* A branch on the path to the newest key.  Its subtree towards that key is still open. */
struct branch {
	size_t depth; /* nibbles ahead of it */
	struct child children[16];
	struct leaf leaves[16]; /* children that are not hashed yet */
	size_t leaf_n;
};

struct trie {
	struct branch *path; /* the open branches, from the root on */
	size_t path_n;
	size_t path_cap;
	uint8_t key[NIBBLES_MAX]; /* of the newest leaf, which is not in its branch yet */
	size_t key_n;		  /* nibbles; 0: there is no leaf */
	struct buf value;
	struct buf leaves; /* those of the open branches that are not hashed yet */
	uint64_t count;	   /* of values of a list */
	struct buf first;  /* the value of index 0, whose key 0x80 comes behind those of 1 to 127 */
};

struct trie *trie_create(void)
{
	return xcalloc(1, sizeof(struct trie));
}

void trie_destroy(struct trie *trie)
{
	if (!trie)
		return;
	free(trie->path);
	buf_finish(&trie->value);
	buf_finish(&trie->leaves);
	buf_finish(&trie->first);
	free(trie);
}

static struct branch *path_push(struct trie *trie, size_t depth)
{
	struct branch *branch;

	if (trie->path_n == trie->path_cap) {
		trie->path_cap = trie->path_cap ? 2 * trie->path_cap : 8;
		trie->path = xrealloc(trie->path, trie->path_cap * sizeof(*trie->path));
	}
	branch = &trie->path[trie->path_n++];
	memset(branch, 0, sizeof(*branch));
	branch->depth = depth;
	return branch;
}

/* Nibbles in the hex-prefix form (appendix C), as an RLP string into `to`; returns its length. */
static size_t put_path(uint8_t *to, const uint8_t *nibbles, size_t n, bool leaf)
{
	uint8_t packed[1 + NIBBLES_MAX / 2];
	size_t packed_n = 1 + n / 2, head_n = 0;

	packed[0] = (uint8_t)((leaf ? 0x20 : 0) | (n % 2 ? 0x10 | nibbles[0] : 0));
	for (size_t i = n % 2, k = 1; i < n; i += 2, k++)
		packed[k] = (uint8_t)(nibbles[i] << 4 | nibbles[i + 1]);
	if (packed_n > 1)
		head_n = rlp_head(RLP_STRING, packed_n, to);
	memcpy(to + head_n, packed, packed_n);
	return head_n + packed_n;
}

/* A node, by its RLP. */
static void child_set(struct child *child, struct view node)
{
	struct hash hash;

	if (node.n < sizeof(child->b)) {
		memcpy(child->b, node.p, node.n);
		child->n = (uint8_t)node.n;
		return;
	}
	keccak256(node.p, node.n, &hash);
	memcpy(child->b, hash.b, sizeof(child->b));
	child->n = sizeof(child->b);
}

/* The newest leaf, below `depth` nibbles of its key, behind trie->leaves; returns it. */
static struct view leaf_put(struct trie *trie, size_t depth)
{
	uint8_t body[RLP_HEAD_MAX + 1 + NIBBLES_MAX / 2 + RLP_HEAD_MAX];
	uint8_t head[RLP_HEAD_MAX];
	struct view value = buf_view(&trie->value);
	size_t body_n = put_path(body, trie->key + depth, trie->key_n - depth, true);
	size_t head_n, from = trie->leaves.n;

	if (value.n != 1 || value.p[0] >= 0x80)
		body_n += rlp_head(RLP_STRING, value.n, body + body_n);
	head_n = rlp_head(RLP_LIST, body_n + value.n, head);
	buf_put(&trie->leaves, head, head_n);
	buf_put(&trie->leaves, body, body_n);
	buf_put(&trie->leaves, value.p, value.n);
	return VIEW(trie->leaves.p + from, trie->leaves.n - from);
}

/* The newest leaf into its branch. */
static void leaf_close(struct trie *trie, struct branch *branch)
{
	size_t at = trie->leaves.n, nibble = trie->key[branch->depth];
	struct view node = leaf_put(trie, branch->depth + 1);

	if (node.n >= sizeof(branch->children[0].b)) {
		branch->leaves[branch->leaf_n++] = (struct leaf){at, node.n, nibble};
		return;
	}
	child_set(&branch->children[nibble], node);
	trie->leaves.n = at;
}

/* The leaves of the branch that closes, which are the last of trie->leaves. */
static void hash_leaves(struct trie *trie, struct branch *branch)
{
	struct view nodes[16];
	struct hash hashes[16];

	if (branch->leaf_n == 0)
		return;
	for (size_t i = 0; i < branch->leaf_n; i++)
		nodes[i] = VIEW(trie->leaves.p + branch->leaves[i].at, branch->leaves[i].n);
	keccak256_many(nodes, branch->leaf_n, hashes);
	for (size_t i = 0; i < branch->leaf_n; i++) {
		struct child *child = &branch->children[branch->leaves[i].nibble];

		memcpy(child->b, hashes[i].b, sizeof(child->b));
		child->n = sizeof(child->b);
	}
	trie->leaves.n = branch->leaves[0].at;
}

static size_t put_child(uint8_t *to, const struct child *child)
{
	size_t head_n = child->n == sizeof(child->b) || child->n == 0;

	if (head_n > 0)
		to[0] = (uint8_t)(RLP_STRING + child->n);
	memcpy(to + head_n, child->b, child->n);
	return head_n + child->n;
}

static void branch_close(struct trie *trie, struct branch *branch, struct child *ret)
{
	uint8_t body[NODE_BYTES_MAX], head[RLP_HEAD_MAX];
	uint8_t *from;
	size_t body_n = RLP_HEAD_MAX, head_n;

	hash_leaves(trie, branch);
	for (size_t i = 0; i < 16; i++)
		body_n += put_child(body + body_n, &branch->children[i]);
	body[body_n++] = RLP_STRING; /* no value */
	body_n -= RLP_HEAD_MAX;
	head_n = rlp_head(RLP_LIST, body_n, head);
	from = body + RLP_HEAD_MAX - head_n;
	memcpy(from, head, head_n);
	child_set(ret, VIEW(from, head_n + body_n));
}

/* The nibbles [from, to) of the newest key ahead of a node. */
static void extend(const struct trie *trie, size_t from, size_t to, struct child *child)
{
	uint8_t body[RLP_HEAD_MAX + 1 + NIBBLES_MAX / 2 + 33], head[RLP_HEAD_MAX + sizeof(body)];
	size_t body_n, head_n;

	if (from == to)
		return;
	body_n = put_path(body, trie->key + from, to - from, false);
	body_n += put_child(body + body_n, child);
	head_n = rlp_head(RLP_LIST, body_n, head);
	memcpy(head + head_n, body, body_n);
	child_set(child, VIEW(head, head_n + body_n));
}

/* Puts the newest leaf into its branch and closes the branches below `depth`, so that the last one
 * that is open stands at `depth`. */
static void close_to(struct trie *trie, size_t depth)
{
	if (trie->path_n == 0 || trie->path[trie->path_n - 1].depth < depth)
		path_push(trie, depth);
	leaf_close(trie, &trie->path[trie->path_n - 1]);
	for (;;) {
		size_t below = trie->path[trie->path_n - 1].depth, above;
		struct child child;

		if (below == depth)
			return;
		branch_close(trie, &trie->path[trie->path_n - 1], &child);
		trie->path_n--;
		if (trie->path_n == 0 || trie->path[trie->path_n - 1].depth < depth)
			path_push(trie, depth);
		above = trie->path[trie->path_n - 1].depth;
		extend(trie, above + 1, below, &child);
		trie->path[trie->path_n - 1].children[trie->key[above]] = child;
	}
}

static size_t common_nibbles(const struct trie *trie, const uint8_t *key, size_t n)
{
	size_t i = 0;

	while (i < n && i < trie->key_n && key[i] == trie->key[i])
		i++;
	return i;
}

void trie_add(struct trie *trie, struct view key, struct view value)
{
	uint8_t nibbles[NIBBLES_MAX];
	size_t common;

	assert(key.n > 0 && key.n <= TRIE_KEY_MAX && value.n > 0);
	for (size_t i = 0; i < key.n; i++) {
		nibbles[2 * i] = key.p[i] >> 4;
		nibbles[2 * i + 1] = key.p[i] & 15;
	}
	if (trie->key_n > 0) {
		common = common_nibbles(trie, nibbles, 2 * key.n);
		assert(common < trie->key_n && common < 2 * key.n);
		assert(nibbles[common] > trie->key[common]);
		close_to(trie, common);
	}
	memcpy(trie->key, nibbles, 2 * key.n);
	trie->key_n = 2 * key.n;
	trie->value.n = 0;
	buf_put(&trie->value, value.p, value.n);
}

void trie_end(struct trie *trie, struct hash *ret)
{
	static const uint8_t nothing = RLP_STRING;
	struct child root;

	if (trie->key_n == 0) {
		keccak256(&nothing, 1, ret);
		return;
	}
	if (trie->path_n == 0) {
		child_set(&root, leaf_put(trie, 0));
	} else {
		size_t depth = trie->path[0].depth;

		close_to(trie, depth);
		branch_close(trie, &trie->path[0], &root);
		extend(trie, 0, depth, &root);
	}
	if (root.n == sizeof(root.b))
		memcpy(ret->b, root.b, sizeof(ret->b));
	else
		keccak256(root.b, root.n, ret); /* a root is hashed however short it is */
	trie->key_n = trie->path_n = trie->leaves.n = 0;
}

static void add_at(struct trie *trie, uint64_t index, struct view value)
{
	uint8_t key[RLP_HEAD_MAX], number[8];
	size_t zeros = 0;

	if (index > 0 && index < 0x80) {
		key[0] = (uint8_t)index;
		trie_add(trie, VIEW(key, 1), value);
		return;
	}
	put_be64(number, index);
	while (zeros < 8 && number[zeros] == 0)
		zeros++;
	key[0] = (uint8_t)(RLP_STRING + 8 - zeros);
	memcpy(key + 1, number + zeros, 8 - zeros);
	trie_add(trie, VIEW(key, 1 + 8 - zeros), value);
}

void trie_list_add(struct trie *trie, struct view value)
{
	uint64_t index = trie->count++;

	if (index == 0) {
		trie->first.n = 0;
		buf_put(&trie->first, value.p, value.n);
		return;
	}
	if (index == 0x80)
		add_at(trie, 0, buf_view(&trie->first));
	add_at(trie, index, value);
}

void trie_list_end(struct trie *trie, struct hash *ret)
{
	if (trie->count > 0 && trie->count <= 0x80)
		add_at(trie, 0, buf_view(&trie->first));
	trie->count = 0;
	trie_end(trie, ret);
}
