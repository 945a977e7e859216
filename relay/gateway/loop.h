/* SPDX-License-Identifier: Apache-2.0
 * A worker and its loop: what is to be done (worker.c), and when (loop.c).  relay/sim has a loop of
 * its own, of recorded times.  Private to relay/gateway and relay/sim. */
#ifndef RELAY_GATEWAY_LOOP_H
#define RELAY_GATEWAY_LOOP_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

struct gateway;
struct worker;

/* What is to be done: each TICK_US; at the time of worker_wake_at(); each gateway.cosign_interval;
 * when the ledger has news; when the gateway is to stop, and again: at once. */
void worker_on_tick(struct worker *w);
void worker_on_alarm(struct worker *w);
void worker_on_cosign(struct worker *w);
void worker_on_ledger(struct worker *w);
void worker_on_stop(struct worker *w);

/* --- shared.c --- */
/* Makes what workers share by cfg and seed.  Errors: ERR_CONFIG. */
MUST_USE bool shared_open(struct gateway *g, struct err *err);
/* After all workers; what was not opened is no matter. */
void shared_close(struct gateway *g);
/* The service of this name that is relayed; NULL: none is. */
const struct service_name *shared_service(const struct gateway *g, struct view name);

/* --- loop.c: when --- */
/* Errors: ERR_IO, there is no loop. */
MUST_USE bool loop_open(struct worker *w, struct err *err);
/* The worker's other parts are there: sets the timers. */
void loop_begin(struct worker *w);
/* What was not opened is no matter. */
void loop_close(struct worker *w);
void loop_wake_at(struct worker *w, usec_t at_us);
/* flows_cut() in another turn of the loop, soon. */
void loop_cut_soon(struct worker *w);
void loop_end(struct worker *w);
void *gateway_worker_main(void *arg);

#endif
