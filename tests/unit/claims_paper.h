/* SPDX-License-Identifier: Apache-2.0
 * Claims of what the books of claims_world.h have. */
#ifndef TESTS_UNIT_CLAIMS_PAPER_H
#define TESTS_UNIT_CLAIMS_PAPER_H

#include "tests/unit/claims_world.h"

#define PAPER_PRICE 7

/* A claim of what application 0 owes for the starts of [from, to). */
struct paper {
	struct claim claim;
	struct signature signature;
	struct claim_id id;
	uint8_t records[BOOK_SESSIONS * BOOK_LANES * CLAIM_RECORD_SIZE];
	size_t n;
};

static inline void paper_make(struct book_world *b, height_t from, height_t to, struct paper *ret)
{
	struct book_rows rows;

	*ret = (struct paper){.claim = {.application = b->sessions[0].application,
					.gateway = b->w.peer,
					.supplier = b->w.params.self,
					.service = b->sessions[0].service,
					.from = from,
					.to = to}};
	book_rows(b, &rows);
	for (size_t i = 0; i < rows.n; i++) {
		const struct earned_row *row = &rows.v[i];
		struct claim_record r = {.session = row->session,
					 .start = row->start,
					 .lane = row->lane,
					 .size = row->head_size,
					 .root = row->head_root,
					 .cu = row->cosigned_cu,
					 .value = (u128)row->cosigned_cu * PAPER_PRICE,
					 .value_before = ret->claim.value};

		if (!ID_EQ(&row->application, &ret->claim.application) || row->start < from ||
		    row->start >= to || row->cosigned_cu == 0)
			continue;
		claim_record_encode(&r, ret->records + ret->n++ * CLAIM_RECORD_SIZE);
		ret->claim.value += r.value;
	}
	ret->claim.records = (uint32_t)ret->n;
	memset(ret->claim.root.b, (int)(from & 0xff), sizeof(ret->claim.root.b));
	memset(ret->signature.b, 0x51, sizeof(ret->signature.b));
	claim_id_of(&ret->claim, &ret->id);
}

static inline struct view paper_records(const struct paper *p)
{
	return VIEW(p->records, p->n * CLAIM_RECORD_SIZE);
}

static inline bool paper_prepare(struct book_world *b, const struct paper *p, struct err *err)
{
	return claims_prepare(b->claims, &p->claim, &p->signature, paper_records(p), NULL, 0, err);
}

static inline void paper_move(struct book_world *b, const struct claim_id *id, enum claims_state to)
{
	struct claims_change change = {.to = to,
				       .recorded = 900,
				       .challenge = 903,
				       .due = 933,
				       .proof = VIEW("proof", 5),
				       .settled = 905,
				       .burned = 12,
				       .reason = "late"};
	struct err err = {0};

	memset(change.proof_signature.b, 0x77, sizeof(change.proof_signature.b));
	assert_ok(claims_set_state(b->claims, id, &change, &err), err);
}

#endif
