/* SPDX-License-Identifier: Apache-2.0
 * One client connection, as the gateway sees it beside evhttp: what it has sent and not yet been
 * answered, what it has not yet read, since when, and why it ended.  evhttp parses and answers; it
 * limits the length of a head and of a body and nothing else, so that is done here, by watching
 * the two buffers of the connection.
 *
 *	IDLE <--> READING --> SERVING --> IDLE or READING (the next request is there already)
 */
#ifndef RELAY_GATEWAY_CLIENT_H
#define RELAY_GATEWAY_CLIENT_H

#include <sys/queue.h>
#include <sys/uio.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "relay/base/bytes.h"
#include "relay/base/clock.h"
#include "relay/crypto/table.h"

struct door;
struct source;

/* Bytes of a connection's requests that are its own; what is beyond is counted in
 * gateway.request_bytes_max.  Also what is read ahead from a client whose call is in flight. */
#define CLIENT_FREE_BYTES 16384
/* An answer that waits goes on when at least this much of it was read within send_timeout. */
#define CLIENT_PACE_BYTES 16384

/* Why a connection ended: the word in the log, and in the order of the metric label ENDED. */
enum client_end {
	CLIENT_DONE,	       /* closed between requests, by either side */
	CLIENT_LEFT,	       /* the client went away within a request or its answer */
	CLIENT_IDLE,	       /* no request for gateway.idle_timeout */
	CLIENT_SLOW,	       /* a request was not complete after gateway.request_timeout */
	CLIENT_TLS,	       /* it speaks TLS */
	CLIENT_BAD_REQUEST,    /* not HTTP, or not as it should be */
	CLIENT_HEAD_TOO_LARGE, /* over gateway.header_max */
	CLIENT_BODY_REFUSED,   /* too far over gateway.body_max to be read, or broken chunks */
	CLIENT_NOT_READING,    /* its answer did not get on for gateway.send_timeout */
	CLIENT_PER_ADDRESS,    /* over gateway.connections_per_address_max */
	CLIENT_CROWDED,	       /* idle, and made room at gateway.connections_max */
	CLIENT_REQUEST_BYTES,  /* over gateway.request_bytes_max */
	CLIENT_ANSWER_BYTES,   /* over gateway.answer_bytes_max */
	CLIENT_BROKEN_OFF,     /* its answer could not be brought to its end */
	CLIENT_SHUTDOWN,       /* the gateway ended */
	CLIENT_END_COUNT
};
const char *client_end_name(enum client_end end);

enum client_phase {
	CLIENT_PHASE_IDLE,    /* door->idle */
	CLIENT_PHASE_READING, /* door->reading: a part of a request is there */
	CLIENT_PHASE_SERVING, /* no list: its request is complete and not answered yet */
};

struct client {
	struct door *door;
	struct bufferevent *bev;
	struct evhttp_connection *connection;
	struct source *source;
	enum client_phase phase;
	usec_t phase_us; /* when it began */
	size_t held;	 /* bytes that its request takes: received, and what evhttp makes of them */
	size_t parsed;	 /* of these, taken out of the input by evhttp */
	bool in_body;	 /* so much is held that the head must be over */
	bool head_over;	 /* its blank line has come: what follows is no line of a head */
	size_t lines;	 /* of the head, complete ones */
	size_t in_line;	 /* bytes of the line that has not ended */
	size_t charged;	 /* of `held`, counted in house->request_bytes */
	size_t waiting;	 /* bytes of answers that it has not read, counted too */
	size_t sent;	 /* bytes that it has read since moved_us */
	usec_t moved_us; /* when its answer last got on by CLIENT_PACE_BYTES */
	usec_t stalled_us; /* when it last read anything */
	bool hot;	   /* its last answer was a kept one: the next may be, too */
	bool taking;	   /* its input is being emptied by itself */
	size_t room;	   /* bytes that its socket surely takes now; 0: not known */
	bool ending;	   /* on door->ending: ended as soon as no buffer is being changed */
	bool has_end;
	enum client_end end;
	size_t calls; /* taken from source */
	void (*on_gone)(void *arg);
	void *arg;
	TAILQ_ENTRY(client) entry;  /* by phase */
	TAILQ_ENTRY(client) sender; /* door->sending, while waiting > 0 */
	TAILQ_ENTRY(client) ending_entry;
	UT_hash_handle hh; /* door->clients, by bev */
};
TAILQ_HEAD(client_list, client);

/* Takes charge of a connection that evhttp has made; source is NULL when its address has too many,
 * and then client_close() must follow. */
struct client *client_create(struct door *door, struct bufferevent *bev,
			     struct evhttp_connection *connection, struct source *source);

/* Its request is complete and is being served: called first thing by whoever answers it. */
void client_serve(struct client *client, struct evhttp_request *http);
/* Whom to tell when the connection ends before the answer; NULL: nobody any more. */
void client_on_gone(struct client *client, void (*on_gone)(void *arg), void *arg);
/* n calls of the request begin.  False: its address has too many in flight. */
MUST_USE bool client_take_calls(struct client *client, size_t n);
/* All of them have ended. */
void client_give_calls(struct client *client);

/* Answers a whole request before evhttp has seen it: all bytes that are there.  False: it has done
 * nothing, and evhttp gets them. */
typedef bool client_shortcut(void *arg, struct client *client, struct view bytes);
/* Whether its next request is worth a try. */
void client_set_hot(struct client *client, bool hot);
/* From within a client_shortcut: sends an answer at once.  False: it might not go as a whole, and
 * nothing was sent. */
MUST_USE bool client_send(struct client *client, const struct iovec *parts, size_t count);

/* Ends the connection now, with a short answer where HTTP has one for it.  Not from within a
 * callback of its buffers. */
void client_close(struct client *client, enum client_end end);

#endif
