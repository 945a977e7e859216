/* SPDX-License-Identifier: Apache-2.0
 * Where a supplier claims: one interface over the sqlite registry on this machine and the one
 * behind a URL ([C1], [Y5]).
 *
 * Every call blocks, at most DESK_TIMEOUT_MS, so a thread that may wait makes it.  All of it is
 * idempotent: the same claim or proof again gives the state that it has; after a call whose result
 * is unknown it is simply made again, or the claim is looked up. */
#ifndef SESSION_REGISTRY_DESK_H
#define SESSION_REGISTRY_DESK_H

#include "session/registry/claims_file.h"

#define DESK_TIMEOUT_MS 30000 /* a call is over by then */
#define DESK_RECORDS_MAX 6400 /* of one claim, just below 1 MB; the rules allow more */

struct desk; /* for one thread */

/* Opens the registry that takes the claims.
 *
 * In:     source  path of a sqlite registry, which must be writable, or the URL of a `registry
 *                 serve`; a registry file cannot take claims
 *         pinned  the registry key, which signs the answers of a URL; for a sqlite registry NULL,
 *                 or compared with its own key
 * Errors: ERR_REGISTRY.  A URL is not asked yet: a desk that is out of reach opens all the same.
 */
MUST_USE bool desk_open(const char *source, const struct key_id *pinned, struct desk **ret,
			struct err *err);
void desk_close(struct desk *desk);
DEFINE_CLEANUP(struct desk *, desk_close)

/* From any thread: the call under way, and every later one, ends with ERR_REGISTRY. */
void desk_stop(struct desk *desk);

/* Hands in a claim with all its records.
 *
 * Errors: ERR_CLAIM, definite: the message begins with the fault's name (settle_fault_name()), and
 *         of all faults only `early` passes with time.  ERR_REGISTRY: out of reach, busy or unable;
 *         it may or may not have been recorded, hand it in again.
 */
MUST_USE bool desk_claim(struct desk *desk, const struct claim *c, const struct signature *sig,
			 struct view records, struct desk_claim *ret, struct err *err);

/* Hands in the proof of a recorded claim; errors as above.  A wrong proof costs nothing while the
 * time of the proof has not passed.  A claim that is settled already gives its state, and one that
 * never came DESK_UNKNOWN. */
MUST_USE bool desk_prove(struct desk *desk, const struct claim_id *id, struct view proof,
			 const struct signature *sig, struct desk_claim *ret, struct err *err);

/* The state of a claim; one that never came is DESK_UNKNOWN.  Errors: ERR_REGISTRY. */
MUST_USE bool desk_look(struct desk *desk, const struct claim_id *id, struct desk_claim *ret,
			struct err *err);

/* All claims of a supplier with to > since, ordered by (recorded, id): for one whose own books were
 * lost.  Errors: ERR_REGISTRY. */
MUST_USE bool desk_list(struct desk *desk, const struct key_id *supplier, height_t since,
			desk_claim_fn *fn, void *arg, struct err *err);

/* The records of a claim that a listing or a look told of, appended.  They are public; whoever gave
 * them, they are those of the claim's root.  Errors: ERR_REGISTRY. */
MUST_USE bool desk_records(struct desk *desk, const struct claim *c, const struct desk_claim *state,
			   struct buf *ret, struct err *err);

#endif
