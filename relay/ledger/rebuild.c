/* SPDX-License-Identifier: Apache-2.0
 * What the files say at start: unclosed lanes with their heads, unpaid CU from the tails that no
 * cosigned head covers, served CU of sessions that may still run, cosignatures per peer. */
#include "relay/ledger/internal.h"

#include <inttypes.h>
#include <unistd.h>

#define CHUNK 1024 /* leaves read at once */

static bool day_exists(const struct ledger *ledger, uint32_t day)
{
	char name[32], path[LEDGER_PATH_MAX];

	store_day_name(day, name);
	return access(store_path(ledger->dir, name, path), F_OK) == 0;
}

/* Turns follow each other without gap, and the tree of what is there has the signed root. */
static bool lane_is_whole(struct ledger_lane *lane, sqlite3 *db, struct err *err)
{
	struct tile_source source = {db, lane->number};
	struct hash root;
	STMT *stmt = NULL;
	int rc;

	if (!store_prepare(db, "SELECT ifnull(sum(count), 0) FROM turns WHERE id >= ?1 AND id < ?2",
			   &stmt, err))
		return false;
	sqlite3_bind_int64(stmt, 1, row_id(lane->number, 0));
	sqlite3_bind_int64(stmt, 2, row_id(lane->number + 1, 0));
	rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return store_fail(db, "count", err);
	if ((uint64_t)sqlite3_column_int64(stmt, 0) != lane->head.size)
		return err_set(err, ERR_LEDGER, "turns are missing");
	if (lane->head.size == 0)
		return true;
	if (!tile_root_at(lane->head.size, tile_source_read, &source, &root, err))
		return false;
	if (!ID_EQ(&root, &lane->head.root))
		return err_set(err, ERR_LEDGER, "the leaves do not have the signed root");
	return true;
}

bool session_find(sqlite3 *db, const uint8_t *id, struct ledger_session *ret)
{
	STMT *stmt = NULL;
	struct err err;

	*ret = (struct ledger_session){0};
	memcpy(ret->id.b, id, sizeof(ret->id.b));
	if (!store_prepare(db,
			   "SELECT application, service, start FROM sessions WHERE session = ?1",
			   &stmt, &err))
		return false;
	sqlite3_bind_blob(stmt, 1, id, sizeof(ret->id.b), SQLITE_STATIC);
	if (sqlite3_step(stmt) != SQLITE_ROW ||
	    !store_blob(stmt, 0, ret->application.b, sizeof(ret->application.b)) ||
	    !service_name_parse((const char *)sqlite3_column_text(stmt, 1),
				(size_t)sqlite3_column_bytes(stmt, 1), &ret->service))
		return false;
	ret->start = (height_t)sqlite3_column_int64(stmt, 2);
	return true;
}

/* Counts one leaf again: served if it is recent, unpaid and pending if no head covers it. */
static void leaf_recount(struct ledger_lane *lane, sqlite3 *db, const uint8_t *leaf, uint64_t seq,
			 bool unpaid, struct ledger_tab **tab)
{
	cu_t cu = get_be32(leaf + 56);
	struct ledger_session session;

	if (cu == 0)
		return;
	if (*tab == NULL || memcmp((*tab)->session.id.b, leaf + 16, 32) != 0) {
		ledger_tab_close(*tab);
		if (!session_find(db, leaf + 16, &session))
			session.application = (struct key_id){0}; /* known to nobody here */
		*tab = ledger_tab_open(lane->ledger, &session, &lane->peer);
	}
	atomic_fetch_add(&(*tab)->served, cu);
	if (!unpaid)
		return;
	atomic_fetch_add(&(*tab)->account->unpaid, cu);
	lane_pending_add(lane, *tab, (uint32_t)seq + 1, cu);
}

/* Leaves [from, to) of a lane; only those that are recent or not below `unpaid_from` count. */
static bool lane_recount(struct ledger_lane *lane, sqlite3 *db, uint64_t from, uint64_t to,
			 uint64_t unpaid_from, msec_t recent, struct err *err)
{
	CLEANUP(xfree) uint8_t *leaves = xmalloc((size_t)CHUNK * LEDGER_LEAF_BYTES);
	struct ledger_tab *tab = NULL;
	bool ok = true;
	size_t n = 1;

	while (ok && from < to && n > 0) {
		ok = turns_read(db, lane->number, from, MIN(CHUNK, to - from), leaves, NULL, NULL,
				&n, err);
		for (size_t i = 0; ok && i < n; i++) {
			const uint8_t *leaf = leaves + i * LEDGER_LEAF_BYTES;
			bool unpaid = from + i >= unpaid_from;

			if (unpaid || (msec_t)get_be64(leaf + 64) >= recent)
				leaf_recount(lane, db, leaf, from + i, unpaid, &tab);
		}
		from += n;
	}
	ledger_tab_close(tab);
	return ok;
}

/* The first leaf from which on all may be recent, by the times of the turns' last leaves. */
static bool lane_recent_from(sqlite3 *db, uint64_t number, uint64_t size, msec_t recent,
			     uint64_t *ret, struct err *err)
{
	uint64_t low = 0, high = size; /* leaves below low are old */
	uint8_t leaf[LEDGER_LEAF_BYTES];
	size_t n;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (!turns_read(db, number, middle, 1, leaf, NULL, NULL, &n, err))
			return false;
		if (n == 1 && (msec_t)get_be64(leaf + 64) < recent)
			low = middle + 1;
		else
			high = middle;
	}
	*ret = low;
	return true;
}

static bool lane_load(struct ledger_lane *lane, sqlite3 *db, bool closed, struct err *err)
{
	struct ledger *ledger = lane->ledger;
	msec_t recent = clock_wall_ms() - ledger->p.recent_ms;
	uint64_t from, end, unpaid_from;

	if (!lane_head_read(db, lane->number, &lane->head, err))
		return false;
	lane->queued = lane->head.size;
	if (!closed && !lane_is_whole(lane, db, err))
		return false;
	end = lane->head.size;
	unpaid_from = closed ? end : lane->cosigned.size;
	if (!lane_recent_from(db, lane->number, end, recent, &from, err))
		return false;
	from = MIN(from, unpaid_from);
	return lane_recount(lane, db, from, end, unpaid_from, recent, err);
}

static bool lane_row(struct ledger *ledger, sqlite3_stmt *stmt, struct ledger_lane **ret)
{
	struct lane_id id;
	struct key_id peer;
	struct ledger_lane *lane;

	if (!store_blob(stmt, 1, id.b, sizeof(id.b)) ||
	    !store_blob(stmt, 2, peer.b, sizeof(peer.b)))
		return false;
	lane = lane_create(ledger, &id, &peer, (uint64_t)sqlite3_column_int64(stmt, 0),
			   (uint32_t)sqlite3_column_int64(stmt, 3));
	lane_set_state(lane, LEDGER_LANE_UNCLOSED);
	lane->cosigned.size = (uint64_t)sqlite3_column_int64(stmt, 5);
	lane->cosigned.time = (uint64_t)sqlite3_column_int64(stmt, 7);
	if (lane->cosigned.size > 0 && (!store_blob(stmt, 6, lane->cosigned.root.b, 32) ||
					!store_blob(stmt, 8, lane->cosigned.signature.b, 64)))
		lane->cosigned = (struct ledger_cosigned){0};
	*ret = lane;
	return true;
}

/* Unclosed lanes stay in memory; closed ones are only looked at for what their sessions served. */
static void lane_rebuild(struct ledger *ledger, sqlite3_stmt *stmt)
{
	bool closed = sqlite3_column_int(stmt, 4) == 2;
	struct ledger_lane *lane;
	struct file *file = NULL;
	struct err err;

	if (!lane_row(ledger, stmt, &lane)) {
		log_error("ledger.lane_broken", "number=%" PRId64 " error=\"a row is malformed\"",
			  (int64_t)sqlite3_column_int64(stmt, 0));
		return;
	}
	if (!day_exists(ledger, lane->day)) { /* lost with a power loss: the peer has its leaves */
		lane_kill(lane, "its day file is missing");
	} else {
		file = day_file(ledger, lane->day, &err);
		if (file == NULL || !lane_load(lane, file->db, closed, &err))
			ledger_lane_give_up(lane, err.msg);
	}
	if (closed) {
		lane_free(lane);
		return;
	}
	HASH_ADD(hh, ledger->lanes, id, sizeof(lane->id), lane);
}

static bool rebuild_lanes(struct ledger *ledger, struct err *err)
{
	/* One day more than recent_ms, since a lane counts by the day of its opening. */
	msec_t recent = clock_wall_ms() - ledger->p.recent_ms - 86400000;
	STMT *stmt = NULL;
	int rc;

	if (!store_prepare(ledger->state.db,
			   "SELECT number, lane, peer, day, state, cosigned_size, cosigned_root,"
			   " cosigned_time, cosigned_signature FROM lanes"
			   " WHERE state != 2 OR (day >= ?1 AND dropped = 0) ORDER BY number",
			   &stmt, err))
		return false;
	sqlite3_bind_int64(stmt, 1, clock_day(MAX(recent, 0)));
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		lane_rebuild(ledger, stmt);
	return rc == SQLITE_DONE || store_fail(ledger->state.db, "lanes", err);
}

static bool rebuild_peers(struct ledger *ledger, struct err *err)
{
	STMT *stmt = NULL;
	struct key_id key;
	int rc;

	if (!store_prepare(ledger->state.db, "SELECT peer, cosignatures FROM peers", &stmt, err))
		return false;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		if (store_blob(stmt, 0, key.b, sizeof(key.b)))
			atomic_store(&ledger_peer(ledger, &key)->cosignatures,
				     (uint32_t)sqlite3_column_int(stmt, 1));
	return rc == SQLITE_DONE || store_fail(ledger->state.db, "peers", err);
}

static bool rebuild_denied(struct ledger *ledger, struct err *err)
{
	struct key_id application, peer;
	STMT *stmt = NULL;
	int rc;

	if (!store_prepare(ledger->state.db,
			   "SELECT application, peer, cu FROM denied WHERE cu > 0", &stmt, err))
		return false;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
		if (store_blob(stmt, 0, application.b, sizeof(application.b)) &&
		    store_blob(stmt, 1, peer.b, sizeof(peer.b)))
			ledger_denied_load(ledger, &application, &peer,
					   (cu_t)sqlite3_column_int64(stmt, 2));
	return rc == SQLITE_DONE || store_fail(ledger->state.db, "denied", err);
}

/* Opens today's file, so that the first relay does not wait for its making.  Numbers also go on
 * above what a day file holds without a lane that state.db knows: a power loss can keep one and
 * lose the other, and a number is never used twice. */
static bool rebuild_number(struct ledger *ledger, struct err *err)
{
	if (day_file(ledger, clock_day(clock_wall_ms()), err) == NULL)
		return false;
	for (struct file *file = ledger->days; file != NULL; file = file->next) {
		STMT *stmt = NULL;

		if (!store_prepare(file->db, "SELECT ifnull(max(id) >> 20, 0) + 1 FROM turns",
				   &stmt, err))
			return false;
		if (sqlite3_step(stmt) != SQLITE_ROW)
			return store_fail(file->db, "numbers", err);
		ledger->next_number =
			MAX(ledger->next_number, (uint64_t)sqlite3_column_int64(stmt, 0));
	}
	return true;
}

bool ledger_rebuild(struct ledger *ledger, struct err *err)
{
	STMT *stmt = NULL;

	if (!store_prepare(ledger->state.db, "SELECT ifnull(max(number), 0) + 1 FROM lanes", &stmt,
			   err))
		return false;
	if (sqlite3_step(stmt) != SQLITE_ROW)
		return store_fail(ledger->state.db, "numbers", err);
	ledger->next_number = (uint64_t)sqlite3_column_int64(stmt, 0);
	return rebuild_peers(ledger, err) && rebuild_denied(ledger, err) &&
	       rebuild_lanes(ledger, err) && rebuild_number(ledger, err);
}
