/* SPDX-License-Identifier: Apache-2.0
 * How shares are printed. */
#include <inttypes.h>

#include "relay/audit/shares.h"

static const char *const of_names[] = {"relays", "cu", "draws"};

static bool is_sign(const struct share_row *row)
{
	return row->twice || row->used_up || row->kin;
}

static void put_key_text(struct buf *out, const char *before, const struct key_id *key)
{
	buf_put_str(out, before);
	buf_put_hex(out, key->b, sizeof(key->b));
}

static void put_group_text(const struct share_group *g, struct buf *out)
{
	buf_putf(out, "%s of %s", of_names[g->of], g->service.s);
	if (g->of != SHARE_DRAWS) {
		put_key_text(out, " by gateway ", &g->gateway);
		put_key_text(out, " for application ", &g->application);
	}
	buf_putf(out, ": %" PRIu64 " sessions", g->sessions);
	if (g->unknown > 0)
		buf_putf(out, ", %" PRIu64 " of them not in the registry file", g->unknown);
	if (g->has_chi2)
		buf_putf(out, ", chi-square %.2f with %" PRIu32 " degree%s of freedom, p %.3g%s",
			 g->chi2, g->df, g->df == 1 ? "" : "s", g->p,
			 g->few > 0 ? " (few: rough)" : "");
	buf_put_str(out, "\n  sessions   full     relays             cu    counted   expected"
			 "       z         p  supplier\n");
}

void audit_shares_put_text(const struct shares *shares, struct buf *out)
{
	char cu[U128_TEXT_MAX];

	for (size_t i = 0; i < shares->n; i++) {
		const struct share_group *g = &shares->groups[i];

		put_group_text(g, out);
		for (size_t k = 0; k < g->n; k++) {
			const struct share_row *row = &g->rows[k];

			buf_putf(out,
				 "%c %8" PRIu64 " %6" PRIu64 " %10" PRIu64 " %14s %10.1f %10.1f "
				 "%7.1f %9.3g  ",
				 is_sign(row) ? '!'
				 : row->apart ? '+'
					      : ' ',
				 row->sessions, row->full, row->relays, u128_text(row->cu, cu),
				 row->observed, row->expected, row->z, row->p);
			buf_put_hex(out, row->supplier.b, sizeof(row->supplier.b));
			buf_putf(out, "%s%s%s\n", row->twice ? " twice" : "",
				 row->used_up ? " used_up" : "", row->kin ? " kin" : "");
		}
	}
}

static void put_key_json(struct buf *out, const char *name, const void *p, size_t n)
{
	buf_putf(out, ",\"%s\":\"", name);
	buf_put_hex(out, p, n);
	buf_put_str(out, "\"");
}

static const char *word(bool value)
{
	return value ? "true" : "false";
}

static void put_row_json(const struct share_row *row, struct buf *out)
{
	char cu[U128_TEXT_MAX];

	buf_putf(out,
		 "{\"sessions\":%" PRIu64 ",\"full\":%" PRIu64 ",\"relays\":%" PRIu64
		 ",\"cu\":\"%s\"",
		 row->sessions, row->full, row->relays, u128_text(row->cu, cu));
	put_key_json(out, "supplier", row->supplier.b, sizeof(row->supplier.b));
	put_key_json(out, "owner", row->owner.b, sizeof(row->owner.b));
	buf_putf(out,
		 ",\"counted\":%.6f,\"expected\":%.6f,\"z\":%.4f,\"p\":%.4g,\"apart\":%s"
		 ",\"twice\":%s,\"used_up\":%s,\"kin\":%s,\"sign\":%s}",
		 row->observed, row->expected, row->z, row->p, word(row->apart), word(row->twice),
		 word(row->used_up), word(row->kin), word(is_sign(row)));
}

void audit_shares_put_json(const struct shares *shares, struct buf *out)
{
	buf_put_str(out, "[");
	for (size_t i = 0; i < shares->n; i++) {
		const struct share_group *g = &shares->groups[i];

		buf_putf(out, "%s{\"of\":\"%s\",\"service\":\"%s\"", i ? "," : "", of_names[g->of],
			 g->service.s);
		if (g->of != SHARE_DRAWS) {
			put_key_json(out, "gateway", g->gateway.b, sizeof(g->gateway.b));
			put_key_json(out, "application", g->application.b,
				     sizeof(g->application.b));
		}
		buf_putf(out, ",\"sessions\":%" PRIu64 ",\"unknown\":%" PRIu64 ",\"few\":%" PRIu64,
			 g->sessions, g->unknown, g->few);
		if (g->has_chi2)
			buf_putf(out, ",\"chi2\":%.6f,\"df\":%" PRIu32 ",\"p\":%.4g", g->chi2,
				 g->df, g->p);
		buf_put_str(out, ",\"rows\":[");
		for (size_t k = 0; k < g->n; k++) {
			buf_put_str(out, k ? "," : "");
			put_row_json(&g->rows[k], out);
		}
		buf_put_str(out, "]}");
	}
	buf_put_str(out, "]");
}
