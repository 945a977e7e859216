/* SPDX-License-Identifier: Apache-2.0
 * The actions of `counterfoil registry`, one file each. */
#ifndef RELAY_CLI_REGISTRY_VERBS_H
#define RELAY_CLI_REGISTRY_VERBS_H

#include "relay/cli/cli.h"

/* The actions of `counterfoil registry`, one each; exit status of the program. */
int registry_run_init(const struct verb *verb, int argc, char **argv);
int registry_run_show(const struct verb *verb, int argc, char **argv);
int registry_run_export(const struct verb *verb, int argc, char **argv);
int registry_run_serve(const struct verb *verb, int argc, char **argv);

#endif
