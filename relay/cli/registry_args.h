/* SPDX-License-Identifier: Apache-2.0
 * What the verbs that write a sqlite registry share: their operands, and saying from when on what
 * they wrote counts. */
#ifndef RELAY_CLI_REGISTRY_ARGS_H
#define RELAY_CLI_REGISTRY_ARGS_H

#include "relay/cli/cli.h"
#include "session/registry/store.h"

/* Help on --registry and --dry-run. */
#define REGISTRY_OPTIONS_HELP                                                                      \
	"  --registry FILE   the sqlite registry; default: $COUNTERFOIL_REGISTRY_SOURCE\n"         \
	"  --dry-run         check everything and keep nothing\n"

/* The source that --registry gives (may be NULL), else the environment's.  Errors: ERR_USAGE. */
MUST_USE bool registry_source(const char *option, const char **ret, struct err *err);

/* 64 hex digits.  `what` stands in the message.  Errors: ERR_USAGE. */
MUST_USE bool registry_parse_key(const char *what, const char *text, struct key_id *ret,
				 struct err *err);
/* A whole number of tokens, up to 2^96 - 1. */
MUST_USE bool registry_parse_amount(const char *what, const char *text, u128 *ret, struct err *err);
MUST_USE bool registry_parse_number(const char *what, const char *text, uint64_t max, uint64_t *ret,
				    struct err *err);
/* An address that a gateway can dial: host:port or unix:/path.  Errors: ERR_USAGE. */
MUST_USE bool registry_parse_endpoint(const char *what, const char *text, struct err *err);
MUST_USE bool registry_parse_service(const char *text, struct service_name *ret, struct err *err);

/* Opens the registry that is to be written; errors as store_open(). */
MUST_USE bool registry_open_store(const char *option, struct store **ret, struct err *err);

/* The present, for a write. */
struct store_write registry_write_now(bool dry_run);

/* Prints "counts from height H on; first in the session that starts in 57 s (height S)" or, for a
 * dry run, that nothing was written. */
void registry_print_effect(const struct store *store, const struct store_write *w, height_t height,
			   const struct session_params *p);

/* The entries as they are now.  Errors: as store_history(). */
MUST_USE bool registry_read(struct store *store, struct history **ret, struct err *err);

#endif
