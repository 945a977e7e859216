/* SPDX-License-Identifier: Apache-2.0
 * Which lanes are counted, and how far: leaves under the cosigned head, behind a cursor; then what
 * lies beyond it, the tail. */
#include "relay/ledger/claims_tally.h"

#include <inttypes.h>

/* All lanes are looked at again after this: days may have been dropped. */
#define LOOK_US INT64_C(3600000000)

/* --- a lane --- */

/* False when the last leaf that was counted is not the one that the ledger has there now. */
static bool last_leaf_stands(struct tally *t)
{
	struct hash hash;

	if (t->cursor == 0 || !t->has_last)
		return true;
	if (tally_read(t, t->cursor - 1, t->cursor) == 0)
		return true; /* not known: later */
	leaf_hash(t->leaves, &hash);
	return ID_EQ(&hash, &t->last_leaf);
}

/* What was claimed, and is lost, stays; the counting begins anew. */
static bool lane_reset(struct tally *t, struct err *err)
{
	log_warn("claims.recount",
		 "lane_day=%" PRIu32 " counted=%" PRIu64
		 " why=\"the ledger has not the leaves that were counted\"",
		 t->info->day, t->cursor);
	tally_rows_free(t);
	t->cursor = 0;
	t->has_last = false;
	t->size = 0;
	t->broken = false;
	t->changed = true;
	return tally_sql(t, SQL_LANE_ROWS_RESET, err) && tally_sql(t, SQL_LANE_MARKS_RESET, err);
}

static bool lane_find(struct tally *t, struct err *err)
{
	static const enum claims_sql order[] = {SQL_LANE_FIND, SQL_LANE_ADD, SQL_LANE_FIND};
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(order) && !found; i++) {
		sqlite3_stmt *stmt = claims_sql(t->claims, order[i], err);

		if (stmt == NULL)
			return false;
		BIND_ID(stmt, 1, &t->info->id);
		if (order[i] == SQL_LANE_ADD) {
			BIND_ID(stmt, 2, &t->info->gateway);
			sqlite3_bind_int64(stmt, 3, t->info->day);
		}
		if (!claims_step(stmt, &found, err))
			return false;
		if (found) {
			t->number = sqlite3_column_int64(stmt, 0);
			t->cursor = (uint64_t)sqlite3_column_int64(stmt, 1);
			t->has_last = store_blob(stmt, 2, t->last_leaf.b, sizeof(t->last_leaf.b));
			t->size = (uint64_t)sqlite3_column_int64(stmt, 3);
			t->done = sqlite3_column_int(stmt, 4) != 0;
			t->broken = sqlite3_column_int(stmt, 5) != 0;
			t->cosigned_size = (uint64_t)sqlite3_column_int64(stmt, 6);
			t->closed = sqlite3_column_int(stmt, 7) != 0;
		}
		sqlite3_reset(stmt);
	}
	return found || err_set(err, ERR_LEDGER, "books: a lane cannot be noted");
}

static bool lane_save(struct tally *t, struct err *err)
{
	const struct ledger_cosigned *head = &t->info->cosigned;
	sqlite3_stmt *stmt = claims_sql(t->claims, SQL_LANE_SET, err);

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, t->number);
	sqlite3_bind_int64(stmt, 2, (int64_t)t->cursor);
	if (t->has_last)
		BIND_ID(stmt, 3, &t->last_leaf);
	sqlite3_bind_int64(stmt, 4, (int64_t)t->size);
	sqlite3_bind_int(stmt, 5, t->info->state == LEDGER_LANE_CLOSED);
	sqlite3_bind_int(stmt, 6, t->done);
	sqlite3_bind_int(stmt, 7, t->broken);
	sqlite3_bind_int64(stmt, 8, (int64_t)head->size);
	if (head->size > 0) {
		BIND_ID(stmt, 9, &head->root);
		sqlite3_bind_int64(stmt, 10, (int64_t)head->time);
		BIND_ID(stmt, 11, &head->signature);
	}
	return claims_run(stmt, err);
}

/* The leaves beyond the cosigned head. */
static bool tail_count(struct tally *t, bool moved, struct err *err)
{
	uint64_t at = t->size;
	size_t n = 1;

	t->changed = t->changed || at != t->info->head.size;
	if (moved || at < t->end || at > t->info->head.size) {
		at = t->end;
		if (!tally_tail_reset(t, err))
			return false;
	}
	while (at < t->info->head.size && n > 0 && !t->broken) {
		if (!tally_chunk(t, at, t->info->head.size, &n, err))
			return false;
		at += n;
	}
	t->size = at;
	return true;
}

/* Counts on from the cursor, until all is or the time is up. */
static bool lane_count(struct tally *t, usec_t until_us, bool *ret_whole, struct err *err)
{
	bool moved = t->cosigned_size != t->info->cosigned.size;
	size_t n;

	t->end = MIN(t->info->cosigned.size, t->info->head.size);
	if ((t->cursor > t->end || (t->claims->checking && !last_leaf_stands(t))) &&
	    !lane_reset(t, err))
		return false;
	if (t->cursor < t->end && !tally_tail_reset(t, err))
		return false;
	while (t->cursor < t->end) {
		moved = t->changed = true;
		if (!tally_chunk(t, t->cursor, t->end, &n, err))
			return false;
		t->cursor += n;
		if (n == 0 || clock_now_us() >= until_us)
			break;
	}
	*ret_whole = t->cursor == t->end || t->broken || t->unreadable;
	return t->cursor < t->end || tail_count(t, moved, err);
}

/* Its leaves are gone.  What a claim still needs of it stays until that is settled: then the ledger
 * has dropped what it was asked to keep. */
static bool lane_dropped(struct tally *t, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(t->claims, SQL_LANE_IS_OPEN, err);
	bool found, rows, open;

	if (stmt == NULL)
		return false;
	sqlite3_bind_int64(stmt, 1, t->number);
	if (!claims_step(stmt, &found, err))
		return false;
	rows = found && sqlite3_column_int64(stmt, 0) > 0;
	open = found && sqlite3_column_int64(stmt, 1) > 0;
	sqlite3_reset(stmt);
	if (!rows || open)
		return t->done || tally_sql(t, SQL_LANE_DROPPED, err);
	return claims_fold(t->claims, t->number, err) && tally_sql(t, SQL_LANE_DROPPED, err);
}

static bool tally_lane(struct claims *claims, struct ledger_reader *reader,
		       const struct ledger_lane_info *info, usec_t until_us, bool *ret_whole,
		       struct err *err)
{
	CLEANUP(xfree) uint8_t *leaves = xmalloc((size_t)CLAIMS_CHUNK * LEAF_SIZE);
	struct tally t = {.claims = claims, .reader = reader, .info = info, .leaves = leaves};
	bool closed = info->state == LEDGER_LANE_CLOSED, was_done, was_broken, ok;

	*ret_whole = true;
	if (!lane_find(&t, err))
		return false;
	if (info->dropped)
		return lane_dropped(&t, err);
	was_done = t.done;
	was_broken = t.broken;
	ok = t.broken || lane_count(&t, until_us, ret_whole, err);
	t.done = t.broken || (closed && *ret_whole && !t.unreadable);
	t.changed = t.changed || t.done != was_done || t.broken != was_broken ||
		    t.closed != closed || t.cosigned_size != info->cosigned.size;
	if (ok && !t.unreadable)
		ok = tally_rows_save(&t, err) && (!t.changed || lane_save(&t, err));
	tally_rows_free(&t);
	if (ok && t.broken && !was_broken)
		log_error("claims.lane_broken",
			  "day=%" PRIu32 " counted=%" PRIu64
			  " error=\"the units of its leaves do not continue\"",
			  info->day, t.cursor);
	return ok;
}

/* A lane that the ledger does not have any more: its units cannot be proved.  Recovery may bring it
 * back. */
static bool lane_missing(struct claims *claims, const struct lane_id *id, struct err *err)
{
	const struct ledger_lane_info info = {.id = *id};
	struct tally t = {.claims = claims, .info = &info};
	sqlite3_stmt *stmt = claims_sql(claims, SQL_LANE_FIND, err);
	bool found;

	if (stmt == NULL)
		return false;
	BIND_ID(stmt, 1, id);
	if (!claims_step(stmt, &found, err))
		return false;
	sqlite3_reset(stmt);
	if (!found || !lane_find(&t, err))
		return !found;
	if (t.cursor == 0 && t.size == 0)
		return true;
	t.done = false;
	return lane_reset(&t, err) && lane_save(&t, err);
}

/* --- which lanes --- */

static void lane_queue(struct claims *claims, const struct lane_id *id)
{
	if (claims->lanes_n == claims->lanes_cap) {
		claims->lanes_cap = MAX(claims->lanes_cap * 2, 64);
		claims->lanes = xrealloc(claims->lanes, claims->lanes_cap * sizeof(*claims->lanes));
	}
	claims->lanes[claims->lanes_n++] = *id;
}

/* Lanes that the books know: those that can still change, or those of which something may still
 * become. */
static bool queue_known(struct claims *claims, enum claims_sql which, struct err *err)
{
	sqlite3_stmt *stmt = claims_sql(claims, which, err);
	struct lane_id id;
	bool found = stmt != NULL;

	while (found) {
		if (!claims_step(stmt, &found, err))
			return false;
		if (found && store_blob(stmt, 0, id.b, sizeof(id.b)))
			lane_queue(claims, &id);
	}
	if (stmt != NULL)
		sqlite3_reset(stmt);
	return stmt != NULL;
}

/* Lanes that came since they were last looked for: their numbers only grow. */
static bool queue_new(struct claims *claims, struct ledger_reader *reader, struct err *err)
{
	STMT *stmt = NULL;
	struct lane_id id;
	bool found = true;

	if (!store_prepare(reader->state,
			   "SELECT number, lane FROM lanes WHERE number > ?1 ORDER BY number",
			   &stmt, err))
		return false;
	sqlite3_bind_int64(stmt, 1, (int64_t)claims->seen_number);
	while (found) {
		if (!claims_step(stmt, &found, err))
			return false;
		if (!found || !store_blob(stmt, 1, id.b, sizeof(id.b)))
			continue;
		claims->seen_number = (uint64_t)sqlite3_column_int64(stmt, 0);
		lane_queue(claims, &id);
	}
	return true;
}

/* At first all lanes of the ledger, and those of the books that it may have lost. */
static bool queue_fill(struct claims *claims, struct ledger_reader *reader, struct err *err)
{
	claims->lanes_at = claims->lanes_n = 0;
	if (clock_now_us() > claims->looked_us + LOOK_US)
		claims->looked = false;
	claims->checking = !claims->looked;
	if (!claims->looked)
		claims->seen_number = 0;
	if (queue_known(claims, claims->looked ? SQL_LANES_OPEN : SQL_LANES_OF_ROWS, err) &&
	    queue_new(claims, reader, err)) {
		if (!claims->looked)
			claims->looked_us = clock_now_us();
		claims->looked = true;
		return true;
	}
	claims->looked = false; /* the next call looks at all again */
	claims->lanes_n = 0;
	return false;
}

/* One lane of the queue. */
static bool queue_take(struct claims *claims, struct ledger_reader *reader, size_t at,
		       usec_t until_us, bool *ret_whole, struct err *err)
{
	struct ledger_lane_info info;
	struct err why = {0};

	*ret_whole = true;
	if (ledger_lane_read(reader, &claims->lanes[at], &info, &why))
		return tally_lane(claims, reader, &info, until_us, ret_whole, err);
	if (why.code == ERR_NOT_FOUND)
		return lane_missing(claims, &claims->lanes[at], err);
	tally_unreadable(claims, why.msg);
	return true;
}

bool claims_tally(struct claims *claims, struct ledger_reader *reader, usec_t budget_us,
		  bool *ret_more, struct err *err)
{
	usec_t until_us = clock_now_us() + budget_us;
	bool whole = true, ok = true;
	size_t at;

	if (claims->lanes_at == claims->lanes_n && !queue_fill(claims, reader, err))
		return false;
	at = claims->lanes_at;
	*ret_more = at < claims->lanes_n;
	if (!*ret_more)
		return true;
	if (!claims_begin(claims, err))
		return false;
	do {
		ok = queue_take(claims, reader, at, until_us, &whole, err);
		at += ok && whole;
	} while (ok && whole && at < claims->lanes_n && clock_now_us() < until_us);
	if (!claims_end(claims, ok, err))
		return false;
	claims->lanes_at = at;
	*ret_more = at < claims->lanes_n;
	return true;
}
