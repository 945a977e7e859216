/* SPDX-License-Identifier: Apache-2.0
 * Kept answers to the plainest requests ([G6]), given before evhttp reads them: that takes a third
 * of the time.  All that is out of the ordinary, and whatever has no kept answer, is left to evhttp
 * (http.c), to which it is as if the request had never come.  What a client gets is the same. */
#include "relay/gateway/quick.h"

#include <string.h>

#include "relay/gateway/internal.h"
#include "relay/rpc/plain_post.h"

/* The call of a plain request, as if it had been read in the usual way; false: it is none. */
static bool read_call(struct request *r, struct view bytes, size_t *ret_body)
{
	const struct config *cfg = r->worker->cfg;
	const struct rpc_limits limits = {.depth_max = cfg->gateway.depth_max, .batch_max = 1};
	char path[PLAIN_PATH_MAX + 1];
	struct plain_post post;
	struct err err;

	if (bytes.n > cfg->gateway.header_max || !plain_post_read(bytes, &post) ||
	    post.body.n > cfg->gateway.body_max)
		return false;
	memcpy(path, post.path.p, post.path.n);
	path[post.path.n] = '\0';
	r->account = http_route(r->worker, path, &err);
	if (!r->account || !rpc_request_scan(post.body, &limits, &r->rpc, &err))
		return false;
	if (!r->rpc.batch && r->rpc.one.error == ERR_NONE) {
		*ret_body = post.body.n;
		return true;
	}
	rpc_request_finish(&r->rpc);
	return false;
}

/* The kept answer to it, if one can be given without the head. */
static bool find_answer(struct request *r)
{
	struct call *call = &r->calls[0];

	call->request = r;
	call->rpc = r->rpc.calls = &r->rpc.one;
	call->state = CALL_DONE;
	call->has_answer = true;
	return pin_is_needless(call) && reuse_take(call);
}

static void note(const struct request *r, size_t body)
{
	metric_add(METRIC_GATEWAY_REQUESTS, 1);
	metric_add(METRIC_GATEWAY_REQUEST, body);
	metric_add_at(METRIC_GATEWAY_CALLS, r->account->label, ERR_NONE, 1);
	metric_observe(METRIC_GATEWAY_CALL_TIME, (uint64_t)(clock_now_us() - r->from_us));
	metric_add(METRIC_GATEWAY_CACHE_QUICK, 1);
	reuse_saved(&r->calls[0]);
}

bool quick_answer(void *arg, struct client *client, struct view bytes)
{
	struct worker *w = arg;
	struct request *r = w->quick;
	size_t body;
	bool sent;

	if (record_is_on(w))
		return false; /* request.c tells the recording */
	clock_tick();
	memset(r, 0, sizeof(*r) + sizeof(r->calls[0]));
	r->worker = w;
	r->count = 1;
	r->from_us = clock_mono_us();
	if (w->stop_at_us || !read_call(r, bytes, &body))
		return false;
	sent = find_answer(r) && answer_send_kept(r, client);
	if (sent)
		note(r, body);
	reuse_leave(&r->calls[0]);
	rpc_request_finish(&r->rpc);
	return sent;
}
