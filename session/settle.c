/* SPDX-License-Identifier: Apache-2.0
 * Names of faults, times and splits of amounts; the checks are settle_claim.c and settle_proof.c.
 */
#include "session/settle.h"

#include <assert.h>

static const char *const names[] = {
	[SETTLE_FINE] = "fine",
	[SETTLE_FORM] = "form",
	[SETTLE_SIGNATURE] = "signature",
	[SETTLE_EARLY] = "early",
	[SETTLE_LATE] = "late",
	[SETTLE_NETWORK] = "network",
	[SETTLE_RANGE] = "range",
	[SETTLE_OVERLAP] = "overlap",
	[SETTLE_AMOUNT] = "amount",
	[SETTLE_RECORDS] = "records",
	[SETTLE_RECORD] = "record",
	[SETTLE_START] = "start",
	[SETTLE_ORDER] = "order",
	[SETTLE_SESSION] = "session",
	[SETTLE_NOT_DRAWN] = "not_drawn",
	[SETTLE_GRANT] = "grant",
	[SETTLE_SIZE] = "size",
	[SETTLE_NO_VALUE] = "no_value",
	[SETTLE_VALUE] = "value",
	[SETTLE_VALUE_BEFORE] = "value_before",
	[SETTLE_SESSION_VALUE] = "session_value",
	[SETTLE_ALLOWANCE] = "allowance",
	[SETTLE_TOTAL] = "total",
	[SETTLE_ROOT] = "root",
	[SETTLE_RECORD_POINT] = "record_point",
	[SETTLE_RECORD_PATH] = "record_path",
	[SETTLE_NOTE] = "note",
	[SETTLE_LANE] = "lane",
	[SETTLE_SUPPLIER_SIGNATURE] = "supplier_signature",
	[SETTLE_GATEWAY_SIGNATURE] = "gateway_signature",
	[SETTLE_HEAD] = "head",
	[SETTLE_LEAF] = "leaf",
	[SETTLE_LEAF_SESSION] = "leaf_session",
	[SETTLE_LEAF_POINT] = "leaf_point",
	[SETTLE_LEAF_CU] = "leaf_cu",
	[SETTLE_LEAF_PATH] = "leaf_path",
	[SETTLE_NO_PROOF] = "no_proof",
};
static_assert(ARRAY_SIZE(names) == SETTLE_FAULT_COUNT, "each fault has a name");

const char *settle_fault_name(enum settle_fault fault)
{
	assert((unsigned)fault < SETTLE_FAULT_COUNT);
	assert(names[fault]);
	return names[fault];
}

bool settle_fault_of(const char *message, enum settle_fault *ret)
{
	size_t n = strspn(message, "abcdefghijklmnopqrstuvwxyz_");

	if (message[n] != '\0' && message[n] != ':')
		return false;
	for (unsigned i = SETTLE_FINE + 1; i < SETTLE_FAULT_COUNT; i++) {
		if (strlen(names[i]) == n && memcmp(names[i], message, n) == 0) {
			*ret = (enum settle_fault)i;
			return true;
		}
	}
	return false;
}

bool settle_overlap(const struct claim *a, const struct claim *b)
{
	return ID_EQ(&a->application, &b->application) && ID_EQ(&a->gateway, &b->gateway) &&
	       ID_EQ(&a->supplier, &b->supplier) && strcmp(a->service.s, b->service.s) == 0 &&
	       a->from < b->to && b->from < a->to;
}

/* A height some way behind another; saturates. */
static height_t later(height_t height, uint64_t by)
{
	return by > UINT64_MAX - height ? UINT64_MAX : height + by;
}

height_t settle_opens(const struct session_params *p, height_t to)
{
	return later(to, p->grace_blocks);
}

height_t settle_closes(const struct session_params *p, height_t from)
{
	return later(from, p->session_blocks + p->claim_window);
}

height_t settle_challenge(const struct session_params *p, height_t recorded)
{
	assert(p->challenge_lag >= 1); /* else the seed could be known to who claims */
	return later(recorded, p->challenge_lag);
}

height_t settle_due(const struct session_params *p, height_t recorded)
{
	assert(p->proof_window >= 1);
	return later(settle_challenge(p, recorded), p->proof_window);
}

enum settle_fault settle_proof_time(const struct session_params *p, height_t recorded, height_t now)
{
	if (now < settle_challenge(p, recorded))
		return SETTLE_EARLY;
	return now > settle_due(p, recorded) ? SETTLE_LATE : SETTLE_FINE;
}

struct settle_split settle_take(u128 amount, u128 standing, u128 thawing)
{
	struct settle_split split;

	split.standing = MIN(amount, standing);
	split.thawing = MIN(amount - split.standing, thawing);
	assert(split.standing <= standing && split.thawing <= thawing);
	assert(split.standing + split.thawing <= amount);
	return split;
}
