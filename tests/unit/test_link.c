/* SPDX-License-Identifier: Apache-2.0
 * Links that are up: frames, turns, silence, slow readers, and how they end (protocol.md [F2] [F3]
 * [F11] [F12]). */
#include "tests/unit/unit.h"

#include "tests/unit/link_world.h"

static void send_frame(struct side *side, uint32_t stream, size_t bytes)
{
	struct buf *out = link_out(side->link);
	size_t begun = frame_begin(out, FRAME_RELAY, 0, stream);

	put_noise(out, bytes);
	frame_end(out, begun);
	link_sent(side->link);
}

static void both_ends_come_up_and_know_each_other(void **state)
{
	struct pair *pair = *state;

	assert_true(pair_up(pair));
	assert_true(link_is_up(pair->gateway.link) && link_is_up(pair->node.link));
	assert_true(ID_EQ(&link_peer(pair->gateway.link)->key, &pair->node.self.id));
	assert_true(ID_EQ(&link_peer(pair->node.link)->key, &pair->gateway.self.id));
	assert_int_equal(link_peer(pair->gateway.link)->height, 5);
	assert_int_equal(link_peer(pair->gateway.link)->max_unpaid_cu, 1000);
	assert_int_equal(link_peer(pair->gateway.link)->worker, 2);
	assert_int_equal(link_peer(pair->node.link)->max_unpaid_cu, 0);
	assert_true(strncmp(link_address(pair->node.link), "127.0.0.1:", 10) == 0);
}

static void frames_of_any_size_arrive_as_they_were_sent(void **state)
{
	static const size_t sizes[] = {0, 1, 300, 16384, 16385, 70000, 1000000, 3 << 20};
	struct pair *pair = *state;

	pair->node.echo = true;
	assert_true(pair_up(pair));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		CLEANUP(buf_finish) struct buf want = {0};

		put_noise(&want, sizes[i]);
		send_frame(&pair->gateway, (uint32_t)i + 1, sizes[i]);
		assert_true(
			pair_run(pair, &pair->gateway.frames, (unsigned)i + 1, PAIR_PATIENCE_MS));
		assert_true(view_eq(buf_view(&pair->gateway.last), buf_view(&want)));
	}
	assert_int_equal(pair->node.downs + pair->gateway.downs, 0);
}

static void a_turn_of_frames_leaves_in_one_write_and_comes_in_one_read(void **state)
{
	struct pair *pair = *state;
	uint64_t writes, reads;

	assert_true(pair_up(pair));
	pair_turns(pair, 20);
	writes = link_stats()->writes;
	reads = link_stats()->reads;
	for (uint32_t i = 1; i <= 40; i++)
		send_frame(&pair->gateway, i, 200);
	assert_int_equal(link_stats()->writes, writes);
	assert_true(pair_run(pair, &pair->node.frames, 40, PAIR_PATIENCE_MS));
	assert_int_equal(link_stats()->writes, writes + 1);
	assert_int_equal(link_stats()->reads, reads + 1);
	assert_int_equal(pair->node.turns, 2); /* one with HELLO, one with all of these */
}

static void frames_of_a_turn_share_tls_records(void **state)
{
	struct pair *pair = *state;
	CLEANUP(buf_finish) struct buf in = {0};
	SSL *ssl = pair_raw_up(pair, &in);
	static uint8_t wire[65536];
	size_t records = 0, at = 0;
	ssize_t n;

	for (uint32_t i = 1; i <= 50; i++)
		send_frame(&pair->node, i, 600);
	pair_turns(pair, 3);
	n = recv(pair->fd[1], wire, sizeof(wire), MSG_PEEK);
	assert_true(n > 50 * 600);
	for (; at + 5 <= (size_t)n; records++) {
		assert_int_equal(wire[at], 23); /* application data */
		at += 5u + get_be16(wire + at + 3);
	}
	assert_int_equal(at, n);
	assert_int_equal(records, 2); /* 30,500 bytes, 16 KiB each */
	SSL_free(ssl);
}

static void a_frame_over_frame_max_closes_the_link_by_name(void **state)
{
	CLEANUP(buf_finish) struct buf frames = {0};

	buf_put_u32(&frames, PAIR_FRAME_MAX + 1);
	up_node_closes_on(*state, &frames, LINK_REASON_FRAME_TOO_LARGE, ERR_FRAME_TOO_LARGE);
}

static void an_unknown_type_closes_the_link_by_name(void **state)
{
	CLEANUP(buf_finish) struct buf frames = {0};
	size_t begun = frame_begin(&frames, (enum frame_type)0x7f, 0, 0);

	frame_end(&frames, begun);
	up_node_closes_on(*state, &frames, LINK_REASON_PROTOCOL, ERR_PROTOCOL);
}

static void a_ping_that_is_too_short_closes_the_link(void **state)
{
	CLEANUP(buf_finish) struct buf frames = {0};
	size_t begun = frame_begin(&frames, FRAME_PING, 0, 0);

	put_noise(&frames, 7);
	frame_end(&frames, begun);
	up_node_closes_on(*state, &frames, LINK_REASON_PROTOCOL, ERR_PROTOCOL);
}

static void types_from_0x80_on_are_skipped(void **state)
{
	struct pair *pair = *state;
	CLEANUP(buf_finish) struct buf in = {0}, frames = {0};
	SSL *ssl = pair_raw_up(pair, &in);
	size_t begun = frame_begin(&frames, (enum frame_type)0x80, 0, 77);

	put_noise(&frames, 500);
	frame_end(&frames, begun);
	frame_put_cancel(&frames, 3);
	pair_raw_put(ssl, &frames);
	assert_true(pair_run(pair, &pair->node.frames, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.last_type, FRAME_CANCEL);
	assert_int_equal(pair->node.frames, 1);
	assert_true(link_is_up(pair->node.link));
	SSL_free(ssl);
}

static void frames_that_come_byte_by_byte_are_put_together(void **state)
{
	struct pair *pair = *state;
	CLEANUP(buf_finish) struct buf in = {0}, frames = {0};
	SSL *ssl = pair_raw_up(pair, &in);

	frame_put_cancel(&frames, 1);
	frame_put_cancel(&frames, 2);
	for (size_t i = 0; i < frames.n; i++) {
		assert_int_equal(SSL_write(ssl, frames.p + i, 1), 1);
		pair_turns(pair, 2);
		assert_int_equal(pair->node.frames, (i + 1) / FRAME_HEADER_BYTES);
	}
	SSL_free(ssl);
}

static void a_silent_peer_is_dropped_in_time(void **state)
{
	struct pair *pair = *state;

	pair->params.handshake_timeout_us = 300000;
	pair_accept(pair);
	pair_turns(pair, 3);
	assert_int_equal(pair->node.downs, 0);
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.reason, LINK_REASON_HANDSHAKE_SLOW);
}

static void a_quiet_peer_is_pinged_and_then_dropped(void **state)
{
	struct pair *pair = *state;
	CLEANUP(buf_finish) struct buf in = {0};
	struct frame f;
	SSL *ssl;

	pair->params.ping_interval_us = 40000;
	pair->params.idle_timeout_us = 600000; /* a machine that stops for a while still pings */
	ssl = pair_raw_up(pair, &in);
	assert_true(pair_raw_frame(pair, ssl, &in, &f, PAIR_PATIENCE_MS));
	assert_int_equal(f.type, FRAME_PING);
	assert_int_equal(f.flags, 0);
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.reason, LINK_REASON_IDLE);
	SSL_free(ssl);
}

static void pings_keep_a_quiet_link_up(void **state)
{
	struct pair *pair = *state;
	unsigned never = 0;

	pair->params.ping_interval_us = 20000;
	pair->params.idle_timeout_us = 600000;
	assert_true(pair_up(pair));
	assert_false(pair_run(pair, &never, 1, 1500));
	assert_int_equal(pair->node.downs + pair->gateway.downs, 0);
	assert_true(link_rtt_us(pair->node.link) >= 0 || link_rtt_us(pair->gateway.link) >= 0);
	assert_true(link_rtt_us(pair->gateway.link) < 5000000);
}

static void a_link_on_hold_takes_no_frame_loses_none_and_stays_up(void **state)
{
	struct pair *pair = *state;
	unsigned never = 0;

	pair->params.ping_interval_us = 50000;
	pair->params.idle_timeout_us = 600000;
	assert_true(pair_up(pair));
	link_hold(pair->node.link, true);
	for (uint32_t i = 1; i <= 3; i++)
		send_frame(&pair->gateway, i, 50000);
	assert_false(pair_run(pair, &never, 1, 900));
	assert_int_equal(pair->node.frames, 0);
	assert_int_equal(pair->node.downs + pair->gateway.downs, 0);
	link_hold(pair->node.link, false);
	assert_true(pair_run(pair, &pair->node.frames, 3, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.downs + pair->gateway.downs, 0);
}

static void a_peer_that_never_reads_is_dropped(void **state)
{
	struct pair *pair = *state;
	CLEANUP(buf_finish) struct buf in = {0};
	SSL *ssl;

	pair->params.out_max = 3 << 20;
	ssl = pair_raw_up(pair, &in);
	for (uint32_t i = 1; i < 200 && pair->node.link; i++) {
		send_frame(&pair->node, i, 100000);
		assert_true(!pair->node.link || link_out_bytes(pair->node.link) < (4 << 20));
		pair_turns(pair, 2);
	}
	assert_int_equal(pair->node.downs, 1);
	assert_int_equal(pair->node.reason, LINK_REASON_NOT_READING);
	SSL_free(ssl);
}

static void a_slow_reader_gets_everything_in_order(void **state)
{
	struct pair *pair = *state;
	CLEANUP(buf_finish) struct buf in = {0};
	SSL *ssl = pair_raw_up(pair, &in);
	struct frame f;

	for (uint32_t i = 1; i <= 60; i++) {
		send_frame(&pair->node, i, 50000);
		pair_turns(pair, 1);
	}
	for (uint32_t i = 1; i <= 60; i++) {
		assert_true(pair_raw_frame(pair, ssl, &in, &f, PAIR_PATIENCE_MS));
		assert_int_equal(f.stream, i);
		assert_int_equal(f.payload.n, 50000);
		pair_raw_next(&in, &f);
	}
	assert_int_equal(link_out_bytes(pair->node.link), 0);
	SSL_free(ssl);
}

static void the_end_of_the_connection_is_told_once(void **state)
{
	struct pair *pair = *state;
	struct link *gone;

	assert_true(pair_up(pair));
	gone = pair->gateway.link;
	pair->gateway.link = NULL;
	link_destroy(gone);
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.reason, LINK_REASON_EOF);
	assert_int_equal(pair->gateway.downs, 0);
}

static void closing_tells_the_peer_why_and_comes_from_the_loop(void **state)
{
	struct pair *pair = *state;
	struct err err = {0};

	assert_true(pair_up(pair));
	err_set(&err, ERR_OVERLOAD, "no room");
	send_frame(&pair->node, 9, 100); /* what waits still goes */
	link_close(pair->node.link, &err);
	assert_int_equal(pair->node.downs, 0);
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.reason, LINK_REASON_LOCAL);
	assert_true(pair_run(pair, &pair->gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->gateway.reason, LINK_REASON_PEER_ERROR);
	assert_err(pair->gateway.err, ERR_OVERLOAD);
	assert_int_equal(pair->gateway.frames, 1);
}

static void goaway_drains_and_is_told(void **state)
{
	struct pair *pair = *state;

	assert_true(pair_up(pair));
	link_goaway(pair->node.link, ERR_SHUTDOWN, 1000);
	assert_true(pair_run(pair, &pair->gateway.frames, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->gateway.last_type, FRAME_GOAWAY);
	assert_true(link_is_draining(pair->gateway.link));
	assert_false(link_is_draining(pair->node.link));
}

static void a_link_may_be_destroyed_in_any_callback(void **state)
{
	struct pair *pair = *state;

	pair->node.destroy_on_up = true;
	pair_dial(pair, &pair->node.self.id);
	assert_true(pair_run(pair, &pair->gateway.downs, 1, PAIR_PATIENCE_MS));
	pair->node.destroy_on_up = false;
	pair->node.destroy_on_frame = true;
	pair->gateway.ups = pair->node.ups = pair->gateway.downs = 0;
	assert_true(pair_up(pair));
	send_frame(&pair->gateway, 1, 10);
	send_frame(&pair->gateway, 2, 10);
	assert_true(pair_run(pair, &pair->gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.frames, 1);
	assert_int_equal(pair->node.downs, 0);
}

static void a_port_without_listener_is_a_connect_error(void **state)
{
	struct pair *pair = *state;
	struct address at;
	struct err err = {0};

	assert_ok(address_parse_numeric("unix:/nowhere/at/all", &at, &err), err);
	pair->gateway.link = link_dial(pair->base, pair->tls, &pair->gateway.self, &pair->params,
				       &at, NULL, &pair->gateway.cbs, &pair->gateway);
	assert_int_equal(pair->gateway.downs, 0);
	assert_true(pair_run(pair, &pair->gateway.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->gateway.reason, LINK_REASON_CONNECT);
	assert_err(pair->gateway.err, ERR_LINK);
}

static void the_metric_names_reasons_as_the_log_does(void **state)
{
	CLEANUP(buf_finish) struct buf text = {0};
	char want[80];

	for (int reason = 0; reason < LINK_REASON_COUNT; reason++)
		metric_add_at(METRIC_LINK_CLOSED, (unsigned)reason, 0, 1);
	metrics_write(&text);
	for (int reason = 0; reason < LINK_REASON_COUNT; reason++) {
		snprintf(want, sizeof(want), "counterfoil_link_closed_total{reason=\"%s\"} ",
			 link_reason_name((enum link_reason)reason));
		assert_non_null(strstr(buf_cstr(&text), want));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_ends_come_up_and_know_each_other),
		T(frames_of_any_size_arrive_as_they_were_sent),
		T(a_turn_of_frames_leaves_in_one_write_and_comes_in_one_read),
		T(frames_of_a_turn_share_tls_records),
		T(a_frame_over_frame_max_closes_the_link_by_name),
		T(an_unknown_type_closes_the_link_by_name),
		T(a_ping_that_is_too_short_closes_the_link),
		T(types_from_0x80_on_are_skipped),
		T(frames_that_come_byte_by_byte_are_put_together),
		T(a_silent_peer_is_dropped_in_time),
		T(a_quiet_peer_is_pinged_and_then_dropped),
		T(pings_keep_a_quiet_link_up),
		T(a_link_on_hold_takes_no_frame_loses_none_and_stays_up),
		T(a_peer_that_never_reads_is_dropped),
		T(a_slow_reader_gets_everything_in_order),
		T(the_end_of_the_connection_is_told_once),
		T(closing_tells_the_peer_why_and_comes_from_the_loop),
		T(goaway_drains_and_is_told),
		T(a_link_may_be_destroyed_in_any_callback),
		T(a_port_without_listener_is_a_connect_error),
		T(the_metric_names_reasons_as_the_log_does),
	};

	log_init(LOG_LEVEL_ERROR, STDERR_FILENO, NULL);
	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
