/* SPDX-License-Identifier: Apache-2.0
 * The money of `counterfoil ledger totals`: what a node's books say by service and application. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/cli/claim_verbs.h"
#include "relay/cli/ledger_verbs.h"

/* "NAME":{"cu":1,"value":"7"} */
static void put_amount(const char *name, const struct claims_amount *amount, struct buf *out)
{
	char text[U128_TEXT_MAX];

	buf_putf(out, "\"%s\":{\"cu\":%" PRIu64 ",\"value\":\"%s\"}", name, amount->cu,
		 u128_text(amount->value, text));
}

static struct claims_amount sum_lost(const struct claims_income *i)
{
	struct claims_amount sum = {0};

	for (size_t r = 0; r < LOSS_COUNT; r++) {
		sum.cu += i->lost[r].cu;
		sum.value += i->lost[r].value;
	}
	return sum;
}

void ledger_put_income(const struct claims_income *i, struct buf *out)
{
	const struct claims_amount lost = sum_lost(i);
	const struct {
		const char *name;
		const struct claims_amount *amount;
	} parts[] = {{"earned", &i->earned},   {"free", &i->free},
		     {"at_risk", &i->at_risk}, {"claimable", &i->claimable},
		     {"claimed", &i->claimed}, {"paid", &i->paid},
		     {"lost", &lost}};
	size_t n = 0;

	buf_putf(out, "{\"service\":\"%s\",", i->service.s);
	claim_put_id("application", i->application.b, sizeof(i->application.b), out);
	for (size_t p = 0; p < ARRAY_SIZE(parts); p++) {
		buf_put_str(out, ",");
		put_amount(parts[p].name, parts[p].amount, out);
	}
	buf_putf(out, ",\"unpriced_cu\":%" PRIu64 ",\"lost_by_reason\":{", i->unpriced_cu);
	for (size_t r = 0; r < LOSS_COUNT; r++) {
		if (i->lost[r].cu == 0)
			continue;
		buf_put_str(out, n++ ? "," : "");
		put_amount(claims_loss_name((enum claims_loss)r), &i->lost[r], out);
	}
	buf_put_str(out, "}}");
}

static void put_line(const char *what, const struct claims_amount *amount, struct buf *out)
{
	char text[U128_TEXT_MAX];

	if (amount->cu > 0)
		buf_putf(out, "  %-28s  %14" PRIu64 " units  %24s\n", what, amount->cu,
			 u128_text(amount->value, text));
}

static void put_text(const struct claims_income *i, struct buf *out)
{
	char application[65], reason[64];

	buf_putf(out, "\n%s, of application %s\n", i->service.s[0] ? i->service.s : "(unknown)",
		 hex_encode(i->application.b, sizeof(i->application.b), application));
	put_line("earned", &i->earned, out);
	put_line("paid", &i->paid, out);
	put_line("claimed, not settled", &i->claimed, out);
	put_line("to be claimed", &i->claimable, out);
	put_line("at risk: no cosigned head", &i->at_risk, out);
	put_line("free of charge", &i->free, out);
	for (size_t r = 0; r < LOSS_COUNT; r++) {
		snprintf(reason, sizeof(reason), "lost: %s", claims_loss_name((enum claims_loss)r));
		put_line(reason, &i->lost[r], out);
	}
	if (i->unpriced_cu > 0)
		buf_putf(out, "  of %" PRIu64 " units the price is not known yet\n",
			 i->unpriced_cu);
}

int ledger_print_income(const struct ledger_reader *reader, const char *dir, bool json, bool must)
{
	CLEANUP(buf_finish) struct buf out = {0};
	struct claim_books books = {0};
	struct claims_income *list = NULL;
	struct err err;
	size_t n;
	bool ok;

	if (!claim_books_open(reader, dir, &books, &err))
		return err.code == ERR_NOT_FOUND && !must ? CLI_OK : cli_fail(&err);
	ok = claims_income(books.claims, &list, &n, &err);
	claims_close(books.claims);
	if (!ok)
		return cli_fail(&err);
	if (json)
		buf_put_str(&out, "[");
	for (size_t i = 0; i < n; i++) {
		if (json)
			buf_put_str(&out, i ? ",\n" : "\n");
		(json ? ledger_put_income : put_text)(&list[i], &out);
	}
	if (json)
		buf_put_str(&out, "]\n");
	else if (n == 0 && must)
		buf_put_str(&out, "nothing is earned yet\n");
	free(list);
	return claim_print(&out);
}
