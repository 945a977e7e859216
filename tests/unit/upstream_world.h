/* SPDX-License-Identifier: Apache-2.0
 * Two scripted backends and a pool that prefers the first, by each of the two transports. */
#ifndef TESTS_UNIT_UPSTREAM_WORLD_H
#define TESTS_UNIT_UPSTREAM_WORLD_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "chains/chain.h"
#include "relay/base/clock.h"
#include "relay/upstream/upstream.h"
#include "tests/support/faultnode.h"

#define CALL "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\",\"params\":[7]}"
#define ANSWER "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x1\"}"
#define HEADROOM 28

/* A loop with two backends, and a pool that prefers the first. */
struct world {
	struct event_base *base;
	struct upstream *up;
	struct upstream_pool *pool;
	struct faultnode *node[2];
	struct event *ticker;
	/* the last outcome */
	int done, waiting;
	struct upstream_result result;
	struct err err;
	bool ok;
	bool is_json;		 /* by its content type */
	int refuse;		 /* answers that the check refuses */
	const char *refuse_text; /* and those with this body */
	/* of a long answer */
	struct upstream_call *call;
	size_t pieces, streamed, first_piece;
	bool all_x;	    /* its bytes were as scripted */
	size_t pause_after; /* bytes; 0: never */
	size_t unfit_after; /* bytes; 0: never */
};

static inline void on_done(void *arg, struct upstream_result *result, const struct err *err)
{
	struct world *w = arg;

	w->done++;
	w->ok = result != NULL;
	buf_finish(&w->result.body);
	if (result) {
		w->is_json = view_eq(result->content_type, VIEW_STR("application/json"));
		w->result = *result;
		result->body = (struct buf){0};
	} else {
		w->err = *err;
	}
	if (--w->waiting == 0)
		event_base_loopbreak(w->base);
}

static inline bool check(void *arg, const struct upstream_result *result, struct err *err)
{
	struct world *w = arg;

	if (w->refuse > 0) {
		w->refuse--;
		return err_set(err, ERR_UPSTREAM, "not what was asked for");
	}
	return !w->refuse_text ||
	       !view_eq(VIEW(result->body.p + HEADROOM, result->body.n - HEADROOM),
			VIEW_STR(w->refuse_text)) ||
	       err_set(err, ERR_UPSTREAM, "refused by its text");
}

/* The programs tick once a turn; so does this. */
static inline void on_tick(evutil_socket_t fd, short what, void *arg)
{
	clock_tick();
}

#define PATIENCE_US 60000000 /* a deadline that only what hangs meets */

static bool libcurl_only; /* which transport is under test */

static inline struct world *world_create(const struct upstream_limits *given)
{
	struct upstream_limits limits = given ? *given : UPSTREAM_LIMITS_DEFAULT;
	struct world *w = calloc(1, sizeof(*w));
	struct timeval ms = {0, 1000};
	char url[2][64];
	const char *urls[2] = {url[0], url[1]};
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	w->base = event_base_new();
	w->ticker = event_new(w->base, -1, EV_PERSIST, on_tick, NULL);
	event_add(w->ticker, &ms);
	for (int i = 0; i < 2; i++) {
		assert_ok(faultnode_create(w->base, 0, &w->node[i], &err), err);
		snprintf(url[i], sizeof(url[i]), "http://127.0.0.1:%u/",
			 faultnode_port(w->node[i]));
	}
	assert_ok(upstream_create(w->base, &w->up, &err), err);
	limits.libcurl_only = libcurl_only;
	assert_ok(upstream_pool_create(w->up, "eth", urls, 2, &limits, &w->pool, &err), err);
	return w;
}

static inline void world_destroy(struct world *w)
{
	upstream_pool_destroy(w->pool);
	upstream_destroy(w->up);
	for (int i = 0; i < 2; i++)
		faultnode_destroy(w->node[i]);
	event_free(w->ticker);
	event_base_free(w->base);
	buf_finish(&w->result.body);
	free(w);
}

static inline void script(struct world *w, int node, const char *json)
{
	struct err err;

	assert_ok(faultnode_script(w->node[node], json, &err), err);
}

static inline struct upstream_call *start(struct world *w, bool idempotent, usec_t timeout_us)
{
	struct upstream_request request = {
		.body = VIEW_STR(CALL),
		.headroom = HEADROOM,
		.idempotent = idempotent,
		.check = check,
		.done = on_done,
		.arg = w,
	};

	clock_tick();
	request.deadline_us = clock_mono_us() + timeout_us;
	w->waiting++;
	return upstream_fetch(w->pool, &request);
}

/* One request to its end; true: it was answered. */
static inline bool ask(struct world *w, bool idempotent)
{
	start(w, idempotent, PATIENCE_US);
	event_base_dispatch(w->base);
	return w->ok;
}

static inline void run_for(struct world *w, usec_t us)
{
	struct timeval tv = {us / 1000000, us % 1000000};

	event_base_loopexit(w->base, &tv);
	event_base_dispatch(w->base);
}

static inline unsigned requests(struct world *w, int node)
{
	return faultnode_stats(w->node[node])->requests;
}

static inline int by_plain(void **state)
{
	libcurl_only = false;
	return 0;
}

static inline int by_libcurl(void **state)
{
	libcurl_only = true;
	return 0;
}

/* The same facts of both transports. */
#define BOTH(f)                                                                                    \
	cmocka_unit_test_setup(f, by_plain),                                                       \
	{                                                                                          \
#f "_by_libcurl", f, by_libcurl, NULL, NULL                                        \
	}

#endif
