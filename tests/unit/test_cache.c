/* SPDX-License-Identifier: Apache-2.0
 * What is kept, and how long. */
#include "tests/unit/unit.h"

#include "tests/unit/cache_world.h"

static void an_answer_comes_back_as_it_was_given(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim ten = block(10);
	struct cache_answer answer = answer_at(&ten, "{\"id\":1,\"result\":\"0x1\"}");
	struct cache_key key = key_of(1);
	struct cache_body *body;

	set_head(chain, 10, 0);
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	body = cache_find(chain, &key, 0);
	assert_non_null(body);
	cache_destroy(c); /* who has found it keeps it */
	assert_true(view_eq(VIEW(body->bytes, body->n), answer.body));
	assert_int_equal(body->id_at, 3);
	assert_int_equal(body->seq, 42);
	assert_true(ID_EQ(&body->lane, &answer.lane));
	assert_true(ID_EQ(&body->supplier, &answer.supplier));
	assert_int_equal(body->flags, 4);
	cache_unref(body);
}

static void errors_and_null_are_never_kept(void **state)
{
	struct cache *c = make_cache();
	struct block_claim ten = block(10);
	struct cache_answer answer = answer_at(&ten, "x");

	set_head(cache_chain(c, &eth), 10, 0);
	for (int life = CACHE_FOREVER; life <= CACHE_REALTIME; life++) {
		answer.life = (enum cache_life)life;
		answer.content = CACHE_ERROR;
		assert_int_equal(fill(c, 1, &answer), CACHE_NO_VALUE);
		answer.content = CACHE_NULL;
		assert_int_equal(fill(c, 1, &answer), CACHE_NO_VALUE);
	}
	assert_false(finds(c, 1, 0));
	assert_int_equal(cache_counts(c)->entries, 0);
	cache_destroy(c);
}

static void an_empty_answer_beyond_the_head_is_not_kept(void **state)
{
	struct cache *c = make_cache();
	struct block_claim at = block(11);
	struct cache_answer answer = answer_at(&at, "[]");

	answer.content = CACHE_EMPTY;
	assert_int_equal(fill(c, 1, &answer), CACHE_BEYOND); /* there is no head */
	set_head(cache_chain(c, &eth), 10, 0);
	assert_int_equal(fill(c, 1, &answer), CACHE_BEYOND);
	answer.has_number = false;
	assert_int_equal(fill(c, 1, &answer), CACHE_BEYOND);
	answer.has_number = true;
	answer.block = block(10);
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	answer.life = CACHE_FOREVER;
	assert_int_equal(fill(c, 1, &answer), CACHE_BEYOND);
	cache_destroy(c);
}

static void a_realtime_answer_behind_the_head_is_not_kept(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim nine = block(9), ten = block(10), eleven = block(11);
	struct cache_answer answer = answer_at(&nine, "x");

	set_head(chain, 10, 0);
	answer.life = CACHE_REALTIME;
	assert_int_equal(fill(c, 1, &answer), CACHE_BEHIND);
	answer.block = ten;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, 0));
	answer.block = eleven; /* not before it is the head */
	assert_int_equal(fill(c, 2, &answer), CACHE_STORED);
	assert_false(finds(c, 2, 0));
	set_head(chain, 11, 1);
	assert_true(finds(c, 2, 1));
	assert_false(finds(c, 1, 1));
	assert_int_equal(cache_counts(c)->evictions[CACHE_EVICTED_PASSED], 1);
	cache_destroy(c);
}

static void a_realtime_answer_holds_by_the_age_of_its_block(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim ten = block(10);
	struct cache_answer answer = answer_at(&ten, "x");

	set_head(chain, 10, 100);
	set_head(chain, 10, 500); /* told again: no younger for that */
	answer.life = CACHE_REALTIME;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, 100 + REALTIME_US));
	assert_false(finds(c, 1, 101 + REALTIME_US));
	assert_int_equal(cache_counts(c)->misses[CACHE_STALE], 1);
	cache_destroy(c);
}

static void what_a_reorg_could_change_is_found_only_while_the_head_is_told(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim nine = block(9), ten = block(10);
	struct cache_answer answer = answer_at(&ten, "x");

	set_head(chain, 10, 0);
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	answer.block = nine;
	assert_int_equal(fill(c, 2, &answer), CACHE_STORED);
	cache_final(chain, 9);
	assert_true(finds(c, 1, FRESH_US));
	assert_false(finds(c, 1, FRESH_US + 1));
	assert_true(finds(c, 2, FRESH_US + 1)); /* final */
	set_head(chain, 10, FRESH_US + 1);
	assert_true(finds(c, 1, FRESH_US + 1));
	cache_destroy(c);
}

static void without_a_hash_only_what_is_final_is_kept(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim five = block(5);
	struct cache_answer answer = answer_at(&five, "x");

	set_head(chain, 10, 0);
	answer.has_hash = false;
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND);
	cache_final(chain, 5);
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, INT64_MAX));
	answer.block = block(6);
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND);
	answer.has_number = false;
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND);
	cache_destroy(c);
}

static void a_known_block_is_enough_by_its_hash(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim nine = block(9), ten = block(10);
	struct cache_answer answer = answer_at(&nine, "x");

	set_head(chain, 10, 0);
	answer.has_number = false;
	answer.block.number = 0;
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND);
	answer.content = CACHE_EMPTY;
	assert_int_equal(fill(c, 1, &answer), CACHE_BEYOND);
	assert_true(cache_learn(chain, &nine));
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, 0));
	answer.block = ten;
	assert_int_equal(fill(c, 2, &answer), CACHE_STORED);
	assert_true(finds(c, 2, 0));
	cache_destroy(c);
}

static void the_heads_number_is_enough_for_what_holds_for_it(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim ten = block(10);
	struct cache_answer answer = answer_at(&ten, "x");

	answer.has_hash = false;
	answer.block.hash = (struct hash){{0}}; /* nobody told it */
	answer.life = CACHE_REALTIME;
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND);
	set_head(chain, 10, 0);
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, 0));
	answer.life = CACHE_BLOCK; /* this may have been another block of that number */
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND);
	answer.life = CACHE_REALTIME;
	answer.block.number = 11;
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND);
	answer.block.number = 9;
	assert_int_equal(fill(c, 1, &answer), CACHE_BEHIND);
	cache_destroy(c);
}

static void the_serial_of_the_head_counts_its_changes(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	uint64_t before = cache_head_serial(chain);

	set_head(chain, 10, 0);
	assert_int_equal(cache_head_serial(chain), before + 1);
	set_head(chain, 10, 1);
	assert_int_equal(cache_head_serial(chain), before + 1);
	set_head(chain, 11, 2);
	assert_int_equal(cache_head_serial(chain), before + 2);
	cache_destroy(c);
}

static void what_holds_for_ever_needs_no_block_but_two_owners(void **state)
{
	struct cache *c = make_cache();
	struct cache_answer answer = {
		.life = CACHE_FOREVER, .body = VIEW_STR("0x1"), .owner = {{1}}};

	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_false(finds(c, 1, 0)); /* there is no head that it could hold for */
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_false(finds(c, 1, 0)); /* it says nothing that it did not say before */
	answer.supplier.b[0] = 7;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_false(finds(c, 1, 0)); /* nor does another supplier of the same owner */
	answer.owner.b[0] = 2;
	answer.body = VIEW_STR("0x2");
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_false(finds(c, 1, 0));
	answer.owner.b[0] = 3;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, INT64_MAX));
	cache_destroy(c);
}

static void until_then_it_holds_for_one_head(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct cache_answer answer = {
		.life = CACHE_FOREVER, .body = VIEW_STR("0x1"), .owner = {{1}}};

	set_head(chain, 10, 0);
	answer.head_serial = cache_head_serial(chain);
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, 0));
	set_head(chain, 11, 0);
	assert_false(finds(c, 1, 0));
	answer.head_serial = cache_head_serial(chain);
	answer.owner.b[0] = 2;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	set_head(chain, 12, 0);
	assert_true(finds(c, 1, 0));
	cache_destroy(c);
}

/* No new head is told of when nobody asks for one. */
static void one_suppliers_word_holds_no_longer_than_its_head_is_fresh(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim five = block(5);
	struct cache_answer forever = {.life = CACHE_FOREVER, .body = VIEW_STR("0x1")}, final;

	set_head(chain, 20, 0);
	cache_final(chain, 10);
	final = answer_at(&five, "x");
	final.vouched = false;
	forever.head_serial = final.head_serial = cache_head_serial(chain);
	assert_int_equal(fill(c, 1, &forever), CACHE_STORED);
	assert_int_equal(fill(c, 2, &final), CACHE_STORED);
	for (uint64_t call = 1; call <= 2; call++) {
		assert_true(finds(c, call, FRESH_US));
		assert_false(finds(c, call, FRESH_US + 1));
	}
	set_head(chain, 20, FRESH_US + 1);
	assert_true(finds(c, 1, FRESH_US + 1));
	assert_true(finds(c, 2, FRESH_US + 1));
	cache_destroy(c);
}

static void calls_that_go_unanswered_for_want_of_a_head_ask_for_one(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);

	set_head(chain, 10, 0);
	for (int i = 0; i < 2 * CACHE_UNSURE_MAX; i++)
		assert_false(finds(c, 1, FRESH_US)); /* it would not help */
	assert_false(cache_wants_head(chain));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < CACHE_UNSURE_MAX; i++) {
			assert_false(cache_wants_head(chain));
			assert_false(finds(c, 1, FRESH_US + 1));
		}
		assert_true(cache_wants_head(chain));
	}
	for (int i = 0; i < CACHE_UNSURE_MAX; i++)
		assert_false(finds(c, 1, FRESH_US + 1));
	set_head(chain, 10, FRESH_US + 1);
	assert_false(cache_wants_head(chain));
	cache_destroy(c);
}

static void what_nobody_can_recompute_is_found_for_one_head_or_needs_two_owners(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim nine = block(9);
	struct cache_answer answer = answer_at(&nine, "x");

	set_head(chain, 10, 0);
	answer.vouched = false;
	answer.head_serial = cache_head_serial(chain);
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, 0));
	set_head(chain, 11, 0);
	assert_false(finds(c, 1, 0));
	answer.head_serial = cache_head_serial(chain);
	answer.body = VIEW_STR("y"); /* who lies, or who did */
	answer.owner.b[0] = 1;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	set_head(chain, 12, 0);
	assert_false(finds(c, 1, 0));
	answer.owner.b[0] = 2;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, 0));
	set_head(chain, 13, 0);
	assert_true(finds(c, 1, 0));
	cache_destroy(c);
}

static void what_is_final_and_named_by_number_needs_two_owners(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim nine = block_on(9, 7, 0); /* whose hash and contents go together */
	struct cache_answer answer = answer_at(&nine, "x");

	set_head(chain, 20, 0);
	cache_final(chain, 10);
	answer.head_serial = cache_head_serial(chain);
	answer.named = false;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	set_head(chain, 21, 0);
	assert_false(finds(c, 1, 0));
	answer.owner.b[0] ^= 1;
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	set_head(chain, 22, 0);
	assert_true(finds(c, 1, 0));
	cache_destroy(c);
}

static void what_is_of_the_head_goes_with_it(void **state)
{
	struct cache *c = make_cache();
	struct cache_chain *chain = cache_chain(c, &eth);
	struct block_claim old = block(3);
	struct cache_answer answer = answer_at(&old, "x");

	answer.life = CACHE_HEAD;
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND); /* there is none */
	set_head(chain, 10, 0);
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND); /* asked for before it was the head */
	answer.head_serial = cache_head_serial(chain);
	assert_int_equal(fill(c, 1, &answer), CACHE_STORED);
	assert_true(finds(c, 1, FRESH_US)); /* however old the head is */
	answer.life = CACHE_REALTIME;
	answer.has_number = answer.has_hash = false;
	assert_int_equal(fill(c, 2, &answer), CACHE_STORED);
	assert_true(finds(c, 2, REALTIME_US));
	assert_false(finds(c, 2, REALTIME_US + 1));
	set_head(chain, 11, 0);
	assert_false(finds(c, 1, 0));
	assert_false(finds(c, 2, 0));
	assert_int_equal(cache_counts(c)->entries, 0);
	assert_int_equal(fill(c, 1, &answer), CACHE_UNBOUND);
	cache_destroy(c);
}

static void keys_tell_secrets_services_pins_and_calls_apart(void **state)
{
	struct cache_secret second = {.b = {8}};
	struct hash pin = {{1}}, pin2 = {{2}};
	/* the last letter is another; name and call give the same letters in one row */
	struct service_name etc = {.s = "etc"}, dash = {.s = "eth-"};
	struct view call = VIEW_STR("call"), near = VIEW_STR("calk"), dash_call = VIEW_STR("-call");
	struct view parts[] = {VIEW_STR("ca"), VIEW_STR("ll")};
	struct cache_key keys[9], again;

	cache_key_make(&secret, &eth, NULL, &call, 1, &keys[0]);
	cache_key_make(&secret, &other, NULL, &call, 1, &keys[1]);
	cache_key_make(&secret, &eth, &pin, &call, 1, &keys[2]);
	cache_key_make(&secret, &eth, NULL, &near, 1, &keys[3]);
	cache_key_make(&secret, &eth, &pin2, &call, 1, &keys[4]);
	cache_key_make(&second, &eth, NULL, &call, 1, &keys[5]);
	cache_key_make(&secret, &etc, NULL, &call, 1, &keys[6]);
	cache_key_make(&secret, &dash, NULL, &call, 1, &keys[7]);
	cache_key_make(&secret, &eth, NULL, &dash_call, 1, &keys[8]);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		for (size_t j = 0; j < i; j++)
			assert_false(ID_EQ(&keys[i], &keys[j]));
	cache_key_make(&secret, &eth, NULL, parts, 2, &again);
	assert_true(ID_EQ(&keys[0], &again));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_back_as_it_was_given),
		cmocka_unit_test(errors_and_null_are_never_kept),
		cmocka_unit_test(an_empty_answer_beyond_the_head_is_not_kept),
		cmocka_unit_test(a_realtime_answer_behind_the_head_is_not_kept),
		cmocka_unit_test(a_realtime_answer_holds_by_the_age_of_its_block),
		cmocka_unit_test(what_a_reorg_could_change_is_found_only_while_the_head_is_told),
		cmocka_unit_test(without_a_hash_only_what_is_final_is_kept),
		cmocka_unit_test(a_known_block_is_enough_by_its_hash),
		cmocka_unit_test(the_heads_number_is_enough_for_what_holds_for_it),
		cmocka_unit_test(the_serial_of_the_head_counts_its_changes),
		cmocka_unit_test(what_holds_for_ever_needs_no_block_but_two_owners),
		cmocka_unit_test(until_then_it_holds_for_one_head),
		cmocka_unit_test(one_suppliers_word_holds_no_longer_than_its_head_is_fresh),
		cmocka_unit_test(calls_that_go_unanswered_for_want_of_a_head_ask_for_one),
		cmocka_unit_test(
			what_nobody_can_recompute_is_found_for_one_head_or_needs_two_owners),
		cmocka_unit_test(what_is_final_and_named_by_number_needs_two_owners),
		cmocka_unit_test(what_is_of_the_head_goes_with_it),
		cmocka_unit_test(keys_tell_secrets_services_pins_and_calls_apart),
	};

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
