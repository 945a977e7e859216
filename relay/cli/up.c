/* SPDX-License-Identifier: Apache-2.0
 * up: a whole network on one machine. */
#include "relay/cli/up.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "chains/chain.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/cli/registry_args.h"
#include "session/registry/keeper.h"

#define UP_LISTEN "127.0.0.1:8545"
#define UP_LISTEN_MORE 4 /* next free of 8546..8549 */
#define UP_ADMIN "127.0.0.1:8580"
#define UP_ADMIN_MORE 19
#define UP_NODES 3
#define UP_BLOCK_MS 1000

enum {
	UP_UPSTREAM,
	UP_OPT_LISTEN,
	UP_OPT_ADMIN,
	UP_OPT_NODES,
	UP_STAKE,
	UP_STATE,
	UP_SESSION_BLOCKS,
	UP_OPT_BLOCK_MS,
	UP_SERVICE,
	UP_SUPPLIERS,
	UP_WORKERS,
	UP_OPTIONS
};

/* "1,2,7": units of stake, one a node. */
static bool read_stakes(struct up *up, const char *text, bool nodes_given, struct err *err)
{
	size_t n = 0;

	while (*text && n < UP_NODES_MAX) {
		size_t len = strcspn(text, ",");
		uint64_t units;

		if (!u64_parse(text, len, &units) || units == 0 || units > 1000000)
			return err_set(err, ERR_USAGE,
				       "--stake: numbers from 1 to 1000000, as in 1,2,7");
		up->stakes[n++] = up->params.stake_unit * units;
		text += len;
		text += *text == ',';
	}
	if (n == 0 || *text)
		return err_set(err, ERR_USAGE, "--stake: 1 to %d numbers", UP_NODES_MAX);
	if (nodes_given && n != up->nodes)
		return err_set(err, ERR_USAGE, "--stake gives %zu stakes for %zu nodes", n,
			       up->nodes);
	up->nodes = n;
	return true;
}

static bool read_numbers(struct up *up, const struct cli_option *o, struct err *err)
{
	uint64_t nodes = UP_NODES, suppliers = up->params.session_suppliers;

	if ((o[UP_OPT_NODES].value &&
	     !registry_parse_number("--nodes", o[UP_OPT_NODES].value, UP_NODES_MAX, &nodes, err)) ||
	    (o[UP_SUPPLIERS].value &&
	     !registry_parse_number("--session-suppliers", o[UP_SUPPLIERS].value,
				    SESSION_MEMBERS_MAX, &suppliers, err)) ||
	    (o[UP_SESSION_BLOCKS].value &&
	     !registry_parse_number("--session-blocks", o[UP_SESSION_BLOCKS].value,
				    SESSION_BLOCKS_MAX, &up->params.session_blocks, err)) ||
	    (o[UP_OPT_BLOCK_MS].value &&
	     !registry_parse_number("--block-ms", o[UP_OPT_BLOCK_MS].value, BLOCK_MS_MAX,
				    &up->block_ms, err)))
		return false;
	if (nodes == 0)
		return err_set(err, ERR_USAGE, "--nodes: at least 1");
	up->nodes = nodes;
	up->params.session_suppliers = (uint32_t)suppliers;
	up->session_given = o[UP_SESSION_BLOCKS].value || o[UP_SUPPLIERS].value;
	up->block_given = o[UP_OPT_BLOCK_MS].value != NULL;
	return session_params_check(&up->params, err) &&
	       session_clock_check(&(struct session_clock){0, up->block_ms}, err);
}

/* Gateway and nodes take their options from the environment too; this one goes before it. */
static bool read_workers(const char *text, struct err *err)
{
	uint64_t workers;

	if (!registry_parse_number("--workers", text, UP_WORKERS_MAX, &workers, err))
		return false;
	if (workers == 0)
		return err_set(err, ERR_USAGE, "--workers: at least 1");
	if (setenv("COUNTERFOIL_GATEWAY_WORKERS", text, 1) != 0 ||
	    setenv("COUNTERFOIL_NODE_WORKERS", text, 1) != 0)
		return err_set(err, ERR_IO, "--workers: %s", strerror(errno));
	return true;
}

static bool read_service(struct up *up, const char *text, struct err *err)
{
	size_t n = strcspn(text, "=");
	const char *family = text[n] ? text + n + 1 : "evm";
	const struct chain *chain = chain_find(family);

	if (!service_name_parse(text, n, &up->service))
		return err_set(err, ERR_USAGE, "--service: `%.40s' is not NAME or NAME=FAMILY",
			       text);
	if (!chain)
		return err_set(err, ERR_USAGE, "--service: there is no family `%.32s'", family);
	up->method_table = *method_table_hash(chain_table(chain));
	return true;
}

static bool read_upstreams(struct up *up, const struct cli_option *o, struct err *err)
{
	if (o->values_n == 0)
		return err_set(err, ERR_USAGE, "where is the chain? give --upstream URL");
	if (o->values_n > UP_UPSTREAMS_MAX)
		return err_set(err, ERR_USAGE, "--upstream: at most %d", UP_UPSTREAMS_MAX);
	for (size_t i = 0; i < o->values_n; i++) {
		if (strncmp(o->values[i], "http://", 7) != 0 &&
		    strncmp(o->values[i], "https://", 8) != 0)
			return err_set(err, ERR_USAGE,
				       "--upstream: `%.60s' is not an http:// or https:// URL",
				       o->values[i]);
		up->upstreams[up->upstreams_n++] = o->values[i];
	}
	return true;
}

static bool read_options(struct up *up, const struct cli_option *o, struct err *err)
{
	up->params = session_params_default;
	up->block_ms = UP_BLOCK_MS;
	if (!read_upstreams(up, &o[UP_UPSTREAM], err) || !read_numbers(up, o, err) ||
	    !read_service(up, o[UP_SERVICE].value ? o[UP_SERVICE].value : "eth", err))
		return false;
	if (o[UP_WORKERS].value && !read_workers(o[UP_WORKERS].value, err))
		return false;
	for (size_t i = 0; i < up->nodes; i++)
		up->stakes[i] = up->params.stake_unit;
	return !o[UP_STAKE].value ||
	       read_stakes(up, o[UP_STAKE].value, o[UP_OPT_NODES].value != NULL, err);
}

/* An admin address for each node: on the ports above the gateway's when that has its usual one,
 * where `counterfoil status' looks; else, and when none is free there, any. */
static void find_node_ports(struct up *up, bool usual, int host, uint64_t port)
{
	for (size_t i = 0; i < up->nodes; i++) {
		CLEANUP(xfree)
		char *next = xasprintf("%.*s:%" PRIu64, host, up->admin, port + 1);
		struct err ignored;

		if (!usual || !up_find_port("admin", NULL, next, UP_ADMIN_MORE, &up->node_admin[i],
					    &ignored)) {
			up->node_admin[i] = xasprintf("%.*s:0", host, up->admin);
			continue;
		}
		usual = u64_parse(strrchr(up->node_admin[i], ':') + 1,
				  strlen(strrchr(up->node_admin[i], ':') + 1), &port);
	}
}

static bool find_ports(struct up *up, const struct cli_option *o, struct err *err)
{
	const char *colon;
	uint64_t port;

	if (!up_find_port("listen", o[UP_OPT_LISTEN].value, UP_LISTEN, UP_LISTEN_MORE, &up->listen,
			  err) ||
	    !up_find_port("admin", o[UP_OPT_ADMIN].value, UP_ADMIN, UP_ADMIN_MORE, &up->admin, err))
		return false;
	colon = strrchr(up->admin, ':');
	if (!u64_parse(colon + 1, strlen(colon + 1), &port))
		return err_set(err, ERR_USAGE, "--admin: %s has no port", up->admin);
	find_node_ports(up, o[UP_OPT_ADMIN].value == NULL, (int)(colon - up->admin), port);
	return true;
}

static void on_ready(struct up *up, const char *url, const char *chain_id)
{
	if (up->ready || up->stop_requests > 0)
		return;
	up->ready = true;
	printf("\nReady.  Point your dApp, wallet or script at\n\n"
	       "  %s   chain id %s\n\n"
	       "for instance\n\n"
	       "  curl -si %s -H 'Content-Type: application/json' \\\n"
	       "    -d "
	       "'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_blockNumber\",\"params\":[]}'\n\n"
	       "Each answer's Counterfoil-Receipt header leads to its signed receipt.\n"
	       "Health and metrics: http://%s/metrics; ledgers, keys and logs: %s\n"
	       "What goes on, and what it earns: counterfoil status\n"
	       "This program keeps the registry and draws its seeds: in a network of its kind all\n"
	       "others trust who runs it (docs/operating.md).  Ctrl-C stops everything.\n",
	       url, chain_id, url, up->admin, up->state);
	fflush(stdout);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct up *up = arg;

	fprintf(stderr, up->stop_requests == 0 ? "\nstopping: calls in flight end first\n"
					       : "stopping at once\n");
	up_children_stop(up);
}

static void on_child(evutil_socket_t fd, short what, void *arg)
{
	up_children_reap(arg);
}

/* From the first process to the last. */
static bool run_network(struct up *up, struct err *err)
{
	CLEANUP(registry_keeper_destroy) struct registry_keeper *keeper = NULL;
	struct up_ready *ready = NULL;
	struct event *signals[] = {evsignal_new(up->base, SIGINT, on_stop, up),
				   evsignal_new(up->base, SIGTERM, on_stop, up),
				   evsignal_new(up->base, SIGHUP, on_stop, up),
				   evsignal_new(up->base, SIGCHLD, on_child, up)};
	bool ok = true;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (!signals[i] || event_add(signals[i], NULL) != 0)
			ok = err_set(err, ERR_IO, "no signals");
	ok = ok && registry_keeper_create(up->base, up->store, &keeper, err) &&
	     up_children_start(up, err) && up_ready_start(up, on_ready, &ready, err);
	if (ok)
		event_base_dispatch(up->base);
	up_ready_stop(ready);
	up_children_finish(up);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (signals[i])
			event_free(signals[i]);
	if (ok && up->failed)
		return err_set(err, ERR_IO, "the network did not start");
	return ok;
}

static bool prepare(struct up *up, const struct cli_option *o, struct err *err)
{
	if (!read_options(up, o, err) || !up_state_open(up, o[UP_STATE].value, err) ||
	    !find_ports(up, o, err) || !up_state_fill(up, err) || !up_state_configure(up, err))
		return false;
	up->base = event_base_new();
	if (!up->base)
		return err_set(err, ERR_IO, "no event loop");
	printf("%s network in %s: a gateway and %zu node%s in front of %zu upstream%s\n",
	       up->is_new ? "a new" : "the", up->state, up->nodes, up->nodes == 1 ? "" : "s",
	       up->upstreams_n, up->upstreams_n == 1 ? "" : "s");
	printf("sessions of %" PRIu64 " x %" PRIu64 " ms; starting\n", up->params.session_blocks,
	       up->block_ms);
	fflush(stdout);
	return true;
}

static void up_finish(struct up *up)
{
	store_close(up->store);
	if (up->base)
		event_base_free(up->base);
	if (up->lock >= 0)
		close(up->lock);
	for (size_t i = 0; i < up->nodes; i++)
		free(up->node_admin[i]);
	free(up->listen);
	free(up->admin);
	free(up->state);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	CLEANUP(xfree) const char **upstreams = xcalloc((size_t)argc, sizeof(*upstreams));
	CLEANUP(xfree) struct up *up = xcalloc(1, sizeof(*up));
	struct cli_option options[UP_OPTIONS] = {
		[UP_UPSTREAM] = {.name = "upstream", .repeats = true, .values = upstreams},
		[UP_OPT_LISTEN] = {.name = "listen"},
		[UP_OPT_ADMIN] = {.name = "admin"},
		[UP_OPT_NODES] = {.name = "nodes"},
		[UP_STAKE] = {.name = "stake"},
		[UP_STATE] = {.name = "state"},
		[UP_SESSION_BLOCKS] = {.name = "session-blocks"},
		[UP_OPT_BLOCK_MS] = {.name = "block-ms"},
		[UP_SERVICE] = {.name = "service"},
		[UP_SUPPLIERS] = {.name = "session-suppliers"},
		[UP_WORKERS] = {.name = "workers"},
	};
	struct err err;
	bool ok;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 0)
		return cli_usage(verb, "what is `%s'?", argv[1]);
	log_init(LOG_LEVEL_INFO, STDERR_FILENO, "up");
	up->lock = -1;
	ok = prepare(up, options, &err) && run_network(up, &err);
	up_finish(up);
	if (ok)
		return CLI_OK;
	return err.code == ERR_USAGE ? cli_usage(verb, "%s", err.msg) : cli_fail(&err);
}

const struct verb verb_up = {
	.name = "up",
	.usage = "--upstream URL [OPTION]...",
	.summary = "run a whole network on this machine: a gateway and three staked nodes",
	.help = "The shortest way to receipts of what a chain node or an RPC provider answered.\n"
		"The registry, keys, ledgers and logs are in the state folder; a second start "
		"goes\n"
		"on with them.  Ctrl-C ends what is in flight and stops everything.\n"
		"\n"
		"  --upstream URL          a chain node or provider; repeatable: node i prefers "
		"the\n"
		"                          i-th and has the rest as failover\n"
		"  --listen HOST:PORT      where dApps point; default 127.0.0.1:8545, or the next\n"
		"                          free port up to 8549\n"
		"  --admin HOST:PORT       health and metrics; default 127.0.0.1:8580, or the "
		"next\n"
		"                          free port\n"
		"  --nodes N               default 3\n"
		"  --workers N             threads of the gateway, and of each node; default 1\n"
		"  --stake A,B,...         units of stake of each node; default 1 each\n"
		"  --state DIR             default $XDG_STATE_HOME/counterfoil, else\n"
		"                          ~/.local/state/counterfoil\n"
		"  --service NAME[=FAMILY] default eth=evm\n"
		"  --block-ms N            length of a height; default 1000\n"
		"  --session-blocks N      heights a session; default 60\n"
		"  --session-suppliers N   nodes drawn into a session; default 3\n"
		"\n"
		"Other options of gateway and nodes come from the environment, as in\n"
		"COUNTERFOIL_LEDGER_SYNC=full (docs/configuration.md).\n",
	.run = run,
};
