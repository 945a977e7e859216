/* SPDX-License-Identifier: Apache-2.0
 * The gateway: the program that dApps point at.  Each JSON-RPC call is picked for a node of the
 * session, relayed, checked, committed to the ledger and only then answered (protocol.md [G1] to
 * [G4]).
 *
 *	http (requests) -> call (one life) -> sessions (pick) -> peer (link) -> lane (check, commit)
 *
 * N workers, each a thread with its own loop, listener, links and ledger port; they share the
 * registry, the ledger and nothing else.  Health and metrics pages are relay/admin's. */
#ifndef RELAY_GATEWAY_GATEWAY_H
#define RELAY_GATEWAY_GATEWAY_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"
#include "relay/config/config.h"
#include "relay/crypto/key.h"

struct gateway; /* opaque */
struct ledger;
struct registry;

/* Opens tokens, registry, ledger and the listening sockets; nothing is served before
 * gateway_loop().  cfg and key (of role gateway) are borrowed until gateway_destroy().  Errors:
 * those of the parts, with the part's name in front. */
MUST_USE bool gateway_create(const struct config *cfg, const struct relay_key *key,
			     struct gateway **ret, struct err *err);
/* NULL is a no-op.  Not while gateway_loop() runs. */
void gateway_destroy(struct gateway *gateway);
DEFINE_CLEANUP(struct gateway *, gateway_destroy)

/* Serves until gateway_stop(): then takes nothing new, ends what is in flight
 * for at most gateway.drain, cosigns, commits, closes.  Errors: a worker's loop cannot run. */
MUST_USE bool gateway_loop(struct gateway *gateway, struct err *err);
/* Any thread or signal handler; twice skips the draining. */
void gateway_stop(struct gateway *gateway);

/* The port that dApps connect to; 0 for a unix socket. */
uint16_t gateway_port(const struct gateway *gateway);

/* Client connections that are open now.  Looks at each descriptor: for the metrics page. */
size_t gateway_connections(const struct gateway *gateway);

const struct key_id *gateway_id(const struct gateway *gateway);
/* Owned by the gateway; for the admin surface. */
struct ledger *gateway_ledger(const struct gateway *gateway);
struct registry *gateway_registry(const struct gateway *gateway);

/* How it fares, for /readyz and the status page; counts are those of all workers.  Any thread. */
struct gateway_status {
	height_t height;    /* of the registry's clock */
	unsigned sessions;  /* open, next ones not counted */
	unsigned suppliers; /* wanted by a session */
	unsigned links_up;
	unsigned members_ready; /* of the default application's sessions: can be asked now */
	unsigned members;
	unsigned in_flight; /* calls that wait for their answer */
	bool ledger_full;
	bool draining;
	struct err last_error; /* why there is no session; ERR_NONE when there is one */
	struct err no_answer;  /* the service whose suppliers all rest; ERR_NONE: there is none */
};
void gateway_status(const struct gateway *gateway, struct gateway_status *ret);
/* Appends what the workers have seen of suppliers, as JSON (docs/operating.md).  Any thread but a
 * worker's; waits for each worker for a tick, and at most 2 s. */
void gateway_suppliers(const struct gateway *gateway, struct buf *out);
/* Appends what applications spend, as JSON (docs/operating.md): their escrow and how long it lasts,
 * their last sessions, and what was saved.  Any thread but a worker's. */
void gateway_spending(const struct gateway *gateway, struct buf *out);
/* True when calls can be served: every worker has a session with a member that can be asked, and of
 * no service do all suppliers rest after failures; else *ret_why says what is missing. */
MUST_USE bool gateway_is_ready(const struct gateway *gateway, struct err *ret_why);

#endif
