/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/receipt/bundle.h"

#include <assert.h>
#include <inttypes.h>

void bundle_finish(struct bundle *bundle)
{
	buf_finish(&bundle->checkpoint);
	buf_finish(&bundle->request);
	buf_finish(&bundle->response);
}

void bundle_set_head(struct bundle *bundle, const struct checkpoint_lane *lane,
		     const struct checkpoint *head)
{
	buf_finish(&bundle->checkpoint);
	checkpoint_put_note(lane, head, &bundle->checkpoint);
	bundle->size = head->size;
	bundle->key[0] = lane->supplier;
	bundle->key[1] = lane->gateway;
	bundle->key_count = 2;
}

/* A note's text as a JSON string: UTF-8 without controls but newline ([N1]), so that only three
 * characters need a backslash. */
static void put_json_text(struct buf *json, struct view text)
{
	buf_put_str(json, "\"");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\n')
			buf_put_str(json, "\\n");
		else if (text.p[i] == '"' || text.p[i] == '\\')
			buf_putf(json, "\\%c", text.p[i]);
		else if (text.p[i] < ' ')
			buf_putf(json, "\\u%04x", text.p[i]);
		else
			buf_put_u8(json, text.p[i]);
	}
	buf_put_str(json, "\"");
}

static void put_base64_member(struct buf *json, const char *name, const struct buf *bytes)
{
	buf_putf(json, ",\"%s\":\"", name);
	buf_put_base64(json, bytes->p, bytes->n);
	buf_put_str(json, "\"");
}

void bundle_put_json(const struct bundle *bundle, struct buf *json)
{
	char text[NOTE_VKEY_MAX];

	assert(bundle->proof.n <= TREE_PROOF_MAX && bundle->key_count <= BUNDLE_KEYS_MAX);
	assert(!bundle->without_salt || (!bundle->has_request && !bundle->has_response));
	buf_put_str(json, "{\"leaf\":\"");
	buf_put_hex(json, bundle->leaf, LEAF_SIZE);
	buf_putf(json, "\",\"index\":%" PRIu64 ",\"size\":%" PRIu64 ",\"proof\":[", bundle->index,
		 bundle->size);
	for (size_t i = 0; i < bundle->proof.n; i++) {
		buf_put_str(json, i == 0 ? "\"" : ",\"");
		buf_put_base64(json, bundle->proof.hash[i].b, sizeof(bundle->proof.hash[i].b));
		buf_put_str(json, "\"");
	}
	buf_put_str(json, "],\"checkpoint\":");
	put_json_text(json, buf_view(&bundle->checkpoint));
	buf_put_str(json, ",\"keys\":[");
	for (size_t i = 0; i < bundle->key_count; i++) {
		buf_put_str(json, i == 0 ? "" : ",");
		put_json_text(json, VIEW_STR(note_key_text(&bundle->key[i], text)));
	}
	buf_put_str(json, "]");
	if (!bundle->without_salt) {
		buf_put_str(json, ",\"salt\":\"");
		buf_put_hex(json, bundle->salt.b, sizeof(bundle->salt.b));
		buf_put_str(json, "\"");
	}
	if (bundle->has_request)
		put_base64_member(json, "request", &bundle->request);
	if (bundle->has_response)
		put_base64_member(json, "response", &bundle->response);
	if (bundle->has_next) {
		buf_put_str(json, ",\"next\":\"");
		buf_put_hex(json, bundle->next_lane.b, sizeof(bundle->next_lane.b));
		buf_putf(json, "/%" PRIu64 "\"", bundle->next_seq);
	}
	buf_put_str(json, "}\n");
}

const char *bundle_fault_name(enum bundle_fault fault)
{
	switch (fault) {
	case BUNDLE_NOTE:
		return "note";
	case BUNDLE_SUPPLIER_SIGNATURE:
		return "supplier_signature";
	case BUNDLE_GATEWAY_SIGNATURE:
		return "gateway_signature";
	case BUNDLE_SIZE:
		return "size";
	case BUNDLE_INCLUSION:
		return "inclusion";
	case BUNDLE_LEAF:
		return "leaf";
	case BUNDLE_SEQ:
		return "seq";
	case BUNDLE_REQUEST_HASH:
		return "request_hash";
	case BUNDLE_RESPONSE_HASH:
		return "response_hash";
	case BUNDLE_STATUS:
		return "status";
	case BUNDLE_KEYS:
		return "keys";
	case BUNDLE_NEXT:
		return "next";
	}
	return "unknown";
}
