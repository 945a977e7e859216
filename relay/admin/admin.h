/* SPDX-License-Identifier: Apache-2.0
 * Health and metrics over HTTP, on an address and a thread of their own, for gateway and node.  It
 * changes nothing, needs no password and belongs on loopback or a private network.
 *
 *	/healthz  200 as long as the process answers, and what its operator should know
 *	/readyz   200 when all checks pass, else 503; a line a check says which and why
 *	/metrics  Prometheus text of relay/base/metrics.def
 *	          and what pages the program adds; /admin/status for `counterfoil status' */
#ifndef RELAY_ADMIN_ADMIN_H
#define RELAY_ADMIN_ADMIN_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/config/config.h"

#define ADMIN_HEADER_MAX 8192	 /* bytes of a request's head */
#define ADMIN_BODY_MAX 1024	 /* bytes of a request's body, which nothing reads */
#define ADMIN_TIMEOUT_S 10	 /* a connection that is silent for this long is closed */
#define ADMIN_CONNECTIONS_MAX 64 /* the oldest ends when there are more */
#define ADMIN_CHECKS_MAX 16
#define ADMIN_PAGES_MAX 8

struct admin; /* the server and its thread; opaque */

/* Something that must be right for /readyz. */
struct admin_check {
	const char *name;
	/* True when it is; else sets *ret_why.  Runs on the admin thread. */
	bool (*passes)(void *arg, struct err *ret_why);
	void *arg;
};

/* A page of the program's own. */
struct admin_page {
	const char *path; /* "/..." */
	const char *type; /* of its content */
	/* Appends it.  Runs on the admin thread. */
	void (*write)(void *arg, struct buf *out);
	void *arg;
};

struct admin_params {
	const struct config_address *listen;
	const struct admin_check *checks; /* copied; names and args are borrowed */
	size_t checks_n;		  /* at most ADMIN_CHECKS_MAX */
	const struct admin_page *pages;	  /* copied; what they point to is borrowed */
	size_t pages_n;			  /* at most ADMIN_PAGES_MAX */
	void (*refresh)(void *arg);	  /* before /metrics: sets gauges; may be NULL */
	/* Appends lines to /healthz: nothing is wrong yet that would make it unready.  NULL: none.
	 */
	void (*notes)(void *arg, struct buf *out);
	void *arg;
};

/* Listens and starts the thread.  Errors: ERR_IO, with the address, when it is not free. */
MUST_USE bool admin_start(const struct admin_params *params, struct admin **ret, struct err *err);

/* The port that is listened on; 0 for a unix socket. */
uint16_t admin_port(const struct admin *admin);

/* Ends the thread and closes all connections; no check runs after it.  NULL is a no-op. */
void admin_stop(struct admin *admin);
DEFINE_CLEANUP(struct admin *, admin_stop)

#endif
