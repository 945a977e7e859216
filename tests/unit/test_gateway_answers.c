/* SPDX-License-Identifier: Apache-2.0
 * Answers that are not the last word, and signed transactions [G10]: who else is asked, how often,
 * and what the client gets. */
#include "tests/unit/unit.h"

#include "tests/unit/fake_nodes.h"

#define RECEIPT                                                                                    \
	"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"eth_getTransactionReceipt\",\"params\":["      \
	"\"0x1\"]}"
#define AT_HASH                                                                                    \
	"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"eth_getBalance\",\"params\":[\"0x1\",{"        \
	"\"blockHash\":\"0x%064x\"}]}"
#define COUNT                                                                                      \
	"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"eth_getBlockTransactionCountByNumber\","       \
	"\"params\":[\"0x1\"]}"

#define SEND                                                                                       \
	"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"eth_sendRawTransaction\","                     \
	"\"params\":[\"0x0203c0\"]}"

/* --- answers that are not the last word [G10] --- */

/* A machine that is held up makes hedges, too. */
static void assert_asked(struct world *w, unsigned want)
{
	int64_t hedges = metric_value_at(METRIC_GATEWAY_HEDGES, 0, 0) - w->hedges_before;

	assert_in_range(asked(w), want, want + (unsigned)hedges);
}

static void what_is_not_there_is_asked_for_once_more_and_then_remembered(void **state)
{
	struct world *w = world_create(SAY_NULL, SAY_NULL);

	assert_string_equal(post(w, RECEIPT), "{\"id\":7,\"result\":null}");
	assert_asked(w, 2);
	for (unsigned k = 1; k <= 50; k++) { /* a client that waits for its receipt */
		assert_string_equal(post(w, RECEIPT), "{\"id\":7,\"result\":null}");
		assert_asked(w, 2 + k);
	}
	world_destroy(w);
}

/* A block that its client has from somebody is on its way. */
static void a_block_that_nobody_has_yet_is_asked_for_again_a_little_later(void **state)
{
	struct world *w = world_create(SAY_HEADER_ONCE, SAY_HEADER_ONCE);
	CLEANUP(buf_finish) struct buf call = {0};

	buf_putf(&call, AT_HASH, 1);
	assert_string_equal(post(w, buf_cstr(&call)), "{\"id\":7,\"result\":\"0x5\"}");
	assert_asked(w, 3);
	world_destroy(w);
}

static void a_block_that_never_comes_is_asked_for_again_once(void **state)
{
	struct world *w = world_create(SAY_HEADER, SAY_HEADER);

	for (unsigned k = 1; k <= 2; k++) {
		CLEANUP(buf_finish) struct buf call = {0}, want = {0};

		buf_putf(&want, "{\"id\":7,\"error\":{%s}}", error_of(SAY_HEADER));
		buf_putf(&call, AT_HASH, k);
		assert_string_equal(post(w, buf_cstr(&call)), buf_cstr(&want));
		assert_asked(w, 4 * k - 1);
		assert_string_equal(post(w, buf_cstr(&call)), buf_cstr(&want));
		assert_asked(w, 4 * k); /* it is remembered */
	}
	world_destroy(w);
}

static void what_one_node_does_not_have_another_is_asked_for(void **state)
{
	static const enum way ways[] = {SAY_NULL, SAY_PARAMS, SAY_RATE};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct world *w = world_create(ways[i], ANSWER);

		for (unsigned k = 1; k <= 12; k++) {
			assert_string_equal(post(w, COUNT), "{\"id\":7,\"result\":\"0x5\"}");
			assert_int_equal(atomic_load(&w->nodes[1].asked), k);
		}
		assert_true(atomic_load(&w->nodes[0].asked) <= 12);
		world_destroy(w);
	}
}

static void null_where_there_is_always_something_is_asked_for_elsewhere(void **state)
{
	struct world *w = world_create(SAY_NULL, ANSWER);

	for (unsigned k = 0; k < 12; k++)
		assert_string_equal(post(w, READ), "{\"id\":7,\"result\":\"0x5\"}");
	assert_in_range(atomic_load(&w->nodes[0].asked), 1, 12);
	world_destroy(w);
}

static void what_one_says_is_not_there_is_not_made_an_error_by_another(void **state)
{
	struct world *w = world_create(SAY_NULL, SAY_PARAMS);

	for (unsigned k = 0; k < 12; k++)
		assert_string_equal(post(w, COUNT), "{\"id\":7,\"result\":null}");
	assert_in_range(atomic_load(&w->nodes[1].asked), 1, 12);
	world_destroy(w);
}

static void an_error_that_all_tell_reaches_the_client_as_it_is(void **state)
{
	static const enum way ways[] = {SAY_RATE, SAY_PARAMS};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct world *w = world_create(ways[i], ways[i]);
		CLEANUP(buf_finish) struct buf want = {0};

		buf_putf(&want, "{\"id\":7,\"error\":{%s}}", error_of(ways[i]));
		assert_string_equal(post(w, READ), buf_cstr(&want));
		assert_int_equal(asked(w), 2);
		world_destroy(w);
	}
}

static void a_revert_is_the_answer_and_nobody_else_is_asked(void **state)
{
	struct world *w = world_create(SAY_REVERT, SAY_REVERT);

	assert_string_equal(post(w, READ), "{\"id\":7,\"error\":{\"code\":3,\"message\":"
					   "\"execution reverted\",\"data\":\"0x01\"}}");
	assert_int_equal(asked(w), 1);
	world_destroy(w);
}

static void an_answer_that_was_set_aside_is_given_when_the_other_is_silent(void **state)
{
	struct world *w = world_create(SAY_NULL, SILENT);

	for (int k = 0; k < 3; k++)
		assert_string_equal(post(w, RECEIPT), "{\"id\":7,\"result\":null}");
	world_destroy(w);
}

/* A world in which node 0 had something to find fault with where node 1 had an answer. */
static struct world *world_of_excuses(void)
{
	struct world *w = world_create(SAY_PARAMS, ANSWER);
	int64_t before = metric_value_at(METRIC_GATEWAY_REFUSALS, 0, 0);

	for (int k = 0; k < 5000 && metric_value_at(METRIC_GATEWAY_REFUSALS, 0, 0) < before + 3;
	     k++)
		assert_string_equal(post(w, READ), "{\"id\":7,\"result\":\"0x5\"}");
	assert_int_equal(metric_value_at(METRIC_GATEWAY_REFUSALS, 0, 0), before + 3);
	return w;
}

static void what_one_that_makes_excuses_confirms_is_not_remembered(void **state)
{
	struct world *w = world_of_excuses();

	atomic_store(&w->nodes[0].way, SAY_NULL);
	atomic_store(&w->nodes[1].way, SAY_NULL);
	for (int k = 0; k < 5; k++) {
		unsigned before = atomic_load(&w->nodes[1].asked);

		assert_string_equal(post(w, RECEIPT), "{\"id\":7,\"result\":null}");
		assert_true(atomic_load(&w->nodes[1].asked) > before);
	}
	world_destroy(w);
}

static void an_excuse_is_not_taken_while_another_is_only_busy_for_a_moment(void **state)
{
	static const enum way excuses[] = {SAY_NULL, SAY_PARAMS, SAY_RATE};

	int64_t before = metric_value_at(METRIC_GATEWAY_DOUBT_WAITS, 0, 0);

	for (size_t i = 0; i < ARRAY_SIZE(excuses); i++) {
		struct world *w = world_of_excuses();

		atomic_store(&w->nodes[0].way, excuses[i]);
		for (int k = 0; k < 4; k++) {
			atomic_store(&w->nodes[1].asked, REFUSALS - 1);
			atomic_store(&w->nodes[1].way, REFUSE_UNPAID);
			assert_string_equal(post(w, COUNT), "{\"id\":7,\"result\":\"0x5\"}");
		}
		world_destroy(w);
	}
	assert_true(metric_value_at(METRIC_GATEWAY_DOUBT_WAITS, 0, 0) > before);
}

/* --- signed transactions [G10] --- */

static const char *sent_answer(struct buf *out)
{
	static const uint8_t transaction[] = {2, 3, 0xc0};
	struct hash hash;

	keccak256(transaction, sizeof(transaction), &hash);
	buf_put_str(out, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x");
	buf_put_hex(out, hash.b, sizeof(hash.b));
	buf_put_str(out, "\"}");
	return buf_cstr(out);
}

static void a_transaction_goes_to_several_and_each_gets_it_once(void **state)
{
	static const enum way others[] = {ANSWER, SILENT, SAY_FUNDS, SAY_RATE, REFUSE_UPSTREAM};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct world *w = world_create(others[i], ANSWER);

		assert_string_equal(post(w, SEND), "{\"id\":7,\"result\":\"0x5\"}");
		for (int k = 0; k < 1000 && asked(w) < 2; k++)
			usleep(2000);
		usleep(20000);
		assert_int_equal(atomic_load(&w->nodes[0].asked), 1);
		assert_int_equal(atomic_load(&w->nodes[1].asked), 1);
		assert_int_equal(cancelled(w), 0); /* it is to reach all */
		world_destroy(w);
	}
}

static void a_transaction_that_is_there_already_is_a_success(void **state)
{
	static const enum way ways[][2] = {
		{SAY_KNOWN, SAY_KNOWN}, {SAY_KNOWN, SAY_FUNDS}, {SAY_KNOWN, SILENT},
		{SAY_NONCE, SAY_NONCE}, {SAY_NONCE, SAY_FUNDS},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct world *w = world_create(ways[i][0], ways[i][1]);
		CLEANUP(buf_finish) struct buf want = {0};

		assert_string_equal(post(w, SEND), sent_answer(&want));
		world_destroy(w);
	}
}

static void a_transaction_that_all_refuse_is_refused(void **state)
{
	static const enum way ways[][2] = {
		{SAY_FUNDS, SAY_FUNDS},
		{SAY_NONCE_TAKEN, SAY_NONCE_TAKEN},
		{SAY_NONCE_TAKEN, SAY_FUNDS},
		{SAY_FUNDS, SAY_RATE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct world *w = world_create(ways[i][0], ways[i][1]);
		CLEANUP(buf_finish) struct buf want = {0};

		buf_putf(&want, "{\"id\":7,\"error\":{%s}}", error_of(ways[i][0]));
		assert_string_equal(post(w, SEND), buf_cstr(&want));
		world_destroy(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_there_is_asked_for_once_more_and_then_remembered),
		cmocka_unit_test(a_block_that_nobody_has_yet_is_asked_for_again_a_little_later),
		cmocka_unit_test(a_block_that_never_comes_is_asked_for_again_once),
		cmocka_unit_test(what_one_node_does_not_have_another_is_asked_for),
		cmocka_unit_test(null_where_there_is_always_something_is_asked_for_elsewhere),
		cmocka_unit_test(what_one_says_is_not_there_is_not_made_an_error_by_another),
		cmocka_unit_test(an_error_that_all_tell_reaches_the_client_as_it_is),
		cmocka_unit_test(a_revert_is_the_answer_and_nobody_else_is_asked),
		cmocka_unit_test(an_answer_that_was_set_aside_is_given_when_the_other_is_silent),
		cmocka_unit_test(what_one_that_makes_excuses_confirms_is_not_remembered),
		cmocka_unit_test(an_excuse_is_not_taken_while_another_is_only_busy_for_a_moment),
		cmocka_unit_test(a_transaction_goes_to_several_and_each_gets_it_once),
		cmocka_unit_test(a_transaction_that_is_there_already_is_a_success),
		cmocka_unit_test(a_transaction_that_all_refuse_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
