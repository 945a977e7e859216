/* SPDX-License-Identifier: Apache-2.0
 * Which block a call is about, and other references in its place. */
#include "tests/unit/unit.h"

#include <inttypes.h>

#include "chains/chain.h"
#include "chains/json.h"

#define H "0x00000000000000000000000000000000000000000000000000000000000000ab"
#define TX "0x1100000000000000000000000000000000000000000000000000000000000022"
#define A "\"0x7dcd17433742f4c0ca53122ab541d0ba67fc27df\""

static const struct chain *evm(void)
{
	return chain_find("evm");
}

static const struct chain_method *method_of(const char *name)
{
	const struct chain_method *method = NULL;
	struct err err;

	assert_ok(chain_method_find(evm(), VIEW_STR(name), &method, &err), err);
	return method;
}

static const struct chain_traits *traits_of(const char *name)
{
	return chain_traits(evm(), method_of(name));
}

/* --- the table --- */

static void every_relayed_method_has_a_row(void **state)
{
	static const char *const names[] = {
#define METHOD(id, name, cu, part_cu, effect) name,
#define REFUSE(name, why)
#define NAMESPACE(prefix, why)
#include "chains/methods/evm.def"
#undef METHOD
#undef REFUSE
#undef NAMESPACE
	};
	static const char *const rows[] = {
#define TRAITS(name, place, form, absent, life, empty, pin, send, shape, exact) name,
#include "chains/methods/evm_traits.def"
#undef TRAITS
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t count = 0;

		for (size_t k = 0; k < ARRAY_SIZE(rows); k++)
			count += strcmp(names[i], rows[k]) == 0;
		if (count != 1)
			print_message("# %s has %zu rows\n", names[i], count);
		assert_int_equal(count, 1);
	}
	assert_int_equal(ARRAY_SIZE(rows), ARRAY_SIZE(names));
	assert_string_equal(rows[0], "*");
}

/* What is wrong with a row, whatever its method does; NULL when nothing is. */
static const char *contradiction(const struct chain_method *method, const struct chain_traits *t)
{
	bool reads = t->place != CHAIN_PLACE_NONE && t->place != CHAIN_PLACE_OTHER;
	bool writes = method->effect == CHAIN_WRITE;

	if (reads != (t->form != CHAIN_FORM_NONE) || reads != (t->absent != CHAIN_ABSENT_NONE))
		return "a form for a block that is read nowhere, or none for one that is";
	if (reads != (t->life == CHAIN_LIFE_BLOCK))
		return "an answer of a block that the call does not name, or the other way round";
	if ((t->form == CHAIN_FORM_HASH || !reads) && t->pin != CHAIN_PINNED_NONE)
		return "nothing to pin";
	if (t->pin == CHAIN_PINNED_HASH && t->form != CHAIN_FORM_ANY)
		return "a hash where there may be none";
	if (t->absent == CHAIN_ABSENT_LATEST && t->pin == CHAIN_PINNED_NONE)
		return "latest, and not pinned";
	if (writes != (t->send == CHAIN_SEND_ONCE || t->send == CHAIN_SEND_SPREAD))
		return "a write is sent once, or to several; a read may be asked for again";
	if (writes && t->life != CHAIN_LIFE_NEVER)
		return "a write that is kept";
	if (method->cu >= 150 && t->send == CHAIN_SEND_HEDGE)
		return "much work, done twice to save time";
	if (t->exact && t->life < CHAIN_LIFE_BLOCK)
		return "exact at no block";
	return NULL;
}

static void rows_do_not_contradict_themselves(void **state)
{
	const struct method_table *table = chain_table(evm());

	for (size_t i = 1; i < method_table_count(table); i++) {
		const struct chain_method *method = method_of(method_table_at(table, i)->name);
		const char *why = contradiction(method, chain_traits(evm(), method));

		if (why)
			print_message("# %s: %s\n", method->name, why);
		assert_null(why);
	}
	assert_int_equal(traits_of("eth_noSuchThing")->life, CHAIN_LIFE_NEVER);
	assert_int_equal(traits_of("eth_noSuchThing")->send, CHAIN_SEND_ONCE);
}

/* How long other gateways keep answers, where they agree: each method that one of them keeps. */
static const struct {
	enum chain_life life;
	const char *names[32];
} kept_elsewhere[] = {
	{CHAIN_LIFE_FOREVER, {"eth_chainId", "net_version"}},
	{CHAIN_LIFE_HEAD,
	 {"eth_gasPrice", "eth_maxPriorityFeePerGas", "eth_blobBaseFee", "eth_blockNumber",
	  "erigon_blockNumber"}},
	{CHAIN_LIFE_BLOCK,
	 {"eth_getBlockByNumber",
	  "eth_getBlockByHash",
	  "eth_getUncleByBlockNumberAndIndex",
	  "eth_getUncleByBlockHashAndIndex",
	  "eth_getTransactionByBlockNumberAndIndex",
	  "eth_getTransactionByBlockHashAndIndex",
	  "eth_getBlockTransactionCountByNumber",
	  "eth_getBlockTransactionCountByHash",
	  "eth_getUncleCountByBlockNumber",
	  "eth_getUncleCountByBlockHash",
	  "eth_getBlockReceipts",
	  "eth_getLogs",
	  "eth_getBalance",
	  "eth_getCode",
	  "eth_getTransactionCount",
	  "eth_getStorageAt",
	  "eth_getProof",
	  "eth_getAccount",
	  "eth_call",
	  "eth_estimateGas",
	  "eth_simulateV1",
	  "eth_feeHistory",
	  "erigon_getHeaderByNumber"}},
	{CHAIN_LIFE_BLOCK,
	 {"trace_block", "trace_call", "trace_filter", "trace_replayBlockTransactions",
	  "debug_traceBlockByNumber", "debug_traceBlockByHash", "debug_traceCall",
	  "debug_getRawBlock", "debug_getRawHeader", "debug_getRawReceipts", "debug_storageRangeAt",
	  "arbtrace_block", "arbtrace_replayBlockTransactions", "arbtrace_call",
	  "arbtrace_callMany", "arbtrace_filter"}},
	{CHAIN_LIFE_ITEM,
	 {"eth_getTransactionByHash", "eth_getTransactionReceipt", "trace_transaction",
	  "trace_replayTransaction", "debug_traceTransaction", "arbtrace_replayTransaction"}},
	/* One node's own, of one moment, or what tells too little of its block. */
	{CHAIN_LIFE_NEVER,
	 {"eth_hashrate", "eth_mining", "eth_syncing", "net_peerCount", "net_listening",
	  "web3_clientVersion", "erigon_getBlockByTimestamp", "trace_rawTransaction",
	  "debug_traceBlock", "eth_sendRawTransaction", "eth_pendingTransactions",
	  "txpool_content"}},
};

static void what_others_keep_is_kept_for_as_long(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(kept_elsewhere); i++)
		for (const char *const *name = kept_elsewhere[i].names; *name; name++) {
			assert_int_not_equal(method_of(*name)->id, 0);
			if (traits_of(*name)->life != kept_elsewhere[i].life)
				print_message("# %s\n", *name);
			assert_int_equal(traits_of(*name)->life, kept_elsewhere[i].life);
		}
}

static void what_matters_most_is_as_it_should_be(void **state)
{
	assert_int_equal(traits_of("eth_chainId")->life, CHAIN_LIFE_FOREVER);
	assert_int_equal(traits_of("eth_blockNumber")->life, CHAIN_LIFE_HEAD);
	assert_int_equal(traits_of("eth_getTransactionReceipt")->empty, CHAIN_EMPTY_MISSING);
	assert_int_equal(traits_of("eth_getLogs")->empty, CHAIN_EMPTY_VALUE);
	assert_int_equal(traits_of("eth_call")->pin, CHAIN_PINNED_HASH);
	assert_int_equal(traits_of("eth_feeHistory")->pin, CHAIN_PINNED_NUMBER);
	assert_int_equal(traits_of("eth_sendRawTransaction")->send, CHAIN_SEND_SPREAD);
	assert_int_equal(traits_of("eth_sendBundle")->send, CHAIN_SEND_ONCE);
}

/* --- reading --- */

/* A call's references in words: "odd", "none", "latest", "latest?" (absent), "5", "0xab..", "1-2".
 */
static const char *read_words(const char *method, const char *params, char dst[128])
{
	static const char *const tags[] = {"latest", "safe", "finalized", "pending", "earliest"};
	struct chain_call call;
	size_t n = 0;

	chain_call_read(evm(), method_of(method), VIEW_STR(params), &call);
	if (call.odd) {
		assert_int_equal(call.refs, 0);
		return "odd";
	}
	if (call.refs == 0)
		return "none";
	for (size_t i = 0; i < call.refs; i++) {
		const struct chain_ref *ref = &call.ref[i];
		int left = (int)(128 - n);

		n += (size_t)snprintf(dst + n, (size_t)left, "%s", i > 0 ? "-" : "");
		if (ref->kind == CHAIN_REF_TAG)
			n += (size_t)snprintf(dst + n, 128 - n, "%s%s", tags[ref->tag],
					      ref->absent ? "?" : "");
		else if (ref->kind == CHAIN_REF_NUMBER)
			n += (size_t)snprintf(dst + n, 128 - n, "%" PRIu64, ref->number);
		else
			n += (size_t)snprintf(dst + n, 128 - n, "#%02x%s", ref->hash.b[31],
					      ref->require_canonical ? "!" : "");
		assert_true(ref->token.p >= (const uint8_t *)params &&
			    ref->token.p + ref->token.n <=
				    (const uint8_t *)params + strlen(params));
		assert_int_equal(ref->token.n == 0, ref->absent);
	}
	return dst;
}

static void assert_reads(const char *method, const char *params, const char *want)
{
	char dst[128];
	const char *got = read_words(method, params, dst);

	if (strcmp(got, want) != 0)
		print_message("# %s %s\n", method, params);
	assert_string_equal(got, want);
}

static void blocks_stand_where_the_table_says(void **state)
{
	assert_reads("eth_getBalance", "[" A ",\"latest\"]", "latest");
	assert_reads("eth_getBalance", "[" A ",\"safe\"]", "safe");
	assert_reads("eth_getBalance", "[" A ",\"finalized\"]", "finalized");
	assert_reads("eth_getBalance", "[" A ",\"pending\"]", "pending");
	assert_reads("eth_getBalance", "[" A ",\"earliest\"]", "earliest");
	assert_reads("eth_getBalance", "[" A ",\"0x0\"]", "0");
	assert_reads("eth_getBalance", " [ " A " , \"0xAbC\" ] ", "2748");
	assert_reads("eth_getBalance", "[" A ",\"0xffffffffffffffff\"]", "18446744073709551615");
	assert_reads("eth_getBalance", "[" A ",\"" H "\"]", "#ab");
	assert_reads("eth_getBalance", "[" A ",{\"blockHash\":\"" H "\"}]", "#ab");
	assert_reads("eth_getBalance",
		     "[" A ",{\"blockHash\":\"" H "\",\"requireCanonical\":true}]", "#ab!");
	assert_reads("eth_getBalance",
		     "[" A ",{\"requireCanonical\":false,\"blockHash\":\"" H "\"}]", "#ab");
	assert_reads("eth_getBalance", "[" A ",{ \"blockNumber\" : \"0x5\" }]", "5");
	assert_reads("eth_getBalance", "[" A ",{\"blockNumber\":\"latest\"}]", "latest");
	assert_reads("eth_getBalance", "[" A "]", "latest?");
	assert_reads("eth_getStorageAt", "[" A ",\"0x0\",\"0x7\"]", "7");
	assert_reads("eth_getStorageAt", "[" A ",\"0x0\"]", "latest?");
	assert_reads("eth_getProof", "[" A ",[],\"latest\"]", "latest");
	assert_reads("eth_call", "[{\"to\":" A ",\"data\":\"0x\"},\"0x1\",{}]", "1");
	assert_reads("eth_call", "[{}]", "latest?");
	assert_reads("eth_call", "[{},\"0x1\",{},{},5,6]", "1");
	assert_reads("eth_getBlockByNumber", "[\"0x10\",false]", "16");
	assert_reads("eth_getBlockByHash", "[\"" H "\",true]", "#ab");
	assert_reads("eth_getBlockReceipts", "[\"" H "\"]", "#ab");
	assert_reads("eth_feeHistory", "[\"0x4\",\"latest\",[25,75]]", "latest");
	assert_reads("trace_call", "[{},[\"trace\"],\"0x2\"]", "2");
	assert_reads("eth_blockNumber", "[]", "none");
	assert_reads("eth_chainId", "", "none");
	assert_reads("web3_sha3", "[\"latest\"]", "none");
	assert_reads("eth_getTransactionReceipt", "[\"" TX "\"]", "none");
}

static void filters_have_two_ends_or_a_hash(void **state)
{
	assert_reads("eth_getLogs", "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x2\"}]", "1-2");
	assert_reads("eth_getLogs", "[{\"toBlock\":\"latest\",\"fromBlock\":\"0x1\"}]", "1-latest");
	assert_reads("eth_getLogs", "[{\"fromBlock\":\"0x1\",\"topics\":[[\"0x\",null]]}]",
		     "1-latest?");
	assert_reads("eth_getLogs", "[{\"toBlock\":\"0x9\"}]", "latest?-9");
	assert_reads("eth_getLogs", "[{}]", "latest?-latest?");
	assert_reads("eth_getLogs", "[{\"blockHash\":\"" H "\",\"address\":" A "}]", "#ab");
	assert_reads("eth_getLogs", "[{\"address\":{\"fromBlock\":\"0x1\"}}]", "latest?-latest?");
	/* trace_filter: nodes differ in what an end that is left out means. */
	assert_reads("trace_filter", "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x2\"}]", "1-2");
	assert_reads("trace_filter", "[{\"fromBlock\":\"0x1\"}]", "odd");
}

static void nothing_is_guessed(void **state)
{
	static const char *const second[] = {
		"null",
		"5",
		"5.0",
		"true",
		"[]",
		"\"\"",
		"\"0x\"",
		"\"0x01\"",
		"\"0x00\"",
		"\"5\"",
		"\"Latest\"",
		"\"latest \"",
		"\"l\\u0061test\"",
		"\"0xg\"",
		"\"0x10000000000000000\"",
		"\"-0x1\"",
		"{}",
		"{\"blockNumber\":\"0x1\",\"blockHash\":\"" H "\"}",
		"{\"blockNumber\":\"0x1\",\"requireCanonical\":true}",
		"{\"requireCanonical\":true}",
		"{\"blockHash\":\"0xab\"}",
		"{\"blockHash\":\"" H "\",\"requireCanonical\":1}",
		"{\"blockHash\":\"" H "\",\"blockHash\":\"" H "\"}",
		"{\"blockHash\":null}",
		"{\"blockHash\":\"" H "\",\"more\":1}",
		"{\"block\\u0048ash\":\"" H "\"}",
		"{\"blockHash\":\"" H "\",\"requireCanonical\":true,\"requireCanonical\":true}",
	};
	char params[512];

	for (size_t i = 0; i < ARRAY_SIZE(second); i++) {
		(void)snprintf(params, sizeof(params), "[" A ",%s]", second[i]);
		assert_reads("eth_getBalance", params, "odd");
	}
	assert_reads("eth_getBalance", "{\"address\":" A "}", "odd");
	assert_reads("eth_getBalance", "[]", "odd");
	assert_reads("eth_getBalance", "", "odd");
	assert_reads("eth_getStorageAt", "[" A "]", "odd");
	assert_reads("eth_chainId", "{}", "odd");
	/* By number means by number, and by hash by hash. */
	assert_reads("eth_getBlockByNumber", "[\"" H "\",false]", "odd");
	assert_reads("eth_getBlockByNumber", "[{\"blockNumber\":\"0x1\"},false]", "odd");
	assert_reads("eth_getBlockByNumber", "[]", "odd");
	assert_reads("eth_getBlockByHash", "[\"0x1\",false]", "odd");
	assert_reads("eth_getBlockByHash", "[\"latest\",false]", "odd");
	assert_reads("eth_getLogs", "[]", "odd");
	assert_reads("eth_getLogs", "[{},{}]", "odd");
	assert_reads("eth_getLogs", "[null]", "odd");
	assert_reads("eth_getLogs", "[{\"fromBlock\":null}]", "odd");
	assert_reads("eth_getLogs", "[{\"blockHash\":\"" H "\",\"fromBlock\":\"0x1\"}]", "odd");
	assert_reads("eth_getLogs", "[{\"blockHash\":\"0xab\"}]", "odd");
	assert_reads("eth_getBalance", "[" A ",{\"blockNumber\":5}]", "odd");
	assert_reads("eth_getBalance", "[" A ",{\"blockNumber\":\"0x1\",\"blockNumber\":\"0x1\"}]",
		     "odd");
	assert_reads("eth_getLogs", "[{\"fromBlock\":\"" H "\"}]", "odd");
	assert_reads("eth_getLogs", "[{\"blockHash\":\"" H "\",\"toBlock\":\"0x1\"}]", "odd");
	assert_reads("eth_getLogs", "[{\"toBlock\":\"0x1\",\"toBlock\":\"0x1\"}]", "odd");
	assert_reads("eth_getLogs", "[{\"from\\u0042lock\":\"0x1\"}]", "odd");
	assert_reads("eth_callMany", "[[],{\"blockNumber\":\"0x1\"}]", "odd");
}

static void calls_about_one_fixed_block_are_known(void **state)
{
	static const struct {
		const char *method, *params;
		bool fixed;
	} cases[] = {
		{"eth_getBalance", "[" A ",\"0x5\"]", true},
		{"eth_getBalance", "[" A ",\"" H "\"]", true},
		{"eth_getBalance", "[" A ",\"latest\"]", false},
		{"eth_getBalance", "[" A "]", false},
		{"eth_getBalance", "[" A ",5]", false},
		{"eth_getLogs", "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x1\"}]", true},
		{"eth_getLogs", "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x2\"}]", false},
		{"eth_getLogs", "[{\"fromBlock\":\"0x1\"}]", false},
		{"eth_getLogs", "[{\"blockHash\":\"" H "\"}]", true},
		{"eth_chainId", "[]", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct chain_call call;

		chain_call_read(evm(), method_of(cases[i].method), VIEW_STR(cases[i].params),
				&call);
		assert_int_equal(chain_call_is_fixed(&call), cases[i].fixed);
	}
}

static void what_is_asked_by_hash_and_what_is_sent_is_found(void **state)
{
	struct chain_call call;

	chain_call_read(evm(), method_of("eth_getTransactionReceipt"), VIEW_STR("[\"" TX "\"]"),
			&call);
	assert_true(call.by_hash && call.subject.b[0] == 0x11 && call.subject.b[31] == 0x22);
	chain_call_read(evm(), method_of("eth_getTransactionReceipt"), VIEW_STR("[\"0x11\"]"),
			&call);
	assert_false(call.by_hash);
	chain_call_read(evm(), method_of("eth_getTransactionBySenderAndNonce"),
			VIEW_STR("[" A ",\"0x1\"]"), &call);
	assert_false(call.by_hash || call.odd);
	chain_call_read(evm(), method_of("eth_sendRawTransaction"), VIEW_STR("[\"0xf86c10\"]"),
			&call);
	assert_true(view_eq(call.raw, VIEW_STR("f86c10")));
	chain_call_read(evm(), method_of("eth_sendRawTransaction"), VIEW_STR("[\"0x\"]"), &call);
	assert_int_equal(call.raw.n, 0);
	chain_call_read(evm(), method_of("eth_sendRawTransaction"), VIEW_STR("[\"f86c10\"]"),
			&call);
	assert_int_equal(call.raw.n, 0);
	chain_call_read(evm(), method_of("eth_sendRawTransaction"), VIEW_STR("[{}]"), &call);
	assert_int_equal(call.raw.n, 0);
	chain_call_read(evm(), method_of("eth_sendPrivateTransaction"), VIEW_STR("[\"0xf8\"]"),
			&call);
	assert_int_equal(call.raw.n, 0);
}

/* --- pinning --- */

#define KEEP                                                                                       \
	{                                                                                          \
		.kind = CHAIN_PIN_KEEP                                                             \
	}
#define N(v)                                                                                       \
	{                                                                                          \
		.kind = CHAIN_PIN_NUMBER, .number = (v)                                            \
	}
#define HASH                                                                                       \
	{                                                                                          \
		.kind = CHAIN_PIN_HASH, .hash = {.b = {[31] = 0xcd} }                              \
	}
#define PINNED                                                                                     \
	"{\"blockHash\":\"0x00000000000000000000000000000000000000000000000000000000000000cd\","   \
	"\"requireCanonical\":true}"

static void pins_stand_where_the_reference_stood(void **state)
{
	static const struct {
		const char *method, *params;
		struct chain_pin pins[CHAIN_REFS_MAX];
		const char *want; /* NULL: refused */
	} cases[] = {
		{"eth_getBalance", "[" A ",\"latest\"]", {HASH, KEEP}, "[" A "," PINNED "]"},
		{"eth_getBalance", "[" A ",\"latest\"]", {N(300), KEEP}, "[" A ",\"0x12c\"]"},
		{"eth_getBalance", "[" A ",\"latest\"]", {N(0), KEEP}, "[" A ",\"0x0\"]"},
		{"eth_getBalance", "[" A ",\"latest\"]", {KEEP, KEEP}, "[" A ",\"latest\"]"},
		{"eth_getBalance", "[" A "]", {N(1), KEEP}, "[" A ",\"0x1\"]"},
		{"eth_getBalance", "[ " A " ]", {N(1), KEEP}, "[ " A ",\"0x1\" ]"},
		{"eth_getBalance", "[" A ",\"0x5\"]", {HASH, KEEP}, "[" A "," PINNED "]"},
		{"eth_getBalance",
		 "[" A ",{\"blockNumber\":\"latest\"}]",
		 {HASH, KEEP},
		 "[" A "," PINNED "]"},
		{"eth_call", "[{} , \"safe\" , {}]", {HASH, KEEP}, "[{} , " PINNED " , {}]"},
		{"eth_getBlockByNumber", "[\"latest\",true]", {N(9), KEEP}, "[\"0x9\",true]"},
		{"eth_getBlockByNumber", "[\"latest\",true]", {HASH, KEEP}, NULL},
		{"eth_getBlockByHash", "[\"" H "\",true]", {HASH, KEEP}, NULL},
		{"eth_getBlockByHash", "[\"" H "\",true]", {N(1), KEEP}, NULL},
		{"eth_getBalance", "[" A ",5]", {N(1), KEEP}, NULL},
		{"eth_getBalance", "[" A ",5]", {KEEP, KEEP}, NULL},
		{"eth_getBalance", "[" A ",\"latest\"]", {KEEP, N(1)}, NULL},
		{"eth_chainId", "[]", {N(1), KEEP}, NULL},
		{"eth_chainId", "[]", {KEEP, KEEP}, "[]"},
		{"eth_getLogs",
		 "[{\"fromBlock\":\"latest\",\"toBlock\":\"latest\"}]",
		 {N(1), N(2)},
		 "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x2\"}]"},
		{"eth_getLogs",
		 "[{\"toBlock\":\"latest\",\"x\":1,\"fromBlock\":\"safe\"}]",
		 {N(1), N(2)},
		 "[{\"toBlock\":\"0x2\",\"x\":1,\"fromBlock\":\"0x1\"}]"},
		{"eth_getLogs",
		 "[{}]",
		 {N(1), N(2)},
		 "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x2\"}]"},
		{"eth_getLogs", "[{ }]", {KEEP, N(2)}, "[{\"toBlock\":\"0x2\" }]"},
		{"eth_getLogs", "[{}]", {N(1), KEEP}, "[{\"fromBlock\":\"0x1\"}]"},
		{"eth_getLogs",
		 "[{\"topics\":[]}]",
		 {N(1), N(2)},
		 "[{\"fromBlock\":\"0x1\",\"toBlock\":\"0x2\",\"topics\":[]}]"},
		{"eth_getLogs",
		 "[{\"fromBlock\":\"0x1\"}]",
		 {N(3), N(2)},
		 "[{\"toBlock\":\"0x2\",\"fromBlock\":\"0x3\"}]"},
		{"eth_getLogs",
		 "[{\"toBlock\":\"0x1\"}]",
		 {N(3), N(4)},
		 "[{\"fromBlock\":\"0x3\",\"toBlock\":\"0x4\"}]"},
		{"eth_getLogs", "[{\"fromBlock\":\"0x1\"}]", {HASH, KEEP}, NULL},
		{"eth_getLogs", "[{\"blockHash\":\"" H "\"}]", {N(1), KEEP}, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct view params = VIEW_STR(cases[i].params);
		struct buf out = {0};
		struct chain_call call;
		bool pinned;

		chain_call_read(evm(), method_of(cases[i].method), params, &call);
		pinned = chain_call_pin(evm(), &call, params, cases[i].pins, &out);
		if (!cases[i].want) {
			assert_false(pinned);
			assert_int_equal(out.n, 0);
		} else {
			assert_true(pinned);
			assert_string_equal(buf_cstr(&out), cases[i].want);
		}
		buf_finish(&out);
	}
}

static void what_stands_around_the_parameters_stays(void **state)
{
	const char *text = "{\"id\":1, \"params\":[" A ", \"latest\" ],\"method\":\"eth_getCode\"}";
	const char *params = strchr(text, '[');
	struct chain_pin pins[CHAIN_REFS_MAX] = {N(10), KEEP};
	struct chain_call call;
	struct buf out = {0};

	chain_call_read(evm(), method_of("eth_getCode"),
			VIEW(params, (size_t)(strchr(text, ']') + 1 - params)), &call);
	buf_put_str(&out, "before ");
	assert_true(chain_call_pin(evm(), &call, VIEW_STR(text), pins, &out));
	assert_string_equal(buf_cstr(&out), "before {\"id\":1, \"params\":[" A
					    ", \"0xa\" ],\"method\":\"eth_getCode\"}");
	buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_relayed_method_has_a_row),
		cmocka_unit_test(rows_do_not_contradict_themselves),
		cmocka_unit_test(what_others_keep_is_kept_for_as_long),
		cmocka_unit_test(what_matters_most_is_as_it_should_be),
		cmocka_unit_test(blocks_stand_where_the_table_says),
		cmocka_unit_test(filters_have_two_ends_or_a_hash),
		cmocka_unit_test(nothing_is_guessed),
		cmocka_unit_test(calls_about_one_fixed_block_are_known),
		cmocka_unit_test(what_is_asked_by_hash_and_what_is_sent_is_found),
		cmocka_unit_test(pins_stand_where_the_reference_stood),
		cmocka_unit_test(what_stands_around_the_parameters_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
