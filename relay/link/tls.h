/* SPDX-License-Identifier: Apache-2.0
 * The TLS 1.3 of links: one context a process, a fresh self-signed certificate at each start.
 *
 * It hides and protects bytes, and gives both ends one exporter value that no other connection has.
 * It says nothing of who the peer is: that is the HELLO's (relay/link/hello.h, protocol.md [F1]).
 * No resumption, no tickets, no early data; relay keys never come here. */
#ifndef RELAY_LINK_TLS_H
#define RELAY_LINK_TLS_H

#include <openssl/ssl.h>

#include "relay/base/err.h"
#include "relay/base/ids.h"

#define TLS_EXPORTER_BYTES 32

struct tls; /* may be shared by all threads of a process */

/* Makes a P-256 key and certificate, and the contexts of both directions. */
MUST_USE bool tls_create(struct tls **ret, struct err *err);
void tls_destroy(struct tls *tls);
DEFINE_CLEANUP(struct tls *, tls_destroy)

/* A new session of one connection, without IO attached; the caller frees it with SSL_free(). */
SSL *tls_session(struct tls *tls, bool accept);

/* After the handshake: the version and ALPN are those of [F1] and the peer gave a certificate;
 * *ret is the exporter value [F4].  Errors: ERR_HANDSHAKE. */
MUST_USE bool tls_check(SSL *ssl, uint8_t ret[TLS_EXPORTER_BYTES], struct err *err);

/* The newest OpenSSL error of this thread as text, into dst; clears the queue; returns dst. */
#define TLS_ERROR_MAX 120
const char *tls_error(char dst[TLS_ERROR_MAX]);

#endif
