/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "relay/cli/cli.h"

static void print_public(const struct key_id *key)
{
	char text[2 * sizeof(key->b) + 1];

	printf("%s\n", hex_encode(key->b, sizeof(key->b), text));
}

static int run_new(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {{.name = "passphrase-file"},
				       {.name = "encrypt", .is_flag = true}};
	CLEANUP(passphrase_free) char *passphrase = NULL;
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	enum key_role role;
	struct err err;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 2 || !key_role_parse(argv[1], &role))
		return cli_usage(verb, "write: key new gateway|supplier|application|registry FILE");
	if (!cli_passphrase(options[0].value, options[1].value != NULL, true, &passphrase, &err))
		return cli_fail(&err);
	key = relay_key_generate(role);
	if (!relay_key_save(key, argv[2], passphrase, &err))
		return cli_fail(&err);
	print_public(relay_key_public(key));
	return CLI_OK;
}

/* A copy for another place: what lies there opens nothing by itself. */
static bool encrypt(const char *from, const char *to, const char *passphrase_file, struct err *err)
{
	CLEANUP(passphrase_free) char *passphrase = NULL;
	CLEANUP(relay_key_destroy) struct relay_key *key = NULL;
	struct key_file_info info;

	if (!relay_key_peek(from, &info, err))
		return false;
	if (info.encrypted)
		return err_set(err, ERR_KEY, "%s is encrypted already: copy the file as it is",
			       from);
	if (!relay_key_load(from, NULL, &key, err) ||
	    !cli_passphrase(passphrase_file, true, true, &passphrase, err) ||
	    !relay_key_save(key, to, passphrase, err))
		return false;
	print_public(relay_key_public(key));
	return true;
}

static int run_encrypt(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {{.name = "passphrase-file"}};
	struct err err;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 2)
		return cli_usage(verb, "write: key encrypt FILE COPY");
	return encrypt(argv[1], argv[2], options[0].value, &err) ? CLI_OK : cli_fail(&err);
}

static int run_show(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {{.name = "role", .is_flag = true}};
	struct key_file_info info;
	struct err err;
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n != 1)
		return cli_usage(verb, "write: key show FILE");
	if (!relay_key_peek(argv[1], &info, &err))
		return cli_fail(&err);
	if (options[0].value != NULL)
		printf("%s %s ", key_role_name(info.role), info.encrypted ? "encrypted" : "plain");
	print_public(&info.public);
	return CLI_OK;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	static const struct cli_action actions[] = {
		{"new", run_new}, {"encrypt", run_encrypt}, {"show", run_show}};

	return cli_dispatch(verb, actions, ARRAY_SIZE(actions), argc, argv);
}

const struct verb verb_key = {
	.name = "key",
	.usage = "new ROLE FILE | encrypt FILE COPY | show FILE",
	.summary = "make a key, encrypt a copy, or print the public half of one",
	.help = "key new gateway|supplier|application|registry FILE\n"
		"  Makes an Ed25519 key of one role, writes it to FILE (mode 0600, never over an\n"
		"  existing file) and prints its public half, which is the identity.\n"
		"  --encrypt               ask for a passphrase on the terminal\n"
		"  --passphrase-file FILE  the passphrase is the first line of FILE\n"
		"  With neither, the environment's COUNTERFOIL_PASSPHRASE encrypts the key; "
		"without\n"
		"  that it is not encrypted.\n"
		"\n"
		"key encrypt FILE COPY\n"
		"  Writes a copy of a key that is not encrypted, encrypted; it can take the key's\n"
		"  place.  The passphrase is found as above, or asked for.\n"
		"\n"
		"key show [--role] FILE\n"
		"  Prints the public half; needs no passphrase.\n"
		"  --role                  also the role, and whether the file is encrypted\n"
		"\n"
		"Who loses a supplier's key loses the identity that is staked; who loses an\n"
		"application's can sign no more grants.  Keep a copy where the program does not "
		"run.\n",
	.run = run,
};
