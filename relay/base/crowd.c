/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/crowd.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "relay/base/mem.h"

/* One connection.  evhttp asks for its bufferevent first; what it made of that is seen in the next
 * turn (as relay/gateway/door.c does). */
struct visitor {
	struct crowd *crowd;
	struct bufferevent *bev;	      /* ref, until `connection` is known */
	struct evhttp_connection *connection; /* then on crowd->inside, else on crowd->coming */
	TAILQ_ENTRY(visitor) entry;
};
TAILQ_HEAD(visitors, visitor);

struct crowd {
	struct visitors coming, inside; /* inside: the oldest first */
	size_t count, most;		/* inside */
	struct event *look;		/* active: crowd->coming is to be looked at */
	void (*on_pushed)(void *arg);
	void *arg;
};

static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
	struct visitor *visitor = xcalloc(1, sizeof(*visitor));
	struct crowd *crowd = arg;

	visitor->crowd = crowd;
	visitor->bev = bufferevent_socket_new(base, -1, 0);
	if (visitor->bev == NULL)
		abort(); /* memory is gone */
	bufferevent_incref(visitor->bev);
	TAILQ_INSERT_TAIL(&crowd->coming, visitor, entry);
	event_active(crowd->look, EV_TIMEOUT, 0);
	return visitor->bev;
}

static void on_closed(struct evhttp_connection *connection, void *arg)
{
	struct visitor *visitor = arg;

	TAILQ_REMOVE(&visitor->crowd->inside, visitor, entry);
	visitor->crowd->count--;
	free(visitor);
}

static void push(struct crowd *crowd, struct visitor *visitor)
{
	if (crowd->on_pushed)
		crowd->on_pushed(crowd->arg);
	evhttp_connection_free(visitor->connection); /* which calls on_closed() */
}

static void let_in(struct crowd *crowd, struct visitor *visitor)
{
	bufferevent_event_cb on_event;
	void *connection;

	/* They are NULL once evhttp has freed its connection. */
	bufferevent_getcb(visitor->bev, NULL, NULL, &on_event, &connection);
	bufferevent_decref(visitor->bev);
	visitor->bev = NULL;
	if (on_event == NULL || connection == NULL) {
		free(visitor);
		return;
	}
	visitor->connection = connection;
	TAILQ_INSERT_TAIL(&crowd->inside, visitor, entry);
	crowd->count++;
	evhttp_connection_set_closecb(connection, on_closed, visitor);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct crowd *crowd = arg;
	struct visitor *visitor;

	while ((visitor = TAILQ_FIRST(&crowd->coming))) {
		TAILQ_REMOVE(&crowd->coming, visitor, entry);
		let_in(crowd, visitor);
	}
	while (crowd->count > crowd->most)
		push(crowd, TAILQ_FIRST(&crowd->inside));
}

struct crowd *crowd_create(struct event_base *base, struct evhttp *http, size_t most,
			   void (*on_pushed)(void *arg), void *arg)
{
	struct crowd *crowd = xcalloc(1, sizeof(*crowd));

	assert(most > 0);
	crowd->most = most;
	crowd->on_pushed = on_pushed;
	crowd->arg = arg;
	TAILQ_INIT(&crowd->coming);
	TAILQ_INIT(&crowd->inside);
	crowd->look = event_new(base, -1, 0, on_look, crowd);
	if (crowd->look == NULL)
		abort(); /* memory is gone */
	evhttp_set_bevcb(http, on_accept, crowd);
	return crowd;
}

void crowd_destroy(struct crowd *crowd)
{
	struct visitor *visitor;

	if (crowd == NULL)
		return;
	while ((visitor = TAILQ_FIRST(&crowd->coming))) {
		TAILQ_REMOVE(&crowd->coming, visitor, entry);
		bufferevent_decref(visitor->bev);
		free(visitor);
	}
	assert(crowd->count == 0);
	event_free(crowd->look);
	free(crowd);
}

static size_t waiting(const struct visitor *visitor)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(visitor->connection);

	return evbuffer_get_length(bufferevent_get_output(bev));
}

bool crowd_make_room(struct crowd *crowd, const struct evhttp_connection *but, size_t n,
		     size_t most)
{
	struct visitor *visitor, *next;
	size_t held = n;

	TAILQ_FOREACH (visitor, &crowd->inside, entry)
		held += waiting(visitor);
	for (visitor = TAILQ_FIRST(&crowd->inside); visitor && held > most; visitor = next) {
		size_t its = waiting(visitor);

		next = TAILQ_NEXT(visitor, entry);
		if (its == 0 || visitor->connection == but)
			continue;
		held -= its;
		push(crowd, visitor);
	}
	return held <= most;
}
