/* SPDX-License-Identifier: Apache-2.0
 * What became of all compute units: claimed, or not, and then why not. */
#include <inttypes.h>

#include "relay/audit/claims_inside.h"
#include "relay/base/mem.h"
#include "session/budget.h"

static int served_order(const void *x, const void *y)
{
	const struct claims_served *a = x, *b = y;
	int order = claims_four_order(&a->four, &b->four);

	if (order == 0 && a->start != b->start)
		order = a->start < b->start ? -1 : 1;
	return order ? order : memcmp(&a->lane, &b->lane, sizeof(a->lane));
}

/* The first record of a claim that does not start before `start`.  Records whose order is wrong are
 * a finding already; then it may not be found. */
static size_t first_record(const struct claims_entry *e, height_t start)
{
	size_t low = 0, high = claims_records(e);
	struct claim_record r;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (claims_record(e, mid, &r) && r.start < start)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* What a claim has of one session: in all, and in one lane. */
struct listed {
	u128 cu;
	u128 value;
	cu_t in_lane;
};

static struct listed listed_in(const struct claims_entry *e, height_t start,
			       const struct lane_id *lane)
{
	struct listed sum = {0};
	struct claim_record r;

	for (size_t i = first_record(e, start); i < claims_records(e); i++) {
		if (!claims_record(e, i, &r) || r.start != start)
			break;
		sum.cu += r.cu;
		sum.value += r.value;
		if (lane != NULL && ID_EQ(&r.lane, lane))
			sum.in_lane = r.cu;
	}
	return sum;
}

/* How a session that nobody claimed stands. */
static enum claims_fate unclaimed(const struct claims_audit *a, height_t start,
				  const struct claims_entry *claim)
{
	const struct session_params *p = settle_params(a->history, start);

	if (claim != NULL)
		return CLAIMS_NOT_LISTED;
	return a->file->height < settle_closes(p, start) ? CLAIMS_CLAIMABLE : CLAIMS_WINDOW_CLOSED;
}

/* Those lanes of one session of the same four: what was served beyond what was claimed. */
static void tell_session(struct claims_audit *a, const struct claims_served *s, size_t n)
{
	const struct claim *four = &s->four;
	const struct claims_entry *claim = claims_covering(a, four, s->start);
	struct settle_terms terms = {.member = false};
	u128 left = 0, room;
	struct err err;

	for (size_t i = 0; i < n; i++) {
		cu_t claimed = claim ? listed_in(claim, s->start, &s[i].lane).in_lane : 0;
		u128 out = s[i].cu - s[i].in_head, undelivered = MIN(s[i].undelivered, out);

		claims_add_row(a, four, CLAIMS_UNDELIVERED, undelivered, 0);
		claims_add_row(a, four, CLAIMS_NO_HEAD, out - undelivered, 0);
		left += s[i].in_head > claimed ? s[i].in_head - claimed : 0;
	}
	if (left == 0)
		return;
	if (!claims_seed_known(a, s->start)) {
		audit_find(a->report, AUDIT_OPEN, "seed", &s->lane, AUDIT_NO_SEQ,
			   "the registry file lacks the seed of the session at %" PRIu64, s->start);
		return;
	}
	if (!claims_terms(a, four, s->start, &terms, &err) || !terms.member ||
	    terms.allowance == 0) {
		claims_add_row(a, four, CLAIMS_NOT_ENTITLED, left, 0);
		return;
	}
	if (terms.price == 0) {
		claims_add_row(a, four, CLAIMS_FREE, left, 0);
		return;
	}
	room = budget_cu(terms.allowance, terms.price);
	if (claim != NULL) {
		u128 claimed = listed_in(claim, s->start, NULL).cu;

		room = room > claimed ? room - claimed : 0;
	}
	room = MIN(room, left);
	claims_add_row(a, four, unclaimed(a, s->start, claim), room, room * terms.price);
	claims_add_row(a, four, CLAIMS_OVER_ALLOWANCE, left - room, 0);
}

static void tell_claims(struct claims_audit *a)
{
	for (size_t i = 0; i < a->file->n; i++) {
		const struct claims_entry *e = &a->file->v[i];
		enum claims_fate fate = e->state == DESK_PAID	     ? CLAIMS_PAID
					: e->state == DESK_FORFEITED ? CLAIMS_FORFEITED
								     : CLAIMS_RECORDED;
		struct claim_record r;

		for (size_t k = 0; k < claims_records(e); k++)
			if (claims_record(e, k, &r))
				claims_add_row(a, &e->claim, fate, r.cu, r.value);
	}
}

static int row_order(const void *x, const void *y)
{
	const struct claims_row *a = x, *b = y;
	int order = memcmp(&a->supplier, &b->supplier, sizeof(a->supplier));

	order = order ? order : memcmp(&a->application, &b->application, sizeof(a->application));
	order = order ? order : strcmp(a->service.s, b->service.s);
	return order ? order : (int)a->fate - (int)b->fate;
}

/* One row for what is alike. */
static void settle_rows(struct audit_claims *ret)
{
	size_t kept = 0;

	if (ret->rows_n > 0)
		qsort(ret->rows, ret->rows_n, sizeof(*ret->rows), row_order);
	for (size_t i = 0; i < ret->rows_n; i++) {
		struct claims_row *last = kept > 0 ? &ret->rows[kept - 1] : NULL;

		if (last != NULL && row_order(last, &ret->rows[i]) == 0) {
			last->cu += ret->rows[i].cu;
			last->value += ret->rows[i].value;
		} else {
			ret->rows[kept++] = ret->rows[i];
		}
	}
	ret->rows_n = kept;
}

void claims_add_row(struct claims_audit *a, const struct claim *four, enum claims_fate fate,
		    u128 cu, u128 value)
{
	struct audit_claims *ret = a->ret;

	if (cu == 0)
		return;
	if (ret->rows_n == ret->rows_cap) {
		settle_rows(ret);
		if (2 * ret->rows_n >= ret->rows_cap) {
			ret->rows_cap = ret->rows_cap ? 2 * ret->rows_cap : 1024;
			ret->rows = xrealloc(ret->rows, ret->rows_cap * sizeof(*ret->rows));
		}
	}
	ret->rows[ret->rows_n++] = (struct claims_row){
		four->supplier, four->application, four->service, fate, cu, value};
}

void claims_tell_fate(struct claims_audit *a, struct claims_served *served, size_t n)
{
	tell_claims(a);
	if (n > 0)
		qsort(served, n, sizeof(*served), served_order);
	for (size_t i = 0, to; i < n; i = to) {
		for (to = i + 1; to < n && served[to].start == served[i].start &&
				 claims_four_order(&served[to].four, &served[i].four) == 0;)
			to++;
		tell_session(a, &served[i], to - i);
	}
	settle_rows(a->ret);
}
