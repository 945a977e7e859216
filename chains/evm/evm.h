/* SPDX-License-Identifier: Apache-2.0
 * The parts of the EVM family that family.c puts together.  Private to chains/evm. */
#ifndef CHAINS_EVM_EVM_H
#define CHAINS_EVM_EVM_H

#include "chains/family.h"

/* As chain_call_read() and chain_call_pin(), of a method with these traits. */
void evm_call_read(const struct chain_traits *traits, struct view text, struct chain_call *ret);
MUST_USE bool evm_call_pin(const struct chain_call *call, struct view text,
			   const struct chain_pin pins[CHAIN_REFS_MAX], struct buf *ret);
/* As chain_answer_read(). */
void evm_answer_read(const struct chain_call *call, struct view result, struct chain_answer *ret);
/* Of the digits of a signed transaction. */
MUST_USE bool evm_sent_hash(struct view digits, struct hash *ret);
void evm_put_sent(const struct hash *sent, struct buf *out);
void evm_put_lookup(const struct hash *sent, struct buf *out);

/* As chain_filter_call(). */
enum chain_filter_call evm_filter_call(struct view name);
/* As chain_block_call() and chain_block_read(). */
void evm_block_call(const struct chain_ref *ref, struct buf *ret);
MUST_USE bool evm_block_read(struct view result, struct chain_block *ret);

#endif
