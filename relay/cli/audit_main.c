/* SPDX-License-Identifier: Apache-2.0
 * counterfoil-audit: the auditor's program.  Reads files, prints what it found; links neither an
 * event loop nor a network library, and a test looks at its `ldd` list. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "relay/audit/check.h"
#include "relay/base/mem.h"
#include "relay/cli/audit_verbs.h"
#include "relay/crypto/digest.h"

static const char help[] =
	"usage: counterfoil-audit VERB [OPTION]... OPERAND...\n"
	"\n"
	"Checks receipts in files: folders made by `counterfoil ledger export --audit DIR', and\n"
	"bundles as a gateway serves them.  It opens no connection.\n"
	"\n"
	"  verify DIR             signatures, roots, tiles, sequence, intervals, compute units\n"
	"  session DIR            recompute the draw: was the supplier a member, the grant "
	"active?\n"
	"      --registry FILE      a registry file of one's own instead of the folder's\n"
	"      --registry-key HEX   the network's registry key: pin it\n"
	"  stats [DIR]            who answered how, by method and supplier: refusal rates and "
	"bounds;\n"
	"                         shares against the draw, requests asked again and again\n"
	"      --registry FILE --registry-key HEX   as for `session'\n"
	"      --claims FILE        shares of what was claimed, by a claims file\n"
	"  claims FILE DIR...     a claims file against the registry file, and the leaves of both "
	"sides:\n"
	"                         each claim, proof, payment and penalty, and the books\n"
	"      --registry FILE --registry-key HEX   as for `session'\n"
	"  reconcile DIR DIR      a gateway's folder and a node's: name every difference\n"
	"  prove DIR LANE SEQ     print the bundle of one receipt\n"
	"  check FILE...          bundles, offline; `-' is standard input.  Several of one lane "
	"are\n"
	"                         also held against each other\n"
	"      --network HEX --gateway HEX --supplier HEX   who it must be from\n"
	"      --methods FILE       the service's method table: check the compute units\n"
	"\n"
	"  --json                 one line of JSON instead of text\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 clean, 1 findings (for `check': a fault that signed bytes prove), 2\n"
	"inconclusive, 3 wrong usage, 4 input or output failed.\n"
	"docs/auditing.md tells what each finding means.\n";

int audit_usage(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "counterfoil-audit: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry `counterfoil-audit --help'.\n");
	return AUDIT_USAGE;
}

int audit_fail(const struct err *err)
{
	fprintf(stderr, "counterfoil-audit: %s\n", err->msg);
	return AUDIT_IO;
}

int audit_put_out(const struct buf *out, int status)
{
	if (fwrite(out->p, 1, out->n, stdout) == out->n && fflush(stdout) == 0)
		return status;
	fprintf(stderr, "counterfoil-audit: standard output: %s\n", strerror(errno));
	return AUDIT_IO;
}

int audit_finish(const struct audit_verb *verb, const struct audit_options *options,
		 const struct audit_report *report, enum audit_status status)
{
	CLEANUP(buf_finish) struct buf out = {0};

	if (options->json)
		audit_report_put_json(report, verb->name, status, &out);
	else
		audit_report_put_text(report, verb->name, status, &out);
	return audit_put_out(&out, status);
}

static const struct audit_verb verbs[] = {
	{"verify", 1, 1, " ", audit_run_verify},
	{"session", 1, 1, " registry registry-key ", audit_run_session},
	{"stats", 0, 1, " registry registry-key claims ", audit_run_stats},
	{"claims", 1, 1 << 16, " registry registry-key ", audit_run_claims},
	{"reconcile", 2, 2, " ", audit_run_reconcile},
	{"prove", 3, 3, " ", audit_run_prove},
	{"check", 1, AUDIT_CHECK_MAX, " network gateway supplier methods ", audit_run_check},
};

/* --- the command line --- */

/* Where the value of an option goes; NULL: there is no such option. */
static const char **option_slot(struct audit_options *options, const char *name, size_t n)
{
	const struct {
		const char *name;
		const char **slot;
	} slots[] = {{"registry", &options->registry}, {"registry-key", &options->registry_key},
		     {"network", &options->network},   {"gateway", &options->gateway},
		     {"supplier", &options->supplier}, {"methods", &options->methods},
		     {"claims", &options->claims}};

	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		if (strlen(slots[i].name) == n && memcmp(slots[i].name, name, n) == 0)
			return slots[i].slot;
	return NULL;
}

static bool verb_takes(const struct audit_verb *verb, const char *name, size_t n)
{
	CLEANUP(xfree) char *word = xasprintf(" %.*s ", (int)n, name);

	return strstr(verb->options, word) != NULL;
}

/* Takes options out of argv; *ret_n operands are left at argv[0..]. */
static int parse(const struct audit_verb *verb, int argc, char **argv,
		 struct audit_options *options, int *ret_n)
{
	int n = 0;

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0) {
			argv[n++] = argv[i];
			continue;
		}
		const char *name = argv[i] + 2;
		size_t len = strcspn(name, "=");
		if (strcmp(name, "json") == 0) {
			options->json = true;
			continue;
		}
		const char **slot = option_slot(options, name, len);
		if (slot == NULL || !verb_takes(verb, name, len))
			return audit_usage("unknown option %s", argv[i]);
		if (name[len] == '=')
			*slot = name + len + 1;
		else if (i + 1 < argc)
			*slot = argv[++i];
		else
			return audit_usage("%s needs a value", argv[i]);
	}
	*ret_n = n;
	return 0;
}

int main(int argc, char **argv)
{
	struct audit_options options = {.json = false};
	int n = 0;

	crypto_init();
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return 0;
		}
	}
	if (argc < 2) {
		fputs(help, stderr);
		return AUDIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("counterfoil-audit " COUNTERFOIL_VERSION);
		return 0;
	}
	for (size_t v = 0; v < ARRAY_SIZE(verbs); v++) {
		if (strcmp(argv[1], verbs[v].name) != 0)
			continue;
		int wrong = parse(&verbs[v], argc - 2, argv + 2, &options, &n);
		if (wrong)
			return wrong;
		if (n < verbs[v].operands_min || n > verbs[v].operands_max)
			return audit_usage("wrong number of operands for %s", verbs[v].name);
		return verbs[v].run(&verbs[v], &options, n, argv + 2);
	}
	return audit_usage("there is no verb `%s'", argv[1]);
}
