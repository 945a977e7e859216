/* SPDX-License-Identifier: Apache-2.0
 * Books of many unsettled leaves: how long a start takes, and the answer to a challenge.  Of the
 * soak tier's million leaves the times are asserted, of fewer only that all is found. */
#include "tests/unit/unit.h"

#include "relay/ledger/claims.h"
#include "tests/support/gen.h"
#include "tests/unit/ledger_world.h"

#define SEED 20261128
#define LANES 4
#define OPEN_MS 1000	 /* of a node's start: ledger and books */
#define CHALLENGE_MS 100 /* leaf found, path made */
#define FULL 250000	 /* leaves, from which on times are asserted */
#ifdef SANITIZED
#define SLOWER 5 /* with the sanitizers' own work times tell nothing: fewer leaves will do */
#else
#define SLOWER 1
#endif

struct scale {
	struct world w;
	struct gen gen;
	uint64_t leaves;
	uint64_t sessions;
	uint64_t turn; /* leaves of a turn */
	unsigned in_flight;
	struct world_lane lanes[LANES];
};

static void on_done(void *arg, const struct err *err)
{
	struct scale *s = arg;

	assert_null(err);
	s->in_flight--;
}

static void wait_below(struct scale *s, unsigned most)
{
	while (s->in_flight > most) {
		struct pollfd p = {.fd = ledger_port_fd(s->w.port), .events = POLLIN};

		assert_true(poll(&p, 1, 60000) > 0);
		ledger_port_reap(s->w.port);
	}
}

static void session_of(uint64_t number, struct ledger_session *ret)
{
	*ret = (struct ledger_session){.start = number * 60};
	put_be64(ret->id.b, number + 1);
	memset(ret->application.b, (int)(number % 2), sizeof(ret->application.b));
	memcpy(ret->service.s, "eth", 4);
}

/* A turn of one session in one lane. */
static void put_turn(struct scale *s, struct world_lane *lane, struct ledger_tab *tab,
		     const struct ledger_session *session, cu_t *before, uint64_t n, msec_t when)
{
	struct ledger_batch *batch = ledger_batch_create(s->w.port);
	struct ledger_head head;

	for (uint64_t i = 0; i < n; i++) {
		struct leaf leaf = {.kind = LEAF_ANSWER,
				    .seq = lane->tree.size,
				    .session = session->id,
				    .cu_before = *before,
				    .cu = 1 + (uint32_t)gen_below(&s->gen, 40),
				    .time_ms = (uint64_t)when,
				    .block = LEAF_BLOCK_UNKNOWN};
		uint8_t bytes[LEAF_SIZE];
		struct salt salt = {0};
		struct hash hash;

		leaf_encode(&leaf, bytes);
		leaf_hash(bytes, &hash);
		tree_append(&lane->tree, &hash);
		*before += leaf.cu;
		assert_int_equal(ledger_tab_reserve(tab, leaf.cu, UINT64_MAX, UINT64_MAX),
				 LEDGER_ROOM);
		ledger_batch_add(batch, tab, bytes, &hash, &salt, VIEW(NULL, 0), VIEW(NULL, 0));
	}
	world_head(lane, &head);
	s->in_flight++;
	ledger_append(s->w.port, lane->handle, batch, &head, on_done, s);
	wait_below(s, 64);
}

/* Sessions of a minute each, one after the other, each in all lanes; the last ended two sessions
 * ago. */
static void fill(struct scale *s)
{
	msec_t now = clock_now_ms();

	for (size_t i = 0; i < LANES; i++)
		world_lane_open(&s->w, &s->lanes[i]);
	for (uint64_t k = 0; k < s->sessions; k++) {
		uint64_t left = s->leaves / s->sessions;
		msec_t when = now - (msec_t)(s->sessions + 2 - k) * 60000;
		struct ledger_session session;
		struct ledger_tab *tab;
		cu_t before[LANES] = {0};

		session_of(k, &session);
		tab = ledger_tab_open(s->w.ledger, &session, &s->w.peer);
		for (size_t i = 0; left > 0; i = (i + 1) % LANES) {
			uint64_t n = MIN(left, s->turn);

			put_turn(s, &s->lanes[i], tab, &session, &before[i], n, when);
			left -= n;
		}
		ledger_tab_close(tab);
	}
	wait_below(s, 0);
	for (size_t i = 0; i < LANES; i++) {
		struct world_done done = {0};
		struct hash root;

		if (s->lanes[i].tree.size == 0)
			continue;
		tree_root(&s->lanes[i].tree, &root);
		world_cosign(&s->w, &s->lanes[i], s->lanes[i].tree.size, &root, &done);
		assert_true(done.ok);
	}
}

static double since_ms(usec_t begun)
{
	return (double)(clock_now_us() - begun) / 1000;
}

struct sum {
	cu_t cu;
	size_t n;
	struct earned_row rows[4096]; /* some, to look for */
};

static bool on_row(void *arg, const struct earned_row *row)
{
	struct sum *sum = arg;

	sum->cu += row->cosigned_cu;
	sum->rows[sum->n++ % ARRAY_SIZE(sum->rows)] = *row;
	return true;
}

/* The longest of many challenges, ms. */
static double challenge(struct scale *s, struct claims *claims, struct ledger_reader *reader,
			const struct sum *sum)
{
	uint8_t leaf[LEAF_SIZE];
	struct tree_proof path;
	struct err err = {0};
	double longest = 0;

	for (int i = 0; i < 200; i++) {
		const struct earned_row *row =
			&sum->rows[gen_below(&s->gen, MIN(sum->n, ARRAY_SIZE(sum->rows)))];
		usec_t begun = clock_now_us();
		struct hash hash;

		assert_ok(claims_prove_leaf(claims, reader, &row->lane, &row->session,
					    gen_below(&s->gen, row->cosigned_cu), row->head_size,
					    leaf, &path, &err),
			  err);
		longest = MAX(longest, since_ms(begun));
		leaf_hash(leaf, &hash);
		assert_ok(tree_check_inclusion(&hash, get_be64(leaf + 8), row->head_size, path.hash,
					       path.n, &row->head_root, &err),
			  err);
	}
	return longest;
}

static void run(uint64_t leaves, uint64_t sessions, uint64_t turn)
{
	struct scale *s = xcalloc(1, sizeof(*s));
	struct sum *sum = xcalloc(1, sizeof(*sum));
	struct ledger_reader *reader = NULL;
	struct claims *claims = NULL;
	double counted_ms, ledger_ms, books_ms, longest_ms;
	struct err err = {0};
	bool more = true;
	usec_t begun;

	s->gen = gen_init(SEED);
	s->leaves = leaves;
	s->sessions = sessions;
	s->turn = turn;
	world_init(&s->w, LEDGER_SUPPLIER);
	world_stop(&s->w);
	s->w.params.evidence_max_bytes = 0;
	s->w.params.recent_ms = 70000;
	world_start(&s->w);
	fill(s);
	assert_ok(ledger_reader_open(s->w.dir, &reader, &err), err);
	assert_ok(claims_open(s->w.dir, &s->w.params.self, false, &claims, &err), err);
	begun = clock_now_us();
	while (more)
		assert_ok(claims_tally(claims, reader, 50000, &more, &err), err);
	counted_ms = since_ms(begun);
	claims_close(claims);
	ledger_reader_close(reader);
	claims = NULL;
	reader = NULL;
	world_stop(&s->w);

	begun = clock_now_us();
	world_start(&s->w);
	ledger_ms = since_ms(begun);
	begun = clock_now_us();
	assert_ok(ledger_reader_open(s->w.dir, &reader, &err), err);
	assert_ok(claims_open(s->w.dir, &s->w.params.self, false, &claims, &err), err);
	assert_ok(claims_tally(claims, reader, 50000, &more, &err), err);
	books_ms = since_ms(begun);
	assert_false(more);
	assert_ok(claims_each_earned(claims, 0, UINT64_MAX, on_row, sum, &err), err);
	assert_true(sum->n >= sessions);
	longest_ms = challenge(s, claims, reader, sum);
	print_message("# %llu leaves in turns of %llu, %llu sessions, %zu rows: counted in %.0f ms;"
		      " ledger opened in %.0f ms, books in %.1f ms; longest challenge %.2f ms\n",
		      (unsigned long long)leaves, (unsigned long long)turn,
		      (unsigned long long)sessions, sum->n, counted_ms, ledger_ms, books_ms,
		      longest_ms);
	if (leaves >= FULL) {
		assert_true(ledger_ms + books_ms < OPEN_MS);
		assert_true(longest_ms < CHALLENGE_MS);
	}
	claims_close(claims);
	ledger_reader_close(reader);
	world_finish(&s->w);
	free(sum);
	free(s);
}

static void a_start_and_a_challenge_are_quick_with_many_leaves(void **state)
{
	run(gen_env("CF_COUNT_CLAIM_LEAVES", 20000) / SLOWER,
	    gen_env("CF_COUNT_CLAIM_SESSIONS", 50), 25);
}

/* Of a quiet node each leaf is a turn of its own: as many rows as leaves. */
static void a_quiet_node_starts_as_quickly(void **state)
{
	run(gen_env("CF_COUNT_CLAIM_LEAVES", 20000) / 4 / SLOWER,
	    gen_env("CF_COUNT_CLAIM_SESSIONS", 50), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_and_a_challenge_are_quick_with_many_leaves),
		cmocka_unit_test(a_quiet_node_starts_as_quickly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
