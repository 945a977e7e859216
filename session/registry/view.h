/* SPDX-License-Identifier: Apache-2.0
 * Making views: for the follower, and for auditors that have a registry file.  What a view tells is
 * in registry.h. */
#ifndef SESSION_REGISTRY_VIEW_H
#define SESSION_REGISTRY_VIEW_H

#include "session/registry/registry.h"

/* Makes a view with one ref.
 *
 * In:     history    sealed; the view takes a ref of its own
 *         key        the registry key
 *         seeds      of any heights; those that no session needs are left out of the view
 *         last_seed  the largest height whose seed the registry has stored
 *         before     the view that this one follows, for its tables; may be NULL
 * Cost:   the tables of the newest sessions, unless `before` has them already.
 */
struct registry_view *registry_view_create(struct history *history, const struct key_id *key,
					   const struct seed_run *seeds, height_t last_seed,
					   const struct registry_view *before);

#endif
