/* SPDX-License-Identifier: Apache-2.0
 * What a registry behind a URL is told and what it answers ([Y5]): bodies, and signed answers.
 *
 * Answers are notes of the registry key, so that nobody on the way can tell a supplier that its
 * claim was refused or settled.  Pure. */
#ifndef SESSION_REGISTRY_DESK_WORDS_H
#define SESSION_REGISTRY_DESK_WORDS_H

#include "session/registry/claims_file.h"

#define DESK_HEAD "counterfoil/desk/v1\n"
#define DESK_LIST_MAX 256	     /* claims of one answer */
#define DESK_ANSWER_MAX (512u << 10) /* bytes of one */

/* --- bodies --- */
/* Claim: signature 64 || u32 length || claim bytes || records.  Appended. */
void desk_put_claim(const struct claim *c, const struct signature *sig, struct view records,
		    struct buf *out);
/* *ret_records borrows from the body.  Errors: ERR_FORMAT. */
MUST_USE bool desk_read_claim(struct view body, struct claim *ret, struct signature *ret_sig,
			      struct view *ret_records, struct err *err);
/* Proof: signature 64 || proof. */
void desk_put_proof(struct view proof, const struct signature *sig, struct buf *out);
MUST_USE bool desk_read_proof(struct view body, struct view *ret, struct signature *ret_sig,
			      struct err *err);

/* --- answers --- */
/* The state of a claim. */
void desk_sign_state(const struct network_id *network, const struct desk_claim *state,
		     const struct relay_key *key, struct buf *out);
/* A refusal of what concerns a claim; `why` is that of ERR_CLAIM, beginning with the fault. */
void desk_sign_refusal(const struct network_id *network, const struct claim_id *id,
		       const struct err *why, const struct relay_key *key, struct buf *out);
/* A list: init, add each, sign.  `more`: there are others behind the last. */
struct desk_list_words {
	struct buf items;
	size_t n;
};
void desk_list_add(struct desk_list_words *list, const struct claim *c,
		   const struct desk_claim *state);
void desk_sign_list(const struct network_id *network, const struct key_id *supplier, height_t since,
		    const struct desk_list_words *list, bool more, const struct relay_key *key,
		    struct buf *out);

/* Reads the answer about a claim.
 *
 * In:     bytes    the note, from anybody
 *         pinned   the registry key
 *         id       the claim that was asked about
 * Out:    ret      its state
 * Errors: ERR_CLAIM: a refusal, with its words; ERR_REGISTRY: it is no such answer.
 */
MUST_USE bool desk_read_state(struct view bytes, const struct key_id *pinned,
			      const struct claim_id *id, struct desk_claim *ret, struct err *err);

/* Reads a list for a supplier and height, calling `fn` for each; *ret_last: the last one's state,
 * *ret_more: there are others behind it, *ret_stopped: fn did not want more.
 * Errors: ERR_REGISTRY. */
MUST_USE bool desk_read_list(struct view bytes, const struct key_id *pinned,
			     const struct key_id *supplier, height_t since, desk_claim_fn *fn,
			     void *arg, struct desk_claim *ret_last, bool *ret_more,
			     bool *ret_stopped, struct err *err);

#endif
