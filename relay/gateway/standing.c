/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/gateway/standing.h"

#include <assert.h>

#include "relay/base/mem.h"

#define SCORE_US 50000 /* a score is this old at most */

struct serving *serving_get(struct serving **table, const struct service_name *name,
			    const struct quality_limits *limits)
{
	struct serving *serving;

	HASH_FIND_STR(*table, name->s, serving);
	if (serving)
		return serving;
	serving = xcalloc(1, sizeof(*serving));
	serving->service = *name;
	serving->limits = *limits;
	serving->refusals = refusals_create();
	HASH_ADD_STR(*table, service.s, serving);
	return serving;
}

void servings_finish(struct serving **table)
{
	struct serving *serving, *tmp;
	struct standing *s, *tmp_s;

	HASH_ITER (hh, *table, serving, tmp) {
		HASH_ITER (hh, serving->standings, s, tmp_s) {
			HASH_DEL(serving->standings, s);
			free(s);
		}
		HASH_DEL(*table, serving);
		refusals_destroy(serving->refusals);
		free(serving);
	}
}

/* Forgets the one that was not used for longest; all may be in use. */
static void make_room(struct serving *serving)
{
	struct standing *oldest = NULL, *s, *tmp;

	if (HASH_COUNT(serving->standings) < STANDINGS_MAX)
		return;
	HASH_ITER (hh, serving->standings, s, tmp) {
		if (s->refs == 0 && (!oldest || s->used_us < oldest->used_us))
			oldest = s;
	}
	if (!oldest)
		return;
	HASH_DEL(serving->standings, oldest);
	free(oldest);
}

struct standing *standing_find(struct serving *serving, const struct key_id *supplier)
{
	struct standing *s;

	HASH_FIND(hh, serving->standings, supplier, sizeof(*supplier), s);
	return s;
}

struct standing *standing_ref(struct serving *serving, const struct key_id *supplier, usec_t now)
{
	struct standing *s = standing_find(serving, supplier);

	if (!s) {
		make_room(serving);
		s = xcalloc(1, sizeof(*s));
		s->supplier = *supplier;
		quality_init(&s->q, &serving->limits);
		HASH_ADD(hh, serving->standings, supplier, sizeof(s->supplier), s);
	}
	s->refs++;
	s->used_us = now;
	return s;
}

void standing_unref(struct standing *standing, usec_t now)
{
	assert(standing->refs > 0);
	standing->refs--;
	standing->used_us = now;
}

const struct quality_score *standing_score(struct standing *s, usec_t reference_us, usec_t now)
{
	if (s->judged_us == 0 || s->judged_epoch != s->q.epoch || s->q.state == QUALITY_TRIAL ||
	    now - s->judged_us >= SCORE_US) {
		quality_turn(&s->q, now);
		s->score = quality_judge(&s->q, reference_us);
		s->judged_us = now;
		s->reference_us = reference_us;
		s->judged_epoch = s->q.epoch;
	}
	return &s->score;
}
