/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil claim list`: claims, what is not claimed yet, and what is lost. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "relay/base/clock.h"
#include "relay/cli/claim_verbs.h"

/* Rows of one account and start, added up. */
struct earned_group {
	struct earned_row row; /* the first */
	size_t lanes;
	cu_t cosigned_cu, tail_cu, lost_cu;
	bool any;
};

struct listing {
	const struct claim_books *books;
	bool json;
	struct buf out;
	size_t n; /* of the present list */
	struct earned_group group;
};

#define LINE "%-16s  %-12s  %-16s  %-16s  %-17s  %7s  %10s  %20s  %-9s  %s\n"

static void put_heading(struct listing *l)
{
	if (!l->json && l->n == 0)
		buf_putf(&l->out, LINE, "claim", "service", "application", "gateway", "sessions",
			 "records", "units", "value", "state", "next");
}

/* What the claim waits for, or how it ended. */
static void put_next(const struct claim_books *books, const struct claims_row *row, struct buf *out)
{
	char text[CLAIM_HEIGHT_TEXT_MAX];

	switch (row->state) {
	case CLAIMS_PREPARED:
		buf_putf(out, "recorded before %s", claim_height_text(books, row->closes, text));
		return;
	case CLAIMS_RECORDED:
		buf_putf(out, "challenged at %s", claim_height_text(books, row->challenge, text));
		return;
	case CLAIMS_PROVED:
		buf_putf(out, "proof due by %s", claim_height_text(books, row->due, text));
		return;
	case CLAIMS_PAID:
		buf_putf(out, "at %s", claim_height_text(books, row->settled, text));
		return;
	case CLAIMS_FORFEITED:
	case CLAIMS_LOST:
		buf_putf(out, "%s, at %s", row->reason,
			 claim_height_text(books, row->settled, text));
		return;
	}
}

static bool on_claim(void *arg, const struct claims_row *row)
{
	CLEANUP(buf_finish) struct buf next = {0};
	struct listing *l = arg;
	char id[17], application[17], gateway[17], sessions[48], records[16], units[24],
		value[U128_TEXT_MAX];

	put_heading(l);
	if (l->json) {
		buf_put_str(&l->out, l->n++ ? ",\n{" : "\n{");
		claim_put_row(l->books, row, &l->out);
		buf_put_str(&l->out, "}");
		return true;
	}
	l->n++;
	put_next(l->books, row, &next);
	snprintf(sessions, sizeof(sessions), "%" PRIu64 "..%" PRIu64, row->from, row->to);
	snprintf(records, sizeof(records), "%" PRIu32, row->records);
	snprintf(units, sizeof(units), "%" PRIu64, row->cu);
	buf_putf(&l->out, LINE, hex_encode(row->id.b, 8, id), row->service.s,
		 hex_encode(row->application.b, 8, application),
		 hex_encode(row->gateway.b, 8, gateway), sessions, records, units,
		 u128_text(row->value, value), claims_state_name(row->state), buf_cstr(&next));
	return true;
}

/* --- what is not claimed yet --- */

static u128 group_value(const struct earned_group *g)
{
	cu_t cu = g->cosigned_cu > g->lost_cu ? g->cosigned_cu - g->lost_cu : 0;

	return g->row.has_terms ? (u128)cu * g->row.terms.price : 0;
}

static void put_group_json(struct listing *l, const struct earned_group *g)
{
	const struct earned_row *row = &g->row;

	buf_put_str(&l->out, l->n++ ? ",\n{" : "\n{");
	claim_put_id("session", row->session.b, sizeof(row->session.b), &l->out);
	buf_putf(&l->out, ",\"start\":%" PRIu64 ",\"service\":\"%s\",", row->start, row->service.s);
	claim_put_id("application", row->application.b, sizeof(row->application.b), &l->out);
	buf_put_str(&l->out, ",");
	claim_put_id("gateway", row->gateway.b, sizeof(row->gateway.b), &l->out);
	buf_putf(&l->out, ",\"lanes\":%zu,\"cosigned_cu\":%" PRIu64 ",\"uncosigned_cu\":%" PRIu64,
		 g->lanes, g->cosigned_cu, g->tail_cu);
	if (row->has_terms) {
		claim_put_amount("value", group_value(g), &l->out);
		claim_put_height(l->books, "opens", row->terms.opens, &l->out);
		claim_put_height(l->books, "closes", row->terms.closes, &l->out);
	}
	buf_put_str(&l->out, "}");
}

static void put_group(struct listing *l)
{
	const struct earned_group *g = &l->group;
	const struct earned_row *row = &g->row;
	char application[17], gateway[17], start[24], lanes[24], units[24], value[U128_TEXT_MAX],
		opens[CLAIM_HEIGHT_TEXT_MAX], closes[CLAIM_HEIGHT_TEXT_MAX];
	CLEANUP(buf_finish) struct buf next = {0};

	if (!g->any)
		return;
	if (l->json) {
		put_group_json(l, g);
		return;
	}
	put_heading(l);
	l->n++;
	if (row->has_terms)
		buf_putf(&next, "claimed from %s, before %s",
			 claim_height_text(l->books, row->terms.opens, opens),
			 claim_height_text(l->books, row->terms.closes, closes));
	if (g->tail_cu > 0)
		buf_putf(&next, "%s%" PRIu64 " units without a cosigned head",
			 row->has_terms ? "; " : "", g->tail_cu);
	snprintf(start, sizeof(start), "%" PRIu64, row->start);
	snprintf(lanes, sizeof(lanes), "%zu", g->lanes);
	snprintf(units, sizeof(units), "%" PRIu64, g->cosigned_cu);
	buf_putf(&l->out, LINE, "-", row->service.s, hex_encode(row->application.b, 8, application),
		 hex_encode(row->gateway.b, 8, gateway), start, lanes, units,
		 row->has_terms ? u128_text(group_value(g), value) : "-", "earned",
		 buf_cstr(&next));
}

static bool on_earned(void *arg, const struct earned_row *row)
{
	struct listing *l = arg;
	struct earned_group *g = &l->group;

	if (!g->any || g->row.start != row->start || !ID_EQ(&g->row.gateway, &row->gateway) ||
	    !ID_EQ(&g->row.session, &row->session)) {
		put_group(l);
		*g = (struct earned_group){.row = *row, .any = true};
	}
	g->lanes++;
	g->cosigned_cu += row->cosigned_cu;
	g->tail_cu += row->tail_cu;
	g->lost_cu += row->lost_cu - row->lost_tail_cu;
	return true;
}

/* --- what is lost --- */

#define LOST_LINE "%-20s  %-12s  %-16s  %-16s  %10s  %-32s  %10s  %20s  %s\n"

static bool on_lost(void *arg, const struct claims_lost_row *row)
{
	struct listing *l = arg;
	char application[17], gateway[17], start[24], lane[33], units[24], value[U128_TEXT_MAX],
		time[CLOCK_TEXT_MAX];

	if (l->json) {
		buf_put_str(&l->out, l->n++ ? ",\n{" : "\n{");
		claim_put_id("session", row->session.b, sizeof(row->session.b), &l->out);
		buf_putf(&l->out, ",\"start\":%" PRIu64 ",\"service\":\"%s\",", row->start,
			 row->service.s);
		claim_put_id("application", row->application.b, 32, &l->out);
		buf_put_str(&l->out, ",");
		claim_put_id("gateway", row->gateway.b, 32, &l->out);
		buf_put_str(&l->out, ",");
		claim_put_id("lane", row->lane.b, sizeof(row->lane.b), &l->out);
		buf_putf(&l->out, ",\"cu\":%" PRIu64, row->cu);
		claim_put_amount("value", row->value, &l->out);
		buf_putf(&l->out, ",\"reason\":\"%s\",\"noted_time\":\"%s\"", row->reason,
			 clock_text(row->noted_ms, time));
		if (row->has_claim) {
			buf_put_str(&l->out, ",");
			claim_put_id("claim", row->claim.b, sizeof(row->claim.b), &l->out);
		}
		buf_put_str(&l->out, "}");
		return true;
	}
	if (l->n++ == 0)
		buf_putf(&l->out, LOST_LINE, "noted", "service", "application", "gateway",
			 "session", "lane", "units", "value", "reason");
	snprintf(start, sizeof(start), "%" PRIu64, row->start);
	snprintf(units, sizeof(units), "%" PRIu64, row->cu);
	buf_putf(&l->out, LOST_LINE, clock_text(row->noted_ms, time), row->service.s,
		 hex_encode(row->application.b, 8, application),
		 hex_encode(row->gateway.b, 8, gateway), start, hex_encode(row->lane.b, 16, lane),
		 units, u128_text(row->value, value), row->reason);
	return true;
}

static bool list_all(struct claims *claims, struct listing *l, struct err *err)
{
	if (l->json)
		buf_put_str(&l->out, "{\"claims\":[");
	if (!claims_each(claims, false, on_claim, l, err))
		return false;
	if (l->json) {
		buf_put_str(&l->out, "],\n\"earned\":[");
		l->n = 0;
	}
	if (!claims_each_earned(claims, 0, UINT64_MAX, on_earned, l, err))
		return false;
	put_group(l);
	if (l->json)
		buf_put_str(&l->out, "]}\n");
	return true;
}

static bool list_lost(struct claims *claims, struct listing *l, struct err *err)
{
	if (l->json)
		buf_put_str(&l->out, "{\"lost\":[");
	if (!claims_each_lost(claims, on_lost, l, err))
		return false;
	if (l->json)
		buf_put_str(&l->out, "]}\n");
	return true;
}

int claim_list(struct claim_books *books, bool json, bool lost)
{
	struct listing l = {.books = books, .json = json};
	struct err err;
	bool ok = lost ? list_lost(books->claims, &l, &err) : list_all(books->claims, &l, &err);
	int status;

	if (ok && !json && l.n == 0)
		buf_put_str(&l.out, lost ? "nothing is lost\n" : "nothing is earned yet\n");
	status = ok ? claim_print(&l.out) : cli_fail(&err);
	buf_finish(&l.out);
	return status;
}
