/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/check.h"

#include <assert.h>

#include "chains/evm/header.h"
#include "chains/evm/log.h"
#include "chains/evm/receipt.h"
#include "chains/evm/rlp.h"
#include "chains/evm/transaction.h"

void evm_check_init(struct evm_check *check)
{
	memset(check, 0, sizeof(*check));
	check->trie = trie_create();
	evm_header_names(&check->header_names, &check->withdrawal_names);
	evm_transaction_names(&check->transaction_names, check->item_names);
	evm_receipt_names(&check->receipt_names);
	evm_log_names(&check->log_names);
}

void evm_check_finish(struct evm_check *check)
{
	buf_finish(&check->bytes);
	trie_destroy(check->trie);
}

void evm_fault(struct evm_check *check, const char *why)
{
	if (!check->fault)
		check->fault = why;
}

void evm_rule_broken(struct evm_check *check, bool others, const char *why)
{
	check->unjudged = true;
	if (!others && !check->differs)
		check->differs = why;
}

const struct evm_known *evm_known_find(const struct evm_check *check, const struct hash *hash)
{
	for (size_t i = 0; i < EVM_KNOWN_HEADERS; i++) {
		if (check->known[i].set && ID_EQ(&check->known[i].hash, hash))
			return &check->known[i];
	}
	return NULL;
}

/* DATA is decoded where it stands in the end. */
static bool put_data(struct buf *buf, struct view token)
{
	size_t n, head_n, got;
	uint8_t *at;

	if (token.n < 4)
		return false;
	n = (token.n - 4) / 2;
	buf_reserve(buf, RLP_HEAD_MAX + json_token_data_max(token));
	at = buf->p + buf->n;
	head_n = rlp_head(RLP_STRING, n, at);
	if (!json_token_data(token, at + head_n, &got))
		return false;
	assert(got == n);
	if (n == 1 && at[head_n] < 0x80) {
		at[0] = at[head_n];
		head_n = 0;
	}
	buf->n += head_n + n;
	return true;
}

enum evm_made evm_put(struct evm_check *check, enum evm_kind kind, size_t n, struct view token)
{
	uint8_t number[32];
	size_t number_n;

	if (!token.p)
		return EVM_ABSENT;
	if (json_token_is_null(token)) {
		if (kind != EVM_ADDRESS)
			return EVM_ABSENT;
		rlp_put(&check->bytes, NULL, 0);
		return EVM_MADE;
	}
	switch (kind) {
	case EVM_NUMBER:
		if (!json_token_number(token, JSON_LENIENT, number, &number_n))
			return EVM_MALFORMED;
		rlp_put(&check->bytes, number, number_n);
		return EVM_MADE;
	case EVM_ADDRESS:
		n = 20;
		break;
	case EVM_DATA:
		return put_data(&check->bytes, token) ? EVM_MADE : EVM_MALFORMED;
	case EVM_BYTES:
		break;
	}
	if (token.n != 4 + 2 * n || !put_data(&check->bytes, token))
		return EVM_MALFORMED;
	return EVM_MADE;
}

bool evm_token_is_u64(struct view token, uint64_t number)
{
	uint64_t v;

	if (evm_token_is_absent(token))
		return true;
	return json_token_u64(token, JSON_LENIENT, &v) && v == number;
}

bool evm_token_is_hash(struct view token, const struct hash *hash)
{
	struct hash got;

	if (evm_token_is_absent(token))
		return true;
	return json_token_hex(token, got.b, sizeof(got.b)) && ID_EQ(&got, hash);
}

bool evm_place_check(struct evm_check *check, struct evm_place *place, struct view hash,
		     struct view number)
{
	if (place->has_hash && !evm_token_is_hash(hash, &place->hash)) {
		evm_fault(check, "it names another block by hash");
		return false;
	}
	if (place->has_number && !evm_token_is_u64(number, place->number)) {
		evm_fault(check, "it names another block by number");
		return false;
	}
	if (!place->has_hash && !evm_token_is_absent(hash)) {
		place->has_hash = json_token_hex(hash, place->hash.b, sizeof(place->hash.b));
		if (!place->has_hash)
			evm_rule_broken(check, false, "it names its block by no hash");
	}
	if (!place->has_number && !evm_token_is_absent(number)) {
		place->has_number = json_token_u64(number, JSON_LENIENT, &place->number);
		if (!place->has_number)
			evm_rule_broken(check, false, "it names its block by no number");
	}
	return true;
}
