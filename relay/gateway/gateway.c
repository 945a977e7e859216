/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "relay/base/log.h"
#include "relay/base/rng.h"
#include "relay/gateway/internal.h"

/* --- opening --- */

/* How far back the ledger must know what was served: two sessions and their grace. */
static msec_t recent_ms(struct registry *registry)
{
	CLEANUP(registry_view_unref) struct registry_view *view = registry_view_take(registry);
	const struct session_params *p = view_params(view, 0);
	uint64_t blocks = 2 * p->session_blocks + p->grace_blocks;

	return (msec_t)(blocks * view_clock(view)->block_ms);
}

static bool open_ledger(struct gateway *g, struct err *err)
{
	const struct config *cfg = g->cfg;
	struct ledger_params params = {
		.dir = cfg->ledger.dir,
		.role = LEDGER_GATEWAY,
		.self = *relay_key_public(g->key),
		.sync = cfg->ledger.sync == CONFIG_LEDGER_SYNC_FULL ? LEDGER_SYNC_FULL
								    : LEDGER_SYNC_NORMAL,
		.max_bytes = cfg->ledger.max_bytes,
		.queue_max = cfg->ledger.queue_max,
		.evidence_max_bytes = cfg->evidence.max_bytes,
		.evidence_keep_ms = cfg->evidence.keep / 1000,
		.keep_days = (uint32_t)(cfg->ledger.keep / 86400000000),
		.recent_ms = recent_ms(g->registry),
	};

	return ledger_open(&params, &g->ledger, err) || err_prefix(err, "ledger");
}

static bool open_registry(struct gateway *g, struct err *err)
{
	const struct config *cfg = g->cfg;
	const struct key_id *pinned = cfg->registry.key.is_set ? &cfg->registry.key.id : NULL;

	return registry_open(cfg->registry.source, pinned, &g->registry, err) ||
	       err_prefix(err, "registry %s", cfg->registry.source);
}

static bool open_record(struct gateway *g, struct err *err)
{
	const struct config *cfg = g->cfg;

	if (!cfg->gateway.record)
		return true;
	if (!record_file_create(cfg->gateway.record, cfg->gateway.record_bytes, &g->record_file,
				err))
		return err_prefix(err, "gateway.record");
	g->record = record_create(record_file_put, g->record_file);
	log_warn("gateway.recording", "path=\"%s\"", cfg->gateway.record);
	return true;
}

static bool open_workers(struct gateway *g, struct err *err)
{
	for (size_t i = 0; i < g->cfg->gateway.workers; i++) {
		if (!gateway_worker_create(g, (uint32_t)i, &g->workers[i], err))
			return false;
		g->worker_count = i + 1;
	}
	return true;
}

bool gateway_create(const struct config *cfg, const struct relay_key *key, struct gateway **ret,
		    struct err *err)
{
	CLEANUP(gateway_destroy) struct gateway *g = xcalloc(1, sizeof(*g));

	clock_tick();
	crypto_init();
	g->cfg = cfg;
	g->key = key;
	g->id = *relay_key_public(key);
	rng_bytes(g->seed.b, sizeof(g->seed.b));
	g->house = http_house(cfg);
	g->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (g->stop_fd < 0)
		return err_set(err, ERR_IO, "eventfd: %s", strerror(errno));
	if (!shared_open(g, err) || !tokens_load(cfg->gateway.tokens, &g->tokens, err) ||
	    !open_registry(g, err) || !open_ledger(g, err) || !tls_create(&g->tls, err) ||
	    !open_record(g, err) || !open_workers(g, err))
		return false;
	*ret = STEAL(g);
	return true;
}

void gateway_destroy(struct gateway *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->worker_count; i++)
		gateway_worker_destroy(g->workers[i]);
	shared_close(g);
	house_destroy(g->house);
	tls_destroy(g->tls);
	ledger_close(g->ledger);
	registry_close(g->registry);
	tokens_destroy(g->tokens);
	if (g->stop_fd >= 0)
		close(g->stop_fd);
	record_destroy(g->record);
	record_file_close(g->record_file);
	free(g);
}

/* --- running --- */

void gateway_stop(struct gateway *g)
{
	uint64_t one = 1;

	if (write(g->stop_fd, &one, sizeof(one)) != sizeof(one))
		return; /* it is full of stops already */
}

static void stop_workers(struct gateway *g)
{
	uint64_t one = 1;

	atomic_fetch_add(&g->stops, 1);
	for (size_t i = 0; i < g->worker_count; i++) {
		if (write(g->workers[i]->stop_fd, &one, sizeof(one)) != sizeof(one))
			continue;
	}
}

static void on_stop_fd(evutil_socket_t fd, short what, void *arg)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return;
	log_info("gateway.stopping", "again=%d", atomic_load(&((struct gateway *)arg)->stops) > 0);
	stop_workers(arg);
}

/* Ends the control loop when the last worker is gone. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct gateway *g = arg;

	for (size_t i = 0; i < g->worker_count; i++) {
		struct worker *w = g->workers[i];

		if (w->started && pthread_tryjoin_np(w->thread, NULL) != 0)
			return;
		w->started = false;
	}
	event_base_loopbreak(g->base);
}

static bool start_workers(struct gateway *g, struct err *err)
{
	for (size_t i = 0; i < g->worker_count; i++) {
		struct worker *w = g->workers[i];
		int failed = pthread_create(&w->thread, NULL, gateway_worker_main, w);

		if (failed != 0) {
			stop_workers(g);
			stop_workers(g);
			return err_set(err, ERR_IO, "worker %zu: %s", i, strerror(failed));
		}
		w->started = true;
	}
	return true;
}

bool gateway_loop(struct gateway *g, struct err *err)
{
	struct timeval look = {0, 20000};
	struct event *stop, *looking;
	bool ok;

	signal(SIGPIPE, SIG_IGN);
	g->base = event_base_new();
	if (!g->base)
		return err_set(err, ERR_IO, "no event loop");
	stop = event_new(g->base, g->stop_fd, EV_READ | EV_PERSIST, on_stop_fd, g);
	looking = event_new(g->base, -1, EV_PERSIST, on_look, g);
	event_add(stop, NULL);
	event_add(looking, &look);
	ok = start_workers(g, err);
	log_info("gateway.serving", "listen=%s port=%u workers=%zu", g->cfg->gateway.listen.text,
		 g->port, g->worker_count);
	event_base_dispatch(g->base);
	event_free(stop);
	event_free(looking);
	event_base_free(g->base);
	g->base = NULL;
	return ok;
}

/* --- how it fares --- */

uint16_t gateway_port(const struct gateway *g)
{
	return g->port;
}

size_t gateway_connections(const struct gateway *g)
{
	return house_connections(g->house);
}

void gateway_status(const struct gateway *g, struct gateway_status *ret)
{
	struct gateway_status s = {0};

	for (size_t i = 0; i < g->worker_count; i++) {
		struct worker_state *state = &g->workers[i]->state;

		s.sessions += atomic_load_explicit(&state->sessions, memory_order_relaxed);
		s.suppliers += atomic_load_explicit(&state->suppliers, memory_order_relaxed);
		s.links_up += atomic_load_explicit(&state->links_up, memory_order_relaxed);
		s.members += atomic_load_explicit(&state->members, memory_order_relaxed);
		s.members_ready +=
			atomic_load_explicit(&state->members_ready, memory_order_relaxed);
		s.in_flight += atomic_load_explicit(&state->in_flight, memory_order_relaxed);
		s.height = atomic_load_explicit(&state->height, memory_order_relaxed);
		pthread_mutex_lock(&state->lock);
		if (state->last_error.code != ERR_NONE)
			s.last_error = state->last_error;
		if (state->no_answer.code != ERR_NONE)
			s.no_answer = state->no_answer;
		pthread_mutex_unlock(&state->lock);
	}
	s.ledger_full = ledger_is_full(g->ledger);
	s.draining = atomic_load(&g->stops) > 0;
	*ret = s;
}

struct ledger *gateway_ledger(const struct gateway *g)
{
	return g->ledger;
}

const struct key_id *gateway_id(const struct gateway *g)
{
	return &g->id;
}

struct registry *gateway_registry(const struct gateway *g)
{
	return g->registry;
}

bool gateway_is_ready(const struct gateway *g, struct err *ret_why)
{
	struct gateway_status s;

	gateway_status(g, &s);
	if (s.draining)
		return err_set(ret_why, ERR_SHUTDOWN, "draining");
	if (s.ledger_full)
		return err_set(ret_why, ERR_LEDGER_FULL, "%s", err_info(ERR_LEDGER_FULL)->text);
	if (s.last_error.code != ERR_NONE) {
		*ret_why = s.last_error;
		return false;
	}
	for (size_t i = 0; i < g->worker_count; i++) {
		if (atomic_load_explicit(&g->workers[i]->state.members_ready,
					 memory_order_relaxed) == 0)
			return err_set(ret_why, ERR_NO_NODE, "no node can be asked: %u of %u links",
				       s.links_up, s.suppliers);
	}
	if (s.no_answer.code != ERR_NONE) {
		*ret_why = s.no_answer;
		return false;
	}
	return true;
}
