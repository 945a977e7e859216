/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/admin/admin.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "relay/base/clock.h"
#include "relay/base/crowd.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"

#define BACKLOG 64

struct admin {
	struct event_base *base;
	struct evhttp *http;
	struct crowd *crowd;
	struct event *stop;
	int stop_fd; /* eventfd: written once, by admin_stop() */
	uint16_t port;
	pthread_t thread;
	bool running;
	usec_t started_us;
	struct admin_check checks[ADMIN_CHECKS_MAX];
	size_t checks_n;
	struct admin_page pages[ADMIN_PAGES_MAX];
	size_t pages_n;
	void (*refresh)(void *arg);
	void (*notes)(void *arg, struct buf *out);
	void *arg;
};

/* --- pages --- */

static void reply(struct evhttp_request *req, int status, const char *type, const struct buf *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evbuffer_add(evhttp_request_get_output_buffer(req), body->p, body->n);
	evhttp_send_reply(req, status, NULL, NULL);
}

static void reply_text(struct evhttp_request *req, int status, const struct buf *body)
{
	reply(req, status, "text/plain; charset=utf-8", body);
}

static void on_health(struct evhttp_request *req, void *arg)
{
	CLEANUP(buf_finish) struct buf body = {0};
	const struct admin *admin = arg;

	buf_put_str(&body, "ok\n");
	clock_tick();
	if (admin->notes != NULL)
		admin->notes(admin->arg, &body);
	reply_text(req, HTTP_OK, &body);
}

static void on_ready(struct evhttp_request *req, void *arg)
{
	CLEANUP(buf_finish) struct buf body = {0};
	const struct admin *admin = arg;
	bool ready = true;

	clock_tick();
	for (size_t i = 0; i < admin->checks_n; i++) {
		const struct admin_check *check = &admin->checks[i];
		struct err why = {.code = ERR_NONE};

		if (check->passes(check->arg, &why)) {
			buf_putf(&body, "%s: ok\n", check->name);
			continue;
		}
		ready = false;
		buf_putf(&body, "%s: %s: %s\n", check->name, err_info(why.code)->name, why.msg);
	}
	if (admin->checks_n == 0)
		buf_put_str(&body, "ok\n");
	reply_text(req, ready ? HTTP_OK : HTTP_SERVUNAVAIL, &body);
}

static usec_t timeval_us(struct timeval tv)
{
	return (usec_t)tv.tv_sec * 1000000 + tv.tv_usec;
}

static void set_process_metrics(const struct admin *admin)
{
	struct rusage usage;
	long pages = 0;
	FILE *f;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		metric_set(METRIC_PROCESS_CPU,
			   timeval_us(usage.ru_utime) + timeval_us(usage.ru_stime));
	f = fopen("/proc/self/statm", "re");
	if (f != NULL) {
		/* NOLINTNEXTLINE(cert-err34-c): the kernel wrote it */
		if (fscanf(f, "%*s %ld", &pages) == 1)
			metric_set(METRIC_PROCESS_RESIDENT, pages * sysconf(_SC_PAGESIZE));
		fclose(f);
	}
	metric_set(METRIC_PROCESS_UPTIME, clock_now_us() - admin->started_us);
}

static void on_metrics(struct evhttp_request *req, void *arg)
{
	CLEANUP(buf_finish) struct buf body = {0};
	struct admin *admin = arg;

	clock_tick();
	set_process_metrics(admin);
	if (admin->refresh != NULL)
		admin->refresh(admin->arg);
	metrics_write(&body);
	reply(req, HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static void on_page(struct evhttp_request *req, void *arg)
{
	CLEANUP(buf_finish) struct buf body = {0};
	const struct admin_page *page = arg;

	clock_tick();
	page->write(page->arg, &body);
	reply(req, HTTP_OK, page->type, &body);
}

static void on_other(struct evhttp_request *req, void *arg)
{
	CLEANUP(buf_finish) struct buf body = {0};
	const struct admin *admin = arg;

	buf_put_str(&body, "no such page; there are /healthz, /readyz and /metrics");
	for (size_t i = 0; i < admin->pages_n; i++)
		buf_putf(&body, ", %s", admin->pages[i].path);
	buf_put_str(&body, "\n");
	reply_text(req, HTTP_NOTFOUND, &body);
}

/* --- the listening socket --- */

static int listen_unix(const char *path, struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		err_set(err, ERR_IO, "unix:%s: the path is too long", path);
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err_set(err, ERR_IO, "unix:%s: %s", path, strerror(errno));
		return -1;
	}
	unlink(path); /* what a run that was killed has left */
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(fd, BACKLOG) != 0) {
		err_set(err, ERR_IO, "unix:%s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int listen_at(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) != 0 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		int why = errno;

		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

static int listen_tcp(const struct config_address *address, struct err *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found, *ai;
	char port[8];
	int fd = -1, code;

	snprintf(port, sizeof(port), "%u", address->port);
	code = getaddrinfo(address->host, port, &hints, &found);
	if (code != 0) {
		err_set(err, ERR_IO, "%s: %s", address->text, gai_strerror(code));
		return -1;
	}
	for (ai = found; ai != NULL && fd < 0; ai = ai->ai_next)
		fd = listen_at(ai);
	if (fd < 0)
		err_set(err, ERR_IO, "%s: %s", address->text, strerror(errno));
	freeaddrinfo(found);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage sa = {0};
	socklen_t n = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
		return 0;
	if (sa.ss_family == AF_INET)
		return get_be16((uint8_t *)&((struct sockaddr_in *)&sa)->sin_port);
	if (sa.ss_family == AF_INET6)
		return get_be16((uint8_t *)&((struct sockaddr_in6 *)&sa)->sin6_port);
	return 0;
}

/* --- the thread --- */

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct admin *admin = arg;

	event_base_loopbreak(admin->base);
}

static void on_pushed(void *arg)
{
	metric_add(METRIC_ADMIN_CROWDED, 1);
}

static void *run(void *arg)
{
	struct admin *admin = arg;

	event_base_dispatch(admin->base);
	return NULL;
}

static void admin_make(struct admin *admin)
{
	struct event_config *config = event_config_new();

	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	admin->base = event_base_new_with_config(config);
	event_config_free(config);
	admin->http = evhttp_new(admin->base);
	admin->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (admin->http == NULL || admin->stop_fd < 0)
		abort();
	admin->stop = event_new(admin->base, admin->stop_fd, EV_READ, on_stop, admin);
	event_add(admin->stop, NULL);
	admin->crowd =
		crowd_create(admin->base, admin->http, ADMIN_CONNECTIONS_MAX, on_pushed, NULL);
	evhttp_set_allowed_methods(admin->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(admin->http, ADMIN_HEADER_MAX);
	evhttp_set_max_body_size(admin->http, ADMIN_BODY_MAX);
	evhttp_set_timeout(admin->http, ADMIN_TIMEOUT_S);
	evhttp_set_cb(admin->http, "/healthz", on_health, admin);
	evhttp_set_cb(admin->http, "/readyz", on_ready, admin);
	evhttp_set_cb(admin->http, "/metrics", on_metrics, admin);
	for (size_t i = 0; i < admin->pages_n; i++)
		evhttp_set_cb(admin->http, admin->pages[i].path, on_page, &admin->pages[i]);
	evhttp_set_gencb(admin->http, on_other, admin);
}

/* All signals stay with the program's other threads. */
static bool start_thread(struct admin *admin)
{
	sigset_t all, was;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	ok = pthread_create(&admin->thread, NULL, run, admin) == 0;
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return ok;
}

bool admin_start(const struct admin_params *params, struct admin **ret, struct err *err)
{
	CLEANUP(admin_stop) struct admin *admin = NULL;
	int fd;

	assert(params->checks_n <= ADMIN_CHECKS_MAX && params->pages_n <= ADMIN_PAGES_MAX);
	fd = params->listen->unix_path ? listen_unix(params->listen->unix_path, err)
				       : listen_tcp(params->listen, err);
	if (fd < 0)
		return err_prefix(err, "admin");
	admin = xcalloc(1, sizeof(*admin));
	admin->started_us = clock_now_us();
	admin->refresh = params->refresh;
	admin->notes = params->notes;
	admin->arg = params->arg;
	admin->checks_n = params->checks_n;
	for (size_t i = 0; i < params->checks_n; i++)
		admin->checks[i] = params->checks[i];
	admin->pages_n = params->pages_n;
	for (size_t i = 0; i < params->pages_n; i++)
		admin->pages[i] = params->pages[i];
	admin_make(admin);
	admin->port = port_of(fd);
	if (evhttp_accept_socket(admin->http, fd) != 0) {
		close(fd);
		return err_set(err, ERR_IO, "admin: %s: cannot listen", params->listen->text);
	}
	if (!start_thread(admin))
		return err_set(err, ERR_IO, "admin: cannot start a thread");
	admin->running = true;
	*ret = STEAL(admin);
	return true;
}

uint16_t admin_port(const struct admin *admin)
{
	return admin->port;
}

void admin_stop(struct admin *admin)
{
	if (admin == NULL)
		return;
	if (admin->running) {
		if (eventfd_write(admin->stop_fd, 1) != 0)
			abort();
		pthread_join(admin->thread, NULL);
	}
	event_free(admin->stop);
	evhttp_free(admin->http);
	crowd_destroy(admin->crowd);
	event_base_free(admin->base);
	close(admin->stop_fd);
	free(admin);
}
