/* SPDX-License-Identifier: Apache-2.0
 * The pick: which member of a session is asked for one relay ([S7], [S8]).  Pure; the gateway keeps
 * the numbers that went in with the call, so that the choice can be replayed. */
#ifndef SESSION_PICK_H
#define SESSION_PICK_H

#include "session/params.h"

#define PICK_HEALTHY 256 /* full health; 0 is cooling down */

enum pick_mode {
	PICK_BY_STAKE, /* quality = health */
	PICK_BY_PRICE, /* quality = max(1, floor(health x pmin / price)) */
};

/* One member, in the order of drawing. */
struct pick_member {
	uint64_t weight; /* in the draw, > 0 */
	uint64_t price;	 /* per CU; 0 is read as 1 */
	uint16_t health; /* 0..PICK_HEALTHY */
	bool asked;	 /* already asked for this relay, or not to be asked at all */
};

enum pick_reason {
	PICK_QUALITY,  /* by draw weight x quality */
	PICK_FALLBACK, /* nobody healthy was left: by draw weight alone */
};

struct pick {
	size_t member; /* index into the members */
	enum pick_reason reason;
	u128 point; /* r */
	u128 width; /* W */
};

/* quality of a member whose health is > 0; pmin = least price of all members, read as at least 1.
 */
uint32_t pick_quality(const struct pick_member *m, enum pick_mode mode, uint64_t pmin);

/* Picks the member that is asked for relay n.
 *
 * In:     id, gateway, worker, n   what the point r is made of ([S7]); each call uses up one n
 *         members, count           1..SESSION_MEMBERS_MAX, in the order of drawing
 * Errors: ERR_NO_NODE when every member has been asked.
 * Cost:   one SHA-256, no allocation.
 */
MUST_USE bool pick_member(const struct session_id *id, const struct key_id *gateway,
			  uint32_t worker, uint64_t n, enum pick_mode mode,
			  const struct pick_member *members, size_t count, struct pick *ret,
			  struct err *err);

#endif
