/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ARENA_BLOCK_BYTES 4096

static void *checked(void *p)
{
	if (!p) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *xmalloc(size_t n)
{
	return checked(malloc(n ? n : 1));
}

void *xcalloc(size_t count, size_t size)
{
	return checked(calloc(count ? count : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n)
{
	return checked(realloc(p, n ? n : 1));
}

void *xmemdup(const void *p, size_t n)
{
	void *copy = xmalloc(n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

char *xstrdup(const char *s)
{
	return checked(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
	return checked(strndup(s, n));
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&s, fmt, args) < 0)
		s = NULL;
	va_end(args);
	return checked(s);
}

struct arena_block {
	struct arena_block *next;
	size_t size;
	size_t used;
	_Alignas(16) unsigned char bytes[];
};

struct arena {
	struct arena_block *head; /* the block that is being filled */
	size_t used;
	size_t max_bytes;
};

static struct arena_block *block_create(size_t size, struct arena_block *next)
{
	struct arena_block *b = xmalloc(sizeof(*b) + size);

	b->next = next;
	b->size = size;
	b->used = 0;
	return b;
}

struct arena *arena_create(size_t max_bytes)
{
	struct arena *arena = xcalloc(1, sizeof(*arena));

	arena->max_bytes = max_bytes;
	return arena;
}

void arena_destroy(struct arena *arena)
{
	if (!arena)
		return;
	for (struct arena_block *b = arena->head, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(arena);
}

void *arena_alloc(struct arena *arena, size_t n)
{
	struct arena_block *b = arena->head;
	size_t size = (n + 15) & ~(size_t)15;
	void *p;

	assert(size >= n && size <= arena->max_bytes - arena->used);
	if (!b || b->size - b->used < size)
		b = arena->head = block_create(MAX(size, (size_t)ARENA_BLOCK_BYTES), b);
	p = b->bytes + b->used;
	b->used += size;
	arena->used += size;
	return p;
}

void *arena_memdup(struct arena *arena, const void *p, size_t n)
{
	void *copy = arena_alloc(arena, n);

	if (n)
		memcpy(copy, p, n);
	return copy;
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}

void arena_reset(struct arena *arena)
{
	struct arena_block *b = arena->head;

	while (b && b->next) {
		struct arena_block *next = b->next;

		free(b);
		b = next;
	}
	arena->head = b;
	arena->used = 0;
	if (b)
		b->used = 0;
}
