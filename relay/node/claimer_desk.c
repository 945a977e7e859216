/* SPDX-License-Identifier: Apache-2.0
 * What becomes of claims at the registry: handed in, challenged, proved, settled.  Everything is
 * idempotent there, so what may or may not have arrived is simply done again. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/base/point.h"
#include "relay/base/rng.h"
#include "relay/node/claim_plan.h"
#include "relay/node/claimer_private.h"
#include "session/settle.h"

struct open_claims {
	struct claims_row *v;
	size_t n, cap;
};

/* --- the registry, and when it is out of reach --- */

/* It is left alone for a while, twice as long each time, give or take a quarter. */
static void out_of_reach(struct claimer *c, const struct err *why)
{
	usec_t pause =
		c->pause_us == 0 ? c->p.pause_min_us : MIN(2 * c->pause_us, c->p.pause_max_us);

	metric_add(METRIC_NODE_CLAIM_FAILURES, 1);
	if (c->pause_us == 0 || pause < c->p.pause_max_us)
		log_warn("claims.registry", "again_ms=%lld error=\"%s\"", (long long)pause / 1000,
			 why->msg);
	c->pause_us = pause;
	c->again_us =
		clock_now_us() + pause - pause / 4 + (usec_t)rng_below((uint64_t)pause / 2 + 1);
	c->desk_why = *why;
}

static void reached(struct claimer *c)
{
	if (c->pause_us > 0)
		log_info("claims.registry_back", "after=\"%s\"", c->desk_why.msg);
	c->pause_us = 0;
	c->desk_why = (struct err){0};
}

/* --- one claim --- */

static void log_claim(const struct claims_row *row, const char *event, const char *detail)
{
	char id[65], value[U128_TEXT_MAX];

	log_info(event, "claim=%s from=%" PRIu64 " to=%" PRIu64 " value=%s%s",
		 hex_encode(row->id.b, 32, id), row->from, row->to, u128_text(row->value, value),
		 detail);
}

static void log_bad(const struct claims_row *row, const char *event, const char *why)
{
	char id[65], value[U128_TEXT_MAX];

	log_error(event, "claim=%s from=%" PRIu64 " to=%" PRIu64 " value=%s why=\"%s\"",
		  hex_encode(row->id.b, 32, id), row->from, row->to, u128_text(row->value, value),
		  why);
}

/* The first word of an error's message: the fault's name. */
static void fault_word(const struct err *why, char dst[64])
{
	size_t n = strcspn(why->msg, " :");

	n = MIN(n, (size_t)63);
	memcpy(dst, why->msg, n);
	dst[n] = '\0';
}

/* Takes over what the registry says is settled; true when it is. */
static bool settled(struct claimer *c, const struct claims_row *row, const struct desk_claim *desk,
		    bool *ret_settled, struct err *err)
{
	struct claims_change change = {.settled = desk->settled};
	char detail[96], burned[U128_TEXT_MAX];

	*ret_settled = desk->state == DESK_PAID || desk->state == DESK_FORFEITED;
	if (!*ret_settled)
		return true;
	change.to = desk->state == DESK_PAID ? CLAIMS_PAID : CLAIMS_FORFEITED;
	change.burned = desk->burned;
	change.reason = desk->reason;
	if (!claims_set_state(c->book, &row->id, &change, err))
		return false;
	POINT("claims.settled");
	if (change.to == CLAIMS_PAID) {
		claimer_count(CLAIMER_PAID);
		log_claim(row, "claims.paid", "");
		return true;
	}
	claimer_count(CLAIMER_FORFEITED);
	snprintf(detail, sizeof(detail), "%s; burned %s", desk->reason,
		 u128_text(desk->burned, burned));
	log_bad(row, "claims.forfeited", detail);
	return true;
}

static bool set_recorded(struct claimer *c, const struct claims_row *row,
			 const struct desk_claim *desk, struct err *err)
{
	const struct claims_change change = {.to = CLAIMS_RECORDED,
					     .recorded = desk->recorded,
					     .challenge = desk->challenge,
					     .due = desk->due};

	if (!claims_set_state(c->book, &row->id, &change, err))
		return false;
	POINT("claims.recorded");
	claimer_count(CLAIMER_RECORDED);
	log_claim(row, "claims.recorded", "");
	return true;
}

/* It will never be recorded. */
static bool set_lost(struct claimer *c, const struct claims_row *row, const struct err *why,
		     struct err *err)
{
	char word[64];
	struct claims_change change = {.to = CLAIMS_LOST, .settled = c->height, .reason = word};

	fault_word(why, word);
	if (!claims_set_state(c->book, &row->id, &change, err))
		return false;
	c->listed = false; /* the registry may know a claim of that range which we do not */
	claimer_count(CLAIMER_REFUSED);
	log_bad(row, "claims.refused", why->msg);
	return true;
}

static bool hand_in(struct claimer *c, const struct claims_full *full, struct desk_claim *ret,
		    struct err *ret_why)
{
	return desk_claim(c->desk, &full->claim, &full->signature, buf_view(&full->records), ret,
			  ret_why);
}

/* A claim that the registry may not have yet.  ret_why: how the registry failed. */
static bool push_prepared(struct claimer *c, const struct claims_full *full, struct err *ret_why,
			  struct err *err)
{
	usec_t age_us = (clock_now_ms() - full->row.prepared_ms) * 1000;
	struct desk_claim desk;
	enum settle_fault fault;

	/* A copy of the books that is put back is as old as a disk that lost power: what it may not
	 * have has not gone out yet. */
	if (age_us >= 0 && age_us < c->p.send_after_us)
		return true;
	if (!hand_in(c, full, &desk, ret_why)) {
		if (ret_why->code != ERR_CLAIM)
			return true;
		if (settle_fault_of(ret_why->msg, &fault) && fault == SETTLE_EARLY) {
			*ret_why = (struct err){0};
			return true;
		}
		if (!set_lost(c, &full->row, ret_why, err))
			return false;
		*ret_why = (struct err){0};
		return true;
	}
	POINT("claims.sent");
	return set_recorded(c, &full->row, &desk, err);
}

/* Its challenge is drawn: makes the proof, and keeps it. */
static bool prove(struct claimer *c, const struct claims_full *full, const struct desk_claim *desk,
		  struct err *err)
{
	struct claims_change change = {.to = CLAIMS_PROVED};
	CLEANUP(buf_finish) struct buf proof = {0};
	struct err why;
	uint64_t more;

	if (!claimer_prove(c, full, &desk->seed, &proof, &change.proof_signature, &why)) {
		if (log_every(&c->proof_gate, 10000000, &more))
			log_bad(&full->row, "claims.no_proof", why.msg);
		return true; /* what is not there may come: recovery fetches what was lost */
	}
	change.proof = buf_view(&proof);
	if (!claims_set_state(c->book, &full->row.id, &change, err))
		return false;
	POINT("claims.proved");
	claimer_count(CLAIMER_PROVED);
	log_claim(&full->row, "claims.proved", "");
	return true;
}

/* The registry had it and has it no more: an older copy of it was put back. */
static bool push_forgotten(struct claimer *c, const struct claims_full *full, struct err *ret_why,
			   struct err *err)
{
	char word[64];
	struct claims_change change = {
		.to = CLAIMS_FORFEITED, .settled = c->height, .reason = word};
	struct desk_claim desk;

	if (hand_in(c, full, &desk, ret_why) || ret_why->code != ERR_CLAIM)
		return true;
	fault_word(ret_why, word);
	log_bad(&full->row, "claims.forgotten", ret_why->msg);
	*ret_why = (struct err){0};
	return claims_set_state(c->book, &full->row.id, &change, err);
}

static bool push_recorded(struct claimer *c, const struct claims_full *full, struct err *ret_why,
			  struct err *err)
{
	struct desk_claim desk;
	bool over;

	if (c->height < full->row.challenge)
		return true;
	if (!desk_look(c->desk, &full->row.id, &desk, ret_why))
		return true;
	if (desk.state == DESK_UNKNOWN)
		return push_forgotten(c, full, ret_why, err);
	if (!settled(c, &full->row, &desk, &over, err))
		return false;
	return over || !desk.has_seed || prove(c, full, &desk, err);
}

/* The proof that was kept is refused: it may be of another challenge, or of what was lost and came
 * back meanwhile. */
static bool prove_anew(struct claimer *c, const struct claims_full *full, struct desk_claim *desk,
		       struct err *ret_why)
{
	CLEANUP(buf_finish) struct buf proof = {0};
	struct signature signature;
	struct err why;
	uint64_t more;

	if (!desk_look(c->desk, &full->row.id, desk, ret_why))
		return false;
	if (desk->state != DESK_RECORDED || !desk->has_seed)
		return true;
	if (!claimer_prove(c, full, &desk->seed, &proof, &signature, &why) ||
	    !desk_prove(c->desk, &full->row.id, buf_view(&proof), &signature, desk, &why)) {
		if (log_every(&c->proof_gate, 10000000, &more))
			log_bad(&full->row, "claims.proof_refused", why.msg);
	}
	return true;
}

static bool push_proved(struct claimer *c, const struct claims_full *full, struct err *ret_why,
			struct err *err)
{
	struct desk_claim desk;
	bool over;

	if (!desk_prove(c->desk, &full->row.id, buf_view(&full->proof), &full->proof_signature,
			&desk, ret_why)) {
		if (ret_why->code != ERR_CLAIM)
			return true;
		*ret_why = (struct err){0};
		if (!prove_anew(c, full, &desk, ret_why))
			return true;
	}
	POINT("claims.proof_sent");
	if (desk.state == DESK_UNKNOWN)
		return push_forgotten(c, full, ret_why, err);
	return settled(c, &full->row, &desk, &over, err);
}

static bool push_one(struct claimer *c, const struct claims_row *row, struct err *ret_why,
		     struct err *err)
{
	CLEANUP(claims_full_finish) struct claims_full full = {0};

	if (!claims_read(c->book, &row->id, &full, err))
		return false;
	switch (full.row.state) {
	case CLAIMS_PREPARED:
		return push_prepared(c, &full, ret_why, err);
	case CLAIMS_RECORDED:
		return push_recorded(c, &full, ret_why, err);
	case CLAIMS_PROVED:
		return push_proved(c, &full, ret_why, err);
	case CLAIMS_PAID:
	case CLAIMS_FORFEITED:
	case CLAIMS_LOST:
		return true;
	}
	return true;
}

/* --- all open claims --- */

static bool on_open(void *arg, const struct claims_row *row)
{
	struct open_claims *open = arg;

	if (open->n == open->cap) {
		open->cap = MAX(2 * open->cap, (size_t)16);
		open->v = xrealloc(open->v, open->cap * sizeof(*open->v));
	}
	open->v[open->n++] = *row;
	return true;
}

/* A claim whose window, or whose time for a proof, is on its way out. */
static void note_risk(struct claimer *c, const struct claims_row *row)
{
	height_t from = row->to, until = row->closes;

	if (row->state != CLAIMS_PREPARED) {
		from = row->challenge;
		until = row->due + 1;
	}
	if (c->height < from || until <= from ||
	    c->height < claim_plan_at(from, until, c->p.warn_percent))
		return;
	c->risk.claims++;
	c->risk.closes = MIN(c->risk.closes, until);
}

/* --- what the registry has and the books do not --- */

struct listed {
	struct claim claim;
	struct desk_claim desk;
};

struct listing {
	struct listed *v;
	size_t n, cap;
};

static bool on_listed(void *arg, const struct claim *claim, const struct desk_claim *desk)
{
	struct listing *list = arg;

	if (list->n == list->cap) {
		list->cap = MAX(2 * list->cap, (size_t)16);
		list->v = xrealloc(list->v, list->cap * sizeof(*list->v));
	}
	list->v[list->n++] = (struct listed){*claim, *desk};
	return true;
}

/* The books were lost, or an older copy of them was put back.  The registry has the records; their
 * leaves and heads may come back later, from the gateways: until the claim is settled it is tried
 * to prove it. */
static bool adopt(struct claimer *c, const struct listed *l, struct err *ret_why, struct err *err)
{
	struct claims_row row = {.id = l->desk.id,
				 .from = l->claim.from,
				 .to = l->claim.to,
				 .value = l->claim.value};
	CLEANUP(buf_finish) struct buf records = {0};
	struct signature signature;
	bool over;

	if (l->desk.state == DESK_RECORDED &&
	    !desk_records(c->desk, &l->claim, &l->desk, &records, ret_why))
		return true; /* again, later */
	if (!claimer_price(c, &l->claim, ret_why, err))
		return false;
	if (ret_why->code != ERR_NONE)
		return true;
	claim_sign(&l->claim, c->p.key, &signature);
	if (!claims_adopt(c->book, &l->claim, &signature, buf_view(&records), l->desk.recorded,
			  l->desk.challenge, l->desk.due, err))
		return false;
	POINT("claims.adopted");
	claimer_count(CLAIMER_ADOPTED);
	log_claim(&row, "claims.adopted", "");
	return settled(c, &row, &l->desk, &over, err);
}

static bool adopt_unknown(struct claimer *c, const struct listing *list, struct err *ret_why,
			  struct err *err)
{
	for (size_t i = 0; i < list->n && ret_why->code == ERR_NONE; i++) {
		CLEANUP(claims_full_finish) struct claims_full full = {0};
		struct err why;

		if (claims_read(c->book, &list->v[i].desk.id, &full, &why))
			continue;
		if (why.code != ERR_NOT_FOUND) {
			*err = why;
			return false;
		}
		if (!adopt(c, &list->v[i], ret_why, err))
			return false;
	}
	return true;
}

/* The oldest claims that can still be open, or stand in the way of another, are this old. */
static height_t listing_since(const struct claimer *c)
{
	const struct session_params *p = view_params(c->view, 0);
	uint64_t span = (session_claim_horizon(p) + 1) * p->session_blocks;

	return c->height > span ? c->height - span : 0;
}

static bool compare(struct claimer *c, struct err *ret_why, struct err *err)
{
	struct listing list = {0};
	bool ok = true;

	if (desk_list(c->desk, &c->self, listing_since(c), on_listed, &list, ret_why)) {
		ok = adopt_unknown(c, &list, ret_why, err);
		c->listed = ok && ret_why->code == ERR_NONE;
	}
	free(list.v);
	return ok;
}

/* --- a step --- */

static bool open_desk(struct claimer *c, struct err *ret_why)
{
	struct desk *desk;

	if (c->desk)
		return true;
	if (!desk_open(c->p.source, c->p.registry_key, &desk, ret_why))
		return false;
	pthread_mutex_lock(&c->lock); /* claimer_stop() looks for it */
	c->desk = desk;
	pthread_mutex_unlock(&c->lock);
	return true;
}

bool claimer_push(struct claimer *c, struct err *err)
{
	struct open_claims open = {0};
	struct err why = {0};
	bool asks = clock_now_us() >= c->again_us && open_desk(c, &why);
	bool ok;

	ok = !asks || c->listed || compare(c, &why, err);
	ok = ok && claims_each(c->book, true, on_open, &open, err);
	for (size_t i = 0; ok && i < open.n; i++) {
		if (asks && why.code == ERR_NONE)
			ok = push_one(c, &open.v[i], &why, err);
		note_risk(c, &open.v[i]);
	}
	free(open.v);
	if (why.code != ERR_NONE)
		out_of_reach(c, &why);
	else if (asks)
		reached(c);
	return ok;
}
