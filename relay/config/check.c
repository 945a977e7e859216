/* SPDX-License-Identifier: Apache-2.0
 * Options that are right each by itself and wrong together. */
#include <string.h>

#include "relay/config/internal.h"

static void check_services(struct loader *loader, const struct place *at)
{
	const struct config *c = loader->config;

	if (c->gateway.service == NULL)
		return;
	for (size_t i = 0; i < c->gateway.services.n; i++)
		if (strcmp(c->gateway.services.items[i], c->gateway.service) == 0)
			return;
	loader_problem(loader, at, "gateway.service: %s is not among gateway.services",
		       c->gateway.service);
}

/* What several workers share comes to each in an order that nothing records. */
static void check_record(struct loader *loader, const struct place *at)
{
	const struct config *c = loader->config;

	if (c->gateway.record != NULL && c->gateway.workers != 1)
		loader_problem(loader, at, "gateway.record: needs gateway.workers 1");
}

static void check_registry(struct loader *loader, const struct place *at)
{
	const struct config *c = loader->config;

	if (c->registry.source != NULL && strstr(c->registry.source, "://") != NULL &&
	    !c->registry.key.is_set)
		loader_problem(
			loader, at,
			"registry.key: must be given with a URL: `counterfoil registry show` of "
			"its keeper prints it");
}

void check_together(struct loader *loader, enum config_role role, const char *name)
{
	const struct config *c = loader->config;
	struct place at = {name, 0, 0};

	if (role != CONFIG_NODE)
		check_services(loader, &at);
	if (role != CONFIG_NODE)
		check_record(loader, &at);
	if (role != CONFIG_ANY)
		check_registry(loader, &at);
	if (c->link.backoff_min > c->link.backoff_max)
		loader_problem(loader, &at, "link.backoff_min: larger than link.backoff_max");
	if (c->upstream.open_min > c->upstream.open_max)
		loader_problem(loader, &at, "upstream.open_min: larger than upstream.open_max");
	if (c->link.ping_interval >= c->link.idle_timeout)
		loader_problem(loader, &at,
			       "link.ping_interval: must be less than link.idle_timeout");
	if (c->evidence.max_bytes > c->ledger.max_bytes)
		loader_problem(loader, &at, "evidence.max_bytes: larger than ledger.max_bytes");
}
