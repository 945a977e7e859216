/* SPDX-License-Identifier: Apache-2.0
 * Recovery as a gateway decides it ([L7]). */
#include <assert.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/metrics.h"
#include "relay/link/recovery_private.h"

static void send_cosign(struct recovery *r, const struct recovery_target *target)
{
	const struct frame_cosign cosign = {
		.lane = target->lane,
		.size = target->head.size,
		.root = target->head.root,
		.time_s = target->head.time,
		.signature = target->head.signature,
	};

	if (!link_is_up(r->p.link))
		return;
	frame_put_cosign(link_out(r->p.link), &cosign);
	link_sent(r->p.link);
	r->stats.cosigned++;
	metric_add(METRIC_LINK_COSIGNATURES, 1);
}

static void on_cosigned(struct recovery *r, struct recovery_op *op, const struct err *err)
{
	if (err)
		recovery_failed(r, &op->target.lane, err);
	else
		send_cosign(r, &op->target);
}

static void on_closed(struct recovery *r, struct recovery_op *op, const struct err *err)
{
	char hex[2 * sizeof(op->target.lane.b) + 1];

	if (err) {
		recovery_failed(r, &op->target.lane, err);
		return;
	}
	r->stats.closed++;
	log_info("recovery.closed", "lane=%s final=%llu",
		 hex_encode(op->target.lane.b, sizeof(op->target.lane.b), hex),
		 (unsigned long long)op->target.head.size);
}

static void close_lane(struct recovery *r, struct ledger_lane *lane,
		       const struct recovery_target *target)
{
	ledger_lane_close(r->p.port, lane, target->head.size, recovery_op_done,
			  recovery_op_create(r, target, on_closed));
}

static void answer_nothing(struct recovery *r, const struct lane_id *lane)
{
	recovery_answer(r, &(struct frame_lane){.lane = *lane, .state = 1});
}

/* Cosigns our head, or sends again what is cosigned already. */
static void cosign(struct recovery *r, const struct ledger_unclosed *own)
{
	struct recovery_target target = {.lane = own->id, .head = own->cosigned};
	CLEANUP(buf_finish) struct buf msg = {0};
	uint8_t text[CHECKPOINT_TEXT_MAX];
	struct checkpoint_lane names;
	size_t n;

	if (own->cosigned.size == own->head.size) {
		send_cosign(r, &target);
		return;
	}
	recovery_lane_names(r, &own->id, &names);
	n = checkpoint_text(&names, own->head.size, &own->head.root, text);
	target.head = (struct ledger_cosigned){.size = own->head.size,
					       .root = own->head.root,
					       .time = (uint64_t)clock_wall_ms() / 1000};
	note_put_cosigned(&msg, target.head.time, VIEW(text, n));
	sign_bytes(r->self->key, msg.p, msg.n, &target.head.signature);
	/* it leaves when it has committed [L1] */
	ledger_cosign(r->p.port, own->lane, &target.head, recovery_op_done,
		      recovery_op_create(r, &target, on_cosigned));
}

static void settle_own(struct recovery *r, const struct ledger_unclosed *own)
{
	const struct recovery_target none = {.lane = own->id};

	if (own->head.size > 0) {
		cosign(r, own);
		return;
	}
	answer_nothing(r, &own->id);
	if (own->cosigned.size == 0)
		close_lane(r, own->lane, &none);
	/* else: we cosigned leaves that nobody has now; an older copy may turn up */
}

void recovery_gateway_settle(struct recovery *r, const struct lane_id *lane)
{
	struct ledger_unclosed own;

	if (recovery_own(r, lane, &own))
		settle_own(r, &own);
	else if (ledger_lane_find(r->p.ledger, lane, &r->peer, &(struct ledger_lane *){NULL}) ==
		 LEDGER_LANE_UNKNOWN)
		answer_nothing(r, lane);
}

/* We closed it and the node has not: it is told again how it ended. */
static void repeat_closed(struct recovery *r, const struct lane_id *lane)
{
	struct recovery_target target = {.lane = *lane};
	struct ledger_lane_info info;
	struct err err;

	if (!ledger_lane_read(r->p.reader, lane, &info, &err)) {
		recovery_failed(r, lane, &err);
		return;
	}
	target.head = info.cosigned;
	if (target.head.size > 0)
		send_cosign(r, &target);
	else
		answer_nothing(r, lane);
}

static const struct ledger_unclosed *find(const struct ledger_unclosed *list, size_t n,
					  const struct lane_id *lane)
{
	for (size_t i = 0; i < n; i++)
		if (ID_EQ(&list[i].id, lane))
			return &list[i];
	return NULL;
}

/* A lane that the node lists and we do not have unclosed. */
static void decide_foreign(struct recovery *r, const struct frame_lane *e,
			   const struct recovery_target *cosigned)
{
	struct ledger_lane *lane;

	switch (ledger_lane_find(r->p.ledger, &e->lane, &r->peer, &lane)) {
	case LEDGER_LANE_UNKNOWN:
		if (e->cosigned_size > 0)
			recovery_adopt(r, cosigned);
		else
			answer_nothing(r, &e->lane);
		return;
	case LEDGER_LANE_CLOSED:
		repeat_closed(r, &e->lane);
		return;
	case LEDGER_LANE_LIVE:	   /* its link has not ended here yet */
	case LEDGER_LANE_UNCLOSED: /* since our list was made: next time */
	case LEDGER_LANE_DEAD:
	case LEDGER_LANE_BROKEN:
		return;
	}
}

/* The node's head of a lane must be the one that we hold of that size: it signed both ([L4]). */
static bool check_head(struct recovery *r, const struct frame_lane *e,
		       const struct ledger_unclosed *own, struct err *err)
{
	char lane[2 * sizeof(e->lane.b) + 1], root[2 * sizeof(e->root.b) + 1];
	char signature[2 * sizeof(e->signature.b) + 1];
	struct ledger_head head = own->head;
	struct err absent;

	if (e->size == 0 || e->size > own->head.size ||
	    (e->size != own->head.size &&
	     !ledger_head_read(r->p.reader, &e->lane, e->size, &head, &absent)) ||
	    ID_EQ(&head.root, &e->root))
		return true;
	log_error("recovery.two_heads", "lane=%s size=%llu root=%s signature=%s",
		  hex_encode(e->lane.b, sizeof(e->lane.b), lane), (unsigned long long)e->size,
		  hex_encode(e->root.b, sizeof(e->root.b), root),
		  hex_encode(e->signature.b, sizeof(e->signature.b), signature));
	return err_set(err, ERR_PROTOCOL, "lanes: a second head of size %llu [L4]",
		       (unsigned long long)e->size);
}

/* What the node shows to be cosigned by us counts, even if we forgot it. */
static bool decide_listed(struct recovery *r, const struct frame_lane *e,
			  const struct ledger_unclosed *list, size_t n, struct err *err)
{
	const struct ledger_unclosed *own = find(list, n, &e->lane);
	const struct recovery_target target = {
		.lane = e->lane,
		.head = {.size = e->cosigned_size,
			 .root = e->cosigned_root,
			 .time = e->cosigned_time_s,
			 .signature = e->cosignature},
	};

	if (!own)
		decide_foreign(r, e, &target);
	else if (!check_head(r, e, own, err))
		return false;
	else if (e->cosigned_size > own->head.size)
		recovery_adopt(r, &target);
	return true;
}

bool recovery_gateway_decide(struct recovery *r, struct err *err)
{
	struct ledger_unclosed *list;
	bool ok = true;
	size_t n;

	ledger_unclosed(r->p.ledger, &r->peer, SIZE_MAX, &list, &n);
	for (size_t i = 0; ok && i < r->theirs_n; i++)
		ok = decide_listed(r, &r->theirs[i], list, n, err);
	for (size_t i = 0; ok && i < n; i++) {
		const struct recovery_target target = {.lane = list[i].id,
						       .head = list[i].cosigned};
		struct recovery_job *job;
		bool waits = false;

		TAILQ_FOREACH (job, &r->jobs, entry)
			waits = waits || ID_EQ(&job->target.lane, &list[i].id);
		if (waits)
			continue; /* settled when it has been adopted */
		if (list[i].cosigned.size > list[i].head.size)
			recovery_adopt(r, &target); /* we remember the signature, not the leaves */
		else
			settle_own(r, &list[i]);
	}
	free(list);
	r->theirs_n = 0;
	return ok;
}

bool recovery_gateway_on_answer(struct recovery *r, const struct frame_lane *e, struct err *err)
{
	const struct recovery_target target = {.lane = e->lane,
					       .head = {.size = e->size, .root = e->root}};
	struct ledger_unclosed own;
	struct ledger_head head;
	struct err absent;

	if (!recovery_own(r, &e->lane, &own))
		return true; /* closed already, by this or another link */
	if (e->size > own.head.size && e->cosigned_size != e->size)
		return err_set(err, ERR_PROTOCOL,
			       "lanes: closed at a size that was never cosigned");
	if (e->size > own.head.size) { /* we did cosign it: ours is an older copy of our ledger */
		recovery_adopt(r, &(struct recovery_target){.lane = e->lane,
							    .head = {.size = e->cosigned_size,
								     .root = e->cosigned_root,
								     .time = e->cosigned_time_s,
								     .signature = e->cosignature}});
		return true;
	}
	if (e->size > 0) {
		head = own.head;
		if (e->size != own.head.size &&
		    !ledger_head_read(r->p.reader, &e->lane, e->size, &head, &absent))
			return err_set(err, ERR_PROTOCOL, "lanes: closed where no batch ended");
		if (!ID_EQ(&head.root, &e->root))
			return recovery_own_fault(r, own.lane, &e->lane, &head) ||
			       err_set(err, ERR_PROTOCOL, "lanes: closed with another root");
	}
	close_lane(r, own.lane, &target);
	return true;
}
