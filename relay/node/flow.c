/* SPDX-License-Identifier: Apache-2.0
 * A long answer on its way: the backend's bytes become parts as they come ([R8]).
 *
 * What is in memory of it is what has been read ahead, some parts; when there is enough of that, or
 * the gateway has made no room ([F10]), the backend is read no further.  The last part is kept back
 * until the whole is known to be good ([R10]).  Not here: leaves and their order (turn.c). */
#include <assert.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/node/internal.h"
#include "relay/rpc/encoding.h"
#include "relay/rpc/stream.h"

struct relay_flow {
	struct rpc_stream *scan;
	size_t at;	      /* in relay->response, where the next part's encoding begins */
	uint64_t credit;      /* bytes that further parts may have */
	bool ended;	      /* the answer is whole and good: what is here is its rest */
	enum err_code broken; /* ERR_NONE, or why there will be no last part */
	usec_t waits_us;      /* since when a part waits for credit; 0: none does */
};

static size_t bytes_ahead(const struct relay *relay)
{
	return relay->response.n - relay->flow->at - RESPONSE_JSON_HEAD;
}

struct view flow_next(const struct relay *relay)
{
	size_t part = MIN(bytes_ahead(relay), (size_t)NODE_PART_BYTES);

	return VIEW(relay->response.p + relay->flow->at, RESPONSE_JSON_HEAD + part);
}

uint32_t flow_parts(const struct relay *relay)
{
	const struct relay_flow *flow = relay->flow;
	size_t left = bytes_ahead(relay);
	uint64_t credit = flow->credit;
	uint32_t n = 0;

	if (flow->broken != ERR_NONE)
		return 0;
	while (left > NODE_PART_BYTES || (flow->ended && left > 0)) {
		size_t size = MIN(left, (size_t)NODE_PART_BYTES);

		if (size > credit)
			break;
		credit -= size;
		left -= size;
		n++;
	}
	return n;
}

bool flow_part_is_last(const struct relay *relay)
{
	return relay->flow->ended && bytes_ahead(relay) <= NODE_PART_BYTES;
}

enum err_code flow_broken(const struct relay *relay)
{
	return relay->flow->broken;
}

/* A part is there, and only credit is missing. */
static bool waits_for_credit(const struct relay *relay)
{
	size_t left = bytes_ahead(relay);

	return relay->flow->broken == ERR_NONE && flow_parts(relay) == 0 &&
	       (left > NODE_PART_BYTES || (relay->flow->ended && left > 0));
}

/* Sees to the relay's place and to its backend, after anything has changed. */
static void flow_look(struct relay *relay)
{
	struct relay_flow *flow = relay->flow;
	bool goes = flow->broken != ERR_NONE || flow_parts(relay) > 0;

	if (goes && relay->state == RELAY_ASKED)
		relay_set_state(relay, RELAY_FLOWING);
	else if (!goes && relay->state == RELAY_FLOWING)
		relay_set_state(relay, RELAY_ASKED);
	if (goes)
		node_link_mark(relay->link);
	if (!waits_for_credit(relay))
		flow->waits_us = 0;
	else if (flow->waits_us == 0)
		flow->waits_us = clock_mono_us();
	if (!relay->call)
		return;
	if (bytes_ahead(relay) >= NODE_STREAM_AHEAD)
		upstream_pause(relay->call);
	else
		upstream_resume(relay->call);
}

/* Nothing of the answer is here any more. */
static void flow_drop_bytes(struct relay *relay)
{
	relay->flow->at = 0;
	relay->response.n = RESPONSE_JSON_HEAD;
	relay_count_bytes(relay);
}

/* --- the backend's side --- */

static void flow_begin(struct relay *relay)
{
	struct relay_flow *flow = xcalloc(1, sizeof(*flow));

	flow->scan = rpc_stream_create();
	flow->credit = FRAME_CREDIT_FIRST;
	relay->flow = flow;
	relay->cu = relay->method->cu;
	relay->latency_us = (uint32_t)MIN(clock_mono_us() - relay->begun_us, (usec_t)UINT32_MAX);
	relay->response.n = 0;
	buf_reserve(&relay->response, RESPONSE_JSON_HEAD + NODE_STREAM_AHEAD);
	relay->response.n = RESPONSE_JSON_HEAD;
	HASH_ADD(by_number, relay->link->streams, number, sizeof(relay->number), relay);
	metric_move(METRIC_NODE_STREAMS, 1);
}

/* The bytes behind those that are here.  What parts have taken is overwritten when there would be
 * no room, and not before: so each byte is moved about once. */
static void flow_put(struct relay *relay, struct view data)
{
	struct relay_flow *flow = relay->flow;
	struct buf *response = &relay->response;

	if (flow->at > 0 && data.n > response->cap - response->n) {
		response->n -= flow->at;
		memmove(response->p, response->p + flow->at, response->n);
		flow->at = 0;
	}
	buf_put(response, data.p, data.n);
	relay_count_bytes(relay);
}

bool flow_on_data(void *arg, struct view data, struct err *err)
{
	struct relay *relay = arg;

	worker_tick(relay->link->worker);
	if (relay->notification) /* its answer is empty, whatever the backend says */
		return true;
	if (!relay->flow)
		flow_begin(relay);
	if (!rpc_stream_feed(relay->flow->scan, data, err))
		return false;
	flow_put(relay, data);
	flow_look(relay);
	return true;
}

bool flow_check(struct relay *relay, struct err *err)
{
	return rpc_stream_end(relay->flow->scan, err);
}

void flow_on_end(struct relay *relay, const struct err *err)
{
	if (err) {
		flow_break(relay, err->code);
		return;
	}
	relay->flow->ended = true;
	flow_look(relay);
}

/* --- the gateway's side --- */

void flow_on_credit(struct node_link *nl, uint32_t number, uint32_t bytes)
{
	struct relay *relay = NULL;

	HASH_FIND(by_number, nl->streams, &number, sizeof(number), relay);
	if (!relay)
		return; /* no stream, or over */
	relay->flow->credit += MIN((uint64_t)bytes, UINT64_MAX - relay->flow->credit);
	relay->flow->waits_us = 0; /* the gateway still wants it */
	flow_look(relay);
}

void flow_expire(struct node_link *nl)
{
	usec_t oldest = clock_mono_us() - nl->worker->node->p.credit_timeout_us;
	struct relay *relay, *next;

	HASH_ITER (by_number, nl->streams, relay, next) {
		if (relay->flow->waits_us > 0 && relay->flow->waits_us <= oldest)
			flow_break(relay, ERR_STALLED);
	}
}

/* --- parts and the end --- */

void flow_part_done(struct relay *relay)
{
	struct relay_flow *flow = relay->flow;
	size_t part = MIN(bytes_ahead(relay), (size_t)NODE_PART_BYTES);

	assert(relay->state == RELAY_FLOWING && part <= flow->credit);
	flow->credit -= part;
	flow->at += part; /* the next head goes over the last of these bytes */
	if (bytes_ahead(relay) == 0)
		flow_drop_bytes(relay);
	TAILQ_REMOVE(&relay->link->flowing, relay, entry); /* the others have their turn */
	TAILQ_INSERT_TAIL(&relay->link->flowing, relay, entry);
	flow_look(relay);
}

void flow_break(struct relay *relay, enum err_code code)
{
	if (relay->call)
		upstream_cancel(relay->call);
	relay->call = NULL;
	if (relay->part == 0) { /* nothing of it is receipted: refused like any other */
		flow_finish(relay, code);
		relay_refuse(relay, code);
		return;
	}
	relay->flow->broken = code;
	flow_drop_bytes(relay);
	flow_look(relay);
}

void flow_finish(struct relay *relay, enum err_code how)
{
	if (!relay->flow)
		return;
	HASH_DELETE(by_number, relay->link->streams, relay);
	metric_move(METRIC_NODE_STREAMS, -1);
	metric_add_at(METRIC_NODE_STREAM_ENDS, how, 0, 1);
	rpc_stream_destroy(relay->flow->scan);
	free(relay->flow);
	relay->flow = NULL;
}
