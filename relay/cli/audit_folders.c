/* SPDX-License-Identifier: Apache-2.0
 * counterfoil-audit: verbs over whole folders of receipts. */
#include "relay/audit/reconcile.h"
#include "relay/audit/session.h"
#include "relay/audit/verify.h"
#include "relay/cli/audit_verbs.h"

int audit_run_verify(const struct audit_verb *verb, const struct audit_options *options, int n,
		     char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder folder = {.lanes_n = 0};
	struct err err;

	if (!audit_folder_open(operands[0], &report, &folder, &err))
		return audit_fail(&err);
	audit_verify(&folder, &report);
	return audit_finish(verb, options, &report, audit_report_status(&report));
}

int audit_run_session(const struct audit_verb *verb, const struct audit_options *options, int n,
		      char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder folder = {.lanes_n = 0};
	CLEANUP(own_registry_finish) struct own_registry own = {.pinned = false};
	int wrong = own_registry_open(options, &own);
	struct err err;

	if (wrong)
		return wrong;
	if (!audit_folder_open(operands[0], &report, &folder, &err))
		return audit_fail(&err);
	audit_sessions(&folder, own.map.p != NULL ? own.map : folder.registry,
		       own.pinned ? &own.key : NULL, &report);
	return audit_finish(verb, options, &report, audit_report_status(&report));
}

int audit_run_reconcile(const struct audit_verb *verb, const struct audit_options *options, int n,
			char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder a = {.lanes_n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder b = {.lanes_n = 0};
	struct err err;

	if (!audit_folder_open(operands[0], &report, &a, &err) ||
	    !audit_folder_open(operands[1], &report, &b, &err))
		return audit_fail(&err);
	audit_reconcile(&a, &b, &report);
	return audit_finish(verb, options, &report, audit_report_status(&report));
}
