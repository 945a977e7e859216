/* SPDX-License-Identifier: Apache-2.0 */
#include "session/table.h"

#include <assert.h>

#include "relay/base/bytes.h"
#include "relay/base/mem.h"
#include "relay/receipt/tree.h"

uint64_t table_weight(const struct session_params *p, u128 stake)
{
	u128 weight = MIN(stake, p->stake_cap) / p->stake_unit;

	assert(weight < (u128)1 << 63);
	return (uint64_t)weight;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct table_row *)a)->key.b, ((const struct table_row *)b)->key.b,
		      32);
}

/* What the sort moves: the first bytes of a key decide nearly always, and rows stay in place. */
struct sort_item {
	uint64_t prefix;
	const struct table_input *in;
};

static int by_item(const void *a, const void *b)
{
	const struct sort_item *x = a, *y = b;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	return memcmp(x->in->key.b, y->in->key.b, sizeof(x->in->key.b));
}

/* Distinct owners, as far as a draw can tell them apart: it never wants more than the limit, and a
 * table of many owners shows that many within its first rows. */
static size_t count_owners(const struct stake_table *t)
{
	const struct owner_id *seen[SESSION_MEMBERS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < t->n && n < SESSION_MEMBERS_MAX; i++) {
		const struct owner_id *owner = &t->rows[i].owner;
		size_t k = 0;

		while (k < n && !ID_EQ(seen[k], owner))
			k++;
		if (k == n)
			seen[n++] = owner;
	}
	return n;
}

/* The inputs in the order of their keys. */
static struct sort_item *sort_inputs(const struct table_input *in, size_t n)
{
	struct sort_item *items = xmalloc(n * sizeof(*items));
	bool sorted = true;

	for (size_t i = 0; i < n; i++) {
		items[i] = (struct sort_item){get_be64(in[i].key.b), &in[i]};
		sorted = sorted && (i == 0 || by_item(&items[i - 1], &items[i]) <= 0);
	}
	if (!sorted)
		qsort(items, n, sizeof(*items), by_item);
	return items;
}

/* Copies the inputs that weigh. */
static void fill(struct stake_table *t, const struct session_params *p,
		 const struct sort_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct table_input *in = items[i].in;
		uint64_t weight = table_weight(p, in->stake);

		if (weight > 0)
			t->rows[t->n++] = (struct table_row){in->key, in->owner, in->index,
							     weight,  0,	 in->price};
	}
}

/* Fills in `before` and the total, and sees that no key stands twice. */
static bool add_up(struct stake_table *t, struct err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		struct table_row *row = &t->rows[i];

		if (i > 0 && ID_EQ(&row[-1].key, &row->key))
			return err_set(err, ERR_RANGE,
				       "a supplier stands twice in the stake table");
		if (row->weight > TABLE_TOTAL_MAX - t->total)
			return err_set(err, ERR_RANGE, "the stake table weighs more than 2^63 - 1");
		row->before = t->total;
		t->total += row->weight;
	}
	return true;
}

bool stake_table_create(const struct session_params *p, const struct table_input *in, size_t n,
			struct stake_table **ret, struct err *err)
{
	CLEANUP(stake_table_destroy) struct stake_table *t = NULL;
	CLEANUP(xfree) struct sort_item *items = NULL;

	if (n > TABLE_ROWS_MAX)
		return err_set(err, ERR_RANGE, "%zu suppliers, a stake table has at most %u", n,
			       TABLE_ROWS_MAX);
	t = xmalloc(sizeof(*t) + n * sizeof(t->rows[0]));
	*t = (struct stake_table){0};
	items = sort_inputs(in, n);
	fill(t, p, items, n);
	if (!add_up(t, err))
		return false;
	t->owners = count_owners(t);
	*ret = STEAL(t);
	return true;
}

void stake_table_destroy(struct stake_table *table)
{
	free(table);
}

size_t stake_table_hit(const struct stake_table *table, uint64_t r)
{
	size_t low = 0, high = table->n; /* the hit is in [low, high) */

	assert(r < table->total);
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (table->rows[mid].before <= r)
			low = mid;
		else
			high = mid;
	}
	assert(table->rows[low].before <= r &&
	       r - table->rows[low].before < table->rows[low].weight);
	return low;
}

const struct table_row *stake_table_find(const struct stake_table *table, const struct key_id *key)
{
	struct table_row wanted = {.key = *key};

	return bsearch(&wanted, table->rows, table->n, sizeof(table->rows[0]), by_key);
}

void table_row_encode(const struct table_row *row, uint8_t dst[TABLE_ROW_BYTES])
{
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a tag, not a string */
	memcpy(dst, "CFS1", 4);
	memcpy(dst + 4, row->key.b, 32);
	memcpy(dst + 36, row->owner.b, 20);
	put_be64(dst + 56, row->weight);
	put_be64(dst + 64, row->before);
	put_be64(dst + 72, row->price);
}

struct hash stake_table_root(const struct stake_table *table)
{
	struct tree tree;
	struct hash root;

	tree_init(&tree);
	for (size_t i = 0; i < table->n; i++) {
		uint8_t bytes[TABLE_ROW_BYTES];
		struct hash leaf;

		table_row_encode(&table->rows[i], bytes);
		tree_leaf_hash(VIEW(bytes, sizeof(bytes)), &leaf);
		tree_append(&tree, &leaf);
	}
	tree_root(&tree, &root);
	return root;
}
