/* SPDX-License-Identifier: Apache-2.0
 * The draw: which suppliers are members of a session ([S5]).
 *
 * The same id and table give the same members in the same order on every machine: an auditor
 * replays this call to learn whether the node of a receipt was entitled to serve. */
#ifndef SESSION_DRAW_H
#define SESSION_DRAW_H

#include "session/table.h"

#define DRAW_TRIES_MAX 4096

struct session_draw {
	size_t n;			    /* members */
	uint32_t tries;			    /* values of t that were tried */
	uint32_t rows[SESSION_MEMBERS_MAX]; /* of the table, in the order of drawing */
	uint32_t t[SESSION_MEMBERS_MAX];    /* the t at which each was drawn */
};

/* r of try t: first 16 bytes of SHA-256("counterfoil/draw/v1\n" || id || u32 t) mod total > 0. */
uint64_t session_draw_point(const struct session_id *id, uint32_t t, uint64_t total);

/* Draws the members of a session.
 *
 * In:     id      made by session_id_derive()
 *         table   borrowed for the call
 *         want    session_suppliers, 1..SESSION_MEMBERS_MAX; fewer when the table has fewer owners
 * Errors: ERR_NO_SESSION when the table is empty.
 * Cost:   one SHA-256 and O(log rows) a try, no allocation; 24 members of 100,000 in < 1 ms.
 */
MUST_USE bool session_draw(const struct session_id *id, const struct stake_table *table,
			   uint32_t want, struct session_draw *ret, struct err *err);

#endif
