/* SPDX-License-Identifier: Apache-2.0
 * A registry over HTTP: GET / is the current registry file, signed; GET /?from=H&to=H one with the
 * seeds of those heights, for auditors; /claims is where suppliers claim and prove, and
 * GET /claims.note?from=H&to=H the claims file of those heights ([Y5]).  Readers pin the registry
 * key, which signs every answer that counts, so plain HTTP is enough. */
#ifndef SESSION_REGISTRY_SERVE_H
#define SESSION_REGISTRY_SERVE_H

#include "relay/base/clock.h"
#include "session/registry/store.h"

struct event_base;
struct registry_server;

/* What strangers may ask of it. */
struct registry_server_limits {
	size_t connections_max; /* the oldest ends when there are more */
	size_t answers_max;	/* bytes that wait to be read; the oldest of them ends beyond it */
	uint64_t seeds_max;	/* of a range; HTTP 400 beyond it */
	unsigned share;		/* files with a range take one part in so many of the time */
	usec_t ahead_us;	/* and so much of it in advance; HTTP 503 beyond it */
	size_t body_max;	/* bytes of a claim; HTTP 413 beyond it */
	unsigned
		claims_share; /* checks of claims and proofs, and lists, take one part in so many */
	size_t list_max; /* claims of one list, <= DESK_LIST_MAX; the rest is asked for again */
	size_t claims_file_max; /* bytes of a claims file; HTTP 400 beyond it */
};
extern const struct registry_server_limits registry_server_limits;

/* Listens on host and port (0: any free one).  Store and key are borrowed.
 * Errors: ERR_IO names the address. */
MUST_USE bool registry_server_create(struct event_base *base, struct store *store,
				     const struct relay_key *key, const char *host, uint16_t port,
				     const struct registry_server_limits *limits,
				     struct registry_server **ret, struct err *err);
void registry_server_destroy(struct registry_server *server);
DEFINE_CLEANUP(struct registry_server *, registry_server_destroy)

/* The port that is listened on. */
uint16_t registry_server_port(const struct registry_server *server);

#endif
