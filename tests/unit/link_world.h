/* SPDX-License-Identifier: Apache-2.0
 * What tests of links have in common, beside the pair. */
#ifndef TESTS_UNIT_LINK_WORLD_H
#define TESTS_UNIT_LINK_WORLD_H

#include "relay/base/log.h"
#include "relay/base/metrics.h"
#include "tests/support/link_pair.h"

static inline int setup(void **state)
{
	struct pair *pair = malloc(sizeof(*pair));

	pair_init(pair);
	*state = pair;
	return 0;
}

static inline int teardown(void **state)
{
	pair_finish(*state);
	free(*state);
	return 0;
}

static inline void put_noise(struct buf *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_put_u8(buf, (uint8_t)(i * 31 + (i >> 8)));
}

/* What the node's link says and does on these bytes from a peer that is up. */
static inline void up_node_closes_on(struct pair *pair, const struct buf *frames,
				     enum link_reason reason, enum err_code told)
{
	CLEANUP(buf_finish) struct buf in = {0};
	SSL *ssl = pair_raw_up(pair, &in);
	int64_t counted = metric_value_at(METRIC_LINK_CLOSED, reason, 0);
	struct frame_error error;
	struct err err = {0};
	struct frame f;

	pair_raw_put(ssl, frames);
	assert_true(pair_run(pair, &pair->node.downs, 1, PAIR_PATIENCE_MS));
	assert_int_equal(pair->node.reason, reason);
	assert_true(strlen(pair->node.err.msg) > 0);
	assert_true(metric_value_at(METRIC_LINK_CLOSED, reason, 0) > counted);
	assert_true(pair_raw_frame(pair, ssl, &in, &f, PAIR_PATIENCE_MS));
	assert_int_equal(f.type, FRAME_ERROR);
	assert_ok(frame_read_error(&f, &error, &err), err);
	assert_int_equal(error.code, err_info(told)->wire);
	SSL_free(ssl);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
