/* SPDX-License-Identifier: Apache-2.0
 * Checkpoints of lanes ([N1]..[N5]): three lines, signed by the supplier, cosigned by the gateway.
 *
 * Pure.  The hot path (one signature made or checked a turn) works on a struct checkpoint_lane that
 * holds the origin line ready-made: nothing is parsed, nothing allocated, and the bytes that are
 * signed are exactly the text of the note.  Whole notes are for files and bundles. */
#ifndef RELAY_RECEIPT_CHECKPOINT_H
#define RELAY_RECEIPT_CHECKPOINT_H

#include "relay/receipt/note.h"

struct relay_key; /* relay/crypto/key.h */

#define CHECKPOINT_SIZE_MAX (UINT64_C(1) << 20) /* leaves of a lane */
#define CHECKPOINT_NOTE_MAX 4096		/* [N5] */
#define CHECKPOINT_ORIGIN_MAX 256		/* the first line and a NUL; ours has 241 bytes */
#define CHECKPOINT_TEXT_MAX (CHECKPOINT_ORIGIN_MAX + 8 + 46)

/* Who a lane is between. */
struct checkpoint_origin {
	struct network_id network;
	struct key_id gateway;
	struct key_id supplier;
	struct lane_id lane;
};

/* An origin with all that can be made ready once for a lane. */
struct checkpoint_lane {
	struct checkpoint_origin origin;
	size_t line_len; /* of the origin line, newline included */
	char line[CHECKPOINT_ORIGIN_MAX];
	struct note_key supplier; /* NOTE_ED25519 */
	struct note_key gateway;  /* NOTE_COSIGNATURE */
};

/* A head: what a checkpoint says, with the signatures that it has. */
struct checkpoint {
	uint64_t size; /* leaves, 1..CHECKPOINT_SIZE_MAX */
	struct hash root;
	struct signature supplier_sig;
	bool cosigned;
	uint64_t cosign_time;	      /* POSIX seconds */
	struct signature gateway_sig; /* over the cosignature/v1 message */
};

/* Prepares a lane.  Cannot fail. */
void checkpoint_lane_init(struct checkpoint_lane *lane, const struct checkpoint_origin *origin);

/* The three lines, into dst (not NUL-terminated); returns their length.  size 1..2^20 (asserted).
 */
size_t checkpoint_text(const struct checkpoint_lane *lane, uint64_t size, const struct hash *root,
		       uint8_t dst[CHECKPOINT_TEXT_MAX]);

/* Sets head->supplier_sig over (size, root), which are set (about 14 us).  The key is that of the
 * lane's supplier (asserted). */
void checkpoint_sign(const struct checkpoint_lane *lane, const struct relay_key *supplier,
		     struct checkpoint *head);

/* Sets cosigned, cosign_time and gateway_sig.  time: POSIX seconds.  The key is that of the lane's
 * gateway (asserted). */
void checkpoint_cosign(const struct checkpoint_lane *lane, const struct relay_key *gateway,
		       uint64_t time, struct checkpoint *head);

/* True iff head->supplier_sig is the lane's supplier's over (size, root): one Ed25519 check, about
 * 40 us.  Sizes out of range are refused.  Errors: ERR_CHECKPOINT, ERR_SIGNATURE. */
MUST_USE bool checkpoint_check(const struct checkpoint_lane *lane, const struct checkpoint *head,
			       struct err *err);

/* True iff the head is cosigned, and gateway_sig is the lane's gateway's over (size, root, time).
 * Errors: ERR_CHECKPOINT, ERR_SIGNATURE. */
MUST_USE bool checkpoint_check_cosigned(const struct checkpoint_lane *lane,
					const struct checkpoint *head, struct err *err);

/* Appends the head as a signed note: text, empty line, the supplier's line, the gateway's line when
 * it is cosigned.  The signatures are not checked. */
void checkpoint_put_note(const struct checkpoint_lane *lane, const struct checkpoint *head,
			 struct buf *buf);

/* Reads a note as a checkpoint of this lane and checks every signature of its two keys ([N4]): the
 * supplier's must be there and be the first line; the gateway's may be.  The origin must be, byte
 * for byte, the lane's.  Errors: ERR_NOTE, ERR_CHECKPOINT, ERR_SIGNATURE. */
MUST_USE bool checkpoint_open(const struct checkpoint_lane *lane, struct view note,
			      struct checkpoint *ret, struct err *err);

/* As checkpoint_open(), but it is the gateway's cosignature that must be there, and the supplier's
 * signature that may be: what is known of a cosigned head that the supplier's next one replaced.
 * Out: ret_supplier  the supplier signed too; else ret->supplier_sig is zeros */
MUST_USE bool checkpoint_open_cosigned(const struct checkpoint_lane *lane, struct view note,
				       struct checkpoint *ret, bool *ret_supplier, struct err *err);

/* Reads only the origin line of a note, for those who do not know the lane yet; the note must then
 * be opened with it.  Errors: ERR_NOTE, ERR_CHECKPOINT. */
MUST_USE bool checkpoint_read_origin(struct view note, struct checkpoint_origin *ret,
				     struct err *err);

#endif
