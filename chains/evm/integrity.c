/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/integrity.h"

#include <assert.h>

#include "chains/evm/header.h"
#include "chains/evm/log.h"
#include "chains/evm/receipt.h"
#include "chains/evm/transaction.h"
#include "relay/base/mem.h"

#define METHOD_IDS 256 /* ids of methods that can have a check */
#define PARAMS 2       /* the parameters that are looked at */

/* One question and its answer. */
struct answer {
	struct view params[PARAMS]; /* tokens; {NULL, 0}: absent */
	struct json_walk walk;	    /* before the result, which is not null */
};

typedef void answer_check(struct evm_check *check, struct answer *answer);

struct evm_verifier {
	struct evm_check check;
	answer_check *by_id[METHOD_IDS];
	bool always[METHOD_IDS]; /* there is something to say: null is no answer */
};

/* --- what was asked for --- */

/* A parameter that names a block by number, hash, tag or object (EIP-1898).  What is not understood
 * leaves the place open. */
static struct evm_asked asked_of(struct view param)
{
	static const char *const list_names[] = {"blockNumber", "blockHash", "requireCanonical"};
	struct json_walk walk = json_walk_of(param);
	struct evm_asked asked = {0};
	struct json_names names;
	struct view at[ARRAY_SIZE(list_names)] = {param, param};

	if (param.p && *param.p == '{') {
		json_names_init(&names, list_names, ARRAY_SIZE(list_names));
		/* Some backends read names in any case: what is not known may be what counts. */
		if (json_walk_members(&walk, &names, at) != JSON_MEMBERS || names.others > 0)
			at[0] = at[1] = (struct view){0};
	}
	asked.place.has_hash = json_token_hex(at[1], asked.place.hash.b, 32);
	if (!asked.place.has_hash)
		asked.place.has_number = json_token_u64(at[0], JSON_LENIENT, &asked.place.number);
	asked.by_tag = !asked.place.has_hash && !asked.place.has_number;
	return asked;
}

/* --- one function a kind of answer --- */

static void block_check(struct evm_check *check, struct answer *answer)
{
	struct evm_asked asked = asked_of(answer->params[0]);

	asked.whole = true;
	asked.has_full = json_token_bool(answer->params[1], &asked.full);
	evm_block_check(check, &answer->walk, &asked);
}

static void header_check(struct evm_check *check, struct answer *answer)
{
	struct evm_asked asked = asked_of(answer->params[0]);

	evm_block_check(check, &answer->walk, &asked);
}

/* The parameters name the block that has the uncle. */
static void uncle_check(struct evm_check *check, struct answer *answer)
{
	static const struct evm_asked asked;

	check->rides = true;
	evm_block_check(check, &answer->walk, &asked);
}

static void transaction_check(struct evm_check *check, struct answer *answer)
{
	struct evm_transaction tx;
	struct hash asked;

	check->transaction = true;
	if (!evm_transaction_read(check, &answer->walk, &tx))
		return;
	if (json_token_hex(answer->params[0], asked.b, sizeof(asked.b)) &&
	    !evm_token_is_hash(tx.at[TX_HASH], &asked))
		evm_fault(check, "another transaction than asked for");
	evm_transaction_check(check, &tx);
}

/* Its fields follow from its hash, but nothing here says that it stands in that block. */
static void transaction_at_check(struct evm_check *check, struct answer *answer)
{
	struct evm_asked asked = asked_of(answer->params[0]);
	struct evm_transaction tx;
	uint64_t index;

	check->unjudged = check->transaction = true;
	if (!evm_transaction_read(check, &answer->walk, &tx))
		return;
	(void)evm_place_check(check, &asked.place, tx.at[TX_BLOCK_HASH], tx.at[TX_BLOCK_NUMBER]);
	if (json_token_u64(answer->params[1], JSON_LENIENT, &index) &&
	    !evm_token_is_u64(tx.at[TX_INDEX], index))
		evm_fault(check, "a transaction of another index than asked for");
	evm_transaction_check(check, &tx);
}

static void receipt_check(struct evm_check *check, struct answer *answer)
{
	struct hash asked;
	bool known = json_token_hex(answer->params[0], asked.b, sizeof(asked.b));

	evm_receipt_check(check, &answer->walk, known ? &asked : NULL);
}

static void receipts_check(struct evm_check *check, struct answer *answer)
{
	struct evm_asked asked = asked_of(answer->params[0]);

	evm_receipts_check(check, &answer->walk, &asked.place);
}

static void logs_check(struct evm_check *check, struct answer *answer)
{
	evm_logs_check(check, &answer->walk, answer->params[0]);
}

static void quantity_check(struct evm_check *check, struct answer *answer)
{
	uint8_t number[32];
	size_t n;

	check->unjudged = true;
	if (!json_token_number(json_walk_value(&answer->walk), JSON_LENIENT, number, &n))
		evm_rule_broken(check, false, "the result is no quantity");
}

static void data_check(struct evm_check *check, struct answer *answer)
{
	struct view token = json_walk_value(&answer->walk);
	size_t n;

	check->unjudged = true;
	buf_reserve(&check->bytes, json_token_data_max(token));
	if (!json_token_data(token, check->bytes.p, &n))
		evm_rule_broken(check, false, "the result is no data");
}

static const struct {
	const char *method;
	answer_check *check;
} checks[] = {
	{"eth_blockNumber", quantity_check},
	{"eth_chainId", quantity_check},
	{"eth_gasPrice", quantity_check},
	{"eth_maxPriorityFeePerGas", quantity_check},
	{"eth_blobBaseFee", quantity_check},
	{"eth_getBalance", quantity_check},
	{"eth_getTransactionCount", quantity_check},
	{"eth_estimateGas", quantity_check},
	{"eth_getBlockTransactionCountByHash", quantity_check},
	{"eth_getBlockTransactionCountByNumber", quantity_check},
	{"eth_getUncleCountByBlockHash", quantity_check},
	{"eth_getUncleCountByBlockNumber", quantity_check},
	{"eth_getCode", data_check},
	{"eth_getStorageAt", data_check},
	{"eth_call", data_check},
	{"eth_getBlockByHash", block_check},
	{"eth_getBlockByNumber", block_check},
	{"eth_getHeaderByHash", header_check},
	{"eth_getHeaderByNumber", header_check},
	{"eth_getUncleByBlockHashAndIndex", uncle_check},
	{"eth_getUncleByBlockNumberAndIndex", uncle_check},
	{"eth_getTransactionByHash", transaction_check},
	{"eth_getTransactionByBlockHashAndIndex", transaction_at_check},
	{"eth_getTransactionByBlockNumberAndIndex", transaction_at_check},
	{"eth_getTransactionReceipt", receipt_check},
	{"eth_getBlockReceipts", receipts_check},
	{"eth_getLogs", logs_check},
};

/* --- the verifier --- */

void *evm_verifier_create(void)
{
	struct evm_verifier *verifier = xcalloc(1, sizeof(*verifier));
	const struct chain *chain = chain_find("evm");

	evm_check_init(&verifier->check);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		const struct chain_method *method = NULL;
		struct err err;
		bool found = chain_method_find(chain, VIEW_STR(checks[i].method), &method, &err);

		assert(found && method->id > 0 && method->id < METHOD_IDS);
		verifier->by_id[method->id] = checks[i].check;
		verifier->always[method->id] =
			chain_traits(chain, method)->empty == CHAIN_EMPTY_VALUE;
	}
	return verifier;
}

void evm_verifier_destroy(void *state)
{
	struct evm_verifier *verifier = state;

	if (!verifier)
		return;
	evm_check_finish(&verifier->check);
	free(verifier);
}

/* Parameters by name, or none, leave all absent. */
static void params_read(struct view params, struct view ret[PARAMS])
{
	struct json_walk walk = json_walk_of(params);

	if (json_walk_peek(&walk) != '[' || !json_walk_enter(&walk, '['))
		return;
	for (size_t i = 0; i < PARAMS && json_walk_element(&walk); i++)
		ret[i] = json_walk_value(&walk);
}

static answer_check *check_of(const struct evm_verifier *verifier,
			      const struct chain_method *method)
{
	return method->id < METHOD_IDS ? verifier->by_id[method->id] : NULL;
}

enum chain_look evm_verify_look(const void *state, const struct chain_method *method)
{
	answer_check *check = check_of(state, method);

	if (!check)
		return CHAIN_LOOK_NONE;
	return check == quantity_check || check == data_check ? CHAIN_LOOK_RESULT : CHAIN_LOOK_BOTH;
}

void evm_verify(void *state, const struct chain_method *method, struct view params,
		struct view result, struct chain_finding *ret)
{
	struct evm_verifier *verifier = state;
	struct evm_check *check = &verifier->check;
	struct answer answer = {.walk = json_walk_of(result)};
	answer_check *look = check_of(verifier, method);

	if (!look)
		return;
	if (json_token_is_null(result)) {
		if (verifier->always[method->id]) {
			ret->verdict = CHAIN_DIFFERS;
			ret->why = "null, where there is always something to say";
		}
		return;
	}
	check->fault = check->differs = NULL;
	check->unjudged = check->hashed = check->block = check->rides = false;
	check->transaction = false;
	params_read(params, answer.params);
	look(check, &answer);
	ret->hashed = check->hashed;
	ret->block = check->block;
	ret->transaction = check->transaction;
	ret->rides = check->rides;
	ret->why = check->fault ? check->fault : check->differs;
	if (check->fault)
		ret->verdict = CHAIN_FAULT;
	else if (check->differs)
		ret->verdict = CHAIN_DIFFERS;
	else if (!check->unjudged && !answer.walk.bad)
		ret->verdict = CHAIN_RECOMPUTED;
}
