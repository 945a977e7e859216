/* SPDX-License-Identifier: Apache-2.0
 * Income: each unit that was served in exactly one place. */
#include "relay/ledger/claims.h"

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
	cu_t tail = less(row->tail_cu, row->lost_tail_cu);

	add(row->lane_closed ? &sum->lost[LOSS_UNDELIVERED] : &sum->at_risk, tail, price);
	add(&sum->claimable, less(row->cosigned_cu, row->lost_cu - row->lost_tail_cu), price);
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
	    !claims_each_lost(claims, sum_lost, &sums, err)) {
		free(sums.v);
		return false;
	}
	if (sums.n > 0)
		qsort(sums.v, sums.n, sizeof(*sums.v), by_service);
	*ret = sums.v;
	*ret_n = sums.n;
	return true;
}
