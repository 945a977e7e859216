/* SPDX-License-Identifier: Apache-2.0
 * One receipt: leaf, salt, the head that covers it, the proof, the evidence, the next part. */
#include "relay/ledger/reader.h"

#include <fcntl.h>
#include <unistd.h>

#include "relay/ledger/reader_internal.h"
#include "relay/receipt/leaf.h"

#define EVIDENCE_BYTES_MAX (UINT32_C(256) << 20) /* of one encoding; more is a torn length */

static bool read_at(int fd, uint64_t offset, void *dst, size_t n)
{
	return pread(fd, dst, n, (off_t)offset) == (ssize_t)n;
}

static bool read_into(int fd, uint64_t offset, size_t n, struct buf *ret)
{
	buf_reserve(ret, n);
	if (n > 0 && !read_at(fd, offset, ret->p + ret->n, n))
		return false;
	ret->n += n;
	return true;
}

/* The segment's descriptor, kept open for the next leaf: neighbours lie in one segment. */
static int segment_open(struct ledger_reader *reader, uint64_t segment)
{
	char path[LEDGER_PATH_MAX];

	if (reader->segment == segment)
		return reader->segment_fd;
	reader_segment_close(reader);
	evidence_segment_path(reader->dir, segment, path);
	reader->segment_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (reader->segment_fd >= 0)
		reader->segment = segment;
	return reader->segment_fd;
}

void reader_segment_close(struct ledger_reader *reader)
{
	if (reader->segment != 0)
		close(reader->segment_fd);
	reader->segment = 0;
}

/* The raw record at a place; the hashes are not looked at here. */
static bool evidence_read(struct ledger_reader *reader, uint64_t place, struct buf *request,
			  struct buf *response)
{
	uint64_t offset = place & ((UINT64_C(1) << 40) - 1);
	int fd = place == 0 ? -1 : segment_open(reader, place >> 40);
	uint32_t request_n, response_n;
	uint8_t head[EVIDENCE_HEAD];

	if (fd < 0 || !read_at(fd, offset, head, sizeof(head)))
		return false;
	request_n = get_be32(head);
	response_n = get_be32(head + 4);
	offset += sizeof(head);
	return request_n <= EVIDENCE_BYTES_MAX && response_n <= EVIDENCE_BYTES_MAX &&
	       lseek(fd, 0, SEEK_END) >= (off_t)(offset + request_n + response_n) &&
	       read_into(fd, offset, request_n, request) &&
	       read_into(fd, offset + request_n, response_n, response);
}

static bool request_is(const struct leaf *leaf, const struct lane_id *lane, const struct salt *salt,
		       const struct buf *request)
{
	struct view view = buf_view(request);
	struct hash hash;

	leaf_request_hash(lane, salt, &view, 1, &hash);
	return ID_EQ(&hash, &leaf->request_hash);
}

static bool response_is(const struct leaf *leaf, const struct lane_id *lane,
			const struct salt *salt, const struct buf *response)
{
	struct view view = buf_view(response);
	struct hash hash;

	leaf_response_hash(lane, salt, leaf->part, &view, 1, &hash);
	return ID_EQ(&hash, &leaf->response_hash);
}

/* What one lane row and its database are to the functions below. */
struct place {
	struct ledger_reader *reader;
	sqlite3 *db;
	uint64_t number;
	const struct lane_id *lane;
};

static bool part_find(sqlite3 *db, uint32_t stream, uint32_t part, const struct salt *salt,
		      uint64_t *ret_number, uint64_t *ret_seq)
{
	uint8_t leaf[LEDGER_LEAF_BYTES];
	struct salt found;
	STMT *stmt = NULL;
	struct err err;

	if (!store_prepare(db, "SELECT id FROM parts WHERE stream = ?1 AND part = ?2", &stmt, &err))
		return false;
	sqlite3_bind_int64(stmt, 1, stream);
	sqlite3_bind_int64(stmt, 2, part);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		uint64_t id = (uint64_t)sqlite3_column_int64(stmt, 0);
		size_t n = 0;

		*ret_number = id >> 20;
		*ret_seq = id & (LEDGER_LANE_LEAVES - 1);
		/* Streams are numbered per link; the salt is what tells them apart. */
		if (turns_read(db, *ret_number, *ret_seq, 1, leaf, found.b, NULL, &n, &err) &&
		    n == 1 && ID_EQ(&found, salt))
			return true;
	}
	return false;
}

/* The request of a later part stands with part 0. */
static bool stream_request(const struct place *at, const struct leaf *leaf, const struct salt *salt,
			   struct buf *request)
{
	uint8_t first[LEDGER_LEAF_BYTES], place[LEDGER_PLACE_BYTES], other[LEDGER_SALT_BYTES];
	struct buf response = {0};
	uint64_t number, seq;
	struct err err;
	size_t n = 0;
	bool ok;

	if (!part_find(at->db, leaf->stream, 0, salt, &number, &seq) || number != at->number ||
	    !turns_read(at->db, number, seq, 1, first, other, place, &n, &err) || n != 1)
		return false;
	ok = evidence_read(at->reader, get_be64(place), request, &response);
	buf_finish(&response);
	return ok;
}

static bool evidence_checked(const struct place *at, const struct leaf *leaf,
			     const struct salt *salt, uint64_t place, struct buf *request,
			     struct buf *response)
{
	bool ok = evidence_read(at->reader, place, request, response);

	if (ok && request->n == 0 && leaf->kind == LEAF_PART && leaf->part > 0)
		ok = stream_request(at, leaf, salt, request);
	if (ok && request_is(leaf, at->lane, salt, request) &&
	    response_is(leaf, at->lane, salt, response))
		return true;
	request->n = response->n = 0;
	return false;
}

bool ledger_evidence_read(struct ledger_reader *reader, const struct lane_id *lane, uint64_t seq,
			  struct buf *ret_request, struct buf *ret_response)
{
	uint8_t bytes[LEDGER_LEAF_BYTES], place[LEDGER_PLACE_BYTES];
	struct place at = {.reader = reader, .lane = lane};
	struct ledger_lane_info info;
	struct salt salt;
	struct leaf leaf;
	struct err err;
	size_t n = 0;

	if (!reader_lane(reader, lane, &info, &at.number, &err) || info.dropped)
		return false;
	at.db = reader_day(reader, info.day, &err);
	if (at.db == NULL ||
	    !turns_read(at.db, at.number, seq, 1, bytes, salt.b, place, &n, &err) || n != 1 ||
	    leaf_decode(bytes, &leaf) != LEAF_FINE)
		return false;
	return evidence_checked(&at, &leaf, &salt, get_be64(place), ret_request, ret_response);
}

#define EVIDENCE_CHUNK 1024 /* leaves looked at together */

/* One leaf of a chunk: gives its evidence to fn if what is kept is right. */
static bool evidence_give(struct ledger_reader *reader, const struct lane_id *lane,
			  const uint8_t *bytes, const struct salt *salt, uint64_t place,
			  struct buf pair[2], ledger_evidence_fn *fn, void *arg)
{
	struct leaf leaf;

	pair[0].n = pair[1].n = 0;
	if (leaf_decode(bytes, &leaf) != LEAF_FINE ||
	    !evidence_read(reader, place, &pair[0], &pair[1]) ||
	    !response_is(&leaf, lane, salt, &pair[1]))
		return true;
	if (pair[0].n == 0 ? leaf.part == 0 : !request_is(&leaf, lane, salt, &pair[0]))
		return true;
	return fn(arg, leaf.seq, buf_view(&pair[0]), buf_view(&pair[1]));
}

bool ledger_each_evidence(struct ledger_reader *reader, const struct lane_id *lane, uint64_t from,
			  uint64_t to, ledger_evidence_fn *fn, void *arg, struct err *err)
{
	CLEANUP(xfree) uint8_t *leaves = xmalloc((size_t)EVIDENCE_CHUNK * LEDGER_LEAF_BYTES);
	CLEANUP(xfree) struct salt *salts = xmalloc(EVIDENCE_CHUNK * sizeof(*salts));
	CLEANUP(xfree) uint8_t *places = xmalloc((size_t)EVIDENCE_CHUNK * LEDGER_PLACE_BYTES);
	struct ledger_lane_info info;
	struct buf pair[2] = {{0}, {0}};
	uint64_t number;
	bool ok, on = true;
	size_t n = 1;
	sqlite3 *db;

	if (!reader_lane(reader, lane, &info, &number, err))
		return false;
	db = info.dropped ? NULL : reader_day(reader, info.day, err);
	if (db == NULL)
		return info.dropped || err->code == ERR_NOT_FOUND;
	for (ok = true; ok && on && from < to && n > 0; from += n) {
		ok = turns_read(db, number, from, MIN(EVIDENCE_CHUNK, to - from), leaves,
				salts[0].b, places, &n, err);
		for (size_t i = 0; ok && on && i < n; i++)
			on = evidence_give(reader, lane, leaves + i * LEDGER_LEAF_BYTES, &salts[i],
					   get_be64(places + i * LEDGER_PLACE_BYTES), pair, fn,
					   arg);
	}
	buf_finish(&pair[0]);
	buf_finish(&pair[1]);
	return ok;
}

/* The cosigned head when it covers the leaf and its turn is here, else the newest. */
static bool receipt_head(const struct place *at, uint64_t seq, struct ledger_receipt *ret,
			 struct err *err)
{
	struct err ignored;

	ret->head_is_cosigned =
		ret->lane.cosigned.size > seq &&
		reader_head(at->db, at->number, ret->lane.cosigned.size, &ret->head, &ignored) &&
		ID_EQ(&ret->head.root, &ret->lane.cosigned.root);
	if (!ret->head_is_cosigned)
		ret->head = ret->lane.head;
	if (seq >= ret->head.size)
		return err_set(err, ERR_NOT_FOUND, "no signed head covers the leaf");
	return true;
}

static bool receipt_prove(const struct place *at, uint64_t seq, struct ledger_receipt *ret,
			  struct err *err)
{
	struct tile_source source = {at->db, at->number};
	struct tree_proof proof;

	if (!tile_prove_inclusion(seq, ret->head.size, tile_source_read, &source, &proof, err))
		return false;
	assert(proof.n <= LEDGER_PROOF_MAX);
	memcpy(ret->proof, proof.hash, proof.n * sizeof(*proof.hash));
	ret->proof_n = proof.n;
	return true;
}

/* In the same day file, or after midnight in the next. */
static void receipt_next(const struct place *at, const struct leaf *leaf,
			 struct ledger_receipt *ret)
{
	uint64_t number;
	STMT *stmt = NULL;
	struct err err;

	if (leaf->kind != LEAF_PART || (leaf->flags & LEAF_LAST) != 0)
		return;
	ret->has_next = part_find(at->db, leaf->stream, leaf->part + 1, &ret->salt, &number,
				  &ret->next_seq);
	if (!ret->has_next) {
		msec_t day_ms = (msec_t)leaf->time_ms + 86400000;
		sqlite3 *next = reader_day(at->reader, clock_day(day_ms), &err);

		ret->has_next = next != NULL && part_find(next, leaf->stream, leaf->part + 1,
							  &ret->salt, &number, &ret->next_seq);
	}
	if (!ret->has_next)
		return;
	ret->has_next = store_prepare(at->reader->state, "SELECT lane FROM lanes WHERE number = ?1",
				      &stmt, &err);
	sqlite3_bind_int64(stmt, 1, (int64_t)number);
	ret->has_next = ret->has_next && sqlite3_step(stmt) == SQLITE_ROW &&
			store_blob(stmt, 0, ret->next_lane.b, sizeof(ret->next_lane.b));
}

bool ledger_receipt_read(struct ledger_reader *reader, const struct lane_id *lane, uint64_t seq,
			 struct ledger_receipt *ret, struct err *err)
{
	struct place at = {.reader = reader, .lane = lane};
	uint8_t place[LEDGER_PLACE_BYTES];
	struct leaf leaf;
	size_t n = 0;

	*ret = (struct ledger_receipt){0};
	if (!reader_lane(reader, lane, &ret->lane, &at.number, err))
		return false;
	if (ret->lane.dropped || seq >= LEDGER_LANE_LEAVES)
		return err_set(err, ERR_NOT_FOUND, "no such receipt");
	at.db = reader_day(reader, ret->lane.day, err);
	if (at.db == NULL ||
	    !turns_read(at.db, at.number, seq, 1, ret->leaf, ret->salt.b, place, &n, err))
		return false;
	if (n == 0)
		return err_set(err, ERR_NOT_FOUND, "no such receipt");
	if (leaf_decode(ret->leaf, &leaf) != LEAF_FINE)
		return err_set(err, ERR_LEDGER, "the leaf is malformed");
	ret->undelivered = ret->lane.state == LEDGER_LANE_CLOSED && seq >= ret->lane.final_size;
	ret->adopted = seq >= ret->lane.adopted_from;
	if (!receipt_head(&at, seq, ret, err) || !receipt_prove(&at, seq, ret, err))
		return false;
	ret->has_evidence = evidence_checked(&at, &leaf, &ret->salt, get_be64(place), &ret->request,
					     &ret->response);
	receipt_next(&at, &leaf, ret);
	return true;
}

void ledger_receipt_finish(struct ledger_receipt *receipt)
{
	buf_finish(&receipt->request);
	buf_finish(&receipt->response);
}
