/* SPDX-License-Identifier: Apache-2.0
 * Tabs under many threads: a bound is never passed, and all that it leaves can be used. */
#include "tests/unit/unit.h"

#include <pthread.h>

#include "tests/support/gen.h"
#include "tests/unit/ledger_world.h"

#define THREADS 8
#define UNPAID_MAX 10007 /* CU of the application, in both sessions */
#define SERVED_MAX 7001	 /* CU of each session */
#define HELD_MAX 64

/* One worker, on one of two sessions of an application. */
struct hammer {
	pthread_t thread;
	struct ledger_tab *tab;
	uint64_t seed;
	uint64_t rounds;
	cu_t held; /* at the end */
	uint64_t refused[3];
	bool passed; /* it has seen a bound passed */
};

static void look(struct hammer *h)
{
	h->passed = h->passed || ledger_tab_unpaid(h->tab) > UNPAID_MAX ||
		    ledger_tab_served(h->tab) > SERVED_MAX;
}

/* Takes and gives back at random; then takes 1 CU at a time until nothing is left. */
static void *hammer_main(void *arg)
{
	struct hammer *h = arg;
	struct gen gen = gen_init(h->seed);
	cu_t held[HELD_MAX] = {0};

	for (uint64_t i = 0; i < h->rounds; i++) {
		cu_t *slot = &held[gen_u64(&gen) % HELD_MAX];
		enum ledger_room room;

		if (*slot > 0)
			ledger_tab_release(h->tab, *slot);
		*slot = gen_u64(&gen) % 100 + 1;
		room = ledger_tab_reserve(h->tab, *slot, UNPAID_MAX, SERVED_MAX);
		h->refused[room] += room != LEDGER_ROOM;
		if (room != LEDGER_ROOM)
			*slot = 0;
		look(h);
	}
	for (size_t i = 0; i < HELD_MAX; i++)
		h->held += held[i];
	return NULL;
}

static cu_t take_the_rest(struct ledger_tab *tab)
{
	cu_t taken = 0;

	while (ledger_tab_reserve(tab, 1, UNPAID_MAX, SERVED_MAX) == LEDGER_ROOM)
		taken++;
	return taken;
}

static void hammer_start(struct hammer *h, struct ledger_tab *tab, uint64_t seed)
{
	*h = (struct hammer){
		.tab = tab,
		.seed = seed,
		.rounds = gen_env("CF_COUNT_TAB_ROUNDS", 100000),
	};
	assert_int_equal(pthread_create(&h->thread, NULL, hammer_main, h), 0);
}

/* [P4], [P5] */
static void threads_share_a_bound_to_the_last_unit(void **state)
{
	struct ledger_session second;
	struct hammer hammers[THREADS];
	struct ledger_tab *tabs[2];
	cu_t held[2] = {0};
	struct world w;

	world_init(&w, LEDGER_SUPPLIER);
	second = w.session;
	second.id.b[0] ^= 1;
	tabs[0] = w.tab;
	tabs[1] = ledger_tab_open(w.ledger, &second, &w.peer);
	for (int i = 0; i < THREADS; i++)
		hammer_start(&hammers[i], tabs[i % 2], 20261123 + (uint64_t)i);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(hammers[i].thread, NULL), 0);
		assert_false(hammers[i].passed);
		held[i % 2] += hammers[i].held;
	}
	assert_int_equal(ledger_tab_served(tabs[0]), held[0]);
	assert_int_equal(ledger_tab_served(tabs[1]), held[1]);
	assert_int_equal(ledger_unpaid(w.ledger), held[0] + held[1]);
	held[0] += take_the_rest(tabs[0]);
	held[1] += take_the_rest(tabs[1]);
	assert_int_equal(held[0] + held[1], UNPAID_MAX);
	assert_int_equal(ledger_tab_unpaid(tabs[0]), UNPAID_MAX);
	ledger_tab_release(tabs[0], held[0]);
	ledger_tab_release(tabs[1], held[1]);
	assert_int_equal(take_the_rest(tabs[1]), SERVED_MAX);
	ledger_tab_release(tabs[1], SERVED_MAX);
	assert_int_equal(ledger_unpaid(w.ledger), 0);
	ledger_tab_close(tabs[1]);
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_a_bound_to_the_last_unit),
	};

	return cmocka_run_group_tests_name("ledger_tab", tests, NULL, NULL);
}
