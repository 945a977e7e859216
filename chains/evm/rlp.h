/* SPDX-License-Identifier: Apache-2.0
 * RLP, written (Ethereum Yellow Paper, appendix B): byte strings and lists, appended to a buffer.
 * There is no reader: what is hashed here is made from JSON, and no RLP comes in.
 *
 *	size_t list = rlp_begin(&buf);
 *
 *	rlp_put(&buf, p, n);
 *	rlp_end(&buf, list);
 */
#ifndef CHAINS_EVM_RLP_H
#define CHAINS_EVM_RLP_H

#include "relay/base/bytes.h"

#define RLP_HEAD_MAX 9 /* bytes before the content of a string or list */

/* The head of a string or list whose content has n bytes (a string of one byte below 0x80 has
 * none: rlp_put() knows). */
enum rlp_kind {
	RLP_STRING = 0x80,
	RLP_LIST = 0xC0,
};
/* Returns the length of the head. */
size_t rlp_head(enum rlp_kind kind, size_t n, uint8_t ret[RLP_HEAD_MAX]);

/* A string; p may be NULL when n is 0. */
void rlp_put(struct buf *buf, const void *p, size_t n);
/* A number of n big-endian bytes: a string without leading zeros. */
void rlp_put_number(struct buf *buf, const void *p, size_t n);
void rlp_put_u64(struct buf *buf, uint64_t v);

/* Opens a list; what is put until rlp_end() is in it.  Returns its place, for rlp_end(). */
size_t rlp_begin(struct buf *buf);
void rlp_end(struct buf *buf, size_t list);

#endif
