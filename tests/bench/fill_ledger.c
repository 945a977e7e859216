/* SPDX-License-Identifier: Apache-2.0
 * Fills a node's ledger for measurements of scale, and says what that cost:
 *
 *	fill_ledger DIR LEAVES
 *
 * appends leaves in batches of 100, without evidence, in lanes of at most 2^20.  Those before the
 * last are cosigned and closed; the last is as long as it can be and stays as a crash would leave
 * it.  Prints one line of JSON: of the filling the CPU and the time a leaf, hash and tree included,
 * and the longest commit; of a second opening of the ledger its time and CPU, and the memory after
 * it.  The leaves are not valid receipts: the ledger does not check that. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/rng.h"
#include "relay/ledger/ledger.h"
#include "relay/receipt/tree.h"

#define BATCH 100
#define LANE ((LEDGER_LANE_LEAVES / BATCH) * BATCH)

struct fill {
	struct ledger *ledger;
	struct ledger_port *port;
	struct ledger_tab *tab;
	struct ledger_lane *lane;
	struct key_id peer;
	struct tree tree; /* of the lane */
	unsigned in_flight;
};

static void must(bool fine, const struct err *err)
{
	if (fine)
		return;
	fprintf(stderr, "fill_ledger: %s\n", err->msg);
	exit(1);
}

static double cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static long rss_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (f && fscanf(f, "%*s %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * 4;
}

static void on_done(void *arg, const struct err *err)
{
	struct fill *fill = arg;

	must(err == NULL, err);
	fill->in_flight--;
}

static void wait_for(struct fill *fill, unsigned in_flight)
{
	while (fill->in_flight > in_flight) {
		struct pollfd p = {.fd = ledger_port_fd(fill->port), .events = POLLIN};

		poll(&p, 1, 1000);
		ledger_port_reap(fill->port);
	}
}

static void lane_open(struct fill *fill)
{
	struct lane_id id;
	struct err err = {0};

	clock_tick();
	rng_bytes(id.b, sizeof(id.b));
	fill->in_flight++;
	tree_init(&fill->tree);
	must(ledger_lane_open(fill->port, &id, &fill->peer, clock_day(clock_wall_ms()), on_done,
			      fill, &fill->lane, &err),
	     &err);
	wait_for(fill, 0);
}

/* As both sides leave a lane that was delivered to its end. */
static void lane_end(struct fill *fill)
{
	struct ledger_cosigned cosigned = {.size = fill->tree.size, .time = 1};

	tree_root(&fill->tree, &cosigned.root);
	fill->in_flight += 2;
	ledger_cosign(fill->port, fill->lane, &cosigned, on_done, fill);
	wait_for(fill, 1);
	ledger_lane_release(fill->port, fill->lane);
	ledger_lane_close(fill->port, fill->lane, fill->tree.size, on_done, fill);
	wait_for(fill, 0);
}

static void append(struct fill *fill)
{
	struct ledger_batch *batch = ledger_batch_create(fill->port);
	struct ledger_head head = {.size = fill->tree.size + BATCH};
	uint8_t leaf[LEDGER_LEAF_BYTES] = {0};
	struct salt salt = {{2}};
	struct hash hash;

	put_be32(leaf + 56, 1);
	for (unsigned i = 0; i < BATCH; i++) {
		if (ledger_tab_reserve(fill->tab, 1, UINT64_MAX, UINT64_MAX) != LEDGER_ROOM)
			exit(1);
		put_be64(leaf + 8, fill->tree.size);
		tree_leaf_hash(VIEW(leaf, sizeof(leaf)), &hash);
		tree_append(&fill->tree, &hash);
		ledger_batch_add(batch, fill->tab, leaf, &hash, &salt, VIEW(NULL, 0),
				 VIEW(NULL, 0));
	}
	tree_root(&fill->tree, &head.root);
	fill->in_flight++;
	ledger_append(fill->port, fill->lane, batch, &head, on_done, fill);
	wait_for(fill, 3);
}

static void fill_up(struct fill *fill, uint64_t leaves)
{
	uint64_t last = MIN(leaves, (uint64_t)LANE);

	for (uint64_t done = 0; done < leaves; done += BATCH) {
		if (fill->tree.size >= LANE || done == 0 || leaves - done == last) {
			if (fill->lane)
				lane_end(fill);
			lane_open(fill);
		}
		append(fill);
	}
	wait_for(fill, 0);
}

static void ledger_begin(struct fill *fill, const char *dir)
{
	struct ledger_params params = {.dir = dir, .role = LEDGER_SUPPLIER, .recent_ms = 60000};
	struct ledger_session session = {.service = {"eth"}};
	struct err err = {0};

	must(ledger_open(&params, &fill->ledger, &err), &err);
	fill->port = ledger_port_create(fill->ledger);
	fill->tab = ledger_tab_open(fill->ledger, &session, &fill->peer);
}

static void ledger_end(struct fill *fill)
{
	ledger_tab_close(fill->tab);
	ledger_drain(fill->ledger);
	ledger_port_reap(fill->port);
	ledger_port_destroy(fill->port);
	ledger_close(fill->ledger);
}

int main(int argc, char **argv)
{
	struct fill fill = {.peer = {{7}}};
	struct ledger_stats stats;
	uint64_t leaves = 0;
	usec_t begun, filled_us, opened_us;
	double cpu, filled_cpu, opened_cpu;
	long rss;

	if (argc != 3 || !u64_parse(argv[2], strlen(argv[2]), &leaves) || leaves % BATCH != 0 ||
	    leaves == 0) {
		fprintf(stderr, "usage: fill_ledger DIR LEAVES\n");
		return 2;
	}
	ledger_begin(&fill, argv[1]);
	begun = clock_now_us();
	cpu = cpu_us();
	fill_up(&fill, leaves);
	filled_us = clock_now_us() - begun;
	filled_cpu = cpu_us() - cpu;
	ledger_stats(fill.ledger, &stats);
	ledger_lane_release(fill.port, fill.lane);
	ledger_end(&fill);
	begun = clock_now_us();
	cpu = cpu_us();
	ledger_begin(&fill, argv[1]);
	opened_us = clock_now_us() - begun;
	opened_cpu = cpu_us() - cpu;
	rss = rss_kib();
	ledger_end(&fill);
	printf("{\"append_cpu_us\": %.3f, \"append_us\": %.3f, \"commit_max_ms\": %.2f, "
	       "\"open_ms\": %.2f, \"open_cpu_ms\": %.2f, \"rss_mib\": %.1f}\n",
	       filled_cpu / (double)leaves, (double)filled_us / (double)leaves,
	       (double)stats.commit_max_us / 1000, (double)opened_us / 1000, opened_cpu / 1000,
	       (double)rss / 1024);
	return 0;
}
