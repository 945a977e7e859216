/* SPDX-License-Identifier: Apache-2.0
 * The writer: takes all that is queued and commits it together, one transaction a database.
 *
 * A group goes through three commits, each skipped when it has nothing to do: openings (state.db),
 * leaves (each day file that has any), then releases, cosigned heads and closings (state.db).  So a
 * lane is known before its leaves are, and nothing is said of leaves that did not commit. */
#include "relay/ledger/writer.h"

#define ROW_OVERHEAD 400 /* bytes a turn costs beside its leaves, for the estimate of sizes */
#define HERE_LEAVES 64	 /* of a batch that is not worth waking the writer for */
#define HERE_BYTES (256 << 10)
#define HERE_SLOW_US 2000    /* a commit that took longer than this ... */
#define HERE_REST_US 1000000 /* ... leaves the next ones to the writer for so long */

void op_fail(struct ledger_batch *op, const struct err *err)
{
	if (op->failed)
		return;
	op->failed = true;
	op->err = *err;
}

void op_refuse(struct ledger_batch *op, enum err_code code, const char *why)
{
	struct err err;

	err_set(&err, code, "%s", why);
	op_fail(op, &err);
}

bool state_run(struct ledger *ledger, sqlite3_stmt *stmt)
{
	struct file *state = &ledger->state;

	if (!file_begin(state))
		return false;
	if (!store_run(stmt, &state->err))
		state->failed = true;
	return !state->failed;
}

/* --- first: openings --- */

static void do_open(struct ledger *ledger, struct ledger_batch *op)
{
	struct ledger_lane *lane = op->lane;
	sqlite3_stmt *stmt = ledger->lane_open;

	sqlite3_bind_int64(stmt, 1, (int64_t)lane->number);
	sqlite3_bind_blob(stmt, 2, lane->id.b, sizeof(lane->id.b), SQLITE_STATIC);
	sqlite3_bind_blob(stmt, 3, lane->peer.b, sizeof(lane->peer.b), SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 4, lane->day);
	sqlite3_bind_int64(stmt, 5, clock_wall_ms());
	if (state_run(ledger, stmt) && sqlite3_changes(ledger->state.db) == 0) {
		op_refuse(op, ERR_LEDGER, "the lane was used before");
		lane_kill(lane, op->err.msg);
		return;
	}
	op->sync_state = true;
	if (op->restore) {
		lane_set_state(lane, LEDGER_LANE_UNCLOSED);
		return;
	}
	lane->edge = xmalloc(sizeof(*lane->edge));
	tile_edge_init(lane->edge);
}

static void do_adopt_mark(struct ledger *ledger, struct ledger_batch *op)
{
	sqlite3_bind_int64(ledger->lane_adopt, 1, (int64_t)op->lane->number);
	sqlite3_bind_int64(ledger->lane_adopt, 2, (int64_t)op->lane->head.size);
	state_run(ledger, ledger->lane_adopt);
}

/* Batches of an adoption that will not be finished; they are told at the end of the group. */
static void adopt_drop(struct ledger *ledger, struct ledger_lane *lane)
{
	struct ledger_batch **at = &lane->adopting;

	while (*at != NULL) {
		op_refuse(*at, ERR_LEDGER, "the adoption was begun anew, or not finished");
		at = &(*at)->group;
	}
	*at = ledger->adopt_dropped;
	ledger->adopt_dropped = lane->adopting;
	lane->adopting = NULL;
}

static uint64_t batch_first(const struct ledger_batch *op)
{
	return get_be64(op->leaves.p + 8);
}

/* An adoption begins when its last batch is there; the ones before it hang in `group`, in order. */
static void adopt_gather(struct ledger *ledger, struct ledger_batch *op)
{
	struct ledger_batch **at = &op->lane->adopting;

	if (batch_first(op) == op->lane->head.size)
		adopt_drop(ledger, op->lane);
	if (op->has_head) {
		op->group = op->lane->adopting;
		op->lane->adopting = NULL;
		return;
	}
	while (*at != NULL)
		at = &(*at)->group;
	op->group = NULL;
	*at = op;
}

/* The batches that wait with an adoption end as it does. */
static void adopt_spread(struct ledger_batch *op)
{
	for (struct ledger_batch *part = op->group; part != NULL;) {
		struct ledger_batch *next = part->group;

		if (op->failed)
			op_fail(part, &op->err);
		ledger_complete(part);
		part = next;
	}
	op->group = NULL;
}

static void phase_open(struct ledger *ledger, struct ledger_batch *first)
{
	bool any = false;

	for (struct ledger_batch *op = first; op != NULL; op = op->next) {
		if (op->kind == OP_OPEN)
			do_open(ledger, op);
		else if (op->kind == OP_ADOPT)
			adopt_gather(ledger, op);
		if (op->kind == OP_ADOPT && op->has_head)
			do_adopt_mark(ledger, op);
		any = any || op->kind == OP_OPEN || op->kind == OP_ADOPT;
	}
	if (!any || file_end(ledger, &ledger->state))
		return;
	for (struct ledger_batch *op = first; op != NULL; op = op->next)
		if (op->kind == OP_OPEN || (op->kind == OP_ADOPT && op->has_head)) {
			op_fail(op, &ledger->state.err);
			lane_kill(op->lane, ledger->state.err.msg);
		}
}

/* --- second: leaves --- */

static bool append_may(struct ledger *ledger, struct ledger_batch *op)
{
	uint64_t bytes = op->leaves.n + op->salts.n + op->places.n + op->evidence.n + ROW_OVERHEAD;
	uint64_t max = ledger->p.max_bytes;

	if (op->failed)
		return false;
	if (ledger_lane_is_dead(op->lane)) {
		op_refuse(op, ERR_LEDGER, "the lane is dead");
		return false;
	}
	bytes += atomic_fetch_add(&ledger->bytes, bytes);
	if (max > 0 && bytes >= max - max / 16)
		atomic_store(&ledger->full,
			     true); /* the keeper measures, and says so or takes it back */
	if (max > 0 && bytes > max) {
		op_refuse(op, ERR_LEDGER_FULL, "ledger.max_bytes is reached");
		lane_kill(op->lane, op->err.msg);
		return false;
	}
	return true;
}

static void do_append(struct ledger *ledger, struct ledger_batch *op)
{
	struct ledger_lane *lane = op->lane;
	struct err err;

	op->file = day_file(ledger, lane->day, &err);
	if (op->file == NULL) {
		op_fail(op, &err);
		lane_kill(lane, err.msg);
		return;
	}
	if (!file_begin(op->file))
		return;
	assert(lane->edge->size + op->n == op->head.size);
	day_write(op->file, lane, op, lane->edge->size);
}

/* True iff the batches continue the lane and each other, and end at the head. */
static bool adopt_fits(const struct ledger_batch *op)
{
	uint64_t size = op->lane->head.size;

	for (const struct ledger_batch *part = op->group; part != NULL; part = part->group) {
		if (batch_first(part) != size)
			return false;
		size += part->n;
	}
	return batch_first(op) == size && size + op->n == op->head.size;
}

/* What a peer sent is refused without harm to the lane; only a failed commit kills it. */
static void do_adopt(struct ledger *ledger, struct ledger_batch *op)
{
	struct ledger_lane *lane = op->lane;
	int state = atomic_load(&lane->state);
	struct tile_source source;
	struct ledger_batch *part;
	struct err err;

	if ((state == LEDGER_LANE_LIVE && !lane->released) || state == LEDGER_LANE_CLOSED) {
		op_refuse(op, ERR_LEDGER, "leaves are adopted only into an unclosed lane");
		return;
	}
	if (!adopt_fits(op)) {
		op_refuse(op, ERR_LEDGER, "the leaves do not continue the lane up to their head");
		return;
	}
	op->file = day_file(ledger, lane->day, &err);
	if (op->file == NULL) {
		op_fail(op, &err);
		return;
	}
	source = (struct tile_source){op->file->db, lane->number};
	if (lane->edge == NULL)
		lane->edge = xmalloc(sizeof(*lane->edge));
	if (!tile_edge_load(lane->head.size, tile_source_read, &source, lane->edge, &err)) {
		op->file = NULL;
		op_fail(op, &err);
		return;
	}
	for (part = op->group; part != NULL && file_begin(op->file); part = part->group)
		if (!day_write(op->file, lane, part, lane->edge->size))
			return;
	if (file_begin(op->file))
		day_write(op->file, lane, op, lane->edge->size);
}

static void leaves_committed(struct ledger *ledger, struct ledger_batch *op)
{
	struct ledger_lane *lane = op->lane;

	pthread_mutex_lock(&ledger->lock);
	lane->head = op->head;
	pthread_mutex_unlock(&ledger->lock);
	if (op->kind == OP_ADOPT) {
		free(lane->edge);
		lane->edge = NULL;
		return;
	}
	for (uint32_t i = 0; i < op->n; i++) {
		cu_t cu = get_be32(op->leaves.p + (size_t)i * LEDGER_LEAF_BYTES + 56);

		if (cu > 0)
			lane_pending_add(lane, op->tabs[i], (uint32_t)op->head.size, cu);
	}
	atomic_fetch_add_explicit(&ledger->leaves, op->n, memory_order_relaxed);
	metric_add(METRIC_LEDGER_LEAVES, op->n);
}

/* Gives the reserved CU back: the leaves do not exist. */
static void leaves_lost(struct ledger_batch *op)
{
	for (uint32_t i = 0; op->kind == OP_APPEND && i < op->n; i++) {
		cu_t cu = get_be32(op->leaves.p + (size_t)i * LEDGER_LEAF_BYTES + 56);

		if (cu > 0)
			ledger_tab_release(op->tabs[i], cu);
		if (op->tabs[i] != NULL)
			op->tabs[i]->written_day = 0;
	}
}

/* Only what is in the file counts ([L3]). */
static void leaves_failed(struct ledger *ledger, struct ledger_batch *op)
{
	struct ledger_lane *lane = op->lane;
	struct ledger_head head;
	struct err err;

	op_fail(op, &op->file->err);
	lane_kill(lane, op->err.msg);
	free(lane->edge);
	lane->edge = NULL;
	if (!lane_head_read(op->file->db, lane->number, &head, &err))
		return;
	pthread_mutex_lock(&ledger->lock);
	lane->head = head;
	pthread_mutex_unlock(&ledger->lock);
}

static void phase_leaves(struct ledger *ledger, struct ledger_batch *first)
{
	struct file *file;

	evidence_write(&ledger->evidence, first);
	for (struct ledger_batch *op = first; op != NULL; op = op->next) {
		if (op->kind == OP_APPEND && append_may(ledger, op))
			do_append(ledger, op);
		else if (op->kind == OP_ADOPT && op->has_head && !op->failed)
			do_adopt(ledger, op);
		else if (op->kind == OP_RELEASE)
			op->lane->released = true;
	}
	for (file = ledger->days; file != NULL; file = file->next) {
		bool began = file->open_txn, ok = file_end(ledger, file);

		if (began)
			atomic_fetch_add_explicit(&ledger->commits, 1, memory_order_relaxed);
		if (!ok)
			metric_add(METRIC_LEDGER_FAILURES, 1);
		for (struct ledger_batch *op = first; began && op != NULL; op = op->next) {
			if (op->file != file || op->failed)
				continue;
			if (ok)
				leaves_committed(ledger, op);
			else
				leaves_failed(ledger, op);
		}
	}
	for (struct ledger_batch *op = first; op != NULL; op = op->next)
		if (op->kind == OP_APPEND && op->failed)
			leaves_lost(op);
}

/* --- the group's end: told now, or by the syncer --- */

/* Callbacks of a lane come in order: behind what waits for the syncer an append waits too, though
 * it needs no fsync of its own. */
static bool append_is_behind(struct ledger_batch *op)
{
	if (op->kind != OP_APPEND || atomic_load(&op->lane->unsynced) == 0)
		return false;
	atomic_fetch_add(&op->lane->unsynced, 1);
	return true;
}

static bool op_waits_for_sync(const struct ledger *ledger, struct ledger_batch *op)
{
	if (op->kind == OP_DRAIN)
		return true;
	op->behind = append_is_behind(op);
	if (op->failed)
		return op->behind;
	if (ledger->p.sync == LEDGER_SYNC_FULL) {
		op->sync_day = op->file != NULL;
		op->sync_state = op->sync_state || op->kind == OP_CLOSE || op->kind == OP_COSIGN ||
				 op->kind == OP_ADOPT;
	}
	return op->sync_day || op->sync_state || op->behind;
}

static void group_finish(struct ledger *ledger, struct ledger_batch *first)
{
	uint64_t n = 0;

	for (struct ledger_batch *op = first; op != NULL; n++) {
		struct ledger_batch *next = op->next;

		if (op->kind == OP_ADOPT && !op->has_head) {
			op = next; /* waits in its lane for the last of them */
			continue;
		}
		if (op->kind == OP_ADOPT)
			adopt_spread(op);
		if (op_waits_for_sync(ledger, op))
			ledger_sync_later(ledger, op);
		else
			ledger_complete(op);
		op = next;
	}
	while (ledger->adopt_dropped != NULL) {
		struct ledger_batch *op = ledger->adopt_dropped;

		ledger->adopt_dropped = op->group;
		ledger_complete(op);
	}
	atomic_fetch_sub_explicit(&ledger->queued, n, memory_order_relaxed);
}

/* Nobody will finish what is still being adopted: the callers are going. */
static void group_drain(struct ledger *ledger, const struct ledger_batch *first)
{
	struct ledger_lane *lane, *tmp;

	while (first != NULL && first->kind != OP_DRAIN)
		first = first->next;
	if (first == NULL)
		return;
	pthread_mutex_lock(&ledger->lock);
	HASH_ITER (hh, ledger->lanes, lane, tmp) {
		adopt_drop(ledger, lane);
	}
	pthread_mutex_unlock(&ledger->lock);
}

static void group_run(struct ledger *ledger, struct ledger_batch *first)
{
	uint64_t leaves = atomic_load_explicit(&ledger->leaves, memory_order_relaxed);
	usec_t begun_us = clock_now_us();

	clock_tick();
	phase_open(ledger, first);
	phase_leaves(ledger, first);
	writer_phase_state(ledger, first);
	leaves = atomic_load_explicit(&ledger->leaves, memory_order_relaxed) - leaves;
	metric_observe(METRIC_LEDGER_COMMIT_TIME, (uint64_t)(clock_now_us() - begun_us));
	if (leaves > 0)
		metric_observe(METRIC_LEDGER_COMMIT_LEAVES, leaves);
	group_drain(ledger, first);
	group_finish(ledger, first);
}

/* --- a small batch, on the thread that brings it --- */

static bool here_may(const struct ledger *ledger, const struct ledger_batch *op, usec_t now)
{
	return !ledger->writing && ledger->queue.first == NULL && !ledger->keeper_wants &&
	       !ledger->stop && op->n <= HERE_LEAVES && op->evidence.n <= HERE_BYTES &&
	       now >= ledger->here_from_us;
}

/* Waking the writer and being woken by it costs more than a small commit does.  What may take long
 * (making a file, waiting for a lock or for a slow disk) is never done here. */
bool ledger_write_here(struct ledger *ledger, struct ledger_batch *op)
{
	usec_t begun_us = clock_now_us(), now;
	struct file *file;
	bool may, wake, done = false;

	pthread_mutex_lock(&ledger->queue_lock);
	may = here_may(ledger, op, begun_us);
	ledger->writing = ledger->writing || may;
	pthread_mutex_unlock(&ledger->queue_lock);
	if (!may)
		return false;
	file = day_file_find(ledger, op->lane->day);
	if (file != NULL && file_try_begin(file)) {
		op->next = NULL;
		group_run(ledger, op);
		done = true;
	}
	now = clock_now_us();
	pthread_mutex_lock(&ledger->queue_lock);
	ledger->writing = false;
	if (now - begun_us > HERE_SLOW_US)
		ledger->here_from_us = now + HERE_REST_US;
	wake = ledger->queue.first != NULL || ledger->keeper_wants || ledger->prune_due ||
	       ledger->stop;
	pthread_mutex_unlock(&ledger->queue_lock);
	if (wake)
		pthread_cond_signal(&ledger->queue_cond);
	return done;
}

/* --- the thread --- */

/* Under the queue's lock: lets the keeper catch up with the WALs when it asks for it. */
static void writer_rest(struct ledger *ledger)
{
	while (ledger->keeper_wants) {
		ledger->writer_rests = true;
		pthread_cond_broadcast(&ledger->rest_cond);
		pthread_cond_wait(&ledger->rest_cond, &ledger->queue_lock);
	}
	ledger->writer_rests = false;
}

/* Under the queue's lock: until there is something to do and nobody else writes.  After a rest a
 * loop thread may have been quicker, so all of it is looked at again. */
static void writer_wait(struct ledger *ledger)
{
	for (;;) {
		if (ledger->writing)
			pthread_cond_wait(&ledger->queue_cond, &ledger->queue_lock);
		else if (ledger->keeper_wants)
			writer_rest(ledger);
		else if (ledger->queue.first == NULL && !ledger->stop && !ledger->prune_due)
			pthread_cond_wait(&ledger->queue_cond, &ledger->queue_lock);
		else
			return;
	}
}

void *ledger_writer_main(void *arg)
{
	struct ledger *ledger = arg;

	pthread_mutex_lock(&ledger->queue_lock);
	for (;;) {
		struct ledger_batch *first;
		bool prune;

		writer_wait(ledger);
		assert(!ledger->writing);
		first = ledger->queue.first;
		if (first == NULL && ledger->stop)
			break;
		op_list_init(&ledger->queue);
		prune = ledger->prune_due;
		ledger->prune_due = false;
		ledger->writing = true;
		pthread_mutex_unlock(&ledger->queue_lock);
		if (first != NULL)
			group_run(ledger, first);
		if (prune)
			evidence_prune(&ledger->evidence, clock_wall_ms(), 0);
		pthread_mutex_lock(&ledger->queue_lock);
		ledger->writing = false;
	}
	pthread_mutex_unlock(&ledger->queue_lock);
	return NULL;
}
