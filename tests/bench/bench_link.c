/* SPDX-License-Identifier: Apache-2.0
 * What the link costs: the codec of frames, and frames back and forth over TLS on loopback TCP,
 * both ends in one thread.  CPU nanoseconds an operation; for round trips also system calls of each
 * end. */
#include <time.h>

#include "tests/support/link_pair.h"

#define REQUEST_BYTES 150
#define RESPONSE_BYTES 120

static uint8_t leaf[FRAME_LEAF_BYTES];
static uint8_t body[4096];
static struct buf out;

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts); /* allowed: CPU time is what is measured */
	return 1e9 * (double)ts.tv_sec + (double)ts.tv_nsec;
}

static void report(const char *name, double ns, uint64_t count)
{
	printf("%-44s %10.0f ns\n", name, ns / (double)count);
}

static void put_batch(uint32_t count)
{
	const struct lane_id lane = {{0}};
	const struct hash root = {{0}};
	const struct signature signature = {{0}};
	size_t begun = frame_batch_begin(&out, &lane, 0, count);

	for (uint32_t i = 1; i <= count; i++)
		frame_batch_add(&out, i, leaf, VIEW(body, RESPONSE_BYTES));
	frame_batch_end(&out, begun, &root, &signature);
}

static void put_relay(uint32_t number)
{
	const struct frame_relay relay = {
		.session = 1, .deadline_ms = 1000, .request = VIEW(body, REQUEST_BYTES)};

	frame_put_relay(&out, number, &relay);
}

static void scan(struct frame *f)
{
	struct err err;
	size_t used;

	if (frame_scan(buf_view(&out), 1 << 22, f, &used, &err) != FRAME_SCAN_ONE)
		abort();
}

static void bench_codec(void)
{
	static struct frame_batch batch;
	const uint64_t rounds = 200000;
	struct frame_relay relay;
	struct frame f;
	struct err err;
	double begun = cpu_ns();

	for (uint64_t i = 0; i < rounds; i++) {
		out.n = 0;
		put_relay(1);
	}
	report("relay, write", cpu_ns() - begun, rounds);
	begun = cpu_ns();
	for (uint64_t i = 0; i < rounds; i++) {
		scan(&f);
		if (!frame_read_relay(&f, &relay, &err))
			abort();
	}
	report("relay, scan and read", cpu_ns() - begun, rounds);
	begun = cpu_ns();
	for (uint64_t i = 0; i < rounds / 32; i++) {
		out.n = 0;
		put_batch(32);
	}
	report("batch of 32, write, a leaf", cpu_ns() - begun, rounds);
	begun = cpu_ns();
	for (uint64_t i = 0; i < rounds / 32; i++) {
		scan(&f);
		if (!frame_read_batch(&f, &batch, &err))
			abort();
	}
	report("batch of 32, scan and read, a leaf", cpu_ns() - begun, rounds);
}

/* `depth` relays at a time go over, and one batch comes back. */
static bool node_on_frame(struct link *link, const struct frame *f, void *arg, struct err *err)
{
	((struct side *)arg)->frames++;
	return true;
}

static void node_on_turn(struct link *link, void *arg)
{
	struct side *side = arg;

	if (side->frames == 0)
		return;
	out.n = 0;
	put_batch(side->frames);
	buf_put(link_out(link), out.p, out.n);
	link_sent(link);
	side->frames = 0;
}

static void bench_trips(uint32_t depth, uint64_t rounds)
{
	struct pair pair;
	uint64_t writes, reads;
	char name[64];
	double begun;

	pair_init(&pair);
	pair.node.cbs.on_frame = node_on_frame;
	pair.node.cbs.on_turn = node_on_turn;
	pair.gateway.cbs.on_turn = NULL;
	if (!pair_up(&pair))
		abort();
	writes = link_stats()->writes;
	reads = link_stats()->reads;
	begun = cpu_ns();
	for (uint64_t i = 0; i < rounds; i++) {
		unsigned want = pair.gateway.frames + 1;

		for (uint32_t k = 1; k <= depth; k++) {
			const struct frame_relay relay = {.session = 1,
							  .deadline_ms = 1000,
							  .request = VIEW(body, REQUEST_BYTES)};

			frame_put_relay(link_out(pair.gateway.link), k, &relay);
			link_sent(pair.gateway.link);
		}
		while (pair.gateway.frames < want)
			event_base_loop(pair.base, EVLOOP_ONCE);
	}
	snprintf(name, sizeof(name), "round trip of %u, both ends, a relay", (unsigned)depth);
	report(name, cpu_ns() - begun, rounds * depth);
	printf("%-44s %10.2f + %.2f\n", "  sends + recvs, both ends, a round",
	       (double)(link_stats()->writes - writes) / (double)rounds,
	       (double)(link_stats()->reads - reads) / (double)rounds);
	pair_finish(&pair);
}

static void bench_handshake(void)
{
	const uint64_t rounds = 200;
	double begun = cpu_ns();

	for (uint64_t i = 0; i < rounds; i++) {
		struct pair pair;

		pair_init(&pair);
		if (!pair_up(&pair))
			abort();
		pair_finish(&pair);
	}
	report("link up, both ends, certificate included", cpu_ns() - begun, rounds);
}

int main(void)
{
	bench_codec();
	bench_trips(1, 20000);
	bench_trips(32, 4000);
	bench_trips(256, 600);
	bench_handshake();
	buf_finish(&out);
	return 0;
}
