/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/verify.h"

#include <inttypes.h>

#include "chains/custom.h"
#include "relay/base/log.h"
#include "relay/gateway/internal.h"
#include "relay/rpc/encoding.h"

/* What answers of one service have told so far; a worker's own. */
struct verification {
	struct service_name service;
	const struct chain *chain;
	struct chain_verifier *verifier;
	/* Apart, since some networks hash transactions by the family's rules, and blocks by their
	 * own. */
	struct custom transactions, others;
	UT_hash_handle hh;
};

static struct verification *verification_of(const struct ask *ask)
{
	struct worker *w = ask->worker;
	const struct service_name *service = &ask->account->key.service;
	const struct chain *chain = ask->session->chain;
	struct verification *v;

	HASH_FIND(hh, w->verifications, service, sizeof(*service), v);
	if (v && v->chain == chain)
		return v;
	if (v) { /* the service has become one of another family */
		chain_verifier_destroy(v->verifier);
		v->transactions = v->others = (struct custom){0};
	} else {
		v = xcalloc(1, sizeof(*v));
		v->service = *service;
		HASH_ADD(hh, w->verifications, service, sizeof(v->service), v);
	}
	v->chain = chain;
	v->verifier = chain_verifier_create(chain);
	return v;
}

void verify_finish(struct worker *w)
{
	struct verification *v, *next;

	HASH_ITER (hh, w->verifications, v, next) {
		HASH_DEL(w->verifications, v);
		chain_verifier_destroy(v->verifier);
		free(v);
	}
}

/* The parameters of the call that the relay carried; they may have been pinned. */
static struct view params_of(const struct relay *relay)
{
	static const struct rpc_limits one_call = {.depth_max = RPC_DEPTH_MAX, .batch_max = 1};
	struct request_encoding request;
	struct rpc_request body = {0};
	struct err err;
	struct view params = {0};

	if (!request_encoding_parse(relay->in.request, &request, &err) ||
	    !rpc_request_scan(request.body, &one_call, &body, &err))
		return params; /* it was made here, so this does not happen */
	if (!body.batch)
		params = body.one.params;
	rpc_request_finish(&body);
	return params;
}

/* Nobody can be convicted by it alone, but the receipt says who said it. */
static void note_untrue(const struct relay *relay, const struct chain_finding *found)
{
	static _Thread_local struct log_gate gate;
	uint64_t more;
	char lane[33];

	if (!log_every(&gate, 1000000, &more))
		return;
	log_warn("gateway.untrue_answer",
		 "supplier=%s method=%s lane=%s seq=%" PRIu64 " why=\"%s\" more=%" PRIu64,
		 relay->member->supplier->hex, relay->ask->method->name,
		 hex_encode(relay->lane.b, sizeof(relay->lane.b), lane), relay->seq, found->why,
		 more);
}

enum chain_look verify_look(const struct ask *ask)
{
	return chain_verify_look(verification_of(ask)->verifier, ask->method);
}

bool verify_answer(struct ask *ask, const struct relay *relay, struct err *err)
{
	struct view params = {0};
	struct verification *v;
	struct chain_finding found;
	enum chain_look look;
	struct custom *custom;

	ask->recomputed = ask->rides = ask->block_holds = false;
	if (!rpc_answer_scan(buf_view(&relay->body), &ask->answer, err))
		return false;
	if (ask->answer.error.n > 0)
		return true;
	v = verification_of(ask);
	look = chain_verify_look(v->verifier, ask->method);
	if (look == CHAIN_LOOK_NONE)
		return true;
	if (look == CHAIN_LOOK_BOTH)
		params = params_of(relay);
	chain_verify(v->verifier, ask->method, params, ask->answer.result, &found);
	custom = found.transaction ? &v->transactions : &v->others;
	custom_note(custom, &relay->member->supplier->key, &found);
	/* Whose blocks are by the rules has transactions that are. */
	if (found.block && found.verdict != CHAIN_DIFFERS)
		custom_note(&v->transactions, &relay->member->supplier->key, &found);
	metric_add_at(METRIC_GATEWAY_VERIFIED, ask->account->label, found.verdict, 1);
	if (found.verdict == CHAIN_FAULT ||
	    (found.verdict == CHAIN_DIFFERS && custom_is_kept(custom, ask->session->count))) {
		note_untrue(relay, &found);
		return err_set(err, ERR_UPSTREAM, "the answer cannot be true: %s", found.why);
	}
	ask->recomputed = found.verdict == CHAIN_RECOMPUTED;
	ask->rides = found.rides;
	ask->block_holds = found.block;
	return true;
}
