/* SPDX-License-Identifier: Apache-2.0
 * Requests to a node's own backends on the worker's libevent base: libcurl's multi interface, and
 * for plain HTTP to a numeric address a transport of our own that costs a third; with kept
 * connections, a deadline and a size cap for each request, and failover to the next URL. Easy
 * handles are used again, request bodies are never copied, answers are moved to the caller. One
 * thread: everything of one `struct upstream` belongs to the thread of its base. It is not a proxy:
 * no redirect is followed, no proxy of the environment is used, no header but the content type
 * crosses, and URLs come from the operator's configuration only. */
#ifndef RELAY_UPSTREAM_UPSTREAM_H
#define RELAY_UPSTREAM_UPSTREAM_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"
#include "relay/upstream/breaker.h"

struct chain;
struct event_base;
struct upstream;      /* one worker's libcurl multi; opaque */
struct upstream_pool; /* the backends of one service; opaque */
struct upstream_call; /* one request in flight; opaque */

#define UPSTREAM_URLS_MAX 16	       /* URLs of one pool */
#define UPSTREAM_WHOLE_MAX (16u << 20) /* bytes of an answer that nobody takes in pieces */

/* Named limits; all of them come from the section `upstream` of the configuration. */
struct upstream_limits {
	usec_t connect_timeout_us; /* TCP and TLS together */
	usec_t idle_us;		   /* a kept connection older than this is not used again */
	usec_t stall_us; /* a streamed answer may stand still this long when it is not paused */
	size_t connections_max; /* per URL */
	size_t requests_max; /* per URL, at a time; more go to the next, or wait till their deadline
			      */
	size_t queue_max;    /* per pool; more are ERR_OVERLOAD */
	struct breaker_limits breaker;
	usec_t probe_interval_us; /* see upstream_pool_watch() */
	usec_t probe_timeout_us;
	size_t body_max;     /* bytes of one answer, decoded; more is ERR_UPSTREAM_TOO_LARGE, as is
			      * more than UPSTREAM_WHOLE_MAX of one that is given whole */
	const char *ca_file; /* PEM, for https; copied; NULL: the system's */
	bool libcurl_only;   /* also where plain HTTP to a numeric address would do; for tests */
};
/* The defaults of the configuration. */
extern const struct upstream_limits UPSTREAM_LIMITS_DEFAULT;

/* What a backend answered.  The callback may take `body` (copy the struct, then zero the field). */
struct upstream_result {
	int status;		  /* HTTP */
	struct view content_type; /* as sent, may be empty; valid within the callback only */
	struct buf body;	  /* begins with `headroom` unset bytes, then the answer */
	size_t headroom;	  /* as asked for in the request */
	usec_t latency_us;	  /* from upstream_fetch(), attempts that failed included */
	unsigned url_index;	  /* which URL answered */
	bool streamed;		  /* the answer was given to `data`: body is empty */
};

/* How the request ended, exactly once: `result`, or NULL and why.
 *	ERR_UPSTREAM            the backends failed, the last of them as the message says
 *	ERR_NO_BACKEND          the same, or all of them rest; not a byte of the request was sent
 *	ERR_OVERLOAD            there was no room at any backend, nor among those that wait
 *	ERR_DEADLINE            no answer in time
 *	ERR_UPSTREAM_TOO_LARGE  more than body_max
 *	ERR_STALLED             a streamed answer stood still for too long
 * It runs in a turn of the loop, never inside upstream_fetch(); it may
 * start and cancel other requests, but not destroy the pool. */
typedef void upstream_done_fn(void *arg, struct upstream_result *result, const struct err *err);

/* Is this answer fit to be passed on?  False, with *err set, makes it a fault of this URL: the next
 * one is asked if the request may be sent again. */
typedef bool upstream_check_fn(void *arg, const struct upstream_result *result, struct err *err);

/* More of an answer that is longer than `whole_max`: all that has come so far, then what follows,
 * in order.  False, with *err set: it is not fit, which is a fault of this URL.  It may pause the
 * call; it may not cancel or start any. */
typedef bool upstream_data_fn(void *arg, struct view data, struct err *err);

struct upstream_request {
	struct view body;   /* borrowed until done or cancelled */
	usec_t deadline_us; /* monotonic, of clock_mono_us(); covers all attempts */
	size_t headroom;    /* bytes to leave free in front of the answer's body */
	bool idempotent;    /* may be sent again after bytes of it have left */
	size_t whole_max;   /* bytes; a longer answer goes to `data` in pieces, if there is one */
	upstream_data_fn *data;	  /* may be NULL: every answer is given whole */
	upstream_check_fn *check; /* may be NULL */
	upstream_done_fn *done;
	void *arg; /* of all three */
};

/* Opens a libcurl multi on `base` (borrowed; must outlive it). */
MUST_USE bool upstream_create(struct event_base *base, struct upstream **ret, struct err *err);
/* All pools must have been destroyed. */
void upstream_destroy(struct upstream *up);

/* Sends now what upstream_fetch() took in this turn, instead of in the next turn of the loop: call
 * it once, when the turn's relays have been read.  Harmless at any time. */
void upstream_flush(struct upstream *up);

/* The backends of one service: `urls` are tried in order, the first is preferred.
 * name    for logs and metrics, copied
 * urls    http or https with a host, 1..UPSTREAM_URLS_MAX of them, copied; credentials in a URL are
 *         sent as basic authentication and never logged
 * Errors: ERR_CONFIG names the URL that is not usable. */
MUST_USE bool upstream_pool_create(struct upstream *up, const char *name, const char *const *urls,
				   size_t urls_n, const struct upstream_limits *limits,
				   struct upstream_pool **ret, struct err *err);
/* Requests in flight are dropped without their callback. */
void upstream_pool_destroy(struct upstream_pool *pool);

/* POSTs request->body as application/json.  Never fails at once: errors come by the callback.
 *
 * A URL that could not be reached, or (idempotent requests only) failed, is followed by the next,
 * each asked at most once per request; while another is left, a request that may be sent again
 * waits for one only its share of the time.  A failure is what does not pass `check`, and any 3xx.
 * What passes it with 408, 429 or 5xx is the answer only when no other URL has a better one.
 * Without `check` any status below 500 but 3xx, 408 and 429 is an answer.
 *
 * Once `data` has been called the request stays with its URL: its deadline is over, stall_us bounds
 * each wait for more, and the end is still told by `check` (whose result is `streamed`) and `done`.
 * An answer with another status than those is never streamed.
 *
 * The pointer is good until the callback runs, for upstream_cancel() only. */
struct upstream_call *upstream_fetch(struct upstream_pool *pool,
				     const struct upstream_request *request);
/* Holds up an answer that is being streamed: the backend is read no further until
 * upstream_resume(), and the limit on standing still rests.  At most what had been read before
 * still comes. */
void upstream_pause(struct upstream_call *call);
/* What follows comes from the loop, never from within this function. */
void upstream_resume(struct upstream_call *call);
/* The callback will not run; the body is no longer used when this returns. */
void upstream_cancel(struct upstream_call *call);

/* Requests of the pool in flight. */
size_t upstream_pool_in_flight(const struct upstream_pool *pool);
/* True iff at least one URL is asked: not resting, not barred. */
bool upstream_pool_is_up(const struct upstream_pool *pool);

/* Probes each URL by the family's own cheap call (chains/chain.h), now, every probe_interval_us and
 * at the end of each rest.  None gets a request before its first probe was answered, or after one
 * told of another chain than its siblings are of.  Once for each pool. */
void upstream_pool_watch(struct upstream_pool *pool, const struct chain *chain);

/* Asks one URL, waiting for the answer on a base of its own: for `doctor` and start-up checks.
 * ca_file as in struct upstream_limits; ret_body is the caller's to finish.  Any HTTP status but
 * 200 is ERR_UPSTREAM. */
MUST_USE bool upstream_ask(const char *url, const char *ca_file, struct view body,
			   usec_t timeout_us, struct buf *ret_body, struct err *err);

/* What one backend said when it was asked which chain it is of. */
struct upstream_survey {
	bool answered;	 /* else why */
	bool has_id;	 /* it told one */
	bool is_foreign; /* another than the first that told one */
	uint64_t chain_id;
	struct err why;
};
/* Asks all URLs at once, waiting at most timeout_us; ret[urls_n].
 * Errors: ERR_CONFIG, a URL is not usable. */
MUST_USE bool upstream_survey(const char *const *urls, size_t urls_n, const struct chain *chain,
			      const char *ca_file, usec_t timeout_us, struct upstream_survey *ret,
			      struct err *err);

/* The URL without user, password, path and query, for logs, into dst[n]; returns dst. */
char *upstream_url_text(const char *url, char *dst, size_t n);

#endif
