/* SPDX-License-Identifier: Apache-2.0
 * What door.c and client.c share. */
#ifndef RELAY_GATEWAY_DOOR_PRIVATE_H
#define RELAY_GATEWAY_DOOR_PRIVATE_H

#include <stdatomic.h>

#include <event2/event.h>

#include "relay/gateway/door.h"
#include "relay/gateway/source.h"

struct house {
	struct house_limits limits;
	struct sources *sources;
	_Atomic size_t connections;
	_Atomic size_t request_bytes;
	_Atomic ssize_t answer_bytes; /* see count_answer() */
};

/* A connection that evhttp is about to make of this bufferevent. */
struct arrival {
	struct bufferevent *bev; /* ref */
	STAILQ_ENTRY(arrival) entry;
};

struct door {
	struct house *house;
	struct evhttp *http;
	struct evconnlistener *listener; /* NULL once it is closed */
	struct event *arrived;		 /* active: door->arrivals are to be looked at */
	struct event *end;		 /* active: door->ending are to be ended */
	struct event *sweep;		 /* every DOOR_SWEEP_US: who has been here too long? */
	struct event *look;		 /* while shut: may it be opened again? */
	bool shut;
	unsigned turn; /* connections taken since the listener was last enabled */
	STAILQ_HEAD(, arrival) arrivals;
	client_shortcut *shortcut; /* NULL: none */
	void *shortcut_arg;
	struct client *clients;		  /* by bev */
	struct client_list idle, reading; /* by phase_us */
	struct client_list sending;	  /* by moved_us */
	struct client_list ending;
	ssize_t answer_bytes, answer_told;
	LIST_ENTRY(door) all; /* of the process; see door.c */
};

/* A connection is gone: somebody who waits may come in. */
void door_on_left(struct door *door);

#endif
