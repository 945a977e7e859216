/* SPDX-License-Identifier: Apache-2.0
 * Tables, draws and picks: a table of 100,000 suppliers is to be made in under 100 ms, 24 members
 * are to be drawn from it in under 1 ms.  Exits with 1 when either is missed. */
#include <stdio.h>
#include <stdlib.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "session/draw.h"
#include "session/pick.h"
#include "session/session.h"
#include "tests/support/gen.h"

#define SUPPLIERS 100000
#define MEMBERS 24
#define TABLE_LIMIT_US 100000
#define DRAW_LIMIT_US 1000
#define ROUNDS 5
#define DRAWS 200
#define PICKS 200000

static void must(bool fine, const struct err *err)
{
	if (!fine) {
		fprintf(stderr, "%s\n", err->msg);
		exit(1);
	}
}

static usec_t time_table(const struct session_params *p, const struct table_input *in,
			 struct stake_table **ret)
{
	usec_t best = INT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		usec_t begin = clock_now_us(), took;
		struct err err = {0};

		stake_table_destroy(*ret);
		must(stake_table_create(p, in, SUPPLIERS, ret, &err), &err);
		took = clock_now_us() - begin;
		best = MIN(best, took);
	}
	return best;
}

static double time_draw(const struct stake_table *table)
{
	struct session_id id = {{0}};
	usec_t begin = clock_now_us();

	for (int i = 0; i < DRAWS; i++) {
		struct session_draw draw;
		struct err err = {0};

		id.b[0] = (uint8_t)i;
		must(session_draw(&id, table, MEMBERS, &draw, &err), &err);
	}
	return (double)(clock_now_us() - begin) / DRAWS;
}

static double time_pick(void)
{
	const struct session_id id = {{1}};
	const struct key_id gateway = {{2}};
	struct pick_member members[MEMBERS];
	usec_t begin;

	for (size_t i = 0; i < MEMBERS; i++)
		members[i] = (struct pick_member){i + 1, i, PICK_HEALTHY, false};
	begin = clock_now_us();
	for (uint64_t n = 0; n < PICKS; n++) {
		struct pick pick;
		struct err err = {0};

		must(pick_member(&id, &gateway, 0, n, PICK_BY_STAKE, members, MEMBERS, &pick, &err),
		     &err);
	}
	return (double)(clock_now_us() - begin) / PICKS;
}

int main(void)
{
	struct session_params p = session_params_default;
	struct table_input *in = xcalloc(SUPPLIERS, sizeof(*in));
	struct stake_table *table = NULL;
	struct gen gen = gen_init(1);
	usec_t shuffled, root_us, begin;
	double draw;

	p.stake_unit = 1;
	for (uint32_t i = 0; i < SUPPLIERS; i++) {
		gen_bytes(&gen, in[i].key.b, sizeof(in[i].key.b));
		in[i].owner = owner_default(&in[i].key);
		in[i].stake = 1 + gen_below(&gen, 1000000);
		in[i].index = i;
	}
	shuffled = time_table(&p, in, &table);
	begin = clock_now_us();
	(void)stake_table_root(table);
	root_us = clock_now_us() - begin;
	draw = time_draw(table);
	printf("session.table  %8.1f ms   %d suppliers, keys in any order (limit %d ms)\n",
	       (double)shuffled / 1000, SUPPLIERS, TABLE_LIMIT_US / 1000);
	printf("session.root   %8.1f ms   the same, table_root\n", (double)root_us / 1000);
	printf("session.draw   %8.1f us   %d members (limit %d us)\n", draw, MEMBERS,
	       DRAW_LIMIT_US);
	printf("session.pick   %8.3f us   of %d members\n", time_pick(), MEMBERS);
	stake_table_destroy(table);
	free(in);
	return shuffled > TABLE_LIMIT_US || draw > DRAW_LIMIT_US;
}
