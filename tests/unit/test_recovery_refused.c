/* SPDX-License-Identifier: Apache-2.0
 * What recovery does not take from a peer, nor continue from a disk that changed what was written
 * (protocol.md [L5] [L6] [L7] [L8] [L9]). */
#include "tests/unit/unit.h"

#include "tests/unit/recovery_world.h"

/* --- what is refused --- */

struct shape {
	uint64_t head, cosigned;
	enum ledger_lane_state state;
};

static struct shape shape_of(struct half *half, uint8_t name)
{
	struct lane_id id = lane_of(name);
	struct ledger_lane_info info;
	struct err err;

	if (!ledger_lane_read(half->reader, &id, &info, &err))
		return (struct shape){0};
	return (struct shape){info.head.size, info.cosigned.size, info.state};
}

/* Changes one bit of a frame of this type, at `at`: the side that reads it must close the link and
 * its ledger stay as it is. */
static void tampered_is_refused(int type, size_t at, uint64_t node, uint64_t gateway,
				uint64_t cosigned)
{
	struct shape before, after;
	struct half *reader;
	void *fresh;
	struct world *w;

	world_setup(&fresh);
	w = fresh;
	half_lane(&w->node, 1, node, BATCH, cosigned, false);
	half_lane(&w->gateway, 1, gateway, BATCH, 0, false);
	w->tamper_type = type;
	w->tamper_at = at;
	reader = node < gateway ? &w->node : &w->gateway;
	before = shape_of(reader, 1);
	run_until_done(w);
	pair_run(&w->pair, &w->pair.node.downs, 1, PAIR_PATIENCE_MS);
	if (w->pair.node.downs + w->pair.gateway.downs < 1)
		fail_msg("a changed byte %zu of %s was taken", at, frame_type_name((uint8_t)type));
	assert_int_equal(w->tampered, 1);
	assert_true(w->pair.node.reason == LINK_REASON_PROTOCOL ||
		    w->pair.gateway.reason == LINK_REASON_PROTOCOL);
	after = shape_of(reader, 1);
	assert_int_equal(after.head, before.head);
	assert_int_equal(after.state, before.state);
	world_teardown(&fresh);
}

static void tampered_leaves_close_the_link_and_change_nothing(void **state)
{
	/* the lane; from; the count; a leaf's magic, seq, cu_before, hashes; another leaf; the
	 * signature.  Not the salts: nothing signed speaks of them. */
	static const size_t at[] = {
		0, 23, 27, 28, 28 + 15, 28 + 55, 28 + 150, 28 + 208 + 100, 28 + 208 * 12 + 5};

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		tampered_is_refused(FRAME_LEAVES, at[i], 8, 20, 0); /* the node reads them */
		tampered_is_refused(FRAME_LEAVES, at[i] < 2000 ? at[i] : 28 + 208 * 8 + 5, 20, 8,
				    16); /* the gateway does */
	}
}

static void tampered_lanes_close_the_link_and_change_nothing(void **state)
{
	/* the count, and of the entry: lane, state, size, root, signature, cosigned size, its root,
	 * its time, its signature */
	static const size_t at[] = {3,	    4 + 5,   4 + 16,  4 + 24,  4 + 30,
				    4 + 70, 4 + 128, 4 + 140, 4 + 168, 4 + 200};

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		tampered_is_refused(FRAME_LANES, at[i], 20, 8, 16);
}

static void a_tampered_cosign_closes_the_link(void **state)
{
	static const size_t at[] = {5, 23, 30, 60, 70};

	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		tampered_is_refused(FRAME_COSIGN, at[i], 8, 20, 0);
}

/* A frame given to one side's recovery as if the peer had sent it. */
static bool give(struct half *half, const struct buf *frame, struct err *err)
{
	struct frame f;
	size_t used;

	assert_int_equal(frame_scan(buf_view(frame), 1 << 22, &f, &used, err), FRAME_SCAN_ONE);
	return recovery_on_frame(half->recovery, &f, err);
}

static void what_was_not_asked_for_is_refused(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_finish) struct buf frame = {0};
	struct lane_id id = lane_of(1);
	struct err err = {0};

	assert_true(run_until_done(w));
	frame_leaves_end(&frame, frame_leaves_begin(&frame, 1, &id, 0, 0), NULL);
	assert_false(give(&w->node, &frame, &err));
	assert_err(err, ERR_PROTOCOL);
	frame.n = 0;
	frame_put_cosign(&frame, &(struct frame_cosign){.lane = id, .size = 1});
	assert_false(give(&w->gateway, &frame, &err)); /* only gateways cosign */
	assert_err(err, ERR_PROTOCOL);
	assert_false(give(&w->node, &frame, &err)); /* and they sign it */
	assert_err(err, ERR_PROTOCOL);
	frame.n = 0;
	frame_put_lanes(&frame, FRAME_LANES_LAST | FRAME_LANES_ANSWER,
			&(struct frame_lane){.lane = id}, 1); /* state 0: closes nothing */
	assert_false(give(&w->node, &frame, &err));
	assert_err(err, ERR_PROTOCOL);
}

static void a_listing_without_end_is_refused(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_finish) struct buf frame = {0};
	struct frame_lane *lanes = calloc(1000, sizeof(*lanes));
	struct half *const halves[] = {&w->gateway, &w->node};

	assert_true(run_until_done(w));
	frame_put_lanes(&frame, 0, lanes, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
		struct err err = {0};
		unsigned taken = 0;

		while (taken < 100 && give(halves[i], &frame, &err))
			taken++;
		assert_int_equal(taken, RECOVERY_LANES_MAX / 1000);
		assert_err(err, ERR_PROTOCOL);
	}
	free(lanes);
}

static void leaves_of_other_gateways_are_not_given(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_finish) struct buf frame = {0};
	struct key_id own = w->node.peer;
	struct lane_id id = lane_of(9);
	struct frame_leaves leaves;
	struct err err = {0};
	struct frame f;
	size_t used, at;

	w->node.peer.b[0] ^= 1; /* a lane with somebody else */
	half_lane(&w->node, 9, 8, BATCH, 0, false);
	w->node.peer = own;
	assert_true(run_until_done(w));
	frame_put_fetch(&frame, 7, &(struct frame_fetch){.lane = id, .from = 0, .to = 8});
	at = link_out(w->pair.node.link)->n;
	assert_ok(give(&w->node, &frame, &err), err);
	assert_int_equal(frame_scan(VIEW(link_out(w->pair.node.link)->p + at,
					 link_out(w->pair.node.link)->n - at),
				    1 << 22, &f, &used, &err),
			 FRAME_SCAN_ONE);
	assert_ok(frame_read_leaves(&f, &leaves, &err), err);
	assert_int_equal(leaves.count, 0);
	assert_int_equal(shape_of(&w->node, 9).state, LEDGER_LANE_UNCLOSED);
}

/* --- a disk that changed what was written --- */

/* Stops a half, changes its files, and starts it again. */
static void meddle(struct half *half, const char *file, const char *sql)
{
	char path[128];
	sqlite3 *db = NULL;

	half_stop(half);
	snprintf(path, sizeof(path), "%s/%s", half->dir, file);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
	half_start(half);
}

/* The same with one byte of the leaves of a turn. */
static void meddle_leaves(struct half *half, sqlite3_int64 turn, int at)
{
	char path[128];
	uint8_t byte;
	sqlite3_blob *blob = NULL;
	sqlite3 *db = NULL;

	half_stop(half);
	snprintf(path, sizeof(path), "%s/leaves-%d.db", half->dir, DAY);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_blob_open(db, "main", "turns", "leaves", turn, 1, &blob),
			 SQLITE_OK);
	assert_int_equal(sqlite3_blob_read(blob, &byte, 1, at), SQLITE_OK);
	byte ^= 1;
	assert_int_equal(sqlite3_blob_write(blob, &byte, 1, at), SQLITE_OK);
	assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
	sqlite3_close(db);
	half_start(half);
}

static enum ledger_lane_state lane_state_of(struct half *half, uint8_t name)
{
	struct lane_id id = lane_of(name);
	struct ledger_lane *lane;

	return ledger_lane_find(half->ledger, &id, &half->peer, &lane);
}

/* Runs until lane 2 is closed on both sides; the link must not end over lane 1. */
static void run_until_the_other_lane_is_closed(struct world *w)
{
	usec_t end = clock_now_us() + PAIR_PATIENCE_MS * 1000;

	pair_dial(&w->pair, &w->pair.node.self.id);
	while (clock_now_us() < end && (lane_state_of(&w->node, 2) != LEDGER_LANE_CLOSED ||
					lane_state_of(&w->gateway, 2) != LEDGER_LANE_CLOSED)) {
		event_base_loop(w->pair.base, EVLOOP_NONBLOCK);
		usleep(100);
	}
	pair_turns(&w->pair, 100);
	assert_int_equal(w->pair.gateway.downs + w->pair.node.downs, 0);
	closed_on_both(w, 2, 12);
}

/* Nobody is to blame for what a disk has done: the lane is given up by whoever has it broken, the
 * link stays, and other lanes are recovered over it. */
static void a_lane_that_a_disk_has_changed_costs_no_other_lane_and_no_link(void **state)
{
	static const struct {
		bool gateway; /* whose disk */
		const char *file, *sql;
		uint64_t node, gateway_has;
	} cases[] = {
		{false, "leaves-20261123.db",
		 "UPDATE turns SET root = zeroblob(32) WHERE id = 1 << 20 | 8", 12, 12},
		{true, "leaves-20261123.db",
		 "UPDATE turns SET root = zeroblob(32) WHERE id = 1 << 20 | 8", 12, 12},
		{false, "leaves-20261123.db",
		 "UPDATE turns SET signature = zeroblob(64) WHERE id = 1 << 20 | 8", 12, 12},
		{true, "leaves-20261123.db",
		 "UPDATE turns SET signature = zeroblob(64) WHERE id = 1 << 20 | 8", 12, 12},
		{false, "leaves-20261123.db",
		 "UPDATE turns SET root = zeroblob(32) WHERE id = 1 << 20 | 4", 12, 8},
		{false, "state.db",
		 "UPDATE lanes SET cosigned_size = 4, cosigned_root = zeroblob(32),"
		 " cosigned_time = 1, cosigned_signature = zeroblob(64) WHERE number = 1",
		 12, 12},
		{true, "state.db",
		 "UPDATE lanes SET cosigned_size = 4, cosigned_root = zeroblob(32),"
		 " cosigned_time = 1, cosigned_signature = zeroblob(64) WHERE number = 1",
		 12, 12},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct half *half;
		struct world *w;

		world_setup(state);
		w = *state;
		half = cases[i].gateway ? &w->gateway : &w->node;
		lane_pair(w, 1, cases[i].node, cases[i].gateway_has);
		lane_pair(w, 2, 12, 12);
		meddle(half, cases[i].file, cases[i].sql);
		run_until_the_other_lane_is_closed(w);
		assert_int_equal(lane_state_of(half, 1), LEDGER_LANE_BROKEN);
		world_teardown(state);
	}
}

/* What a full tile covers is not hashed again at open, so it shows when leaves are to be adopted on
 * top of it: they are not, and nobody is blamed. */
static void leaves_that_a_disk_has_changed_are_not_continued(void **state)
{
	struct world *w = *state;

	lane_pair(w, 1, 300, 304);
	lane_pair(w, 2, 12, 12);
	meddle_leaves(&w->node, 1 << 20 | 4, LEAF_SIZE + 130); /* within a hash */
	run_until_the_other_lane_is_closed(w);
	for (int i = 0; i < 600000 && recovery_stats(w->node.recovery)->failed == 0; i++) {
		pair_turns(&w->pair, 1);
		usleep(100);
	}
	assert_true(recovery_stats(w->node.recovery)->failed > 0);
	assert_int_equal(recovery_stats(w->node.recovery)->adopted, 0);
	assert_int_equal(lane_state_of(&w->node, 1), LEDGER_LANE_UNCLOSED);
	assert_int_equal(w->pair.gateway.downs + w->pair.node.downs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tampered_leaves_close_the_link_and_change_nothing),
		cmocka_unit_test(tampered_lanes_close_the_link_and_change_nothing),
		cmocka_unit_test(a_tampered_cosign_closes_the_link),
		T(what_was_not_asked_for_is_refused),
		T(a_listing_without_end_is_refused),
		T(leaves_of_other_gateways_are_not_given),
		cmocka_unit_test(a_lane_that_a_disk_has_changed_costs_no_other_lane_and_no_link),
		T(leaves_that_a_disk_has_changed_are_not_continued),
	};

	log_init(LOG_LEVEL_ERROR, STDERR_FILENO, NULL);
	return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
