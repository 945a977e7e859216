/* SPDX-License-Identifier: Apache-2.0
 * Claims and proofs as the input describes them: a world that serves, an honest claim of it, then
 * damage, sealed and signed again by a supplier that means ill.  What is accepted keeps every rule
 * of [C6], looked at once more record by record; and a proof that is accepted shows a leaf that is
 * in the lane and has the point that was asked for ([C10]). */
#include "tests/fuzz/choices.h"
#include "tests/unit/claim_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void serve(struct choices *c, struct world *w)
{
	for (size_t l = 1 + choose_below(c, 3); l > 0; l--)
		world_add_lane(w);
	for (size_t s = 0; s < w->sessions_n; s++) {
		struct settle_terms *t = &w->session[s].terms;
		uint8_t how = choose_u8(c);

		t->price = how % 8;
		t->allowance = how % 32 == 31 ? 0 : 10 + how;
		t->member = how % 16 != 15;
	}
	for (size_t i = choose_below(c, 24); i > 0; i--) {
		uint8_t what = choose_u8(c);

		lane_serve(&w->lane[what % w->lanes_n], &w->session[what / 3 % w->sessions_n],
			   what / 12 % 8);
	}
}

/* Values that are the least, the largest or near something that counts. */
static u128 some_value(struct choices *c, u128 near)
{
	switch (choose_u8(c) % 6) {
	case 0:
		return 0;
	case 1:
		return near + 1;
	case 2:
		return near - 1;
	case 3:
		return ~(u128)0 - choose_u8(c);
	case 4:
		return CLAIM_VALUE_END - choose_u8(c);
	default:
		return choose_u8(c);
	}
}

static void change_record(struct choices *c, struct world *w, struct claim_record *r)
{
	switch (choose_u8(c) % 9) {
	case 0:
		r->start = 90 + 10 * choose_below(c, 8);
		break;
	case 1:
		r->session = w->session[choose_below(c, w->sessions_n)].terms.id;
		break;
	case 2:
		memset(r->lane.b, choose_u8(c), sizeof(r->lane.b));
		break;
	case 3:
		r->size = (uint64_t)some_value(c, r->size);
		break;
	case 4:
		r->cu = (cu_t)some_value(c, r->cu);
		break;
	case 5:
		r->value = some_value(c, r->value);
		break;
	case 6:
		r->value_before = some_value(c, r->value_before);
		break;
	case 7:
		r->session_value_before = some_value(c, r->session_value_before);
		break;
	default: /* more units, with the value that they have */
		r->value = r->value / MAX(r->cu, 1u) * (r->cu + 9);
		r->cu += 9;
	}
}

/* Doubles, drops, exchanges or changes records. */
static void change_records(struct choices *c, struct world *w, struct world_claim *wc)
{
	for (size_t times = choose_below(c, 4); times > 0 && wc->n > 0; times--) {
		size_t i = choose_below(c, wc->n), j = choose_below(c, wc->n);
		struct claim_record r = wc->record[i];

		switch (choose_u8(c) % 6) {
		case 0:
			if (wc->n < WORLD_RECORDS_MAX)
				wc->record[wc->n++] = r;
			break;
		case 1:
			wc->record[i] = wc->record[--wc->n];
			break;
		case 2:
			wc->record[i] = wc->record[j];
			wc->record[j] = r;
			break;
		default:
			change_record(c, w, &wc->record[i]);
		}
	}
}

/* [C6] again, from all records at once. */
static void assert_rules(const struct world *w, const struct world_claim *wc)
{
	u128 total = 0;

	for (size_t i = 0; i < wc->n; i++) {
		const struct claim_record *r = &wc->record[i];
		u128 in_session = 0;
		struct settle_terms t;
		struct err err;
		bool known = world_terms((void *)w, &wc->c, r->start, &t, &err);

		assert(known && t.member && t.price > 0 && r->cu > 0);
		assert(ID_EQ(&t.id, &r->session));
		assert(r->start >= wc->c.from && r->start < wc->c.to);
		assert(r->size >= 1 && r->size <= CHECKPOINT_SIZE_MAX);
		assert(r->value == (u128)r->cu * t.price && r->value_before == total);
		for (size_t k = 0; k < wc->n; k++) {
			bool same = wc->record[k].start == r->start;

			assert(k == i || !same || !ID_EQ(&wc->record[k].lane, &r->lane));
			in_session += same ? wc->record[k].value : 0;
		}
		assert(in_session <= t.allowance);
		total += r->value;
	}
	assert(total == wc->c.value && total > 0);
}

/* An honest proof of a point, damaged; the claim is accepted. */
static void try_proof(struct choices *c, struct world *w, const struct world_claim *wc)
{
	u128 x = choose_u64(c) % wc->c.value;
	struct seed seed = world_seed_for(wc, x);
	struct buf note = {0}, bytes = {0};
	struct claim_proof proof, got;
	enum settle_fault fault;
	struct signature sig;
	const struct world_lane *lane;
	struct leaf leaf;
	struct err err;
	bool whole = true;

	if (!world_prove(w, wc, choose_u8(c) % 4 ? x : choose_u64(c) % wc->c.value, &note,
			 &proof)) {
		buf_finish(&note);
		return;
	}
	claim_proof_encode(&proof, &bytes);
	for (int i = 0; i < 3 && choose_damage(c, &bytes); i++)
		whole = false;
	claim_proof_sign(&wc->c, buf_view(&bytes), w->supplier, &sig);
	if (settle_check_proof(&wc->c, buf_view(&bytes), &sig, &seed, world_terms, w, &fault,
			       &err)) {
		bool ok = claim_proof_parse(buf_view(&bytes), &got, &err);

		assert(ok && leaf_decode(got.leaf, &leaf) == LEAF_FINE);
		lane = world_lane_of(w, &got.record.lane);
		assert(lane && leaf.seq < lane->n && leaf.seq < got.record.size);
		assert(memcmp(lane->leaf[leaf.seq], got.leaf, LEAF_SIZE) == 0);
		assert(ID_EQ(&leaf.session, &got.record.session));
		assert(x >= got.record.value_before);
		assert(x - got.record.value_before < got.record.value);
	} else {
		assert(err.code == ERR_CLAIM && fault != SETTLE_FINE && fault < SETTLE_NO_PROOF);
		/* another point's, or of a head that the record does not have */
		assert(!whole || fault == SETTLE_RECORD_POINT || fault == SETTLE_LEAF_POINT ||
		       fault == SETTLE_HEAD);
	}
	buf_finish(&note);
	buf_finish(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = {data, size};
	struct world *w = world_create(1 + choose_below(&c, 4));
	struct world_claim wc = {0};
	enum settle_fault fault;

	serve(&c, w);
	world_claim_make(w, 0, w->sessions_n - 1, &wc);
	change_records(&c, w, &wc);
	world_seal(w, &wc, true);
	if (choose_u8(&c) % 8 == 7)
		wc.c.value = some_value(&c, wc.c.value);
	if (choose_u8(&c) % 8 == 7)
		wc.c.from = 90 + 5 * choose_below(&c, 8);
	world_seal(w, &wc, false);
	fault = world_check(w, &wc, 160);
	if (fault == SETTLE_FINE) {
		assert_rules(w, &wc);
		try_proof(&c, w, &wc);
	}
	buf_finish(&wc.records);
	world_destroy(w);
	return 0;
}
