/* SPDX-License-Identifier: Apache-2.0
 * What the files of `counterfoil claim` share. */
#ifndef RELAY_CLI_CLAIM_VERBS_H
#define RELAY_CLI_CLAIM_VERBS_H

#include "relay/cli/cli.h"
#include "relay/ledger/claims.h"

/* The books that are looked at, and when their heights are. */
struct claim_books {
	struct claims *claims;
	bool has_clock;
	struct session_clock clock;
};

/* Opens the books beside a supplier's ledger.  Errors: ERR_NOT_FOUND when there are none yet. */
MUST_USE bool claim_books_open(const struct ledger_reader *reader, const char *dir,
			       struct claim_books *ret, struct err *err);

/* "933 (2026-11-26T13:37:00Z)", or "933" while the clock is not known; 0 is "-". */
#define CLAIM_HEIGHT_TEXT_MAX 64
const char *claim_height_text(const struct claim_books *books, height_t height,
			      char dst[CLAIM_HEIGHT_TEXT_MAX]);
/* ,"NAME":933,"NAME_time":"..." ; nothing for 0. */
void claim_put_height(const struct claim_books *books, const char *name, height_t height,
		      struct buf *out);
/* "NAME":"HEX" */
void claim_put_id(const char *name, const void *bytes, size_t n, struct buf *out);
/* ,"NAME":"1000": token amounts may be larger than any number that JSON readers keep. */
void claim_put_amount(const char *name, u128 value, struct buf *out);
/* Writes to standard output; exit status. */
int claim_print(struct buf *out);

/* The actions; exit statuses. */
int claim_list(struct claim_books *books, bool json, bool lost);
int claim_show(const struct verb *verb, struct claim_books *books, const char *id, bool json);

/* A claim's fields as members of a JSON object, without its braces. */
void claim_put_row(const struct claim_books *books, const struct claims_row *row, struct buf *out);

#endif
