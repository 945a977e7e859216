/* SPDX-License-Identifier: Apache-2.0 */
#include "chains/evm/rlp.h"

#include <assert.h>

/* What rlp_begin() leaves room for: the head of 256 to 65535 bytes, as most transactions have. */
#define HEAD_GUESS 3

size_t rlp_head(enum rlp_kind kind, size_t n, uint8_t ret[RLP_HEAD_MAX])
{
	uint8_t length[8];
	size_t zeros = 0;

	if (n <= 55) {
		ret[0] = (uint8_t)(kind + n);
		return 1;
	}
	put_be64(length, n);
	while (length[zeros] == 0)
		zeros++;
	ret[0] = (uint8_t)(kind + 55 + (8 - zeros));
	memcpy(ret + 1, length + zeros, 8 - zeros);
	return 1 + 8 - zeros;
}

void rlp_put(struct buf *buf, const void *p, size_t n)
{
	buf_reserve(buf, RLP_HEAD_MAX + n);
	if (n != 1 || *(const uint8_t *)p >= 0x80)
		buf->n += rlp_head(RLP_STRING, n, buf->p + buf->n);
	if (n > 0)
		memcpy(buf->p + buf->n, p, n);
	buf->n += n;
}

void rlp_put_number(struct buf *buf, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n > 0 && *b == 0) {
		b++;
		n--;
	}
	rlp_put(buf, b, n);
}

void rlp_put_u64(struct buf *buf, uint64_t v)
{
	uint8_t b[8];

	put_be64(b, v);
	rlp_put_number(buf, b, sizeof(b));
}

size_t rlp_begin(struct buf *buf)
{
	size_t list = buf->n;

	buf_reserve(buf, HEAD_GUESS);
	buf->n += HEAD_GUESS;
	return list;
}

void rlp_end(struct buf *buf, size_t list)
{
	size_t n = buf->n - list - HEAD_GUESS, head_n;
	uint8_t head[RLP_HEAD_MAX];

	assert(buf->n >= list + HEAD_GUESS);
	head_n = rlp_head(RLP_LIST, n, head);
	if (head_n != HEAD_GUESS) {
		buf_reserve(buf, RLP_HEAD_MAX);
		memmove(buf->p + list + head_n, buf->p + list + HEAD_GUESS, n);
		buf->n = list + head_n + n;
	}
	memcpy(buf->p + list, head, head_n);
}

bool rlp_read_head(struct rlp_read *r, bool *ret_list, size_t *ret_n)
{
	size_t n, more = 0;
	uint8_t head;

	if (r->p == r->end)
		return false;
	head = *r->p;
	*ret_list = head >= RLP_LIST;
	if (head < RLP_STRING) { /* one byte, itself */
		*ret_n = 1;
		return true;
	}
	r->p++;
	n = head & 0x3F;
	if (n > 55) {
		more = n - 55;
		if (more > sizeof(size_t) - 1 || (size_t)(r->end - r->p) < more)
			return false;
		for (n = 0; more > 0; more--)
			n = n << 8 | *r->p++;
	}
	*ret_n = n;
	return true;
}

bool rlp_read_skip(struct rlp_read *r)
{
	bool is_list;
	size_t n;

	if (!rlp_read_head(r, &is_list, &n) || n > (size_t)(r->end - r->p))
		return false;
	r->p += n;
	return true;
}
