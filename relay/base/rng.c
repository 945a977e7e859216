/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/rng.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static _Thread_local uint8_t pool[1024];
static _Thread_local size_t pool_left;
static _Thread_local unsigned pool_forks; /* when it was filled: a fork must not share it */
static unsigned forks;			  /* of this process's line; changed in a child alone */

static void on_child(void)
{
	forks++;
}

__attribute__((constructor)) static void watch_forks(void)
{
	if (pthread_atfork(NULL, NULL, on_child) != 0)
		abort();
}

static void fill(void *dst, size_t n)
{
	uint8_t *p = dst;

	while (n) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			perror("getrandom");
			abort();
		}
		p += got;
		n -= (size_t)got;
	}
}

void rng_bytes(void *dst, size_t n)
{
	if (n > sizeof(pool) / 2) {
		fill(dst, n);
		return;
	}
	if (pool_left < n || pool_forks != forks) {
		fill(pool, sizeof(pool));
		pool_left = sizeof(pool);
		pool_forks = forks;
	}
	pool_left -= n;
	memcpy(dst, pool + pool_left, n);
	memset(pool + pool_left, 0, n);
}

uint64_t rng_below(uint64_t bound)
{
	uint64_t limit, v;

	assert(bound > 0);
	limit = UINT64_MAX - UINT64_MAX % bound;
	do
		rng_bytes(&v, sizeof(v));
	while (v >= limit);
	return v % bound;
}
