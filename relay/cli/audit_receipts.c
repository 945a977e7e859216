/* SPDX-License-Identifier: Apache-2.0
 * counterfoil-audit: verbs over single receipts. */
#include <errno.h>
#include <stdio.h>

#include "relay/audit/check.h"
#include "relay/audit/prove.h"
#include "relay/cli/audit_verbs.h"

int audit_run_prove(const struct audit_verb *verb, const struct audit_options *options, int n,
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
		return audit_usage("%s: a lane is 32 hex digits", operands[1]);
	if (!u64_parse(operands[2], strlen(operands[2]), &seq))
		return audit_usage("%s: a seq is a whole number", operands[2]);
	if (!audit_folder_open(operands[0], &report, &folder, &err) ||
	    !audit_prove(&folder, &lane, seq, &bundle, &err))
		return audit_fail(&err);
	bundle_put_json(&bundle, &out);
	return audit_put_out(&out, AUDIT_CLEAN);
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
static bool read_known(const struct audit_options *options, struct network_id *network,
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
		audit_usage("--%s: not 64 hex digits", keys[i].name);
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

int audit_run_check(const struct audit_verb *verb, const struct audit_options *options, int n,
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
		return audit_fail(&err);
	known.methods = methods;
	for (int i = 0; i < n && fine; i++)
		fine = read_bundle(operands[i], &bundles[i], &err);
	if (fine)
		audit_check(bundles, (size_t)n, &known, &report);
	for (int i = 0; i < n; i++)
		bundle_finish(&bundles[i]);
	if (!fine)
		return audit_fail(&err);
	return audit_finish(verb, options, &report, audit_report_verdict(&report));
}
