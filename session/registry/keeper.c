/* SPDX-License-Identifier: Apache-2.0 */
#include "session/registry/keeper.h"

#include <inttypes.h>

#include <event2/event.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"

#define KEEPER_RETRY_MS 200
#define KEEPER_WAIT_MAX_MS 10000 /* a wall clock that jumps is noticed by then */

struct registry_keeper {
	struct store *store;
	struct event *timer;
	struct log_gate gate;
	uint64_t held;	 /* log lines that the gate kept back */
	uint64_t failed; /* times in a row that nothing could be written */
};

static void registry_keeper_wait(struct registry_keeper *k, msec_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	evtimer_add(k->timer, &tv);
}

static bool registry_keeper_step(struct registry_keeper *k, struct err *err)
{
	msec_t now, next, wait;

	clock_tick();
	now = clock_wall_ms();
	if (!store_keep(k->store, now, &next, err))
		return false;
	wait = next - now;
	registry_keeper_wait(k, MIN(MAX(wait, (msec_t)1), (msec_t)KEEPER_WAIT_MAX_MS));
	return true;
}

static void keeper_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct registry_keeper *k = arg;
	struct err err;

	if (registry_keeper_step(k, &err)) {
		if (k->failed > 0)
			log_warn("registry.kept", "failed=%" PRIu64, k->failed);
		k->failed = 0;
		return;
	}
	k->failed++;
	registry_keeper_wait(k, KEEPER_RETRY_MS);
	if (log_every(&k->gate, 10000000, &k->held))
		log_error("registry.keeper", "error=\"%s\" held=%" PRIu64, err.msg, k->held);
}

bool registry_keeper_create(struct event_base *base, struct store *store,
			    struct registry_keeper **ret, struct err *err)
{
	CLEANUP(registry_keeper_destroy) struct registry_keeper *k = xcalloc(1, sizeof(*k));

	k->store = store;
	k->timer = evtimer_new(base, keeper_on_timer, k);
	if (!k->timer)
		return err_set(err, ERR_IO, "no timer for the keeper");
	if (!registry_keeper_step(k, err))
		return false;
	*ret = STEAL(k);
	return true;
}

void registry_keeper_destroy(struct registry_keeper *k)
{
	if (!k)
		return;
	if (k->timer)
		event_free(k->timer);
	free(k);
}
