/* SPDX-License-Identifier: Apache-2.0
 * What the verbs of `counterfoil` share: one file a verb, each with a `const struct verb verb_NAME`
 * that verbs.def lists; main.c only dispatches.  Verbs print for people on standard output and what
 * went wrong on standard error; nothing below this layer prints. */
#ifndef RELAY_CLI_CLI_H
#define RELAY_CLI_CLI_H

#include "relay/config/config.h"
#include "relay/crypto/passphrase.h"

/* Exit statuses of every verb. */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* it could not be done, or a check did not pass */
	CLI_USAGE = 3,	/* the command line is wrong */
};

struct verb {
	const char *name;    /* "check-config" */
	const char *usage;   /* what follows the name: "[--role ROLE] FILE" */
	const char *summary; /* one line, no full stop */
	const char *help; /* paragraphs, options, examples; lines of at most 79 columns, each ending
			   * in \n */
	int (*run)(const struct verb *verb, int argc, char **argv); /* argv[0]: the verb */
};

#define V(id) extern const struct verb verb_##id;
#include "relay/cli/verbs.def"
#undef V

/* Prints usage, summary and help of a verb. */
void cli_help(const struct verb *verb);

/* "counterfoil VERB: MESSAGE" and where to read on; returns CLI_USAGE. */
int cli_usage(const struct verb *verb, const char *fmt, ...) PRINTF(2, 3);
/* "counterfoil: MESSAGE"; returns CLI_USAGE for ERR_USAGE, else CLI_FAILED. */
int cli_fail(const struct err *err);

/* --- options of a verb --- */

/* One option: "--name VALUE", "--name=VALUE", or "--name" alone when is_flag. */
struct cli_option {
	const char *name; /* without dashes */
	bool is_flag;
	bool repeats;	     /* may be given again; values is then filled */
	const char *value;   /* out: the last value, "" for a flag that is given, NULL: not given */
	const char **values; /* out: all values of one that repeats; room for argc, the caller's */
	size_t values_n;
};

/* Takes the options out of argv[1..]; what is left (in order) are the operands, *ret_operands of
 * them at argv[1..].  "--" ends options.  With rest, unknown "--section.option" arguments are left
 * in place for config_load().  On a fault prints cli_usage() and returns false. */
MUST_USE bool cli_options(const struct verb *verb, int argc, char **argv,
			  struct cli_option *options, size_t count, bool rest, int *ret_operands);

/* --- what several verbs do --- */

/* The configuration for a role from `[--config FILE | FILE] [--section.option VALUE]...`, the
 * environment included; prints all problems and returns NULL when there are any. */
struct config *cli_config(const struct verb *verb, enum config_role role, int argc, char **argv,
			  int *ret_exit);

/* A passphrase, from the first line of `file`, else from COUNTERFOIL_PASSPHRASE, else typed on the
 * terminal without echo (twice when `twice`) if `ask`.
 * Out: ret  for passphrase_free(); NULL when there is none */
MUST_USE bool cli_passphrase(const char *file, bool ask, bool twice, char **ret, struct err *err);

/* Opens a key of a role with the passphrase that the file needs: of `passphrase_file`, of the
 * environment, or asked for. */
MUST_USE bool cli_key_load(const char *path, const char *passphrase_file, enum key_role role,
			   struct relay_key **ret, struct err *err);

/* --- verbs with verbs: `key new`, `registry init` --- */

struct cli_action {
	const char *name;
	int (*run)(const struct verb *verb, int argc, char **argv); /* argv[0]: the action */
};

/* Runs the action that argv[1] names; an unknown one is CLI_USAGE with a hint. */
int cli_dispatch(const struct verb *verb, const struct cli_action *actions, size_t count, int argc,
		 char **argv);

#endif
