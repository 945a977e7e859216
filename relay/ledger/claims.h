/* SPDX-License-Identifier: Apache-2.0
 * A supplier's books: what each session earned in each lane, what was claimed of it, and what will
 * never be paid, with the reason.  They stand in claims.db beside state.db, a file of their own
 * (decisions/0023).
 *
 * One thread writes them, the claim machine's (relay/node/claims); others and other processes open
 * them to read.  Every change is one transaction, durable when the call returns; a call that fails
 * has changed nothing.  No network and no registry here: prices and windows are told by the caller.
 *
 * Units are counted behind a cursor in each lane, which never passes its cosigned head; what lies
 * beyond is the lane's tail.  So of any row
 *
 *	cosigned_cu + tail_cu = what was served,
 *
 * and a claim can be made of cosigned_cu at any time.
 *
 *	(earned) --claims_prepare()--> PREPARED --> RECORDED --> PROVED --> PAID
 *	                                  |            |  \________|_______^
 *	                                  v            v           v
 *	                                LOST        FORFEITED <----+
 */
#ifndef RELAY_LEDGER_CLAIMS_H
#define RELAY_LEDGER_CLAIMS_H

#include "relay/ledger/reader.h"
#include "relay/receipt/claim.h"
#include "relay/receipt/tree.h"
#include "session/params.h"

#define CLAIMS_BUSY_MS 1000    /* a lock that another connection holds for longer is an error */
#define CLAIMS_CHUNK 2048      /* leaves read at once */
#define CLAIMS_MARK_LEAVES 256 /* from a mark of a session to the next, at least, and */
#define CLAIMS_MARK_OWN 16     /* so many of the session's own, unless it is as far as */
#define CLAIMS_MARK_FAR 16384  /* leaves: a leaf is found by reading so many at most */
#define CLAIMS_REASON_MAX 64   /* bytes of a reason, with its NUL */

struct claims; /* the open books; for one thread */

/* Opens the books of the supplier whose ledger is in this directory; they are made unless
 * `readonly`.
 *
 * Errors: ERR_NOT_FOUND (readonly, and there are none), ERR_LEDGER when they are another key's,
 *         broken or newer, ERR_LEDGER_FULL, ERR_IO.
 */
MUST_USE bool claims_open(const char *ledger_dir, const struct key_id *self, bool readonly,
			  struct claims **ret, struct err *err);
void claims_close(struct claims *claims); /* NULL is a no-op */
DEFINE_CLEANUP(struct claims *, claims_close)

/* --- counting what was earned --- */

/* Counts leaves that have come under a cosigned head since the last call, in slices.  The first
 * call after claims_open() looks at all lanes, the others at those that can still change.  A lane
 * that has fewer leaves than were counted, or others (a copy of the ledger was put back), is
 * counted anew.
 *
 * In:     reader     of the same directory, the caller's own
 *         budget_us  after which the call ends; at least one chunk of leaves is counted
 * Out:    ret_more   the round is not over: no claim should be made before it is.  What came after
 *                    a round began is the next one's
 * Errors: those of the reader; ERR_LEDGER, ERR_LEDGER_FULL when the books cannot be written.
 */
MUST_USE bool claims_tally(struct claims *claims, struct ledger_reader *reader, usec_t budget_us,
			   bool *ret_more, struct err *err);

/* Numbers of the file. */
enum claims_state {
	CLAIMS_PREPARED = 1,  /* signed and kept; the registry may or may not have it */
	CLAIMS_RECORDED = 2,  /* the registry has it; its challenge is drawn later */
	CLAIMS_PROVED = 3,    /* the proof is made and kept; the registry may or may not have it */
	CLAIMS_PAID = 4,      /* settled */
	CLAIMS_FORFEITED = 5, /* settled: no right proof in time */
	CLAIMS_LOST = 6,      /* refused for good */
};
#define CLAIMS_STATES 7
const char *claims_state_name(enum claims_state state); /* "prepared" */

/* Sessions of which the books know units and not whose they are: their leaves were adopted [L8],
 * and all else of them was lost.  They are in no other list. */
typedef bool claims_nameless_fn(void *arg, const struct session_id *session);
MUST_USE bool claims_each_nameless(struct claims *claims, claims_nameless_fn *fn, void *arg,
				   struct err *err);
/* Says whose such a session is, by whoever has found it; no change when the books know it. */
MUST_USE bool claims_name_session(struct claims *claims, const struct ledger_session *session,
				  struct err *err);

/* When and at what price a session is claimed under one grant; heights are those of the registry.
 */
struct claims_terms {
	uint64_t price;	 /* token units per CU; 0: it earns nothing, and nothing is owed */
	u128 allowance;	 /* token units that the session may pay under the grant; 0: none is active
			  */
	height_t opens;	 /* first height at which a claim of this session alone is accepted */
	height_t closes; /* first at which it is too late */
};

/* What one session earned in one lane. */
struct earned_row {
	struct session_id session;
	struct key_id application;
	struct key_id gateway;
	struct service_name service;
	height_t start;
	struct lane_id lane;
	uint64_t first_seq; /* of its leaves that cost */
	uint64_t last_seq;
	cu_t cosigned_cu;      /* under the lane's cosigned head: can be claimed */
	cu_t tail_cu;	       /* not under it */
	uint64_t head_size;    /* of that head; 0: none */
	struct hash head_root; /* of that head */
	bool lane_behind; /* leaves of that head are not counted, or not here: do not claim yet */
	bool lane_closed; /* what is in the tail is undelivered, for good */
	bool has_terms;
	struct claims_terms terms;
	bool claimed;	 /* its start lies in the range of a claim; that is so for good */
	cu_t claimed_cu; /* of it, in that claim's record */
	enum claims_state claim_state;
	bool claim_has_records; /* false: adopted without them */
	cu_t lost_cu;		/* of it, besides what is lost with its claim */
	cu_t lost_tail_cu;	/* of that, what was lost for want of a cosigned head */
};
/* Borrowed for the call; return false to end. */
typedef bool earned_fn(void *arg, const struct earned_row *row);

/* Calls fn for each row of which something may still become and which lies in no claim's range,
 * with from <= start < to, sorted by (application, gateway, service, start, lane).  The books must
 * not be written within fn. */
MUST_USE bool claims_each_earned(struct claims *claims, height_t from, height_t to, earned_fn *fn,
				 void *arg, struct err *err);
/* The same for all rows, settled ones too. */
MUST_USE bool claims_each_row(struct claims *claims, height_t from, height_t to, earned_fn *fn,
			      void *arg, struct err *err);

/* Writes down the terms of (application, gateway, service) in the session of a start; told again
 * they replace those before. */
MUST_USE bool claims_set_terms(struct claims *claims, const struct key_id *application,
			       const struct key_id *gateway, const struct service_name *service,
			       height_t start, const struct claims_terms *terms, struct err *err);

/* When heights are, for whoever reads the books without the registry. */
MUST_USE bool claims_set_clock(struct claims *claims, const struct session_clock *clock,
			       struct err *err);
/* ERR_NOT_FOUND before it was told. */
MUST_USE bool claims_clock(struct claims *claims, struct session_clock *ret, struct err *err);

/* Seq of the leaf of a session in a lane whose interval [cu_before, cu_before + cu) holds z.
 * Reads CLAIMS_MARK_FAR leaves at most.  Errors: ERR_NOT_FOUND when z is not below what was
 * counted, or the leaves are gone. */
MUST_USE bool claims_find_leaf(struct claims *claims, struct ledger_reader *reader,
			       const struct lane_id *lane, const struct session_id *session, cu_t z,
			       uint64_t *ret_seq, struct err *err);

/* That leaf, and its inclusion path in the tree of the lane's first `size` leaves: what a proof
 * needs.  Errors: ERR_NOT_FOUND also when the leaf is not below size. */
MUST_USE bool claims_prove_leaf(struct claims *claims, struct ledger_reader *reader,
				const struct lane_id *lane, const struct session_id *session,
				cu_t z, uint64_t size, uint8_t ret_leaf[LEDGER_LEAF_BYTES],
				struct tree_proof *ret_path, struct err *err);

/* The earliest UTC day (yyyymmdd) whose leaves are still needed: something of it was not counted,
 * may be claimed or challenged; UINT32_MAX when none is. */
MUST_USE bool claims_needed_day(struct claims *claims, uint32_t *ret, struct err *err);

/* --- what became of it --- */

/* The arrows of the diagram above. */
bool claims_edge_is_legal(enum claims_state from, enum claims_state to);

/* Why units will never be paid; the name is the reason in files, metrics and tables. */
enum claims_loss {
	LOSS_UNDELIVERED,      /* the gateway says that it never got them, and its lane is closed */
	LOSS_NO_COSIGNED_HEAD, /* the window closed before the gateway had signed for them */
	LOSS_WINDOW_CLOSED,    /* nothing was claimed in time */
	LOSS_OVER_ALLOWANCE,   /* more than the session may pay */
	LOSS_NO_GRANT,	       /* none was active in the session */
	LOSS_AFTER_CLAIM,      /* came to light after their range had been claimed */
	LOSS_REFUSED,	/* the registry refused the claim, by the reason that stands with it */
	LOSS_FORFEITED, /* no right proof in time */
	LOSS_SESSION_UNKNOWN, /* the registry knows no such session, now that its window closed */
	LOSS_COUNT
};
const char *claims_loss_name(enum claims_loss loss); /* "no_cosigned_head" */

/* Units of one row. */
struct claims_lost {
	struct lane_id lane;
	struct session_id session;
	enum claims_loss reason;
	cu_t cu;
	u128 value;
};

/* Keeps a claim that has not been sent yet, with the cosigned heads that its records name, and
 * what of its range is lost by its making.
 *
 * In:     records  n x CLAIM_RECORD_SIZE; each names the cosigned head that its row was told with
 *         lost     of the same range; n may be 0
 * Errors: ERR_LEDGER when its range overlaps that of another claim or a record is of a row or head
 *         that the books do not have; as above.
 */
MUST_USE bool claims_prepare(struct claims *claims, const struct claim *claim,
			     const struct signature *signature, struct view records,
			     const struct claims_lost *lost, size_t lost_n, struct err *err);

/* Keeps a claim that the registry has and these books had lost, as RECORDED.  Its records may be
 * of rows and heads that are not in the books yet: claims_join_late() gives it what comes to light.
 * records.n = 0 when they are not needed, for it is settled: nothing is proved of it.
 *
 * Errors: ERR_LEDGER when its range overlaps that of another claim; as above. */
MUST_USE bool claims_adopt(struct claims *claims, const struct claim *claim,
			   const struct signature *signature, struct view records,
			   height_t recorded, height_t challenge, height_t due, struct err *err);

/* Gives claims the rows and cosigned heads of their records that came to light after they were
 * adopted, and closes rows that came to light in the range of a settled one.  A head is there for
 * as long as its lane has no larger one: so after each claims_tally() that has counted all. */
MUST_USE bool claims_join_late(struct claims *claims, struct err *err);

/* What comes with a state. */
struct claims_change {
	enum claims_state to;
	height_t recorded, challenge, due; /* RECORDED */
	struct view proof;		   /* PROVED: encoded */
	struct signature proof_signature;  /* PROVED */
	height_t settled;		   /* PAID, FORFEITED, LOST */
	u128 burned;			   /* FORFEITED: tokens of stake */
	const char *reason;		   /* FORFEITED, LOST: a word of the registry */
};

/* Moves a claim along an arrow (asserted).  FORFEITED and LOST write down what is lost by it.
 * Errors: ERR_NOT_FOUND; ERR_LEDGER, ERR_LEDGER_FULL. */
MUST_USE bool claims_set_state(struct claims *claims, const struct claim_id *id,
			       const struct claims_change *change, struct err *err);

/* Units that will not be paid, of rows that need not lie in a claim's range.  The same row and
 * reason told again replaces what was said before. */
MUST_USE bool claims_lose(struct claims *claims, const struct claims_lost *lost, size_t n,
			  struct err *err);

/* A claim as the books have it, without its long parts. */
struct claims_row {
	struct claim_id id;
	struct key_id application;
	struct key_id gateway;
	struct service_name service;
	height_t from, to;
	uint32_t records;
	bool has_records; /* false: adopted without them */
	cu_t cu;
	u128 value;
	enum claims_state state;
	msec_t prepared_ms;
	msec_t changed_ms;
	height_t recorded; /* 0: not yet, also below */
	height_t challenge;
	height_t due;
	height_t settled;
	height_t closes; /* of the range, by its first session's terms; 0: not known */
	u128 burned;
	char reason[CLAIMS_REASON_MAX];
};
typedef bool claims_fn(void *arg, const struct claims_row *row);
/* Calls fn for each claim, oldest first, or only for those that are not settled. */
MUST_USE bool claims_each(struct claims *claims, bool only_open, claims_fn *fn, void *arg,
			  struct err *err);

/* A claim whole. */
struct claims_full {
	struct claims_row row;
	struct claim claim;
	struct signature signature;
	struct buf records; /* empty: there are none */
	struct signature proof_signature;
	struct buf proof; /* empty: not made yet */
};
/* Errors: ERR_NOT_FOUND.  claims_full_finish() frees. */
MUST_USE bool claims_read(struct claims *claims, const struct claim_id *id, struct claims_full *ret,
			  struct err *err);
void claims_full_finish(struct claims_full *full);
static inline void claims_full_finish_at(struct claims_full *full)
{
	claims_full_finish(full);
}

/* The cosigned head that a record names, for the note of a proof: the supplier's own signature is
 * made anew.  Errors: ERR_NOT_FOUND. */
MUST_USE bool claims_head_read(struct claims *claims, const struct lane_id *lane, uint64_t size,
			       struct ledger_cosigned *ret, struct err *err);

/* Units that are lost, one line of the books. */
struct claims_lost_row {
	struct session_id session;
	struct key_id application;
	struct key_id gateway;
	struct service_name service;
	height_t start;
	struct lane_id lane;
	char reason[CLAIMS_REASON_MAX]; /* claims_loss_name() */
	cu_t cu;
	u128 value;
	bool has_claim;
	struct claim_id claim;
	msec_t noted_ms;
};
typedef bool claims_lost_fn(void *arg, const struct claims_lost_row *row);
MUST_USE bool claims_each_lost(struct claims *claims, claims_lost_fn *fn, void *arg,
			       struct err *err);

/* --- income --- */

struct claims_amount {
	cu_t cu;
	u128 value; /* tokens; of units whose price was not told yet: 0 */
};

/* What one application's sessions of a service came to.  Every unit that was served is in exactly
 * one of the parts: earned = free + at_risk + claimable + claimed + paid + the sum of lost. */
struct claims_income {
	struct service_name service; /* "": of sessions that nobody knows any more */
	struct key_id application;
	struct claims_amount earned;
	struct claims_amount free;	/* at a price of 0 */
	struct claims_amount at_risk;	/* the gateway has not signed for them yet */
	struct claims_amount claimable; /* under a cosigned head, in no claim yet */
	struct claims_amount claimed;	/* in a claim that is not settled */
	struct claims_amount paid;
	struct claims_amount lost[LOSS_COUNT];
	cu_t unpriced_cu; /* of all these, what has no price yet */
};

/* Sums up all rows and losses.
 *
 * Out: ret  *ret_n of them, sorted by (service, application), freed with free()
 * Cost: a few us a row.
 */
MUST_USE bool claims_income(struct claims *claims, struct claims_income **ret, size_t *ret_n,
			    struct err *err);

#endif
