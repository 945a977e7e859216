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

static int by_owner(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct owner_id));
}

static size_t count_owners(const struct stake_table *t)
{
	CLEANUP(xfree) struct owner_id *owners = xmalloc(t->n * sizeof(*owners));
	size_t distinct = 0;

	for (size_t i = 0; i < t->n; i++)
		owners[i] = t->rows[i].owner;
	qsort(owners, t->n, sizeof(*owners), by_owner);
	for (size_t i = 0; i < t->n; i++)
		distinct += i == 0 || !ID_EQ(&owners[i], &owners[i - 1]);
	return distinct;
}

/* Copies the rows that weigh; true iff they come in the order of their keys. */
static bool fill(struct stake_table *t, const struct session_params *p,
		 const struct table_input *in, size_t n)
{
	bool sorted = true;

	for (size_t i = 0; i < n; i++) {
		uint64_t weight = table_weight(p, in[i].stake);
		struct table_row *row = &t->rows[t->n];

		if (weight == 0)
			continue;
		*row = (struct table_row){in[i].key, in[i].owner, in[i].index,
					  weight,    0,		  in[i].price};
		if (t->n > 0 && by_key(row - 1, row) >= 0)
			sorted = false;
		t->n++;
	}
	return sorted;
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

	if (n > TABLE_ROWS_MAX)
		return err_set(err, ERR_RANGE, "%zu suppliers, a stake table has at most %u", n,
			       TABLE_ROWS_MAX);
	t = xmalloc(sizeof(*t) + n * sizeof(t->rows[0]));
	*t = (struct stake_table){0};
	if (!fill(t, p, in, n))
		qsort(t->rows, t->n, sizeof(t->rows[0]), by_key);
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
