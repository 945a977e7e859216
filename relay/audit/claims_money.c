/* SPDX-License-Identifier: Apache-2.0
 * What claims moved against what the entries of the registry file say ([P6], [C12]), to the unit.
 *
 * What is settled at a height is in the entry of the next one.  The two files may be of different
 * heights: all is added up as of the lower one, when nothing more can come to it. */
#include <inttypes.h>

#include "relay/audit/claims_inside.h"
#include "relay/base/mem.h"

/* What one application or supplier lost at one height. */
struct taken {
	struct key_id key;
	height_t height; /* of the entry that has it */
	bool by_claims;	 /* by the claims file; else by the registry file */
	u128 amount;
	u128 due;     /* claims: values of what was forfeited */
	bool deposit; /* entries: more came in at this height */
};

struct takings {
	size_t n, cap;
	struct taken *v;
};

static void takings_add(struct takings *t, const struct taken *one)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 64;
		t->v = xrealloc(t->v, t->cap * sizeof(*t->v));
	}
	t->v[t->n++] = *one;
}

static int taken_order(const void *x, const void *y)
{
	const struct taken *a = x, *b = y;
	int order = memcmp(&a->key, &b->key, sizeof(a->key));

	if (order == 0 && a->height != b->height)
		order = a->height < b->height ? -1 : 1;
	return order ? order : (int)a->by_claims - (int)b->by_claims;
}

static void add_applications(const struct claims_audit *a, struct takings *t)
{
	size_t n;
	const struct application_entry *e = history_all_applications(a->history, &n);
	u128 before = 0;

	for (size_t i = 0; i < n; i++) {
		u128 spent = e[i].spent + e[i].spent_thaw;

		if (i == 0 || !ID_EQ(&e[i].key, &e[i - 1].key))
			before = 0;
		if (e[i].height <= a->ret->height && spent != before)
			takings_add(t, &(struct taken){.key = e[i].key,
						       .height = e[i].height,
						       .amount = spent - before});
		before = spent;
	}
}

static void add_suppliers(const struct claims_audit *a, struct takings *t)
{
	size_t n;
	const struct supplier_entry *e = history_all_suppliers(a->history, &n);
	u128 before = 0, in_before = 0;

	for (size_t i = 0; i < n; i++) {
		u128 burned = e[i].burned + e[i].burned_thaw, in = e[i].stake + e[i].burned;

		if (i == 0 || !ID_EQ(&e[i].key, &e[i - 1].key))
			before = in_before = 0;
		if (e[i].height <= a->ret->height)
			takings_add(t, &(struct taken){.key = e[i].key,
						       .height = e[i].height,
						       .amount = burned - before,
						       .deposit = in > in_before});
		before = burned;
		in_before = in;
	}
}

static void add_claims(const struct claims_audit *a, enum desk_state state, struct takings *t)
{
	for (size_t i = 0; i < a->file->n; i++) {
		const struct claims_entry *e = &a->file->v[i];
		bool paid = state == DESK_PAID;

		if (e->state != state || e->settled >= a->ret->height)
			continue;
		takings_add(t,
			    &(struct taken){.key = paid ? e->claim.application : e->claim.supplier,
					    .height = e->settled + 1,
					    .by_claims = true,
					    .amount = paid ? e->paid : e->burned + e->burned_thaw,
					    .due = e->claim.value});
	}
}

/* Nothing was left of a supplier's stake at a height. */
static bool is_bare(const struct claims_audit *a, const struct key_id *key, height_t height)
{
	const struct supplier_entry *e = history_supplier(a->history, key, height);

	return e == NULL || (e->stake == 0 && history_thawing_stake(a->history, key, height) == 0);
}

/* One key at one height: entries of the registry file, then claims. */
static void compare(const struct claims_audit *a, const char *kind, const struct taken *t, size_t n)
{
	bool whole = a->file->from == 0, penalty = strcmp(kind, "burned") == 0;
	char key[65], x[U128_TEXT_MAX], y[U128_TEXT_MAX];
	u128 registry = 0, claims = 0, due = 0;
	bool deposit = false;

	for (size_t i = 0; i < n; i++) {
		*(t[i].by_claims ? &claims : &registry) += t[i].amount;
		due += t[i].due;
		deposit = deposit || t[i].deposit;
	}
	hex_encode(t->key.b, sizeof(t->key.b), key);
	if (claims > registry || (whole && claims < registry))
		audit_find(a->report, AUDIT_PROVABLE, kind, NULL, AUDIT_NO_SEQ,
			   "%s at height %" PRIu64 ": %s by the registry file, %s by its claims",
			   key, t->height, u128_text(registry, x), u128_text(claims, y));
	else if (claims < registry)
		audit_find(a->report, AUDIT_OPEN, "partial", NULL, AUDIT_NO_SEQ,
			   "%s at height %" PRIu64 ": %s by claims that the file does not have",
			   key, t->height, u128_text(registry - claims, x));
	if (penalty &&
	    (claims > due || (claims < due && !deposit && !is_bare(a, &t->key, t->height))))
		audit_find(a->report, AUDIT_PROVABLE, kind, NULL, AUDIT_NO_SEQ,
			   "%s at height %" PRIu64 ": %s for forfeits of %s", key, t->height,
			   u128_text(claims, x), u128_text(due, y));
}

static void compare_all(const struct claims_audit *a, const char *kind, struct takings *t)
{
	if (t->n > 0)
		qsort(t->v, t->n, sizeof(*t->v), taken_order);
	for (size_t i = 0, to; i < t->n; i = to) {
		for (to = i + 1; to < t->n && ID_EQ(&t->v[to].key, &t->v[i].key) &&
				 t->v[to].height == t->v[i].height;)
			to++;
		compare(a, kind, &t->v[i], to - i);
	}
	free(t->v);
}

/* --- who has it --- */

static int owner_order(const void *x, const void *y)
{
	return memcmp(x, y, sizeof(struct owner_id));
}

static void add_owners(struct claims_audit *a)
{
	struct audit_claims *ret = a->ret;
	size_t kept = 0;

	ret->owners = xcalloc(a->file->n, sizeof(*ret->owners));
	for (size_t i = 0; i < a->file->n; i++) {
		const struct claims_entry *e = &a->file->v[i];
		struct claims_owner *owner = &ret->owners[ret->owners_n];

		if (e->state == DESK_PAID && settle_payee(a->history, &e->claim, &owner->owner)) {
			owner->paid = e->paid;
			ret->owners_n++;
		}
	}
	if (ret->owners_n > 0)
		qsort(ret->owners, ret->owners_n, sizeof(*ret->owners), owner_order);
	for (size_t i = 0; i < ret->owners_n; i++) {
		if (kept > 0 && ID_EQ(&ret->owners[kept - 1].owner, &ret->owners[i].owner))
			ret->owners[kept - 1].paid += ret->owners[i].paid;
		else
			ret->owners[kept++] = ret->owners[i];
	}
	ret->owners_n = kept;
}

static void check_books(struct claims_audit *a)
{
	const struct history_books *m = &a->ret->money;
	char x[U128_TEXT_MAX], y[U128_TEXT_MAX];

	if (!history_books(a->history, a->ret->height, &a->ret->money))
		audit_find(a->report, AUDIT_PROVABLE, "books", NULL, AUDIT_NO_SEQ,
			   "at height %" PRIu64 " the entries do not add up to the %s deposited",
			   a->ret->height, u128_text(m->deposits, x));
	if (a->file->from > 0)
		return;
	if (m->spent != a->ret->paid)
		audit_find(a->report, AUDIT_PROVABLE, "books", NULL, AUDIT_NO_SEQ,
			   "%s spent by the registry file, %s paid by its claims",
			   u128_text(m->spent, x), u128_text(a->ret->paid, y));
	if (m->burned != a->ret->burned)
		audit_find(a->report, AUDIT_PROVABLE, "books", NULL, AUDIT_NO_SEQ,
			   "%s burned by the registry file, %s by its claims",
			   u128_text(m->burned, x), u128_text(a->ret->burned, y));
}

void claims_check_money(struct claims_audit *a)
{
	struct takings spent = {.n = 0}, burned = {.n = 0};

	a->ret->height = MIN(a->export->height, a->file->height);
	for (size_t i = 0; i < a->file->n; i++) {
		const struct claims_entry *e = &a->file->v[i];

		if (e->state == DESK_RECORDED || e->settled >= a->ret->height) {
			a->ret->open += e->claim.value;
			continue;
		}
		a->ret->paid += e->paid;
		a->ret->burned += e->burned + e->burned_thaw;
	}
	add_applications(a, &spent);
	add_claims(a, DESK_PAID, &spent);
	compare_all(a, "paid", &spent);
	add_suppliers(a, &burned);
	add_claims(a, DESK_FORFEITED, &burned);
	compare_all(a, "burned", &burned);
	check_books(a);
	add_owners(a);
}
