/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/node/claim_plan.h"

#include <assert.h>

#define DUE_PERCENT 33	     /* of the window that neighbours are waited for */
#define LAST_CALL_PERCENT 75 /* of it that cosignatures are waited for */

height_t claim_plan_at(height_t opens, height_t closes, unsigned percent)
{
	assert(opens <= closes && percent <= 100);
	return opens + (closes - opens) / 100 * percent + (closes - opens) % 100 * percent / 100;
}

bool claim_plan_is_last_call(const struct claim_plan_session *s, height_t height)
{
	return height >= claim_plan_at(s->opens, s->closes, LAST_CALL_PERCENT);
}

static bool is_ready(const struct claim_plan_session *s, height_t height)
{
	return height >= s->ripe && height >= s->opens && height < s->closes &&
	       (s->complete || claim_plan_is_last_call(s, height));
}

/* How many from the first one on can be in one claim. */
static size_t run_of(const struct claim_plan_session *s, size_t n,
		     const struct claim_plan_params *p, height_t height)
{
	size_t records = s[0].records, count = 1;

	assert(is_ready(&s[0], height));
	while (count < n && count < p->batch &&
	       s[count].start == s[count - 1].start + p->session_blocks &&
	       is_ready(&s[count], height) && records + s[count].records <= p->records_max)
		records += s[count++].records;
	return count;
}

static bool is_due(const struct claim_plan_session *s, size_t n, height_t height)
{
	for (size_t i = 0; i < n; i++)
		if (height >= claim_plan_at(s[i].opens, s[i].closes, DUE_PERCENT))
			return true;
	return false;
}

size_t claim_plan_next(const struct claim_plan_session *s, size_t n,
		       const struct claim_plan_params *p, height_t height, size_t *ret_first)
{
	size_t count;

	assert(p->batch >= 1);
	for (size_t i = 0; i < n; i += count) {
		assert(i == 0 || s[i].start > s[i - 1].start);
		count = 1;
		if (!is_ready(&s[i], height))
			continue;
		count = run_of(s + i, n - i, p, height);
		if (count < p->batch && !is_due(s + i, count, height))
			continue;
		*ret_first = i;
		return count;
	}
	return 0;
}
