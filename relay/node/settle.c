/* SPDX-License-Identifier: Apache-2.0
 * What the gateway cosigns: heads of lanes that it agrees to pay for [F8], and the bound on what
 * may stay without a cosignature [P5]. */
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/node/internal.h"
#include "session/budget.h"

cu_t settle_unpaid_max(const struct node_link *nl, const struct node_session *s)
{
	return budget_unpaid_max(nl->worker->node->p.max_unpaid_cu,
				 method_table_cu_max(chain_table(s->service->chain)),
				 nl->cosignatures);
}

void node_lane_push_head(struct node_lane *lane, const struct node_head *head)
{
	if (lane->heads_n == lane->heads_cap) {
		lane->heads_cap = MAX(lane->heads_cap * 2, (size_t)64);
		lane->heads = xrealloc(lane->heads, lane->heads_cap * sizeof(*lane->heads));
	}
	lane->heads[lane->heads_n++] = *head;
}

/* Index of the head of this size, or heads_n. */
static size_t head_find(const struct node_lane *lane, uint64_t size)
{
	size_t low = 0, high = lane->heads_n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (lane->heads[mid].size < size)
			low = mid + 1;
		else
			high = mid;
	}
	return low < lane->heads_n && lane->heads[low].size == size ? low : lane->heads_n;
}

static struct node_lane *lane_find(struct node_link *nl, const struct lane_id *id)
{
	struct node_lane *lane;

	if (nl->lane && ID_EQ(&nl->lane->id.origin.lane, id))
		return nl->lane;
	LIST_FOREACH (lane, &nl->retired, entry) {
		if (ID_EQ(&lane->id.origin.lane, id))
			return lane;
	}
	return NULL;
}

static void on_cosigned(void *arg, const struct err *err)
{
	struct node_link *nl = arg;
	struct worker *w = nl->worker;

	worker_tick(w);
	nl->commits--;
	if (!nl->link) {
		node_link_maybe_free(nl);
		return;
	}
	if (err) {
		link_close(nl->link, err);
		return;
	}
	nl->cosignatures = ledger_cosignatures(w->node->ledger, &nl->gateway);
}

/* A retired lane is cosigned to its end: recovery closes it [L8]. */
static void lane_end(struct node_link *nl, struct node_lane *lane)
{
	ledger_lane_release(nl->worker->port, lane->ledger);
	LIST_REMOVE(lane, entry);
	nl->retired_n--;
	node_lane_destroy(lane);
}

static bool cosign_accept(struct node_link *nl, struct node_lane *lane,
			  const struct frame_cosign *in, size_t at, struct err *err)
{
	struct ledger_cosigned cosigned = {
		.size = in->size, .root = in->root, .time = in->time_s, .signature = in->signature};
	struct checkpoint head = {
		.size = in->size,
		.root = in->root,
		.cosigned = true,
		.cosign_time = in->time_s,
		.gateway_sig = in->signature,
	};

	if (!ID_EQ(&lane->heads[at].root, &in->root))
		return err_set(err, ERR_PROTOCOL, "COSIGN of another root than ours");
	if (!checkpoint_check_cosigned(&lane->id, &head, err))
		return err_set(err, ERR_PROTOCOL, "COSIGN with a signature that does not verify");
	lane->heads_n -= at + 1;
	memmove(lane->heads, lane->heads + at + 1, lane->heads_n * sizeof(*lane->heads));
	lane->cosigned = in->size;
	metric_add(METRIC_LINK_COSIGNATURES, 1);
	nl->commits++;
	ledger_cosign(nl->worker->port, lane->ledger, &cosigned, on_cosigned, nl);
	if (lane != nl->lane && in->size == lane->tree.size)
		lane_end(nl, lane);
	return true;
}

bool settle_on_cosign(struct node_link *nl, const struct frame *f, struct err *err)
{
	struct node_lane *lane;
	struct frame_cosign in;
	size_t at;

	if (!frame_read_cosign(f, &in, err))
		return false;
	lane = lane_find(nl, &in.lane);
	if (!lane)
		return recovery_on_frame(nl->recovery, f, err);
	if (in.size <= lane->cosigned)
		return true;
	at = head_find(lane, in.size);
	if (at == lane->heads_n)
		return err_set(err, ERR_PROTOCOL, "COSIGN of a head that was not sent");
	return cosign_accept(nl, lane, &in, at, err);
}

void settle_release(struct node_link *nl)
{
	struct node_lane *lane;

	while ((lane = LIST_FIRST(&nl->retired))) {
		LIST_REMOVE(lane, entry);
		ledger_lane_release(nl->worker->port, lane->ledger);
		node_lane_destroy(lane);
	}
	nl->retired_n = 0;
	if (nl->lane)
		ledger_lane_release(nl->worker->port, nl->lane->ledger);
	node_lane_destroy(nl->lane);
	nl->lane = NULL;
}
