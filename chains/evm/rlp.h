/* SPDX-License-Identifier: Apache-2.0
 * RLP (Ethereum Yellow Paper, appendix B): byte strings and lists, appended to a buffer; and a walk
 * over heads, for the little that is read of signed transactions.  The walk is no validator.
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

/* A walk over foreign bytes, which may be cut off anywhere. */
struct rlp_read {
	const uint8_t *p, *end;
};

/* Steps over the head of what comes next; its content, of *ret_n bytes, is there up to the end of
 * what can be read. */
MUST_USE bool rlp_read_head(struct rlp_read *r, bool *ret_list, size_t *ret_n);
/* Steps over the whole of it, which must be there. */
MUST_USE bool rlp_read_skip(struct rlp_read *r);

#endif
