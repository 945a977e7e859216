/* SPDX-License-Identifier: Apache-2.0
 * A keeper on an event loop: stores each height's seed when it begins.  Without it a registry gives
 * no further sessions; one keeper at a time is enough, and more do no harm. */
#ifndef SESSION_REGISTRY_KEEPER_H
#define SESSION_REGISTRY_KEEPER_H

#include "session/registry/store.h"

struct event_base;
struct registry_keeper;

/* Starts by storing what is missing up to now.  The store is borrowed; a failed step is logged and
 * tried again.  Errors: ERR_REGISTRY when the first step fails. */
MUST_USE bool registry_keeper_create(struct event_base *base, struct store *store,
				     struct registry_keeper **ret, struct err *err);
void registry_keeper_destroy(struct registry_keeper *keeper);
DEFINE_CLEANUP(struct registry_keeper *, registry_keeper_destroy)

#endif
