/* SPDX-License-Identifier: Apache-2.0
 * What workers pay for sharing the bounds [P4] and [P5]: a reservation and its release, on one tab
 * by 1, 2, 4 and 8 threads, and for comparison each thread on a tab of its own application, where
 * nothing is shared.  bench_tab [DIR] (default /tmp). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/ledger/ledger.h"

#define THREADS_MAX 8
#define ROUNDS 10000000 /* long enough for all threads to run at once */

static pthread_barrier_t start;

static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void *reserve_and_release(void *arg)
{
	pthread_barrier_wait(&start);
	for (int i = 0; i < ROUNDS; i++) {
		if (ledger_tab_reserve(arg, 20, UINT64_MAX, UINT64_MAX) != LEDGER_ROOM)
			abort();
		ledger_tab_release(arg, 20);
	}
	return NULL;
}

static void measure(struct ledger_tab *const tabs[THREADS_MAX], size_t threads, bool shared)
{
	pthread_t running[THREADS_MAX];
	double cpu = cpu_us(), pairs = (double)threads * ROUNDS;
	usec_t begun = clock_now_us();

	pthread_barrier_init(&start, NULL, (unsigned)threads);
	for (size_t i = 0; i < threads; i++)
		if (pthread_create(&running[i], NULL, reserve_and_release, tabs[shared ? 0 : i]) !=
		    0)
			abort();
	for (size_t i = 0; i < threads; i++)
		pthread_join(running[i], NULL);
	pthread_barrier_destroy(&start);
	printf("%zu threads, %s: %6.1f ns of CPU a relay, %5.1f million relays/s\n", threads,
	       shared ? "one tab    " : "tabs apart ", (cpu_us() - cpu) * 1000 / pairs,
	       pairs / (double)(clock_now_us() - begun));
}

int main(int argc, char **argv)
{
	CLEANUP(xfree)
	char *dir = xasprintf("%s/cf-bench-tab-%d", argc > 1 ? argv[1] : "/tmp", getpid());
	CLEANUP(xfree) char *command = xasprintf("rm -rf '%s'", dir);
	struct ledger_params params = {.dir = dir, .role = LEDGER_SUPPLIER, .recent_ms = 60000};
	struct ledger_session session = {.service = {"eth"}};
	struct ledger_tab *tabs[THREADS_MAX];
	struct ledger *ledger;
	struct err err;

	if (!ledger_open(&params, &ledger, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	for (size_t i = 0; i < THREADS_MAX; i++) {
		session.id.b[0] = session.application.b[0] = (uint8_t)i;
		tabs[i] = ledger_tab_open(ledger, &session, &(struct key_id){0});
	}
	for (size_t threads = 1; threads <= THREADS_MAX; threads *= 2) {
		measure(tabs, threads, true);
		measure(tabs, threads, false);
	}
	for (size_t i = 0; i < THREADS_MAX; i++)
		ledger_tab_close(tabs[i]);
	ledger_close(ledger);
	return system(command) == 0 ? 0 : 1;
}
