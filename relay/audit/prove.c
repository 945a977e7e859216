/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/prove.h"

#include <assert.h>
#include <inttypes.h>

/* The root of the leaves [begin, end). */
static void range_root(const struct audit_lane *lane, uint64_t begin, uint64_t end,
		       struct hash *ret)
{
	struct tree tree;

	tree_init(&tree);
	for (uint64_t i = begin; i < end; i++) {
		struct hash hash;

		leaf_hash(audit_lane_leaf(lane, i), &hash);
		tree_append(&tree, &hash);
	}
	tree_root(&tree, ret);
}

/* PATH of RFC 9162 2.1.3.1 from all leaves, which are at hand: from the root down, then turned. */
static void prove_inclusion(const struct audit_lane *lane, uint64_t seq, uint64_t size,
			    struct tree_proof *ret)
{
	struct hash down[TREE_PROOF_MAX];
	uint64_t begin = 0, end = size;
	size_t n = 0;

	assert(seq < size && size <= lane->size);
	while (end - begin > 1) {
		uint64_t half = UINT64_C(1) << (63 - __builtin_clzll(end - begin - 1));
		uint64_t middle = begin + half;

		if (seq < middle) {
			range_root(lane, middle, end, &down[n++]);
			end = middle;
		} else {
			range_root(lane, begin, middle, &down[n++]);
			begin = middle;
		}
	}
	ret->n = n;
	for (size_t i = 0; i < n; i++)
		ret->hash[i] = down[n - 1 - i];
}

/* `final`, if the supplier signed it too and it is of these leaves: it is not when the supplier
 * signed two trees. */
static bool choose_final(const struct audit_lane *lane, uint64_t seq, struct checkpoint *ret)
{
	struct hash root;
	bool supplier;
	struct err err;

	if (lane->final.p == NULL ||
	    !checkpoint_open_cosigned(&lane->parties, lane->final, ret, &supplier, &err) ||
	    !supplier || seq >= ret->size || ret->size > lane->size)
		return false;
	range_root(lane, 0, ret->size, &root);
	return ID_EQ(&root, &ret->root);
}

/* The head to prove under. */
static bool choose_head(const struct audit_lane *lane, uint64_t seq, struct checkpoint *ret,
			struct err *err)
{
	if (choose_final(lane, seq, ret))
		return true;
	if (lane->checkpoint.p == NULL)
		return err_set(err, ERR_CHECKPOINT, "the lane has no checkpoint");
	if (!checkpoint_open(&lane->parties, lane->checkpoint, ret, err))
		return false;
	if (seq >= ret->size || ret->size > lane->size)
		return err_set(err, ERR_CHECKPOINT, "the checkpoint does not cover the leaf");
	return true;
}

/* Where the next part of a stream is, if the leaf is a part and not the last. */
static void find_next(const struct audit_lane *lane, uint64_t seq, struct bundle *ret)
{
	struct leaf leaf, other;

	if (leaf_decode(audit_lane_leaf(lane, seq), &leaf) != LEAF_FINE || leaf.kind != LEAF_PART ||
	    (leaf.flags & LEAF_LAST))
		return;
	for (uint64_t i = seq + 1; i < lane->size; i++) {
		if (leaf_decode(audit_lane_leaf(lane, i), &other) != LEAF_FINE ||
		    other.kind != LEAF_PART || other.stream != leaf.stream)
			continue;
		ret->has_next = other.part == leaf.part + 1;
		ret->next_lane = lane->parties.origin.lane;
		ret->next_seq = i;
		return;
	}
}

static void put_private(const struct audit_lane *lane, uint64_t seq, struct bundle *ret)
{
	struct audit_evidence evidence;

	ret->without_salt = lane->salts.n == 0;
	if (ret->without_salt)
		return;
	memcpy(ret->salt.b, lane->salts.p + 16 * seq, sizeof(ret->salt.b));
	if (!audit_lane_evidence_find(lane, seq, &evidence))
		return;
	ret->has_request = evidence.request.n > 0;
	ret->has_response = evidence.response.n > 0;
	buf_put(&ret->request, evidence.request.p, evidence.request.n);
	buf_put(&ret->response, evidence.response.p, evidence.response.n);
}

bool audit_prove(const struct audit_folder *folder, const struct lane_id *id, uint64_t seq,
		 struct bundle *ret, struct err *err)
{
	const struct audit_lane *lane = audit_folder_lane(folder, id);
	struct checkpoint head;

	if (lane == NULL)
		return err_set(err, ERR_NOT_FOUND, "the folder has no such lane");
	if (seq >= lane->size)
		return err_set(err, ERR_NOT_FOUND, "the lane has %" PRIu64 " leaves", lane->size);
	if (!choose_head(lane, seq, &head, err))
		return false;
	memcpy(ret->leaf, audit_lane_leaf(lane, seq), LEAF_SIZE);
	ret->index = seq;
	prove_inclusion(lane, seq, head.size, &ret->proof);
	bundle_set_head(ret, &lane->parties, &head);
	put_private(lane, seq, ret);
	find_next(lane, seq, ret);
	return true;
}
