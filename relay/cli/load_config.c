/* SPDX-License-Identifier: Apache-2.0
 * The configuration as verbs take it from their command line. */
#include <stdio.h>
#include <unistd.h>

#include "relay/cli/cli.h"

struct config *cli_config(const struct verb *verb, enum config_role role, int argc, char **argv,
			  int *ret_exit)
{
	struct cli_option options[] = {{.name = "config"}};
	struct config_source source = {.role = role, .env = (const char *const *)environ};
	CLEANUP(buf_finish) struct buf problems = {0};
	struct config *config = NULL;
	struct err err;
	int n, first = 1;

	*ret_exit = CLI_USAGE;
	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), true, &n))
		return NULL;
	source.path = options[0].value;
	if (source.path == NULL && n > 0 && argv[1][0] != '-')
		source.path = argv[first++];
	source.args = (const char *const *)argv + first;
	source.args_n = (size_t)n - (size_t)first + 1;
	if (config_load(&source, &config, &problems, &err))
		return config;
	fprintf(stderr, "%scounterfoil: %s\n", buf_cstr(&problems), err.msg);
	*ret_exit = CLI_FAILED;
	return NULL;
}
