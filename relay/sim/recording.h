/* SPDX-License-Identifier: Apache-2.0
 * Reads a recording (relay/gateway/record.h): its head, and its entries in order.
 *
 * Pure: bytes in, structs that point into them out.  What is read is of the right form and can be
 * trusted no further than that.  A recording that breaks off within an entry is one that ends
 * before it. */
#ifndef RELAY_SIM_RECORDING_H
#define RELAY_SIM_RECORDING_H

#include "relay/base/bytes.h"
#include "relay/base/err.h"
#include "relay/base/ids.h"

#define RECORDING_BYTES_MAX ((uint64_t)4 << 30) /* of a file that is read */
#define ENTRY_FIELDS_MAX 7			/* after KIND, and T and W */

enum entry_kind {
	/* what comes in */
	ENTRY_TICK,
	ENTRY_ALARM,
	ENTRY_CUT,
	ENTRY_KICK,
	ENTRY_END,
	ENTRY_ACCOUNT,
	ENTRY_REQUEST,
	ENTRY_GONE,
	ENTRY_UP,
	ENTRY_DOWN,
	ENTRY_FAULT,
	ENTRY_FRAME,
	ENTRY_LEAF,
	ENTRY_COMMITTED,
	ENTRY_INPUTS, /* all below are those before */
	/* what was read, and done */
	ENTRY_VIEW = ENTRY_INPUTS,
	ENTRY_REPORT,
	ENTRY_OWED,
	ENTRY_FULL,
	ENTRY_NO_ROOM,
	ENTRY_STALLED,
	ENTRY_NAMED,
	ENTRY_SENT,
	ENTRY_RETRY,
	ENTRY_HEDGE,
	ENTRY_ASIDE,
	ENTRY_ANSWER,
	ENTRY_BROKEN,
	/* the head */
	ENTRY_GATEWAY,
	ENTRY_SEED,
	ENTRY_REGISTRY_KEY,
	ENTRY_CLOCK,
	ENTRY_CONFIG,
	ENTRY_KINDS
};

struct entry {
	enum entry_kind kind;
	usec_t at_us;			   /* of the input, or the one that it stands below */
	int64_t wall_ms;		   /* the same; both since the head's clock */
	uint64_t number[ENTRY_FIELDS_MAX]; /* fields that are numbers, in their places */
	struct view word[ENTRY_FIELDS_MAX];
	uint8_t key[32]; /* the field that is 64 hex digits */
	struct view payload;
	struct view text; /* all of it */
};

struct recording {
	struct key_id gateway;
	struct hash seed;
	struct key_id registry_key;
	usec_t mono_us;
	msec_t wall_ms;
	struct view config; /* lines of config_words() */
	struct entry *entries;
	size_t n;
	size_t head; /* entries of the head, among them */
	bool ended;  /* it has its END */
};

/* Name of a kind, as it stands in the file. */
const char *entry_kind_name(enum entry_kind kind);

/* Reads one entry at the start of `in`.  at_us and wall_ms are left alone for one that has no time.
 *
 * Out:    ret_used  its bytes; 0 when it is not all there
 * Errors: ERR_FORMAT.
 */
MUST_USE bool entry_read(struct view in, struct entry *ret, size_t *ret_used, struct err *err);

/* Reads a recording.  Errors: ERR_FORMAT, with the number of the entry. */
MUST_USE bool recording_read(struct view bytes, struct recording *ret, struct err *err);
void recording_finish(struct recording *recording);
static inline void recording_finish_at(struct recording *recording)
{
	recording_finish(recording);
}

#endif
