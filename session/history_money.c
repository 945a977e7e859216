/* SPDX-License-Identifier: Apache-2.0
 * Grants, and the escrow that carries them ([K3], [P1] to [P3]). */
#include "session/history_inside.h"

#include <assert.h>
#include <inttypes.h>

#include "relay/base/bytes.h"
#include "relay/crypto/sign.h"
#include "session/budget.h"

/* The snapshots of the last `count` sessions: newest, newest - step, ... */
struct snapshots {
	height_t newest;
	uint64_t step;
	uint64_t count;
};

/* True iff one of the snapshots lies in [from, to]. */
static bool snapshot_in(const struct snapshots *s, height_t from, height_t to)
{
	height_t top = MIN(to, s->newest);
	uint64_t back;

	if (top < from)
		return false;
	back = (s->newest - top + s->step - 1) / s->step;
	return back < s->count && back <= s->newest / s->step && s->newest - back * s->step >= from;
}

u128 history_escrow_needed(const struct history *h, const struct key_id *application,
			   height_t start)
{
	const struct grant_entry probe = {.application = *application};
	const struct grant_entry *e = h->grants.v;
	const struct session_params *p = history_params(h, 0);
	struct snapshots snapshots;
	u128 sum = 0, largest = 0;

	assert(session_exists(p, start));
	snapshots.newest = session_snapshot_height(p, start);
	p = history_params(h, snapshots.newest);
	snapshots.step = p->session_blocks;
	snapshots.count = session_claim_horizon(p);
	for (size_t i = entry_list_first(&h->grants, sizeof(*e), grant_entry_cmp, &probe);
	     i < h->grants.n && ID_EQ(&e[i].application, application); i++) {
		bool more = i + 1 < h->grants.n && grant_entry_same(&e[i], &e[i + 1]);
		height_t last = more ? e[i + 1].height - 1 : UINT64_MAX;

		if (snapshot_in(&snapshots, e[i].height, last))
			largest = MAX(largest, e[i].budget);
		if (!more) {
			sum += largest;
			largest = 0;
		}
	}
	return sum * snapshots.count; /* < 2^96 x 2^12 x 2^12 */
}

bool history_allowance(const struct history *h, const struct key_id *application,
		       const struct key_id *gateway, const struct service_name *service,
		       height_t start, u128 *ret, struct err *err)
{
	const struct session_params *p = history_params(h, 0);
	const struct application_entry *app;
	const struct grant_entry *grant;
	char has[U128_TEXT_MAX], needs[U128_TEXT_MAX];
	u128 escrow, needed;
	height_t at;

	if (!session_exists(p, start))
		return err_set(err, ERR_NO_SESSION, "no session starts at height %" PRIu64, start);
	at = session_snapshot_height(p, start);
	grant = history_grant(h, application, gateway, service, at);
	if (!grant)
		return err_set(
			err, ERR_GRANT,
			"no grant of the application for this gateway and %s at height %" PRIu64,
			service->s, at);
	if (grant->budget == 0)
		return err_set(err, ERR_GRANT, "the grant for %s is revoked", service->s);
	app = history_application(h, application, at);
	escrow = app ? app->escrow : 0;
	needed = history_escrow_needed(h, application, start);
	if (escrow < needed)
		return err_set(err, ERR_GRANT,
			       "the escrow of %s does not carry the grants: %s needed",
			       u128_text(escrow, has), u128_text(needed, needs));
	*ret = budget_allowance(grant->budget, history_params(h, at));
	return true;
}

void grant_bytes(const struct network_id *network, const struct grant_entry *e, struct buf *out)
{
	buf_put_str(out, "counterfoil/grant/v1\n");
	buf_put(out, network->b, sizeof(network->b));
	buf_put(out, e->application.b, sizeof(e->application.b));
	buf_put(out, e->gateway.b, sizeof(e->gateway.b));
	buf_put_short(out, e->service.s, strlen(e->service.s));
	buf_put_u128(out, e->budget);
	buf_put_u64(out, e->nonce);
}

bool grant_verify(const struct network_id *network, const struct grant_entry *e)
{
	CLEANUP(buf_finish) struct buf bytes = {0};

	grant_bytes(network, e, &bytes);
	return verify_bytes(&e->application, bytes.p, bytes.n, &e->signature);
}
