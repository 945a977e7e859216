/* SPDX-License-Identifier: Apache-2.0
 * What the verbs of counterfoil-audit share: options, exit statuses, output. */
#ifndef RELAY_CLI_AUDIT_VERBS_H
#define RELAY_CLI_AUDIT_VERBS_H

#include "relay/audit/folder.h"

struct audit_options {
	bool json;
	const char *registry;
	const char *registry_key;
	const char *network;
	const char *gateway;
	const char *supplier;
	const char *methods;
	const char *claims;
};

struct audit_verb {
	const char *name;
	int operands_min, operands_max;
	const char *options; /* names that it takes besides json, between spaces */
	int (*run)(const struct audit_verb *verb, const struct audit_options *options, int n,
		   char **operands);
};

/* Each prints on standard error, and returns the exit status. */
int audit_usage(const char *fmt, ...) PRINTF(1, 2);
int audit_fail(const struct err *err);

/* Writes to standard output; `status`, or that of a failure. */
int audit_put_out(const struct buf *out, int status);
/* Prints a report in the form that the options ask for, and returns its status. */
int audit_finish(const struct audit_verb *verb, const struct audit_options *options,
		 const struct audit_report *report, enum audit_status status);

/* A registry file of the auditor's own, and the key that he knows. */
struct own_registry {
	struct view map; /* p = NULL: none was given */
	bool pinned;
	struct key_id key;
};

/* AUDIT_CLEAN, or the status after a message on standard error. */
int own_registry_open(const struct audit_options *options, struct own_registry *ret);
void own_registry_finish(struct own_registry *own);
static inline void own_registry_finish_at(struct own_registry *own)
{
	own_registry_finish(own);
}

/* The verbs; n operands, as many as struct audit_verb says. */
int audit_run_verify(const struct audit_verb *verb, const struct audit_options *options, int n,
		     char **operands);
int audit_run_session(const struct audit_verb *verb, const struct audit_options *options, int n,
		      char **operands);
int audit_run_stats(const struct audit_verb *verb, const struct audit_options *options, int n,
		    char **operands);
int audit_run_claims(const struct audit_verb *verb, const struct audit_options *options, int n,
		     char **operands);
int audit_run_reconcile(const struct audit_verb *verb, const struct audit_options *options, int n,
			char **operands);
int audit_run_prove(const struct audit_verb *verb, const struct audit_options *options, int n,
		    char **operands);
int audit_run_check(const struct audit_verb *verb, const struct audit_options *options, int n,
		    char **operands);

#endif
