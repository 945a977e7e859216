/* SPDX-License-Identifier: Apache-2.0
 * The desk over HTTP ([Y5]): POST /claims, POST /claims/ID/proof, GET /claims/ID, GET /claims?...,
 * GET /claims.note?from=H&to=H.
 *
 * What is cheap to refuse is refused first: the form, the time, the signature.  Only what had to be
 * looked at closely counts against the share of the time that claims may take. */
#include "session/registry/serve_private.h"

#include <inttypes.h>

#include <event2/buffer.h>

#include "relay/base/log.h"
#include "session/registry/desk_words.h"
#include "session/registry/store_claims.h"
#include "session/settle.h"

#define HTTP_CONFLICT 409

/* False: others have used the share of the time, and the request is answered. */
static bool may_take_time(struct registry_server *s, struct evhttp_request *req, usec_t *ret_begun)
{
	clock_tick();
	*ret_begun = clock_mono_us();
	if (s->claims_paid_us <= *ret_begun + s->limits.ahead_us)
		return true;
	serve_reply_busy(req, s->claims_paid_us - *ret_begun - s->limits.ahead_us);
	return false;
}

static void count_time(struct registry_server *s, usec_t begun)
{
	usec_t now = clock_now_us();

	s->claims_paid_us =
		MAX(s->claims_paid_us, begun) + (now - begun) * (usec_t)s->limits.claims_share;
}

/* Faults that show before any record or seed is looked at. */
static bool is_cheap(const struct err *err)
{
	static const enum settle_fault cheap[] = {SETTLE_FORM,	 SETTLE_SIGNATURE, SETTLE_EARLY,
						  SETTLE_LATE,	 SETTLE_NETWORK,   SETTLE_RANGE,
						  SETTLE_AMOUNT, SETTLE_RECORDS};
	enum settle_fault fault;

	if (err->code != ERR_CLAIM || !settle_fault_of(err->msg, &fault))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(cheap); i++)
		if (fault == cheap[i])
			return true;
	return false;
}

/* Answers what a store said about a claim. */
static void reply(struct registry_server *s, struct evhttp_request *req, bool ok,
		  const struct claim_id *id, const struct desk_claim *state, const struct err *err)
{
	CLEANUP(buf_finish) struct buf note = {0};

	if (!ok && err->code != ERR_CLAIM) {
		log_error("registry.claims", "error=\"%s\"", err->msg);
		serve_reply_text(req, HTTP_INTERNAL, "the registry cannot be read or written");
		return;
	}
	if (ok)
		desk_sign_state(store_network(s->store), state, s->key, &note);
	else
		desk_sign_refusal(store_network(s->store), id, err, s->key, &note);
	serve_reply_note(s, req, ok ? HTTP_OK : HTTP_CONFLICT, &note);
}

static struct view body_of(struct evhttp_request *req)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t n = evbuffer_get_length(in);

	return VIEW(n > 0 ? evbuffer_pullup(in, -1) : NULL, n);
}

static void take_claim(struct registry_server *s, struct evhttp_request *req)
{
	struct desk_claim state;
	struct signature sig;
	struct view records;
	struct claim_id id;
	struct claim c;
	struct err err;
	usec_t begun;
	bool ok;

	if (!desk_read_claim(body_of(req), &c, &sig, &records, &err)) {
		serve_reply_text(req, HTTP_BADREQUEST, err.msg);
		return;
	}
	if (!may_take_time(s, req, &begun))
		return;
	claim_id_of(&c, &id);
	ok = store_claim(s->store, clock_now_ms(), &c, &sig, records, &state, &err);
	if (ok || !is_cheap(&err))
		count_time(s, begun);
	reply(s, req, ok, &id, &state, &err);
}

static void take_proof(struct registry_server *s, struct evhttp_request *req,
		       const struct claim_id *id)
{
	struct desk_claim state;
	struct signature sig;
	struct view proof;
	struct err err;
	usec_t begun;
	bool ok;

	if (!desk_read_proof(body_of(req), &proof, &sig, &err)) {
		serve_reply_text(req, HTTP_BADREQUEST, err.msg);
		return;
	}
	if (!may_take_time(s, req, &begun))
		return;
	ok = store_prove(s->store, clock_now_ms(), id, proof, &sig, &state, &err);
	if (ok || !is_cheap(&err))
		count_time(s, begun);
	reply(s, req, ok, id, &state, &err);
}

static void tell(struct registry_server *s, struct evhttp_request *req, const struct claim_id *id)
{
	struct desk_claim state;
	struct err err;
	bool ok = store_look(s->store, id, &state, &err);

	reply(s, req, ok, id, &state, &err);
}

static bool query_bytes(const struct evkeyvalq *query, const char *name, uint8_t dst[32])
{
	const char *text = evhttp_find_header(query, name);

	return text && hex_decode(text, strlen(text), dst, 32);
}

static bool on_claim(void *arg, const struct claim *c, const struct desk_claim *state)
{
	desk_list_add(arg, c, state);
	return true;
}

static void reply_list(struct registry_server *s, struct evhttp_request *req,
		       const struct key_id *supplier, uint64_t since, struct store_place *at)
{
	CLEANUP(buf_finish) struct buf note = {0};
	struct desk_list_words list = {.n = 0};
	struct err err;
	usec_t begun;
	bool more;

	if (!may_take_time(s, req, &begun))
		return;
	if (store_list(s->store, supplier, since, s->limits.list_max, at, &more, on_claim, &list,
		       &err)) {
		desk_sign_list(store_network(s->store), supplier, since, &list, more, s->key,
			       &note);
		serve_reply_note(s, req, HTTP_OK, &note);
	} else {
		reply(s, req, false, NULL, NULL, &err);
	}
	buf_finish(&list.items);
	count_time(s, begun);
}

static void list(struct registry_server *s, struct evhttp_request *req, const char *text)
{
	struct store_place at = {0};
	struct key_id supplier;
	struct evkeyvalq query;
	uint64_t since = 0;
	bool ok;

	if (evhttp_parse_query_str(text, &query) != 0) {
		serve_reply_text(req, HTTP_BADREQUEST, "the query is not well-formed");
		return;
	}
	ok = query_bytes(&query, "supplier", supplier.b) &&
	     serve_query_height(&query, "since", &since) &&
	     (!evhttp_find_header(&query, "recorded") ||
	      (serve_query_height(&query, "recorded", &at.recorded) &&
	       query_bytes(&query, "id", at.id.b)));
	evhttp_clear_headers(&query);
	if (ok)
		reply_list(s, req, &supplier, since, &at);
	else
		serve_reply_text(req, HTTP_BADREQUEST,
				 "write ?supplier=KEY&since=HEIGHT, and for what comes behind a "
				 "claim &recorded=HEIGHT&id=ID");
}

/* Makes a claims file within the time that files of a range have. */
static void reply_file(struct registry_server *s, struct evhttp_request *req, const char *text)
{
	CLEANUP(claims_file_finish) struct claims_file file = {0};
	CLEANUP(buf_finish) struct buf note = {0};
	uint64_t from = 0, to = 0;
	struct err err;
	usec_t begun;

	if (!serve_range_begin(s, req, text, &from, &to, &begun))
		return;
	if (store_claims_file(s->store, from, to, s->limits.claims_file_max, &file, &err)) {
		claims_file_sign(&file, s->key, &note);
		serve_reply_note(s, req, HTTP_OK, &note);
	} else if (err.code == ERR_RANGE) {
		serve_reply_text(req, HTTP_BADREQUEST, err.msg);
	} else {
		reply(s, req, false, NULL, NULL, &err);
	}
	serve_range_end(s, begun);
}

/* "/ID" or "/ID/proof". */
static bool one_claim(struct registry_server *s, struct evhttp_request *req, const char *rest,
		      bool post)
{
	struct claim_id id;

	if (rest[0] != '/' || strlen(rest) < 65 || !hex_decode(rest + 1, 64, id.b, sizeof(id.b)))
		return false;
	rest += 65;
	if (post && strcmp(rest, "/proof") == 0)
		take_proof(s, req, &id);
	else if (!post && *rest == '\0')
		tell(s, req, &id);
	else
		return false;
	return true;
}

bool serve_claims(struct registry_server *s, struct evhttp_request *req, const char *rest)
{
	bool post = evhttp_request_get_command(req) == EVHTTP_REQ_POST;

	if (post && *rest == '\0')
		take_claim(s, req);
	else if (!post && *rest == '?')
		list(s, req, rest + 1);
	else if (!post && strncmp(rest, ".note?", 6) == 0)
		reply_file(s, req, rest + 6);
	else
		return one_claim(s, req, rest, post);
	return true;
}
