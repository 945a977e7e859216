/* SPDX-License-Identifier: Apache-2.0
 * What `registry show` says of money: claims, incomes, and the books. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/cli/registry_verbs.h"
#include "session/registry/source.h"
#include "session/registry/store_claims.h"

static void print_owner(void *arg, const struct owner_id *owner, u128 income)
{
	char hex[41], text[U128_TEXT_MAX];

	printf("owner         %s has earned %s\n", hex_encode(owner->b, sizeof(owner->b), hex),
	       u128_text(income, text));
}

static void print_claims(const struct store_books *b)
{
	char open[U128_TEXT_MAX], paid[U128_TEXT_MAX], burned[U128_TEXT_MAX];

	printf("settled       %" PRIu64 " claims paid %s, %" PRIu64 " forfeited burned %s; %" PRIu64
	       " open over %s\n",
	       b->claims[DESK_PAID], u128_text(b->paid, paid), b->claims[DESK_FORFEITED],
	       u128_text(b->burned, burned), b->claims[DESK_RECORDED], u128_text(b->open, open));
}

static void print_books(const struct history_books *m)
{
	char in[U128_TEXT_MAX], paid[U128_TEXT_MAX], burned[U128_TEXT_MAX], stakes[U128_TEXT_MAX];
	char escrow[U128_TEXT_MAX], thawing[U128_TEXT_MAX], left[U128_TEXT_MAX];

	printf("books         deposits %s = paid %s + burned %s + stakes %s + escrow %s"
	       " + on its way out %s + left %s\n",
	       u128_text(m->deposits, in), u128_text(m->spent, paid), u128_text(m->burned, burned),
	       u128_text(m->stakes, stakes), u128_text(m->escrow, escrow),
	       u128_text(m->thawing_stakes + m->thawing_escrow, thawing), u128_text(m->left, left));
}

/* A file that is no sqlite registry, and a URL, tell of entries and not of claims. */
static bool has_claims(const char *source, bool *ret, struct err *err)
{
	*ret = false;
	return source_is_url(source) || source_is_sqlite(source, ret, err);
}

bool registry_print_money(const char *source, const struct history *h, msec_t now_ms,
			  struct err *err)
{
	CLEANUP(store_close) struct store *store = NULL;
	height_t now = session_clock_height(history_clock(h), now_ms);
	struct store_books b = {0};
	bool claims;

	if (!has_claims(source, &claims, err))
		return false;
	if (claims) {
		if (!store_open_readonly(source, &store, err) ||
		    !store_books(store, now_ms, &b, print_owner, NULL, err))
			return false;
		print_claims(&b);
	} else {
		b.balanced = history_books(h, MAX(now, history_last_change(h)), &b.money);
	}
	print_books(&b.money);
	return b.balanced || err_set(err, ERR_REGISTRY,
				     "the books do not balance: what was paid or burned is not "
				     "what the entries say");
}
