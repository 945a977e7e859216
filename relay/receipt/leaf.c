/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/receipt/leaf.h"

#include <assert.h>

#include "relay/crypto/digest.h"

/* Offsets of [R1]. */
enum {
	AT_MAGIC = 0,
	AT_KIND = 4,
	AT_FLAGS = 5,
	AT_STATUS = 6,
	AT_SEQ = 8,
	AT_SESSION = 16,
	AT_CU_BEFORE = 48,
	AT_CU = 56,
	AT_METHOD = 60,
	AT_TIME = 64,
	AT_LATENCY = 72,
	AT_STREAM = 76,
	AT_PART = 80,
	AT_ZERO = 84,
	AT_BLOCK = 88,
	AT_BLOCK_HASH = 96,
	AT_REQUEST = 128,
	AT_RESPONSE = 160,
};

#define MAGIC "CFR1"
#define REQUEST_TAG "counterfoil/req/v1\n"
#define RESPONSE_TAG "counterfoil/res/v1\n"
#define TAG_SIZE (sizeof(REQUEST_TAG) - 1)
#define PIECES_MAX 16

const char *leaf_fault_name(enum leaf_fault fault)
{
	switch (fault) {
	case LEAF_FINE:
		return "fine";
	case LEAF_FAULT_MAGIC:
		return "magic";
	case LEAF_FAULT_ZERO:
		return "zero";
	case LEAF_FAULT_KIND:
		return "kind";
	case LEAF_FAULT_FLAGS:
		return "flags";
	case LEAF_FAULT_SEQ:
		return "seq_range";
	case LEAF_FAULT_CU_OVERFLOW:
		return "cu_overflow";
	case LEAF_FAULT_REFUSAL_CU:
		return "refusal_cu";
	case LEAF_FAULT_PART_WITHOUT_STREAM:
		return "part_without_stream";
	case LEAF_FAULT_STREAM:
		return "stream";
	case LEAF_FAULT_BLOCK_HASH:
		return "block_hash";
	case LEAF_FAULT_CU_TABLE:
		return "cu_table";
	case LEAF_FAULT_COUNT:
		break;
	}
	return "unknown";
}

void leaf_encode(const struct leaf *leaf, uint8_t dst[LEAF_SIZE])
{
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a tag, not a string */
	memcpy(dst + AT_MAGIC, MAGIC, 4);
	dst[AT_KIND] = leaf->kind;
	dst[AT_FLAGS] = leaf->flags;
	put_be16(dst + AT_STATUS, leaf->status);
	put_be64(dst + AT_SEQ, leaf->seq);
	memcpy(dst + AT_SESSION, leaf->session.b, sizeof(leaf->session.b));
	put_be64(dst + AT_CU_BEFORE, leaf->cu_before);
	put_be32(dst + AT_CU, leaf->cu);
	put_be32(dst + AT_METHOD, leaf->method);
	put_be64(dst + AT_TIME, leaf->time_ms);
	put_be32(dst + AT_LATENCY, leaf->latency_us);
	put_be32(dst + AT_STREAM, leaf->stream);
	put_be32(dst + AT_PART, leaf->part);
	put_be32(dst + AT_ZERO, 0);
	put_be64(dst + AT_BLOCK, leaf->block);
	memcpy(dst + AT_BLOCK_HASH, leaf->block_hash.b, sizeof(leaf->block_hash.b));
	memcpy(dst + AT_REQUEST, leaf->request_hash.b, sizeof(leaf->request_hash.b));
	memcpy(dst + AT_RESPONSE, leaf->response_hash.b, sizeof(leaf->response_hash.b));
}

enum leaf_fault leaf_decode(const uint8_t src[LEAF_SIZE], struct leaf *ret)
{
	if (memcmp(src + AT_MAGIC, MAGIC, 4) != 0)
		return LEAF_FAULT_MAGIC;
	if (get_be32(src + AT_ZERO) != 0)
		return LEAF_FAULT_ZERO;
	ret->kind = src[AT_KIND];
	ret->flags = src[AT_FLAGS];
	ret->status = get_be16(src + AT_STATUS);
	ret->seq = get_be64(src + AT_SEQ);
	memcpy(ret->session.b, src + AT_SESSION, sizeof(ret->session.b));
	ret->cu_before = get_be64(src + AT_CU_BEFORE);
	ret->cu = get_be32(src + AT_CU);
	ret->method = get_be32(src + AT_METHOD);
	ret->time_ms = get_be64(src + AT_TIME);
	ret->latency_us = get_be32(src + AT_LATENCY);
	ret->stream = get_be32(src + AT_STREAM);
	ret->part = get_be32(src + AT_PART);
	ret->block = get_be64(src + AT_BLOCK);
	memcpy(ret->block_hash.b, src + AT_BLOCK_HASH, sizeof(ret->block_hash.b));
	memcpy(ret->request_hash.b, src + AT_REQUEST, sizeof(ret->request_hash.b));
	memcpy(ret->response_hash.b, src + AT_RESPONSE, sizeof(ret->response_hash.b));
	return LEAF_FINE;
}

static bool hash_is_zeros(const struct hash *hash)
{
	static const struct hash zeros;

	return ID_EQ(hash, &zeros);
}

enum leaf_fault leaf_check_form(const struct leaf *leaf)
{
	if (leaf->kind < LEAF_ANSWER || leaf->kind > LEAF_PART)
		return LEAF_FAULT_KIND;
	if (leaf->flags & ~LEAF_FLAGS_ALL)
		return LEAF_FAULT_FLAGS;
	if (leaf->seq >= LEAF_SEQ_END)
		return LEAF_FAULT_SEQ;
	if (leaf->cu_before > UINT64_MAX - leaf->cu)
		return LEAF_FAULT_CU_OVERFLOW;
	if (leaf->kind == LEAF_REFUSAL && leaf->cu != 0)
		return LEAF_FAULT_REFUSAL_CU;
	if (leaf->kind == LEAF_PART && leaf->stream == 0)
		return LEAF_FAULT_PART_WITHOUT_STREAM;
	if (leaf->kind != LEAF_PART &&
	    (leaf->stream != 0 || leaf->part != 0 || (leaf->flags & LEAF_LAST)))
		return LEAF_FAULT_STREAM;
	if (leaf->block == LEAF_BLOCK_UNKNOWN && !hash_is_zeros(&leaf->block_hash))
		return LEAF_FAULT_BLOCK_HASH;
	return LEAF_FINE;
}

enum leaf_fault leaf_check(const struct leaf *leaf, uint32_t max_cu, uint32_t max_part_cu)
{
	enum leaf_fault fault = leaf_check_form(leaf);

	if (fault == LEAF_FINE && leaf->cu > (leaf->part > 0 ? max_part_cu : max_cu))
		fault = LEAF_FAULT_CU_TABLE;
	return fault;
}

/* SHA-256(head || pieces): one call, so that the digest's context is set up once. */
static void hash_pieces(const uint8_t *head, size_t n, const struct view *pieces, size_t count,
			struct hash *ret)
{
	struct view all[1 + PIECES_MAX];

	assert(count <= PIECES_MAX);
	all[0] = VIEW(head, n);
	for (size_t i = 0; i < count; i++)
		all[1 + i] = pieces[i];
	sha256_parts(all, 1 + count, ret);
}

void leaf_request_hash(const struct lane_id *lane, const struct salt *salt,
		       const struct view *pieces, size_t count, struct hash *ret)
{
	uint8_t head[TAG_SIZE + 16 + 16];

	memcpy(head, REQUEST_TAG, TAG_SIZE);
	memcpy(head + TAG_SIZE, lane->b, 16);
	memcpy(head + TAG_SIZE + 16, salt->b, 16);
	hash_pieces(head, sizeof(head), pieces, count, ret);
}

void leaf_response_hash(const struct lane_id *lane, const struct salt *salt, uint32_t part,
			const struct view *pieces, size_t count, struct hash *ret)
{
	uint8_t head[TAG_SIZE + 16 + 16 + 8];

	memcpy(head, RESPONSE_TAG, TAG_SIZE);
	memcpy(head + TAG_SIZE, lane->b, 16);
	memcpy(head + TAG_SIZE + 16, salt->b, 16);
	put_be64(head + TAG_SIZE + 32, part);
	hash_pieces(head, sizeof(head), pieces, count, ret);
}

void leaf_hash(const uint8_t leaf[LEAF_SIZE], struct hash *ret)
{
	uint8_t bytes[1 + LEAF_SIZE];

	bytes[0] = 0x00;
	memcpy(bytes + 1, leaf, LEAF_SIZE);
	sha256(bytes, sizeof(bytes), ret);
}
