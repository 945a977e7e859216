/* SPDX-License-Identifier: Apache-2.0
 * One request of a client: from its calls' beginning to the moment when all have their answers.
 * How it came, and how its answer goes, is http.c's. */
#include <assert.h>

#include "relay/gateway/internal.h"

void request_destroy(struct request *r)
{
	struct worker *w = r->worker;

	TAILQ_REMOVE(&w->requests, r, all);
	if (r->begun)
		TAILQ_REMOVE(&w->flowing, r, flowing);
	for (size_t i = 0; i < r->count; i++) {
		struct call *call = &r->calls[i];

		flow_drop(call, ERR_CANCELLED);
		call_drop_work(call);
		made_finish(&call->made);
		ask_leave(&call->asker);
		reuse_leave(call);
	}
	rpc_request_finish(&r->rpc);
	free(r);
}

/* The client went away: nothing may touch its bytes any more. */
static void on_client_gone(void *arg)
{
	struct request *r = arg;

	clock_tick();
	record_gone(r);
	http_lost(r->http);
	r->http = NULL;
	for (size_t i = 0; i < r->count; i++)
		call_abandon(&r->calls[i]);
	client_give_calls(r->client);
	request_destroy(r);
}

void request_on_call(struct request *r)
{
	assert(r->pending > 0);
	if (--r->pending > 0)
		return;
	record_answers(r);
	if (request_has_flow(r)) {
		metric_observe(METRIC_GATEWAY_CALL_TIME, (uint64_t)(clock_now_us() - r->from_us));
		request_begin_flow(r);
		return;
	}
	client_on_gone(r->client, NULL, NULL);
	client_give_calls(r->client);
	client_set_hot(r->client, r->calls[0].reuse.body != NULL);
	metric_observe(METRIC_GATEWAY_CALL_TIME, (uint64_t)(clock_now_us() - r->from_us));
	answer_send(r);
	request_destroy(r);
}

void request_begin(const struct request_params *p, struct rpc_request *rpc)
{
	struct worker *w = p->worker;
	size_t n = rpc->count;
	struct request *r = xcalloc(1, sizeof(*r) + n * sizeof(r->calls[0]));

	r->worker = w;
	r->client = p->client;
	r->http = p->http;
	r->account = p->account;
	r->rpc = *rpc;
	r->debug = p->debug;
	if (!rpc->batch)
		r->rpc.calls = &r->rpc.one;
	r->fresh = p->fresh;
	r->from_us = clock_mono_us();
	r->count = n;
	r->pending = n + 1; /* one more, so that it cannot end before all are started */
	TAILQ_INSERT_TAIL(&w->requests, r, all);
	if (rpc->batch)
		metric_observe(METRIC_GATEWAY_BATCH_CALLS, n);
	record_request(r, p->body);
	client_on_gone(r->client, on_client_gone, r);
	http_read_on(r->http);
	for (size_t i = 0; i < n; i++) {
		r->calls[i].request = r;
		r->calls[i].rpc = &r->rpc.calls[i];
		call_start(&r->calls[i]);
	}
	request_on_call(r);
}
