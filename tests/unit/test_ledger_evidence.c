/* SPDX-License-Identifier: Apache-2.0
 * What is kept beside the leaves, and for how long: evidence, parts, old days. */
#include "tests/unit/unit.h"

#include "tests/unit/ledger_world.h"

static void evidence_over_its_limit_goes_oldest_first(void **state)
{
	struct ledger_reader *reader = NULL;
	struct ledger_stats stats;
	struct buf request = {0}, response = {0};
	struct world_lane lane;
	struct world w;

	world_init(&w, LEDGER_SUPPLIER);
	world_stop(&w);
	w.params.evidence_max_bytes = 8 * 65536;
	world_start(&w);
	world_lane_open(&w, &lane);
	for (size_t i = 0; i < 20; i++)
		world_append(&w, &lane, 2000);
	ledger_stats(w.ledger, &stats);
	assert_true(stats.evidence_bytes <= 8 * 65536);
	world_reader(&w, &reader);
	assert_false(ledger_evidence_read(reader, &lane.id, 0, &request, &response));
	assert_true(ledger_evidence_read(reader, &lane.id, 39999, &request, &response));
	buf_finish(&request);
	buf_finish(&response);
	ledger_reader_close(reader);
	world_finish(&w);
}

static void evidence_older_than_its_time_is_dropped(void **state)
{
	struct ledger_reader *reader = NULL;
	struct buf request = {0}, response = {0};
	struct world_lane lane;
	struct world w;

	world_init(&w, LEDGER_SUPPLIER);
	world_stop(&w);
	w.params.evidence_keep_ms = 300;
	world_start(&w);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 10);
	usleep(600000);
	world_append(&w, &lane, 1);
	world_append(&w, &lane, 1);
	world_reader(&w, &reader);
	assert_false(ledger_evidence_read(reader, &lane.id, 0, &request, &response));
	assert_true(ledger_evidence_read(reader, &lane.id, 11, &request, &response));
	buf_finish(&request);
	buf_finish(&response);
	ledger_reader_close(reader);
	world_finish(&w);
}

static void torn_evidence_reads_as_not_kept(void **state)
{
	struct ledger_reader *reader = NULL;
	struct ledger_receipt receipt;
	char path[128];
	struct world_lane lane;
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 2);
	snprintf(path, sizeof(path), "%s/evidence/000001.log", w.dir);
	assert_int_equal(truncate(path, 40), 0);
	world_reader(&w, &reader);
	assert_ok(ledger_receipt_read(reader, &lane.id, 0, &receipt, &err), err);
	assert_true(receipt.has_evidence);
	ledger_receipt_finish(&receipt);
	assert_ok(ledger_receipt_read(reader, &lane.id, 1, &receipt, &err), err);
	assert_false(receipt.has_evidence);
	ledger_receipt_finish(&receipt);
	ledger_reader_close(reader);
	world_finish(&w);
}

/* [R8]: parts are found one after the other, over other leaves and over a change of the lane. */
static void parts_of_a_stream_lead_to_the_next(void **state)
{
	struct ledger_reader *reader = NULL;
	struct ledger_receipt receipt;
	struct world_done done = {0};
	struct world_lane lane[2];
	struct salt salt = {{7}};
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_SUPPLIER);
	for (uint32_t part = 0; part < 3; part++) {
		struct ledger_batch *batch = ledger_batch_create(w.port);
		struct world_lane *at = &lane[part / 2];
		struct leaf leaf = {.kind = LEAF_PART,
				    .stream = 9,
				    .part = part,
				    .flags = part == 2 ? LEAF_LAST : 0,
				    .status = 200,
				    .block = LEAF_BLOCK_UNKNOWN,
				    .time_ms = (uint64_t)clock_wall_ms()};
		uint8_t bytes[LEAF_SIZE];
		struct view req = VIEW_STR("the request"), res = VIEW_STR("a part");
		struct ledger_head head;
		struct hash hash;

		if (part != 1)
			world_lane_open(&w, at);
		leaf.seq = at->tree.size;
		leaf_request_hash(&at->id, &salt, &req, 1, &leaf.request_hash);
		leaf_response_hash(&at->id, &salt, part, &res, 1, &leaf.response_hash);
		leaf_encode(&leaf, bytes);
		leaf_hash(bytes, &hash);
		tree_append(&at->tree, &hash);
		ledger_batch_add(batch, w.tab, bytes, &hash, &salt, part == 0 ? req : VIEW(NULL, 0),
				 res);
		world_head(at, &head);
		done = (struct world_done){0};
		ledger_append(w.port, at->handle, batch, &head, world_on_done, &done);
		world_wait(&w, &done);
		world_append(&w, at, 3);
	}
	world_reader(&w, &reader);
	assert_ok(ledger_receipt_read(reader, &lane[0].id, 0, &receipt, &err), err);
	assert_true(receipt.has_next);
	assert_memory_equal(&receipt.next_lane, &lane[0].id, sizeof(receipt.next_lane));
	assert_int_equal(receipt.next_seq, 4);
	ledger_receipt_finish(&receipt);
	assert_ok(ledger_receipt_read(reader, &lane[0].id, 4, &receipt, &err), err);
	assert_true(receipt.has_evidence); /* the request is that of part 0 */
	assert_int_equal(receipt.request.n, 11);
	assert_true(receipt.has_next);
	assert_memory_equal(&receipt.next_lane, &lane[1].id, sizeof(receipt.next_lane));
	assert_int_equal(receipt.next_seq, 0);
	ledger_receipt_finish(&receipt);
	assert_ok(ledger_receipt_read(reader, &lane[1].id, 0, &receipt, &err), err);
	assert_false(receipt.has_next);
	ledger_receipt_finish(&receipt);
	ledger_reader_close(reader);
	world_finish(&w);
}

/* A world whose one lane, of five leaves, is of an old day, which is at `path`. */
static void old_day(struct world *w, struct world_lane *lane, char path[128])
{
	struct world_done done = {0};
	struct err err = {0};

	world_init(w, LEDGER_SUPPLIER);
	tree_init(&lane->tree);
	rng_bytes(lane->id.b, sizeof(lane->id.b));
	assert_ok(ledger_lane_open(w->port, &lane->id, &w->peer, 20200101, world_on_done, &done,
				   &lane->handle, &err),
		  err);
	world_wait(w, &done);
	world_append(w, lane, 5);
	world_stop(w);
	w->params.keep_days = 2;
	snprintf(path, 128, "%s/leaves-20200101.db", w->dir);
	world_start(w);
}

static void close_old_day(struct world *w, const struct world_lane *lane)
{
	struct world_done closed = {0};
	struct ledger_lane *handle;

	assert_int_equal(ledger_lane_find(w->ledger, &lane->id, &w->peer, &handle),
			 LEDGER_LANE_UNCLOSED);
	ledger_lane_close(w->port, handle, 5, world_on_done, &closed);
	world_wait(w, &closed);
	assert_true(closed.ok);
	world_stop(w);
	world_start(w);
}

static void wait_until_dropped(const char *path)
{
	for (int i = 0; i < 600 && access(path, F_OK) == 0; i++)
		usleep(100000);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* A day goes when it is old and all its lanes are closed; its lanes stay known ([L4]). */
static void an_old_day_is_dropped_when_its_lanes_are_closed(void **state)
{
	struct ledger_reader *reader = NULL;
	struct ledger_lane_info info;
	struct world_lane lane = {0};
	struct ledger_lane *handle;
	struct world w;
	struct err err = {0};
	char path[128];

	old_day(&w, &lane, path);
	usleep(1500000);
	assert_int_equal(access(path, F_OK), 0); /* not closed yet */
	close_old_day(&w, &lane);
	wait_until_dropped(path);
	ledger_drain(w.ledger);
	assert_ok(ledger_reader_open(w.dir, &reader, &err), err);
	assert_ok(ledger_lane_read(reader, &lane.id, &info, &err), err);
	assert_true(info.dropped);
	assert_int_equal(ledger_lane_find(w.ledger, &lane.id, &w.peer, &handle),
			 LEDGER_LANE_CLOSED);
	ledger_reader_close(reader);
	world_finish(&w);
}

/* A proof needs its leaves, whatever ledger.keep says. */
static void an_old_day_that_a_claim_may_need_is_kept(void **state)
{
	struct world_lane lane = {0};
	struct world w;
	char path[128];

	old_day(&w, &lane, path);
	w.params.claims = true;
	close_old_day(&w, &lane);
	usleep(1500000);
	assert_int_equal(access(path, F_OK), 0); /* nobody has said that it is free */
	world_stop(&w);
	world_start(&w);
	ledger_release_days(w.ledger, 20200101);
	usleep(1500000);
	assert_int_equal(access(path, F_OK), 0);
	world_stop(&w);
	world_start(&w);
	ledger_release_days(w.ledger, 20200102);
	wait_until_dropped(path);
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evidence_over_its_limit_goes_oldest_first),
		cmocka_unit_test(evidence_older_than_its_time_is_dropped),
		cmocka_unit_test(torn_evidence_reads_as_not_kept),
		cmocka_unit_test(parts_of_a_stream_lead_to_the_next),
		cmocka_unit_test(an_old_day_is_dropped_when_its_lanes_are_closed),
		cmocka_unit_test(an_old_day_that_a_claim_may_need_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
