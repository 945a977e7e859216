/* SPDX-License-Identifier: Apache-2.0
 * What multi.c (sockets and timers of libcurl on libevent) and attempt.c and pool.c share.
 * Not for other folders: their header is upstream.h. */
#ifndef RELAY_UPSTREAM_INTERNAL_H
#define RELAY_UPSTREAM_INTERNAL_H

#include <sys/queue.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "relay/upstream/upstream.h"

/* The event of one socket.  It outlives a transfer: as long as a kept connection is idle its read
 * event stays with epoll, so that the next request on it costs no epoll_ctl. */
struct upstream_sock {
	struct event event;
	struct upstream *up;
	short registered; /* EV_READ, EV_WRITE, both, or 0: not with libevent */
	bool idle;	  /* libcurl is not interested */
};

struct upstream {
	struct event_base *base;
	CURLM *multi;
	struct event timer;
	struct event kick;	      /* active: libcurl has work that waits for no socket */
	struct upstream_sock **socks; /* by descriptor; NULL where there was none */
	size_t socks_n;
	size_t pools;
	size_t connections_max; /* of all URLs of all pools */
	long host_connections_max;
	bool kicked;
	bool in_curl;
};

struct upstream_url {
	CURLU *parsed;
	struct plain *plain; /* its own transport; NULL: libcurl's */
	char *text;	     /* for logs: no credentials, no path */
	bool is_https;
	unsigned label;	   /* in metrics */
	bool is_down;	   /* as last logged */
	unsigned failures; /* in a row */
	usec_t cool_until_us;
};

struct plain;
struct plain_conn;

TAILQ_HEAD(upstream_calls, upstream_call);
TAILQ_HEAD(upstream_waiting, upstream_call);

struct upstream_pool {
	struct upstream *up;
	char *name;
	struct upstream_limits limits;
	char *ca_file;		    /* limits.ca_file, owned */
	struct curl_slist *headers; /* each costs, so there is one */
	struct curl_slist *headers_big;
	struct upstream_url urls[UPSTREAM_URLS_MAX];
	size_t urls_n;
	struct event deadline;
	usec_t deadline_us; /* the timer's, not later than that of any call; INT64_MAX: none */
	struct upstream_calls active;
	struct upstream_calls spare; /* handles to use again */
	size_t in_flight;
	size_t spare_n;
};

struct upstream_call {
	TAILQ_ENTRY(upstream_call) link; /* in pool->active or pool->spare */
	struct upstream_pool *pool;
	struct upstream_request request;
	struct plain_conn *conn;	 /* plain.c: of this attempt */
	TAILQ_ENTRY(upstream_call) wait; /* plain.c: for a connection */
	bool waits;
	char content_type[96]; /* plain.c: of the answer */
	CURL *easy;	       /* curl.c: NULL until it is needed */
	int url_set;	       /* index whose URL the easy handle has, -1: none */
	unsigned url;	       /* of this attempt */
	uint32_t asked;	       /* bit k: URL k was asked */
	bool too_large;
	struct buf body;
	usec_t start_us;
};

/* --- attempt.c, for the transports --- */

/* The answer will have so many bytes; false: too many. */
MUST_USE bool upstream_call_expect(struct upstream_call *call, uint64_t length);
/* More of the answer's body; false: too much. */
MUST_USE bool upstream_call_body(struct upstream_call *call, struct view data);
/* The attempt has ended with a whole answer, or without one; the transport has forgotten the call.
 * sent: bytes of the request have left.  Not from within start or abort. */
void upstream_call_on_answer(struct upstream_call *call, int status, struct view type);
void upstream_call_on_failure(struct upstream_call *call, bool sent, const char *why);

/* --- the transports: start an attempt at call->url, or forget it --- */

/* By libcurl: whatever is not plain HTTP to a numeric address. */
void upstream_curl_start(struct upstream_call *call);
void upstream_curl_abort(struct upstream_call *call);
/* libcurl has ended the transfer. */
void upstream_curl_on_end(struct upstream_call *call, CURLcode code);

/* NULL when the URL needs libcurl. */
struct plain *upstream_plain_create(struct upstream_pool *pool, CURLU *url);
/* No call may be left. */
void upstream_plain_destroy(struct plain *plain);
void upstream_plain_start(struct upstream_call *call);
void upstream_plain_abort(struct upstream_call *call);

/* Frees a call that is in no list. */
void upstream_call_destroy(struct upstream_call *call);

/* The timer of the pool's deadlines; arg: the pool. */
void upstream_pool_on_deadline(evutil_socket_t fd, short what, void *arg);

/* Whether the URL rests after a failure. */
bool upstream_url_is_cooling(const struct upstream_url *url);

/* curl_easy_setopt callbacks that belong to the sockets; for each new easy handle. */
void upstream_sock_setopt(struct upstream *up, CURL *easy);

#endif
