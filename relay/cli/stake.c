/* SPDX-License-Identifier: Apache-2.0
 * stake, unstake: what a supplier has at stake, and what it offers. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/base/mem.h"
#include "relay/cli/registry_args.h"

/* The options of `stake`, in the order of its array. */
enum { STAKE_REGISTRY, STAKE_SERVICE, STAKE_ENDPOINT, STAKE_PRICE, STAKE_OWNER, STAKE_DRY_RUN };

static bool services_of(const struct cli_option *o, struct service_name *names,
			struct supplier_entry *e, struct err *err)
{
	if (o->values_n > SERVICES_PER_SUPPLIER_MAX)
		return err_set(err, ERR_USAGE, "a supplier has at most %d services",
			       SERVICES_PER_SUPPLIER_MAX);
	for (size_t i = 0; i < o->values_n; i++)
		if (!registry_parse_service(o->values[i], &names[i], err))
			return false;
	if (o->values_n > 0) {
		e->services = names;
		e->services_n = (uint32_t)o->values_n;
	}
	return true;
}

/* Puts what is given over what stood there before; `e` borrows from all of them. */
static bool offer_of(const struct cli_option *options, const struct supplier_entry *before,
		     struct service_name *names, struct supplier_entry *e, struct err *err)
{
	const char *owner = options[STAKE_OWNER].value;

	if (before)
		*e = *before;
	else
		e->owner = owner_default(&e->key);
	if (!services_of(&options[STAKE_SERVICE], names, e, err))
		return false;
	if (options[STAKE_ENDPOINT].value &&
	    !registry_parse_endpoint("--endpoint", options[STAKE_ENDPOINT].value, err))
		return false;
	if (options[STAKE_ENDPOINT].value)
		e->endpoint = (char *)options[STAKE_ENDPOINT].value; /* copied, not changed */
	if (options[STAKE_PRICE].value &&
	    !registry_parse_number("--price", options[STAKE_PRICE].value, UINT64_MAX, &e->price,
				   err))
		return false;
	if (owner && !hex_decode(owner, strlen(owner), e->owner.b, sizeof(e->owner.b)))
		return err_set(err, ERR_USAGE, "--owner: 40 hex digits");
	if (!e->endpoint)
		return err_set(err, ERR_USAGE, "a new supplier needs --endpoint HOST:PORT");
	if (e->services_n == 0)
		return err_set(err, ERR_USAGE, "a new supplier needs --service NAME");
	return true;
}

static void print_supplier(const struct supplier_entry *e)
{
	char key[65], stake[U128_TEXT_MAX];

	printf("supplier %s: stake %s, price %" PRIu64 ", endpoint %s, services",
	       hex_encode(e->key.b, sizeof(e->key.b), key), u128_text(e->stake, stake), e->price,
	       e->endpoint);
	for (uint32_t i = 0; i < e->services_n; i++)
		printf(" %s", e->services[i].s);
	printf("\n");
}

/* The amount is added to what is at stake when it is written, or taken from it: a penalty may have
 * come in between. */
static bool write_supplier(struct store *store, const struct store_write *w,
			   struct supplier_entry *e, u128 amount, bool back,
			   const struct history *h, struct err *err)
{
	height_t height;

	if (!store_stake(store, w, e, amount, back, &e->stake, &height, err))
		return false;
	print_supplier(e);
	registry_print_effect(store, w, height, history_params(h, UINT64_MAX));
	return true;
}

static bool stake(const struct cli_option *options, char **operands, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(history_unref) struct history *h = NULL;
	struct service_name names[SERVICES_PER_SUPPLIER_MAX];
	struct store_write w = registry_write_now(options[STAKE_DRY_RUN].value != NULL);
	const struct supplier_entry *before;
	struct supplier_entry e = {0};
	u128 amount;

	if (!registry_parse_key("supplier", operands[0], &e.key, err) ||
	    !registry_parse_amount("amount", operands[1], &amount, err) ||
	    !registry_open_store(options[STAKE_REGISTRY].value, &store, err) ||
	    !registry_read(store, &h, err))
		return false;
	before = history_supplier(h, &e.key, UINT64_MAX);
	if (!offer_of(options, before, names, &e, err))
		return false;
	return write_supplier(store, &w, &e, amount, false, h, err);
}

static int run_stake(const struct verb *verb, int argc, char **argv)
{
	CLEANUP(xfree) const char **services = xcalloc((size_t)argc, sizeof(*services));
	struct cli_option options[] = {
		[STAKE_REGISTRY] = {.name = "registry"},
		[STAKE_SERVICE] = {.name = "service", .repeats = true, .values = services},
		[STAKE_ENDPOINT] = {.name = "endpoint"},
		[STAKE_PRICE] = {.name = "price"},
		[STAKE_OWNER] = {.name = "owner"},
		[STAKE_DRY_RUN] = {.name = "dry-run", .is_flag = true},
	};
	struct err err;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 2)
		return cli_usage(verb, "write: stake SUPPLIER AMOUNT");
	return stake(options, argv + 1, &err) ? CLI_OK : cli_fail(&err);
}

static bool unstake(const char *registry, bool dry_run, int n, char **operands, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(history_unref) struct history *h = NULL;
	struct store_write w = registry_write_now(dry_run);
	const struct supplier_entry *before;
	const struct session_params *p;
	struct supplier_entry e;
	struct key_id key;
	u128 amount = 0;

	if (!registry_parse_key("supplier", operands[0], &key, err) ||
	    (n == 2 && !registry_parse_amount("amount", operands[1], &amount, err)) ||
	    !registry_open_store(registry, &store, err) || !registry_read(store, &h, err))
		return false;
	before = history_supplier(h, &key, UINT64_MAX);
	if (!before || before->stake == 0)
		return err_set(err, ERR_REGISTRY, "this supplier has nothing at stake");
	e = *before;
	if (n == 1)
		amount = e.stake;
	if (!write_supplier(store, &w, &e, amount, true, h, err))
		return false;
	p = history_params(h, UINT64_MAX);
	printf("what was unstaked stays liable for %" PRIu64 " sessions more (%" PRIu64
	       " heights)\n",
	       session_claim_horizon(p) + 1, (session_claim_horizon(p) + 1) * p->session_blocks);
	return true;
}

static int run_unstake(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {{.name = "registry"}, {.name = "dry-run", .is_flag = true}};
	struct err err;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 1 && n != 2)
		return cli_usage(verb, "write: unstake SUPPLIER [AMOUNT]");
	if (!unstake(options[0].value, options[1].value != NULL, n, argv + 1, &err))
		return cli_fail(&err);
	return CLI_OK;
}

const struct verb verb_stake = {
	.name = "stake",
	.usage = "[OPTION]... SUPPLIER AMOUNT",
	.summary = "put tokens of a supplier at stake, or change what it offers",
	.help = "SUPPLIER is its relay key (64 hex digits), AMOUNT is added to its stake; 0 only\n"
		"changes what is given below.  It counts from the next snapshot on.\n"
		"\n"
		"  --service NAME    a service that it serves; repeatable, replaces the list\n"
		"  --endpoint ADDR   where gateways reach it: host:port, or unix:/path on one "
		"machine\n"
		"  --price N         token units per compute unit; default 0\n"
		"  --owner HEX       who is paid: 20 bytes; default: derived from the relay key.  "
		"Of\n"
		"                    one owner's suppliers at most one is drawn into a "
		"session\n" REGISTRY_OPTIONS_HELP,
	.run = run_stake,
};

const struct verb verb_unstake = {
	.name = "unstake",
	.usage = "[OPTION]... SUPPLIER [AMOUNT]",
	.summary = "take a supplier's stake back, all of it or an amount",
	.help = "Without stake a supplier is drawn into no session from the next snapshot on; "
		"what\n"
		"was unstaked stays liable until all claims of its sessions are settled.\n"
		"\n" REGISTRY_OPTIONS_HELP,
	.run = run_unstake,
};
