/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/node/node.h"

#include "relay/admin/admin.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/cli/cli.h"
#include "relay/cli/node_books.h"
#include "relay/cli/program.h"
#include "relay/cli/status_pages.h"

/* What the admin thread looks at. */
struct pages {
	struct node *node;
	struct node_books *books;
};

static bool is_ready(void *arg, struct err *ret_why)
{
	return node_is_ready(arg, ret_why);
}

static void refresh(void *arg)
{
	const struct pages *pages = arg;
	struct node_status status;

	node_status(pages->node, &status);
	metric_set(METRIC_NODE_IN_FLIGHT, (int64_t)status.in_flight);
	metric_set(METRIC_NODE_UNPAID_CU, (int64_t)status.unpaid);
	program_refresh(node_ledger(pages->node), node_registry(pages->node));
	node_books_publish(pages->books);
}

static void write_status(void *arg, struct buf *out)
{
	const struct pages *pages = arg;

	status_page_node(pages->node, pages->books, out);
}

static void notes(void *arg, struct buf *out)
{
	const struct pages *pages = arg;

	node_notes(pages->node, out);
}

/* Serves until SIGTERM or SIGINT, with the admin pages beside. */
static bool serve(const struct config *config, struct node *node, struct err *err)
{
	CLEANUP(node_books_destroy)
	struct node_books *books = node_books_create(config->ledger.dir, node_id(node));
	struct pages shown = {node, books};
	const struct admin_check check = {"node", is_ready, node};
	const struct admin_page page = {STATUS_PAGE_PATH, "application/json", write_status, &shown};
	const struct admin_params params = {.listen = &config->admin.listen,
					    .checks = &check,
					    .checks_n = 1,
					    .pages = &page,
					    .pages_n = 1,
					    .refresh = refresh,
					    .notes = notes,
					    .arg = &shown};
	CLEANUP(admin_stop) struct admin *admin = NULL;

	if (!admin_start(&params, &admin, err))
		return false;
	return node_run(node, err);
}

static bool run_with(const struct config *config, struct err *err)
{
	CLEANUP(xfree) struct node_params *params = xcalloc(1, sizeof(*params));
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	struct node *node = NULL;
	bool ok;

	if (!node_params_from_config(config, params, err) ||
	    !cli_key_load(config->node.key, config->node.passphrase_file, KEY_ROLE_SUPPLIER, &key,
			  err))
		return false;
	params->key = key;
	if (!node_survey(params, err))
		return false;
	if (!node_create(params, &node, err))
		return false;
	ok = serve(config, node, err);
	node_destroy(node);
	return ok;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	CLEANUP(config_destroy) struct config *config = NULL;
	struct err err;
	int status;

	config = cli_config(verb, CONFIG_NODE, argc, argv, &status);
	if (config == NULL)
		return status;
	program_start(config, CONFIG_NODE, "node");
	return run_with(config, &err) ? CLI_OK : cli_fail(&err);
}

const struct verb verb_node = {
	.name = "node",
	.usage = "[--config] FILE [--SECTION.OPTION VALUE]...",
	.summary = "run a node: a supplier in front of its own chain nodes",
	.help = "Serves until SIGTERM or SIGINT; then it ends what is in flight for at most "
		"node.drain\n"
		"and closes its lanes.  A second signal skips the waiting.  Everything that is "
		"durable\n"
		"is in ledger.dir: after a crash the next start goes on from there.\n"
		"\n"
		"`counterfoil init node' writes a configuration to begin with, "
		"docs/configuration.md\n"
		"lists the options, `counterfoil doctor FILE' says what is missing.\n",
	.run = run,
};
