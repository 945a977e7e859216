/* SPDX-License-Identifier: Apache-2.0
 * The inside of recovery: recovery.c (life, listings, FETCH of the peer), recovery_adopt.c (one
 * adoption), recovery_gateway.c and recovery_node.c (what each side decides). */
#ifndef RELAY_LINK_RECOVERY_PRIVATE_H
#define RELAY_LINK_RECOVERY_PRIVATE_H

#include <sys/queue.h>

#include <event2/event_struct.h>

#include "relay/crypto/table.h"
#include "relay/link/recovery.h"
#include "relay/receipt/checkpoint.h"
#include "relay/receipt/tree.h"

/* What a lane is to be brought to: a head that the gateway cosigned. */
struct recovery_target {
	struct lane_id lane;
	struct ledger_cosigned head;
};

/* An adoption that waits for its turn, or runs. */
struct recovery_job {
	TAILQ_ENTRY(recovery_job) entry; /* in recovery->jobs; the first one runs */
	struct recovery_target target;
	bool running;
	bool committing;
	uint64_t have; /* leaves in our ledger */
	struct hash have_root;
	uint64_t replayed; /* of these, taken into tree and sums */
	uint64_t asked_to; /* end of the FETCH that is out */
	uint32_t number;   /* its stream */
	struct tree tree;
	struct recovery_sum *sums; /* CU so far of each session in the lane [R7] */
	struct ledger_batch **batches;
	size_t batches_n;
	uint32_t day; /* of the lane's first leaf */
};

struct recovery_sum {
	struct session_id session;
	cu_t cu;
	UT_hash_handle hh;
};

/* Something that the ledger was given to commit. */
struct recovery_op {
	LIST_ENTRY(recovery_op) entry; /* in recovery->ops */
	struct recovery *recovery;     /* NULL: destroyed meanwhile */
	void (*then)(struct recovery *r, struct recovery_op *op, const struct err *err);
	struct recovery_target target;
	uint64_t undelivered;
};

struct recovery {
	struct recovery_params p;
	const struct link_self *self;
	bool is_gateway;
	struct key_id peer;
	struct event ev_step; /* the running job's next step, in its own turn */
	struct event ev_refresh;
	usec_t refresh_us; /* the pause now */
	uint64_t seen;	   /* what was unclosed at the last look */
	bool listed;	   /* the peer's listing is complete */
	size_t told;	   /* lanes in it so far */
	struct frame_lane *theirs;
	size_t theirs_n;
	size_t theirs_cap;
	uint32_t numbers; /* streams used for FETCH */
	TAILQ_HEAD(recovery_jobs, recovery_job) jobs;
	LIST_HEAD(, recovery_op) ops;
	struct recovery_stats stats;
};

/* --- recovery.c --- */
/* A pending commit whose end calls `then`, on this thread, unless recovery is destroyed first. */
struct recovery_op *recovery_op_create(struct recovery *r, const struct recovery_target *target,
				       void (*then)(struct recovery *r, struct recovery_op *op,
						    const struct err *err));
/* ledger_done_fn of every commit of ours; arg is the op. */
void recovery_op_done(void *arg, const struct err *err);
void recovery_lane_names(const struct recovery *r, const struct lane_id *lane,
			 struct checkpoint_lane *ret);
/* Answers for one lane [L7] [L8]. */
void recovery_answer(struct recovery *r, const struct frame_lane *lane);
/* Logs that a lane was left for a later try. */
void recovery_failed(struct recovery *r, const struct lane_id *lane, const struct err *err);
/* An unclosed lane of ours with the peer, or NULL. */
struct ledger_lane *recovery_own(const struct recovery *r, const struct lane_id *lane,
				 struct ledger_unclosed *ret);

/* True when a head of ours does not have the supplier's signature: our disk has changed it, so the
 * lane is given up, and the peer that sees it otherwise is not to blame. */
bool recovery_own_fault(const struct recovery *r, struct ledger_lane *lane,
			const struct lane_id *id, const struct ledger_head *head);

/* --- recovery_adopt.c --- */
/* Queues the adoption of what is missing below target; recovery_adopted() follows. */
void recovery_adopt(struct recovery *r, const struct recovery_target *target);
MUST_USE bool recovery_on_leaves(struct recovery *r, const struct frame *f, struct err *err);
void recovery_step(evutil_socket_t fd, short what, void *arg);
void recovery_job_drop(struct recovery *r, struct recovery_job *job);
/* What the side does when the lane now has the target's leaves: in the sides' files. */
void recovery_gateway_settle(struct recovery *r, const struct lane_id *lane);
void recovery_node_settle(struct recovery *r, const struct recovery_target *target);

/* --- recovery_gateway.c --- */
/* The node's listing is complete, or it is time to look again: decides on every lane.
 * Errors: ERR_PROTOCOL when the node signed two heads of one size. */
MUST_USE bool recovery_gateway_decide(struct recovery *r, struct err *err);
MUST_USE bool recovery_gateway_on_answer(struct recovery *r, const struct frame_lane *lane,
					 struct err *err);

/* --- recovery_node.c --- */
MUST_USE bool recovery_node_on_cosign(struct recovery *r, const struct frame_cosign *cosign,
				      struct err *err);
MUST_USE bool recovery_node_on_answer(struct recovery *r, const struct frame_lane *lane,
				      struct err *err);

#endif
