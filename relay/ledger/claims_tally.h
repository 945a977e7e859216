/* SPDX-License-Identifier: Apache-2.0
 * One lane while it is counted: claims_count.c counts its leaves, claims_tally.c says which lane.
 */
#ifndef RELAY_LEDGER_CLAIMS_TALLY_H
#define RELAY_LEDGER_CLAIMS_TALLY_H

#include "relay/ledger/claims_inside.h"
#include "relay/receipt/leaf.h"

#define LEAF_SESSION 16 /* offsets in a leaf [R1] */
#define LEAF_CU_BEFORE 48
#define LEAF_CU 56

/* A row of `earned` while its lane is counted. */
struct tally_row {
	struct session_id id;
	int64_t session;
	int64_t account;
	height_t start;
	cu_t cu;
	cu_t tail_cu;
	uint64_t first_seq;
	uint64_t last_seq;
	int64_t mark_seq;
	uint32_t mark_leaves;
	bool is_new; /* not in the file yet */
	bool changed;
	UT_hash_handle hh;
};

/* One lane while it is counted; all of it goes into one transaction. */
struct tally {
	struct claims *claims;
	struct ledger_reader *reader;
	const struct ledger_lane_info *info;
	int64_t number;	 /* of the lane in the books */
	uint64_t cursor; /* leaves below are counted */
	struct hash last_leaf;
	bool has_last;
	uint64_t size;		/* of the lane when its tail was last counted */
	uint64_t cosigned_size; /* as the books have it */
	bool done, broken;
	bool closed;	 /* as the books have it */
	bool changed;	 /* the lane's row */
	bool unreadable; /* this time */
	uint64_t end;	 /* where the tail begins */
	struct tally_row *rows;
	struct tally_row *row; /* of the leaf before */
	uint8_t *leaves;       /* room for CLAIMS_CHUNK */
};

void tally_rows_free(struct tally *t);
/* Writes what has changed of the rows. */
MUST_USE bool tally_rows_save(struct tally *t, struct err *err);
/* Runs a statement whose one argument is the lane's number. */
MUST_USE bool tally_sql(struct tally *t, enum claims_sql which, struct err *err);
/* Forgets what was counted beyond the cosigned head. */
MUST_USE bool tally_tail_reset(struct tally *t, struct err *err);
/* Reads leaves [from, to), at most a chunk of them.  What cannot be read is no fault of the books:
 * the lane waits. */
size_t tally_read(struct tally *t, uint64_t from, uint64_t to);
/* Logs why a lane must wait, now and then. */
void tally_unreadable(struct claims *claims, const char *why);
/* Counts leaves [from, to), at most a chunk of them; *ret_n: how many, 0 when it cannot. */
MUST_USE bool tally_chunk(struct tally *t, uint64_t from, uint64_t to, size_t *ret_n,
			  struct err *err);

#endif
