/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/registry.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "session/registry/source.h"
#include "session/registry/view.h"

#define LOG_EVERY_US 60000000

struct registry {
	struct source *source; /* the follower's once it runs */
	pthread_t thread;
	bool running;
	atomic_bool stop;
	int notify;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct registry_view *view;
	struct registry_status status;
};

/* A registry that takes back what it said is not followed further. */
static bool continues(const struct registry_view *before, const struct source_state *state,
		      struct err *err)
{
	const struct seed_run *known = view_seeds(before);

	if (!ID_EQ(view_network(before), history_network(state->history)))
		return err_set(err, ERR_REGISTRY, "the registry is now of another network");
	if (state->last_seed < view_last_seed(before))
		return err_set(err, ERR_REGISTRY,
			       "the registry went back from height %" PRIu64 " to %" PRIu64,
			       view_last_seed(before), state->last_seed);
	for (size_t i = 0; i < known->n; i++) {
		const struct seed *now = seed_run_find(&state->seeds, known->v[i].height);

		if (now && !ID_EQ(now, &known->v[i].seed))
			return err_set(err, ERR_REGISTRY,
				       "the registry changed the seed of height %" PRIu64,
				       known->v[i].height);
	}
	return true;
}

/* The seeds known before and the new ones, without those that are out of use. */
static void merge_seeds(const struct registry_view *before, struct source_state *state)
{
	struct seed_run all = {0};
	bool ok = true;

	for (size_t i = 0; before && i < view_seeds(before)->n; i++) {
		const struct height_seed *s = &view_seeds(before)->v[i];

		if (state->seeds.n == 0 || s->height < state->seeds.v[0].height)
			ok = ok && seed_run_add(&all, s->height, &s->seed);
	}
	for (size_t i = 0; i < state->seeds.n; i++)
		ok = ok && seed_run_add(&all, state->seeds.v[i].height, &state->seeds.v[i].seed);
	assert(ok);
	seed_run_drop_below(&all, history_seeds_from(state->history, state->last_seed));
	seed_run_finish(&state->seeds);
	state->seeds = all;
}

static void publish(struct registry *r, struct registry_view *view)
{
	const uint64_t one = 1;
	struct registry_view *old;
	ssize_t n;

	pthread_mutex_lock(&r->lock);
	old = r->view;
	r->view = view;
	pthread_mutex_unlock(&r->lock);
	registry_view_unref(old);
	n = write(r->notify, &one, sizeof(one)); /* a full counter is readable anyway */
	(void)n;
}

/* Reads the source once, and publishes a view if it has changed. */
static bool follow_once(struct registry *r, struct err *err)
{
	CLEANUP(source_state_finish) struct source_state state = {0};
	struct registry_view *before = r->view; /* only this thread replaces it */
	height_t from = 0;
	bool changed;

	if (before)
		from = view_last_seed(before) + 1;
	if (!source_read(r->source, from, &state, &changed, err))
		return false;
	if (!changed)
		return true;
	if (before && !continues(before, &state, err))
		return false;
	merge_seeds(before, &state);
	publish(r, registry_view_create(state.history, source_key(r->source), &state.seeds,
					state.last_seed, before));
	return true;
}

static void note_result(struct registry *r, bool ok, const struct err *err)
{
	static _Thread_local struct log_gate gate;
	uint64_t held = 0;

	clock_tick();
	pthread_mutex_lock(&r->lock);
	r->status.reads++;
	r->status.failures += !ok;
	r->status.last_error = ok ? (struct err){0} : *err;
	if (ok)
		r->status.last_ok_ms = clock_wall_ms();
	pthread_mutex_unlock(&r->lock);
	metric_add_at(METRIC_REGISTRY_READS, ok ? ERR_NONE : err->code, 0, 1);
	if (!ok && log_every(&gate, LOG_EVERY_US, &held))
		log_warn("registry.unreachable", "error=\"%s\" held=%" PRIu64, err->msg, held);
}

/* Waits, or is woken by registry_close(). */
static void pause_ms(struct registry *r, msec_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until); /* allowed: the condition variable wants it */
	until.tv_sec += ms / 1000;
	until.tv_nsec += (ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&r->lock);
	while (!atomic_load(&r->stop) && pthread_cond_timedwait(&r->wake, &r->lock, &until) == 0)
		;
	pthread_mutex_unlock(&r->lock);
}

static void *follower(void *arg)
{
	struct registry *r = arg;

	while (!atomic_load(&r->stop)) {
		struct err err = {0};

		pause_ms(r, source_poll_ms(r->source, view_clock(r->view)->block_ms));
		if (atomic_load(&r->stop))
			break;
		note_result(r, follow_once(r, &err), &err);
	}
	return NULL;
}

static struct registry *registry_new(void)
{
	struct registry *r = xcalloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (pthread_condattr_init(&attr) != 0 ||
	    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&r->wake, &attr) != 0 || pthread_mutex_init(&r->lock, NULL) != 0)
		abort();
	pthread_condattr_destroy(&attr);
	r->notify = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return r;
}

bool registry_open(const char *source, const struct key_id *pinned, struct registry **ret,
		   struct err *err)
{
	CLEANUP(registry_close) struct registry *r = registry_new();

	if (r->notify < 0)
		return err_set(err, ERR_IO, "no eventfd left");
	if (!source_open(source, pinned, &r->stop, &r->source, err) || !follow_once(r, err))
		return false;
	note_result(r, true, NULL);
	if (pthread_create(&r->thread, NULL, follower, r) != 0)
		return err_set(err, ERR_IO, "no thread for the registry");
	r->running = true;
	*ret = STEAL(r);
	return true;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	atomic_store(&r->stop, true);
	if (r->running) {
		pthread_mutex_lock(&r->lock);
		pthread_cond_signal(&r->wake);
		pthread_mutex_unlock(&r->lock);
		pthread_join(r->thread, NULL);
	}
	source_close(r->source);
	registry_view_unref(r->view);
	if (r->notify >= 0)
		close(r->notify);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct registry_view *registry_view_take(struct registry *r)
{
	struct registry_view *view;

	pthread_mutex_lock(&r->lock);
	view = registry_view_ref(r->view);
	pthread_mutex_unlock(&r->lock);
	return view;
}

int registry_notify_fd(struct registry *r)
{
	return r->notify;
}

void registry_status(struct registry *r, struct registry_status *ret)
{
	pthread_mutex_lock(&r->lock);
	*ret = r->status;
	pthread_mutex_unlock(&r->lock);
}
