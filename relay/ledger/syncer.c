/* SPDX-License-Identifier: Apache-2.0
 * The syncer: makes what has committed durable before it is told.
 *
 * A commit in WAL mode with synchronous=NORMAL has written its frames into the WAL; an fdatasync of
 * the WAL after that makes it, and all commits before it, survive a power loss, which is exactly
 * what synchronous=FULL does.  Done on this thread it does not hold up the writer. */
#include "relay/ledger/internal.h"

static void sync_mark(const struct ledger_batch *op, struct file **files, size_t *n, size_t max,
		      struct file *state)
{
	struct file *wanted[] = {op->sync_day ? op->file : NULL, op->sync_state ? state : NULL};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (wanted[i] == NULL || atomic_exchange(&wanted[i]->sync_wanted, true))
			continue;
		assert(*n < max);
		files[(*n)++] = wanted[i];
	}
}

static void sync_fail(struct ledger_batch *op, const struct err *err)
{
	if (op->failed)
		return;
	op->failed = true;
	op->err = *err;
	if (op->lane != NULL)
		lane_kill(op->lane, err->msg);
}

/* Its opening, or an append before it, could not be synced. */
static void sync_fail_dead(struct ledger_batch *op)
{
	struct err err;

	err_set(&err, ERR_LEDGER, "the lane is dead");
	sync_fail(op, &err);
}

/* Syncs each file once; the day's leaves before the state that speaks of them. */
static void sync_group(struct ledger *ledger, struct ledger_batch *first)
{
	struct file *files[64];
	struct ledger_batch *op, *next;
	struct err err;
	bool ok = true;
	size_t n = 0;

	for (op = first; op != NULL && n + 2 <= ARRAY_SIZE(files); op = op->next)
		sync_mark(op, files, &n, ARRAY_SIZE(files), &ledger->state);
	next = op;
	for (size_t i = 0; i < n; i++) {
		atomic_store(&files[i]->sync_wanted, false);
		if (ok && files[i] != &ledger->state)
			ok = file_fsync(ledger, files[i], &err);
	}
	for (size_t i = 0; i < n; i++)
		if (ok && files[i] == &ledger->state)
			ok = file_fsync(ledger, files[i], &err);
	for (op = first; op != next;) {
		struct ledger_batch *following = op->next;
		struct ledger_lane *counts = op->kind == OP_OPEN || op->behind ? op->lane : NULL;

		if (!ok && (op->sync_day || op->sync_state || op->behind))
			sync_fail(op, &err);
		else if (op->behind && ledger_lane_is_dead(op->lane))
			sync_fail_dead(op);
		ledger_complete(op);
		if (counts != NULL) /* after the completion: what comes now comes behind it */
			atomic_fetch_sub(&counts->unsynced, 1);
		op = following;
	}
	if (next != NULL)
		sync_group(ledger, next);
}

void *ledger_syncer_main(void *arg)
{
	struct ledger *ledger = arg;

	pthread_mutex_lock(&ledger->sync_lock);
	for (;;) {
		struct ledger_batch *first;

		while (ledger->sync_queue.first == NULL && !ledger->sync_stop)
			pthread_cond_wait(&ledger->sync_cond, &ledger->sync_lock);
		first = ledger->sync_queue.first;
		if (first == NULL)
			break;
		op_list_init(&ledger->sync_queue);
		pthread_mutex_unlock(&ledger->sync_lock);
		sync_group(ledger, first);
		pthread_mutex_lock(&ledger->sync_lock);
	}
	pthread_mutex_unlock(&ledger->sync_lock);
	return NULL;
}

void ledger_sync_later(struct ledger *ledger, struct ledger_batch *op)
{
	pthread_mutex_lock(&ledger->sync_lock);
	if (ledger->sync_queue.first == NULL)
		pthread_cond_signal(&ledger->sync_cond);
	op_list_add(&ledger->sync_queue, op);
	pthread_mutex_unlock(&ledger->sync_lock);
}
