/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/inbound.h"

#include <assert.h>
#include <inttypes.h>

/* Session ids are digests of our own making: any four bytes of one are a good hash. */
#define HASH_FUNCTION(key, len, hashv)                                                             \
	do {                                                                                       \
		(hashv) = get_be32((const uint8_t *)(key));                                        \
	} while (0)
#include <uthash.h>

#include "relay/base/mem.h"
#include "relay/receipt/tree.h"

/* The CU of one session in the lane so far ([R7]). */
struct interval {
	struct session_id session;
	cu_t total;
	UT_hash_handle hh;
};

struct inbound_lane {
	struct checkpoint_lane names;
	struct tree tree;
	struct interval *intervals;
};

struct inbound_lane *inbound_lane_create(const struct checkpoint_origin *origin)
{
	struct inbound_lane *lane = xcalloc(1, sizeof(*lane));

	checkpoint_lane_init(&lane->names, origin);
	tree_init(&lane->tree);
	return lane;
}

void inbound_lane_destroy(struct inbound_lane *lane)
{
	struct interval *at, *next;

	if (!lane)
		return;
	HASH_ITER (hh, lane->intervals, at, next) {
		HASH_DEL(lane->intervals, at);
		free(at);
	}
	free(lane);
}

const struct checkpoint_lane *inbound_lane_names(const struct inbound_lane *lane)
{
	return &lane->names;
}

uint64_t inbound_lane_size(const struct inbound_lane *lane)
{
	return lane->tree.size;
}

static struct interval *interval_of(struct inbound_lane *lane, const struct session_id *session)
{
	struct interval *it;

	HASH_FIND(hh, lane->intervals, session, sizeof(*session), it);
	if (!it) {
		it = xcalloc(1, sizeof(*it));
		it->session = *session;
		HASH_ADD(hh, lane->intervals, session, sizeof(it->session), it);
	}
	return it;
}

/* What only the supplier's own signed bytes decide: a fault here convicts. */
static bool check_signed_rules(struct inbound_lane *lane, const struct inbound_answer *a,
			       uint64_t seq, struct err *err)
{
	bool known = a->leaf.method == a->relay->method;
	enum leaf_fault fault = leaf_check(&a->leaf, known ? a->relay->cu : UINT32_MAX,
					   known ? a->relay->part_cu : UINT32_MAX);
	struct interval *interval = interval_of(lane, &a->leaf.session);

	if (fault != LEAF_FINE)
		return err_set(err, ERR_LEAF, "leaf %" PRIu64 ": %s [R5]", seq,
			       leaf_fault_name(fault));
	if (a->leaf.seq != seq)
		return err_set(err, ERR_LEAF, "leaf %" PRIu64 " says seq %" PRIu64 " [R6]", seq,
			       a->leaf.seq);
	if (a->leaf.cu_before != interval->total)
		return err_set(err, ERR_LEAF,
			       "leaf %" PRIu64 ": cu_before %" PRIu64 ", not %" PRIu64 " [R7]", seq,
			       a->leaf.cu_before, interval->total);
	interval->total += a->leaf.cu;
	return true;
}

static bool check_parts(const struct inbound_answer *a, uint64_t seq, struct err *err)
{
	const struct leaf *leaf = &a->leaf;

	if (leaf->kind != LEAF_PART) {
		if (a->relay->next_part != 0)
			return err_set(err, ERR_LEAF,
				       "leaf %" PRIu64 " ends a stream that is open [R8]", seq);
		return true;
	}
	if (leaf->stream != a->relay->number || leaf->part != a->relay->next_part)
		return err_set(err, ERR_LEAF,
			       "leaf %" PRIu64 ": part %" PRIu32 " of stream %" PRIu32
			       ", not part %" PRIu32 " of %" PRIu32 " [R8]",
			       seq, leaf->part, leaf->stream, a->relay->next_part,
			       a->relay->number);
	/* Each part has its price: what is not the rest must be a whole one. */
	if (a->response.body.n > INBOUND_PART_BYTES ||
	    (!(leaf->flags & LEAF_LAST) && a->response.body.n != INBOUND_PART_BYTES))
		return err_set(err, ERR_LEAF, "leaf %" PRIu64 ": a part of %zu bytes [R8]", seq,
			       a->response.body.n);
	return true;
}

/* A refusal is its code and the code's name; a code of a later version has a name of its own. */
static bool check_refusal(const struct inbound_answer *a, uint64_t seq, struct err *err)
{
	const struct err_info *info = err_info(err_from_wire(a->leaf.status));

	if (!view_eq(a->response.content_type, VIEW_STR(RESPONSE_TEXT_TYPE)) ||
	    (info->wire == a->leaf.status && !view_eq(a->response.body, VIEW_STR(info->name))))
		return err_set(err, ERR_LEAF, "leaf %" PRIu64 ": not a refusal's encoding [E7]",
			       seq);
	return true;
}

/* An answer that fits into one leaf: is it one, and is it paid for as what it is? */
static bool check_whole(const struct inbound_answer *a, uint64_t seq, struct err *err)
{
	const struct leaf *leaf = &a->leaf;
	struct rpc_answer answer;

	if (a->relay->notification) {
		if (a->response.body.n > 0)
			return err_set(err, ERR_LEAF,
				       "leaf %" PRIu64 ": a notification with an answer [E4]", seq);
		return true;
	}
	if (!rpc_answer_scan(a->response.body, &answer, err))
		return err_prefix(err, "leaf %" PRIu64 " [E5]", seq);
	if ((answer.error.n > 0) != (leaf->kind == LEAF_RPC_ERROR))
		return err_set(err, ERR_LEAF, "leaf %" PRIu64 ": kind %u is not its answer's [R2]",
			       seq, leaf->kind);
	if (leaf->kind == LEAF_RPC_ERROR && leaf->cu > 0 &&
	    (!answer.error_code_known ||
	     chain_error_class(a->relay->chain, answer.error_code, answer.error_message,
			       answer.error_data) != CHAIN_ERROR_EXECUTION))
		return err_set(err, ERR_LEAF,
			       "leaf %" PRIu64 ": %" PRIu32
			       " CU for an error that is no execution [R9]",
			       seq, leaf->cu);
	return true;
}

static bool check_form(const struct inbound_answer *a, uint64_t seq, struct err *err)
{
	if (a->leaf.kind == LEAF_REFUSAL)
		return check_refusal(a, seq, err);
	if (a->response.status != 200 ||
	    !view_eq(a->response.content_type, VIEW_STR(RESPONSE_JSON_TYPE)))
		return err_set(err, ERR_LEAF, "leaf %" PRIu64 ": not an answer's encoding [E4]",
			       seq);
	return a->leaf.kind == LEAF_PART || check_whole(a, seq, err);
}

/* Flag 2, and the block of a pinned relay: the client is told of them. */
static bool check_pin(const struct inbound_answer *a, uint64_t seq, struct err *err)
{
	const struct inbound_relay *relay = a->relay;
	const struct leaf *leaf = &a->leaf;
	bool want = relay->pinned && leaf->kind != LEAF_REFUSAL;

	if (((leaf->flags & LEAF_PINNED) != 0) != want)
		return err_set(err, ERR_LEAF, "leaf %" PRIu64 ": flag 2 is wrong [R12]", seq);
	if (want && (leaf->block != relay->pin_block ||
		     (relay->pinned_by_hash && !ID_EQ(&leaf->block_hash, &relay->pin_hash))))
		return err_set(err, ERR_LEAF,
			       "leaf %" PRIu64 ": not of the block that it was pinned to [R11]",
			       seq);
	return true;
}

/* Flag 4 is the supplier's word; the gateway looks for itself. */
static bool check_recomputed(const struct inbound_answer *a, uint64_t seq, struct err *err)
{
	if (a->leaf.flags & LEAF_RECOMPUTED && a->leaf.kind != LEAF_ANSWER)
		return err_set(err, ERR_LEAF,
			       "leaf %" PRIu64 ": flag 4 on what is no whole answer [R13]", seq);
	return true;
}

/* What binds the leaf to the request that was sent and to the answer that came with it. */
static bool check_binding(const struct inbound_lane *lane, struct inbound_answer *a,
			  const struct frame_answer *sent, uint64_t seq, struct err *err)
{
	const struct lane_id *id = &lane->names.origin.lane;
	const struct leaf *leaf = &a->leaf;
	struct hash hash;

	if (!ID_EQ(&leaf->session, &a->relay->session))
		return err_set(err, ERR_LEAF, "leaf %" PRIu64 " is of another session", seq);
	if (leaf->method != a->relay->method)
		return err_set(err, ERR_LEAF, "leaf %" PRIu64 ": method %" PRIu32 ", not %" PRIu32,
			       seq, leaf->method, a->relay->method);
	if (!response_encoding_parse(sent->response, &a->response, err)) {
		err->code = ERR_LEAF; /* the node's fault, not the client's format */
		return err_prefix(err, "leaf %" PRIu64, seq);
	}
	if (!check_parts(a, seq, err))
		return false;
	if (leaf->kind == LEAF_PART && a->response.body.n > a->relay->credit)
		return err_set(err, ERR_PROTOCOL,
			       "leaf %" PRIu64 ": %zu bytes, there is room for %" PRIu64 " [F10]",
			       seq, a->response.body.n, a->relay->credit);
	if (leaf->status != a->response.status)
		return err_set(err, ERR_LEAF,
			       "leaf %" PRIu64 ": status %u, its answer says %u [R6]", seq,
			       leaf->status, a->response.status);
	leaf_request_hash(id, &a->relay->salt, &a->relay->request, 1, &hash);
	if (!ID_EQ(&hash, &leaf->request_hash))
		return err_set(err, ERR_LEAF,
			       "leaf %" PRIu64 ": request_hash is of other bytes [R3]", seq);
	leaf_response_hash(id, &a->relay->salt, leaf->part, &sent->response, 1, &hash);
	if (!ID_EQ(&hash, &leaf->response_hash))
		return err_set(err, ERR_LEAF,
			       "leaf %" PRIu64 ": response_hash is of other bytes [R3]", seq);
	return check_pin(a, seq, err) && check_recomputed(a, seq, err) && check_form(a, seq, err);
}

/* One answer into *a, and its leaf into the tree. */
static enum inbound_verdict check_answer(struct inbound_lane *lane, const struct frame_answer *sent,
					 inbound_find_fn *find, void *arg, struct inbound_answer *a,
					 struct err *err)
{
	uint64_t seq = lane->tree.size;
	enum leaf_fault fault = leaf_decode(sent->leaf, &a->leaf);
	bool bound;

	leaf_hash(sent->leaf, &a->leaf_hash);
	tree_append(&lane->tree, &a->leaf_hash);
	if (fault != LEAF_FINE) {
		err_set(err, ERR_LEAF, "leaf %" PRIu64 ": %s [R5]", seq, leaf_fault_name(fault));
		return INBOUND_PROVABLE;
	}
	a->relay = find(arg, sent->relay);
	if (!a->relay) {
		err_set(err, ERR_PROTOCOL, "an answer to relay %" PRIu32 ", which does not wait",
			sent->relay);
		return INBOUND_LOCAL;
	}
	bound = check_binding(lane, a, sent, seq, err);
	if (!check_signed_rules(lane, a, seq, err)) /* the graver fault is the one that is told */
		return INBOUND_PROVABLE;
	if (!bound)
		return INBOUND_LOCAL;
	a->last = a->leaf.kind != LEAF_PART || a->leaf.flags & LEAF_LAST;
	if (a->leaf.kind == LEAF_PART)
		a->relay->credit -= a->response.body.n;
	a->relay->next_part = a->leaf.kind == LEAF_PART && !a->last ? a->leaf.part + 1 : 0;
	return INBOUND_GOOD;
}

/* The signed head over all leaves so far. */
static bool check_head(struct inbound_lane *lane, const struct frame_batch *batch,
		       struct checkpoint *ret, struct err *err)
{
	*ret = (struct checkpoint){.size = lane->tree.size, .supplier_sig = batch->signature};
	tree_root(&lane->tree, &ret->root);
	if (!ID_EQ(&ret->root, &batch->root))
		return err_set(err, ERR_CHECKPOINT,
			       "the root of size %" PRIu64 " is not that of its leaves", ret->size);
	return checkpoint_check(&lane->names, ret, err);
}

bool inbound_is_signed(const struct inbound_lane *lane, const struct frame_batch *batch)
{
	const struct checkpoint head = {.size = batch->first + batch->count,
					.root = batch->root,
					.supplier_sig = batch->signature};
	struct err err;

	return checkpoint_check(&lane->names, &head, &err);
}

/* A batch that does not continue the lane.  When it ends where the lane ends, and its head is
 * signed and another, the supplier has signed two heads of one size ([L4]). */
static enum inbound_verdict check_elsewhere(const struct inbound_lane *lane,
					    const struct frame_batch *batch, struct err *err)
{
	struct hash root;

	tree_root(&lane->tree, &root);
	if (batch->first + batch->count == lane->tree.size && !ID_EQ(&root, &batch->root) &&
	    inbound_is_signed(lane, batch)) {
		err_set(err, ERR_CHECKPOINT, "a second head of size %" PRIu64 " [L4]",
			lane->tree.size);
		return INBOUND_PROVABLE;
	}
	err_set(err, ERR_PROTOCOL, "a batch from %" PRIu64 ", the lane has %" PRIu64 " leaves [F7]",
		batch->first, lane->tree.size);
	return INBOUND_LOCAL;
}

enum inbound_verdict inbound_check(struct inbound_lane *lane, const struct frame_batch *batch,
				   inbound_find_fn *find, void *arg, struct inbound_batch *ret,
				   struct err *err)
{
	enum inbound_verdict verdict = INBOUND_GOOD;
	struct err head_err;

	assert(ID_EQ(&batch->lane, &lane->names.origin.lane));
	if (batch->first != lane->tree.size || lane->tree.size + batch->count > LEAF_SEQ_END)
		return check_elsewhere(lane, batch, err);
	ret->count = batch->count;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct err leaf_err;
		enum inbound_verdict v = check_answer(lane, &batch->answers[i], find, arg,
						      &ret->answers[i], &leaf_err);

		if (v > verdict) { /* PROVABLE > LOCAL > GOOD: the worst is what is told */
			verdict = v;
			*err = leaf_err;
		}
	}
	/* Bytes that nobody signed convict nobody, whatever they say. */
	if (!check_head(lane, batch, &ret->head, &head_err)) {
		*err = head_err;
		return INBOUND_LOCAL;
	}
	return verdict;
}
