/* SPDX-License-Identifier: Apache-2.0
 * What the workers of a gateway share, apart from the registry and the ledger. */
#include <string.h>

#include "relay/gateway/internal.h"

static bool open_services(struct gateway *g, struct err *err)
{
	const struct config *cfg = g->cfg;
	bool found = false;

	if (!cfg->gateway.service ||
	    !service_name_parse(cfg->gateway.service, strlen(cfg->gateway.service), &g->service))
		return err_set(err, ERR_CONFIG, "gateway.service is not a service name");
	for (size_t i = 0; i < cfg->gateway.services.n; i++) {
		const char *name = cfg->gateway.services.items[i];

		if (i == ARRAY_SIZE(g->services) ||
		    !service_name_parse(name, strlen(name), &g->services[i]))
			return err_set(err, ERR_CONFIG, "gateway.services: %s is no service name",
				       name);
		found = found || strcmp(name, g->service.s) == 0;
		g->service_count = i + 1;
	}
	g->heads = heads_create(cfg, g->services, g->service_count);
	return found || err_set(err, ERR_CONFIG, "gateway.service %s is not in gateway.services",
				g->service.s);
}

const struct service_name *shared_service(const struct gateway *g, struct view name)
{
	for (size_t i = 0; i < g->service_count; i++) {
		if (view_eq(name, VIEW_STR(g->services[i].s)))
			return &g->services[i];
	}
	return NULL;
}

bool shared_open(struct gateway *g, struct err *err)
{
	const struct config *cfg = g->cfg;

	g->reuse = reuse_create(cfg);
	g->filters = filters_create(&(struct filters_limits){
		.count_max = cfg->gateway.filters_max,
		.per_address_max = cfg->gateway.filters_per_address_max,
		.idle_us = cfg->gateway.filter_timeout,
		.secret = g->seed,
	});
	return open_services(g, err);
}

void shared_close(struct gateway *g)
{
	reuse_destroy(g->reuse);
	filters_destroy(g->filters);
	heads_destroy(g->heads);
}
