/* SPDX-License-Identifier: Apache-2.0
 * A small world of claims: sessions with their terms, lanes with their leaves, honest records, and
 * a supplier that can prove whatever is in its lanes. */
#ifndef TESTS_UNIT_CLAIM_WORLD_H
#define TESTS_UNIT_CLAIM_WORLD_H

#include <assert.h>
#include <string.h>

#include "relay/base/mem.h"
#include "relay/crypto/key.h"
#include "relay/receipt/checkpoint.h"
#include "relay/receipt/tile.h"
#include "session/settle.h"

#define WORLD_SESSIONS_MAX 16
#define WORLD_LANES_MAX 8
#define WORLD_LEAVES_MAX 250 /* of a lane: one tile */
#define WORLD_RECORDS_MAX (WORLD_SESSIONS_MAX * WORLD_LANES_MAX)

struct world_session {
	height_t start;
	struct settle_terms terms;
	bool missing; /* there was none */
};

struct world_lane {
	struct lane_id id;
	size_t n;
	uint8_t leaf[WORLD_LEAVES_MAX][LEAF_SIZE];
	struct hash hash[WORLD_LEAVES_MAX];
};

struct world {
	struct session_params p;
	struct network_id network;
	struct relay_key *supplier;
	struct relay_key *gateway;
	struct key_id application;
	size_t sessions_n;
	struct world_session session[WORLD_SESSIONS_MAX]; /* by start */
	size_t lanes_n;
	struct world_lane lane[WORLD_LANES_MAX]; /* by id */
};

/* A claim with all that goes with it. */
struct world_claim {
	struct claim c;
	struct signature sig;
	size_t n;
	struct claim_record record[WORLD_RECORDS_MAX];
	struct buf records; /* encoded */
};

/* Sessions of 10 heights from height 100 on, with price 3 and an allowance of 1000; no lanes. */
static inline struct world *world_create(size_t sessions)
{
	const uint8_t seed[2][KEY_SEED_BYTES] = {{1}, {2}};
	struct world *w = xcalloc(1, sizeof(*w));

	assert(sessions <= WORLD_SESSIONS_MAX);
	w->p = session_params_default;
	w->p.session_blocks = 10;
	w->p.snapshot_lag = 4;
	w->p.seed_lag = 2;
	w->p.grace_blocks = 2;
	w->p.claim_window = 200;
	w->p.challenge_lag = 3;
	w->p.proof_window = 7;
	memset(w->network.b, 7, sizeof(w->network.b));
	memset(w->application.b, 8, sizeof(w->application.b));
	w->supplier = relay_key_from_seed(KEY_ROLE_SUPPLIER, seed[0]);
	w->gateway = relay_key_from_seed(KEY_ROLE_GATEWAY, seed[1]);
	w->sessions_n = sessions;
	for (size_t i = 0; i < sessions; i++) {
		struct world_session *s = &w->session[i];

		s->start = 100 + 10 * i;
		s->terms = (struct settle_terms){.member = true, .price = 3, .allowance = 1000};
		memset(s->terms.id.b, (int)(0x40 + i), sizeof(s->terms.id.b));
	}
	return w;
}

static inline void world_destroy(struct world *w)
{
	if (!w)
		return;
	relay_key_destroy(w->supplier);
	relay_key_destroy(w->gateway);
	free(w);
}
DEFINE_CLEANUP(struct world *, world_destroy)

/* A settle_terms_fn over the world. */
static inline bool world_terms(void *arg, const struct claim *c, height_t start,
			       struct settle_terms *ret, struct err *err)
{
	const struct world *w = arg;

	for (size_t i = 0; i < w->sessions_n; i++) {
		if (w->session[i].start != start || w->session[i].missing)
			continue;
		*ret = w->session[i].terms;
		return true;
	}
	return err_set(err, ERR_NO_SESSION, "no such session in this world");
}

/* A new lane, behind the others in order. */
static inline struct world_lane *world_add_lane(struct world *w)
{
	struct world_lane *lane = &w->lane[w->lanes_n];

	assert(w->lanes_n < WORLD_LANES_MAX);
	memset(lane->id.b, (int)(0x10 + w->lanes_n), sizeof(lane->id.b));
	lane->n = 0;
	w->lanes_n++;
	return lane;
}

/* The CU that a lane holds of a session. */
static inline cu_t world_cu(const struct world_lane *lane, const struct session_id *session)
{
	cu_t sum = 0;

	for (size_t i = 0; i < lane->n; i++) {
		struct leaf leaf;
		enum leaf_fault fault = leaf_decode(lane->leaf[i], &leaf);

		assert(fault == LEAF_FINE);
		if (ID_EQ(&leaf.session, session))
			sum += leaf.cu;
	}
	return sum;
}

/* Appends a leaf as it stands, but for its seq. */
static inline void lane_put(struct world_lane *lane, struct leaf leaf)
{
	assert(lane->n < WORLD_LEAVES_MAX);
	leaf.seq = lane->n;
	leaf_encode(&leaf, lane->leaf[lane->n]);
	leaf_hash(lane->leaf[lane->n], &lane->hash[lane->n]);
	lane->n++;
}

/* Appends an honest leaf of a session. */
static inline void lane_serve(struct world_lane *lane, const struct world_session *s, uint32_t cu)
{
	struct leaf leaf = {.kind = LEAF_ANSWER,
			    .status = 200,
			    .session = s->terms.id,
			    .cu_before = world_cu(lane, &s->terms.id),
			    .cu = cu,
			    .method = 1,
			    .block = LEAF_BLOCK_UNKNOWN};

	lane_put(lane, leaf);
}

static inline bool lane_tile(void *arg, unsigned level, uint64_t index, unsigned width,
			     struct hash *dst, struct err *err)
{
	const struct world_lane *lane = arg;

	assert(level == 0 && index == 0 && width <= lane->n);
	memcpy(dst, lane->hash, width * sizeof(*dst));
	return true;
}

static inline struct hash lane_root(const struct world_lane *lane, size_t size)
{
	struct hash root;
	struct err err;
	bool ok = tile_root_at(size, lane_tile, (void *)lane, &root, &err);

	assert(ok);
	return root;
}

/* The checkpoint note of a lane's first `size` leaves. */
static inline void world_note(const struct world *w, const struct world_lane *lane, size_t size,
			      bool cosigned, struct buf *out)
{
	struct checkpoint_origin origin = {w->network, *relay_key_public(w->gateway),
					   *relay_key_public(w->supplier), lane->id};
	struct checkpoint head = {.size = size, .root = lane_root(lane, size)};
	struct checkpoint_lane ready;

	checkpoint_lane_init(&ready, &origin);
	checkpoint_sign(&ready, w->supplier, &head);
	if (cosigned)
		checkpoint_cosign(&ready, w->gateway, 1795442000, &head);
	checkpoint_put_note(&ready, &head, out);
}

/* Encodes the records and signs the claim again, after a change of either.  What the claim says of
 * its records (how many, root, value) follows from them; `dress` false: it stays as it is. */
static inline void world_seal(const struct world *w, struct world_claim *wc, bool dress)
{
	wc->records.n = 0;
	for (size_t i = 0; i < wc->n; i++) {
		uint8_t bytes[CLAIM_RECORD_SIZE];

		claim_record_encode(&wc->record[i], bytes);
		buf_put(&wc->records, bytes, sizeof(bytes));
	}
	if (dress) {
		wc->c.records = (uint32_t)wc->n;
		wc->c.value = 0;
		for (size_t i = 0; i < wc->n; i++)
			wc->c.value += wc->record[i].value;
		claim_records_root(buf_view(&wc->records), &wc->c.root);
	}
	claim_sign(&wc->c, w->supplier, &wc->sig);
}

/* What an honest supplier claims of the sessions [first, last], with all lanes. */
static inline void world_claim_make(const struct world *w, size_t first, size_t last,
				    struct world_claim *wc)
{
	uint64_t price[WORLD_RECORDS_MAX];
	u128 allowance[WORLD_RECORDS_MAX];
	bool ok;

	wc->n = 0;
	for (size_t s = first; s <= last; s++) {
		for (size_t l = 0; l < w->lanes_n; l++) {
			const struct world_lane *lane = &w->lane[l];
			cu_t cu = world_cu(lane, &w->session[s].terms.id);

			if (cu == 0)
				continue;
			price[wc->n] = w->session[s].terms.price;
			allowance[wc->n] = w->session[s].terms.allowance;
			wc->record[wc->n++] =
				(struct claim_record){.session = w->session[s].terms.id,
						      .start = w->session[s].start,
						      .lane = lane->id,
						      .size = lane->n,
						      .root = lane_root(lane, lane->n),
						      .cu = cu};
		}
	}
	wc->n = claim_records_value(wc->record, price, allowance, wc->n);
	wc->c = (struct claim){.network = w->network,
			       .application = w->application,
			       .gateway = *relay_key_public(w->gateway),
			       .supplier = *relay_key_public(w->supplier),
			       .from = w->session[first].start,
			       .to = w->session[last].start + w->p.session_blocks};
	ok = service_name_parse("eth", 3, &wc->c.service);
	assert(ok);
	world_seal(w, wc, true);
}

static inline void world_claim_finish_at(struct world_claim *wc)
{
	buf_finish(&wc->records);
}

/* The claim as the registry sees it at a height. */
static inline enum settle_fault world_check(struct world *w, const struct world_claim *wc,
					    height_t now)
{
	enum settle_fault fault = SETTLE_FAULT_COUNT;
	struct err err;
	bool ok = settle_check_claim(&wc->c, &wc->sig, buf_view(&wc->records), &w->network, &w->p,
				     now, world_terms, w, &fault, &err);

	assert(ok == (fault == SETTLE_FINE));
	assert(ok || (err.code == ERR_CLAIM && strncmp(err.msg, settle_fault_name(fault),
						       strlen(settle_fault_name(fault))) == 0));
	return fault;
}

/* The leaf of a lane at unit z of a session; false when the lane has none. */
static inline bool lane_find(const struct world_lane *lane, const struct session_id *session,
			     cu_t z, size_t *ret)
{
	for (size_t i = 0; i < lane->n; i++) {
		struct leaf leaf;
		enum leaf_fault fault = leaf_decode(lane->leaf[i], &leaf);

		assert(fault == LEAF_FINE);
		if (ID_EQ(&leaf.session, session) && z >= leaf.cu_before &&
		    z - leaf.cu_before < leaf.cu) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static inline const struct world_lane *world_lane_of(const struct world *w,
						     const struct lane_id *id)
{
	for (size_t l = 0; l < w->lanes_n; l++)
		if (ID_EQ(&w->lane[l].id, id))
			return &w->lane[l];
	return NULL;
}

/* The proof for the point x, as far as the supplier has what it takes; false: it has no such leaf.
 * note: taken over by the caller with the proof, which borrows from it. */
static inline bool world_prove(const struct world *w, const struct world_claim *wc, u128 x,
			       struct buf *note, struct claim_proof *ret)
{
	const struct world_lane *lane;
	const struct claim_record *r;
	struct claim_proof p;
	struct err err;
	size_t leaf;
	uint64_t price = 0;

	if (!claim_point_record(buf_view(&wc->records), x, &p.index))
		return false;
	r = &wc->record[p.index];
	p.record = *r;
	for (size_t s = 0; s < w->sessions_n; s++)
		if (w->session[s].start == r->start)
			price = w->session[s].terms.price;
	lane = world_lane_of(w, &r->lane);
	if (!lane || r->size > lane->n || price == 0 ||
	    !lane_find(lane, &r->session, claim_point_cu(r, x, price), &leaf) || leaf >= r->size)
		return false;
	note->n = 0;
	world_note(w, lane, r->size, true, note);
	p.note = buf_view(note);
	memcpy(p.leaf, lane->leaf[leaf], LEAF_SIZE);
	if (!tile_prove_inclusion(leaf, r->size, lane_tile, (void *)lane, &p.leaf_path, &err) ||
	    !claim_records_prove(buf_view(&wc->records), p.index, &p.record_path))
		return false;
	*ret = p;
	return true;
}

/* A proof as the registry sees it. */
static inline enum settle_fault world_check_proof(struct world *w, const struct world_claim *wc,
						  const struct claim_proof *p,
						  const struct seed *seed)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	enum settle_fault fault = SETTLE_FAULT_COUNT;
	struct signature sig;
	struct err err;
	bool ok;

	claim_proof_encode(p, &bytes);
	claim_proof_sign(&wc->c, buf_view(&bytes), w->supplier, &sig);
	ok = settle_check_proof(&wc->c, buf_view(&bytes), &sig, seed, world_terms, w, &fault, &err);
	assert(ok == (fault == SETTLE_FINE));
	return fault;
}

/* A seed whose challenge is the point x of the claim; values must be small. */
static inline struct seed world_seed_for(const struct world_claim *wc, u128 x)
{
	struct claim_id id;

	assert(wc->c.value < 100000 && x < wc->c.value);
	claim_id_of(&wc->c, &id);
	for (uint64_t n = 0;; n++) {
		struct seed seed = {{0}};

		put_be64(seed.b, n);
		if (claim_point(&seed, &id, wc->c.value) == x)
			return seed;
	}
}

#endif
