/* SPDX-License-Identifier: Apache-2.0
 * Long answers, sent while they come ([G5]).
 *
 * Each part that has committed is scanned, gets the client's id if the token is in it, and goes to
 * the client's connection when its answer has its turn.  What the client takes is what the node may
 * send on top ([F10]): so what is held of an answer is never more than its window.  A request whose
 * answer cannot be brought to its end is cut off, at the end of the turn: until then nothing of it
 * disappears under those who are busy with it. */
#include <assert.h>

#include <event2/buffer.h>

#include "relay/base/log.h"
#include "relay/gateway/internal.h"
#include "relay/rpc/reply.h"
#include "relay/rpc/stream.h"

#define KEEP_US 10000000 /* between CREDITs of 0 bytes: the answer is still waited for */

/* The answer of one call, from its part 0 until it is all with the client's connection. */
struct stream {
	struct rpc_stream *scan;
	struct sha256_stream *digest; /* of the node's bytes; NULL: nothing is recorded */
	struct evbuffer *held;	      /* committed, with the client's id, waiting for its turn */
	size_t held_bytes;	      /* of the node's bytes in `held` */
	size_t sent_bytes;	      /* with the connection, and no room made for them yet */
};

static struct stream *stream_create(const struct worker *w)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->scan = rpc_stream_create();
	s->held = evbuffer_new();
	s->digest = record_is_on(w) ? sha256_stream_create() : NULL;
	if (!s->held)
		abort();
	metric_move(METRIC_GATEWAY_STREAMS, 1);
	return s;
}

void flow_drop(struct call *call, enum err_code how)
{
	struct stream *s = call->stream;

	if (!s)
		return;
	call->stream = NULL;
	metric_move(METRIC_GATEWAY_STREAMS, -1);
	metric_add_at(METRIC_GATEWAY_STREAM_ENDS, how, 0, 1);
	rpc_stream_destroy(s->scan);
	sha256_stream_destroy(s->digest);
	evbuffer_free(s->held);
	free(s);
}

void flow_record(const struct call *call)
{
	struct hash digest;

	if (!call->stream->digest)
		return;
	sha256_stream_end(call->stream->digest, &digest);
	record_long_answer(call, &digest);
}

/* --- room for more --- */

/* Makes room for what the client has taken of the answer that has its turn. */
static void make_room(struct request *r)
{
	size_t waiting = http_waiting(r->http);
	struct stream *s = r->calls[r->at].stream;
	size_t taken;

	if (!s || s->sent_bytes <= waiting)
		return;
	taken = s->sent_bytes - waiting;
	s->sent_bytes -= taken;
	ask_credit(r->calls[r->at].asker.ask, taken);
}

/* --- a part --- */

static void free_part(const void *data, size_t n, void *arg)
{
	free(arg);
}

/* The part's bytes into s->held, those around the id's token without a copy. */
static void hold(struct stream *s, struct buf *part, uint64_t from, struct view id)
{
	uint64_t id_at = UINT64_MAX;
	struct reply_parts parts;
	bool found = rpc_stream_id(s->scan, &id_at);

	parts = reply_splice_piece(buf_view(part), from, found ? id_at : UINT64_MAX, id);
	if (parts.id.n > 0) {
		evbuffer_add(s->held, parts.before.p, parts.before.n);
		evbuffer_add(s->held, parts.id.p, parts.id.n);
	} else {
		parts.after = parts.before;
	}
	s->held_bytes += part->n;
	if (parts.after.n > 0 &&
	    evbuffer_add_reference(s->held, parts.after.p, parts.after.n, free_part, part->p) == 0)
		*part = (struct buf){0}; /* the evbuffer's now */
}

bool flow_take(struct call *call, struct buf *part, bool last, struct err *err)
{
	const struct config *cfg = call->request->worker->cfg;
	struct stream *s = call->stream;
	uint64_t from;

	if (!s) {
		s = call->stream = stream_create(call->request->worker);
		if (cfg->gateway.stream_window > FRAME_CREDIT_FIRST)
			ask_credit(call->asker.ask,
				   cfg->gateway.stream_window - FRAME_CREDIT_FIRST);
	}
	from = rpc_stream_bytes(s->scan);
	if (from + part->n > cfg->gateway.answer_max)
		return err_set(err, ERR_UPSTREAM_TOO_LARGE, "gateway.answer_max is reached");
	if (!rpc_stream_feed(s->scan, buf_view(part), err) ||
	    (last && !rpc_stream_end(s->scan, err)))
		return false;
	if (s->digest)
		sha256_stream_add(s->digest, part->p, part->n);
	hold(s, part, from, call->rpc->id);
	return true;
}

/* --- the answer --- */

bool request_has_flow(const struct request *r)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->calls[i].stream)
			return true;
	}
	return false;
}

static void end(struct request *r)
{
	struct evhttp_request *http = r->http;
	struct client *client = r->client;

	for (size_t i = 0; i < r->count; i++)
		flow_drop(&r->calls[i], ERR_NONE);
	client_on_gone(client, NULL, NULL);
	client_give_calls(client);
	request_destroy(r);
	http_end(http);
}

/* What of the answer can go now, in the order of the calls; true: that was all of it. */
static bool gather(struct request *r, struct evbuffer *out)
{
	for (; r->at < r->count; r->at++, r->opened = false) {
		struct call *call = &r->calls[r->at];

		if (!answer_has_reply(call))
			continue;
		if (r->rpc.batch && !r->opened)
			evbuffer_add(out, r->any ? "," : "[", 1);
		r->opened = r->any = true;
		if (!call->stream) {
			answer_put_call(r->worker, out, call);
			continue;
		}
		call->stream->sent_bytes += call->stream->held_bytes;
		call->stream->held_bytes = 0;
		evbuffer_add_buffer(out, call->stream->held);
		if (call->state != CALL_DONE)
			return false;
	}
	if (r->rpc.batch)
		evbuffer_add(out, "]", 1);
	return true;
}

/* The client has taken all that there was. */
static void on_drained(struct evhttp_connection *connection, void *arg)
{
	struct request *r = arg;

	clock_tick();
	if (r->cut.code != ERR_NONE)
		return;
	r->moved_us = clock_mono_us();
	make_room(r);
}

void request_flow(struct request *r)
{
	struct evbuffer *out;
	bool all;

	if (!r->begun || r->cut.code != ERR_NONE)
		return;
	out = evbuffer_new();
	if (!out)
		abort();
	all = gather(r, out);
	metric_add(METRIC_GATEWAY_ANSWER, evbuffer_get_length(out));
	if (evbuffer_get_length(out) > 0) {
		r->moved_us = clock_mono_us();
		http_more(r->http, out, on_drained, r);
	}
	evbuffer_free(out);
	if (all)
		end(r);
	else
		make_room(r);
}

void request_begin_flow(struct request *r)
{
	assert(!r->begun);
	r->begun = true;
	r->moved_us = r->kept_us = clock_mono_us();
	TAILQ_INSERT_TAIL(&r->worker->flowing, r, flowing);
	answer_put_head(r);
	http_begin(r->http, 200, "OK");
	request_flow(r);
}

/* --- what breaks off --- */

void request_cut(struct request *r, const struct err *why)
{
	if (r->cut.code != ERR_NONE)
		return;
	r->cut = *why;
	record_broken(r, why);
	loop_cut_soon(r->worker);
}

void flows_cut(struct worker *w)
{
	static _Thread_local struct log_gate gate;
	struct request *r, *next;
	uint64_t more;

	record_cut(w);
	for (r = TAILQ_FIRST(&w->flowing); r; r = next) {
		next = TAILQ_NEXT(r, flowing);
		if (r->cut.code == ERR_NONE)
			continue;
		if (log_every(&gate, 1000000, &more))
			log_warn("gateway.answer_cut", "why=%s \"%s\" more=%llu",
				 err_info(r->cut.code)->name, r->cut.msg, (unsigned long long)more);
		for (size_t i = 0; i < r->count; i++)
			flow_drop(&r->calls[i], r->cut.code);
		http_cut(r->http);
		client_close(r->client, CLIENT_BROKEN_OFF); /* which abandons the calls */
	}
}

/* Nothing has come for an answer that has room: the node had its time. */
static void stalled(struct request *r)
{
	struct call *call = &r->calls[r->at];
	struct err why;

	record_stalled(r);
	err_set(&why, ERR_STALLED, "no part of the answer came for gateway.stall_timeout");
	ask_fail_flow(call->asker.ask, &why);
}

void flows_look(struct worker *w, usec_t now)
{
	struct request *r, *next;

	for (r = TAILQ_FIRST(&w->flowing); r; r = next) {
		next = TAILQ_NEXT(r, flowing);
		if (r->cut.code != ERR_NONE)
			continue;
		if (now - r->kept_us > KEEP_US) {
			r->kept_us = now;
			for (size_t i = r->at; i < r->count; i++) {
				if (r->calls[i].stream && r->calls[i].state != CALL_DONE)
					ask_credit(r->calls[i].asker.ask, 0);
			}
		}
		if (http_waiting(r->http) == 0 && now - r->moved_us > w->cfg->gateway.stall_timeout)
			stalled(r);
	}
}
