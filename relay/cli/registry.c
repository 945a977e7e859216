/* SPDX-License-Identifier: Apache-2.0
 * registry: making, showing and publishing the registry of a private network. */
#include "relay/cli/registry_verbs.h"

static int run(const struct verb *verb, int argc, char **argv)
{
	static const struct cli_action actions[] = {
		{"init", registry_run_init},
		{"show", registry_run_show},
		{"export", registry_run_export},
		{"serve", registry_run_serve},
	};

	return cli_dispatch(verb, actions, ARRAY_SIZE(actions), argc, argv);
}

const struct verb verb_registry = {
	.name = "registry",
	.usage = "init FILE | show [SOURCE] | export [FILE] | serve [FILE]",
	.summary = "make, show and publish the registry of a private network",
	.help = "Whoever keeps the registry's file decides who serves and who is drawn: its "
		"keeper\n"
		"is trusted by everybody in the network.\n"
		"\n"
		"registry init [OPTION]... FILE\n"
		"  Makes a sqlite registry and, unless it is there, the key FILE.key that signs "
		"what\n"
		"  is exported.\n"
		"  --service NAME[=FAMILY]  a service; repeatable; default eth=evm\n"
		"  --key FILE               the registry key; made when it is not there\n"
		"  --block-ms N             length of a height; default 1000\n"
		"  --session-blocks N       heights a session; default 60\n"
		"  --snapshot-lag N         from a snapshot to its session; default 20\n"
		"  --seed-lag N             from a seed to its session; default 10\n"
		"  --session-suppliers N    suppliers drawn into a session; default 3\n"
		"  --stake-unit N, --stake-cap N, --price-max N, --grace-blocks N, --claim-window "
		"N,\n"
		"  --challenge-lag N, --proof-window N\n"
		"                           the parameters of docs/protocol.md\n"
		"  --dry-run                check everything, make nothing\n"
		"\n"
		"registry show [--key HEX] [SOURCE]\n"
		"  Prints what a registry (sqlite, exported file or URL) says now.  SOURCE "
		"defaults to\n"
		"  $COUNTERFOIL_REGISTRY_SOURCE; --key is the registry key of a file or URL.\n"
		"\n"
		"registry export [--key FILE] [--from HEIGHT] [--to HEIGHT] [--output FILE] "
		"[FILE]\n"
		"  Writes the signed registry file, with the seeds of from <= height < to "
		"(default:\n"
		"  those that running sessions need), to standard output or --output.\n"
		"  --claims FILE            write the signed claims file instead: all claims that "
		"were\n"
		"                           recorded at from <= height < to (default: at any), "
		"with\n"
		"                           proofs, payments and penalties\n"
		"\n"
		"registry serve [--key FILE] [--passphrase-file FILE] [--listen HOST:PORT] [FILE]\n"
		"  Keeps the registry (stores a seed as each height begins) and offers the signed "
		"file\n"
		"  over HTTP, where suppliers also claim; default 127.0.0.1:8590.  Gateways and "
		"nodes take the URL as\n"
		"  registry.source and the key as registry.key.\n",
	.run = run,
};
