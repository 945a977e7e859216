/* SPDX-License-Identifier: Apache-2.0
 * Recovery as a node decides it ([L8]). */
#include <assert.h>

#include "relay/base/log.h"
#include "relay/base/metrics.h"
#include "relay/link/recovery_private.h"

/* Tells the gateway how a lane of ours ended. */
static void answer_final(struct recovery *r, const struct recovery_target *target)
{
	struct frame_lane answer = {.lane = target->lane, .state = 1};
	struct ledger_head head;
	struct err err;

	if (!link_is_up(r->p.link))
		return;
	if (target->head.size > 0) {
		if (!ledger_head_read(r->p.reader, &target->lane, target->head.size, &head, &err)) {
			recovery_failed(r, &target->lane, &err);
			return;
		}
		answer.size = head.size;
		answer.root = head.root;
		answer.signature = head.signature;
		answer.cosigned_size = head.size; /* for a gateway with an older copy */
		answer.cosigned_root = target->head.root;
		answer.cosigned_time_s = target->head.time;
		answer.cosignature = target->head.signature;
	}
	recovery_answer(r, &answer);
}

static void on_closed(struct recovery *r, struct recovery_op *op, const struct err *err)
{
	char hex[2 * sizeof(op->target.lane.b) + 1];

	if (err) {
		recovery_failed(r, &op->target.lane, err);
		return;
	}
	r->stats.closed++;
	r->stats.undelivered += op->undelivered;
	metric_add(METRIC_NODE_UNDELIVERED, op->undelivered);
	log_info("recovery.closed", "lane=%s final=%llu undelivered=%llu",
		 hex_encode(op->target.lane.b, sizeof(op->target.lane.b), hex),
		 (unsigned long long)op->target.head.size, (unsigned long long)op->undelivered);
	answer_final(r, &op->target);
}

static void close_lane(struct recovery *r, const struct ledger_unclosed *own,
		       const struct recovery_target *target)
{
	struct recovery_op *op = recovery_op_create(r, target, on_closed);

	op->undelivered = own->head.size - target->head.size;
	ledger_lane_close(r->p.port, own->lane, target->head.size, recovery_op_done, op);
}

static void on_cosigned(struct recovery *r, struct recovery_op *op, const struct err *err)
{
	struct ledger_unclosed own;

	if (err) {
		recovery_failed(r, &op->target.lane, err);
		return;
	}
	r->stats.cosigned++;
	metric_add(METRIC_LINK_COSIGNATURES, 1);
	if (recovery_own(r, &op->target.lane, &own))
		close_lane(r, &own, &op->target);
}

/* The lane has the leaves of the cosigned head: that is final. */
void recovery_node_settle(struct recovery *r, const struct recovery_target *target)
{
	struct ledger_unclosed own;

	if (!recovery_own(r, &target->lane, &own))
		return;
	assert(own.head.size >= target->head.size);
	ledger_cosign(r->p.port, own.lane, &target->head, recovery_op_done,
		      recovery_op_create(r, target, on_cosigned));
}

/* The gateway asks about a lane that we closed: it did not hear how it ended. */
static void repeat_closed(struct recovery *r, const struct lane_id *lane)
{
	struct recovery_target target = {.lane = *lane};
	struct ledger_lane_info info;
	struct err err = {0};

	if (!ledger_lane_read(r->p.reader, lane, &info, &err)) {
		recovery_failed(r, lane, &err);
		return;
	}
	if (info.final_size > 0)
		target.head = info.cosigned;
	if (target.head.size != info.final_size) {
		err_set(&err, ERR_LEDGER, "closed at a size that is not the cosigned one");
		recovery_failed(r, lane, &err);
		return;
	}
	answer_final(r, &target);
}

/* A head that we signed, if it is within what we have.  Not the same, and yet true: our own half is
 * broken, and the lane is given up. */
static bool check_own_head(struct recovery *r, const struct ledger_unclosed *own,
			   const struct recovery_target *target, bool *ret_same, struct err *err)
{
	struct ledger_head head = own->head;
	struct err absent;

	if (target->head.size != own->head.size &&
	    !ledger_head_read(r->p.reader, &target->lane, target->head.size, &head, &absent))
		return err_set(err, ERR_PROTOCOL, "cosign: a head that we never signed");
	if (!ID_EQ(&head.root, &target->head.root))
		return recovery_own_fault(r, own->lane, &target->lane, &head) ||
		       err_set(err, ERR_PROTOCOL, "cosign: another root than we signed");
	*ret_same = true;
	return true;
}

bool recovery_node_on_cosign(struct recovery *r, const struct frame_cosign *cosign, struct err *err)
{
	const struct recovery_target target = {.lane = cosign->lane,
					       .head = {.size = cosign->size,
							.root = cosign->root,
							.time = cosign->time_s,
							.signature = cosign->signature}};
	const struct checkpoint head = {.size = cosign->size,
					.root = cosign->root,
					.cosigned = true,
					.cosign_time = cosign->time_s,
					.gateway_sig = cosign->signature};
	enum ledger_lane_state state;
	struct checkpoint_lane names;
	struct ledger_unclosed own;
	struct ledger_lane *lane;
	bool same = false;
	struct err why;

	recovery_lane_names(r, &cosign->lane, &names);
	if (!checkpoint_check_cosigned(&names, &head, &why))
		return err_set(err, ERR_PROTOCOL, "cosign: %s", why.msg);
	state = ledger_lane_find(r->p.ledger, &cosign->lane, &r->peer, &lane);
	if (state == LEDGER_LANE_LIVE)
		return true; /* its link has not ended here yet: we shall list it */
	if (state == LEDGER_LANE_BROKEN)
		return true; /* nothing that we could say of it would be right */
	if (state == LEDGER_LANE_CLOSED) {
		repeat_closed(r, &cosign->lane);
		return true;
	}
	if (!recovery_own(r, &cosign->lane, &own) || own.head.size < cosign->size) {
		recovery_adopt(r, &target);
		return true;
	}
	if (!check_own_head(r, &own, &target, &same, err))
		return false;
	if (same)
		recovery_node_settle(r, &target);
	return true;
}

bool recovery_node_on_answer(struct recovery *r, const struct frame_lane *e, struct err *err)
{
	struct recovery_target target = {.lane = e->lane};
	struct ledger_unclosed own;

	if (e->size != 0)
		return err_set(err, ERR_PROTOCOL, "lanes: an answer with a size from a gateway");
	if (!recovery_own(r, &e->lane, &own))
		return true; /* closed already, by this or another link */
	target.head = own.cosigned;
	if (own.cosigned.size > own.head.size) {
		/* a payable head of which nobody has the leaves: kept, an older copy may turn up */
		err_set(err, ERR_LEDGER, "cosigned beyond what either side has");
		recovery_failed(r, &e->lane, err);
		return true;
	}
	close_lane(r, &own, &target);
	return true;
}
