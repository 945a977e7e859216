/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/gateway.h"

#include <signal.h>

#include "relay/admin/admin.h"
#include "relay/base/metrics.h"
#include "relay/cli/cli.h"
#include "relay/cli/program.h"
#include "relay/cli/status_pages.h"

static struct gateway *running; /* for the signal handler */

static void on_signal(int number)
{
	gateway_stop(running);
}

static bool is_ready(void *arg, struct err *ret_why)
{
	return gateway_is_ready(arg, ret_why);
}

static void refresh(void *arg)
{
	struct gateway_status status;

	gateway_status(arg, &status);
	metric_set(METRIC_GATEWAY_IN_FLIGHT, status.in_flight);
	metric_set(METRIC_GATEWAY_CONNECTIONS, (int64_t)gateway_connections(arg));
	program_refresh(gateway_ledger(arg), gateway_registry(arg));
}

static void write_suppliers(void *arg, struct buf *out)
{
	gateway_suppliers(arg, out);
}

static void write_status(void *arg, struct buf *out)
{
	status_page_gateway(arg, out);
}

/* Serves until SIGTERM or SIGINT, with the admin pages beside. */
static bool serve(const struct config *config, struct gateway *gateway, struct err *err)
{
	const struct admin_check check = {"gateway", is_ready, gateway};
	const struct admin_page pages[] = {
		{"/admin/suppliers", "application/json", write_suppliers, gateway},
		{STATUS_PAGE_PATH, "application/json", write_status, gateway},
	};
	const struct admin_params params = {.listen = &config->admin.listen,
					    .checks = &check,
					    .checks_n = 1,
					    .pages = pages,
					    .pages_n = ARRAY_SIZE(pages),
					    .refresh = refresh,
					    .arg = gateway};
	CLEANUP(admin_stop) struct admin *admin = NULL;
	const struct sigaction act = {.sa_handler = on_signal};

	if (!admin_start(&params, &admin, err))
		return false;
	running = gateway;
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	return gateway_loop(gateway, err);
}

static bool run_with(const struct config *config, struct err *err)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	CLEANUP(gateway_destroy) struct gateway *gateway = NULL;

	return cli_key_load(config->gateway.key, config->gateway.passphrase_file, KEY_ROLE_GATEWAY,
			    &key, err) &&
	       gateway_create(config, key, &gateway, err) && serve(config, gateway, err);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	CLEANUP(config_destroy) struct config *config = NULL;
	struct err err;
	int status;

	config = cli_config(verb, CONFIG_GATEWAY, argc, argv, &status);
	if (config == NULL)
		return status;
	program_start(config, CONFIG_GATEWAY, "gateway");
	return run_with(config, &err) ? CLI_OK : cli_fail(&err);
}

const struct verb verb_gateway = {
	.name = "gateway",
	.usage = "[--config] FILE [--SECTION.OPTION VALUE]...",
	.summary = "run a gateway: where dApps' calls come in",
	.help = "Takes JSON-RPC calls on gateway.listen, relays each to a node of the session and\n"
		"answers when both halves of its receipt are recorded.  Serves until SIGTERM or\n"
		"SIGINT; then it ends what is in flight for at most gateway.drain.  A second "
		"signal\n"
		"skips the waiting.\n"
		"\n"
		"`counterfoil init gateway' writes a configuration to begin with,\n"
		"docs/configuration.md lists the options, `counterfoil doctor FILE' says what is\n"
		"missing.  Health, readiness and metrics are on admin.listen.\n",
	.run = run,
};
