/* SPDX-License-Identifier: Apache-2.0
 * counterfoil: dispatches to the verbs of verbs.def, and nothing else. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "relay/base/nearest.h"
#include "relay/cli/cli.h"
#include "relay/crypto/digest.h"

static const struct verb *const verbs[] = {
#define V(id) &verb_##id,
#include "relay/cli/verbs.def"
#undef V
};

static const struct verb *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

static int unknown(const char *name)
{
	const char *names[ARRAY_SIZE(verbs)], *near;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		names[i] = verbs[i]->name;
	near = nearest_word(name, names, ARRAY_SIZE(verbs));
	fprintf(stderr, "counterfoil: there is no verb `%s'", name);
	if (near != NULL)
		fprintf(stderr, "; did you mean `%s'?\n", near);
	else
		fprintf(stderr, "; `counterfoil help' lists them\n");
	return CLI_USAGE;
}

static void overview(FILE *out)
{
	fprintf(out,
		"usage: counterfoil VERB [OPTION]... [OPERAND]...\n\n"
		"Relays RPC calls over staked nodes, with a signed receipt of every answer on\n"
		"both sides.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		fprintf(out, "  %-13s %s\n", verbs[i]->name, verbs[i]->summary);
	fprintf(out, "\n`counterfoil help VERB' says more of one.  Exit status: 0 done, 1 it "
		     "failed or a\n"
		     "check did not pass, 3 wrong usage.\n");
}

static int help(const char *name)
{
	const struct verb *verb;

	if (name == NULL) {
		overview(stdout);
		return CLI_OK;
	}
	verb = find(name);
	if (verb == NULL)
		return unknown(name);
	cli_help(verb);
	return CLI_OK;
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	const struct verb *verb;

	signal(SIGPIPE, SIG_IGN);
	crypto_init();
	if (argc < 2) {
		overview(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0)
		return help(argc > 2 ? argv[2] : NULL);
	verb = find(strcmp(argv[1], "--version") == 0 ? "version" : argv[1]);
	if (verb == NULL)
		return unknown(argv[1]);
	if (verb != &verb_audit && asks_for_help(argc - 1, argv + 1)) {
		cli_help(verb);
		return CLI_OK;
	}
	return verb->run(verb, argc - 1, argv + 1);
}
