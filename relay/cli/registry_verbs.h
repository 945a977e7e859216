/* SPDX-License-Identifier: Apache-2.0
 * The actions of `counterfoil registry`, one file each. */
#ifndef RELAY_CLI_REGISTRY_VERBS_H
#define RELAY_CLI_REGISTRY_VERBS_H

#include "relay/cli/cli.h"
#include "session/history.h"

/* The actions of `counterfoil registry`, one each; exit status of the program. */
int registry_run_init(const struct verb *verb, int argc, char **argv);
int registry_run_show(const struct verb *verb, int argc, char **argv);
int registry_run_export(const struct verb *verb, int argc, char **argv);
int registry_run_serve(const struct verb *verb, int argc, char **argv);

/* Prints settlement and the books of a registry as of a time; its entries are `h`.
 * Errors: as of reading it; ERR_REGISTRY when the books do not balance, behind all that is printed.
 */
MUST_USE bool registry_print_money(const char *source, const struct history *h, msec_t now_ms,
				   struct err *err);

#endif
