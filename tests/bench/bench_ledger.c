/* SPDX-License-Identifier: Apache-2.0
 * What the ledger costs: CPU of all its threads per relay, alone and in batches, with evidence on;
 * and its longest commit.  bench_ledger [DIR] (default /tmp). */
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/rng.h"
#include "relay/ledger/ledger.h"
#include "relay/receipt/leaf.h"
#include "relay/receipt/tree.h"

#define REQUEST_BYTES 120 /* an eth_getBalance and its encoding */
#define RESPONSE_BYTES 110

struct bench {
	struct ledger *ledger;
	struct ledger_port *port;
	struct ledger_tab *tab;
	struct ledger_lane *lane;
	struct key_id peer;
	uint64_t size;
	unsigned in_flight;
	unsigned failed;
};

static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void bench_on_done(void *arg, const struct err *err)
{
	struct bench *b = arg;

	b->in_flight--;
	b->failed += err != NULL;
}

static void bench_wait(struct bench *b, unsigned in_flight)
{
	while (b->in_flight > in_flight) {
		struct pollfd p = {.fd = ledger_port_fd(b->port), .events = POLLIN};

		poll(&p, 1, 1000);
		ledger_port_reap(b->port);
	}
}

static void bench_lane(struct bench *b)
{
	struct lane_id id;
	struct err err;

	if (b->lane != NULL)
		ledger_lane_release(b->port, b->lane);
	rng_bytes(id.b, sizeof(id.b));
	b->in_flight++;
	b->size = 0;
	if (!ledger_lane_open(b->port, &id, &b->peer, clock_day(clock_wall_ms()), bench_on_done, b,
			      &b->lane, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	bench_wait(b, 0);
}

/* The leaf and its hash are the caller's business and are made once: only the ledger is measured.
 */
static void bench_append(struct bench *b, unsigned n)
{
	static uint8_t request[REQUEST_BYTES], response[RESPONSE_BYTES], bytes[LEAF_SIZE];
	struct ledger_batch *batch = ledger_batch_create(b->port);
	struct ledger_head head = {.size = b->size + n};
	struct hash hash = {{1}};
	struct salt salt = {{2}};

	put_be32(bytes + 56, 1);
	for (unsigned i = 0; i < n; i++) {
		if (ledger_tab_reserve(b->tab, 1, UINT64_MAX, UINT64_MAX) != LEDGER_ROOM)
			exit(1);
		put_be64(bytes + 8, b->size + i);
		ledger_batch_add(batch, b->tab, bytes, &hash, &salt, VIEW(request, sizeof(request)),
				 VIEW(response, sizeof(response)));
	}
	b->size = head.size;
	b->in_flight++;
	ledger_append(b->port, b->lane, batch, &head, bench_on_done, b);
}

static void bench_run(struct bench *b, unsigned batch, unsigned in_flight, unsigned relays)
{
	struct ledger_stats before, after;
	usec_t began = clock_now_us();
	double cpu = cpu_us();

	bench_lane(b);
	ledger_stats(b->ledger, &before);
	for (unsigned i = 0; i < relays; i += batch) {
		bench_append(b, batch);
		bench_wait(b, in_flight - 1);
	}
	bench_wait(b, 0);
	ledger_stats(b->ledger, &after);
	printf("batch %4u in flight %2u: %6.2f us CPU, %7.2f us wall a relay, %5.1f leaves a "
	       "commit\n",
	       batch, in_flight, (cpu_us() - cpu) / relays,
	       (double)(clock_now_us() - began) / relays,
	       (double)(after.leaves - before.leaves) / (double)(after.commits - before.commits));
}

int main(int argc, char **argv)
{
	char *dir = xasprintf("%s/cf-bench-ledger-XXXXXX", argc > 1 ? argv[1] : "/tmp");
	struct ledger_params params = {.dir = dir,
				       .role = LEDGER_SUPPLIER,
				       .evidence_max_bytes = 256 << 20,
				       .recent_ms = 60000};
	struct ledger_session session = {.service = {"eth"}};
	struct ledger_stats stats;
	struct bench b = {0};
	struct err err;
	char *remove;

	if (mkdtemp(dir) == NULL || !ledger_open(&params, &b.ledger, &err)) {
		fprintf(stderr, "cannot open a ledger in %s\n", dir);
		return 1;
	}
	b.port = ledger_port_create(b.ledger);
	b.tab = ledger_tab_open(b.ledger, &session, &b.peer);
	bench_run(&b, 1, 1, 20000);
	bench_run(&b, 1, 32, 50000);
	bench_run(&b, 10, 1, 100000);
	bench_run(&b, 32, 2, 300000);
	bench_run(&b, 100, 1, 500000);
	bench_run(&b, 100, 4, 500000);
	ledger_stats(b.ledger, &stats);
	printf("longest commit %.2f ms, %u failed\n", (double)stats.commit_max_us / 1000, b.failed);
	ledger_tab_close(b.tab);
	ledger_drain(b.ledger);
	ledger_port_reap(b.port);
	ledger_port_destroy(b.port);
	ledger_close(b.ledger);
	remove = xasprintf("rm -rf '%s'", dir);
	if (system(remove) != 0)
		return 1;
	free(remove);
	free(dir);
	return b.failed == 0 ? 0 : 1;
}
