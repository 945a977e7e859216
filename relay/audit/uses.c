/* SPDX-License-Identifier: Apache-2.0
 * What suppliers did in sessions, by leaves or by claims: what shares are taken of. */
#include "relay/audit/shares.h"
#include "relay/base/mem.h"
#include "relay/crypto/table.h"

struct use_row {
	struct {
		struct session_id session;
		struct key_id gateway;
		struct key_id supplier;
	} key;
	struct share_use use;
	UT_hash_handle hh;
};

/* The row of a session, gateway and supplier: the one that is there, or a new one as `use` has it.
 */
static struct share_use *use_of(struct use_row **rows, const struct share_use *use)
{
	struct use_row probe, *found;

	memset(&probe.key, 0, sizeof(probe.key));
	probe.key.session = use->session;
	probe.key.gateway = use->gateway;
	probe.key.supplier = use->supplier;
	HASH_FIND(hh, *rows, &probe.key, sizeof(probe.key), found);
	if (found == NULL) {
		found = xcalloc(1, sizeof(*found));
		found->key = probe.key;
		found->use = *use;
		HASH_ADD(hh, *rows, key, sizeof(found->key), found);
	}
	return &found->use;
}

/* Moves the rows into a list of the caller's; returns how many. */
static size_t take_rows(struct use_row *rows, struct share_use **ret)
{
	struct use_row *row, *next;
	size_t n = 0;

	*ret = xcalloc(HASH_COUNT(rows), sizeof(**ret));
	HASH_ITER (hh, rows, row, next) {
		(*ret)[n++] = row->use;
		HASH_DEL(rows, row);
		free(row);
	}
	return n;
}

size_t audit_uses_of_folder(const struct audit_folder *folder, struct share_use **ret)
{
	struct use_row *rows = NULL;
	struct leaf leaf;

	for (size_t i = 0; i < folder->lanes_n; i++) {
		const struct audit_lane *lane = &folder->lanes[i];

		for (uint64_t seq = 0; seq < lane->size; seq++) {
			if (leaf_decode(audit_lane_leaf(lane, seq), &leaf) != LEAF_FINE)
				continue; /* `verify` tells */
			const struct audit_session *s = audit_lane_session(lane, &leaf.session);
			if (s == NULL)
				continue;
			struct share_use *use = use_of(
				&rows,
				&(struct share_use){.application = s->application,
						    .gateway = lane->parties.origin.gateway,
						    .service = s->service,
						    .start = s->start,
						    .session = s->id,
						    .supplier = lane->parties.origin.supplier});
			use->cu += leaf.cu;
			use->relays += leaf.part == 0;
		}
	}
	return take_rows(rows, ret);
}

static struct share_use *use_of_claim(struct use_row **rows, const struct claim *c,
				      const struct claim_record *r)
{
	const struct share_use use = {.application = c->application,
				      .gateway = c->gateway,
				      .service = c->service,
				      .start = r->start,
				      .session = r->session,
				      .supplier = c->supplier};

	return use_of(rows, &use);
}

size_t audit_uses_of_claims(const struct claims_file *file, struct share_use **ret)
{
	struct use_row *rows = NULL;
	struct claim_record record;

	for (size_t i = 0; i < file->n; i++) {
		const struct claims_entry *e = &file->v[i];

		for (size_t at = 0; at + CLAIM_RECORD_SIZE <= e->records.n; at += CLAIM_RECORD_SIZE)
			if (claim_record_decode(e->records.p + at, &record))
				use_of_claim(&rows, &e->claim, &record)->cu += record.cu;
	}
	return take_rows(rows, ret);
}
