/* SPDX-License-Identifier: Apache-2.0
 * What it costs to look at an answer: files of recorded results, each as often as fills a moment;
 * the best few rounds count, which are those that nothing else disturbed.
 *
 *	bench_verify METHOD PARAMS FILE ...     three arguments for each answer */
#include <stdio.h>

#include "chains/verify.h"
#include "relay/base/clock.h"
#include "relay/base/mem.h"

#define BENCH_US 300000
#define ROUND_BYTES 131072 /* answers of about so many together are timed */

static struct buf read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct buf buf = {0};
	size_t n;

	if (!f) {
		perror(path);
		exit(1);
	}
	do {
		buf_reserve(&buf, 65536);
		n = fread(buf.p + buf.n, 1, 65536, f);
		buf.n += n;
	} while (n > 0);
	fclose(f);
	return buf;
}

static void bench(struct chain_verifier *verifier, const char *name, const char *params,
		  const char *path)
{
	static const char *const verdicts[] = {"plain", "recomputed", "differs", "fault"};
	CLEANUP(buf_finish) struct buf result = read_file(path);
	const struct chain_method *method = NULL;
	struct chain_finding found;
	size_t rounds = MAX(1, ROUND_BYTES / result.n);
	usec_t end, best = INT64_MAX;
	struct err err;

	if (!chain_method_find(chain_find("evm"), VIEW_STR(name), &method, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	end = clock_now_us() + BENCH_US;
	do {
		usec_t start = clock_now_us(), us;

		for (size_t i = 0; i < rounds; i++)
			chain_verify(verifier, method, VIEW_STR(params), buf_view(&result), &found);
		us = clock_now_us() - start;
		best = MIN(best, us);
	} while (clock_now_us() < end);
	printf("%-28s %8.1f KB  %9.2f us  %6.3f us/KB  %s %s\n", name, (double)result.n / 1024,
	       (double)best / (double)rounds,
	       (double)best / (double)rounds / ((double)result.n / 1024), verdicts[found.verdict],
	       found.why ? found.why : "");
}

int main(int argc, char **argv)
{
	CLEANUP(chain_verifier_destroy)
	struct chain_verifier *verifier = chain_verifier_create(chain_find("evm"));

	for (int i = 1; i + 2 < argc; i += 3)
		bench(verifier, argv[i], argv[i + 1], argv[i + 2]);
	return 0;
}
