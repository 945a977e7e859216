/* SPDX-License-Identifier: Apache-2.0
 * The node: the program of a supplier.  It accepts links of gateways, checks that a relay may be
 * served, asks its own backend, and gives each answer a leaf; all answers of one turn of the loop
 * share one signed checkpoint and one commit (protocol.md sections 5 to 9).
 *
 *	accept (links, sessions) -> serve (one relay) -> turn (the batch) -> settle (cosignatures)
 *
 * It does not choose what it serves (the registry does) and knows no dApp. */
#ifndef RELAY_NODE_NODE_H
#define RELAY_NODE_NODE_H

#include "relay/crypto/key.h"
#include "relay/ledger/ledger.h"
#include "relay/link/listener.h"
#include "relay/upstream/upstream.h"

struct config;
struct node; /* opaque */

#define NODE_SERVICES_MAX 64
#define NODE_WORKERS_MAX 64

/* One service that is offered. */
struct node_service_params {
	struct service_name name;
	const char *family; /* of chains/chain.h, "evm" */
	const char *urls[UPSTREAM_URLS_MAX];
	size_t urls_n;
};

/* What a node is made of.  Everything but the key is borrowed for node_create() only. */
struct node_params {
	const struct relay_key *key;	   /* of role supplier; borrowed until node_destroy() */
	const char *registry;		   /* path or URL, as registry_open() takes it */
	const struct key_id *registry_key; /* NULL: not pinned */
	const char *listen;		   /* "host:port" or "unix:/path" */
	size_t workers;			   /* threads that serve links; 1..NODE_WORKERS_MAX */
	struct ledger_params ledger;	   /* role and self are filled in */
	struct listener_params listener;
	struct upstream_limits upstream;
	struct node_service_params services[NODE_SERVICES_MAX];
	size_t services_n;
	bool verify;		/* answers of backends are held against their hashes [R13] */
	cu_t max_unpaid_cu;	/* CU served without a cosigned checkpoint, of each gateway [P5] */
	uint32_t in_flight_max; /* relays of one link; told in HELLO */
	size_t bytes_max;	/* requests and answers in memory */
	uint32_t sessions_max;	/* sessions of one link */
	size_t heads_max;	/* of a lane without a cosignature; more closes the link */
	size_t lanes_max;	/* of a link that wait for their last cosignature */
	uint32_t refusals_signed_max; /* of a link and second; more are ERROR frames [F9] */
	uint32_t refusals_max;	      /* of a link and second; more closes it */
	uint32_t frame_max;	      /* bytes of one frame from a gateway */
	uint64_t lane_leaves;	      /* a lane is left before it has more; at most 2^20 [T2] */
	usec_t deadline_max_us;	      /* a relay's own deadline counts up to this */
	usec_t credit_timeout_us; /* a stream ends for which the gateway makes no room so long */
	usec_t drain_us;	  /* how long a stop waits for what is in flight */
	bool claims;		  /* what is earned is claimed; the rest as claimer.h has it */
	uint64_t claims_batch_sessions;
	unsigned claims_warn_percent;
	usec_t claims_send_after_us;
	usec_t claims_pause_min_us;
	usec_t claims_pause_max_us;
};
/* Defaults for all but the strings, the services and ledger.dir. */
void node_params_default(struct node_params *ret);

/* Asks all backends which chain they are of, waiting for them, each service at most the probes'
 * timeout.  Errors: ERR_CONFIG names a backend that is of another chain than its siblings; one that
 * does not answer is no error, it is probed again while the node runs. */
MUST_USE bool node_survey(const struct node_params *p, struct err *err);

/* Opens registry, ledger, backends and the listening sockets; nothing is served before
 * node_loop().  Errors: those of the parts, with the part's name in front. */
MUST_USE bool node_create(const struct node_params *p, struct node **ret, struct err *err);
/* NULL is a no-op.  Not while node_loop() runs. */
void node_destroy(struct node *node);

/* Runs the workers until node_stop(): then each says GOAWAY, ends what is in flight for at most
 * drain_us, waits for the last cosignatures, commits; node_destroy() closes the links.  Errors: a
 * thread cannot be started. */
MUST_USE bool node_loop(struct node *node, struct err *err);
/* Any thread; once is enough, twice skips the draining. */
void node_stop(struct node *node);

/* True when relays can be served now; else *ret_why says what is missing (registry stale, a backend
 * down, ledger full, draining).  Any thread. */
bool node_is_ready(const struct node *node, struct err *ret_why);
/* Appends a line for each thing that an operator should know although nothing is wrong yet: rewards
 * at risk.  Any thread. */
void node_notes(const struct node *node, struct buf *out);
/* What all workers together do now.  Any thread. */
struct node_status {
	size_t in_flight; /* relays */
	cu_t unpaid;	  /* CU under no cosigned head, of all gateways */
};
void node_status(const struct node *node, struct node_status *ret);
/* The port of the listening socket; 0 for a unix one. */
uint16_t node_port(const struct node *node);
const struct key_id *node_id(const struct node *node);
/* Owned by the node; for the admin surface. */
struct ledger *node_ledger(const struct node *node);
struct registry *node_registry(const struct node *node);

/* node_loop() with SIGTERM and SIGINT calling node_stop(); one node a process. */
MUST_USE bool node_run(struct node *node, struct err *err);

/* What a configuration says, the key apart; the strings are borrowed from it. */
MUST_USE bool node_params_from_config(const struct config *cfg, struct node_params *ret,
				      struct err *err);

#endif
