/* SPDX-License-Identifier: Apache-2.0
 * counterfoil-audit: verbs over folders and what a registry says. */
#include "relay/audit/claims.h"
#include "relay/audit/repeats.h"
#include "relay/audit/shares.h"
#include "relay/audit/stats.h"
#include "relay/base/mem.h"
#include "relay/cli/audit_verbs.h"

void own_registry_finish(struct own_registry *own)
{
	audit_unmap(own->map);
}

int own_registry_open(const struct audit_options *options, struct own_registry *ret)
{
	const char *hex = options->registry_key;
	bool missing = false;
	struct err err;

	ret->pinned = hex != NULL;
	if (hex != NULL && !hex_decode(hex, strlen(hex), ret->key.b, sizeof(ret->key.b)))
		return audit_usage("--registry-key %s: not 64 hex digits", hex);
	if (options->registry == NULL)
		return AUDIT_CLEAN;
	if (!audit_map(options->registry, UINT64_C(1) << 30, &ret->map, &missing, &err))
		return audit_fail(&err);
	if (ret->map.p == NULL) {
		err_set(&err, ERR_IO, "%s: missing or empty", options->registry);
		return audit_fail(&err);
	}
	return AUDIT_CLEAN;
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

/* The shares in a gateway's folder; a supplier's has none. */
static void add_folder(const struct audit_folder *folder, const struct audit_registry *registry,
		       struct audit_report *report, struct shares *ret)
{
	CLEANUP(xfree) struct share_use *uses = NULL;

	if (folder->role != AUDIT_GATEWAY) {
		audit_find(report, AUDIT_NOTE, "one_supplier", NULL, AUDIT_NO_SEQ,
			   "a supplier's folder: only a gateway's has what others were asked");
		return;
	}
	size_t n = audit_uses_of_folder(folder, &uses);
	audit_shares_add_uses(registry, SHARE_RELAYS, uses, n, ret);
}

/* The shares in a claims file. */
static void add_claims(struct view bytes, const struct audit_registry *registry,
		       struct audit_report *report, struct shares *ret)
{
	CLEANUP(claims_file_finish) struct claims_file file = {.n = 0};
	CLEANUP(xfree) struct share_use *uses = NULL;

	if (!read_claims(bytes, &registry->key, report, &file))
		return;
	size_t n = audit_uses_of_claims(&file, &uses);
	audit_shares_add_uses(registry, SHARE_CU, uses, n, ret);
}

/* All shares that there are files for; what is missing for them is a note. */
static void find_shares(const struct audit_folder *folder, const struct own_registry *own,
			struct view claims, struct audit_report *report, struct shares *ret)
{
	CLEANUP(audit_registry_finish) struct audit_registry registry = {.view = NULL};
	struct view bytes = own->map.p != NULL ? own->map : folder->registry;
	bool whole = folder->path != NULL;

	if (bytes.p == NULL) {
		audit_find(report, AUDIT_NOTE, "no_registry", NULL, AUDIT_NO_SEQ,
			   "no registry file: nothing is said of shares");
		return;
	}
	if (!audit_registry_open(bytes, own->pinned ? &own->key : NULL,
				 whole ? &folder->network : NULL, report, &registry))
		return;
	if (whole)
		add_folder(folder, &registry, report, ret);
	if (claims.p != NULL)
		add_claims(claims, &registry, report, ret);
	audit_shares_add_draws(&registry, ret);
}

static int put_stats(const struct audit_verb *verb, const struct audit_options *options,
		     const struct audit_folder *folder, const struct shares *shares,
		     const struct audit_report *report)
{
	CLEANUP(audit_stats_finish) struct audit_stats stats = {.n = 0};
	CLEANUP(audit_repeats_finish) struct repeats repeats = {.n = 0};
	enum audit_status status = audit_report_status(report);
	CLEANUP(buf_finish) struct buf out = {0};

	audit_stats(folder, &stats);
	audit_repeats(folder, &repeats);
	if (options->json) {
		buf_put_str(&out, "{\"rows\":");
		audit_stats_put_json(&stats, &out);
		buf_put_str(&out, ",\"shares\":");
		audit_shares_put_json(shares, &out);
		buf_put_str(&out, ",\"repeats\":");
		audit_repeats_put_json(&repeats, &out);
		buf_put_str(&out, ",\"report\":");
		audit_report_put_json(report, verb->name, status, &out);
		out.n--; /* its newline */
		buf_put_str(&out, "}\n");
	} else {
		if (folder->path != NULL)
			audit_stats_put_text(&stats, &out);
		audit_shares_put_text(shares, &out);
		audit_repeats_put_text(&repeats, &out);
		audit_report_put_text(report, verb->name, status, &out);
	}
	return audit_put_out(&out, status);
}

int audit_run_stats(const struct audit_verb *verb, const struct audit_options *options, int n,
		    char **operands)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(audit_folder_finish) struct audit_folder folder = {.lanes_n = 0};
	CLEANUP(own_registry_finish) struct own_registry own = {.pinned = false};
	CLEANUP(audit_shares_finish) struct shares shares = {.n = 0};
	int wrong = own_registry_open(options, &own);
	struct view claims = {NULL, 0};
	struct err err;

	if (wrong)
		return wrong;
	if (n == 0 && options->claims == NULL)
		return audit_usage("stats needs a folder, or --claims");
	if ((n > 0 && !audit_folder_open(operands[0], &report, &folder, &err)) ||
	    (options->claims != NULL && !map_file(options->claims, CLAIMS_FILE_MAX, &claims, &err)))
		return audit_fail(&err);
	find_shares(&folder, &own, claims, &report, &shares);
	audit_unmap(claims);
	return put_stats(verb, options, &folder, &shares, &report);
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

/* The registry file that was given, else the first one of a folder. */
static struct view find_registry(const struct own_registry *own, const struct folders *folders)
{
	struct view found = own->map;

	for (size_t i = 0; i < folders->n && found.p == NULL; i++)
		found = folders->v[i].registry;
	return found;
}

static int put_claims(const struct audit_verb *verb, const struct audit_options *options,
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
	return audit_put_out(&out, status);
}

int audit_run_claims(const struct audit_verb *verb, const struct audit_options *options, int n,
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
		return audit_fail(&err);
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
