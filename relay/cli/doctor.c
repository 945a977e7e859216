/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/base/log.h"
#include "relay/cli/cli.h"

void doctor_pass(const char *subject, const char *fmt, ...)
{
	va_list args;

	printf("pass  %s: ", subject);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void doctor_fix(struct doctor *doctor, const char *subject, const char *fmt, ...)
{
	va_list args;

	printf("fix   %s: ", subject);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	doctor->fixes++;
}

/* Whose file it is, when nobody says. */
static enum config_role guess_role(const struct config *config)
{
	return config->node.key != NULL || config->node.services.n > 0 ? CONFIG_NODE
								       : CONFIG_GATEWAY;
}

static bool role_of(const struct verb *verb, const char *word, int argc, char **argv,
		    enum config_role *ret, int *ret_status)
{
	struct config *config;

	if (word != NULL) {
		*ret = strcmp(word, "node") == 0 ? CONFIG_NODE : CONFIG_GATEWAY;
		if (*ret == CONFIG_NODE || strcmp(word, "gateway") == 0)
			return true;
		*ret_status = cli_usage(verb, "--role is gateway or node");
		return false;
	}
	config = cli_config(verb, CONFIG_ANY, argc, argv, ret_status);
	if (config == NULL)
		return false;
	*ret = guess_role(config);
	config_destroy(config);
	return true;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct cli_option options[] = {{.name = "role"}};
	CLEANUP(config_destroy) struct config *config = NULL;
	struct doctor doctor = {0};
	int n, status;

	if (!cli_options(verb, argc, argv, options, ARRAY_SIZE(options), true, &n))
		return CLI_USAGE;
	if (n < 1)
		return cli_usage(verb, "which configuration file?");
	if (role_of(verb, options[0].value, n + 1, argv, &doctor.role, &status))
		config = cli_config(verb, doctor.role, n + 1, argv, &status);
	if (config == NULL) {
		if (status == CLI_FAILED)
			doctor_fix(&doctor, "configuration",
				   "correct what is said above, then ask again");
		return status;
	}
	log_init(LOG_LEVEL_ERROR, STDERR_FILENO, NULL); /* the lines below say it all */
	doctor.config = config;
	doctor_pass("configuration", "%s, for a %s", argv[1],
		    doctor.role == CONFIG_NODE ? "node" : "gateway");
	doctor_key(&doctor);
	if (doctor.role == CONFIG_NODE)
		doctor_backends(&doctor);
	doctor_registry(&doctor);
	doctor_disk(&doctor);
	doctor_files(&doctor);
	return doctor.fixes == 0 ? CLI_OK : CLI_FAILED;
}

const struct verb verb_doctor = {
	.name = "doctor",
	.usage = "[--role gateway|node] FILE [--SECTION.OPTION VALUE]...",
	.summary = "look for what would keep a gateway or a node from working",
	.help = "Looks at the configuration, the key file, the backends (eth_chainId), the "
		"registry and\n"
		"whether this identity is staked or granted there, the clock, the disk and the "
		"limit on\n"
		"open files.  Each line begins with `pass', or with `fix' and says what to do.  "
		"Exits\n"
		"with 1 if anything is to be fixed.  It changes nothing.\n"
		"\n"
		"  --role ROLE   gateway or node; without it the file decides\n",
	.run = run,
};
