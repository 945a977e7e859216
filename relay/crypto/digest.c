/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/crypto/digest.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "relay/base/mem.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool ready;
static EVP_MD *md;	      /* fetched once: a lookup by name costs more than the digest */
static pthread_key_t ctx_key; /* only for its destructor, at a thread's end */
static uint8_t table_key[crypto_shorthash_KEYBYTES];
static __thread EVP_MD_CTX *thread_ctx;

static void free_ctx(void *ctx)
{
	EVP_MD_CTX_free(ctx);
}

static void init_once(void)
{
	if (sodium_init() < 0)
		abort();
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (md == NULL || pthread_key_create(&ctx_key, free_ctx) != 0)
		abort();
	randombytes_buf(table_key, sizeof(table_key));
	atomic_store_explicit(&ready, true, memory_order_release);
}

void crypto_init(void)
{
	pthread_once(&once, init_once);
}

static inline void ensure_init(void)
{
	if (!atomic_load_explicit(&ready, memory_order_acquire))
		crypto_init();
}

static EVP_MD_CTX *new_ctx(void)
{
	EVP_MD_CTX *ctx;

	ensure_init();
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL || !EVP_DigestInit_ex2(ctx, md, NULL))
		abort();
	return ctx;
}

/* This thread's context, freshly begun. */
static EVP_MD_CTX *begin(void)
{
	if (thread_ctx == NULL) {
		thread_ctx = new_ctx();
		pthread_setspecific(ctx_key, thread_ctx);
		return thread_ctx;
	}
	if (!EVP_DigestInit_ex2(thread_ctx, NULL, NULL)) /* NULL: the same digest again */
		abort();
	return thread_ctx;
}

static void end(EVP_MD_CTX *ctx, struct hash *ret)
{
	unsigned len = 0;

	if (!EVP_DigestFinal_ex(ctx, ret->b, &len))
		abort();
	assert(len == sizeof(ret->b));
}

void sha256(const void *p, size_t n, struct hash *ret)
{
	EVP_MD_CTX *ctx = begin();

	if (n > 0 && !EVP_DigestUpdate(ctx, p, n))
		abort();
	end(ctx, ret);
}

void sha256_parts(const struct view *parts, size_t count, struct hash *ret)
{
	EVP_MD_CTX *ctx = begin();

	for (size_t i = 0; i < count; i++)
		if (parts[i].n > 0 && !EVP_DigestUpdate(ctx, parts[i].p, parts[i].n))
			abort();
	end(ctx, ret);
}

struct sha256_stream {
	EVP_MD_CTX *ctx;
};

struct sha256_stream *sha256_stream_create(void)
{
	struct sha256_stream *stream = xmalloc(sizeof(*stream));

	stream->ctx = new_ctx();
	return stream;
}

void sha256_stream_destroy(struct sha256_stream *stream)
{
	if (stream == NULL)
		return;
	EVP_MD_CTX_free(stream->ctx);
	free(stream);
}

void sha256_stream_add(struct sha256_stream *stream, const void *p, size_t n)
{
	if (n > 0 && !EVP_DigestUpdate(stream->ctx, p, n))
		abort();
}

void sha256_stream_end(struct sha256_stream *stream, struct hash *ret)
{
	end(stream->ctx, ret);
	if (!EVP_DigestInit_ex2(stream->ctx, NULL, NULL))
		abort();
}

uint64_t keyed_hash(const void *p, size_t n)
{
	uint64_t out;

	ensure_init();
	static_assert(sizeof(out) == crypto_shorthash_BYTES, "siphash gives 64 bits");
	crypto_shorthash((uint8_t *)&out, p, n, table_key);
	return out;
}
