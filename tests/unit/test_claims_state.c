/* SPDX-License-Identifier: Apache-2.0
 * What became of what was earned: each arrow of a claim's life, and what is written down with it.
 */
#include "tests/unit/unit.h"

#include <sqlite3.h>

#include "tests/unit/claims_paper.h"

#define SEED 20261127

/* Two lanes; each session has leaves in both, all under a cosigned head. */
static void paper_world(struct book_world *b)
{
	book_init(b, SEED);
	for (size_t i = 0; i < 2; i++) {
		struct book_lane *l = book_lane_add(b);

		for (size_t s = 0; s < BOOK_SESSIONS; s++)
			book_append(b, l, s, 4, 9);
		book_cosign(b, l);
	}
	book_tally(b);
}

struct claim_rows {
	struct claims_row v[16];
	size_t n;
};

static bool on_claim(void *arg, const struct claims_row *row)
{
	struct claim_rows *rows = arg;

	assert_true(rows->n < ARRAY_SIZE(rows->v));
	rows->v[rows->n++] = *row;
	return true;
}

static void claim_rows(struct book_world *b, bool only_open, struct claim_rows *ret)
{
	struct err err = {0};

	ret->n = 0;
	assert_ok(claims_each(b->claims, only_open, on_claim, ret, &err), err);
}

static enum claims_state state_of(struct book_world *b, const struct claim_id *id)
{
	CLEANUP(claims_full_finish) struct claims_full full = {0};
	struct err err = {0};

	assert_ok(claims_read(b->claims, id, &full, &err), err);
	return full.row.state;
}

struct losses {
	cu_t cu;
	u128 value;
	size_t n;
	char reason[CLAIMS_REASON_MAX];
};

static bool on_loss(void *arg, const struct claims_lost_row *row)
{
	struct losses *sum = arg;

	sum->cu += row->cu;
	sum->value += row->value;
	sum->n++;
	snprintf(sum->reason, sizeof(sum->reason), "%s", row->reason);
	return true;
}

static void losses(struct book_world *b, struct losses *ret)
{
	struct err err = {0};

	*ret = (struct losses){0};
	assert_ok(claims_each_lost(b->claims, on_loss, ret, &err), err);
}

static void only_the_arrows_of_the_diagram_are_legal(void **state)
{
	static const enum claims_state arrows[][2] = {
		{CLAIMS_PREPARED, CLAIMS_RECORDED},  {CLAIMS_PREPARED, CLAIMS_LOST},
		{CLAIMS_RECORDED, CLAIMS_PROVED},    {CLAIMS_RECORDED, CLAIMS_PAID},
		{CLAIMS_RECORDED, CLAIMS_FORFEITED}, {CLAIMS_PROVED, CLAIMS_PAID},
		{CLAIMS_PROVED, CLAIMS_FORFEITED},
	};

	for (int from = CLAIMS_PREPARED; from < CLAIMS_STATES; from++)
		for (int to = CLAIMS_PREPARED; to < CLAIMS_STATES; to++) {
			bool drawn = false;

			for (size_t i = 0; i < ARRAY_SIZE(arrows); i++)
				drawn = drawn || (arrows[i][0] == (enum claims_state)from &&
						  arrows[i][1] == (enum claims_state)to);
			assert_int_equal(claims_edge_is_legal((enum claims_state)from,
							      (enum claims_state)to),
					 drawn);
		}
}

static void a_claim_lives_until_it_is_paid(void **state)
{
	CLEANUP(claims_full_finish) struct claims_full full = {0};
	struct ledger_cosigned head;
	struct claim_rows rows;
	struct book_rows left;
	struct book_world b;
	struct paper p;
	struct err err = {0};
	struct losses sum;

	paper_world(&b);
	paper_make(&b, 600, 720, &p);
	assert_int_equal(p.n, 4);
	assert_ok(paper_prepare(&b, &p, &err), err);
	book_close(&b);
	book_open(&b); /* each state survives a restart */
	claim_rows(&b, true, &rows);
	assert_int_equal(rows.n, 1);
	assert_int_equal(rows.v[0].state, CLAIMS_PREPARED);
	assert_int_equal(rows.v[0].records, 4);
	assert_true(rows.v[0].value == p.claim.value);
	assert_true((u128)rows.v[0].cu * PAPER_PRICE == p.claim.value);
	assert_int_equal(rows.v[0].recorded, 0);
	book_rows(&b, &left);
	for (size_t i = 0; i < left.n; i++)
		assert_false(ID_EQ(&left.v[i].application, &p.claim.application) &&
			     left.v[i].start < 720);
	paper_move(&b, &p.id, CLAIMS_RECORDED);
	paper_move(&b, &p.id, CLAIMS_PROVED);
	book_close(&b);
	book_open(&b);
	assert_ok(claims_read(b.claims, &p.id, &full, &err), err);
	assert_int_equal(full.row.state, CLAIMS_PROVED);
	assert_int_equal(full.row.recorded, 900);
	assert_int_equal(full.row.challenge, 903);
	assert_int_equal(full.row.due, 933);
	assert_true(view_eq(buf_view(&full.proof), VIEW("proof", 5)));
	assert_true(view_eq(buf_view(&full.records), paper_records(&p)));
	assert_int_equal(full.proof_signature.b[5], 0x77);
	assert_int_equal(full.signature.b[5], 0x51);
	assert_memory_equal(&full.claim.root, &p.claim.root, 32);
	assert_ok(claims_head_read(b.claims, &b.lanes[0].lane.id, b.lanes[0].cosigned, &head, &err),
		  err);
	assert_int_equal(head.time, 1800000000);
	paper_move(&b, &p.id, CLAIMS_PAID);
	claim_rows(&b, true, &rows);
	assert_int_equal(rows.n, 0);
	claim_rows(&b, false, &rows);
	assert_int_equal(rows.n, 1);
	assert_int_equal(rows.v[0].settled, 905);
	assert_string_equal(rows.v[0].reason, "");
	losses(&b, &sum);
	assert_int_equal(sum.n, 0);
	book_finish(&b);
}

/* The head that a record names is kept, though the lane goes on. */
static void a_claimed_head_outlives_newer_ones(void **state)
{
	struct ledger_cosigned head;
	struct book_world b;
	struct paper p;
	struct err err = {0};
	uint64_t size;

	paper_world(&b);
	paper_make(&b, 600, 660, &p);
	size = b.lanes[0].cosigned;
	assert_ok(paper_prepare(&b, &p, &err), err);
	book_append(&b, &b.lanes[0], 9, 4, 9);
	book_cosign(&b, &b.lanes[0]);
	book_tally(&b);
	assert_ok(claims_head_read(b.claims, &b.lanes[0].lane.id, size, &head, &err), err);
	assert_false(claims_head_read(b.claims, &b.lanes[0].lane.id, size + 4, &head, &err));
	assert_err(err, ERR_NOT_FOUND);
	book_finish(&b);
}

static void ranges_of_claims_do_not_overlap(void **state)
{
	struct claim_rows rows;
	struct book_world b;
	struct paper p, over, next;
	struct err err = {0};

	paper_world(&b);
	paper_make(&b, 600, 720, &p);
	paper_make(&b, 660, 780, &over);
	assert_ok(paper_prepare(&b, &p, &err), err);
	assert_false(paper_prepare(&b, &over, &err));
	assert_err(err, ERR_LEDGER);
	paper_make(&b, 720, 780, &next);
	assert_ok(paper_prepare(&b, &next, &err), err);
	claim_rows(&b, false, &rows);
	assert_int_equal(rows.n, 2);
	book_finish(&b);
}

static void a_record_of_an_unknown_row_or_head_is_refused_whole(void **state)
{
	struct claim_rows rows;
	struct book_world b;
	struct paper p, bad;
	struct err err = {0};

	paper_world(&b);
	paper_make(&b, 600, 720, &p);
	bad = p;
	put_be64(bad.records + 60, b.lanes[0].cosigned - 1); /* size of the first record */
	assert_false(paper_prepare(&b, &bad, &err));
	assert_err(err, ERR_LEDGER);
	bad = p;
	bad.records[CLAIM_RECORD_SIZE + 4] ^= 1; /* session of the second */
	assert_false(paper_prepare(&b, &bad, &err));
	assert_err(err, ERR_LEDGER);
	claim_rows(&b, false, &rows);
	assert_int_equal(rows.n, 0);
	assert_ok(paper_prepare(&b, &p, &err), err);
	book_finish(&b);
}

static void what_is_forfeited_is_lost_record_by_record(void **state)
{
	CLEANUP(claims_full_finish) struct claims_full full = {0};
	struct book_world b;
	struct losses sum;
	struct paper p;
	struct err err = {0};
	uint32_t day;

	paper_world(&b);
	paper_make(&b, 600, 840, &p);
	assert_ok(paper_prepare(&b, &p, &err), err);
	paper_move(&b, &p.id, CLAIMS_RECORDED);
	paper_move(&b, &p.id, CLAIMS_FORFEITED);
	losses(&b, &sum);
	assert_int_equal(sum.n, p.n);
	assert_true(sum.value == p.claim.value);
	assert_string_equal(sum.reason, "forfeited");
	assert_ok(claims_read(b.claims, &p.id, &full, &err), err);
	assert_string_equal(full.row.reason, "late");
	assert_true(full.row.burned == 12);
	assert_ok(claims_needed_day(b.claims, &day, &err), err);
	assert_int_equal(day, clock_day(clock_wall_ms())); /* other applications' */
	book_finish(&b);
}

static void what_the_registry_refuses_is_lost_by_its_word(void **state)
{
	struct claim_rows rows;
	struct book_world b;
	struct losses sum;
	struct paper p;
	struct err err = {0};

	paper_world(&b);
	paper_make(&b, 600, 660, &p);
	assert_ok(paper_prepare(&b, &p, &err), err);
	paper_move(&b, &p.id, CLAIMS_LOST);
	losses(&b, &sum);
	assert_int_equal(sum.n, p.n);
	assert_string_equal(sum.reason, "refused");
	claim_rows(&b, false, &rows);
	assert_string_equal(rows.v[0].reason, "late");
	book_finish(&b);
}

/* The same row and reason told again replaces what was said; a row that is lost whole is told no
 * more. */
static void losses_are_told_once(void **state)
{
	struct claims_lost lost[2];
	struct book_rows rows;
	struct book_world b;
	struct losses sum;
	struct err err = {0};
	size_t before;

	paper_world(&b);
	book_rows(&b, &rows);
	before = rows.n;
	for (size_t i = 0; i < 2; i++)
		lost[i] = (struct claims_lost){.lane = rows.v[i].lane,
					       .session = rows.v[i].session,
					       .reason = LOSS_WINDOW_CLOSED,
					       .cu = i == 0 ? rows.v[0].cosigned_cu : 1,
					       .value = 5};
	assert_ok(claims_lose(b.claims, lost, 2, &err), err);
	assert_ok(claims_lose(b.claims, lost, 2, &err), err);
	losses(&b, &sum);
	assert_int_equal(sum.n, 2);
	assert_true(sum.value == 10);
	book_rows(&b, &rows);
	assert_int_equal(rows.n, before - 1);
	assert_non_null(book_row(&rows, &lost[1].lane, &lost[1].session));
	assert_int_equal(book_row(&rows, &lost[1].lane, &lost[1].session)->lost_cu, 1);
	lost[1].lane.b[0] ^= 1;
	assert_false(claims_lose(b.claims, lost, 2, &err));
	assert_err(err, ERR_LEDGER);
	book_finish(&b);
}

/* Leaves that come to light in a range that was claimed belong to that claim's range. */
static void late_leaves_fall_into_the_claims_range(void **state)
{
	struct book_rows rows;
	struct book_world b;
	struct book_lane *l;
	struct paper p;
	struct err err = {0};
	size_t before;

	paper_world(&b);
	paper_make(&b, 600, 720, &p);
	assert_ok(paper_prepare(&b, &p, &err), err);
	book_rows(&b, &rows);
	before = rows.n;
	l = book_lane_add(&b);
	book_append(&b, l, 0, 4, 9);
	book_cosign(&b, l);
	book_tally(&b);
	book_rows(&b, &rows);
	assert_int_equal(rows.n, before);
	rows.n = 0;
	assert_ok(claims_each_row(b.claims, 600, 601, book_on_row, &rows, &err), err);
	assert_true(book_row(&rows, &l->lane.id, &b.sessions[0].id)->claimed);
	assert_int_equal(book_row(&rows, &l->lane.id, &b.sessions[0].id)->claimed_cu, 0);
	assert_int_equal(book_row(&rows, &b.lanes[0].lane.id, &b.sessions[0].id)->claimed_cu,
			 b.lanes[0].cut[0]);
	book_finish(&b);
}

static uint32_t needed_day(struct book_world *b)
{
	struct err err = {0};
	uint32_t day;

	assert_ok(claims_needed_day(b->claims, &day, &err), err);
	return day;
}

/* The registry has a claim that these books have lost. */
static void a_claim_is_adopted_with_or_without_its_records(void **state)
{
	CLEANUP(claims_full_finish) struct claims_full full = {0};
	struct book_world b;
	struct paper p, q;
	struct err err = {0};

	paper_world(&b);
	paper_make(&b, 600, 660, &p);
	paper_make(&b, 660, 720, &q);
	assert_ok(claims_adopt(b.claims, &p.claim, &p.signature, paper_records(&p), 700, 702, 732,
			       &err),
		  err);
	assert_ok(
		claims_adopt(b.claims, &q.claim, &q.signature, VIEW(NULL, 0), 700, 702, 732, &err),
		err);
	assert_int_equal(state_of(&b, &p.id), CLAIMS_RECORDED);
	assert_ok(claims_read(b.claims, &q.id, &full, &err), err);
	assert_false(full.row.has_records);
	assert_int_equal(full.records.n, 0);
	assert_int_equal(full.row.due, 732);
	paper_move(&b, &q.id, CLAIMS_FORFEITED);
	paper_move(&b, &p.id, CLAIMS_PAID);
	book_finish(&b);
}

/* The books of a claim are gone, and so is what it is of, until it comes back. */
static void lose_books(struct book_world *b)
{
	static const char *const files[] = {"claims.db", "claims.db-wal", "claims.db-shm"};
	char path[128];

	book_close(b);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->w.dir, files[i]);
		unlink(path);
	}
	book_open(b);
}

/* What a record of a claim needs for a proof is in the books. */
static bool record_is_there(struct book_world *b, const struct paper *p, size_t i)
{
	struct ledger_cosigned head;
	struct claim_record r;
	struct err err = {0};
	uint64_t seq;

	assert_true(claim_record_decode(p->records + i * CLAIM_RECORD_SIZE, &r));
	return claims_head_read(b->claims, &r.lane, r.size, &head, &err) &&
	       claims_find_leaf(b->claims, b->reader, &r.lane, &r.session, r.cu - 1, &seq, &err);
}

static struct claims_income income_of(struct book_world *b, const struct paper *p)
{
	struct claims_income *all = NULL, ret = {.unpriced_cu = UINT64_MAX};
	struct err err = {0};
	size_t n;

	assert_ok(claims_income(b->claims, &all, &n, &err), err);
	for (size_t i = 0; i < n; i++)
		if (ID_EQ(&all[i].application, &p->claim.application))
			ret = all[i];
	free(all);
	return ret;
}

/* A node asks the registry before its gateways have given back what its ledger lacks. */
static void an_adopted_claim_gets_what_comes_back_later(void **state)
{
	struct claims_income sum;
	struct book_world b;
	struct paper p;
	struct err err = {0};
	cu_t cu;

	paper_world(&b);
	paper_make(&b, 600, 660, &p);
	cu = b.lanes[0].cu[0] + b.lanes[1].cu[0];
	lose_books(&b);
	assert_ok(claims_adopt(b.claims, &p.claim, &p.signature, paper_records(&p), 700, 702, 732,
			       &err),
		  err);
	assert_ok(claims_join_late(b.claims, &err), err);
	for (size_t i = 0; i < p.n; i++)
		assert_false(record_is_there(&b, &p, i));
	book_tally(&b);
	assert_ok(claims_join_late(b.claims, &err), err);
	for (size_t i = 0; i < p.n; i++)
		assert_true(record_is_there(&b, &p, i));
	for (size_t l = 0; l < 2; l++) { /* newer heads take none away */
		book_append(&b, &b.lanes[l], 1, 4, 9);
		book_cosign(&b, &b.lanes[l]);
	}
	book_tally(&b);
	assert_ok(claims_join_late(b.claims, &err), err);
	for (size_t i = 0; i < p.n; i++)
		assert_true(record_is_there(&b, &p, i));
	sum = income_of(&b, &p);
	assert_int_equal(sum.claimed.cu, cu);
	paper_move(&b, &p.id, CLAIMS_PROVED);
	paper_move(&b, &p.id, CLAIMS_PAID);
	sum = income_of(&b, &p);
	assert_int_equal(sum.paid.cu, cu);
	assert_int_equal(sum.lost[LOSS_AFTER_CLAIM].cu, 0);
	book_finish(&b);
}

/* Rows that come back when all is over are what they were claimed as, and hold no day. */
static void what_comes_back_after_a_claim_was_settled_is_part_of_it(void **state)
{
	static const enum claims_state ends[] = {CLAIMS_PAID, CLAIMS_FORFEITED};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct claims_income sum;
		struct book_rows rows;
		struct book_world b;
		struct paper p;
		struct err err = {0};

		paper_world(&b);
		paper_make(&b, 600, 660, &p);
		lose_books(&b);
		assert_ok(claims_adopt(b.claims, &p.claim, &p.signature, paper_records(&p), 700,
				       702, 732, &err),
			  err);
		paper_move(&b, &p.id, ends[i]);
		book_tally(&b);
		assert_ok(claims_join_late(b.claims, &err), err);
		sum = income_of(&b, &p);
		assert_int_equal(
			(ends[i] == CLAIMS_PAID ? &sum.paid : &sum.lost[LOSS_FORFEITED])->cu,
			b.lanes[0].cu[0] + b.lanes[1].cu[0]);
		assert_int_equal(sum.lost[LOSS_AFTER_CLAIM].cu, 0);
		book_rows(&b, &rows);
		while (rows.n > 0) { /* all else is given up */
			struct claims_lost lost = {.lane = rows.v[0].lane,
						   .session = rows.v[0].session,
						   .reason = LOSS_WINDOW_CLOSED,
						   .cu = rows.v[0].cosigned_cu};

			assert_ok(claims_lose(b.claims, &lost, 1, &err), err);
			book_rows(&b, &rows);
		}
		assert_int_equal(needed_day(&b), UINT32_MAX);
		book_finish(&b);
	}
}

static void a_failed_change_changes_nothing(void **state)
{
	struct claims_change change = {.to = CLAIMS_RECORDED, .recorded = 900};
	struct claim_id unknown = {{1}};
	struct book_world b;
	sqlite3 *other = NULL;
	struct paper p;
	char path[128];
	struct err err = {0};

	paper_world(&b);
	paper_make(&b, 600, 660, &p);
	assert_ok(paper_prepare(&b, &p, &err), err);
	assert_false(claims_set_state(b.claims, &unknown, &change, &err));
	assert_err(err, ERR_NOT_FOUND);
	snprintf(path, sizeof(path), "%s/claims.db", b.w.dir);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_false(claims_set_state(b.claims, &p.id, &change, &err));
	assert_err(err, ERR_LEDGER);
	assert_int_equal(state_of(&b, &p.id), CLAIMS_PREPARED); /* reading goes on */
	sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(other);
	paper_move(&b, &p.id, CLAIMS_RECORDED);
	assert_int_equal(state_of(&b, &p.id), CLAIMS_RECORDED);
	book_finish(&b);
}

static void terms_are_told_with_the_rows(void **state)
{
	struct claims_terms terms = {
		.price = UINT64_MAX, .allowance = (u128)5 << 90, .opens = 662, .closes = 720};
	struct book_rows rows;
	struct book_world b;
	struct err err = {0};
	size_t with = 0;

	paper_world(&b);
	assert_ok(claims_set_terms(b.claims, &b.sessions[0].application, &b.w.peer,
				   &b.sessions[0].service, 600, &terms, &err),
		  err);
	book_rows(&b, &rows);
	for (size_t i = 0; i < rows.n; i++) {
		if (!rows.v[i].has_terms)
			continue;
		with++;
		assert_int_equal(rows.v[i].start, 600);
		assert_true(rows.v[i].terms.price == UINT64_MAX);
		assert_true(rows.v[i].terms.allowance == (u128)5 << 90);
		assert_int_equal(rows.v[i].terms.closes, 720);
	}
	assert_int_equal(with, 2);
	book_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_arrows_of_the_diagram_are_legal),
		cmocka_unit_test(a_claim_lives_until_it_is_paid),
		cmocka_unit_test(a_claimed_head_outlives_newer_ones),
		cmocka_unit_test(ranges_of_claims_do_not_overlap),
		cmocka_unit_test(a_record_of_an_unknown_row_or_head_is_refused_whole),
		cmocka_unit_test(what_is_forfeited_is_lost_record_by_record),
		cmocka_unit_test(what_the_registry_refuses_is_lost_by_its_word),
		cmocka_unit_test(losses_are_told_once),
		cmocka_unit_test(late_leaves_fall_into_the_claims_range),
		cmocka_unit_test(a_claim_is_adopted_with_or_without_its_records),
		cmocka_unit_test(an_adopted_claim_gets_what_comes_back_later),
		cmocka_unit_test(what_comes_back_after_a_claim_was_settled_is_part_of_it),
		cmocka_unit_test(a_failed_change_changes_nothing),
		cmocka_unit_test(terms_are_told_with_the_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
