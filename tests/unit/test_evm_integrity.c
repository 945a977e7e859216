/* SPDX-License-Identifier: Apache-2.0
 * Answers of real networks: none is a fault, and each single value that is changed makes one, in
 * every field that a hash, a root or the question covers. */
#include "tests/unit/unit.h"

#include <dirent.h>

#include "chains/json.h"
#include "chains/verify.h"
#include "relay/base/mem.h"
#include "tests/support/flips.h"

/* A call and its answer. */
struct call {
	char *text; /* of which the rest are views */
	const struct chain_method *method;
	struct view params;
	struct view result;
	bool is_error;
};

static const struct chain *evm(void)
{
	return chain_find("evm");
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct buf buf = {0};
	size_t n;

	if (!f)
		fail_msg("%s is not there", path);
	do {
		buf_reserve(&buf, 65536);
		n = fread(buf.p + buf.n, 1, 65536, f);
		buf.n += n;
	} while (n > 0);
	fclose(f);
	buf_put_u8(&buf, 0);
	return (char *)buf.p;
}

static char *data_path(const char *name)
{
	const char *source = getenv("CF_SOURCE_ROOT");

	return xasprintf("%s/tests/data/%s", source ? source : ".", name);
}

/* One member of an object. */
static struct view member(struct view object, const char *name)
{
	struct json_walk walk = json_walk_of(object);
	struct json_names names;
	struct view value = {0};

	json_names_init(&names, &name, 1);
	assert_int_equal(json_walk_members(&walk, &names, &value), JSON_MEMBERS);
	return value;
}

static const struct chain_method *method_of(struct view name)
{
	const struct chain_method *method = NULL;
	struct err err;

	assert_ok(chain_method_find(evm(), name, &method, &err), err);
	return method;
}

/* A file of the specification: comments, then `>> ` and `<< ` lines. */
static struct call call_of_case(const char *path)
{
	struct call call = {.text = read_file(path)};
	char *sent = strstr(call.text, ">> "), *came = strstr(call.text, "<< ");
	struct view request, reply, name;

	assert_non_null(sent);
	assert_non_null(came);
	request = VIEW(sent + 3, strcspn(sent, "\n") - 3);
	reply = VIEW(came + 3, strcspn(came, "\n") - 3);
	assert_true(json_token_text(member(request, "method"), &name));
	call.method = method_of(name);
	call.params = member(request, "params");
	call.result = member(reply, "result");
	call.is_error = !call.result.p;
	return call;
}

/* A result alone, and the call that it is the answer to. */
static struct call call_of_result(const char *file, const char *method, const char *params)
{
	char *path = data_path(file);
	struct call call = {.text = read_file(path)};

	call.method = method_of(VIEW_STR(method));
	call.params = VIEW_STR(params);
	call.result = VIEW(call.text, strlen(call.text));
	free(path);
	return call;
}

static struct chain_finding finding(struct chain_verifier *verifier, const struct call *call)
{
	struct chain_finding found;

	chain_verify(verifier, call->method, call->params, call->result, &found);
	return found;
}

static void assert_verdict(struct chain_verifier *verifier, const struct call *call,
			   const char *name, enum chain_verdict wanted)
{
	struct chain_finding found = finding(verifier, call);

	if (found.verdict != wanted)
		fail_msg("%s: %d, not %d: %s", name, found.verdict, wanted,
			 found.why ? found.why : "");
}

/* --- every value of an answer, one after the other --- */

struct flip_case {
	struct chain_verifier *verifier;
	const struct call *call;
	const char *const *uncovered; /* paths of what nothing covers, NULL at the end */
	size_t covered;		      /* changes that had to be noticed */
};

static void must_notice(void *arg, const char *path)
{
	struct flip_case *c = arg;
	enum chain_verdict got = finding(c->verifier, c->call).verdict;

	for (const char *const *p = c->uncovered; *p; p++) {
		if (strcmp(*p, path) == 0)
			return;
	}
	c->covered++;
	/* A transaction of another type may have other members, and is not judged then. */
	if (strstr(path, "type") ? got == CHAIN_RECOMPUTED : got < CHAIN_DIFFERS)
		fail_msg("a changed %s is not noticed", path);
}

/* Returns how many changes of values had to be noticed. */
static size_t every_flip_is_a_fault(struct chain_verifier *verifier, const struct call *call,
				    const char *const *uncovered)
{
	struct flip_case c = {.verifier = verifier, .call = call, .uncovered = uncovered};
	struct flips flips = {.noticed = must_notice, .arg = &c, .stride = 1};

	flip_values(&flips, call->result, "");
	return c.covered;
}

/* --- the specification's cases --- */

typedef void with_case(struct chain_verifier *verifier, struct call *call, const char *path,
		       size_t *count);

static void each_case(const char *method, struct chain_verifier *verifier, with_case *f,
		      size_t *count)
{
	char *name = xasprintf("execution-apis/%s", method);
	char *folder = data_path(name);
	struct dirent **entries;
	int n = scandir(folder, &entries, NULL, alphasort);

	assert_true(n > 2);
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
		struct call call;

		if (strstr(path, ".io")) {
			call = call_of_case(path);
			if (!call.is_error)
				f(verifier, &call, path, count);
			free(call.text);
		}
		free(path);
		free(entries[i]);
	}
	free(entries);
	free(folder);
	free(name);
}

static void recomputed(struct chain_verifier *verifier, struct call *call, const char *path,
		       size_t *count)
{
	bool none = json_token_is_null(call->result);

	assert_verdict(verifier, call, path, none ? CHAIN_PLAIN : CHAIN_RECOMPUTED);
	*count += !none;
}

static void plain(struct chain_verifier *verifier, struct call *call, const char *path,
		  size_t *count)
{
	assert_verdict(verifier, call, path, CHAIN_PLAIN);
	++*count;
}

static void no_fault(struct chain_verifier *verifier, struct call *call, const char *path,
		     size_t *count)
{
	struct chain_finding found = finding(verifier, call);

	if (found.why)
		fail_msg("%s: %s", path, found.why);
	++*count;
}

static void cases_of_the_specification_are_no_faults(void **state)
{
	CLEANUP(chain_verifier_destroy)
	struct chain_verifier *verifier = chain_verifier_create(evm());
	size_t blocks = 0, transactions = 0, others = 0;

	each_case("eth_getBlockByHash", verifier, no_fault, &blocks);
	each_case("eth_getBlockByNumber", verifier, no_fault, &blocks);
	each_case("eth_getTransactionByHash", verifier, recomputed, &transactions);
	each_case("eth_getTransactionByBlockHashAndIndex", verifier, plain, &others);
	each_case("eth_getTransactionByBlockNumberAndIndex", verifier, plain, &others);
	each_case("eth_getTransactionReceipt", verifier, plain, &others);
	each_case("eth_getBlockReceipts", verifier, no_fault, &others);
	each_case("eth_getLogs", verifier, plain, &others);
	assert_true(blocks >= 13 && transactions >= 7 && others >= 25);
}

/* `transactions` themselves where only their hashes are shown. */
static const char *const block_uncovered[] = {"size",
					      "totalDifficulty",
					      "transactions.from",
					      "transactions.gasPrice",
					      "transactions",
					      "transactions.blockTimestamp",
					      NULL};

static void flip_block(struct chain_verifier *verifier, struct call *call, const char *path,
		       size_t *count)
{
	if (!json_token_is_null(call->result))
		*count += every_flip_is_a_fault(verifier, call, block_uncovered);
}

static void flip_transaction(struct chain_verifier *verifier, struct call *call, const char *path,
			     size_t *count)
{
	static const char *const uncovered[] = {"from",	       "gasPrice",	 "blockHash",
						"blockNumber", "blockTimestamp", "transactionIndex",
						NULL};

	if (!json_token_is_null(call->result))
		*count += every_flip_is_a_fault(verifier, call, uncovered);
}

static void each_value_of_blocks_of_every_fork_is_covered(void **state)
{
	CLEANUP(chain_verifier_destroy)
	struct chain_verifier *verifier = chain_verifier_create(evm());
	size_t count = 0;

	each_case("eth_getBlockByHash", verifier, flip_block, &count);
	each_case("eth_getBlockByNumber", verifier, flip_block, &count);
	assert_true(count > 400);
}

static void each_value_of_transactions_of_every_type_is_covered(void **state)
{
	CLEANUP(chain_verifier_destroy)
	struct chain_verifier *verifier = chain_verifier_create(evm());
	size_t count = 0;

	each_case("eth_getTransactionByHash", verifier, flip_transaction, &count);
	assert_true(count > 200);
}

/* --- mainnet --- */

#define MAINNET_HASH "0x92dabfa3f61ff1c349d12f5fd0dd4c99760a0a41b77dee8f0a80f83efdcb307a"

static void mainnet_block_and_receipts_are_recomputed(void **state)
{
	CLEANUP(chain_verifier_destroy)
	struct chain_verifier *verifier = chain_verifier_create(evm());
	struct call block = call_of_result("mainnet-21925176/block.json", "eth_getBlockByHash",
					   "[\"" MAINNET_HASH "\",false]");
	struct call receipts = call_of_result("mainnet-21925176/receipts.json",
					      "eth_getBlockReceipts", "[\"0x14e8d38\"]");
	struct call receipt = call_of_result(
		"mainnet-21925176/receipt.json", "eth_getTransactionReceipt",
		"[\"0x6cf75d5d097e50835b7d524a67db2b23f372e8553ce46f02b0627aa6d4d8b95a\"]");
	struct call logs =
		call_of_result("mainnet-21925176/logs.json", "eth_getLogs",
			       "[{\"blockHash\":\"" MAINNET_HASH
			       "\",\"address\":[\"0x00000000219AB540356cBB839Cbe05303d7705Fa\"]}]");

	/* Without the header nothing says what the root of the receipts is. */
	assert_verdict(verifier, &receipts, "receipts", CHAIN_PLAIN);
	/* The hashes of its transactions are not covered without the transactions. */
	assert_verdict(verifier, &block, "block", CHAIN_PLAIN);
	assert_verdict(verifier, &receipts, "receipts", CHAIN_RECOMPUTED);
	assert_verdict(verifier, &receipt, "receipt", CHAIN_PLAIN);
	assert_verdict(verifier, &logs, "logs", CHAIN_PLAIN);
	free(block.text);
	free(receipts.text);
	free(receipt.text);
	free(logs.text);
}

static void each_value_of_a_mainnet_block_is_covered(void **state)
{
	static const char *const uncovered[] = {"size", "transactions", NULL};
	CLEANUP(chain_verifier_destroy)
	struct chain_verifier *verifier = chain_verifier_create(evm());
	struct call block = call_of_result("mainnet-21925176/block.json", "eth_getBlockByNumber",
					   "[\"0x14e8d38\",false]");

	assert_true(every_flip_is_a_fault(verifier, &block, uncovered) > 200);
	free(block.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases_of_the_specification_are_no_faults),
		cmocka_unit_test(each_value_of_blocks_of_every_fork_is_covered),
		cmocka_unit_test(each_value_of_transactions_of_every_type_is_covered),
		cmocka_unit_test(mainnet_block_and_receipts_are_recomputed),
		cmocka_unit_test(each_value_of_a_mainnet_block_is_covered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
