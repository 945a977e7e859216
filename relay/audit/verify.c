/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/audit/verify.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/mem.h"
#include "relay/crypto/table.h"

/* A session's interval in a lane ([R7]). */
struct interval {
	struct session_id id;
	uint64_t sum;			  /* where the next leaf must begin */
	const struct method_table *table; /* NULL: its service or table is not known */
	UT_hash_handle hh;
};

/* An open or ended stream of a lane ([R8]). */
struct stream {
	uint32_t id;
	uint32_t next;
	bool ended;
	UT_hash_handle hh;
};

struct walk {
	const struct audit_folder *folder;
	const struct audit_lane *lane;
	struct audit_report *report;
	struct audit_heads heads;
	struct interval *intervals;
	struct stream *streams;
	uint64_t kinds[4]; /* leaves of kind 1..4 */
	cu_t cu, cu_cosigned;
};

/* A fault of a leaf convicts the supplier when the leaf is under a root that it signed. */
static enum audit_weight weight_of(const struct walk *w)
{
	return w->heads.signed_ ? AUDIT_PROVABLE : AUDIT_LOCAL;
}

static const struct lane_id *lane_of(const struct walk *w)
{
	return &w->lane->parties.origin.lane;
}

/* The table that bounds the CU of a session; says once a session what cannot be checked. */
static const struct method_table *find_table(const struct walk *w, const struct session_id *id,
					     uint64_t seq)
{
	const struct audit_session *session = audit_lane_session(w->lane, id);

	if (session == NULL) {
		audit_find(w->report, AUDIT_OPEN, "session_unknown", lane_of(w), seq,
			   "the export does not say what its session is: CU not checked");
		return NULL;
	}
	const struct method_table *table = audit_folder_methods(w->folder, &session->service);
	if (table == NULL)
		audit_find(w->report, AUDIT_OPEN, "no_table", lane_of(w), seq,
			   "no method table of %s: CU not checked", session->service.s);
	return table;
}

static struct interval *interval_of(struct walk *w, const struct session_id *id, uint64_t seq)
{
	struct interval *found;

	HASH_FIND(hh, w->intervals, id, sizeof(*id), found);
	if (found != NULL)
		return found;
	found = xcalloc(1, sizeof(*found));
	found->id = *id;
	found->table = find_table(w, id, seq);
	HASH_ADD(hh, w->intervals, id, sizeof(found->id), found);
	audit_count(w->report, "sessions", 1);
	return found;
}

static void check_cu(const struct walk *w, const struct leaf *leaf, uint64_t seq,
		     struct interval *interval)
{
	if (leaf->cu_before != interval->sum)
		audit_find(w->report, weight_of(w), "interval", lane_of(w), seq,
			   "cu_before is %" PRIu64 " where the session stands at %" PRIu64,
			   leaf->cu_before, interval->sum);
	interval->sum = leaf->cu_before + leaf->cu; /* no overflow: its form was checked */
	if (interval->table == NULL || leaf->kind == LEAF_REFUSAL)
		return;
	const struct method_entry *entry = method_table_find(interval->table, leaf->method);
	if (entry == NULL)
		audit_find(w->report, weight_of(w), "method", lane_of(w), seq,
			   "method %" PRIu32 " is not in the table", leaf->method);
	else if (leaf_check(leaf, entry->cu, entry->part_cu) == LEAF_FAULT_CU_TABLE)
		audit_find(w->report, weight_of(w), "cu", lane_of(w), seq,
			   "%" PRIu32 " CU for %s, of which the table allows %" PRIu32, leaf->cu,
			   entry->name, leaf->part > 0 ? entry->part_cu : entry->cu);
}

/* Parts of a stream come one after the other; one that began in an earlier lane begins anywhere. */
static void check_stream(struct walk *w, const struct leaf *leaf, uint64_t seq)
{
	struct stream *stream;

	if (leaf->kind != LEAF_PART)
		return;
	HASH_FIND(hh, w->streams, &leaf->stream, sizeof(leaf->stream), stream);
	if (stream == NULL) {
		stream = xcalloc(1, sizeof(*stream));
		stream->id = leaf->stream;
		stream->next = leaf->part;
		HASH_ADD(hh, w->streams, id, sizeof(stream->id), stream);
	}
	if (stream->ended)
		audit_find(w->report, weight_of(w), "stream", lane_of(w), seq,
			   "part %" PRIu32 " of stream %" PRIu32 " after its last part", leaf->part,
			   leaf->stream);
	else if (leaf->part != stream->next)
		audit_find(w->report, weight_of(w), "stream", lane_of(w), seq,
			   "part %" PRIu32 " of stream %" PRIu32 " where part %" PRIu32 " is due",
			   leaf->part, leaf->stream, stream->next);
	stream->next = leaf->part + 1;
	stream->ended = stream->ended || (leaf->flags & LEAF_LAST);
}

static void count_leaf(struct walk *w, const struct leaf *leaf, uint64_t seq)
{
	w->kinds[leaf->kind - 1]++;
	w->cu += leaf->cu;
	if (w->heads.cosigned && seq < w->heads.cosigned_head.size)
		w->cu_cosigned += leaf->cu;
}

static void check_leaf(struct walk *w, uint64_t seq)
{
	struct leaf leaf;
	enum leaf_fault fault = leaf_decode(audit_lane_leaf(w->lane, seq), &leaf);

	if (fault == LEAF_FINE)
		fault = leaf_check_form(&leaf);
	if (fault != LEAF_FINE) {
		audit_find(w->report, weight_of(w), "leaf", lane_of(w), seq,
			   "it breaks the rule %s", leaf_fault_name(fault));
		return;
	}
	if (leaf.seq != seq)
		audit_find(w->report, weight_of(w), "seq", lane_of(w), seq, "its seq is %" PRIu64,
			   leaf.seq);
	check_cu(w, &leaf, seq, interval_of(w, &leaf.session, seq));
	check_stream(w, &leaf, seq);
	count_leaf(w, &leaf, seq);
}

/* The encodings that are kept hash to what the leaf says ([R3]).  They are the exporter's word. */
static void check_evidence(const struct walk *w, const struct audit_evidence *evidence)
{
	const struct lane_id *lane = lane_of(w);
	struct salt salt;
	struct leaf leaf;
	struct hash hash;

	if (leaf_decode(audit_lane_leaf(w->lane, evidence->seq), &leaf) != LEAF_FINE)
		return; /* said already */
	memcpy(salt.b, w->lane->salts.p + 16 * evidence->seq, sizeof(salt.b));
	leaf_request_hash(lane, &salt, &evidence->request, 1, &hash);
	if (evidence->request.n > 0 && !ID_EQ(&hash, &leaf.request_hash))
		audit_find(w->report, AUDIT_LOCAL, "request_hash", lane, evidence->seq,
			   "the request that is kept is not the one of the leaf");
	leaf_response_hash(lane, &salt, leaf.part, &evidence->response, 1, &hash);
	if (evidence->response.n == 0)
		return;
	if (!ID_EQ(&hash, &leaf.response_hash))
		audit_find(w->report, AUDIT_LOCAL, "response_hash", lane, evidence->seq,
			   "the response that is kept is not the one of the leaf");
	else if (evidence->response.n < 2 || get_be16(evidence->response.p) != leaf.status)
		audit_find(w->report, AUDIT_LOCAL, "status", lane, evidence->seq,
			   "the leaf's status is not the response's");
	audit_count(w->report, "evidence", 1);
}

static void check_all_evidence(const struct walk *w)
{
	size_t count = audit_lane_evidence_count(w->lane);

	if (count > 0 && w->lane->salts.n == 0) {
		audit_find(w->report, AUDIT_OPEN, "no_salts", lane_of(w), AUDIT_NO_SEQ,
			   "evidence without salts cannot be checked");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct audit_evidence evidence;

		if (audit_lane_evidence_at(w->lane, i, &evidence))
			check_evidence(w, &evidence);
		else
			audit_find(w->report, AUDIT_LOCAL, "evidence", lane_of(w), AUDIT_NO_SEQ,
				   "row %zu of evidence.idx points nowhere", i);
	}
}

static void count_ranges(struct audit_report *report, const char *name,
			 const struct audit_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		audit_count(report, name, ranges[i].to - ranges[i].from);
}

static void walk_finish(struct walk *w)
{
	struct interval *interval, *next_interval;
	struct stream *stream, *next_stream;

	HASH_ITER (hh, w->intervals, interval, next_interval) {
		HASH_DEL(w->intervals, interval);
		free(interval);
	}
	HASH_ITER (hh, w->streams, stream, next_stream) {
		HASH_DEL(w->streams, stream);
		free(stream);
	}
}

static void verify_lane(const struct audit_folder *folder, const struct audit_lane *lane,
			struct audit_report *report)
{
	static const char *const kinds[] = {"answers", "rpc_errors", "refusals", "parts"};
	struct walk w = {.folder = folder, .lane = lane, .report = report};

	audit_check_heads(folder, lane, report, &w.heads);
	for (uint64_t seq = 0; seq < lane->size; seq++)
		check_leaf(&w, seq);
	check_all_evidence(&w);
	audit_count(report, "lanes", 1);
	audit_count(report, "leaves", lane->size);
	if (w.heads.cosigned)
		audit_count(report, "leaves_cosigned", w.heads.cosigned_head.size);
	count_ranges(report, "adopted", lane->adopted, lane->adopted_n);
	count_ranges(report, "undelivered", lane->undelivered, lane->undelivered_n);
	if (lane->undelivered_n > 0 && w.heads.cosigned &&
	    lane->undelivered[0].from < w.heads.cosigned_head.size)
		audit_find(report, AUDIT_LOCAL, "undelivered", lane_of(&w),
			   lane->undelivered[0].from, "marked undelivered, but cosigned");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		audit_count(report, kinds[i], w.kinds[i]);
	audit_count(report, "cu", w.cu);
	audit_count(report, "cu_cosigned", w.cu_cosigned);
	walk_finish(&w);
}

void audit_verify(const struct audit_folder *folder, struct audit_report *report)
{
	static const char *const counters[] = {
		"lanes",      "leaves",	  "leaves_cosigned", "sessions", "answers",
		"rpc_errors", "refusals", "parts",	     "cu",	 "cu_cosigned",
		"signatures", "tiles",	  "evidence",	     "adopted",	 "undelivered"};

	/* all of them, and always in this order */
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		audit_count(report, counters[i], 0);
	for (size_t i = 0; i < folder->lanes_n; i++)
		verify_lane(folder, &folder->lanes[i], report);
}
