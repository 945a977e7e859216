/* SPDX-License-Identifier: Apache-2.0
 * A desk behind a URL, for desk.c alone ([Y5]); each function is that of desk.h. */
#ifndef SESSION_REGISTRY_DESK_URL_H
#define SESSION_REGISTRY_DESK_URL_H

#include "session/registry/desk.h"

struct desk_url;

/* Nothing is sent yet; the URL is copied.  Freed with destroy(); NULL is a no-op. */
struct desk_url *desk_url_create(const char *url, const struct key_id *pinned);
void desk_url_destroy(struct desk_url *d);
/* From any thread. */
void desk_url_stop(struct desk_url *d);

MUST_USE bool desk_url_claim(struct desk_url *d, const struct claim *c, const struct signature *sig,
			     struct view records, struct desk_claim *ret, struct err *err);
MUST_USE bool desk_url_prove(struct desk_url *d, const struct claim_id *id, struct view proof,
			     const struct signature *sig, struct desk_claim *ret, struct err *err);
MUST_USE bool desk_url_look(struct desk_url *d, const struct claim_id *id, struct desk_claim *ret,
			    struct err *err);
/* As they stand in the claims file of the height at which it was recorded; the caller compares them
 * with the claim's root. */
MUST_USE bool desk_url_records(struct desk_url *d, const struct desk_claim *state, struct buf *ret,
			       struct err *err);
MUST_USE bool desk_url_list(struct desk_url *d, const struct key_id *supplier, height_t since,
			    desk_claim_fn *fn, void *arg, struct err *err);

#endif
