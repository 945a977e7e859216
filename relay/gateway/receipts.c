/* SPDX-License-Identifier: Apache-2.0
 * GET /.counterfoil/receipts/<lane>/<seq>?salt=<hex>: the bundle of a receipt, for whoever knows
 * its salt ([G3]).  Whoever does not learns not even that there is one. */
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "relay/gateway/internal.h"
#include "relay/receipt/bundle.h"
#include "relay/rpc/reply.h"

/* In a time that does not depend on where they differ. */
static bool salt_is(const struct salt *a, const struct salt *b)
{
	volatile uint8_t unlike = 0;

	for (size_t i = 0; i < sizeof(a->b); i++)
		unlike |= a->b[i] ^ b->b[i];
	return unlike == 0;
}

static bool parse_salt(const char *query, struct salt *ret)
{
	return query && strncmp(query, "salt=", 5) == 0 &&
	       hex_decode(query + 5, strlen(query + 5), ret->b, sizeof(ret->b));
}

static void make_bundle(const struct ledger_receipt *receipt, struct worker *w, uint64_t seq,
			struct buf *json)
{
	struct checkpoint_origin origin = {
		.network = w->self.network,
		.gateway = receipt->lane.gateway,
		.supplier = receipt->lane.supplier,
		.lane = receipt->lane.id,
	};
	struct checkpoint head = {
		.size = receipt->head.size,
		.root = receipt->head.root,
		.supplier_sig = receipt->head.signature,
		.cosigned = receipt->head_is_cosigned,
		.cosign_time = receipt->lane.cosigned.time,
		.gateway_sig = receipt->lane.cosigned.signature,
	};
	CLEANUP(bundle_finish)
	struct bundle bundle = {
		.index = seq,
		.size = receipt->head.size,
		.salt = receipt->salt,
		.has_request = receipt->has_evidence,
		.has_response = receipt->has_evidence,
		.has_next = receipt->has_next,
		.next_lane = receipt->next_lane,
		.next_seq = receipt->next_seq,
	};
	struct checkpoint_lane lane;

	memcpy(bundle.leaf, receipt->leaf, sizeof(bundle.leaf));
	bundle.proof.n = receipt->proof_n;
	memcpy(bundle.proof.hash, receipt->proof, receipt->proof_n * sizeof(struct hash));
	if (receipt->has_evidence) {
		buf_put(&bundle.request, receipt->request.p, receipt->request.n);
		buf_put(&bundle.response, receipt->response.p, receipt->response.n);
	}
	checkpoint_lane_init(&lane, &origin);
	bundle_set_head(&bundle, &lane, &head);
	bundle_put_json(&bundle, json);
}

/* The JSON of a receipt, or why there is none: ERR_NOT_FOUND for any that is not to be told. */
static bool read_receipt(struct worker *w, const char *path, const char *query, struct buf *json,
			 struct err *err)
{
	struct ledger_receipt receipt;
	struct lane_id lane;
	struct salt salt;
	uint64_t seq;
	bool found;

	if (!reply_receipt_parse(path, strlen(path), &lane, &seq) || !parse_salt(query, &salt))
		return err_set(err, ERR_NOT_FOUND, "there is no such receipt");
	if (!ledger_receipt_read(w->reader, &lane, seq, &receipt, err)) {
		if (err->code == ERR_NOT_FOUND)
			err_set(err, ERR_NOT_FOUND, "there is no such receipt");
		return false;
	}
	found = salt_is(&salt, &receipt.salt);
	if (found)
		make_bundle(&receipt, w, seq, json);
	ledger_receipt_finish(&receipt);
	return found || err_set(err, ERR_NOT_FOUND, "there is no such receipt");
}

void receipts_get(struct worker *w, struct evhttp_request *http, const char *path,
		  const char *query)
{
	struct buf json = {0};
	struct evbuffer *body;
	struct err err = {0};

	if (!read_receipt(w, path, query, &json, &err)) {
		metric_add_at(METRIC_GATEWAY_BUNDLES, err.code, 0, 1);
		answer_error(w, http, &err);
		buf_finish(&json);
		return;
	}
	metric_add_at(METRIC_GATEWAY_BUNDLES, ERR_NONE, 0, 1);
	body = evbuffer_new();
	evbuffer_add(body, json.p, json.n);
	buf_finish(&json);
	evhttp_add_header(evhttp_request_get_output_headers(http), "Content-Type",
			  "application/json");
	evhttp_add_header(evhttp_request_get_output_headers(http), "Cache-Control", "no-store");
	answer_cors(w, http);
	evhttp_send_reply(http, 200, "OK", body);
	evbuffer_free(body);
}
