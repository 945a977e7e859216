/* SPDX-License-Identifier: Apache-2.0
 * What the cache's files share.  Private to relay/cache. */
#ifndef RELAY_CACHE_INTERNAL_H
#define RELAY_CACHE_INTERNAL_H

/* Bytes that the allocator adds to a block of memory, at most on average: its header, and the
 * rounding up to 16. */
#define ALLOCATION_OVERHEAD 16

#endif
