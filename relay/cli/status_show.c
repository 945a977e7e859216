/* SPDX-License-Identifier: Apache-2.0
 * What `counterfoil status' prints. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/cli/status.h"
#include "session/params.h"

#define SESSIONS_SHOWN 6 /* the newest, of a node or of one application */

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "-";
}

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* The first 16 digits of an id tell it from others. */
static const char *short_id(const json_t *object, const char *name, char dst[17])
{
	snprintf(dst, 17, "%s", text_of(object, name));
	return dst;
}

static double ms_of(const json_t *object, const char *name)
{
	return (double)number_of(object, name) / 1000;
}

#define SPAN_MAX_S (INT64_C(100) * 365 * 86400)

/* "3 d 4 h", "25 min", "12 s" */
static const char *span_text(int64_t ms, char dst[32])
{
	int64_t s = ms / 1000;

	if (s >= SPAN_MAX_S)
		snprintf(dst, 32, "over 100 years");
	else if (s >= 2 * 86400)
		snprintf(dst, 32, "%" PRId64 " d %" PRId64 " h", s / 86400, s % 86400 / 3600);
	else if (s >= 2 * 3600)
		snprintf(dst, 32, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
	else if (s >= 120)
		snprintf(dst, 32, "%" PRId64 " min", s / 60);
	else
		snprintf(dst, 32, "%" PRId64 " s", s);
	return dst;
}

static msec_t height_ms(const json_t *page, int64_t height)
{
	const struct session_clock clock = {.genesis_ms = number_of(page, "genesis_ms"),
					    .block_ms = (uint64_t)number_of(page, "block_ms")};

	return session_clock_ms(&clock, (height_t)height);
}

static void put_heading(const struct status_source *source, struct buf *out)
{
	const json_t *page = source->page;
	int64_t end = number_of(page, "session") + number_of(page, "session_blocks");
	int64_t left = (end - number_of(page, "height")) * number_of(page, "block_ms");
	char key[17], span[32];

	buf_putf(out, "\n%s at %s  %s", text_of(page, "role"), source->admin,
		 json_is_true(json_object_get(page, "ready")) ? "ready" : "NOT READY: ");
	if (!json_is_true(json_object_get(page, "ready")))
		buf_put_str(out, text_of(page, "why"));
	buf_putf(out, "   key %s\n", short_id(page, "key", key));
	buf_putf(out,
		 "  height %" PRId64 ", session %" PRId64 "..%" PRId64 " ends in %s; registry read "
		 "%.1f s ago\n",
		 number_of(page, "height"), number_of(page, "session"), end,
		 span_text(MAX(left, 0), span), (double)number_of(page, "registry_age_ms") / 1000);
}

/* --- a gateway --- */

static void put_supplier(const json_t *row, struct buf *out)
{
	json_t *outcomes = json_object_get(row, "outcomes"), *value;
	json_t *worker = json_array_get(json_object_get(row, "workers"), 0);
	json_int_t answers = number_of(outcomes, "answer"), all = 0;
	char supplier[17];
	const char *name;

	json_object_foreach(outcomes, name, value) all += json_integer_value(value);
	buf_putf(out,
		 "    %-16s  %-12s  %6" PRId64 "  %-8s  %8.1f  %8.1f  %8" JSON_INTEGER_FORMAT
		 "  %8" JSON_INTEGER_FORMAT "\n",
		 short_id(row, "supplier", supplier), text_of(row, "service"),
		 number_of(worker, "health"), text_of(worker, "state"), ms_of(row, "p50_us"),
		 ms_of(row, "p99_us"), answers, all - answers);
}

static void put_suppliers(const json_t *quality, struct buf *out)
{
	const json_t *list = json_object_get(quality, "suppliers");

	if (json_array_size(list) == 0)
		return;
	buf_putf(out, "  suppliers, in the last %" PRId64 " s (health of 256)\n",
		 number_of(quality, "window_ms") / 1000);
	buf_putf(out, "    %-16s  %-12s  %6s  %-8s  %8s  %8s  %8s  %8s\n", "supplier", "service",
		 "health", "state", "p50 ms", "p99 ms", "answers", "others");
	for (size_t i = 0; i < json_array_size(list); i++)
		put_supplier(json_array_get(list, i), out);
}

static void put_sessions_spent(const json_t *sessions, struct buf *out)
{
	size_t n = json_array_size(sessions), first = n > SESSIONS_SHOWN ? n - SESSIONS_SHOWN : 0;

	for (size_t i = n; i > first; i--) {
		const json_t *s = json_array_get(sessions, i - 1);

		buf_putf(out,
			 "      session %" PRId64 "..%" PRId64 "%s: %" PRId64 " units, %s tokens\n",
			 number_of(s, "start"), number_of(s, "end"),
			 json_is_true(json_object_get(s, "open")) ? ", open" : "",
			 number_of(s, "cu"), text_of(s, "value"));
	}
}

static void put_application(const json_t *row, struct buf *out)
{
	const json_t *lasts = json_object_get(row, "lasts_ms");
	char span[32];

	buf_putf(out, "    application %s, %s\n", text_of(row, "application"),
		 text_of(row, "service"));
	buf_putf(out,
		 "      escrow %s (its grants need %s), budget of a session %s, spends %s a "
		 "session",
		 text_of(row, "escrow"), text_of(row, "needed"), text_of(row, "budget"),
		 text_of(row, "session_rate"));
	if (lasts != NULL)
		buf_putf(out, ": lasts %s", span_text(json_integer_value(lasts), span));
	buf_put_str(out, "\n");
	put_sessions_spent(json_object_get(row, "sessions"), out);
}

static void put_spending(const json_t *spending, struct buf *out)
{
	const json_t *list = json_object_get(spending, "applications");
	const json_t *saved = json_object_get(spending, "saved");

	if (json_array_size(list) > 0)
		buf_put_str(out, "  spending\n");
	for (size_t i = 0; i < json_array_size(list); i++)
		put_application(json_array_get(list, i), out);
	for (size_t i = 0; i < json_array_size(saved); i++) {
		const json_t *row = json_array_get(saved, i);

		if (number_of(row, "cu") > 0)
			buf_putf(out,
				 "  saved by kept and shared answers since the start, %s: %" PRId64
				 " units, about %s tokens\n",
				 text_of(row, "service"), number_of(row, "cu"),
				 text_of(row, "value"));
	}
}

static void put_gateway(const struct status_source *source, struct buf *out)
{
	const json_t *page = source->page;

	buf_putf(out,
		 "  calls %.1f/s, failed %.1f/s, kept answers %.1f/s, shared %.1f/s; in flight "
		 "%" PRId64 ", connections %" PRId64 ", links %" PRId64 "\n",
		 status_rate(source, "calls"), status_rate(source, "failed"),
		 status_rate(source, "kept"), status_rate(source, "shared"),
		 number_of(page, "in_flight"), number_of(page, "connections"),
		 number_of(page, "links"));
	buf_putf(out,
		 "  since the start %" PRId64 " calls, %" PRId64 " failed; p50 %.1f ms, "
		 "p99 %.1f ms\n",
		 number_of(page, "calls"), number_of(page, "failed"), ms_of(page, "p50_us"),
		 ms_of(page, "p99_us"));
	put_suppliers(json_object_get(page, "quality"), out);
	put_spending(json_object_get(page, "spending"), out);
}

/* --- a node --- */

static void put_amount(const json_t *row, const char *name, const char *word, struct buf *out)
{
	const json_t *amount = json_object_get(row, name);

	if (number_of(amount, "cu") > 0)
		buf_putf(out, "      %-26s  %14" PRId64 " units  %24s\n", word,
			 number_of(amount, "cu"), text_of(amount, "value"));
}

static void put_income(const json_t *row, struct buf *out)
{
	json_t *reasons = json_object_get(row, "lost_by_reason"), *value;
	char word[80];
	const char *name;

	buf_putf(out, "    application %s, %s\n", text_of(row, "application"),
		 text_of(row, "service"));
	put_amount(row, "earned", "earned", out);
	put_amount(row, "paid", "paid", out);
	put_amount(row, "claimed", "claimed, not settled", out);
	put_amount(row, "claimable", "to be claimed", out);
	put_amount(row, "at_risk", "at risk: no cosigned head", out);
	put_amount(row, "free", "free of charge", out);
	json_object_foreach(reasons, name, value)
	{
		snprintf(word, sizeof(word), "lost: %s", name);
		put_amount(reasons, name, word, out);
	}
}

static void put_node_sessions(const json_t *page, struct buf *out)
{
	const json_t *list = json_object_get(page, "sessions");
	size_t n = MIN(json_array_size(list), (size_t)SESSIONS_SHOWN);
	char application[17], gateway[17];

	if (n > 0)
		buf_putf(out,
			 "  sessions, the newest of %" PRId64 "\n    %10s  %-12s  %-16s  %-16s"
			 "  %12s\n",
			 number_of(page, "sessions_all"), "start", "service", "application",
			 "gateway", "units");
	for (size_t i = 0; i < n; i++) {
		const json_t *row = json_array_get(list, i);

		buf_putf(out, "    %10" PRId64 "  %-12s  %-16s  %-16s  %12" PRId64 "\n",
			 number_of(row, "start"), text_of(row, "service"),
			 short_id(row, "application", application),
			 short_id(row, "gateway", gateway), number_of(row, "cu"));
	}
}

static void put_claims(const json_t *page, struct buf *out)
{
	const json_t *income = json_object_get(page, "income");
	int64_t closes = number_of(page, "next_close");
	char time[CLOCK_TEXT_MAX];

	if (json_array_size(income) > 0)
		buf_put_str(out, "  income\n");
	for (size_t i = 0; i < json_array_size(income); i++)
		put_income(json_array_get(income, i), out);
	if (json_array_size(income) > 0)
		buf_putf(out,
			 "    claims not settled: %" PRId64 "; lanes without a cosigned head: "
			 "%" PRId64 "\n",
			 number_of(page, "claims_open"), number_of(page, "lanes_unsigned"));
	if (closes > 0)
		buf_putf(out, "    what is to be claimed must be before %" PRId64 " (%s)\n", closes,
			 clock_text(height_ms(page, closes), time));
}

static void put_node(const struct status_source *source, struct buf *out)
{
	const json_t *page = source->page;

	buf_putf(out,
		 "  relays %.1f/s, units %.1f/s, refused %.1f/s; in flight %" PRId64
		 ", links %" PRId64 ", units without a cosigned head %" PRId64 "\n",
		 status_rate(source, "relays"), status_rate(source, "cu"),
		 status_rate(source, "refused"), number_of(page, "in_flight"),
		 number_of(page, "links"), number_of(page, "unpaid_cu"));
	buf_putf(out, "  since the start %" PRId64 " relays; p50 %.1f ms, p99 %.1f ms\n",
		 number_of(page, "relays"), ms_of(page, "p50_us"), ms_of(page, "p99_us"));
	put_node_sessions(page, out);
	put_claims(page, out);
}

/* --- all --- */

void status_show(const struct status_source *sources, size_t n, msec_t now, struct buf *out)
{
	char time[CLOCK_TEXT_MAX];
	size_t shown = 0;

	buf_putf(out, "counterfoil status, %s\n", clock_text(now, time));
	for (size_t i = 0; i < n; i++) {
		const struct status_source *source = &sources[i];

		if (source->why.code != ERR_NONE && (source->page != NULL || !source->is_guess))
			buf_putf(out, "\n%s  DOWN: %s\n", source->admin, source->why.msg);
		if (source->why.code != ERR_NONE)
			continue;
		shown++;
		put_heading(source, out);
		if (strcmp(text_of(source->page, "role"), "gateway") == 0)
			put_gateway(source, out);
		else
			put_node(source, out);
	}
	if (shown == 0)
		buf_put_str(out, "\nnobody answers; --admin HOST:PORT says where a gateway or a "
				 "node has its admin.listen\n");
}

static json_t *rates_of(const struct status_source *source)
{
	static const char *const counters[] = {"calls",	 "failed", "kept",   "shared",
					       "relays", "cu",	   "refused"};
	json_t *rates = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		if (json_object_get(source->page, counters[i]) != NULL)
			json_object_set_new(rates, counters[i],
					    json_real(status_rate(source, counters[i])));
	return rates;
}

void status_show_json(const struct status_source *sources, size_t n, struct buf *out)
{
	json_t *all = json_object(), *list = json_array();
	char *text;

	for (size_t i = 0; i < n; i++) {
		const struct status_source *source = &sources[i];
		bool down = source->why.code != ERR_NONE;
		json_t *one = down ? json_object() : json_copy(source->page);

		if (down && source->is_guess) {
			json_decref(one);
			continue;
		}
		json_object_set_new(one, "admin", json_string(source->admin));
		if (down)
			json_object_set_new(one, "error", json_string(source->why.msg));
		else
			json_object_set_new(one, "rates", rates_of(source));
		json_array_append_new(list, one);
	}
	json_object_set_new(all, "sources", list);
	text = json_dumps(all, JSON_INDENT(1));
	buf_put_str(out, text);
	buf_put_str(out, "\n");
	free(text);
	json_decref(all);
}
