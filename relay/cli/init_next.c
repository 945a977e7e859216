/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/cli/init.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "session/registry/registry.h"

/* The parameters of the registry that was named, if it can be read; else those of a new one. */
static struct session_params params_of(const struct init *in)
{
	const char *hex = in->o[OPT_REGISTRY_KEY].value;
	CLEANUP(registry_close) struct registry *registry = NULL;
	CLEANUP(registry_view_unref) struct registry_view *view = NULL;
	struct key_id key;
	struct err err;

	if (in->registry == NULL ||
	    (hex != NULL && !hex_decode(hex, strlen(hex), key.b, sizeof(key.b))))
		return session_params_default;
	log_init(LOG_LEVEL_ERROR, STDERR_FILENO, NULL); /* what follows says it */
	if (!registry_open(in->registry, hex ? &key : NULL, &registry, &err)) {
		printf("\nThe registry cannot be read now (%s):\nthe amounts below go by the "
		       "parameters of a new one.\n",
		       err.msg);
		return session_params_default;
	}
	view = registry_view_take(registry);
	return *view_params(view, view_start(view, view_height(view, clock_wall_ms())));
}

static void print_where(const struct init *in)
{
	if (in->registry_is_local)
		printf("\nPut it into the registry:\n");
	else
		printf("\nSend this to the registry's keeper, who runs it:\n");
}

static void print_node_next(struct init *in)
{
	const char *endpoint = in->o[OPT_ENDPOINT].value, *stake = in->o[OPT_STAKE].value;
	const struct cli_option *b = &in->o[OPT_BACKEND];
	struct session_params params = params_of(in);
	char units[U128_TEXT_MAX];
	char host[256] = "HOST";

	if (endpoint == NULL) {
		if (gethostname(host, sizeof(host) - 1) != 0)
			host[0] = 0;
		endpoint = init_text(in, "%s:8575", host);
	}
	u128_text(params.stake_unit * INIT_STAKE_UNITS, units);
	print_where(in);
	printf("  counterfoil stake");
	for (size_t i = 0; i < b->values_n; i++) {
		size_t n = strcspn(b->values[i], "=");
		bool seen = false;

		for (size_t j = 0; j < i; j++)
			seen |= strncmp(b->values[j], b->values[i], n + 1) == 0;
		if (!seen)
			printf(" --service %.*s", (int)n, b->values[i]);
	}
	printf("%s --endpoint %s%s%s %s %s\n", b->values_n ? "" : " --service eth", endpoint,
	       in->registry_is_local ? " --registry " : "",
	       in->registry_is_local ? in->registry : "", init_hex(in, &in->self),
	       stake ? stake : units);
	if (in->o[OPT_ENDPOINT].value == NULL)
		printf("where %s must be an address by which gateways reach this node.\n",
		       endpoint);
}

static void print_gateway_next(struct init *in)
{
	const char *service = in->o[OPT_SERVICE].value ? in->o[OPT_SERVICE].value : "eth";
	struct session_params params = params_of(in);
	uint64_t horizon = session_claim_horizon(&params);
	const char *registry = in->registry ? init_text(in, " --registry %s", in->registry) : "";
	char escrow[U128_TEXT_MAX];

	u128_text((u128)in->budget * horizon * 2, escrow);
	print_where(in);
	printf("  counterfoil fund%s %s %s\n", in->registry_is_local ? registry : "",
	       init_hex(in, &in->application), escrow);
	printf("(half of it stays for the %" PRIu64
	       " sessions that can be unsettled at once: with less in escrow\nno grant is "
	       "active; the other half can be spent)\n",
	       horizon);
	if (in->application_key == NULL)
		printf("\nThe application's owner lets this gateway spend:\n");
	else
		printf("\nLet this gateway spend%s:\n",
		       in->registry_is_local ? ""
					     : "; send what is printed to the keeper, who runs "
					       "`counterfoil grant --record'");
	printf("  counterfoil grant --key %s%s%s%s%s %s %s %" PRIu64 "\n",
	       in->application_key ? in->application_key : "APPLICATION.key",
	       in->registry_is_local ? "" : " --sign", registry,
	       in->o[OPT_REGISTRY_KEY].value ? " --registry-key " : "",
	       in->o[OPT_REGISTRY_KEY].value ? in->o[OPT_REGISTRY_KEY].value : "",
	       init_hex(in, &in->self), service, in->budget);
}

void init_print_next(struct init *in, const char *path)
{
	if (in->is_node)
		print_node_next(in);
	else
		print_gateway_next(in);
	printf("\nThen:\n  counterfoil doctor %s\n  counterfoil %s %s\n", path,
	       in->is_node ? "node" : "gateway", path);
}
