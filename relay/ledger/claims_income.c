/* SPDX-License-Identifier: Apache-2.0
 * Income: each unit that was served in exactly one place.  Of lanes whose day was dropped only sums
 * are kept. */
#include "relay/ledger/claims_inside.h"

#include "relay/base/mem.h"

struct sums {
	struct claims_income *v;
	size_t n, cap;
};

static struct claims_income *sums_get(struct sums *sums, const struct service_name *service,
				      const struct key_id *application)
{
	for (size_t i = sums->n; i-- > 0;) /* rows of one account follow each other */
		if (ID_EQ(&sums->v[i].application, application) &&
		    strcmp(sums->v[i].service.s, service->s) == 0)
			return &sums->v[i];
	if (sums->n == sums->cap) {
		sums->cap = MAX(sums->cap * 2, 16);
		sums->v = xrealloc(sums->v, sums->cap * sizeof(*sums->v));
	}
	sums->v[sums->n] = (struct claims_income){.service = *service, .application = *application};
	return &sums->v[sums->n++];
}

static void add(struct claims_amount *amount, cu_t cu, uint64_t price)
{
	amount->cu += cu;
	amount->value += (u128)cu * price;
}

static cu_t less(cu_t a, cu_t b)
{
	return a > b ? a - b : 0;
}

/* What was served, and at least what became of it: of a ledger that was set back less is known. */
static cu_t served(const struct earned_row *row)
{
	return MAX(row->cosigned_cu + row->tail_cu, row->lost_cu + row->claimed_cu);
}

/* What lies in a claim's range; of losses those that were told are not in the rest. */
static void add_claimed(struct claims_income *sum, const struct earned_row *row, uint64_t price)
{
	cu_t rest = served(row) - row->lost_cu;
	cu_t in = row->claim_has_records ? MIN(row->claimed_cu, rest) : rest;

	if (row->claim_state == CLAIMS_PAID)
		add(&sum->paid, in, price);
	else if (row->claim_state < CLAIMS_PAID)
		add(&sum->claimed, in, price);
	else if (!row->claim_has_records) /* else they are among the losses, record by record */
		add(&sum->lost[row->claim_state == CLAIMS_LOST ? LOSS_REFUSED : LOSS_FORFEITED], in,
		    price);
	add(&sum->lost[LOSS_AFTER_CLAIM], rest - in, price);
}

static void add_unclaimed(struct claims_income *sum, const struct earned_row *row, uint64_t price)
{
	cu_t lost_else = row->lost_cu - row->lost_tail_cu; /* of the tail what is beyond the rest */
	cu_t tail = less(row->tail_cu, row->lost_tail_cu + less(lost_else, row->cosigned_cu));

	add(row->lane_closed ? &sum->lost[LOSS_UNDELIVERED] : &sum->at_risk, tail, price);
	add(&sum->claimable, less(row->cosigned_cu, lost_else), price);
}

static bool sum_row(void *arg, const struct earned_row *row)
{
	struct claims_income *sum = sums_get(arg, &row->service, &row->application);
	uint64_t price = row->has_terms ? row->terms.price : 0;
	cu_t cu = served(row);

	add(&sum->earned, cu, price);
	if (!row->has_terms)
		sum->unpriced_cu += cu;
	if (row->has_terms && price == 0)
		add(&sum->free, cu - row->lost_cu, 0);
	else if (row->claimed)
		add_claimed(sum, row, price);
	else
		add_unclaimed(sum, row, price);
	return true;
}

static bool sum_lost(void *arg, const struct claims_lost_row *row)
{
	struct claims_income *sum = sums_get(arg, &row->service, &row->application);
	size_t i = 0;

	while (i < LOSS_COUNT && strcmp(claims_loss_name((enum claims_loss)i), row->reason) != 0)
		i++;
	if (i == LOSS_COUNT)
		i = LOSS_REFUSED; /* a word of a newer version */
	sum->lost[i].cu += row->cu;
	sum->lost[i].value += row->value;
	return true;
}

/* --- what is folded --- */

/* The parts of a sum, and then its losses. */
#define PARTS 6
static const char *const part_names[PARTS] = {"earned",	   "free",    "at_risk",
					      "claimable", "claimed", "paid"};

static struct claims_amount *part_at(struct claims_income *sum, size_t i)
{
	struct claims_amount *const parts[PARTS] = {&sum->earned,    &sum->free,    &sum->at_risk,
						    &sum->claimable, &sum->claimed, &sum->paid};

	return i < PARTS ? parts[i] : &sum->lost[i - PARTS];
}

static const char *part_name(size_t i)
{
	return i < PARTS ? part_names[i] : claims_loss_name((enum claims_loss)(i - PARTS));
}

static bool sum_folded(struct claims *claims, struct sums *sums, struct err *err)
{
	STMT *stmt = NULL;
	bool found = true;

	if (!store_prepare(claims->db, "SELECT application, service, part, cu, value FROM folded",
			   &stmt, err))
		return false;
	while (found) {
		struct service_name service = {{0}};
		struct claims_amount *amount;
		struct key_id application;
		const char *part;
		size_t i = 0;

		if (!claims_step(stmt, &found, err))
			return false;
		if (!found || !store_blob(stmt, 0, application.b, sizeof(application.b)) ||
		    (part = (const char *)sqlite3_column_text(stmt, 2)) == NULL)
			continue;
		if (!claims_column_service(stmt, 1, &service))
			service.s[0] = 0;
		while (i < PARTS + LOSS_COUNT && strcmp(part_name(i), part) != 0)
			i++;
		if (i == PARTS + LOSS_COUNT)
			i = PARTS + LOSS_REFUSED; /* a word of a newer version */
		amount = part_at(sums_get(sums, &service, &application), i);
		amount->cu += (cu_t)sqlite3_column_int64(stmt, 3);
		amount->value += claims_column_amount(stmt, 4);
	}
	return true;
}

static bool fold_part(struct claims *claims, const struct claims_income *sum, const char *part,
		      const struct claims_amount *amount, struct err *err)
{
	struct claims_amount all = *amount;
	sqlite3_stmt *stmt = NULL;

	for (int step = 0; step < 2; step++) { /* what there is, then with this */
		bool found;

		stmt = claims_sql(claims, step == 0 ? SQL_FOLDED_FIND : SQL_FOLDED_SET, err);
		if (stmt == NULL)
			return false;
		BIND_ID(stmt, 1, &sum->application);
		sqlite3_bind_text(stmt, 2, sum->service.s, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 3, part, -1, SQLITE_STATIC);
		if (step == 1) {
			sqlite3_bind_int64(stmt, 4, (int64_t)all.cu);
			claims_bind_amount(stmt, 5, all.value);
		}
		if (!claims_step(stmt, &found, err))
			return false;
		if (step == 0 && found) {
			all.cu += (cu_t)sqlite3_column_int64(stmt, 0);
			all.value += claims_column_amount(stmt, 1);
		}
		sqlite3_reset(stmt);
	}
	return true;
}

/* Without its leaves nothing of it can be claimed any more. */
static void fold_open(struct claims_income *sum)
{
	struct claims_amount *lost = &sum->lost[LOSS_WINDOW_CLOSED];

	lost->cu += sum->at_risk.cu + sum->claimable.cu;
	lost->value += sum->at_risk.value + sum->claimable.value;
	sum->at_risk = sum->claimable = (struct claims_amount){0};
}

bool claims_fold(struct claims *claims, int64_t lane, struct err *err)
{
	static const enum claims_sql drops[] = {SQL_FOLD_ROWS, SQL_FOLD_LOST, SQL_FOLD_HEADS,
						SQL_LANE_MARKS_RESET, SQL_FOLD_RECORDS};
	struct sums sums = {0};
	bool ok = claims_each_row_of(claims, lane, sum_row, &sums, err) &&
		  claims_each_lost_of(claims, lane, sum_lost, &sums, err);

	for (size_t i = 0; ok && i < sums.n; i++) {
		fold_open(&sums.v[i]);
		for (size_t p = 0; ok && p < PARTS + LOSS_COUNT; p++)
			if (part_at(&sums.v[i], p)->cu > 0)
				ok = fold_part(claims, &sums.v[i], part_name(p),
					       part_at(&sums.v[i], p), err);
	}
	free(sums.v);
	for (size_t i = 0; ok && i < ARRAY_SIZE(drops); i++) {
		sqlite3_stmt *stmt = claims_sql(claims, drops[i], err);

		if (stmt != NULL && drops[i] != SQL_FOLD_RECORDS)
			sqlite3_bind_int64(stmt, 1, lane);
		ok = claims_run(stmt, err);
	}
	return ok;
}

/* --- all --- */

static int by_service(const void *a, const void *b)
{
	const struct claims_income *x = a, *y = b;
	int order = strcmp(x->service.s, y->service.s);

	return order != 0 ? order : memcmp(x->application.b, y->application.b, 32);
}

bool claims_income(struct claims *claims, struct claims_income **ret, size_t *ret_n,
		   struct err *err)
{
	struct sums sums = {0};

	if (!claims_each_row(claims, 0, UINT64_MAX, sum_row, &sums, err) ||
	    !claims_each_lost(claims, sum_lost, &sums, err) || !sum_folded(claims, &sums, err)) {
		free(sums.v);
		return false;
	}
	if (sums.n > 0)
		qsort(sums.v, sums.n, sizeof(*sums.v), by_service);
	*ret = sums.v;
	*ret_n = sums.n;
	return true;
}
