/* SPDX-License-Identifier: Apache-2.0
 * The addresses that clients come from, each with its open connections and its calls in flight.
 * One table for all workers of a gateway.  An address is in it while it has a connection, so the
 * table is never larger than gateway.connections_max; it is never logged and never written down. */
#ifndef RELAY_GATEWAY_SOURCE_H
#define RELAY_GATEWAY_SOURCE_H

#include <sys/socket.h>

#include "relay/base/compiler.h"

struct sources; /* all of them */
struct source;	/* one: an IPv4 address, the /64 of an IPv6 one; a unix socket is one of its own */

struct sources *sources_create(void);
/* Nobody is in any more.  NULL is a no-op. */
void sources_destroy(struct sources *sources);

/* One more connection of an address.  NULL when it has `max` already; those of a unix socket are
 * not limited: whoever may open it was let in by the operator.  Any thread. */
struct source *sources_enter(struct sources *sources, const struct sockaddr *address, size_t max);
/* One less.  Its calls must have been given back. */
void sources_leave(struct sources *sources, struct source *source);

/* Counts n calls that begin.  False, and nothing is counted, when the address would then have more
 * than `max` in flight.  Any thread. */
MUST_USE bool source_take_calls(struct source *source, size_t n, size_t max);
void source_give_calls(struct source *source, size_t n);

/* Which address it is; 0: a unix socket. */
uint64_t source_address_key(const struct source *source);

#endif
