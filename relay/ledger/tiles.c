/* SPDX-License-Identifier: Apache-2.0
 * Reading a day file from any connection: heads, runs of leaves, tiles and the partial tiles that
 * only their leaves tell. */
#include "relay/ledger/internal.h"

#include "relay/receipt/leaf.h"

bool lane_head_read(sqlite3 *db, uint64_t number, struct ledger_head *ret, struct err *err)
{
	STMT *stmt = NULL;
	int rc;

	if (!store_prepare(db,
			   "SELECT id, count, root, signature FROM turns WHERE id >= ?1 AND id < ?2"
			   " ORDER BY id DESC LIMIT 1",
			   &stmt, err))
		return false;
	sqlite3_bind_int64(stmt, 1, row_id(number, 0));
	sqlite3_bind_int64(stmt, 2, row_id(number + 1, 0));
	rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_fail(db, "head", err);
	*ret = (struct ledger_head){0};
	if (rc == SQLITE_DONE)
		return true;
	ret->size = ((uint64_t)sqlite3_column_int64(stmt, 0) & (LEDGER_LANE_LEAVES - 1)) +
		    (uint64_t)sqlite3_column_int64(stmt, 1);
	if (!store_blob(stmt, 2, ret->root.b, sizeof(ret->root.b)) ||
	    !store_blob(stmt, 3, ret->signature.b, sizeof(ret->signature.b)))
		return err_set(err, ERR_LEDGER, "the last turn of a lane has no head");
	return true;
}

struct run {
	uint64_t from, max;
	uint8_t *leaves, *salts, *places;
	uint64_t n;
};

/* Copies the part of a turn that is wanted; false when the row does not fit together. */
static bool run_take(struct run *run, sqlite3_stmt *stmt)
{
	uint64_t first = (uint64_t)sqlite3_column_int64(stmt, 0) & (LEDGER_LANE_LEAVES - 1);
	uint64_t count = (uint64_t)sqlite3_column_int64(stmt, 1);
	const uint8_t *leaves = sqlite3_column_blob(stmt, 2);
	const uint8_t *salts = sqlite3_column_blob(stmt, 3);
	const uint8_t *places = sqlite3_column_blob(stmt, 4);
	uint64_t want = run->from + run->n, skip, n;

	if (count > LEDGER_BATCH_MAX || first > want || want >= first + count ||
	    (uint64_t)sqlite3_column_bytes(stmt, 2) != count * LEDGER_LEAF_BYTES ||
	    (uint64_t)sqlite3_column_bytes(stmt, 3) != count * LEDGER_SALT_BYTES)
		return false;
	if (places != NULL && (uint64_t)sqlite3_column_bytes(stmt, 4) != count * LEDGER_PLACE_BYTES)
		return false;
	skip = want - first;
	n = MIN(count - skip, run->max - run->n);
	memcpy(run->leaves + run->n * LEDGER_LEAF_BYTES, leaves + skip * LEDGER_LEAF_BYTES,
	       n * LEDGER_LEAF_BYTES);
	if (run->salts != NULL)
		memcpy(run->salts + run->n * LEDGER_SALT_BYTES, salts + skip * LEDGER_SALT_BYTES,
		       n * LEDGER_SALT_BYTES);
	if (run->places != NULL && places != NULL)
		memcpy(run->places + run->n * LEDGER_PLACE_BYTES,
		       places + skip * LEDGER_PLACE_BYTES, n * LEDGER_PLACE_BYTES);
	else if (run->places != NULL)
		memset(run->places + run->n * LEDGER_PLACE_BYTES, 0, n * LEDGER_PLACE_BYTES);
	run->n += n;
	return true;
}

bool turns_read(sqlite3 *db, uint64_t number, uint64_t from, size_t max, uint8_t *leaves,
		uint8_t *salts, uint8_t *places, size_t *ret_n, struct err *err)
{
	struct run run = {from, max, leaves, salts, places, 0};
	STMT *stmt = NULL;
	int rc = SQLITE_DONE;

	/* The turn that holds `from` begins at or before it. */
	if (!store_prepare(db,
			   "SELECT id, count, leaves, salts, places FROM turns WHERE id < ?3 AND"
			   " id >= ifnull((SELECT max(id) FROM turns WHERE id >= ?1 AND id <= ?2),"
			   " ?2) ORDER BY id",
			   &stmt, err))
		return false;
	sqlite3_bind_int64(stmt, 1, row_id(number, 0));
	sqlite3_bind_int64(stmt, 2, row_id(number, from));
	sqlite3_bind_int64(stmt, 3, row_id(number + 1, 0));
	while (run.n < max && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		uint64_t first = (uint64_t)sqlite3_column_int64(stmt, 0) & (LEDGER_LANE_LEAVES - 1);

		if (run.n == 0 && first + (uint64_t)sqlite3_column_int64(stmt, 1) <= from)
			break; /* `from` is beyond the end */
		if (!run_take(&run, stmt))
			return err_set(err, ERR_LEDGER, "a turn of a lane does not fit");
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_fail(db, "turns", err);
	*ret_n = run.n;
	return true;
}

static bool tile_read_full(const struct tile_source *source, unsigned level, uint64_t index,
			   unsigned width, struct hash *dst, bool *ret_found, struct err *err)
{
	STMT *stmt = NULL;
	int rc;

	if (!store_prepare(source->db, "SELECT hashes FROM tiles WHERE id = ?1", &stmt, err))
		return false;
	sqlite3_bind_int64(stmt, 1, tile_row_id(source->number, level, index));
	rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_fail(source->db, "tile", err);
	*ret_found = rc == SQLITE_ROW;
	if (!*ret_found)
		return true;
	if (sqlite3_column_bytes(stmt, 0) != (int)(TILE_WIDTH * sizeof(*dst)))
		return err_set(err, ERR_LEDGER, "a tile has a wrong length");
	memcpy(dst, sqlite3_column_blob(stmt, 0), width * sizeof(*dst));
	return true;
}

static bool tile_from_leaves(const struct tile_source *source, uint64_t index, unsigned width,
			     struct hash *dst, struct err *err)
{
	CLEANUP(xfree) uint8_t *leaves = xmalloc((size_t)width * LEDGER_LEAF_BYTES);
	size_t n = 0;

	if (!turns_read(source->db, source->number, index * TILE_WIDTH, width, leaves, NULL, NULL,
			&n, err))
		return false;
	if (n != width)
		return err_set(err, ERR_LEDGER, "leaves of a lane are missing");
	for (unsigned i = 0; i < width; i++)
		leaf_hash(leaves + (size_t)i * LEDGER_LEAF_BYTES, &dst[i]);
	return true;
}

/* Entries of an upper tile are the roots of the full ones below. */
static bool tile_from_roots(const struct tile_source *source, unsigned level, uint64_t index,
			    unsigned width, struct hash *dst, struct err *err)
{
	STMT *stmt = NULL;
	unsigned n = 0;

	if (!store_prepare(source->db,
			   "SELECT root FROM tiles WHERE id >= ?1 AND id < ?2 ORDER BY id", &stmt,
			   err))
		return false;
	sqlite3_bind_int64(stmt, 1, tile_row_id(source->number, level - 1, index * TILE_WIDTH));
	sqlite3_bind_int64(stmt, 2,
			   tile_row_id(source->number, level - 1, index * TILE_WIDTH + width));
	while (n < width && sqlite3_step(stmt) == SQLITE_ROW) {
		if (!store_blob(stmt, 0, dst[n].b, sizeof(dst[n].b)))
			return err_set(err, ERR_LEDGER, "a tile has no root");
		n++;
	}
	if (n != width)
		return err_set(err, ERR_LEDGER, "tiles of a lane are missing");
	return true;
}

bool tile_source_read(void *arg, unsigned level, uint64_t index, unsigned width, struct hash *dst,
		      struct err *err)
{
	const struct tile_source *source = arg;
	bool found = false;

	if (!tile_read_full(source, level, index, width, dst, &found, err))
		return false;
	if (found)
		return true;
	if (level == 0)
		return tile_from_leaves(source, index, width, dst, err);
	return tile_from_roots(source, level, index, width, dst, err);
}
