/* SPDX-License-Identifier: Apache-2.0
 * What applications spend here, as one page: from the ledger's tabs, which count what was served,
 * and the registry, which knows prices, budgets and escrow.  Nothing of it is kept. */
#include "relay/gateway/gateway.h"

#include <inttypes.h>
#include <stdlib.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/gateway/internal.h"

/* Applications and services on the page: those that spend most. */
#define SPENDING_ACCOUNTS_MAX 64

/* One tab with its price. */
struct spent {
	struct ledger_tab_info tab;
	uint64_t price;
	u128 value;
};

/* One application at one service: spent[first, first + n). */
struct spender {
	size_t first, n;
	u128 value;
};

struct spending {
	const struct gateway *gateway;
	const struct registry_view *view;
	const struct history *history;
	height_t height; /* of now */
	height_t start;	 /* of the session of now */
	uint64_t blocks; /* of a session */
	struct spent *spent;
	size_t n;
	struct spender *spenders;
	size_t spenders_n;
};

static height_t snapshot_of(const struct spending *s, height_t start)
{
	return session_snapshot_height(view_params(s->view, start), start);
}

static int spent_order(const void *a, const void *b)
{
	const struct ledger_tab_info *x = &((const struct spent *)a)->tab,
				     *y = &((const struct spent *)b)->tab;
	int order = strcmp(x->session.service.s, y->session.service.s);

	if (order == 0)
		order = memcmp(&x->session.application, &y->session.application, 32);
	if (order == 0)
		order = (x->session.start > y->session.start) -
			(x->session.start < y->session.start);
	return order != 0 ? order : memcmp(&x->peer, &y->peer, sizeof(x->peer));
}

static int most_first(const void *a, const void *b)
{
	const struct spender *x = a, *y = b;

	return (x->value < y->value) - (x->value > y->value);
}

static void price_all(struct spending *s)
{
	struct ledger_tab_info *tabs;

	ledger_tabs(s->gateway->ledger, &tabs, &s->n);
	s->spent = xcalloc(s->n + 1, sizeof(*s->spent));
	for (size_t i = 0; i < s->n; i++) {
		const struct supplier_entry *supplier = history_supplier(
			s->history, &tabs[i].peer, snapshot_of(s, tabs[i].session.start));

		s->spent[i].tab = tabs[i];
		s->spent[i].price = supplier != NULL ? supplier->price : 0;
		s->spent[i].value = (u128)tabs[i].served * s->spent[i].price;
	}
	free(tabs);
	if (s->n > 0)
		qsort(s->spent, s->n, sizeof(*s->spent), spent_order);
}

static bool same_spender(const struct spent *a, const struct spent *b)
{
	return ID_EQ(&a->tab.session.application, &b->tab.session.application) &&
	       strcmp(a->tab.session.service.s, b->tab.session.service.s) == 0;
}

static void group_all(struct spending *s)
{
	s->spenders = xcalloc(s->n + 1, sizeof(*s->spenders));
	for (size_t i = 0; i < s->n; i++) {
		struct spender *last = &s->spenders[s->spenders_n];

		if (i == 0 || !same_spender(&s->spent[i - 1], &s->spent[i])) {
			last = &s->spenders[s->spenders_n++];
			*last = (struct spender){.first = i};
		} else {
			last--;
		}
		last->n++;
		last->value += s->spent[i].value;
	}
	if (s->spenders_n > 0)
		qsort(s->spenders, s->spenders_n, sizeof(*s->spenders), most_first);
}

/* --- the page --- */

static void put_amount(struct buf *out, const char *name, u128 value)
{
	char text[U128_TEXT_MAX];

	buf_putf(out, ",\"%s\":\"%s\"", name, u128_text(value, text));
}

static void put_hex(struct buf *out, const char *name, const void *bytes, size_t n)
{
	buf_putf(out, "\"%s\":\"", name);
	buf_put_hex(out, bytes, n);
	buf_put_str(out, "\"");
}

/* Tabs [i, to) of one session; returns where the next begins. */
static size_t put_session(const struct spending *s, size_t i, size_t to, struct buf *out)
{
	height_t start = s->spent[i].tab.session.start;
	u128 value = 0;
	cu_t cu = 0;
	size_t at = i;

	buf_putf(out, "{\"start\":%" PRIu64 ",\"end\":%" PRIu64 ",\"open\":%s,\"suppliers\":[",
		 start, start + s->blocks, start == s->start ? "true" : "false");
	for (; at < to && s->spent[at].tab.session.start == start; at++) {
		const struct spent *one = &s->spent[at];

		buf_put_str(out, at > i ? ",{" : "{");
		put_hex(out, "supplier", one->tab.peer.b, sizeof(one->tab.peer.b));
		buf_putf(out, ",\"price\":\"%" PRIu64 "\",\"cu\":%" PRIu64, one->price,
			 one->tab.served);
		put_amount(out, "value", one->value);
		buf_put_str(out, "}");
		value += one->value;
		cu += one->tab.served;
	}
	buf_putf(out, "],\"cu\":%" PRIu64, cu);
	put_amount(out, "value", value);
	buf_put_str(out, "}");
	return at;
}

/* What the present session and the one before it cost, and the heights that this took so far. */
static u128 recent_value(const struct spending *s, const struct spender *who, uint64_t *ret_heights)
{
	height_t from = s->start - MIN(s->start, s->blocks), first = s->start;
	u128 value = 0;

	for (size_t i = who->first; i < who->first + who->n; i++) {
		const struct spent *one = &s->spent[i];

		if (one->tab.session.start < from || one->tab.session.start > s->start)
			continue;
		value += one->value;
		if (one->tab.served > 0)
			first = MIN(first, one->tab.session.start);
	}
	*ret_heights = MAX(s->height + 1 - MIN(first, s->height), 1);
	return value;
}

/* How long the escrow carries the application's grants ([P3]) if all goes on like this.  Nothing is
 * put out when nothing is spent. */
static void put_lasts(const struct spending *s, const struct spender *who, u128 escrow, u128 needed,
		      struct buf *out)
{
	uint64_t heights, block_ms = view_clock(s->view)->block_ms;
	u128 value = recent_value(s, who, &heights), left = escrow > needed ? escrow - needed : 0;
	u128 session = value * s->blocks / heights, lasts;

	put_amount(out, "session_rate", session);
	if (session == 0)
		return;
	lasts = left / session * s->blocks;
	lasts = MIN(lasts, (u128)INT64_MAX / block_ms) * block_ms;
	buf_putf(out, ",\"lasts_ms\":%" PRIu64, (uint64_t)lasts);
}

static void put_spender(const struct spending *s, const struct spender *who, struct buf *out)
{
	const struct ledger_session *session = &s->spent[who->first].tab.session;
	const struct key_id *application = &session->application;
	const struct application_entry *entry =
		history_application(s->history, application, s->height);
	const struct grant_entry *grant =
		history_grant(s->history, application, &s->gateway->id, &session->service,
			      snapshot_of(s, s->start));
	u128 escrow = entry != NULL ? entry->escrow : 0;
	u128 needed = history_escrow_needed(s->history, application, s->start);

	buf_put_str(out, "{");
	put_hex(out, "application", application->b, sizeof(application->b));
	buf_putf(out, ",\"service\":\"%s\"", session->service.s);
	put_amount(out, "escrow", escrow);
	put_amount(out, "thawing", history_thawing_escrow(s->history, application, s->height));
	put_amount(out, "needed", needed);
	put_amount(out, "budget", grant != NULL ? grant->budget : 0);
	put_lasts(s, who, escrow, needed, out);
	buf_put_str(out, ",\"sessions\":[");
	for (size_t i = who->first; i < who->first + who->n;) {
		buf_put_str(out, i > who->first ? "," : "");
		i = put_session(s, i, who->first + who->n, out);
	}
	buf_put_str(out, "]}");
}

/* By service: what was saved since the start, at the mean price of what was not. */
static void put_saved(const struct spending *s, struct buf *out)
{
	buf_put_str(out, ",\"saved\":[");
	for (size_t i = 0; i < s->gateway->service_count; i++) {
		const char *name = s->gateway->services[i].s;
		u128 cu = 0, value = 0, saved;

		for (size_t k = 0; k < s->n; k++) {
			if (strcmp(s->spent[k].tab.session.service.s, name) != 0)
				continue;
			cu += s->spent[k].tab.served;
			value += s->spent[k].value;
		}
		saved = (u128)metric_value_at(METRIC_GATEWAY_SAVED_CU,
					      metrics_label(METRIC_LABEL_SERVICE, name), 0);
		buf_putf(out, "%s{\"service\":\"%s\",\"cu\":%" PRIu64, i ? "," : "", name,
			 (uint64_t)saved);
		if (cu > 0)
			put_amount(out, "value", value / cu * saved + value % cu * saved / cu);
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]");
}

void gateway_spending(const struct gateway *gateway, struct buf *out)
{
	CLEANUP(registry_view_unref)
	struct registry_view *view = registry_view_take(gateway->registry);
	struct spending s = {.gateway = gateway,
			     .view = view,
			     .history = view_history(view),
			     .height = view_height(view, clock_wall_ms())};

	s.start = view_start(view, s.height);
	s.blocks = view_params(view, s.start)->session_blocks;
	price_all(&s);
	group_all(&s);
	buf_put_str(out, "{\"applications\":[");
	for (size_t i = 0; i < MIN(s.spenders_n, (size_t)SPENDING_ACCOUNTS_MAX); i++) {
		buf_put_str(out, i ? ",\n" : "");
		put_spender(&s, &s.spenders[i], out);
	}
	buf_putf(out, "],\"applications_all\":%zu", s.spenders_n);
	put_saved(&s, out);
	buf_put_str(out, "}");
	free(s.spent);
	free(s.spenders);
}
