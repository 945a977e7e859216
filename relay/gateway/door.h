/* SPDX-License-Identifier: Apache-2.0
 * The limit on open client connections.  evhttp neither counts its connections nor says when one
 * ends, so the door counts what it lets in, and when that reaches the limit it shuts and looks at
 * the process's own descriptors.  Nobody is turned away: who comes to a shut door waits in the
 * kernel's queue until somebody leaves. */
#ifndef RELAY_GATEWAY_DOOR_H
#define RELAY_GATEWAY_DOOR_H

#include "relay/base/compiler.h"

struct event_base;
struct evconnlistener;
struct evhttp;
struct door;

/* Watches a listener that is bound to `http`.
 *
 * In:     max     connections of all listeners on this address in this process, >= workers
 *         shares  how many such listeners there are (one a worker)
 * Out:    until door_destroy(), which must come before the listener goes
 */
struct door *door_create(struct event_base *base, struct evhttp *http,
			 struct evconnlistener *listener, size_t max, size_t shares);
/* The listener stays as it is: open or shut.  NULL is a no-op. */
void door_destroy(struct door *door);

/* Connections that this process has open on the address of a listening socket.  Looks at each
 * descriptor: about 0.5 us each. */
size_t door_count(int listening_fd);

#endif
