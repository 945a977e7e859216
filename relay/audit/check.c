/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/check.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"

/* A bundle with what it proved: a leaf at an index under a root that the supplier signed. */
struct shown {
	const struct bundle *bundle;
	struct bundle_report report;
	bool proved;
	bool opened; /* head is a signed one, whatever became of the leaf */
	struct checkpoint head;
};

static const struct lane_id *lane_of(const struct shown *s)
{
	return s->report.origin_known ? &s->report.origin.lane : NULL;
}

/* What convicts, once the leaf is under a signed root. */
#define CONVICTS (BUNDLE_SEQ | BUNDLE_LEAF)
/* With one of these there is no leaf under a signed root. */
#define UNPROVED                                                                                   \
	(BUNDLE_NOTE | BUNDLE_SUPPLIER_SIGNATURE | BUNDLE_GATEWAY_SIGNATURE | BUNDLE_SIZE |        \
	 BUNDLE_INCLUSION)

static void find(const struct shown *s, struct audit_report *report, enum audit_weight weight,
		 const char *kind, const char *text)
{
	audit_find(report, weight, kind, lane_of(s), s->bundle->index, "%s", text);
}

static void tell_faults(const struct shown *s, struct audit_report *report)
{
	for (unsigned i = 0; i < BUNDLE_FAULTS; i++) {
		enum bundle_fault fault = 1u << i;
		enum audit_weight weight = AUDIT_LOCAL;

		if (!(s->report.faults & fault))
			continue;
		if (s->proved && (fault & CONVICTS))
			weight = AUDIT_PROVABLE;
		else if (fault == BUNDLE_NEXT)
			weight = AUDIT_OPEN; /* the next part may not have been there yet */
		find(s, report, weight, bundle_fault_name(fault), s->report.text[i]);
	}
}

static void check_table(const struct shown *s, const struct method_table *methods,
			struct audit_report *report)
{
	const struct leaf *leaf = &s->report.leaf;
	enum audit_weight weight = s->proved ? AUDIT_PROVABLE : AUDIT_LOCAL;

	if (methods == NULL || !s->report.leaf_known || s->report.leaf_fault != LEAF_FINE ||
	    leaf->kind == LEAF_REFUSAL)
		return;
	const struct method_entry *entry = method_table_find(methods, leaf->method);
	if (entry == NULL)
		audit_find(report, weight, "method", lane_of(s), s->bundle->index,
			   "method %" PRIu32 " is not in the table", leaf->method);
	else if (leaf_check(leaf, entry->cu, entry->part_cu) == LEAF_FAULT_CU_TABLE)
		audit_find(report, weight, "cu", lane_of(s), s->bundle->index,
			   "%" PRIu32 " CU for %s, of which the table allows %" PRIu32, leaf->cu,
			   entry->name, leaf->part > 0 ? entry->part_cu : entry->cu);
}

static void check_parties(const struct shown *s, const struct audit_known *known,
			  struct audit_report *report)
{
	const struct checkpoint_origin *origin = &s->report.origin;

	if (!s->report.origin_known)
		return;
	if (known->network != NULL && !ID_EQ(known->network, &origin->network))
		find(s, report, AUDIT_LOCAL, "network", "it is of another network");
	if (known->gateway != NULL && !ID_EQ(known->gateway, &origin->gateway))
		find(s, report, AUDIT_LOCAL, "gateway", "it is another gateway's");
	if (known->supplier != NULL && !ID_EQ(known->supplier, &origin->supplier))
		find(s, report, AUDIT_LOCAL, "supplier", "it is another supplier's");
}

static void check_one(const struct bundle *bundle, const struct audit_known *known,
		      struct audit_report *report, struct shown *ret)
{
	struct checkpoint_lane lane;
	struct err err;

	ret->bundle = bundle;
	bundle_check(bundle, &ret->report);
	ret->proved = !(ret->report.faults & UNPROVED);
	ret->opened = false;
	if (ret->report.origin_known) {
		checkpoint_lane_init(&lane, &ret->report.origin);
		ret->opened =
			checkpoint_open(&lane, buf_view(&bundle->checkpoint), &ret->head, &err);
	}
	tell_faults(ret, report);
	check_table(ret, known->methods, report);
	check_parties(ret, known, report);
	audit_count(report, "bundles", 1);
	audit_count(report, "proved", ret->proved);
	audit_count(report, "cosigned", ret->report.cosigned);
	audit_count(report, "requests", bundle->has_request);
	audit_count(report, "responses", bundle->has_response);
}

/* Do the intervals of two leaves of one session in one lane contradict each other?  a is ahead of b
 * in the lane, so a must end where b begins or earlier ([R7]).  Sums cannot overflow: checked. */
static bool intervals_clash(const struct leaf *a, const struct leaf *b)
{
	return ID_EQ(&a->session, &b->session) && a->cu_before + a->cu > b->cu_before;
}

static void compare(const struct shown *a, const struct shown *b, struct audit_report *report)
{
	uint64_t i = a->bundle->index, j = b->bundle->index;

	if (!a->opened || !b->opened ||
	    memcmp(&a->report.origin, &b->report.origin, sizeof(a->report.origin)) != 0)
		return;
	if (a->head.size == b->head.size && !ID_EQ(&a->head.root, &b->head.root))
		audit_find(report, AUDIT_PROVABLE, "heads", lane_of(a), AUDIT_NO_SEQ,
			   "the supplier signed two roots of %" PRIu64 " leaves", a->head.size);
	if (!a->proved || !b->proved)
		return;
	if (i == j && memcmp(a->bundle->leaf, b->bundle->leaf, LEAF_SIZE) != 0)
		audit_find(report, AUDIT_PROVABLE, "two_leaves", lane_of(a), i,
			   "the supplier signed two leaves with this number");
	if (i == j || a->report.leaf_fault != LEAF_FINE || b->report.leaf_fault != LEAF_FINE)
		return;
	if (i < j ? intervals_clash(&a->report.leaf, &b->report.leaf)
		  : intervals_clash(&b->report.leaf, &a->report.leaf))
		audit_find(report, AUDIT_PROVABLE, "interval", lane_of(a), MAX(i, j),
			   "its interval overlaps that of leaf %" PRIu64, MIN(i, j));
}

/* A leaf that is shown to be this one of the lane; NULL when none of the bundles shows it. */
static const struct leaf *shown_leaf(const struct shown *shown, size_t n, const struct shown *like,
				     uint64_t index)
{
	for (size_t i = 0; i < n; i++)
		if (shown[i].proved && shown[i].bundle->index == index &&
		    shown[i].report.leaf_fault == LEAF_FINE &&
		    memcmp(&shown[i].report.origin, &like->report.origin,
			   sizeof(like->report.origin)) == 0)
			return &shown[i].report.leaf;
	return NULL;
}

/* When all leaves ahead of one are shown, its session must stand where they leave it ([R7]). */
static void check_gap(const struct shown *shown, size_t n, const struct shown *of,
		      struct audit_report *report)
{
	u128 sum = 0;

	if (!of->proved || of->report.leaf_fault != LEAF_FINE)
		return;
	for (uint64_t i = 0; i < of->bundle->index; i++) {
		const struct leaf *leaf = shown_leaf(shown, n, of, i);

		if (leaf == NULL)
			return; /* what is not shown may fill it */
		if (ID_EQ(&leaf->session, &of->report.leaf.session))
			sum += leaf->cu;
	}
	if (of->report.leaf.cu_before > sum)
		audit_find(report, AUDIT_PROVABLE, "interval", lane_of(of), of->bundle->index,
			   "its interval leaves a gap behind the leaves ahead of it");
}

void audit_check(const struct bundle *bundles, size_t n, const struct audit_known *known,
		 struct audit_report *report)
{
	struct shown *shown = xcalloc(n + 1, sizeof(*shown));

	assert(n <= AUDIT_CHECK_MAX);
	for (size_t i = 0; i < n; i++)
		check_one(&bundles[i], known, report, &shown[i]);
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			compare(&shown[i], &shown[j], report);
	for (size_t i = 0; i < n; i++)
		check_gap(shown, n, &shown[i], report);
	free(shown);
}
