/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/node/node.h"

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/node/worker.h"

void node_params_default(struct node_params *ret)
{
	*ret = (struct node_params){
		.workers = 1,
		.ledger = {.sync = LEDGER_SYNC_NORMAL,
			   .max_bytes = UINT64_C(10) << 30,
			   .evidence_max_bytes = 256 << 20,
			   .evidence_keep_ms = 7 * 86400000LL,
			   .keep_days = 30},
		.upstream = UPSTREAM_LIMITS_DEFAULT,
		.credit_timeout_us = 60000000,
		.verify = true,
		.max_unpaid_cu = 1000000,
		.in_flight_max = 1024,
		.bytes_max = 512 << 20,
		.sessions_max = 4096,
		.heads_max = 65536,
		.lanes_max = 4,
		.refusals_signed_max = 512,
		.refusals_max = 8192,
		.frame_max = 20 << 20,
		.lane_leaves = LEAF_SEQ_END,
		.deadline_max_us = 60000000,
		.drain_us = 10000000,
	};
	ret->upstream.body_max = 1 << 30; /* longer ones than 64 KiB are never held whole */
	listener_params_default(&ret->listener);
}

/* How far back served CU counts: a session that has just ended, with its grace. */
static msec_t recent_ms(const struct registry_view *view)
{
	const struct session_params *p = view_params(view, 0);
	uint64_t blocks = 2 * p->session_blocks + p->grace_blocks + 2;

	return (msec_t)(blocks * view_clock(view)->block_ms);
}

static bool open_workers(struct node *node, const struct node_params *p, struct err *err)
{
	assert(p->workers >= 1 && p->workers <= NODE_WORKERS_MAX);
	for (size_t i = 0; i < p->workers; i++) {
		if (!worker_create(node, (uint32_t)i, p, &node->workers[i], err))
			return false;
		node->workers_n = i + 1;
	}
	return true;
}

static bool open_claimer(struct node *node, const struct node_params *p, struct err *err)
{
	const struct claimer_params params = {
		.key = node->key,
		.ledger = node->ledger,
		.registry = node->registry,
		.ledger_dir = p->ledger.dir,
		.source = p->registry,
		.registry_key = p->registry_key,
		.batch_sessions = p->claims_batch_sessions,
		.warn_percent = p->claims_warn_percent,
		.send_after_us = p->claims_send_after_us,
		.pause_min_us = p->claims_pause_min_us,
		.pause_max_us = MAX(p->claims_pause_max_us, p->claims_pause_min_us),
	};

	return !p->claims || claimer_create(&params, &node->claimer, err);
}

static bool node_open(struct node *node, const struct node_params *p, struct err *err)
{
	struct ledger_params ledger = p->ledger;
	struct registry_view *view;

	node->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (node->wake_fd < 0)
		return err_set(err, ERR_IO, "eventfd: %s", strerror(errno));
	if (relay_key_role(p->key) != KEY_ROLE_SUPPLIER)
		return err_set(err, ERR_KEY, "the key of a node has the role supplier");
	node->key = p->key;
	if (!tls_create(&node->tls, err))
		return false;
	node->id = *relay_key_public(node->key);
	if (!registry_open(p->registry, p->registry_key, &node->registry, err))
		return err_prefix(err, "registry");
	view = registry_view_take(node->registry);
	ledger.recent_ms = recent_ms(view);
	registry_view_unref(view);
	ledger.role = LEDGER_SUPPLIER;
	ledger.self = node->id;
	ledger.claims = p->claims;
	if (!ledger_open(&ledger, &node->ledger, err))
		return err_prefix(err, "ledger");
	return open_claimer(node, p, err) && open_workers(node, p, err);
}

bool node_create(const struct node_params *p, struct node **ret, struct err *err)
{
	struct node *node = xcalloc(1, sizeof(*node));
	char hex[65];

	crypto_init();
	node->p = *p;
	if (!node_open(node, p, err)) {
		node_destroy(node);
		return false;
	}
	log_info("node.listening", "key=%s address=%s port=%u workers=%zu",
		 hex_encode(node->id.b, 32, hex), p->listen, node_port(node), node->workers_n);
	*ret = node;
	return true;
}

void node_destroy(struct node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->workers_n; i++)
		worker_destroy(node->workers[i]);
	claimer_destroy(node->claimer);
	ledger_close(node->ledger);
	registry_close(node->registry);
	tls_destroy(node->tls);
	if (node->wake_fd >= 0)
		close(node->wake_fd);
	free(node);
}

/* --- the threads --- */

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct node *node = w->node;
	const uint64_t one = 1;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL); /* they are for the thread of node_loop() */
	worker_loop(w);
	atomic_fetch_sub(&node->running, 1);
	if (write(node->wake_fd, &one, sizeof(one)) != sizeof(one))
		log_error("node.eventfd", "error=\"%s\"", strerror(errno));
	return NULL;
}

/* Starts all; those that could be started stop again when one cannot. */
static size_t start_workers(struct node *node, struct err *err)
{
	for (size_t i = 0; i < node->workers_n; i++) {
		struct worker *w = node->workers[i];
		int failed;

		atomic_fetch_add(&node->running, 1);
		failed = pthread_create(&w->thread, NULL, worker_main, w);
		if (failed == 0)
			continue;
		atomic_fetch_sub(&node->running, 1);
		atomic_fetch_add(&node->stops, 2);
		err_set(err, ERR_INTERNAL, "worker %zu: %s", i, strerror(failed));
		return i;
	}
	return node->workers_n;
}

static void wake_workers(const struct node *node)
{
	for (size_t i = 0; i < node->workers_n; i++)
		worker_wake(node->workers[i]);
}

static void take_count(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		errno = 0; /* nobody had written */
}

bool node_loop(struct node *node, struct err *err)
{
	struct pollfd fds[] = {{.fd = node->wake_fd, .events = POLLIN},
			       {.fd = registry_notify_fd(node->registry), .events = POLLIN}};
	size_t started = start_workers(node, err);
	bool claims = !node->claimer || claimer_start(node->claimer, err);

	if (!claims)
		atomic_fetch_add(&node->stops, 2);
	wake_workers(node);
	while (atomic_load(&node->running) > 0) {
		if (poll(fds, ARRAY_SIZE(fds), -1) <= 0)
			continue; /* a signal, whose handler has written */
		for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
			if (fds[i].revents)
				take_count(fds[i].fd);
		wake_workers(node);
	}
	for (size_t i = 0; i < started; i++)
		pthread_join(node->workers[i]->thread, NULL);
	if (node->claimer)
		claimer_stop(node->claimer);
	return claims && started == node->workers_n;
}

void node_stop(struct node *node)
{
	const uint64_t one = 1;

	atomic_fetch_add(&node->stops, 1);
	if (write(node->wake_fd, &one, sizeof(one)) < 0)
		return; /* it is full: it will be read anyway */
}

/* --- how it fares --- */

bool node_is_ready(const struct node *node, struct err *ret_why)
{
	enum err_code why = atomic_load(&node->stops) > 0 ? ERR_SHUTDOWN : ERR_NONE;

	const struct worker *w = NULL;

	for (size_t i = 0; i < node->workers_n && why == ERR_NONE; i++) {
		w = node->workers[i];
		why = (enum err_code)atomic_load(&w->state.why_not);
	}
	if (why == ERR_NO_BACKEND)
		return err_set(ret_why, why, "service %s: all of its backends rest or are barred",
			       w->services[atomic_load(&w->state.down)].name.s);
	return why == ERR_NONE || err_set(ret_why, why, "%s", err_info(why)->text);
}

void node_notes(const struct node *node, struct buf *out)
{
	if (node->claimer)
		claimer_notes(node->claimer, out);
}

void node_status(const struct node *node, struct node_status *ret)
{
	*ret = (struct node_status){.unpaid = ledger_unpaid(node->ledger)};
	for (size_t i = 0; i < node->workers_n; i++)
		ret->in_flight += atomic_load_explicit(&node->workers[i]->state.in_flight,
						       memory_order_relaxed);
}

uint16_t node_port(const struct node *node)
{
	return worker_port(node->workers[0]);
}

const struct key_id *node_id(const struct node *node)
{
	return &node->id;
}

struct ledger *node_ledger(const struct node *node)
{
	return node->ledger;
}

struct registry *node_registry(const struct node *node)
{
	return node->registry;
}
