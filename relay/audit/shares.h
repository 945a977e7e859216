/* SPDX-License-Identifier: Apache-2.0
 * `counterfoil-audit stats`: who got how much of what it was drawn for, and signs that a gateway
 * deals with itself (docs/auditing.md, "Shares").
 *
 * The pick goes by stake among the members of a session ([S7]), so what a gateway asks of each is a
 * draw of lots with known chances, and so is who is drawn first ([S5]).  It convicts nobody: a
 * gateway may weigh health and price too, and which relays were refused or lost is not known. */
#ifndef RELAY_AUDIT_SHARES_H
#define RELAY_AUDIT_SHARES_H

#include "relay/audit/folder.h"
#include "relay/audit/registry.h"
#include "session/registry/claims_file.h"

#define SHARE_DRAWS_MAX 100000 /* sessions of one service whose draw is looked at, the newest */
#define SHARE_CHANCE 0.001     /* of a mark by chance alone, over all rows of a group */
#define SHARE_FULL_MIN 3       /* sessions used up that are a sign, when they are half of all */

enum share_of {
	SHARE_RELAYS, /* of the relays in leaves; a trial is a relay */
	SHARE_CU,     /* of the compute units in claims; a trial is a session */
	SHARE_DRAWS,  /* of sessions, by who is drawn first; a trial is a session */
};

/* What one supplier did in one session. */
struct share_use {
	struct key_id application, gateway;
	struct service_name service;
	height_t start;
	struct session_id session;
	struct key_id supplier;
	uint64_t relays; /* 0: not known */
	u128 cu;
};

struct share_row {
	struct key_id supplier;
	struct owner_id owner;
	uint64_t sessions; /* of the group that it was a member of */
	uint64_t full;	   /* of those, used to 99 % of the allowance or more */
	uint64_t relays;
	u128 cu;
	double observed, expected; /* relays, or sessions */
	double z;		   /* standard deviations above what was expected */
	double p;     /* of so many or more by chance, for any of the rows (Bonferroni) */
	bool apart;   /* p < SHARE_CHANCE */
	bool twice;   /* the same against twice what was expected */
	bool used_up; /* full is a sign */
	bool kin;     /* owner is the id that the gateway's or the application's key gives */
};

struct share_group {
	enum share_of of;
	struct key_id application, gateway; /* zeros for draws */
	struct service_name service;
	uint64_t sessions;
	uint64_t unknown; /* sessions left out: not derivable, or not those of the registry */
	uint64_t few;	  /* rows of which less than 5 was expected: p is rough */
	bool has_chi2;
	double chi2, p;
	uint32_t df;
	size_t n;
	struct share_row *rows; /* sorted by supplier */
};

struct shares {
	size_t n, cap;
	struct share_group *groups;
};

/* By session and supplier, in no order: the leaves of all lanes of a gateway's folder whose
 * sessions are named, or the records of all claims.  The caller frees *ret; returns how many. */
size_t audit_uses_of_folder(const struct audit_folder *folder, struct share_use **ret);
size_t audit_uses_of_claims(const struct claims_file *file, struct share_use **ret);

/* Adds a group for each (application, gateway, service) of `uses`, which are sorted by this. */
void audit_shares_add_uses(const struct audit_registry *registry, enum share_of of,
			   struct share_use *uses, size_t n, struct shares *ret);

/* Adds a group for each service: who was drawn first in the sessions of all applications with a
 * grant that the file has seeds for. */
void audit_shares_add_draws(const struct audit_registry *registry, struct shares *ret);

void audit_shares_finish(struct shares *shares);
static inline void audit_shares_finish_at(struct shares *shares)
{
	audit_shares_finish(shares);
}

/* Appends tables for people.  A row is marked with `!` when it is a sign (twice, used_up or kin),
 * with `+` when it is only apart. */
void audit_shares_put_text(const struct shares *shares, struct buf *out);
/* Appends `[{...},...]`. */
void audit_shares_put_json(const struct shares *shares, struct buf *out);

#endif
