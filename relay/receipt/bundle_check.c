/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "relay/receipt/bundle.h"

/* Adds a finding to the report. */
static void fault(struct bundle_report *report, enum bundle_fault which, const char *fmt, ...)
	PRINTF(3, 4);

static void fault(struct bundle_report *report, enum bundle_fault which, const char *fmt, ...)
{
	unsigned i = (unsigned)__builtin_ctz(which);
	va_list ap;

	assert(i < BUNDLE_FAULTS);
	if (report->faults & which)
		return; /* the first of a kind says enough */
	report->faults |= which;
	va_start(ap, fmt);
	vsnprintf(report->text[i], sizeof(report->text[i]), fmt, ap);
	va_end(ap);
}

/* The head that the supplier signed; false when there is none to go on with. */
static bool check_head(const struct bundle *bundle, struct bundle_report *report,
		       struct checkpoint_lane *lane, struct checkpoint *head)
{
	struct view note_bytes = buf_view(&bundle->checkpoint);
	struct checkpoint_origin origin;
	struct note note;
	struct note_seen seen;
	struct err err;

	if (!checkpoint_read_origin(note_bytes, &origin, &err)) {
		fault(report, BUNDLE_NOTE, "%s", err.msg);
		return false;
	}
	report->origin_known = true;
	report->origin = origin;
	checkpoint_lane_init(lane, &origin);
	if (checkpoint_open(lane, note_bytes, head, &err)) {
		report->cosigned = head->cosigned;
		report->cosign_time = head->cosign_time;
		return true;
	}
	if (err.code != ERR_SIGNATURE) {
		fault(report, BUNDLE_NOTE, "%s", err.msg);
		return false;
	}
	/* Whose signature is it?  A false cosignature says nothing against the supplier. */
	bool parsed = note_parse(note_bytes, CHECKPOINT_NOTE_MAX, &note, &err);
	assert(parsed);
	if (!note_check(&note, &lane->supplier, 1, &seen, &err))
		fault(report, BUNDLE_SUPPLIER_SIGNATURE, "%s", err.msg);
	else if (!seen.signed_)
		fault(report, BUNDLE_SUPPLIER_SIGNATURE, "the supplier did not sign");
	if (!note_check(&note, &lane->gateway, 1, &seen, &err))
		fault(report, BUNDLE_GATEWAY_SIGNATURE, "%s", err.msg);
	assert(report->faults & (BUNDLE_SUPPLIER_SIGNATURE | BUNDLE_GATEWAY_SIGNATURE));
	return false;
}

static void check_tree(const struct bundle *bundle, struct bundle_report *report,
		       const struct checkpoint *head)
{
	struct hash leaf;
	struct err err;

	if (bundle->size != head->size)
		fault(report, BUNDLE_SIZE, "size is %" PRIu64 ", the checkpoint's %" PRIu64,
		      bundle->size, head->size);
	if (bundle->index >= head->size) {
		fault(report, BUNDLE_SIZE, "index %" PRIu64 " in a tree of %" PRIu64 " leaves",
		      bundle->index, head->size);
		return;
	}
	leaf_hash(bundle->leaf, &leaf);
	if (!tree_check_inclusion(&leaf, bundle->index, head->size, bundle->proof.hash,
				  bundle->proof.n, &head->root, &err))
		fault(report, BUNDLE_INCLUSION, "%s", err.msg);
}

static void check_leaf(const struct bundle *bundle, struct bundle_report *report)
{
	struct leaf leaf;

	report->leaf_fault = leaf_decode(bundle->leaf, &leaf);
	if (report->leaf_fault == LEAF_FINE) {
		report->leaf_known = true;
		report->leaf = leaf;
		report->leaf_fault = leaf_check_form(&leaf);
	}
	if (report->leaf_fault != LEAF_FINE)
		fault(report, BUNDLE_LEAF, "the leaf breaks the rule %s",
		      leaf_fault_name(report->leaf_fault));
	if (!report->leaf_known)
		return;
	if (leaf.seq != bundle->index)
		fault(report, BUNDLE_SEQ, "the leaf's seq is %" PRIu64 ", its index %" PRIu64,
		      leaf.seq, bundle->index);
	bool more = leaf.kind == LEAF_PART && !(leaf.flags & LEAF_LAST);
	if (bundle->has_next && !more)
		fault(report, BUNDLE_NEXT, "a next part is named, but there is none");
	if (!bundle->has_next && more)
		fault(report, BUNDLE_NEXT, "a part of a stream without the one after it");
}

/* The encodings need the lane, which only the origin names. */
static void check_encodings(const struct bundle *bundle, struct bundle_report *report)
{
	const struct leaf *leaf = &report->leaf;
	const struct lane_id *lane = &report->origin.lane;
	struct view request = buf_view(&bundle->request);
	struct view response = buf_view(&bundle->response);
	struct hash hash;

	if (bundle->has_request) {
		leaf_request_hash(lane, &bundle->salt, &request, 1, &hash);
		if (!ID_EQ(&hash, &leaf->request_hash))
			fault(report, BUNDLE_REQUEST_HASH,
			      "the request is not the one that the leaf names");
	}
	if (bundle->has_response) {
		leaf_response_hash(lane, &bundle->salt, leaf->part, &response, 1, &hash);
		if (!ID_EQ(&hash, &leaf->response_hash))
			fault(report, BUNDLE_RESPONSE_HASH,
			      "the response is not the one that the leaf names");
		else if (response.n < 2 || get_be16(response.p) != leaf->status)
			fault(report, BUNDLE_STATUS, "the leaf's status is not the response's");
	}
}

static void check_keys(const struct bundle *bundle, struct bundle_report *report,
		       const struct checkpoint_lane *lane)
{
	for (size_t i = 0; i < bundle->key_count; i++) {
		const struct note_key *key = &bundle->key[i];
		const struct note_key *own =
			key->type == NOTE_ED25519 ? &lane->supplier : &lane->gateway;

		if (!ID_EQ(&key->key, &own->key) || strcmp(key->name, own->name) != 0)
			fault(report, BUNDLE_KEYS, "key %s is of neither party of the lane",
			      key->name);
	}
}

bool bundle_check(const struct bundle *bundle, struct bundle_report *ret)
{
	struct checkpoint_lane lane;
	struct checkpoint head;

	memset(ret, 0, sizeof(*ret));
	check_leaf(bundle, ret);
	if (check_head(bundle, ret, &lane, &head))
		check_tree(bundle, ret, &head);
	if (ret->origin_known)
		check_keys(bundle, ret, &lane);
	if (ret->origin_known && ret->leaf_known)
		check_encodings(bundle, ret);
	return ret->faults == 0;
}
