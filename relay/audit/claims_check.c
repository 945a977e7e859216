/* SPDX-License-Identifier: Apache-2.0
 * Claims and proofs as the registry recorded them, by the rules and by its own files. */
#include <assert.h>
#include <inttypes.h>

#include "relay/audit/claims_inside.h"

static height_t last_seed(const struct claims_audit *a)
{
	const struct seed_run *seeds = &a->export->seeds;

	return seeds->n > 0 ? seeds->v[seeds->n - 1].height : 0;
}

bool claims_seed_known(const struct claims_audit *a, height_t start)
{
	const struct session_params *p = history_params(a->history, 0);

	if (!session_exists(p, start))
		return true;
	height_t at = session_seed_height(p, start);
	return at >= a->export->from && at <= last_seed(a);
}

/* The seeds of all sessions that a claim may name. */
static bool seeds_known(const struct claims_audit *a, const struct claim *c)
{
	const struct session_params *p = history_params(a->history, 0);

	return claims_seed_known(a, c->from) &&
	       (c->to <= c->from || claims_seed_known(a, c->to - MIN(c->to, p->session_blocks)));
}

/* True iff the claim is right: only then its proof can be judged. */
static bool check_claim(struct claims_audit *a, const struct claims_entry *e)
{
	enum settle_fault fault;
	struct err err;

	if (!seeds_known(a, &e->claim)) {
		claims_find(a, AUDIT_OPEN, "seed", e, NULL, AUDIT_NO_SEQ,
			    "the registry file lacks seeds of its sessions");
		return false;
	}
	if (!settle_check_claim(&e->claim, &e->signature, buf_view(&e->records),
				history_network(a->history),
				settle_params(a->history, e->claim.from), e->recorded, claims_terms,
				a, &fault, &err)) {
		claims_find(a, AUDIT_PROVABLE, "claim", e, NULL, AUDIT_NO_SEQ,
			    "recorded, and wrong: %s", err.msg);
		return false;
	}
	audit_count(a->report, "claims_right", 1);
	return true;
}

/* --- proofs --- */

/* What the proof of a right claim is worth; false when the seed of its challenge is not in the
 * file.
 */
static bool judge_proof(struct claims_audit *a, const struct claims_entry *e,
			enum settle_fault *ret, struct err *why)
{
	const struct session_params *p = settle_params(a->history, e->claim.from);
	const struct seed *seed =
		seed_run_find(&a->export->seeds, settle_challenge(p, e->recorded));

	if (seed == NULL) {
		claims_find(a, AUDIT_OPEN, "seed", e, NULL, AUDIT_NO_SEQ,
			    "the registry file lacks the seed of its challenge, at height %" PRIu64,
			    settle_challenge(p, e->recorded));
		return false;
	}
	if (settle_check_proof(&e->claim, buf_view(&e->proof), &e->proof_signature, seed,
			       claims_terms, a, ret, why)) {
		audit_count(a->report, "proofs_right", 1);
		assert(*ret == SETTLE_FINE);
	}
	return true;
}

static void check_paid(struct claims_audit *a, const struct claims_entry *e, bool right)
{
	const struct session_params *p = settle_params(a->history, e->claim.from);
	enum settle_fault fault;
	char paid[U128_TEXT_MAX], value[U128_TEXT_MAX];
	struct err err;

	if (e->settled < settle_challenge(p, e->recorded) || e->settled > e->due)
		claims_find(a, AUDIT_PROVABLE, "state", e, NULL, AUDIT_NO_SEQ,
			    "paid at height %" PRIu64 ", where a proof counted from %" PRIu64
			    " to %" PRIu64,
			    e->settled, settle_challenge(p, e->recorded), e->due);
	if (e->paid != e->claim.value || e->burned > 0 || e->burned_thaw > 0)
		claims_find(a, AUDIT_PROVABLE, "state", e, NULL, AUDIT_NO_SEQ,
			    "paid %s of %s, or burned for what was proved",
			    u128_text(e->paid, paid), u128_text(e->claim.value, value));
	if (right && judge_proof(a, e, &fault, &err) && fault != SETTLE_FINE)
		claims_find(a, AUDIT_PROVABLE, "proof", e, NULL, AUDIT_NO_SEQ,
			    "paid for a wrong proof: %s", err.msg);
}

static void check_forfeited(struct claims_audit *a, const struct claims_entry *e, bool right)
{
	const char *reason = settle_fault_name(SETTLE_NO_PROOF);
	enum settle_fault fault;
	struct err err;

	if (e->settled <= e->due || e->paid > 0)
		claims_find(a, AUDIT_PROVABLE, "state", e, NULL, AUDIT_NO_SEQ,
			    "forfeited at height %" PRIu64 ", where a proof counted to %" PRIu64
			    ", or paid as well",
			    e->settled, e->due);
	if (e->proof.n > 0) {
		if (!right || !judge_proof(a, e, &fault, &err))
			return;
		if (fault == SETTLE_FINE) {
			claims_find(a, AUDIT_PROVABLE, "proof", e, NULL, AUDIT_NO_SEQ,
				    "forfeited, though its proof is right");
			return;
		}
		reason = settle_fault_name(fault);
	}
	if (strcmp(reason, e->reason) != 0)
		claims_find(a, AUDIT_PROVABLE, "state", e, NULL, AUDIT_NO_SEQ,
			    "forfeited for %s, where it is %s", e->reason, reason);
}

/* A seed says that its keeper was there at that height. */
static bool keeper_seen(const struct claims_audit *a, height_t from, height_t to)
{
	const struct seed_run *seeds = &a->export->seeds;
	size_t i = seed_run_index(seeds, from);

	return i < seeds->n && seeds->v[i].height <= to;
}

static void check_recorded(struct claims_audit *a, const struct claims_entry *e, bool right)
{
	enum settle_fault fault;
	struct err err;

	if (e->settled > 0 || e->paid > 0 || e->burned > 0 || e->burned_thaw > 0)
		claims_find(a, AUDIT_PROVABLE, "state", e, NULL, AUDIT_NO_SEQ,
			    "not settled, and money was moved for it");
	if (e->due < a->file->height && keeper_seen(a, e->due + 2, a->file->height))
		claims_find(a, AUDIT_PROVABLE, "overdue", e, NULL, AUDIT_NO_SEQ,
			    "not settled at height %" PRIu64 ", though a proof counted to %" PRIu64
			    " only",
			    a->file->height, e->due);
	if (right && e->proof.n > 0 && judge_proof(a, e, &fault, &err) && fault == SETTLE_FINE)
		claims_find(a, AUDIT_PROVABLE, "proof", e, NULL, AUDIT_NO_SEQ,
			    "its proof is right, and it is not paid");
}

/* Until when a proof counted, pauses of the keeper's included ([C11]), as far as both files go. */
static height_t due_with_pauses(const struct claims_audit *a, const struct claims_entry *e,
				height_t due)
{
	size_t n;
	const struct pause_entry *pause = history_all_pauses(a->history, &n);

	for (size_t i = 0; i < n && pause[i].height <= a->file->height; i++) {
		if (pause[i].height <= e->recorded)
			continue;
		if (e->settled > 0 && e->settled < pause[i].height)
			break;
		if (due >= pause[i].height - pause[i].missed)
			due += pause[i].missed;
	}
	return due;
}

static void check_state(struct claims_audit *a, const struct claims_entry *e, bool right)
{
	height_t due = settle_due(settle_params(a->history, e->claim.from), e->recorded);

	if (e->due < due)
		claims_find(a, AUDIT_PROVABLE, "due", e, NULL, AUDIT_NO_SEQ,
			    "a proof counted to height %" PRIu64 " only, not to %" PRIu64, e->due,
			    due);
	else if (e->due != due && e->due != due_with_pauses(a, e, due))
		claims_find(a, AUDIT_NOTE, "due_later", e, NULL, AUDIT_NO_SEQ,
			    "a proof counted to height %" PRIu64 " instead of %" PRIu64
			    ", by other pauses than the registry file has",
			    e->due, due);
	if (e->settled > a->file->height || e->recorded > a->file->height)
		claims_find(a, AUDIT_PROVABLE, "state", e, NULL, AUDIT_NO_SEQ,
			    "recorded or settled after height %" PRIu64 " of the file",
			    a->file->height);
	switch (e->state) {
	case DESK_PAID:
		check_paid(a, e, right);
		break;
	case DESK_FORFEITED:
		check_forfeited(a, e, right);
		break;
	case DESK_RECORDED:
		check_recorded(a, e, right);
		break;
	case DESK_UNKNOWN:
		assert(!"no file has such a claim");
	}
}

/* --- overlaps --- */

static void check_overlaps(const struct claims_audit *a)
{
	const struct claims_entry *widest = NULL; /* of those with these four: ends last */
	char other[65];

	for (size_t i = 0; i < a->file->n; i++) {
		const struct claims_entry *e = a->sorted[i];

		if (widest != NULL && settle_overlap(&widest->claim, &e->claim))
			claims_find(a, AUDIT_PROVABLE, "overlap", e, NULL, AUDIT_NO_SEQ,
				    "of sessions that claim %s is of too",
				    hex_encode(widest->id.b, sizeof(widest->id.b), other));
		if (widest == NULL || claims_four_order(&widest->claim, &e->claim) != 0 ||
		    e->claim.to > widest->claim.to)
			widest = e;
	}
}

void claims_check_entries(const struct claims_audit *a)
{
	struct claims_audit *mine = (struct claims_audit *)a; /* as settle_terms_fn has it */

	for (size_t i = 0; i < a->file->n; i++) {
		const struct claims_entry *e = &a->file->v[i];

		audit_count(a->report, "claims", 1);
		audit_count(a->report, "records", claims_records(e));
		check_state(mine, e, check_claim(mine, e));
	}
	check_overlaps(a);
}
