/* SPDX-License-Identifier: Apache-2.0
 * A node's door: accepts connections, keeps strangers within limits, hands over links that are up.
 *
 * One listener a worker; SO_REUSEPORT lets the workers share a port.  Who accepts a connection
 * hands it to the worker that has the fewest, so that a few links are spread as evenly as many;
 * limits hold for all workers together.  It knows nothing of stakes or grants: on_up of its owner
 * does. */
#ifndef RELAY_LINK_LISTENER_H
#define RELAY_LINK_LISTENER_H

#include "relay/link/link.h"

struct listener_params {
	uint32_t unfinished_max;	    /* handshakes in all; 256 */
	uint32_t unfinished_per_source_max; /* of one address (IPv6: one /64); 16 */
	uint32_t begun_max;		    /* handshakes begun within a second, in all; 256 */
	uint32_t begun_per_source_max;	    /* of one address; 64 */
	uint32_t links_max;		    /* up, in all; 4096 */
	uint32_t links_per_key_max;	    /* up, of one gateway key; 64 */
	struct link_params link;
};
void listener_params_default(struct listener_params *ret);

struct listener;

/* Opens the listening socket: "host:port", "[v6]:port", port 0 for any free one, or "unix:/path"
 * (mode 0600, a stale one is replaced).  cbs (borrowed) and arg are those of each link; on_up may
 * refuse.  A link over a limit is closed with ERR_LIMIT before on_up.  Once on_up was given the
 * link is the owner's: it gets on_down and destroys it; before that the listener does. Errors:
 * ERR_CONFIG bad address, ERR_IO cannot listen (the message names the address). */
MUST_USE bool listener_create(struct event_base *base, struct tls *tls,
			      const struct link_self *self, const struct listener_params *params,
			      const char *address, const struct link_callbacks *cbs, void *arg,
			      struct listener **ret, struct err *err);
/* One more listener at the address of `first`, for the loop of another thread: it shares first's
 * limits, TLS and callbacks, and the links of both are spread evenly over them.  To be called
 * before either loop runs; each listener is destroyed on its own, at any time.  At most 64 in all.
 * Errors: ERR_IO. */
MUST_USE bool listener_join(const struct listener *first, struct event_base *base,
			    const struct link_self *self, void *arg, struct listener **ret,
			    struct err *err);
/* Stops accepting and drops unfinished handshakes; links that are up stay their owner's. */
void listener_destroy(struct listener *listener);
/* The port that is listened on; 0 for a unix socket. */
uint16_t listener_port(const struct listener *listener);
/* Connections that have not finished their HELLO, and those refused by a limit so far; of all
 * listeners at the address. */
uint32_t listener_unfinished(const struct listener *listener);
uint64_t listener_refused(const struct listener *listener);

DEFINE_CLEANUP(struct listener *, listener_destroy)

#endif
