/* SPDX-License-Identifier: Apache-2.0
 * registry show. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/base/clock.h"
#include "relay/cli/registry_args.h"
#include "relay/cli/registry_verbs.h"
#include "session/registry/registry.h"

static void print_network(const struct registry_view *view, height_t now)
{
	const struct session_params *p = history_params(view_history(view), now);
	char text[65], unit[U128_TEXT_MAX], cap[U128_TEXT_MAX], when[CLOCK_TEXT_MAX];

	printf("network       %s\n", hex_encode(view_network(view)->b, 32, text));
	printf("registry key  %s\n", hex_encode(view_registry_key(view)->b, 32, text));
	printf("height        %" PRIu64 " now, height 0 was at %s, %" PRIu64 " ms each\n", now,
	       clock_text(view_clock(view)->genesis_ms, when), view_clock(view)->block_ms);
	printf("last seed     %" PRIu64 "%s\n", view_last_seed(view),
	       view_last_seed(view) + 2 < now ? "  (nobody keeps this registry: `registry serve')"
					      : "");
	printf("sessions      %" PRIu64 " heights, %u suppliers, snapshot lag %" PRIu64
	       ", seed lag %" PRIu64 ", grace %" PRIu64 "\n",
	       p->session_blocks, p->session_suppliers, p->snapshot_lag, p->seed_lag,
	       p->grace_blocks);
	printf("stake         unit %s, cap %s; largest price %" PRIu64 "\n",
	       u128_text(p->stake_unit, unit), u128_text(p->stake_cap, cap), p->price_max);
	printf("claims        window %" PRIu64 ", challenge lag %" PRIu64 ", proof window %" PRIu64
	       "; %" PRIu64 " sessions may be unsettled\n",
	       p->claim_window, p->challenge_lag, p->proof_window, session_claim_horizon(p));
}

static void print_services(const struct history *h)
{
	size_t n;
	const struct service_entry *e = history_all_services(h, &n);
	char hex[65];

	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || strcmp(e[i].name.s, e[i + 1].name.s) != 0)
			printf("service       %s, method table %s\n", e[i].name.s,
			       hex_encode(e[i].table.b, 32, hex));
}

static void print_supplier(const struct history *h, const struct supplier_entry *e, height_t now)
{
	char key[65], stake[U128_TEXT_MAX], thaw[U128_TEXT_MAX];
	u128 thawing = history_thawing_stake(h, &e->key, now);

	printf("supplier      %s stake %s", hex_encode(e->key.b, 32, key),
	       u128_text(e->stake, stake));
	if (thawing > 0)
		printf(" (and %s on its way out)", u128_text(thawing, thaw));
	if (e->burned + e->burned_thaw > 0)
		printf(", burned %s", u128_text(e->burned + e->burned_thaw, thaw));
	printf(", price %" PRIu64 ", %s,", e->price, e->endpoint);
	for (uint32_t i = 0; i < e->services_n; i++)
		printf(" %s", e->services[i].s);
	if (e->height > now)
		printf(", from height %" PRIu64 " on", e->height);
	printf("\n");
}

static void print_suppliers(const struct history *h, height_t now)
{
	size_t n;
	const struct supplier_entry *e = history_all_suppliers(h, &n);

	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || !ID_EQ(&e[i].key, &e[i + 1].key))
			print_supplier(h, &e[i], now);
}

static void print_applications(const struct registry_view *view, height_t start)
{
	const struct history *h = view_history(view);
	const struct session_params *p = view_params(view, start);
	size_t n;
	const struct application_entry *e = history_all_applications(h, &n);
	char hex[65], escrow[U128_TEXT_MAX], needed[U128_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && ID_EQ(&e[i].key, &e[i + 1].key))
			continue;
		printf("application   %s escrow %s", hex_encode(e[i].key.b, 32, hex),
		       u128_text(e[i].escrow, escrow));
		if (e[i].spent + e[i].spent_thaw > 0)
			printf(", has spent %s", u128_text(e[i].spent + e[i].spent_thaw, needed));
		if (session_exists(p, start))
			printf(", its grants need %s",
			       u128_text(history_escrow_needed(h, &e[i].key, start), needed));
		printf("\n");
	}
}

static void print_grants(const struct registry_view *view, height_t start)
{
	size_t n;
	const struct grant_entry *e = history_all_grants(view_history(view), &n);
	char app[65], gateway[65], budget[U128_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		struct err err;
		u128 allowance;

		if (i + 1 < n && ID_EQ(&e[i].application, &e[i + 1].application) &&
		    ID_EQ(&e[i].gateway, &e[i + 1].gateway) &&
		    strcmp(e[i].service.s, e[i + 1].service.s) == 0)
			continue;
		printf("grant         %s -> gateway %s, %s, %s a session: ",
		       hex_encode(e[i].application.b, 32, app),
		       hex_encode(e[i].gateway.b, 32, gateway), e[i].service.s,
		       u128_text(e[i].budget, budget));
		if (history_allowance(view_history(view), &e[i].application, &e[i].gateway,
				      &e[i].service, start, &allowance, &err))
			printf("active, %s for each supplier\n", u128_text(allowance, budget));
		else
			printf("not active: %s\n", err.msg);
	}
}

int registry_run_show(const struct verb *verb, int argc, char **argv)
{
	CLEANUP(registry_close) struct registry *registry = NULL;
	CLEANUP(registry_view_unref) struct registry_view *view = NULL;
	struct cli_option options[] = {{.name = "key"}};
	const char *source;
	struct key_id pinned;
	height_t now, start;
	struct err err;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n > 1)
		return cli_usage(verb, "write: registry show [SOURCE]");
	if (!registry_source(n == 1 ? argv[1] : NULL, &source, &err) ||
	    (options[0].value && !registry_parse_key("--key", options[0].value, &pinned, &err)) ||
	    !registry_open(source, options[0].value ? &pinned : NULL, &registry, &err))
		return cli_fail(&err);
	view = registry_view_take(registry);
	clock_tick();
	now = view_height(view, clock_wall_ms());
	start = view_start(view, now);
	print_network(view, now);
	print_services(view_history(view));
	print_suppliers(view_history(view), now);
	print_applications(view, start);
	print_grants(view, start);
	if (!registry_print_money(source, view_history(view), clock_wall_ms(), &err))
		return cli_fail(&err);
	return CLI_OK;
}
