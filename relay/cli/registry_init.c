/* SPDX-License-Identifier: Apache-2.0
 * registry init. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "chains/chain.h"
#include "relay/base/mem.h"
#include "relay/cli/registry_args.h"
#include "relay/cli/registry_verbs.h"

#define INIT_SERVICES_MAX 64
#define INIT_BLOCK_MS 1000

enum {
	INIT_KEY,
	INIT_SERVICE,
	INIT_DRY_RUN,
	INIT_PASSPHRASE,
	INIT_NUMBERS /* the numeric options follow, in the order of `numbers` */
};

enum {
	NUM_BLOCK_MS,
	NUM_SESSION_BLOCKS,
	NUM_SNAPSHOT_LAG,
	NUM_SEED_LAG,
	NUM_SUPPLIERS,
	NUM_PRICE_MAX,
	NUM_GRACE,
	NUM_CLAIM_WINDOW,
	NUM_CHALLENGE_LAG,
	NUM_PROOF_WINDOW,
	NUM_STAKE_UNIT,
	NUM_STAKE_CAP,
	NUM_COUNT
};

static const char *const numbers[NUM_COUNT] = {
	"block-ms",	     "session-blocks", "snapshot-lag", "seed-lag",
	"session-suppliers", "price-max",      "grace-blocks", "claim-window",
	"challenge-lag",     "proof-window",   "stake-unit",   "stake-cap",
};

struct init {
	const char *path;
	char *key_path;
	struct session_params params;
	uint64_t block_ms;
	size_t services_n;
	struct service_entry services[INIT_SERVICES_MAX];
	struct relay_key *key;
	bool key_is_new;
};

static bool read_numbers(const struct cli_option *options, struct init *in, struct err *err)
{
	struct session_params *p = &in->params;
	uint64_t suppliers = p->session_suppliers;
	uint64_t *const u64s[NUM_STAKE_UNIT] = {
		&in->block_ms,	   &p->session_blocks, &p->snapshot_lag, &p->seed_lag,
		&suppliers,	   &p->price_max,      &p->grace_blocks, &p->claim_window,
		&p->challenge_lag, &p->proof_window,
	};
	u128 *const amounts[] = {&p->stake_unit, &p->stake_cap};

	for (size_t i = 0; i < NUM_COUNT; i++) {
		const char *value = options[INIT_NUMBERS + i].value;

		if (!value)
			continue;
		if (i < NUM_STAKE_UNIT) {
			if (!registry_parse_number(numbers[i], value, UINT64_MAX, u64s[i], err))
				return false;
		} else if (!registry_parse_amount(numbers[i], value, amounts[i - NUM_STAKE_UNIT],
						  err)) {
			return false;
		}
	}
	p->session_suppliers = (uint32_t)MIN(suppliers, (uint64_t)UINT32_MAX);
	return session_params_check(p, err) &&
	       session_clock_check(&(struct session_clock){0, in->block_ms}, err);
}

/* NAME or NAME=FAMILY. */
static bool read_service(const char *text, struct service_entry *e, struct err *err)
{
	size_t n = strcspn(text, "=");
	const char *family = text[n] ? text + n + 1 : "evm";
	const struct chain *chain = chain_find(family);

	if (!service_name_parse(text, n, &e->name))
		return err_set(err, ERR_USAGE, "--service: `%.40s' is not NAME or NAME=FAMILY",
			       text);
	if (!chain)
		return err_set(err, ERR_USAGE, "--service: there is no family `%.32s'", family);
	e->table = *method_table_hash(chain_table(chain));
	return true;
}

static bool read_services(const struct cli_option *o, struct init *in, struct err *err)
{
	if (o->values_n > INIT_SERVICES_MAX)
		return err_set(err, ERR_USAGE, "at most %d services at once", INIT_SERVICES_MAX);
	for (size_t i = 0; i < o->values_n; i++)
		if (!read_service(o->values[i], &in->services[in->services_n++], err))
			return false;
	if (in->services_n == 0)
		return read_service("eth=evm", &in->services[in->services_n++], err);
	return true;
}

static bool get_key(struct init *in, const char *passphrase_file, bool dry_run, struct err *err)
{
	CLEANUP(passphrase_free) char *passphrase = NULL;

	if (access(in->key_path, F_OK) == 0)
		return cli_key_load(in->key_path, passphrase_file, KEY_ROLE_REGISTRY, &in->key,
				    err);
	in->key = relay_key_generate(KEY_ROLE_REGISTRY);
	in->key_is_new = true;
	if (dry_run)
		return true;
	return cli_passphrase(passphrase_file, false, false, &passphrase, err) &&
	       relay_key_save(in->key, in->key_path, passphrase, err);
}

static bool make(struct init *in, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	struct store_write w = registry_write_now(false);
	msec_t next_ms;
	height_t height;

	if (!store_create(in->path, &in->params, in->block_ms, in->key, w.now_ms, &store, err))
		return false;
	w.genesis = true;
	for (size_t i = 0; i < in->services_n; i++)
		if (!store_put_service(store, &w, &in->services[i], &height, err))
			return false;
	return store_keep(store, w.now_ms, &next_ms, err);
}

static void print_made(const struct init *in)
{
	char hex[65];

	printf("registry      %s\n", in->path);
	printf("registry key  %s (%s%s)\n", hex_encode(relay_key_public(in->key)->b, 32, hex),
	       in->key_path, in->key_is_new ? ", new: keep a copy" : "");
	printf("sessions      %" PRIu64 " heights of %" PRIu64 " ms, %u suppliers each\n",
	       in->params.session_blocks, in->block_ms, in->params.session_suppliers);
	for (size_t i = 0; i < in->services_n; i++)
		printf("service       %s\n", in->services[i].name.s);
}

static bool init(struct init *in, const struct cli_option *options, struct err *err)
{
	bool dry_run = options[INIT_DRY_RUN].value != NULL;

	if (!read_numbers(options, in, err) || !read_services(&options[INIT_SERVICE], in, err))
		return false;
	if (access(in->path, F_OK) == 0)
		return err_set(err, ERR_REGISTRY, "%s is there already", in->path);
	if (!get_key(in, options[INIT_PASSPHRASE].value, dry_run, err))
		return false;
	if (!dry_run && !make(in, err))
		return false;
	print_made(in);
	if (dry_run)
		printf("dry run: nothing was made\n");
	else
		printf("\nNext: `counterfoil registry serve %s' keeps it and offers it to others;\n"
		       "`counterfoil stake', `fund' and `grant' (--registry %s) fill it.\n",
		       in->path, in->path);
	return true;
}

int registry_run_init(const struct verb *verb, int argc, char **argv)
{
	CLEANUP(xfree) const char **services = xcalloc((size_t)argc, sizeof(*services));
	CLEANUP(xfree) struct init *in = xcalloc(1, sizeof(*in));
	struct cli_option options[INIT_NUMBERS + NUM_COUNT] = {
		[INIT_KEY] = {.name = "key"},
		[INIT_SERVICE] = {.name = "service", .repeats = true, .values = services},
		[INIT_DRY_RUN] = {.name = "dry-run", .is_flag = true},
		[INIT_PASSPHRASE] = {.name = "passphrase-file"},
	};
	struct err err;
	bool ok;
	int n;

	for (size_t i = 0; i < NUM_COUNT; i++)
		options[INIT_NUMBERS + i].name = numbers[i];
	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 1)
		return cli_usage(verb, "write: registry init FILE");
	in->path = argv[1];
	in->params = session_params_default;
	in->block_ms = INIT_BLOCK_MS;
	in->key_path = options[INIT_KEY].value ? xstrdup(options[INIT_KEY].value)
					       : xasprintf("%s.key", in->path);
	ok = init(in, options, &err);
	relay_key_destroy(in->key);
	free(in->key_path);
	return ok ? CLI_OK : cli_fail(&err);
}
