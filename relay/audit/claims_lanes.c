/* SPDX-License-Identifier: Apache-2.0
 * Records and proofs against the leaves that the parties have: one pass over each lane of each
 * folder, at whose sizes the records of that lane are looked at. */
#include <assert.h>
#include <inttypes.h>

#include "relay/audit/claims_inside.h"
#include "relay/base/mem.h"
#include "relay/crypto/table.h"

/* A record that a lane must bear out. */
struct need {
	struct claim_record record;
	const struct claims_entry *entry;
	bool met; /* some folder of its parties has the lane */
};

/* A session in the lane at hand. */
struct tally {
	struct session_id id;
	u128 cu, in_head, undelivered;
	UT_hash_handle hh;
};

struct lane_walk {
	const struct claims_audit *a;
	const struct audit_folder *folder;
	const struct audit_lane *lane;
	uint64_t head_size; /* of the newest cosigned head; 0: none */
	struct hash head_root;
	struct tally *tallies;
};

struct lanes_walk {
	const struct claims_audit *a;
	size_t needs_n;
	struct need *needs; /* sorted by lane and size */
	size_t served_n, served_cap;
	struct claims_served *served;
};

static const struct lane_id *lane_of(const struct lane_walk *w)
{
	return &w->lane->parties.origin.lane;
}

static const char *role_of(const struct audit_folder *folder)
{
	return folder->role == AUDIT_GATEWAY ? "gateway" : "supplier";
}

/* --- what is needed --- */

static int need_order(const void *x, const void *y)
{
	const struct need *a = x, *b = y;
	int order = memcmp(&a->record.lane, &b->record.lane, sizeof(a->record.lane));

	if (order == 0 && a->record.size != b->record.size)
		order = a->record.size < b->record.size ? -1 : 1;
	order = order ? order : memcmp(&a->entry->id, &b->entry->id, sizeof(a->entry->id));
	return order ? order
		     : memcmp(&a->record.session, &b->record.session, sizeof(struct session_id));
}

static void find_needs(struct lanes_walk *all)
{
	size_t n = 0;

	for (size_t i = 0; i < all->a->file->n; i++)
		n += claims_records(&all->a->file->v[i]);
	all->needs = xcalloc(n, sizeof(*all->needs));
	for (size_t i = 0; i < all->a->file->n; i++) {
		const struct claims_entry *e = &all->a->file->v[i];

		for (size_t k = 0; k < claims_records(e); k++) {
			struct need *need = &all->needs[all->needs_n];

			need->entry = e;
			all->needs_n += claims_record(e, k, &need->record);
		}
	}
	if (all->needs_n > 0)
		qsort(all->needs, all->needs_n, sizeof(*all->needs), need_order);
}

/* The first need of a lane. */
static size_t first_need(const struct lanes_walk *all, const struct lane_id *lane)
{
	size_t low = 0, high = all->needs_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(&all->needs[mid].record.lane, lane, sizeof(*lane)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* --- one lane --- */

/* The newest head that the gateway cosigned, if it opens; `verify` says why not. */
static void find_head(struct lane_walk *w)
{
	struct checkpoint head;
	bool supplier;
	struct err err;

	if (w->lane->final.p != NULL &&
	    checkpoint_open_cosigned(&w->lane->parties, w->lane->final, &head, &supplier, &err)) {
		w->head_size = head.size;
		w->head_root = head.root;
	}
	if (w->lane->checkpoint.p != NULL &&
	    checkpoint_open(&w->lane->parties, w->lane->checkpoint, &head, &err) && head.cosigned &&
	    head.size > w->head_size) {
		w->head_size = head.size;
		w->head_root = head.root;
	}
}

static struct tally *tally_of(struct lane_walk *w, const struct session_id *id)
{
	struct tally *found;

	HASH_FIND(hh, w->tallies, id, sizeof(*id), found);
	if (found == NULL) {
		found = xcalloc(1, sizeof(*found));
		found->id = *id;
		HASH_ADD(hh, w->tallies, id, sizeof(found->id), found);
	}
	return found;
}

static bool is_undelivered(const struct audit_lane *lane, uint64_t seq)
{
	for (size_t i = 0; i < lane->undelivered_n; i++)
		if (seq >= lane->undelivered[i].from && seq < lane->undelivered[i].to)
			return true;
	return false;
}

static void take_leaf(struct lane_walk *w, uint64_t seq)
{
	struct leaf leaf;

	if (leaf_decode(audit_lane_leaf(w->lane, seq), &leaf) != LEAF_FINE)
		return; /* `verify` says so */
	struct tally *t = tally_of(w, &leaf.session);
	t->cu += leaf.cu;
	if (seq < w->head_size)
		t->in_head += leaf.cu;
	if (is_undelivered(w->lane, seq))
		t->undelivered += leaf.cu;
}

/* The leaf of a proof is the one that the folder has there. */
static void check_leaf(const struct lane_walk *w, const struct need *need)
{
	const struct claims_entry *e = need->entry;
	struct claim_proof proof;
	struct leaf leaf;
	struct err err;

	if (e->proof.n == 0 || !claim_proof_parse(buf_view(&e->proof), &proof, &err) ||
	    !ID_EQ(&proof.record.lane, &need->record.lane) ||
	    !ID_EQ(&proof.record.session, &need->record.session) ||
	    leaf_decode(proof.leaf, &leaf) != LEAF_FINE || leaf.seq >= w->lane->size)
		return;
	if (memcmp(audit_lane_leaf(w->lane, leaf.seq), proof.leaf, LEAF_SIZE) != 0)
		claims_find(w->a, AUDIT_LOCAL, "proof_leaf", e, lane_of(w), leaf.seq,
			    "the %s's folder has another leaf than the proof", role_of(w->folder));
	else
		audit_count(w->a->report, "proof_leaves_same", 1);
}

/* A record at its size of the lane, whose root is `root` by the folder. */
static void check_need(struct lane_walk *w, const struct need *need, const struct hash *root)
{
	const struct claim_record *r = &need->record;
	const struct claims_entry *e = need->entry;
	bool same = ID_EQ(root, &r->root);
	char has[U128_TEXT_MAX];

	if (!same)
		claims_find(w->a, AUDIT_LOCAL, "record_root", e, lane_of(w), AUDIT_NO_SEQ,
			    "the %s's folder has another root at size %" PRIu64, role_of(w->folder),
			    r->size);
	const struct tally *t = tally_of(w, &r->session);
	if (r->cu > t->cu)
		claims_find(w->a, same ? AUDIT_PROVABLE : AUDIT_LOCAL, "record_cu", e, lane_of(w),
			    AUDIT_NO_SEQ,
			    "%" PRIu64 " CU of the session at %" PRIu64
			    ", of which the %s's folder has %s",
			    r->cu, r->start, role_of(w->folder), u128_text(t->cu, has));
	if (r->size > w->head_size && w->lane->state == AUDIT_CLOSED)
		claims_find(w->a, AUDIT_LOCAL, "record_head", e, lane_of(w), AUDIT_NO_SEQ,
			    "a head of %" PRIu64
			    " leaves; the %s's folder has one cosigned of %" PRIu64,
			    r->size, role_of(w->folder), w->head_size);
	else if (r->size > w->head_size)
		claims_find(w->a, AUDIT_OPEN, "short", e, lane_of(w), AUDIT_NO_SEQ,
			    "the %s's folder was written before its head was cosigned",
			    role_of(w->folder));
	check_leaf(w, need);
	audit_count(w->a->report, "records_compared", 1);
}

/* Whether a need is one of this lane's parties; a stranger's lane with this id is a finding. */
static bool is_of_parties(const struct lane_walk *w, const struct need *need)
{
	const struct checkpoint_origin *origin = &w->lane->parties.origin;
	const struct claim *c = &need->entry->claim;

	if (ID_EQ(&origin->gateway, &c->gateway) && ID_EQ(&origin->supplier, &c->supplier))
		return true;
	claims_find(w->a, AUDIT_LOCAL, "record_lane", need->entry, lane_of(w), AUDIT_NO_SEQ,
		    "the %s's folder has the lane between others", role_of(w->folder));
	return false;
}

static void walk_leaves(struct lane_walk *w, struct need *needs, size_t n)
{
	struct tree tree;
	struct hash hash;
	size_t at = 0;

	tree_init(&tree);
	for (uint64_t seq = 0; seq < w->lane->size; seq++) {
		leaf_hash(audit_lane_leaf(w->lane, seq), &hash);
		tree_append(&tree, &hash);
		take_leaf(w, seq);
		if (seq + 1 != w->head_size && (at == n || needs[at].record.size != seq + 1))
			continue;
		tree_root(&tree, &hash);
		if (seq + 1 == w->head_size && !ID_EQ(&hash, &w->head_root))
			w->head_size = 0; /* `verify` says so */
		for (; at < n && needs[at].record.size == seq + 1; at++) {
			needs[at].met = true;
			if (is_of_parties(w, &needs[at]))
				check_need(w, &needs[at], &hash);
		}
	}
	for (; at < n; at++) {
		needs[at].met = true;
		claims_find(w->a, AUDIT_OPEN, "short", needs[at].entry, lane_of(w), AUDIT_NO_SEQ,
			    "a head of %" PRIu64 " leaves; the %s's folder has %" PRIu64,
			    needs[at].record.size, role_of(w->folder), w->lane->size);
	}
}

/* --- who is believed --- */

/* A lane is in the folders of both parties: what its supplier has is what it could have claimed. */
static bool is_believed(const struct claims_audit *a, const struct audit_folder *folder,
			const struct audit_lane *lane)
{
	const struct audit_folder *first = NULL;

	for (size_t i = 0; i < a->folders_n; i++) {
		const struct audit_folder *f = &a->folders[i];

		if (audit_folder_lane(f, &lane->parties.origin.lane) == NULL)
			continue;
		if (ID_EQ(&f->self, &lane->parties.origin.supplier))
			return f == folder;
		first = first ? first : f;
	}
	return first == folder;
}

static void add_served(struct lanes_walk *all, const struct lane_walk *w)
{
	const struct checkpoint_origin *origin = &w->lane->parties.origin;

	for (size_t i = 0; i < w->lane->sessions_n; i++) {
		const struct audit_session *s = &w->lane->sessions[i];
		struct tally *t;

		HASH_FIND(hh, w->tallies, &s->id, sizeof(s->id), t);
		if (t == NULL || t->cu == 0)
			continue;
		if (all->served_n == all->served_cap) {
			all->served_cap = all->served_cap ? 2 * all->served_cap : 64;
			all->served = xrealloc(all->served, all->served_cap * sizeof(*all->served));
		}
		all->served[all->served_n++] =
			(struct claims_served){.four = {.application = s->application,
							.gateway = origin->gateway,
							.supplier = origin->supplier,
							.service = s->service},
					       .start = s->start,
					       .session = s->id,
					       .lane = origin->lane,
					       .cu = t->cu,
					       .in_head = MIN(t->in_head, t->cu),
					       .undelivered = t->undelivered};
	}
}

static void walk_lane(struct lanes_walk *all, const struct audit_folder *folder,
		      const struct audit_lane *lane)
{
	struct lane_walk w = {.a = all->a, .folder = folder, .lane = lane};
	size_t from = first_need(all, &lane->parties.origin.lane), to = from;
	struct tally *t, *next;

	while (to < all->needs_n && ID_EQ(&all->needs[to].record.lane, &lane->parties.origin.lane))
		to++;
	find_head(&w);
	walk_leaves(&w, all->needs + from, to - from);
	if (is_believed(all->a, folder, lane))
		add_served(all, &w);
	HASH_ITER (hh, w.tallies, t, next) {
		HASH_DEL(w.tallies, t);
		free(t);
	}
}

/* --- who is missing --- */

static const struct audit_folder *folder_of(const struct claims_audit *a, const struct key_id *self)
{
	for (size_t i = 0; i < a->folders_n; i++)
		if (ID_EQ(&a->folders[i].self, self))
			return &a->folders[i];
	return NULL;
}

struct party {
	struct key_id key;
	bool gateway;
};

static int party_order(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct key_id));
}

/* Once for each party of a claim whose folder is not there. */
static void check_parties(const struct claims_audit *a)
{
	CLEANUP(xfree) struct party *all = xcalloc(2 * a->file->n, sizeof(*all));
	size_t n = 0;
	char key[65];

	for (size_t i = 0; i < a->file->n; i++) {
		all[n++] = (struct party){a->file->v[i].claim.gateway, true};
		all[n++] = (struct party){a->file->v[i].claim.supplier, false};
	}
	if (n > 0)
		qsort(all, n, sizeof(*all), party_order);
	for (size_t i = 0; i < n; i++) {
		if ((i > 0 && ID_EQ(&all[i].key, &all[i - 1].key)) ||
		    folder_of(a, &all[i].key) != NULL)
			continue;
		audit_find(a->report, AUDIT_OPEN, "no_folder", NULL, AUDIT_NO_SEQ,
			   "of %s %s: its word is missing", all[i].gateway ? "gateway" : "supplier",
			   hex_encode(all[i].key.b, sizeof(all[i].key.b), key));
	}
}

static void check_unmet(const struct lanes_walk *all)
{
	for (size_t i = 0; i < all->needs_n; i++) {
		const struct need *need = &all->needs[i];

		if (!need->met && (folder_of(all->a, &need->entry->claim.gateway) ||
				   folder_of(all->a, &need->entry->claim.supplier)))
			claims_find(all->a, AUDIT_OPEN, "lane_absent", need->entry,
				    &need->record.lane, AUDIT_NO_SEQ,
				    "no folder of its parties has it");
	}
}

size_t claims_check_lanes(const struct claims_audit *a, struct claims_served **ret)
{
	struct lanes_walk all = {.a = a};

	check_parties(a);
	find_needs(&all);
	for (size_t i = 0; i < a->folders_n; i++)
		for (size_t k = 0; k < a->folders[i].lanes_n; k++)
			walk_lane(&all, &a->folders[i], &a->folders[i].lanes[k]);
	check_unmet(&all);
	free(all.needs);
	*ret = all.served;
	return all.served_n;
}
