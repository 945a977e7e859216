/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/cli/cli.h"

static bool parse_role(const char *s, enum config_role *ret)
{
	if (s == NULL || strcmp(s, "any") == 0)
		*ret = CONFIG_ANY;
	else if (strcmp(s, "gateway") == 0)
		*ret = CONFIG_GATEWAY;
	else if (strcmp(s, "node") == 0)
		*ret = CONFIG_NODE;
	else
		return false;
	return true;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {{.name = "role"}, {.name = "print", .is_flag = true}};
	CLEANUP(config_destroy) struct config *config = NULL;
	CLEANUP(buf_finish) struct buf text = {0};
	enum config_role role;
	int n, status;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), true, &n))
		return CLI_USAGE;
	if (!parse_role(options[0].value, &role))
		return cli_usage(verb, "--role is gateway, node or any");
	if (n < 1)
		return cli_usage(verb, "which file?");
	config = cli_config(verb, role, n + 1, argv, &status);
	if (config == NULL)
		return status;
	if (options[1].value != NULL) {
		config_print(config, role, &text);
		printf("%s", buf_cstr(&text));
	} else {
		printf("%s: the configuration is valid\n", argv[1]);
	}
	return CLI_OK;
}

const struct verb verb_check_config = {
	.name = "check-config",
	.usage = "[--role gateway|node] [--print] FILE [--SECTION.OPTION VALUE]...",
	.summary = "check a configuration file",
	.help = "Reports everything that is wrong, each with file, line and column, and exits with "
		"1 if\n"
		"anything is.  The environment (COUNTERFOIL_SECTION_OPTION) and options on the "
		"command\n"
		"line count, as they do for the programs.  Nothing but the file is opened: "
		"`counterfoil\n"
		"doctor' looks at keys, backends and the registry.\n"
		"\n"
		"  --role ROLE   also ask for what a gateway or a node must be given\n"
		"  --print       print the values in force and where each comes from\n"
		"\n"
		"docs/configuration.md lists the options.\n",
	.run = run,
};
