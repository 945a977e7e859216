/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/link/tls.h"

#include <assert.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "relay/base/mem.h"
#include "relay/base/rng.h"

#define ALPN "counterfoil/1"
#define EXPORTER_LABEL "EXPORTER-counterfoil"
#define CERT_DAYS 3650	      /* nobody looks at it */
#define PEER_CERT_BYTES 16384 /* of a peer's chain, which nobody looks at either */

static const unsigned char alpn_wire[] = "\x0d" ALPN;

struct tls {
	SSL_CTX *accept;
	SSL_CTX *dial;
};

const char *tls_error(char dst[TLS_ERROR_MAX])
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	snprintf(dst, TLS_ERROR_MAX, "%s", reason ? reason : "no reason given");
	ERR_clear_error();
	return dst;
}

static void x509_free_at(X509 **cert)
{
	X509_free(*cert);
}

static void pkey_free_at(EVP_PKEY **pkey)
{
	EVP_PKEY_free(*pkey);
}

/* A certificate that says nothing: its subject is the protocol, its issuer itself. */
static X509 *make_certificate(EVP_PKEY *pkey)
{
	CLEANUP(x509_free) X509 *cert = X509_new();
	uint32_t serial;
	X509_NAME *name;

	rng_bytes(&serial, sizeof(serial));
	if (!cert || !X509_set_version(cert, X509_VERSION_3) ||
	    !ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), (uint64_t)serial + 1) ||
	    !X509_gmtime_adj(X509_getm_notBefore(cert), -86400) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * CERT_DAYS) ||
	    !X509_set_pubkey(cert, pkey))
		return NULL;
	name = X509_get_subject_name(cert);
	if (!X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					(const unsigned char *)"counterfoil link", -1, -1, 0) ||
	    !X509_set_issuer_name(cert, name) || !X509_sign(cert, pkey, EVP_sha256()))
		return NULL;
	return STEAL(cert);
}

/* Identity is the HELLO's: any certificate does, but there must be one [F1]. */
static int trust_any(X509_STORE_CTX *store, void *arg)
{
	return 1;
}

static int select_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
		       const unsigned char *in, unsigned in_len, void *arg)
{
	for (unsigned at = 0; at < in_len; at += 1u + in[at]) {
		if (in[at] == sizeof(ALPN) - 1 && in_len - at > in[at] &&
		    memcmp(in + at + 1, ALPN, sizeof(ALPN) - 1) == 0) {
			*ret = in + at + 1;
			*ret_len = in[at];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_context(const SSL_METHOD *method, EVP_PKEY *pkey, X509 *cert)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		return NULL;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_NO_COMPRESSION | SSL_OP_NO_ANTI_REPLAY);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, trust_any, NULL);
	SSL_CTX_set_max_cert_list(ctx, PEER_CERT_BYTES);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
					  "TLS_CHACHA20_POLY1305_SHA256") &&
	    SSL_CTX_set_num_tickets(ctx, 0) && SSL_CTX_set_max_early_data(ctx, 0) &&
	    SSL_CTX_set_recv_max_early_data(ctx, 0) &&
	    SSL_CTX_set_alpn_protos(ctx, alpn_wire, sizeof(alpn_wire) - 1) == 0 &&
	    SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, pkey) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

bool tls_create(struct tls **ret, struct err *err)
{
	CLEANUP(tls_destroy) struct tls *tls = xcalloc(1, sizeof(*tls));
	CLEANUP(pkey_free) EVP_PKEY *pkey = EVP_EC_gen("P-256");
	CLEANUP(x509_free) X509 *cert = pkey ? make_certificate(pkey) : NULL;
	char why[TLS_ERROR_MAX];

	if (cert) {
		tls->accept = make_context(TLS_server_method(), pkey, cert);
		tls->dial = make_context(TLS_client_method(), pkey, cert);
	}
	if (!tls->accept || !tls->dial)
		return err_set(err, ERR_INTERNAL, "TLS cannot be set up: %s", tls_error(why));
	*ret = STEAL(tls);
	return true;
}

void tls_destroy(struct tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->accept);
	SSL_CTX_free(tls->dial);
	free(tls);
}

SSL *tls_session(struct tls *tls, bool accept)
{
	SSL *ssl = SSL_new(accept ? tls->accept : tls->dial);

	assert(ssl); /* memory alone can fail here */
	if (accept)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

bool tls_check(SSL *ssl, uint8_t ret[TLS_EXPORTER_BYTES], struct err *err)
{
	const unsigned char *alpn;
	unsigned alpn_len;

	SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
	if (SSL_version(ssl) != TLS1_3_VERSION || SSL_session_reused(ssl))
		return err_set(err, ERR_HANDSHAKE, "not a fresh TLS 1.3 session");
	if (alpn_len != sizeof(ALPN) - 1 || memcmp(alpn, ALPN, alpn_len) != 0)
		return err_set(err, ERR_HANDSHAKE, "the peer does not speak " ALPN);
	if (!SSL_get0_peer_certificate(ssl))
		return err_set(err, ERR_HANDSHAKE, "the peer gave no certificate");
	if (SSL_export_keying_material(ssl, ret, TLS_EXPORTER_BYTES, EXPORTER_LABEL,
				       sizeof(EXPORTER_LABEL) - 1, NULL, 0, 0) != 1)
		return err_set(err, ERR_HANDSHAKE, "no exporter value");
	return true;
}
