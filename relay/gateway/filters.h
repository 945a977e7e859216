/* SPDX-License-Identifier: Apache-2.0
 * The filters that clients have: one table for all workers of a gateway, because a client's next
 * call may come to another.  A filter is lent to the call that polls it, with all that it has told,
 * and given back changed, or unchanged when the poll came to nothing.
 *
 * Private to relay/gateway.  Not here: what is asked for a filter (poll.c). */
#ifndef RELAY_GATEWAY_FILTERS_H
#define RELAY_GATEWAY_FILTERS_H

#include "relay/base/clock.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"
#include "relay/gateway/track.h"

struct filters; /* all of them; any thread */

struct filters_limits {
	size_t count_max;
	size_t per_address_max;
	usec_t idle_us;	    /* one that is not polled for this long is gone */
	struct hash secret; /* that ids are made of */
};

/* Nobody can guess one. */
struct filter_id {
	uint8_t b[16];
};

/* Whose it is: who else has its id cannot use it by another path. */
struct filter_owner {
	struct key_id application;
	struct service_name service;
};

struct filter {
	bool blocks;	 /* of blocks; else of logs */
	struct buf text; /* of logs: the call for all of them */
	struct track told;
};

enum filters_found {
	FILTERS_NONE, /* there is no such filter, or it is another's */
	FILTERS_BUSY, /* another call has it just now */
	FILTERS_LENT,
};

struct filters *filters_create(const struct filters_limits *limits);
/* NULL is a no-op. */
void filters_destroy(struct filters *filters);

/* Keeps a new filter, which is emptied.
 * In:     source  of the client's address; 0: not limited
 * Errors: ERR_LIMIT. */
MUST_USE bool filters_add(struct filters *filters, const struct filter_owner *owner,
			  uint64_t source, struct filter *filter, usec_t now, struct filter_id *ret,
			  struct err *err);
/* Lends one, with a copy of its text; its time begins anew.  LENT: it is in *ret until
 * filters_give(). */
enum filters_found filters_take(struct filters *filters, const struct filter_owner *owner,
				const struct filter_id *id, usec_t now, struct filter *ret);
/* The same but for what it has told, which is not in *ret: it is not lent.  False: NONE. */
MUST_USE bool filters_look(struct filters *filters, const struct filter_owner *owner,
			   const struct filter_id *id, usec_t now, struct filter *ret);
/* Takes it back, and empties it; also one that has been removed meanwhile. */
void filters_give(struct filters *filters, const struct filter_id *id, struct filter *filter,
		  usec_t now);
/* False: there was none. */
MUST_USE bool filters_remove(struct filters *filters, const struct filter_owner *owner,
			     const struct filter_id *id);
/* Forgets those that were not polled for too long. */
void filters_expire(struct filters *filters, usec_t now);

void filter_finish(struct filter *filter);

/* "0x" and 32 digits, and a NUL; the first is not 0. */
#define FILTER_ID_TEXT (2 + 32 + 1)
char *filter_id_text(const struct filter_id *id, char dst[FILTER_ID_TEXT]);
/* False unless exactly that, with digits of either case. */
MUST_USE bool filter_id_parse(struct view text, struct filter_id *ret);

#endif
