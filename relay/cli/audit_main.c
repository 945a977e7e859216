/* SPDX-License-Identifier: Apache-2.0
 * counterfoil-audit: the auditor's program.  Reads files, prints what it found; links neither an
 * event loop nor a network library, and a test looks at its `ldd` list. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "relay/audit/check.h"
#include "relay/audit/claims.h"
#include "relay/audit/prove.h"
#include "relay/audit/reconcile.h"
#include "relay/audit/repeats.h"
#include "relay/audit/session.h"
#include "relay/audit/shares.h"
#include "relay/audit/stats.h"
#include "relay/audit/verify.h"
#include "relay/base/mem.h"
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
	"  stats DIR              who answered how, by method and supplier: refusal rates and "
	"bounds;\n"
	"                         shares against the draw, requests asked again and again\n"
	"      --registry FILE --registry-key HEX   as for `session'\n"
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

struct options {
	bool json;
	const char *registry;
	const char *registry_key;
	const char *network;
	const char *gateway;
	const char *supplier;
	const char *methods;
};

struct audit_verb {
	const char *name;
	int operands_min, operands_max;
	const char *options; /* names that it takes besides json, between spaces */
	int (*run)(const struct audit_verb *verb, const struct options *options, int n,
		   char **operands);
};

static int usage(const char *fmt, ...) PRINTF(1, 2);

static int usage(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "counterfoil-audit: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry `counterfoil-audit --help'.\n");
	return AUDIT_USAGE;
}

static int fail(const struct err *err)
{
	fprintf(stderr, "counterfoil-audit: %s\n", err->msg);
	return AUDIT_IO;
}

static int put_out(const struct buf *out, int status)
{
	if (fwrite(out->p, 1, out->n, stdout) == out->n && fflush(stdout) == 0)
		return status;
	fprintf(stderr, "counterfoil-audit: standard output: %s\n", strerror(errno));
	return AUDIT_IO;
}

static int finish(const struct audit_verb *verb, const struct options *options,
		  const struct audit_report *report, enum audit_status status)
{
	CLEANUP(buf_finish) struct buf out = {0};

	if (options->json)
		audit_report_put_json(report, verb->name, status, &out);
	else
		audit_report_put_text(report, verb->name, status, &out);
	return put_out(&out, status);
}

/* --- verbs --- */

static int run_verify(const struct audit_verb *verb, const struct options *options, int n,
		      char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder folder = {.lanes_n = 0};
	struct err err;

	if (!audit_folder_open(operands[0], &report, &folder, &err))
		return fail(&err);
	audit_verify(&folder, &report);
	return finish(verb, options, &report, audit_report_status(&report));
}

/* A registry file of the auditor's own, and the key that he knows. */
struct own_registry {
	struct view map; /* p = NULL: none was given */
	bool pinned;
	struct key_id key;
};

static void own_registry_finish_at(struct own_registry *own)
{
	audit_unmap(own->map);
}

/* AUDIT_CLEAN, or the status after a message on standard error. */
static int own_registry_open(const struct options *options, struct own_registry *ret)
{
	const char *hex = options->registry_key;
	bool missing = false;
	struct err err;

	ret->pinned = hex != NULL;
	if (hex != NULL && !hex_decode(hex, strlen(hex), ret->key.b, sizeof(ret->key.b)))
		return usage("--registry-key %s: not 64 hex digits", hex);
	if (options->registry == NULL)
		return AUDIT_CLEAN;
	if (!audit_map(options->registry, UINT64_C(1) << 30, &ret->map, &missing, &err))
		return fail(&err);
	if (ret->map.p == NULL) {
		err_set(&err, ERR_IO, "%s: missing or empty", options->registry);
		return fail(&err);
	}
	return AUDIT_CLEAN;
}

static int run_session(const struct audit_verb *verb, const struct options *options, int n,
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
		return fail(&err);
	audit_sessions(&folder, own.map.p != NULL ? own.map : folder.registry,
		       own.pinned ? &own.key : NULL, &report);
	return finish(verb, options, &report, audit_report_status(&report));
}

/* The shares of a gateway's folder, and the draws; what is missing for them is a note. */
static void find_shares(const struct audit_folder *folder, const struct own_registry *own,
			struct audit_report *report, struct shares *ret)
{
	CLEANUP(audit_registry_finish) struct audit_registry registry = {.view = NULL};
	struct view bytes = own->map.p != NULL ? own->map : folder->registry;
	CLEANUP(xfree) struct share_use *uses = NULL;

	if (bytes.p == NULL) {
		audit_find(report, AUDIT_NOTE, "no_registry", NULL, AUDIT_NO_SEQ,
			   "no registry file: nothing is said of shares");
		return;
	}
	if (!audit_registry_open(bytes, own->pinned ? &own->key : NULL, &folder->network, report,
				 &registry))
		return;
	if (folder->role == AUDIT_GATEWAY) {
		size_t n = audit_uses_of_folder(folder, &uses);

		audit_shares_add_uses(&registry, SHARE_RELAYS, uses, n, ret);
	} else {
		audit_find(report, AUDIT_NOTE, "one_supplier", NULL, AUDIT_NO_SEQ,
			   "a supplier's folder: only a gateway's has what others were asked");
	}
	audit_shares_add_draws(&registry, ret);
}

static int run_stats(const struct audit_verb *verb, const struct options *options, int n,
		     char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder folder = {.lanes_n = 0};
	CLEANUP(own_registry_finish) struct own_registry own = {.pinned = false};
	CLEANUP(audit_stats_finish) struct audit_stats stats = {.n = 0};
	CLEANUP(audit_repeats_finish) struct repeats repeats = {.n = 0};
	CLEANUP(audit_shares_finish) struct shares shares = {.n = 0};
	CLEANUP(buf_finish) struct buf out = {0};
	int wrong = own_registry_open(options, &own);
	enum audit_status status;
	struct err err;

	if (wrong)
		return wrong;
	if (!audit_folder_open(operands[0], &report, &folder, &err))
		return fail(&err);
	audit_stats(&folder, &stats);
	audit_repeats(&folder, &repeats);
	find_shares(&folder, &own, &report, &shares);
	status = audit_report_status(&report);
	if (options->json) {
		buf_put_str(&out, "{\"rows\":");
		audit_stats_put_json(&stats, &out);
		buf_put_str(&out, ",\"shares\":");
		audit_shares_put_json(&shares, &out);
		buf_put_str(&out, ",\"repeats\":");
		audit_repeats_put_json(&repeats, &out);
		buf_put_str(&out, ",\"report\":");
		audit_report_put_json(&report, verb->name, status, &out);
		out.n--; /* its newline */
		buf_put_str(&out, "}\n");
	} else {
		audit_stats_put_text(&stats, &out);
		audit_shares_put_text(&shares, &out);
		audit_repeats_put_text(&repeats, &out);
		audit_report_put_text(&report, verb->name, status, &out);
	}
	return put_out(&out, status);
}

/* As many folders as operands. */
struct folders {
	size_t n;
	struct audit_folder *v;
};

static void folders_finish_at(struct folders *folders)
{
	for (size_t i = 0; i < folders->n; i++)
		audit_folder_finish(&folders->v[i]);
	free(folders->v);
}

static bool folders_open(int n, char **paths, struct audit_report *report, struct folders *ret,
			 struct err *err)
{
	ret->v = xcalloc((size_t)n, sizeof(*ret->v));
	for (int i = 0; i < n; i++) {
		if (!audit_folder_open(paths[i], report, &ret->v[i], err))
			return false;
		ret->n++;
		if (ret->n > 1 && !ID_EQ(&ret->v[0].network, &ret->v[i].network))
			audit_find(report, AUDIT_LOCAL, "network", NULL, AUDIT_NO_SEQ,
				   "%s is of another network", paths[i]);
	}
	return true;
}

/* Reads a claims file; what is wrong with it is a finding, and false. */
static bool read_claims(struct view bytes, const struct key_id *key, struct audit_report *report,
			struct claims_file *ret)
{
	struct err err;

	if (claims_file_parse(bytes, key, ret, &err))
		return true;
	audit_find(report, AUDIT_LOCAL, "claims", NULL, AUDIT_NO_SEQ, "%s", err.msg);
	return false;
}

static bool map_file(const char *path, size_t max_bytes, struct view *ret, struct err *err)
{
	bool missing = false;

	if (!audit_map(path, max_bytes, ret, &missing, err))
		return false;
	return ret->p != NULL || err_set(err, ERR_IO, "%s: missing or empty", path);
}

/* The registry file that was given, else the first one of a folder. */
static struct view find_registry(const struct own_registry *own, const struct folders *folders)
{
	struct view found = own->map;

	for (size_t i = 0; i < folders->n && found.p == NULL; i++)
		found = folders->v[i].registry;
	return found;
}

static int put_claims(const struct audit_verb *verb, const struct options *options,
		      const struct audit_claims *claims, const struct audit_report *report)
{
	enum audit_status status = audit_report_status(report);
	CLEANUP(buf_finish) struct buf out = {0};

	if (options->json) {
		buf_put_str(&out, "{");
		audit_claims_put_json(claims, &out);
		buf_put_str(&out, ",\"report\":");
		audit_report_put_json(report, verb->name, status, &out);
		out.n--; /* its newline */
		buf_put_str(&out, "}\n");
	} else {
		audit_claims_put_text(claims, &out);
		audit_report_put_text(report, verb->name, status, &out);
	}
	return put_out(&out, status);
}

static int run_claims(const struct audit_verb *verb, const struct options *options, int n,
		      char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(own_registry_finish) struct own_registry own = {.pinned = false};
	CLEANUP(folders_finish) struct folders folders = {.n = 0};
	CLEANUP(audit_registry_finish) struct audit_registry registry = {.view = NULL};
	CLEANUP(claims_file_finish) struct claims_file file = {.n = 0};
	CLEANUP(audit_claims_finish) struct audit_claims claims = {.height = 0};
	int wrong = own_registry_open(options, &own);
	struct view map;
	struct err err;

	if (wrong)
		return wrong;
	if (!folders_open(n - 1, operands + 1, &report, &folders, &err) ||
	    !map_file(operands[0], CLAIMS_FILE_MAX, &map, &err))
		return fail(&err);
	struct view bytes = find_registry(&own, &folders);
	if (bytes.p == NULL)
		audit_find(&report, AUDIT_OPEN, "no_registry", NULL, AUDIT_NO_SEQ,
			   "no folder has a registry file and none was given");
	else if (audit_registry_open(bytes, own.pinned ? &own.key : NULL, NULL, &report,
				     &registry) &&
		 read_claims(map, &registry.key, &report, &file))
		audit_claims(&registry, &file, folders.v, folders.n, &report, &claims);
	audit_unmap(map);
	return put_claims(verb, options, &claims, &report);
}

static int run_reconcile(const struct audit_verb *verb, const struct options *options, int n,
			 char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder a = {.lanes_n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder b = {.lanes_n = 0};
	struct err err;

	if (!audit_folder_open(operands[0], &report, &a, &err) ||
	    !audit_folder_open(operands[1], &report, &b, &err))
		return fail(&err);
	audit_reconcile(&a, &b, &report);
	return finish(verb, options, &report, audit_report_status(&report));
}

static int run_prove(const struct audit_verb *verb, const struct options *options, int n,
		     char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder folder = {.lanes_n = 0};
	CLEANUP(bundle_finish) struct bundle bundle = {.index = 0};
	CLEANUP(buf_finish) struct buf out = {0};
	struct lane_id lane;
	uint64_t seq;
	struct err err;

	if (!hex_decode(operands[1], strlen(operands[1]), lane.b, sizeof(lane.b)))
		return usage("%s: a lane is 32 hex digits", operands[1]);
	if (!u64_parse(operands[2], strlen(operands[2]), &seq))
		return usage("%s: a seq is a whole number", operands[2]);
	if (!audit_folder_open(operands[0], &report, &folder, &err) ||
	    !audit_prove(&folder, &lane, seq, &bundle, &err))
		return fail(&err);
	bundle_put_json(&bundle, &out);
	return put_out(&out, AUDIT_CLEAN);
}

static bool read_stdin(struct buf *ret, struct err *err)
{
	size_t got;

	do {
		buf_reserve(ret, 1 << 16);
		got = fread(ret->p + ret->n, 1, 1 << 16, stdin);
		ret->n += got;
	} while (got > 0 && ret->n <= BUNDLE_JSON_MAX);
	if (ferror(stdin))
		return err_set(err, ERR_IO, "standard input: %s", strerror(errno));
	return true;
}

static bool read_bundle(const char *path, struct bundle *ret, struct err *err)
{
	CLEANUP(buf_finish) struct buf input = {0};
	struct view map = {NULL, 0};
	bool missing = false;

	if (strcmp(path, "-") == 0)
		return read_stdin(&input, err) && bundle_parse(buf_view(&input), ret, err);
	if (!audit_map(path, BUNDLE_JSON_MAX, &map, &missing, err))
		return false;
	if (missing)
		return err_set(err, ERR_IO, "%s: no such file", path);
	bool fine = bundle_parse(map, ret, err);
	audit_unmap(map);
	return fine || err_prefix(err, "%s", path);
}

/* What the options say of the parties; false with a message on standard error. */
static bool read_known(const struct options *options, struct network_id *network,
		       struct key_id *gateway, struct key_id *supplier, struct audit_known *ret)
{
	const struct {
		const char *name, *text;
		uint8_t *dst;
	} keys[] = {{"network", options->network, network->b},
		    {"gateway", options->gateway, gateway->b},
		    {"supplier", options->supplier, supplier->b}};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].text == NULL ||
		    hex_decode(keys[i].text, strlen(keys[i].text), keys[i].dst, 32))
			continue;
		usage("--%s: not 64 hex digits", keys[i].name);
		return false;
	}
	*ret = (struct audit_known){.network = options->network ? network : NULL,
				    .gateway = options->gateway ? gateway : NULL,
				    .supplier = options->supplier ? supplier : NULL};
	return true;
}

static bool read_methods(const char *path, struct method_table **ret, struct err *err)
{
	struct view map;
	bool missing;

	if (!audit_map(path, METHOD_TABLE_BYTES_MAX, &map, &missing, err))
		return false;
	bool fine = method_table_parse(map, ret, err);
	audit_unmap(map);
	return fine || err_prefix(err, "%s", path);
}

static int run_check(const struct audit_verb *verb, const struct options *options, int n,
		     char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(method_table_destroy) struct method_table *methods = NULL;
	struct bundle bundles[AUDIT_CHECK_MAX] = {{.index = 0}};
	struct key_id gateway, supplier;
	struct network_id network;
	struct audit_known known;
	bool fine = true;
	struct err err;

	if (!read_known(options, &network, &gateway, &supplier, &known))
		return AUDIT_USAGE;
	if (options->methods != NULL && !read_methods(options->methods, &methods, &err))
		return fail(&err);
	known.methods = methods;
	for (int i = 0; i < n && fine; i++)
		fine = read_bundle(operands[i], &bundles[i], &err);
	if (fine)
		audit_check(bundles, (size_t)n, &known, &report);
	for (int i = 0; i < n; i++)
		bundle_finish(&bundles[i]);
	if (!fine)
		return fail(&err);
	return finish(verb, options, &report, audit_report_verdict(&report));
}

static const struct audit_verb verbs[] = {
	{"verify", 1, 1, " ", run_verify},
	{"session", 1, 1, " registry registry-key ", run_session},
	{"stats", 1, 1, " registry registry-key ", run_stats},
	{"claims", 1, 1 << 16, " registry registry-key ", run_claims},
	{"reconcile", 2, 2, " ", run_reconcile},
	{"prove", 3, 3, " ", run_prove},
	{"check", 1, AUDIT_CHECK_MAX, " network gateway supplier methods ", run_check},
};

/* --- the command line --- */

/* Where the value of an option goes; NULL: there is no such option. */
static const char **option_slot(struct options *options, const char *name, size_t n)
{
	const struct {
		const char *name;
		const char **slot;
	} slots[] = {{"registry", &options->registry}, {"registry-key", &options->registry_key},
		     {"network", &options->network},   {"gateway", &options->gateway},
		     {"supplier", &options->supplier}, {"methods", &options->methods}};

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
static int parse(const struct audit_verb *verb, int argc, char **argv, struct options *options,
		 int *ret_n)
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
			return usage("unknown option %s", argv[i]);
		if (name[len] == '=')
			*slot = name + len + 1;
		else if (i + 1 < argc)
			*slot = argv[++i];
		else
			return usage("%s needs a value", argv[i]);
	}
	*ret_n = n;
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = {.json = false};
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
			return usage("wrong number of operands for %s", verbs[v].name);
		return verbs[v].run(&verbs[v], &options, n, argv + 2);
	}
	return usage("there is no verb `%s'", argv[1]);
}
