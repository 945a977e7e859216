/* SPDX-License-Identifier: Apache-2.0
 * Lanes of a ledger: what is told is there, what is paid and owed, and how lanes end. */
#include "tests/unit/unit.h"

#include "tests/unit/ledger_world.h"

/* [L1]: what was told to have committed is in the file, with proof, evidence and head. */
static void a_told_leaf_is_found_with_proof_and_evidence(void **state)
{
	struct ledger_reader *reader = NULL;
	struct ledger_receipt receipt;
	struct world_lane lane;
	struct world w;
	struct hash hash, root;
	struct err err = {0};
	char text[64];

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 1);
	world_append(&w, &lane, 300);
	world_append(&w, &lane, 7);
	tree_root(&lane.tree, &root);
	world_reader(&w, &reader);
	for (uint64_t seq = 0; seq < 308; seq += 43) {
		assert_ok(ledger_receipt_read(reader, &lane.id, seq, &receipt, &err), err);
		assert_int_equal(receipt.head.size, 308);
		assert_memory_equal(&receipt.head.root, &root, sizeof(root));
		leaf_hash(receipt.leaf, &hash);
		assert_ok(tree_check_inclusion(&hash, seq, 308, receipt.proof, receipt.proof_n,
					       &root, &err),
			  err);
		assert_true(receipt.has_evidence);
		assert_int_equal(receipt.request.n, world_request(seq, text));
		assert_memory_equal(receipt.request.p, text, receipt.request.n);
		assert_int_equal(receipt.response.n, world_response(seq, text));
		assert_memory_equal(receipt.response.p, text, receipt.response.n);
		assert_false(receipt.undelivered || receipt.adopted || receipt.head_is_cosigned);
		ledger_receipt_finish(&receipt);
	}
	assert_false(ledger_receipt_read(reader, &lane.id, 308, &receipt, &err));
	assert_err(err, ERR_NOT_FOUND);
	ledger_reader_close(reader);
	world_finish(&w);
}

/* Sizes around the width of a tile: proofs come from tiles, their roots and the leaves behind. */
static void proofs_hold_at_the_edges_of_tiles(void **state)
{
	static const size_t steps[] = {255, 1, 1, 255, 256, 1000, 2048};
	struct ledger_reader *reader = NULL;
	struct ledger_receipt receipt;
	struct world_lane lane;
	struct world w;
	struct hash hash;
	struct err err = {0};

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_reader(&w, &reader);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		world_append(&w, &lane, steps[i]);
		for (uint64_t k = 0; k < 8; k++) {
			uint64_t seq = k * (lane.tree.size - 1) / 7;

			assert_ok(ledger_receipt_read(reader, &lane.id, seq, &receipt, &err), err);
			leaf_hash(receipt.leaf, &hash);
			assert_ok(tree_check_inclusion(&hash, seq, lane.tree.size, receipt.proof,
						       receipt.proof_n, &receipt.head.root, &err),
				  err);
			ledger_receipt_finish(&receipt);
		}
	}
	ledger_reader_close(reader);
	world_finish(&w);
}

static void a_second_process_cannot_write_the_ledger(void **state)
{
	struct ledger *second = NULL;
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_GATEWAY);
	assert_false(ledger_open(&w.params, &second, &err));
	assert_err(err, ERR_LEDGER);
	assert_non_null(strstr(err.msg, "another process"));
	world_finish(&w);
}

static void a_ledger_belongs_to_one_key_and_role(void **state)
{
	struct ledger *other = NULL;
	struct ledger_params params;
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_GATEWAY);
	world_stop(&w);
	params = w.params;
	params.self.b[0] ^= 1;
	assert_false(ledger_open(&params, &other, &err));
	assert_err(err, ERR_LEDGER);
	params = w.params;
	params.role = LEDGER_SUPPLIER;
	assert_false(ledger_open(&params, &other, &err));
	assert_err(err, ERR_LEDGER);
	world_finish(&w);
}

/* [L4] */
static void a_lane_is_never_opened_twice(void **state)
{
	struct world_done done = {0};
	struct ledger_lane *again = NULL;
	struct world_lane lane;
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_GATEWAY);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 2);
	assert_false(
		ledger_lane_open(w.port, &lane.id, &w.peer, 20260101, NULL, NULL, &again, &err));
	ledger_lane_release(w.port, lane.handle);
	ledger_lane_close(w.port, lane.handle, 2, world_on_done, &done);
	world_wait(&w, &done);
	assert_true(done.ok);
	world_stop(&w);
	world_start(&w); /* now only the file knows it */
	done = (struct world_done){0};
	assert_ok(ledger_lane_open(w.port, &lane.id, &w.peer, 20260101, world_on_done, &done,
				   &again, &err),
		  err);
	world_wait(&w, &done);
	assert_false(done.ok);
	assert_err(done.err, ERR_LEDGER);
	assert_true(ledger_lane_is_dead(again));
	world_finish(&w);
}

/* [P5], [P4] */
static void bounds_refuse_what_would_pass_them(void **state)
{
	struct world w;

	world_init(&w, LEDGER_SUPPLIER);
	assert_int_equal(ledger_tab_reserve(w.tab, 60, 100, 1000), LEDGER_ROOM);
	assert_int_equal(ledger_tab_reserve(w.tab, 40, 100, 1000), LEDGER_ROOM);
	assert_int_equal(ledger_tab_reserve(w.tab, 1, 100, 1000), LEDGER_ROOM_UNPAID);
	assert_int_equal(ledger_tab_reserve(w.tab, 0, 100, 1000), LEDGER_ROOM);
	assert_int_equal(ledger_tab_reserve(w.tab, 1, 1000, 100), LEDGER_ROOM_ALLOWANCE);
	assert_int_equal(ledger_tab_reserve(w.tab, UINT64_MAX, UINT64_MAX, UINT64_MAX),
			 LEDGER_ROOM_UNPAID);
	assert_int_equal(ledger_tab_unpaid(w.tab), 100);
	assert_int_equal(ledger_tab_served(w.tab), 100);
	ledger_tab_release(w.tab, 100);
	assert_int_equal(ledger_tab_unpaid(w.tab), 0);
	world_finish(&w);
}

static void a_cosigned_head_pays_what_it_covers(void **state)
{
	struct world_done done = {0};
	struct world_lane lane;
	struct world w;
	struct hash root;

	world_init(&w, LEDGER_GATEWAY);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 10);
	tree_root(&lane.tree, &root);
	world_append(&w, &lane, 5);
	assert_int_equal(ledger_tab_unpaid(w.tab), 45);
	assert_int_equal(ledger_unpaid(w.ledger), 45);
	assert_int_equal(ledger_cosignatures(w.ledger, &w.peer), 0);
	world_cosign(&w, &lane, 10, &root, &done);
	assert_true(done.ok);
	assert_int_equal(ledger_tab_unpaid(w.tab), 15);
	assert_int_equal(ledger_tab_served(w.tab), 45);
	assert_int_equal(ledger_cosignatures(w.ledger, &w.peer), 1);
	done = (struct world_done){0};
	world_cosign(&w, &lane, 5, &root, &done); /* an old one changes nothing */
	assert_true(done.ok);
	assert_int_equal(ledger_tab_unpaid(w.tab), 15);
	assert_int_equal(ledger_cosignatures(w.ledger, &w.peer), 1);
	world_finish(&w);
}

static void unpaid_and_served_survive_a_restart(void **state)
{
	struct world_done done = {0};
	struct world_lane lane;
	struct world w;
	struct hash root;

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 10);
	tree_root(&lane.tree, &root);
	world_append(&w, &lane, 600);
	world_cosign(&w, &lane, 10, &root, &done);
	world_stop(&w);
	world_start(&w);
	assert_int_equal(ledger_tab_unpaid(w.tab), 1800);
	assert_int_equal(ledger_tab_served(w.tab), 1830);
	assert_int_equal(ledger_cosignatures(w.ledger, &w.peer), 1);
	world_finish(&w);
}

static void unclosed_lanes_are_listed_with_their_heads(void **state)
{
	struct ledger_unclosed *list = NULL;
	struct world_done done = {0};
	struct world_lane lane, live;
	struct ledger_lane *handle;
	struct key_id stranger = {{1}};
	struct world w;
	struct hash root;
	size_t n = 0;

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 4);
	tree_root(&lane.tree, &root);
	world_cosign(&w, &lane, 4, &root, &done);
	world_append(&w, &lane, 2);
	tree_root(&lane.tree, &root);
	world_stop(&w);
	world_start(&w);
	world_lane_open(&w, &live);
	ledger_unclosed(w.ledger, &stranger, 10, &list, &n);
	assert_int_equal(n, 0);
	ledger_unclosed(w.ledger, &w.peer, 10, &list, &n);
	assert_int_equal(n, 1);
	assert_memory_equal(&list[0].id, &lane.id, sizeof(lane.id));
	assert_int_equal(list[0].head.size, 6);
	assert_memory_equal(&list[0].head.root, &root, sizeof(root));
	assert_int_equal(list[0].head.signature.b[5], 6);
	assert_int_equal(list[0].cosigned.size, 4);
	assert_int_equal(list[0].cosigned.time, 1800000000);
	assert_int_equal(ledger_lane_find(w.ledger, &lane.id, &w.peer, &handle),
			 LEDGER_LANE_UNCLOSED);
	assert_int_equal(ledger_lane_find(w.ledger, &lane.id, &stranger, &handle),
			 LEDGER_LANE_UNKNOWN);
	assert_int_equal(ledger_lane_find(w.ledger, &live.id, &w.peer, &handle), LEDGER_LANE_LIVE);
	free(list);
	world_finish(&w);
}

/* [L8]: what lies beyond the final head is undelivered: never paid, but it was served [P4], and is
 * owed for now [P5]. */
static void closing_marks_the_tail_undelivered(void **state)
{
	struct ledger_reader *reader = NULL;
	struct ledger_receipt receipt;
	struct world_done done = {0};
	struct ledger_lane *handle;
	struct world_lane lane;
	struct world w;
	struct hash root;
	struct err err = {0};

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 4);
	tree_root(&lane.tree, &root);
	world_append(&w, &lane, 3);
	ledger_lane_close(w.port, lane.handle, 4, world_on_done, &done);
	world_wait(&w, &done);
	assert_false(done.ok); /* it is live */
	ledger_lane_release(w.port, lane.handle);
	done = (struct world_done){0};
	world_cosign(&w, &lane, 4, &root, &done);
	assert_true(done.ok);
	done = (struct world_done){0};
	ledger_lane_close(w.port, lane.handle, 4, world_on_done, &done);
	world_wait(&w, &done);
	assert_true(done.ok);
	assert_int_equal(ledger_tab_unpaid(w.tab), 9);
	assert_int_equal(ledger_tab_served(w.tab), 21);
	world_reader(&w, &reader);
	assert_ok(ledger_receipt_read(reader, &lane.id, 3, &receipt, &err), err);
	assert_true(receipt.head_is_cosigned);
	assert_int_equal(receipt.head.size, 4);
	assert_false(receipt.undelivered);
	ledger_receipt_finish(&receipt);
	assert_ok(ledger_receipt_read(reader, &lane.id, 4, &receipt, &err), err);
	assert_true(receipt.undelivered);
	ledger_receipt_finish(&receipt);
	ledger_reader_close(reader);
	world_stop(&w);
	world_start(&w);
	assert_int_equal(ledger_lane_find(w.ledger, &lane.id, &w.peer, &handle),
			 LEDGER_LANE_CLOSED);
	assert_int_equal(ledger_tab_unpaid(w.tab), 9);
	assert_int_equal(ledger_tab_served(w.tab), 21);
	world_finish(&w);
}

/* Appends the next n leaves as an adoption; the last one of all brings the head. */
static void world_adopt(struct world *w, struct world_lane *lane, size_t n, bool last,
			struct world_done *done)
{
	struct ledger_batch *batch = ledger_batch_create(w->port);
	struct ledger_head head;

	for (size_t i = 0; i < n; i++)
		world_add(w, lane, batch, NULL);
	world_head(lane, &head);
	ledger_adopt(w->port, lane->handle, batch, last ? &head : NULL, world_on_done, done);
}

/* [L9] */
static void an_adoption_is_all_or_nothing(void **state)
{
	struct world_done parts[3] = {{0}}, late = {0};
	struct ledger_reader *reader = NULL;
	struct ledger_lane_info info;
	struct world_lane lane, before;
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 5);
	ledger_lane_release(w.port, lane.handle);
	before = lane;
	world_adopt(&w, &lane, 300, false, &parts[0]); /* never finished: */
	lane = before;
	world_adopt(&w, &lane, 300, false, &parts[1]); /* begun anew */
	world_adopt(&w, &lane, 20, true, &parts[2]);
	world_wait(&w, &parts[2]);
	world_wait(&w, &parts[1]);
	world_wait(&w, &parts[0]);
	assert_false(parts[0].ok);
	assert_true(parts[1].ok);
	assert_true(parts[2].ok);
	world_reader(&w, &reader);
	assert_ok(ledger_lane_read(reader, &lane.id, &info, &err), err);
	assert_int_equal(info.head.size, 325);
	assert_int_equal(info.adopted_from, 5);
	lane = before;
	world_adopt(&w, &lane, 3, true, &late); /* does not continue the lane */
	world_wait(&w, &late);
	assert_false(late.ok);
	assert_false(ledger_lane_is_dead(lane.handle));
	ledger_reader_close(reader);
	world_finish(&w);
}

static void a_lost_lane_is_restored_by_adoption(void **state)
{
	struct world_done done = {0}, closed = {0};
	struct world_lane lane = {0};
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_GATEWAY);
	rng_bytes(lane.id.b, sizeof(lane.id.b));
	tree_init(&lane.tree);
	assert_ok(ledger_lane_restore(w.port, &lane.id, &w.peer, clock_day(clock_wall_ms()),
				      &lane.handle, &err),
		  err);
	world_adopt(&w, &lane, 2000, true, &done);
	world_wait(&w, &done);
	assert_true(done.ok);
	ledger_lane_close(w.port, lane.handle, 2000, world_on_done, &closed);
	world_wait(&w, &closed);
	assert_true(closed.ok);
	world_finish(&w);
}

static void callbacks_of_a_lane_come_in_order(void **state)
{
	struct world_done done[64] = {{0}};
	struct world_lane lane;
	struct world w;

	world_init(&w, LEDGER_SUPPLIER);
	world_lane_open(&w, &lane);
	for (size_t i = 0; i < ARRAY_SIZE(done); i++)
		world_append_async(&w, &lane, 1 + i % 5, &done[i]);
	for (size_t i = 0; i < ARRAY_SIZE(done); i++) {
		world_wait(&w, &done[i]);
		assert_true(done[i].ok);
		if (i > 0)
			assert_int_equal(done[i - 1].calls, 1);
	}
	world_finish(&w);
}

static void full_sync_tells_the_same(void **state)
{
	struct ledger_reader *reader = NULL;
	struct ledger_lane_info info;
	struct world_lane lane;
	struct world w;
	struct err err = {0};

	world_init(&w, LEDGER_SUPPLIER);
	world_stop(&w);
	w.params.sync = LEDGER_SYNC_FULL;
	world_start(&w);
	world_lane_open(&w, &lane);
	world_append(&w, &lane, 10);
	world_append(&w, &lane, 1);
	world_reader(&w, &reader);
	assert_ok(ledger_lane_read(reader, &lane.id, &info, &err), err);
	assert_int_equal(info.head.size, 11);
	ledger_reader_close(reader);
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_told_leaf_is_found_with_proof_and_evidence),
		cmocka_unit_test(proofs_hold_at_the_edges_of_tiles),
		cmocka_unit_test(a_second_process_cannot_write_the_ledger),
		cmocka_unit_test(a_ledger_belongs_to_one_key_and_role),
		cmocka_unit_test(a_lane_is_never_opened_twice),
		cmocka_unit_test(bounds_refuse_what_would_pass_them),
		cmocka_unit_test(a_cosigned_head_pays_what_it_covers),
		cmocka_unit_test(unpaid_and_served_survive_a_restart),
		cmocka_unit_test(unclosed_lanes_are_listed_with_their_heads),
		cmocka_unit_test(closing_marks_the_tail_undelivered),
		cmocka_unit_test(an_adoption_is_all_or_nothing),
		cmocka_unit_test(a_lost_lane_is_restored_by_adoption),
		cmocka_unit_test(callbacks_of_a_lane_come_in_order),
		cmocka_unit_test(full_sync_tells_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
