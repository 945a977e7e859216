/* SPDX-License-Identifier: Apache-2.0
 * From a configuration to a running node. */
#include <signal.h>
#include <stdio.h>

#include "relay/base/mem.h"
#include "relay/config/config.h"
#include "relay/node/internal.h"

/* Families whose tables a service of the registry may have. */
static const char *const families[] = {"evm"};

static struct node *running; /* for the signal handler */

static bool services_of(const struct config_map *map, struct node_params *p, struct err *err)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct config_entry *entry = &map->entries[i];
		struct node_service_params *service = &p->services[i];

		if (i == NODE_SERVICES_MAX || entry->list.n > UPSTREAM_URLS_MAX)
			return err_set(err, ERR_CONFIG, "node.services: too many");
		if (!service_name_parse(entry->name, strlen(entry->name), &service->name))
			return err_set(err, ERR_CONFIG, "node.services: %s is not a service name",
				       entry->name);
		service->family = families[0];
		service->urls_n = entry->list.n;
		for (size_t k = 0; k < entry->list.n; k++)
			service->urls[k] = entry->list.items[k];
		p->services_n++;
	}
	return true;
}

static void link_params_of(const struct config *cfg, struct listener_params *listener)
{
	listener->unfinished_max = (uint32_t)cfg->link.handshakes_max;
	listener->unfinished_per_source_max = (uint32_t)cfg->link.handshakes_per_source_max;
	listener->begun_max = (uint32_t)cfg->link.handshake_rate_max;
	listener->begun_per_source_max = (uint32_t)cfg->link.handshake_rate_per_source_max;
	listener->links_max = (uint32_t)cfg->link.links_max;
	listener->links_per_key_max = (uint32_t)cfg->link.links_per_key_max;
	listener->link.handshake_timeout_us = cfg->link.handshake_timeout;
	listener->link.ping_interval_us = cfg->link.ping_interval;
	listener->link.idle_timeout_us = cfg->link.idle_timeout;
	listener->link.out_max = cfg->link.out_max;
}

static void ledger_params_of(const struct config *cfg, struct ledger_params *ledger)
{
	ledger->dir = cfg->ledger.dir;
	ledger->sync =
		cfg->ledger.sync == CONFIG_LEDGER_SYNC_FULL ? LEDGER_SYNC_FULL : LEDGER_SYNC_NORMAL;
	ledger->max_bytes = cfg->ledger.max_bytes;
	ledger->queue_max = cfg->ledger.queue_max;
	ledger->keep_days = (uint32_t)(cfg->ledger.keep / (86400 * INT64_C(1000000)));
	ledger->evidence_max_bytes = cfg->evidence.max_bytes;
	ledger->evidence_keep_ms = cfg->evidence.keep / 1000;
}

bool node_params_from_config(const struct config *cfg, struct node_params *p, struct err *err)
{
	node_params_default(p);
	p->registry = cfg->registry.source;
	p->registry_key = cfg->registry.key.is_set ? &cfg->registry.key.id : NULL;
	p->listen = cfg->node.listen.text;
	p->workers = cfg->node.workers;
	ledger_params_of(cfg, &p->ledger);
	link_params_of(cfg, &p->listener);
	p->upstream = (struct upstream_limits){
		.connect_timeout_us = cfg->upstream.connect_timeout,
		.idle_us = cfg->upstream.idle_timeout,
		.stall_us = cfg->upstream.stall_timeout,
		.connections_max = cfg->upstream.connections_max,
		.requests_max = cfg->upstream.requests_max,
		.queue_max = cfg->upstream.queue_max,
		.probe_interval_us = cfg->upstream.probe_interval,
		.probe_timeout_us = cfg->upstream.probe_timeout,
		.breaker = {.failures_max = (unsigned)cfg->upstream.failures_max,
			    .failure_percent = (unsigned)cfg->upstream.failure_percent,
			    .window_us = cfg->upstream.failure_window,
			    .open_us = cfg->upstream.open_min,
			    .open_max_us = cfg->upstream.open_max,
			    .later_max_us = cfg->upstream.retry_after_max,
			    .slow_us = cfg->upstream.slow_after,
			    .trials = (unsigned)cfg->upstream.trials},
		.body_max = cfg->node.response_max,
		.ca_file = cfg->upstream.ca_file,
	};
	p->verify = cfg->node.verify;
	p->max_unpaid_cu = cfg->node.max_unpaid_cu;
	p->in_flight_max = (uint32_t)cfg->node.in_flight_max;
	p->bytes_max = cfg->node.bytes_max;
	p->sessions_max = (uint32_t)cfg->node.sessions_max;
	p->heads_max = cfg->node.heads_max;
	p->lanes_max = cfg->node.lanes_max;
	p->refusals_signed_max = (uint32_t)cfg->node.refusals_signed_max;
	p->refusals_max = (uint32_t)cfg->node.refusals_max;
	p->frame_max = (uint32_t)cfg->link.frame_max;
	p->deadline_max_us = cfg->node.deadline_max;
	p->credit_timeout_us = cfg->node.credit_timeout;
	p->drain_us = cfg->node.drain;
	p->claims = cfg->claims.enabled;
	p->claims_batch_sessions = cfg->claims.batch_sessions;
	p->claims_warn_percent = (unsigned)cfg->claims.warn_percent;
	p->claims_send_after_us = cfg->claims.send_after;
	p->claims_pause_min_us = cfg->claims.pause_min;
	p->claims_pause_max_us = cfg->claims.pause_max;
	return services_of(&cfg->node.services, p, err);
}

static void on_signal(int number)
{
	node_stop(running);
}

bool node_run(struct node *node, struct err *err)
{
	struct sigaction act = {.sa_handler = on_signal}, old_term, old_int;
	bool ok;

	running = node;
	sigaction(SIGTERM, &act, &old_term);
	sigaction(SIGINT, &act, &old_int);
	ok = node_loop(node, err);
	sigaction(SIGTERM, &old_term, NULL);
	sigaction(SIGINT, &old_int, NULL);
	return ok;
}
