/* SPDX-License-Identifier: Apache-2.0
 * Filters, answered by the gateway: what a client has been told so far is kept here (filters.h),
 * and what is new since is asked for, each time anew and of whoever is there.  So a filter outlives
 * its node and its session, and each answer has the receipts of all that it is made of ([G7]).
 *
 * A poll asks for the newest block; then, from the newest of those that were told down, whether
 * they are still of the chain; then for what is above the first that is: logs by number up to the
 * newest block, and of that one by its hash, so that no backend that has not got it can say that
 * there are none.  The filter changes only when all of this is there: a poll that fails can be
 * repeated, and nothing is told twice or lost.  A head that has gone back is waited for.
 *
 * Private to poll.c and changes.c. */
#ifndef RELAY_GATEWAY_POLLS_H
#define RELAY_GATEWAY_POLLS_H

#include "relay/gateway/internal.h"

struct poll {
	struct work work;
	struct call *call;
	const struct chain *chain;
	enum chain_filter_call what;
	bool lent; /* filter is, and must be given back */
	struct filter_id id;
	struct filter filter;
	struct chain_logs read; /* of filter.text */
	struct whole whole;	/* the question that is out */
	struct logs logs;	/* or this one */
	size_t sum;
	struct chain_block head;
	size_t keep;	    /* blocks of filter.told that may still be of the chain */
	uint64_t next;	    /* the first block that is asked for anew */
	struct track fresh; /* what is new */
};

static inline struct worker *poll_worker(const struct poll *poll)
{
	return poll->call->request->worker;
}

/* The head is there: goes on with what has changed since the filter was last polled. */
void poll_tell_changes(struct poll *poll);

/* The poll is gone when any of these returns; it has made its answer, or gets an error. */
void poll_settle(struct poll *poll);
void poll_fail(struct poll *poll, const struct err *why);
void poll_nothing_new(struct poll *poll);

/* The answer's result is appended to this, and then ended, and the poll settled. */
struct buf *poll_begin_result(struct poll *poll);
void poll_end_result(struct poll *poll);

/* Asks; the poll may be gone when these return. */
void poll_ask(struct poll *poll, const struct buf *text, void (*on_end)(struct whole *whole));
void poll_ask_block(struct poll *poll, const struct chain_ref *ref,
		    void (*on_end)(struct whole *whole));
void poll_begin_logs(struct poll *poll, uint64_t first, uint64_t last,
		     void (*on_end)(struct logs *logs));
/* Note the receipts of what was answered.  False: it was no result, and the poll is gone. */
MUST_USE bool poll_has_result(struct poll *poll, struct whole *whole);
MUST_USE bool poll_has_logs(struct poll *poll, struct logs *logs);

/* The blocks that the filter is about, of those from `from` on that the chain has. */
void poll_bounds(const struct poll *poll, uint64_t from, uint64_t *ret_first, uint64_t *ret_last);

#endif
