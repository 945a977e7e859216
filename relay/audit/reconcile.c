/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/reconcile.h"

#include <inttypes.h>

#include "relay/audit/verify.h"

struct pair {
	const struct audit_folder *gateway;
	const struct audit_folder *supplier;
	struct audit_report *report;
};

/* A note's head without rebuilding anything; false when it is absent or does not open. */
static bool newest_head(const struct audit_lane *lane, struct checkpoint *ret)
{
	struct err err;

	return lane->checkpoint.p != NULL &&
	       checkpoint_open(&lane->parties, lane->checkpoint, ret, &err);
}

static bool cosigned_head(const struct audit_lane *lane, struct checkpoint *ret)
{
	struct checkpoint head;
	bool found = false, supplier;
	struct err err;

	if (newest_head(lane, &head) && head.cosigned) {
		*ret = head;
		found = true;
	}
	if (lane->final.p != NULL &&
	    checkpoint_open_cosigned(&lane->parties, lane->final, &head, &supplier, &err) &&
	    (!found || head.size > ret->size)) {
		*ret = head;
		found = true;
	}
	return found;
}

static uint64_t cosigned_size(const struct audit_lane *lane)
{
	struct checkpoint head;

	return lane != NULL && cosigned_head(lane, &head) ? head.size : 0;
}

static uint64_t range_sum(const struct audit_range *ranges, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += ranges[i].to - ranges[i].from;
	return sum;
}

/* Two heads of one size that the supplier signed with different roots convict it. */
static void compare_heads(const struct pair *p, const struct audit_lane *a,
			  const struct audit_lane *b)
{
	const struct lane_id *id = &a->parties.origin.lane;
	struct checkpoint x, y;

	if (newest_head(a, &x) && newest_head(b, &y) && x.size == y.size &&
	    !ID_EQ(&x.root, &y.root))
		audit_find(p->report, AUDIT_PROVABLE, "heads_differ", id, AUDIT_NO_SEQ,
			   "the supplier signed two roots of %" PRIu64 " leaves", x.size);
	if (!cosigned_head(a, &x) || !cosigned_head(b, &y))
		return;
	if (x.size == y.size && !ID_EQ(&x.root, &y.root))
		audit_find(p->report, AUDIT_PROVABLE, "heads_differ", id, AUDIT_NO_SEQ,
			   "the gateway cosigned two roots of %" PRIu64 " leaves", x.size);
	if (a->state == AUDIT_CLOSED && b->state == AUDIT_CLOSED && x.size != y.size)
		audit_find(p->report, AUDIT_LOCAL, "final_differs", id, AUDIT_NO_SEQ,
			   "closed at %" PRIu64 " and at %" PRIu64 " leaves", x.size, y.size);
}

/* Leaves that only the supplier has, from where the gateway's end. */
static void supplier_tail(const struct pair *p, const struct audit_lane *supplier,
			  const struct audit_lane *gateway, uint64_t from)
{
	const struct lane_id *id = &supplier->parties.origin.lane;
	uint64_t cosigned = MAX(cosigned_size(supplier), cosigned_size(gateway));

	/* What the gateway cosigned it once had: it lost them and can adopt them [L7]. */
	uint64_t lost = cosigned > from ? MIN(cosigned, supplier->size) - from : 0;
	audit_count(p->report, "absent_gateway", lost);
	audit_count(p->report, "undelivered", supplier->size - from - lost);
	if (supplier->undelivered_n > 0 && supplier->undelivered[0].from < cosigned)
		audit_find(p->report, AUDIT_LOCAL, "undelivered_paid", id,
			   supplier->undelivered[0].from,
			   "marked undelivered by the supplier, but cosigned");
}

/* Both halves are under roots that the supplier signed: then it signed two trees. */
static bool both_signed(const struct pair *p, const struct audit_lane *gateway,
			const struct audit_lane *supplier)
{
	CLEANUP(audit_report_finish) struct audit_report aside = {.n = 0};
	struct audit_heads a, b;

	audit_check_heads(p->gateway, gateway, &aside, &a);
	audit_check_heads(p->supplier, supplier, &aside, &b);
	return a.signed_ && b.signed_;
}

/* Names the leaves that differ; returns how many are the same. */
static uint64_t compare_leaves(const struct pair *p, const struct audit_lane *gateway,
			       const struct audit_lane *supplier, uint64_t common)
{
	bool provable = both_signed(p, gateway, supplier);
	uint64_t same = 0;

	for (uint64_t seq = 0; seq < common; seq++) {
		if (memcmp(audit_lane_leaf(gateway, seq), audit_lane_leaf(supplier, seq),
			   LEAF_SIZE) == 0)
			same++;
		else
			audit_find(p->report, provable ? AUDIT_PROVABLE : AUDIT_LOCAL,
				   "leaf_differs", &gateway->parties.origin.lane, seq,
				   provable ? "the supplier signed two leaves with this number"
					    : "the two halves have different leaves");
	}
	return same;
}

static void compare_lane(const struct pair *p, const struct audit_lane *gateway,
			 const struct audit_lane *supplier)
{
	uint64_t common = MIN(gateway->size, supplier->size);
	uint64_t same = common;

	if (!view_eq(VIEW(gateway->leaves.p, common * LEAF_SIZE),
		     VIEW(supplier->leaves.p, common * LEAF_SIZE)))
		same = compare_leaves(p, gateway, supplier, common);
	audit_count(p->report, "same", same);
	if (supplier->size > common)
		supplier_tail(p, supplier, gateway, common);
	/* The supplier signed what the gateway has: it lost them and can adopt them [L8]. */
	audit_count(p->report, "absent_supplier", gateway->size - common);
	audit_count(p->report, "adopted_gateway", range_sum(gateway->adopted, gateway->adopted_n));
	audit_count(p->report, "adopted_supplier",
		    range_sum(supplier->adopted, supplier->adopted_n));
	compare_heads(p, gateway, supplier);
}

/* True iff the lane is between the two exporters. */
static bool is_ours(const struct pair *p, const struct audit_lane *lane)
{
	return ID_EQ(&lane->parties.origin.gateway, &p->gateway->self) &&
	       ID_EQ(&lane->parties.origin.supplier, &p->supplier->self);
}

static void only_supplier(const struct pair *p, const struct audit_lane *lane)
{
	audit_count(p->report, "lanes", 1);
	supplier_tail(p, lane, NULL, 0);
}

static void reconcile_lane(const struct pair *p, const struct audit_lane *gateway)
{
	const struct lane_id *id = &gateway->parties.origin.lane;
	const struct audit_lane *supplier = audit_folder_lane(p->supplier, id);

	if (supplier != NULL && is_ours(p, supplier) != is_ours(p, gateway)) {
		audit_find(p->report, AUDIT_LOCAL, "lane_parties", id, AUDIT_NO_SEQ,
			   "the two halves name different parties");
		return;
	}
	if (!is_ours(p, gateway)) {
		audit_count(p->report, "other_lanes", 1);
		return;
	}
	audit_count(p->report, "lanes", 1);
	if (supplier != NULL)
		compare_lane(p, gateway, supplier);
	else
		audit_count(p->report, "absent_supplier", gateway->size);
}

void audit_reconcile(const struct audit_folder *a, const struct audit_folder *b,
		     struct audit_report *report)
{
	static const char *const counters[] = {
		"lanes",	   "other_lanes",     "same",
		"undelivered",	   "absent_gateway",  "absent_supplier",
		"adopted_gateway", "adopted_supplier"};
	struct pair p = {a, b, report};

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		audit_count(report, counters[i], 0);
	if (a->role == AUDIT_SUPPLIER)
		p = (struct pair){b, a, report};
	if (p.gateway->role != AUDIT_GATEWAY || p.supplier->role != AUDIT_SUPPLIER) {
		audit_find(report, AUDIT_LOCAL, "parties", NULL, AUDIT_NO_SEQ,
			   "one folder must be a gateway's and one a supplier's");
		return;
	}
	if (!ID_EQ(&a->network, &b->network)) {
		audit_find(report, AUDIT_LOCAL, "network", NULL, AUDIT_NO_SEQ,
			   "the folders are of different networks");
		return;
	}
	for (size_t i = 0; i < p.gateway->lanes_n; i++)
		reconcile_lane(&p, &p.gateway->lanes[i]);
	for (size_t i = 0; i < p.supplier->lanes_n; i++) {
		const struct audit_lane *lane = &p.supplier->lanes[i];

		if (audit_folder_lane(p.gateway, &lane->parties.origin.lane) != NULL)
			continue;
		if (is_ours(&p, lane))
			only_supplier(&p, lane);
		else
			audit_count(report, "other_lanes", 1);
	}
}
