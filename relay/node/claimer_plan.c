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

/* How the session of a row stands to that which the registry has for its start. */
enum standing {
	THE_SAME,
	ANOTHER, /* the registry was put back, and has drawn this seed anew */
	NONE,	 /* it does not have the seed: not yet, or no more */
};

static enum standing standing_of(const struct claimer *c, const struct earned_row *row)
{
	const struct session_params *p = view_params(c->view, 0);
	const struct seed *seed = NULL;
	struct session_id id;

	if (session_exists(p, row->start))
		seed = seed_run_find(view_seeds(c->view), session_seed_height(p, row->start));
	if (!seed)
		return NONE;
	id = session_id_derive(view_network(c->view), &row->application, &row->service, row->start,
			       seed);
	return ID_EQ(&id, &row->session) ? THE_SAME : ANOTHER;
}

/* What the registry's view says of the session of the row's start.  Errors: those of
 * view_session(); the window is told all the same. */
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
		return false;
	self = session_info_member(info, &c->self);
	ret->price = self ? self->price : 0;
	free(info);
	return view_allowance(c->view, &row->application, &row->gateway, &row->service, row->start,
			      &ret->allowance, err) ||
	       err->code == ERR_GRANT;
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

/* All of a row whose session the registry has another in place of. */
static bool lose_stray(const struct claimer *c, const struct earned_row *row,
		       struct claims_lost *dst, size_t *n)
{
	if (standing_of(c, row) != ANOTHER)
		return false;
	lose(row, LOSS_SESSION_UNKNOWN, row->cosigned_cu + row->tail_cu, dst, n);
	return true;
}

/* Nothing was claimed of it in time. */
static bool write_off(struct claimer *c, const struct span *span, struct err *err)
{
	CLEANUP(xfree) struct claims_lost *lost = xcalloc(2 * span->n, sizeof(*lost));
	size_t n = 0;

	for (size_t i = 0; i < span->n; i++) {
		if (lose_stray(c, &span->rows[i], lost, &n))
			continue;
		lose(&span->rows[i], LOSS_WINDOW_CLOSED, span->rows[i].cosigned_cu, lost, &n);
		lose_tail(&span->rows[i], lost, &n);
	}
	return claims_lose(c->book, lost, n, err);
}

/* --- the terms of rows --- */

static bool same_terms(const struct claims_terms *a, const struct claims_terms *b)
{
	return a->price == b->price && a->allowance == b->allowance && a->opens == b->opens &&
	       a->closes == b->closes;
}

/* Rows of one start that earn nothing: those whose session the registry does not know are lost. */
static bool lose_unknown(struct claimer *c, const struct earned_row *rows, size_t n, bool known,
			 struct err *err)
{
	CLEANUP(xfree) struct claims_lost *lost = xcalloc(n, sizeof(*lost));
	size_t lost_n = 0;

	for (size_t i = 0; i < n; i++)
		if (!known || standing_of(c, &rows[i]) != THE_SAME)
			lose(&rows[i], LOSS_SESSION_UNKNOWN, rows[i].cosigned_cu + rows[i].tail_cu,
			     lost, &lost_n);
	return lost_n == 0 || claims_lose(c->book, lost, lost_n, err);
}

/* Gives the rows of one grant and start their terms.  *ret_earns: they have some, and a price.
 * What was told before the registry was put back may not be so any more. */
static bool set_terms(struct claimer *c, struct earned_row *rows, size_t n, bool *ret_earns,
		      struct err *err)
{
	struct claims_terms terms = rows->terms;
	bool strays = false, known = true;
	struct err why;

	*ret_earns = false;
	for (size_t i = 0; i < n; i++)
		strays |= standing_of(c, &rows[i]) == ANOTHER;
	if (!rows->has_terms || strays) {
		known = terms_of(c, rows, &terms, &why);
		if (!known && (why.code != ERR_NO_SESSION || c->height < terms.closes))
			return true; /* the registry is behind */
		if (strays && terms.price == 0 && c->height < terms.closes)
			return true; /* it may be put right */
		if ((!rows->has_terms || !same_terms(&terms, &rows->terms)) &&
		    !claims_set_terms(c->book, &rows->application, &rows->gateway, &rows->service,
				      rows->start, &terms, err))
			return false;
	}
	for (size_t i = 0; i < n; i++) {
		rows[i].terms = terms;
		rows[i].has_terms = true;
	}
	*ret_earns = terms.price > 0;
	return *ret_earns || lose_unknown(c, rows, n, known, err);
}

/* Gives all rows their terms, and drops those that have none yet or earn nothing. */
static bool set_all_terms(struct claimer *c, struct rows *rows, struct err *err)
{
	size_t kept = 0, n;
	bool earns;

	for (size_t i = 0; i < rows->n; i += n) {
		n = 1;
		while (i + n < rows->n && rows->v[i + n].start == rows->v[i].start &&
		       same_grant(&rows->v[i], &rows->v[i + n]))
			n++;
		if (!set_terms(c, &rows->v[i], n, &earns, err))
			return false;
		if (!earns)
			continue;
		memmove(&rows->v[kept], &rows->v[i], n * sizeof(*rows->v));
		kept += n;
	}
	rows->n = kept;
	return true;
}

bool claimer_price(struct claimer *c, const struct claim *claim, struct err *ret_why,
		   struct err *err)
{
	const uint64_t blocks = view_params(c->view, 0)->session_blocks;
	struct earned_row row = {.application = claim->application,
				 .gateway = claim->gateway,
				 .service = claim->service};
	struct claims_terms terms;
	struct err why;

	for (size_t i = 0; i < SESSION_HORIZON_MAX; i++) {
		row.start = claim->from + i * blocks;
		if (row.start >= claim->to)
			break;
		if (terms_of(c, &row, &terms, &why)) {
			if (terms.price > 0 &&
			    !claims_set_terms(c->book, &row.application, &row.gateway, &row.service,
					      row.start, &terms, err))
				return false;
		} else if (why.code != ERR_NO_SESSION) {
			*ret_why = why;
			return true;
		}
	}
	return true;
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

static void draft_records(const struct claimer *c, struct draft *d, const struct earned_row *rows,
			  size_t n)
{
	CLEANUP(xfree) uint64_t *price = xmalloc(n * sizeof(*price));
	CLEANUP(xfree) u128 *allowance = xmalloc(n * sizeof(*allowance));

	d->records = xcalloc(n, sizeof(*d->records));
	for (size_t i = 0; i < n && d->n < DESK_RECORDS_MAX; i++) {
		const struct earned_row *row = &rows[i];

		if (row->cosigned_cu == 0 || standing_of(c, row) != THE_SAME)
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
static void draft_losses(const struct claimer *c, struct draft *d, const struct earned_row *rows,
			 size_t n)
{
	size_t at = 0;

	d->lost = xcalloc(2 * n, sizeof(*d->lost));
	for (size_t i = 0; i < n; i++) {
		const struct earned_row *row = &rows[i];
		const struct claim_record *r = &d->records[at];
		bool is_its = at < d->n && ID_EQ(&r->session, &row->session) &&
			      ID_EQ(&r->lane, &row->lane);

		at += is_its;
		if (lose_stray(c, row, d->lost, &d->lost_n))
			continue;
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
	draft_records(c, &d, first, rows);
	draft_losses(c, &d, first, rows);
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

/* The session that begins with this row, and how many rows it has.  One that the registry does not
 * have is never ripe: it waits for its window to close. */
static void group_add(struct group *g, struct earned_row *rows, size_t n)
{
	const struct session_params *p = settle_params(view_history(g->claimer->view), rows->start);
	bool any = false;
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
	for (size_t i = 0; i < span->n; i++) {
		if (standing_of(g->claimer, &rows[i]) != THE_SAME)
			continue;
		any = true;
		s->complete &= rows[i].tail_cu == 0 || rows[i].lane_closed;
	}
	if (!any)
		s->ripe = s->closes;
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
		if (span->rows[k].tail_cu == 0 || span->rows[k].lane_closed ||
		    standing_of(c, &span->rows[k]) != THE_SAME)
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
	     set_all_terms(c, &rows, err);
	for (size_t i = 0; ok && i < rows.n; i += count)
		ok = plan_grant(c, rows.v + i, rows.n - i, &count, err);
	free(rows.v);
	return ok;
}
