/* SPDX-License-Identifier: Apache-2.0
 * The one pass over a claim's records ([C6], [C7]). */
#include "session/settle.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "relay/receipt/checkpoint.h"
#include "session/settle_inside.h"

/* The pass: what is known so far. */
struct pass {
	const struct claim *claim;
	const struct session_params *params;
	settle_terms_fn *terms_fn;
	void *terms_arg;
	bool begun; /* a record was seen: the next four are its */
	height_t start;
	struct lane_id lane;
	struct settle_terms terms;
	u128 session_value; /* of the session so far */
	u128 value;	    /* of the claim so far; < CLAIM_VALUE_END */
	struct tree tree;
};

bool settle_refuse(enum settle_fault *ret, struct err *err, enum settle_fault fault,
		   const char *fmt, ...)
{
	char text[ERR_MSG_MAX];
	va_list ap;

	assert(fault != SETTLE_FINE);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*ret = fault;
	return err_set(err, ERR_CLAIM, "%s: %s", settle_fault_name(fault), text);
}

/* Everything that can be said before the records are looked at, cheapest first. */
static bool check_head(const struct claim *c, const struct signature *sig, struct view records,
		       const struct network_id *network, const struct session_params *p,
		       height_t now, enum settle_fault *ret, struct err *err)
{
	if (!ID_EQ(&c->network, network))
		return settle_refuse(ret, err, SETTLE_NETWORK, "a claim of another network");
	if (c->from >= c->to || !session_exists(p, c->from) || c->to % p->session_blocks != 0)
		return settle_refuse(ret, err, SETTLE_RANGE,
				     "%" PRIu64 " to %" PRIu64 " is no range of sessions", c->from,
				     c->to);
	if (now < settle_opens(p, c->to))
		return settle_refuse(ret, err, SETTLE_EARLY,
				     "at height %" PRIu64 ", may be claimed from %" PRIu64 " on",
				     now, settle_opens(p, c->to));
	if (now >= settle_closes(p, c->from))
		return settle_refuse(ret, err, SETTLE_LATE,
				     "at height %" PRIu64 ", had to be claimed before %" PRIu64,
				     now, settle_closes(p, c->from));
	if (c->value == 0 || c->value >= CLAIM_VALUE_END)
		return settle_refuse(ret, err, SETTLE_AMOUNT, "no amount that can be paid");
	if (c->records == 0 || c->records > CLAIM_RECORDS_MAX ||
	    records.n != (size_t)c->records * CLAIM_RECORD_SIZE)
		return settle_refuse(ret, err, SETTLE_RECORDS,
				     "%" PRIu32 " records are claimed, %zu bytes are there",
				     c->records, records.n);
	if (!claim_verify(c, sig))
		return settle_refuse(ret, err, SETTLE_SIGNATURE,
				     "the supplier has not signed the claim");
	return true;
}

/* The record stands where it may, and its session is one that pays. */
static bool check_session(struct pass *pass, const struct claim_record *r, enum settle_fault *ret,
			  struct err *err)
{
	const struct claim *c = pass->claim;
	bool same = pass->begun && r->start == pass->start;

	if (r->start < c->from || r->start >= c->to)
		return settle_refuse(ret, err, SETTLE_START, "session %" PRIu64 " is not claimed",
				     r->start);
	if (pass->begun && (r->start < pass->start ||
			    (same && memcmp(r->lane.b, pass->lane.b, sizeof(r->lane.b)) <= 0)))
		return settle_refuse(ret, err, SETTLE_ORDER, "at session %" PRIu64, r->start);
	if (!same) {
		struct err why;

		if (!session_exists(pass->params, r->start))
			return settle_refuse(ret, err, SETTLE_SESSION,
					     "no session starts at %" PRIu64, r->start);
		if (!pass->terms_fn(pass->terms_arg, c, r->start, &pass->terms, &why))
			return settle_refuse(ret, err, SETTLE_SESSION, "%s", why.msg);
		pass->session_value = 0;
	}
	pass->begun = true;
	pass->start = r->start;
	pass->lane = r->lane;
	if (!ID_EQ(&r->session, &pass->terms.id))
		return settle_refuse(ret, err, SETTLE_SESSION, "not the one at %" PRIu64, r->start);
	if (!pass->terms.member)
		return settle_refuse(ret, err, SETTLE_NOT_DRAWN, "into the session at %" PRIu64,
				     r->start);
	if (pass->terms.allowance == 0)
		return settle_refuse(ret, err, SETTLE_GRANT,
				     "not active in the session at %" PRIu64, r->start);
	return true;
}

/* What it says of size and money.  Nothing overflows: a value that is right is below 2^128, one
 * that is within the allowance below 2^96, and so are the sums. */
static bool check_value(struct pass *pass, const struct claim_record *r, enum settle_fault *ret,
			struct err *err)
{
	const struct settle_terms *t = &pass->terms;
	u128 value = (u128)r->cu * t->price;

	assert(t->allowance <= AMOUNT_MAX && pass->session_value <= t->allowance);
	assert(pass->value < CLAIM_VALUE_END && pass->session_value <= pass->value);
	if (r->size == 0 || r->size > CHECKPOINT_SIZE_MAX)
		return settle_refuse(ret, err, SETTLE_SIZE, "a lane of %" PRIu64 " leaves",
				     r->size);
	if (value == 0)
		return settle_refuse(ret, err, SETTLE_NO_VALUE, "%" PRIu64 " CU at %" PRIu64, r->cu,
				     t->price);
	if (r->value != value)
		return settle_refuse(ret, err, SETTLE_VALUE,
				     "not that of %" PRIu64 " CU at %" PRIu64, r->cu, t->price);
	if (r->value_before != pass->value)
		return settle_refuse(ret, err, SETTLE_VALUE_BEFORE, "at session %" PRIu64,
				     r->start);
	if (r->session_value_before != pass->session_value)
		return settle_refuse(ret, err, SETTLE_SESSION_VALUE, "at session %" PRIu64,
				     r->start);
	if (value > t->allowance - pass->session_value)
		return settle_refuse(ret, err, SETTLE_ALLOWANCE,
				     "passed in the session at %" PRIu64, r->start);
	if (value >= CLAIM_VALUE_END - pass->value)
		return settle_refuse(ret, err, SETTLE_TOTAL, "2^96 is passed");
	pass->session_value += value;
	pass->value += value;
	return true;
}

bool settle_check_claim(const struct claim *c, const struct signature *sig, struct view records,
			const struct network_id *network, const struct session_params *p,
			height_t now, settle_terms_fn *terms, void *arg, enum settle_fault *ret,
			struct err *err)
{
	struct pass pass = {.claim = c, .params = p, .terms_fn = terms, .terms_arg = arg};
	struct hash hash;

	if (!check_head(c, sig, records, network, p, now, ret, err))
		return false;
	tree_init(&pass.tree);
	for (size_t at = 0; at < records.n; at += CLAIM_RECORD_SIZE) {
		struct claim_record r;

		if (!claim_record_decode(records.p + at, &r))
			return settle_refuse(ret, err, SETTLE_RECORD, "number %zu is none",
					     at / CLAIM_RECORD_SIZE);
		if (!check_session(&pass, &r, ret, err) || !check_value(&pass, &r, ret, err))
			return false;
		tree_leaf_hash(VIEW(records.p + at, CLAIM_RECORD_SIZE), &hash);
		tree_append(&pass.tree, &hash);
	}
	assert(pass.tree.size == c->records && pass.value > 0);
	if (pass.value != c->value)
		return settle_refuse(ret, err, SETTLE_TOTAL, "the records' sum is another");
	tree_root(&pass.tree, &hash);
	if (!ID_EQ(&hash, &c->root))
		return settle_refuse(ret, err, SETTLE_ROOT, "the records have another");
	*ret = SETTLE_FINE;
	return true;
}
