/* SPDX-License-Identifier: Apache-2.0
 * What a run, or a recording, came to. */
#include "relay/sim/sim.h"

static void add_answer(struct tally *t, const struct entry *e)
{
	const struct {
		const char *how;
		uint64_t *count;
	} hows[] = {
		{"own", &t->own},   {"hit", &t->hit},	{"shared", &t->shared},
		{"made", &t->made}, {"head", &t->head}, {"none", &t->answers},
	};
	enum err_code code;

	if (error_by_name(e->word[2], &code)) {
		t->failed++;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
		if (view_eq(e->word[2], VIEW_STR(hows[i].how)))
			++*hows[i].count;
	}
	t->answers += !view_eq(e->word[2], VIEW_STR("none"));
	t->recomputed += view_eq(e->word[4], VIEW_STR("recomputed"));
}

void tally_add(struct tally *t, const struct entry *e)
{
	switch ((int)e->kind) {
	case ENTRY_REQUEST:
		t->requests++;
		break;
	case ENTRY_ANSWER:
		add_answer(t, e);
		break;
	case ENTRY_SENT:
		t->sent++;
		break;
	case ENTRY_RETRY:
		t->retries++;
		break;
	case ENTRY_HEDGE:
		t->hedges++;
		break;
	case ENTRY_ASIDE:
		t->aside++;
		break;
	case ENTRY_BROKEN:
		t->broken++;
		break;
	default:
		break;
	}
	if (e->kind < ENTRY_INPUTS)
		t->us = e->at_us;
}
