/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/link/listener.h"

#include <assert.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "relay/base/clock.h"
#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/link/link_private.h"
#include "relay/link/lobby.h"

#define ACCEPTS_PER_TURN 64
#define BACKLOG 512
#define REST_US 100000 /* without descriptors: until some are free again */

struct listener {
	struct event_base *base;
	struct tls *tls;
	const struct link_self *self;
	struct link_params params;
	const struct link_callbacks *owner;
	struct link_callbacks cbs; /* the owner's, with ours in front */
	void *arg;
	struct lobby *lobby;
	unsigned seat; /* there */
	bool seated;
	struct event ev_accept;
	struct event ev_rest;
	struct event ev_wake;
	int wake_fd; /* eventfd: another thread has accepted somebody for this one */
	int fd;	     /* -1: others listen for it */
	struct sockaddr_storage bound;
	socklen_t bound_len;
	char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	LIST_HEAD(, guest) guests; /* taken from the lobby */
};

void listener_params_default(struct listener_params *ret)
{
	*ret = (struct listener_params){
		.unfinished_max = 256,
		.unfinished_per_source_max = 16,
		.begun_max = 256,
		.begun_per_source_max = 64,
		.links_max = 4096,
		.links_per_key_max = 64,
	};
	link_params_default(&ret->link);
}

static void on_link_destroyed(struct link *link)
{
	struct guest *guest = link->holder;

	LIST_REMOVE(guest, own);
	lobby_go(guest->listener->lobby, guest);
}

/* HELLO is checked; whether there is room for one more link is not. */
static bool on_up(struct link *link, void *arg, struct err *err)
{
	struct guest *guest = link->holder;
	struct listener *l = guest->listener;

	return lobby_admit(l->lobby, guest, &link_peer(link)->key, err) &&
	       (!l->owner->on_up || l->owner->on_up(link, arg, err));
}

static void on_down(struct link *link, enum link_reason reason, const struct err *err, void *arg)
{
	struct guest *guest = link->holder;

	if (guest->up && guest->listener->owner->on_down)
		guest->listener->owner->on_down(link, reason, err, arg);
	else
		link_destroy(link);
}

/* Begins the handshake with all that the lobby has for this listener. */
static void take_guests(struct listener *l)
{
	struct guest *guest;

	while ((guest = lobby_take(l->lobby, l->seat))) {
		guest->listener = l;
		LIST_INSERT_HEAD(&l->guests, guest, own);
		guest->link = link_accept(l->base, l->tls, l->self, &l->params, guest->fd, &l->cbs,
					  l->arg);
		guest->link->holder = guest;
		guest->link->on_destroyed = on_link_destroyed;
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) == sizeof(count))
		take_guests(arg);
}

static void on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	event_add(&l->ev_accept, NULL);
}

/* No descriptor or memory for a connection that waits: asking again at once would only spin. */
static void rest(struct listener *l, int error)
{
	static _Thread_local struct log_gate gate;
	uint64_t more;

	event_del(&l->ev_accept);
	event_add(&l->ev_rest, &(struct timeval){0, REST_US});
	if (log_every(&gate, 1000000, &more))
		log_warn("link.accept", "error=\"%s\" more=%llu", strerror(error),
			 (unsigned long long)more);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;

	clock_tick();
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage sa = {0};
		socklen_t len = sizeof(sa);
		int got = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got >= 0)
			lobby_enter(l->lobby, l->seat, address_source((struct sockaddr *)&sa), got,
				    clock_mono_us());
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR && errno != ECONNABORTED) {
			rest(l, errno);
			break;
		}
	}
	take_guests(l);
}

/* --- the socket --- */

/* Another process on the same port would share it by SO_REUSEPORT without a word. */
static bool port_is_free(const struct address *at)
{
	const struct sockaddr *sa = (const struct sockaddr *)&at->sa;
	const int one = 1;
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_free;

	if (fd < 0)
		return true; /* the real one will tell */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	is_free = bind(fd, sa, at->len) == 0 || errno != EADDRINUSE;
	close(fd);
	return is_free;
}

static bool open_unix(struct listener *l, const struct address *at)
{
	memcpy(l->unix_path, ((const struct sockaddr_un *)&at->sa)->sun_path, sizeof(l->unix_path));
	unlink(l->unix_path);
	fchmod(l->fd, 0600);
	return true;
}

static bool share_port(const struct listener *l)
{
	const int one = 1;

	return setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	       setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0;
}

static bool bind_and_listen(struct listener *l, const struct address *at)
{
	const struct sockaddr *sa = (const struct sockaddr *)&at->sa;

	l->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0 || !(sa->sa_family == AF_UNIX ? open_unix(l, at) : share_port(l)) ||
	    bind(l->fd, sa, at->len) != 0 || listen(l->fd, BACKLOG) != 0)
		return false;
	l->bound_len = sizeof(l->bound);
	return getsockname(l->fd, (struct sockaddr *)&l->bound, &l->bound_len) == 0;
}

static bool open_first(struct listener *l, const struct address *at)
{
	if (at->sa.ss_family != AF_UNIX && !port_is_free(at)) {
		errno = EADDRINUSE;
		return false;
	}
	return bind_and_listen(l, at);
}

static void watch_socket(struct listener *l)
{
	event_assign(&l->ev_accept, l->base, l->fd, EV_READ | EV_PERSIST, on_acceptable, l);
	event_assign(&l->ev_rest, l->base, -1, 0, on_rested, l);
	event_add(&l->ev_accept, NULL);
}

/* --- life --- */

/* A seat in the lobby, whose ref is given. */
static bool sit_down(struct listener *l, struct lobby *lobby, struct err *err)
{
	l->lobby = lobby;
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake_fd < 0)
		return err_set(err, ERR_IO, "eventfd: %s", strerror(errno));
	event_assign(&l->ev_wake, l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	event_add(&l->ev_wake, NULL);
	l->seat = lobby_sit(lobby, l->wake_fd);
	l->seated = true;
	return true;
}

static struct listener *listener_new(struct event_base *base, struct tls *tls,
				     const struct link_self *self, const struct link_params *params,
				     const struct link_callbacks *cbs, void *arg)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->fd = l->wake_fd = -1;
	l->base = base;
	l->tls = tls;
	l->self = self;
	l->params = *params;
	l->owner = cbs;
	l->cbs = *cbs;
	l->cbs.on_up = on_up;
	l->cbs.on_down = on_down;
	l->arg = arg;
	LIST_INIT(&l->guests);
	return l;
}

bool listener_create(struct event_base *base, struct tls *tls, const struct link_self *self,
		     const struct listener_params *params, const char *address,
		     const struct link_callbacks *cbs, void *arg, struct listener **ret,
		     struct err *err)
{
	CLEANUP(listener_destroy)
	struct listener *l = listener_new(base, tls, self, &params->link, cbs, arg);
	struct address at;

	if (!address_parse_numeric(address, &at, err) || !sit_down(l, lobby_create(params), err))
		return false;
	if (!open_first(l, &at))
		return err_set(err, ERR_IO, "cannot listen on %s: %s", address, strerror(errno));
	watch_socket(l);
	*ret = STEAL(l);
	return true;
}

bool listener_join(const struct listener *first, struct event_base *base,
		   const struct link_self *self, void *arg, struct listener **ret, struct err *err)
{
	CLEANUP(listener_destroy)
	struct listener *l =
		listener_new(base, first->tls, self, &first->params, first->owner, arg);
	struct address at = {.sa = first->bound, .len = first->bound_len};

	if (!sit_down(l, lobby_ref(first->lobby), err))
		return false;
	/* Of unix sockets there is one a path: the first accepts for all. */
	if (at.sa.ss_family != AF_UNIX) {
		if (!bind_and_listen(l, &at))
			return err_set(err, ERR_IO, "cannot listen once more on port %u: %s",
				       listener_port(first), strerror(errno));
		watch_socket(l);
	}
	*ret = STEAL(l);
	return true;
}

static void close_socket(struct listener *l)
{
	if (l->fd < 0)
		return;
	if (event_initialized(&l->ev_accept)) {
		event_del(&l->ev_accept);
		event_del(&l->ev_rest);
	}
	close(l->fd);
	if (l->unix_path[0])
		unlink(l->unix_path);
}

void listener_destroy(struct listener *l)
{
	struct guest *guest;

	if (!l)
		return;
	close_socket(l);
	if (l->seated)
		lobby_leave(l->lobby, l->seat);
	while ((guest = LIST_FIRST(&l->guests))) {
		if (!guest->up) {
			link_destroy(guest->link);
			continue;
		}
		guest->link->cbs = l->owner;
		guest->link->holder = NULL;
		guest->link->on_destroyed = NULL;
		LIST_REMOVE(guest, own);
		lobby_go(l->lobby, guest);
	}
	if (l->wake_fd >= 0) {
		event_del(&l->ev_wake);
		close(l->wake_fd);
	}
	lobby_unref(l->lobby);
	free(l);
}

uint16_t listener_port(const struct listener *l)
{
	if (l->bound.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&l->bound)->sin_port);
	if (l->bound.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&l->bound)->sin6_port);
	return 0;
}

uint32_t listener_unfinished(const struct listener *l)
{
	return lobby_unfinished(l->lobby);
}

uint64_t listener_refused(const struct listener *l)
{
	return lobby_refused(l->lobby);
}
