/* SPDX-License-Identifier: Apache-2.0
 * The proof against its challenge ([C8], [C10]): the record, its head, the leaf. */
#include <assert.h>
#include <inttypes.h>

#include "chains/table.h"
#include "relay/receipt/checkpoint.h"
#include "session/settle_inside.h"

/* The record is the claim's, and the point falls into it. */
static bool check_record(const struct claim *c, const struct claim_proof *proof, u128 x,
			 enum settle_fault *ret, struct err *err)
{
	const struct claim_record *r = &proof->record;
	uint8_t bytes[CLAIM_RECORD_SIZE];
	struct hash leaf;
	struct err why;

	/* Of a record that is the claim's the sums are known to be right; of this one not yet. */
	if (x < r->value_before || x - r->value_before >= r->value)
		return settle_refuse(ret, err, SETTLE_RECORD_POINT,
				     "record %" PRIu32 " is not the one that is asked for",
				     proof->index);
	claim_record_encode(r, bytes);
	tree_leaf_hash(VIEW(bytes, sizeof(bytes)), &leaf);
	if (!tree_check_inclusion(&leaf, proof->index, c->records, proof->record_path.hash,
				  proof->record_path.n, &c->root, &why))
		return settle_refuse(ret, err, SETTLE_RECORD_PATH, "%s", why.msg);
	assert(r->value > 0);
	return true;
}

/* Whose signature fails, or is missing, in a note that checkpoint_open() refused for one. */
static bool refuse_signature(const struct checkpoint_lane *lane, const struct note *note,
			     enum settle_fault *ret, struct err *err)
{
	struct note_seen seen;
	struct err why;

	if (!note_check(note, &lane->supplier, 1, &seen, &why))
		return settle_refuse(ret, err, SETTLE_SUPPLIER_SIGNATURE, "%s", why.msg);
	if (!seen.signed_)
		return settle_refuse(ret, err, SETTLE_SUPPLIER_SIGNATURE, "it is not there");
	return settle_refuse(ret, err, SETTLE_GATEWAY_SIGNATURE, "it does not verify");
}

/* The head is the record's, and both sides have signed it. */
static bool check_note(const struct claim *c, const struct claim_proof *proof,
		       enum settle_fault *ret, struct err *err)
{
	const struct claim_record *r = &proof->record;
	const struct checkpoint_origin want = {c->network, c->gateway, c->supplier, r->lane};
	struct checkpoint_origin origin;
	struct checkpoint_lane lane;
	struct checkpoint head;
	struct note note;
	struct err why;

	if (!note_parse(proof->note, CHECKPOINT_NOTE_MAX, &note, &why) ||
	    !checkpoint_read_origin(proof->note, &origin, &why))
		return settle_refuse(ret, err, SETTLE_NOTE, "%s", why.msg);
	if (memcmp(&origin, &want, sizeof(want)) != 0)
		return settle_refuse(ret, err, SETTLE_LANE, "a checkpoint of another lane");
	checkpoint_lane_init(&lane, &want);
	if (!checkpoint_open(&lane, proof->note, &head, &why))
		return why.code == ERR_SIGNATURE
			       ? refuse_signature(&lane, &note, ret, err)
			       : settle_refuse(ret, err, SETTLE_NOTE, "%s", why.msg);
	if (!head.cosigned)
		return settle_refuse(ret, err, SETTLE_GATEWAY_SIGNATURE, "it is not there");
	if (head.size != r->size || !ID_EQ(&head.root, &r->root))
		return settle_refuse(ret, err, SETTLE_HEAD,
				     "the checkpoint's %" PRIu64 " leaves are not the record's",
				     head.size);
	assert(head.size >= 1 && head.size <= CHECKPOINT_SIZE_MAX);
	return true;
}

/* The most that a leaf may cost by its service's table ([R5]); false: the table lacks its method.
 */
static bool most_cu(const struct method_table *table, const struct leaf *leaf, uint32_t *ret)
{
	const struct method_entry *entry = method_table_find(table, leaf->method);

	if (!entry)
		return false;
	*ret = leaf->part > 0 ? entry->part_cu : entry->cu;
	return true;
}

/* The leaf is the one that is asked for, and it is in the lane. */
static bool check_leaf(const struct claim_proof *proof, cu_t z, const struct method_table *table,
		       enum settle_fault *ret, struct err *err)
{
	const struct claim_record *r = &proof->record;
	enum leaf_fault form;
	struct leaf leaf;
	struct hash hash;
	struct err why;
	uint32_t most;

	form = leaf_decode(proof->leaf, &leaf);
	if (form == LEAF_FINE)
		form = leaf_check_form(&leaf);
	if (form != LEAF_FINE)
		return settle_refuse(ret, err, SETTLE_LEAF, "%s", leaf_fault_name(form));
	if (!ID_EQ(&leaf.session, &r->session))
		return settle_refuse(ret, err, SETTLE_LEAF_SESSION, "a leaf of another session");
	if (!claim_point_leaf(&leaf, r, z))
		return settle_refuse(ret, err, SETTLE_LEAF_POINT,
				     "unit %" PRIu64 " is asked for, the leaf has %" PRIu32
				     " from %" PRIu64 " on",
				     z, leaf.cu, leaf.cu_before);
	if (table && (!most_cu(table, &leaf, &most) || leaf.cu > most))
		return settle_refuse(ret, err, SETTLE_LEAF_CU, "%" PRIu32 " CU for method %" PRIu32,
				     leaf.cu, leaf.method);
	leaf_hash(proof->leaf, &hash);
	if (!tree_check_inclusion(&hash, leaf.seq, r->size, proof->leaf_path.hash,
				  proof->leaf_path.n, &r->root, &why))
		return settle_refuse(ret, err, SETTLE_LEAF_PATH, "%s", why.msg);
	return true;
}

bool settle_check_proof(const struct claim *c, struct view bytes, const struct signature *sig,
			const struct seed *challenge, settle_terms_fn *terms_fn, void *arg,
			enum settle_fault *ret, struct err *err)
{
	struct claim_proof proof;
	struct settle_terms terms;
	struct claim_id id;
	struct err why;
	u128 x;

	assert(c->value > 0 && c->records > 0 && c->records <= CLAIM_RECORDS_MAX);
	if (!claim_proof_verify(c, bytes, sig))
		return settle_refuse(ret, err, SETTLE_SIGNATURE,
				     "the supplier has not signed the proof");
	if (!claim_proof_parse(bytes, &proof, &why))
		return settle_refuse(ret, err, SETTLE_FORM, "%s", why.msg);
	claim_id_of(c, &id);
	x = claim_point(challenge, &id, c->value);
	if (!check_record(c, &proof, x, ret, err) || !check_note(c, &proof, ret, err))
		return false;
	/* The claim was accepted with these records, so their sessions are there with this price.
	 */
	if (!terms_fn(arg, c, proof.record.start, &terms, &why))
		return settle_refuse(ret, err, SETTLE_SESSION, "%s", why.msg);
	if (terms.price == 0 || proof.record.value != (u128)proof.record.cu * terms.price)
		return settle_refuse(ret, err, SETTLE_VALUE, "the record's price has changed");
	if (!check_leaf(&proof, claim_point_cu(&proof.record, x, terms.price), terms.table, ret,
			err))
		return false;
	*ret = SETTLE_FINE;
	return true;
}
