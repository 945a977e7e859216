/* SPDX-License-Identifier: Apache-2.0
 * The inside of a registry's HTTP server, for session/registry/serve*.c alone. */
#ifndef SESSION_REGISTRY_SERVE_PRIVATE_H
#define SESSION_REGISTRY_SERVE_PRIVATE_H

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "relay/base/crowd.h"
#include "session/registry/serve.h"

struct registry_server {
	struct registry_server_limits limits;
	struct evhttp *http;
	struct crowd *crowd;
	usec_t paid_us;	       /* until then files with a range have used their share */
	usec_t claims_paid_us; /* and what is asked about claims its own */
	struct store *store;
	const struct relay_key *key;
	uint16_t port;
	char etag[64];	 /* of `note`: what it was made from */
	struct buf note; /* the current file */
};

void serve_add_header(struct evhttp_request *req, const char *name, const char *value);
/* Answers with a line of text. */
void serve_reply_text(struct evhttp_request *req, int status, const char *text);
/* HTTP 503, to be asked again after the wait. */
void serve_reply_busy(struct evhttp_request *req, usec_t wait_us);
/* Answers with a note, when there is room for it. */
void serve_reply_note(struct registry_server *s, struct evhttp_request *req, int status,
		      const struct buf *note);
/* A whole number out of a query. */
MUST_USE bool serve_query_height(const struct evkeyvalq *query, const char *name, uint64_t *ret);
/* Begins a file of a range: the heights of a query.  False: they are wrong, or files of a range
 * have had their share of the time, and it has been refused. */
MUST_USE bool serve_range_begin(struct registry_server *s, struct evhttp_request *req,
				const char *text, uint64_t *ret_from, uint64_t *ret_to,
				usec_t *ret_begun);
/* Ends it: its time counts. */
void serve_range_end(struct registry_server *s, usec_t begun);

/* Answers what is asked under /claims; `rest` is the target behind that.  False: there is no such
 * thing, and nothing was answered. */
MUST_USE bool serve_claims(struct registry_server *s, struct evhttp_request *req, const char *rest);

#endif
