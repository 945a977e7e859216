/* SPDX-License-Identifier: Apache-2.0
 * Nanoseconds of the scanner: a small call, an eth_call with 1 KiB of data, a batch of 100, and
 * answers of 80 bytes and 1 MiB. */
#include <inttypes.h>
#include <stdio.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/rpc/encoding.h"

static const struct rpc_limits limits = {.depth_max = RPC_DEPTH_REQUEST, .batch_max = 1000};

static void report(const char *what, size_t bytes, uint64_t rounds, usec_t us)
{
	printf("%-28s %8zu bytes %10.1f ns %8.2f GB/s\n", what, bytes,
	       (double)us * 1000 / (double)rounds,
	       (double)bytes * (double)rounds / ((double)us * 1000));
}

static void bench_request(const char *what, struct view body, uint64_t rounds)
{
	usec_t from = clock_now_us();
	struct err err;

	for (uint64_t i = 0; i < rounds; i++) {
		struct rpc_request r;

		if (!rpc_request_scan(body, &limits, &r, &err))
			abort();
		rpc_request_finish(&r);
	}
	report(what, body.n, rounds, clock_now_us() - from);
}

static void bench_answer(const char *what, struct view body, uint64_t rounds)
{
	usec_t from = clock_now_us();
	struct err err;

	for (uint64_t i = 0; i < rounds; i++) {
		struct rpc_answer a;

		if (!rpc_answer_scan(body, &a, &err))
			abort();
	}
	report(what, body.n, rounds, clock_now_us() - from);
}

static void bench_encode(struct view body, uint64_t rounds)
{
	usec_t from = clock_now_us();
	struct service_name eth = {"eth"};
	struct buf out = {0};
	struct rpc_request r;
	struct err err;

	if (!rpc_request_scan(body, &limits, &r, &err))
		abort();
	for (uint64_t i = 0; i < rounds; i++) {
		out.n = 0;
		request_encoding_put_call(&out, &eth, &r.calls[0]);
	}
	report("request encoding", body.n, rounds, clock_now_us() - from);
	buf_finish(&out);
}

int main(void)
{
	struct view small =
		VIEW_STR("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBalance\",\"params\":"
			 "[\"0x00000000219ab540356cbb839cbe05303d7705fa\",\"latest\"]}");
	struct buf b = {0};

	bench_request("eth_getBalance", small, 2000000);
	bench_encode(small, 2000000);
	buf_put_str(&b,
		    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\",\"params\":[{\"data\":"
		    "\"0x");
	for (int i = 0; i < 512; i++)
		buf_put_str(&b, "ab");
	buf_put_str(&b, "\"},\"latest\"]}");
	bench_request("eth_call of 1 KiB", buf_view(&b), 1000000);
	b.n = 0;
	for (int i = 0; i < 100; i++) {
		buf_put_str(&b, i ? "," : "[");
		buf_put(&b, small.p, small.n);
	}
	buf_put_str(&b, "]");
	bench_request("batch of 100", buf_view(&b), 20000);
	bench_answer("answer",
		     VIEW_STR("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":"
			      "\"0x00000000000000000de0b6b3a7640000\"}"),
		     2000000);
	b.n = 0;
	buf_put_str(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"");
	for (int i = 0; i < 1 << 19; i++)
		buf_put_str(&b, "ab");
	buf_put_str(&b, "\"}");
	bench_answer("answer of 1 MiB", buf_view(&b), 500);
	buf_finish(&b);
	return 0;
}
