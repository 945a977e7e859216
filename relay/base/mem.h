/* SPDX-License-Identifier: Apache-2.0
 * Memory with three lifetimes: process, call (an arena), scope (CLEANUP).
 * Small allocations abort when memory is gone: every size that a stranger can choose is checked
 * against a named limit before it gets here. */
#ifndef RELAY_BASE_MEM_H
#define RELAY_BASE_MEM_H

#include <stdlib.h>

#include "relay/base/compiler.h"

/* As malloc and friends, but they abort instead of returning NULL; n = 0 gives a valid pointer. */
void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t n);
void *xmemdup(const void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);

static inline void xfree_at(void *p)
{
	free(*(void **)p);
}
/* CLEANUP(xfree) char *s = ...; frees s at the end of the scope. */
#define xfree(p) free(p)

/* An arena: many small allocations, dropped together.  Not for threads to share. */
struct arena;

/* max_bytes: hard cap of all allocations together; passing it aborts, so check sizes first. */
struct arena *arena_create(size_t max_bytes);
void arena_destroy(struct arena *arena);
/* 16-byte aligned, not zeroed. */
void *arena_alloc(struct arena *arena, size_t n);
void *arena_memdup(struct arena *arena, const void *p, size_t n);
/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);
/* Forgets all allocations and keeps the first block for the next use. */
void arena_reset(struct arena *arena);

DEFINE_CLEANUP(struct arena *, arena_destroy)

#endif
