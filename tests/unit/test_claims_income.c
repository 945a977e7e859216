/* SPDX-License-Identifier: Apache-2.0
 * Income: whatever became of what was served, each unit of it stands in exactly one place. */
#include "tests/unit/unit.h"

#include <sqlite3.h>

#include "tests/unit/claims_paper.h"

#define SEED 20261129

/* What the test did, to hold the books against. */
struct model {
	u128 paid, forfeited, open;
};

static void add_all(struct claims_amount *sum, const struct claims_amount *more)
{
	sum->cu += more->cu;
	sum->value += more->value;
}

static void in_one_place(struct book_world *b, const struct model *model)
{
	struct claims_amount paid = {0}, claimed = {0}, forfeited = {0};
	struct claims_income *list = NULL;
	struct err err = {0};
	cu_t earned = 0;
	size_t n;

	assert_ok(claims_income(b->claims, &list, &n, &err), err);
	for (size_t i = 0; i < n; i++) {
		struct claims_amount sum = list[i].free;

		add_all(&sum, &list[i].at_risk);
		add_all(&sum, &list[i].claimable);
		add_all(&sum, &list[i].claimed);
		add_all(&sum, &list[i].paid);
		for (size_t r = 0; r < LOSS_COUNT; r++)
			add_all(&sum, &list[i].lost[r]);
		assert_int_equal(sum.cu, list[i].earned.cu);
		assert_true(sum.value == list[i].earned.value);
		assert_int_equal(list[i].unpriced_cu, 0);
		earned += list[i].earned.cu;
		add_all(&paid, &list[i].paid);
		add_all(&claimed, &list[i].claimed);
		add_all(&forfeited, &list[i].lost[LOSS_FORFEITED]);
	}
	free(list);
	for (size_t l = 0; l < b->lanes_n; l++)
		for (size_t s = 0; s < BOOK_SESSIONS; s++)
			earned -= b->lanes[l].cu[s];
	assert_int_equal(earned, 0);
	assert_true(paid.value == model->paid);
	assert_true(claimed.value == model->open);
	assert_true(forfeited.value == model->forfeited);
}

static void terms_for_all(struct book_world *b)
{
	struct err err = {0};

	for (size_t s = 0; s < BOOK_SESSIONS; s++) {
		/* the third application's sessions cost nothing */
		struct claims_terms terms = {.price = s % 3 == 2 ? 0 : PAPER_PRICE,
					     .allowance = 1000000,
					     .opens = b->sessions[s].start + 62,
					     .closes = b->sessions[s].start + 180};

		assert_ok(claims_set_terms(b->claims, &b->sessions[s].application, &b->w.peer,
					   &b->sessions[s].service, b->sessions[s].start, &terms,
					   &err),
			  err);
	}
}

/* A claim of what the next start has; its life may end at once, or wait. */
static void claim_some(struct book_world *b, struct model *model, height_t start)
{
	struct paper *p = xcalloc(1, sizeof(*p));
	struct err err = {0};
	uint64_t end = gen_below(&b->gen, 4);

	paper_make(b, start, start + 60, p);
	if (p->n > 0) {
		assert_ok(paper_prepare(b, p, &err), err);
		if (end == 0) {
			model->open += p->claim.value;
		} else {
			paper_move(b, &p->id, CLAIMS_RECORDED);
			if (end == 1)
				paper_move(b, &p->id, CLAIMS_PROVED);
			paper_move(b, &p->id, end == 3 ? CLAIMS_FORFEITED : CLAIMS_PAID);
			*(end == 3 ? &model->forfeited : &model->paid) += p->claim.value;
		}
	}
	free(p);
}

static void lose_some(struct book_world *b)
{
	struct book_rows *rows = xcalloc(1, sizeof(*rows));
	struct err err = {0};

	book_rows(b, rows);
	if (rows->n > 0) {
		const struct earned_row *row = &rows->v[gen_below(&b->gen, rows->n)];
		struct claims_lost lost = {.lane = row->lane, .session = row->session};

		lost.reason = row->tail_cu > 0 ? LOSS_NO_COSIGNED_HEAD : LOSS_WINDOW_CLOSED;
		lost.cu = row->tail_cu > 0 ? row->tail_cu : row->cosigned_cu;
		lost.value = (u128)lost.cu * row->terms.price;
		if (row->terms.price > 0 && row->lost_cu == 0 && b->lanes_n == BOOK_LANES)
			assert_ok(claims_lose(b->claims, &lost, 1, &err), err);
	}
	free(rows);
}

static bool on_open_claim(void *arg, const struct claims_row *row)
{
	*(struct claims_row *)arg = *row;
	return false;
}

/* False: all are settled. */
static bool next_open(struct book_world *b, struct claims_row *ret)
{
	struct err err = {0};

	ret->state = CLAIMS_PAID;
	assert_ok(claims_each(b->claims, true, on_open_claim, ret, &err), err);
	return ret->state != CLAIMS_PAID;
}

static size_t rows_left(struct book_world *b)
{
	struct book_rows *rows = xcalloc(1, sizeof(*rows));
	struct err err = {0};
	size_t n;

	assert_ok(claims_each_row(b->claims, 0, UINT64_MAX, book_on_row, rows, &err), err);
	n = rows->n;
	free(rows);
	return n;
}

/* The ledger's days go: sums stay, rows only for as long as a claim is not settled. */
static void days_are_dropped(struct book_world *b, struct model *model)
{
	struct claims_row open = {0};
	sqlite3 *db = NULL;
	char path[128];

	book_close(b);
	snprintf(path, sizeof(path), "%s/state.db", b->w.dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE lanes SET dropped = 1", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	book_open(b);
	book_tally(b);
	in_one_place(b, model);
	while (next_open(b, &open)) {
		assert_true(rows_left(b) > 0);
		paper_move(b, &open.id, CLAIMS_RECORDED);
		paper_move(b, &open.id, CLAIMS_PAID);
		model->open -= open.value;
		model->paid += open.value;
	}
	in_one_place(b, model);
	book_close(b);
	book_open(b);
	book_tally(b);
	assert_int_equal(rows_left(b), 0);
	in_one_place(b, model);
	book_tally(b);
	in_one_place(b, model);
}

static void each_unit_stands_in_one_place(void **state)
{
	struct model model = {0};
	struct book_world *b = xcalloc(1, sizeof(*b));

	book_init(b, SEED);
	terms_for_all(b);
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < 3; i++) {
			struct book_lane *l = book_lane_add(b);

			for (int k = 0; k < 6; k++)
				book_append(b, l, gen_below(&b->gen, BOOK_SESSIONS),
					    1 + gen_below(&b->gen, 30), 12);
			if (i > 0)
				book_cosign(b, l);
			book_append(b, l, gen_below(&b->gen, BOOK_SESSIONS), 5, 12);
			if (i == 2)
				book_lane_close(b, l);
		}
		book_tally(b);
		in_one_place(b, &model);
		if (round % 2 == 1) /* leaves that come later than this come too late */
			claim_some(b, &model, 600 + 60 * (height_t)(round / 2));
		in_one_place(b, &model);
	}
	for (int i = 0; i < 6; i++) {
		lose_some(b);
		book_close(b);
		book_open(b);
		book_tally(b);
		in_one_place(b, &model);
	}
	assert_true(model.paid + model.forfeited + model.open > 0);
	days_are_dropped(b, &model);
	book_finish(b);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_unit_stands_in_one_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
