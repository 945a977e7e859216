/* SPDX-License-Identifier: Apache-2.0
 * What the long-running verbs (gateway, node, up) share: logs, limits of the process, gauges. */
#ifndef RELAY_CLI_PROGRAM_H
#define RELAY_CLI_PROGRAM_H

#include "relay/config/config.h"

struct ledger;
struct registry;

/* Logs as configured, named `name`, and as many open files as the system lets this process have;
 * when that is less than program_files() it is said, and the program goes on. */
void program_start(const struct config *config, enum config_role role, const char *name);
/* How many files a program of this role may have open when all its limits on connections are
 * reached. */
uint64_t program_files(const struct config *config, enum config_role role);

/* Sets the gauges of metrics.def that are read off the ledger and the registry when somebody asks.
 * Either may be NULL. */
void program_refresh(struct ledger *ledger, struct registry *registry);

#endif
