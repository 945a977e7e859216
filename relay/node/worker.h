/* SPDX-License-Identifier: Apache-2.0
 * One worker of a node: its loop and what hangs on it.  See internal.h. */
#ifndef RELAY_NODE_WORKER_H
#define RELAY_NODE_WORKER_H

#include "relay/node/internal.h"

/* Opens loop, backends, ledger port and listener of worker `index`; those of a lower index are
 * there.  p as for node_create(). */
MUST_USE bool worker_create(struct node *node, uint32_t index, const struct node_params *p,
			    struct worker **ret, struct err *err);
void worker_destroy(struct worker *w);
/* Runs until the worker has drained after a stop; on the worker's thread. */
void worker_loop(struct worker *w);
/* The node was told to stop, or the registry has published a view.  Any thread. */
void worker_wake(const struct worker *w);
/* The port that it listens on; it does not change, also when the listener is gone. */
uint16_t worker_port(const struct worker *w);

#endif
