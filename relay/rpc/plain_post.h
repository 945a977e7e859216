/* SPDX-License-Identifier: Apache-2.0
 * The plainest request that carries a call: a POST of HTTP/1.1 (RFC 9112), whole, with a body of a
 * length that is told, and with nothing in its head that asks for more than an answer.  Not a
 * parser of HTTP: what is written in any other way is not plain, and somebody else reads it. */
#ifndef RELAY_RPC_PLAIN_POST_H
#define RELAY_RPC_PLAIN_POST_H

#include "relay/base/bytes.h"

#define PLAIN_POST_MAX 4096 /* bytes of a request that is looked at */
#define PLAIN_PATH_MAX 256

struct plain_post {
	struct view path; /* letters, digits and /_.~- only, from its / on */
	struct view body; /* up to the last byte */
};

/* Whether these bytes are exactly one plain request; views into them.  Its head has lines of known
 * names only, none of which means that connection, coding or caching are to be other than usual. */
MUST_USE bool plain_post_read(struct view bytes, struct plain_post *ret);

#endif
