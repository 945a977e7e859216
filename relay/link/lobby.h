/* SPDX-License-Identifier: Apache-2.0
 * What the listeners of one address share, each on a thread of its own: who is at the door and who
 * is in, how fast they come, the limits on all of this, and the choice of the listener that serves
 * the next one.  Private to relay/link; listener.c alone uses it.
 *
 * The kernel spreads connections over SO_REUSEPORT sockets by a hash of their addresses, which
 * leaves two links on one of two threads half of the time, for as long as they live.  So whoever
 * accepts asks the lobby, and hands the descriptor on, before TLS begins.
 *
 * All functions may be called from any thread. */
#ifndef RELAY_LINK_LOBBY_H
#define RELAY_LINK_LOBBY_H

#include <sys/queue.h>

#include "relay/link/listener.h"

#define LOBBY_SEATS_MAX 64 /* listeners */

/* One connection, from accept to its end.  The first part is the lobby's, under its lock. */
struct guest {
	TAILQ_ENTRY(guest) all;	    /* lobby->guests */
	TAILQ_ENTRY(guest) waiting; /* for its seat's thread, until lobby_take() */
	unsigned seat;
	uint64_t source; /* address_source() */
	bool up;
	struct key_id key; /* when up */
	int fd;		   /* until its seat's thread has it */
	/* of the seat's thread alone */
	LIST_ENTRY(guest) own;
	struct listener *listener;
	struct link *link;
};

struct lobby;

/* With one ref of the caller's.  unfinished_max and so on are those of params. */
struct lobby *lobby_create(const struct listener_params *params);
struct lobby *lobby_ref(struct lobby *lobby);
void lobby_unref(struct lobby *lobby);

/* One more listener; its number.  wake_fd: an eventfd that is written to when a guest waits for it.
 * At most LOBBY_SEATS_MAX. */
unsigned lobby_sit(struct lobby *lobby, int wake_fd);
/* The listener takes no more; who waits for it is closed and forgotten. */
void lobby_leave(struct lobby *lobby, unsigned seat);

/* A connection was accepted by `seat` at this time, monotonic.  Chooses the seat with the fewest
 * connections of this source and then in all, `seat` itself among equals, and queues it there:
 * lobby_take() gives it.  False: a limit refuses it, and its descriptor is closed. */
bool lobby_enter(struct lobby *lobby, unsigned seat, uint64_t source, int fd, usec_t now);
/* The next guest that waits for the seat, NULL when there is none.  The guest is the caller's until
 * lobby_go(). */
struct guest *lobby_take(struct lobby *lobby, unsigned seat);

/* The guest's HELLO was checked.  Errors: ERR_LIMIT when there are links enough, in all or of this
 * key. */
MUST_USE bool lobby_admit(struct lobby *lobby, struct guest *guest, const struct key_id *key,
			  struct err *err);
/* The guest's link has ended; frees it. */
void lobby_go(struct lobby *lobby, struct guest *guest);

uint32_t lobby_unfinished(struct lobby *lobby);
uint64_t lobby_refused(struct lobby *lobby);

#endif
