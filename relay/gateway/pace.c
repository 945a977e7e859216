/* SPDX-License-Identifier: Apache-2.0
 * How long answers take here, by service and method, and when a second supplier is asked because
 * the first is slow (session/patience.h). */
#include "relay/gateway/internal.h"

/* Of one service at this worker. */
struct pace {
	struct service_name service;
	size_t count;		  /* methods: ids below it */
	struct patience *methods; /* by id */
	struct pace *next;
};

struct pace *pace_of(struct worker *w, const struct service_name *service)
{
	struct pace *p;

	for (p = w->paces; p; p = p->next) {
		if (strcmp(p->service.s, service->s) == 0)
			return p;
	}
	p = xcalloc(1, sizeof(*p));
	p->service = *service;
	p->next = w->paces;
	w->paces = p;
	return p;
}

void paces_finish(struct worker *w)
{
	struct pace *p;

	while ((p = w->paces)) {
		w->paces = p->next;
		free(p->methods);
		free(p);
	}
}

void pace_note(const struct ask *ask, const struct relay *relay)
{
	struct pace *p = ask->account->pace;
	uint32_t id = ask->method->id;

	if (id >= p->count) {
		size_t count = id + 64;

		p->methods = xrealloc(p->methods, count * sizeof(p->methods[0]));
		memset(p->methods + p->count, 0, (count - p->count) * sizeof(p->methods[0]));
		p->count = count;
	}
	patience_note(&p->methods[id], clock_mono_us() - relay->sent_us,
		      (unsigned)ask->worker->cfg->gateway.hedge_quantile);
}

usec_t pace_hedge_at(const struct ask *ask)
{
	static const struct patience nothing;
	const struct config *cfg = ask->worker->cfg;
	const struct pace *p = ask->account->pace;
	const struct patience *seen =
		ask->method->id < p->count ? &p->methods[ask->method->id] : &nothing;

	if (ask->hedged || ask->paused || ask->traits->send != CHAIN_SEND_HEDGE ||
	    cfg->gateway.hedge_percent == 0 || ask->attempts_made >= ask->terms.attempts_max)
		return 0;
	return clock_mono_us() + patience_us(seen, cfg->gateway.hedge_min, cfg->gateway.hedge_max);
}
