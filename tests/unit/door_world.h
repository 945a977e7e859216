/* SPDX-License-Identifier: Apache-2.0
 * A door with a server behind it in one loop, and clients that come and say what a test wants. */
#ifndef TESTS_UNIT_DOOR_WORLD_H
#define TESTS_UNIT_DOOR_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "relay/base/metrics.h"
#include "relay/crypto/digest.h"
#include "relay/gateway/door.h"
#include "relay/gateway/source.h"

#define MAX_OPEN 4
#define BIG ((size_t)8 << 20) /* more than a socket takes */

static const struct house_limits wide = {
	.connections_max = MAX_OPEN,
	.connections_per_address_max = 100,
	.calls_per_address_max = 100,
	.request_bytes_max = 64 << 20,
	.answer_bytes_max = 64 << 20,
	.request_max = 4 << 20,
	.head_max = 4096,
	.head_lines_max = 10000,
	.request_timeout_us = 60000000,
	.idle_timeout_us = 60000000,
	.send_timeout_us = 60000000,
};

struct scene {
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener;
	struct house *house;
	struct door *door;
	struct sockaddr_in address;
	unsigned asked;
};

static inline void forget(void *arg)
{
	if (!evhttp_request_get_connection(arg))
		evhttp_request_free(arg);
}

/* Takes a request that will not be answered; whether its client leaves is seen. */
static inline void keep_waiting(struct scene *s, struct evhttp_request *req)
{
	struct client *client = door_client(s->door, req);
	bufferevent_event_cb on_event;
	void *arg;

	client_on_gone(client, forget, req);
	bufferevent_getcb(client->bev, NULL, NULL, &on_event, &arg);
	bufferevent_setcb(client->bev, NULL, NULL, on_event, arg);
	bufferevent_enable(client->bev, EV_READ);
}

/* "/big" has a long answer, "/never" none. */
static inline void answer(struct evhttp_request *req, void *arg)
{
	struct scene *s = arg;
	const char *path = evhttp_request_get_uri(req);
	struct evbuffer *body = evbuffer_new();
	char *bytes;

	s->asked++;
	client_serve(door_client(s->door, req), req);
	if (strcmp(path, "/big") == 0) {
		bytes = calloc(1, BIG);
		evbuffer_add(body, bytes, BIG);
		free(bytes);
	}
	if (strcmp(path, "/never") == 0)
		keep_waiting(s, req);
	else
		evhttp_send_reply(req, 200, NULL, body);
	evbuffer_free(body);
}

static inline void scene_open(struct scene *s, const struct house_limits *limits)
{
	socklen_t n = sizeof(s->address);

	memset(s, 0, sizeof(*s));
	clock_tick();
	s->address.sin_family = AF_INET;
	s->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->base = event_base_new();
	s->http = evhttp_new(s->base);
	s->listener = evconnlistener_new_bind(s->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 64,
					      (struct sockaddr *)&s->address, sizeof(s->address));
	assert_non_null(s->listener);
	assert_int_equal(
		getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&s->address, &n),
		0);
	assert_non_null(evhttp_bind_listener(s->http, s->listener));
	evhttp_set_gencb(s->http, answer, s);
	evhttp_set_max_headers_size(s->http, (ev_ssize_t)limits->head_max);
	evhttp_set_max_body_size(s->http, 2 << 20);
	s->house = house_create(limits);
	s->door = door_create(s->base, s->http, s->listener, s->house);
}

static inline void scene_close(struct scene *s)
{
	door_close(s->door);
	door_empty(s->door);
	evhttp_free(s->http);
	door_destroy(s->door);
	house_destroy(s->house);
	event_base_free(s->base);
}

/* Lets the loop run for a while, and on with what is there to be done when the machine took that
 * while for itself. */
static inline void live(struct scene *s, int ms)
{
	struct timeval tv = {.tv_usec = ms * 1000};

	event_base_loopexit(s->base, &tv);
	event_base_dispatch(s->base);
	for (int i = 0; i < 10; i++)
		event_base_loop(s->base, EVLOOP_NONBLOCK);
}

/* A client of 127.0.0.`host`. */
static inline int come_from(struct scene *s, int host)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + (uint32_t)host);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&s->address, sizeof(s->address)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* A client that asks at once and does not wait. */
static inline int come(struct scene *s)
{
	int fd = come_from(s, 1);

	say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	return fd;
}

static inline bool is_answered(int fd)
{
	char text[256];

	return read(fd, text, sizeof(text)) > 0;
}

/* What is there to be read begins with this. */
static inline bool is_told(int fd, const char *text)
{
	char got[256];
	ssize_t n = read(fd, got, sizeof(got));

	return n >= (ssize_t)strlen(text) && memcmp(got, text, strlen(text)) == 0;
}

static inline int64_t ended(enum client_end end)
{
	return metric_value_at(METRIC_GATEWAY_CLIENTS_ENDED, end, 0);
}

#endif
