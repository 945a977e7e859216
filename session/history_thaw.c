/* SPDX-License-Identifier: Apache-2.0
 * Tokens on their way out, what payments and penalties took, and the books of a whole network
 * ([P3], [P6]). */
#include "session/history_inside.h"

#include <assert.h>

#include "relay/base/mem.h"

/* Heights below `height` at which the registry was kept. */
static uint64_t kept_below(const struct history *h, height_t height)
{
	const struct pause_entry *e = h->pauses.v;
	size_t low = 0, high = h->pauses.n;

	while (low < high) { /* pauses that begin below */
		size_t mid = low + (high - low) / 2;

		if (e[mid].height - e[mid].missed < height)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return height;
	e += low - 1;
	return height - e->before - MIN(e->missed, height - (e->height - e->missed));
}

/* The height with n kept ones below it that was kept itself. */
static height_t kept_height(const struct history *h, uint64_t n)
{
	const struct pause_entry *e = h->pauses.v;
	size_t low = 0, high = h->pauses.n;

	while (low < high) { /* pauses with so many kept heights ahead of them, or fewer */
		size_t mid = low + (high - low) / 2;

		if (e[mid].height - e[mid].missed - e[mid].before <= n)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 ? n + e[low - 1].before + e[low - 1].missed : n;
}

height_t history_thaw_from(const struct history *h, height_t height)
{
	const struct params_entry *e = h->params.v;
	uint64_t kept = kept_below(h, height);
	height_t first = height;

	/* By each set of parameters, for the last snapshot under it ahead of the withdrawal. */
	for (size_t i = 0; i < h->params.n && e[i].height < height; i++) {
		uint64_t span =
			(session_claim_horizon(&e[i].params) + 1) * e[i].params.session_blocks;
		height_t from = kept < span ? 0 : kept_height(h, kept - span) + 1;

		if (i + 1 == h->params.n || from <= e[i + 1].height)
			first = MIN(first, MAX(from, e[i].height + 1));
	}
	return first;
}

/* What was withdrawn with entry i; *ret_in: what was paid in with it. */
static u128 withdrawn(const struct thaw_entry *e, size_t i, u128 *ret_in)
{
	u128 before = i > 0 ? e[i - 1].standing + e[i - 1].taken : 0;
	u128 after = e[i].standing + e[i].taken;

	*ret_in = after > before ? after - before : 0;
	return before > after ? before - after : 0;
}

/* The withdrawals that have not left, as a queue: the oldest is that of entry `at`, of which `rest`
 * is still there. */
struct thaw_queue {
	const struct thaw_entry *e;
	size_t at, end; /* entries before `end` have joined */
	u128 rest;	/* of entry `at`; 0 when the queue is empty */
};

static void queue_next(struct thaw_queue *q)
{
	u128 in;

	q->at++;
	q->rest = q->at < q->end ? withdrawn(q->e, q->at, &in) : 0;
}

static void queue_join(struct thaw_queue *q, size_t i)
{
	u128 in;

	q->end = i + 1;
	if (q->at == i)
		q->rest = withdrawn(q->e, i, &in);
}

/* Lets go what was withdrawn before a height; returns how much. */
static u128 queue_leave(struct thaw_queue *q, height_t from)
{
	u128 sum = 0;

	while (q->at < q->end && q->e[q->at].height < from) {
		sum += q->rest;
		queue_next(q);
	}
	return sum;
}

/* Takes an amount of the oldest; false when there is less. */
static bool queue_take(struct thaw_queue *q, u128 amount)
{
	while (amount > 0 && q->at < q->end) {
		u128 part = MIN(amount, q->rest);

		q->rest -= part;
		amount -= part;
		if (q->rest == 0)
			queue_next(q);
	}
	return amount == 0;
}

static u128 queue_sum(struct thaw_queue q)
{
	u128 sum = 0;

	for (; q.at < q.end; queue_next(&q))
		sum += q.rest;
	return sum;
}

bool history_thaw(const struct history *h, const struct thaw_entry *e, size_t n, height_t height,
		  struct thaw_state *ret)
{
	struct thaw_queue q = {.e = e};
	struct thaw_state s = {0};
	bool ok = true;

	for (size_t i = 0; i < n && e[i].height <= height; i++) {
		u128 before = i > 0 ? e[i - 1].taken_thaw : 0, in;

		queue_join(&q, i);
		withdrawn(e, i, &in);
		s.in += in;
		if (e[i].taken_thaw > before) {
			s.left += queue_leave(&q, history_thaw_from(h, e[i].height));
			ok = queue_take(&q, e[i].taken_thaw - before) && ok;
		}
		s.standing = e[i].standing;
		s.taken = e[i].taken;
		s.taken_thaw = e[i].taken_thaw;
	}
	s.left += queue_leave(&q, history_thaw_from(h, height));
	s.thawing = queue_sum(q);
	*ret = s;
	return ok && s.in == s.standing + s.taken + s.taken_thaw + s.thawing + s.left;
}

void history_thaw_mend(const struct history *h, struct thaw_entry *e, size_t n)
{
	struct thaw_entry *last = &e[n - 1];
	u128 before = n > 1 ? e[n - 2].taken_thaw : 0;
	u128 taken = last->taken_thaw - before, excess;
	struct thaw_state s;

	assert(n > 0 && last->taken_thaw >= before);
	if (taken == 0)
		return;
	last->taken_thaw = before;
	history_thaw(h, e, n, last->height, &s);
	excess = taken - MIN(taken, s.thawing);
	assert(last->standing >= excess);
	last->standing -= excess;
	last->taken += excess;
	last->taken_thaw = before + taken - excess;
}

/* The entries of the supplier whose first entry is at i; *ret_n of them. */
static struct thaw_entry *stakes_at(const struct history *h, size_t i, size_t *ret_n)
{
	const struct supplier_entry *e = (const struct supplier_entry *)h->suppliers.v + i;
	size_t n = 0;
	struct thaw_entry *list;

	while (i + n < h->suppliers.n && ID_EQ(&e[n].key, &e->key))
		n++;
	list = xcalloc(n, sizeof(*list));
	for (size_t k = 0; k < n; k++)
		list[k] =
			(struct thaw_entry){e[k].height, e[k].stake, e[k].burned, e[k].burned_thaw};
	*ret_n = n;
	return list;
}

static struct thaw_entry *escrows_at(const struct history *h, size_t i, size_t *ret_n)
{
	const struct application_entry *e = (const struct application_entry *)h->applications.v + i;
	size_t n = 0;
	struct thaw_entry *list;

	while (i + n < h->applications.n && ID_EQ(&e[n].key, &e->key))
		n++;
	list = xcalloc(n, sizeof(*list));
	for (size_t k = 0; k < n; k++)
		list[k] =
			(struct thaw_entry){e[k].height, e[k].escrow, e[k].spent, e[k].spent_thaw};
	*ret_n = n;
	return list;
}

u128 history_thawing_stake(const struct history *h, const struct key_id *key, height_t height)
{
	const struct supplier_entry probe = {.key = *key};
	const struct supplier_entry *e = h->suppliers.v;
	size_t n, i = entry_list_first(&h->suppliers, sizeof(*e), supplier_entry_cmp, &probe);
	CLEANUP(xfree) struct thaw_entry *list = NULL;
	struct thaw_state s;

	if (i == h->suppliers.n || !ID_EQ(&e[i].key, key))
		return 0;
	list = stakes_at(h, i, &n);
	history_thaw(h, list, n, height, &s);
	return s.thawing;
}

u128 history_thawing_escrow(const struct history *h, const struct key_id *key, height_t height)
{
	const struct application_entry probe = {.key = *key};
	const struct application_entry *e = h->applications.v;
	size_t n, i = entry_list_first(&h->applications, sizeof(*e), application_entry_cmp, &probe);
	CLEANUP(xfree) struct thaw_entry *list = NULL;
	struct thaw_state s;

	if (i == h->applications.n || !ID_EQ(&e[i].key, key))
		return 0;
	list = escrows_at(h, i, &n);
	history_thaw(h, list, n, height, &s);
	return s.thawing;
}

bool history_books(const struct history *h, height_t height, struct history_books *ret)
{
	struct history_books b = {0};
	struct thaw_state s;
	bool ok = true;
	size_t n;

	for (size_t i = 0; i < h->suppliers.n; i += n) {
		CLEANUP(xfree) struct thaw_entry *list = stakes_at(h, i, &n);

		ok = history_thaw(h, list, n, height, &s) && ok;
		b.deposits += s.in;
		b.stakes += s.standing;
		b.burned += s.taken + s.taken_thaw;
		b.thawing_stakes += s.thawing;
		b.left += s.left;
	}
	for (size_t i = 0; i < h->applications.n; i += n) {
		CLEANUP(xfree) struct thaw_entry *list = escrows_at(h, i, &n);

		ok = history_thaw(h, list, n, height, &s) && ok;
		b.deposits += s.in;
		b.escrow += s.standing;
		b.spent += s.taken + s.taken_thaw;
		b.thawing_escrow += s.thawing;
		b.left += s.left;
	}
	*ret = b;
	return ok;
}
