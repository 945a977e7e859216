/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "relay/crypto/digest.h"
#include "relay/crypto/key.h"
#include "relay/crypto/sign.h"
#include "relay/gateway/inbound.h"
#include "relay/receipt/tree.h"

/* A node in small: it knows how to sign batches of leaves, right or wrong. */
struct node {
	struct relay_key *key;
	struct checkpoint_lane names;
	struct tree tree;
	cu_t total;
	struct inbound_lane *lane; /* the gateway's side, under test */
	struct inbound_relay relays[8];
	uint8_t leaves[8][LEAF_SIZE];
	struct buf responses[8];
	struct frame_batch batch;
	struct inbound_batch out;
};

static const uint8_t request[] = "\1\3eth\0\0\0\0\0";

static int setup(void **state)
{
	struct node *n = calloc(1, sizeof(*n));
	struct checkpoint_origin origin = {.lane = {{9}}, .gateway = {{7}}};
	uint8_t seed[32] = {1};

	crypto_init();
	n->key = relay_key_from_seed(KEY_ROLE_SUPPLIER, seed);
	origin.supplier = *relay_key_public(n->key);
	checkpoint_lane_init(&n->names, &origin);
	tree_init(&n->tree);
	n->lane = inbound_lane_create(&origin);
	for (uint32_t i = 0; i < 8; i++)
		n->relays[i] = (struct inbound_relay){.number = i + 1,
						      .session = {{5}},
						      .salt = {{(uint8_t)i}},
						      .request = VIEW(request, sizeof(request) - 1),
						      .chain = chain_find("evm"),
						      .method = 3,
						      .cu = 10,
						      .part_cu = 2,
						      .credit = FRAME_CREDIT_FIRST};
	*state = n;
	return 0;
}

static int teardown(void **state)
{
	struct node *n = *state;

	for (size_t i = 0; i < 8; i++)
		buf_finish(&n->responses[i]);
	inbound_lane_destroy(n->lane);
	relay_key_destroy(n->key);
	free(n);
	return 0;
}

static struct inbound_relay *find(void *arg, uint32_t number)
{
	struct node *n = arg;

	return number >= 1 && number <= 8 ? &n->relays[number - 1] : NULL;
}

/* The leaf of relay i at the next place of the lane, over this response. */
static struct leaf leaf_over(struct node *n, size_t i, const struct response_encoding *response)
{
	struct leaf leaf = {.kind = LEAF_ANSWER,
			    .status = response->status,
			    .seq = n->tree.size,
			    .session = {{5}},
			    .cu_before = n->total,
			    .cu = 10,
			    .method = 3,
			    .block = LEAF_BLOCK_UNKNOWN};
	struct view encoded;

	buf_finish(&n->responses[i]);
	response_encoding_put(&n->responses[i], response);
	encoded = buf_view(&n->responses[i]);
	leaf_request_hash(&n->names.origin.lane, &n->relays[i].salt, &n->relays[i].request, 1,
			  &leaf.request_hash);
	leaf_response_hash(&n->names.origin.lane, &n->relays[i].salt, 0, &encoded, 1,
			   &leaf.response_hash);
	return leaf;
}

static struct leaf answer_of(struct node *n, size_t i, const char *body)
{
	return leaf_over(n, i,
			 &(struct response_encoding){.status = 200,
						     .content_type = VIEW_STR(RESPONSE_JSON_TYPE),
						     .body = VIEW_STR(body)});
}

#define RESULT "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x1\"}"
#define ERROR(code, text)                                                                          \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":" #code ",\"message\":\"" text "\"}}"

/* The honest leaf of relay i at the next place of the lane. */
static struct leaf answer(struct node *n, size_t i)
{
	return answer_of(n, i, RESULT);
}

static void add(struct node *n, size_t i, const struct leaf *leaf)
{
	struct frame_answer *a = &n->batch.answers[n->batch.count++];
	struct hash hash;

	leaf_encode(leaf, n->leaves[i]);
	*a = (struct frame_answer){.relay = n->relays[i].number,
				   .leaf = n->leaves[i],
				   .response = buf_view(&n->responses[i])};
	leaf_hash(n->leaves[i], &hash);
	tree_append(&n->tree, &hash);
	n->total += leaf->cu;
}

static void begin(struct node *n)
{
	n->batch.lane = n->names.origin.lane;
	n->batch.first = n->tree.size;
	n->batch.count = 0;
}

static void sign(struct node *n)
{
	uint8_t text[CHECKPOINT_TEXT_MAX];
	size_t len;

	tree_root(&n->tree, &n->batch.root);
	len = checkpoint_text(&n->names, n->tree.size, &n->batch.root, text);
	sign_bytes(n->key, text, len, &n->batch.signature);
}

static enum inbound_verdict check(struct node *n, struct err *err)
{
	return inbound_check(n->lane, &n->batch, find, n, &n->out, err);
}

static void honest_batches_are_good_and_continue_each_other(void **state)
{
	struct node *n = *state;
	struct leaf leaf;
	struct err err;

	for (size_t i = 0; i < 8; i += 2) {
		begin(n);
		leaf = answer(n, i);
		add(n, i, &leaf);
		leaf = answer(n, i + 1);
		add(n, i + 1, &leaf);
		sign(n);
		assert_int_equal(check(n, &err), INBOUND_GOOD);
		assert_int_equal(n->out.count, 2);
		assert_ptr_equal(n->out.answers[1].relay, &n->relays[i + 1]);
		assert_true(n->out.answers[0].last);
		assert_int_equal(n->out.head.size, i + 2);
	}
	assert_int_equal(inbound_lane_size(n->lane), 8);
}

/* Signs one leaf as changed by the test and expects the verdict. */
static void expect(struct node *n, const struct leaf *leaf, enum inbound_verdict want,
		   enum err_code code)
{
	struct err err = {0};

	begin(n);
	add(n, 0, leaf);
	sign(n);
	assert_int_equal(check(n, &err), want);
	assert_err(err, code);
}

static void a_skipped_seq_convicts(void **state) /* [R6] */
{
	struct leaf leaf = answer(*state, 0);

	leaf.seq = 1;
	expect(*state, &leaf, INBOUND_PROVABLE, ERR_LEAF);
}

static void more_cu_than_the_table_convicts(void **state) /* [R5] */
{
	struct leaf leaf = answer(*state, 0);

	leaf.cu = 11;
	expect(*state, &leaf, INBOUND_PROVABLE, ERR_LEAF);
}

static void a_gap_in_the_interval_convicts(void **state) /* [R7] */
{
	struct leaf leaf = answer(*state, 0);

	leaf.cu_before = 1;
	expect(*state, &leaf, INBOUND_PROVABLE, ERR_LEAF);
}

static void another_session_is_our_word_only(void **state)
{
	struct leaf leaf = answer(*state, 0);

	leaf.session.b[0] ^= 1;
	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

static void another_method_is_our_word_only(void **state)
{
	struct leaf leaf = answer(*state, 0);

	leaf.method = 4;
	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

static void hashes_of_other_bytes_are_our_word_only(void **state) /* [R3] */
{
	struct leaf leaf = answer(*state, 0);

	leaf.response_hash.b[31] ^= 1;
	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

static void a_request_hash_of_other_bytes_is_our_word_only(void **state) /* [R3] */
{
	struct leaf leaf = answer(*state, 0);

	leaf.request_hash.b[0] ^= 1;
	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

static void a_status_unlike_the_answer_is_our_word_only(void **state) /* [R6] */
{
	struct leaf leaf = answer(*state, 0);

	leaf.status = 500;
	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

static void an_unsigned_fault_convicts_nobody(void **state)
{
	struct node *n = *state;
	struct leaf leaf = answer(n, 0);
	struct err err = {0};

	leaf.cu = 11;
	begin(n);
	add(n, 0, &leaf);
	sign(n);
	n->batch.signature.b[3] ^= 1;
	assert_int_equal(check(n, &err), INBOUND_LOCAL);
	assert_err(err, ERR_SIGNATURE);
}

static void a_root_unlike_its_leaves_is_refused(void **state)
{
	struct node *n = *state;
	struct leaf leaf = answer(n, 0);
	struct err err = {0};

	begin(n);
	add(n, 0, &leaf);
	sign(n);
	n->batch.root.b[0] ^= 1;
	assert_int_equal(check(n, &err), INBOUND_LOCAL);
	assert_err(err, ERR_CHECKPOINT);
}

static void an_answer_to_nothing_is_refused(void **state)
{
	struct node *n = *state;
	struct leaf leaf = answer(n, 0);
	struct err err = {0};

	begin(n);
	add(n, 0, &leaf);
	n->batch.answers[0].relay = 99;
	sign(n);
	assert_int_equal(check(n, &err), INBOUND_LOCAL);
	assert_err(err, ERR_PROTOCOL);
}

static void a_batch_that_skips_leaves_is_refused(void **state) /* [F7] */
{
	struct node *n = *state;
	struct leaf leaf = answer(n, 0);
	struct err err = {0};

	begin(n);
	add(n, 0, &leaf);
	sign(n);
	n->batch.first = 1;
	assert_int_equal(check(n, &err), INBOUND_LOCAL);
	assert_err(err, ERR_PROTOCOL);
}

/* A part of the stream of relay 1. */
static struct leaf part_of_bytes(struct node *n, uint32_t part, bool last, size_t bytes)
{
	uint8_t *body = calloc(1, bytes);
	struct leaf leaf =
		leaf_over(n, 0,
			  &(struct response_encoding){.status = 200,
						      .content_type = VIEW_STR(RESPONSE_JSON_TYPE),
						      .body = VIEW(body, bytes)});
	struct view encoded = buf_view(&n->responses[0]);

	free(body);
	leaf.kind = LEAF_PART;
	leaf.stream = 1;
	leaf.part = part;
	leaf.flags = last ? LEAF_LAST : 0;
	leaf.cu = part ? 2 : 10;
	leaf_response_hash(&n->names.origin.lane, &n->relays[0].salt, part, &encoded, 1,
			   &leaf.response_hash);
	return leaf;
}

static struct leaf part_of(struct node *n, uint32_t part, bool last)
{
	return part_of_bytes(n, part, last, last ? 7 : INBOUND_PART_BYTES);
}

static void parts_of_another_length_are_refused(void **state) /* [R8] */
{
	struct leaf leaf = part_of_bytes(*state, 0, false, INBOUND_PART_BYTES - 1);

	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

static void a_last_part_that_is_too_long_is_refused(void **state) /* [R8] */
{
	struct leaf leaf = part_of_bytes(*state, 0, true, INBOUND_PART_BYTES + 1);

	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

static void parts_of_a_stream_come_in_order_and_end(void **state) /* [R8] */
{
	struct node *n = *state;
	struct leaf leaf;

	for (uint32_t part = 0; part < 3; part++) {
		leaf = part_of(n, part, part == 2);
		expect(n, &leaf, INBOUND_GOOD, ERR_NONE);
		assert_int_equal(n->out.answers[0].last, part == 2);
	}
	assert_int_equal(n->relays[0].next_part, 0);
}

static void a_part_out_of_order_is_refused(void **state) /* [R8] */
{
	struct leaf leaf = part_of(*state, 1, false);

	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

static void an_answer_in_the_middle_of_a_stream_is_refused(void **state) /* [R8] */
{
	struct node *n = *state;
	struct leaf leaf = part_of(n, 0, false);

	expect(n, &leaf, INBOUND_GOOD, ERR_NONE);
	leaf = answer(n, 0);
	expect(n, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

/* What came, as which kind, at which price. */
static void expect_answer(void **state, const char *body, uint8_t kind, uint32_t cu,
			  enum inbound_verdict want, enum err_code code)
{
	struct leaf leaf = answer_of(*state, 0, body);

	leaf.kind = kind;
	leaf.cu = cu;
	expect(*state, &leaf, want, code);
}

static void a_revert_is_paid_for(void **state) /* [R9] */
{
	expect_answer(state, ERROR(3, "execution reverted"), LEAF_RPC_ERROR, 10, INBOUND_GOOD,
		      ERR_NONE);
}

static void an_error_that_is_no_execution_costs_nothing(void **state) /* [R9] */
{
	expect_answer(state, ERROR(-32601, "no such method"), LEAF_RPC_ERROR, 0, INBOUND_GOOD,
		      ERR_NONE);
}

static void an_error_that_is_no_execution_is_not_charged(void **state) /* [R9] */
{
	expect_answer(state, ERROR(-32601, "no such method"), LEAF_RPC_ERROR, 1, INBOUND_LOCAL,
		      ERR_LEAF);
}

static void an_error_is_not_called_a_result(void **state) /* [R2] */
{
	expect_answer(state, ERROR(3, "execution reverted"), LEAF_ANSWER, 10, INBOUND_LOCAL,
		      ERR_LEAF);
}

static void a_result_is_not_called_an_error(void **state) /* [R2] */
{
	expect_answer(state, RESULT, LEAF_RPC_ERROR, 10, INBOUND_LOCAL, ERR_LEAF);
}

static void an_answer_has_the_id_1(void **state) /* [E5] */
{
	expect_answer(state, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":1}", LEAF_ANSWER, 10,
		      INBOUND_LOCAL, ERR_UPSTREAM);
}

static void a_notification_has_no_answer(void **state) /* [E4] */
{
	struct node *n = *state;

	n->relays[0].notification = true;
	expect_answer(state, RESULT, LEAF_ANSWER, 10, INBOUND_LOCAL, ERR_LEAF);
}

static void an_answer_is_json_with_status_200(void **state) /* [E4] */
{
	struct leaf leaf =
		leaf_over(*state, 0,
			  &(struct response_encoding){.status = 404,
						      .content_type = VIEW_STR(RESPONSE_JSON_TYPE),
						      .body = VIEW_STR(RESULT)});

	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

static void a_refusal_is_its_code_and_name(void **state) /* [E7] */
{
	static const struct {
		uint16_t status;
		const char *type, *body;
		enum inbound_verdict want;
	} cases[] = {{34, RESPONSE_TEXT_TYPE, "overload", INBOUND_GOOD},
		     {999, RESPONSE_TEXT_TYPE, "of_a_later_version", INBOUND_GOOD},
		     {34, RESPONSE_TEXT_TYPE, "busy", INBOUND_LOCAL}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct leaf leaf = leaf_over(
			*state, 0,
			&(struct response_encoding){.status = cases[i].status,
						    .content_type = VIEW_STR(cases[i].type),
						    .body = VIEW_STR(cases[i].body)});

		leaf.kind = LEAF_REFUSAL;
		leaf.cu = 0;
		expect(*state, &leaf, cases[i].want,
		       cases[i].want == INBOUND_GOOD ? ERR_NONE : ERR_LEAF);
	}
}

static void a_second_head_of_one_size_convicts(void **state) /* [L4] */
{
	struct node *n = *state;
	struct leaf leaf = answer(n, 0);
	struct err err;

	expect(n, &leaf, INBOUND_GOOD, ERR_NONE);
	tree_init(&n->tree);
	n->total = 0;
	leaf.time_ms = 77;
	begin(n);
	add(n, 0, &leaf);
	sign(n);
	assert_int_equal(check(n, &err), INBOUND_PROVABLE);
	assert_err(err, ERR_CHECKPOINT);
	assert_true(inbound_is_signed(n->lane, &n->batch));
	n->batch.signature.b[0] ^= 1;
	assert_int_equal(check(n, &err), INBOUND_LOCAL);
	assert_err(err, ERR_PROTOCOL);
	assert_false(inbound_is_signed(n->lane, &n->batch));
}

static void a_part_without_room_is_refused(void **state) /* [F10] */
{
	struct node *n = *state;
	struct leaf leaf = part_of(n, 0, false);

	n->relays[0].credit = 2 * INBOUND_PART_BYTES + 1;
	expect(n, &leaf, INBOUND_GOOD, ERR_NONE);
	leaf = part_of(n, 1, false);
	expect(n, &leaf, INBOUND_GOOD, ERR_NONE);
	assert_int_equal(n->relays[0].credit, 1);
	leaf = part_of(n, 2, true);
	expect(n, &leaf, INBOUND_LOCAL, ERR_PROTOCOL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* [R11] [R12] */
static void a_pinned_answer_is_of_the_block_that_it_was_pinned_to(void **state)
{
	for (int fault = 0; fault < 5; fault++) {
		struct node *n = *state;
		struct leaf leaf;

		n->relays[0].pinned = fault != 1;
		n->relays[0].pinned_by_hash = fault != 4;
		n->relays[0].pin_block = 77;
		n->relays[0].pin_hash = (struct hash){{7}};
		leaf = answer(n, 0);
		leaf.flags = fault == 0 ? 0 : LEAF_PINNED;
		leaf.block = fault == 2 ? 78 : 77;
		leaf.block_hash = (struct hash){{fault >= 3 ? 8 : 7}};
		expect(n, &leaf, fault == 4 ? INBOUND_GOOD : INBOUND_LOCAL,
		       fault == 4 ? ERR_NONE : ERR_LEAF);
		teardown(state);
		setup(state);
	}
}

/* [R13] */
static void only_a_whole_answer_is_called_recomputed(void **state)
{
	struct leaf leaf = answer(*state, 0);

	leaf.flags = LEAF_RECOMPUTED;
	expect(*state, &leaf, INBOUND_GOOD, ERR_NONE);
	teardown(state);
	setup(state);
	leaf = answer_of(*state, 0, ERROR(3, "execution reverted"));
	leaf.kind = LEAF_RPC_ERROR;
	leaf.flags = LEAF_RECOMPUTED;
	expect(*state, &leaf, INBOUND_LOCAL, ERR_LEAF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(honest_batches_are_good_and_continue_each_other),
		T(a_skipped_seq_convicts),
		T(a_pinned_answer_is_of_the_block_that_it_was_pinned_to),
		T(only_a_whole_answer_is_called_recomputed),
		T(more_cu_than_the_table_convicts),
		T(a_gap_in_the_interval_convicts),
		T(another_session_is_our_word_only),
		T(another_method_is_our_word_only),
		T(hashes_of_other_bytes_are_our_word_only),
		T(a_request_hash_of_other_bytes_is_our_word_only),
		T(a_status_unlike_the_answer_is_our_word_only),
		T(an_unsigned_fault_convicts_nobody),
		T(a_root_unlike_its_leaves_is_refused),
		T(an_answer_to_nothing_is_refused),
		T(a_batch_that_skips_leaves_is_refused),
		T(parts_of_a_stream_come_in_order_and_end),
		T(a_part_out_of_order_is_refused),
		T(an_answer_in_the_middle_of_a_stream_is_refused),
		T(parts_of_another_length_are_refused),
		T(a_last_part_that_is_too_long_is_refused),
		T(a_revert_is_paid_for),
		T(an_error_that_is_no_execution_costs_nothing),
		T(an_error_that_is_no_execution_is_not_charged),
		T(an_error_is_not_called_a_result),
		T(a_result_is_not_called_an_error),
		T(an_answer_has_the_id_1),
		T(a_notification_has_no_answer),
		T(an_answer_is_json_with_status_200),
		T(a_refusal_is_its_code_and_name),
		T(a_second_head_of_one_size_convicts),
		T(a_part_without_room_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
