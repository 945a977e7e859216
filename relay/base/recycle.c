/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/recycle.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "relay/base/compiler.h"
#include "relay/base/mem.h"

#define STEP 16 /* malloc() gives blocks in steps of so many bytes */
#define SIZES (RECYCLE_BLOCK_MAX / STEP + 1)

struct block {
	struct block *next;
};

/* A thread's blocks: those at i have room for i * STEP bytes, and not for as many more. */
struct kept {
	struct block *first[SIZES];
	size_t count[SIZES];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* only for its destructor, at a thread's end */
static __thread struct kept *kept;

static void free_all(void *arg)
{
	struct kept *k = arg;

	for (size_t i = 0; i < SIZES; i++) {
		struct block *block, *next;

		for (block = k->first[i]; block; block = next) {
			next = block->next;
			free(block);
		}
	}
	free(k);
	kept = NULL;
}

static void make_key(void)
{
	if (pthread_key_create(&key, free_all) != 0)
		abort();
}

static struct kept *kept_of_thread(void)
{
	if (!kept) {
		pthread_once(&once, make_key);
		kept = xcalloc(1, sizeof(*kept));
		pthread_setspecific(key, kept);
	}
	return kept;
}

void *recycle_malloc(size_t n)
{
	size_t i = (MAX(n, sizeof(struct block)) + STEP - 1) / STEP;
	struct block *block;

	if (n > RECYCLE_BLOCK_MAX)
		return malloc(n); /* allowed: the library copes with NULL */
	if (!kept || !(block = kept->first[i]))
		return malloc(i * STEP); /* allowed: the same */
	kept->first[i] = block->next;
	kept->count[i]--;
	return block;
}

void *recycle_realloc(void *p, size_t n)
{
	return realloc(p, n); /* allowed: the same */
}

void recycle_free(void *p)
{
	size_t i = malloc_usable_size(p) / STEP;
	struct block *block = p;
	struct kept *k;

	if (i == 0 || i >= SIZES) {
		free(p);
		return;
	}
	k = kept_of_thread();
	if (k->count[i] == RECYCLE_DEPTH_MAX) {
		free(p);
		return;
	}
	block->next = k->first[i];
	k->first[i] = block;
	k->count[i]++;
}

size_t recycle_kept(void)
{
	size_t n = 0;

	for (size_t i = 0; kept && i < SIZES; i++)
		n += kept->count[i];
	return n;
}
