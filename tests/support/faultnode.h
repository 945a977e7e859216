/* SPDX-License-Identifier: Apache-2.0
 * A backend that misbehaves on order: HTTP/1.1 and JSON-RPC over raw libevent, following a script.
 * For tests only.  It runs in a test's own loop, or as the program `faultnode`.
 *
 * A script is JSON:
 *
 *	{"default": ACTION, "methods": {NAME: ACTION}, "about": {TEXT: ACTION},
 *	 "queue": [ACTION, ...], "drop": false}
 *
 * The queue is used up first, then the action of a text that the call has somewhere, then the
 * method's, then the default.  drop: true closes all
 * connections, those in use too, when the script is set.  An ACTION is an object of
 *
 *	what is said
 *	result      the JSON-RPC result, any JSON (default "0x1")
 *	size        a result of so many bytes: a huge answer
 *	long        a result of so many bytes, made while it is sent (beside it: id_last, cut
 *"half") echo        true: the result is `params` error       the JSON-RPC error object id answer
 *with this id instead of the call's: a wrong id id_last     true: the id comes after the result
 *	after       these bytes behind the JSON-RPC answer
 *	body        this body instead of JSON-RPC: HTML, broken JSON, nothing
 *	status      the HTTP status, default 200: 5xx, 429, 302
 *	type        the content type
 *	headers     an object of more header fields: {"Retry-After": "5"}
 *	chunked     true: chunked transfer
 *	raw         these bytes instead of a HTTP answer
 *
 *	how it is said
 *	delay_ms    wait before the answer
 *	hold        true: answer when the next script is set
 *	hang        true: never answer, a black hole
 *	drip_ms     send `drip_bytes` (default 16) at a time, this far apart: a slow drip
 *	cut         close instead of the answer ("before"; "reset" with a RST), 20 bytes before its
 *end
 *	            ("half"; chunked: within a chunk; else the body is shorter than its length), or
 *	            after it ("after")
 *	times       how often an entry of the queue is used, default 1
 *
 * eth_chainId is what nodes probe with: it takes nothing from the queue, and unless `methods` names
 * it, it is answered as the default says but with the result "0x1".  PUT /script replaces the
 * script; GET /stats tells what was seen. */
#ifndef TESTS_SUPPORT_FAULTNODE_H
#define TESTS_SUPPORT_FAULTNODE_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"

struct event_base;
struct faultnode;

struct faultnode_stats {
	unsigned connections; /* accepted since start */
	unsigned open;
	unsigned busy;	   /* requests that are being answered now, probes not counted */
	unsigned most;	   /* the largest that busy ever was */
	unsigned requests; /* read whole, probes and admin ones not counted */
};

/* Listens on 127.0.0.1; port 0: any free one. */
MUST_USE bool faultnode_create(struct event_base *base, uint16_t port, struct faultnode **ret,
			       struct err *err);
void faultnode_destroy(struct faultnode *node);
uint16_t faultnode_port(const struct faultnode *node);
MUST_USE bool faultnode_script(struct faultnode *node, const char *json, struct err *err);
const struct faultnode_stats *faultnode_stats(const struct faultnode *node);
/* The body of the last request, probes apart; valid until the next. */
struct view faultnode_last(const struct faultnode *node);
/* Closes all connections, idle ones too. */
void faultnode_drop(struct faultnode *node);

#endif
