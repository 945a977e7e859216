/* SPDX-License-Identifier: Apache-2.0
 * What the files of `counterfoil-audit claims` share.  Of this layer only. */
#ifndef RELAY_AUDIT_CLAIMS_INSIDE_H
#define RELAY_AUDIT_CLAIMS_INSIDE_H

#include "relay/audit/claims.h"
#include "session/settle.h"

struct claims_audit {
	const struct history *history;
	const struct registry_export *export;
	const struct claims_file *file;
	const struct audit_folder *folders;
	size_t folders_n;
	const struct claims_entry **sorted; /* all of the file, by claims_order() */
	struct settle_book *book;
	struct audit_report *report;
	struct audit_claims *ret;
};

/* Adds a finding that begins with the claim's id. */
void claims_find(const struct claims_audit *a, enum audit_weight weight, const char *kind,
		 const struct claims_entry *e, const struct lane_id *lane, uint64_t seq,
		 const char *fmt, ...) PRINTF(7, 8);

/* settle_book_terms() of a struct claims_audit, with a method table of the folders where the
 * program has none of that hash. */
MUST_USE bool claims_terms(void *arg, const struct claim *c, height_t start,
			   struct settle_terms *ret, struct err *err);

/* True iff the file has the seed of the session that starts there, or says that there was none. */
bool claims_seed_known(const struct claims_audit *a, height_t start);

/* By supplier, application, gateway and service, then by from. */
int claims_order(const struct claim *a, const struct claim *b);
/* As above without from: 0 iff the two are of the same four. */
int claims_four_order(const struct claim *a, const struct claim *b);

/* The entry of the same four whose range holds a start, or NULL.  O(log n). */
const struct claims_entry *claims_covering(const struct claims_audit *a, const struct claim *four,
					   height_t start);

size_t claims_records(const struct claims_entry *e);
/* Record i of an entry; false when it is none. */
MUST_USE bool claims_record(const struct claims_entry *e, size_t i, struct claim_record *ret);

/* Adds to the row of what became of compute units; cu 0 adds nothing. */
void claims_add_row(struct claims_audit *a, const struct claim *four, enum claims_fate fate,
		    u128 cu, u128 value);

/* One session in one lane by the word of the folder that is believed for it. */
struct claims_served {
	struct claim four; /* application, gateway, supplier, service */
	height_t start;
	struct session_id session;
	struct lane_id lane;
	u128 cu;	  /* of its leaves */
	u128 in_head;	  /* of those under the newest cosigned head */
	u128 undelivered; /* of those that never reached the gateway */
};

/* Each entry by itself, and against the others (claims_check.c). */
void claims_check_entries(const struct claims_audit *a);
/* Payments, penalties and the books (claims_money.c). */
void claims_check_money(struct claims_audit *a);
/* Records and proofs against the folders (claims_lanes.c); returns what was served, the caller's to
 * free. */
size_t claims_check_lanes(const struct claims_audit *a, struct claims_served **ret);
/* What became of all that was served and claimed (claims_fate.c). */
void claims_tell_fate(struct claims_audit *a, struct claims_served *served, size_t n);

#endif
