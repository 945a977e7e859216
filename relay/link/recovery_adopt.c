/* SPDX-License-Identifier: Apache-2.0
 * One adoption: what a ledger lost is fetched from the other side, checked against a head that was
 * cosigned, and given to the ledger as a whole ([L9]).  Jobs run one after the other. */
#include <assert.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/link/recovery_private.h"
#include "relay/receipt/leaf.h"

#define STEP_LEAVES 2048 /* of our own that a turn reads again */

static void sums_finish(struct recovery_job *job)
{
	struct recovery_sum *sum, *next;

	HASH_ITER (hh, job->sums, sum, next) {
		HASH_DEL(job->sums, sum);
		free(sum);
	}
}

void recovery_job_drop(struct recovery *r, struct recovery_job *job)
{
	TAILQ_REMOVE(&r->jobs, job, entry);
	for (size_t i = 0; i < job->batches_n; i++)
		ledger_batch_drop(r->p.port, job->batches[i]);
	free(job->batches);
	sums_finish(job);
	free(job);
	if (!TAILQ_EMPTY(&r->jobs))
		event_active(&r->ev_step, EV_TIMEOUT, 0);
}

void recovery_adopt(struct recovery *r, const struct recovery_target *target)
{
	struct recovery_job *job;

	TAILQ_FOREACH (job, &r->jobs, entry) {
		if (ID_EQ(&job->target.lane, &target->lane))
			return; /* it is on its way */
	}
	job = xcalloc(1, sizeof(*job));
	job->target = *target;
	TAILQ_INSERT_TAIL(&r->jobs, job, entry);
	if (TAILQ_FIRST(&r->jobs) == job)
		event_active(&r->ev_step, EV_TIMEOUT, 0);
}

static void settle(struct recovery *r, const struct recovery_target *target)
{
	if (r->is_gateway)
		recovery_gateway_settle(r, &target->lane);
	else
		recovery_node_settle(r, target);
}

/* The job cannot be done now: the lane stays as it is, and what can be settled is. */
static void give_up(struct recovery *r, struct recovery_job *job, const struct err *err)
{
	const struct recovery_target target = job->target;

	recovery_failed(r, &target.lane, err);
	recovery_job_drop(r, job);
	if (r->is_gateway)
		recovery_gateway_settle(r, &target.lane);
}

/* --- checking --- */

/* Takes the next leaf of the lane into the tree and its session's sum, or says why it cannot be. */
static bool take_leaf(struct recovery_job *job, const uint8_t *bytes, struct hash *ret_hash,
		      struct err *err)
{
	struct recovery_sum *sum;
	struct leaf leaf;
	enum leaf_fault fault = leaf_decode(bytes, &leaf);

	if (fault == LEAF_FINE)
		fault = leaf_check_form(&leaf);
	if (fault != LEAF_FINE)
		return err_set(err, ERR_PROTOCOL, "leaves: a leaf breaks %s",
			       leaf_fault_name(fault));
	if (leaf.seq != job->tree.size)
		return err_set(err, ERR_PROTOCOL, "leaves: seq is not the index");
	HASH_FIND(hh, job->sums, &leaf.session, sizeof(leaf.session), sum);
	if (leaf.cu_before != (sum ? sum->cu : 0))
		return err_set(err, ERR_PROTOCOL, "leaves: an interval does not continue");
	if (!sum) {
		sum = xcalloc(1, sizeof(*sum));
		sum->session = leaf.session;
		HASH_ADD(hh, job->sums, session, sizeof(sum->session), sum);
	}
	sum->cu += leaf.cu;
	if (job->tree.size == 0)
		job->day = clock_day((msec_t)MIN(leaf.time_ms, (uint64_t)INT64_MAX / 2000000));
	leaf_hash(bytes, ret_hash);
	tree_append(&job->tree, ret_hash);
	return true;
}

/* All is here: the tree must be the target's, and its head the supplier's. */
static bool check_end(struct recovery *r, struct recovery_job *job,
		      const struct signature *signature, struct err *err)
{
	const struct ledger_cosigned *head = &job->target.head;
	const struct checkpoint signed_head = {
		.size = head->size, .root = head->root, .supplier_sig = *signature};
	struct checkpoint_lane names;
	struct hash root;
	struct err why;

	tree_root(&job->tree, &root);
	if (!ID_EQ(&root, &head->root))
		return err_set(err, ERR_PROTOCOL, "leaves: not those of the cosigned root");
	recovery_lane_names(r, &job->target.lane, &names);
	if (!checkpoint_check(&names, &signed_head, &why))
		return err_set(err, ERR_PROTOCOL, "leaves: %s", why.msg);
	return true;
}

/* --- steps --- */

/* Reads what we have once more: the tree and the sums that the rest must continue. */
static bool replay(struct recovery *r, struct recovery_job *job, struct err *err)
{
	size_t want = MIN(job->have - job->replayed, (uint64_t)STEP_LEAVES), n = 0;
	uint8_t *leaves = xmalloc(want * FRAME_LEAF_BYTES);
	struct hash hash, root;
	bool ok = ledger_leaves_read(r->p.reader, &job->target.lane, job->replayed, want, leaves,
				     NULL, &n, err);

	if (ok && n != want)
		ok = err_set(err, ERR_LEDGER, "leaves of ours cannot be read");
	for (size_t i = 0; ok && i < n; i++)
		ok = take_leaf(job, leaves + i * FRAME_LEAF_BYTES, &hash, err);
	job->replayed += n;
	free(leaves);
	if (!ok || job->replayed < job->have)
		return ok;
	tree_root(&job->tree, &root);
	return ID_EQ(&root, &job->have_root) ||
	       err_set(err, ERR_LEDGER, "leaves of ours are not those of our head");
}

static void fetch_next(struct recovery *r, struct recovery_job *job)
{
	size_t room = (r->self->frame_max - 100) / FRAME_LEAVES_ENTRY_BYTES;
	uint64_t left = job->target.head.size - job->tree.size;
	struct frame_fetch fetch = {.lane = job->target.lane, .from = job->tree.size};

	fetch.to = fetch.from + MIN(left, MIN((uint64_t)room, (uint64_t)FRAME_FETCH_MAX));
	job->asked_to = fetch.to;
	job->number = ++r->numbers;
	frame_put_fetch(link_out(r->p.link), job->number, &fetch);
	link_sent(r->p.link);
}

static bool job_begin(struct recovery *r, struct recovery_job *job)
{
	struct ledger_unclosed own = {0};
	struct ledger_lane *lane;
	enum ledger_lane_state state =
		ledger_lane_find(r->p.ledger, &job->target.lane, &r->peer, &lane);

	if (state == LEDGER_LANE_LIVE || state == LEDGER_LANE_CLOSED)
		return false; /* another link was faster */
	if (state != LEDGER_LANE_UNKNOWN && !recovery_own(r, &job->target.lane, &own))
		return false;
	job->running = true;
	job->have = own.head.size;
	job->have_root = own.head.root;
	tree_init(&job->tree);
	return true;
}

void recovery_step(evutil_socket_t fd, short what, void *arg)
{
	struct recovery *r = arg;
	struct recovery_job *job = TAILQ_FIRST(&r->jobs);
	struct recovery_target target;
	struct err err = {0};

	if (!job || job->committing || job->number || !link_is_up(r->p.link))
		return;
	if (!job->running && !job_begin(r, job)) {
		recovery_job_drop(r, job);
		return;
	}
	if (job->have >= job->target.head.size) { /* another link has adopted them */
		target = job->target;
		recovery_job_drop(r, job);
		settle(r, &target);
		return;
	}
	if (job->replayed == job->have) {
		fetch_next(r, job);
		return;
	}
	if (replay(r, job, &err))
		event_active(&r->ev_step, EV_TIMEOUT, 0);
	else
		give_up(r, job, &err);
}

static void on_adopted(struct recovery *r, struct recovery_op *op, const struct err *err)
{
	struct recovery_job *job = TAILQ_FIRST(&r->jobs);
	uint64_t adopted;

	assert(job && job->committing && ID_EQ(&job->target.lane, &op->target.lane));
	adopted = job->target.head.size - job->have;
	if (err) {
		give_up(r, job, err);
		return;
	}
	r->stats.adopted += adopted;
	metric_add(METRIC_LINK_ADOPTED, adopted);
	recovery_job_drop(r, job);
	settle(r, &op->target);
}

/* Checked as a whole: now the ledger gets it as a whole. */
static void commit(struct recovery *r, struct recovery_job *job, const struct signature *signature)
{
	const struct ledger_head head = {.size = job->target.head.size,
					 .root = job->target.head.root,
					 .signature = *signature};
	struct ledger_unclosed own;
	struct ledger_lane *lane = recovery_own(r, &job->target.lane, &own);
	struct err err = {0};

	if (!lane &&
	    !ledger_lane_restore(r->p.port, &job->target.lane, &r->peer, job->day, &lane, &err)) {
		give_up(r, job, &err);
		return;
	}
	job->committing = true;
	for (size_t i = 0; i < job->batches_n; i++) {
		bool last = i + 1 == job->batches_n;
		struct recovery_op *op =
			last ? recovery_op_create(r, &job->target, on_adopted) : NULL;

		ledger_adopt(r->p.port, lane, job->batches[i], last ? &head : NULL,
			     last ? recovery_op_done : NULL, op);
	}
	job->batches_n = 0;
}

static bool take_leaves(struct recovery *r, struct recovery_job *job,
			const struct frame_leaves *leaves, struct err *err)
{
	struct ledger_batch *batch = ledger_batch_create(r->p.port);
	struct hash hash;
	struct salt salt;

	/* NOLINTNEXTLINE(bugprone-sizeof-expression): the elements are pointers */
	job->batches = xrealloc(job->batches, (job->batches_n + 1) * sizeof(*job->batches));
	job->batches[job->batches_n++] = batch; /* dropped with the job */
	for (uint32_t i = 0; i < leaves->count; i++) {
		const uint8_t *p = leaves->entries + (size_t)i * FRAME_LEAVES_ENTRY_BYTES;

		if (!take_leaf(job, p, &hash, err))
			return false;
		memcpy(salt.b, p + FRAME_LEAF_BYTES, sizeof(salt.b));
		ledger_batch_add(batch, NULL, p, &hash, &salt, (struct view){0}, (struct view){0});
	}
	return true;
}

bool recovery_on_leaves(struct recovery *r, const struct frame *f, struct err *err)
{
	struct recovery_job *job = TAILQ_FIRST(&r->jobs);
	struct frame_leaves leaves;
	struct err absent = {0};

	if (!frame_read_leaves(f, &leaves, err))
		return false;
	if (!job || job->number == 0 || f->stream != job->number ||
	    !ID_EQ(&leaves.lane, &job->target.lane) || leaves.from != job->tree.size ||
	    (leaves.count != 0 && leaves.from + leaves.count != job->asked_to))
		return err_set(err, ERR_PROTOCOL, "leaves: not what was asked for");
	job->number = 0;
	if (leaves.count == 0) {
		err_set(&absent, ERR_LEDGER, "the peer does not have the leaves either");
		give_up(r, job, &absent);
		return true;
	}
	if (!take_leaves(r, job, &leaves, err))
		return false;
	if (job->tree.size < job->target.head.size) {
		event_active(&r->ev_step, EV_TIMEOUT, 0);
		return true;
	}
	if (!check_end(r, job, &leaves.signature, err))
		return false;
	commit(r, job, &leaves.signature);
	return true;
}
