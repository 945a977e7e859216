/* SPDX-License-Identifier: Apache-2.0
 * A supplier's ledger of many sessions and lanes, its books, and a plain sum of what they must say.
 */
#ifndef TESTS_UNIT_CLAIMS_WORLD_H
#define TESTS_UNIT_CLAIMS_WORLD_H

#include "relay/ledger/claims.h"
#include "tests/support/gen.h"
#include "tests/unit/ledger_world.h"

#define BOOK_SESSIONS 12
#define BOOK_LANES 24

/* A lane with what each session has in it. */
struct book_lane {
	struct world_lane lane;
	cu_t cu[BOOK_SESSIONS];	 /* all that was served */
	cu_t cut[BOOK_SESSIONS]; /* under the cosigned head */
	uint64_t cosigned;
	bool gone; /* released */
};

struct book_world {
	struct world w;
	struct gen gen;
	struct ledger_session sessions[BOOK_SESSIONS];
	struct ledger_tab *tabs[BOOK_SESSIONS];
	struct book_lane lanes[BOOK_LANES];
	size_t lanes_n;
	struct claims *claims;
	struct ledger_reader *reader;
};

static inline void book_tabs(struct book_world *b)
{
	for (size_t i = 0; i < BOOK_SESSIONS; i++)
		b->tabs[i] = ledger_tab_open(b->w.ledger, &b->sessions[i], &b->w.peer);
}

static inline void book_tabs_close(struct book_world *b)
{
	for (size_t i = 0; i < BOOK_SESSIONS; i++)
		ledger_tab_close(b->tabs[i]);
}

static inline void book_open(struct book_world *b)
{
	struct err err = {0};

	assert_ok(ledger_reader_open(b->w.dir, &b->reader, &err), err);
	assert_ok(claims_open(b->w.dir, &b->w.params.self, false, &b->claims, &err), err);
}

static inline void book_close(struct book_world *b)
{
	claims_close(b->claims);
	ledger_reader_close(b->reader);
	b->claims = NULL;
	b->reader = NULL;
}

/* Three applications, four starts. */
static inline void book_init(struct book_world *b, uint64_t seed)
{
	*b = (struct book_world){0};
	world_init(&b->w, LEDGER_SUPPLIER);
	b->gen = gen_init(seed);
	for (size_t i = 0; i < BOOK_SESSIONS; i++) {
		struct ledger_session *s = &b->sessions[i];

		s->id.b[0] = (uint8_t)(0x40 + i);
		s->application.b[0] = (uint8_t)(0xa0 + i % 3);
		memcpy(s->service.s, "eth", 4);
		s->start = 600 + 60 * (i / 3);
	}
	book_tabs(b);
	book_open(b);
}

static inline void book_finish(struct book_world *b)
{
	book_close(b);
	book_tabs_close(b);
	world_finish(&b->w);
}

/* Stops the ledger and starts it anew, as a restart of the node does: all lanes are gone. */
static inline void book_restart_ledger(struct book_world *b)
{
	book_tabs_close(b);
	world_stop(&b->w);
	for (size_t i = 0; i < b->lanes_n; i++)
		b->lanes[i].gone = true;
	world_start(&b->w);
	book_tabs(b);
}

static inline struct book_lane *book_lane_add(struct book_world *b)
{
	struct book_lane *l = &b->lanes[b->lanes_n++];

	assert_true(b->lanes_n <= BOOK_LANES);
	world_lane_open(&b->w, &l->lane);
	return l;
}

/* A turn of n leaves of one session, each of up to `most` CU. */
static inline void book_append(struct book_world *b, struct book_lane *l, size_t session, size_t n,
			       uint32_t most)
{
	struct ledger_batch *batch = ledger_batch_create(b->w.port);
	struct world_done done = {0};
	struct ledger_head head;

	for (size_t i = 0; i < n; i++) {
		struct leaf leaf = {.kind = LEAF_ANSWER,
				    .status = 200,
				    .seq = l->lane.tree.size,
				    .session = b->sessions[session].id,
				    .cu_before = l->cu[session],
				    .cu = (uint32_t)gen_below(&b->gen, most + 1),
				    .method = 1,
				    .time_ms = (uint64_t)clock_wall_ms(),
				    .block = LEAF_BLOCK_UNKNOWN};
		uint8_t bytes[LEAF_SIZE];
		struct salt salt = {0};
		struct hash hash;

		gen_bytes(&b->gen, leaf.request_hash.b, sizeof(leaf.request_hash.b));
		leaf_encode(&leaf, bytes);
		leaf_hash(bytes, &hash);
		tree_append(&l->lane.tree, &hash);
		l->cu[session] += leaf.cu;
		assert_int_equal(
			ledger_tab_reserve(b->tabs[session], leaf.cu, UINT64_MAX, UINT64_MAX),
			LEDGER_ROOM);
		ledger_batch_add(batch, b->tabs[session], bytes, &hash, &salt, VIEW(NULL, 0),
				 VIEW(NULL, 0));
	}
	world_head(&l->lane, &head);
	ledger_append(b->w.port, l->lane.handle, batch, &head, world_on_done, &done);
	world_wait(&b->w, &done);
	assert_true(done.ok);
}

/* The gateway signs for all that is there. */
static inline void book_cosign(struct book_world *b, struct book_lane *l)
{
	struct world_done done = {0};
	struct hash root;

	tree_root(&l->lane.tree, &root);
	world_cosign(&b->w, &l->lane, l->lane.tree.size, &root, &done);
	assert_true(done.ok);
	l->cosigned = l->lane.tree.size;
	memcpy(l->cut, l->cu, sizeof(l->cut));
}

/* The link is gone, and the gateway says what it has. */
static inline void book_lane_close(struct book_world *b, struct book_lane *l)
{
	struct world_done done = {0};

	ledger_lane_release(b->w.port, l->lane.handle);
	ledger_lane_close(b->w.port, l->lane.handle, l->cosigned, world_on_done, &done);
	world_wait(&b->w, &done);
	assert_true(done.ok);
	l->gone = true;
}

/* A round that had begun knows nothing of what came behind it, so a whole one follows. */
static inline void book_tally(struct book_world *b)
{
	struct err err = {0};

	for (int round = 0; round < 2; round++) {
		bool more = true;

		while (more)
			assert_ok(claims_tally(b->claims, b->reader, 0, &more, &err), err);
	}
}

static inline size_t book_session(const struct book_world *b, const struct session_id *id)
{
	size_t i = 0;

	while (i < BOOK_SESSIONS && !ID_EQ(&b->sessions[i].id, id))
		i++;
	assert_true(i < BOOK_SESSIONS);
	return i;
}

/* Rows that were told, for comparisons. */
struct book_rows {
	struct earned_row v[BOOK_SESSIONS * BOOK_LANES];
	size_t n;
};

static inline bool book_on_row(void *arg, const struct earned_row *row)
{
	struct book_rows *rows = arg;

	assert_true(rows->n < ARRAY_SIZE(rows->v));
	rows->v[rows->n++] = *row;
	return true;
}

static inline void book_rows(struct book_world *b, struct book_rows *ret)
{
	struct err err = {0};

	ret->n = 0;
	assert_ok(claims_each_earned(b->claims, 0, UINT64_MAX, book_on_row, ret, &err), err);
}

/* The row of a lane and session; NULL when there is none. */
static inline const struct earned_row *
book_row(const struct book_rows *rows, const struct lane_id *lane, const struct session_id *session)
{
	for (size_t i = 0; i < rows->n; i++)
		if (ID_EQ(&rows->v[i].lane, lane) && ID_EQ(&rows->v[i].session, session))
			return &rows->v[i];
	return NULL;
}

/* The books say what a plain sum says. */
static inline void book_check(struct book_world *b)
{
	struct book_rows rows;
	size_t seen = 0;

	book_rows(b, &rows);
	for (size_t l = 0; l < b->lanes_n; l++)
		for (size_t s = 0; s < BOOK_SESSIONS; s++) {
			const struct book_lane *lane = &b->lanes[l];
			const struct earned_row *row =
				book_row(&rows, &lane->lane.id, &b->sessions[s].id);

			if (lane->cu[s] == 0)
				continue;
			seen++;
			assert_non_null(row);
			assert_int_equal(row->cosigned_cu, lane->cut[s]);
			assert_int_equal(row->tail_cu, lane->cu[s] - lane->cut[s]);
			assert_int_equal(row->head_size, lane->cosigned);
			assert_int_equal(row->start, b->sessions[s].start);
			assert_memory_equal(&row->application, &b->sessions[s].application, 32);
			assert_memory_equal(&row->gateway, &b->w.peer, 32);
			assert_false(row->lane_behind);
		}
	assert_int_equal(rows.n, seen);
}

#endif
