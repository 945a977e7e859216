/* SPDX-License-Identifier: Apache-2.0
 * The inside of `counterfoil up`: one gateway and some nodes as children of one parent, which keeps
 * their registry.  up.c reads the options and runs the loop, up_state.c makes what is on disk,
 * up_children.c starts, watches and stops the processes, up_ready.c finds ports and asks the
 * gateway whether it serves. */
#ifndef RELAY_CLI_UP_H
#define RELAY_CLI_UP_H

#include <sys/types.h>

#include "relay/cli/cli.h"
#include "session/registry/store.h"

#define UP_NODES_MAX 64
#define UP_UPSTREAMS_MAX 16
#define UP_WORKERS_MAX 64    /* gateway.workers, node.workers */
#define UP_CHAIN_ID_MAX 72   /* text of a chain id, decimal or 0x and 64 digits */
#define UP_UNIX_PATH_MAX 107 /* bytes of a unix socket's path; the system's limit */

struct event;
struct event_base;

struct up_child {
	char name[16];	  /* "gateway", "node1" */
	const char *verb; /* "gateway" or "node" */
	char *config;	  /* paths */
	char *log;
	pid_t pid;	   /* 0: not running */
	unsigned failures; /* ends since it last ran for a while */
	usec_t started_us;
	struct event *restart;
};

struct up {
	/* what was asked for */
	const char *upstreams[UP_UPSTREAMS_MAX];
	size_t upstreams_n;
	size_t nodes;
	u128 stakes[UP_NODES_MAX]; /* tokens */
	struct service_name service;
	struct hash method_table;
	struct session_params params;
	uint64_t block_ms;
	bool session_given, block_given; /* --session-blocks and such must fit an existing state */
	/* where it is */
	char *state; /* absolute */
	int lock;
	char *listen, *admin; /* host:port that are free */
	char *node_admin[UP_NODES_MAX];
	struct key_id application, gateway, suppliers[UP_NODES_MAX];
	struct store *store;
	bool is_new;
	/* what runs */
	struct event_base *base;
	struct up_child children[1 + UP_NODES_MAX]; /* the gateway first */
	bool ready;
	bool failed; /* ended for a reason of its own */
	unsigned stop_requests;
	struct event *stop_timer;
};

/* --- up_state.c --- */
/* Makes or opens the state folder and locks it.  Errors: ERR_IO; in use: names the process. */
MUST_USE bool up_state_open(struct up *up, const char *dir, struct err *err);
/* Keys, registry and its entries.  After up_state_open(). */
MUST_USE bool up_state_fill(struct up *up, struct err *err);
/* Configuration files of all children; addresses are known. */
MUST_USE bool up_state_configure(struct up *up, struct err *err);
/* "STATE/name", to be freed. */
char *up_path(const struct up *up, const char *fmt, ...) PRINTF(2, 3);

/* --- up_ready.c --- */
/* Finds host:port for one address: `given` must be free; without it the first of `fallback` and the
 * next `more` ports.  Errors: ERR_IO names the port. */
MUST_USE bool up_find_port(const char *option, const char *given, const char *fallback,
			   unsigned more, char **ret, struct err *err);

struct up_ready; /* a thread that asks the gateway until it answers; opaque */
/* Calls on_ready once, on the loop, with the chain's id; on_waiting when it takes long. */
MUST_USE bool up_ready_start(struct up *up,
			     void (*on_ready)(struct up *, const char *url, const char *chain_id),
			     struct up_ready **ret, struct err *err);
void up_ready_stop(struct up_ready *ready);
DEFINE_CLEANUP(struct up_ready *, up_ready_stop)
/* The URL that dApps use. */
char *up_url(const struct up *up);

/* --- up_children.c --- */
/* Starts all children; later ends are answered by starting again. */
MUST_USE bool up_children_start(struct up *up, struct err *err);
/* SIGCHLD: reaps, plans new starts, goes on with stopping.  Breaks the loop when all are gone. */
void up_children_reap(struct up *up);
/* The gateway first, so that what is in flight ends; then the nodes.  Again: at once. */
void up_children_stop(struct up *up);
/* Kills what is left and waits for it. */
void up_children_finish(struct up *up);
/* Prints the end of a child's log. */
void up_children_explain(const struct up_child *child);

#endif
