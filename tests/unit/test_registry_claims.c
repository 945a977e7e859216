/* SPDX-License-Identifier: Apache-2.0
 * Settlement in the sqlite registry beyond what every desk does (test_desk.c): crashes at each
 * point, a file of the schema before there were claims, many claims in one step ([C11], [P6]). */
#include <signal.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "tests/support/gen.h"
#include "tests/unit/desk_world.h"

/* A story of two claims: recorded at 32, the first proved at 35, the other forfeited at 43. */
struct story {
	struct desk_world *d;
	struct world_claim first, second;
};

static const height_t stages[] = {32, 35, 43};

static void begin(struct story *s)
{
	struct world_lane *lane;

	s->d = desk_world_create(false);
	desk_advance(s->d, 31);
	desk_learn(s->d, 2);
	lane = world_add_lane(s->d->w);
	for (size_t i = 0; i < 8; i++)
		lane_serve(lane, &s->d->w->session[i / 4], 5);
	world_claim_make(s->d->w, 0, 0, &s->first);
	world_claim_make(s->d->w, 1, 1, &s->second);
}

static void finish(struct story *s)
{
	buf_finish(&s->first.records);
	buf_finish(&s->second.records);
	desk_world_destroy(s->d);
}

static bool hand_in(const struct story *s, struct store *store, const struct world_claim *wc,
		    msec_t now, struct err *err)
{
	struct desk_claim state;

	return store_claim(store, now, &wc->c, &wc->sig, buf_view(&wc->records), &state, err) &&
	       state.state >= DESK_RECORDED;
}

static bool prove(const struct story *s, struct store *store, const struct world_claim *wc,
		  msec_t now, struct err *err)
{
	CLEANUP(buf_finish) struct buf note = {0}, bytes = {0};
	struct claim_proof proof;
	struct signature sig;
	struct desk_claim state;
	struct claim_id id;

	claim_id_of(&wc->c, &id);
	if (!store_look(store, &id, &state, err))
		return false;
	if (!state.has_seed ||
	    !world_prove(s->d->w, wc, claim_point(&state.seed, &id, wc->c.value), &note, &proof))
		return err_set(err, ERR_INTERNAL, "nothing to prove with");
	claim_proof_encode(&proof, &bytes);
	claim_proof_sign(&wc->c, buf_view(&bytes), s->d->w->supplier, &sig);
	return store_prove(store, now, &id, buf_view(&bytes), &sig, &state, err) &&
	       state.state == DESK_PAID;
}

/* What happens at a height; made to be done again after it was cut off. */
static bool play(const struct story *s, struct store *store, height_t height, struct err *err)
{
	msec_t now = session_clock_ms(store_clock(store), height), next;

	if (!store_keep(store, now, &next, err))
		return false;
	if (height == 32)
		return hand_in(s, store, &s->first, now, err) &&
		       hand_in(s, store, &s->second, now, err);
	return height != 35 || prove(s, store, &s->first, now, err);
}

static void check_books(const struct story *s)
{
	struct store_books b;
	struct err err;

	assert_ok(
		store_books(s->d->store, (msec_t)atomic_load(&s->d->now_ms), &b, NULL, NULL, &err),
		err);
	assert_true(b.balanced);
}

/* Plays a stage in a process that is killed at a point, or after a while when there is none. */
static void play_and_die(const struct story *s, height_t height, const char *point,
			 useconds_t after_us)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct store *store;
		struct err err;

		if (point)
			setenv("COUNTERFOIL_KILL_AT", point, 1);
		if (store_open(s->d->path, &store, &err) && play(s, store, height, &err))
			_exit(0);
		_exit(1);
	}
	if (!point) {
		usleep(after_us);
		kill(child, SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	/* A build without points plays the stage to its end. */
	assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
		    (WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

static void check_end(const struct story *s)
{
	struct desk_claim state;
	struct store_books b;
	struct claim_id id;
	struct err err;

	claim_id_of(&s->first.c, &id);
	assert_ok(store_look(s->d->store, &id, &state, &err), err);
	assert_int_equal(state.state, DESK_PAID);
	assert_true(state.paid == s->first.c.value);
	claim_id_of(&s->second.c, &id);
	assert_ok(store_look(s->d->store, &id, &state, &err), err);
	assert_int_equal(state.state, DESK_FORFEITED);
	assert_true(state.burned == s->second.c.value);
	assert_ok(
		store_books(s->d->store, (msec_t)atomic_load(&s->d->now_ms), &b, NULL, NULL, &err),
		err);
	assert_true(b.balanced && b.paid == s->first.c.value && b.income == b.paid);
	assert_true(b.burned == s->second.c.value && b.claims[DESK_RECORDED] == 0);
}

static void run_story(const char *point, useconds_t after_us)
{
	struct story s = {0};
	struct err err;

	begin(&s);
	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		desk_advance(s.d, stages[i] - 1);
		desk_set_time(s.d, stages[i]);
		play_and_die(&s, stages[i], point, after_us);
		check_books(&s); /* all of it has happened, or nothing */
		assert_ok(play(&s, s.d->store, stages[i], &err), err);
		check_books(&s);
	}
	check_end(&s);
	finish(&s);
}

static void a_crash_at_any_point_leaves_all_or_nothing(void **state)
{
	static const char *const points[] = {
		"registry.claim",  "registry.claim:2", "registry.claimed",  "registry.prove",
		"registry.proved", "registry.forfeit", "registry.forfeited"};

	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		run_story(points[i], 0);
}

static void a_kill_at_any_time_leaves_all_or_nothing(void **state)
{
	struct gen gen = gen_init(20261128);
	uint64_t cases = gen_cases(2000) / 200;

	print_message("# CF_SEED=%llu\n", (unsigned long long)gen.seed);
	for (uint64_t i = 0; i < cases; i++)
		run_story(NULL, (useconds_t)gen_below(&gen, 20000));
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_file_from_before_there_were_claims_is_brought_up_by_its_keeper(void **state)
{
	struct story s = {0};
	struct store *store = NULL;
	struct err err;

	begin(&s);
	desk_close(s.d->desk);
	s.d->desk = NULL;
	store_close(s.d->store);
	sql(s.d->path,
	    "ALTER TABLE applications DROP COLUMN spent;"
	    "ALTER TABLE applications DROP COLUMN spent_thaw;"
	    "ALTER TABLE suppliers DROP COLUMN burned;"
	    "ALTER TABLE suppliers DROP COLUMN burned_thaw;"
	    "DROP TABLE claims; DROP TABLE owners; DROP TABLE pauses; PRAGMA user_version = 1");
	assert_false(store_open_readonly(s.d->path, &store, &err));
	assert_err(err, ERR_REGISTRY);
	assert_non_null(strstr(err.msg, "by its keeper"));
	assert_ok(store_open(s.d->path, &s.d->store, &err), err);
	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		desk_advance(s.d, stages[i]);
		assert_ok(play(&s, s.d->store, stages[i], &err), err);
	}
	check_end(&s);
	finish(&s);
}

/* One step settles so many and no more, and the keeper comes again for the rest at once. */
static void many_claims_that_end_together_do_not_stop_the_seeds(void **state)
{
	struct story s = {0};
	const size_t n = STORE_FORFEITS_MAX + 10;
	msec_t now, next;
	struct store_books b;
	struct err err;

	begin(&s);
	desk_advance(s.d, 32);
	assert_ok(play(&s, s.d->store, 32, &err), err);
	for (size_t i = 0; i < n; i++) { /* the second claim, of other gateways */
		CLEANUP(xfree)
		char *text = xasprintf(
			"INSERT INTO claims SELECT NULL, randomblob(32), application,"
			" randomblob(32), supplier, service, from_height, to_height, recorded,"
			" challenge, due, state, settled, value, paid, burned, burned_thaw, reason,"
			" claim, signature, proof, proof_signature, records FROM claims"
			" WHERE number = 2");

		sql(s.d->path, text);
	}
	desk_advance(s.d, 42);
	desk_set_time(s.d, 43);
	now = (msec_t)atomic_load(&s.d->now_ms);
	assert_ok(store_keep(s.d->store, now, &next, &err), err);
	assert_true(next <= now + 1);
	assert_ok(store_books(s.d->store, now, &b, NULL, NULL, &err), err);
	assert_int_equal(b.claims[DESK_FORFEITED], STORE_FORFEITS_MAX);
	assert_ok(store_keep(s.d->store, now, &next, &err), err);
	assert_true(next > now + 1);
	assert_ok(store_books(s.d->store, now, &b, NULL, NULL, &err), err);
	assert_int_equal(b.claims[DESK_RECORDED], 0);
	assert_true(b.balanced);
	/* No more is burned than there was. */
	assert_true(b.burned ==
		    MIN((u128)DESK_STAKE, (n + 1) * s.second.c.value + s.first.c.value));
	finish(&s);
}

static void a_challenge_in_a_pause_too_long_for_all_seeds_is_drawn(void **state)
{
	struct story s = {0};
	struct err err;

	begin(&s);
	desk_advance(s.d, 32);
	assert_ok(play(&s, s.d->store, 32, &err), err);
	desk_set_time(s.d, 32 + 2 * STORE_FILL_MAX);
	desk_keep(s.d);
	assert_ok(prove(&s, s.d->store, &s.first, (msec_t)atomic_load(&s.d->now_ms), &err), err);
	check_books(&s);
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crash_at_any_point_leaves_all_or_nothing),
		cmocka_unit_test(a_kill_at_any_time_leaves_all_or_nothing),
		cmocka_unit_test(a_file_from_before_there_were_claims_is_brought_up_by_its_keeper),
		cmocka_unit_test(many_claims_that_end_together_do_not_stop_the_seeds),
		cmocka_unit_test(a_challenge_in_a_pause_too_long_for_all_seeds_is_drawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
