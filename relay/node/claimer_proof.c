/* SPDX-License-Identifier: Apache-2.0
 * The proof of one claim ([C8], [C9]): the challenged record with its path, the head that it names
 * with both signatures, the challenged leaf with its path. */
#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/node/claimer_private.h"
#include "relay/receipt/checkpoint.h"

/* The gateway's signature under the head: kept with the claim, or the lane's newest still. */
static bool cosigned_head(struct claimer *c, const struct claim_record *r,
			  struct ledger_cosigned *ret, struct err *err)
{
	struct ledger_lane_info info;

	if (claims_head_read(c->book, &r->lane, r->size, ret, err))
		return true;
	if (err->code != ERR_NOT_FOUND || !ledger_lane_read(c->reader, &r->lane, &info, err))
		return false;
	*ret = info.cosigned;
	return info.cosigned.size == r->size ||
	       err_set(err, ERR_NOT_FOUND, "no cosigned head of size %" PRIu64, r->size);
}

/* The checkpoint of the record's head.  Our own signature is made anew: it has the same bytes. */
static bool put_note(struct claimer *c, const struct claim *claim, const struct claim_record *r,
		     struct buf *out, struct err *err)
{
	const struct checkpoint_origin origin = {.network = claim->network,
						 .gateway = claim->gateway,
						 .supplier = claim->supplier,
						 .lane = r->lane};
	struct checkpoint head = {.size = r->size, .root = r->root, .cosigned = true};
	struct ledger_cosigned cosigned;
	struct checkpoint_lane lane;

	if (!cosigned_head(c, r, &cosigned, err))
		return false;
	if (!ID_EQ(&cosigned.root, &r->root))
		return err_set(err, ERR_LEDGER, "the cosigned head has another root");
	checkpoint_lane_init(&lane, &origin);
	head.cosign_time = cosigned.time;
	head.gateway_sig = cosigned.signature;
	checkpoint_sign(&lane, c->p.key, &head);
	checkpoint_put_note(&lane, &head, out);
	return true;
}

bool claimer_prove(struct claimer *c, const struct claims_full *full, const struct seed *seed,
		   struct buf *ret_proof, struct signature *ret_signature, struct err *err)
{
	const u128 x = claim_point(seed, &full->row.id, full->claim.value);
	const struct view records = buf_view(&full->records);
	CLEANUP(xfree) struct claim_proof *proof = xcalloc(1, sizeof(*proof));
	CLEANUP(buf_finish) struct buf note = {0};
	struct claim_record *r = &proof->record;
	cu_t z;

	if (!claim_point_record(records, x, &proof->index) ||
	    !claim_record_decode(records.p + (size_t)proof->index * CLAIM_RECORD_SIZE, r) ||
	    r->cu == 0 || !claim_records_prove(records, proof->index, &proof->record_path))
		return err_set(err, ERR_NOT_FOUND, "the records of the claim are not there");
	z = claim_point_cu(r, x, (uint64_t)(r->value / r->cu));
	if (!put_note(c, &full->claim, r, &note, err) ||
	    !claims_prove_leaf(c->book, c->reader, &r->lane, &r->session, z, r->size, proof->leaf,
			       &proof->leaf_path, err))
		return false;
	proof->note = buf_view(&note);
	claim_proof_encode(proof, ret_proof);
	claim_proof_sign(&full->claim, buf_view(ret_proof), c->p.key, ret_signature);
	return true;
}
