/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/node/worker.h"

#include <assert.h>
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

static void on_view(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;
	registry_view_unref(w->view);
	w->view = registry_view_take(w->node->registry);
}

/* What is missing so that relays could be served; ERR_NONE: nothing. */
static enum err_code worker_why_not(const struct worker *w)
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
		if (!upstream_pool_is_up(w->services[i].pool))
			return ERR_UPSTREAM;
	}
	return ERR_NONE;
}

static void worker_report(struct worker *w)
{
	cu_t unpaid = 0;
	struct node_link *nl;

	LIST_FOREACH (nl, &w->links, entry)
		unpaid += ledger_unpaid_with(w->node->ledger, &nl->gateway);
	metric_set(METRIC_NODE_UNPAID_CU, (int64_t)unpaid);
	metric_set(METRIC_NODE_IN_FLIGHT, (int64_t)w->in_flight);
	metric_set(METRIC_REGISTRY_HEIGHT, (int64_t)w->height);
	atomic_store(&w->node->why_not, (int)worker_why_not(w));
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
	worker_report(w);
}

/* --- stopping --- */

static bool is_settled(const struct worker *w)
{
	const struct node_link *nl;

	LIST_FOREACH (nl, &w->links, entry) {
		if (nl->link && nl->lane && nl->lane->heads_n > 0)
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

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tick = {0, DRAIN_TICK_US};
	struct worker *w = arg;
	struct node_link *nl;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;
	worker_tick(w);
	if (w->draining) { /* the second time */
		event_base_loopbreak(w->base);
		return;
	}
	w->draining = true;
	w->drain_begun_us = clock_mono_us();
	w->drain_until_us = w->drain_begun_us + w->node->p.drain_us;
	atomic_store(&w->node->why_not, (int)ERR_SHUTDOWN);
	listener_destroy(w->listener);
	w->listener = NULL;
	LIST_FOREACH (nl, &w->links, entry) {
		if (nl->link && link_is_up(nl->link))
			link_goaway(nl->link, ERR_SHUTDOWN, (uint32_t)(w->node->p.drain_us / 1000));
	}
	log_info("node.draining", "in_flight=%zu", w->in_flight);
	evtimer_add(&w->on_drain, &tick);
}

void worker_stop(struct worker *w)
{
	uint64_t one = 1;

	if (write(w->stop_fd, &one, sizeof(one)) < 0)
		return; /* it is full: the stop is already asked for */
}

bool worker_loop(struct worker *w, struct err *err)
{
	worker_tick(w);
	worker_report(w);
	if (event_base_dispatch(w->base) < 0)
		return err_set(err, ERR_INTERNAL, "the event loop cannot run");
	return true;
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
	w->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!w->base || w->stop_fd < 0)
		return err_set(err, ERR_INTERNAL, "no event loop");
	return true;
}

static bool worker_open_services(struct worker *w, const struct node_params *p, struct err *err)
{
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
					  &p->upstream, &service->pool, err))
			return false;
		w->services_n++;
	}
	return true;
}

static void worker_say_hello(struct worker *w, uint32_t index)
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
		.worker = index,
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
	watch(w, &w->on_view, registry_notify_fd(w->node->registry), EV_READ | EV_PERSIST, on_view,
	      NULL);
	watch(w, &w->on_stop, w->stop_fd, EV_READ | EV_PERSIST, on_stop, NULL);
	w->watching = true;
}

bool worker_create(struct node *node, uint32_t index, const struct node_params *p,
		   struct worker **ret, struct err *err)
{
	struct worker *w = xcalloc(1, sizeof(*w));

	w->node = node;
	w->stop_fd = -1;
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
	worker_say_hello(w, index);
	worker_watch(w);
	if (!listener_create(w->base, node->tls, &w->self, &p->listener, p->listen,
			     &node_link_callbacks, w, &w->listener, err)) {
		worker_destroy(w);
		return err_prefix(err, "listen");
	}
	*ret = w;
	return true;
}

static void worker_unwatch(struct worker *w)
{
	struct event *const events[] = {&w->on_turn,   &w->on_stall, &w->on_drain, &w->on_second,
					&w->on_commit, &w->on_view,  &w->on_stop};

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
	for (size_t i = 0; i < w->services_n; i++)
		upstream_pool_destroy(w->services[i].pool);
	upstream_destroy(w->upstream);
	worker_unwatch(w);
	if (w->port)
		ledger_port_destroy(w->port);
	ledger_reader_close(w->reader);
	registry_view_unref(w->view);
	if (w->stop_fd >= 0)
		close(w->stop_fd);
	if (w->base)
		event_base_free(w->base);
	free(w);
}
