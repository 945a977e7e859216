/* SPDX-License-Identifier: Apache-2.0
 * What a node makes of a relay: its answer or its refusal, and the leaf that says so. */
#include "tests/unit/unit.h"

#include "tests/unit/node_world.h"

/* [F6] [F7] [L1] */
static void an_answer_is_receipted_with_the_methods_cu(void **state)
{
	static const char answer[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x1\"}";
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	o = ask(w, BALANCE);
	assert_int_equal(o->leaf.kind, LEAF_ANSWER);
	assert_int_equal(o->leaf.status, 200);
	assert_int_equal(o->leaf.cu, BALANCE_CU);
	assert_int_equal(o->leaf.method, 20);
	assert_int_equal(o->body.n, strlen(answer));
	assert_memory_equal(o->body.p, answer, o->body.n);
	assert_true(view_eq(faultnode_last(w->backend), VIEW_STR(BALANCE)));
	world_destroy(w);
}

/* [F12] */
#define AT(block)                                                                                  \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBalance\",\"params\":["                 \
	"\"0x0000000000000000000000000000000000000001\"," block "]}"
#define HASH_7 "\"0x0700000000000000000000000000000000000000000000000000000000000000\""

#define H1 "0x1111111111111111111111111111111111111111111111111111111111111111"
#define ZEROS_256 "0000000000000000000000000000000000000000000000000000000000000000"
/* A block of London's rules without transactions, and the hash of its fields. */
#define HEADER(gas)                                                                                \
	"{\"parentHash\":\"" H1 "\",\"miner\":\"0x1111111111111111111111111111111111111111\","     \
	"\"stateRoot\":\"0x2222222222222222222222222222222222222222222222222222222222222222\","    \
	"\"receiptsRoot\":\"0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421\"," \
	"\"sha3Uncles\":\"0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347\","   \
	"\"logsBloom\":\"0x" ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 ZEROS_256 \
		ZEROS_256 "\",\"difficulty\":\"0x0\",\"gasLimit\":\"0x1c9c380\","                  \
	"\"timestamp\":\"0xa\",\"extraData\":\"0x\",\"mixHash\":"                                  \
	"\"0x2222222222222222222222222222222222222222222222222222222222222222\","                  \
	"\"nonce\":\"0x0000000000000000\",\"gasUsed\":\"" gas "\",\"transactionsRoot\":"           \
	"\"0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421\","                  \
	"\"baseFeePerGas\":\"0x3b9aca00\",\"number\":\"0x1\",\"hash\":"                            \
	"\"0x65859a4cb16921f29068c4ad8f319d4160d920955d980730846ed2cefc24f9fb\","                  \
	"\"transactions\":[],\"uncles\":[]}"
#define BLOCK(number)                                                                              \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getBlockByNumber\",\"params\":[\"" number  \
	"\",true]}"

/* [R13]: what follows from its hash is signed so, and nothing else. */
static void what_a_backend_says_is_signed_as_what_it_is(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	script(w, "{\"default\":{\"result\":" HEADER("0x0") "}}");
	assert_int_equal(ask_as(w, "eth_getBlockByNumber", BLOCK("0x1"))->leaf.flags,
			 LEAF_RECOMPUTED);
	assert_int_equal(ask_as(w, "eth_getBlockByNumber", BLOCK("0x2"))->leaf.flags, 0);
	script(w, "{\"default\":{\"result\":" HEADER("0x1") "}}");
	assert_int_equal(ask_as(w, "eth_getBlockByNumber", BLOCK("0x1"))->leaf.flags, 0);
	script(w, "{}");
	assert_int_equal(ask(w, BALANCE)->leaf.flags, 0);
	world_destroy(w);
}

/* [F14] [R11] [R12] */
static void a_pinned_relay_is_of_its_block_or_refused(void **state)
{
	static const struct hash zeros;
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	o = ask(w, AT("\"0x4d\""));
	assert_int_equal(o->leaf.flags, 0);
	assert_int_equal(o->leaf.block, 77); /* as the call says */
	assert_memory_equal(&o->leaf.block_hash, &zeros, 32);
	assert_int_equal(ask(w, AT("\"latest\""))->leaf.block, LEAF_BLOCK_UNKNOWN);
	w->pinned = true;
	w->pin_hash = (struct hash){{7}};
	o = ask(w, AT("{\"blockHash\":" HASH_7 ",\"requireCanonical\":true}"));
	assert_int_equal(o->leaf.flags, LEAF_PINNED);
	assert_int_equal(o->leaf.block, 77);
	assert_memory_equal(&o->leaf.block_hash, &w->pin_hash, 32);
	o = ask(w, AT("\"0x4d\""));
	assert_int_equal(o->leaf.flags, LEAF_PINNED);
	assert_int_equal(o->leaf.block, 77);
	assert_memory_equal(&o->leaf.block_hash, &zeros, 32);
	assert_refused(ask(w, AT("\"0x4e\"")), ERR_PROTOCOL);
	assert_refused(ask(w, AT("\"latest\"")), ERR_PROTOCOL);
	assert_refused(ask(w, BALANCE), ERR_PROTOCOL);
	w->pin_hash.b[31] = 1;
	assert_refused(ask(w, AT("{\"blockHash\":" HASH_7 "}")), ERR_PROTOCOL);
	world_destroy(w);
}

static void relays_of_a_burst_share_signatures(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	for (int i = 0; i < 500; i++)
		send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 500));
	assert_int_equal(w->head.size, 500);
	assert_true(w->batches < 250);
	world_destroy(w);
}

/* [R9] */
static void a_revert_is_charged_and_other_rpc_errors_are_not(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	script(w, "{\"queue\":[{\"error\":{\"code\":3,\"message\":\"execution "
		  "reverted\",\"data\":\"0x\"}},"
		  "{\"error\":{\"code\":-32602,\"message\":\"invalid argument 0\"}}]}");
	o = ask(w, BALANCE);
	assert_int_equal(o->leaf.kind, LEAF_RPC_ERROR);
	assert_int_equal(o->leaf.cu, BALANCE_CU);
	o = ask(w, BALANCE);
	assert_int_equal(o->leaf.kind, LEAF_RPC_ERROR);
	assert_int_equal(o->leaf.status, 200);
	assert_int_equal(o->leaf.cu, 0);
	world_destroy(w);
}

/* [E5] */
static void a_backend_that_cannot_be_believed_is_an_upstream_refusal(void **state)
{
	static const char *const faults[] = {
		"{\"default\":{\"id\":2}}",
		"{\"default\":{\"id\":\"1\"}}",
		"{\"default\":{\"body\":\"<html>busy</html>\",\"type\":\"text/html\"}}",
		"{\"default\":{\"body\":\"\"}}",
		"{\"default\":{\"body\":\"[]\"}}",
		"{\"default\":{\"status\":500,\"body\":\"no\"}}",
		"{\"default\":{\"cut\":\"half\"}}",
		"{\"default\":{\"cut\":\"before\"}}",
	};
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	w->params.upstream.breaker.failures_max = 100; /* it is asked each time */
	world_open(w);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		script(w, faults[i]);
		assert_refused(ask(w, BALANCE), ERR_UPSTREAM);
	}
	script(w, "{}");
	assert_int_equal(ask(w, BALANCE)->leaf.kind, LEAF_ANSWER);
	world_destroy(w);
}

static void a_dead_backend_is_a_refusal_that_says_that_nothing_was_sent(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	struct err why;

	w->params.upstream.breaker.open_us = 50000;
	world_open(w);
	faultnode_destroy(w->backend);
	w->backend = NULL;
	assert_refused(ask(w, BALANCE), ERR_NO_BACKEND);
	for (int i = 0; i < 1200 && node_is_ready(w->node, &why); i++)
		usleep(50000);
	assert_false(node_is_ready(w->node, &why));
	assert_int_equal(why.code, ERR_NO_BACKEND);
	assert_non_null(strstr(why.msg, "service eth"));
	world_destroy(w);
}

static void a_black_hole_is_refused_at_the_deadline(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	script(w, "{\"default\":{\"hang\":true}}");
	send_relay(w, BALANCE, 100);
	assert_true(run_until_done(w, 1));
	assert_refused(&w->relays[0], ERR_DEADLINE);
	world_destroy(w);
}

static void a_method_that_is_not_relayed_is_refused(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	assert_refused(ask(w, ADMIN), ERR_METHOD);
	assert_refused(ask(w, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"eth_chainId\"}"),
		       ERR_PROTOCOL);
	assert_refused(ask(w, "{\"jsonrpc\":\"2.0\",\"id\":1"), ERR_PROTOCOL);
	assert_int_equal(faultnode_stats(w->backend)->requests, 0);
	world_destroy(w);
}

/* [E4] */
static void a_notification_is_receipted_with_an_empty_answer(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	const struct outcome *o;

	world_open(w);
	o = ask(w, "{\"jsonrpc\":\"2.0\",\"method\":\"eth_getBalance\",\"params\":[]}");
	assert_int_equal(o->leaf.kind, LEAF_ANSWER);
	assert_int_equal(o->body.n, 0);
	assert_int_equal(faultnode_stats(w->backend)->requests, 1);
	world_destroy(w);
}

/* [F10] */
static void a_cancelled_relay_gets_no_leaf(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);

	world_open(w);
	script(w, "{\"queue\":[{\"hang\":true}]}");
	send_relay(w, BALANCE, PATIENT_MS);
	while (faultnode_stats(w->backend)->requests == 0)
		event_base_loop(w->base, EVLOOP_ONCE);
	frame_put_cancel(link_out(w->link), 1);
	link_sent(w->link);
	send_relay(w, BALANCE, PATIENT_MS);
	assert_true(run_until_done(w, 2));
	assert_int_equal(w->relays[0].leaves, 0);
	assert_int_equal(w->relays[0].error, err_info(ERR_CANCELLED)->wire);
	assert_int_equal(w->relays[1].leaf.kind, LEAF_ANSWER);
	assert_int_equal(w->head.size, 1);
	while (faultnode_stats(w->backend)->open > 1) /* its request was let go */
		event_base_loop(w->base, EVLOOP_ONCE);
	world_destroy(w);
}

static void what_was_answered_is_in_the_ledger(void **state)
{
	struct world *w = world_create(&NETWORK_PARAMS_DEFAULT);
	CLEANUP(ledger_reader_close) struct ledger_reader *reader = NULL;
	struct ledger_lane_info lane;
	char dir[96];
	struct err err;

	world_open(w);
	for (int i = 0; i < 3; i++)
		ask(w, BALANCE);
	snprintf(dir, sizeof(dir), "%s/node", w->net->dir);
	node_end(w);
	assert_ok(ledger_reader_open(dir, &reader, &err), err);
	assert_ok(ledger_lane_read(reader, &w->lane_id, &lane, &err), err);
	assert_int_equal(lane.head.size, 3);
	assert_memory_equal(&lane.head.root, &w->head.root, 32);
	ledger_reader_close(STEAL(reader));
	world_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_receipted_with_the_methods_cu),
		cmocka_unit_test(a_pinned_relay_is_of_its_block_or_refused),
		cmocka_unit_test(what_a_backend_says_is_signed_as_what_it_is),
		cmocka_unit_test(relays_of_a_burst_share_signatures),
		cmocka_unit_test(a_revert_is_charged_and_other_rpc_errors_are_not),
		cmocka_unit_test(a_backend_that_cannot_be_believed_is_an_upstream_refusal),
		cmocka_unit_test(a_dead_backend_is_a_refusal_that_says_that_nothing_was_sent),
		cmocka_unit_test(a_black_hole_is_refused_at_the_deadline),
		cmocka_unit_test(a_method_that_is_not_relayed_is_refused),
		cmocka_unit_test(a_notification_is_receipted_with_an_empty_answer),
		cmocka_unit_test(a_cancelled_relay_gets_no_leaf),
		cmocka_unit_test(what_was_answered_is_in_the_ledger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
