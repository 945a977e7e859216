/* SPDX-License-Identifier: Apache-2.0
 * Reading a ledger: on connections of its own, so that the writer and readers never wait for each
 * other.  Works in the process that writes, in another one beside it, and on a stopped ledger.
 * A reader belongs to one thread.  It never changes what the ledger says. */
#ifndef RELAY_LEDGER_READER_H
#define RELAY_LEDGER_READER_H

#include "relay/ledger/ledger.h"

#define LEDGER_PROOF_MAX 20 /* hashes of an inclusion proof in a lane: log2(2^20) */

struct ledger_reader;

/* Errors: ERR_IO when there is no ledger, ERR_LEDGER when it is newer or broken. */
MUST_USE bool ledger_reader_open(const char *dir, struct ledger_reader **ret, struct err *err);
void ledger_reader_close(struct ledger_reader *reader);
DEFINE_CLEANUP(struct ledger_reader *, ledger_reader_close)

/* Whose ledger it is. */
struct ledger_identity {
	enum ledger_role role;
	struct key_id self;
};
void ledger_reader_identity(const struct ledger_reader *reader, struct ledger_identity *ret);

struct ledger_lane_info {
	struct lane_id id;
	struct key_id gateway;
	struct key_id supplier;
	uint32_t day; /* yyyymmdd: the file that holds it */
	msec_t opened_ms;
	enum ledger_lane_state state; /* LIVE is told as UNCLOSED: files do not know */
	bool dropped;		      /* its day file is gone: size, head and totals are 0 */
	struct ledger_head head;      /* the newest committed */
	struct ledger_cosigned cosigned;
	uint64_t final_size;   /* of a CLOSED lane; leaves at and above are undelivered */
	uint64_t adopted_from; /* leaves at and above were adopted; UINT64_MAX: none */
};

/* Calls fn for each lane, oldest first, until it returns false. */
typedef bool ledger_lane_fn(void *arg, const struct ledger_lane_info *lane);
MUST_USE bool ledger_each_lane(struct ledger_reader *reader, ledger_lane_fn *fn, void *arg,
			       struct err *err);
/* Errors: ERR_NOT_FOUND. */
MUST_USE bool ledger_lane_read(struct ledger_reader *reader, const struct lane_id *lane,
			       struct ledger_lane_info *ret, struct err *err);

/* A head of a lane that the supplier signed, found by its size; ERR_NOT_FOUND when no turn ended
 * there. */
MUST_USE bool ledger_head_read(struct ledger_reader *reader, const struct lane_id *lane,
			       uint64_t size, struct ledger_head *ret, struct err *err);

/* Reads leaves [from, from + max) of a lane as far as they exist; salts (16 each) may be NULL.
 *
 * In:  leaves   room for max x 192 bytes
 * Out: ret_n    how many were read
 */
MUST_USE bool ledger_leaves_read(struct ledger_reader *reader, const struct lane_id *lane,
				 uint64_t from, size_t max, uint8_t *leaves, uint8_t *salts,
				 size_t *ret_n, struct err *err);

/* The evidence of a leaf, as far as it is kept: false without an error set when it is not.  The
 * caller compares the hashes of the leaf before it shows it to anybody; a torn tail reads as "not
 * kept". */
MUST_USE bool ledger_evidence_read(struct ledger_reader *reader, const struct lane_id *lane,
				   uint64_t seq, struct buf *ret_request, struct buf *ret_response);

/* Calls fn for each leaf of [from, to) whose evidence is kept and right, in order, until it returns
 * false.  Parts of a stream after the first have no request of their own: n = 0.  Much cheaper a
 * leaf than the above. */
typedef bool ledger_evidence_fn(void *arg, uint64_t seq, struct view request, struct view response);
MUST_USE bool ledger_each_evidence(struct ledger_reader *reader, const struct lane_id *lane,
				   uint64_t from, uint64_t to, ledger_evidence_fn *fn, void *arg,
				   struct err *err);

/* One receipt with all that a bundle [G3] needs. */
struct ledger_receipt {
	struct ledger_lane_info lane;
	uint8_t leaf[LEDGER_LEAF_BYTES];
	struct salt salt;
	bool undelivered;
	bool adopted;
	struct ledger_head head; /* the cosigned head if it covers the leaf, else the newest */
	bool head_is_cosigned;
	struct hash proof[LEDGER_PROOF_MAX]; /* inclusion of seq in head, RFC 9162 order */
	size_t proof_n;
	bool has_evidence; /* request and response are set */
	struct buf request;
	struct buf response;
	bool has_next; /* a part of a stream, and the part after it is known */
	struct lane_id next_lane;
	uint64_t next_seq;
};

/* Errors: ERR_NOT_FOUND. */
MUST_USE bool ledger_receipt_read(struct ledger_reader *reader, const struct lane_id *lane,
				  uint64_t seq, struct ledger_receipt *ret, struct err *err);
void ledger_receipt_finish(struct ledger_receipt *receipt);

/* The session of a leaf; ERR_NOT_FOUND when it was adopted and is not known here. */
MUST_USE bool ledger_session_read(struct ledger_reader *reader, const struct lane_id *lane,
				  const struct session_id *id, struct ledger_session *ret,
				  struct err *err);

/* The smallest start of all sessions that the day files name; UINT64_MAX when there are none. */
MUST_USE bool ledger_oldest_start(struct ledger_reader *reader, height_t *ret, struct err *err);

/* Hashes of a tile of a lane (protocol.md [T4]) as of `size`: *ret_n is 1..256, fewer than 256 for
 * the last of its level.  ERR_NOT_FOUND beyond it. */
MUST_USE bool ledger_tile_read(struct ledger_reader *reader, const struct lane_id *lane,
			       uint64_t size, unsigned int level, uint64_t index,
			       struct hash ret[256], size_t *ret_n, struct err *err);

#endif
