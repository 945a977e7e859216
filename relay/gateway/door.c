/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/door.h"

#include <assert.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "relay/base/mem.h"

#define LOOK_US 1000	/* from shutting the door to the first look */
#define AGAIN_US 100000 /* between looks at a house that is full */

struct door {
	struct evconnlistener *listener;
	struct evhttp *http;
	struct event *timer;
	size_t max;
	size_t shares;
	size_t left; /* may still come in before the next look */
};

/* The same address to come to: port (the host may be a wildcard), or path. */
static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_port ==
		       ((const struct sockaddr_in *)b)->sin_port;
	if (a->ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)a)->sin6_port ==
		       ((const struct sockaddr_in6 *)b)->sin6_port;
	return a->ss_family == AF_UNIX && strcmp(((const struct sockaddr_un *)a)->sun_path,
						 ((const struct sockaddr_un *)b)->sun_path) == 0;
}

static bool is_client(int fd, const struct sockaddr_storage *listening)
{
	struct sockaddr_storage own = {0}, peer;
	socklen_t own_n = sizeof(own), peer_n = sizeof(peer);

	return getsockname(fd, (struct sockaddr *)&own, &own_n) == 0 &&
	       same_address(&own, listening) &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_n) == 0;
}

size_t door_count(int listening_fd)
{
	struct sockaddr_storage listening = {0};
	socklen_t n = sizeof(listening);
	size_t count = 0;
	struct dirent *entry;
	DIR *dir;

	if (getsockname(listening_fd, (struct sockaddr *)&listening, &n) != 0)
		return 0;
	dir = opendir("/proc/self/fd");
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			count += is_client((int)strtol(entry->d_name, NULL, 10), &listening);
	closedir(dir);
	return count;
}

static void look_after(struct door *door, long us)
{
	const struct timeval tv = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};

	event_add(door->timer, &tv);
}

/* How many more this listener may let in: its share of what is free in all. */
static size_t free_places(const struct door *door)
{
	size_t open = door_count(evconnlistener_get_fd(door->listener));

	if (open >= door->max)
		return 0;
	return MAX((door->max - open) / door->shares, (size_t)1);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct door *door = arg;

	door->left = free_places(door);
	if (door->left > 0)
		evconnlistener_enable(door->listener);
	else
		look_after(door, AGAIN_US);
}

/* evhttp asks for a bufferevent for each connection that it takes; NULL: the usual one. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
	struct door *door = arg;

	if (door->left > 0)
		door->left--;
	if (door->left == 0 && !evtimer_pending(door->timer, NULL)) {
		evconnlistener_disable(door->listener);
		look_after(door, LOOK_US);
	}
	return NULL;
}

struct door *door_create(struct event_base *base, struct evhttp *http,
			 struct evconnlistener *listener, size_t max, size_t shares)
{
	struct door *door = xcalloc(1, sizeof(*door));

	assert(max > 0 && shares > 0);
	door->listener = listener;
	door->http = http;
	door->max = max;
	door->shares = shares;
	door->left = MAX(max / shares, (size_t)1);
	door->timer = evtimer_new(base, on_look, door);
	if (door->timer == NULL)
		abort();
	evhttp_set_bevcb(http, on_accept, door);
	return door;
}

void door_destroy(struct door *door)
{
	if (door == NULL)
		return;
	evhttp_set_bevcb(door->http, NULL, NULL);
	event_free(door->timer);
	free(door);
}
