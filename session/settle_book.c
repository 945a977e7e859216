/* SPDX-License-Identifier: Apache-2.0
 * The terms of sessions out of a history and its seeds, and who is paid ([C6], [C12]).
 *
 * A claim names many sessions of one service, and a registry or an auditor sees many claims of the
 * same ones: so the last tables and the last draws are kept.  A table serves for every snapshot
 * between which nothing changed. */
#include <assert.h>
#include <inttypes.h>

#include "chains/chain.h"
#include "relay/base/mem.h"
#include "session/draw.h"
#include "session/settle.h"

#define BOOK_TABLES 4 /* up to some 100 bytes a supplier each */
#define BOOK_DRAWS 64 /* 3 KiB each */

struct book_table {
	struct service_name service;
	height_t snapshot;
	struct stake_table *table; /* NULL: free */
};

struct book_member {
	struct key_id key;
	uint64_t price;
};

struct book_draw {
	struct key_id application;
	struct service_name service;
	height_t start;
	struct session_id id;
	size_t n; /* 0: free */
	struct book_member members[SESSION_MEMBERS_MAX];
};

struct settle_book {
	struct history *history;
	const struct seed_run *seeds;
	unsigned next_table; /* the one to be given up next */
	unsigned next_draw;
	struct book_table tables[BOOK_TABLES];
	struct book_draw draws[BOOK_DRAWS];
};

const struct session_params *settle_params(const struct history *h, height_t from)
{
	const struct session_params *fixed = history_params(h, 0);

	if (!session_exists(fixed, from))
		return fixed;
	return history_params(h, session_snapshot_height(fixed, from));
}

bool settle_payee(const struct history *h, const struct claim *c, struct owner_id *ret)
{
	const struct session_params *p = history_params(h, 0);
	const struct supplier_entry *entry = NULL;

	if (session_exists(p, c->from))
		entry = history_supplier(h, &c->supplier, session_snapshot_height(p, c->from));
	if (!entry) {
		size_t n;
		const struct supplier_entry *all = history_all_suppliers(h, &n);

		for (size_t i = 0; i < n && !entry; i++)
			if (ID_EQ(&all[i].key, &c->supplier))
				entry = &all[i];
	}
	if (!entry)
		return false;
	*ret = entry->owner;
	return true;
}

struct settle_book *settle_book_create(struct history *h, const struct seed_run *seeds)
{
	struct settle_book *book = xcalloc(1, sizeof(*book));

	book->history = history_ref(h);
	book->seeds = seeds;
	return book;
}

void settle_book_destroy(struct settle_book *book)
{
	if (!book)
		return;
	for (size_t i = 0; i < BOOK_TABLES; i++)
		stake_table_destroy(book->tables[i].table);
	history_unref(book->history);
	free(book);
}

static const struct stake_table *find_table(const struct settle_book *book,
					    const struct service_name *service, height_t snapshot)
{
	for (size_t i = 0; i < BOOK_TABLES; i++) {
		const struct book_table *t = &book->tables[i];

		if (t->table && strcmp(t->service.s, service->s) == 0 &&
		    history_table_same(book->history, MIN(t->snapshot, snapshot),
				       MAX(t->snapshot, snapshot)))
			return t->table;
	}
	return NULL;
}

/* The table of a service at a snapshot, owned by the book until another takes its place. */
static bool get_table(struct settle_book *book, const struct service_name *service,
		      height_t snapshot, const struct stake_table **ret, struct err *err)
{
	struct book_table *place = &book->tables[book->next_table];
	struct stake_table *table;

	*ret = find_table(book, service, snapshot);
	if (*ret)
		return true;
	if (!history_table(book->history, service, snapshot, &table, err))
		return false;
	stake_table_destroy(place->table);
	*place = (struct book_table){*service, snapshot, table};
	book->next_table = (book->next_table + 1) % BOOK_TABLES;
	*ret = table;
	return true;
}

static const struct book_draw *find_draw(const struct settle_book *book, const struct claim *c,
					 height_t start)
{
	for (size_t i = 0; i < BOOK_DRAWS; i++) {
		const struct book_draw *d = &book->draws[i];

		if (d->n > 0 && d->start == start && ID_EQ(&d->application, &c->application) &&
		    strcmp(d->service.s, c->service.s) == 0)
			return d;
	}
	return NULL;
}

/* The members of the application's session, owned by the book like a table. */
static bool get_draw(struct settle_book *book, const struct claim *c, height_t start,
		     const struct book_draw **ret, struct err *err)
{
	const struct session_params *p = history_params(book->history, 0);
	const struct seed *seed = seed_run_find(book->seeds, session_seed_height(p, start));
	struct book_draw *place = &book->draws[book->next_draw];
	const struct stake_table *table;
	struct session_draw draw;
	struct session_id id;

	*ret = find_draw(book, c, start);
	if (*ret)
		return true;
	if (!seed)
		return err_set(err, ERR_NO_SESSION,
			       "no seed for the session at height %" PRIu64 " is known", start);
	if (!get_table(book, &c->service, session_snapshot_height(p, start), &table, err))
		return false;
	id = session_id_derive(history_network(book->history), &c->application, &c->service, start,
			       seed);
	if (!session_draw(&id, table, p->session_suppliers, &draw, err))
		return false;
	assert(draw.n >= 1 && draw.n <= SESSION_MEMBERS_MAX);
	place->application = c->application;
	place->service = c->service;
	place->start = start;
	place->id = id;
	place->n = draw.n;
	for (size_t i = 0; i < draw.n; i++) {
		const struct table_row *row = &table->rows[draw.rows[i]];

		assert(draw.rows[i] < table->n);
		place->members[i] = (struct book_member){row->key, row->price};
	}
	book->next_draw = (book->next_draw + 1) % BOOK_DRAWS;
	*ret = place;
	return true;
}

/* The method table of a service at a snapshot, if this program has it. */
static const struct method_table *methods_at(const struct history *h,
					     const struct service_name *service, height_t snapshot)
{
	const struct service_entry *entry = history_service(h, service, snapshot);
	const struct chain *chain = entry ? chain_of_table(&entry->table) : NULL;

	return chain ? chain_table(chain) : NULL;
}

bool settle_book_terms(void *arg, const struct claim *c, height_t start, struct settle_terms *ret,
		       struct err *err)
{
	struct settle_book *book = arg;
	const struct session_params *p = history_params(book->history, 0);
	const struct book_draw *draw;
	struct settle_terms terms = {.member = false};
	struct err why;

	if (!session_exists(p, start))
		return err_set(err, ERR_NO_SESSION, "no session starts at height %" PRIu64, start);
	if (!get_draw(book, c, start, &draw, err))
		return false;
	terms.id = draw->id;
	for (size_t i = 0; i < draw->n; i++) {
		if (!ID_EQ(&draw->members[i].key, &c->supplier))
			continue;
		terms.member = true;
		terms.price = draw->members[i].price;
	}
	if (!history_allowance(book->history, &c->application, &c->gateway, &c->service, start,
			       &terms.allowance, &why))
		terms.allowance = 0;
	assert(terms.allowance <= AMOUNT_MAX);
	terms.table = methods_at(book->history, &c->service, session_snapshot_height(p, start));
	*ret = terms;
	return true;
}
