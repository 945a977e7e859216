/* SPDX-License-Identifier: Apache-2.0
 * Who refuses what: relays that one supplier did not answer and another did, by method and target
 * address.  That is how censorship looks from a gateway; a fault of one call only looks the same
 * until it is counted.  A relay that another one overtook is late: that may be a silent drop, or
 * just a slow supplier, which the supplier's other rows tell.  Pure: time is an argument.  One
 * table a service; bounded, and keyed, because clients choose targets.
 *
 * A row begins with the first such relay of its (method, target) and counts from then on.  When the
 * table is full the row with the fewest of them makes room, of several the oldest: what is refused
 * again and again stays, whatever else comes along. */
#ifndef SESSION_REFUSALS_H
#define SESSION_REFUSALS_H

#include "chains/chain.h"

#define REFUSALS_ROWS_MAX 1024 /* (method, target) pairs of one table */
#define REFUSALS_CELLS_MAX                                                                         \
	16		    /* suppliers of a row; the one with the fewest refusals makes room     \
			     */
#define REFUSALS_SHUN_MIN 3 /* refusals after which a supplier is not asked for that any more */
#define REFUSALS_SHUN_US 600000000 /* ... for so long after the last */

struct refusals; /* a table; opaque */
struct refusals_row;

/* One supplier, since its first refusal or lateness at the row's (method, target). */
struct refusals_cell {
	struct key_id supplier;
	uint32_t asked;	   /* relays that ended, whichever way; that refusal too */
	uint32_t refused;  /* an error, or silence to the end */
	uint32_t late;	   /* not waited for any more, because another had answered */
	usec_t refused_us; /* the last of either */
};

/* What a walk shows of a row. */
struct refusals_view {
	uint32_t method; /* id in the service's table */
	const struct chain_target *target;
	const struct refusals_cell *cells;
	size_t count;
};

struct refusals *refusals_create(void);
void refusals_destroy(struct refusals *table);

/* True: nobody has refused anything, so there is nothing to look up. */
bool refusals_is_empty(const struct refusals *table);
/* The row, or NULL.  It may go with the next refusals_add(). */
struct refusals_row *refusals_find(struct refusals *table, uint32_t method,
				   const struct chain_target *target);
/* A relay to this supplier has ended. */
void refusals_asked(struct refusals_row *row, const struct key_id *supplier);
/* A relay to this supplier, already told by refusals_asked() if there was a row, was answered by
 * another.
 * In:      late  it was overtaken; else it failed
 * Returns: a row had to go for it */
bool refusals_add(struct refusals *table, uint32_t method, const struct chain_target *target,
		  const struct key_id *supplier, bool late, usec_t now);
/* Is it better not asked for that?  It refused at least REFUSALS_SHUN_MIN times, more than every
 * second time, and not long ago. */
bool refusals_shuns(const struct refusals_row *row, const struct key_id *supplier, usec_t now);

/* Shows every row, in no order. */
void refusals_walk(const struct refusals *table,
		   void (*show)(const struct refusals_view *row, void *arg), void *arg);

#endif
