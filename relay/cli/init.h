/* SPDX-License-Identifier: Apache-2.0
 * What `counterfoil init` has been asked for and has made: init.c writes the files, init_next.c
 * says what comes next. */
#ifndef RELAY_CLI_INIT_H
#define RELAY_CLI_INIT_H

#include <limits.h>

#include "relay/base/mem.h"
#include "relay/cli/cli.h"

#define INIT_GIVEN_MAX 16
#define INIT_STAKE_UNITS 1000 /* suggested stake, in units of the draw */
#define INIT_BUDGET 1000000   /* suggested tokens a session */

enum {
	OPT_DIR,
	OPT_REGISTRY,
	OPT_REGISTRY_KEY,
	OPT_LISTEN,
	OPT_ADMIN,
	OPT_ENCRYPT,
	OPT_PASSPHRASE,
	OPT_ENDPOINT,
	OPT_BACKEND,
	OPT_STAKE, /* node */
	OPT_APPLICATION,
	OPT_SERVICE,
	OPT_BUDGET, /* gateway */
	OPTIONS
};

/* What was asked for, and what has been made of it. */
struct init {
	const struct verb *verb;
	bool is_node;
	struct cli_option o[OPTIONS];
	char dir[PATH_MAX];
	struct arena *arena; /* of the texts below */
	struct config_given given[INIT_GIVEN_MAX];
	size_t given_n;
	struct key_id self;
	struct key_id application;
	char *application_key;	/* its file; NULL when the key is somebody else's */
	bool registry_is_local; /* a sqlite file that this machine may write */
	uint64_t budget;	/* tokens a session */
	const char *registry;	/* absolute path or URL; NULL: not said */
};

/* A text as printf() makes it, in the arena. */
char *init_text(struct init *in, const char *fmt, ...) PRINTF(2, 3);
/* A key in hex, in the arena. */
char *init_hex(struct init *in, const struct key_id *key);

/* Prints the line for the registry, and what to run then.  `path`: the configuration. */
void init_print_next(struct init *in, const char *path);

#endif
