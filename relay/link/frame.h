/* SPDX-License-Identifier: Apache-2.0
 * Frames of the link: their bytes, and nothing else (protocol.md [F2]-[F11], [L5], [L6]).
 *
 * Pure: no IO, no clock, no keys.  frame_put_x() appends one whole frame to a buffer; frame_scan()
 * finds the next one; frame_read_x() checks a payload and gives a struct whose views are borrowed
 * from the bytes scanned.  Decoding is strict: for every payload accepted, encoding what was read
 * gives the same bytes again.  Leaves travel as their 192 bytes: what they mean is relay/receipt's.
 */
#ifndef RELAY_LINK_FRAME_H
#define RELAY_LINK_FRAME_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define FRAME_HEADER_BYTES 10	    /* u32 length, u8 type, u8 flags, u32 stream */
#define FRAME_MAX_BEFORE_HELLO 1024 /* on `length`, until the peer has said its own [F2] */
#define FRAME_LEAF_BYTES 192
#define FRAME_BATCH_LEAVES_MAX 256	   /* leaves in a BATCH [F7] */
#define FRAME_BATCH_BYTES_MAX (512 * 1024) /* of a turn's answers; one leaf always fits [F7] */
#define FRAME_ANSWER_BYTES (4 + FRAME_LEAF_BYTES + 4) /* of one, its response encoding apart */
#define FRAME_LANES_MAX 1000			      /* lanes in a LANES frame [L5] */
#define FRAME_FETCH_MAX 2048			      /* leaves asked for at once [L6] */
#define FRAME_LANE_MAX ((uint64_t)1 << 20)	      /* leaves in a lane [T2] */
#define FRAME_ERROR_TEXT_MAX 512		      /* bytes of text in an ERROR [F9] */
#define FRAME_CREDIT_FIRST (256u * 1024) /* bytes of a stream that need no CREDIT [F10] */
#define FRAME_VERSION 1

enum frame_type {
	FRAME_HELLO = 1,
	FRAME_SESSION = 2,
	FRAME_SESSION_OK = 3,
	FRAME_RELAY = 4,
	FRAME_BATCH = 5,
	FRAME_COSIGN = 6,
	FRAME_LANES = 7,
	FRAME_FETCH = 8,
	FRAME_LEAVES = 9,
	FRAME_CANCEL = 10,
	FRAME_CREDIT = 11,
	FRAME_PING = 12,
	FRAME_GOAWAY = 13,
	FRAME_ERROR = 14,
	FRAME_TYPE_COUNT = 15,
	FRAME_TYPE_SKIPPED = 0x80, /* unknown types from here on are skipped [F3] */
};

enum frame_flag {
	FRAME_LANES_LAST = 1,	/* LANES: the last frame of the listing [L5] */
	FRAME_LANES_ANSWER = 2, /* LANES: an answer [L7] [L8] */
	FRAME_PING_ANSWER = 1,	/* PING: an answer [F11] */
	FRAME_RELAY_PINNED = 1, /* RELAY: pinned to a block [F14] */
};

/* A frame as it stands in the input; payload is borrowed. */
struct frame {
	uint8_t type;
	uint8_t flags;
	uint32_t stream;
	struct view payload;
};

enum frame_role { FRAME_ROLE_GATEWAY = 1, FRAME_ROLE_SUPPLIER = 2 };

struct frame_hello {
	uint8_t version;
	uint8_t role; /* enum frame_role; others are refused by the codec */
	struct network_id network;
	struct key_id key;
	struct signature signature;
	height_t height;
	uint32_t frame_max;	/* largest `length` that the sender takes */
	uint32_t in_flight_max; /* relays that the sender takes at once */
	cu_t max_unpaid_cu;	/* 0 from a gateway */
	uint32_t worker;
};

struct frame_session {
	struct session_id session;
	struct key_id application;
	struct service_name service;
	height_t start;
	struct hash table;
};

struct frame_relay {
	uint32_t session; /* the handle of its SESSION */
	uint32_t deadline_ms;
	struct salt salt;
	bool pinned;	      /* [F14]: */
	uint64_t pin_block;   /* to the block of this number, not 2^64-1, */
	struct hash pin_hash; /* and this hash */
	struct view request;  /* request encoding [E2]; not looked into, not empty */
};

/* One answer of a BATCH; leaf and response are borrowed. */
struct frame_answer {
	uint32_t relay;
	const uint8_t *leaf;  /* FRAME_LEAF_BYTES */
	struct view response; /* response encoding [E4] */
};

struct frame_batch {
	struct lane_id lane;
	uint64_t first;
	uint32_t count; /* 1..FRAME_BATCH_LEAVES_MAX */
	struct hash root;
	struct signature signature;
	struct frame_answer answers[FRAME_BATCH_LEAVES_MAX];
};

struct frame_cosign {
	struct lane_id lane;
	uint64_t size;
	struct hash root;
	uint64_t time_s;
	struct signature signature;
};

/* One lane of a LANES frame, FRAME_LANE_BYTES on the wire. */
#define FRAME_LANE_BYTES 233
struct frame_lane {
	struct lane_id lane;
	uint8_t state; /* 0 unclosed, 1 closed */
	uint64_t size; /* 0: none, root and signature are zeros */
	struct hash root;
	struct signature signature;
	uint64_t cosigned_size; /* 0: none, the rest is zeros */
	struct hash cosigned_root;
	uint64_t cosigned_time_s;
	struct signature cosignature;
};

/* A LANES frame that was read: frame_lanes_at() decodes each entry. */
struct frame_lanes {
	bool last;
	bool answer;
	uint32_t count; /* 0..FRAME_LANES_MAX */
	const uint8_t *entries;
};

struct frame_fetch {
	struct lane_id lane;
	uint64_t from;
	uint64_t to; /* 0 < to - from <= FRAME_FETCH_MAX, to <= 2^20 */
};

/* entries: count x (leaf 192 || salt 16), borrowed. */
#define FRAME_LEAVES_ENTRY_BYTES 208
struct frame_leaves {
	struct lane_id lane;
	uint64_t from;
	uint32_t count; /* 0..FRAME_FETCH_MAX */
	const uint8_t *entries;
	struct signature
		signature; /* of the head of size from + count; zeros: no batch ended there */
};

/* With a relay's number as stream: bytes that its parts may have on top; relays is 0. */
struct frame_credit {
	uint32_t relays;
	uint32_t bytes;
};

struct frame_goaway {
	uint16_t code; /* wire code of err.def */
	uint32_t drain_ms;
};

struct frame_error {
	uint8_t type; /* of the frame that it answers, 0 the link as a whole */
	uint16_t code;
	struct view text; /* UTF-8 */
};

enum frame_scan { FRAME_SCAN_MORE, FRAME_SCAN_ONE, FRAME_SCAN_BROKEN };

/* Looks for one whole frame at the start of in.  ONE: *ret is it, *ret_used the bytes it took.
 * MORE: *ret_used is how many bytes the whole frame will have, or 0 when not even its length is
 * there.  BROKEN: err is ERR_FRAME_TOO_LARGE when `length` passes frame_max, ERR_PROTOCOL when it
 * is under 6 or the type is 0 or unknown and below 0x80 [F3].  Types from 0x80 on come as ONE. */
enum frame_scan frame_scan(struct view in, uint32_t frame_max, struct frame *ret, size_t *ret_used,
			   struct err *err);

/* Writes a header with a length to be filled; the caller appends the payload to buf and calls
 * frame_end() with what frame_begin() gave.  Nothing else may be appended in between. */
size_t frame_begin(struct buf *buf, enum frame_type type, uint8_t flags, uint32_t stream);
void frame_end(struct buf *buf, size_t begun);

/* --- writing: one whole frame each; the caller's values are in range (asserted) --- */
void frame_put_hello(struct buf *buf, const struct frame_hello *hello);
void frame_put_session(struct buf *buf, uint32_t handle, const struct frame_session *session);
void frame_put_session_ok(struct buf *buf, uint32_t handle, height_t height);
void frame_put_relay(struct buf *buf, uint32_t number, const struct frame_relay *relay);
/* A BATCH in steps, so that answers are copied once: begin, add count times, end. */
size_t frame_batch_begin(struct buf *buf, const struct lane_id *lane, uint64_t first,
			 uint32_t count);
void frame_batch_add(struct buf *buf, uint32_t relay, const uint8_t leaf[FRAME_LEAF_BYTES],
		     struct view response);
void frame_batch_end(struct buf *buf, size_t begun, const struct hash *root,
		     const struct signature *signature);
void frame_put_cosign(struct buf *buf, const struct frame_cosign *cosign);
/* flags: FRAME_LANES_LAST, FRAME_LANES_ANSWER; count <= FRAME_LANES_MAX. */
void frame_put_lanes(struct buf *buf, uint8_t flags, const struct frame_lane *lanes,
		     uint32_t count);
void frame_put_fetch(struct buf *buf, uint32_t number, const struct frame_fetch *fetch);
/* LEAVES in steps: begin, then exactly count times add, end with the signature (NULL: zeros). */
size_t frame_leaves_begin(struct buf *buf, uint32_t number, const struct lane_id *lane,
			  uint64_t from, uint32_t count);
void frame_leaves_add(struct buf *buf, const uint8_t leaf[FRAME_LEAF_BYTES],
		      const struct salt *salt);
void frame_leaves_end(struct buf *buf, size_t begun, const struct signature *signature);
void frame_put_cancel(struct buf *buf, uint32_t number);
void frame_put_credit(struct buf *buf, uint32_t number, const struct frame_credit *credit);
void frame_put_ping(struct buf *buf, bool answer, const uint8_t bytes[8]);
void frame_put_goaway(struct buf *buf, const struct frame_goaway *goaway);
/* text is cut at FRAME_ERROR_TEXT_MAX, at the start of a character. */
void frame_put_error(struct buf *buf, uint32_t stream, uint8_t type, uint16_t code,
		     const char *text);

/* --- reading: false with ERR_PROTOCOL when the payload is short, long or out of range.  Each
 * also checks `stream` where a rule gives it: 0, or != 0.  frame_read_hello() fails with
 * ERR_VERSION on another version; frame_read_batch() may leave *ret half written on failure. --- */
MUST_USE bool frame_read_hello(const struct frame *f, struct frame_hello *ret, struct err *err);
MUST_USE bool frame_read_session(const struct frame *f, struct frame_session *ret, struct err *err);
MUST_USE bool frame_read_session_ok(const struct frame *f, height_t *ret, struct err *err);
MUST_USE bool frame_read_relay(const struct frame *f, struct frame_relay *ret, struct err *err);
MUST_USE bool frame_read_batch(const struct frame *f, struct frame_batch *ret, struct err *err);
MUST_USE bool frame_read_cosign(const struct frame *f, struct frame_cosign *ret, struct err *err);
MUST_USE bool frame_read_lanes(const struct frame *f, struct frame_lanes *ret, struct err *err);
/* Entry i < count; frame_read_lanes() has checked them all. */
void frame_lanes_at(const struct frame_lanes *lanes, uint32_t i, struct frame_lane *ret);
MUST_USE bool frame_read_fetch(const struct frame *f, struct frame_fetch *ret, struct err *err);
MUST_USE bool frame_read_leaves(const struct frame *f, struct frame_leaves *ret, struct err *err);
MUST_USE bool frame_read_cancel(const struct frame *f, struct err *err);
MUST_USE bool frame_read_credit(const struct frame *f, struct frame_credit *ret, struct err *err);
MUST_USE bool frame_read_ping(const struct frame *f, bool *ret_answer, uint8_t ret[8],
			      struct err *err);
MUST_USE bool frame_read_goaway(const struct frame *f, struct frame_goaway *ret, struct err *err);
MUST_USE bool frame_read_error(const struct frame *f, struct frame_error *ret, struct err *err);

/* "relay" for FRAME_RELAY; "unknown" for what has no name.  For logs and close reasons. */
const char *frame_type_name(uint8_t type);

#endif
