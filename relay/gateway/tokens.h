/* SPDX-License-Identifier: Apache-2.0
 * The secrets in a client's path, and the applications that they pay from.  Private to
 * relay/gateway. */
#ifndef RELAY_GATEWAY_TOKENS_H
#define RELAY_GATEWAY_TOKENS_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

struct tokens; /* token -> application; immutable */

/* Reads a file of them.  Errors: ERR_CONFIG. */
MUST_USE bool tokens_load(const char *path, struct tokens **ret, struct err *err);
void tokens_destroy(struct tokens *tokens);
/* NULL when there is none.  Takes the same time for all tokens that are wrong. */
const struct key_id *tokens_find(const struct tokens *tokens, struct view token);

#endif
