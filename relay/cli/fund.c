/* SPDX-License-Identifier: Apache-2.0
 * fund: the escrow of an application. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/cli/registry_args.h"

enum { FUND_REGISTRY, FUND_WITHDRAW, FUND_DRY_RUN };

static bool fund(const struct cli_option *options, char **operands, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(history_unref) struct history *h = NULL;
	struct store_write w = registry_write_now(options[FUND_DRY_RUN].value != NULL);
	bool withdraw = options[FUND_WITHDRAW].value != NULL;
	char text[U128_TEXT_MAX], hex[65];
	const struct session_params *p;
	struct key_id key;
	u128 amount, escrow;
	height_t height;

	if (!registry_parse_key("application", operands[0], &key, err) ||
	    !registry_parse_amount("amount", operands[1], &amount, err) ||
	    !registry_open_store(options[FUND_REGISTRY].value, &store, err) ||
	    !store_fund(store, &w, &key, amount, withdraw, &escrow, &height, err) ||
	    !registry_read(store, &h, err))
		return false;
	p = history_params(h, UINT64_MAX);
	printf("application %s: escrow %s\n", hex_encode(key.b, sizeof(key.b), hex),
	       u128_text(escrow, text));
	registry_print_effect(store, &w, height, p);
	if (withdraw)
		printf("what was withdrawn leaves after %" PRIu64 " sessions\n",
		       session_claim_horizon(p) + 1);
	return true;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {
		[FUND_REGISTRY] = {.name = "registry"},
		[FUND_WITHDRAW] = {.name = "withdraw", .is_flag = true},
		[FUND_DRY_RUN] = {.name = "dry-run", .is_flag = true},
	};
	struct err err;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 2)
		return cli_usage(verb, "write: fund APPLICATION AMOUNT");
	return fund(options, argv + 1, &err) ? CLI_OK : cli_fail(&err);
}

const struct verb verb_fund = {
	.name = "fund",
	.usage = "[OPTION]... APPLICATION AMOUNT",
	.summary = "pay tokens into an application's escrow, or withdraw them",
	.help = "APPLICATION is its public key (64 hex digits).  Its grants are active, all of "
		"them\n"
		"or none, while the escrow carries the budgets of every session that can be\n"
		"unsettled at once; `counterfoil registry show' says how much that is.\n"
		"\n"
		"  --withdraw        take AMOUNT out; it leaves when no claim can need it any "
		"more\n" REGISTRY_OPTIONS_HELP,
	.run = run,
};
