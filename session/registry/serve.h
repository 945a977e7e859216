/* SPDX-License-Identifier: Apache-2.0
 * A registry over HTTP: GET / is the current registry file, signed; GET /?from=H&to=H one with the
 * seeds of those heights, for auditors.  Readers pin the registry key, so plain HTTP is enough. */
#ifndef SESSION_REGISTRY_SERVE_H
#define SESSION_REGISTRY_SERVE_H

#include "session/registry/store.h"

struct event_base;
struct registry_server;

/* Listens on host and port (0: any free one).  Store and key are borrowed.
 * Errors: ERR_IO names the address. */
MUST_USE bool registry_server_create(struct event_base *base, struct store *store,
				     const struct relay_key *key, const char *host, uint16_t port,
				     struct registry_server **ret, struct err *err);
void registry_server_destroy(struct registry_server *server);
DEFINE_CLEANUP(struct registry_server *, registry_server_destroy)

/* The port that is listened on. */
uint16_t registry_server_port(const struct registry_server *server);

#endif
