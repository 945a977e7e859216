/* SPDX-License-Identifier: Apache-2.0
 * The leaf that holds a unit: from the last mark before it on. */
#include "relay/ledger/claims_tally.h"

static bool mark_find(struct claims *claims, const struct lane_id *lane,
		      const struct session_id *session, cu_t z, uint64_t *ret, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, SQL_MARK_FIND, err);
	bool found;

	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, lane);
	BIND_ID(stmt, 2, session);
	sqlite3_bind_int64(stmt, 3, (int64_t)MIN(z, (cu_t)INT64_MAX));
	if (!claims_step(stmt, &found, err))
		return false;
	if (found)
		*ret = (uint64_t)sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	return found || err_set(err, ERR_NOT_FOUND, "nothing of the session was counted there");
}

/* Seq and bytes of the leaf that holds z. */
static bool leaf_find(struct claims *claims, struct ledger_reader *reader,
		      const struct lane_id *lane, const struct session_id *session, cu_t z,
		      uint8_t *ret_leaf, uint64_t *ret_seq, struct err *err)
{
	CLEANUP(xfree) uint8_t *leaves = xmalloc((size_t)CLAIMS_CHUNK * LEAF_SIZE);
	uint64_t from = 0, end;
	size_t n = 1;

	if (!mark_find(claims, lane, session, z, &from, err))
		return false;
	for (end = from + CLAIMS_MARK_FAR + 1; from < end && n > 0; from += n) {
		if (!ledger_leaves_read(reader, lane, from, (size_t)MIN(end - from, CLAIMS_CHUNK),
					leaves, NULL, &n, err))
			return false;
		for (size_t i = 0; i < n; i++) {
			const uint8_t *leaf = leaves + i * LEAF_SIZE;
			cu_t before = get_be64(leaf + LEAF_CU_BEFORE);

			if (memcmp(leaf + LEAF_SESSION, session->b, sizeof(session->b)) != 0 ||
			    z < before || z - before >= get_be32(leaf + LEAF_CU))
				continue;
			*ret_seq = from + i;
			memcpy(ret_leaf, leaf, LEAF_SIZE);
			return true;
		}
	}
	return err_set(err, ERR_NOT_FOUND, "no leaf of the session holds this unit");
}

bool claims_find_leaf(struct claims *claims, struct ledger_reader *reader,
		      const struct lane_id *lane, const struct session_id *session, cu_t z,
		      uint64_t *ret_seq, struct err *err)
{
	uint8_t leaf[LEAF_SIZE];

	return leaf_find(claims, reader, lane, session, z, leaf, ret_seq, err);
}

/* Tiles of one lane, for relay/receipt/tile.h. */
struct lane_tiles {
	struct ledger_reader *reader;
	const struct lane_id *lane;
	uint64_t size;
};

static bool lane_tiles_read(void *arg, unsigned level, uint64_t index, unsigned width,
			    struct hash *dst, struct err *err)
{
	const struct lane_tiles *tiles = arg;
	struct hash hashes[TILE_WIDTH];
	size_t n;

	if (!ledger_tile_read(tiles->reader, tiles->lane, tiles->size, level, index, hashes, &n,
			      err))
		return false;
	if (n < width)
		return err_set(err, ERR_NOT_FOUND, "tiles of a lane are missing");
	memcpy(dst, hashes, width * sizeof(*dst));
	return true;
}

bool claims_prove_leaf(struct claims *claims, struct ledger_reader *reader,
		       const struct lane_id *lane, const struct session_id *session, cu_t z,
		       uint64_t size, uint8_t ret_leaf[LEDGER_LEAF_BYTES],
		       struct tree_proof *ret_path, struct err *err)
{
	struct lane_tiles tiles = {reader, lane, size};
	uint8_t leaf[LEAF_SIZE];
	uint64_t seq;

	if (!leaf_find(claims, reader, lane, session, z, leaf, &seq, err))
		return false;
	if (seq >= size)
		return err_set(err, ERR_NOT_FOUND, "the unit is not under the head that was named");
	if (!tile_prove_inclusion(seq, size, lane_tiles_read, &tiles, ret_path, err))
		return false;
	memcpy(ret_leaf, leaf, LEAF_SIZE);
	return true;
}
