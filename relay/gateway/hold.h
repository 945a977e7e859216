/* SPDX-License-Identifier: Apache-2.0
 * Long answers that can be held against themselves ([G9]): their parts are kept back until the last
 * one is there, so that nothing of an answer that is not true has gone to a client.  Bounded for
 * each by gateway.check_max and in all by gateway.check_bytes_max; what is longer flows as it
 * comes.  Private to relay/gateway. */
#ifndef RELAY_GATEWAY_HOLD_H
#define RELAY_GATEWAY_HOLD_H

#include "relay/base/bytes.h"

struct relay;

/* Whether the parts of the relay's answer are to be kept back: it is an answer of parts, to a
 * method of which more than the shape is looked at. */
bool hold_wants(const struct relay *relay);

/* Takes a part into relay->body, or its memory, and makes the node room for the next.  False: there
 * is no room here, and nothing was taken. */
MUST_USE bool hold_take(struct relay *relay, struct buf *part);

/* Hands over what was taken so far, for which the node has been made room already. */
struct buf hold_end(struct relay *relay);

/* Nobody needs what was taken any more.  No-op when nothing was. */
void hold_drop(struct relay *relay);

#endif
