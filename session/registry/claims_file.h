/* SPDX-License-Identifier: Apache-2.0
 * The claims file: what a registry was told of claims and proofs, and what it decided, as one
 * canonical signed note for auditors ([Y4]).
 *
 * As with registry files one state has one text, and what is parsed must be the encoding of what it
 * gave.  Here the form alone is checked: whether the registry decided rightly is the auditor's to
 * find out.  Pure but for memory; no network. */
#ifndef SESSION_REGISTRY_CLAIMS_FILE_H
#define SESSION_REGISTRY_CLAIMS_FILE_H

#include "relay/base/bytes.h"
#include "relay/crypto/key.h"
#include "relay/receipt/claim.h"

#define CLAIMS_HEAD "counterfoil/claims/v1\n"
#define CLAIMS_FILE_MAX (64u << 20) /* bytes of a file */
#define CLAIMS_FILE_REASON_MAX 63   /* bytes: the name of a fault */

/* What became of a claim at its registry.  The numbers stand in the sqlite file. */
enum desk_state {
	DESK_UNKNOWN = 0,   /* it never came, or was refused */
	DESK_RECORDED = 1,  /* accepted; its challenge is drawn or will be, a proof is due */
	DESK_PAID = 2,	    /* proved, and paid */
	DESK_FORFEITED = 3, /* no right proof came in time */
};

/* "unknown", "recorded", "paid", "forfeited". */
const char *desk_state_name(enum desk_state state);
MUST_USE bool desk_state_parse(const char *name, size_t n, enum desk_state *ret);

/* What a registry tells of one claim. */
struct desk_claim {
	struct claim_id id;
	enum desk_state state;
	/* of DESK_RECORDED and later; heights */
	height_t recorded;
	height_t challenge; /* its seed is the challenge */
	height_t due;	    /* last height at which a proof counts */
	height_t settled;   /* 0 while it is open */
	bool has_seed;
	struct seed seed; /* the challenge, once it is drawn */
	u128 value;
	u128 paid;
	u128 burned;				 /* stake, what thawed included */
	char reason[CLAIMS_FILE_REASON_MAX + 1]; /* of a forfeit: the name of the last fault */
};

/* False stops the listing. */
typedef bool desk_claim_fn(void *arg, const struct claim *c, const struct desk_claim *state);

struct claims_entry {
	struct claim claim;
	struct claim_id id;
	struct signature signature;
	struct buf records; /* n x CLAIM_RECORD_SIZE bytes */
	height_t recorded;
	height_t due; /* last height at which a proof counted ([C11], [Y4]) */
	enum desk_state state;
	height_t settled; /* 0 while it is open */
	struct buf proof; /* the right one, or the last wrong one; may be empty */
	struct signature proof_signature;
	u128 paid;		  /* to the supplier's owner */
	u128 burned, burned_thaw; /* of the supplier's stake: what stood, what was on its way out */
	char reason[CLAIMS_FILE_REASON_MAX + 1]; /* of a forfeit; else empty */
};

struct claims_file {
	struct network_id network;
	height_t height;   /* of the registry when the file was written */
	height_t from, to; /* all claims that were recorded at from <= height < to */
	size_t n, cap;
	struct claims_entry *v; /* sorted by (recorded, id) */
};

/* Frees what the struct holds; a zeroed one is fine. */
void claims_file_finish(struct claims_file *f);
static inline void claims_file_finish_at(struct claims_file *f)
{
	claims_file_finish(f);
}

/* Another entry at the end, zeroed, to be filled in. */
struct claims_entry *claims_file_add(struct claims_file *f);

/* Appends the text: "counterfoil/claims/v1\n" and one line of JSON. */
void claims_file_encode(const struct claims_file *f, struct buf *out);

/* Appends the whole note, signed by the registry key. */
void claims_file_sign(const struct claims_file *f, const struct relay_key *key, struct buf *out);

/* Reads a note.
 *
 * In:     bytes    the file; at most CLAIMS_FILE_MAX
 *         pinned   the registry key that must have signed it
 * Out:    ret      finish it with claims_file_finish()
 * Errors: ERR_NOTE, ERR_SIGNATURE, ERR_FORMAT (names the member).
 */
MUST_USE bool claims_file_parse(struct view bytes, const struct key_id *pinned,
				struct claims_file *ret, struct err *err);

/* As above for the text of a note without its signatures: for tests and fuzzers. */
MUST_USE bool claims_file_parse_text(struct view text, struct claims_file *ret, struct err *err);

#endif
