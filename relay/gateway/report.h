/* SPDX-License-Identifier: Apache-2.0
 * What the workers have seen of their suppliers, as one page.  A worker fills in its part when it
 * is asked to, in its own thread, so that nothing of it is locked while it works; the page adds the
 * parts up. */
#ifndef RELAY_GATEWAY_REPORT_H
#define RELAY_GATEWAY_REPORT_H

#include <pthread.h>
#include <stdatomic.h>

#include "relay/base/bytes.h"
#include "session/quality.h"
#include "session/refusals.h"

#define REPORT_REFUSALS_MAX 256 /* of one worker: those with the most */
#define REPORT_WAIT_US 2000000	/* for a worker to fill in its part */

struct gateway;
struct worker;

/* A supplier at a service, as one worker sees it. */
struct report_supplier {
	struct service_name service;
	struct key_id supplier;
	bool in_session; /* of now or next */
	struct quality_score score;
	enum quality_state state;
	enum quality_outcome cause; /* of the last rest */
	usec_t rest_us;		    /* COOLING: how long it still rests */
	usec_t latency_us;
	uint64_t lag_blocks;
	struct quality_counts counts;
};

/* A supplier that left calls about something unanswered. */
struct report_refusal {
	struct service_name service;
	const char *method; /* the table's */
	struct chain_target target;
	struct refusals_cell cell;
};

/* A worker's part.  All but `wanted` under `lock`. */
struct report {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	_Atomic uint64_t wanted; /* by number: the page asks for the next ... */
	uint64_t number;	 /* ... and this is the last that was filled in */
	struct report_supplier *suppliers;
	size_t supplier_count;
	struct report_refusal *refusals;
	size_t refusal_count;
};

void report_init(struct report *report);
void report_finish(struct report *report);
/* Fills in the worker's part if it is asked for; on the worker's thread. */
void report_fill(struct worker *w);

#endif
