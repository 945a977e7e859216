/* SPDX-License-Identifier: Apache-2.0
 * A worker: what is done at its times, its beginning and its end.  Who says that it is time is
 * loop.c. */
#include "relay/base/log.h"
#include "relay/gateway/internal.h"

#define LINGER_US 500000 /* of a stop, with connections that are idle */

/* --- what others may read --- */

static void count_members(const struct worker *w, unsigned *ret_members, unsigned *ret_ready)
{
	const struct session *s = w->main_account ? w->main_account->current : NULL;

	*ret_members = s ? (unsigned)s->count : 0;
	*ret_ready = 0;
	for (size_t i = 0; s && i < s->count; i++)
		*ret_ready += member_is_ready(&s->members[i]);
}

/* All suppliers of the session that can be asked rest, since they have failed. */
static bool all_rest(const struct session *s, usec_t now)
{
	bool any = false;

	for (size_t i = 0; i < s->count; i++) {
		const struct member *m = &s->members[i];
		const struct quality *q = &m->standing->q;

		if (m->dropped || !member_is_ready(m))
			continue;
		if (q->state != QUALITY_COOLING || q->cause == QUALITY_THROTTLED ||
		    q->until_us <= now)
			return false;
		any = true;
	}
	return any;
}

static void publish(struct worker *w)
{
	struct worker_state *state = &w->state;
	unsigned sessions = 0, members, ready;
	struct account *a, *tmp;
	struct err why = {0}, no_answer = {0};
	usec_t now = clock_mono_us();

	HASH_ITER (hh, w->accounts, a, tmp) {
		sessions += a->current != NULL;
		if (a->current && all_rest(a->current, now))
			err_set(&no_answer, ERR_NO_NODE,
				"service %s: all suppliers that can be asked rest after failures",
				a->key.service.s);
	}
	count_members(w, &members, &ready);
	atomic_store_explicit(&state->sessions, sessions, memory_order_relaxed);
	atomic_store_explicit(&state->links_up, (unsigned)pool_up_count(w->pool),
			      memory_order_relaxed);
	atomic_store_explicit(&state->members, members, memory_order_relaxed);
	atomic_store_explicit(&state->members_ready, ready, memory_order_relaxed);
	atomic_store_explicit(&state->in_flight, w->in_flight, memory_order_relaxed);
	atomic_store_explicit(&state->height, w->height, memory_order_relaxed);
	if (w->main_account && w->main_account->failed)
		why = w->main_account->why;
	pthread_mutex_lock(&state->lock);
	state->last_error = why;
	state->no_answer = no_answer;
	pthread_mutex_unlock(&state->lock);
}

/* --- timers --- */

/* A new view or a new height: sessions may begin, end, or be derived ahead. */
static void look_at_registry(struct worker *w)
{
	struct registry_view *view = registry_view_take(w->gateway->registry);
	bool news = view_serial(view) != view_serial(w->view);
	height_t height;

	if (news) {
		registry_view_unref(w->view);
		w->view = view;
		record_view(w);
	} else {
		registry_view_unref(view);
	}
	height = view_height(w->view, clock_wall_ms());
	if (!news && height == w->height)
		return;
	w->height = w->self.height = height;
	sessions_refresh(w);
	publish(w);
}

static void cosign_all(struct worker *w)
{
	worker_on_cosign(w);
	ledger_drain(w->gateway->ledger);
	ledger_port_reap(w->port);
}

static void say_last_words(struct worker *w)
{
	struct peer *peer, *tmp;

	cosign_all(w);
	cosign_all(w); /* what had not committed before */
	HASH_ITER (hh, w->peers, peer, tmp) {
		link_goaway(peer->link, ERR_SHUTDOWN, 0);
		link_flush(peer->link);
	}
}

/* Nothing is on its way, and clients had time to hear that their connection ends: one that is
 * silent may be about to send its next call. */
static bool is_done(const struct worker *w, usec_t now)
{
	return w->in_flight == 0 &&
	       (now >= w->stop_begun_us + LINGER_US || gateway_connections(w->gateway) == 0);
}

void worker_on_tick(struct worker *w)
{
	usec_t now = clock_mono_us();

	record_tick(w);
	look_at_registry(w);
	if (w->prepare)
		sessions_prepare(w);
	owed_look(w);
	if (w->wanted_changed)
		wanted_tell(w);
	peers_resume(w);
	watch_look(w->watch, now);
	asks_look(w, now);
	flows_look(w, now);
	wholes_look(w, now);
	if (w->id == 0)
		filters_expire(w->gateway->filters, now);
	relays_expire(w, now);
	if (!TAILQ_EMPTY(&w->waiting))
		asks_kick(w);
	publish(w);
	if (w == w->gateway->workers[0])
		reuse_publish(w->gateway->reuse);
	report_fill(w);
	if (w->stop_at_us && (now >= w->stop_at_us || is_done(w, now))) {
		say_last_words(w);
		loop_end(w);
	}
}

void worker_on_alarm(struct worker *w)
{
	const struct heap_node *first;

	record_alarm(w);
	w->alarm_at_us = 0;
	asks_look(w, clock_mono_us());
	first = heap_first(&w->wakes);
	if (first)
		worker_wake_at(w, first->at_us);
}

void worker_wake_at(struct worker *w, usec_t at_us)
{
	if (w->alarm_at_us && w->alarm_at_us <= at_us)
		return;
	w->alarm_at_us = at_us;
	loop_wake_at(w, at_us);
}

void worker_on_cosign(struct worker *w)
{
	struct peer *peer, *tmp;

	HASH_ITER (hh, w->peers, peer, tmp) {
		if (peer->lane)
			lane_cosign(peer->lane);
	}
}

void worker_on_ledger(struct worker *w)
{
	ledger_port_reap(w->port);
	peers_resume(w);
}

void worker_on_stop(struct worker *w)
{
	if (w->stop_at_us) { /* the second time */
		w->stop_at_us = clock_mono_us();
		return;
	}
	record_end(w);
	http_stop(w);
	w->stop_begun_us = clock_mono_us();
	w->stop_at_us = w->stop_begun_us + MAX(w->cfg->gateway.drain, 1);
}

/* --- life --- */

static void fill_self(struct worker *w)
{
	struct gateway *g = w->gateway;

	w->self = (struct link_self){
		.key = g->key,
		.id = g->id,
		.role = FRAME_ROLE_GATEWAY,
		.network = *view_network(w->view),
		.height = w->height,
		.frame_max = (uint32_t)w->cfg->link.frame_max,
		.in_flight_max = 0, /* a gateway is sent no relays */
		.worker = w->id,
	};
}

static struct pool *make_pool(struct worker *w)
{
	const struct config *cfg = w->cfg;
	struct pool_params params;

	pool_params_default(&params);
	params.backoff_min_us = cfg->link.backoff_min;
	params.backoff_max_us = cfg->link.backoff_max;
	params.grace_us = cfg->link.grace;
	params.link.handshake_timeout_us = cfg->link.handshake_timeout;
	params.link.ping_interval_us = cfg->link.ping_interval;
	params.link.idle_timeout_us = cfg->link.idle_timeout;
	params.link.out_max = cfg->link.out_max;
	return pool_create(w->base, w->gateway->tls, &w->self, &params, &peer_callbacks, w);
}

bool gateway_worker_create(struct gateway *g, uint32_t id, struct worker **ret, struct err *err)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	const struct config *cfg = g->cfg;

	w->gateway = g;
	w->cfg = cfg;
	w->id = id;
	TAILQ_INIT(&w->requests);
	TAILQ_INIT(&w->flowing);
	TAILQ_INIT(&w->waiting);
	TAILQ_INIT(&w->orphans);
	pthread_mutex_init(&w->state.lock, NULL);
	report_init(&w->report);
	w->attempt_us = MAX(cfg->gateway.deadline / (usec_t)cfg->gateway.attempts, TICK_US);
	answer_prepare(w);
	w->quick = xcalloc(1, sizeof(struct request) + sizeof(struct call));
	w->watch = watch_create(w);
	w->view = registry_view_take(g->registry);
	if (!loop_open(w, err)) {
		gateway_worker_destroy(w);
		return false;
	}
	w->height = view_height(w->view, clock_wall_ms());
	record_begin(w);
	fill_self(w);
	w->port = ledger_port_create(g->ledger);
	w->pool = make_pool(w);
	if (!ledger_reader_open(cfg->ledger.dir, &w->reader, err) || !http_open(w, err)) {
		gateway_worker_destroy(w);
		return false;
	}
	w->main_account = account_get(w, &cfg->gateway.application.id, &g->service, err);
	for (unsigned k = 0; k < CHAIN_ERROR_COUNT; k++)
		w->class_labels[k] = metrics_label(METRIC_LABEL_CLASS, chain_error_info(k)->name);
	loop_begin(w);
	sessions_refresh(w);
	owed_look(w);
	wanted_tell(w);
	publish(w);
	*ret = w;
	return true;
}

static void free_relays(struct worker *w)
{
	struct relay *r;

	while ((r = w->free_relays)) {
		w->free_relays = r->next_free;
		buf_finish(&r->body);
		free(r);
	}
}

void gateway_worker_destroy(struct worker *w)
{
	if (!w)
		return;
	clock_tick();
	http_finish(w);
	watch_destroy(w->watch);
	peers_finish(w);
	if (w->port) {
		ledger_drain(w->gateway->ledger);
		ledger_port_reap(w->port);
	}
	sessions_finish(w);
	servings_finish(&w->servings);
	verify_finish(w);
	pool_destroy(w->pool);
	if (w->port)
		ledger_port_destroy(w->port);
	ledger_reader_close(w->reader);
	free_relays(w);
	asks_finish(w);
	buf_finish(&w->fixed_headers);
	free(w->quick);
	buf_finish(&w->head);
	buf_finish(&w->text);
	loop_close(w);
	registry_view_unref(w->view);
	pthread_mutex_destroy(&w->state.lock);
	report_finish(&w->report);
	free(w);
}
