/* SPDX-License-Identifier: Apache-2.0
 * Logs as JSON-RPC shows them, in receipts and in answers to eth_getLogs: their RLP, the bloom of
 * their addresses and topics (Yellow Paper, section 4.3.1), and whether they are what a filter
 * asked for.  Private to chains/evm. */
#ifndef CHAINS_EVM_LOG_H
#define CHAINS_EVM_LOG_H

#include "chains/evm/check.h"

#define EVM_TOPICS_MAX 4 /* of a log: LOG4 is the last */

struct evm_log {
	uint8_t address[20];
	size_t topic_count;
	struct hash topics[EVM_TOPICS_MAX];
	struct view data; /* tokens, as all below */
	struct view block_hash, block_number;
	struct view transaction_hash, transaction_index;
	struct view index;
	bool removed;
	bool others; /* there are members that this code does not know */
};

void evm_log_names(struct json_names *names);

/* Takes the log that comes next.  False, with the fault noted, when it is none. */
MUST_USE bool evm_log_read(struct evm_check *check, struct json_walk *walk, struct evm_log *ret);

/* Appends its RLP to check->bytes. */
MUST_USE enum evm_made evm_log_put(struct evm_check *check, const struct evm_log *log);

/* Sets its bits. */
void evm_log_bloom(struct evm_check *check, const struct evm_log *log,
		   uint8_t bloom[EVM_BLOOM_BYTES]);
/* Whether all bits of `part` are set in `whole`. */
bool evm_bloom_has(const uint8_t whole[EVM_BLOOM_BYTES], const uint8_t part[EVM_BLOOM_BYTES]);

/* Checks an answer to eth_getLogs.
 * In:     token   the first parameter as sent; {NULL, 0}: none
 *         walk    before the answer's array */
void evm_logs_check(struct evm_check *check, struct json_walk *walk, struct view token);

#endif
