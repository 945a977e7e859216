/* SPDX-License-Identifier: Apache-2.0
 * What a leaf is to the relay that it is of: when it has been checked, and when it has committed.
 */
#include "relay/gateway/internal.h"

void leaf_take(struct leaf_taken *ret, struct relay *r, const struct leaf_news *news)
{
	record_leaf(r, news);
	if (!r->has_receipt) {
		r->has_receipt = true;
		r->lane = news->lane;
		r->seq = news->seq;
	}
	r->kind = news->kind;
	r->status = news->status;
	r->commits++;
	*ret = (struct leaf_taken){
		.relay = r, .is_part = news->kind == LEAF_PART, .last = news->last};
	if (r->state != RELAY_LATE)
		buf_put(ret->is_part ? &ret->part : &r->body, news->body.p, news->body.n);
	if (news->last)
		peer_remove(r->peer, r);
	if (r->state == RELAY_SENT)
		ask_on_leaf(r);
}

void leaf_committed(struct leaf_taken *leaf, const struct err *err)
{
	struct relay *r = leaf->relay;

	record_committed(r, err);
	r->commits--;
	if (r->state == RELAY_LATE)
		relay_settle(r);
	else if (leaf->is_part)
		ask_on_part(r, &leaf->part, leaf->last, err);
	else
		ask_on_commit(r, err);
	buf_finish(&leaf->part);
}
