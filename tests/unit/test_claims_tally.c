/* SPDX-License-Identifier: Apache-2.0
 * What was earned: the books say what a plain sum over the leaves says, whatever happens between.
 */
#include "tests/unit/unit.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "tests/unit/claims_world.h"

#define SEED 20261126

static void units_are_counted_by_lane_and_session(void **state)
{
	struct book_lane *one, *two;
	struct book_world b;

	book_init(&b, SEED);
	one = book_lane_add(&b);
	two = book_lane_add(&b);
	book_append(&b, one, 0, 5, 9);
	book_append(&b, one, 4, 3, 9);
	book_append(&b, two, 0, 700, 9);
	book_tally(&b);
	book_check(&b); /* all of it in the tail */
	book_cosign(&b, one);
	book_append(&b, one, 0, 4, 9);
	book_tally(&b);
	book_check(&b);
	book_cosign(&b, two);
	book_cosign(&b, one);
	book_tally(&b);
	book_tally(&b);
	book_check(&b);
	book_finish(&b);
}

/* Turns, cosignatures, closings, restarts of the books and of the ledger in any order. */
static void books_equal_a_plain_sum_whatever_comes_between(void **state)
{
	struct book_world b;
	uint64_t steps = gen_cases(2000) / 5;
	bool more;
	struct err err = {0};

	book_init(&b, SEED);
	for (uint64_t i = 0; i < steps; i++) {
		uint64_t what = gen_below(&b.gen, 100);
		struct book_lane *l = b.lanes_n > 0 ? &b.lanes[gen_below(&b.gen, b.lanes_n)] : NULL;

		if (what < 4 && b.lanes_n < BOOK_LANES)
			book_lane_add(&b);
		else if (what < 6)
			book_restart_ledger(&b);
		else if (what < 12)
			(book_close(&b), book_open(&b));
		else if (what < 30)
			assert_ok(claims_tally(b.claims, b.reader, 0, &more, &err), err);
		else if (what < 35)
			(book_tally(&b), book_check(&b));
		else if (l == NULL || l->gone)
			continue;
		else if (what < 37)
			book_lane_close(&b, l);
		else if (what < 50 && l->lane.tree.size > 0)
			book_cosign(&b, l);
		else if (what < 98)
			book_append(&b, l, gen_below(&b.gen, BOOK_SESSIONS),
				    1 + gen_below(&b.gen, 40), 12);
		else
			book_append(&b, l, gen_below(&b.gen, BOOK_SESSIONS), LEDGER_BATCH_MAX, 12);
	}
	book_tally(&b);
	book_check(&b);
	book_finish(&b);
}

/* Every unit of a session is in the leaf that is found for it. */
static void the_leaf_of_any_unit_is_found(void **state)
{
	uint8_t bytes[LEAF_SIZE], proved[LEAF_SIZE];
	struct tree_proof path;
	struct hash hash, root;
	struct book_world b;
	struct book_lane *l;
	struct leaf leaf;
	struct err err = {0};
	uint64_t seq;
	size_t n;

	book_init(&b, SEED + 1);
	l = book_lane_add(&b);
	book_append(&b, l, 7, 1, 0); /* costs nothing */
	for (int i = 0; i < 60; i++)
		book_append(&b, l, gen_below(&b.gen, BOOK_SESSIONS), 1 + gen_below(&b.gen, 300),
			    12);
	book_append(&b, l, 3, LEDGER_BATCH_MAX, 12); /* the others are far apart now */
	for (int i = 0; i < 9; i++)
		book_append(&b, l, 3, LEDGER_BATCH_MAX, 12);
	for (size_t s = 0; s < BOOK_SESSIONS; s++)
		book_append(&b, l, s, 40, 12);
	book_cosign(&b, l);
	tree_root(&l->lane.tree, &root);
	book_tally(&b);
	for (size_t s = 0; s < BOOK_SESSIONS; s++) {
		const struct session_id *id = &b.sessions[s].id;

		for (int i = 0; i < 60; i++) {
			cu_t z = i == 0 ? 0 : i == 1 ? l->cu[s] - 1 : gen_below(&b.gen, l->cu[s]);

			assert_ok(claims_find_leaf(b.claims, b.reader, &l->lane.id, id, z, &seq,
						   &err),
				  err);
			assert_ok(ledger_leaves_read(b.reader, &l->lane.id, seq, 1, bytes, NULL, &n,
						     &err),
				  err);
			assert_int_equal(leaf_decode(bytes, &leaf), LEAF_FINE);
			assert_memory_equal(&leaf.session, id, sizeof(*id));
			assert_true(leaf.cu_before <= z && z - leaf.cu_before < leaf.cu);
			assert_ok(claims_prove_leaf(b.claims, b.reader, &l->lane.id, id, z,
						    l->cosigned, proved, &path, &err),
				  err);
			assert_memory_equal(proved, bytes, sizeof(bytes));
			leaf_hash(proved, &hash);
			assert_ok(tree_check_inclusion(&hash, seq, l->cosigned, path.hash, path.n,
						       &root, &err),
				  err);
		}
		assert_false(claims_find_leaf(b.claims, b.reader, &l->lane.id, id, l->cu[s], &seq,
					      &err));
		assert_err(err, ERR_NOT_FOUND);
	}
	book_finish(&b);
}

/* What a gateway denies to have got stays in the tail of a closed lane. */
static void a_closed_lane_tells_what_is_undelivered(void **state)
{
	const struct earned_row *row;
	struct book_rows rows;
	struct book_world b;
	struct book_lane *l;

	book_init(&b, SEED);
	l = book_lane_add(&b);
	book_append(&b, l, 2, 10, 5);
	book_cosign(&b, l);
	book_append(&b, l, 2, 10, 5);
	book_lane_close(&b, l);
	book_tally(&b);
	book_check(&b);
	book_rows(&b, &rows);
	row = book_row(&rows, &l->lane.id, &b.sessions[2].id);
	assert_non_null(row);
	assert_true(row->lane_closed);
	assert_true(row->tail_cu > 0);
	book_finish(&b);
}

/* --- a copy that was put back --- */

static void copy_file(const char *from, const char *to)
{
	char buf[65536];
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	size_t n;

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		assert_int_equal(fwrite(buf, 1, n, out), n);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

/* Copies the ledger's databases, not the books, into another directory. */
static void copy_ledger(const char *from, const char *to)
{
	struct dirent *entry;
	DIR *d = opendir(from);

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		char *in, *out;

		if (strncmp(entry->d_name, "state.db", 8) != 0 &&
		    strncmp(entry->d_name, "leaves-", 7) != 0)
			continue;
		in = xasprintf("%s/%s", from, entry->d_name);
		out = xasprintf("%s/%s", to, entry->d_name);
		copy_file(in, out);
		free(in);
		free(out);
	}
	closedir(d);
}

/* Makes a copy of the ledger, which is stopped meanwhile. */
static void book_copy(struct book_world *b, char *copy)
{
	book_close(b);
	book_tabs_close(b);
	world_stop(&b->w);
	assert_non_null(mkdtemp(copy));
	copy_ledger(b->w.dir, copy);
	world_start(&b->w);
	book_tabs(b);
	book_open(b);
}

static void drop_ledger(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	while ((entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, "state.db", 8) == 0 ||
		    strncmp(entry->d_name, "leaves-", 7) == 0)
			assert_int_equal(unlinkat(dirfd(d), entry->d_name, 0), 0);
	closedir(d);
}

static void a_ledger_that_was_set_back_is_counted_anew(void **state)
{
	char copy[] = "/tmp/cf-copy-XXXXXX";
	struct book_lane *l, *later, then;
	struct book_rows rows;
	struct book_world b;

	book_init(&b, SEED);
	l = book_lane_add(&b);
	book_append(&b, l, 1, 20, 5);
	book_cosign(&b, l);
	book_append(&b, l, 5, 20, 5);
	book_copy(&b, copy);
	then = *l;
	later = book_lane_add(&b); /* the copy does not know it */
	book_append(&b, later, 6, 30, 5);
	book_cosign(&b, later);
	book_tally(&b);
	book_close(&b);
	book_tabs_close(&b);
	world_stop(&b.w);
	drop_ledger(b.w.dir);
	copy_ledger(copy, b.w.dir);
	world_start(&b.w);
	book_tabs(&b);
	book_open(&b);
	*l = then;
	b.lanes_n = 1; /* of the other nothing can be proved any more */
	book_tally(&b);
	book_check(&b);
	book_rows(&b, &rows);
	assert_null(book_row(&rows, &later->lane.id, &b.sessions[6].id));
	world_remove(copy);
	book_finish(&b);
}

/* The books were counted further than the copy of one lane goes. */
static void a_lane_that_was_set_back_is_counted_anew(void **state)
{
	char copy[] = "/tmp/cf-copy-XXXXXX";
	struct ledger_unclosed *list = NULL;
	struct world_done done = {0};
	struct book_world b;
	struct book_lane *l, then;
	size_t n = 0;

	book_init(&b, SEED);
	l = book_lane_add(&b);
	book_append(&b, l, 1, 20, 5);
	book_cosign(&b, l);
	book_restart_ledger(&b);
	book_tally(&b);
	book_copy(&b, copy);
	then = *l;
	/* The rest came from the gateway, which then signed for all of it. */
	ledger_unclosed(b.w.ledger, &b.w.peer, 10, &list, &n);
	assert_int_equal(n, 1);
	l->lane.handle = list[0].lane;
	free(list);
	{
		struct ledger_batch *batch = ledger_batch_create(b.w.port);
		struct ledger_head head;
		struct leaf leaf = {.kind = LEAF_ANSWER,
				    .seq = l->lane.tree.size,
				    .session = b.sessions[1].id,
				    .cu_before = l->cu[1],
				    .cu = 4,
				    .block = LEAF_BLOCK_UNKNOWN};
		uint8_t bytes[LEAF_SIZE];
		struct salt salt = {0};
		struct hash hash;

		leaf_encode(&leaf, bytes);
		leaf_hash(bytes, &hash);
		tree_append(&l->lane.tree, &hash);
		l->cu[1] += 4;
		ledger_batch_add(batch, NULL, bytes, &hash, &salt, VIEW(NULL, 0), VIEW(NULL, 0));
		world_head(&l->lane, &head);
		ledger_adopt(b.w.port, l->lane.handle, batch, &head, world_on_done, &done);
		world_wait(&b.w, &done);
		assert_true(done.ok);
	}
	book_cosign(&b, l);
	book_tally(&b);
	book_check(&b);
	book_close(&b);
	book_tabs_close(&b);
	world_stop(&b.w);
	drop_ledger(b.w.dir);
	copy_ledger(copy, b.w.dir);
	world_start(&b.w);
	book_tabs(&b);
	book_open(&b);
	*l = then;
	book_tally(&b);
	book_check(&b);
	world_remove(copy);
	book_finish(&b);
}

/* --- what stands in the way --- */

static void a_locked_file_fails_and_the_next_try_counts_all(void **state)
{
	struct book_world b;
	struct book_lane *l;
	sqlite3 *other = NULL;
	char path[128];
	struct err err = {0};
	bool more;

	book_init(&b, SEED);
	l = book_lane_add(&b);
	book_append(&b, l, 1, 20, 5);
	book_cosign(&b, l);
	snprintf(path, sizeof(path), "%s/claims.db", b.w.dir);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_false(claims_tally(b.claims, b.reader, 0, &more, &err));
	assert_err(err, ERR_LEDGER);
	sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(other);
	book_tally(&b);
	book_check(&b);
	book_finish(&b);
}

/* RLIMIT_FSIZE is what a full disk looks like to a process: writes fail half way. */
static void a_full_disk_fails_and_what_was_counted_stands(void **state)
{
	struct book_world b;
	struct book_lane *l;
	int status;
	pid_t pid;

	book_init(&b, SEED);
	l = book_lane_add(&b);
	for (int i = 0; i < 40; i++)
		book_append(&b, l, (size_t)i % BOOK_SESSIONS, 400, 5);
	book_cosign(&b, l);
	book_close(&b);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = {180 << 10, 180 << 10};
		struct err err = {0};
		bool more = true, ok = true;

		signal(SIGXFSZ, SIG_IGN);
		book_open(&b);
		setrlimit(RLIMIT_FSIZE, &limit);
		while (ok && more)
			ok = claims_tally(b.claims, b.reader, 0, &more, &err);
		_exit(!ok && (err.code == ERR_LEDGER || err.code == ERR_LEDGER_FULL) ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	book_open(&b);
	book_tally(&b);
	book_check(&b);
	book_finish(&b);
}

static void books_belong_to_one_key(void **state)
{
	struct claims *other = NULL;
	struct book_world b;
	struct key_id key;
	struct err err = {0};

	book_init(&b, SEED);
	key = b.w.params.self;
	key.b[0] ^= 1;
	assert_false(claims_open(b.w.dir, &key, false, &other, &err));
	assert_err(err, ERR_LEDGER);
	assert_false(claims_open(b.w.dir, &key, true, &other, &err));
	assert_err(err, ERR_LEDGER);
	assert_ok(claims_open(b.w.dir, &b.w.params.self, true, &other, &err), err);
	claims_close(other);
	other = NULL;
	assert_false(claims_open("/tmp", &key, true, &other, &err));
	assert_err(err, ERR_NOT_FOUND);
	assert_null(other);
	book_finish(&b);
}

static void days_are_needed_until_something_has_become_of_them(void **state)
{
	struct claims_terms free_of_charge = {.opens = 660, .closes = 720};
	struct book_world b;
	struct book_lane *l;
	struct err err = {0};
	uint32_t day;

	book_init(&b, SEED);
	assert_ok(claims_needed_day(b.claims, &day, &err), err);
	assert_int_equal(day, UINT32_MAX);
	l = book_lane_add(&b);
	book_append(&b, l, 1, 20, 5);
	book_cosign(&b, l);
	book_tally(&b);
	assert_ok(claims_needed_day(b.claims, &day, &err), err);
	assert_int_equal(day, clock_day(clock_wall_ms()));
	assert_ok(claims_set_terms(b.claims, &b.sessions[1].application, &b.w.peer,
				   &b.sessions[1].service, b.sessions[1].start, &free_of_charge,
				   &err),
		  err);
	assert_ok(claims_needed_day(b.claims, &day, &err), err);
	assert_int_equal(day, UINT32_MAX);
	book_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units_are_counted_by_lane_and_session),
		cmocka_unit_test(books_equal_a_plain_sum_whatever_comes_between),
		cmocka_unit_test(the_leaf_of_any_unit_is_found),
		cmocka_unit_test(a_closed_lane_tells_what_is_undelivered),
		cmocka_unit_test(a_ledger_that_was_set_back_is_counted_anew),
		cmocka_unit_test(a_lane_that_was_set_back_is_counted_anew),
		cmocka_unit_test(a_locked_file_fails_and_the_next_try_counts_all),
		cmocka_unit_test(a_full_disk_fails_and_what_was_counted_stands),
		cmocka_unit_test(books_belong_to_one_key),
		cmocka_unit_test(days_are_needed_until_something_has_become_of_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
