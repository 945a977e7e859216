/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/upstream/upstream.h"

#include <assert.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/upstream/internal.h"

/* Tells the callers of all transfers that are over. */
static void reap(struct upstream *up)
{
	CURLMsg *msg;
	int left = 0;

	while ((msg = curl_multi_info_read(up->multi, &left))) {
		struct upstream_call *call = NULL;
		CURLcode code = msg->data.result;

		assert(msg->msg == CURLMSG_DONE);
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		upstream_curl_on_end(call, code);
	}
}

static void action(struct upstream *up, curl_socket_t fd, int ready)
{
	int running = 0;

	assert(!up->in_curl);
	clock_tick(); /* deadlines are judged by the present, not by what this turn began with */
	up->in_curl = true;
	curl_multi_socket_action(up->multi, fd, ready, &running);
	up->in_curl = false;
	reap(up);
}

/* libevent says that a socket is ready.  May end any number of calls. */
static void sock_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct upstream_sock *sock = arg;
	int ready =
		(what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	if (sock->idle) { /* closed by the backend; libcurl sees it before it uses it again */
		event_del(&sock->event);
		sock->registered = 0;
		return;
	}
	action(sock->up, fd, ready);
}

static struct upstream_sock *sock_at(struct upstream *up, curl_socket_t fd)
{
	size_t i = (size_t)fd;

	if (i >= up->socks_n) {
		size_t n = i + 64;

		up->socks = xrealloc(up->socks, n * sizeof(struct upstream_sock *));
		for (size_t k = up->socks_n; k < n; k++)
			up->socks[k] = NULL;
		up->socks_n = n;
	}
	if (!up->socks[i]) {
		up->socks[i] = xcalloc(1, sizeof(struct upstream_sock));
		up->socks[i]->up = up;
	}
	return up->socks[i];
}

static void sock_drop(struct upstream_sock *sock)
{
	if (sock->registered)
		event_del(&sock->event);
	sock->registered = 0;
	sock->idle = true;
}

/* libcurl says which events it wants of a socket. */
static int sock_on_want(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	struct upstream *up = arg;
	struct upstream_sock *sock = sock_at(up, fd);
	short want = 0;

	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		want |= EV_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		want |= EV_WRITE;
	sock->idle = want == 0;
	if (want == sock->registered)
		return 0;
	if (want == 0 && sock->registered == EV_READ)
		return 0; /* idle; see struct upstream_sock */
	if (sock->registered)
		event_del(&sock->event);
	sock->registered = want;
	if (want) {
		event_assign(&sock->event, up->base, fd, (short)(want | EV_PERSIST), sock_on_event,
			     sock);
		event_add(&sock->event, NULL);
	}
	return 0;
}

static int sock_on_close(void *arg, curl_socket_t fd)
{
	struct upstream *up = arg;

	sock_drop(sock_at(up, fd));
	return close(fd);
}

void upstream_sock_setopt(struct upstream *up, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, sock_on_close);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, up);
}

static void timer_on_event(evutil_socket_t fd, short what, void *arg)
{
	action(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void kick_on_event(evutil_socket_t fd, short what, void *arg)
{
	upstream_flush(arg);
}

/* libcurl says when it wants to be called without a socket: at once means at the end of this turn,
 * so that all requests of the turn start together. */
static int timer_on_want(CURLM *multi, long timeout_ms, void *arg)
{
	struct upstream *up = arg;
	struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

	if (timeout_ms < 0) {
		evtimer_del(&up->timer);
	} else if (timeout_ms > 0) {
		evtimer_add(&up->timer, &tv);
	} else {
		upstream_kick(up);
	}
	return 0;
}

void upstream_kick(struct upstream *up)
{
	if (up->kicked)
		return;
	up->kicked = true;
	event_active(&up->kick, EV_TIMEOUT, 0);
}

/* Lets the calls go on that libcurl was told to hold; it gives what it kept of them at once. */
static void let_go(struct upstream *up)
{
	struct upstream_call *call;

	up->in_curl = true;
	while ((call = TAILQ_FIRST(&up->resumed))) {
		TAILQ_REMOVE(&up->resumed, call, resumed);
		call->resuming = call->held = false;
		/* One that cannot go on has failed, and is told like any other. */
		(void)!curl_easy_pause(call->easy, CURLPAUSE_CONT);
	}
	up->in_curl = false;
}

void upstream_flush(struct upstream *up)
{
	if (!up->kicked || up->in_curl)
		return;
	up->kicked = false;
	event_del(&up->kick);
	let_go(up);
	action(up, CURL_SOCKET_TIMEOUT, 0);
}

bool upstream_create(struct event_base *base, struct upstream **ret, struct err *err)
{
	struct upstream *up;

	/* Counts its calls and is safe to repeat. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_INTERNAL, "libcurl does not start");
	up = xcalloc(1, sizeof(*up));
	up->base = base;
	TAILQ_INIT(&up->resumed);
	up->multi = curl_multi_init();
	if (!up->multi) {
		free(up);
		curl_global_cleanup();
		return err_set(err, ERR_INTERNAL, "libcurl gives no multi handle");
	}
	event_assign(&up->timer, base, -1, 0, timer_on_event, up);
	event_assign(&up->kick, base, -1, 0, kick_on_event, up);
	curl_multi_setopt(up->multi, CURLMOPT_SOCKETFUNCTION, sock_on_want);
	curl_multi_setopt(up->multi, CURLMOPT_SOCKETDATA, up);
	curl_multi_setopt(up->multi, CURLMOPT_TIMERFUNCTION, timer_on_want);
	curl_multi_setopt(up->multi, CURLMOPT_TIMERDATA, up);
	*ret = up;
	return true;
}

void upstream_destroy(struct upstream *up)
{
	if (!up)
		return;
	assert(up->pools == 0 && !up->in_curl);
	curl_multi_cleanup(up->multi);
	for (size_t i = 0; i < up->socks_n; i++) {
		if (up->socks[i] && up->socks[i]->registered)
			event_del(&up->socks[i]->event);
		free(up->socks[i]);
	}
	free(up->socks);
	event_del(&up->timer);
	event_del(&up->kick);
	free(up);
	curl_global_cleanup();
}
