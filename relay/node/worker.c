/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/node/worker.h"

#include <assert.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "session/session.h"

#define DRAIN_TICK_US 20000
#define COSIGN_WAIT_US                                                                             \
	1500000 /* of the drain, for the last cosignatures; they come every second                 \
		 */

/* --- what the worker watches --- */

static void on_commit(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	worker_tick(w);
	ledger_port_reap(w->port);
}

/* What is missing so that relays could be served; ERR_NONE: nothing. */
static enum err_code worker_why_not(struct worker *w)
{
	height_t start = view_start(w->view, w->height);
	const struct session_params *p = view_params(w->view, start);

	if (w->draining)
		return ERR_SHUTDOWN;
	if (!session_exists(p, start) || session_seed_height(p, start) > view_last_seed(w->view))
		return ERR_REGISTRY_STALE;
	if (ledger_is_full(w->node->ledger))
		return ERR_LEDGER_FULL;
	for (size_t i = 0; i < w->services_n; i++) {
		if (upstream_pool_is_up(w->services[i].pool))
			continue;
		atomic_store(&w->state.down, i);
		return ERR_NO_BACKEND;
	}
	return ERR_NONE;
}

static void publish_why_not(struct worker *w)
{
	atomic_store(&w->state.why_not, (int)worker_why_not(w));
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct node_link *nl;

	worker_tick(w);
	LIST_FOREACH (nl, &w->links, entry) {
		if (!nl->link)
			continue;
		nl->cosignatures = ledger_cosignatures(w->node->ledger, &nl->gateway);
		node_link_expire(nl);
	}
	publish_why_not(w);
}

void worker_publish(struct worker *w)
{
	const struct node *node = w->node;
	size_t others = 0;

	atomic_store_explicit(&w->state.in_flight, w->in_flight, memory_order_relaxed);
	atomic_store_explicit(&w->state.bytes, w->bytes, memory_order_relaxed);
	for (size_t i = 0; i < node->workers_n; i++) {
		if (i != w->index)
			others += atomic_load_explicit(&node->workers[i]->state.bytes,
						       memory_order_relaxed);
	}
	w->bytes_others = others;
}

/* --- stopping --- */

/* Has the gateway heard GOAWAY, so that no relay is under way to us, and cosigned all heads? */
static bool link_is_settled(const struct node_link *nl)
{
	const struct node_lane *lane;

	if (!link_is_up(nl->link))
		return true;
	LIST_FOREACH (lane, &nl->retired, entry) {
		if (lane->heads_n > 0)
			return false;
	}
	return link_goaway_is_heard(nl->link) && (!nl->lane || nl->lane->heads_n == 0);
}

static bool is_settled(const struct worker *w)
{
	const struct node_link *nl;

	LIST_FOREACH (nl, &w->links, entry) {
		if (nl->link && !link_is_settled(nl))
			return false;
	}
	return true;
}

static void on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	const struct node_link *nl;
	bool busy = w->in_flight > 0;
	usec_t now;

	worker_tick(w);
	now = clock_mono_us();
	LIST_FOREACH (nl, &w->links, entry)
		busy |= nl->commits > 0;
	if (now < w->drain_until_us &&
	    (busy || (!is_settled(w) && now < w->drain_begun_us + COSIGN_WAIT_US)))
		return;
	event_base_loopbreak(w->base);
}

static void drain_begin(struct worker *w)
{
	struct timeval tick = {0, DRAIN_TICK_US};
	struct node_link *nl;

	w->draining = true;
	w->drain_begun_us = clock_mono_us();
	w->drain_until_us = w->drain_begun_us + w->node->p.drain_us;
	atomic_store(&w->state.why_not, (int)ERR_SHUTDOWN);
	listener_destroy(w->listener);
	w->listener = NULL;
	LIST_FOREACH (nl, &w->links, entry) {
		if (nl->link && link_is_up(nl->link))
			link_goaway(nl->link, ERR_SHUTDOWN, (uint32_t)(w->node->p.drain_us / 1000));
	}
	log_info("node.draining", "worker=%u in_flight=%zu", w->index, w->in_flight);
	evtimer_add(&w->on_drain, &tick);
}

static void heed_stops(struct worker *w)
{
	unsigned stops = atomic_load(&w->node->stops);

	if (stops == w->stops)
		return;
	w->stops = stops;
	if (stops > 1)
		event_base_loopbreak(w->base);
	else
		drain_begin(w);
}

/* --- the loop --- */

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;
	worker_tick(w);
	registry_view_unref(w->view);
	w->view = registry_view_take(w->node->registry);
	heed_stops(w);
}

void worker_wake(const struct worker *w)
{
	const uint64_t one = 1;

	if (write(w->wake_fd, &one, sizeof(one)) < 0)
		errno = 0; /* it is full: the worker will wake anyway */
}

uint16_t worker_port(const struct worker *w)
{
	return w->listen_port;
}

void worker_loop(struct worker *w)
{
	worker_tick(w);
	publish_why_not(w);
	if (event_base_dispatch(w->base) < 0)
		log_error("node.loop_failed", "worker=%u", w->index);
}

/* --- making and unmaking --- */

static void watch(struct worker *w, struct event *event, int fd, short what,
		  event_callback_fn callback, const struct timeval *every)
{
	event_assign(event, w->base, fd, what, callback, w);
	if (what != 0)
		event_add(event, every);
}

static bool worker_open_base(struct worker *w, struct err *err)
{
	struct event_config *config = event_config_new();

	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	w->base = event_base_new_with_config(config);
	event_config_free(config);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!w->base || w->wake_fd < 0)
		return err_set(err, ERR_INTERNAL, "no event loop");
	return true;
}

static bool worker_open_services(struct worker *w, const struct node_params *p, struct err *err)
{
	struct upstream_limits limits = p->upstream;

	limits.connections_max = MAX(limits.connections_max / p->workers, (size_t)1);
	limits.requests_max = MAX(limits.requests_max / p->workers, (size_t)1);
	limits.queue_max /= p->workers;
	if (!upstream_create(w->base, &w->upstream, err))
		return false;
	for (size_t i = 0; i < p->services_n; i++) {
		const struct node_service_params *from = &p->services[i];
		struct node_service *service = &w->services[i];

		service->name = from->name;
		service->chain = chain_find(from->family);
		service->label = metrics_label(METRIC_LABEL_SERVICE, from->name.s);
		if (!service->chain)
			return err_set(err, ERR_CONFIG, "service %s: no family %s", from->name.s,
				       from->family);
		if (!upstream_pool_create(w->upstream, from->name.s, from->urls, from->urls_n,
					  &limits, &service->pool, err))
			return false;
		upstream_pool_watch(service->pool, service->chain);
		if (p->verify)
			service->verifier = chain_verifier_create(service->chain);
		w->services_n++;
	}
	return true;
}

static void worker_say_hello(struct worker *w)
{
	const struct node *node = w->node;

	w->self = (struct link_self){
		.key = node->key,
		.id = node->id,
		.role = FRAME_ROLE_SUPPLIER,
		.network = *view_network(w->view),
		.frame_max = node->p.frame_max,
		.in_flight_max = node->p.in_flight_max,
		.max_unpaid_cu = node->p.max_unpaid_cu,
		.worker = w->index,
	};
}

static void worker_watch(struct worker *w)
{
	static const struct timeval second = {1, 0};

	watch(w, &w->on_turn, -1, 0, worker_on_turn, NULL);
	watch(w, &w->on_stall, -1, 0, worker_on_stall, NULL);
	event_assign(&w->on_drain, w->base, -1, EV_PERSIST, on_drain, w);
	watch(w, &w->on_second, -1, EV_PERSIST, on_second, &second);
	watch(w, &w->on_commit, ledger_port_fd(w->port), EV_READ | EV_PERSIST, on_commit, NULL);
	watch(w, &w->on_wake, w->wake_fd, EV_READ | EV_PERSIST, on_wake, NULL);
	w->watching = true;
}

/* The first worker says where; the others join it there. */
static bool worker_listen(struct worker *w, const struct node_params *p, struct err *err)
{
	struct node *node = w->node;
	bool ok;

	if (w->index == 0)
		ok = listener_create(w->base, node->tls, &w->self, &p->listener, p->listen,
				     &node_link_callbacks, w, &w->listener, err);
	else
		ok = listener_join(node->workers[0]->listener, w->base, &w->self, w, &w->listener,
				   err);
	if (!ok)
		return err_prefix(err, "listen");
	w->listen_port = listener_port(w->listener);
	return true;
}

bool worker_create(struct node *node, uint32_t index, const struct node_params *p,
		   struct worker **ret, struct err *err)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	char number[12];

	w->node = node;
	w->index = index;
	w->wake_fd = -1;
	snprintf(number, sizeof(number), "%u", index);
	w->label = metrics_label(METRIC_LABEL_WORKER, number);
	atomic_init(&w->state.why_not, (int)ERR_SHUTDOWN);
	LIST_INIT(&w->links);
	TAILQ_INIT(&w->dirty);
	TAILQ_INIT(&w->spare);
	if (!worker_open_base(w, err) || !worker_open_services(w, p, err) ||
	    !ledger_reader_open(p->ledger.dir, &w->reader, err)) {
		worker_destroy(w);
		return false;
	}
	w->view = registry_view_take(node->registry);
	w->port = ledger_port_create(node->ledger);
	worker_say_hello(w);
	worker_watch(w);
	if (!worker_listen(w, p, err)) {
		worker_destroy(w);
		return false;
	}
	*ret = w;
	return true;
}

static void worker_unwatch(struct worker *w)
{
	struct event *const events[] = {&w->on_turn,   &w->on_stall,  &w->on_drain,
					&w->on_second, &w->on_commit, &w->on_wake};

	for (size_t i = 0; w->watching && i < ARRAY_SIZE(events); i++)
		event_del(events[i]);
}

/* Closes the links; what is with the ledger is waited for. */
static void worker_close_links(struct worker *w)
{
	struct node_link *nl, *next;

	for (nl = LIST_FIRST(&w->links); nl; nl = next) {
		next = LIST_NEXT(nl, entry);
		if (nl->link)
			node_link_end(nl);
	}
	ledger_drain(w->node->ledger);
	ledger_port_reap(w->port);
	assert(LIST_EMPTY(&w->links));
}

void worker_destroy(struct worker *w)
{
	struct relay *relay;

	if (!w)
		return;
	listener_destroy(w->listener);
	if (w->port)
		worker_close_links(w);
	while ((relay = TAILQ_FIRST(&w->spare))) {
		TAILQ_REMOVE(&w->spare, relay, entry);
		buf_finish(&relay->request);
		buf_finish(&relay->response);
		free(relay);
	}
	for (size_t i = 0; i < w->services_n; i++) {
		upstream_pool_destroy(w->services[i].pool);
		chain_verifier_destroy(w->services[i].verifier);
	}
	upstream_destroy(w->upstream);
	worker_unwatch(w);
	if (w->port)
		ledger_port_destroy(w->port);
	ledger_reader_close(w->reader);
	registry_view_unref(w->view);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	if (w->base)
		event_base_free(w->base);
	free(w);
}
