/* SPDX-License-Identifier: Apache-2.0
 * Who may come up: TLS and HELLO, against a raw peer too, and the first frames that close a link
 * (protocol.md [F1] [F2] [F4]). */
#include "tests/unit/unit.h"

#include "tests/unit/link_world.h"

static void a_node_with_another_key_is_refused(void **state)
{
	struct pair *pair = *state;
	struct key_id other = pair->node.self.id;

	other.b[0] ^= 1;
	pair_dial(pair, &other);
	assert_true(pair_run(pair, &pair->gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->gateway.reason, LINK_REASON_IDENTITY);
	assert_int_equal(pair->gateway.ups, 0);
	/* and the node is told why */
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.reason, LINK_REASON_PEER_ERROR);
	assert_err(pair->node.err, ERR_IDENTITY);
}

static void another_network_is_refused(void **state)
{
	struct pair *pair = *state;

	pair->gateway.self.network.b[31] ^= 1;
	pair_dial(pair, &pair->node.self.id);
	assert_true(pair_run(pair, &pair->gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->gateway.ups + pair->node.ups, 0);
	assert_true(pair->gateway.reason == LINK_REASON_IDENTITY ||
		    pair->gateway.reason == LINK_REASON_PEER_ERROR);
}

static void ones_own_role_is_refused(void **state)
{
	struct pair *pair = *state;

	pair->gateway.self.role = FRAME_ROLE_SUPPLIER;
	pair_dial(pair, &pair->node.self.id);
	assert_true(pair_run(pair, &pair->gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->gateway.ups + pair->node.ups, 0);
	assert_err(pair->gateway.err, ERR_IDENTITY);
}

static void ones_own_key_is_refused(void **state)
{
	struct pair *pair = *state;
	struct side *gateway = &pair->gateway;

	relay_key_destroy(gateway->key);
	gateway->key = relay_key_from_seed(KEY_ROLE_SUPPLIER, (const uint8_t[KEY_SEED_BYTES]){9});
	relay_key_destroy(pair->node.key);
	pair->node.key = relay_key_from_seed(KEY_ROLE_SUPPLIER, (const uint8_t[KEY_SEED_BYTES]){9});
	gateway->self.key = gateway->key;
	pair->node.self.key = pair->node.key;
	gateway->self.id = pair->node.self.id = *relay_key_public(gateway->key);
	pair_dial(pair, NULL);
	assert_true(pair_run(pair, &gateway->downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(gateway->ups + pair->node.ups, 0);
	assert_err(gateway->err, ERR_IDENTITY);
}

/* Sends frames on a raw connection that has finished TLS and nothing more. */
static void node_closes_on(struct pair *pair, const struct buf *frames, enum link_reason reason)
{
	SSL *ssl;

	pair_accept(pair);
	ssl = pair_raw_client(pair, tls_session(pair->tls, false));
	assert_non_null(ssl);
	pair_raw_put(ssl, frames);
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.ups, 0);
	assert_int_equal(pair->node.reason, reason);
	SSL_free(ssl);
}

static void a_hello_of_another_connection_is_worth_nothing(void **state)
{
	struct pair *pair = *state;
	CLEANUP(buf_finish) struct buf frames = {0};
	struct frame_hello hello;

	hello_build(&pair->gateway.self, (const uint8_t[TLS_EXPORTER_BYTES]){1}, &hello);
	frame_put_hello(&frames, &hello);
	node_closes_on(pair, &frames, LINK_REASON_IDENTITY);
}

static void a_hello_of_another_version_is_named(void **state)
{
	struct pair *pair = *state;
	CLEANUP(buf_finish) struct buf frames = {0};
	struct frame_hello hello;

	hello_build(&pair->gateway.self, (const uint8_t[TLS_EXPORTER_BYTES]){1}, &hello);
	hello.version = 2;
	frame_put_hello(&frames, &hello);
	node_closes_on(pair, &frames, LINK_REASON_VERSION);
}

static void the_first_frame_must_be_hello(void **state)
{
	CLEANUP(buf_finish) struct buf frames = {0};

	frame_put_cancel(&frames, 1);
	node_closes_on(*state, &frames, LINK_REASON_PROTOCOL);
}

static void before_hello_a_frame_has_at_most_1_kib(void **state)
{
	CLEANUP(buf_finish) struct buf frames = {0};
	size_t begun = frame_begin(&frames, FRAME_HELLO, 0, 0);

	put_noise(&frames, 1019); /* 6 + 1019 > 1024 */
	frame_end(&frames, begun);
	node_closes_on(*state, &frames, LINK_REASON_FRAME_TOO_LARGE);
}

static void a_second_hello_closes_the_link(void **state)
{
	struct pair *pair = *state;
	CLEANUP(buf_finish) struct buf frames = {0};
	struct frame_hello hello;

	hello_build(&pair->gateway.self, (const uint8_t[TLS_EXPORTER_BYTES]){1}, &hello);
	frame_put_hello(&frames, &hello);
	up_node_closes_on(pair, &frames, LINK_REASON_PROTOCOL, ERR_PROTOCOL);
}

static void a_peer_without_hello_is_dropped_in_time(void **state)
{
	struct pair *pair = *state;
	SSL *ssl;

	pair->params.handshake_timeout_us = 500000; /* TLS itself is in time */
	pair_accept(pair);
	ssl = pair_raw_client(pair, tls_session(pair->tls, false));
	assert_non_null(ssl);
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.reason, LINK_REASON_HANDSHAKE_SLOW);
	SSL_free(ssl);
}

static void an_owner_can_refuse_who_comes(void **state)
{
	struct pair *pair = *state;

	pair->node.refuse = true;
	pair_dial(pair, &pair->node.self.id);
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_true(pair_run(pair, &pair->gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->gateway.reason, LINK_REASON_PEER_ERROR);
	assert_err(pair->gateway.err, ERR_GRANT);
}

/* Expects that a TLS client with this context does not get through the handshake. */
static void refused_in_handshake(struct pair *pair, SSL_CTX *ctx)
{
	SSL *ssl;

	assert_non_null(ctx);
	pair_accept(pair);
	ssl = SSL_new(ctx);
	SSL_set_connect_state(ssl);
	ssl = pair_raw_client(pair, ssl);
	/* a TLS 1.3 client may believe to be done before the server has looked at it */
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.reason, LINK_REASON_HANDSHAKE);
	assert_int_equal(pair->node.ups, 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void tls_1_2_is_refused(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_alpn_protos(ctx,
				(const uint8_t *)"\x0d"
						 "counterfoil/1",
				14);
	refused_in_handshake(*state, ctx);
}

static void another_alpn_is_refused(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)"\x02h2", 3);
	refused_in_handshake(*state, ctx);
}

static void a_peer_without_certificate_is_refused(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_alpn_protos(ctx,
				(const uint8_t *)"\x0d"
						 "counterfoil/1",
				14);
	refused_in_handshake(*state, ctx);
}

static void garbage_instead_of_tls_is_refused(void **state)
{
	struct pair *pair = *state;

	pair_accept(pair);
	assert_true(write(pair->fd[1], "GET / HTTP/1.1\r\n\r\n", 18) == 18);
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.reason, LINK_REASON_HANDSHAKE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_node_with_another_key_is_refused),
		T(another_network_is_refused),
		T(ones_own_role_is_refused),
		T(ones_own_key_is_refused),
		T(a_hello_of_another_connection_is_worth_nothing),
		T(a_hello_of_another_version_is_named),
		T(the_first_frame_must_be_hello),
		T(before_hello_a_frame_has_at_most_1_kib),
		T(a_second_hello_closes_the_link),
		T(a_peer_without_hello_is_dropped_in_time),
		T(an_owner_can_refuse_who_comes),
		T(tls_1_2_is_refused),
		T(another_alpn_is_refused),
		T(a_peer_without_certificate_is_refused),
		T(garbage_instead_of_tls_is_refused),
	};

	log_init(LOG_LEVEL_ERROR, STDERR_FILENO, NULL);
	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
