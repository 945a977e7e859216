/* SPDX-License-Identifier: Apache-2.0
 * What is beyond this machine: backends and the registry. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/cli/doctor.h"
#include "relay/node/node.h"
#include "session/registry/registry.h"

static void look_at_backend(struct doctor *doctor, const char *subject,
			    const struct upstream_survey *found, uint64_t first)
{
	if (!found->answered)
		doctor_fix(doctor, subject, "%s; start that chain node, or correct node.services",
			   found->why.msg);
	else if (!found->has_id)
		doctor_fix(doctor, subject,
			   "it does not say which chain it is of; is it a node of "
			   "this service? correct node.services");
	else if (found->is_foreign)
		doctor_fix(doctor, subject,
			   "it is of chain %" PRIu64 ", its siblings are of %" PRIu64
			   "; correct node.services, or the node does not start",
			   found->chain_id, first);
	else
		doctor_pass(subject, "chain %" PRIu64, found->chain_id);
}

static void look_at_service(struct doctor *doctor, const struct node_service_params *service,
			    const char *ca_file)
{
	struct upstream_survey found[UPSTREAM_URLS_MAX];
	char subject[512], url[256];
	uint64_t first = 0;
	struct err err;

	if (!upstream_survey(service->urls, service->urls_n, chain_find(service->family), ca_file,
			     DOCTOR_TIMEOUT_US, found, &err)) {
		doctor_fix(doctor, "backends", "%s; correct node.services", err.msg);
		return;
	}
	for (size_t i = service->urls_n; i-- > 0;)
		first = found[i].has_id ? found[i].chain_id : first;
	for (size_t i = 0; i < service->urls_n; i++) {
		snprintf(subject, sizeof(subject), "backend %s %s", service->name.s,
			 upstream_url_text(service->urls[i], url, sizeof(url)));
		look_at_backend(doctor, subject, &found[i], first);
	}
}

void doctor_backends(struct doctor *doctor)
{
	CLEANUP(xfree) struct node_params *params = xcalloc(1, sizeof(*params));
	struct err err;

	if (!node_params_from_config(doctor->config, params, &err)) {
		doctor_fix(doctor, "backends", "%s", err.msg);
		return;
	}
	for (size_t i = 0; i < params->services_n; i++)
		look_at_service(doctor, &params->services[i], params->upstream.ca_file);
}

/* The registry's seeds tell its keeper's clock, to a height. */
static void look_at_clock(struct doctor *doctor, const struct registry_view *view, height_t now)
{
	height_t last = view_last_seed(view);
	uint64_t block_ms = view_clock(view)->block_ms;

	if (last > now + DOCTOR_SKEW_HEIGHTS)
		doctor_fix(doctor, "clock",
			   "%" PRIu64 " s behind the registry's; set it (timedatectl set-ntp true)",
			   (last - now) * block_ms / 1000);
	else if (now >
		 last + DOCTOR_SKEW_HEIGHTS + view_params(view, view_start(view, now))->seed_lag)
		doctor_fix(doctor, "clock",
			   "%" PRIu64 " s ahead of the registry's last height; set it (timedatectl "
			   "set-ntp true), or the registry's keeper has stopped: ask it",
			   (now - last) * block_ms / 1000);
	else
		doctor_pass("clock", "height %" PRIu64 ", the registry's last is %" PRIu64, now,
			    last);
}

static bool offers(const struct supplier_entry *e, const char *service)
{
	for (uint32_t i = 0; i < e->services_n; i++)
		if (strcmp(e->services[i].s, service) == 0)
			return true;
	return false;
}

static void look_at_stake(struct doctor *doctor, const struct registry_view *view, height_t now)
{
	const struct config_map *map = &doctor->config->node.services;
	const struct supplier_entry *e = history_supplier(view_history(view), &doctor->self, now);
	char key[2 * sizeof(doctor->self.b) + 1], stake[U128_TEXT_MAX];

	hex_encode(doctor->self.b, sizeof(doctor->self.b), key);
	if (e == NULL)
		e = history_supplier(view_history(view), &doctor->self,
				     history_last_change(view_history(view)));
	if (e == NULL || e->stake == 0) {
		doctor_fix(doctor, "stake",
			   "%s is not staked; send the registry's keeper the line that "
			   "`counterfoil init node' printed (counterfoil help stake)",
			   key);
		return;
	}
	for (size_t i = 0; i < map->n; i++)
		if (!offers(e, map->entries[i].name))
			doctor_fix(doctor, "stake",
				   "the registry does not list %s for this node; stake again with "
				   "it, or take it out of node.services",
				   map->entries[i].name);
	if (e->height > now)
		doctor_pass("stake", "%s, counts from height %" PRIu64 " on, endpoint %s",
			    u128_text(e->stake, stake), e->height, e->endpoint);
	else
		doctor_pass("stake", "%s, endpoint %s", u128_text(e->stake, stake), e->endpoint);
}

/* The first session that goes by all that the registry holds now. */
static height_t settled_start(const struct registry_view *view, height_t now)
{
	height_t change = history_last_change(view_history(view));
	const struct session_params *p = view_params(view, view_start(view, now));
	height_t start = change + p->snapshot_lag + p->session_blocks - 1;

	return MAX(view_start(view, now), start - start % p->session_blocks);
}

static void look_at_grant(struct doctor *doctor, const struct registry_view *view, height_t now,
			  const struct service_name *service)
{
	const struct key_id *application = &doctor->config->gateway.application.id;
	height_t start = view_start(view, now), later = settled_start(view, now);
	char text[U128_TEXT_MAX], subject[SERVICE_NAME_MAX + 16];
	struct err err;
	u128 allowance;

	snprintf(subject, sizeof(subject), "grant %s", service->s);
	if (view_allowance(view, application, &doctor->self, service, start, &allowance, &err))
		doctor_pass(subject, "%s per supplier and session", u128_text(allowance, text));
	else if (history_allowance(view_history(view), application, &doctor->self, service, later,
				   &allowance, &err))
		doctor_pass(subject,
			    "%s per supplier and session, from the session at height %" PRIu64
			    " on, in %" PRIu64 " s",
			    u128_text(allowance, text), later,
			    later > now ? (later - now) * view_clock(view)->block_ms / 1000 : 0);
	else
		doctor_fix(doctor, subject,
			   "%s; the application must fund and grant (counterfoil help grant)",
			   err.msg);
}

static void look_at_grants(struct doctor *doctor, const struct registry_view *view, height_t now)
{
	const struct config_list *services = &doctor->config->gateway.services;
	struct service_name service;

	for (size_t i = 0; i < services->n; i++)
		if (service_name_parse(services->items[i], strlen(services->items[i]), &service))
			look_at_grant(doctor, view, now, &service);
}

void doctor_registry(struct doctor *doctor)
{
	const struct config *c = doctor->config;
	CLEANUP(registry_close) struct registry *registry = NULL;
	CLEANUP(registry_view_unref) struct registry_view *view = NULL;
	struct err err;
	height_t now;

	if (!registry_open(c->registry.source, c->registry.key.is_set ? &c->registry.key.id : NULL,
			   &registry, &err)) {
		doctor_fix(doctor, "registry",
			   "%s: %s; correct registry.source or registry.key, or "
			   "ask its keeper",
			   c->registry.source, err.msg);
		return;
	}
	view = registry_view_take(registry);
	now = view_height(view, clock_wall_ms());
	doctor_pass("registry", "%s", c->registry.source);
	look_at_clock(doctor, view, now);
	if (!doctor->has_self)
		return; /* doctor_key() has said why */
	if (doctor->role == CONFIG_NODE)
		look_at_stake(doctor, view, now);
	else
		look_at_grants(doctor, view, now);
}
