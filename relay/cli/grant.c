/* SPDX-License-Identifier: Apache-2.0
 * grant: an application lets a gateway spend ([K3]).  Signed where the application's key is,
 * recorded where the registry is; in one go when both are on one machine. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/cli/registry_args.h"
#include "relay/crypto/sign.h"
#include "session/registry/registry.h"

enum {
	GRANT_REGISTRY,
	GRANT_KEY,
	GRANT_PASSPHRASE,
	GRANT_NONCE,
	GRANT_SIGN,
	GRANT_REGISTRY_KEY,
	GRANT_RECORD,
	GRANT_DRY_RUN
};

/* A signed grant as one line: "grant/APPLICATION/GATEWAY/SERVICE/BUDGET/NONCE/SIGNATURE". */
static void print_line(const struct grant_entry *e)
{
	char app[65], gateway[65], budget[U128_TEXT_MAX], sig[129];

	printf("grant/%s/%s/%s/%s/%" PRIu64 "/%s\n", hex_encode(e->application.b, 32, app),
	       hex_encode(e->gateway.b, 32, gateway), e->service.s, u128_text(e->budget, budget),
	       e->nonce, hex_encode(e->signature.b, 64, sig));
}

static bool parse_line(const char *line, struct grant_entry *e, struct err *err)
{
	const char *part[7];
	size_t len[7];
	bool ok;

	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		part[i] = line;
		len[i] = strcspn(line, "/");
		line += len[i];
		line += *line == '/';
	}
	ok = *line == 0 && len[0] == 5 && memcmp(part[0], "grant", 5) == 0 &&
	     hex_decode(part[1], len[1], e->application.b, 32) &&
	     hex_decode(part[2], len[2], e->gateway.b, 32) &&
	     service_name_parse(part[3], len[3], &e->service) &&
	     u128_parse(part[4], len[4], &e->budget) && u64_parse(part[5], len[5], &e->nonce) &&
	     hex_decode(part[6], len[6], e->signature.b, 64);
	if (!ok)
		return err_set(err, ERR_USAGE,
			       "--record: not a line that `grant --sign' has printed");
	return true;
}

static bool record(const struct cli_option *options, const struct grant_entry *e, struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	CLEANUP(history_unref) struct history *h = NULL;
	struct store_write w = registry_write_now(options[GRANT_DRY_RUN].value != NULL);
	char budget[U128_TEXT_MAX];
	height_t height;

	if (!registry_open_store(options[GRANT_REGISTRY].value, &store, err) ||
	    !store_put_grant(store, &w, e, &height, err) || !registry_read(store, &h, err))
		return false;
	if (e->budget == 0)
		printf("grant %" PRIu64 " for %s: revoked\n", e->nonce, e->service.s);
	else
		printf("grant %" PRIu64 " for %s: %s tokens a session\n", e->nonce, e->service.s,
		       u128_text(e->budget, budget));
	registry_print_effect(store, &w, height, history_params(h, UINT64_MAX));
	return true;
}

/* Fills in the nonce, unless it is given, and the signature. */
static bool sign(const struct cli_option *options, const struct relay_key *key,
		 struct grant_entry *e, struct err *err)
{
	CLEANUP(registry_close) struct registry *registry = NULL;
	CLEANUP(registry_view_unref) struct registry_view *view = NULL;
	CLEANUP(buf_finish) struct buf bytes = {0};
	const struct grant_entry *before;
	const char *source;
	struct key_id pinned;
	bool pin = options[GRANT_REGISTRY_KEY].value != NULL;

	if (pin &&
	    !registry_parse_key("--registry-key", options[GRANT_REGISTRY_KEY].value, &pinned, err))
		return false;
	if (!registry_source(options[GRANT_REGISTRY].value, &source, err) ||
	    !registry_open(source, pin ? &pinned : NULL, &registry, err))
		return false;
	view = registry_view_take(registry);
	before = history_grant(view_history(view), &e->application, &e->gateway, &e->service,
			       UINT64_MAX);
	e->nonce = before ? before->nonce + 1 : 1;
	if (options[GRANT_NONCE].value &&
	    !registry_parse_number("--nonce", options[GRANT_NONCE].value, UINT64_MAX, &e->nonce,
				   err))
		return false;
	grant_bytes(view_network(view), e, &bytes);
	sign_bytes(key, bytes.p, bytes.n, &e->signature);
	return true;
}

static bool grant(const struct cli_option *options, char **operands, struct err *err)
{
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	struct grant_entry e = {0};

	if (!registry_parse_key("gateway", operands[0], &e.gateway, err) ||
	    !registry_parse_service(operands[1], &e.service, err) ||
	    !registry_parse_amount("budget", operands[2], &e.budget, err) ||
	    !cli_key_load(options[GRANT_KEY].value, options[GRANT_PASSPHRASE].value,
			  KEY_ROLE_APPLICATION, &key, err))
		return false;
	e.application = *relay_key_public(key);
	if (!sign(options, key, &e, err))
		return false;
	if (options[GRANT_SIGN].value) {
		print_line(&e);
		return true;
	}
	return record(options, &e, err);
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {
		[GRANT_REGISTRY] = {.name = "registry"},
		[GRANT_KEY] = {.name = "key"},
		[GRANT_PASSPHRASE] = {.name = "passphrase-file"},
		[GRANT_NONCE] = {.name = "nonce"},
		[GRANT_SIGN] = {.name = "sign", .is_flag = true},
		[GRANT_REGISTRY_KEY] = {.name = "registry-key"},
		[GRANT_RECORD] = {.name = "record"},
		[GRANT_DRY_RUN] = {.name = "dry-run", .is_flag = true},
	};
	struct grant_entry e = {0};
	struct err err;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (options[GRANT_RECORD].value) {
		if (n != 0 || options[GRANT_KEY].value || options[GRANT_SIGN].value)
			return cli_usage(verb, "write: grant --record LINE");
		if (!parse_line(options[GRANT_RECORD].value, &e, &err) ||
		    !record(options, &e, &err))
			return cli_fail(&err);
		return CLI_OK;
	}
	if (n != 3 || !options[GRANT_KEY].value)
		return cli_usage(verb, "write: grant --key FILE GATEWAY SERVICE BUDGET");
	return grant(options, argv + 1, &err) ? CLI_OK : cli_fail(&err);
}

const struct verb verb_grant = {
	.name = "grant",
	.usage = "--key FILE GATEWAY SERVICE BUDGET | --record LINE",
	.summary = "let a gateway spend an application's tokens",
	.help = "GATEWAY is its relay key, BUDGET the tokens that it may spend on SERVICE in one\n"
		"session, shared equally by the session's suppliers; 0 revokes.  The "
		"application's\n"
		"key signs it.\n"
		"\n"
		"  --key FILE              the application's key\n"
		"  --passphrase-file FILE  opens it; else $COUNTERFOIL_PASSPHRASE, else asked for\n"
		"  --nonce N               larger than that of the grant before; default: the "
		"next\n"
		"  --sign                  only print the signed grant, for the registry's "
		"keeper;\n"
		"                          --registry may then be a file or URL\n"
		"  --registry-key HEX      the key of that file or URL\n"
		"  --record LINE           record what --sign has printed "
		"elsewhere\n" REGISTRY_OPTIONS_HELP,
	.run = run,
};
