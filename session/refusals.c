/* SPDX-License-Identifier: Apache-2.0 */
#include "session/refusals.h"

#include <assert.h>

#include "relay/base/mem.h"
#include "relay/crypto/table.h"

struct refusals_key {
	uint32_t method;
	struct chain_target target;
};

struct refusals_row {
	struct refusals_key key;
	uint64_t refused; /* or late, of all cells, those that made room too */
	usec_t refused_us;
	size_t count;
	struct refusals_cell cells[REFUSALS_CELLS_MAX];
	UT_hash_handle hh;
};

struct refusals {
	struct refusals_row *rows;
};

struct refusals *refusals_create(void)
{
	return xcalloc(1, sizeof(struct refusals));
}

void refusals_destroy(struct refusals *table)
{
	struct refusals_row *row, *tmp;

	if (!table)
		return;
	HASH_ITER (hh, table->rows, row, tmp) {
		HASH_DEL(table->rows, row);
		free(row);
	}
	free(table);
}

bool refusals_is_empty(const struct refusals *table)
{
	return !table->rows;
}

/* Every byte of it is hashed. */
static struct refusals_key key_of(uint32_t method, const struct chain_target *target)
{
	struct refusals_key key;

	assert(target->n <= CHAIN_TARGET_MAX);
	memset(&key, 0, sizeof(key));
	key.method = method;
	key.target.n = target->n;
	memcpy(key.target.b, target->b, target->n);
	return key;
}

struct refusals_row *refusals_find(struct refusals *table, uint32_t method,
				   const struct chain_target *target)
{
	struct refusals_key key = key_of(method, target);
	struct refusals_row *row;

	HASH_FIND(hh, table->rows, &key, sizeof(key), row);
	return row;
}

static struct refusals_cell *cell_of(struct refusals_row *row, const struct key_id *supplier)
{
	for (size_t i = 0; i < row->count; i++) {
		if (ID_EQ(&row->cells[i].supplier, supplier))
			return &row->cells[i];
	}
	return NULL;
}

void refusals_asked(struct refusals_row *row, const struct key_id *supplier)
{
	struct refusals_cell *cell = cell_of(row, supplier);

	if (cell && cell->asked < UINT32_MAX / 2)
		cell->asked++;
}

/* Fewer refusals, or as many and longer ago. */
static bool is_lesser(uint64_t refused, usec_t at, uint64_t than, usec_t than_at)
{
	return refused < than || (refused == than && at < than_at);
}

static bool make_room(struct refusals *table)
{
	struct refusals_row *least = NULL, *row, *tmp;

	if (HASH_COUNT(table->rows) < REFUSALS_ROWS_MAX)
		return false;
	HASH_ITER (hh, table->rows, row, tmp) {
		if (!least ||
		    is_lesser(row->refused, row->refused_us, least->refused, least->refused_us))
			least = row;
	}
	HASH_DEL(table->rows, least);
	free(least);
	return true;
}

static struct refusals_cell *cell_new(struct refusals_row *row, const struct key_id *supplier)
{
	struct refusals_cell *cell = &row->cells[0];

	if (row->count < REFUSALS_CELLS_MAX) {
		cell = &row->cells[row->count++];
	} else {
		for (size_t i = 1; i < row->count; i++) {
			const struct refusals_cell *c = &row->cells[i];

			if (is_lesser(c->refused + c->late, c->refused_us,
				      cell->refused + cell->late, cell->refused_us))
				cell = &row->cells[i];
		}
	}
	*cell = (struct refusals_cell){.supplier = *supplier, .asked = 1};
	return cell;
}

bool refusals_add(struct refusals *table, uint32_t method, const struct chain_target *target,
		  const struct key_id *supplier, bool late, usec_t now)
{
	struct refusals_row *row = refusals_find(table, method, target);
	struct refusals_cell *cell;
	bool dropped = false;

	if (!row) {
		dropped = make_room(table);
		row = xcalloc(1, sizeof(*row));
		row->key = key_of(method, target);
		HASH_ADD(hh, table->rows, key, sizeof(row->key), row);
	}
	cell = cell_of(row, supplier);
	if (!cell)
		cell = cell_new(row, supplier);
	if (cell->refused + cell->late < cell->asked)
		*(late ? &cell->late : &cell->refused) += 1;
	cell->refused_us = now;
	row->refused++;
	row->refused_us = now;
	return dropped;
}

bool refusals_shuns(const struct refusals_row *row, const struct key_id *supplier, usec_t now)
{
	for (size_t i = 0; i < row->count; i++) {
		const struct refusals_cell *cell = &row->cells[i];

		if (ID_EQ(&cell->supplier, supplier))
			return cell->refused >= REFUSALS_SHUN_MIN &&
			       cell->refused > cell->asked / 2 &&
			       now - cell->refused_us < REFUSALS_SHUN_US;
	}
	return false;
}

void refusals_walk(const struct refusals *table,
		   void (*show)(const struct refusals_view *row, void *arg), void *arg)
{
	const struct refusals_row *row;

	for (row = table->rows; row; row = row->hh.next) {
		const struct refusals_view view = {row->key.method, &row->key.target, row->cells,
						   row->count};

		show(&view, arg);
	}
}
