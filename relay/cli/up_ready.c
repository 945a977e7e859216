/* SPDX-License-Identifier: Apache-2.0
 * Ports for `counterfoil up`, and the question whether its gateway serves. */
#include "relay/cli/up.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/util.h>
#include <jansson.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"

#define ASK_TIMEOUT_MS 5000L
#define ASK_PAUSE_US 100000
#define ASK_PATIENCE_US 5000000 /* without an answer before it is said that one waits, */
#define ASK_QUIET_US 10000000	/* and from then on between two times that it is said */
#define ASK_ANSWER_MAX 65536
#define ASK "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\",\"params\":[]}"

static uint16_t port_of(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)ss)->sin6_port);
	return ntohs(((const struct sockaddr_in *)ss)->sin_port);
}

/* Takes an address and a port apart; port 0 too, which libevent does not. */
static bool parse_address(const char *address, struct sockaddr_storage *ss, int *len)
{
	size_t n = strlen(address);
	bool any = n > 2 && strcmp(address + n - 2, ":0") == 0;
	CLEANUP(xfree)
	char *text = xasprintf("%.*s%s", (int)(any ? n - 1 : n), address, any ? "1" : "");

	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)ss, len) != 0)
		return false;
	if (any && ss->ss_family == AF_INET6)
		((struct sockaddr_in6 *)ss)->sin6_port = 0;
	else if (any)
		((struct sockaddr_in *)ss)->sin_port = 0;
	return true;
}

/* Tries to listen; says at which port it could. */
static bool try_port(const char *address, uint16_t *ret_port, struct err *err)
{
	const int on = 1;
	struct sockaddr_storage ss;
	int len = sizeof(ss), fd;
	socklen_t got = sizeof(ss);
	bool ok;

	if (!parse_address(address, &ss, &len))
		return err_set(err, ERR_USAGE, "%s is not an address and a port", address);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	     bind(fd, (struct sockaddr *)&ss, (socklen_t)len) == 0 && listen(fd, 1) == 0 &&
	     getsockname(fd, (struct sockaddr *)&ss, &got) == 0;
	if (ok)
		*ret_port = port_of(&ss);
	else
		err_set(err, ERR_IO, "%s: %s", address,
			errno == EADDRINUSE ? "the port is busy" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

bool up_find_port(const char *option, const char *given, const char *fallback, unsigned more,
		  char **ret, struct err *err)
{
	const char *colon = strrchr(fallback, ':');
	uint64_t first;
	uint16_t found;

	if (given) {
		if (!try_port(given, &found, err))
			return err_prefix(err, "--%s", option);
		*ret = xasprintf("%.*s:%u", (int)(strrchr(given, ':') - given), given, found);
		return true;
	}
	if (!u64_parse(colon + 1, strlen(colon + 1), &first))
		assert(!"the default address is well-formed");
	for (uint64_t port = first; port <= first + more && port < 65536; port++) {
		CLEANUP(xfree)
		char *address = xasprintf("%.*s:%" PRIu64, (int)(colon - fallback), fallback, port);

		if (try_port(address, &found, err)) {
			if (port != first)
				printf("%s is busy: --%s takes %s\n", fallback, option, address);
			*ret = STEAL(address);
			return true;
		}
	}
	return err_set(err, ERR_IO, "--%s: ports %" PRIu64 " to %" PRIu64 " are all busy", option,
		       first, first + more);
}

/* The URL that reaches an address one listens on: a wildcard is reached by loopback. */
char *up_url(const struct up *up)
{
	if (strncmp(up->listen, "0.0.0.0:", 8) == 0)
		return xasprintf("http://127.0.0.1:%s", up->listen + 8);
	if (strncmp(up->listen, "[::]:", 5) == 0)
		return xasprintf("http://[::1]:%s", up->listen + 5);
	return xasprintf("http://%s", up->listen);
}

struct up_ready {
	struct up *up;
	void (*on_ready)(struct up *, const char *, const char *);
	pthread_t thread;
	atomic_bool stop;
	char *url;
	int pipe[2]; /* the thread writes the chain's id */
	struct event *readable;
};

struct answer {
	char text[ASK_ANSWER_MAX];
	size_t n;
};

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct answer *a = arg;

	n *= size;
	if (n > sizeof(a->text) - a->n)
		return 0;
	memcpy(a->text + a->n, p, n);
	a->n += n;
	return n;
}

/* Decimal, as wallets want it; as it came when it is none that fits. */
static bool chain_id_of(const struct answer *a, char ret[UP_CHAIN_ID_MAX], char *why, size_t why_n)
{
	json_t *top = json_loadb(a->text, a->n, 0, NULL);
	const char *id = json_string_value(json_object_get(top, "result"));
	const char *message =
		json_string_value(json_object_get(json_object_get(top, "error"), "message"));
	bool ok = id && strncmp(id, "0x", 2) == 0 && strlen(id) < UP_CHAIN_ID_MAX;

	if (!ok)
		snprintf(why, why_n, "%s", message ? message : "no answer to eth_chainId");
	else if (strlen(id) <= 2 + 16)
		snprintf(ret, UP_CHAIN_ID_MAX, "%llu", strtoull(id + 2, NULL, 16));
	else
		snprintf(ret, UP_CHAIN_ID_MAX, "%s", id);
	json_decref(top);
	return ok;
}

static bool ask(CURL *curl, char ret[UP_CHAIN_ID_MAX], char *why, size_t why_n)
{
	CLEANUP(xfree) struct answer *answer = xcalloc(1, sizeof(*answer));
	CURLcode rc;

	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	rc = curl_easy_perform(curl);
	if (rc != CURLE_OK) {
		snprintf(why, why_n, "%s", curl_easy_strerror(rc));
		return false;
	}
	return chain_id_of(answer, ret, why, why_n);
}

static void say_waiting(const struct up *up, const char *why)
{
	fprintf(stderr, "counterfoil up: still waiting for an answer: %s\n", why);
	fprintf(stderr, "  `counterfoil doctor %s/node1.yaml' tries the upstreams\n", up->state);
	fprintf(stderr, "  logs: %s/log\n", up->state);
}

static void *asker(void *arg)
{
	struct up_ready *r = arg;
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURL *curl = curl_easy_init();
	char chain_id[UP_CHAIN_ID_MAX] = "";
	usec_t say_us = clock_now_us() + ASK_PATIENCE_US;
	char why[256] = "";

	if (!curl || !headers)
		abort(); /* only when memory is gone */
	curl_easy_setopt(curl, CURLOPT_URL, r->url);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ASK_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ASK);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	while (!atomic_load(&r->stop)) {
		if (ask(curl, chain_id, why, sizeof(why))) {
			ssize_t n = write(r->pipe[1], chain_id, sizeof(chain_id));

			(void)n; /* so few bytes fit an empty pipe, in one piece */
			break;
		}
		if (clock_now_us() >= say_us) {
			say_waiting(r->up, why);
			say_us = clock_now_us() + ASK_QUIET_US;
		}
		usleep(ASK_PAUSE_US);
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	return NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct up_ready *r = arg;
	char chain_id[UP_CHAIN_ID_MAX];

	if (read(fd, chain_id, sizeof(chain_id)) == (ssize_t)sizeof(chain_id))
		r->on_ready(r->up, r->url, chain_id);
}

bool up_ready_start(struct up *up, void (*on_ready)(struct up *, const char *, const char *),
		    struct up_ready **ret, struct err *err)
{
	struct up_ready *r = xcalloc(1, sizeof(*r));

	r->up = up;
	r->on_ready = on_ready;
	r->url = up_url(up);
	if (pipe(r->pipe) != 0)
		goto no_pipe;
	evutil_make_socket_closeonexec(r->pipe[0]);
	evutil_make_socket_closeonexec(r->pipe[1]);
	r->readable = event_new(up->base, r->pipe[0], EV_READ, on_readable, r);
	if (!r->readable || event_add(r->readable, NULL) != 0 ||
	    pthread_create(&r->thread, NULL, asker, r) != 0)
		goto no_thread;
	*ret = r;
	return true;

no_thread:
	if (r->readable)
		event_free(r->readable);
	close(r->pipe[0]);
	close(r->pipe[1]);
no_pipe:
	free(r->url);
	free(r);
	return err_set(err, ERR_IO, "no thread to watch the gateway");
}

void up_ready_stop(struct up_ready *r)
{
	if (!r)
		return;
	atomic_store(&r->stop, true);
	pthread_join(r->thread, NULL);
	event_free(r->readable);
	close(r->pipe[0]);
	close(r->pipe[1]);
	free(r->url);
	free(r);
}
