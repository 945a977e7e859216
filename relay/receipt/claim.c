/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/receipt/claim.h"

#include <assert.h>

#include "relay/base/mem.h"
#include "relay/crypto/digest.h"
#include "relay/crypto/sign.h"

#define RECORD_MAGIC "CFL1"
#define CLAIM_TAG "counterfoil/claim/v1\n"
#define CHALLENGE_TAG "counterfoil/challenge/v1\n"

/* Offsets of [C2]. */
enum {
	AT_MAGIC = 0,
	AT_SESSION = 4,
	AT_START = 36,
	AT_LANE = 44,
	AT_SIZE = 60,
	AT_ROOT = 68,
	AT_CU = 100,
	AT_VALUE = 108,
	AT_VALUE_BEFORE = 124,
	AT_SESSION_VALUE = 140,
};

/* --- records --- */

void claim_record_encode(const struct claim_record *r, uint8_t dst[CLAIM_RECORD_SIZE])
{
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a tag, not a string */
	memcpy(dst + AT_MAGIC, RECORD_MAGIC, 4);
	memcpy(dst + AT_SESSION, r->session.b, sizeof(r->session.b));
	put_be64(dst + AT_START, r->start);
	memcpy(dst + AT_LANE, r->lane.b, sizeof(r->lane.b));
	put_be64(dst + AT_SIZE, r->size);
	memcpy(dst + AT_ROOT, r->root.b, sizeof(r->root.b));
	put_be64(dst + AT_CU, r->cu);
	put_be128(dst + AT_VALUE, r->value);
	put_be128(dst + AT_VALUE_BEFORE, r->value_before);
	put_be128(dst + AT_SESSION_VALUE, r->session_value_before);
}

bool claim_record_decode(const uint8_t src[CLAIM_RECORD_SIZE], struct claim_record *ret)
{
	if (memcmp(src + AT_MAGIC, RECORD_MAGIC, 4) != 0)
		return false;
	memcpy(ret->session.b, src + AT_SESSION, sizeof(ret->session.b));
	ret->start = get_be64(src + AT_START);
	memcpy(ret->lane.b, src + AT_LANE, sizeof(ret->lane.b));
	ret->size = get_be64(src + AT_SIZE);
	memcpy(ret->root.b, src + AT_ROOT, sizeof(ret->root.b));
	ret->cu = get_be64(src + AT_CU);
	ret->value = get_be128(src + AT_VALUE);
	ret->value_before = get_be128(src + AT_VALUE_BEFORE);
	ret->session_value_before = get_be128(src + AT_SESSION_VALUE);
	return true;
}

static size_t records_count(struct view records)
{
	assert(records.n % CLAIM_RECORD_SIZE == 0);
	assert(records.n / CLAIM_RECORD_SIZE <= CLAIM_RECORDS_MAX);
	return records.n / CLAIM_RECORD_SIZE;
}

static struct view record_at(struct view records, size_t i)
{
	return VIEW(records.p + i * CLAIM_RECORD_SIZE, CLAIM_RECORD_SIZE);
}

void claim_records_root(struct view records, struct hash *ret)
{
	size_t n = records_count(records);
	struct tree tree;
	struct hash leaf;

	tree_init(&tree);
	for (size_t i = 0; i < n; i++) {
		tree_leaf_hash(record_at(records, i), &leaf);
		tree_append(&tree, &leaf);
	}
	tree_root(&tree, ret);
}

/* Level by level: a node without a sibling is its own parent, as in the tree of RFC 9162. */
bool claim_records_prove(struct view records, uint32_t index, struct tree_proof *ret)
{
	size_t n = records_count(records);
	struct tree_proof path = {.n = 0};
	CLEANUP(xfree) struct hash *level = NULL;

	if (index >= n)
		return false;
	level = xmalloc(n * sizeof(*level));
	for (size_t i = 0; i < n; i++)
		tree_leaf_hash(record_at(records, i), &level[i]);
	for (size_t at = index; n > 1; at /= 2, n = (n + 1) / 2) {
		if ((at ^ 1) < n)
			path.hash[path.n++] = level[at ^ 1];
		for (size_t i = 0; i < n / 2; i++)
			tree_node_hash(&level[2 * i], &level[2 * i + 1], &level[i]);
		if (n % 2 == 1)
			level[n / 2] = level[n - 1];
	}
	assert(path.n <= TREE_LEVELS);
	*ret = path;
	return true;
}

size_t claim_records_value(struct claim_record *r, const uint64_t *price, const u128 *allowance,
			   size_t n)
{
	u128 total = 0, in_session = 0;
	height_t start = 0;
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		struct claim_record one = r[i];
		u128 room, cu;

		assert(one.start >= start && left <= i);
		if (one.start != start)
			in_session = 0;
		start = one.start;
		assert(total < CLAIM_VALUE_END && in_session <= total);
		room = allowance[i] > in_session ? allowance[i] - in_session : 0;
		room = MIN(room, CLAIM_VALUE_END - 1 - total);
		if (price[i] == 0)
			continue;
		cu = MIN(room / price[i], one.cu);
		if (cu == 0)
			continue;
		one.cu = (cu_t)cu;
		one.value = cu * price[i];
		one.value_before = total;
		one.session_value_before = in_session;
		total += one.value;
		in_session += one.value;
		r[left++] = one;
	}
	return left;
}

/* --- the claim --- */

void claim_bytes(const struct claim *c, struct buf *out)
{
	size_t before = out->n;

	buf_put_str(out, CLAIM_TAG);
	buf_put(out, c->network.b, sizeof(c->network.b));
	buf_put(out, c->application.b, sizeof(c->application.b));
	buf_put(out, c->gateway.b, sizeof(c->gateway.b));
	buf_put(out, c->supplier.b, sizeof(c->supplier.b));
	buf_put_short(out, c->service.s, strlen(c->service.s));
	buf_put_u64(out, c->from);
	buf_put_u64(out, c->to);
	buf_put_u32(out, c->records);
	buf_put_u128(out, c->value);
	buf_put(out, c->root.b, sizeof(c->root.b));
	assert(out->n - before <= CLAIM_BYTES_MAX);
}

bool claim_parse(struct view bytes, struct claim *ret, struct err *err)
{
	struct reader r = reader_of(bytes);
	struct claim c = {.from = 0};
	struct view service;

	if (!view_eq(read_bytes(&r, strlen(CLAIM_TAG)), VIEW_STR(CLAIM_TAG)))
		return err_set(err, ERR_FORMAT, "not a claim of version 1");
	read_copy(&r, c.network.b, sizeof(c.network.b));
	read_copy(&r, c.application.b, sizeof(c.application.b));
	read_copy(&r, c.gateway.b, sizeof(c.gateway.b));
	read_copy(&r, c.supplier.b, sizeof(c.supplier.b));
	service = read_short(&r);
	c.from = read_u64(&r);
	c.to = read_u64(&r);
	c.records = read_u32(&r);
	c.value = read_u128(&r);
	read_copy(&r, c.root.b, sizeof(c.root.b));
	if (!reader_done(&r))
		return err_set(err, ERR_FORMAT, "a claim that is too short or too long");
	if (!service_name_parse((const char *)service.p, service.n, &c.service))
		return err_set(err, ERR_FORMAT, "a claim for no service");
	*ret = c;
	return true;
}

void claim_id_of(const struct claim *c, struct claim_id *ret)
{
	CLEANUP(buf_finish) struct buf bytes = {0};
	struct hash h;

	claim_bytes(c, &bytes);
	sha256(bytes.p, bytes.n, &h);
	memcpy(ret->b, h.b, sizeof(ret->b));
}

void claim_sign(const struct claim *c, const struct relay_key *supplier, struct signature *ret)
{
	CLEANUP(buf_finish) struct buf bytes = {0};

	assert(ID_EQ(relay_key_public(supplier), &c->supplier));
	claim_bytes(c, &bytes);
	sign_bytes(supplier, bytes.p, bytes.n, ret);
}

bool claim_verify(const struct claim *c, const struct signature *sig)
{
	CLEANUP(buf_finish) struct buf bytes = {0};

	claim_bytes(c, &bytes);
	return verify_bytes(&c->supplier, bytes.p, bytes.n, sig);
}

/* --- the challenge --- */

u128 claim_point(const struct seed *seed, const struct claim_id *id, u128 value)
{
	const struct view parts[3] = {VIEW_STR(CHALLENGE_TAG), VIEW(seed->b, sizeof(seed->b)),
				      VIEW(id->b, sizeof(id->b))};
	struct hash h;

	assert(value > 0);
	sha256_parts(parts, 3, &h);
	return get_be128(h.b) % value;
}

bool claim_point_record(struct view records, u128 x, uint32_t *ret_index)
{
	size_t low = 0, high = records_count(records);
	const uint8_t *found;
	u128 before;

	/* The last record that does not begin behind x. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (get_be128(record_at(records, mid).p + AT_VALUE_BEFORE) <= x)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return false;
	found = record_at(records, low - 1).p;
	before = get_be128(found + AT_VALUE_BEFORE);
	assert(before <= x);
	if (x - before >= get_be128(found + AT_VALUE))
		return false;
	*ret_index = (uint32_t)(low - 1);
	return true;
}

cu_t claim_point_cu(const struct claim_record *r, u128 x, uint64_t price)
{
	u128 z;

	assert(price > 0 && r->cu > 0 && r->value == (u128)r->cu * price);
	assert(x >= r->value_before && x - r->value_before < r->value);
	z = (x - r->value_before) / price;
	assert(z < r->cu);
	return (cu_t)z;
}

bool claim_point_leaf(const struct leaf *leaf, const struct claim_record *r, cu_t z)
{
	return ID_EQ(&leaf->session, &r->session) && z >= leaf->cu_before &&
	       z - leaf->cu_before < leaf->cu;
}
