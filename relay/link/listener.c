/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/link/listener.h"

#include <assert.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "relay/base/log.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/link/link_private.h"

#define ACCEPTS_PER_TURN 64
#define BACKLOG 512
#define REST_US 100000 /* without descriptors: until some are free again */

/* One connection, from accept to link_destroy(). */
struct door_entry {
	struct door_entry *next, **at;
	struct listener *listener;
	struct link *link;
	uint64_t source;
	bool up; /* the owner has it */
};

struct listener {
	struct event_base *base;
	struct tls *tls;
	const struct link_self *self;
	struct listener_params params;
	const struct link_callbacks *owner;
	struct link_callbacks cbs; /* the owner's, with ours in front */
	void *arg;
	struct event ev_accept;
	struct event ev_rest;
	int fd;
	uint16_t port;
	char unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct door_entry *entries;
	uint32_t unfinished, up;
	uint64_t refused;
};

void listener_params_default(struct listener_params *ret)
{
	*ret = (struct listener_params){
		.unfinished_max = 256,
		.unfinished_per_source_max = 16,
		.links_max = 4096,
		.links_per_key_max = 64,
	};
	link_params_default(&ret->link);
}

static void entry_forget(struct door_entry *e)
{
	if (e->up)
		e->listener->up--;
	else
		e->listener->unfinished--;
	if (e->next)
		e->next->at = e->at;
	*e->at = e->next;
	free(e);
}

static void on_link_destroyed(struct link *link)
{
	entry_forget(link->holder);
}

static uint32_t count_key(const struct listener *l, const struct key_id *key)
{
	uint32_t count = 0;

	for (const struct door_entry *e = l->entries; e; e = e->next)
		count += e->up && ID_EQ(&link_peer(e->link)->key, key);
	return count;
}

static uint32_t count_unfinished(const struct listener *l, uint64_t source)
{
	uint32_t count = 0;

	for (const struct door_entry *e = l->entries; e; e = e->next)
		count += !e->up && e->source == source;
	return count;
}

static void count_refused(struct listener *l)
{
	l->refused++;
	metric_add(METRIC_LINK_REFUSED, 1);
}

/* HELLO is checked; whether there is room for one more link is not. */
static bool on_up(struct link *link, void *arg, struct err *err)
{
	struct door_entry *e = link->holder;
	struct listener *l = e->listener;

	if (l->up >= l->params.links_max ||
	    count_key(l, &link_peer(link)->key) >= l->params.links_per_key_max) {
		count_refused(l);
		return err_set(err, ERR_LIMIT, "too many links%s",
			       l->up >= l->params.links_max ? "" : " of this key");
	}
	e->up = true;
	l->unfinished--;
	l->up++;
	return !l->owner->on_up || l->owner->on_up(link, arg, err);
}

static void on_down(struct link *link, enum link_reason reason, const struct err *err, void *arg)
{
	struct door_entry *e = link->holder;

	if (e->up && e->listener->owner->on_down)
		e->listener->owner->on_down(link, reason, err, arg);
	else
		link_destroy(link);
}

static void take(struct listener *l, int fd, uint64_t source)
{
	struct door_entry *e;

	if (l->unfinished >= l->params.unfinished_max ||
	    (source != 0 && count_unfinished(l, source) >= l->params.unfinished_per_source_max)) {
		count_refused(l);
		close(fd);
		return;
	}
	e = xcalloc(1, sizeof(*e));
	e->listener = l;
	e->source = source;
	e->next = l->entries;
	e->at = &l->entries;
	if (e->next)
		e->next->at = &e->next;
	l->entries = e;
	l->unfinished++;
	e->link = link_accept(l->base, l->tls, l->self, &l->params.link, fd, &l->cbs, l->arg);
	e->link->holder = e;
	e->link->on_destroyed = on_link_destroyed;
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

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage sa = {0};
		socklen_t len = sizeof(sa);
		int got = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (got >= 0)
			take(l, got, address_source((struct sockaddr *)&sa));
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR && errno != ECONNABORTED) {
			rest(l, errno);
			return;
		}
	}
}

static bool bind_and_listen(struct listener *l, const struct address *at, const char *text,
			    struct err *err)
{
	const struct sockaddr *sa = (const struct sockaddr *)&at->sa;
	int one = 1;

	l->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return err_set(err, ERR_IO, "%s: %s", text, strerror(errno));
	if (sa->sa_family == AF_UNIX) {
		memcpy(l->unix_path, ((const struct sockaddr_un *)sa)->sun_path,
		       sizeof(l->unix_path));
		unlink(l->unix_path);
		fchmod(l->fd, 0600);
	} else if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
		   setsockopt(l->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0) {
		return err_set(err, ERR_IO, "%s: %s", text, strerror(errno));
	}
	if (bind(l->fd, sa, at->len) != 0 || listen(l->fd, BACKLOG) != 0)
		return err_set(err, ERR_IO, "cannot listen on %s: %s", text, strerror(errno));
	return true;
}

static uint16_t bound_port(int fd)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		return 0;
	if (sa.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&sa)->sin_port);
	if (sa.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
	return 0;
}

bool listener_create(struct event_base *base, struct tls *tls, const struct link_self *self,
		     const struct listener_params *params, const char *address,
		     const struct link_callbacks *cbs, void *arg, struct listener **ret,
		     struct err *err)
{
	CLEANUP(listener_destroy) struct listener *l = xcalloc(1, sizeof(*l));
	struct address at;

	l->fd = -1;
	l->base = base;
	l->tls = tls;
	l->self = self;
	l->params = *params;
	l->owner = cbs;
	l->cbs = *cbs;
	l->cbs.on_up = on_up;
	l->cbs.on_down = on_down;
	l->arg = arg;
	if (!address_parse_numeric(address, &at, err) || !bind_and_listen(l, &at, address, err))
		return false;
	l->port = bound_port(l->fd);
	event_assign(&l->ev_accept, base, l->fd, EV_READ | EV_PERSIST, on_acceptable, l);
	event_assign(&l->ev_rest, base, -1, 0, on_rested, l);
	event_add(&l->ev_accept, NULL);
	*ret = STEAL(l);
	return true;
}

void listener_destroy(struct listener *l)
{
	if (!l)
		return;
	for (struct door_entry *e = l->entries, *next; e; e = next) {
		next = e->next;
		if (!e->up) {
			link_destroy(e->link);
			continue;
		}
		e->link->cbs = l->owner;
		e->link->holder = NULL;
		e->link->on_destroyed = NULL;
		free(e);
	}
	if (l->fd >= 0) {
		if (event_initialized(&l->ev_accept)) {
			event_del(&l->ev_accept);
			event_del(&l->ev_rest);
		}
		close(l->fd);
		if (l->unix_path[0])
			unlink(l->unix_path);
	}
	free(l);
}

uint16_t listener_port(const struct listener *l)
{
	return l->port;
}

uint32_t listener_unfinished(const struct listener *l)
{
	return l->unfinished;
}

uint64_t listener_refused(const struct listener *l)
{
	return l->refused;
}
