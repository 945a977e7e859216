/* SPDX-License-Identifier: Apache-2.0
 * From rows of the books to claims: the terms of each session, what is claimed together, and what
 * is lost, with its reason. */
#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/base/point.h"
#include "relay/node/claim_plan.h"
#include "relay/node/claimer_private.h"
#include "session/registry/view.h"
#include "session/session.h"
#include "session/settle.h"

struct rows {
	struct earned_row *v;
	size_t n, cap;
};

/* Rows of one session, in a run of one grant. */
struct span {
	struct earned_row *rows;
	size_t n;
};

/* The sessions of one grant; the spans lie one behind the other. */
struct group {
	struct claimer *claimer;
	struct claim_plan_session *sessions;
	struct span *spans;
	size_t n;
};

static bool on_row(void *arg, const struct earned_row *row)
{
	struct rows *rows = arg;

	if (rows->n == rows->cap) {
		rows->cap = MAX(2 * rows->cap, (size_t)64);
		rows->v = xrealloc(rows->v, rows->cap * sizeof(*rows->v));
	}
	rows->v[rows->n++] = *row;
	return true;
}

static bool same_grant(const struct earned_row *a, const struct earned_row *b)
{
	return ID_EQ(&a->application, &b->application) && ID_EQ(&a->gateway, &b->gateway) &&
	       strcmp(a->service.s, b->service.s) == 0;
}

/* --- terms --- */

/* What the registry's view says of the row's session.  A session that it cannot derive any more has
 * a window all the same, and no price. */
static bool terms_of(const struct claimer *c, const struct earned_row *row,
		     struct claims_terms *ret, struct err *err)
{
	const struct session_params *p = settle_params(view_history(c->view), row->start);
	const struct session_member *self;
	struct session_info *info = NULL;

	*ret = (struct claims_terms){
		.opens = settle_opens(p, row->start + p->session_blocks),
		.closes = settle_closes(p, row->start),
	};
	if (!view_session(c->view, &row->application, &row->service, row->start, &info, err))
		return err->code == ERR_NO_SESSION && c->height >= ret->closes;
	self = session_info_member(info, &c->self);
	ret->price = self ? self->price : 0;
	free(info);
	return view_allowance(c->view, &row->application, &row->gateway, &row->service, row->start,
			      &ret->allowance, err) ||
	       err->code == ERR_GRANT;
}

/* Gives all rows their terms, and drops those that have none yet or earn nothing. */
static bool set_terms(struct claimer *c, struct rows *rows, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->n; i++) {
		struct earned_row *row = &rows->v[i];
		const struct earned_row *before = kept > 0 ? &rows->v[kept - 1] : NULL;
		struct err why;

		if (!row->has_terms && before && before->start == row->start &&
		    same_grant(before, row)) {
			row->terms = before->terms;
		} else if (!row->has_terms) {
			if (!terms_of(c, row, &row->terms, &why))
				continue; /* the registry is behind */
			if (!claims_set_terms(c->book, &row->application, &row->gateway,
					      &row->service, row->start, &row->terms, err))
				return false;
		}
		row->has_terms = true;
		if (row->terms.price > 0)
			rows->v[kept++] = *row;
	}
	rows->n = kept;
	return true;
}

/* --- losses --- */

static void log_lost(const struct earned_row *row, const struct claims_lost *lost)
{
	char session[65], lane[33], value[U128_TEXT_MAX];

	log_warn("claims.lost",
		 "session=%s start=%" PRIu64 " lane=%s cu=%" PRIu64 " value=%s reason=%s",
		 hex_encode(row->session.b, 32, session), row->start,
		 hex_encode(row->lane.b, 16, lane), lost->cu, u128_text(lost->value, value),
		 claims_loss_name(lost->reason));
}

static void lose(const struct earned_row *row, enum claims_loss reason, cu_t cu,
		 struct claims_lost *dst, size_t *n)
{
	if (cu == 0)
		return;
	dst[*n] = (struct claims_lost){.lane = row->lane,
				       .session = row->session,
				       .reason = reason,
				       .cu = cu,
				       .value = (u128)cu * row->terms.price};
	log_lost(row, &dst[(*n)++]);
}

static void lose_tail(const struct earned_row *row, struct claims_lost *dst, size_t *n)
{
	lose(row, row->lane_closed ? LOSS_UNDELIVERED : LOSS_NO_COSIGNED_HEAD, row->tail_cu, dst,
	     n);
}

/* Nothing was claimed of it in time. */
static bool write_off(struct claimer *c, const struct span *span, struct err *err)
{
	CLEANUP(xfree) struct claims_lost *lost = xcalloc(2 * span->n, sizeof(*lost));
	size_t n = 0;

	for (size_t i = 0; i < span->n; i++) {
		lose(&span->rows[i], LOSS_WINDOW_CLOSED, span->rows[i].cosigned_cu, lost, &n);
		lose_tail(&span->rows[i], lost, &n);
	}
	return claims_lose(c->book, lost, n, err);
}

/* --- one claim --- */

/* What a claim is made of, from the rows of its range. */
struct draft {
	struct claim_record *records;
	size_t n;
	struct claims_lost *lost;
	size_t lost_n;
};

static void draft_finish_at(struct draft *d)
{
	free(d->records);
	free(d->lost);
}

static void draft_records(struct draft *d, const struct earned_row *rows, size_t n)
{
	CLEANUP(xfree) uint64_t *price = xmalloc(n * sizeof(*price));
	CLEANUP(xfree) u128 *allowance = xmalloc(n * sizeof(*allowance));

	d->records = xcalloc(n, sizeof(*d->records));
	for (size_t i = 0; i < n && d->n < DESK_RECORDS_MAX; i++) {
		const struct earned_row *row = &rows[i];

		if (row->cosigned_cu == 0)
			continue;
		price[d->n] = row->terms.price;
		allowance[d->n] = row->terms.allowance;
		d->records[d->n++] = (struct claim_record){.session = row->session,
							   .start = row->start,
							   .lane = row->lane,
							   .size = row->head_size,
							   .root = row->head_root,
							   .cu = row->cosigned_cu};
	}
	d->n = claim_records_value(d->records, price, allowance, d->n);
}

/* What of the rows is in no record. */
static void draft_losses(struct draft *d, const struct earned_row *rows, size_t n)
{
	size_t at = 0;

	d->lost = xcalloc(2 * n, sizeof(*d->lost));
	for (size_t i = 0; i < n; i++) {
		const struct earned_row *row = &rows[i];
		const struct claim_record *r = &d->records[at];
		bool is_its = at < d->n && r->start == row->start && ID_EQ(&r->lane, &row->lane);

		at += is_its;
		lose(row, row->terms.allowance > 0 ? LOSS_OVER_ALLOWANCE : LOSS_NO_GRANT,
		     row->cosigned_cu - (is_its ? r->cu : 0), d->lost, &d->lost_n);
		lose_tail(row, d->lost, &d->lost_n);
	}
	assert(at == d->n);
}

static void draft_claim(const struct claimer *c, const struct draft *d,
			const struct earned_row *first, const struct earned_row *last,
			struct buf *records, struct claim *ret)
{
	const struct claim_record *end = &d->records[d->n - 1];
	const struct session_params *p = view_params(c->view, 0);

	for (size_t i = 0; i < d->n; i++) {
		buf_reserve(records, CLAIM_RECORD_SIZE);
		claim_record_encode(&d->records[i], records->p + records->n);
		records->n += CLAIM_RECORD_SIZE;
	}
	*ret = (struct claim){.network = *view_network(c->view),
			      .application = first->application,
			      .gateway = first->gateway,
			      .supplier = c->self,
			      .service = first->service,
			      .from = first->start,
			      .to = last->start + p->session_blocks,
			      .records = (uint32_t)d->n,
			      .value = end->value_before + end->value};
	claim_records_root(buf_view(records), &ret->root);
}

static void log_prepared(const struct claim *claim)
{
	char id_hex[65], application[65], gateway[65], value[U128_TEXT_MAX];
	struct claim_id id;

	claim_id_of(claim, &id);
	log_info("claims.prepared",
		 "claim=%s application=%s gateway=%s service=%s from=%" PRIu64 " to=%" PRIu64
		 " records=%" PRIu32 " value=%s",
		 hex_encode(id.b, 32, id_hex), hex_encode(claim->application.b, 32, application),
		 hex_encode(claim->gateway.b, 32, gateway), claim->service.s, claim->from,
		 claim->to, claim->records, u128_text(claim->value, value));
}

/* Prepares the claim of neighbouring sessions, or writes them off when they have no value. */
static bool prepare(struct claimer *c, const struct span *spans, size_t n, struct err *err)
{
	CLEANUP(draft_finish) struct draft d = {0};
	CLEANUP(buf_finish) struct buf records = {0};
	const struct earned_row *first = spans[0].rows;
	struct signature signature;
	struct claim claim;
	size_t rows = 0;

	for (size_t i = 0; i < n; i++)
		rows += spans[i].n;
	draft_records(&d, first, rows);
	draft_losses(&d, first, rows);
	if (d.n == 0)
		return claims_lose(c->book, d.lost, d.lost_n, err);
	draft_claim(c, &d, first, &first[rows - 1], &records, &claim);
	claim_sign(&claim, c->p.key, &signature);
	POINT("claims.ready");
	if (!claims_prepare(c->book, &claim, &signature, buf_view(&records), d.lost, d.lost_n, err))
		return false;
	POINT("claims.prepared");
	claimer_count(CLAIMER_PREPARED);
	log_prepared(&claim);
	return true;
}

/* --- groups --- */

static void group_finish_at(struct group *g)
{
	free(g->sessions);
	free(g->spans);
}

/* The session that begins with this row, and how many rows it has. */
static void group_add(struct group *g, struct earned_row *rows, size_t n)
{
	const struct session_params *p = settle_params(view_history(g->claimer->view), rows->start);
	struct claim_plan_session *s = &g->sessions[g->n];
	struct span *span = &g->spans[g->n++];

	*span = (struct span){rows, 1};
	while (span->n < n && rows[span->n].start == rows->start)
		span->n++;
	*s = (struct claim_plan_session){
		.start = rows->start,
		.ripe = session_gone(p, rows->start) + 1,
		.opens = rows->terms.opens,
		.closes = rows->terms.closes,
		.complete = true,
		.records = span->n,
	};
	for (size_t i = 0; i < span->n; i++)
		s->complete &= rows[i].tail_cu == 0 || rows[i].lane_closed;
}

/* Notes what an operator should know of a session that is not claimed yet. */
static void group_risk(struct group *g, size_t i)
{
	const struct claim_plan_session *s = &g->sessions[i];
	struct claimer *c = g->claimer;
	const struct span *span = &g->spans[i];

	if (c->height < s->ripe)
		return;
	for (size_t k = 0; k < span->n; k++) {
		if (span->rows[k].tail_cu == 0 || span->rows[k].lane_closed)
			continue;
		c->risk.lanes++;
		c->risk.lanes_cu += span->rows[k].tail_cu;
	}
	if (c->height < claim_plan_at(s->opens, s->closes, c->p.warn_percent))
		return;
	c->risk.sessions++;
	c->risk.closes = MIN(c->risk.closes, s->closes);
	for (size_t k = 0; k < span->n; k++)
		c->risk.value_cu += span->rows[k].cosigned_cu + span->rows[k].tail_cu;
}

/* A session that is not claimed now. */
static bool group_pass(struct group *g, size_t i, struct err *err)
{
	if (g->claimer->height >= g->sessions[i].closes)
		return write_off(g->claimer, &g->spans[i], err);
	group_risk(g, i);
	return true;
}

static bool group_plan(struct group *g, struct err *err)
{
	struct claimer *c = g->claimer;
	const struct claim_plan_params p = {
		.session_blocks = view_params(c->view, 0)->session_blocks,
		.batch = c->p.batch_sessions,
		.records_max = DESK_RECORDS_MAX,
	};
	size_t at = 0, first, count;

	while (at < g->n) {
		first = g->n - at;
		count = c->listed ? claim_plan_next(g->sessions + at, g->n - at, &p, c->height,
						    &first)
				  : 0;
		for (; first > 0; first--)
			if (!group_pass(g, at++, err))
				return false;
		if (count > 0 && !prepare(c, g->spans + at, count, err))
			return false;
		at += count;
	}
	return true;
}

/* All sessions of the grant of the first row; *ret_n: of how many rows. */
static bool plan_grant(struct claimer *c, struct earned_row *rows, size_t n, size_t *ret_n,
		       struct err *err)
{
	CLEANUP(group_finish) struct group g = {.claimer = c};
	size_t count = 1;

	while (count < n && same_grant(rows, &rows[count]))
		count++;
	*ret_n = count;
	g.sessions = xcalloc(count, sizeof(*g.sessions));
	g.spans = xcalloc(count, sizeof(*g.spans));
	for (size_t i = 0; i < count; i += g.spans[g.n - 1].n)
		group_add(&g, rows + i, count - i);
	return group_plan(&g, err);
}

bool claimer_plan(struct claimer *c, struct err *err)
{
	struct rows rows = {0};
	size_t count;
	bool ok;

	ok = claims_each_earned(c->book, 0, UINT64_MAX, on_row, &rows, err) &&
	     set_terms(c, &rows, err);
	for (size_t i = 0; ok && i < rows.n; i += count)
		ok = plan_grant(c, rows.v + i, rows.n - i, &count, err);
	free(rows.v);
	return ok;
}
