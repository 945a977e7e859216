/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/node/internal.h"
#include "relay/rpc/encoding.h"
#include "session/session.h"

#define SPARE_MAX 4096	   /* relays kept for the next use */
#define SPARE_BUF_MAX 8192 /* bytes of a buffer that is kept with them */

static const struct rpc_limits one_call = {.depth_max = RPC_DEPTH_MAX, .batch_max = 1};

static struct relays *list_of(const struct relay *relay)
{
	switch (relay->state) {
	case RELAY_SPARE:
		return &relay->link->worker->spare;
	case RELAY_ASKED:
		return &relay->link->asked;
	case RELAY_READY:
		return &relay->link->ready;
	case RELAY_FLOWING:
		return &relay->link->flowing;
	}
	return NULL;
}

void relay_set_state(struct relay *relay, enum relay_state state)
{
	assert((relay->state == RELAY_SPARE && state != RELAY_SPARE && state != RELAY_FLOWING) ||
	       (relay->state == RELAY_ASKED && state != RELAY_ASKED) ||
	       (relay->state == RELAY_READY && state == RELAY_SPARE) ||
	       (relay->state == RELAY_FLOWING && state != RELAY_FLOWING));
	TAILQ_REMOVE(list_of(relay), relay, entry);
	relay->state = state;
	if (state == RELAY_SPARE)
		TAILQ_INSERT_HEAD(list_of(relay), relay, entry);
	else
		TAILQ_INSERT_TAIL(list_of(relay), relay, entry);
}

void relay_count_bytes(struct relay *relay)
{
	struct worker *w = relay->link->worker;

	w->bytes -= relay->bytes;
	relay->bytes = relay->request.n + relay->response.n;
	w->bytes += relay->bytes;
}

static struct relay *relay_take(struct node_link *nl, struct node_session *s,
				const struct frame_relay *in, uint32_t number)
{
	struct worker *w = nl->worker;
	struct relay *relay = TAILQ_FIRST(&w->spare);

	if (!relay) {
		relay = xcalloc(1, sizeof(*relay));
		TAILQ_INSERT_HEAD(&w->spare, relay, entry);
		w->spare_n++;
	}
	w->spare_n--;
	relay->link = nl;
	relay->session = s;
	relay->method = NULL;
	relay->number = number;
	relay->salt = in->salt;
	relay->pinned = in->pinned;
	relay->block = in->pinned ? in->pin_block : LEAF_BLOCK_UNKNOWN;
	relay->block_hash = in->pinned ? in->pin_hash : (struct hash){{0}};
	relay->notification = relay->recomputed = false;
	relay->refusal = ERR_NONE;
	relay->kind = LEAF_ANSWER;
	relay->cu = 0;
	relay->reserved = 0;
	relay->latency_us = 0;
	relay->part = 0;
	relay->begun_us = clock_mono_us();
	relay->deadline_us =
		relay->begun_us + MIN((usec_t)in->deadline_ms * 1000, w->node->p.deadline_max_us);
	relay->request.n = relay->response.n = 0;
	buf_put(&relay->request, in->request.p, in->request.n);
	relay->bytes = 0;
	relay_count_bytes(relay);
	s->relays++;
	nl->in_flight++;
	w->in_flight++;
	return relay;
}

static void keep_or_free(struct buf *buf)
{
	if (buf->cap > SPARE_BUF_MAX)
		buf_finish(buf);
}

void relay_done(struct relay *relay)
{
	struct node_link *nl = relay->link;
	struct worker *w = nl->worker;

	assert(relay->reserved == 0 && !relay->call);
	flow_finish(relay, ERR_NONE);
	if (relay->refusal != ERR_NONE && relay->state == RELAY_READY)
		nl->refusals--;
	relay->session->relays--;
	nl->in_flight--;
	w->in_flight--;
	w->bytes -= relay->bytes;
	relay_set_state(relay, RELAY_SPARE);
	keep_or_free(&relay->request);
	keep_or_free(&relay->response);
	if (++w->spare_n <= SPARE_MAX)
		return;
	TAILQ_REMOVE(&w->spare, relay, entry);
	w->spare_n--;
	buf_finish(&relay->request);
	buf_finish(&relay->response);
	free(relay);
}

static void give_back_cu(struct relay *relay)
{
	if (relay->reserved)
		ledger_tab_release(relay->session->tab, relay->reserved);
	relay->reserved = 0;
}

void relay_drop(struct relay *relay)
{
	if (relay->call)
		upstream_cancel(relay->call);
	relay->call = NULL;
	flow_finish(relay, ERR_CANCELLED);
	give_back_cu(relay);
	if (relay->state == RELAY_SPARE) /* it was never begun */
		relay_set_state(relay, RELAY_READY);
	relay_done(relay);
}

/* A gateway can cause it: each reason is logged once a second. */
static void note_refusal(enum err_code code)
{
	static _Thread_local struct log_gate gates[ERR_COUNT];
	uint64_t more;

	metric_add_at(METRIC_NODE_REFUSALS, code, 0, 1);
	if (log_every(&gates[code], 1000000, &more))
		log_info("node.refused", "reason=%s more=%llu", err_info(code)->name,
			 (unsigned long long)more);
}

void relay_set_refusal(struct relay *relay, enum err_code code)
{
	if (err_info(code)->wire == 0)
		code = ERR_INTERNAL;
	give_back_cu(relay);
	note_refusal(code);
	relay->refusal = code;
	relay->kind = LEAF_REFUSAL;
	relay->cu = 0;
	relay->response.n = 0;
	response_encoding_put_refusal(&relay->response, code);
}

bool relay_refuse_unsigned(struct relay *relay, enum err_code code)
{
	struct node_link *nl = relay->link;
	enum refusal_way way = node_link_refuse(nl);
	struct err err;

	/* A full ledger takes no leaf of a refusal either. */
	if (way == REFUSAL_SIGNED && code != ERR_LEDGER_FULL &&
	    nl->refusals < NODE_TURN_REFUSALS_MAX)
		return false;
	note_refusal(code);
	err_set(&err, code, "%s", err_info(code)->text);
	if (way != REFUSAL_ENDS)
		node_link_error(nl, relay->number, FRAME_RELAY, &err);
	relay_drop(relay);
	return true;
}

void relay_refuse(struct relay *relay, enum err_code code)
{
	struct node_link *nl = relay->link;

	if (relay_refuse_unsigned(relay, code))
		return;
	relay_set_refusal(relay, code);
	nl->refusals++;
	relay_set_state(relay, RELAY_READY);
	node_link_mark(nl);
}

/* --- the backend's answer --- */

/* Of which block the answer is, as it says itself, or else the call [R11]. */
static void read_block(struct relay *relay, struct view result)
{
	const struct chain *chain = relay->session->service->chain;
	struct chain_answer answer;
	struct chain_call call;

	chain_call_read(chain, relay->method, relay->params, &call);
	chain_answer_read(chain, &call, result, &answer);
	if (relay->pinned && answer.number_known && answer.number != relay->block)
		return;
	if (answer.number_known && answer.number != LEAF_BLOCK_UNKNOWN) {
		relay->block = answer.number;
		if (answer.hash_known)
			relay->block_hash = answer.hash;
	}
}

/* What is found is told, in the leaf and in the metric, and nothing else follows from it here:
 * which words a call has is a stranger's choice, and a backend is not to be held for out of order
 * by it.
 */
static void verify(struct relay *relay, struct view result)
{
	const struct node_service *service = relay->session->service;
	struct chain_finding found;

	relay->recomputed = false;
	if (!service->verifier ||
	    chain_verify_look(service->verifier, relay->method) == CHAIN_LOOK_NONE)
		return;
	chain_verify(service->verifier, relay->method, relay->params, result, &found);
	metric_add_at(METRIC_NODE_VERIFIED, service->label, found.verdict, 1);
	relay->recomputed = found.verdict == CHAIN_RECOMPUTED;
}

static bool relay_check(void *arg, const struct upstream_result *result, struct err *err)
{
	struct relay *relay = arg;
	struct rpc_answer answer;
	struct view body;

	if (result->streamed && !relay->notification)
		return flow_check(relay, err);
	if (relay->notification) {
		relay->cu = relay->method->cu;
		return result->status < 300 ||
		       err_set(err, ERR_UPSTREAM, "HTTP status %d", result->status);
	}
	body = VIEW(result->body.p + result->headroom, result->body.n - result->headroom);
	if (!rpc_answer_scan(body, &answer, err))
		return false;
	relay->kind = LEAF_ANSWER;
	relay->cu = relay->method->cu;
	if (answer.error.n == 0) {
		read_block(relay, answer.result);
		verify(relay, answer.result);
		return true;
	}
	relay->kind = LEAF_RPC_ERROR;
	if (!answer.error_code_known ||
	    chain_error_class(relay->session->service->chain, answer.error_code,
			      answer.error_message, answer.error_data) != CHAIN_ERROR_EXECUTION)
		relay->cu = 0;
	return true;
}

static void relay_on_done(void *arg, struct upstream_result *result, const struct err *err)
{
	struct relay *relay = arg;

	worker_tick(relay->link->worker);
	relay->call = NULL;
	if (relay->flow) {
		flow_on_end(relay, err);
		return;
	}
	relay->latency_us = (uint32_t)MIN(clock_mono_us() - relay->begun_us, (usec_t)UINT32_MAX);
	if (!result) {
		relay_refuse(relay, err->code);
		return;
	}
	assert(result->headroom == RESPONSE_JSON_HEAD);
	if (relay->notification) {
		relay->response.n = 0;
		buf_reserve(&relay->response, RESPONSE_JSON_HEAD);
		relay->response.n = RESPONSE_JSON_HEAD;
	} else {
		buf_finish(&relay->response);
		relay->response = result->body;
		result->body = (struct buf){0};
	}
	relay_count_bytes(relay);
	relay_set_state(relay, RELAY_READY);
	node_link_mark(relay->link);
}

static void relay_ask(struct relay *relay)
{
	struct upstream_request request = {
		.body = relay->body,
		.deadline_us = relay->deadline_us,
		.headroom = RESPONSE_JSON_HEAD,
		.idempotent = relay->method->effect == CHAIN_READ,
		.whole_max = NODE_PART_BYTES,
		.data = flow_on_data,
		.check = relay_check,
		.done = relay_on_done,
		.arg = relay,
	};

	relay_set_state(relay, RELAY_ASKED);
	relay->call = upstream_fetch(relay->session->service->pool, &request);
}

/* --- the gateway's request --- */

/* Whether the call is about the block that it is said to be pinned to [F14].  What names it by its
 * number alone does not vouch for its hash. */
static bool pin_is_true(struct relay *relay, const struct rpc_call *body)
{
	struct chain_call call;

	chain_call_read(relay->session->service->chain, relay->method, body->params, &call);
	for (size_t i = 0; !call.odd && i < call.refs; i++) {
		if (call.ref[i].kind == CHAIN_REF_HASH &&
		    ID_EQ(&call.ref[i].hash, &relay->block_hash))
			return true;
		if (call.ref[i].kind == CHAIN_REF_NUMBER && call.ref[i].number == relay->block) {
			relay->block_hash = (struct hash){{0}};
			return true;
		}
	}
	return false;
}

/* Finds method and body.  ERR_NONE, or the refusal. */
static enum err_code relay_read(struct relay *relay)
{
	const struct node_service *service = relay->session->service;
	struct request_encoding request;
	struct rpc_request body = {0};
	char scratch[RPC_METHOD_MAX];
	struct view name;
	struct err err;

	if (!request_encoding_parse(buf_view(&relay->request), &request, &err) ||
	    request.kind != ENCODING_JSONRPC || strcmp(request.service.s, service->name.s) != 0 ||
	    !rpc_request_scan(request.body, &one_call, &body, &err))
		return ERR_PROTOCOL;
	if (body.batch || body.one.error != ERR_NONE ||
	    (body.one.id.n && !view_eq(body.one.id, VIEW("1", 1)))) {
		rpc_request_finish(&body);
		return ERR_PROTOCOL;
	}
	relay->notification = body.one.id_kind == RPC_ID_NONE;
	relay->body = request.body;
	relay->params = body.one.params;
	if (!rpc_method(&body.one, scratch, &name) ||
	    !chain_method_find(service->chain, name, &relay->method, &err))
		return ERR_METHOD;
	return relay->pinned && !pin_is_true(relay, &body.one) ? ERR_PROTOCOL : ERR_NONE;
}

/* May this relay be served?  Reserves its CU.  ERR_NONE, or the refusal. */
static enum err_code relay_admit(struct relay *relay)
{
	struct node_link *nl = relay->link;
	struct node_session *s = relay->session;
	struct worker *w = nl->worker;
	enum err_code why = relay_read(relay); /* first, since refusals name the method too */

	if (why != ERR_NONE)
		return why;
	if (w->draining)
		return ERR_SHUTDOWN;
	if (ledger_is_full(w->node->ledger))
		return ERR_LEDGER_FULL;
	if (nl->in_flight > w->node->p.in_flight_max ||
	    w->bytes + w->bytes_others > w->node->p.bytes_max)
		return ERR_OVERLOAD;
	if (!session_node_accepts(&s->params, s->start, w->height))
		return ERR_SESSION_OVER;
	switch (ledger_tab_reserve(s->tab, relay->method->cu, settle_unpaid_max(nl, s),
				   s->served_max)) {
	case LEDGER_ROOM:
		relay->reserved = relay->method->cu;
		return ERR_NONE;
	case LEDGER_ROOM_UNPAID:
		return ERR_UNPAID;
	case LEDGER_ROOM_ALLOWANCE:
		return ERR_ALLOWANCE;
	}
	return ERR_INTERNAL;
}

bool relay_on_frame(struct node_link *nl, const struct frame *f, struct err *err)
{
	struct node_session *s = NULL;
	struct frame_relay in;
	struct relay *relay;
	struct err why;
	enum err_code code;

	if (!frame_read_relay(f, &in, err))
		return false;
	if (f->stream <= nl->last_number)
		return err_set(err, ERR_PROTOCOL, "relay %u after relay %u", f->stream,
			       nl->last_number);
	nl->last_number = f->stream;
	HASH_FIND(by_handle, nl->sessions, &in.session, sizeof(in.session), s);
	if (!s) {
		err_set(&why, ERR_NO_SESSION, "no session has the handle %u", in.session);
		if (node_link_refuse(nl) != REFUSAL_ENDS)
			node_link_error(nl, f->stream, FRAME_RELAY, &why);
		return true;
	}
	relay = relay_take(nl, s, &in, f->stream);
	code = relay_admit(relay);
	if (code == ERR_NONE)
		relay_ask(relay);
	else
		relay_refuse(relay, code);
	return true;
}

static struct relay *relay_find(struct node_link *nl, uint32_t number)
{
	struct relays *const lists[] = {&nl->asked, &nl->ready, &nl->flowing};
	struct relay *relay;

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		TAILQ_FOREACH (relay, lists[i], entry) {
			if (relay->number == number)
				return relay;
		}
	}
	return NULL;
}

void relay_on_cancel(struct node_link *nl, uint32_t number)
{
	struct relay *relay = relay_find(nl, number);
	struct err why;

	if (!relay)
		return;	       /* its answer is on its way */
	if (relay->part > 0) { /* told behind the parts that are receipted */
		flow_break(relay, ERR_CANCELLED);
		return;
	}
	err_set(&why, ERR_CANCELLED, "%s", err_info(ERR_CANCELLED)->text);
	node_link_error(nl, number, FRAME_RELAY, &why);
	relay_drop(relay);
}
