/* SPDX-License-Identifier: Apache-2.0
 * Whether an answer can be true, by what it says itself ([G9]): looked at before a client gets it,
 * at no further call.  Whole answers only; long ones are kept back until they are (hold.h).
 * Private to relay/gateway. */
#ifndef RELAY_GATEWAY_VERIFY_H
#define RELAY_GATEWAY_VERIFY_H

#include "chains/verify.h"
#include "relay/base/err.h"

struct ask;
struct relay;
struct verification;
struct worker;

/* What is looked at in an answer to the ask, which has a session. */
enum chain_look verify_look(const struct ask *ask);

/* Reads the answer that the relay has brought into ask->answer, looks at it and sets
 * ask->recomputed.
 * Errors: ERR_UPSTREAM, with the reason: it is no answer, or no honest backend says this.  That is
 *         logged with its receipt; the answer itself stays in the ledger's evidence like every
 *         other. */
MUST_USE bool verify_answer(struct ask *ask, const struct relay *relay, struct err *err);

/* Frees what the worker remembers of its services' networks. */
void verify_finish(struct worker *w);

#endif
