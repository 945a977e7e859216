/* SPDX-License-Identifier: Apache-2.0
 * A worker's thread: its event loop, which says when what worker.c does is to be done. */
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "relay/base/log.h"
#include "relay/gateway/internal.h"

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	clock_tick();
	worker_on_tick(arg);
}

static void on_alarm(evutil_socket_t fd, short what, void *arg)
{
	clock_tick();
	worker_on_alarm(arg);
}

static void on_cosign(evutil_socket_t fd, short what, void *arg)
{
	clock_tick();
	worker_on_cosign(arg);
}

static void on_port(evutil_socket_t fd, short what, void *arg)
{
	clock_tick();
	worker_on_ledger(arg);
}

static void on_cut(evutil_socket_t fd, short what, void *arg)
{
	clock_tick();
	flows_cut(arg);
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	uint64_t n;

	clock_tick();
	if (read(fd, &n, sizeof(n)) == sizeof(n))
		worker_on_stop(w);
}

void loop_wake_at(struct worker *w, usec_t at_us)
{
	usec_t left = MAX(at_us - clock_mono_us(), 0);
	struct timeval tv = {left / 1000000, left % 1000000};

	if (event_add(w->alarm, &tv) != 0)
		abort(); /* memory is gone */
}

void loop_cut_soon(struct worker *w)
{
	event_active(w->cuts, EV_TIMEOUT, 0);
}

void loop_end(struct worker *w)
{
	event_base_loopbreak(w->base);
}

static struct event *add_event(struct worker *w, int fd, event_callback_fn fn, usec_t every_us)
{
	struct event *ev =
		event_new(w->base, fd, (short)((fd >= 0 ? EV_READ : 0) | EV_PERSIST), fn, w);
	struct timeval tv = {every_us / 1000000, every_us % 1000000};

	if (!ev || event_add(ev, every_us ? &tv : NULL) != 0)
		abort(); /* memory is gone */
	return ev;
}

static struct event_base *make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	/* No descriptor of ours is dup'ed while it is watched: the changelist is safe (event.h). */
	event_config_set_flag(config,
			      EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

bool loop_open(struct worker *w, struct err *err)
{
	w->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->base = make_base();
	return (w->base && w->stop_fd >= 0) ||
	       err_set(err, ERR_IO, "worker %u: no event loop", w->id);
}

void loop_begin(struct worker *w)
{
	w->port_event = add_event(w, ledger_port_fd(w->port), on_port, 0);
	w->stop_event = add_event(w, w->stop_fd, on_stop, 0);
	w->cuts = event_new(w->base, -1, 0, on_cut, w);
	w->alarm = evtimer_new(w->base, on_alarm, w);
	w->tick = add_event(w, -1, on_tick, TICK_US);
	w->cosign = add_event(w, -1, on_cosign, w->cfg->gateway.cosign_interval);
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void loop_close(struct worker *w)
{
	free_event(w->port_event);
	free_event(w->stop_event);
	free_event(w->cuts);
	free_event(w->alarm);
	free_event(w->tick);
	free_event(w->cosign);
	if (w->base)
		event_base_free(w->base);
	if (w->stop_fd >= 0)
		close(w->stop_fd);
}

void *gateway_worker_main(void *arg)
{
	struct worker *w = arg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	clock_tick();
	if (event_base_dispatch(w->base) < 0)
		log_error("gateway.loop_failed", "worker=%u", w->id);
	return NULL;
}
