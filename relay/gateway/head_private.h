/* SPDX-License-Identifier: Apache-2.0
 * What head.c and watch.c share: what is known of a head, under its lock. */
#ifndef RELAY_GATEWAY_HEAD_PRIVATE_H
#define RELAY_GATEWAY_HEAD_PRIVATE_H

#include <pthread.h>

#include "relay/gateway/head.h"

struct reuse;

/* One tag of one service. */
struct tip {
	pthread_mutex_t lock;
	struct head *head;
	usec_t asked_us;    /* when the newest round began */
	usec_t checked_us;  /* when the newest round began that has told enough */
	usec_t wrote_us;    /* when a transaction was last sent, or the like */
	uint64_t asked_for; /* the largest block that was asked for before anybody had told it */
	usec_t told_us;	    /* when a question of a round was last answered */
	unsigned vain; /* rounds one after the other of which nothing came; no more than counts */
	uint64_t checked_floor;
	uint64_t falls;
	struct hash kept; /* the head that what is kept of answers goes by; of LATEST */
};

struct heads {
	usec_t interval_us; /* gateway.head_interval */
	size_t n;
	struct service {
		struct service_name name;
		unsigned label;
		struct tip tips[HEAD_TAGS];
	} services[];
};

/* The index of a service of the gateway's own: accounts are made for no other. */
size_t heads_at(const struct heads *heads, const struct service_name *name);
/* The rest with the tip's lock held.  Fresh enough, and not overtaken. */
bool tip_is_good(const struct heads *heads, const struct tip *tip, usec_t now);
/* Something was told, or done, since it was last asked that makes it old. */
bool tip_is_overtaken(const struct tip *tip);
/* What is known, and whether it may be pinned to. */
struct head_state tip_state(const struct heads *heads, const struct tip *tip, usec_t now);
/* Something was told, or has passed, about the newest block: what is kept of answers goes by the
 * same head, before any call is pinned to it.  report: what was told; NULL: nothing. */
void service_keep_head(struct service *service, struct reuse *reuse,
		       const struct head_report *report);
/* The served height, among the metrics: also when no round tells it. */
void service_show_head(const struct service *service);

#endif
