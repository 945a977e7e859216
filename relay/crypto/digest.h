/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 (OpenSSL, FIPS 180-4 [B4]) and the keyed hash of tables whose keys strangers choose.
 * Each thread keeps one context, so the one-shot forms allocate nothing after their first call.
 * No signatures here (sign.h), and OpenSSL never sees a relay key. */
#ifndef RELAY_CRYPTO_DIGEST_H
#define RELAY_CRYPTO_DIGEST_H

#include "relay/base/bytes.h"
#include "relay/base/ids.h"

/* Makes the crypto libraries ready and draws the process's key for keyed_hash().  Programs call it
 * once at their start; everything else here calls it by itself if they did not.  Aborts when the
 * libraries cannot start: nothing could be done then.  Any thread, any number of times. */
void crypto_init(void);

/* SHA-256 of n bytes; p may be NULL when n is 0. */
void sha256(const void *p, size_t n, struct hash *ret);

/* SHA-256 of the concatenation of `count` views. */
void sha256_parts(const struct view *parts, size_t count, struct hash *ret);

struct sha256_stream; /* a digest that is fed piece by piece; opaque, for one thread at a time */

/* Begins with nothing fed. */
struct sha256_stream *sha256_stream_create(void);
void sha256_stream_destroy(struct sha256_stream *stream);
void sha256_stream_add(struct sha256_stream *stream, const void *p, size_t n);
/* The digest of all that was added; the stream begins anew. */
void sha256_stream_end(struct sha256_stream *stream, struct hash *ret);

DEFINE_CLEANUP(struct sha256_stream *, sha256_stream_destroy)

/* SipHash-2-4 under a random key of this process: equal within a process, unlike between two.  For
 * hash tables only (relay/crypto/table.h gives it to uthash). */
uint64_t keyed_hash(const void *p, size_t n);

#endif
