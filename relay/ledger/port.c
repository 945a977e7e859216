/* SPDX-License-Identifier: Apache-2.0
 * Ports and the operations that go through them: a queue to the writer, a queue back, an eventfd.
 * Operations and their buffers are pooled per port, so that a relay costs no allocation. */
#include "relay/ledger/internal.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define POOL_MAX 256		      /* operations kept by a port */
#define POOL_KEEP (UINT64_C(1) << 20) /* larger evidence buffers are not kept */

struct ledger_port *ledger_port_create(struct ledger *ledger)
{
	struct ledger_port *port = xcalloc(1, sizeof(*port));

	port->ledger = ledger;
	port->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (port->fd < 0) {
		log_error("ledger.eventfd", "error=\"%s\"", strerror(errno));
		abort(); /* out of descriptors before the first link: nothing can be served */
	}
	pthread_mutex_init(&port->lock, NULL);
	op_list_init(&port->ready);
	return port;
}

void ledger_op_free(struct ledger_batch *op)
{
	buf_finish(&op->leaves);
	buf_finish(&op->hashes);
	buf_finish(&op->salts);
	buf_finish(&op->evidence);
	buf_finish(&op->places);
	free(op->tabs);
	free(op);
}

static void op_free_list(struct ledger_batch *op)
{
	while (op != NULL) {
		struct ledger_batch *next = op->next;

		ledger_op_free(op);
		op = next;
	}
}

void ledger_port_destroy(struct ledger_port *port)
{
	if (port == NULL)
		return;
	assert(atomic_load(&port->in_flight) == 0);
	op_free_list(port->ready.first);
	op_free_list(port->pool);
	pthread_mutex_destroy(&port->lock);
	close(port->fd);
	free(port);
}

int ledger_port_fd(const struct ledger_port *port)
{
	return port->fd;
}

struct ledger_batch *ledger_op_create(struct ledger_port *port, enum op_kind kind)
{
	struct ledger_batch *op;

	if (port == NULL || port->pool == NULL) {
		op = xcalloc(1, sizeof(*op));
	} else {
		op = port->pool;
		port->pool = op->next;
		port->pooled--;
	}
	op->kind = kind;
	op->port = port;
	return op;
}

/* Back into the pool, with its buffers emptied and kept. */
static void op_recycle(struct ledger_port *port, struct ledger_batch *op)
{
	struct ledger_batch keep = {.tabs = op->tabs, .tabs_cap = op->tabs_cap};

	for (uint32_t i = 0; i < op->n; i++)
		if (op->tabs[i] != NULL)
			ledger_tab_close(op->tabs[i]);
	if (port->pooled >= POOL_MAX || op->evidence.cap > POOL_KEEP) {
		ledger_op_free(op);
		return;
	}
	keep.leaves = op->leaves;
	keep.hashes = op->hashes;
	keep.salts = op->salts;
	keep.evidence = op->evidence;
	keep.places = op->places;
	keep.leaves.n = keep.hashes.n = keep.salts.n = keep.evidence.n = keep.places.n = 0;
	keep.next = port->pool;
	*op = keep;
	port->pool = op;
	port->pooled++;
}

size_t ledger_port_reap(struct ledger_port *port)
{
	struct ledger_batch *op;
	uint64_t count;
	size_t n = 0;

	if (read(port->fd, &count, sizeof(count)) < 0)
		count = 0; /* nothing was signalled: look all the same */
	pthread_mutex_lock(&port->lock);
	op = port->ready.first;
	op_list_init(&port->ready);
	pthread_mutex_unlock(&port->lock);
	while (op != NULL) {
		struct ledger_batch *next = op->next;
		bool failed = op->failed;
		struct err err = op->err;
		ledger_done_fn *done = op->done;
		void *arg = op->arg;

		op_recycle(port, op);
		if (done != NULL)
			done(arg, failed ? &err : NULL);
		n++;
		op = next;
	}
	return n;
}

void ledger_enqueue(struct ledger *ledger, struct ledger_batch *op)
{
	bool wake;

	pthread_mutex_lock(&ledger->queue_lock);
	wake = ledger->queue.first == NULL && !ledger->writing;
	op_list_add(&ledger->queue, op);
	pthread_mutex_unlock(&ledger->queue_lock);
	if (wake) /* without the lock, or the writer would wake to wait for it */
		pthread_cond_signal(&ledger->queue_cond);
}

static uint64_t op_bytes(const struct ledger_batch *op)
{
	return sizeof(*op) + op->leaves.n + op->hashes.n + op->salts.n + op->evidence.n +
	       op->places.n;
}

void ledger_submit(struct ledger *ledger, struct ledger_batch *op)
{
	if (op->lane != NULL)
		atomic_fetch_add(&op->lane->ops, 1);
	if (op->port != NULL) {
		atomic_fetch_add_explicit(&op->port->in_flight, 1, memory_order_relaxed);
		op->bytes = op_bytes(op);
		atomic_fetch_add_explicit(&ledger->queued_bytes, op->bytes, memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&ledger->queued, 1, memory_order_relaxed);
	if (op->kind != OP_APPEND || !ledger_write_here(ledger, op))
		ledger_enqueue(ledger, op);
}

void ledger_complete(struct ledger_batch *op)
{
	struct ledger_port *port = op->port;
	uint64_t one = 1;
	bool wake;

	if (op->lane != NULL)
		atomic_fetch_sub(&op->lane->ops, 1);
	if (port == NULL) { /* the ledger's own: whoever waits is told here */
		if (op->done != NULL)
			op->done(op->arg, op->failed ? &op->err : NULL);
		ledger_op_free(op);
		return;
	}
	atomic_fetch_sub_explicit(&port->ledger->queued_bytes, op->bytes, memory_order_relaxed);
	pthread_mutex_lock(&port->lock);
	wake = port->ready.first == NULL;
	op_list_add(&port->ready, op);
	pthread_mutex_unlock(&port->lock);
	if (wake && write(port->fd, &one, sizeof(one)) != sizeof(one))
		log_error("ledger.eventfd", "error=\"%s\"", strerror(errno));
	atomic_fetch_sub_explicit(&port->in_flight, 1, memory_order_release);
}

/* --- batches --- */

struct ledger_batch *ledger_batch_create(struct ledger_port *port)
{
	return ledger_op_create(port, OP_APPEND);
}

void ledger_batch_drop(struct ledger_port *port, struct ledger_batch *batch)
{
	if (batch != NULL)
		op_recycle(port, batch);
}

size_t ledger_batch_count(const struct ledger_batch *batch)
{
	return batch->n;
}

static void batch_put_evidence(struct ledger_batch *batch, struct view request,
			       struct view response)
{
	uint8_t place[LEDGER_PLACE_BYTES] = {0};

	if (batch->port->ledger->p.evidence_max_bytes == 0)
		return;
	if ((request.n > 0 || response.n > 0) && request.n <= UINT32_MAX &&
	    response.n <= UINT32_MAX) {
		put_be64(place, batch->evidence.n + 1);
		buf_reserve(&batch->evidence, EVIDENCE_HEAD + request.n + response.n);
		buf_put_u32(&batch->evidence, (uint32_t)request.n);
		buf_put_u32(&batch->evidence, (uint32_t)response.n);
		buf_put(&batch->evidence, request.p, request.n);
		buf_put(&batch->evidence, response.p, response.n);
	}
	buf_put(&batch->places, place, sizeof(place));
}

void ledger_batch_add(struct ledger_batch *batch, struct ledger_tab *tab,
		      const uint8_t leaf[LEDGER_LEAF_BYTES], const struct hash *leaf_hash,
		      const struct salt *salt, struct view request, struct view response)
{
	assert(batch->n < LEDGER_BATCH_MAX);
	if (batch->n == batch->tabs_cap) {
		batch->tabs_cap = batch->tabs_cap == 0 ? 16 : batch->tabs_cap * 2;
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): the elements are pointers */
		batch->tabs = xrealloc(batch->tabs, batch->tabs_cap * sizeof(*batch->tabs));
	}
	if (tab != NULL)
		ledger_tab_ref(tab);
	batch->tabs[batch->n++] = tab;
	buf_put(&batch->leaves, leaf, LEDGER_LEAF_BYTES);
	buf_put(&batch->hashes, leaf_hash->b, sizeof(leaf_hash->b));
	buf_put(&batch->salts, salt->b, sizeof(salt->b));
	batch_put_evidence(batch, request, response);
}
