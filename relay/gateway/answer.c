/* SPDX-License-Identifier: Apache-2.0
 * What goes back to the client: answers with its own ids, in its order, and the Counterfoil-*
 * headers ([G2], [G4]). */
#include <assert.h>
#include <event2/buffer.h>
#include <event2/http.h>

#include "relay/gateway/internal.h"
#include "relay/rpc/reply.h"

#define RECEIPTS_LISTED_MAX 180 /* of a batch ([G2]) */
#define NAMES_LISTED_MAX 64	/* calls of a batch whose suppliers and sessions are listed */
#define COPY_MAX 4096		/* larger answers are handed over, not copied */

void answer_cors(struct worker *w, struct evhttp_request *http)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	const char *origin = w->cfg->gateway.cors_origin;
	const char *asked;

	if (!origin || origin[0] == '\0')
		return;
	evhttp_add_header(headers, "Access-Control-Allow-Origin", origin);
	if (evhttp_request_get_command(http) != EVHTTP_REQ_OPTIONS) {
		evhttp_add_header(headers, "Access-Control-Expose-Headers",
				  "Counterfoil-Receipt, Counterfoil-Supplier, "
				  "Counterfoil-Session");
		return;
	}
	asked = evhttp_find_header(evhttp_request_get_input_headers(http),
				   "Access-Control-Request-Headers");
	evhttp_add_header(headers, "Access-Control-Allow-Methods", "POST, GET, OPTIONS");
	evhttp_add_header(headers, "Access-Control-Allow-Headers", asked ? asked : "content-type");
	evhttp_add_header(headers, "Access-Control-Max-Age", "86400");
}

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 204:
		return "No Content";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 413:
		return "Payload Too Large";
	default:
		return "Error";
	}
}

static void send_body(struct worker *w, struct evhttp_request *http, int status,
		      struct evbuffer *body)
{
	if (body) {
		evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type",
				  "application/json");
		metric_add(METRIC_GATEWAY_ANSWER, evbuffer_get_length(body));
	}
	answer_cors(w, http);
	evhttp_send_reply(http, status, status_text(status), body);
}

void answer_error(struct worker *w, struct evhttp_request *http, const struct err *err)
{
	struct evbuffer *body = evbuffer_new();
	struct buf text = {0};

	reply_put_error(&text, VIEW(NULL, 0), err);
	evbuffer_add(body, text.p, text.n);
	buf_finish(&text);
	send_body(w, http, err_info(err->code)->http_status, body);
	evbuffer_free(body);
}

static void free_body(const void *data, size_t n, void *arg)
{
	free(arg);
}

/* The answer in the client's words, appended to the output.  A large one is not copied. */
static void add_answer(struct evbuffer *out, struct call *call)
{
	struct relay *r = call->relay;
	struct reply_parts parts = reply_splice(buf_view(&r->body), &call->answer, call->rpc->id);

	if (r->body.n <= COPY_MAX) {
		evbuffer_add(out, parts.before.p, parts.before.n);
		evbuffer_add(out, parts.id.p, parts.id.n);
		evbuffer_add(out, parts.after.p, parts.after.n);
		return;
	}
	evbuffer_add(out, parts.before.p, parts.before.n);
	evbuffer_add(out, parts.id.p, parts.id.n);
	if (evbuffer_add_reference(out, parts.after.p, parts.after.n, free_body, r->body.p) == 0)
		r->body = (struct buf){0}; /* the evbuffer's now */
}

static void add_error(struct evbuffer *out, const struct call *call)
{
	struct buf text = {0};
	/* What could not be read as a call has no id to go by (JSON-RPC 2.0, section 5). */
	struct view id = call->rpc->error != ERR_NONE ? VIEW(NULL, 0) : call->rpc->id;

	reply_put_error(&text, id, &call->err);
	evbuffer_add(out, text.p, text.n);
	buf_finish(&text);
}

/* A call that is answered at all: everything but a notification ([E1]). */
static bool has_reply(const struct call *call)
{
	return call->rpc->error != ERR_NONE || call->rpc->id_kind != RPC_ID_NONE;
}

static void add_call(struct evbuffer *out, struct call *call)
{
	if (call->has_answer)
		add_answer(out, call);
	else
		add_error(out, call);
}

/* --- headers --- */

static void add_value(struct buf *list, const char *value)
{
	if (list->n > 0)
		buf_put_str(list, ", ");
	buf_put_str(list, value);
}

static void add_names(struct request *request, size_t count)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->http);
	struct buf suppliers = {0}, sessions = {0};
	char hex[65];

	for (size_t i = 0; i < count; i++) {
		const struct relay *r = request->calls[i].relay;
		bool has = r && r->has_receipt;

		add_value(&suppliers, has ? r->member->supplier->hex : "-");
		add_value(&sessions, has ? hex_encode(r->in.session.b, 32, hex) : "-");
	}
	evhttp_add_header(headers, "Counterfoil-Supplier", buf_cstr(&suppliers));
	evhttp_add_header(headers, "Counterfoil-Session", buf_cstr(&sessions));
	buf_finish(&suppliers);
	buf_finish(&sessions);
}

/* Clients refuse heads of more than 16 KiB, so the lists of large batches are kept below that. */
static void add_headers(struct request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request->http);
	struct buf receipts = {0};
	bool any = false;

	for (size_t i = 0; i < request->count; i++) {
		const struct relay *r = request->calls[i].relay;
		char text[REPLY_RECEIPT_MAX];

		if (i == RECEIPTS_LISTED_MAX) {
			add_value(&receipts, "...");
			break;
		}
		if (!r || !r->has_receipt) {
			add_value(&receipts, "-");
			continue;
		}
		any = true;
		add_value(&receipts, reply_receipt_text(&r->lane, r->seq, &r->in.salt, text));
	}
	if (any)
		evhttp_add_header(headers, "Counterfoil-Receipt", buf_cstr(&receipts));
	if (any && request->count <= NAMES_LISTED_MAX)
		add_names(request, request->count);
	buf_finish(&receipts);
}

/* --- the whole --- */

static bool add_batch(struct evbuffer *out, struct request *request)
{
	bool any = false;

	for (size_t i = 0; i < request->count; i++) {
		if (!has_reply(&request->calls[i]))
			continue;
		evbuffer_add(out, any ? "," : "[", 1);
		add_call(out, &request->calls[i]);
		any = true;
	}
	if (any)
		evbuffer_add(out, "]", 1);
	return any;
}

void answer_send(struct request *request)
{
	struct evbuffer *body = evbuffer_new();
	struct call *first = &request->calls[0];
	bool any = true;
	int status = 200;

	if (request->rpc.batch) {
		any = add_batch(body, request);
	} else if (has_reply(first)) {
		add_call(body, first);
		status = first->has_answer ? 200 : err_info(first->err.code)->http_status;
	} else {
		any = false;
	}
	add_headers(request);
	send_body(request->worker, request->http, any ? status : 204, any ? body : NULL);
	evbuffer_free(body);
}
