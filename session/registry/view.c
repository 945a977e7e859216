/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/view.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>

#include "relay/base/mem.h"
#include "session/budget.h"

#define TABLES_AHEAD 3 /* newest sessions whose tables are made with the view */

/* A table with the history that its indexes lead into; shared among views and starts. */
struct shared_table {
	unsigned refs; /* atomic */
	struct history *history;
	struct stake_table *table;
};

struct view_slot {
	struct service_name service;
	height_t start;
	struct shared_table *shared;
};

struct registry_view {
	unsigned refs; /* atomic */
	uint64_t serial;
	struct history *history;
	struct key_id key;
	struct seed_run seeds; /* those that a session needs */
	height_t last_seed;
	pthread_mutex_t lock; /* of what follows: the only things that change */
	size_t slots_n, slots_cap;
	struct view_slot *slots; /* sorted by (service, start) */
};

static struct shared_table *shared_ref(struct shared_table *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

static void shared_unref(struct shared_table *s)
{
	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	stake_table_destroy(s->table);
	history_unref(s->history);
	free(s);
}

static int slot_cmp(const struct view_slot *slot, const struct service_name *service,
		    height_t start)
{
	int c;

	assert(slot);
	c = strcmp(slot->service.s, service->s);
	if (c)
		return c;
	return slot->start < start ? -1 : slot->start > start;
}

/* Index of the first slot that is not before (service, start). */
static size_t slot_index(const struct registry_view *v, const struct service_name *service,
			 height_t start)
{
	size_t low = 0, high = v->slots_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (slot_cmp(&v->slots[mid], service, start) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct shared_table *slot_find(const struct registry_view *v,
				      const struct service_name *service, height_t start)
{
	size_t i = slot_index(v, service, start);

	if (i < v->slots_n && slot_cmp(&v->slots[i], service, start) == 0)
		return v->slots[i].shared;
	return NULL;
}

/* The shared table is the slot's from now on. */
static void slot_add(struct registry_view *v, const struct service_name *service, height_t start,
		     struct shared_table *shared)
{
	size_t i = slot_index(v, service, start);

	if (v->slots_n == v->slots_cap) {
		v->slots_cap = v->slots_cap ? v->slots_cap * 2 : 8;
		v->slots = xrealloc(v->slots, v->slots_cap * sizeof(*v->slots));
	}
	memmove(&v->slots[i + 1], &v->slots[i], (v->slots_n - i) * sizeof(*v->slots));
	v->slots[i] = (struct view_slot){*service, start, shared};
	v->slots_n++;
}

/* The table of the slot just before, if nothing changed between the two snapshots. */
static struct shared_table *slot_unchanged(const struct registry_view *v,
					   const struct service_name *service, height_t start)
{
	size_t i = slot_index(v, service, start);
	const struct view_slot *before = i > 0 ? &v->slots[i - 1] : NULL;
	uint64_t lag = view_params(v, start)->snapshot_lag;

	if (!before || strcmp(before->service.s, service->s) != 0 ||
	    !history_table_same(v->history, before->start - lag, start - lag))
		return NULL;
	return shared_ref(before->shared);
}

/* Finds or makes the table; the view's lock is held, or nobody else knows the view yet. */
static bool slot_get(struct registry_view *v, const struct service_name *service, height_t start,
		     struct shared_table **ret, struct err *err)
{
	struct shared_table *shared = slot_find(v, service, start);
	struct stake_table *table = NULL;

	if (!shared) {
		shared = slot_unchanged(v, service, start);
		if (!shared) {
			height_t at = start - view_params(v, start)->snapshot_lag;

			if (!history_table(v->history, service, at, &table, err))
				return false;
			shared = xmalloc(sizeof(*shared));
			*shared = (struct shared_table){1, history_ref(v->history), table};
		}
		slot_add(v, service, start, shared);
	}
	*ret = shared;
	return true;
}

/* Tables of the newest sessions that can be derived, of all services. */
static void build_ahead(struct registry_view *v, const struct registry_view *before)
{
	const struct session_params *p = history_params(v->history, 0);
	size_t services_n;
	const struct service_entry *service = history_all_services(v->history, &services_n);
	height_t newest = session_start(p, v->last_seed + p->seed_lag);

	for (uint64_t back = TABLES_AHEAD; back-- > 0;) {
		height_t start = newest - back * p->session_blocks;

		if (back * p->session_blocks > newest || !session_exists(p, start))
			continue;
		for (size_t i = 0; i < services_n; i++) {
			struct shared_table *shared = NULL;
			struct err err;

			if (i > 0 && strcmp(service[i].name.s, service[i - 1].name.s) == 0)
				continue;
			if (before)
				shared = slot_find(before, &service[i].name, start);
			if (shared)
				slot_add(v, &service[i].name, start, shared_ref(shared));
			else if (!slot_get(v, &service[i].name, start, &shared, &err))
				continue; /* whoever asks for it is told why */
		}
	}
}

struct registry_view *registry_view_create(struct history *history, const struct key_id *key,
					   const struct seed_run *seeds, height_t last_seed,
					   const struct registry_view *before)
{
	struct registry_view *v = xcalloc(1, sizeof(*v));
	const struct session_params *p = history_params(history, 0);

	v->refs = 1;
	v->serial = before ? before->serial + 1 : 1;
	v->history = history_ref(history);
	v->key = *key;
	v->last_seed = last_seed;
	for (size_t i = 0; i < seeds->n; i++)
		if ((seeds->v[i].height + p->seed_lag) % p->session_blocks == 0 &&
		    !seed_run_add(&v->seeds, seeds->v[i].height, &seeds->v[i].seed))
			assert(!"the seeds are not in order");
	if (pthread_mutex_init(&v->lock, NULL) != 0)
		abort();
	build_ahead(v, before);
	return v;
}

struct registry_view *registry_view_ref(struct registry_view *view)
{
	__atomic_add_fetch(&view->refs, 1, __ATOMIC_RELAXED);
	return view;
}

void registry_view_unref(struct registry_view *view)
{
	if (!view || __atomic_sub_fetch(&view->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < view->slots_n; i++)
		shared_unref(view->slots[i].shared);
	free(view->slots);
	seed_run_finish(&view->seeds);
	history_unref(view->history);
	pthread_mutex_destroy(&view->lock);
	free(view);
}

const struct network_id *view_network(const struct registry_view *view)
{
	return history_network(view->history);
}

const struct key_id *view_registry_key(const struct registry_view *view)
{
	return &view->key;
}

const struct session_clock *view_clock(const struct registry_view *view)
{
	return history_clock(view->history);
}

const struct history *view_history(const struct registry_view *view)
{
	return view->history;
}

const struct seed_run *view_seeds(const struct registry_view *view)
{
	return &view->seeds;
}

height_t view_last_seed(const struct registry_view *view)
{
	return view->last_seed;
}

uint64_t view_serial(const struct registry_view *view)
{
	return view->serial;
}

height_t view_height(const struct registry_view *view, msec_t wall_ms)
{
	return session_clock_height(view_clock(view), wall_ms);
}

const struct session_params *view_params(const struct registry_view *view, height_t start)
{
	const struct session_params *p = history_params(view->history, 0);

	if (session_exists(p, start))
		p = history_params(view->history, session_snapshot_height(p, start));
	return p;
}

height_t view_start(const struct registry_view *view, height_t height)
{
	return session_start(history_params(view->history, 0), height);
}

/* The seed of a session; says why when there is none. */
static bool seed_of(const struct registry_view *v, height_t start, const struct seed **ret,
		    struct err *err)
{
	const struct session_params *p = history_params(v->history, 0);
	height_t at;

	if (!session_exists(p, start))
		return err_set(err, ERR_NO_SESSION, "no session starts at height %" PRIu64, start);
	at = session_seed_height(p, start);
	if (at > v->last_seed)
		return err_set(err, ERR_REGISTRY_STALE,
			       "registry stale: the seed of height %" PRIu64
			       " is needed, the last known is %" PRIu64,
			       at, v->last_seed);
	*ret = seed_run_find(&v->seeds, at);
	if (!*ret)
		return err_set(err, ERR_NO_SESSION, "the registry has no seed of height %" PRIu64,
			       at);
	return true;
}

static bool shared_of(const struct registry_view *view, const struct service_name *service,
		      height_t start, struct shared_table **ret, struct err *err)
{
	struct registry_view *v = (struct registry_view *)view; /* the slots are behind the lock */
	bool ok;

	pthread_mutex_lock(&v->lock);
	ok = slot_get(v, service, start, ret, err);
	pthread_mutex_unlock(&v->lock);
	return ok;
}

bool view_table(const struct registry_view *view, const struct service_name *service,
		height_t start, const struct stake_table **ret, struct err *err)
{
	struct shared_table *shared;
	const struct seed *seed;

	if (!seed_of(view, start, &seed, err) || !shared_of(view, service, start, &shared, err))
		return false;
	*ret = shared->table;
	return true;
}

static void members_fill(struct session_info *s, const struct shared_table *shared,
			 const struct session_draw *draw)
{
	size_t suppliers_n;
	const struct supplier_entry *suppliers =
		history_all_suppliers(shared->history, &suppliers_n);

	s->n = draw->n;
	for (size_t i = 0; i < draw->n; i++) {
		const struct table_row *row = &shared->table->rows[draw->rows[i]];
		struct session_member *m = &s->members[i];

		assert(row->index < suppliers_n);
		m->key = row->key;
		m->owner = row->owner;
		m->weight = row->weight;
		m->price = row->price;
		memcpy(m->endpoint, suppliers[row->index].endpoint,
		       strlen(suppliers[row->index].endpoint) + 1);
	}
}

bool view_session(const struct registry_view *view, const struct key_id *application,
		  const struct service_name *service, height_t start, struct session_info **ret,
		  struct err *err)
{
	const struct session_params *p = view_params(view, start);
	const struct service_entry *entry;
	struct shared_table *shared;
	const struct seed *seed;
	struct session_draw draw;
	struct session_id id;
	struct session_info *s;

	if (!seed_of(view, start, &seed, err) || !shared_of(view, service, start, &shared, err))
		return false;
	id = session_id_derive(view_network(view), application, service, start, seed);
	if (!session_draw(&id, shared->table, p->session_suppliers, &draw, err))
		return false;
	entry = history_service(view->history, service, session_snapshot_height(p, start));
	assert(entry);
	s = xcalloc(1, sizeof(*s) + draw.n * sizeof(s->members[0]));
	s->id = id;
	s->application = *application;
	s->service = *service;
	s->start = start;
	s->params = *p;
	s->method_table = entry->table;
	s->seed = *seed;
	s->total = shared->table->total;
	members_fill(s, shared, &draw);
	*ret = s;
	return true;
}

const struct session_member *session_info_member(const struct session_info *s,
						 const struct key_id *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (ID_EQ(&s->members[i].key, key))
			return &s->members[i];
	return NULL;
}

bool view_allowance(const struct registry_view *view, const struct key_id *application,
		    const struct key_id *gateway, const struct service_name *service,
		    height_t start, u128 *ret, struct err *err)
{
	const struct seed *seed;

	return seed_of(view, start, &seed, err) &&
	       history_allowance(view->history, application, gateway, service, start, ret, err);
}
