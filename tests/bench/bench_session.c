/* SPDX-License-Identifier: Apache-2.0
 * Tables, draws and picks: a table of 100,000 suppliers is to be made in under 100 ms, 24 members
 * are to be drawn from it in under 1 ms, and the terms of a claim over 20 sessions are to be known
 * in under 200 ms.  Exits with 1 when one is missed. */
#include <stdio.h>
#include <stdlib.h>

#include "relay/base/clock.h"
#include "relay/base/mem.h"
#include "session/draw.h"
#include "session/pick.h"
#include "session/session.h"
#include "session/settle.h"
#include "tests/support/gen.h"

#define SUPPLIERS 100000
#define MEMBERS 24
#define TABLE_LIMIT_US 100000
#define DRAW_LIMIT_US 1000
#define ROUNDS 5
#define DRAWS 200
#define PICKS 200000
#define SESSIONS 20
#define TERMS_LIMIT_MS 200

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

/* The terms of claims over so many sessions, as a registry or an auditor asks for them: one table
 * serves all of them while no supplier changes.  In ms. */
static double time_terms(struct gen *gen)
{
	struct history *h =
		history_create(&(struct network_id){{1}}, &(struct session_clock){0, 1000});
	const struct session_params *p = &session_params_default;
	struct service_entry service = {.name = {"eth"}};
	struct params_entry params = {0, *p};
	struct claim c = {.service = service.name};
	struct seed_run seeds = {0};
	struct settle_book *book;
	struct err err = {0};
	usec_t begin;

	must(history_add_params(h, &params, &err) && history_add_service(h, &service, &err), &err);
	for (size_t i = 0; i < SUPPLIERS; i++) {
		struct supplier_entry e = {.stake = p->stake_unit * (1 + gen_below(gen, 1000)),
					   .services_n = 1,
					   .services = &service.name,
					   .endpoint = (char *)"a:1"};

		gen_bytes(gen, e.key.b, sizeof(e.key.b));
		e.owner = owner_default(&e.key);
		must(history_add_supplier(h, &e, &err), &err);
	}
	must(history_seal(h, &err), &err);
	for (height_t at = 0; at <= (SESSIONS + 1) * p->session_blocks; at++)
		must(seed_run_add(&seeds, at, &(struct seed){{(uint8_t)at, (uint8_t)(at >> 8)}}),
		     &err);
	book = settle_book_create(h, &seeds);
	begin = clock_now_us();
	for (unsigned k = 1; k <= SESSIONS; k++) {
		struct settle_terms terms;

		must(settle_book_terms(book, &c, k * p->session_blocks, &terms, &err), &err);
	}
	begin = clock_now_us() - begin;
	settle_book_destroy(book);
	seed_run_finish(&seeds);
	history_unref(h);
	return (double)begin / 1000;
}

int main(void)
{
	struct session_params p = session_params_default;
	struct table_input *in = xcalloc(SUPPLIERS, sizeof(*in));
	struct stake_table *table = NULL;
	struct gen gen = gen_init(1);
	usec_t shuffled, root_us, begin;
	double draw, terms;

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
	terms = time_terms(&gen);
	printf("settle.terms   %8.1f ms   of %d sessions, one table for all (limit %d ms)\n", terms,
	       SESSIONS, TERMS_LIMIT_MS);
	stake_table_destroy(table);
	free(in);
	return shuffled > TABLE_LIMIT_US || draw > DRAW_LIMIT_US || terms > TERMS_LIMIT_MS;
}
