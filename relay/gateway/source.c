/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/source.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "relay/base/mem.h"
#include "relay/crypto/table.h"
#include "relay/link/address.h"

struct source {
	uint64_t key; /* of address_source() */
	size_t connections;
	_Atomic size_t calls;
	UT_hash_handle hh;
};

struct sources {
	pthread_mutex_t lock;
	struct source *all;
};

struct sources *sources_create(void)
{
	struct sources *sources = xcalloc(1, sizeof(*sources));

	pthread_mutex_init(&sources->lock, NULL);
	return sources;
}

void sources_destroy(struct sources *sources)
{
	if (sources == NULL)
		return;
	assert(sources->all == NULL);
	pthread_mutex_destroy(&sources->lock);
	free(sources);
}

struct source *sources_enter(struct sources *sources, const struct sockaddr *address, size_t max)
{
	uint64_t key = address_source(address);
	struct source *source = NULL;

	pthread_mutex_lock(&sources->lock);
	HASH_FIND(hh, sources->all, &key, sizeof(key), source);
	if (source == NULL) {
		source = xcalloc(1, sizeof(*source));
		source->key = key;
		HASH_ADD(hh, sources->all, key, sizeof(source->key), source);
	}
	if (key == 0 || source->connections < max)
		source->connections++;
	else
		source = NULL;
	pthread_mutex_unlock(&sources->lock);
	return source;
}

void sources_leave(struct sources *sources, struct source *source)
{
	pthread_mutex_lock(&sources->lock);
	assert(source->connections > 0);
	if (--source->connections == 0) {
		assert(atomic_load(&source->calls) == 0);
		HASH_DELETE(hh, sources->all, source);
		free(source);
	}
	pthread_mutex_unlock(&sources->lock);
}

bool source_take_calls(struct source *source, size_t n, size_t max)
{
	size_t before = atomic_fetch_add(&source->calls, n);

	if (n <= max && before <= max - n)
		return true;
	atomic_fetch_sub(&source->calls, n);
	return false;
}

void source_give_calls(struct source *source, size_t n)
{
	size_t before = atomic_fetch_sub(&source->calls, n);

	assert(before >= n);
}

uint64_t source_address_key(const struct source *source)
{
	return source->key;
}
