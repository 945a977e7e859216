/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/cli/node_books.h"

#include <inttypes.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "relay/base/metrics.h"
#include "relay/cli/claim_verbs.h"
#include "relay/cli/ledger_verbs.h"

#define READ_US 2000000 /* the books are read again after this long, or when that is more */
#define READ_SHARE 50	/* after so many times as it took: at most 2 % of the time */

struct node_books {
	const char *dir;
	struct key_id self;
	struct claims *claims; /* NULL: not there, or not yet */
	struct claims_income *list;
	size_t n;
	usec_t read_us; /* when they were read; 0: never */
	usec_t took_us;
	/* of what was read: */
	size_t claims_open;
	size_t lanes_unsigned; /* with units under no cosigned head */
	struct lane_id lane;   /* the last of them, while they are counted */
	height_t closes; /* when the next window closes of which something is not claimed; 0 */
};

struct node_books *node_books_create(const char *dir, const struct key_id *self)
{
	struct node_books *books = xcalloc(1, sizeof(*books));

	books->dir = dir;
	books->self = *self;
	return books;
}

void node_books_destroy(struct node_books *books)
{
	if (books == NULL)
		return;
	claims_close(books->claims);
	free(books->list);
	free(books);
}

static bool on_claim(void *arg, const struct claims_row *row)
{
	struct node_books *books = arg;

	books->claims_open++;
	return true;
}

static bool on_earned(void *arg, const struct earned_row *row)
{
	struct node_books *books = arg;

	if (row->tail_cu > 0 && !row->lane_closed && !ID_EQ(&row->lane, &books->lane)) {
		books->lanes_unsigned++;
		books->lane = row->lane;
	}
	if (row->has_terms && row->terms.price > 0 && row->cosigned_cu > 0)
		books->closes = books->closes == 0 ? row->terms.closes
						   : MIN(books->closes, row->terms.closes);
	return true;
}

static bool read_all(struct node_books *books, struct err *err)
{
	struct claims_income *list;
	size_t n;

	books->claims_open = books->lanes_unsigned = 0;
	books->closes = 0;
	books->lane = (struct lane_id){0};
	if (books->claims == NULL &&
	    !claims_open(books->dir, &books->self, true, &books->claims, err))
		return false;
	if (!claims_income(books->claims, &list, &n, err))
		return false;
	free(books->list);
	books->list = list;
	books->n = n;
	return claims_each(books->claims, true, on_claim, books, err) &&
	       claims_each_earned(books->claims, 0, UINT64_MAX, on_earned, books, err);
}

/* False while there are none; what was read before stays when they cannot be read. */
static bool refresh(struct node_books *books)
{
	usec_t begun = clock_now_us(), rest = MAX(READ_US, READ_SHARE * books->took_us);
	struct err err;
	bool there;

	if (books->read_us != 0 && begun < books->read_us + rest)
		return books->claims != NULL;
	there = read_all(books, &err) || books->claims != NULL;
	books->read_us = clock_now_us();
	books->took_us = books->read_us - begun;
	return there;
}

static int64_t gauge_of(u128 value)
{
	return (int64_t)MIN(value, (u128)INT64_MAX);
}

/* Words of the label INCOME, in its order. */
enum income_part { PART_EARNED, PART_PAID, PART_CLAIMED, PART_CLAIMABLE, PART_AT_RISK, PART_FREE };
#define PARTS 6

static const struct claims_amount *part_of(const struct claims_income *i, enum income_part part)
{
	switch (part) {
	case PART_EARNED:
		return &i->earned;
	case PART_PAID:
		return &i->paid;
	case PART_CLAIMED:
		return &i->claimed;
	case PART_CLAIMABLE:
		return &i->claimable;
	case PART_AT_RISK:
		return &i->at_risk;
	case PART_FREE:
		return &i->free;
	}
	return &i->earned;
}

/* Incomes [first, last) of one service. */
static void publish_service(const struct claims_income *first, const struct claims_income *last)
{
	unsigned label = metrics_label(METRIC_LABEL_SERVICE, first->service.s);

	for (unsigned p = 0; p < PARTS; p++) {
		struct claims_amount sum = {0};

		for (const struct claims_income *i = first; i < last; i++) {
			sum.cu += part_of(i, (enum income_part)p)->cu;
			sum.value += part_of(i, (enum income_part)p)->value;
		}
		metric_set_at(METRIC_CLAIMS_CU, label, p, gauge_of(sum.cu));
		metric_set_at(METRIC_CLAIMS_VALUE, label, p, gauge_of(sum.value));
	}
	for (unsigned r = 0; r < LOSS_COUNT; r++) {
		struct claims_amount sum = {0};

		for (const struct claims_income *i = first; i < last; i++) {
			sum.cu += i->lost[r].cu;
			sum.value += i->lost[r].value;
		}
		metric_set_at(METRIC_CLAIMS_LOST_CU, label, r, gauge_of(sum.cu));
		metric_set_at(METRIC_CLAIMS_LOST_VALUE, label, r, gauge_of(sum.value));
	}
}

void node_books_publish(struct node_books *books)
{
	if (!refresh(books))
		return;
	for (size_t i = 0, k; i < books->n; i = k) { /* they are sorted by service */
		for (k = i + 1; k < books->n &&
				strcmp(books->list[k].service.s, books->list[i].service.s) == 0;)
			k++;
		publish_service(&books->list[i], &books->list[k]);
	}
	metric_set(METRIC_CLAIMS_OPEN, (int64_t)books->claims_open);
	metric_set(METRIC_CLAIMS_LANES_UNSIGNED, (int64_t)books->lanes_unsigned);
	metric_set(METRIC_CLAIMS_NEXT_CLOSE, (int64_t)books->closes);
}

void node_books_put(struct node_books *books, struct buf *out)
{
	bool there = refresh(books);

	buf_put_str(out, "\"income\":[");
	for (size_t i = 0; there && i < books->n; i++) {
		buf_put_str(out, i ? "," : "");
		ledger_put_income(&books->list[i], out);
	}
	buf_putf(out, "],\"claims_open\":%zu,\"lanes_unsigned\":%zu,\"next_close\":%" PRIu64,
		 books->claims_open, books->lanes_unsigned, books->closes);
}
