/* SPDX-License-Identifier: Apache-2.0
 * What the files of the reader share. */
#ifndef RELAY_LEDGER_READER_INTERNAL_H
#define RELAY_LEDGER_READER_INTERNAL_H

#include <errno.h>
#include <stdio.h>

#include "relay/ledger/internal.h"
#include "relay/ledger/reader.h"

#define READER_DAYS 8 /* connections kept; the one used longest ago goes */

struct reader_day {
	uint32_t day; /* 0: free */
	sqlite3 *db;
	uint64_t used;
};

struct ledger_reader {
	char dir[LEDGER_PATH_MAX];
	struct ledger_identity identity;
	sqlite3 *state;
	sqlite3_stmt *lane;
	struct reader_day days[READER_DAYS];
	uint64_t uses;
	uint64_t segment; /* of evidence that segment_fd is open on; 0: none */
	int segment_fd;
};

/* The connection to a day file; NULL with ERR_NOT_FOUND when the file is not there. */
sqlite3 *reader_day(struct ledger_reader *reader, uint32_t day, struct err *err);
MUST_USE bool reader_lane(struct ledger_reader *reader, const struct lane_id *lane,
			  struct ledger_lane_info *ret, uint64_t *ret_number, struct err *err);
void reader_segment_close(struct ledger_reader *reader);
/* The signed head of exactly this size. */
MUST_USE bool reader_head(sqlite3 *db, uint64_t number, uint64_t size, struct ledger_head *ret,
			  struct err *err);

#endif
