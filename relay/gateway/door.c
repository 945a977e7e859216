/* SPDX-License-Identifier: Apache-2.0
 * evhttp accepts, and neither counts its connections nor says when one comes or goes.  So the
 * bufferevent that it asks for is ours, and a moment later, when evhttp has made a connection of
 * it, the connection is looked at for the first time. */
#include "relay/gateway/door.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/gateway/door_private.h"

#define SWEEP_US 100000	   /* times are kept to within this */
#define AGAIN_US 100000	   /* between looks at a house that is full, or has no descriptors */
#define BREATH_US 500	   /* after ACCEPTS_PER_TURN, so that calls get their turn */
#define ACCEPTS_PER_TURN 8 /* connections taken before the others are looked after */
#define CROWDED_US 1000000 /* who has been idle for less than this stays */

/* --- the house --- */

struct house *house_create(const struct house_limits *limits)
{
	struct house *house = xcalloc(1, sizeof(*house));

	assert(limits->connections_max > 0 && limits->request_max >= CLIENT_FREE_BYTES);
	house->limits = *limits;
	house->sources = sources_create();
	return house;
}

void house_destroy(struct house *house)
{
	if (house == NULL)
		return;
	assert(house->request_bytes == 0 && house->answer_bytes == 0);
	sources_destroy(house->sources);
	free(house);
}

size_t house_connections(const struct house *house)
{
	return atomic_load(&house->connections);
}

size_t house_request_bytes(const struct house *house)
{
	return atomic_load(&house->request_bytes);
}

size_t house_answer_bytes(const struct house *house)
{
	return (size_t)MAX(atomic_load(&house->answer_bytes), (ssize_t)0);
}

static bool is_full(const struct door *door)
{
	return house_connections(door->house) >= door->house->limits.connections_max;
}

/* --- opening and shutting --- */

static void look_after(struct door *door, long us)
{
	const struct timeval tv = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};

	event_add(door->look, &tv);
}

static void shut_for(struct door *door, long us)
{
	evconnlistener_disable(door->listener);
	door->shut = true;
	look_after(door, us);
}

static void open_up(struct door *door)
{
	event_del(door->look);
	door->shut = false;
	door->turn = 0;
	evconnlistener_enable(door->listener);
}

/* Does anybody stand before the door? */
static bool somebody_waits(const struct door *door)
{
	struct pollfd fd = {.fd = evconnlistener_get_fd(door->listener), .events = POLLIN};

	return poll(&fd, 1, 0) > 0;
}

/* Ends the connection that has been idle longest, if one has been idle for a while. */
static bool make_room(struct door *door)
{
	struct client *c = TAILQ_FIRST(&door->idle);

	if (!c || clock_mono_us() - c->phase_us < CROWDED_US)
		return false;
	client_close(c, CLIENT_CROWDED);
	return true;
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct door *door = arg;

	clock_tick();
	if (!door->listener || !door->shut)
		return;
	if (is_full(door) && somebody_waits(door))
		make_room(door);
	if (!door->listener || !door->shut)
		return;
	if (is_full(door))
		look_after(door, AGAIN_US);
	else
		open_up(door);
}

void door_on_left(struct door *door)
{
	size_t before = atomic_fetch_sub(&door->house->connections, 1);

	assert(before > 0);
	if (door->listener && door->shut && before == door->house->limits.connections_max)
		look_after(door, 0);
}

/* accept() failed: without descriptors or memory asking again at once would only spin. */
static void rest(struct door *door, int error)
{
	static _Thread_local struct log_gate gate;
	uint64_t more;

	if (door->shut)
		return;
	shut_for(door, AGAIN_US);
	if (log_every(&gate, 1000000, &more))
		log_warn("gateway.accept", "error=\"%s\" more=%llu", strerror(error),
			 (unsigned long long)more);
}

/* evconnlistener gives its error callback evhttp's argument, not ours: so doors are found by their
 * listener. */
static LIST_HEAD(, door) doors = LIST_HEAD_INITIALIZER(doors);
static pthread_mutex_t doors_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
	int error = errno;
	struct door *door;

	pthread_mutex_lock(&doors_lock);
	LIST_FOREACH (door, &doors, all) {
		if (door->listener == listener)
			break;
	}
	pthread_mutex_unlock(&doors_lock);
	if (door)
		rest(door, error);
}

/* --- coming in --- */

/* evhttp is accepting a connection and asks for a bufferevent. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
	struct arrival *arrival = xcalloc(1, sizeof(*arrival));
	struct door *door = arg;

	arrival->bev = bufferevent_socket_new(base, -1, 0);
	if (arrival->bev == NULL)
		abort(); /* memory is gone */
	bufferevent_incref(arrival->bev);
	STAILQ_INSERT_TAIL(&door->arrivals, arrival, entry);
	event_active(door->arrived, EV_TIMEOUT, 0);
	atomic_fetch_add(&door->house->connections, 1);
	if (is_full(door))
		shut_for(door, 0);
	else if (++door->turn == ACCEPTS_PER_TURN)
		shut_for(door, BREATH_US);
	return arrival->bev;
}

static void welcome(struct door *door, struct bufferevent *bev)
{
	struct sockaddr_storage address = {0};
	socklen_t n = sizeof(address);
	bufferevent_event_cb on_event;
	struct source *source;
	struct client *client;
	void *connection;

	/* evhttp's callbacks have its connection for an argument; they are NULL once it is freed.
	 */
	bufferevent_getcb(bev, NULL, NULL, &on_event, &connection);
	if (on_event == NULL || connection == NULL) {
		door_on_left(door);
		return;
	}
	assert(evhttp_connection_get_bufferevent(connection) == bev);
	if (getpeername(bufferevent_getfd(bev), (struct sockaddr *)&address, &n) != 0)
		address.ss_family = AF_UNSPEC; /* it has left already, which evhttp will find out */
	source = sources_enter(door->house->sources, (struct sockaddr *)&address,
			       door->house->limits.connections_per_address_max);
	client = client_create(door, bev, connection, source);
	if (source == NULL)
		client_close(client, CLIENT_PER_ADDRESS);
}

static void on_arrived(evutil_socket_t fd, short what, void *arg)
{
	struct door *door = arg;
	struct arrival *arrival;

	clock_tick();
	while ((arrival = STAILQ_FIRST(&door->arrivals))) {
		STAILQ_REMOVE_HEAD(&door->arrivals, entry);
		welcome(door, arrival->bev);
		bufferevent_decref(arrival->bev);
		free(arrival);
	}
	if (!door->shut)
		door->turn = 0;
}

struct client *door_client(const struct door *door, struct evhttp_request *http)
{
	struct bufferevent *bev =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(http));
	struct client *client;

	/* NOLINTNEXTLINE(bugprone-sizeof-expression): the key is the pointer */
	HASH_FIND(hh, door->clients, &bev, sizeof(bev), client);
	assert(client);
	return client;
}

/* --- staying too long --- */

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct door *door = arg;
	struct client *c;

	clock_tick();
	while ((c = TAILQ_FIRST(&door->ending)))
		client_close(c, c->end);
}

/* An answer may take as long as it gets on. */
static void sweep_sending(struct door *door, usec_t before)
{
	struct client *c;

	while ((c = TAILQ_FIRST(&door->sending)) && c->moved_us <= before) {
		if (c->sent < CLIENT_PACE_BYTES) {
			client_close(c, CLIENT_NOT_READING);
			continue;
		}
		c->sent = 0;
		c->moved_us = clock_mono_us();
		TAILQ_REMOVE(&door->sending, c, sender);
		TAILQ_INSERT_TAIL(&door->sending, c, sender);
	}
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct door *door = arg;
	const struct house_limits *limits = &door->house->limits;
	struct client *c;
	usec_t now;

	clock_tick();
	now = clock_mono_us();
	while ((c = TAILQ_FIRST(&door->reading)) && now - c->phase_us >= limits->request_timeout_us)
		client_close(c, CLIENT_SLOW);
	while ((c = TAILQ_FIRST(&door->idle)) && now - c->phase_us >= limits->idle_timeout_us)
		client_close(c, CLIENT_IDLE);
	sweep_sending(door, now - limits->send_timeout_us);
	metric_set(METRIC_GATEWAY_REQUESTS_HELD, (int64_t)house_request_bytes(door->house));
	metric_set(METRIC_GATEWAY_ANSWERS_HELD, (int64_t)house_answer_bytes(door->house));
}

/* --- life --- */

static struct event *make_event(struct event_base *base, short what, event_callback_fn fn,
				struct door *door)
{
	struct event *ev = event_new(base, -1, what, fn, door);

	if (ev == NULL)
		abort(); /* memory is gone */
	return ev;
}

struct door *door_create(struct event_base *base, struct evhttp *http,
			 struct evconnlistener *listener, struct house *house)
{
	const struct timeval every = {.tv_usec = SWEEP_US};
	struct door *door = xcalloc(1, sizeof(*door));

	door->house = house;
	door->http = http;
	door->listener = listener;
	door->arrived = make_event(base, 0, on_arrived, door);
	door->end = make_event(base, 0, on_end, door);
	door->look = make_event(base, 0, on_look, door);
	door->sweep = make_event(base, EV_PERSIST, on_sweep, door);
	event_add(door->sweep, &every);
	STAILQ_INIT(&door->arrivals);
	TAILQ_INIT(&door->idle);
	TAILQ_INIT(&door->reading);
	TAILQ_INIT(&door->sending);
	TAILQ_INIT(&door->ending);
	evhttp_set_bevcb(http, on_accept, door);
	evconnlistener_set_error_cb(listener, on_accept_failed);
	pthread_mutex_lock(&doors_lock);
	LIST_INSERT_HEAD(&doors, door, all);
	pthread_mutex_unlock(&doors_lock);
	return door;
}

void door_set_shortcut(struct door *door, client_shortcut *shortcut, void *arg)
{
	door->shortcut = shortcut;
	door->shortcut_arg = arg;
}

void door_close(struct door *door)
{
	if (door->listener == NULL)
		return;
	evconnlistener_disable(door->listener);
	evconnlistener_set_error_cb(door->listener, NULL);
	event_del(door->look);
	pthread_mutex_lock(&doors_lock);
	LIST_REMOVE(door, all);
	pthread_mutex_unlock(&doors_lock);
	door->listener = NULL;
}

void door_empty(struct door *door)
{
	struct client *c, *next;

	on_arrived(-1, 0, door);
	HASH_ITER (hh, door->clients, c, next)
		client_close(c, CLIENT_SHUTDOWN);
}

void door_destroy(struct door *door)
{
	if (door == NULL)
		return;
	assert(door->listener == NULL && door->clients == NULL);
	event_free(door->arrived);
	event_free(door->end);
	event_free(door->look);
	event_free(door->sweep);
	free(door);
}
