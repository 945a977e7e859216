/* SPDX-License-Identifier: Apache-2.0
 * What goes back to the client: answers with its own ids, in its order, and the Counterfoil-*
 * headers ([G2], [G4]). */
#include <inttypes.h>
#include <sys/uio.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "relay/gateway/internal.h"
#include "relay/rpc/reply.h"

#define RECEIPTS_LISTED_MAX 180 /* ([G2]); a call has fewer */
#define NAMES_LISTED_MAX 64	/* of which suppliers and sessions are listed too */
#define COPY_MAX 4096		/* larger answers are handed over, not copied */

static const char expose[] = "Counterfoil-Receipt, Counterfoil-Supplier, Counterfoil-Session, "
			     "Counterfoil-Cache, Counterfoil-Pinned, Counterfoil-Verified";

void answer_cors(struct worker *w, struct evhttp_request *http)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(http);
	const char *origin = w->cfg->gateway.cors_origin;
	const char *asked;

	if (!origin || origin[0] == '\0')
		return;
	evhttp_add_header(headers, "Access-Control-Allow-Origin", origin);
	if (evhttp_request_get_command(http) != EVHTTP_REQ_OPTIONS) {
		evhttp_add_header(headers, "Access-Control-Expose-Headers", expose);
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

/* --- the head of an answer to a call ---
 *
 * evhttp keeps a header as three allocations and writes it with printf.  So all headers of an
 * answer but Content-Length go in as one: the value of Date holds the lines after it too.  That is
 * not done with anything that a client or a node chose. */

void answer_prepare(struct worker *w)
{
	const char *origin = w->cfg->gateway.cors_origin;

	buf_put_str(&w->fixed_headers, "\r\nContent-Type: " RESPONSE_JSON_TYPE);
	if (origin && origin[0] != '\0' && !strpbrk(origin, "\r\n"))
		buf_putf(&w->fixed_headers,
			 "\r\nAccess-Control-Allow-Origin: %s"
			 "\r\nAccess-Control-Expose-Headers: %s",
			 origin, expose);
}

/* "Mon, 23 Nov 2026 15:01:09 GMT", made once a second. */
static const char *http_date(struct worker *w)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	if (w->date_s != now && gmtime_r(&now, &tm) &&
	    strftime(w->date, sizeof(w->date), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
		w->date_s = now;
	return w->date;
}

/* Hands the lines to the request; the buffer is empty afterwards. */
static void set_head(struct evhttp_request *http, struct buf *lines)
{
	struct evkeyval *header = xcalloc(1, sizeof(*header)); /* freed by evhttp */

	buf_cstr(lines);
	header->key = xstrdup("Date");
	header->value = (char *)lines->p;
	*lines = (struct buf){0};
	TAILQ_INSERT_TAIL(evhttp_request_get_output_headers(http), header, next);
}

/* A worker that stops answers what comes on its connections, and ends each with its answer. */
static void end_if_stopping(struct worker *w, struct evhttp_request *http)
{
	if (w->stop_at_us)
		evhttp_add_header(evhttp_request_get_output_headers(http), "Connection", "close");
}

static void send_body(struct worker *w, struct evhttp_request *http, int status,
		      struct evbuffer *body)
{
	if (body) {
		evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type",
				  RESPONSE_JSON_TYPE);
		metric_add(METRIC_GATEWAY_ANSWER, evbuffer_get_length(body));
	}
	answer_cors(w, http);
	end_if_stopping(w, http);
	/* evhttp would send the body after the head of HEAD's answer too, where a client takes it
	 * for the next answer. */
	if (evhttp_request_get_command(http) == EVHTTP_REQ_HEAD)
		body = NULL;
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

static void free_kept(const void *data, size_t n, void *arg)
{
	cache_unref(arg);
}

struct view answer_body(const struct call *call)
{
	const struct cache_body *kept = call->reuse.body;

	if (kept)
		return VIEW(kept->bytes, kept->n);
	return made_is_there(&call->made) ? buf_view(&call->made.body) : ask_body(call->asker.ask);
}

/* The answer with the client's id. */
static struct reply_parts parts_of(const struct call *call)
{
	const struct cache_body *kept = call->reuse.body;

	if (kept)
		return reply_splice_piece(answer_body(call), 0, kept->id_at, call->rpc->id);
	return reply_splice(answer_body(call),
			    made_is_there(&call->made) ? &call->made.answer
						       : ask_answer(call->asker.ask),
			    call->rpc->id);
}

/* The answer in the client's words, or its error. */
static void put_call(struct buf *out, const struct call *call)
{
	struct reply_parts parts;
	struct view id = call->rpc->id;

	if (!call->has_answer) {
		/* What could not be read as a call has no id to go by (JSON-RPC 2.0, section 5). */
		reply_put_error(out, call->rpc->error != ERR_NONE ? VIEW(NULL, 0) : id, &call->err);
		return;
	}
	if (call->pin.replaced) {
		buf_put_str(out, "{\"jsonrpc\":\"2.0\",\"id\":");
		buf_put(out, id.p, id.n);
		buf_putf(out, ",\"result\":\"0x%" PRIx64 "\"}", call->pin.number);
		return;
	}
	parts = parts_of(call);
	buf_put(out, parts.before.p, parts.before.n);
	buf_put(out, parts.id.p, parts.id.n);
	buf_put(out, parts.after.p, parts.after.n);
}

static bool is_large(const struct call *call)
{
	return call->has_answer && answer_body(call).n > COPY_MAX;
}

/* Hands over the bytes, if they may be, instead of copying them. */
static bool lend(struct evbuffer *out, struct call *call, struct view bytes)
{
	struct buf *own;

	if (call->reuse.body) {
		cache_ref(call->reuse.body);
		if (evbuffer_add_reference(out, bytes.p, bytes.n, free_kept, call->reuse.body) == 0)
			return true;
		cache_unref(call->reuse.body);
		return false;
	}
	own = made_is_there(&call->made) ? &call->made.body : ask_own_body(call->asker.ask);
	if (!own || evbuffer_add_reference(out, bytes.p, bytes.n, free_body, own->p) != 0)
		return false;
	*own = (struct buf){0}; /* the evbuffer's now */
	return true;
}

/* A large answer is handed over by the last who needs it; the others copy. */
static void add_large(struct evbuffer *out, struct call *call)
{
	struct reply_parts parts = parts_of(call);

	evbuffer_add(out, parts.before.p, parts.before.n);
	evbuffer_add(out, parts.id.p, parts.id.n);
	if (!lend(out, call, parts.after))
		evbuffer_add(out, parts.after.p, parts.after.n);
}

void answer_put_call(struct worker *w, struct evbuffer *out, struct call *call)
{
	if (is_large(call)) {
		add_large(out, call);
		return;
	}
	w->text.n = 0;
	put_call(&w->text, call);
	evbuffer_add(out, w->text.p, w->text.n);
}

bool answer_has_reply(const struct call *call)
{
	return call->rpc->error != ERR_NONE || call->rpc->id_kind != RPC_ID_NONE;
}

/* --- headers --- */

/* It was given before, or another call has asked for it. */
static bool is_second_hand(const struct call *call)
{
	return call->reuse.body || call->reuse.joined;
}

/* Relays that the answer is of ([G7]). */
static size_t relays_of(const struct call *call)
{
	const struct relay *relay = call_relay(call);

	if (call->pin.replaced)
		return 0;
	if (call->made.count > 0)
		return call->made.count;
	return call->reuse.body || (relay && relay->has_receipt);
}

/* What is told of one of them; without its session and salt when it is second-hand. */
static struct made_receipt receipt_at(const struct call *call, size_t i)
{
	const struct cache_body *kept = call->reuse.body;

	if (call->made.count > 0)
		return call->made.receipts[i];
	if (kept)
		return (struct made_receipt){
			.supplier = kept->supplier,
			.lane = kept->lane,
			.seq = kept->seq,
			.recomputed = (kept->flags & LEAF_RECOMPUTED) != 0,
		};
	return made_receipt_of(call_relay(call));
}

static void put_supplier(struct buf *head, const struct call *call, size_t i)
{
	const struct made_receipt r = receipt_at(call, i);

	buf_put_hex(head, r.supplier.b, sizeof(r.supplier.b));
}

/* A session tells which application has paid: nobody else's affair. */
static void put_session(struct buf *head, const struct call *call, size_t i)
{
	const struct made_receipt r = receipt_at(call, i);

	if (is_second_hand(call))
		buf_put_str(head, "-");
	else
		buf_put_hex(head, r.session.b, sizeof(r.session.b));
}

static void put_pinned(struct buf *head, const struct call *call, size_t i)
{
	if (call->pin.is_pinned) {
		buf_put_str(head, "0x");
		buf_put_hex(head, call->pin.block.hash.b, sizeof(call->pin.block.hash.b));
	} else {
		buf_put_str(head, "-");
	}
}

static void put_receipt(struct buf *head, const struct call *call, size_t i)
{
	const struct made_receipt r = receipt_at(call, i);
	char text[REPLY_RECEIPT_MAX];

	reply_receipt_text(&r.lane, r.seq, is_second_hand(call) ? NULL : &r.salt, text);
	buf_put_str(head, text);
}

static void put_cache(struct buf *head, const struct call *call, size_t i)
{
	buf_put_str(head, call->reuse.body ? "hit" : call->reuse.joined ? "shared" : "-");
}

static void put_verified(struct buf *head, const struct call *call, size_t i)
{
	const struct made_receipt r = receipt_at(call, i);

	buf_put_str(head, r.recomputed ? "recomputed" : "single");
}

/* One line: for each call a value for each of its relays, with `+` between them, `-` where there
 * is none; RECEIPTS_LISTED_MAX at most. */
static void put_list(struct buf *head, const char *name, const struct request *request,
		     void (*put)(struct buf *head, const struct call *call, size_t i))
{
	size_t listed = 0;

	buf_put_str(head, name);
	for (size_t i = 0; i < request->count; i++) {
		size_t relays = relays_of(&request->calls[i]);

		if (i > 0)
			buf_put_str(head, ", ");
		listed += MAX(relays, (size_t)1);
		if (listed > RECEIPTS_LISTED_MAX) {
			buf_put_str(head, "...");
			return;
		}
		if (relays == 0)
			buf_put_str(head, "-");
		for (size_t k = 0; k < relays; k++) {
			if (k > 0)
				buf_put_u8(head, '+');
			put(head, &request->calls[i], k);
		}
	}
}

/* The lines from the value of Date on.  Clients refuse heads of more than 16 KiB, so the lists of
 * large batches, and of calls with many parts, are kept below that. */
static void put_lines(struct buf *head, const struct request *request)
{
	struct worker *w = request->worker;
	bool any = false, second_hand = false, pinned = false;
	size_t listed = 0;

	for (size_t i = 0; i < request->count; i++) {
		size_t relays = relays_of(&request->calls[i]);

		any = any || relays > 0;
		listed += MAX(relays, (size_t)1);
		second_hand = second_hand || is_second_hand(&request->calls[i]);
		pinned = pinned || request->calls[i].pin.is_pinned;
	}
	buf_put_str(head, http_date(w));
	buf_put(head, w->fixed_headers.p, w->fixed_headers.n);
	if (any)
		put_list(head, "\r\nCounterfoil-Receipt: ", request, put_receipt);
	if (any && second_hand)
		put_list(head, "\r\nCounterfoil-Cache: ", request, put_cache);
	if (request->debug) {
		buf_put_str(head, "\r\nCounterfoil-Debug: ");
		debug_put(head, request);
	}
	if (any && listed <= NAMES_LISTED_MAX) {
		put_list(head, "\r\nCounterfoil-Supplier: ", request, put_supplier);
		put_list(head, "\r\nCounterfoil-Session: ", request, put_session);
		put_list(head, "\r\nCounterfoil-Verified: ", request, put_verified);
		if (pinned)
			put_list(head, "\r\nCounterfoil-Pinned: ", request, put_pinned);
	}
}

void answer_put_head(struct request *request)
{
	struct buf lines = {0};

	buf_reserve(&lines, 640);
	put_lines(&lines, request);
	set_head(request->http, &lines);
	end_if_stopping(request->worker, request->http);
}

/* --- the whole --- */

static bool add_batch(struct evbuffer *out, struct request *request)
{
	bool any = false;

	for (size_t i = 0; i < request->count; i++) {
		if (!answer_has_reply(&request->calls[i]))
			continue;
		evbuffer_add(out, any ? "," : "[", 1);
		answer_put_call(request->worker, out, &request->calls[i]);
		any = true;
	}
	if (any)
		evbuffer_add(out, "]", 1);
	return any;
}

/* All of the head, into w->head. */
static void write_head(struct worker *w, const struct request *request, int status, size_t body)
{
	w->head.n = 0;
	buf_putf(&w->head, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\nDate: ", status,
		 status_text(status), body);
	put_lines(&w->head, request);
	buf_put_str(&w->head, "\r\n\r\n");
}

static int status_of(const struct call *call)
{
	return call->has_answer ? 200 : err_info(call->err.code)->http_status;
}

/* Most answers are to one call, and short: head and body are written here, in one go, and evhttp is
 * told that it is done.  False: it is not such a one, or not such a connection. */
static bool send_short(struct request *request)
{
	struct worker *w = request->worker;
	const struct call *call = &request->calls[0];
	struct iovec parts[2];
	int status;

	if (request->rpc.batch || !answer_has_reply(call) || is_large(call) || w->stop_at_us ||
	    !http_is_plain(request->http))
		return false;
	status = status_of(call);
	w->text.n = 0;
	put_call(&w->text, call);
	write_head(w, request, status, w->text.n);
	metric_add(METRIC_GATEWAY_ANSWER, w->text.n);
	parts[0] = (struct iovec){w->head.p, w->head.n};
	parts[1] = (struct iovec){w->text.p, w->text.n};
	http_reply_plain(request->http, parts);
	return true;
}

bool answer_send_kept(const struct request *request, struct client *client)
{
	const struct reply_parts parts = parts_of(&request->calls[0]);
	const struct view body[] = {parts.before, parts.id, parts.after};
	struct worker *w = request->worker;
	struct iovec all[1 + ARRAY_SIZE(body)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(body); i++) {
		all[1 + i] = (struct iovec){(uint8_t *)body[i].p, body[i].n};
		n += body[i].n;
	}
	write_head(w, request, 200, n);
	all[0] = (struct iovec){w->head.p, w->head.n};
	if (!client_send(client, all, ARRAY_SIZE(all)))
		return false;
	metric_add(METRIC_GATEWAY_ANSWER, n);
	return true;
}

void answer_send(struct request *request)
{
	struct call *first = &request->calls[0];
	struct evbuffer *body;
	bool any = true;
	int status = 200;

	if (send_short(request))
		return;
	body = evbuffer_new();
	if (request->rpc.batch) {
		any = add_batch(body, request);
	} else if (answer_has_reply(first)) {
		answer_put_call(request->worker, body, first);
		status = status_of(first);
	} else {
		any = false;
	}
	if (!any)
		status = 204;
	metric_add(METRIC_GATEWAY_ANSWER, evbuffer_get_length(body));
	answer_put_head(request);
	http_reply(request->http, status, status_text(status), any ? body : NULL);
	evbuffer_free(body);
}
