/* SPDX-License-Identifier: Apache-2.0
 * The writer's third step: releases, cosigned heads, closings, dropped days. */
#include "relay/ledger/writer.h"

#include <stdio.h>
#include <unistd.h>

#include "session/budget.h"

/* Adds to, or takes from, what an application's gateway denies. */
static void denied_run(struct ledger *ledger, sqlite3_stmt *stmt, const struct account *account,
		       cu_t cu)
{
	sqlite3_bind_blob(stmt, 1, account->key.application.b, sizeof(account->key.application.b),
			  SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 2, account->key.peer.b, sizeof(account->key.peer.b), SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 3, (int64_t)cu);
	state_run(ledger, stmt);
}

/* What a cosigned head pays for makes up for some of what was denied before. */
static void cosign_forgive(struct ledger *ledger, struct ledger_lane *lane, uint64_t size)
{
	for (size_t i = lane->pending_first; i < lane->pending_n; i++) {
		struct pending *p = &lane->pending[i];

		if (p->end > size)
			return;
		p->forgives = ledger_tab_forgives(p->tab, p->cu);
		if (p->forgives > 0)
			denied_run(ledger, ledger->denied_take, p->tab->account, p->forgives);
	}
}

/* A node's leaves beyond the final size stay owed: else a gateway that denies what it got would be
 * served without end. */
static void close_deny(struct ledger *ledger, const struct ledger_lane *lane, uint64_t size)
{
	const struct account *account = NULL;
	cu_t cu = 0;

	for (size_t i = lane->pending_first; i < lane->pending_n; i++) {
		const struct pending *p = &lane->pending[i];

		if (p->end <= size)
			continue;
		if (cu > 0 && p->tab->account != account) {
			denied_run(ledger, ledger->denied_add, account, cu);
			cu = 0;
		}
		account = p->tab->account;
		cu += p->cu;
	}
	if (cu > 0)
		denied_run(ledger, ledger->denied_add, account, cu);
}

static void do_cosign(struct ledger *ledger, struct ledger_batch *op)
{
	struct ledger_lane *lane = op->lane;
	const struct ledger_cosigned *c = &op->cosigned;
	sqlite3_stmt *stmt = ledger->lane_cosign;
	struct err err;

	if (atomic_load(&lane->state) == LEDGER_LANE_CLOSED || c->size <= lane->cosigned.size) {
		op->cosigned.size = 0; /* nothing new */
		return;
	}
	sqlite3_bind_int64(stmt, 1, (int64_t)lane->number);
	sqlite3_bind_int64(stmt, 2, (int64_t)c->size);
	sqlite3_bind_blob(stmt, 3, c->root.b, sizeof(c->root.b), SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 4, (int64_t)c->time);
	sqlite3_bind_blob(stmt, 5, c->signature.b, sizeof(c->signature.b), SQLITE_STATIC);
	state_run(ledger, stmt);
	cosign_forgive(ledger, lane, c->size);
	if (atomic_load(&ledger_peer(ledger, &lane->peer)->cosignatures) < BUDGET_COSIGNATURES) {
		sqlite3_bind_blob(ledger->lane_peer, 1, lane->peer.b, sizeof(lane->peer.b),
				  SQLITE_STATIC);
		state_run(ledger, ledger->lane_peer);
	}
	if (ledger->p.role != LEDGER_GATEWAY)
		return;
	op->file = day_file(ledger, lane->day, &err);
	if (op->file == NULL)
		op_fail(op, &err);
	op->sync_state = op->sync_day = !op->failed;
}

static void cosign_committed(struct ledger *ledger, struct ledger_batch *op)
{
	struct peer *peer = ledger_peer(ledger, &op->lane->peer);

	if (op->cosigned.size <= op->lane->cosigned.size) /* also of two in one group */
		return;
	pthread_mutex_lock(&ledger->lock);
	op->lane->cosigned = op->cosigned;
	pthread_mutex_unlock(&ledger->lock);
	if (atomic_load(&peer->cosignatures) < BUDGET_COSIGNATURES)
		atomic_fetch_add(&peer->cosignatures, 1);
	lane_pending_settle(op->lane, op->cosigned.size);
}

static void do_close(struct ledger *ledger, struct ledger_batch *op)
{
	int state = atomic_load(&op->lane->state);

	if (state == LEDGER_LANE_CLOSED)
		return;
	if (state == LEDGER_LANE_LIVE || op->final_size > op->lane->head.size) {
		op_refuse(op, ERR_LEDGER, "only an unclosed lane closes, at a size that it has");
		return;
	}
	sqlite3_bind_int64(ledger->lane_close, 1, (int64_t)op->lane->number);
	sqlite3_bind_int64(ledger->lane_close, 2, (int64_t)op->final_size);
	state_run(ledger, ledger->lane_close);
	if (ledger->p.role == LEDGER_SUPPLIER)
		close_deny(ledger, op->lane, op->final_size);
}

static void close_committed(const struct ledger *ledger, struct ledger_batch *op)
{
	if (atomic_load(&op->lane->state) == LEDGER_LANE_CLOSED)
		return;
	/* What is beyond the final size was served all the same [P4], and stays owed [P5]. */
	lane_pending_settle(op->lane, op->final_size);
	if (ledger->p.role == LEDGER_SUPPLIER)
		lane_pending_deny(op->lane);
	else
		lane_pending_settle(op->lane, UINT64_MAX);
	free(op->lane->pending);
	op->lane->pending = NULL;
	op->lane->pending_cap = 0;
	free(op->lane->edge);
	op->lane->edge = NULL;
	atomic_store(&op->lane->closed_us, clock_now_us());
	lane_set_state(op->lane, LEDGER_LANE_CLOSED);
}

static void do_release(struct ledger_batch *op)
{
	int live = LEDGER_LANE_LIVE;

	atomic_store(&op->lane->owned, false);
	atomic_compare_exchange_strong(&op->lane->state, &live, LEDGER_LANE_UNCLOSED);
	free(op->lane->edge);
	op->lane->edge = NULL;
}

static bool day_has_unclosed(struct ledger *ledger, uint32_t day)
{
	struct ledger_lane *lane, *tmp;
	bool found = false;

	pthread_mutex_lock(&ledger->lock);
	HASH_ITER (hh, ledger->lanes, lane, tmp) {
		found = found ||
			(lane->day == day && atomic_load(&lane->state) != LEDGER_LANE_CLOSED);
	}
	pthread_mutex_unlock(&ledger->lock);
	return found;
}

/* All lanes of the day are closed, so nothing of it waits for the syncer. */
static void day_forget(struct ledger *ledger, uint32_t day)
{
	pthread_mutex_lock(&ledger->files_lock);
	for (struct file **at = &ledger->days; *at != NULL; at = &(*at)->next) {
		struct file *file = *at;

		if (file->day != day)
			continue;
		*at = file->next;
		file_finish(file);
		free(file);
		break;
	}
	pthread_mutex_unlock(&ledger->files_lock);
}

/* A day goes as a file; its lanes stay known, so that none is ever used twice. */
static void do_drop_day(struct ledger *ledger, struct ledger_batch *op)
{
	static const char *const tails[] = {"", "-wal", "-shm"};
	char name[32], path[LEDGER_PATH_MAX], sql[96];

	if (day_has_unclosed(ledger, op->day))
		return;
	day_forget(ledger, op->day);
	snprintf(sql, sizeof(sql), "UPDATE lanes SET dropped = 1 WHERE day = %u", op->day);
	if (!store_exec(ledger->state.db, sql, &op->err)) {
		log_warn("ledger.drop_day", "day=%u error=\"%s\"", op->day, op->err.msg);
		return;
	}
	store_day_name(op->day, name);
	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		size_t n = strlen(store_path(ledger->dir, name, path));

		snprintf(path + n, sizeof(path) - n, "%s", tails[i]);
		unlink(path);
	}
	log_info("ledger.drop_day", "day=%u", op->day);
}

void writer_phase_state(struct ledger *ledger, struct ledger_batch *first)
{
	bool ok;

	for (struct ledger_batch *op = first; op != NULL; op = op->next) {
		if (op->kind == OP_RELEASE)
			do_release(op);
		else if (op->kind == OP_COSIGN)
			do_cosign(ledger, op);
		else if (op->kind == OP_CLOSE)
			do_close(ledger, op);
	}
	ok = file_end(ledger, &ledger->state);
	for (struct ledger_batch *op = first; op != NULL; op = op->next) {
		if ((op->kind != OP_COSIGN && op->kind != OP_CLOSE) || op->failed)
			continue;
		if (!ok) {
			op_fail(op, &ledger->state.err);
			lane_kill(op->lane, op->err.msg);
		} else if (op->kind == OP_COSIGN) {
			cosign_committed(ledger, op);
		} else {
			close_committed(ledger, op);
		}
	}
	for (struct ledger_batch *op = first; op != NULL; op = op->next)
		if (op->kind == OP_DROP_DAY)
			do_drop_day(ledger, op);
}
