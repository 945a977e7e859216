/* SPDX-License-Identifier: Apache-2.0
 * A backend that misbehaves on order: HTTP/1.1 and JSON-RPC over raw libevent, following a script.
 * For tests only.  It runs in a test's own loop, or as the program `faultnode`.
 *
 * A script is JSON: {"default": ACTION, "methods": {NAME: ACTION}, "queue": [ACTION, ...]}; the
 *queue is used up first, then the method's action, then the default.  An ACTION is an object of
 *	result    the JSON-RPC result, any JSON               size      a result of that many bytes
 *	error     the JSON-RPC error object                   echo      true: the result is `params`
 *	id        answer with this id instead of the call's   body      raw body instead of JSON-RPC
 *	status    HTTP status, default 200                    type      content type
 *	delay_ms  wait before the answer                      hang      true: never answer
 *	cut       "before" | "half" | "after" | "reset": close instead of, within, or after the
 *answer drip_ms   send `drip_bytes` (default 16) at a time, this far apart chunked   true: chunked
 *transfer; with cut "half" the connection ends within a chunk times     how often an entry of the
 *queue is used, default 1 PUT /script replaces the script; GET /stats tells what was seen. */
#ifndef TESTS_SUPPORT_FAULTNODE_H
#define TESTS_SUPPORT_FAULTNODE_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"

struct event_base;
struct faultnode;

struct faultnode_stats {
	unsigned connections; /* accepted since start */
	unsigned open;
	unsigned requests; /* read whole, admin ones not counted */
};

/* Listens on 127.0.0.1; port 0: any free one. */
MUST_USE bool faultnode_create(struct event_base *base, uint16_t port, struct faultnode **ret,
			       struct err *err);
void faultnode_destroy(struct faultnode *node);
uint16_t faultnode_port(const struct faultnode *node);
MUST_USE bool faultnode_script(struct faultnode *node, const char *json, struct err *err);
const struct faultnode_stats *faultnode_stats(const struct faultnode *node);
/* The body of the last request; valid until the next. */
struct view faultnode_last(const struct faultnode *node);
/* Closes all connections, idle ones too. */
void faultnode_drop(struct faultnode *node);

#endif
