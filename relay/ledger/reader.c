/* SPDX-License-Identifier: Apache-2.0
 * Readers: connections of their own to state.db and to the day files that are asked for. */
#include "relay/ledger/reader.h"

#include <inttypes.h>
#include <unistd.h>

#include "relay/ledger/reader_internal.h"

#define LANE_COLUMNS                                                                               \
	"number, lane, peer, day, opened_ms, state, dropped, final_size, adopted_from,"            \
	" cosigned_size, cosigned_root, cosigned_time, cosigned_signature"

static bool reader_identify(struct ledger_reader *reader, struct err *err)
{
	STMT *stmt = NULL;
	uint8_t role;

	if (!store_prepare(reader->state,
			   "SELECT s.value, r.value FROM meta s, meta r"
			   " WHERE s.name = 'self' AND r.name = 'role'",
			   &stmt, err))
		return false;
	if (sqlite3_step(stmt) != SQLITE_ROW ||
	    !store_blob(stmt, 0, reader->identity.self.b, sizeof(reader->identity.self.b)) ||
	    !store_blob(stmt, 1, &role, 1) || role < LEDGER_GATEWAY || role > LEDGER_SUPPLIER)
		return err_set(err, ERR_LEDGER, "%s: no identity in the ledger", reader->dir);
	reader->identity.role = (enum ledger_role)role;
	return true;
}

bool ledger_reader_open(const char *dir, struct ledger_reader **ret, struct err *err)
{
	CLEANUP(ledger_reader_close) struct ledger_reader *reader = xcalloc(1, sizeof(*reader));
	char path[LEDGER_PATH_MAX];

	if (strlen(dir) + 64 > LEDGER_PATH_MAX)
		return err_set(err, ERR_IO, "the ledger's path is too long");
	snprintf(reader->dir, sizeof(reader->dir), "%s", dir);
	store_path(dir, "state.db", path);
	if (access(path, R_OK) != 0)
		return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
	crypto_init();
	if (!ledger_db_open(path, "state", STORE_READ, &reader->state, err) ||
	    !reader_identify(reader, err) ||
	    !store_prepare(reader->state, "SELECT " LANE_COLUMNS " FROM lanes WHERE lane = ?1",
			   &reader->lane, err))
		return false;
	*ret = STEAL(reader);
	return true;
}

static void reader_day_close(struct reader_day *day)
{
	sqlite3_close(day->db);
	*day = (struct reader_day){0};
}

void ledger_reader_close(struct ledger_reader *reader)
{
	if (reader == NULL)
		return;
	for (size_t i = 0; i < READER_DAYS; i++)
		reader_day_close(&reader->days[i]);
	reader_segment_close(reader);
	sqlite3_finalize(reader->lane);
	sqlite3_close(reader->state);
	free(reader);
}

void ledger_reader_identity(const struct ledger_reader *reader, struct ledger_identity *ret)
{
	*ret = reader->identity;
}

sqlite3 *reader_day(struct ledger_reader *reader, uint32_t day, struct err *err)
{
	struct reader_day *slot = &reader->days[0];
	char name[32], path[LEDGER_PATH_MAX];

	for (size_t i = 0; i < READER_DAYS; i++) {
		if (reader->days[i].day == day) {
			reader->days[i].used = ++reader->uses;
			return reader->days[i].db;
		}
		if (reader->days[i].used < slot->used)
			slot = &reader->days[i];
	}
	reader_day_close(slot);
	store_day_name(day, name);
	store_path(reader->dir, name, path);
	if (access(path, R_OK) != 0) {
		err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
			strerror(errno));
		return NULL;
	}
	if (!ledger_db_open(path, "leaves", STORE_READ, &slot->db, err))
		return NULL;
	slot->day = day;
	slot->used = ++reader->uses;
	return slot->db;
}

/* A row of LANE_COLUMNS; the head comes from the day file. */
static bool lane_from_row(struct ledger_reader *reader, sqlite3_stmt *stmt,
			  struct ledger_lane_info *ret, uint64_t *ret_number, struct err *err)
{
	struct key_id peer;
	struct err ignored = {0};
	sqlite3 *db;

	*ret = (struct ledger_lane_info){0};
	if (!store_blob(stmt, 1, ret->id.b, sizeof(ret->id.b)) ||
	    !store_blob(stmt, 2, peer.b, sizeof(peer.b)))
		return err_set(err, ERR_LEDGER, "a lane's row is malformed");
	*ret_number = (uint64_t)sqlite3_column_int64(stmt, 0);
	ret->gateway = reader->identity.role == LEDGER_GATEWAY ? reader->identity.self : peer;
	ret->supplier = reader->identity.role == LEDGER_GATEWAY ? peer : reader->identity.self;
	ret->day = (uint32_t)sqlite3_column_int64(stmt, 3);
	ret->opened_ms = sqlite3_column_int64(stmt, 4);
	ret->state = sqlite3_column_int(stmt, 5) == 2 ? LEDGER_LANE_CLOSED : LEDGER_LANE_UNCLOSED;
	ret->dropped = sqlite3_column_int(stmt, 6) != 0;
	ret->final_size = (uint64_t)sqlite3_column_int64(stmt, 7);
	ret->adopted_from = sqlite3_column_type(stmt, 8) == SQLITE_NULL
				    ? UINT64_MAX
				    : (uint64_t)sqlite3_column_int64(stmt, 8);
	if (store_blob(stmt, 10, ret->cosigned.root.b, sizeof(ret->cosigned.root.b)) &&
	    store_blob(stmt, 12, ret->cosigned.signature.b, sizeof(ret->cosigned.signature.b))) {
		ret->cosigned.size = (uint64_t)sqlite3_column_int64(stmt, 9);
		ret->cosigned.time = (uint64_t)sqlite3_column_int64(stmt, 11);
	}
	if (ret->dropped)
		return true;
	db = reader_day(reader, ret->day, &ignored);
	if (db == NULL) /* no leaf yet: the file comes with the first */
		return ignored.code == ERR_NOT_FOUND || (*err = ignored, false);
	if (!lane_head_read(db, *ret_number, &ret->head, &ignored))
		ret->state = LEDGER_LANE_DEAD;
	return true;
}

bool reader_lane(struct ledger_reader *reader, const struct lane_id *lane,
		 struct ledger_lane_info *ret, uint64_t *ret_number, struct err *err)
{
	sqlite3_stmt *stmt = reader->lane;
	bool ok;
	int rc;

	sqlite3_bind_blob(stmt, 1, lane->b, sizeof(lane->b), SQLITE_TRANSIENT);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		ok = lane_from_row(reader, stmt, ret, ret_number, err);
	else if (rc == SQLITE_DONE)
		ok = err_set(err, ERR_NOT_FOUND, "no such lane");
	else
		ok = store_fail(reader->state, "lane", err);
	sqlite3_reset(stmt);
	return ok;
}

bool ledger_lane_read(struct ledger_reader *reader, const struct lane_id *lane,
		      struct ledger_lane_info *ret, struct err *err)
{
	uint64_t number;

	return reader_lane(reader, lane, ret, &number, err);
}

bool ledger_each_lane(struct ledger_reader *reader, ledger_lane_fn *fn, void *arg, struct err *err)
{
	struct ledger_lane_info info;
	STMT *stmt = NULL;
	uint64_t number;
	bool on = true;
	int rc = SQLITE_DONE;

	if (!store_prepare(reader->state, "SELECT " LANE_COLUMNS " FROM lanes ORDER BY number",
			   &stmt, err))
		return false;
	while (on && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (!lane_from_row(reader, stmt, &info, &number, err))
			return false;
		on = fn(arg, &info);
	}
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_fail(reader->state, "lanes", err);
	return true;
}

/* Lane and open day file of what a caller asks for. */
static bool reader_locate(struct ledger_reader *reader, const struct lane_id *lane,
			  struct ledger_lane_info *ret, uint64_t *ret_number, sqlite3 **ret_db,
			  struct err *err)
{
	*ret_db = NULL;
	if (!reader_lane(reader, lane, ret, ret_number, err))
		return false;
	if (ret->dropped)
		return err_set(err, ERR_NOT_FOUND, "the lane's day has been dropped");
	*ret_db = reader_day(reader, ret->day, err);
	return *ret_db != NULL;
}

bool ledger_head_read(struct ledger_reader *reader, const struct lane_id *lane, uint64_t size,
		      struct ledger_head *ret, struct err *err)
{
	struct ledger_lane_info info;
	uint64_t number;
	sqlite3 *db;

	return reader_locate(reader, lane, &info, &number, &db, err) &&
	       reader_head(db, number, size, ret, err);
}

bool reader_head(sqlite3 *db, uint64_t number, uint64_t size, struct ledger_head *ret,
		 struct err *err)
{
	STMT *stmt = NULL;

	if (size == 0 || size > LEDGER_LANE_LEAVES)
		return err_set(err, ERR_NOT_FOUND, "no head of size %" PRIu64, size);
	if (!store_prepare(db,
			   "SELECT id + count, root, signature FROM turns WHERE id >= ?1 AND"
			   " id < ?2 ORDER BY id DESC LIMIT 1",
			   &stmt, err))
		return false;
	sqlite3_bind_int64(stmt, 1, row_id(number, 0));
	sqlite3_bind_int64(stmt, 2, row_id(number, 0) + (int64_t)size);
	ret->size = size;
	if (sqlite3_step(stmt) != SQLITE_ROW ||
	    sqlite3_column_int64(stmt, 0) != row_id(number, 0) + (int64_t)size ||
	    !store_blob(stmt, 1, ret->root.b, sizeof(ret->root.b)) ||
	    !store_blob(stmt, 2, ret->signature.b, sizeof(ret->signature.b)))
		return err_set(err, ERR_NOT_FOUND, "no head of size %" PRIu64, size);
	return true;
}

bool ledger_leaves_read(struct ledger_reader *reader, const struct lane_id *lane, uint64_t from,
			size_t max, uint8_t *leaves, uint8_t *salts, size_t *ret_n, struct err *err)
{
	struct ledger_lane_info info;
	uint64_t number;
	sqlite3 *db;

	return reader_locate(reader, lane, &info, &number, &db, err) &&
	       turns_read(db, number, from, max, leaves, salts, NULL, ret_n, err);
}

bool ledger_session_read(struct ledger_reader *reader, const struct lane_id *lane,
			 const struct session_id *id, struct ledger_session *ret, struct err *err)
{
	struct ledger_lane_info info;
	uint64_t number;
	sqlite3 *db;

	if (!reader_locate(reader, lane, &info, &number, &db, err))
		return false;
	if (!session_find(db, id->b, ret))
		return err_set(err, ERR_NOT_FOUND, "the session is not known");
	return true;
}

static bool day_oldest_start(struct ledger_reader *reader, uint32_t day, height_t *oldest,
			     struct err *err)
{
	sqlite3 *db = reader_day(reader, day, err);
	STMT *stmt = NULL;

	if (db == NULL)
		return err->code == ERR_NOT_FOUND;
	if (!store_prepare(db, "SELECT min(start) FROM sessions", &stmt, err))
		return false;
	if (sqlite3_step(stmt) != SQLITE_ROW)
		return store_fail(db, "sessions", err);
	if (sqlite3_column_type(stmt, 0) != SQLITE_NULL)
		*oldest = MIN(*oldest, (height_t)sqlite3_column_int64(stmt, 0));
	return true;
}

bool ledger_oldest_start(struct ledger_reader *reader, height_t *ret, struct err *err)
{
	height_t oldest = UINT64_MAX;
	STMT *stmt = NULL;
	int rc;

	if (!store_prepare(reader->state, "SELECT DISTINCT day FROM lanes WHERE dropped = 0", &stmt,
			   err))
		return false;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		if (!day_oldest_start(reader, (uint32_t)sqlite3_column_int64(stmt, 0), &oldest,
				      err))
			return false;
	if (rc != SQLITE_DONE)
		return store_fail(reader->state, "days", err);
	*ret = oldest;
	return true;
}

bool ledger_tile_read(struct ledger_reader *reader, const struct lane_id *lane, uint64_t size,
		      unsigned int level, uint64_t index, struct hash ret[256], size_t *ret_n,
		      struct err *err)
{
	struct ledger_lane_info info;
	struct tile_source source;
	unsigned width;

	if (!reader_locate(reader, lane, &info, &source.number, &source.db, err))
		return false;
	width = level < TILE_LEVELS ? tile_width(MIN(size, info.head.size), level, index) : 0;
	if (width == 0)
		return err_set(err, ERR_NOT_FOUND, "no such tile");
	if (!tile_source_read(&source, level, index, width, ret, err))
		return false;
	*ret_n = width;
	return true;
}
