/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil audit ...` is `counterfoil-audit ...`: a program of its own, which links no network.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "relay/cli/cli.h"

static int run(const struct verb *verb, int argc, char **argv)
{
	char self[PATH_MAX], path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct err err;

	argv[0] = (char[]){"counterfoil-audit"};
	if (n > 0) { /* the one that was built or installed with this program */
		self[n] = 0;
		snprintf(path, sizeof(path), "%s/counterfoil-audit", dirname(self));
		execv(path, argv);
	}
	execvp(argv[0], argv);
	err_set(&err, ERR_IO, "counterfoil-audit: %s", strerror(errno));
	return cli_fail(&err);
}

const struct verb verb_audit = {
	.name = "audit",
	.usage = "VERB ...",
	.summary = "check receipts in exported files (runs counterfoil-audit)",
	.help = "All that follows is given to counterfoil-audit, which reads files only and links "
		"no\n"
		"network code.  `counterfoil audit --help' is its own help.\n",
	.run = run,
};
