/* SPDX-License-Identifier: Apache-2.0
 * One worker of a node: its loop and what hangs on it.  See internal.h. */
#ifndef RELAY_NODE_WORKER_H
#define RELAY_NODE_WORKER_H

#include "relay/node/internal.h"

/* Opens loop, backends, ledger port and listener of worker `index`; p as for node_create(). */
MUST_USE bool worker_create(struct node *node, uint32_t index, const struct node_params *p,
			    struct worker **ret, struct err *err);
void worker_destroy(struct worker *w);
/* Runs until the worker has drained after worker_stop(). */
MUST_USE bool worker_loop(struct worker *w, struct err *err);
/* Any thread, also in a signal handler. */
void worker_stop(struct worker *w);

#endif
