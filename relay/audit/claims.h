/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit claims`: everything that a registry decided of claims, decided again ([C1] to
 * [C12], [P6]): each record, root, total, id, signature, challenge, proof, payout and penalty, out
 * of its signed files; and, where folders of the parties are there, each record's head and compute
 * units out of the leaves.
 *
 * What the files of the registry alone contradict convicts the registry, which signed both.  What
 * nobody claimed is told by its reason and is no fault. */
#ifndef RELAY_AUDIT_CLAIMS_H
#define RELAY_AUDIT_CLAIMS_H

#include "relay/audit/folder.h"
#include "relay/audit/registry.h"
#include "session/registry/claims_file.h"

/* What became of compute units. */
enum claims_fate {
	CLAIMS_PAID,
	CLAIMS_RECORDED,       /* claimed, not settled yet */
	CLAIMS_FORFEITED,      /* claimed, and not proved */
	CLAIMS_CLAIMABLE,      /* not claimed, and its window is open or still to come */
	CLAIMS_WINDOW_CLOSED,  /* not claimed in time */
	CLAIMS_NOT_LISTED,     /* left out of the claim for its session */
	CLAIMS_OVER_ALLOWANCE, /* more than the session may pay one supplier */
	CLAIMS_NO_HEAD,	       /* under no head that the gateway cosigned */
	CLAIMS_UNDELIVERED,    /* never reached the gateway */
	CLAIMS_NOT_ENTITLED,   /* no member, or no active grant */
	CLAIMS_FREE,	       /* at price 0 */
	CLAIMS_FATE_COUNT
};

/* "paid" and so on. */
const char *claims_fate_name(enum claims_fate fate);

struct claims_row {
	struct key_id supplier, application;
	struct service_name service;
	enum claims_fate fate;
	u128 cu;
	u128 value; /* tokens; 0 where it was worth nothing */
};

/* What one owner was paid. */
struct claims_owner {
	struct owner_id owner;
	u128 paid;
};

struct audit_claims {
	height_t height;	    /* as of which the money is added up */
	struct history_books money; /* by the registry file */
	u128 paid, burned, open;    /* by the claims file; open: of claims not settled by then */
	size_t rows_n, rows_cap;
	struct claims_row *rows; /* sorted by supplier, application, service, fate */
	size_t owners_n;
	struct claims_owner *owners; /* sorted; as of the claims file */
};

/* Checks a claims file against the registry file and any number of folders.
 *
 * Findings, provable: claim, overlap, due, state, proof, overdue, paid, burned, books, record_cu;
 * local: record_lane, record_root, record_head, proof_leaf; open: seed, partial, no_folder,
 * lane_absent, short; notes: due_later. Out:    ret  finish with audit_claims_finish()
 */
void audit_claims(const struct audit_registry *registry, const struct claims_file *file,
		  const struct audit_folder *folders, size_t folders_n, struct audit_report *report,
		  struct audit_claims *ret);
void audit_claims_finish(struct audit_claims *claims);
static inline void audit_claims_finish_at(struct audit_claims *claims)
{
	audit_claims_finish(claims);
}

/* Appends the money and the rows for people. */
void audit_claims_put_text(const struct audit_claims *claims, struct buf *out);
/* Appends `"money":{...},"owners":[...],"cu":[...]`, members without their braces. */
void audit_claims_put_json(const struct audit_claims *claims, struct buf *out);

#endif
