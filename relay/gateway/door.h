/* SPDX-License-Identifier: Apache-2.0
 * Who may come in and how long they may stay: the limits on client connections.  A house has one
 * door a worker.  At connections_max the connection that has been idle longest makes room for who
 * comes; when none is idle, who comes waits in the kernel's queue. */
#ifndef RELAY_GATEWAY_DOOR_H
#define RELAY_GATEWAY_DOOR_H

#include <event2/http.h>
#include <event2/listener.h>

#include "relay/gateway/client.h"

struct house; /* what the doors of all workers share */
struct door;

struct house_limits {
	size_t connections_max;
	size_t connections_per_address_max;
	size_t calls_per_address_max;
	size_t request_bytes_max; /* of requests in memory, CLIENT_FREE_BYTES of each apart */
	size_t answer_bytes_max;  /* of answers that wait for their clients to read */
	size_t request_max;	  /* of one request, as long as evhttp lets one be */
	size_t head_max;
	size_t head_lines_max;
	usec_t request_timeout_us;
	usec_t idle_timeout_us;
	usec_t send_timeout_us;
};

struct house *house_create(const struct house_limits *limits);
/* After all its doors.  NULL is a no-op. */
void house_destroy(struct house *house);
/* Client connections that are open, and the bytes that they hold.  Any thread. */
size_t house_connections(const struct house *house);
size_t house_request_bytes(const struct house *house);
size_t house_answer_bytes(const struct house *house);

/* Watches a listener that is bound to `http` and every connection that comes in by it; both are
 * borrowed until door_empty(). */
struct door *door_create(struct event_base *base, struct evhttp *http,
			 struct evconnlistener *listener, struct house *house);
/* Who is tried first with what comes in on a connection that is hot. */
void door_set_shortcut(struct door *door, client_shortcut *shortcut, void *arg);
/* Nobody comes in any more; who is in may stay. */
void door_close(struct door *door);
/* Ends all connections. */
void door_empty(struct door *door);
/* After both of these; `http` may be gone.  NULL is a no-op. */
void door_destroy(struct door *door);

/* The client of a request. */
struct client *door_client(const struct door *door, struct evhttp_request *http);

#endif
