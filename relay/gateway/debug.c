/* SPDX-License-Identifier: Apache-2.0
 * Counterfoil-Debug: the picks of a call, for whoever wants to know why it went where it went. */
#include <inttypes.h>

#include <event2/http.h>

#include "relay/gateway/internal.h"

#define DEBUG_BYTES_MAX 8192 /* of the header; clients refuse heads of more than 16 KiB */

bool debug_is_wanted(const struct worker *w, struct evhttp_request *http)
{
	const char *value;

	if (!w->cfg->gateway.debug)
		return false;
	value = evhttp_find_header(evhttp_request_get_input_headers(http), "Counterfoil-Debug");
	return value && strcmp(value, "1") == 0;
}

static const char *reason_name(enum pick_reason reason)
{
	switch (reason) {
	case PICK_QUALITY:
		return "quality";
	case PICK_FALLBACK:
		return "fallback";
	}
	return "?";
}

static void put_row(struct buf *out, const struct pick_row *row)
{
	buf_put_str(out, " ");
	buf_put_hex(out, row->supplier, sizeof(row->supplier));
	buf_putf(out, "=%" PRIu64 "*%u/%s", row->weight, row->health,
		 weigh_why_name((enum weigh_why)row->why));
}

static void put_pick(struct buf *out, const struct worker *w, struct reader *in)
{
	struct pick_note note;
	struct pick_row row;

	read_copy(in, &note, sizeof(note));
	buf_putf(out, "n=%" PRIu64 " worker=%u reason=%s to=%u of", note.n, w->id,
		 reason_name(note.reason), note.member);
	for (uint32_t i = 0; i < note.count; i++) {
		read_copy(in, &row, sizeof(row));
		put_row(out, &row);
	}
}

void debug_put(struct buf *out, const struct request *request)
{
	size_t from = out->n;

	for (size_t i = 0; i < request->count; i++) {
		const struct ask *ask = request->calls[i].asker.ask;
		struct reader in = reader_of(ask ? buf_view(&ask->picks) : VIEW(NULL, 0));

		buf_put_str(out, i > 0 ? ", " : "");
		if (!ask)
			buf_put_str(out, "-");
		for (bool first = true; in.left > 0; first = false) {
			if (out->n - from > DEBUG_BYTES_MAX) {
				buf_put_str(out, " ...");
				return;
			}
			buf_put_str(out, first ? "" : "; ");
			put_pick(out, request->worker, &in);
		}
	}
}
