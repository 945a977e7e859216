/* SPDX-License-Identifier: Apache-2.0
 * The proof that answers a challenge, and the name of each way in which it does not ([C8] to
 * [C10]). */
#include "tests/unit/unit.h"

#include "chains/chain.h"
#include "tests/unit/claim_world.h"

#define assert_fault(got, want) assert_string_equal(settle_fault_name(got), settle_fault_name(want))

/* Two sessions and two lanes, with leaves of many sizes, refusals among them. */
static struct world *two_lanes(void)
{
	static const uint32_t cu[] = {1, 0, 4, 2, 0, 7, 1};
	struct world *w = world_create(2);
	struct world_lane *lanes[2] = {world_add_lane(w), world_add_lane(w)};

	for (size_t i = 0; i < 3 * ARRAY_SIZE(cu); i++)
		lane_serve(lanes[i % 2], &w->session[i / 2 % 2], cu[i % ARRAY_SIZE(cu)]);
	return w;
}

/* Each point has one record and one leaf, and with them it is proved. */
static void every_point_of_an_honest_claim_is_proved(void **state)
{
	CLEANUP(world_destroy) struct world *w = two_lanes();
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	CLEANUP(buf_finish) struct buf note = {0};
	struct claim_proof proof;

	world_claim_make(w, 0, 1, &wc);
	assert_int_equal(wc.n, 4);
	for (u128 x = 0; x < wc.c.value; x++) {
		struct seed seed = world_seed_for(&wc, x);

		assert_true(world_prove(w, &wc, x, &note, &proof));
		assert_fault(world_check_proof(w, &wc, &proof, &seed), SETTLE_FINE);
	}
}

/* What the cases below begin with: a right proof of the last point. */
struct case_ {
	struct world *w;
	struct world_claim wc;
	struct buf note;
	struct seed seed;
	struct claim_proof proof;
};

static void case_begin(struct case_ *c)
{
	*c = (struct case_){.w = two_lanes()};
	world_claim_make(c->w, 0, 1, &c->wc);
	c->seed = world_seed_for(&c->wc, c->wc.c.value - 1);
	assert_true(world_prove(c->w, &c->wc, c->wc.c.value - 1, &c->note, &c->proof));
}

static void case_end(struct case_ *c, enum settle_fault want)
{
	assert_fault(world_check_proof(c->w, &c->wc, &c->proof, &c->seed), want);
	buf_finish(&c->note);
	buf_finish(&c->wc.records);
	world_destroy(c->w);
}

static void only_the_supplier_proves(void **state)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	enum settle_fault fault;
	struct signature sig;
	struct case_ c;
	struct err err;

	case_begin(&c);
	claim_proof_encode(&c.proof, &bytes);
	claim_proof_sign(&c.wc.c, buf_view(&bytes), c.w->supplier, &sig);
	sig.b[0] ^= 1;
	assert_false(settle_check_proof(&c.wc.c, buf_view(&bytes), &sig, &c.seed, world_terms, c.w,
					&fault, &err));
	assert_err(err, ERR_CLAIM);
	assert_fault(fault, SETTLE_SIGNATURE);
	sig.b[0] ^= 1;
	bytes.p[bytes.n - 1] ^= 1; /* another proof than the one that is signed */
	assert_false(settle_check_proof(&c.wc.c, buf_view(&bytes), &sig, &c.seed, world_terms, c.w,
					&fault, &err));
	assert_fault(fault, SETTLE_SIGNATURE);
	buf_put_u8(&bytes, 0);
	claim_proof_sign(&c.wc.c, buf_view(&bytes), c.w->supplier, &sig);
	assert_false(settle_check_proof(&c.wc.c, buf_view(&bytes), &sig, &c.seed, world_terms, c.w,
					&fault, &err));
	assert_fault(fault, SETTLE_FORM);
	case_end(&c, SETTLE_FINE);
}

static void the_record_is_the_one_that_is_asked_for(void **state)
{
	struct case_ c;

	case_begin(&c); /* a right proof, of another point */
	c.seed = world_seed_for(&c.wc, 0);
	case_end(&c, SETTLE_RECORD_POINT);
	case_begin(&c);
	c.proof.record.value_before = 0; /* one that covers everything, and is not the claim's */
	c.proof.record.value = c.wc.c.value;
	case_end(&c, SETTLE_RECORD_PATH);
	case_begin(&c);
	c.proof.record.value = ~(u128)0; /* no sum of it overflows */
	case_end(&c, SETTLE_RECORD_PATH);
	case_begin(&c);
	c.proof.record.value = 0;
	case_end(&c, SETTLE_RECORD_POINT);
	case_begin(&c);
	c.proof.index--;
	case_end(&c, SETTLE_RECORD_PATH);
	case_begin(&c);
	c.proof.index = UINT32_MAX;
	case_end(&c, SETTLE_RECORD_PATH);
	case_begin(&c);
	c.proof.record_path.hash[0].b[0] ^= 1;
	case_end(&c, SETTLE_RECORD_PATH);
	case_begin(&c);
	c.proof.record_path.n--;
	case_end(&c, SETTLE_RECORD_PATH);
	case_begin(&c);
	c.proof.record_path.n = TREE_LEVELS;
	case_end(&c, SETTLE_RECORD_PATH);
}

static void the_head_is_signed_by_both_and_is_the_records(void **state)
{
	struct world_lane *lane;
	struct case_ c;
	size_t line;

	case_begin(&c);
	c.proof.note.n = 0;
	case_end(&c, SETTLE_NOTE);
	case_begin(&c);
	c.note.p[0] ^= 1;
	case_end(&c, SETTLE_NOTE);
	case_begin(&c); /* the other lane's */
	lane = &c.w->lane[0];
	c.note.n = 0;
	world_note(c.w, lane, lane->n, true, &c.note);
	c.proof.note = buf_view(&c.note);
	case_end(&c, SETTLE_LANE);
	case_begin(&c); /* of an earlier head of the same lane */
	lane = &c.w->lane[1];
	c.note.n = 0;
	world_note(c.w, lane, lane->n - 1, true, &c.note);
	c.proof.note = buf_view(&c.note);
	case_end(&c, SETTLE_HEAD);
	case_begin(&c); /* of another tree of the same size */
	lane = &c.w->lane[1];
	lane->hash[0].b[0] ^= 1;
	c.note.n = 0;
	world_note(c.w, lane, lane->n, true, &c.note);
	c.proof.note = buf_view(&c.note);
	case_end(&c, SETTLE_HEAD);
	case_begin(&c); /* not cosigned */
	c.note.n = 0;
	world_note(c.w, &c.w->lane[1], c.w->lane[1].n, false, &c.note);
	c.proof.note = buf_view(&c.note);
	case_end(&c, SETTLE_GATEWAY_SIGNATURE);
	case_begin(&c); /* the last byte of the cosignature, in base64 "...x==\n" or so */
	c.note.p[c.note.n - 8] = c.note.p[c.note.n - 8] == 'A' ? 'B' : 'A';
	case_end(&c, SETTLE_GATEWAY_SIGNATURE);
	case_begin(&c); /* the supplier's line is gone */
	line = c.note.n;
	for (unsigned newlines = 0; newlines < 2; line--) /* the end of the line before the last */
		newlines += c.note.p[line - 1] == '\n';
	line++;
	for (size_t i = line - 1; c.note.p[i - 1] != '\n'; i--) /* its begin */
		c.proof.note.n = i - 1;
	memmove(c.note.p + c.proof.note.n, c.note.p + line, c.note.n - line);
	c.proof.note.n += c.note.n - line;
	case_end(&c, SETTLE_SUPPLIER_SIGNATURE);
}

static void the_leaf_is_the_one_that_is_asked_for(void **state)
{
	struct world_lane *lane;
	struct leaf leaf;
	struct case_ c;
	struct err err;

	case_begin(&c);
	c.proof.leaf[0] = 'X';
	case_end(&c, SETTLE_LEAF);
	case_begin(&c);
	c.proof.leaf[4] = 0; /* kind */
	case_end(&c, SETTLE_LEAF);
	case_begin(&c);
	c.proof.leaf[16] ^= 1; /* session_id */
	case_end(&c, SETTLE_LEAF_SESSION);
	case_begin(&c); /* its neighbour, with a right path */
	lane = &c.w->lane[1];
	memcpy(c.proof.leaf, lane->leaf[2], LEAF_SIZE);
	assert_true(tile_prove_inclusion(2, lane->n, lane_tile, lane, &c.proof.leaf_path, &err));
	assert_int_equal(leaf_decode(c.proof.leaf, &leaf), LEAF_FINE);
	case_end(&c, ID_EQ(&leaf.session, &c.proof.record.session) ? SETTLE_LEAF_POINT
								   : SETTLE_LEAF_SESSION);
	case_begin(&c); /* one that would cover it, and is not in the lane */
	put_be64(c.proof.leaf + 48, 0);
	put_be32(c.proof.leaf + 56, UINT32_MAX);
	case_end(&c, SETTLE_LEAF_PATH);
	case_begin(&c); /* at another place than its seq says */
	put_be64(c.proof.leaf + 8, 1);
	case_end(&c, SETTLE_LEAF_PATH);
	case_begin(&c);
	c.proof.leaf_path.hash[0].b[31] ^= 1;
	case_end(&c, SETTLE_LEAF_PATH);
	case_begin(&c);
	c.proof.leaf_path.n = 0;
	case_end(&c, SETTLE_LEAF_PATH);
}

/* [R5]: where the registry knows the method table, the leaf may cost no more than it says. */
static void a_leaf_costs_what_the_table_says(void **state)
{
	const struct method_table *table = chain_table(chain_find("evm"));
	const struct method_entry *first = method_table_at(table, 1);
	struct world *w = world_create(1);
	struct world_lane *lane = world_add_lane(w);
	struct leaf leaf = {.kind = LEAF_ANSWER,
			    .session = w->session[0].terms.id,
			    .method = first->id,
			    .cu = first->cu,
			    .block = LEAF_BLOCK_UNKNOWN};
	CLEANUP(world_claim_finish) struct world_claim wc = {0};
	CLEANUP(buf_finish) struct buf note = {0};
	struct claim_proof proof;
	struct seed seed;

	w->session[0].terms.table = table;
	w->session[0].terms.allowance = 10000;
	lane_put(lane, leaf);
	leaf.cu_before = first->cu;
	leaf.cu = first->cu + 1;
	lane_put(lane, leaf);
	leaf.cu_before += leaf.cu;
	leaf.cu = 1;
	leaf.method = UINT32_MAX;
	lane_put(lane, leaf);
	world_claim_make(w, 0, 0, &wc);
	assert_int_equal(wc.n, 1);
	for (u128 x = 0; x < wc.c.value; x += 3) {
		cu_t z = (cu_t)(x / 3);

		seed = world_seed_for(&wc, x);
		assert_true(world_prove(w, &wc, x, &note, &proof));
		assert_fault(world_check_proof(w, &wc, &proof, &seed),
			     z < first->cu ? SETTLE_FINE : SETTLE_LEAF_CU);
		w->session[0].terms.table = NULL; /* not known: left to auditors */
		assert_fault(world_check_proof(w, &wc, &proof, &seed), SETTLE_FINE);
		w->session[0].terms.table = table;
	}
	world_destroy(w);
}

static void the_registry_must_still_know_the_session(void **state)
{
	struct case_ c;

	case_begin(&c);
	c.w->session[1].missing = true;
	case_end(&c, SETTLE_SESSION);
	case_begin(&c);
	c.w->session[1].terms.price = 0;
	case_end(&c, SETTLE_VALUE);
	case_begin(&c);
	c.w->session[1].terms.price = 5;
	case_end(&c, SETTLE_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_point_of_an_honest_claim_is_proved),
		cmocka_unit_test(only_the_supplier_proves),
		cmocka_unit_test(the_record_is_the_one_that_is_asked_for),
		cmocka_unit_test(the_head_is_signed_by_both_and_is_the_records),
		cmocka_unit_test(the_leaf_is_the_one_that_is_asked_for),
		cmocka_unit_test(a_leaf_costs_what_the_table_says),
		cmocka_unit_test(the_registry_must_still_know_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
