/* SPDX-License-Identifier: Apache-2.0
 * Lanes: handles, states, what is pending in them, and the operations that callers queue. */
#include "relay/ledger/internal.h"

#include <inttypes.h>

#define FORGET_MIN_US 1000000 /* a closed lane stays in memory for recent_ms, at least for this */

struct ledger_lane *lane_create(struct ledger *ledger, const struct lane_id *id,
				const struct key_id *peer, uint64_t number, uint32_t day)
{
	struct ledger_lane *lane = xcalloc(1, sizeof(*lane));

	lane->ledger = ledger;
	lane->id = *id;
	lane->peer = *peer;
	lane->number = number;
	lane->day = day;
	atomic_init(&lane->state, LEDGER_LANE_LIVE);
	return lane;
}

void lane_free(struct ledger_lane *lane)
{
	lane_pending_settle(lane, UINT64_MAX);
	free(lane->pending);
	free(lane->edge);
	free(lane);
}

void lanes_forget(struct ledger *ledger)
{
	usec_t before = clock_now_us() - MAX(ledger->p.recent_ms * 1000, (usec_t)FORGET_MIN_US);
	struct ledger_lane *lane, *tmp;

	pthread_mutex_lock(&ledger->lock);
	HASH_ITER (hh, ledger->lanes, lane, tmp) {
		if (atomic_load(&lane->state) != LEDGER_LANE_CLOSED || atomic_load(&lane->owned) ||
		    atomic_load(&lane->closed_us) > before || atomic_load(&lane->ops) > 0)
			continue;
		HASH_DEL(ledger->lanes, lane); /* the file knows it from here on */
		lane_free(lane);
	}
	pthread_mutex_unlock(&ledger->lock);
}

static enum ledger_lane_state lane_state(const struct ledger_lane *lane)
{
	return (enum ledger_lane_state)atomic_load(&lane->state);
}

void lane_set_state(struct ledger_lane *lane, enum ledger_lane_state state)
{
	enum ledger_lane_state old = lane_state(lane);

	assert(old != LEDGER_LANE_CLOSED || state == LEDGER_LANE_CLOSED);
	assert((old != LEDGER_LANE_DEAD && old != LEDGER_LANE_BROKEN) || state != LEDGER_LANE_LIVE);
	atomic_store(&lane->state, state);
}

void lane_kill(struct ledger_lane *lane, const char *why)
{
	char hex[2 * sizeof(lane->id.b) + 1];

	if (ledger_lane_is_dead(lane) || lane_state(lane) == LEDGER_LANE_CLOSED)
		return;
	lane_set_state(lane, LEDGER_LANE_DEAD);
	atomic_fetch_add(&lane->ledger->lanes_dead, 1);
	metric_add(METRIC_LEDGER_DEAD_LANES, 1);
	log_error("ledger.lane_dead", "lane=%s error=\"%s\"",
		  hex_encode(lane->id.b, sizeof(lane->id.b), hex), why);
}

void ledger_lane_give_up(struct ledger_lane *lane, const char *why)
{
	char hex[2 * sizeof(lane->id.b) + 1];

	if (lane_state(lane) == LEDGER_LANE_BROKEN || lane_state(lane) == LEDGER_LANE_CLOSED)
		return;
	lane_set_state(lane, LEDGER_LANE_BROKEN);
	metric_add(METRIC_LEDGER_BROKEN_LANES, 1);
	log_error("ledger.lane_broken", "lane=%s day=%" PRIu32 " error=\"%s\"",
		  hex_encode(lane->id.b, sizeof(lane->id.b), hex), lane->day, why);
}

/* --- what no cosigned head covers yet; the writer's --- */

void lane_pending_add(struct ledger_lane *lane, struct ledger_tab *tab, uint32_t end, cu_t cu)
{
	struct pending *last;

	if (lane->pending_n > lane->pending_first) {
		last = &lane->pending[lane->pending_n - 1];
		if (last->tab == tab && last->end == end) {
			last->cu += cu;
			return;
		}
	}
	if (lane->pending_n == lane->pending_cap && lane->pending_first > lane->pending_cap / 2) {
		lane->pending_n -= lane->pending_first;
		memmove(lane->pending, lane->pending + lane->pending_first,
			lane->pending_n * sizeof(*lane->pending));
		lane->pending_first = 0;
	}
	if (lane->pending_n == lane->pending_cap) {
		lane->pending_cap = MAX(lane->pending_cap * 2, 64);
		lane->pending = xrealloc(lane->pending, lane->pending_cap * sizeof(*lane->pending));
	}
	ledger_tab_ref(tab);
	lane->pending[lane->pending_n++] = (struct pending){.tab = tab, .end = end, .cu = cu};
}

void lane_pending_settle(struct ledger_lane *lane, uint64_t size)
{
	while (lane->pending_first < lane->pending_n) {
		struct pending *p = &lane->pending[lane->pending_first];

		if (p->end > size)
			return;
		ledger_tab_paid(p->tab, p->cu);
		ledger_tab_forgive(p->tab, p->forgives);
		ledger_tab_close(p->tab);
		lane->pending_first++;
	}
	lane->pending_first = lane->pending_n = 0;
}

void lane_pending_deny(struct ledger_lane *lane)
{
	for (; lane->pending_first < lane->pending_n; lane->pending_first++) {
		struct pending *p = &lane->pending[lane->pending_first];

		ledger_tab_deny(p->tab, p->cu);
		ledger_tab_close(p->tab);
	}
	lane->pending_first = lane->pending_n = 0;
}

/* --- opening and finding --- */

static bool lane_begin(struct ledger_port *port, const struct lane_id *id,
		       const struct key_id *peer, uint32_t day, bool restore, ledger_done_fn *done,
		       void *arg, struct ledger_lane **ret, struct err *err)
{
	struct ledger *ledger = port->ledger;
	struct ledger_lane *lane;
	struct ledger_batch *op;

	if (!restore && ledger_is_full(ledger))
		return err_set(err, ERR_LEDGER_FULL, "no room for a lane");
	pthread_mutex_lock(&ledger->lock);
	HASH_FIND(hh, ledger->lanes, id, sizeof(*id), lane);
	if (lane != NULL) {
		pthread_mutex_unlock(&ledger->lock);
		return err_set(err, ERR_LEDGER, "the lane was used before");
	}
	lane = lane_create(ledger, id, peer, ledger->next_number++, day);
	atomic_store(&lane->unsynced, 1);
	atomic_store(&lane->owned, !restore);
	HASH_ADD(hh, ledger->lanes, id, sizeof(lane->id), lane);
	pthread_mutex_unlock(&ledger->lock);
	op = ledger_op_create(port, OP_OPEN);
	op->lane = lane;
	op->restore = restore;
	op->done = done;
	op->arg = arg;
	ledger_submit(ledger, op);
	*ret = lane;
	return true;
}

bool ledger_lane_open(struct ledger_port *port, const struct lane_id *lane,
		      const struct key_id *peer, uint32_t day, ledger_done_fn *done, void *arg,
		      struct ledger_lane **ret, struct err *err)
{
	return lane_begin(port, lane, peer, day, false, done, arg, ret, err);
}

bool ledger_lane_restore(struct ledger_port *port, const struct lane_id *lane,
			 const struct key_id *peer, uint32_t day, struct ledger_lane **ret,
			 struct err *err)
{
	return lane_begin(port, lane, peer, day, true, NULL, NULL, ret, err);
}

void ledger_lane_release(struct ledger_port *port, struct ledger_lane *lane)
{
	struct ledger_batch *op = ledger_op_create(port, OP_RELEASE);

	op->lane = lane;
	ledger_submit(port->ledger, op);
}

bool ledger_lane_is_dead(const struct ledger_lane *lane)
{
	return lane_state(lane) == LEDGER_LANE_DEAD || lane_state(lane) == LEDGER_LANE_BROKEN;
}

static int unclosed_order(const void *a, const void *b)
{
	const struct ledger_unclosed *x = a, *y = b;

	return x->lane->number < y->lane->number ? -1 : x->lane->number > y->lane->number;
}

void ledger_unclosed(struct ledger *ledger, const struct key_id *peer, size_t max,
		     struct ledger_unclosed **ret, size_t *ret_n)
{
	struct ledger_unclosed *list = NULL;
	struct ledger_lane *lane, *tmp;
	size_t n = 0, cap = 0;

	pthread_mutex_lock(&ledger->lock);
	HASH_ITER (hh, ledger->lanes, lane, tmp) {
		enum ledger_lane_state state = lane_state(lane);

		if ((state != LEDGER_LANE_UNCLOSED && state != LEDGER_LANE_DEAD) ||
		    !ID_EQ(&lane->peer, peer))
			continue;
		if (n == cap) {
			cap = MAX(cap * 2, 16);
			list = xrealloc(list, cap * sizeof(*list));
		}
		list[n++] = (struct ledger_unclosed){.lane = lane,
						     .id = lane->id,
						     .dead = state == LEDGER_LANE_DEAD,
						     .head = lane->head,
						     .cosigned = lane->cosigned};
	}
	pthread_mutex_unlock(&ledger->lock);
	if (n > 1)
		qsort(list, n, sizeof(*list), unclosed_order);
	*ret = list;
	*ret_n = MIN(n, max);
}

size_t ledger_unclosed_peers(struct ledger *ledger, struct key_id *ret, size_t max)
{
	struct ledger_lane *lane, *tmp;
	size_t n = 0;

	pthread_mutex_lock(&ledger->lock);
	HASH_ITER (hh, ledger->lanes, lane, tmp) {
		enum ledger_lane_state state = lane_state(lane);
		bool known = state != LEDGER_LANE_UNCLOSED && state != LEDGER_LANE_DEAD;

		for (size_t i = 0; i < n && !known; i++)
			known = ID_EQ(&ret[i], &lane->peer);
		if (!known && n < max)
			ret[n++] = lane->peer;
	}
	pthread_mutex_unlock(&ledger->lock);
	return n;
}

/* Closed before this process began: only the file knows. */
static bool lane_was_closed(struct ledger *ledger, const struct lane_id *id,
			    const struct key_id *peer)
{
	struct key_id stored;
	bool found;

	sqlite3_bind_blob(ledger->lane_find, 1, id->b, sizeof(id->b), SQLITE_STATIC);
	found = sqlite3_step(ledger->lane_find) == SQLITE_ROW &&
		store_blob(ledger->lane_find, 0, stored.b, sizeof(stored.b)) &&
		ID_EQ(&stored, peer);
	sqlite3_reset(ledger->lane_find);
	return found;
}

enum ledger_lane_state ledger_lane_find(struct ledger *ledger, const struct lane_id *id,
					const struct key_id *peer, struct ledger_lane **ret_lane)
{
	enum ledger_lane_state state = LEDGER_LANE_UNKNOWN;
	struct ledger_lane *lane;

	*ret_lane = NULL;
	pthread_mutex_lock(&ledger->lock);
	HASH_FIND(hh, ledger->lanes, id, sizeof(*id), lane);
	if (lane == NULL)
		state = lane_was_closed(ledger, id, peer) ? LEDGER_LANE_CLOSED
							  : LEDGER_LANE_UNKNOWN;
	else if (ID_EQ(&lane->peer, peer))
		state = lane_state(lane);
	pthread_mutex_unlock(&ledger->lock);
	if (state != LEDGER_LANE_UNKNOWN && state != LEDGER_LANE_CLOSED)
		*ret_lane = lane;
	return state;
}

/* --- what callers queue --- */

void ledger_append(struct ledger_port *port, struct ledger_lane *lane, struct ledger_batch *batch,
		   const struct ledger_head *head, ledger_done_fn *done, void *arg)
{
	assert(batch->n > 0 && batch->port == port);
	assert(get_be64(batch->leaves.p + 8) == lane->queued);
	assert(head->size == lane->queued + batch->n && head->size <= LEDGER_LANE_LEAVES);
	lane->queued = head->size;
	batch->kind = OP_APPEND;
	batch->lane = lane;
	batch->head = *head;
	batch->has_head = true;
	batch->done = done;
	batch->arg = arg;
	ledger_submit(port->ledger, batch);
}

void ledger_adopt(struct ledger_port *port, struct ledger_lane *lane, struct ledger_batch *batch,
		  const struct ledger_head *head, ledger_done_fn *done, void *arg)
{
	assert(batch->n > 0 && batch->port == port);
	batch->kind = OP_ADOPT;
	batch->lane = lane;
	batch->has_head = head != NULL;
	if (head != NULL)
		batch->head = *head;
	batch->done = done;
	batch->arg = arg;
	ledger_submit(port->ledger, batch);
}

void ledger_cosign(struct ledger_port *port, struct ledger_lane *lane,
		   const struct ledger_cosigned *cosigned, ledger_done_fn *done, void *arg)
{
	struct ledger_batch *op = ledger_op_create(port, OP_COSIGN);

	assert(cosigned->size > 0 && cosigned->size <= LEDGER_LANE_LEAVES);
	op->lane = lane;
	op->cosigned = *cosigned;
	op->done = done;
	op->arg = arg;
	ledger_submit(port->ledger, op);
}

void ledger_lane_close(struct ledger_port *port, struct ledger_lane *lane, uint64_t final_size,
		       ledger_done_fn *done, void *arg)
{
	struct ledger_batch *op = ledger_op_create(port, OP_CLOSE);

	op->lane = lane;
	op->final_size = final_size;
	op->done = done;
	op->arg = arg;
	ledger_submit(port->ledger, op);
}
