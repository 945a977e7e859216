/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil claim show`: one claim with all its heights and records. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "relay/base/clock.h"
#include "relay/cli/claim_verbs.h"

/* The claim whose id begins with these digits. */
struct search {
	const char *digits;
	size_t found;
	struct claim_id id;
};

static bool on_claim(void *arg, const struct claims_row *row)
{
	struct search *s = arg;
	char hex[65];

	hex_encode(row->id.b, sizeof(row->id.b), hex);
	if (strncmp(hex, s->digits, strlen(s->digits)) != 0)
		return true;
	s->id = row->id;
	return ++s->found < 2;
}

static void put_records_json(const struct claims_full *full, struct buf *out)
{
	struct claim_record r;

	buf_put_str(out, ",\"list\":[");
	for (size_t i = 0; i * CLAIM_RECORD_SIZE < full->records.n; i++) {
		if (!claim_record_decode(full->records.p + i * CLAIM_RECORD_SIZE, &r))
			continue;
		buf_put_str(out, i ? ",\n{" : "\n{");
		claim_put_id("session", r.session.b, sizeof(r.session.b), out);
		buf_putf(out, ",\"start\":%" PRIu64 ",", r.start);
		claim_put_id("lane", r.lane.b, sizeof(r.lane.b), out);
		buf_putf(out, ",\"size\":%" PRIu64 ",", r.size);
		claim_put_id("root", r.root.b, sizeof(r.root.b), out);
		buf_putf(out, ",\"cu\":%" PRIu64, r.cu);
		claim_put_amount("value", r.value, out);
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]");
}

static void put_json(const struct claim_books *books, const struct claims_full *full,
		     struct buf *out)
{
	buf_put_str(out, "{");
	claim_put_row(books, &full->row, out);
	buf_put_str(out, ",");
	claim_put_id("supplier", full->claim.supplier.b, sizeof(full->claim.supplier.b), out);
	buf_put_str(out, ",");
	claim_put_id("network", full->claim.network.b, sizeof(full->claim.network.b), out);
	buf_put_str(out, ",");
	claim_put_id("root", full->claim.root.b, sizeof(full->claim.root.b), out);
	buf_put_str(out, ",");
	claim_put_id("signature", full->signature.b, sizeof(full->signature.b), out);
	buf_putf(out, ",\"proof_bytes\":%zu", full->proof.n);
	put_records_json(full, out);
	buf_put_str(out, "}\n");
}

static void put_records(const struct claims_full *full, struct buf *out)
{
	char session[17], lane[33], value[U128_TEXT_MAX];
	struct claim_record r;

	if (full->records.n == 0) {
		buf_put_str(out, "\nits records are lost\n");
		return;
	}
	buf_putf(out, "\n%10s  %-16s  %-32s  %10s  %12s  %20s\n", "start", "session", "lane",
		 "leaves", "units", "value");
	for (size_t i = 0; i * CLAIM_RECORD_SIZE < full->records.n; i++)
		if (claim_record_decode(full->records.p + i * CLAIM_RECORD_SIZE, &r))
			buf_putf(out,
				 "%10" PRIu64 "  %-16s  %-32s  %10" PRIu64 "  %12" PRIu64
				 "  %20s\n",
				 r.start, hex_encode(r.session.b, 8, session),
				 hex_encode(r.lane.b, 16, lane), r.size, r.cu,
				 u128_text(r.value, value));
}

static void put_text(const struct claim_books *books, const struct claims_full *full,
		     struct buf *out)
{
	const struct claims_row *row = &full->row;
	char hex[65], text[CLAIM_HEIGHT_TEXT_MAX], value[U128_TEXT_MAX], time[CLOCK_TEXT_MAX];

	buf_putf(out, "claim        %s\n", hex_encode(row->id.b, 32, hex));
	buf_putf(out, "state        %s%s%s\n", claims_state_name(row->state),
		 row->reason[0] ? ": " : "", row->reason);
	buf_putf(out, "service      %s\n", row->service.s);
	buf_putf(out, "application  %s\n", hex_encode(row->application.b, 32, hex));
	buf_putf(out, "gateway      %s\n", hex_encode(row->gateway.b, 32, hex));
	buf_putf(out, "sessions     that start from %" PRIu64 ", before %" PRIu64 "\n", row->from,
		 row->to);
	buf_putf(out, "value        %s for %" PRIu64 " units\n", u128_text(row->value, value),
		 row->cu);
	buf_putf(out, "prepared     %s\n", clock_text(row->prepared_ms, time));
	buf_putf(out, "window       until %s\n", claim_height_text(books, row->closes, text));
	buf_putf(out, "recorded     %s\n", claim_height_text(books, row->recorded, text));
	buf_putf(out, "challenge    %s\n", claim_height_text(books, row->challenge, text));
	buf_putf(out, "proof        due by %s, %s\n", claim_height_text(books, row->due, text),
		 full->proof.n > 0 ? "made" : "not made yet");
	buf_putf(out, "settled      %s\n", claim_height_text(books, row->settled, text));
	if (row->state == CLAIMS_FORFEITED)
		buf_putf(out, "burned       %s\n", u128_text(row->burned, value));
	put_records(full, out);
}

int claim_show(const struct verb *verb, struct claim_books *books, const char *id, bool json)
{
	CLEANUP(claims_full_finish) struct claims_full full = {0};
	CLEANUP(buf_finish) struct buf out = {0};
	struct search search = {.digits = id};
	struct err err;

	if (id[0] == 0 || strspn(id, "0123456789abcdef") != strlen(id))
		return cli_usage(verb, "a claim is up to 64 hex digits");
	if (!claims_each(books->claims, false, on_claim, &search, &err))
		return cli_fail(&err);
	if (search.found != 1) {
		err_set(&err, ERR_NOT_FOUND, "%s",
			search.found == 0 ? "the books have no such claim"
					  : "more than one claim begins like this");
		return cli_fail(&err);
	}
	if (!claims_read(books->claims, &search.id, &full, &err))
		return cli_fail(&err);
	if (json)
		put_json(books, &full, &out);
	else
		put_text(books, &full, &out);
	return claim_print(&out);
}
