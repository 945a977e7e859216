/* SPDX-License-Identifier: Apache-2.0
 * What the files of upstream/ share: attempt.c (one request), backend.c (one URL), pool.c, watch.c
 * (probes), and the transports plain.c and curl.c with multi.c (libcurl on libevent).
 * Not for other folders: their header is upstream.h. */
#ifndef RELAY_UPSTREAM_INTERNAL_H
#define RELAY_UPSTREAM_INTERNAL_H

#include <sys/queue.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "chains/chain.h"
#include "relay/upstream/breaker.h"
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
	TAILQ_HEAD(, upstream_call) resumed; /* held by libcurl, to be let go at the next kick */
};

struct plain;
struct plain_conn;

/* What was wrong with a backend; the values of the label FAULT. */
enum upstream_fault {
	UPSTREAM_FAULT_NONE,
	UPSTREAM_FAULT_CONNECT,	  /* no connection, or TLS failed */
	UPSTREAM_FAULT_CUT,	  /* the connection ended too early */
	UPSTREAM_FAULT_SLOW,	  /* no answer in time */
	UPSTREAM_FAULT_LATER,	  /* 429 or 503 */
	UPSTREAM_FAULT_STATUS,	  /* another status that is no answer */
	UPSTREAM_FAULT_REDIRECT,  /* none is followed */
	UPSTREAM_FAULT_ANSWER,	  /* not HTTP, or not an answer to this call */
	UPSTREAM_FAULT_TOO_LARGE, /* more than body_max: says nothing of the backend */
	UPSTREAM_FAULT_CHAIN,	  /* a probe: of another chain than its siblings */
};

/* One backend. */
struct upstream_url {
	struct upstream_pool *pool;
	CURLU *parsed;
	struct plain *plain; /* its own transport; NULL: libcurl's */
	char *text;	     /* for logs: no credentials, no path */
	bool is_https;
	unsigned label; /* in metrics */
	struct breaker breaker;
	size_t in_flight;	     /* probes not counted */
	bool unproven;		     /* no probe has come back yet: nothing is sent but that */
	struct upstream_call *probe; /* in flight */
	struct event probe_due;
	usec_t probe_at_us;    /* when it is */
	usec_t probe_later_us; /* the probe was told to come back later */
};

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
	const struct chain *chain; /* probes ask for it; NULL: nobody probes */
	bool has_chain_id;
	uint64_t chain_id; /* of the first backend that told one */
	struct event deadline;
	usec_t deadline_us; /* the timer's, not later than that of any call; INT64_MAX: none */
	struct event wake;  /* active: calls to refuse, or room for calls that wait */
	struct upstream_calls asking;
	struct upstream_calls waiting;
	struct upstream_calls refused;
	struct upstream_calls spare; /* handles to use again */
	size_t in_flight;	     /* all but the spare ones */
	size_t waiting_n;
	size_t spare_n;
};

/* SPARE -> ASKING <-> WAITING -> REFUSED; each -> SPARE, and from there to each */
enum upstream_call_state {
	UPSTREAM_CALL_SPARE,   /* pool->spare */
	UPSTREAM_CALL_ASKING,  /* pool->asking: at call->url */
	UPSTREAM_CALL_WAITING, /* pool->waiting: for room at a backend */
	UPSTREAM_CALL_REFUSED, /* pool->refused: its callback runs in this turn's end */
};

struct upstream_call {
	TAILQ_ENTRY(upstream_call) link; /* in the list of its state */
	enum upstream_call_state state;
	struct upstream_pool *pool;
	struct upstream_request request;
	bool is_probe;	   /* of call->url, and of no other */
	bool sent;	   /* bytes of it have left, to any backend */
	unsigned epoch;	   /* of the backend's breaker */
	usec_t attempt_us; /* when this attempt began */
	usec_t until_us;   /* when it ends; WAITING: the deadline */
	usec_t later_us;   /* "Retry-After" of its answer; set by the transports, 0: none */
	bool has_kept;
	struct upstream_result kept;	 /* an answer, while a backend that is well is looked for */
	struct err why;			 /* REFUSED */
	struct plain_conn *conn;	 /* plain.c: of this attempt */
	TAILQ_ENTRY(upstream_call) wait; /* plain.c: for a connection */
	bool waits;
	char content_type[96]; /* plain.c: of the answer */
	CURL *easy;	       /* curl.c: NULL until it is needed */
	int url_set;	       /* index whose URL the easy handle has, -1: none */
	unsigned url;	       /* of this attempt */
	uint32_t asked;	       /* bit k: URL k was asked */
	bool too_large;
	bool streams; /* `data` was called in this attempt */
	bool paused;
	bool held;			    /* libcurl has been told to hold it */
	bool resuming;			    /* in up->resumed */
	TAILQ_ENTRY(upstream_call) resumed; /* up->resumed */
	int status;			    /* HTTP; known before the first byte of the body */
	size_t got;			    /* bytes of the body */
	struct err unfit;		    /* what `data` said; code ERR_NONE: nothing */
	struct buf body;
	usec_t start_us;
};

/* --- attempt.c, for the transports --- */

/* The answer will have so many bytes; false: too many. */
MUST_USE bool upstream_call_expect(struct upstream_call *call, uint64_t length);
/* More of the answer's body, whose status is in call->status; false: too much, or not fit. */
MUST_USE bool upstream_call_body(struct upstream_call *call, struct view data);
/* The attempt has ended with a whole answer, or without one; the transport has forgotten the call.
 * sent: bytes of the request have left.  Not from within start or abort. */
void upstream_call_on_answer(struct upstream_call *call, int status, struct view type);
void upstream_call_on_failure(struct upstream_call *call, bool sent, const char *why);

#define UPSTREAM_RETRY_AFTER_S 86400 /* more is read as this */
/* The time that a Retry-After asks for, a number of seconds or a date; 0: none that can be read. */
usec_t upstream_retry_after(struct view value);

/* --- attempt.c, for backend.c and watch.c --- */

/* Asks one backend, whatever its breaker says; the deadline is request->deadline_us. */
struct upstream_call *upstream_probe_start(struct upstream_url *url,
					   const struct upstream_request *request);

/* --- backend.c: which backend is asked, and what is held against it --- */

enum upstream_pick { UPSTREAM_PICK_GO, UPSTREAM_PICK_WAIT, UPSTREAM_PICK_NONE };
/* The backend to ask next among those not in `asked`: the first that is in use, or on trial, and
 * has room.  careful: one on trial only when no other is left.  WAIT: all that could be asked have
 * no room; NONE: there is none. */
enum upstream_pick upstream_url_pick(const struct upstream_pool *pool, uint32_t asked, bool careful,
				     unsigned *ret);
/* How many others could be asked. */
unsigned upstream_urls_left(const struct upstream_pool *pool, uint32_t asked);
/* An attempt at call->url begins, or is over: fault, error code and whether its answer may be
 * passed on all the same. */
void upstream_url_begin(struct upstream_call *call);
void upstream_url_end(struct upstream_call *call, enum upstream_fault fault, bool fit,
		      const struct err *err);
/* An attempt was given up by its caller. */
void upstream_url_forget(struct upstream_call *call);
/* Makes and unmakes what counts a backend in the metrics. */
void upstream_url_init(struct upstream_url *url);
void upstream_url_finish(struct upstream_url *url);
/* To be called after each change of a breaker: log, metrics, the next probe. */
void upstream_url_note(struct upstream_url *url, enum breaker_state before, const char *why);
/* Those that wait are looked at again at the end of this turn. */
void upstream_pool_wake(struct upstream_pool *pool);

/* --- watch.c: probes --- */

/* Sets the time of the next probe; nothing when nobody probes. */
void upstream_watch_schedule(struct upstream_url *url);
/* A request has failed: is the backend well?  A probe soon, if none is due before. */
void upstream_watch_hurry(struct upstream_url *url);
void upstream_watch_stop(struct upstream_url *url);

/* --- the transports: start an attempt at call->url, or forget it: true if bytes of it left --- */

/* By libcurl: whatever is not plain HTTP to a numeric address. */
void upstream_curl_start(struct upstream_call *call);
bool upstream_curl_abort(struct upstream_call *call);
/* Lets a call go on that was paused; at the next kick if libcurl holds it. */
void upstream_curl_resume(struct upstream_call *call);
/* libcurl has ended the transfer. */
void upstream_curl_on_end(struct upstream_call *call, CURLcode code);

/* NULL when the URL needs libcurl. */
struct plain *upstream_plain_create(struct upstream_pool *pool, CURLU *url);
/* No call may be left. */
void upstream_plain_destroy(struct plain *plain);
void upstream_plain_start(struct upstream_call *call);
bool upstream_plain_abort(struct upstream_call *call);
void upstream_plain_pause(struct upstream_call *call);
void upstream_plain_resume(struct upstream_call *call);

/* Frees a call that is in no list. */
void upstream_call_destroy(struct upstream_call *call);

/* The timer of the pool's deadlines, and its event `wake`; arg: the pool. */
void upstream_pool_on_deadline(evutil_socket_t fd, short what, void *arg);
void upstream_pool_on_wake(evutil_socket_t fd, short what, void *arg);

/* Asks for upstream_flush() at the end of this turn. */
void upstream_kick(struct upstream *up);

/* curl_easy_setopt callbacks that belong to the sockets; for each new easy handle. */
void upstream_sock_setopt(struct upstream *up, CURL *easy);

#endif
