/* SPDX-License-Identifier: Apache-2.0
 * Memory for a library that takes and gives back dozens of small blocks for each request: each
 * thread keeps what was given back, by size, for the next one.  glibc keeps seven of a size; with
 * more requests in flight each block would be joined to its neighbours and cut out again.
 *
 * Blocks are malloc()'s: any of them may be given back here or with free(), by any thread.  Not for
 * our own code: that keeps its objects itself where it matters. */
#ifndef RELAY_BASE_RECYCLE_H
#define RELAY_BASE_RECYCLE_H

#include <stddef.h>

#define RECYCLE_BLOCK_MAX 1056 /* bytes of the largest block that is kept */
#define RECYCLE_DEPTH_MAX 256  /* blocks of a size that a thread keeps */

/* As malloc(), realloc() and free() are, for event_set_mem_functions().  NULL when there is no
 * memory. */
void *recycle_malloc(size_t n);
void *recycle_realloc(void *p, size_t n);
void recycle_free(void *p);

/* Blocks that this thread keeps. */
size_t recycle_kept(void);

#endif
