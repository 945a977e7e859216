/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit check` for tests in other languages, many times in one process.  Reads cases
 * from standard input: u32 count of bundles, each u32 length and its bytes.  Prints a line for
 * each: the exit status that the verb would have, and the kinds that were found, those that convict
 * with a star.  The argument is a method table. */
#include <stdio.h>

#include "relay/audit/check.h"
#include "relay/audit/folder.h"
#include "relay/base/mem.h"
#include "relay/crypto/digest.h"

#define BUNDLE_MAX (1u << 20)

static bool take_u32(uint32_t *ret)
{
	uint8_t head[4];

	if (fread(head, sizeof(head), 1, stdin) != 1)
		return false;
	*ret = get_be32(head);
	return true;
}

/* False: the input is not as described. */
static bool take_bundle(struct bundle *ret, bool *ret_parsed)
{
	CLEANUP(xfree) uint8_t *bytes = NULL;
	struct err err;
	uint32_t n;

	if (!take_u32(&n) || n > BUNDLE_MAX)
		return false;
	bytes = xmalloc(n + 1);
	if (n > 0 && fread(bytes, n, 1, stdin) != 1)
		return false;
	*ret_parsed = bundle_parse(VIEW(bytes, n), ret, &err) && *ret_parsed;
	return true;
}

static void check(const struct bundle *bundles, size_t n, const struct method_table *methods)
{
	const struct audit_known known = {.methods = methods};
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};

	audit_check(bundles, n, &known, &report);
	printf("%d", audit_report_verdict(&report));
	for (size_t i = 0; i < report.n; i++)
		printf(" %s%s", report.finding[i].kind,
		       report.finding[i].weight == AUDIT_PROVABLE ? "*" : "");
	putchar('\n');
}

static bool run(const struct method_table *methods)
{
	struct bundle bundles[AUDIT_CHECK_MAX];
	uint32_t count;
	bool good = true, parsed;

	while (good && take_u32(&count)) {
		memset(bundles, 0, sizeof(bundles));
		good = count <= AUDIT_CHECK_MAX;
		parsed = true;
		for (uint32_t i = 0; good && i < count; i++)
			good = take_bundle(&bundles[i], &parsed);
		if (good && parsed)
			check(bundles, count, methods);
		else if (good)
			printf("%d format\n", AUDIT_IO);
		for (uint32_t i = 0; i < MIN(count, AUDIT_CHECK_MAX); i++)
			bundle_finish(&bundles[i]);
	}
	return good;
}

int main(int argc, char **argv)
{
	CLEANUP(method_table_destroy) struct method_table *methods = NULL;
	struct view map;
	struct err err;
	bool missing;

	crypto_init();
	if (argc != 2 || !audit_map(argv[1], METHOD_TABLE_BYTES_MAX, &map, &missing, &err) ||
	    missing)
		return 3;
	bool fine = method_table_parse(map, &methods, &err);
	audit_unmap(map);
	return fine && run(methods) ? 0 : 4;
}
