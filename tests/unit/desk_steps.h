/* SPDX-License-Identifier: Apache-2.0
 * Steps of the tests of desks, and how each test runs over both. */
#ifndef TESTS_UNIT_DESK_STEPS_H
#define TESTS_UNIT_DESK_STEPS_H

#include "tests/unit/desk_world.h"

static inline void check_books(struct desk_world *d, struct store_books *ret)
{
	struct store_books b;
	struct err err;

	assert_ok(store_books(d->store, (msec_t)atomic_load(&d->now_ms), &b, NULL, NULL, &err),
		  err);
	assert_true(b.balanced);
	assert_true(b.money.deposits == b.paid + b.burned + b.money.stakes + b.money.escrow +
						b.money.thawing_stakes + b.money.thawing_escrow +
						b.money.left);
	if (ret)
		*ret = b;
}

/* Two lanes with leaves of the first n sessions; the height is just before they may be claimed. */
static inline void serve_sessions(struct desk_world *d, size_t n)
{
	struct world_lane *lanes[2];
	height_t end = DESK_START + n * d->w->p.session_blocks;

	desk_advance(d, end + d->w->p.grace_blocks - 1);
	desk_learn(d, n);
	for (size_t l = 0; l < 2; l++) {
		lanes[l] = world_add_lane(d->w);
		for (size_t i = 0; i < n; i++)
			for (uint32_t k = 1; k <= 4; k++)
				lane_serve(lanes[l], &d->w->session[i], k);
	}
}

/* Hands in; *ret on success, else the fault of the refusal. */
static inline enum settle_fault hand_in(struct desk_world *d, const struct world_claim *wc,
					struct desk_claim *ret)
{
	enum settle_fault fault = SETTLE_FINE;
	struct desk_claim state;
	struct claim_id id;
	struct err err;

	claim_id_of(&wc->c, &id);
	if (desk_claim(d->desk, &wc->c, &wc->sig, buf_view(&wc->records), ret, &err)) {
		assert_true(ID_EQ(&ret->id, &id));
		return SETTLE_FINE;
	}
	assert_err(err, ERR_CLAIM);
	if (!settle_fault_of(err.msg, &fault))
		fail_msg("no fault in \"%s\"", err.msg);
	assert_ok(desk_look(d->desk, &id, &state, &err), err);
	assert_int_equal(state.state, DESK_UNKNOWN);
	return fault;
}

static inline struct desk_claim recorded(struct desk_world *d, const struct world_claim *wc)
{
	struct desk_claim state = {.state = DESK_UNKNOWN};

	assert_string_equal(settle_fault_name(hand_in(d, wc, &state)), "fine");
	assert_int_equal(state.state, DESK_RECORDED);
	return state;
}

/* The right proof of a claim whose challenge is drawn, changed by `spoil` before it is signed. */
static inline bool prove(struct desk_world *d, const struct world_claim *wc,
			 const struct seed *seed, void (*spoil)(struct claim_proof *p),
			 struct desk_claim *ret, struct err *err)
{
	CLEANUP(buf_finish) struct buf note = {0}, bytes = {0};
	struct claim_proof proof;
	struct signature sig;
	struct claim_id id;

	claim_id_of(&wc->c, &id);
	assert_true(world_prove(d->w, wc, claim_point(seed, &id, wc->c.value), &note, &proof));
	if (spoil)
		spoil(&proof);
	claim_proof_encode(&proof, &bytes);
	claim_proof_sign(&wc->c, buf_view(&bytes), d->w->supplier, &sig);
	return desk_prove(d->desk, &id, buf_view(&bytes), &sig, ret, err);
}

static inline struct desk_claim look(struct desk_world *d, const struct world_claim *wc)
{
	struct desk_claim state;
	struct claim_id id;
	struct err err;

	claim_id_of(&wc->c, &id);
	assert_ok(desk_look(d->desk, &id, &state, &err), err);
	return state;
}

static inline int setup_file(void **state)
{
	*state = desk_world_create(false);
	return 0;
}

static inline int setup_url(void **state)
{
	*state = desk_world_create(true);
	return 0;
}

static inline int teardown(void **state)
{
	desk_world_destroy(*state);
	return 0;
}

#define BOTH(test)                                                                                 \
	{#test " (sqlite)", test, setup_file, teardown, NULL},                                     \
	{                                                                                          \
#test " (url)", test, setup_url, teardown, NULL                                    \
	}

#endif
