/* SPDX-License-Identifier: Apache-2.0
 * A bound on the connections of a small HTTP server, and on what their answers hold: evhttp has
 * neither.  The server must answer at once, within the callback of its request; so who has been
 * there longest is the one to end when there are too many, and whoever comes is served.  The
 * gateway's clients, whose answers take time, have relay/gateway/door.h. */
#ifndef RELAY_BASE_CROWD_H
#define RELAY_BASE_CROWD_H

#include <event2/event.h>
#include <event2/http.h>

#include "relay/base/compiler.h"

struct crowd;

/* Watches all connections that `http` will accept; borrowed until crowd_destroy().
 *
 * In:  most       connections, >= 1; those of one turn of the loop may be there on top
 *      on_pushed  told of each that ended for others; may be NULL
 */
struct crowd *crowd_create(struct event_base *base, struct evhttp *http, size_t most,
			   void (*on_pushed)(void *arg), void *arg);
/* After `http` is freed, which ends its connections.  NULL is a no-op. */
void crowd_destroy(struct crowd *crowd);
DEFINE_CLEANUP(struct crowd *, crowd_destroy)

/* An answer of n bytes is about to be given to `but`: ends connections that have not read theirs,
 * the oldest first, until all that wait are no more than `most` bytes together.  False: that many
 * are not there without `but`. */
MUST_USE bool crowd_make_room(struct crowd *crowd, const struct evhttp_connection *but, size_t n,
			      size_t most);

#endif
