/* SPDX-License-Identifier: Apache-2.0
 * What a request to a backend costs this process: bench_upstream URL [REQUESTS [AT_ONCE]].
 * Without a URL it says how to use it: a backend is needed (nginx with `return 200`, say). */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/upstream/upstream.h"

#define CALL                                                                                       \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBalance\",\"params\":"                  \
	"[\"0x000000000000000000000000000000000000dead\",\"latest\"]}"

struct run {
	struct event_base *base;
	struct upstream_pool *pool;
	uint64_t left, waiting, failed;
};

static void start(struct run *run);

static void on_done(void *arg, struct upstream_result *result, const struct err *err)
{
	struct run *run = arg;

	run->waiting--;
	run->failed += result == NULL;
	if (run->left > 0)
		start(run);
	else if (run->waiting == 0)
		event_base_loopbreak(run->base);
}

static void start(struct run *run)
{
	struct upstream_request request = {
		.body = VIEW_STR(CALL),
		.deadline_us = clock_mono_us() + 10000000,
		.headroom = 28,
		.idempotent = true,
		.done = on_done,
		.arg = run,
	};

	run->left--;
	run->waiting++;
	upstream_fetch(run->pool, &request);
}

static double cpu_us(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static bool bench(struct run *run, const char *url, uint64_t n, uint64_t at_once, struct err *err)
{
	struct upstream *up = NULL;
	struct upstream_limits limits = UPSTREAM_LIMITS_DEFAULT;
	double cpu = cpu_us();
	usec_t begun = clock_now_us();

	limits.ca_file = getenv("CA_FILE"); /* for an https URL */
	if (!upstream_create(run->base, &up, err) ||
	    !upstream_pool_create(up, "bench", &url, 1, &limits, &run->pool, err))
		return false;
	run->left = n;
	for (uint64_t i = 0; i < at_once && run->left > 0; i++)
		start(run);
	event_base_dispatch(run->base);
	printf("at once %4llu: %8.2f us CPU a request, %8.2f us wall, %llu failed\n",
	       (unsigned long long)at_once, (cpu_us() - cpu) / (double)n,
	       (double)(clock_now_us() - begun) / (double)n, (unsigned long long)run->failed);
	upstream_pool_destroy(run->pool);
	upstream_destroy(up);
	return true;
}

int main(int argc, char **argv)
{
	struct event_config *config = event_config_new();
	uint64_t n = 100000, at_once = 32;
	struct run run = {0};
	struct err err;

	if (argc < 2 || (argc > 2 && !u64_parse(argv[2], strlen(argv[2]), &n)) ||
	    (argc > 3 && !u64_parse(argv[3], strlen(argv[3]), &at_once)) || n == 0) {
		printf("usage: bench_upstream URL [REQUESTS [AT_ONCE]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	run.base = event_base_new_with_config(config);
	event_config_free(config);
	if (!bench(&run, argv[1], n, at_once, &err)) {
		fprintf(stderr, "bench_upstream: %s\n", err.msg);
		return 1;
	}
	event_base_free(run.base);
	return 0;
}
