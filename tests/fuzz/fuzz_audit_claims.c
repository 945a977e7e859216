/* SPDX-License-Identifier: Apache-2.0
 * What a registry that lies may write: a registry file and behind it a claims file, both without
 * their signatures, as an auditor decides all of it again ([Y4], [C1] to [C12]).  What is read is
 * canonical, and whatever it says is a finding at worst. */
#include <stdlib.h>

#include "relay/audit/claims.h"
#include "relay/audit/shares.h"
#include "relay/base/mem.h"
#include "session/registry/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(struct audit_registry *registry, const struct claims_file *file)
{
	CLEANUP(audit_report_finish) struct audit_report report = {.n = 0};
	CLEANUP(audit_claims_finish) struct audit_claims claims = {.height = 0};
	CLEANUP(audit_shares_finish) struct shares shares = {.n = 0};
	CLEANUP(xfree) struct share_use *uses = NULL;
	CLEANUP(buf_finish) struct buf out = {0};
	u128 sum = 0;

	audit_claims(registry, file, NULL, 0, &report, &claims);
	audit_claims_put_text(&claims, &out);
	audit_claims_put_json(&claims, &out);
	for (size_t i = 0; i < claims.rows_n; i++)
		sum += claims.rows[i].cu;
	for (size_t i = 0; i < file->n; i++)
		for (size_t at = 0; at + CLAIM_RECORD_SIZE <= file->v[i].records.n;
		     at += CLAIM_RECORD_SIZE) {
			struct claim_record r;

			if (claim_record_decode(file->v[i].records.p + at, &r))
				sum -= r.cu;
		}
	if (claims.money.deposits > 0 && sum != 0)
		abort(); /* each claimed unit has its row */
	size_t n = audit_uses_of_claims(file, &uses);
	audit_shares_add_uses(registry, SHARE_CU, uses, n, &shares);
	audit_shares_put_json(&shares, &out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(claims_file_finish) struct claims_file file = {.n = 0};
	struct audit_registry registry = {.view = NULL};
	struct registry_export *export = &registry.export;
	const uint8_t *claims = memmem(data, size, CLAIMS_HEAD, sizeof(CLAIMS_HEAD) - 1);
	struct buf again = {0};
	struct err err;

	if (claims == NULL ||
	    !claims_file_parse_text(VIEW(claims, size - (size_t)(claims - data)), &file, &err))
		return 0;
	claims_file_encode(&file, &again);
	if (!view_eq(buf_view(&again), VIEW(claims, size - (size_t)(claims - data))))
		abort();
	buf_finish(&again);
	if (!registry_export_parse_text(VIEW(data, (size_t)(claims - data)), export, &err))
		return 0;
	height_t last = export->seeds.n > 0 ? export->seeds.v[export->seeds.n - 1].height : 0;
	registry.view =
		registry_view_create(export->history, &registry.key, &export->seeds, last, NULL);
	judge(&registry, &file);
	audit_registry_finish(&registry);
	return 0;
}
