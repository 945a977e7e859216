/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <sodium.h>
#include <sqlite3.h>

#include "relay/cli/cli.h"

static int run(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {{.name = "libraries", .is_flag = true}};
	int n;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), false, &n))
		return CLI_USAGE;
	if (n > 0)
		return cli_usage(verb, "no operand is expected");
	printf("counterfoil %s\n", COUNTERFOIL_VERSION);
	if (options[0].value != NULL)
		printf("libevent %s\n%s\nlibsodium %s\nsqlite %s\n", event_get_version(),
		       curl_version(), sodium_version_string(), sqlite3_libversion());
	return CLI_OK;
}

const struct verb verb_version = {
	.name = "version",
	.usage = "[--libraries]",
	.summary = "print the version",
	.help = "  --libraries   also the versions of the libraries that are in use\n",
	.run = run,
};
